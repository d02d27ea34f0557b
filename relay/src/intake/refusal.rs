//! What was not taken: counts of one read, the newest examples for an operator, and log lines of
//! which no sender can cause many.

use super::any;
use skyline_core::batch::Listener;
use skyline_core::reject::{Reject, RejectCounts};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Examples kept for an operator.
const RECENT: usize = 256;

/// Examples kept of one read, each of another reason.
const EXAMPLES: usize = 4;

/// Bytes kept of an example.
const EXCERPT: usize = 120;

/// Seconds between two log lines about the same peer and reason.
const LOG_EVERY: f64 = 60.0;

/// Pairs of peer and reason that are remembered for this; beyond it nothing is logged.
const LOG_KEYS: usize = 1_024;

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP or UDP.
    Address(SocketAddr),
    /// Over a Unix socket, or from within.
    Local,
}

impl Peer {
    pub(super) const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address.ip()),
            Self::Local => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Local => f.write_str("local"),
        }
    }
}

/// What was not taken of one read.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: RejectCounts,
    examples: Vec<(Reject, Vec<u8>)>,
}

impl Refusals {
    /// Counts one point; keeps the first of each reason as an example.
    pub fn add(&mut self, bytes: &[u8], why: Reject) {
        if self.counts.get(why) == 0 && self.examples.len() < EXAMPLES {
            self.examples.push((why, bytes.get(..EXCERPT).unwrap_or(bytes).to_vec()));
        }
        self.counts.add(why, 1);
    }

    /// Whether everything was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !any(&self.counts)
    }

    /// How many, by reason.
    #[must_use]
    pub const fn counts(&self) -> &RejectCounts {
        &self.counts
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        if !self.is_empty() {
            *self = Self::default();
        }
    }
}

/// One refused point, for an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// When, seconds since the epoch.
    pub time: f64,
    /// Where it came in.
    pub listener: Listener,
    /// Who sent it.
    pub peer: Peer,
    /// Why it was not taken.
    pub why: Reject,
    /// The beginning of it, at most 120 bytes, with everything unprintable escaped.
    pub text: String,
}

/// The newest examples, and when what was logged last.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ring: VecDeque<Refusal>,
    logged: HashMap<(Option<IpAddr>, Reject), f64>,
}

impl Recent {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the examples of one read, and logs each that is due.
    pub(super) fn note(&self, listener: Listener, peer: Peer, refusals: &Refusals, now: f64) {
        let mut due = Vec::new();
        {
            let mut state = self.lock();
            for (why, bytes) in &refusals.examples {
                let text = bytes.escape_ascii().to_string();
                let refusal = Refusal { time: now, listener, peer, why: *why, text };
                if state.may_log(peer.ip(), *why, now) {
                    due.push(refusal.clone());
                }
                if state.ring.len() == RECENT {
                    state.ring.pop_front();
                }
                state.ring.push_back(refusal);
            }
        }
        for refusal in due {
            tracing::warn!(
                listener = listener.label(),
                peer = %peer,
                reason = refusal.why.label(),
                points = refusals.counts.get(refusal.why),
                example = refusal.text,
                "points refused; the next line about this peer and reason comes in a minute at the earliest"
            );
        }
    }

    /// Whether a log line about `peer` and `why` is due; then it counts as written.
    pub(super) fn may_log(&self, peer: Option<IpAddr>, why: Reject, now: f64) -> bool {
        self.lock().may_log(peer, why, now)
    }

    /// The newest examples, oldest first.
    pub(super) fn list(&self) -> Vec<Refusal> {
        self.lock().ring.iter().cloned().collect()
    }
}

impl State {
    fn may_log(&mut self, peer: Option<IpAddr>, why: Reject, now: f64) -> bool {
        // A clock that was set back must not silence the log.
        let recent = |at: f64| (now - at).abs() < LOG_EVERY;
        if self.logged.get(&(peer, why)).is_some_and(|at| recent(*at)) {
            return false;
        }
        if self.logged.len() >= LOG_KEYS {
            self.logged.retain(|_, at| recent(*at));
            if self.logged.len() >= LOG_KEYS {
                return false;
            }
        }
        self.logged.insert((peer, why), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> Peer {
        Peer::Address(SocketAddr::from(([10, 0, 0, 7], port)))
    }

    #[test]
    fn one_example_of_each_reason() {
        let mut refusals = Refusals::default();
        assert!(refusals.is_empty());
        for i in 0..1_000 {
            refusals.add(format!("bad {i}").as_bytes(), Reject::Fields);
        }
        refusals.add(&[b'x'; 500], Reject::LineTooLong);
        assert_eq!(refusals.counts().total(), 1_001);
        let recent = Recent::default();
        recent.note(Listener::PlaintextTcp, peer(1), &refusals, 5.0);
        let list = recent.list();
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].text.as_str(), list[0].why), ("bad 0", Reject::Fields));
        assert_eq!((list[1].text.len(), list[1].why), (120, Reject::LineTooLong));
        refusals.clear();
        assert!(refusals.is_empty());
    }

    #[test]
    fn examples_are_escaped_and_bounded() {
        let recent = Recent::default();
        for i in 0..300_u16 {
            let mut refusals = Refusals::default();
            refusals.add(&[(i % 256) as u8, b'\n', 0xff, b'"'], Reject::Name);
            recent.note(Listener::PlaintextUdp, peer(2), &refusals, f64::from(i));
        }
        let list = recent.list();
        assert_eq!(list.len(), RECENT);
        assert_eq!(list.last().map(|r| r.text.as_str()), Some("+\\n\\xff\\\""));
    }

    #[test]
    fn log_lines_are_rare() {
        let recent = Recent::default();
        let ip = |n: u32| Some(IpAddr::from(n.to_be_bytes()));
        assert!(recent.may_log(ip(1), Reject::Name, 0.0));
        assert!(!recent.may_log(ip(1), Reject::Name, 59.0));
        assert!(recent.may_log(ip(1), Reject::Fields, 59.0));
        assert!(recent.may_log(ip(2), Reject::Name, 59.0));
        assert!(recent.may_log(ip(1), Reject::Name, 60.0));
        assert!(recent.may_log(ip(1), Reject::Name, -100.0));
        let logged = (0..100_000).filter(|n| recent.may_log(ip(*n), Reject::Time, 1_000.0)).count();
        assert!(logged <= LOG_KEYS, "{logged}");
        assert!(recent.may_log(ip(7), Reject::Value, 2_000.0));
    }
}
