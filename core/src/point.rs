//! One value of one metric at one time.

/// A value at a time. Times are seconds since the epoch (UTC), fractions kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Datapoint {
    /// Seconds since the epoch.
    pub ts: f64,
    /// The value; never NaN once a codec has accepted it.
    pub value: f64,
}

impl Datapoint {
    /// A datapoint of `value` at `ts` seconds.
    #[must_use]
    pub const fn new(ts: f64, value: f64) -> Self {
        Self { ts, value }
    }
}
