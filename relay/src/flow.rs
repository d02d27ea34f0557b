//! Pause and resume of listeners while a destination with `when_behind = "block"` is behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Notify;

/// Shared by destinations, which pause it, and listeners, which wait for it.
#[derive(Debug, Clone, Default)]
pub struct Flow(Arc<State>);

#[derive(Debug, Default)]
struct State {
    paused_by: AtomicU32,
    resumed: Notify,
}

impl Flow {
    /// One more destination wants the listeners to pause.
    pub fn pause(&self) {
        self.0.paused_by.fetch_add(1, Ordering::AcqRel);
    }

    /// That destination has caught up.
    pub fn resume(&self) {
        if self.0.paused_by.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.resumed.notify_waiters();
        }
    }

    /// Whether listeners should not read now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.paused_by.load(Ordering::Acquire) > 0
    }

    /// Resolves when no destination wants a pause.
    pub async fn open(&self) {
        loop {
            let resumed = self.0.resumed.notified();
            if !self.is_paused() {
                return;
            }
            resumed.await;
        }
    }
}
