//! The counts from which a relay's own metrics are made, all taken at one moment.

use crate::health::Health;
use crate::process::Process;
use skyline_core::batch::Listener;
use skyline_core::reject::Reject;
use skyline_relay::aggregate::Counts;
use skyline_relay::dest::DestinationStatus;
use skyline_relay::intake::ListenerLedger;

/// Reasons that routing has, and the journal: all others say that there was no point.
const OF_POINTS: [Reject; 6] = [
    Reject::JournalFull,
    Reject::Blacklisted,
    Reject::NotWhitelisted,
    Reject::Blackhole,
    Reject::Invalid,
    Reject::Duplicate,
];

/// Counts since the node was first started, but for those of the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// When it was taken, seconds.
    pub(crate) at: f64,
    /// Seconds since the start.
    pub(crate) uptime: f64,
    /// Points from outside that could be read.
    pub(crate) received: u64,
    /// What came from outside and is no point.
    pub(crate) discarded: u64,
    pub(crate) blackholed: u64,
    pub(crate) blacklisted: u64,
    pub(crate) not_whitelisted: u64,
    /// The node's own points that were logged, and those that were not.
    pub(crate) own: u64,
    pub(crate) own_refused: u64,
    /// Connections: open, and all that there were.
    pub(crate) open: u64,
    pub(crate) accepted: u64,
    pub(crate) process: Process,
    pub(crate) destinations: Vec<DestinationStatus>,
    pub(crate) aggregates: Counts,
}

impl Snapshot {
    pub(crate) fn take(health: &Health) -> Self {
        let mut snapshot = Self::of_ledgers(&health.intake.ledgers());
        (snapshot.open, snapshot.accepted) = health.intake.connections();
        snapshot.at = health.clock.now();
        snapshot.uptime = snapshot.at - health.started;
        snapshot.process = Process::now();
        snapshot.destinations = health.destinations.status();
        snapshot.aggregates = health.aggregator.counts();
        snapshot
    }

    fn of_ledgers(ledgers: &[ListenerLedger]) -> Self {
        let mut snapshot = Self::default();
        for ledger in ledgers {
            let refused = |why| ledger.refused.get(why);
            match ledger.listener {
                Listener::Own => {
                    snapshot.own = ledger.logged;
                    snapshot.own_refused = ledger.refused.total();
                }
                // Nobody sent these.
                Listener::Aggregator | Listener::Backfill => {}
                _ => {
                    let of_points: u64 = OF_POINTS.into_iter().map(refused).sum();
                    let discarded = ledger.refused.total() - of_points;
                    snapshot.received += ledger.received.saturating_sub(discarded);
                    snapshot.discarded += discarded;
                    snapshot.blackholed += refused(Reject::Blackhole) + refused(Reject::Invalid);
                    snapshot.blacklisted += refused(Reject::Blacklisted);
                    snapshot.not_whitelisted += refused(Reject::NotWhitelisted);
                }
            }
        }
        snapshot
    }

    /// A destination as it was then.
    pub(crate) fn destination(&self, reader: &str) -> Option<&DestinationStatus> {
        self.destinations.iter().find(|one| one.reader == reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_core::reject::RejectCounts;

    #[test]
    fn what_is_no_point_was_not_received() {
        let ledger = |listener, received, refusals: &[(Reject, u64)]| {
            let mut refused = RejectCounts::default();
            for (why, points) in refusals {
                refused.add(*why, *points);
            }
            ListenerLedger { listener, received, copied: 0, logged: received - refused.total(), refused }
        };
        let taken = Snapshot::of_ledgers(&[
            ledger(Listener::PlaintextTcp, 100, &[(Reject::Fields, 7), (Reject::Blacklisted, 5)]),
            ledger(Listener::PickleTcp, 10, &[(Reject::Frame, 1), (Reject::NotWhitelisted, 2)]),
            ledger(Listener::PlaintextUdp, 10, &[(Reject::Blackhole, 3), (Reject::Invalid, 1)]),
            ledger(Listener::Own, 50, &[(Reject::JournalFull, 4)]),
            ledger(Listener::Aggregator, 60, &[]),
        ]);
        assert_eq!((taken.received, taken.discarded), (93 + 9 + 10, 8));
        assert_eq!((taken.blacklisted, taken.not_whitelisted, taken.blackholed), (5, 2, 4));
        assert_eq!((taken.own, taken.own_refused), (46, 4));
    }
}
