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

    /// A pause that ends when it is dropped.
    #[must_use]
    pub fn paused(&self) -> Pause {
        self.pause();
        Pause(self.clone())
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

/// One destination's wish that the listeners pause; see [`Flow::paused`].
#[derive(Debug)]
pub struct Pause(Flow);

impl Drop for Pause {
    fn drop(&mut self) {
        self.0.resume();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn listeners_go_on_when_the_last_pause_ends() {
        let flow = Flow::default();
        flow.open().await;
        let (first, second) = (flow.paused(), flow.clone().paused());
        let is_open = || async { tokio::time::timeout(Duration::from_secs(1), flow.open()).await.is_ok() };
        assert!(flow.is_paused() && !is_open().await);
        drop(first);
        assert!(flow.is_paused() && !is_open().await);
        let ((), ()) = tokio::join!(flow.open(), async {
            tokio::task::yield_now().await;
            drop(second);
        });
        assert!(!flow.is_paused() && is_open().await);
    }
}
