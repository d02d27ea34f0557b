//! Frames that are read, refused, and written again.

use super::*;
use proptest::prelude::*;
use skyline_core::batch::{Listener, Origin, Source};

const SOURCE: Source = Source { listener: Listener::ProtobufTcp, origin: Origin::Live };
const LIMITS: Limits = Limits::of(1 << 20);

/// The lines that a frame becomes, and what was refused of it.
fn taken(frame: &[u8]) -> (String, Vec<Reject>) {
    let mut out = BatchBuilder::new(SOURCE, 100.0);
    let mut refused = Vec::new();
    decode(frame, LIMITS, &mut out, &mut |_: &[u8], why| refused.push(why));
    let text = out.finish().map_or_else(String::new, |batch| String::from_utf8(batch.text).unwrap());
    (text, refused)
}

fn point(ts: u64, value: f64) -> Vec<u8> {
    let mut body = vec![0x08];
    field::write_varint(ts, &mut body);
    body.push(0x11);
    body.extend_from_slice(&value.to_le_bytes());
    message(2, &body)
}

fn message(number: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    field::write_varint(body.len() as u64, &mut out);
    out.extend_from_slice(body);
    out
}

fn metric(name: &[u8], points: &[Vec<u8>]) -> Vec<u8> {
    message(1, &[message(1, name), points.concat()].concat())
}

#[track_caller]
fn check(frame: &[u8], lines: &str, refused: &[Reject]) {
    assert_eq!(taken(frame), (lines.to_owned(), refused.to_vec()), "{}", frame.escape_ascii());
}

#[test]
fn points_of_frames() {
    let one = metric(b"a.b", &[point(5, 1.5)]);
    check(&one, "a.b 1.5 5\n", &[]);
    check(
        &[one.clone(), metric(b"c", &[point(6, 2.0), point(7, -3.0)])].concat(),
        "a.b 1.5 5\nc 2 6\nc -3 7\n",
        &[],
    );
    check(b"", "", &[]);
    check(&metric(b"a", &[]), "", &[]);
    check(&metric(b"a", &[message(2, b"")]), "a 0 0\n", &[]);
    check(&metric(b"a", &[point(u64::from(u32::MAX), f64::INFINITY)]), "a inf 4294967295\n", &[]);
    check(&metric(b"a", &[point((1 << 32) + 5, 1.0)]), "a 1 5\n", &[]);
    // The name may follow its points, and the last one counts.
    let turned = message(1, &[point(5, 1.0), message(1, b"x"), message(1, b"y")].concat());
    check(&turned, "y 1 5\n", &[]);
    // Known numbers of another wire type are unknown fields.
    check(&metric(b"a", &[message(2, b"\x0a\x01x\x15abcd"), b"\x10\x07".to_vec()]), "a 0 0\n", &[]);
    check(&[b"\x0d1234\x1a\x01z".to_vec(), one].concat(), "a.b 1.5 5\n", &[]);
}

#[test]
fn points_that_are_refused() {
    check(&metric(b"a", &[point(5, f64::NAN), point(6, 1.0)]), "a 1 6\n", &[Reject::NanValue]);
    for name in [&b""[..], b"a b", b"a 1 2\nb", b"a\x7f", &[b'n'; 16_385]] {
        let frame = [metric(name, &[point(5, 1.0), point(5, 2.0)]), metric(b"c", &[point(5, 1.0)])].concat();
        check(&frame, "c 1 5\n", &[Reject::Name; 2]);
    }
    check(&metric(&[b'n'; 16_384], &[point(5, 1.0)]), "", &[Reject::LineTooLong]);
}

#[test]
fn frames_that_are_refused() {
    let good = metric(b"a", &[point(5, 1.0)]);
    for bad in [
        &b"\x0a\xff"[..],
        b"\x0a\x7fabc",
        b"\x0a\x04\x12\x00\x0f\x00",
        b"a 1 2\n",
        b"\x0c",
        b"\0\0\0\0",
        &metric(b"\xff\xfe", &[point(5, 1.0)]),
        &metric(b"b", &[message(2, b"\x11\0\0")]),
        &metric(b"b", &[message(2, b"\x08\xff")]),
    ] {
        check(&[&good, bad].concat(), "", &[Reject::Frame]);
    }
}

#[test]
fn a_long_name_with_many_points_is_bounded() {
    for (name, nan) in [(vec![b'n'; 10_000], false), (vec![b'n'; 10_000], true), (vec![b'n'; 16_384], false)]
    {
        let value = if nan { f64::NAN } else { 1.0 };
        let frame = metric(&name, &vec![point(5, value); 60_000]);
        let mut points = Points::of(&frame).unwrap();
        let (mut lines, mut refused, mut pieces, mut largest) = (0, 0, 0, 0);
        loop {
            let mut out = BatchBuilder::new(SOURCE, 1.0);
            let done = points.emit(LIMITS, 100_000, &mut out, &mut |_: &[u8], _| refused += 1);
            pieces += 1;
            if let Some(batch) = out.finish() {
                lines += batch.len();
                largest = largest.max(batch.text.len());
            }
            if done {
                break;
            }
        }
        assert_eq!(lines + refused, 60_000);
        assert!(largest < 130_000 && points.emitted() < LIMITS.text_bytes + 20_000, "{largest} {pieces}");
    }
}

#[test]
fn frames_that_are_written() {
    let written = |points: &[(&str, f64, f64)]| {
        let mut out = b"before".to_vec();
        write(points.iter().map(|(name, ts, value)| (name.as_bytes(), *ts, *value)), &mut out);
        out.split_off(6)
    };
    assert_eq!(written(&[]), [0; 4]);
    assert_eq!(
        written(&[("a.b", 5.0, 1.5), ("a.b", 6.9, 0.0)]),
        b"\0\0\0\x18\x0a\x16\x0a\x03a.b\x12\x0b\x08\x05\x11\0\0\0\0\0\0\xf8\x3f\x12\x02\x08\x06"
    );
    // As near as 32 bits come.
    let out = written(&[("a", -7.0, 1.0), ("b", 1e12, 1.0), ("a", 0.0, -0.0)]);
    assert_eq!(taken(&out[4..]).0, "a 1 0\nb 1 4294967295\na -0 0\n");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(points in prop::collection::vec(
        ("[a-cé]{1,3}|[a-z;=é日]{1,300}", any::<u32>(), any::<f64>().prop_filter("a number", |x| !x.is_nan())), 0..40)) {
        let mut frame = Vec::new();
        write(points.iter().map(|(name, ts, value)| (name.as_bytes(), f64::from(*ts), *value)), &mut frame);
        let (length, body) = frame.split_first_chunk::<4>().unwrap();
        prop_assert_eq!(u32::from_be_bytes(*length) as usize, body.len());
        let mut out = BatchBuilder::new(SOURCE, 1.0);
        decode(body, LIMITS, &mut out, &mut |_: &[u8], why| panic!("{}", why.label()));
        let got: Vec<_> = out.finish().map_or_else(Vec::new, |batch| {
            batch.samples.iter().map(|s| {
                (String::from_utf8(batch.name(s).to_vec()).unwrap(), s.ts as u32, s.value)
            }).collect()
        });
        prop_assert_eq!(got, points);
    }

    /// One changed byte of an honest frame never breaks anything.
    #[test]
    fn changed_frames_are_survived(points in 1_usize..6, at in any::<prop::sample::Index>(), byte: u8) {
        let names: Vec<_> = (0..points).map(|i| format!("a.{}", i / 2)).collect();
        let mut frame = Vec::new();
        write(names.iter().map(|name| (name.as_bytes(), 1.7e9, 0.5)), &mut frame);
        let at = at.index(frame.len());
        frame[at] = byte;
        crate::codec::fuzz::protobuf(&frame[4..]);
    }
}
