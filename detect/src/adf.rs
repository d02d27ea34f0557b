//! Augmented Dickey–Fuller test as statsmodels' `adfuller` makes it: constant term, at most ten lags, lag
//! by AIC over common rows, then the statistic on all rows that lag allows.

use crate::vote::lanes;

/// Most lags tried.
const MAX_LAG: usize = 10;
/// Statistic at which MacKinnon's approximate p-value (constant, small p) is 0.05.
const CRITICAL: f64 = -2.861_592_763_096_976_6;
/// Fewer points: the library refuses ten lags.
const LEAST: usize = 24;
/// What is left of a column, relative to it, below which it depends on the others.
const DEPENDENT: f64 = 1e-13;
/// Ratio of singular values of the design at which the reference's solver drops the smaller.
const RANK_CUT: f64 = 1e-15;
/// What is left of the steps' squares, relative to them, below which a fit is perfect.
const PERFECT: f64 = 1e-20;

/// Whether a unit root is refused at 5 %: the series returns to its level. Series for which the
/// test has no defined answer (constant, exactly linear, perfectly fitted) are not.
#[must_use]
pub fn is_stationary(series: &[f64], workspace: &mut Workspace) -> bool {
    statistic(series, workspace).is_some_and(|statistic| statistic < CRITICAL)
}

/// The test's statistic; `None` where it is not defined.
fn statistic(series: &[f64], workspace: &mut Workspace) -> Option<f64> {
    if series.len() < LEAST {
        return None;
    }
    let lag = workspace.best_lag(series, Design::Full)?;
    workspace.level_statistic(series, lag, Design::Full)
}

/// Reused buffers: orthonormal columns of a design, one after the other.
#[derive(Debug, Default)]
pub struct Workspace {
    basis: Vec<f64>,
    /// The steps, less what the columns so far explain of them.
    rest: Vec<f64>,
    /// Sum of squares of the steps.
    whole: f64,
}

impl Workspace {
    /// Begins a regression of the steps of `series` (each value less the one before) from `first` on.
    fn begin(&mut self, series: &[f64], first: usize) {
        self.basis.clear();
        self.rest.clear();
        self.rest.extend(steps(series).skip(first));
        self.whole = dot(&self.rest, &self.rest);
    }

    /// Adds a column and takes what it explains from the steps. The length that earlier columns
    /// had left of it and the steps' coefficient on that rest; `None` if nothing was left.
    fn add(&mut self, column: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
        let (rows, at) = (self.rest.len(), self.basis.len());
        self.basis.extend(column.take(rows));
        let (basis, column) = self.basis.split_at_mut_checked(at)?;
        let before = norm(column);
        // Twice is enough for orthogonality to the last bits.
        for _ in 0..2 {
            for unit in basis.chunks_exact(rows) {
                let along = dot(unit, column);
                subtract(column, unit, along);
            }
        }
        let left = norm(column);
        if left <= DEPENDENT * before {
            self.basis.truncate(at);
            return None;
        }
        column.iter_mut().for_each(|x| *x /= left);
        let along = dot(column, &self.rest);
        subtract(&mut self.rest, column, along);
        Some((left, along / left))
    }

    /// Adds the constant, unless the level is to stand for it.
    fn add_constant(&mut self, design: Design) -> Option<()> {
        match design {
            Design::Full => self.add(std::iter::repeat(1.0)).map(|_| ()),
            Design::LevelAlone => Some(()),
        }
    }

    /// The lag with the least AIC over the rows that all lags have; the smaller of two equal ones.
    fn best_lag(&mut self, series: &[f64], design: Design) -> Option<usize> {
        self.begin(series, MAX_LAG);
        self.add_constant(design)?;
        let level = series.iter().skip(MAX_LAG).copied();
        let (left, _) = self.add(level.clone())?;
        if design == Design::Full && is_one_constant(left, level.take(self.rest.len())) {
            return self.best_lag(series, Design::LevelAlone);
        }
        let (rows, mut rank) = (self.rest.len() as f64, design.columns());
        let mut best: Option<(f64, usize)> = None;
        // The fit with one more lag is the last one with one more column.
        for lag in 0..=MAX_LAG {
            if lag > 0 && self.add(steps(series).skip(MAX_LAG - lag)).is_some() {
                rank += 1.0;
            }
            let left = dot(&self.rest, &self.rest);
            if left <= PERFECT * self.whole || rows <= rank {
                return None;
            }
            let aic = rows * ((std::f64::consts::TAU * left / rows).ln() + 1.0) + 2.0 * rank;
            if best.is_none_or(|(least, _)| aic < least) {
                best = Some((aic, lag));
            }
        }
        best.map(|(_, lag)| lag)
    }

    /// The t value of the level's coefficient with `lag` lags, over all rows that they allow.
    fn level_statistic(&mut self, series: &[f64], lag: usize, design: Design) -> Option<f64> {
        self.begin(series, lag);
        self.add_constant(design)?;
        let mut rank = design.columns();
        for back in 1..=lag {
            if self.add(steps(series).skip(lag - back)).is_some() {
                rank += 1.0;
            }
        }
        let rows = self.rest.len();
        let level = series.iter().skip(lag).take(rows).copied();
        // Last, so that what is left of it gives its coefficient and error.
        let (left, coefficient) = self.add(level.clone())?;
        if design == Design::Full && is_one_constant(left, level) {
            return self.level_statistic(series, lag, Design::LevelAlone);
        }
        let (squares, free) = (dot(&self.rest, &self.rest), rows as f64 - rank);
        if squares <= PERFECT * self.whole || free <= 0.0 {
            return None;
        }
        Some(coefficient * left / (squares / free).sqrt())
    }
}

/// Which columns are in a regression besides the lags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Design {
    /// Constant and level.
    Full,
    /// The level alone: so large beside its changes that the reference's solver, which drops singular
    /// values below a share of the largest, leaves of the two one column, the level.
    LevelAlone,
}

impl Design {
    const fn columns(self) -> f64 {
        match self {
            Self::Full => 2.0,
            Self::LevelAlone => 1.0,
        }
    }
}

/// Whether level and constant are one column to the reference's solver; `left`: length of the
/// level's column beside the others.
fn is_one_constant(left: f64, level: impl ExactSizeIterator<Item = f64>) -> bool {
    let rows = level.len() as f64;
    left / rows.sqrt() <= RANK_CUT * (1.0 + level.map(|x| x * x).sum::<f64>() / rows)
}

fn steps(series: &[f64]) -> impl Iterator<Item = f64> {
    series.iter().zip(series.iter().skip(1)).map(|(a, b)| b - a)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    lanes::sum_pairs(a, b, |x, y| x * y)
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn subtract(from: &mut [f64], unit: &[f64], times: f64) {
    for (x, u) in from.iter_mut().zip(unit) {
        *x -= times * u;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize) -> Vec<f64> {
        let mut seed = 7_u32;
        (0..n)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(seed >> 8) / f64::from(1 << 24) - 0.5
            })
            .collect()
    }

    #[test]
    fn noise_is_stationary_and_its_sum_is_not() {
        let white = noise(300);
        assert!(is_stationary(&white, &mut Workspace::default()));
        let walk: Vec<f64> = white
            .iter()
            .scan(0.0, |sum, x| {
                Some({
                    *sum += x;
                    *sum
                })
            })
            .collect();
        assert!(!is_stationary(&walk, &mut Workspace::default()));
    }

    #[track_caller]
    fn check(series: impl IntoIterator<Item = f64>, expected: bool) {
        let series: Vec<f64> = series.into_iter().collect();
        assert_eq!(is_stationary(&series, &mut Workspace::default()), expected, "{series:?}");
    }

    #[test]
    fn degenerate_series_are_not() {
        check([3.0; 100], false);
        check((0..100).map(f64::from), false);
        check((0..100).map(|i| 0.1 * f64::from(i)), false);
        check((0..100).map(|i| f64::from(i % 2)), false);
        check((0..100).map(|i| f64::from(i % 5)), false);
        check([5.0].into_iter().chain([1.0; 99]), false);
        check(noise(23), false);
        check(noise(24), statistic(&noise(24), &mut Workspace::default()).is_some_and(|s| s < CRITICAL));
    }

    /// Statistics that statsmodels 0.15 gives.
    #[test]
    fn statistics_of_the_reference() {
        let check = |level: f64, scale: f64, slope: f64, expected: f64| {
            let series: Vec<f64> =
                noise(200).iter().zip(0..).map(|(x, i)| level + scale * (x + slope * f64::from(i))).collect();
            let got = statistic(&series, &mut Workspace::default()).unwrap();
            assert!((got / expected - 1.0).abs() < 1e-6, "{level} {scale} {slope}: {got} {expected}");
        };
        check(0.0, 1.0, 0.0, -15.976_179_444_077_799);
        check(100.0, 5.0, 0.0, -15.976_179_444_077_784);
        check(1e6, 1.0, 0.0, -15.976_179_443_497_305);
        check(1e6, 1.0, -0.01, -0.222_113_107_892_996_1);
        check(1e9, 1e5, 0.0, -15.976_179_444_097_23);
        // Level and constant are one column.
        check(1e9, 1.0, 0.0, -0.292_710_073_362_314);
        check(1e9, 1.0, -0.05, -7.284_445_122_809_418_5);
        check(-1e9, 1.0, -0.05, 7.284_445_062_935_663);
        check(1e9, 1.0, 0.05, 7.089_657_595_609_665_5);
    }
}
