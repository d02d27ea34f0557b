//! Where the time comes from. Code that decides takes `now` as a value; code that waits takes a
//! [`Clock`], so that tests and replay can set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Wall clock in seconds since the epoch: the system's, or one that a test sets.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicU64>>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands at `seconds` until [`Clock::set`] moves it.
    #[must_use]
    pub fn at(seconds: f64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(seconds.to_bits()))))
    }

    /// Moves a clock made by [`Clock::at`]; does nothing to the system's.
    pub fn set(&self, seconds: f64) {
        if let Some(cell) = &self.0 {
            cell.store(seconds.to_bits(), Ordering::Relaxed);
        }
    }

    /// Seconds since the epoch, with a fraction.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> f64 {
        match &self.0 {
            Some(cell) => f64::from_bits(cell.load(Ordering::Relaxed)),
            None => std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
        }
    }
}
