//! Quantiles of Student's t distribution.

use statrs::function::beta::beta_reg;

/// Steps of the bisection: each halves the distance, 200 reach the last bit from any start.
const STEPS: u32 = 200;

/// The `t` beyond which a t-distributed number with `freedom` degrees of freedom lies with probability
/// `p` (0 < p < 0.5). Good to about 1e-11 relative.
#[must_use]
pub fn student_upper(p: f64, freedom: f64) -> f64 {
    // P(T > t) = I_x(freedom/2, 1/2) / 2 with x = freedom / (freedom + t²), falling in t.
    let beyond = |t: f64| 0.5 * beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t * t));
    let (mut low, mut high) = (1e-3, 1e8);
    for _ in 0..STEPS {
        let middle = f64::sqrt(low * high);
        if middle <= low || middle >= high {
            break;
        }
        if beyond(middle) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::sqrt(low * high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantiles() {
        let check = |n: f64, expected: f64| {
            let got = student_upper(0.05 / (2.0 * n), n - 2.0);
            assert!((got / expected - 1.0).abs() < 1e-10, "{n}: {got} {expected}");
        };
        check(3.0, 38.188_459_297_025_62);
        check(4.0, 8.860_200_034_654_3);
        check(5.0, 5.840_909_309_733_357);
        check(7.0, 4.381_752_962_166_306);
        check(10.0, 3.832_518_685_344_343);
        check(11.0, 3.751_314_664_796_826_7);
        check(20.0, 3.510_104_130_463_421_5);
        check(37.0, 3.482_892_132_398_127);
        check(100.0, 3.600_812_169_635_367);
        check(500.0, 3.922_337_128_152_046_5);
        check(1440.0, 4.153_148_190_828_615);
        check(2000.0, 4.224_716_205_671_493);
        check(5000.0, 4.421_709_440_850_887);
        check(8640.0, 4.536_854_663_719_031);
        check(20000.0, 4.709_493_582_540_176);
        check(131071.0, 5.078_237_559_247_332_6);
    }
}
