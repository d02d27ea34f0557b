//! The series of a profile as bytes: `profile_series.data` with `encoding` 1.
//!
//! Deflated (zlib's format, RFC 1950); inside, all of one kind together:
//!
//! | part | bytes |
//! |---|---|
//! | times | for each point a varint (LEB128 of the zigzag number): the first time, then the first step, then each step less the one before; whole seconds |
//! | values | for each point its f64 (IEEE 754 bits) XOR that of the point before, the first as it is: first byte 0 (the highest) of all points, then byte 1 of all, ... byte 7 |
//!
//! The number of points is the row's `point_count`. Times ascend; no value is NaN.

use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use std::io::Read as _;

/// Number of this encoding.
pub const ENCODING: i64 = 1;
/// Longest varint of an i64.
const VARINT: usize = 10;

/// Bytes of points (whole seconds, value).
#[must_use]
pub fn encode(points: &[(i64, f64)]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(points.len() * 9);
    let (mut before, mut step) = (0_i64, 0_i64);
    for (i, (ts, _)) in points.iter().enumerate() {
        let now = ts.wrapping_sub(before);
        put(&mut plain, now.wrapping_sub(step));
        // The first time is no step.
        step = if i == 0 { 0 } else { now };
        before = *ts;
    }
    let mut xors = Vec::with_capacity(points.len());
    let mut last = 0;
    for (_, value) in points {
        xors.push((value.to_bits() ^ last).to_be_bytes());
        last = value.to_bits();
    }
    for plane in 0..8 {
        plain.extend(xors.iter().filter_map(|bytes| bytes.get(plane)));
    }
    let mut bytes = Vec::new();
    // Reading from memory into memory fails in no way.
    drop(ZlibEncoder::new(plain.as_slice(), Compression::default()).read_to_end(&mut bytes));
    bytes
}

/// The points of `bytes`; none if these are not `count` points.
#[must_use]
pub fn decode(bytes: &[u8], count: usize) -> Option<Vec<(i64, f64)>> {
    let most = count.checked_mul(VARINT + 8)?;
    let mut plain = Vec::new();
    ZlibDecoder::new(bytes).take(most as u64 + 1).read_to_end(&mut plain).ok()?;
    let mut rest = plain.as_slice();
    let (mut before, mut step) = (0_i64, 0_i64);
    let mut times = Vec::new();
    for i in 0..count {
        let now = take(&mut rest)?.wrapping_add(step);
        before = before.wrapping_add(now);
        step = if i == 0 { 0 } else { now };
        times.push(before);
    }
    if rest.len() != count.checked_mul(8)? {
        return None;
    }
    let mut last = 0;
    let mut points = Vec::with_capacity(times.len());
    for (i, ts) in times.into_iter().enumerate() {
        let mut bits = 0_u64;
        for plane in 0..8 {
            bits = bits << 8 | u64::from(*rest.get(plane * count + i)?);
        }
        last ^= bits;
        points.push((ts, f64::from_bits(last)));
    }
    Some(points)
}

/// Appends a number.
fn put(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Takes a number off the front.
fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..VARINT * 7).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift as u32)?;
        if byte & 0x80 == 0 {
            return Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_week_of_minutes_is_small() {
        let points: Vec<_> = (0..10_080_i64)
            .map(|i| (1_560_000_000 + 60 * i, (i as f64 / 100.0).sin().mul_add(20.0, 200.0).round()))
            .collect();
        let bytes = encode(&points);
        assert!(bytes.len() < 10_000, "{}", bytes.len());
        assert_eq!(decode(&bytes, points.len()), Some(points));
    }

    #[test]
    fn what_is_no_series() {
        let bytes = encode(&[(1, 1.0), (2, 2.0)]);
        for count in [0, 1, 3, usize::MAX] {
            assert_eq!(decode(&bytes, count), None, "{count}");
        }
        assert_eq!(decode(b"nonsense", 1), None);
        assert_eq!(decode(&encode(&[]), 0), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn every_series_comes_back(points in prop::collection::vec((any::<i64>(), any::<f64>()), 0..50)) {
            prop_assert_eq!(decode(&encode(&points), points.len()), Some(points));
        }
    }
}
