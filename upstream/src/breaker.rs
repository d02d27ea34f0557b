//! When a server that fails is left alone: after some failures in a row it rests; then one question tries it, and
//! each failure of that doubles the rest.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// When a server that fails is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// Failures in a row before the first rest; 0: never.
    pub failures: u32,
    /// The first rest; each further one is twice as long, a fifth more or less.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { failures: 3, first: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

/// State of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The server is asked.
    Closed,
    /// It rests.
    Open,
    /// One question tries it.
    HalfOpen,
}

/// A breaker.
#[derive(Debug)]
pub struct Breaker {
    pauses: Pauses,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// In a row.
    failures: u32,
    rests: u32,
    until: Instant,
    last: &'static str,
}

/// It rests: for how long, after how many failures, the kind of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) again: Duration,
    pub(crate) failures: u32,
    pub(crate) last: &'static str,
}

impl Breaker {
    /// One that is closed.
    #[must_use]
    pub fn new(pauses: Pauses, now: Instant) -> Self {
        let inner = Inner { state: State::Closed, failures: 0, rests: 0, until: now, last: "" };
        Self { pauses, inner: Mutex::new(inner) }
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().state
    }

    /// Whether a question asked now would be sent.
    #[must_use]
    pub fn lets_through(&self, now: Instant) -> bool {
        let inner = self.lock();
        match inner.state {
            State::Closed => true,
            State::Open => now >= inner.until,
            State::HalfOpen => false,
        }
    }

    /// Lets a question through, or says how long the server rests. `insist`: lets it through in any case.
    pub(crate) fn enter(self: &Arc<Self>, now: Instant, insist: bool) -> Result<Trial, Rest> {
        let mut inner = self.lock();
        let waits = match inner.state {
            State::Closed => None,
            State::Open if now >= inner.until => None,
            State::Open => Some(inner.until.saturating_duration_since(now)),
            State::HalfOpen => Some(Duration::ZERO),
        };
        if let (Some(again), false) = (waits, insist) {
            return Err(Rest { again, failures: inner.failures, last: inner.last });
        }
        let probe = inner.state == State::Open && waits.is_none();
        if probe {
            inner.state = State::HalfOpen;
        }
        Ok(Trial { breaker: Arc::clone(self), probe, over: false })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // What is behind the lock is whole after every step.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn succeeded(&self) {
        let mut inner = self.lock();
        inner.state = State::Closed;
        inner.failures = 0;
        inner.rests = 0;
    }

    /// Whether it begins to rest now.
    pub(crate) fn failed(&self, now: Instant, kind: &'static str) -> bool {
        let mut inner = self.lock();
        inner.failures = inner.failures.saturating_add(1);
        inner.last = kind;
        let limit = self.pauses.failures;
        let rests = match inner.state {
            State::Closed => limit > 0 && inner.failures >= limit,
            State::HalfOpen => true,
            // It was asked before the rest began, or in spite of it.
            State::Open => false,
        };
        if rests {
            let begins = inner.state == State::Closed;
            let longer = 1_u32 << inner.rests.min(16);
            let rest = self.pauses.first.saturating_mul(longer).min(self.pauses.longest);
            inner.until = now + rest.mul_f64(rand::random_range(0.8..1.2));
            inner.rests = inner.rests.saturating_add(1);
            inner.state = State::Open;
            return begins;
        }
        false
    }
}

/// A question that was let through. One that is dropped undecided says nothing of the server.
#[derive(Debug)]
pub(crate) struct Trial {
    breaker: Arc<Breaker>,
    probe: bool,
    over: bool,
}

impl Trial {
    pub(crate) fn succeeded(mut self) {
        self.over = true;
        self.breaker.succeeded();
    }

    pub(crate) fn failed(mut self, now: Instant, kind: &'static str) -> bool {
        self.over = true;
        self.breaker.failed(now, kind)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.probe && !self.over {
            let mut inner = self.breaker.lock();
            if inner.state == State::HalfOpen {
                inner.state = State::Open;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker(now: Instant) -> Arc<Breaker> {
        Arc::new(Breaker::new(Pauses { failures: 2, first: SECOND, longest: SECOND * 3 }, now))
    }

    #[test]
    fn it_rests_after_failures_in_a_row() {
        let now = Instant::now();
        let breaker = breaker(now);
        assert!(!breaker.enter(now, false).unwrap().failed(now, "connect"));
        breaker.enter(now, false).unwrap().succeeded();
        assert!(!breaker.enter(now, false).unwrap().failed(now, "connect"));
        assert!(breaker.enter(now, false).unwrap().failed(now, "timeout"));
        let rest = breaker.enter(now, false).unwrap_err();
        assert_eq!((rest.failures, rest.last), (2, "timeout"));
        assert!(rest.again > SECOND / 2 && rest.again < SECOND * 2);
        assert!(breaker.enter(now, true).is_ok());
    }

    #[test]
    fn one_question_tries_it_and_each_failure_doubles_the_rest() {
        let mut now = Instant::now();
        let breaker = breaker(now);
        breaker.failed(now, "connect");
        breaker.failed(now, "connect");
        for longest in [2, 3, 3] {
            now += SECOND * 4;
            let probe = breaker.enter(now, false).unwrap();
            assert_eq!(breaker.state(), State::HalfOpen);
            assert!(breaker.enter(now, false).is_err());
            assert!(!probe.failed(now, "connect"));
            let rest = breaker.enter(now, false).unwrap_err().again;
            assert!(rest > SECOND * longest / 2 && rest < SECOND * longest * 3 / 2, "{rest:?}");
        }
        now += SECOND * 4;
        breaker.enter(now, false).unwrap().succeeded();
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn a_probe_that_is_given_up_frees_the_place() {
        let mut now = Instant::now();
        let breaker = breaker(now);
        breaker.failed(now, "connect");
        breaker.failed(now, "connect");
        now += SECOND * 2;
        drop(breaker.enter(now, false).unwrap());
        assert!(breaker.enter(now, false).is_ok());
    }

    #[test]
    fn zero_failures_never_rest() {
        let now = Instant::now();
        let breaker = Arc::new(Breaker::new(Pauses { failures: 0, ..Pauses::default() }, now));
        for _ in 0..100 {
            assert!(!breaker.failed(now, "connect"));
        }
        assert!(breaker.enter(now, false).is_ok());
    }
}
