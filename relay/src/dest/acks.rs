//! What was written on a connection, and what of it is done, may be lost, or is not acknowledged.

use std::collections::VecDeque;

/// One write: where it ends on the connection and in the journal, and the points in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    end_byte: u64,
    begin_seq: u64,
    end_seq: u64,
    points: u64,
}

/// Writes of one connection, oldest first. Kept for `resend` bytes beyond acknowledgement: the peer's
/// kernel may have acknowledged them without its program having read them.
#[derive(Debug)]
pub(super) struct Acks {
    resend: u64,
    written: u64,
    acked: u64,
    /// Acknowledged, might have to be sent again.
    recent: VecDeque<Piece>,
    /// Not acknowledged.
    open: VecDeque<Piece>,
}

/// What an acknowledgement finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    /// Everything before it is acknowledged.
    pub(super) seq: u64,
    /// Points that this call finished.
    pub(super) points: u64,
}

impl Acks {
    pub(super) const fn new(resend: u64) -> Self {
        Self { resend, written: 0, acked: 0, recent: VecDeque::new(), open: VecDeque::new() }
    }

    /// Bytes were written whole: points from `begin_seq` up to `end_seq`, of which `points` are ours.
    pub(super) fn wrote(&mut self, bytes: u64, begin_seq: u64, end_seq: u64, points: u64) {
        self.written += bytes;
        self.open.push_back(Piece { end_byte: self.written, begin_seq, end_seq, points });
    }

    /// Bytes written and not acknowledged.
    pub(super) const fn in_flight(&self) -> u64 {
        self.written - self.acked
    }

    /// Whether every write is acknowledged.
    pub(super) fn is_clear(&self) -> bool {
        self.open.is_empty()
    }

    /// The kernel holds `unacked` bytes: what is finished now, if anything.
    pub(super) fn acknowledge(&mut self, unacked: u64) -> Option<Done> {
        self.acked = self.acked.max(self.written.saturating_sub(unacked));
        let mut done: Option<Done> = None;
        while let Some(piece) = self.open.front().copied().filter(|p| p.end_byte <= self.acked) {
            self.open.pop_front();
            self.recent.push_back(piece);
            let points = piece.points + done.map_or(0, |d| d.points);
            done = Some(Done { seq: piece.end_seq, points });
        }
        let keep_from = self.acked.saturating_sub(self.resend);
        while self.recent.front().is_some_and(|p| p.end_byte <= keep_from) {
            self.recent.pop_front();
        }
        done
    }

    /// From where the journal must be kept: the oldest write that may have to be sent again.
    pub(super) fn hold(&self) -> Option<u64> {
        self.recent.front().or_else(|| self.open.front()).map(|p| p.begin_seq)
    }

    /// The connection broke: from where to send again, and how many points of that were acknowledged.
    /// `clean`: the peer closed in order, so its program has read all that was acknowledged.
    pub(super) fn broken(&self, clean: bool) -> (Option<u64>, u64) {
        if clean {
            return (self.open.front().map(|p| p.begin_seq), 0);
        }
        (self.hold(), self.recent.iter().map(|p| p.points).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reset_goes_back_a_clean_end_does_not() {
        let mut acks = Acks::new(150);
        acks.wrote(100, 0, 10, 10);
        acks.wrote(100, 10, 20, 5);
        acks.wrote(100, 20, 30, 10);
        assert_eq!(acks.acknowledge(50), Some(Done { seq: 20, points: 15 }));
        assert_eq!(acks.acknowledge(50), None);
        assert_eq!(acks.hold(), Some(0));
        assert_eq!(acks.broken(true), (Some(20), 0));
        assert_eq!(acks.broken(false), (Some(0), 15));
        assert_eq!(acks.acknowledge(0), Some(Done { seq: 30, points: 10 }));
        assert_eq!(acks.broken(false), (Some(10), 15), "150 bytes back is inside the second write");
        assert!(acks.is_clear());
    }

    proptest! {
        #[test]
        fn nothing_unread_is_ever_left_behind(sizes in prop::collection::vec(1_u64..500, 1..60), resend in 0_u64..1000, unread in 0_u64..1000) {
            // The peer's program has read all but `unread` acknowledged bytes, at most what its buffer holds.
            let mut acks = Acks::new(resend);
            let mut seq = 0;
            let mut ends = Vec::new();
            for size in &sizes {
                acks.wrote(*size, seq, seq + size, *size);
                seq += size;
                ends.push(seq);
                acks.acknowledge(size / 3);
            }
            let acked = acks.acked;
            let read = acked.saturating_sub(unread.min(resend));
            // Here a point is a byte: whatever the program has not read must be sent again.
            let (again, _) = acks.broken(false);
            prop_assert!(again.unwrap_or(seq) <= read);
            let (again, _) = acks.broken(true);
            prop_assert!(again.unwrap_or(seq) <= acked);
        }
    }
}
