//! What a client counts.

use crate::breaker::State;
use crate::error::{Error, Failure};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counters of one server. All only grow.
#[derive(Debug, Default)]
pub struct Figures {
    asked: AtomicU64,
    statuses: [AtomicU64; 5],
    failures: [AtomicU64; Failure::ALL.len()],
    body_bytes: AtomicU64,
    rests: AtomicU64,
    micros: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    answer: Option<Instant>,
    failure: Option<(Instant, String)>,
}

/// How a server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// As the settings name it.
    pub name: String,
    /// Scheme, host and port.
    pub address: String,
    /// Whether it is asked.
    pub state: State,
    /// Whether anybody may sit between (`insecure`).
    pub insecure: bool,
    /// Questions that were let through.
    pub asked: u64,
    /// Answers by class of status, 1xx to 5xx.
    pub statuses: [u64; 5],
    /// Failures by kind.
    pub failures: Vec<(Failure, u64)>,
    /// Bytes of bodies.
    pub body_bytes: u64,
    /// Rests that began because of failures.
    pub rests: u64,
    /// Time until the heads of all answers together.
    pub waited: Duration,
    /// Questions that have a place now.
    pub in_hand: usize,
    /// Since the last answer.
    pub last_answer: Option<Duration>,
    /// Since the last failure, and what it was.
    pub last_failure: Option<(Duration, String)>,
}

impl Figures {
    pub(crate) fn asked(&self) {
        self.asked.fetch_add(1, Relaxed);
    }

    pub(crate) fn answered(&self, status: u16, now: Instant, took: Duration) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.statuses.get(class) {
            counter.fetch_add(1, Relaxed);
        }
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).answer = Some(now);
    }

    pub(crate) fn body(&self, bytes: usize) {
        self.body_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn failed(&self, error: &Error, now: Instant) {
        if let Some(counter) = self.failures.get(error.kind() as usize) {
            counter.fetch_add(1, Relaxed);
        }
        if error.kind() != Failure::Resting {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.failure = Some((now, error.to_string()));
        }
    }

    pub(crate) fn rests(&self) {
        self.rests.fetch_add(1, Relaxed);
    }

    pub(crate) fn health(&self, now: Instant) -> Health {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = Failure::ALL.iter().zip(&self.failures);
        Health {
            name: String::new(),
            address: String::new(),
            state: State::Closed,
            insecure: false,
            asked: self.asked.load(Relaxed),
            statuses: std::array::from_fn(|i| self.statuses.get(i).map_or(0, |c| c.load(Relaxed))),
            failures: failures.map(|(kind, count)| (*kind, count.load(Relaxed))).collect(),
            body_bytes: self.body_bytes.load(Relaxed),
            rests: self.rests.load(Relaxed),
            waited: Duration::from_micros(self.micros.load(Relaxed)),
            in_hand: 0,
            last_answer: last.answer.map(|at| now.saturating_duration_since(at)),
            last_failure: last
                .failure
                .as_ref()
                .map(|(at, text)| (now.saturating_duration_since(*at), text.clone())),
        }
    }
}
