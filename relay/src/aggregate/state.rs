//! The file that carries buckets over a restart, with the sequence number up to which they hold.
//!
//! `aggregate`, little-endian: `"SAG1"`; u64 sequence number; u32 number of aggregations, for each:
//!
//! ```text
//! u64 fingerprint     of inputs, outputs and length of buckets
//! i64 forgotten       begin of the newest bucket that was forgotten, seconds
//! u32 buckets
//!   i64 begin         seconds
//!   u8  computed      0 or 1
//!   u32 series
//!     u16 output      its place in the aggregation
//!     u8  changed     0 or 1: got points after it was computed
//!     u16 length, name
//!     u8  kind        then its numbers: f64, except u64 for a count of points and u32 for one of values
//! ```
//!
//! and the CRC-32 of all that. Written as [`skyline_core::file::update`] does; the content before it, beside it with
//! `.before`, is taken where the file is damaged, and what the journal has after it is read again.

use super::accumulator::{Accumulator, Sum};
use super::bucket::{Bucket, Key, Series};
use super::inputs::Inputs;
use super::machine::Machine;
use std::io;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 4] = *b"SAG1";
const NAME: &str = "aggregate";

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// A state.
    State(Vec<u8>),
    /// There is no file.
    None,
    /// There is one that cannot be read, or is damaged.
    Damaged,
}

/// The file in `state_dir`.
pub(super) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(NAME)
}

/// The newest state in a file or beside it.
pub(super) fn read(path: &Path) -> Found {
    let mut before = path.as_os_str().to_owned();
    before.push(".before");
    let mut is_there = false;
    let mut best: Option<(u64, Vec<u8>)> = None;
    for path in [path, Path::new(&before)] {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the state of aggregates cannot be read");
                is_there = true;
                continue;
            }
        };
        is_there = true;
        match sequence(&bytes) {
            Some(seq) if best.as_ref().is_none_or(|(other, _)| *other < seq) => best = Some((seq, bytes)),
            Some(_) => {}
            None => tracing::warn!(path = %path.display(), "the state of aggregates is damaged"),
        }
    }
    match best {
        Some((_, bytes)) => Found::State(bytes),
        None if is_there => Found::Damaged,
        None => Found::None,
    }
}

/// The sequence number of a whole state.
fn sequence(bytes: &[u8]) -> Option<u64> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut rest = Rest(body);
    (rest.take::<4>()? == MAGIC).then_some(())?;
    rest.u64()
}

/// The state of a machine that has taken all before `seq`.
pub(super) fn encode(machine: &Machine, seq: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + machine.counts.bytes as usize / 2);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&(machine.rules.len() as u32).to_le_bytes());
    for rule in &machine.rules {
        out.extend_from_slice(&rule.fingerprint.to_le_bytes());
        out.extend_from_slice(&rule.forgotten.to_le_bytes());
        out.extend_from_slice(&(rule.buckets.len() as u32).to_le_bytes());
        for (begin, bucket) in &rule.buckets {
            out.extend_from_slice(&begin.to_le_bytes());
            out.push(u8::from(bucket.is_computed));
            out.extend_from_slice(&(bucket.series.len() as u32).to_le_bytes());
            bucket.series.iter().for_each(|series| encode_series(series, &mut out));
        }
    }
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn encode_series(series: &Series, out: &mut Vec<u8>) {
    let Series { key, accumulator, is_changed } = series;
    out.extend_from_slice(&key.output.to_le_bytes());
    out.push(u8::from(*is_changed));
    // Names are at most `name::MAX_NAME_BYTES` long.
    out.extend_from_slice(&(key.name.len() as u16).to_le_bytes());
    out.extend_from_slice(key.name.as_bytes());
    let mut numbers = |kind: u8, count: Option<u64>, numbers: &[f64]| {
        out.push(kind);
        out.extend(count.iter().flat_map(|count| count.to_le_bytes()));
        numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    };
    match accumulator {
        Accumulator::Sum(sum) => numbers(1, None, &[sum.rounded, sum.lost]),
        Accumulator::Count(count) => numbers(2, Some(*count), &[]),
        Accumulator::Max(max) => numbers(3, None, &[*max]),
        Accumulator::Min(min) => numbers(4, None, &[*min]),
        Accumulator::Average { sum, count } => numbers(5, Some(*count), &[sum.rounded, sum.lost]),
        Accumulator::Last(last) => numbers(6, None, &[*last]),
        Accumulator::Moments { count, mean, squares } => numbers(7, Some(*count), &[*mean, *squares]),
        Accumulator::Spread { min, max } => numbers(8, None, &[*min, *max]),
        Accumulator::Rate { oldest, newest } => {
            numbers(9, None, &[oldest.0, oldest.1, newest.0, newest.1]);
        }
        Accumulator::Values(values) => {
            out.push(10);
            out.extend_from_slice(&(values.len() as u32).to_le_bytes());
            values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
        }
    }
}

/// Puts a state into a machine without buckets: the sequence number up to which it holds, and how many aggregations
/// of it the machine does not have, whose buckets are left out.
pub(super) fn decode(bytes: &[u8], machine: &mut Machine) -> Option<(u64, usize)> {
    let (body, _) = bytes.split_last_chunk::<4>()?;
    let mut rest = Rest(body);
    (rest.take::<4>()? == MAGIC).then_some(())?;
    let seq = rest.u64()?;
    let mut is_taken = vec![false; machine.rules.len()];
    let mut left_out = 0;
    for _ in 0..rest.u32()? {
        let (fingerprint, forgotten) = (rest.u64()?, rest.u64()?.cast_signed());
        let rules = machine.rules.iter_mut().zip(&mut is_taken).enumerate();
        let mut fitting = rules.filter(|(_, (rule, taken))| !**taken && rule.fingerprint == fingerprint);
        let place = fitting.next().map(|(place, (rule, taken))| {
            *taken = true;
            rule.forgotten = forgotten;
            place
        });
        let buckets = rest.u32()?;
        left_out += usize::from(place.is_none() && buckets > 0);
        for _ in 0..buckets {
            let begin = rest.u64()?.cast_signed();
            let bucket = Bucket { is_computed: rest.u8()? == 1, ..Bucket::default() };
            let mut series = Vec::new();
            for _ in 0..rest.u32()? {
                series.push(decode_series(&mut rest, machine)?);
            }
            if let Some(place) = place {
                machine.restore(place, begin, bucket, series);
            }
        }
    }
    rest.0.is_empty().then_some((seq, left_out))
}

fn decode_series(rest: &mut Rest<'_>, machine: &Machine) -> Option<Series> {
    let output = rest.u16()?;
    let is_changed = rest.u8()? == 1;
    let length = rest.u16()?;
    let name = std::str::from_utf8(rest.bytes(usize::from(length))?).ok()?;
    let key: Key = Inputs::key(machine.seed(), output, name.into());
    let sum = |rest: &mut Rest<'_>| Some(Sum { rounded: rest.f64()?, lost: rest.f64()? });
    let accumulator = match rest.u8()? {
        1 => Accumulator::Sum(sum(rest)?),
        2 => Accumulator::Count(rest.u64()?),
        3 => Accumulator::Max(rest.f64()?),
        4 => Accumulator::Min(rest.f64()?),
        5 => {
            let count = rest.u64()?;
            Accumulator::Average { sum: sum(rest)?, count }
        }
        6 => Accumulator::Last(rest.f64()?),
        7 => Accumulator::Moments { count: rest.u64()?, mean: rest.f64()?, squares: rest.f64()? },
        8 => Accumulator::Spread { min: rest.f64()?, max: rest.f64()? },
        9 => Accumulator::Rate { oldest: (rest.f64()?, rest.f64()?), newest: (rest.f64()?, rest.f64()?) },
        10 => {
            let bytes = rest.u32()? as usize * size_of::<f64>();
            let (values, _) = rest.bytes(bytes)?.as_chunks::<8>();
            Accumulator::Values(values.iter().map(|value| f64::from_le_bytes(*value)).collect())
        }
        _ => return None,
    };
    Some(Series { key, accumulator, is_changed })
}

/// What is not read yet.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn bytes(&mut self, n: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn f64(&mut self) -> Option<f64> {
        self.take().map(f64::from_le_bytes)
    }
}
