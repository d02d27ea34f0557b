//! Remote-write 1.0 of Prometheus: a snappy block of
//!
//! ```proto
//! message WriteRequest { repeated TimeSeries timeseries = 1; }
//! message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; repeated Histogram histograms = 4; }
//! message Label { string name = 1; string value = 2; }
//! message Sample { double value = 1; int64 timestamp = 2; }   // milliseconds
//! ```
//!
//! (prometheus.io, "Prometheus Remote-Write 1.0 specification".) The message is read where it lies, as carbon's is
//! (`relay::codec::protobuf`): walked once to see that it can be decoded at all, then its samples are taken.
//! Exemplars and metadata are passed over; native histograms, stale markers and values that are not finite are counted.

use crate::points::{Points, Skip};
use skyline_conf::naming::{Label, Template};
use skyline_core::reject::Reject;
use skyline_relay::codec::protobuf::field::{Fields, Value};

/// The NaN that says that a series has ended (prometheus:model/value/value.go, `StaleNaN`).
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Labels of a series at most.
const MAX_LABELS: usize = 1_024;

/// Names and values of a series' labels at most, bytes: four times what any name may have.
const MAX_LABEL_BYTES: usize = 64 << 10;

/// The body cannot be decoded; nothing of it is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Takes the samples of a message, which is not packed any more.
///
/// # Errors
/// It is no `WriteRequest`.
pub fn decode(message: &[u8], template: &Template, points: &mut Points) -> Result<(), Malformed> {
    check(message).ok_or(Malformed)?;
    let mut name = Vec::new();
    for series in messages(message, 1) {
        if points.is_too_much() {
            return Ok(());
        }
        let mut labels: Vec<Label<'_>> =
            messages(series, 1).take(MAX_LABELS + 1).map(|label| (text(label, 1), text(label, 2))).collect();
        labels.sort_unstable();
        name.clear();
        let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        let has_name =
            labels.len() <= MAX_LABELS && bytes <= MAX_LABEL_BYTES && template.write(&labels, &mut name);
        for sample in messages(series, 2) {
            if has_name {
                take(&name, sample, points);
            } else {
                let error =
                    "a series has none of the labels that its name is made of, or too many or too long ones";
                points.refuse("labels", error.into(), b"(no name)", Reject::Name);
            }
        }
        for _ in messages(series, 4) {
            points.skip(Skip::Histogram);
        }
    }
    Ok(())
}

fn take(name: &[u8], sample: &[u8], points: &mut Points) {
    let (mut value, mut ts) = (0.0_f64, 0_i64);
    for (number, field) in Fields::of(sample) {
        match (number, field) {
            (1, Value::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Value::Varint(n)) => ts = n.cast_signed(),
            _ => {}
        }
    }
    if value.to_bits() == STALE {
        points.skip(Skip::Stale);
    } else if value.is_finite() {
        // Carbon's storage keeps no fraction of a second.
        points.take(name, Some(ts.div_euclid(1_000) as f64), value, None);
    } else {
        points.skip(Skip::NotANumber);
    }
}

/// The messages of one field, in order.
fn messages(of: &[u8], wanted: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(of).filter_map(move |(number, value)| match value {
        Value::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    })
}

/// The last text of a field; empty if there is none.
fn text(of: &[u8], wanted: u32) -> &[u8] {
    messages(of, wanted).last().unwrap_or_default()
}

/// Whether every message can be decoded down to its last byte, and texts are UTF-8.
fn check(message: &[u8]) -> Option<()> {
    let mut request = Fields::of(message);
    for (number, value) in request.by_ref() {
        let (1, Value::Bytes(series)) = (number, value) else { continue };
        let mut fields = Fields::of(series);
        for (number, value) in fields.by_ref() {
            match (number, value) {
                (1, Value::Bytes(label)) => check_label(label)?,
                (2, Value::Bytes(sample)) => whole(sample)?,
                _ => {}
            }
        }
        fields.are_whole().then_some(())?;
    }
    request.are_whole().then_some(())
}

fn check_label(label: &[u8]) -> Option<()> {
    let mut fields = Fields::of(label);
    for (_, value) in fields.by_ref() {
        if let Value::Bytes(text) = value
            && !text.is_ascii()
        {
            std::str::from_utf8(text).ok()?;
        }
    }
    fields.are_whole().then_some(())
}

fn whole(message: &[u8]) -> Option<()> {
    let mut fields = Fields::of(message);
    fields.by_ref().for_each(drop);
    fields.are_whole().then_some(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::points::tests::{bounds, summary};
    use proptest::prelude::*;
    use skyline_conf::model::flux::Prometheus;
    use skyline_relay::codec::protobuf::field::write_varint;

    type Series<'a> = (&'a [(&'a str, &'a str)], &'a [(f64, i64)]);

    fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(number << 3 | 2);
        write_varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }

    pub(crate) fn message(all: &[Series<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        for (labels, samples) in all {
            let mut series = Vec::new();
            for (name, value) in *labels {
                let mut label = Vec::new();
                field(1, name.as_bytes(), &mut label);
                field(2, value.as_bytes(), &mut label);
                field(1, &label, &mut series);
            }
            for (value, ts) in *samples {
                let mut sample = vec![0x09];
                sample.extend_from_slice(&value.to_le_bytes());
                sample.push(0x10);
                write_varint(ts.cast_unsigned(), &mut sample);
                field(2, &sample, &mut series);
            }
            field(1, &series, &mut out);
        }
        out
    }

    fn template() -> Template {
        Template::of_prometheus(&Prometheus::default()).unwrap()
    }

    #[test]
    fn samples_are_taken_and_stale_ones_passed_over() {
        let bytes = message(&[
            (
                &[("__name__", "up"), ("job", "a b"), ("instance", "h:1")],
                &[(1.0, 1_700_000_000_999), (0.5, 1_699_999_990_000)],
            ),
            (
                &[("__name__", "down")],
                &[
                    (f64::from_bits(STALE), 1_700_000_000_000),
                    (f64::NAN, 1_700_000_000_000),
                    (f64::INFINITY, 0),
                ],
            ),
            (&[("job", "no name")], &[(1.0, 1_700_000_000_000)]),
            (&[("__name__", "old")], &[(1.0, 1_000), (1.0, -1), (2.0, 1_700_000_000_000)]),
        ]);
        let mut points = Points::new(bounds());
        decode(&bytes, &template(), &mut points).unwrap();
        let taken = points.finish();
        assert_eq!(taken.skipped, [1, 2, 0, 0]);
        let text: Vec<u8> = taken.batches.iter().flat_map(|b| b.text.clone()).collect();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "up;instance=h:1;job=a_b 1 1700000000\nup;instance=h:1;job=a_b 0.5 1699999990\nold 2 1700000000\n"
        );
        let faults: Vec<_> = taken.faults.iter().map(|f| (f.index, f.field)).collect();
        assert_eq!(faults, [(5, "labels"), (6, "timestamp"), (7, "timestamp")]);
    }

    #[test]
    fn what_is_no_message_costs_the_body() {
        let good = message(&[(&[("__name__", "up")], &[(1.0, 1_700_000_000_000)])]);
        for cut in 1..good.len() {
            let mut points = Points::new(bounds());
            assert_eq!(decode(&good[..cut], &template(), &mut points), Err(Malformed), "{cut}");
            assert_eq!(points.finish().accepted, 0);
        }
        let bad = message(&[(&[("__name__", "u\u{e9}")], &[])]);
        let bad: Vec<u8> = bad.iter().map(|b| if *b == 0xc3 { 0xff } else { *b }).collect();
        assert_eq!(decode(&bad, &template(), &mut Points::new(bounds())), Err(Malformed));
        let mut points = Points::new(bounds());
        decode(b"", &template(), &mut points).unwrap();
        assert_eq!(summary(points), (String::new(), Vec::new()));
    }

    #[test]
    fn long_names_with_many_samples_are_bounded() {
        let long = "x".repeat(10_000);
        let samples = vec![(1.0, 1_700_000_000_000); 10_000];
        let bytes = message(&[(&[("__name__", &long)], &samples)]);
        let mut points = Points::new(bounds());
        decode(&bytes, &template(), &mut points).unwrap();
        assert!(points.is_too_much());
        let long = "x".repeat(MAX_LABEL_BYTES);
        let bytes = message(&[
            (&[("__name__", &long)], &[(1.0, 1_700_000_000_000)]),
            (&[("__name__", "up")], &[(1.0, 1_700_000_000_000)]),
        ]);
        let mut points = Points::new(bounds());
        decode(&bytes, &template(), &mut points).unwrap();
        assert_eq!(summary(points), ("up 1 1700000000\n".to_owned(), vec!["0 labels".to_owned()]));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            crate::fuzz::remote_write(&bytes);
        }
    }
}
