//! Sums over a slice in eight independent lanes, so that one addition need not wait for the last.
//!
//! The order of operations is fixed: each lane takes every eighth value, the lanes are added in
//! pairs, then what the last incomplete eight hold. No multiplication is fused with an addition.

/// Values taken at once.
const LANES: usize = 8;

/// Sum of `term` over the values.
pub(crate) fn sum(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += term(*value);
        }
    }
    folded(lanes) + rest.iter().map(|v| term(*v)).sum::<f64>()
}

/// Sum of `term` over pairs of two slices; the longer one is cut.
pub(crate) fn sum_pairs(a: &[f64], b: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let (chunks_a, rest_a) = a.as_chunks::<LANES>();
    let (chunks_b, rest_b) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (chunk_a, chunk_b) in chunks_a.iter().zip(chunks_b) {
        for ((lane, x), y) in lanes.iter_mut().zip(chunk_a).zip(chunk_b) {
            *lane += term(*x, *y);
        }
    }
    folded(lanes) + rest_a.iter().zip(rest_b).map(|(x, y)| term(*x, *y)).sum::<f64>()
}

/// Sums of `term` over the values and of its squares.
pub(crate) fn sum_and_squares(values: &[f64], term: impl Fn(f64) -> f64) -> (f64, f64) {
    sum_and_squares_of_pairs(values, values, |v, _| term(v))
}

/// Sums of `term` over pairs of two slices and of its squares; the longer slice is cut.
pub(crate) fn sum_and_squares_of_pairs(a: &[f64], b: &[f64], term: impl Fn(f64, f64) -> f64) -> (f64, f64) {
    let (chunks_a, rest_a) = a.as_chunks::<LANES>();
    let (chunks_b, rest_b) = b.as_chunks::<LANES>();
    let (mut plain, mut squared) = ([0.0; LANES], [0.0; LANES]);
    for (chunk_a, chunk_b) in chunks_a.iter().zip(chunks_b) {
        for (((plain, squared), x), y) in plain.iter_mut().zip(&mut squared).zip(chunk_a).zip(chunk_b) {
            let term = term(*x, *y);
            *plain += term;
            *squared += term * term;
        }
    }
    let (mut sum, mut squares) = (folded(plain), folded(squared));
    for (x, y) in rest_a.iter().zip(rest_b) {
        let term = term(*x, *y);
        sum += term;
        squares += term * term;
    }
    (sum, squares)
}

/// Sum of `weight * term(value)`, where the newest (last) value weighs 1 and each older one `q` times the
/// one after it.
pub(crate) fn sum_fading(values: &[f64], q: f64, term: impl Fn(f64) -> f64) -> f64 {
    let (rest, chunks) = values.as_rchunks::<LANES>();
    let (mut weights, mut step) = ([0.0; LANES], 1.0);
    for weight in weights.iter_mut().rev() {
        *weight = step;
        step *= q;
    }
    let mut lanes = [0.0; LANES];
    for chunk in chunks.iter().rev() {
        for ((lane, weight), value) in lanes.iter_mut().zip(&mut weights).zip(chunk) {
            *lane += *weight * term(*value);
            *weight *= step;
        }
    }
    let rest = rest.iter().rev().zip(weights.iter().rev()).map(|(v, weight)| weight * term(*v));
    folded(lanes) + rest.sum::<f64>()
}

/// Smallest and largest value and the sum; `None` if there is no value, or the sum is not finite.
pub(crate) fn survey(values: &[f64]) -> Option<(f64, f64, f64)> {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut low = [f64::INFINITY; LANES];
    let mut high = [f64::NEG_INFINITY; LANES];
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (((low, high), sum), value) in low.iter_mut().zip(&mut high).zip(&mut sums).zip(chunk) {
            *low = if value < low { *value } else { *low };
            *high = if value > high { *value } else { *high };
            *sum += value;
        }
    }
    let low = low.into_iter().chain(rest.iter().copied()).fold(f64::INFINITY, f64::min);
    let high = high.into_iter().chain(rest.iter().copied()).fold(f64::NEG_INFINITY, f64::max);
    let sum = folded(sums) + rest.iter().sum::<f64>();
    (low <= high && sum.is_finite()).then_some((low, high, sum))
}

/// Smallest and largest value; `None` if there is none, or a NaN or an infinity among them.
pub(crate) fn range(values: &[f64]) -> Option<(f64, f64)> {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut low = [f64::INFINITY; LANES];
    let mut high = [f64::NEG_INFINITY; LANES];
    // Zero as long as every value is finite.
    let mut odd = [0.0; LANES];
    for chunk in chunks {
        for (((low, high), odd), value) in low.iter_mut().zip(&mut high).zip(&mut odd).zip(chunk) {
            *low = if value < low { *value } else { *low };
            *high = if value > high { *value } else { *high };
            *odd += *value * 0.0;
        }
    }
    let low = low.into_iter().chain(rest.iter().copied()).fold(f64::INFINITY, f64::min);
    let high = high.into_iter().chain(rest.iter().copied()).fold(f64::NEG_INFINITY, f64::max);
    let finite = folded(odd) == 0.0 && rest.iter().all(|v| v.is_finite());
    (low <= high && finite).then_some((low, high))
}

fn folded([a, b, c, d, e, f, g, h]: [f64; LANES]) -> f64 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges() {
        let check = |values: &[f64], expected| assert_eq!(range(values), expected, "{values:?}");
        check(&[], None);
        check(&[2.0], Some((2.0, 2.0)));
        check(&[3.0, -1.0, 2.0], Some((-1.0, 3.0)));
        check(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0, 8.0], Some((0.0, 9.0)));
        check(&[1.0, f64::NAN], None);
        check(&[f64::INFINITY], None);
        check(&[0.0, 1.0, f64::NEG_INFINITY, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0], None);
        check(&[f64::MAX, f64::MIN], Some((f64::MIN, f64::MAX)));
    }

    proptest! {
        /// Whole numbers add up exactly in any order.
        #[test]
        fn lanes_add_up(values in prop::collection::vec(-1000_i32..1000, 0..70)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            prop_assert_eq!(sum(&values, |v| v * 2.0), values.iter().map(|v| v * 2.0).sum::<f64>());
            let about_one = values.iter().fold((0.0, 0.0), |(s, q), v| (s + v - 1.0, q + (v - 1.0) * (v - 1.0)));
            prop_assert_eq!(sum_and_squares(&values, |v| v - 1.0), about_one);
            prop_assert_eq!(sum_pairs(&values, &values, |a, b| a * b), values.iter().map(|v| v * v).sum::<f64>());
            let fading: f64 = values.iter().rev().zip(0..).map(|(v, age)| v * 0.5_f64.powi(age)).sum();
            let got = sum_fading(&values, 0.5, |v| v);
            prop_assert!((got - fading).abs() <= 1e-9, "{} {}", got, fading);
            prop_assert_eq!(survey(&values), range(&values).map(|(l, h)| (l, h, values.iter().sum())));
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert_eq!(range(&values).map(|r| r.0), values.first().map(|_| low));
        }
    }
}
