//! The rate limit of catching up: a bucket of a tenth of a second's points.

use std::time::Duration;
use tokio::time::Instant;

/// Points a second at most; 0: no limit.
#[derive(Debug)]
pub(super) struct Pace {
    rate: f64,
    allowance: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(points_per_second: u64) -> Self {
        Self {
            rate: points_per_second as f64,
            allowance: points_per_second as f64 / 10.0,
            at: Instant::now(),
        }
    }

    /// So many points were sent: how long to rest before the next.
    pub(super) fn spend(&mut self, points: u64) -> Duration {
        if self.rate == 0.0 {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let refill = (now - self.at).as_secs_f64() * self.rate;
        self.at = now;
        self.allowance = (self.allowance + refill).min(self.rate / 10.0) - points as f64;
        if self.allowance >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.allowance / self.rate)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_of_points_takes_a_second() {
        let mut pace = Pace::new(1000);
        let start = Instant::now();
        for _ in 0..20 {
            tokio::time::sleep(pace.spend(100)).await;
        }
        let took = start.elapsed().as_secs_f64();
        assert!((1.8..2.1).contains(&took), "{took}");
        assert_eq!(Pace::new(0).spend(1 << 40), Duration::ZERO);
    }
}
