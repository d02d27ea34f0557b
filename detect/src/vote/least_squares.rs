//! The mean of the last three residuals of a straight line is more than three deviations away.

use super::moments;
use skyline_store::view::WindowView;

/// Residuals and their deviation below this never count: the reference rounds them to zero.
const LEAST: f64 = 0.5;

/// See the module. Over a short time span the reference's solver drops the slope; so does this.
#[must_use]
pub fn judge(view: WindowView<'_>) -> bool {
    let n = view.len();
    if n < 3 || view.values.iter().any(|v| !v.is_finite()) {
        return false;
    }
    let count = n as f64;
    let (mean_x, sxx, _) = moments(view.ts);
    let (mean_y, _, _) = moments(view.values);
    let spread = (sxx / count).sqrt();
    let keeps_slope = spread / (mean_x * mean_x + spread * spread + 1.0) > f64::EPSILON / 2.0;
    let slope = if keeps_slope {
        let sxy: f64 = view.ts.iter().zip(view.values).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        sxy / sxx
    } else {
        0.0
    };
    let residual = |x: f64, y: f64| (y - mean_y) - slope * (x - mean_x);
    let sum: f64 = view.ts.iter().zip(view.values).map(|(x, y)| residual(*x, *y)).sum();
    let mean = sum / count;
    let m2: f64 = view
        .ts
        .iter()
        .zip(view.values)
        .map(|(x, y)| {
            let e = residual(*x, *y) - mean;
            e * e
        })
        .sum();
    let std = (m2 / count).sqrt();
    let ([.., x0, x1, x2], [.., y0, y1, y2]) = (view.ts, view.values) else { return false };
    let tail = ((residual(*x2, *y2) + residual(*x1, *y1)) + residual(*x0, *y0)) / 3.0;
    tail.abs() > 3.0 * std && std >= LEAST && tail.abs() >= LEAST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_breaks() {
        let ts: Vec<f64> = (0..300).map(|i| 1_700_000_000.0 + 60.0 * f64::from(i)).collect();
        let mut values: Vec<f64> = (0..300).map(|i| f64::from(i) + f64::from(i % 7)).collect();
        assert!(!judge(WindowView::new(&ts, &values)));
        for value in values.iter_mut().rev().take(3) {
            *value += 200.0;
        }
        assert!(judge(WindowView::new(&ts, &values)));
        let small: Vec<f64> = values.iter().map(|v| v / 1000.0).collect();
        assert!(!judge(WindowView::new(&ts, &small)), "absolute cut-off");
    }
}
