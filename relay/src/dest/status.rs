//! What is known of a destination from outside its task, and when its troubles are logged.

use super::outgoing::Sent;
use skyline_conf::routing::Protocol;
use skyline_core::clock::Clock;
use skyline_journal::Ledger;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Seconds between two log lines about the same trouble.
const LOG_EVERY: f64 = 60.0;
/// What is told of a destination whose points are held.
const HELD: &str = "how it was sent to is not known: its points are held; name it in the settings again";

/// Written by the task, read by figures and status.
#[derive(Debug)]
pub(super) struct Status {
    name: String,
    clock: Clock,
    pub(super) is_up: AtomicBool,
    pub(super) is_pausing: AtomicBool,
    /// Points written, repeats included.
    pub(super) sent: AtomicU64,
    /// Bytes that the kernel took.
    pub(super) bytes: AtomicU64,
    /// Calls of `writev`.
    pub(super) writes: AtomicU64,
    /// Points written a second time.
    pub(super) repeats: AtomicU64,
    /// Connections made after the first.
    pub(super) reconnects: AtomicU64,
    /// Connections that could not be made, broke, stalled, or were closed by the peer.
    pub(super) errors: AtomicU64,
    /// Points that were skipped because it was behind its mark.
    pub(super) skipped: AtomicU64,
    /// Times that listeners paused because of it.
    pub(super) pauses: AtomicU64,
    /// Time spent in writes, ns.
    pub(super) writing: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: f64,
    was_up: bool,
    last_error: Option<String>,
    /// The outage now is in the log.
    is_told: bool,
    /// The endpoint of the connection, and the one before; empty: there was none.
    endpoint: String,
    protocol: &'static str,
    down: Told,
    shed: Told,
    journal: Told,
    /// The reader's account when its task ended, and whether there was a connection then.
    last: Option<(Ledger, bool)>,
}

/// When something was logged last, and what has come together since.
#[derive(Debug, Default)]
struct Told {
    at: Option<f64>,
    points: u64,
}

impl Told {
    /// Adds `points`; the sum of them if it is to be logged now.
    fn add(&mut self, points: u64, now: f64) -> Option<u64> {
        self.points += points;
        let due = self.at.is_none_or(|at| now - at >= LOG_EVERY || now < at);
        due.then(|| {
            self.at = Some(now);
            std::mem::take(&mut self.points)
        })
    }
}

impl Status {
    /// Of the destination that is called `name`, to whose first endpoint `protocol` is sent, if that is known.
    pub(super) fn new(name: &str, protocol: Option<Protocol>, clock: Clock) -> Self {
        let protocol = protocol.map_or("unknown", Protocol::label);
        let state = State { since: clock.now(), protocol, ..State::default() };
        Self {
            name: name.to_owned(),
            clock,
            is_up: AtomicBool::new(false),
            is_pausing: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            pauses: AtomicU64::new(0),
            writing: AtomicU64::new(0),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// There is a connection to `endpoint` now, over which `protocol` is sent.
    pub(super) fn connected(&self, endpoint: String, protocol: Protocol) {
        self.is_up.store(true, Relaxed);
        let mut state = self.state();
        state.since = self.clock.now();
        let again = std::mem::replace(&mut state.was_up, true);
        if again {
            self.reconnects.fetch_add(1, Relaxed);
        }
        if !again || state.is_told || state.endpoint != endpoint {
            tracing::info!(destination = self.name, endpoint, "connected");
        }
        state.is_told = false;
        // How it is sent to is known by now; what went wrong before stays to be read.
        state.last_error = state.last_error.take().filter(|error| error != HELD);
        state.endpoint = endpoint;
        state.protocol = protocol.label();
    }

    /// Nothing is sent, because it is not known how.
    pub(super) fn held(&self) {
        self.state().last_error = Some(HELD.to_owned());
    }

    /// The connection has ended in order.
    pub(super) fn closed(&self) {
        if self.is_up.swap(false, Relaxed) {
            self.state().since = self.clock.now();
        }
    }

    /// There is no connection now. The first failure is logged, then one a minute.
    pub(super) fn failed(&self, error: &dyn Display) {
        let fell = self.is_up.swap(false, Relaxed);
        self.errors.fetch_add(1, Relaxed);
        let now = self.clock.now();
        let mut state = self.state();
        if fell {
            state.since = now;
        }
        state.last_error = Some(error.to_string());
        if state.down.add(1, now).is_some() {
            state.is_told = true;
            tracing::warn!(destination = self.name, %error, "not connected; its points wait in the journal");
        }
    }

    pub(super) fn journal_failed(&self, error: &dyn Display) {
        let mut state = self.state();
        if state.journal.add(1, self.clock.now()).is_some() {
            tracing::error!(destination = self.name, %error, "the journal cannot be read; it is tried again");
        }
    }

    /// One write of `bytes`.
    pub(super) fn wrote(&self, bytes: u64, sent: Sent) {
        self.writes.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.packed(sent);
    }

    /// A write took so long.
    pub(super) fn spent(&self, time: Duration) {
        self.writing.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// Points went into what packs or encrypts.
    pub(super) fn packed(&self, sent: Sent) {
        self.sent.fetch_add(sent.points, Relaxed);
        self.repeats.fetch_add(sent.repeats, Relaxed);
    }

    pub(super) fn shed(&self, points: u64) {
        self.skipped.fetch_add(points, Relaxed);
        if points > 0
            && let Some(points) = self.state().shed.add(points, self.clock.now())
        {
            tracing::error!(
                destination = self.name,
                points,
                "behind its mark: its oldest points were skipped"
            );
        }
    }

    pub(super) fn paused(&self, waiting: u64) {
        self.is_pausing.store(true, Relaxed);
        self.pauses.fetch_add(1, Relaxed);
        tracing::warn!(destination = self.name, waiting, "behind its mark: listeners pause");
    }

    pub(super) fn resumed(&self) {
        self.is_pausing.store(false, Relaxed);
        tracing::info!(destination = self.name, "no longer behind: listeners go on");
    }

    /// The task has ended, and leaves this account.
    pub(super) fn ended(&self, last: Ledger) {
        let was_up = self.is_up.swap(false, Relaxed);
        let mut state = self.state();
        if was_up {
            state.since = self.clock.now();
        }
        state.last = Some((last, was_up));
    }

    /// The account that the task left when it ended, and whether there was a connection then.
    pub(super) fn last(&self) -> Option<(Ledger, bool)> {
        self.state().last
    }

    /// Since when it is connected or not, seconds, and the last error.
    pub(super) fn since(&self) -> (f64, Option<String>) {
        let state = self.state();
        (state.since, state.last_error.clone())
    }

    /// The endpoint in use; `None`: there is no connection.
    pub(super) fn endpoint(&self) -> Option<String> {
        self.is_up.load(Relaxed).then(|| self.state().endpoint.clone())
    }

    /// What is sent.
    pub(super) fn protocol(&self) -> &'static str {
        self.state().protocol
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_a_minute() {
        let mut told = Told::default();
        let check = |told: &mut Told, now, expected| assert_eq!(told.add(10, now), expected, "at {now}");
        check(&mut told, 5.0, Some(10));
        check(&mut told, 6.0, None);
        check(&mut told, 64.9, None);
        check(&mut told, 65.0, Some(30));
        check(&mut told, 20.0, Some(10));
    }

    #[test]
    fn what_is_sent_to_is_no_longer_held() {
        let status = Status::new("h:1", None, Clock::at(10.0));
        status.held();
        assert_eq!(status.since().1.as_deref(), Some(HELD));
        status.connected("h:1".into(), Protocol::Pickle);
        assert_eq!((status.since().1, status.protocol()), (None, "pickle"));
    }

    #[test]
    fn since_is_when_it_changed() {
        let clock = Clock::at(10.0);
        let status = Status::new("h:1", Some(Protocol::Plaintext), clock.clone());
        let check = |clock: &Clock, at, act: &dyn Fn(), expected| {
            clock.set(at);
            act();
            assert_eq!(status.since().0, expected, "at {at}");
        };
        check(&clock, 11.0, &|| status.failed(&"refused"), 10.0);
        check(&clock, 12.0, &|| status.connected("h:1".into(), Protocol::Plaintext), 12.0);
        check(&clock, 13.0, &|| status.failed(&"reset"), 13.0);
        check(&clock, 14.0, &|| status.failed(&"refused"), 13.0);
        check(&clock, 15.0, &|| status.connected("h:1".into(), Protocol::Plaintext), 15.0);
        assert_eq!(status.reconnects.load(Relaxed), 1);
        assert_eq!(status.errors.load(Relaxed), 3);
        assert_eq!(status.since().1.as_deref(), Some("refused"));
        assert_eq!(status.endpoint().as_deref(), Some("h:1"));
        status.closed();
        assert_eq!(status.endpoint(), None);
    }
}
