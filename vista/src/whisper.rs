//! Reading whisper files: Graphite's own store, a file a metric.
//!
//! Layout, big-endian (`whisper:whisper.py`). Head, 16 bytes: aggregation u32 (1 average, 2 sum, 3 last, 4 max, 5 min,
//! 6 avg_zero, 7 absmax, 8 absmin), longest retention u32 seconds, x-files factor f32, number of archives u32. Then for each archive,
//! the finest first: offset u32, seconds per point u32, points u32. Then the archives: points of a time u32 and a value f64, in a ring whose
//! place for a time follows from the time of its first point (0: nothing was ever written). What stands in a place
//! and has another time than belongs there is of an earlier round.
//!
//! Files are only read, and no more of them than the head and the places that are asked for.

mod tree;

#[cfg(test)]
mod tests;

pub use tree::{Tree, name_of, tree};

use skyline_core::point::Datapoint;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Points that are read of a file at most: 12 times as many bytes.
pub const MOST_POINTS: u64 = 1 << 20;
/// Archives of a file at most; whisper's own limit is what fits, in practice there are four.
const MOST_ARCHIVES: u32 = 256;
/// Times that a file is read which somebody else changes meanwhile.
const TRIES: u32 = 3;
const HEAD_BYTES: u64 = 16;
const ARCHIVE_BYTES: u64 = 12;
const POINT_BYTES: u64 = 12;
/// How a compressed file of go-carbon begins.
const COMPRESSED: &[u8] = b"whisper_compressed";

/// How points of an archive become one of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Aggregation {
    /// Mean of those that are there.
    Average = 1,
    /// Sum.
    Sum,
    /// The newest.
    Last,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// Mean, with 0 for those that are not there.
    AvgZero,
    /// The one furthest from 0.
    AbsMax,
    /// The one nearest to 0.
    AbsMin,
}

impl Aggregation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Average,
        Self::Sum,
        Self::Last,
        Self::Max,
        Self::Min,
        Self::AvgZero,
        Self::AbsMax,
        Self::AbsMin,
    ];

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|a| *a as u32 == number)
    }
}

/// One archive of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archive {
    /// Where it begins, bytes.
    pub offset: u32,
    /// Seconds per point.
    pub step: u32,
    /// Places.
    pub points: u32,
}

impl Archive {
    /// How far back it goes, seconds.
    #[must_use]
    pub const fn retention(&self) -> u64 {
        self.step as u64 * self.points as u64
    }
}

/// The head of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// How finer points become coarser ones.
    pub aggregation: Aggregation,
    /// Share of points that must be there for that, 0 to 1.
    pub x_files_factor: f32,
    /// The finest first.
    pub archives: Vec<Archive>,
}

/// What is asked of a file; seconds. Points after `from`, up to `until`, as a render question has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first point lies behind it.
    pub from: i64,
    /// The last point lies there at most.
    pub until: i64,
    /// From where it counts how old its beginning is, which chooses the archive: when it was decided what is asked.
    pub now: i64,
    /// The time it is: what an archive had at `now` and has no more comes from the next coarser one.
    pub real: i64,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{0}; see that the node's user may read it")]
    Io(#[from] io::Error),
    /// Something else.
    #[error("this is no whisper file: {0}")]
    Foreign(&'static str),
    /// A file of go-carbon that is packed.
    #[error(
        "this is a compressed whisper file of go-carbon: fill from the render address of its server instead"
    )]
    Compressed,
    /// Cut off, or not as its head says.
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
    /// More points than are read at once.
    #[error("{0} points are asked for, and {MOST_POINTS} are read of a file at most: ask for a shorter time")]
    TooMany(u64),
}

/// The points of a file.
///
/// # Errors
/// It cannot be read, or is no whole whisper file.
pub fn read(path: &Path, range: Range) -> Result<Vec<Datapoint>, Error> {
    let mut tries = 0;
    loop {
        // Opening a pipe would wait for its writer.
        let before = std::fs::metadata(path)?;
        if !before.is_file() {
            return Err(Error::Foreign("not a regular file"));
        }
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let error = match points(&mut file, length, range) {
            Ok(points) => return Ok(points),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Error::Damaged("it became shorter while it was read")
            }
            Err(error) => error,
        };
        // One that is made or replaced just now is whole a moment later.
        tries += 1;
        let is_same = |now: &std::fs::Metadata| {
            let of = |m: &std::fs::Metadata| (m.ino(), m.len(), m.mtime(), m.mtime_nsec());
            of(now) == of(&before)
        };
        if tries >= TRIES || std::fs::metadata(path).as_ref().is_ok_and(is_same) {
            return Err(error);
        }
    }
}

/// The points of what is `length` bytes long, in the order of time: of the finest archive that reaches back to the
/// range's beginning.
///
/// # Errors
/// As [`read`].
pub fn points(file: &mut (impl Read + Seek), length: u64, range: Range) -> Result<Vec<Datapoint>, Error> {
    let head = head(file, length)?;
    let Range { from, until, now, real } = range;
    let longest = head.archives.last().map_or(0, Archive::retention);
    let oldest = now.saturating_sub(i64::try_from(longest).unwrap_or(i64::MAX));
    if from > until || from > now || until < oldest {
        return Ok(Vec::new());
    }
    let (from, until) = (from.max(oldest), until.min(now));
    let age = u64::try_from(now.saturating_sub(from)).unwrap_or(0);
    let right = head.archives.iter().skip_while(|archive| archive.retention() < age);
    let (mut pieces, mut end) = (Vec::new(), until);
    for archive in right {
        let oldest = real.saturating_sub(i64::try_from(archive.retention()).unwrap_or(i64::MAX));
        let begin = from.max(oldest.min(end));
        if begin < end {
            pieces.push(of_archive(file, archive, begin, end)?);
        }
        end = begin;
        if end <= from {
            break;
        }
    }
    pieces.reverse();
    Ok(pieces.concat())
}

/// The head of what is `length` bytes long.
///
/// # Errors
/// As [`read`].
pub fn head(file: &mut (impl Read + Seek), length: u64) -> Result<Head, Error> {
    if length == 0 {
        return Err(Error::Damaged("it is empty"));
    }
    let mut start = vec![0; HEAD_BYTES.max(COMPRESSED.len() as u64).min(length) as usize];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut start)?;
    if start.starts_with(COMPRESSED) {
        return Err(Error::Compressed);
    }
    let mut words = start.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes));
    let (Some(aggregation), Some(longest), Some(factor), Some(count)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Error::Foreign("it is too short for a head"));
    };
    let aggregation =
        Aggregation::from_number(aggregation).ok_or(Error::Foreign("no aggregation has its number"))?;
    let x_files_factor = f32::from_bits(factor);
    if !(0.0..=1.0).contains(&x_files_factor) {
        return Err(Error::Foreign("its x-files factor is not between 0 and 1"));
    }
    if count == 0 || count > MOST_ARCHIVES {
        return Err(Error::Foreign("no archives, or too many"));
    }
    let first = HEAD_BYTES + u64::from(count) * ARCHIVE_BYTES;
    if length < first {
        return Err(Error::Damaged("its head is cut off"));
    }
    let mut table = vec![0; (first - HEAD_BYTES) as usize];
    file.seek(SeekFrom::Start(HEAD_BYTES))?;
    file.read_exact(&mut table)?;
    let mut words = table.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes));
    let mut archives: Vec<Archive> = Vec::with_capacity(count as usize);
    while let (Some(offset), Some(step), Some(points)) = (words.next(), words.next(), words.next()) {
        let archive = Archive { offset, step, points };
        if step == 0 || points == 0 || u64::from(offset) < first {
            return Err(Error::Foreign("an archive is nothing, or lies in the head"));
        }
        let is_behind = |last: &Archive| step > last.step && archive.retention() > last.retention();
        if !archives.last().is_none_or(is_behind) {
            return Err(Error::Foreign("its archives are not in order"));
        }
        let end_of = |a: &Archive| u64::from(a.offset) + u64::from(a.points) * POINT_BYTES;
        if archives.last().is_some_and(|last| end_of(last) > u64::from(offset)) {
            return Err(Error::Foreign("its archives lie over each other"));
        }
        if end_of(&archive) > length {
            return Err(Error::Damaged("it is cut off: an archive ends behind its end"));
        }
        archives.push(archive);
    }
    if archives.last().map(Archive::retention) != Some(u64::from(longest)) {
        return Err(Error::Foreign("its longest retention is not that of an archive"));
    }
    Ok(Head { aggregation, x_files_factor, archives })
}

/// The points of an archive behind `from`, up to `until`; `whisper:whisper.py`, `__archive_fetch`.
fn of_archive(
    file: &mut (impl Read + Seek),
    archive: &Archive,
    from: i64,
    until: i64,
) -> Result<Vec<Datapoint>, Error> {
    let step = i64::from(archive.step);
    let slot = |time: i64| time.saturating_sub(time.rem_euclid(step)).saturating_add(step);
    let (first, mut end) = (slot(from), slot(until));
    if first == end {
        end = end.saturating_add(step);
    }
    let places = u64::from(archive.points);
    let wanted = u64::try_from(end.saturating_sub(first) / step).unwrap_or(0).min(places);
    if wanted > MOST_POINTS {
        return Err(Error::TooMany(wanted));
    }
    let mut base = [0; 4];
    file.seek(SeekFrom::Start(u64::from(archive.offset)))?;
    file.read_exact(&mut base)?;
    let base = i64::from(u32::from_be_bytes(base));
    if base == 0 {
        return Ok(Vec::new());
    }
    let place = first.saturating_sub(base).div_euclid(step).rem_euclid(i64::from(archive.points));
    let place = u64::try_from(place).unwrap_or(0);
    let before_turn = wanted.min(places - place);
    let mut bytes = vec![0; (wanted * POINT_BYTES) as usize];
    let (old, turned) = bytes.split_at_mut((before_turn * POINT_BYTES) as usize);
    for (part, place) in [(old, place), (turned, 0)] {
        if !part.is_empty() {
            file.seek(SeekFrom::Start(u64::from(archive.offset) + place * POINT_BYTES))?;
            file.read_exact(part)?;
        }
    }
    let mut points = Vec::new();
    for (bytes, expected) in bytes.as_chunks::<12>().0.iter().zip(0_i64..) {
        let [t0, t1, t2, t3, value @ ..] = *bytes;
        let (time, value) = (i64::from(u32::from_be_bytes([t0, t1, t2, t3])), f64::from_be_bytes(value));
        if time == first + expected * step && !value.is_nan() {
            points.push(Datapoint::new(time as f64, value));
        }
    }
    Ok(points)
}

/// Entry point for fuzzers: any bytes, no panic, and points in order.
pub fn fuzz(bytes: &[u8]) {
    let mut file = io::Cursor::new(bytes);
    let longest = i64::from(u32::MAX);
    for (from, until, now) in
        [(0, 1_200, 1_200), (1_100, 1_200, 1_260), (longest - 9, longest, longest), (-9, i64::MAX, i64::MAX)]
    {
        let Ok(points) = points(&mut file, bytes.len() as u64, Range { from, until, now, real: now }) else {
            continue;
        };
        let is_good = |p: &Datapoint| p.ts > from as f64 && !p.value.is_nan();
        assert!(points.iter().all(is_good), "a point that was not asked for");
        assert!(points.windows(2).all(|two| matches!(two, [a, b] if a.ts < b.ts)), "points are not in order");
    }
}
