//! What goes out, read back: lines as they came, frames through another decoder.

use super::*;
use proptest::prelude::*;
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Source};
use std::sync::Arc;

const NEW: Seen = Seen { position: 0, sent: 0 };

/// A batch of `points` points from sequence number `first_seq` on; the value is the sequence number.
fn batch(first_seq: u64, points: usize) -> Batch {
    let source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };
    let mut builder = BatchBuilder::new(source, 1.0);
    for seq in (first_seq..).take(points) {
        builder.point(format!("some.metric.{}", seq % 7).as_bytes(), seq as f64, seq as f64).unwrap();
    }
    Batch { first_seq, ..builder.finish().unwrap() }
}

fn delivery(first_seq: u64, points: usize, mine: Mine) -> Delivery {
    Delivery { batch: Arc::new(batch(first_seq, points)), mine }
}

/// All bytes, written `step` at a time, and the sum of what was said to be sent.
fn write_all(outgoing: &mut Outgoing, acks: &mut Acks, step: usize) -> (Vec<u8>, Sent) {
    let (mut out, mut sum) = (Vec::new(), Sent::default());
    while !outgoing.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = outgoing.slices(&mut slices);
        let next: Vec<u8> = slices[..filled].iter().flat_map(|s| s.iter()).copied().take(step).collect();
        let sent = outgoing.advance(next.len());
        acks.wrote(next.len() as u64);
        sum.points += sent.points;
        sum.repeats += sent.repeats;
        sum.end_seq = sum.end_seq.max(sent.end_seq);
        out.extend(next);
    }
    (out, sum)
}

#[test]
fn lines_go_as_they_came() {
    let mut outgoing = Outgoing::new(Protocol::Plaintext, 500);
    let mut acks = Acks::new(0);
    let mut deliveries = vec![delivery(0, 2, Mine::All), delivery(2, 3, Mine::Some(vec![0, 2]))];
    let large = delivery(5, 100, Mine::All);
    deliveries.push(large.clone());
    outgoing.load(&mut deliveries, NEW, &mut acks);
    assert!(deliveries.is_empty());
    let mut slices = [IoSlice::new(&[]); SLICES];
    assert_eq!(outgoing.slices(&mut slices), 2, "small texts are put together");
    assert_eq!(slices[1].as_ptr(), large.batch.text.as_ptr(), "large ones are not copied");
    let (bytes, sent) = write_all(&mut outgoing, &mut acks, usize::MAX);
    let head = b"some.metric.0 0 0\nsome.metric.1 1 1\nsome.metric.2 2 2\nsome.metric.4 4 4\n";
    assert_eq!(bytes, [&head[..], &large.batch.text].concat());
    assert_eq!(sent, Sent { points: 104, repeats: 0, end_seq: 105 });
    assert_eq!(acks.acknowledge(0).unwrap().points, 104);
}

/// A point as it is in a frame.
type Framed = (String, (f64, f64));

/// Points of a stream of frames, and how many were in each.
#[expect(clippy::disallowed_methods, reason = "reads back what this module wrote")]
fn unpickle(mut bytes: &[u8]) -> (Vec<Framed>, Vec<usize>) {
    let (mut points, mut sizes) = (Vec::new(), Vec::new());
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        let frame: Vec<Framed> = serde_pickle::from_slice(frame, serde_pickle::DeOptions::new()).unwrap();
        sizes.push(frame.len());
        points.extend(frame);
        bytes = rest;
    }
    (points, sizes)
}

#[test]
fn frames_are_filled_across_batches() {
    let mut outgoing = Outgoing::new(Protocol::Pickle, 4);
    let mut acks = Acks::new(0);
    let mut deliveries =
        vec![delivery(0, 3, Mine::All), delivery(3, 2, Mine::Some(vec![1])), delivery(5, 5, Mine::All)];
    outgoing.load(&mut deliveries, NEW, &mut acks);
    let (bytes, sent) = write_all(&mut outgoing, &mut acks, 7);
    let (points, sizes) = unpickle(&bytes);
    assert_eq!(sizes, [4, 4, 1]);
    let seqs: Vec<f64> = points.iter().map(|(_, (_, value))| *value).collect();
    assert_eq!(seqs, [0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    assert_eq!(sent, Sent { points: 9, repeats: 0, end_seq: 10 });
}

#[test]
fn what_was_done_before_does_not_count_again() {
    let check = |mine: Mine, seen: Seen, repeats: u64, fresh: u64| {
        for protocol in [Protocol::Plaintext, Protocol::Pickle] {
            let mut outgoing = Outgoing::new(protocol, 3);
            let mut acks = Acks::new(0);
            outgoing.load(&mut vec![delivery(10, 10, mine.clone())], seen, &mut acks);
            let (_, sent) = write_all(&mut outgoing, &mut acks, 11);
            assert_eq!(sent.repeats, repeats, "{protocol:?} {seen:?}");
            assert_eq!(acks.acknowledge(0).unwrap().points, fresh, "{protocol:?} {seen:?}");
        }
    };
    let seen = |position, sent| Seen { position, sent };
    check(Mine::All, seen(10, 10), 0, 10);
    check(Mine::All, seen(10, 20), 10, 10);
    check(Mine::All, seen(14, 20), 10, 6);
    check(Mine::All, seen(20, 20), 10, 0);
    check(Mine::Some(vec![0, 3, 9]), seen(13, 13), 0, 2);
    check(Mine::Some(vec![0, 3, 9]), seen(14, 30), 3, 1);
}

/// Deliveries in a row, each with some or all of its points.
fn deliveries() -> impl Strategy<Value = Vec<Delivery>> {
    let sizes = prop::collection::vec((1_usize..200, prop::option::of(1_usize..5)), 1..20);
    sizes.prop_map(|sizes| {
        let mut seq = 0;
        let mut all = Vec::new();
        for (points, step) in sizes {
            let mine = match step {
                None => Mine::All,
                Some(step) => Mine::Some((0..points as u32).step_by(step).collect()),
            };
            all.push(delivery(seq, points, mine));
            seq += points as u64;
        }
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_point_goes_once_and_is_acknowledged_when_it_is_out(
        deliveries in deliveries(), step in 1_usize..5000, per_frame in 1_usize..100, pickle in any::<bool>()
    ) {
        let protocol = if pickle { Protocol::Pickle } else { Protocol::Plaintext };
        let expected: Vec<f64> = deliveries.iter().flat_map(|d| samples(d).map(|s| s.value)).collect();
        let mut outgoing = Outgoing::new(protocol, per_frame);
        let mut acks = Acks::new(0);
        outgoing.load(&mut deliveries.clone(), NEW, &mut acks);
        let (bytes, sent) = write_all(&mut outgoing, &mut acks, step);
        let values: Vec<f64> = match protocol {
            Protocol::Pickle | Protocol::Protobuf => {
                unpickle(&bytes).0.into_iter().map(|(_, (_, value))| value).collect()
            }
            Protocol::Plaintext => {
                let text = String::from_utf8(bytes).unwrap();
                text.lines().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect()
            }
        };
        prop_assert_eq!(&values, &expected);
        let points = expected.len() as u64;
        let end = deliveries.last().map_or(0, |d| d.batch.end_seq());
        prop_assert_eq!(sent, Sent { points, repeats: 0, end_seq: end });
        let done = acks.acknowledge(0).unwrap();
        prop_assert_eq!((done.seq, done.points, acks.is_clear()), (end, points, true));
    }
}
