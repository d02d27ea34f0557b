//! Sums that lose nothing: a value as the unevaluated sum of two doubles.
//!
//! Running sums are added to and subtracted from for days; plain doubles drift, and after one
//! huge value has come and gone they keep its rounding error for ever. TwoSum and TwoProduct
//! (Knuth, Dekker) carry the error along instead.

/// An unevaluated sum `hi + lo` with `|lo|` at most half a unit in the last place of `hi`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dd {
    hi: f64,
    lo: f64,
}

#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let bb = s - a;
    (s, (a - (s - bb)) + (b - bb))
}

#[inline]
fn split(a: f64) -> (f64, f64) {
    let t = 134_217_729.0 * a; // 2^27 + 1
    let high = t - (t - a);
    (high, a - high)
}

/// The product of two doubles and its rounding error.
#[inline]
#[must_use]
pub fn two_product(a: f64, b: f64) -> (f64, f64) {
    let p = a * b;
    let (ah, al) = split(a);
    let (bh, bl) = split(b);
    (p, ((ah * bh - p) + ah * bl + al * bh) + al * bl)
}

impl Dd {
    /// Zero.
    pub const ZERO: Self = Self { hi: 0.0, lo: 0.0 };

    /// A double, exactly.
    #[must_use]
    pub const fn from_f64(value: f64) -> Self {
        Self { hi: value, lo: 0.0 }
    }

    /// Both doubles, for [`Self::from_parts`].
    #[must_use]
    pub const fn parts(self) -> [f64; 2] {
        [self.hi, self.lo]
    }

    /// From [`Self::parts`].
    #[must_use]
    pub const fn from_parts([hi, lo]: [f64; 2]) -> Self {
        Self { hi, lo }
    }

    /// The nearest double.
    #[must_use]
    #[inline]
    pub fn value(self) -> f64 {
        self.hi + self.lo
    }

    /// Whether it is exactly zero.
    #[must_use]
    #[inline]
    pub fn is_zero(self) -> bool {
        self.hi == 0.0 && self.lo == 0.0
    }

    /// Adds `hi + lo`.
    #[inline]
    fn add_pair(&mut self, hi: f64, lo: f64) {
        let (s, e) = two_sum(self.hi, hi);
        let e = e + (self.lo + lo);
        let (hi, lo) = (s + e, e - ((s + e) - s));
        self.hi = hi;
        self.lo = lo;
    }

    /// Adds a double.
    #[inline]
    pub fn add(&mut self, x: f64) {
        self.add_pair(x, 0.0);
    }

    /// Adds the exact product of two doubles.
    #[inline]
    pub fn add_product(&mut self, a: f64, b: f64) {
        let (p, e) = two_product(a, b);
        self.add_pair(p, e);
    }

    /// The difference `self - other`.
    #[must_use]
    #[inline]
    pub fn minus(mut self, other: Self) -> Self {
        self.add_pair(-other.hi, -other.lo);
        self
    }

    /// The product of two, good to about 31 digits.
    #[must_use]
    #[inline]
    pub fn times(self, other: Self) -> Self {
        let (p, e) = two_product(self.hi, other.hi);
        let e = e + (self.hi * other.lo + self.lo * other.hi);
        Self { hi: p + e, lo: e - ((p + e) - p) }
    }

    /// The quotient by a double, good to about 31 digits.
    #[must_use]
    #[inline]
    pub fn over(self, divisor: f64) -> Self {
        let q = self.hi / divisor;
        let (p, e) = two_product(q, divisor);
        let rest = ((self.hi - p) - e) + self.lo;
        let q2 = rest / divisor;
        Self { hi: q + q2, lo: q2 - ((q + q2) - q) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_can_be_taken_away() {
        let mut sum = Dd::ZERO;
        let values = [1e9, 3.7, -1e9, 0.1, 1e6, -2.5e-3];
        for v in values {
            sum.add(v);
            sum.add_product(v, v);
        }
        for v in values {
            sum.add(-v);
            sum.add_product(-v, v);
        }
        assert!(sum.value().abs() < 1e-12, "{sum:?}");
    }

    #[test]
    fn products_and_quotients() {
        let third = Dd::from_f64(1.0).over(3.0);
        let one = third.times(Dd::from_f64(3.0));
        assert!(one.minus(Dd::from_f64(1.0)).value().abs() < 1e-30);
        assert!(Dd::ZERO.is_zero());
    }
}
