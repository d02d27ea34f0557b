//! How long points take from receipt to verdict: a histogram with bounds that double by steps.

/// Bounds from 10 µs, each a quarter of a power of two above the last.
const BUCKETS: usize = 100;
const FIRST: f64 = 10e-6;
const STEPS: f64 = 4.0;

/// Counts of points by latency, of this minute and the one before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latency {
    minute: Counts,
    before: Counts,
}

#[derive(Debug, Clone)]
struct Counts {
    counts: [u64; BUCKETS],
    worst: f64,
}

/// Median, 99th percentile and maximum, seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quantiles([f64; 3]);

impl Quantiles {
    /// 0: median, 1: 99th percentile, 2: maximum.
    pub(crate) fn of(self, which: usize) -> f64 {
        self.0.get(which).copied().unwrap_or(0.0)
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], worst: 0.0 }
    }
}

impl Latency {
    /// `points` points took `seconds`.
    pub(crate) fn add(&mut self, seconds: f64, points: u64) {
        let bucket = ((seconds / FIRST).max(1.0).log2() * STEPS) as usize;
        if let Some(count) = self.minute.counts.get_mut(bucket.min(BUCKETS - 1)) {
            *count += points;
        }
        self.minute.worst = self.minute.worst.max(seconds);
    }

    /// The quantiles of one to two minutes.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let counts = || self.minute.counts.iter().zip(&self.before.counts).map(|(now, before)| now + before);
        let total: u64 = counts().sum();
        let worst = self.minute.worst.max(self.before.worst);
        let at = |share: f64| {
            let mut left = (total as f64 * share) as u64;
            for (i, count) in counts().enumerate() {
                if count > left {
                    return FIRST * ((i as f64 + 1.0) / STEPS).exp2();
                }
                left -= count;
            }
            0.0
        };
        Quantiles([at(0.5).min(worst), at(0.99).min(worst), worst])
    }

    /// A minute is over: the one before it is forgotten.
    pub(crate) fn turn(&mut self) {
        self.before = std::mem::take(&mut self.minute);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_step() {
        let mut latency = Latency::default();
        for i in 1..=1000 {
            latency.add(f64::from(i) * 1e-4, 1);
        }
        let q = latency.quantiles();
        assert!((0.05..0.06).contains(&q.of(0)), "{q:?}");
        assert!((0.099..=0.1).contains(&q.of(1)), "{q:?}");
        assert!((q.of(2) - 0.1).abs() < 1e-9);
        latency.turn();
        latency.add(1e-3, 1);
        assert!((0.099..=0.1).contains(&latency.quantiles().of(1)), "the minute before still counts");
        latency.turn();
        assert!(latency.quantiles().of(2) < 2e-3);
    }
}
