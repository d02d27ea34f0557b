//! What a segment, or a part of the log, holds in numbers. A closed segment has its summary in a
//! file of its own (`.sum` beside the `.seg`), so that a start need not read every record.
//!
//! The file, little-endian: `"SJS1"`; u64 each: first and last + 1 sequence number, bytes of the
//! segment, points, batches, lost points; f64 each: first and last time of receipt; u32 number of
//! listeners, then for each u8 and u64 points; u32 number of sets, then for each u64 points,
//! u32 length and names as in a route-set record; CRC-32 of all that.

use super::{decode_names, split};
use crate::sets::{SetCounts, SetTable};
use skyline_core::batch::{Listener, RouteSet};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 4] = *b"SJS1";

/// Counts of points.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Summary {
    /// Points of each set, by the set's number in this run.
    pub(crate) sets: Vec<u64>,
    /// Points of each listener, by its number.
    pub(crate) listeners: [u64; Listener::NUMBERS],
    pub(crate) points: u64,
    pub(crate) batches: u64,
    /// Points whose records are not there although later ones are.
    pub(crate) lost: u64,
    pub(crate) first_received: f64,
    pub(crate) last_received: f64,
}

impl Summary {
    /// Adds points of one record.
    pub(crate) fn add(&mut self, listener: Listener, received: f64, sets: &SetCounts) {
        if self.batches == 0 {
            self.first_received = received;
        }
        self.last_received = received;
        self.batches += 1;
        for (set, n) in sets {
            let number = set.0 as usize;
            if self.sets.len() <= number {
                self.sets.resize(number + 1, 0);
            }
            if let Some(count) = self.sets.get_mut(number) {
                *count += n;
            }
            self.points += n;
            if let Some(count) = self.listeners.get_mut(listener as usize) {
                *count += n;
            }
        }
    }

    /// Adds another part of the log, which follows this one.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.sets.len() < other.sets.len() {
            self.sets.resize(other.sets.len(), 0);
        }
        for (mine, theirs) in self.sets.iter_mut().zip(&other.sets) {
            *mine += theirs;
        }
        for (mine, theirs) in self.listeners.iter_mut().zip(other.listeners) {
            *mine += theirs;
        }
        if self.batches == 0 {
            self.first_received = other.first_received;
        }
        if other.batches > 0 {
            self.last_received = other.last_received;
        }
        self.points += other.points;
        self.batches += other.batches;
        self.lost += other.lost;
    }
}

/// The extent of a segment and its summary: what the file holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sealed {
    pub(crate) first_seq: u64,
    pub(crate) end_seq: u64,
    pub(crate) bytes: u64,
    pub(crate) summary: Summary,
}

impl Sealed {
    /// The file's content.
    pub(crate) fn encode(&self, table: &SetTable) -> Vec<u8> {
        let summary = &self.summary;
        let mut out = MAGIC.to_vec();
        for n in [self.first_seq, self.end_seq, self.bytes, summary.points, summary.batches, summary.lost] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(&summary.first_received.to_le_bytes());
        out.extend_from_slice(&summary.last_received.to_le_bytes());
        let listeners = || (0_u8..).zip(summary.listeners).filter(|(_, n)| *n > 0);
        out.extend_from_slice(&(listeners().count() as u32).to_le_bytes());
        for (listener, n) in listeners() {
            out.push(listener);
            out.extend_from_slice(&n.to_le_bytes());
        }
        let sets = || (0..).zip(&summary.sets).filter(|(_, n)| **n > 0);
        out.extend_from_slice(&(sets().count() as u32).to_le_bytes());
        for (set, n) in sets() {
            let names = table.payload(RouteSet(set));
            out.extend_from_slice(&n.to_le_bytes());
            out.extend_from_slice(&(names.len() as u32).to_le_bytes());
            out.extend_from_slice(&names);
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads back what [`Self::encode`] wrote; `None` when it is damaged.
    pub(crate) fn decode(bytes: &[u8], table: &SetTable) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut rest = body.strip_prefix(&MAGIC)?;
        let rest = &mut rest;
        let [first_seq, end_seq, bytes, points, batches, lost] = [
            take_u64(rest)?,
            take_u64(rest)?,
            take_u64(rest)?,
            take_u64(rest)?,
            take_u64(rest)?,
            take_u64(rest)?,
        ];
        let first_received = f64::from_bits(take_u64(rest)?);
        let last_received = f64::from_bits(take_u64(rest)?);
        let mut summary =
            Summary { points, batches, lost, first_received, last_received, ..Summary::default() };
        for _ in 0..u32::from_le_bytes(*split(rest)?) {
            let [listener] = *split(rest)?;
            let count = summary.listeners.get_mut(usize::from(listener))?;
            *count = count.saturating_add(take_u64(rest)?);
        }
        for _ in 0..u32::from_le_bytes(*split(rest)?) {
            let n = take_u64(rest)?;
            let len = u32::from_le_bytes(*split(rest)?) as usize;
            let (names, after) = rest.split_at_checked(len)?;
            *rest = after;
            let number = table.number(&decode_names(names)?).0 as usize;
            summary.sets.resize(summary.sets.len().max(number + 1), 0);
            let count = summary.sets.get_mut(number)?;
            *count = count.saturating_add(n);
        }
        (first_seq <= end_seq).then_some(Self { first_seq, end_seq, bytes, summary })
    }
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*split(rest)?))
}

/// Path of the summary of the segment that begins with `first_seq`.
pub(crate) fn path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}.sum"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_summary_reads_back_in_another_run() {
        let first = SetTable::default();
        let (a, b) = (first.number(&["a"]), first.number(&["b", "c"]));
        let mut summary = Summary::default();
        summary.add(Listener::PlaintextTcp, 5.0, &vec![(a, 3), (b, 4)]);
        summary.add(Listener::Own, 6.0, &vec![(b, 1)]);
        summary.lost = 2;
        let sealed = Sealed { first_seq: 10, end_seq: 20, bytes: 999, summary };
        let bytes = sealed.encode(&first);
        assert_eq!(Sealed::decode(&bytes, &first), Some(sealed));
        let second = SetTable::default();
        let (b, a) = (second.number(&["c", "b"]), second.number(&["a"]));
        let again = Sealed::decode(&bytes, &second).unwrap().summary;
        assert_eq!((again.sets[a.0 as usize], again.sets[b.0 as usize]), (3, 5));
        assert_eq!((again.points, again.batches, again.lost), (8, 2, 2));
        assert_eq!((again.listeners[1], again.listeners[6]), (7, 1));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(Sealed::decode(&bad, &second), None, "byte {at}");
            assert_eq!(Sealed::decode(&bytes[..at], &second), None, "cut at {at}");
        }
    }

    #[test]
    fn parts_add_up() {
        let mut one = Summary::default();
        one.add(Listener::Own, 5.0, &vec![(RouteSet(1), 3)]);
        let mut two = Summary::default();
        two.add(Listener::Own, 7.0, &vec![(RouteSet(3), 4)]);
        one.merge(&two);
        assert_eq!(
            (one.sets, one.points, one.first_received, one.last_received),
            (vec![0, 3, 0, 4], 7, 5.0, 7.0)
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..120)) {
            let mut bytes = [&MAGIC[..], &body].concat();
            let crc = crc32fast::hash(&bytes);
            bytes.extend_from_slice(&crc.to_le_bytes());
            drop(Sealed::decode(&bytes, &SetTable::default()));
        }
    }
}
