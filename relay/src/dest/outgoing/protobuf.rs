//! A frame of carbon's protobuf: its length in four bytes, big-endian, then a `Payload` (proto3,
//! carbon:lib/carbon/carbon.proto): `Payload { repeated Metric metrics = 1 }`,
//! `Metric { string metric = 1; repeated Point points = 2 }`,
//! `Point { uint32 timestamp = 1; double value = 2 }`.

/// Tags: field 1 or 2, as bytes with a length, as a varint, as eight bytes.
const BYTES_1: u8 = 0x0a;
const BYTES_2: u8 = 0x12;
const VARINT_1: u8 = 0x08;
const EIGHT_2: u8 = 0x11;

/// Appends a frame of `points`, which are name, seconds, value; neighbours of one name are one `Metric`.
/// Seconds are cut to a `uint32`.
pub(super) fn write<'a>(points: impl Iterator<Item = (&'a [u8], f64, f64)>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut metric = Vec::new();
    let mut current: Option<&[u8]> = None;
    for (name, ts, value) in points {
        if current != Some(name) {
            finish(&mut metric, out);
            metric.push(BYTES_1);
            varint(name.len() as u64, &mut metric);
            metric.extend_from_slice(name);
            current = Some(name);
        }
        let ts = ts as u32;
        let ts_bytes = 1 + u64::from((32 - ts.leading_zeros()).div_ceil(7).max(1));
        metric.push(BYTES_2);
        varint(ts_bytes + 9, &mut metric);
        metric.push(VARINT_1);
        varint(u64::from(ts), &mut metric);
        metric.push(EIGHT_2);
        metric.extend_from_slice(&value.to_le_bytes());
    }
    finish(&mut metric, out);
    let length = (out.len() - start - 4) as u32;
    if let Some(prefix) = out.get_mut(start..start + 4) {
        prefix.copy_from_slice(&length.to_be_bytes());
    }
}

/// Moves a `Metric`, if there is one, into its `Payload`.
fn finish(metric: &mut Vec<u8>, out: &mut Vec<u8>) {
    if !metric.is_empty() {
        out.push(BYTES_1);
        varint(metric.len() as u64, out);
        out.append(metric);
    }
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_byte_for_byte_what_carbon_reads() {
        let check = |points: &[(&[u8], f64, f64)], expected: &[u8]| {
            let mut out = Vec::new();
            write(points.iter().copied(), &mut out);
            assert_eq!(out, expected, "{points:?}: {}", out.escape_ascii());
        };
        check(&[], b"\0\0\0\0");
        check(
            &[(b"a.b", 1_700_000_000.9, 1.5)],
            b"\0\0\0\x18\x0a\x16\x0a\x03a.b\x12\x0f\x08\x80\xe2\xcf\xaa\x06\x11\0\0\0\0\0\0\xf8\x3f",
        );
        // One name is one metric; what is out of range becomes the nearest that there is.
        check(
            &[(b"a", -1.0, 2.0), (b"a", 128.0, 2.0), (b"b", 0.0, 2.0)],
            b"\0\0\0\x32\x0a\x1e\x0a\x01a\x12\x0b\x08\0\x11\0\0\0\0\0\0\0\x40\x12\x0c\x08\x80\x01\x11\0\0\0\0\0\0\0\x40\
              \x0a\x10\x0a\x01b\x12\x0b\x08\0\x11\0\0\0\0\0\0\0\x40",
        );
    }
}
