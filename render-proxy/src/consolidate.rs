//! Many values become one.

/// How values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consolidation {
    /// Their mean.
    #[default]
    Average,
    /// Their mean, with missing ones as 0.
    AverageZero,
    /// Their sum.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The first.
    First,
    /// The last.
    Last,
    /// The one in the middle, or the mean of the two.
    Median,
    /// Their product.
    Multiply,
    /// The first less all others.
    Diff,
    /// Their standard deviation.
    StdDev,
    /// The largest less the smallest.
    Range,
    /// How many there are.
    Count,
}

impl Consolidation {
    /// By a name of Graphite.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "average" | "avg" => Self::Average,
            "avg_zero" => Self::AverageZero,
            "sum" | "total" => Self::Sum,
            "min" => Self::Min,
            "max" => Self::Max,
            "first" => Self::First,
            "last" | "current" => Self::Last,
            "median" => Self::Median,
            "multiply" => Self::Multiply,
            "diff" => Self::Diff,
            "stddev" => Self::StdDev,
            "range" | "rangeOf" => Self::Range,
            "count" => Self::Count,
            _ => return None,
        })
    }

    /// One value of many; missing ones are left out. None if none is there, or fewer than the share `least` of all.
    #[must_use]
    pub fn of(self, values: &[Option<f64>], least: f64) -> Option<f64> {
        self.of_group(values, values.len(), least)
    }

    /// The same of a group that should have `size` values: `least` is a share of those.
    #[must_use]
    pub fn of_group(self, values: &[Option<f64>], size: usize, least: f64) -> Option<f64> {
        let there: Vec<f64> = values.iter().flatten().copied().collect();
        let n = there.len() as f64;
        if there.is_empty() || n / (size.max(1) as f64) < least {
            return None;
        }
        let sum = there.iter().sum::<f64>();
        let min = || there.iter().copied().fold(f64::INFINITY, f64::min);
        let max = || there.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(match self {
            Self::Average => sum / n,
            Self::AverageZero => sum / values.len() as f64,
            Self::Sum => sum,
            Self::Min => min(),
            Self::Max => max(),
            Self::First => *there.first()?,
            Self::Last => *there.last()?,
            Self::Median => median(there)?,
            Self::Multiply => there.iter().product(),
            Self::Diff => there.iter().copied().reduce(|a, b| a - b)?,
            Self::StdDev => (there.iter().map(|v| (v - sum / n).powi(2)).sum::<f64>() / n).sqrt(),
            Self::Range => max() - min(),
            Self::Count => n,
        })
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((values.get(middle.checked_sub(1)?)? + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_one() {
        let values = [Some(4.0), None, Some(1.0), Some(3.0)];
        let check = |name: &str, expected: f64| {
            assert_eq!(Consolidation::named(name).unwrap().of(&values, 0.0), Some(expected), "{name}");
        };
        check("average", 8.0 / 3.0);
        check("avg_zero", 2.0);
        check("sum", 8.0);
        check("min", 1.0);
        check("max", 4.0);
        check("first", 4.0);
        check("last", 3.0);
        check("median", 3.0);
        check("multiply", 12.0);
        check("diff", 0.0);
        check("range", 3.0);
        check("count", 3.0);
        assert_eq!(Consolidation::Sum.of(&values, 0.75), Some(8.0));
        assert_eq!(Consolidation::Sum.of(&values, 0.76), None);
        assert_eq!(Consolidation::Sum.of_group(&values, 6, 0.51), None);
        assert_eq!(Consolidation::Sum.of(&[None], 0.0), None);
        assert_eq!(Consolidation::Sum.of(&[], 0.0), None);
        assert_eq!(Consolidation::named("mode"), None);
    }
}
