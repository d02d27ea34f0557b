//! Deliveries to bytes for a peer.

use super::address::Protocol;
use serde_pickle::SerOptions;
use skyline_core::batch::Sample;
use skyline_journal::{Delivery, Mine};
use std::io::IoSlice;

/// Bytes to write, for some deliveries: runs of batches' own text, or a buffer made for them.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// Used where a batch's text cannot be sent as it is.
    made: Vec<u8>,
    /// Per delivery: `None`: its own text, `Some`: a range of `made`.
    parts: Vec<Option<(usize, usize)>>,
}

impl Encoded {
    /// Encodes all deliveries. Lines of a whole batch are not copied.
    pub(super) fn of(&mut self, deliveries: &[Delivery], protocol: Protocol, points_per_frame: usize) {
        self.made.clear();
        self.parts.clear();
        for delivery in deliveries {
            let start = self.made.len();
            match (protocol, &delivery.mine) {
                (Protocol::Plaintext, Mine::All) => {
                    self.parts.push(None);
                    continue;
                }
                (Protocol::Plaintext, Mine::Some(indexes)) => {
                    for sample in picked(delivery, indexes) {
                        self.made.extend_from_slice(delivery.batch.line(sample));
                    }
                }
                (Protocol::Pickle, Mine::All) => {
                    let samples: Vec<&Sample> = delivery.batch.samples.iter().collect();
                    self.frames(delivery, &samples, points_per_frame);
                }
                (Protocol::Pickle, Mine::Some(indexes)) => {
                    let samples: Vec<&Sample> = picked(delivery, indexes).collect();
                    self.frames(delivery, &samples, points_per_frame);
                }
            }
            self.parts.push(Some((start, self.made.len())));
        }
    }

    fn frames(&mut self, delivery: &Delivery, samples: &[&Sample], points_per_frame: usize) {
        for chunk in samples.chunks(points_per_frame.max(1)) {
            let points: Vec<(&str, (Time, f64))> = chunk
                .iter()
                .filter_map(|s| Some((std::str::from_utf8(delivery.batch.name(s)).ok()?, (Time(s.ts), s.value))))
                .collect();
            let start = self.made.len();
            self.made.extend_from_slice(&[0; 4]);
            if serde_pickle::to_writer(&mut self.made, &points, SerOptions::new().proto_v2()).is_err() {
                // Writing to memory does not fail; an empty frame would be skipped by the peer.
                self.made.truncate(start);
                continue;
            }
            let length = (self.made.len() - start - 4) as u32;
            if let Some(prefix) = self.made.get_mut(start..start + 4) {
                prefix.copy_from_slice(&length.to_be_bytes());
            }
        }
    }

    /// The bytes of delivery number `i`.
    pub(super) fn bytes<'a>(&'a self, i: usize, delivery: &'a Delivery) -> &'a [u8] {
        match self.parts.get(i) {
            Some(Some((from, until))) => self.made.get(*from..*until).unwrap_or_default(),
            _ => &delivery.batch.text,
        }
    }

    /// All bytes, a slice for each delivery.
    pub(super) fn slices<'a>(&'a self, deliveries: &'a [Delivery]) -> Vec<IoSlice<'a>> {
        deliveries.iter().enumerate().map(|(i, d)| IoSlice::new(self.bytes(i, d))).collect()
    }
}

fn picked<'a>(delivery: &'a Delivery, indexes: &'a [u32]) -> impl Iterator<Item = &'a Sample> {
    indexes.iter().filter_map(|i| delivery.batch.samples.get(*i as usize))
}

/// A time as carbon writes it: an integer when whole, else a double.
struct Time(f64);

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
    use std::sync::Arc;

    fn delivery(lines: &[u8], mine: Mine) -> Delivery {
        let source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };
        let mut builder = BatchBuilder::new(source, 1.0);
        builder.lines(lines, |_, _| ());
        Delivery { batch: Arc::new(builder.finish().unwrap()), mine }
    }

    #[test]
    fn lines_are_sent_as_they_came() {
        let deliveries = [
            delivery(b"a 1.50 10\nb 2 20\n", Mine::All),
            delivery(b"c 3 30\nd 4 40\ne 5 50\n", Mine::Some(vec![0, 2])),
        ];
        let mut encoded = Encoded::default();
        encoded.of(&deliveries, Protocol::Plaintext, 500);
        let sent: Vec<u8> = encoded.slices(&deliveries).iter().flat_map(|s| s.to_vec()).collect();
        assert_eq!(sent, b"a 1.50 10\nb 2 20\nc 3 30\ne 5 50\n");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "reads back what this module wrote")]
    fn pickles_read_back() {
        let deliveries = [delivery(b"a 1.5 10\nb 2 20.5\nc inf 30\n", Mine::All)];
        let mut encoded = Encoded::default();
        encoded.of(&deliveries, Protocol::Pickle, 2);
        let bytes = encoded.bytes(0, &deliveries[0]);
        let mut rest = bytes;
        let mut points: Vec<(String, (f64, f64))> = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let frame: Vec<(String, (f64, f64))> =
                serde_pickle::from_slice(&rest[4..4 + length], Default::default()).unwrap();
            points.extend(frame);
            rest = &rest[4 + length..];
        }
        let want = [("a", (10.0, 1.5)), ("b", (20.5, 2.0)), ("c", (30.0, f64::INFINITY))];
        assert_eq!(points, want.map(|(n, p)| (n.to_owned(), p)));
    }
}
