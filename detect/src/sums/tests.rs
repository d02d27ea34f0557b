//! The cheap way to a no, against two passes over the values; what is written, read back.

use super::*;
use proptest::prelude::*;

/// Sums of a window with a point a minute; its first hour ends after an hour, or after half of the points.
fn sums_of(values: &[f64], anchor: f64) -> Sums {
    let mut sums = Sums::anchored(Datapoint::new(0.0, anchor));
    for (i, value) in values.iter().enumerate() {
        let ts = 60.0 * i as f64;
        sums.add(ts, *value);
        if i < 60.min(values.len() / 2) {
            sums.add_to_hour(ts, *value);
        }
    }
    sums
}

/// Whether the cheap way says no, of the whole window and of all but the newest.
fn calm(sums: &Sums) -> (bool, bool) {
    let (n, s1, s2) = (f64::from(sums.n), sums.s1.value(), sums.s2.value());
    let y = sums.newest() - sums.anchor;
    (
        sums.is_calm(n, s1, s2, s2, sums.tail_average() - sums.anchor),
        sums.is_calm(n - 1.0, s1 - y, s2 - y * y, s2, y),
    )
}

/// By how many sample standard deviations of `values` `x` is away from their mean, in two passes.
fn deviations(values: &[f64], x: f64) -> f64 {
    // So that squares are neither infinite nor nothing.
    let scale = values.iter().fold(f64::MIN_POSITIVE, |max, v| max.max(v.abs()));
    let (n, mean) =
        (values.len() as f64, values.iter().map(|v| v / scale).sum::<f64>() / values.len() as f64);
    let squares: f64 = values.iter().map(|v| (v / scale - mean).powi(2)).sum();
    (x / scale - mean).abs() / (squares / (n - 1.0)).sqrt()
}

/// `stddev_from_moving_average` by its definition: how far the newest value is away, and whether that is yes.
fn weighted_deviations(values: &[f64]) -> f64 {
    let (mut w, mut w2, mut a1) = (0.0, 0.0, 0.0);
    let scale = values.iter().fold(f64::MIN_POSITIVE, |max, v| max.max(v.abs()));
    let weights: Vec<f64> = (0..values.len()).rev().map(|i| Q.powi(i as i32)).collect();
    for (weight, v) in weights.iter().zip(values) {
        w += weight;
        w2 += weight * weight;
        a1 += weight * v / scale;
    }
    let mean = a1 / w;
    let m2: f64 = weights.iter().zip(values).map(|(weight, v)| weight * (v / scale - mean).powi(2)).sum();
    let unbiased = m2 / w * (w * w) / (w * w - w2);
    (values.last().copied().unwrap_or_default() / scale - mean).abs() / unbiased.sqrt()
}

#[track_caller]
fn never_calm_where_it_is_not(values: &[f64], anchor: f64) {
    let sums = sums_of(values, anchor);
    let (whole, others) = calm(&sums);
    let Some((newest, before)) = values.split_last() else { return };
    assert!(!whole || deviations(values, sums.tail_average()) < 3.0, "window: {values:?} from {anchor}");
    assert!(!others || deviations(before, *newest) < 3.0, "all others: {values:?} from {anchor}");
    let hour = values.get(..sums.hour_n as usize).unwrap_or_default();
    let first = sums.first_hour_average();
    let away = deviations(hour, sums.tail_average());
    let is_near = (2.99..3.01).contains(&away) || hour.len() < 2;
    assert!(is_near || first != Check::Sure(false) || away < 3.0, "hour: {values:?} from {anchor}");
    let (moving, away) = (sums.stddev_from_moving_average(&Powers::default()), weighted_deviations(values));
    assert!(
        (2.99..3.01).contains(&away) || moving != Check::Sure(false) || away < 3.0,
        "moving average: {away} in {values:?} from {anchor}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    /// Values around any level, spread little or much, newest ones up to six deviations away, and sums
    /// anchored near or far.
    #[test]
    fn calm_is_what_two_passes_say(
        level in -130_i32..155,
        spread in -9_i32..6,
        far in -3.0..3.0,
        mut noise in prop::collection::vec(-1.0..1.0, 3..200),
        newest in prop::collection::vec(-6.0..6.0, 1..4),
    ) {
        noise.extend(newest);
        let level = 10_f64.powi(level);
        let spread = level * 10_f64.powi(spread);
        let values: Vec<f64> = noise.iter().map(|x| level + spread * x).collect();
        let anchor = level + far * spread.max(level);
        never_calm_where_it_is_not(&values, values[0]);
        never_calm_where_it_is_not(&values, anchor);
        let sums = sums_of(&values, values[0]);
        if !calm(&sums).0 && (1e-130..1e150).contains(&spread) && spread > 1e-6 * level {
            prop_assert!(deviations(&values, sums.tail_average()) > 2.9, "the cheap way is not taken");
        }
    }
}

#[test]
fn nothing_is_calm_that_cannot_be_told() {
    let wave: Vec<f64> = (0..300).map(|i| f64::from(i % 7)).collect();
    assert_eq!(calm(&sums_of(&wave, 0.0)), (true, true));
    for odd in [f64::INFINITY, 1e154, 1e200, 1e300, f64::MAX] {
        let mut values = wave.clone();
        values[100] = odd;
        values.push(odd);
        assert_eq!(calm(&sums_of(&values, 0.0)), (false, false), "{odd}");
    }
    assert_eq!(calm(&sums_of(&[5.0; 300], 4.0)), (false, false), "no spread");
    let small: Vec<f64> = wave.iter().map(|v| v * 1e-160).collect();
    assert_eq!(calm(&sums_of(&small, 0.0)), (false, false), "squares are rounded to nothing");
    // Of steps this small beside the level, the usual computation sees little but rounding.
    for (step, is_calm) in [(0.125, false), (1e3, false), (1e5, true)] {
        let steps: Vec<f64> = (0..300).map(|i| 1e15 + step * f64::from(i % 2)).collect();
        assert_eq!(calm(&sums_of(&steps, 1e15)), (is_calm, is_calm), "steps of {step}");
    }
    // Just where a product is infinite and another is not yet.
    let (large, larger) = (1.338_807e152, 2.679_532_8e152);
    let around = |n: i32, level: f64, by: f64| {
        (0..n).map(move |i| level * if i % 2 == 0 { 1.0 + by } else { 1.0 - by })
    };
    let mut values: Vec<f64> = around(97, large, 0.005).collect();
    values.extend([1.05 * large; 3]);
    never_calm_where_it_is_not(&values, 0.0);
    let mut values: Vec<f64> = around(199, larger, 0.001).collect();
    values.push(1.01 * larger);
    never_calm_where_it_is_not(&values, 0.0);
}

#[test]
fn what_is_written_is_read() {
    let (ts, values): (Vec<f64>, Vec<f64>) =
        (0..500).map(|i| (f64::from(i) * 60.0, f64::from(i * 37 % 101) / 7.0)).unzip();
    let mut sums = Sums::rebuild(WindowView::new(&ts, &values), 3_600.0);
    sums.evicted = 7;
    sums.tainted = true;
    let mut bytes = Vec::new();
    sums.encode(&mut bytes);
    let read = Sums::decode(&bytes).unwrap();
    assert_eq!(format!("{read:?}"), format!("{sums:?}"));
    for cut in 0..bytes.len() {
        assert!(Sums::decode(&bytes[..cut]).is_none(), "{cut} bytes");
    }
    bytes.push(0);
    assert!(Sums::decode(&bytes).is_none(), "a byte too many");
}
