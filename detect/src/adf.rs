//! Augmented Dickey–Fuller test as statsmodels' `adfuller` makes it: constant term, at most ten lags, lag
//! by AIC over common rows, then the statistic on all rows that lag allows.

/// Most lags tried.
const MAX_LAG: usize = 10;
/// Statistic at which MacKinnon's approximate p-value (constant, small p) is 0.05.
const CRITICAL: f64 = -2.861_592_763_096_976_6;
/// Fewer points: the library refuses ten lags.
const LEAST: usize = 24;
/// What is left of a column, relative to it, below which it depends on the others.
const DEPENDENT: f64 = 1e-10;

/// Whether a unit root is refused at 5 %: the series returns to its level. Series for which the
/// test has no defined answer (constant, exactly linear, perfectly fitted) are not.
#[must_use]
pub fn is_stationary(series: &[f64]) -> bool {
    if series.len() < LEAST {
        return false;
    }
    let steps: Vec<f64> = series.iter().zip(series.iter().skip(1)).map(|(a, b)| b - a).collect();
    let mut best: Option<(f64, usize)> = None;
    for lag in 0..=MAX_LAG {
        let Some(fit) = Fit::of(series, &steps, lag, MAX_LAG) else { return false };
        let rows = fit.rows as f64;
        let aic = rows * ((std::f64::consts::TAU * fit.ssr / rows).ln() + 1.0) + 2.0 * fit.rank as f64;
        if best.is_none_or(|(least, _)| aic < least) {
            best = Some((aic, lag));
        }
    }
    let Some((_, lag)) = best else { return false };
    let Some(fit) = Fit::of(series, &steps, lag, lag) else { return false };
    let variance = fit.ssr / (fit.rows - fit.rank) as f64;
    fit.level_coefficient / (variance.sqrt() / fit.level_norm) < CRITICAL
}

/// Least squares of the steps on a constant, `lag` earlier steps, and the level.
struct Fit {
    rows: usize,
    rank: usize,
    ssr: f64,
    level_coefficient: f64,
    /// Length of the level's column that the others do not explain.
    level_norm: f64,
}

impl Fit {
    /// Rows `first..`; `None`: degenerate.
    fn of(series: &[f64], steps: &[f64], lag: usize, first: usize) -> Option<Self> {
        let rows = steps.len().checked_sub(first)?;
        let mut columns: Vec<Vec<f64>> = vec![vec![1.0; rows]];
        for back in 1..=lag {
            columns.push(steps.get(first - back..steps.len() - back)?.to_vec());
        }
        columns.push(series.get(first..first + rows)?.to_vec());
        let mut rest = steps.get(first..)?.to_vec();
        let whole: f64 = rest.iter().map(|y| y * y).sum();
        // Gram–Schmidt with the level last: what is left of it gives its coefficient and error.
        let mut basis: Vec<Vec<f64>> = Vec::new();
        let mut level = None;
        let last = columns.len() - 1;
        for (i, mut column) in columns.into_iter().enumerate() {
            let before = norm(&column);
            for _ in 0..2 {
                for unit in &basis {
                    let along = dot(unit, &column);
                    subtract(&mut column, unit, along);
                }
            }
            let left = norm(&column);
            if left <= DEPENDENT * before {
                if i == last {
                    return None;
                }
                continue;
            }
            for x in &mut column {
                *x /= left;
            }
            let along = dot(&column, &rest);
            subtract(&mut rest, &column, along);
            if i == last {
                level = Some((along / left, left));
            }
            basis.push(column);
        }
        let ssr: f64 = rest.iter().map(|y| y * y).sum();
        let (level_coefficient, level_norm) = level?;
        if ssr <= 1e-20 * whole || rows <= basis.len() {
            return None;
        }
        Some(Self { rows, rank: basis.len(), ssr, level_coefficient, level_norm })
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
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
        assert!(is_stationary(&white));
        let walk: Vec<f64> = white.iter().scan(0.0, |sum, x| Some({ *sum += x; *sum })).collect();
        assert!(!is_stationary(&walk));
    }

    #[test]
    fn degenerate_series_are_not() {
        assert!(!is_stationary(&[3.0; 100]));
        assert!(!is_stationary(&(0..100).map(f64::from).collect::<Vec<_>>()));
        assert!(!is_stationary(&noise(23)));
    }
}
