//! What is known of a destination from outside its task, and when its troubles are logged.

use super::address::Address;
use skyline_core::clock::Clock;
use std::io::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Seconds between two log lines about the same trouble.
const LOG_EVERY: f64 = 60.0;

/// Written by the task, read by figures and status.
#[derive(Debug)]
pub(super) struct Status {
    address: Address,
    clock: Clock,
    pub(super) up: AtomicBool,
    pub(super) sent_points: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) repeats: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) failures: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: f64,
    last_error: Option<String>,
    logged_at: f64,
    troubled: bool,
}

impl Status {
    pub(super) fn new(address: Address, clock: Clock) -> Self {
        let state = State { since: clock.now(), ..State::default() };
        Self {
            address,
            clock,
            up: AtomicBool::new(false),
            sent_points: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connected(&self) {
        self.up.store(true, Relaxed);
        self.connections.fetch_add(1, Relaxed);
        let mut state = self.state();
        state.since = self.clock.now();
        if std::mem::take(&mut state.troubled) {
            tracing::info!(destination = %self.address, "connected again");
        } else {
            tracing::info!(destination = %self.address, "connected");
        }
    }

    /// The first failure is logged, then one a minute.
    pub(super) fn failed(&self, error: &Error) {
        let was_up = self.up.swap(false, Relaxed);
        self.failures.fetch_add(1, Relaxed);
        let now = self.clock.now();
        let mut state = self.state();
        if was_up {
            state.since = now;
        }
        state.last_error = Some(error.to_string());
        if !state.troubled || now - state.logged_at >= LOG_EVERY {
            state.logged_at = now;
            tracing::warn!(destination = %self.address, %error, "not connected; its points wait in the journal");
        }
        state.troubled = true;
    }

    pub(super) fn ended(&self) {
        self.up.store(false, Relaxed);
    }

    pub(super) fn sent(&self, points: u64) {
        self.sent_points.fetch_add(points, Relaxed);
        self.writes.fetch_add(1, Relaxed);
    }

    pub(super) fn repeats(&self, points: u64) {
        self.repeats.fetch_add(points, Relaxed);
    }

    pub(super) fn shed(&self, points: u64) {
        if points > 0 {
            tracing::warn!(destination = %self.address, points, "behind its mark: its oldest points are skipped");
        }
    }

    /// Since when it is connected or not, seconds, and the last error.
    pub(super) fn since(&self) -> (f64, Option<String>) {
        let state = self.state();
        (state.since, state.last_error.clone())
    }
}
