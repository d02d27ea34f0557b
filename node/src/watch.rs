//! What destinations do over time: looked at once a second, so that nothing is counted a point.

use skyline_relay::dest::DestinationStatus;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rates are those of so many seconds.
const OVER: f64 = 10.0;

/// A connected destination whose oldest point waits longer than this does not take what it is sent, seconds.
const SLOW: f64 = 1.0;

/// The destinations as they were at the last looks.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<HashMap<String, Seen>>);

/// One of them.
#[derive(Debug, Default)]
struct Seen {
    /// Time, and points delivered by then.
    looks: VecDeque<(f64, u64)>,
    routed: u64,
    queues: Queues,
}

/// How points waited for a destination since this was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Queues {
    /// Points that came while there was no connection.
    pub(crate) unconnected: u64,
    /// Most points that waited while the connection took too little.
    pub(crate) slow: u64,
    /// Most points that waited.
    pub(crate) longest: u64,
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of how `all` are at `now`, and forgets others.
    pub(crate) fn look(&self, all: &[DestinationStatus], now: f64) {
        let mut seen = self.seen();
        seen.retain(|reader, _| all.iter().any(|status| status.reader == *reader));
        for status in all {
            let is_new = !seen.contains_key(&status.reader);
            let one = seen.entry(status.reader.clone()).or_default();
            if is_new {
                one.routed = status.routed;
            }
            one.look(status, now);
        }
    }

    /// Points a second that a destination took of late; none before two looks.
    pub(crate) fn rate(&self, reader: &str) -> Option<f64> {
        let seen = self.seen();
        let looks = &seen.get(reader)?.looks;
        let ((from, before), (until, after)) = (looks.front()?, looks.back()?);
        let seconds = until - from;
        (seconds > 0.0).then(|| after.saturating_sub(*before) as f64 / seconds)
    }

    /// How points waited for each since the last call.
    pub(crate) fn take_queues(&self) -> HashMap<String, Queues> {
        let mut seen = self.seen();
        seen.iter_mut().map(|(reader, one)| (reader.clone(), std::mem::take(&mut one.queues))).collect()
    }
}

impl Seen {
    fn look(&mut self, status: &DestinationStatus, now: f64) {
        // A clock that was set would make rates of anything.
        if self.looks.back().is_some_and(|(last, _)| now < *last || now - last > OVER) {
            self.looks.clear();
        }
        self.looks.push_back((now, status.delivered));
        while self.looks.front().is_some_and(|(first, _)| now - first > OVER) {
            self.looks.pop_front();
        }
        let queues = &mut self.queues;
        if !status.connected {
            queues.unconnected += status.routed.saturating_sub(self.routed);
        } else if status.lag_seconds > SLOW {
            queues.slow = queues.slow.max(status.waiting);
        }
        queues.longest = queues.longest.max(status.waiting);
        self.routed = status.routed;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use skyline_conf::routing::{Endpoint, Server};

    /// A destination `host:1`, of which `routed` points and `delivered` of them.
    pub(crate) fn status(host: &str, connected: bool, routed: u64, delivered: u64) -> DestinationStatus {
        DestinationStatus {
            address: format!("{host}:1"),
            reader: format!("dest:{host}:1"),
            endpoints: vec![Endpoint::Server(Server::plain(host, 1, None))],
            endpoint: None,
            leaving: false,
            held: false,
            pausing: false,
            protocol: "plaintext",
            connected,
            since: 0.0,
            last_error: None,
            routed,
            delivered,
            waiting: routed - delivered,
            shed: 0,
            lost: 0,
            lag_seconds: 0.0,
            spool_bytes: 0,
            sent: delivered,
            repeats: 0,
            sent_bytes: 0,
            writes: 0,
            writing_seconds: 0.0,
            reconnects: 0,
            errors: 0,
            skipped: 0,
            pauses: 0,
        }
    }

    #[test]
    fn rates_are_those_of_late() {
        let watch = Watch::default();
        for second in 0..60_u64 {
            watch.look(&[status("a", true, 1_000 * second, 100 * second)], second as f64);
        }
        assert_eq!(watch.rate("dest:a:1"), Some(100.0));
        for second in 60..75_u64 {
            watch.look(&[status("a", true, 60_000, 5_900)], second as f64);
        }
        assert_eq!(watch.rate("dest:a:1"), Some(0.0));
        watch.look(&[status("a", true, 60_000, 6_000)], 3.0);
        assert_eq!((watch.rate("dest:a:1"), watch.rate("dest:b:1")), (None, None));
        watch.look(&[], 4.0);
        watch.look(&[status("a", true, 60_000, 6_000)], 5.0);
        assert_eq!(watch.rate("dest:a:1"), None, "it was gone in between");
    }

    #[test]
    fn queues_are_told_once() {
        let watch = Watch::default();
        let slow = |routed, delivered| DestinationStatus {
            lag_seconds: 2.0,
            ..status("a", true, routed, delivered)
        };
        watch.look(&[status("a", false, 500, 100)], 0.0);
        watch.look(&[status("a", false, 530, 100)], 1.0);
        watch.look(&[slow(600, 300)], 2.0);
        watch.look(&[status("a", true, 600, 600)], 3.0);
        let queues = |watch: &Watch| watch.take_queues()["dest:a:1"];
        assert_eq!(queues(&watch), Queues { unconnected: 30, slow: 300, longest: 430 });
        assert_eq!(queues(&watch), Queues::default());
    }
}
