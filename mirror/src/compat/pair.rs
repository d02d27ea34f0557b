//! A window as the reference stores it: msgpack arrays `[time, value]`, one behind the other.
//!
//! What is written is what Python's `packb([int, float])` gives. What is read may come from many writers:
//! any form of number, `nil` for a value that is not there, and damaged bytes, which are passed over.

use rmp::Marker;
use skyline_core::point::Datapoint;

/// The header of an array of two, the first byte of every pair.
const PAIR: u8 = 0x92;
/// Above this a whole number is not written as one: not every `f64` is itself there.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Appends a pair: the time as the shortest whole number that holds it, else as a float; the value as a float.
pub fn encode(point: Datapoint, out: &mut Vec<u8>) {
    out.push(PAIR);
    let ts = point.ts;
    if ts.trunc() == ts && ts.abs() <= WHOLE {
        integer(ts as i64, out);
    } else {
        float(ts, out);
    }
    float(point.value, out);
}

fn float(value: f64, out: &mut Vec<u8>) {
    out.push(Marker::F64.to_u8());
    out.extend_from_slice(&value.to_be_bytes());
}

fn integer(value: i64, out: &mut Vec<u8>) {
    let mut write = |marker: Marker, bytes: &[u8]| {
        out.push(marker.to_u8());
        out.extend_from_slice(bytes);
    };
    match value {
        0..=0x7f => write(Marker::FixPos(value as u8), &[]),
        0x80..=0xff => write(Marker::U8, &[value as u8]),
        0x100..=0xffff => write(Marker::U16, &(value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => write(Marker::U32, &(value as u32).to_be_bytes()),
        0x1_0000_0000.. => write(Marker::U64, &(value as u64).to_be_bytes()),
        -0x20..=-1 => write(Marker::FixNeg(value as i8), &[]),
        -0x80..=-0x21 => write(Marker::I8, &(value as i8).to_be_bytes()),
        -0x8000..=-0x81 => write(Marker::I16, &(value as i16).to_be_bytes()),
        -0x8000_0000..=-0x8001 => write(Marker::I32, &(value as i32).to_be_bytes()),
        _ => write(Marker::I64, &value.to_be_bytes()),
    }
}

/// One pair of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair<'a> {
    /// Seconds since the epoch; finite.
    pub ts: f64,
    /// The value; none for `nil`.
    pub value: Option<f64>,
    /// The bytes of the pair.
    pub bytes: &'a [u8],
}

/// The pairs of a window, in the order in which they were appended. Stands any bytes.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    rest: &'a [u8],
    damaged: usize,
}

impl<'a> Pairs<'a> {
    /// The pairs in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, damaged: 0 }
    }

    /// Bytes so far that belong to no pair.
    #[must_use]
    pub const fn damaged(&self) -> usize {
        self.damaged
    }

    /// The pair at the beginning of `bytes`, and what follows it.
    fn at(bytes: &'a [u8]) -> Option<(Pair<'a>, &'a [u8])> {
        let rest = bytes.strip_prefix(&[PAIR])?;
        let (ts, rest) = number(rest)?;
        let (value, rest) = number(rest)?;
        let ts = ts.filter(|ts| ts.is_finite())?;
        let pair = bytes.get(..bytes.len() - rest.len())?;
        Some((Pair { ts, value, bytes: pair }, rest))
    }

    /// After damage: where a pair begins that is followed by another, or by nothing.
    fn resume(&mut self) {
        let broken = self.rest;
        let mut from = 1;
        let next = |from| broken.get(from..)?.iter().position(|byte| *byte == PAIR);
        while let Some(found) = next(from) {
            let start = from + found;
            let here = broken.get(start..).unwrap_or_default();
            if let Some((_, after)) = Self::at(here)
                && (after.is_empty() || after.first() == Some(&PAIR))
            {
                self.damaged += start;
                self.rest = here;
                return;
            }
            from = start + 1;
        }
        self.damaged += broken.len();
        self.rest = &[];
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        if Self::at(self.rest).is_none() {
            self.resume();
        }
        let (pair, rest) = Self::at(self.rest)?;
        self.rest = rest;
        Some(pair)
    }
}

/// The number at the beginning of `bytes` (none for `nil`), and what follows it.
fn number(bytes: &[u8]) -> Option<(Option<f64>, &[u8])> {
    let (marker, rest) = bytes.split_first()?;
    fn take<const N: usize>(rest: &[u8]) -> Option<([u8; N], &[u8])> {
        rest.split_first_chunk::<N>().map(|(bytes, rest)| (*bytes, rest))
    }
    macro_rules! of {
        ($t:ty) => {
            take(rest).map(|(bytes, rest)| (Some(<$t>::from_be_bytes(bytes) as f64), rest))
        };
    }
    match Marker::from_u8(*marker) {
        Marker::F64 => of!(f64),
        Marker::U32 => of!(u32),
        Marker::FixPos(value) => Some((Some(f64::from(value)), rest)),
        Marker::FixNeg(value) => Some((Some(f64::from(value)), rest)),
        Marker::F32 => of!(f32),
        Marker::U8 => of!(u8),
        Marker::U16 => of!(u16),
        Marker::U64 => of!(u64),
        Marker::I8 => of!(i8),
        Marker::I16 => of!(i16),
        Marker::I32 => of!(i32),
        Marker::I64 => of!(i64),
        Marker::Null => Some((None, rest)),
        _ => None,
    }
}

/// A window as it is judged: sorted by time, the last that was received of each time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Window {
    /// Its points; finite.
    pub points: Vec<Datapoint>,
    /// Pairs without a value that a window takes: `nil`, NaN, infinite.
    pub empty: usize,
    /// Bytes that belong to no pair.
    pub damaged: usize,
}

/// Reads a window.
#[must_use]
pub fn decode(bytes: &[u8]) -> Window {
    // A pair of the usual form has 15 bytes.
    let mut points: Vec<Datapoint> = Vec::with_capacity(bytes.len() / 15);
    let mut pairs = Pairs::new(bytes);
    let (mut empty, mut sorted) = (0, true);
    for pair in pairs.by_ref() {
        match pair.value.filter(|value| value.is_finite()) {
            Some(value) => {
                sorted &= points.last().is_none_or(|last| last.ts < pair.ts);
                points.push(Datapoint::new(pair.ts, value));
            }
            None => empty += 1,
        }
    }
    if !sorted {
        last_of_each(&mut points, |point| point.ts);
    }
    Window { points, empty, damaged: pairs.damaged }
}

/// Sorts by time and keeps the last of each time.
pub(super) fn last_of_each<T>(items: &mut Vec<T>, ts: impl Fn(&T) -> f64) {
    items.reverse();
    items.sort_by(|a, b| ts(a).total_cmp(&ts(b)));
    // The first of equal ones was the last.
    items.dedup_by(|later, first| ts(later) == ts(first));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(points: &[(f64, f64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (ts, value) in points {
            encode(Datapoint::new(*ts, *value), &mut bytes);
        }
        bytes
    }

    fn points(window: &Window) -> Vec<(f64, f64)> {
        window.points.iter().map(|p| (p.ts, p.value)).collect()
    }

    #[test]
    fn bytes_are_those_of_python() {
        // `msgpack.packb([1569400000, 1.5])`, and so on.
        let check = |ts, value, expected: &[u8]| assert_eq!(encoded(&[(ts, value)]), expected, "{ts}");
        check(1_569_400_000.0, 1.5, b"\x92\xce\x5d\x8b\x24\xc0\xcb\x3f\xf8\0\0\0\0\0\0");
        check(0.0, -0.0, b"\x92\x00\xcb\x80\0\0\0\0\0\0\0");
        check(127.0, 0.0, b"\x92\x7f\xcb\0\0\0\0\0\0\0\0");
        check(255.0, 0.0, b"\x92\xcc\xff\xcb\0\0\0\0\0\0\0\0");
        check(65_535.0, 0.0, b"\x92\xcd\xff\xff\xcb\0\0\0\0\0\0\0\0");
        check(4_294_967_296.0, 0.0, b"\x92\xcf\0\0\0\x01\0\0\0\0\xcb\0\0\0\0\0\0\0\0");
        check(-1.0, 0.0, b"\x92\xff\xcb\0\0\0\0\0\0\0\0");
        check(-33.0, 0.0, b"\x92\xd0\xdf\xcb\0\0\0\0\0\0\0\0");
        check(-129.0, 0.0, b"\x92\xd1\xff\x7f\xcb\0\0\0\0\0\0\0\0");
        check(-40_000.0, 0.0, b"\x92\xd2\xff\xff\x63\xc0\xcb\0\0\0\0\0\0\0\0");
        check(-3e9, 0.0, b"\x92\xd3\xff\xff\xff\xff\x4d\x2f\xa2\0\xcb\0\0\0\0\0\0\0\0");
        check(0.5, 0.0, b"\x92\xcb\x3f\xe0\0\0\0\0\0\0\xcb\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn every_form_of_number_is_read() {
        let check = |bytes: &[u8], ts: f64, value: Option<f64>| {
            let all: Vec<_> = Pairs::new(bytes).collect();
            assert_eq!(all, [Pair { ts, value, bytes }]);
        };
        check(b"\x92\x05\xc0", 5.0, None);
        check(b"\x92\xcc\xc8\xff", 200.0, Some(-1.0));
        check(b"\x92\xcd\x01\0\xd0\x80", 256.0, Some(-128.0));
        check(b"\x92\xce\0\x01\0\0\xd1\x80\0", 65_536.0, Some(-32_768.0));
        check(b"\x92\xcf\0\0\0\0\0\0\0\x09\xd2\x80\0\0\0", 9.0, Some(-2_147_483_648.0));
        check(b"\x92\xd3\0\0\0\0\0\0\0\x09\xca\x3f\x80\0\0", 9.0, Some(1.0));
    }

    #[test]
    fn the_last_of_a_time_wins_and_what_is_no_value_is_counted() {
        let mut bytes = encoded(&[(60.0, 1.0), (180.0, 3.0), (120.0, 2.0), (60.0, 9.0), (60.0, 8.0)]);
        bytes.extend(b"\x92\x05\xc0");
        bytes.extend(encoded(&[(240.0, f64::NAN), (300.0, f64::INFINITY)]));
        let window = decode(&bytes);
        assert_eq!(points(&window), [(60.0, 8.0), (120.0, 2.0), (180.0, 3.0)]);
        assert_eq!((window.empty, window.damaged), (3, 0));
    }

    #[test]
    fn damage_costs_what_it_hit() {
        let whole = encoded(&[(60.0, 1.0), (61.0, 2.0), (62.0, 3.0)]);
        assert_eq!(whole.len(), 33);
        // An array's header in front, as if the trimmer had not cut it; a byte too many; a cut end.
        for (bytes, expected, damaged) in [
            ([b"\xdc\0\x03".to_vec(), whole.clone()].concat(), 3, 3),
            ([&whole[..11], b"x", &whole[11..]].concat(), 3, 1),
            (whole[..32].to_vec(), 2, 10),
            (whole[1..].to_vec(), 2, 10),
            (b"not msgpack".to_vec(), 0, 11),
            (b"\x92\x92\x92".to_vec(), 0, 3),
            (b"\x92\xcb\x7f\xf0\0\0\0\0\0\0\x01".to_vec(), 0, 11),
        ] {
            let window = decode(&bytes);
            assert_eq!((window.points.len(), window.damaged), (expected, damaged), "{bytes:x?}");
        }
    }

    /// Times and values as they come, and as they might.
    fn any_points() -> impl Strategy<Value = Vec<(f64, f64)>> {
        let ts = prop_oneof![
            8 => (1_500_000_000_u32..1_900_000_000).prop_map(f64::from),
            1 => (0_u32..300).prop_map(f64::from),
            1 => -5e9..5e9,
        ];
        let value = prop_oneof![any::<f64>(), (-1000_i32..1000).prop_map(f64::from)];
        prop::collection::vec((ts, value.prop_filter("finite", |v| v.is_finite())), 0..60)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(written in any_points()) {
            let bytes = encoded(&written);
            let read: Vec<_> = Pairs::new(&bytes).map(|pair| (pair.ts, pair.value.unwrap())).collect();
            prop_assert_eq!(&read, &written);
            let mut last = std::collections::BTreeMap::new();
            for (ts, value) in &written {
                last.insert((ts * 1024.0) as i128, (*ts, *value));
            }
            let distinct = written.iter().all(|(ts, _)| last[&((ts * 1024.0) as i128)].0 == *ts);
            if distinct {
                prop_assert_eq!(points(&decode(&bytes)), last.into_values().collect::<Vec<_>>());
            }
        }

        #[test]
        fn any_bytes_are_accounted_for(bytes in prop::collection::vec(prop_oneof![Just(0x92), Just(0xce), Just(0xcb), any::<u8>()], 0..200)) {
            crate::fuzz::pairs(&bytes);
        }

        #[test]
        fn damage_does_not_spread(written in prop::collection::vec((1_500_000_000_u32..1_900_000_000, any::<u32>()), 4..40), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let written: Vec<_> = written.iter().map(|(ts, v)| (f64::from(*ts), f64::from(*v))).collect();
            let mut bytes = encoded(&written);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let read = Pairs::new(&bytes).filter(|p| p.value.is_some_and(|v| written.contains(&(p.ts, v)))).count();
            // The one that was hit, and in the worst case one that looks as if it were whole.
            prop_assert!(read + 2 >= written.len(), "{} of {}", read, written.len());
        }
    }
}
