//! A read-only look at a window: what algorithms, features and drawing accept.

/// Times and values of a series, oldest first: two slices of equal length, times strictly
/// ascending (test series may repeat a time), values never NaN once stored by a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowView<'a> {
    /// Seconds since the epoch.
    pub ts: &'a [f64],
    /// The values at those times.
    pub values: &'a [f64],
}

impl<'a> WindowView<'a> {
    /// A view of two columns; the longer one is cut to the shorter.
    #[must_use]
    pub fn new(ts: &'a [f64], values: &'a [f64]) -> Self {
        let n = ts.len().min(values.len());
        Self { ts: ts.get(..n).unwrap_or_default(), values: values.get(..n).unwrap_or_default() }
    }

    /// Number of points.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no point.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
