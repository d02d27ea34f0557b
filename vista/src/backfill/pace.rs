//! So many a second and no more.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Spreads what is done evenly.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    /// When the next may be done.
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second: per_second.max(0.001), next: Mutex::new(Instant::now()) }
    }

    /// Waits until `count` more may be done.
    pub(super) async fn wait(&self, count: f64) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(Instant::now());
            *next = at + Duration::from_secs_f64((count / self.per_second).min(3_600.0));
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_a_second() {
        let (pace, start) = (Pace::new(10.0), Instant::now());
        for _ in 0..31 {
            pace.wait(1.0).await;
        }
        assert_eq!(start.elapsed().as_millis(), 3_000);
        // What was not used is not saved up.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        pace.wait(20.0).await;
        pace.wait(1.0).await;
        assert_eq!(start.elapsed().as_millis(), 2_000);
    }
}
