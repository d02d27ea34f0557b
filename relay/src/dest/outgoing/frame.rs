//! A frame of carbon's pickle protocol: its length in four bytes, big-endian, then a pickle of
//! protocol 2 of `[(name, (time, value)), …]`.

use serde::ser::{Serialize, SerializeTuple, Serializer};
use serde_pickle::SerOptions;
use std::borrow::Cow;

/// Names in one frame, bytes at most (but for one name): carbon refuses frames of more than a MiB
/// and drops the connection.
const NAMES: usize = 512 << 10;

/// One point of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point<'a> {
    pub(super) name: &'a [u8],
    /// Seconds.
    pub(super) ts: f64,
    pub(super) value: f64,
    /// It was written before.
    pub(super) is_repeat: bool,
}

impl Serialize for Point<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A batch's names are UTF-8, so this borrows.
        let name: Cow<'_, str> = String::from_utf8_lossy(self.name);
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&*name)?;
        pair.serialize_element(&(Time(self.ts), self.value))?;
        pair.end()
    }
}

/// A time as carbon writes it: an integer when it is whole, else a double.
#[derive(Debug, Clone, Copy)]
struct Time(f64);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Beyond 2^53 a double is whole anyhow, and an integer would claim digits that it has not.
        if self.0.fract() == 0.0 && self.0.abs() < (1_u64 << 53) as f64 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// Splits off the points of the next frame, at most `limit` and at least one; `None` if there are none.
pub(super) fn split<'p, 'a>(
    points: &'p [Point<'a>],
    limit: usize,
) -> Option<(&'p [Point<'a>], &'p [Point<'a>])> {
    let mut bytes = 0;
    let fits = |point: &&Point<'_>| {
        bytes += point.name.len();
        bytes <= NAMES
    };
    let count = points.iter().take(limit).take_while(fits).count().max(1);
    points.split_at_checked(count)
}

/// Appends a frame of `points` to `out`.
pub(super) fn write(points: &[Point<'_>], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let written = serde_pickle::to_writer(out, &points, SerOptions::new().proto_v2());
    debug_assert!(written.is_ok(), "writing points to memory does not fail: {written:?}");
    let length = (out.len() - start - 4) as u32;
    if let Some(prefix) = out.get_mut(start..start + 4) {
        prefix.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_a_limit_in_points_and_bytes() {
        let check = |name_len: usize, points: usize, limit: usize, expected: &[usize]| {
            let name = vec![b'a'; name_len];
            let points = vec![Point { name: &name, ts: 1.0, value: 1.0, is_repeat: false }; points];
            let (mut left, mut sizes) = (points.as_slice(), Vec::new());
            while let Some((frame, rest)) = split(left, limit) {
                sizes.push(frame.len());
                left = rest;
            }
            assert_eq!(sizes, expected, "{name_len} {limit}");
        };
        check(10, 0, 500, &[]);
        check(10, 1001, 500, &[500, 500, 1]);
        check(16_384, 40, 500, &[32, 8]);
        check(NAMES + 1, 2, 500, &[1, 1]);
    }

    #[test]
    fn frames_are_byte_for_byte_what_carbon_reads() {
        let point = |name, ts, value| Point { name, ts, value, is_repeat: false };
        let check = |points: &[Point<'_>], expected: &[u8]| {
            let mut out = Vec::new();
            write(points, &mut out);
            assert_eq!(out, expected, "{points:?}: {}", out.escape_ascii());
        };
        check(
            &[point(b"a.b", 1_700_000_000.0, 1.5)],
            b"\0\0\0\x20\x80\x02]((X\x03\0\0\0a.b(J\x00\xf1SeG\x3f\xf8\0\0\0\0\0\0tte.",
        );
        check(
            &[point(b"a", 0.5, 2.0)],
            b"\0\0\0\x22\x80\x02]((X\x01\0\0\0a(G\x3f\xe0\0\0\0\0\0\0G\x40\0\0\0\0\0\0\0tte.",
        );
    }
}
