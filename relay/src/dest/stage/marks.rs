//! How many plain bytes the first so many wire bytes carry.

use super::Arrived;
use std::collections::VecDeque;

/// Of acknowledged marks, two neighbours of three lie so many wire bytes apart: the third tells little.
const GRAIN: u64 = 16 << 10;

/// The first `wire` bytes carry the first `plain` bytes whole.
#[derive(Debug, Clone, Copy)]
struct Mark {
    wire: u64,
    plain: u64,
}

/// One for each piece, oldest first.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Not acknowledged whole.
    open: VecDeque<Mark>,
    /// Acknowledged, and the peer's program may not have read it.
    recent: VecDeque<Mark>,
    acked: u64,
    read: u64,
}

impl Marks {
    /// A piece ends here; totals of the connection.
    pub(super) fn push(&mut self, wire: u64, plain: u64) {
        self.open.push_back(Mark { wire, plain });
    }

    /// The first `acked` wire bytes are acknowledged, the first `read` of them read.
    pub(super) fn settle(&mut self, acked: u64, read: u64) -> Arrived {
        while let Some(mark) = self.open.pop_front_if(|mark| mark.wire <= acked) {
            self.acked = mark.plain;
            let before = self.recent.len().checked_sub(2).and_then(|at| self.recent.get(at)).copied();
            if before.is_some_and(|before| mark.wire - before.wire <= GRAIN) {
                self.recent.pop_back();
            }
            self.recent.push_back(mark);
        }
        while let Some(mark) = self.recent.pop_front_if(|mark| mark.wire <= read) {
            self.read = mark.plain;
        }
        Arrived { acked: self.acked, read: self.read }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_has_arrived_that_is_not_whole(
            pieces in prop::collection::vec((1_u64..40_000, 1_u64..100_000, 0_u64..60_000), 1..200),
            resend in 0_u64..200_000,
        ) {
            let (mut marks, mut all) = (Marks::default(), vec![(0, 0)]);
            let (mut wire, mut plain, mut acked) = (0, 0, 0);
            for (more_wire, more_plain, acknowledge) in pieces {
                wire += more_wire;
                plain += more_plain;
                marks.push(wire, plain);
                all.push((wire, plain));
                acked = wire.min(acked + acknowledge);
                let read = acked.saturating_sub(resend);
                let arrived = marks.settle(acked, read);
                let whole = |upto: u64| all.iter().rev().find(|(wire, _)| *wire <= upto).unwrap().1;
                prop_assert_eq!(arrived.acked, whole(acked));
                prop_assert!(arrived.read <= whole(read));
                prop_assert!(arrived.read >= whole(read.saturating_sub(GRAIN + 40_000)));
            }
            prop_assert!(marks.recent.len() as u64 <= 2 * (resend / GRAIN + 2) + 2);
        }
    }
}
