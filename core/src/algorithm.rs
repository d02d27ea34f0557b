//! The nine detection algorithms and sets of them.

/// One of the nine algorithms, in the shipped order (cheap and often-firing first).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Algorithm {
    /// The tail average lies in a thinly populated bin of fifteen.
    HistogramBins = 0,
    /// The tail average is three deviations from the mean of the first hour.
    FirstHourAverage,
    /// The tail average is three deviations from the mean of the window.
    StddevFromAverage,
    /// Grubbs' test for one high outlier.
    Grubbs,
    /// Two-sample Kolmogorov–Smirnov distance of the last ten minutes from the hour before.
    KsTest,
    /// The last value is three deviations from the mean of all others.
    MeanSubtractionCumulation,
    /// The last value is six median absolute deviations from the median.
    MedianAbsoluteDeviation,
    /// The last value is three exponentially weighted deviations from that mean.
    StddevFromMovingAverage,
    /// The last three residuals of a straight line are three deviations from it.
    LeastSquares,
}

impl Algorithm {
    /// All nine, in the shipped order.
    pub const ALL: [Self; 9] = [
        Self::HistogramBins,
        Self::FirstHourAverage,
        Self::StddevFromAverage,
        Self::Grubbs,
        Self::KsTest,
        Self::MeanSubtractionCumulation,
        Self::MedianAbsoluteDeviation,
        Self::StddevFromMovingAverage,
        Self::LeastSquares,
    ];

    /// The reference's name, as used in settings, databases and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HistogramBins => "histogram_bins",
            Self::FirstHourAverage => "first_hour_average",
            Self::StddevFromAverage => "stddev_from_average",
            Self::Grubbs => "grubbs",
            Self::KsTest => "ks_test",
            Self::MeanSubtractionCumulation => "mean_subtraction_cumulation",
            Self::MedianAbsoluteDeviation => "median_absolute_deviation",
            Self::StddevFromMovingAverage => "stddev_from_moving_average",
            Self::LeastSquares => "least_squares",
        }
    }

    /// The algorithm with that [`Algorithm::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
    }
}

/// A set of algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// No algorithm.
    pub const EMPTY: Self = Self(0);
    /// All nine.
    pub const ALL: Self = Self(0x1ff);

    /// The set whose [`AlgorithmSet::bits`] are `bits`; unknown bits are dropped.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Bit `n` stands for the algorithm with number `n`.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Adds one.
    pub const fn insert(&mut self, algorithm: Algorithm) {
        self.0 |= 1 << algorithm as u16;
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << algorithm as u16) != 0
    }

    /// How many are in the set.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members in the shipped order.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |a| self.contains(*a))
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        let mut set = Self::EMPTY;
        for algorithm in algorithms {
            set.insert(algorithm);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_names() {
        for a in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(a.name()), Some(a));
        }
        let set: AlgorithmSet = [Algorithm::Grubbs, Algorithm::HistogramBins].into_iter().collect();
        assert_eq!(set.len(), 2);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Algorithm::HistogramBins, Algorithm::Grubbs]);
        assert_eq!(Algorithm::ALL.into_iter().collect::<AlgorithmSet>(), AlgorithmSet::ALL);
    }
}
