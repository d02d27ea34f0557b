//! An anomaly in one sentence.

use skyline_core::anomaly::Anomaly;

/// Why it is one, in a sentence without its metric:
/// `value 950 is 12.3 deviations above its mean 100 over 24 h; 7 of 9 algorithms agree`.
#[must_use]
pub fn sentence(anomaly: &Anomaly) -> String {
    let judged = anomaly.judged_value;
    let what = if anomaly.counter {
        format!("increase {} (to {})", short(judged), exact(anomaly.point.value))
    } else {
        format!("value {}", exact(judged))
    };
    let over = span(anomaly.point.ts - anomaly.window_from);
    let mean = short(anomaly.mean);
    let difference = judged - anomaly.mean;
    let deviations = difference / anomaly.stddev;
    let side = if difference < 0.0 { "below" } else { "above" };
    let comparison = if anomaly.mean.is_nan() {
        // As in an imported database, or where the window holds what is no number.
        format!("has no known mean to compare it with over {over}")
    } else if !difference.is_finite() {
        format!("cannot be compared with its mean {mean} over {over}")
    } else if anomaly.stddev > 0.0 && deviations.is_finite() {
        if deviations.abs() < 0.05 {
            format!("is at its mean {mean} over {over}")
        } else {
            format!("is {:.1} deviations {side} its mean {mean} over {over}", deviations.abs())
        }
    } else if difference == 0.0 {
        format!("is at its mean {mean} over {over}")
    } else {
        format!("is {} {side} its mean {mean} over {over}", short(difference.abs()))
    };
    let (triggered, asked) = (anomaly.triggered.len(), anomaly.asked.len());
    format!("{what} {comparison}; {triggered} of {asked} algorithms agree")
}

/// A number as it was sent, with all its digits.
fn exact(n: f64) -> String {
    let is_plain = !n.is_finite() || n == 0.0 || (1e-5..1e15).contains(&n.abs());
    if is_plain { n.to_string() } else { format!("{n:e}") }
}

/// A number with six significant digits.
fn short(n: f64) -> String {
    exact(format!("{n:.5e}").parse().unwrap_or(n))
}

/// A length of time as a person says it.
fn span(seconds: f64) -> String {
    let of = |unit: f64, name: &str| {
        let n = (seconds / unit * 10.0).round() / 10.0;
        format!("{n} {name}")
    };
    match seconds {
        s if !s.is_finite() || s < 0.0 => "its window".to_owned(),
        s if s < 120.0 => of(1.0, "s"),
        s if s < 7_200.0 => of(60.0, "min"),
        s if s < 48.5 * 3_600.0 => of(3_600.0, "h"),
        _ => of(86_400.0, "days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_core::algorithm::{Algorithm, AlgorithmSet};
    use skyline_core::point::Datapoint;

    fn anomaly(judged: f64, mean: f64, stddev: f64) -> Anomaly {
        Anomaly {
            metric: "a.b".to_owned(),
            point: Datapoint::new(86_340.0, judged),
            judged_value: judged,
            received: 86_341.0,
            asked: AlgorithmSet::ALL,
            triggered: Algorithm::ALL.into_iter().take(7).collect(),
            mean,
            stddev,
            window_from: 0.0,
            window_points: 1440,
            full_duration: 86_400,
            counter: false,
            seq: 1,
        }
    }

    #[test]
    fn sentences() {
        let check = |anomaly: &Anomaly, expected: &str| {
            assert_eq!(sentence(anomaly), format!("{expected} over 24 h; 7 of 9 algorithms agree"));
        };
        check(&anomaly(950.0, 100.0, 69.106), "value 950 is 12.3 deviations above its mean 100");
        check(&anomaly(-2.5, 100.25, 10.0), "value -2.5 is 10.3 deviations below its mean 100.25");
        check(&anomaly(101.0, 100.0, 0.0), "value 101 is 1 above its mean 100");
        check(&anomaly(100.0, 100.0, 0.0), "value 100 is at its mean 100");
        check(&anomaly(100.0, 100.0, 5.0), "value 100 is at its mean 100");
        check(&anomaly(1.0, f64::NAN, f64::NAN), "value 1 has no known mean to compare it with");
        check(
            &anomaly(1.0 / 3.0, 2e20, 1e19),
            "value 0.3333333333333333 is 20.0 deviations below its mean 2e20",
        );
        let counter = Anomaly {
            counter: true,
            point: Datapoint::new(86_340.0, 5_000_017.0),
            ..anomaly(950.0, 100.0, 100.0)
        };
        check(&counter, "increase 950 (to 5000017) is 8.5 deviations above its mean 100");
    }

    #[test]
    fn spans() {
        let check = |seconds, expected: &str| assert_eq!(span(seconds), expected);
        check(0.0, "0 s");
        check(90.0, "90 s");
        check(1_000.0, "16.7 min");
        check(86_340.0, "24 h");
        check(7.0 * 86_400.0, "7 days");
        check(f64::NAN, "its window");
        check(-1.0, "its window");
    }

    #[test]
    fn numbers() {
        let check = |n, expected: &str| assert_eq!(short(n), expected);
        check(950.0, "950");
        check(1_234_567.0, "1234570");
        check(0.000_012_345_678, "0.0000123457");
        check(1.5e-9, "1.5e-9");
        check(f64::INFINITY, "inf");
    }
}
