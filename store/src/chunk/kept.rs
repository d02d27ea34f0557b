//! What is kept of a series beside its points, as one number: snapshots and open chunks hold it.

/// See the fields. As a number: `counter_until`, with its sign turned if the newest point was filled in; then minus zero is
/// one that is no counter. Who does not know the sign reads a time that has passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    /// Until when it is a counter, seconds; minus infinity: it is none.
    pub counter_until: f64,
    /// Nobody has sent its newest point yet: it was filled in, or comes from another program's windows.
    pub is_newest_filled: bool,
}

impl Kept {
    /// Of a series of which nothing is known.
    pub const NOTHING: Self = Self { counter_until: f64::NEG_INFINITY, is_newest_filled: false };

    /// The number.
    #[must_use]
    pub const fn pack(self) -> f64 {
        match self.is_newest_filled {
            true if self.counter_until > 0.0 => -self.counter_until,
            true => -0.0,
            false => self.counter_until,
        }
    }

    /// Of the number.
    #[must_use]
    pub const fn unpack(number: f64) -> Self {
        if number.is_sign_negative() && number.is_finite() {
            let counter_until = if number == 0.0 { f64::NEG_INFINITY } else { -number };
            return Self { counter_until, is_newest_filled: true };
        }
        Self { counter_until: number, is_newest_filled: false }
    }

    /// Of a series that is here, and elsewhere with older points only (`is_newest_here`) or with newer ones.
    #[must_use]
    pub const fn with(self, elsewhere: Self, is_newest_here: bool) -> Self {
        let newest = if is_newest_here { self } else { elsewhere };
        Self { counter_until: self.counter_until.max(elsewhere.counter_until), ..newest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back() {
        for counter_until in [f64::NEG_INFINITY, 1.5, 1.7e9] {
            for is_newest_filled in [false, true] {
                let kept = Kept { counter_until, is_newest_filled };
                assert_eq!(Kept::unpack(kept.pack()), kept);
            }
        }
        // As older files have it, whatever stands there.
        for number in [f64::NEG_INFINITY, 0.0, 1.7e9, f64::INFINITY] {
            assert_eq!(Kept::unpack(number), Kept { counter_until: number, is_newest_filled: false });
        }
        assert!(!Kept::unpack(f64::NAN).is_newest_filled && !Kept::unpack(-f64::NAN).is_newest_filled);
    }

    #[test]
    fn the_newest_point_says_whether_it_was_sent() {
        let sent = Kept { counter_until: 5.0, is_newest_filled: false };
        let filled = Kept { counter_until: 7.0, is_newest_filled: true };
        assert_eq!(sent.with(filled, true), Kept { counter_until: 7.0, is_newest_filled: false });
        assert_eq!(sent.with(filled, false), Kept { counter_until: 7.0, is_newest_filled: true });
        assert_eq!(filled.with(sent, true), filled);
    }
}
