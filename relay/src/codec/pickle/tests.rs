//! Cases of frames, an oracle on honest ones, and bounds on hostile ones.

use super::{Limits, Machine, decode};
use proptest::prelude::*;
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use skyline_core::reject::Reject;

const SOURCE: Source = Source { listener: Listener::PickleTcp, origin: Origin::Live };
const LIMITS: Limits = Limits::of(1 << 20);

/// The lines that a frame becomes, and why what is missing is missing.
fn run(frame: &[u8]) -> (String, Vec<Reject>) {
    let mut out = BatchBuilder::new(SOURCE, 100.5);
    let mut reasons = Vec::new();
    decode(frame, LIMITS, &mut out, &mut |_: &[u8], why| reasons.push(why));
    let text = out.finish().map(|batch| batch.text).unwrap_or_default();
    (String::from_utf8(text).unwrap(), reasons)
}

#[track_caller]
fn check(frame: &[u8], lines: &str, reasons: &[Reject]) {
    let (text, why) = run(frame);
    assert_eq!((text.as_str(), &why[..]), (lines, reasons), "{}", frame.escape_ascii());
}

/// `frame` gives the one point `a.b 1.5 5`.
#[track_caller]
fn one(frame: &[u8]) {
    check(frame, "a.b 1.5 5\n", &[]);
}

/// `item`, in a list with a good neighbour, is refused alone.
#[track_caller]
fn spoilt(item: &[u8], why: Reject) {
    check(&[b"](", item, b"U\x01zK\x05K\x06\x86\x86e."].concat(), "z 6 5\n", &[why]);
}

/// The frame is refused whole.
#[track_caller]
fn refused(frame: &[u8]) {
    check(frame, "", &[Reject::Frame]);
}

const X15: &[u8] = b"G\x3f\xf8\0\0\0\0\0\0";

fn with_x15(before: &[u8], after: &[u8]) -> Vec<u8> {
    [before, X15, after].concat()
}

#[test]
fn one_point_as_every_protocol_writes_it() {
    one(b"(lp0\n(S'a.b'\np1\n(I5\nF1.5\ntp2\ntp3\na.");
    one(&with_x15(b"]q\0(X\x03\0\0\0a.bq\x01(K\x05", b"tq\x02tq\x03a."));
    one(&with_x15(b"\x80\x02]q\0X\x03\0\0\0a.bq\x01J\x05\0\0\0", b"\x86q\x02\x86q\x03a."));
    one(&with_x15(b"\x80\x03]q\0C\x03a.bq\x01M\x05\0", b"\x86q\x02\x86q\x03a."));
    one(&with_x15(b"\x80\x04\x95\x1c\0\0\0\0\0\0\0]\x94\x8c\x03a.b\x94K\x05", b"\x86\x94\x86\x94a."));
    one(&with_x15(b"\x80\x05\x95\0\0\0\0\0\0\0\0]\x94\x8c\x03a.b\x94K\x05", b"\x86\x94\x86\x94a."));
    one(&with_x15(b"\x80\x02]q\x01U\x03a.bq\x02K\x05", b"\x86q\x03\x86q\x04a."));
    one(&with_x15(b"](](U\x03a.b](K\x05", b"eee."));
    one(b"(l(S'a.b'\n(L5L\nS'1.5'\ntta.");
    one(b"((S'a.b'\n(L5\nV 1.5 \nttt.");
    one(b"(lp0\n(lp1\nS\"a.b\"\np2\na(lp3\nI5\naF1.5\naaa.");
    one(&with_x15(b"(T\x03\0\0\0a.b\x8a\x01\x05", b"\x86\x86t."));
    one(&with_x15(b"](\x8d\x03\0\0\0\0\0\0\0a.b\x8b\x04\0\0\0\x05\0\0\0", b"\x86\x86e."));
    one(&with_x15(b"\x80\x02\x80\x00](B\x03\0\0\0a.bK\x05", b"\x86\x86e.bytes after STOP"));
    one(&with_x15(b"(\x8e\x03\0\0\0\0\0\0\0a.bK\x05", b"\x86\x86l."));
    one(b"(lp0\n(S'a\\x2eb'\n(I5\nF1.5\ntta.");
    one(b"(lp0\n(Va\\u002eb\n(I5\nF1.5\ntta.");
}

#[test]
fn several_points() {
    check(b"](U\x01aK\x05K\x06\x86\x86U\x01bK\x07\x88\x86\x86e.", "a 6 5\nb 1 7\n", &[]);
    check(b"](U\x01aq\x07K\x05K\x06\x86q\x08\x86h\x07h\x08\x86e.", "a 6 5\na 6 5\n", &[]);
    check(b"](U\x01ar@\r\x03\0K\x05K\x06\x86\x86j@\r\x03\0\x89\x89\x86\x86e.", "a 6 5\na 0 0\n", &[]);
    check(b"](V\xe9\nK\x05K\x06\x86\x86e.", "é 6 5\n", &[]);
    check(b"](U\x01aJ\xff\xff\xff\xffK\x06\x86\x86e.", "a 6 100\n", &[]);
    // A list that goes on growing after it was stored.
    check(b"]q\0](U\x01aK\x05K\x06\x86\x86ea0h\0.", "", &[Reject::Frame]);
    check(
        b"](U\x01aK\x05K\x06\x86\x86e(U\x01bK\x05K\x06\x86\x86eU\x01cK\x05K\x06\x86\x86a.",
        "a 6 5\nb 6 5\nc 6 5\n",
        &[],
    );
    check(b"](U\x01a]q\x01\x86h\x01K\x05aK\x06a0.", "", &[Reject::Frame]);
    // One name with several points, as Go senders write it.
    check(b"](](U\x01a](K\x05K\x06e](K\x07K\x08eee.", "a 6 5\na 8 7\n", &[]);
    check(b"](U\x01aK\x05K\x06\x86K\x07N\x86\x87e.", "a 6 5\n", &[Reject::Value]);
    check(b"](.", "", &[Reject::Frame]);
    check(b"].", "", &[]);
    check(b").", "", &[]);
}

#[test]
fn items_that_are_refused_alone() {
    for item in [
        &b")"[..],
        b"U\x01x\x85",
        b"U\x01xK\x05\x85\x86",
        b"U\x01xK\x05K\x06K\x07\x87\x86",
        b"U\x01xK\x05K\x06\x86K\x07\x87",
        b"U\x01xK\x05K\x06\x87",
        b"U\x02xy",
        b"K\x05",
        b"N",
        b"}",
        b"U\x01x}\x86",
        b"U\x01a\x8f(K\x01\x90\x86",
        b"((K\x01\x91(K\x01K\x02dt",
        b"NK\x05K\x06\x86\x86",
        b"K\x07K\x05K\x06\x86\x86",
        b"U\x01aU\x0212\x86",
    ] {
        spoilt(item, Reject::Item);
    }
    for name in
        [&b"U\0"[..], b"U\x03a b", b"U\x03a\nb", b"U\x03a\0b", b"U\x02a\x7f", b"C\x02\xff\xfe", b"V\\ud800\n"]
    {
        spoilt(&[name, b"K\x05K\x06\x86\x86"].concat(), Reject::Name);
    }
    spoilt(b"X\x05\0\0\0a\xed\xa0\x80bK\x05K\x06\x86\x86", Reject::Name);
    let long = [&b"X\x01\x40\0\0"[..], &[b'n'; 16_385], b"K\x05K\x06\x86\x86"].concat();
    spoilt(&long, Reject::Name);
    for ts in [&b"N"[..], b"U\x03now", b"]", b"F-inf\n", b"Fnan\n"] {
        spoilt(&[b"U\x01x", ts, b"K\x06\x86\x86"].concat(), Reject::Time);
    }
    let huge = [b"L", &[b'9'; 400][..], b"L\n"].concat();
    for value in [&b"N"[..], b"U\x03abc", b"U\x05 0x10", b"U\0", b"}", &huge] {
        spoilt(&[b"U\x01xK\x05", value, b"\x86\x86"].concat(), Reject::Value);
    }
    spoilt(b"U\x01xK\x05Fnan\n\x86\x86", Reject::NanValue);
}

#[test]
fn frames_that_are_refused_whole() {
    for frame in [
        // Anything that would run code or name a class.
        &b"cos\nsystem\n(S'true'\ntR."[..],
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x031+1\x85R.",
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"cbuiltins\nobject\n)\x81.",
        b"]}b.",
        b"Pid\n.",
        b"K\x01Q.",
        b"\x80\x02\x82\x01.",
        b"\x80\x05\x97.",
        b"\x80\x05\x96\x01\0\0\0\0\0\0\0a.",
        b"]2.",
        b"]0.",
        b"(1].",
        // Not a list.
        b"",
        b".",
        b"N.",
        b"I5\n.",
        b"Vabc\n.",
        b"}.",
        b"\x8f.",
        // Stack, marks and memo.
        b"(.",
        b"](",
        b"K\x01a.",
        b")K\x01a.",
        b"K\x01t.",
        b"K\x01\x87.",
        b"](K\x01\x86e.",
        b"(e.",
        b"K\x01(e.",
        b"h\x09.",
        b"g9\n.",
        b"q\0].",
        b"]p-1\n.",
        b"]pxyz\n.",
        b"]p99999999999999999999\n.",
        b"}K\x01s.",
        b"}(K\x01u.",
        b"](K\x01de.",
        b"](K\x01K\x02ue.",
        // Arguments.
        b"\x80\x06].",
        b"\x80\xff].",
        b"Iabc\n.",
        b"Fabc\n.",
        b"Lxyz\n.",
        b"Sabc\n.",
        b"S'abc\n.",
        b"S'abc'",
        b"V\\u12\n.",
        b"T\xff\xff\xff\xffabc.",
        b"X\xff\xff\xff\x7fabc.",
        b"\x80\x04\x8d\0\0\0\0\0\0\0\x80abc.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.",
        b"\x8b\xff\xff\xff\xff.",
        b"\x8b\xff\xff\xff\x7f.",
        b"\x8a\xff\x01.",
        b"U\xffabc.",
        b"\xff.",
        // A byte string of Python 2 that is not UTF-8; text that is not.
        b"](U\x02a\xe9K\x05K\x06\x86\x86e.",
        b"](S'a\\xe9'\nK\x05K\x06\x86\x86e.",
        b"](X\x02\0\0\0\xff\xfeK\x05K\x06\x86\x86e.",
    ] {
        refused(frame);
    }
    let digits = [b"(L", &[b'9'; 1_001][..], b"L\nl."].concat();
    refused(&digits);
    refused(&[b"(\x8b\x01\x04\0\0", &[1; 1_025][..], b"l."].concat());
    refused(&[&b"("[..]; 65].concat());
}

/// Cells, stack and memo together, in items.
fn memory(machine: &Machine) -> usize {
    format!("{machine:?}").len()
}

#[test]
fn hostile_frames_cost_a_small_multiple_of_their_length() {
    let nested = [b"N", &[0x85; 300_000][..], b"."].concat();
    check(&nested, "", &[Reject::Item]);
    refused(&[&[b'('; 200_000][..], &[b'l'; 200_000], b"."].concat());
    refused(&vec![b'('; 900_000]);
    check(b"]q\0h\0a.", "", &[Reject::Item]);
    check(b"]q\0(h\0h\0\x86e.", "", &[Reject::Item]);
    check(b"]r\xff\xff\xff\x7f.", "", &[]);
    // Each level ten times the one below.
    let mut levels = b"\x80\x02]q\0K\x01a".to_vec();
    for level in 0..40 {
        levels.extend_from_slice(&[b']', b'q', level + 1, b'(']);
        levels.extend_from_slice(&[b'h', level].repeat(10));
        levels.push(b'e');
    }
    levels.push(b'.');
    check(&levels, "", &[Reject::Item; 10]);
    // Items that fit nowhere, and a machine that gives the memory back.
    let mut machine = Machine::new();
    let junk = [b"](", &[b'N'; 500_000][..], b"e."].concat();
    assert!(machine.run(&junk).is_ok());
    assert!(machine.run(b"].").is_ok());
    assert!(memory(&machine) < 1_000);
}

#[test]
fn a_name_sent_once_and_meant_often_is_bounded() {
    // 10,000 characters, 100,000 times: a gigabyte of lines from one megabyte.
    let name = [b"](X\x10\x27\0\0", &[b'n'; 10_000][..], b"q\0K\x05K\x06\x86q\x01\x86"].concat();
    let frame = [&name[..], &b"h\0h\x01\x86".repeat(100_000), b"e."].concat();
    let mut out = BatchBuilder::new(SOURCE, 100.0);
    let mut refused = 0;
    decode(&frame, LIMITS, &mut out, &mut |_: &[u8], why| {
        assert_eq!(why, Reject::FrameTooLong);
        refused += 1;
    });
    let batch = out.finish().unwrap();
    assert_eq!(batch.len() + refused, 100_001);
    assert!(batch.text.len() < LIMITS.text_bytes + 20_000);
    // An item of many pairs, meant often, costs its pairs each time.
    let pairs = [&b"](U\x01aK\x05NN\x86q\0"[..], &b"h\0".repeat(20_000), b"tq\x01"].concat();
    let pairs = [b"](", &pairs[2..]].concat();
    let frame = [&b"]("[..], b"(", &pairs[2..], &b"h\x01".repeat(20_000), b"e."].concat();
    let mut count = 0_u64;
    decode(&frame, LIMITS, &mut BatchBuilder::new(SOURCE, 100.0), &mut |_: &[u8], _| count += 1);
    assert!(count < 1_000_000, "{count}");
}

#[test]
fn an_item_with_a_long_name_and_many_pairs_is_bounded() {
    let item = [&b"(X\x10\x27\0\0"[..], &[b'n'; 10_000], b"K\x05K\x06\x86q\0"].concat();
    let frame = [&b"]("[..], &item, &b"h\0".repeat(99_999), b"te."].concat();
    let mut machine = Machine::new();
    machine.run(&frame).unwrap();
    let (mut points, mut refused, mut largest, mut text) = (0, 0, 0, 0);
    loop {
        let mut out = BatchBuilder::new(SOURCE, 1.0);
        let done = machine.emit(&frame, LIMITS, 100_000, &mut out, &mut |_: &[u8], why| {
            assert_eq!(why, Reject::FrameTooLong);
            refused += 1;
        });
        if let Some(batch) = out.finish() {
            points += batch.len();
            largest = largest.max(batch.text.len());
            text += batch.text.len();
        }
        if done {
            break;
        }
    }
    assert_eq!(points + refused, 100_000);
    assert!(text < LIMITS.text_bytes + 20_000 && largest < 120_000, "{text} {largest}");
}

#[test]
fn points_can_be_taken_in_pieces() {
    let frame = [
        b"](",
        &b"U\x01aK\x05K\x06\x86\x86".repeat(1_000)[..],
        b"e(",
        &b"U\x01bK\x05K\x06\x86\x86".repeat(1_000),
        b"e.",
    ]
    .concat();
    let mut machine = Machine::new();
    machine.run(&frame).unwrap();
    let (mut points, mut pieces) = (0, 0);
    loop {
        let mut out = BatchBuilder::new(SOURCE, 1.0);
        let done = machine.emit(&frame, LIMITS, 10_000, &mut out, &mut |_: &[u8], _| panic!("all are good"));
        points += out.len();
        pieces += 1;
        if done {
            break;
        }
    }
    assert_eq!(points, 2_000);
    assert!(pieces > 5, "{pieces}");
}

type Points = Vec<(String, (f64, f64))>;

/// What the general library makes of a frame. Only for honest frames: it aborts on hostile ones.
#[expect(clippy::disallowed_methods, reason = "the oracle, on frames that the test wrote itself")]
fn oracle(frame: &[u8]) -> Points {
    serde_pickle::from_slice(frame, serde_pickle::DeOptions::new()).unwrap()
}

fn taken(frame: &[u8]) -> Points {
    let mut out = BatchBuilder::new(SOURCE, 1.0);
    decode(frame, LIMITS, &mut out, &mut |_: &[u8], why| panic!("{}", why.label()));
    let batch = out.finish().unwrap();
    let name = |s| String::from_utf8(batch.name(s).to_vec()).unwrap();
    batch.samples.iter().map(|s| (name(s), (s.ts, s.value))).collect()
}

proptest! {
    #[test]
    fn honest_frames_read_as_the_library_reads_them(points in prop::collection::vec(
        ("[a-zé日.;=_-]{1,40}", (any::<u32>(), any::<i64>(), -1e300..1e300_f64, any::<bool>())), 1..40)) {
        let whole: Vec<_> = points.iter().map(|(name, (ts, n, _, _))| (name, (ts, n))).collect();
        let floats: Vec<_> = points.iter().map(|(name, (ts, _, x, _))| (name, (f64::from(*ts) + 0.5, x))).collect();
        for options in [serde_pickle::SerOptions::new(), serde_pickle::SerOptions::new().proto_v2()] {
            for frame in [
                serde_pickle::to_vec(&whole, options.clone()).unwrap(),
                serde_pickle::to_vec(&floats, options.clone()).unwrap(),
            ] {
                prop_assert_eq!(taken(&frame), oracle(&frame));
            }
        }
    }

    /// One changed byte of an honest frame never breaks anything.
    #[test]
    fn changed_frames_are_survived(points in 1_usize..6, at in any::<prop::sample::Index>(), byte: u8) {
        let points: Vec<_> = (0..points).map(|i| (format!("a.{i}"), (1_700_000_000 + i, i as f64 * 0.5))).collect();
        let mut frame = serde_pickle::to_vec(&points, serde_pickle::SerOptions::new().proto_v2()).unwrap();
        let at = at.index(frame.len());
        frame[at] = byte;
        crate::codec::fuzz::pickle(&frame);
    }
}
