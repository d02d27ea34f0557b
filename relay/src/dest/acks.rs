//! What was written on a connection, and what of it is done, may be lost, or is not acknowledged.

use std::collections::VecDeque;

/// Neighbouring writes are put together up to this many bytes, so that a connection with many small
/// writes does not remember each.
const GRAIN: u64 = 16 << 10;

/// A stretch of what was given to the connection: where it lies there and in the journal, and the
/// points in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    begin_byte: u64,
    end_byte: u64,
    begin_seq: u64,
    end_seq: u64,
    points: u64,
}

impl Piece {
    /// Takes `next` in if both together are small enough.
    fn absorb(&mut self, next: &Self) -> bool {
        let fits = next.end_byte - self.begin_byte <= GRAIN;
        if fits {
            self.end_byte = next.end_byte;
            self.end_seq = next.end_seq;
            self.points += next.points;
        }
        fits
    }
}

/// The pieces of one connection, oldest first. They are kept until `resend` bytes after them are
/// acknowledged: so much the peer's kernel may have acknowledged without its program having read it.
#[derive(Debug)]
pub(super) struct Acks {
    resend: u64,
    queued: u64,
    written: u64,
    acked: u64,
    /// Acknowledged, might have to be sent again.
    recent: VecDeque<Piece>,
    /// Not acknowledged whole.
    open: VecDeque<Piece>,
}

/// What an acknowledgement finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    /// Everything before it is acknowledged.
    pub(super) seq: u64,
    /// Points that this finished.
    pub(super) points: u64,
}

impl Acks {
    /// A new connection, on which the last `resend` acknowledged bytes may have to be sent again.
    pub(super) const fn new(resend: u64) -> Self {
        Self { resend, queued: 0, written: 0, acked: 0, recent: VecDeque::new(), open: VecDeque::new() }
    }

    /// The next `bytes` that will be written are points from `begin_seq` up to `end_seq`, of which
    /// `points` count as delivered once they are acknowledged.
    pub(super) fn queue(&mut self, bytes: u64, begin_seq: u64, end_seq: u64, points: u64) {
        let begin_byte = self.queued;
        self.queued += bytes;
        let piece = Piece { begin_byte, end_byte: self.queued, begin_seq, end_seq, points };
        // What is partly written is left alone: it would wait for what follows it.
        let unwritten = self.open.back_mut().filter(|last| last.begin_byte >= self.written);
        if !unwritten.is_some_and(|last| last.absorb(&piece)) {
            self.open.push_back(piece);
        }
    }

    /// The kernel took `bytes` of what was queued.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.written += bytes;
    }

    /// How many acknowledged bytes may have to be sent again.
    pub(super) const fn resend(&self) -> u64 {
        self.resend
    }

    /// Bytes acknowledged so far.
    pub(super) const fn acked(&self) -> u64 {
        self.acked
    }

    /// Whether everything that was queued is acknowledged.
    pub(super) fn is_clear(&self) -> bool {
        self.open.is_empty()
    }

    /// The kernel holds `unacked` bytes: what is finished now, if anything.
    pub(super) fn acknowledge(&mut self, unacked: u64) -> Option<Done> {
        let acked = self.written.saturating_sub(unacked);
        self.settle(acked, acked.max(self.acked).saturating_sub(self.resend))
    }

    /// The first `acked` bytes are acknowledged, and the peer's program has read the first `read` of them.
    pub(super) fn settle(&mut self, acked: u64, read: u64) -> Option<Done> {
        self.acked = self.acked.max(acked);
        let mut done: Option<Done> = None;
        while let Some(piece) = self.open.pop_front_if(|piece| piece.end_byte <= self.acked) {
            let points = piece.points + done.map_or(0, |done| done.points);
            done = Some(Done { seq: piece.end_seq, points });
            if !self.recent.back_mut().is_some_and(|last| last.absorb(&piece)) {
                self.recent.push_back(piece);
            }
        }
        while self.recent.pop_front_if(|piece| piece.end_byte <= read).is_some() {}
        done
    }

    /// From where the journal must be kept: the oldest piece that may have to be sent again.
    pub(super) fn hold(&self) -> Option<u64> {
        self.recent.front().or_else(|| self.open.front()).map(|piece| piece.begin_seq)
    }

    /// The connection is gone: from where to send again; `None`: from the cursor. `read`: it is known
    /// that the peer's program has read all that was acknowledged.
    pub(super) fn again_from(&self, read: bool) -> Option<u64> {
        if read { self.open.front().map(|piece| piece.begin_seq) } else { self.hold() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes so large that none are put together.
    const BIG: u64 = GRAIN;

    #[test]
    fn a_reset_goes_back_a_clean_end_does_not() {
        let mut acks = Acks::new(2 * BIG);
        for (begin, points) in [(0, 10), (10, 5), (20, 10)] {
            acks.queue(BIG, begin, begin + 10, points);
        }
        acks.wrote(3 * BIG);
        assert_eq!(acks.acknowledge(BIG / 2), Some(Done { seq: 20, points: 15 }));
        assert_eq!(acks.acknowledge(BIG / 2), None);
        assert_eq!(
            (acks.hold(), acks.again_from(true), acks.again_from(false)),
            (Some(0), Some(20), Some(0))
        );
        assert_eq!(acks.acknowledge(0), Some(Done { seq: 30, points: 10 }));
        assert!(acks.is_clear());
        assert_eq!(acks.again_from(false), Some(10), "two writes back is the end of the first");
        assert_eq!(acks.again_from(true), None);
    }

    #[test]
    fn what_was_never_written_is_sent_again() {
        let mut acks = Acks::new(0);
        acks.queue(BIG, 0, 1, 1);
        acks.queue(BIG, 1, 2, 1);
        acks.wrote(BIG + 1);
        assert_eq!(acks.acknowledge(0), Some(Done { seq: 1, points: 1 }));
        assert_eq!((acks.again_from(true), acks.again_from(false)), (Some(1), Some(1)));
        acks.wrote(BIG - 1);
        assert_eq!(acks.acknowledge(0), Some(Done { seq: 2, points: 1 }));
        assert_eq!((acks.again_from(true), acks.again_from(false)), (None, None));
    }

    #[test]
    fn small_writes_are_remembered_together() {
        let mut acks = Acks::new(u64::MAX);
        for seq in 0..100_000 {
            acks.queue(50, seq, seq + 1, 1);
            acks.wrote(50);
            assert_eq!(acks.acknowledge(0), Some(Done { seq: seq + 1, points: 1 }));
        }
        assert_eq!(acks.recent.len(), 100_000_u64.div_ceil(GRAIN / 50) as usize);
        assert_eq!(acks.hold(), Some(0));
    }

    /// The queue in ten lines: a point is a byte, sequence numbers are offsets.
    #[derive(Debug, Default)]
    struct Model {
        /// Ends of what was queued.
        ends: Vec<u64>,
        written: u64,
        acked: u64,
        delivered: u64,
    }

    impl Model {
        fn queued(&self) -> u64 {
            self.ends.last().copied().unwrap_or(0)
        }

        /// The last end at or before `byte`.
        fn end_before(&self, byte: u64) -> u64 {
            self.ends.iter().copied().filter(|end| *end <= byte).max().unwrap_or(0)
        }
    }

    #[derive(Debug, Clone)]
    enum Action {
        Queue(u64),
        Write(u64),
        Acknowledge(u64),
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            (1_u64..3 * GRAIN / 2).prop_map(Action::Queue),
            (1_u64..100).prop_map(Action::Queue),
            (1_u64..3 * GRAIN).prop_map(Action::Write),
            (0_u64..2 * GRAIN).prop_map(Action::Acknowledge),
        ]
    }

    proptest! {
        #[test]
        fn it_does_as_the_model(actions in prop::collection::vec(action(), 1..200), resend in 0_u64..4 * GRAIN) {
            let (mut acks, mut model) = (Acks::new(resend), Model::default());
            for action in actions {
                match action {
                    Action::Queue(bytes) => {
                        let begin = model.queued();
                        acks.queue(bytes, begin, begin + bytes, bytes);
                        model.ends.push(begin + bytes);
                    }
                    Action::Write(bytes) => {
                        let bytes = bytes.min(model.queued() - model.written);
                        model.written += bytes;
                        acks.wrote(bytes);
                    }
                    Action::Acknowledge(unacked) => {
                        model.acked = model.acked.max(model.written.saturating_sub(unacked));
                        if let Some(done) = acks.acknowledge(unacked) {
                            model.delivered += done.points;
                            prop_assert_eq!(done.seq, model.delivered, "points before the position are delivered");
                        }
                    }
                }
                // Nothing is done that is not acknowledged, and all that is but for a grain.
                let due = model.end_before(model.acked);
                prop_assert!(model.delivered <= due && due - model.delivered < GRAIN, "{} {due}", model.delivered);
                // Nothing that may be unread is left behind, and no more than a write is read twice.
                let read = acks.again_from(true).unwrap_or(model.queued());
                prop_assert_eq!(read, model.delivered);
                let unread = model.acked.saturating_sub(resend);
                let again = acks.again_from(false).unwrap_or(model.queued());
                prop_assert!(again <= unread && unread - again.min(unread) < 3 * GRAIN / 2);
                prop_assert_eq!(acks.hold().unwrap_or(model.queued()), again);
                prop_assert_eq!(acks.is_clear(), model.delivered == model.queued());
            }
        }
    }
}
