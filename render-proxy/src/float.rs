//! Numbers as Graphite's JSON and legends write them.

/// Appends a number: the shortest digits that mean it, `1.0` for whole ones, an exponent below 1e-4 and from 1e16,
/// `null` for NaN, and a number that readers take for infinity.
pub fn append(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("null");
        return;
    }
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "1e9999" } else { "-1e9999" });
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value);
    let size = value.abs();
    let is_plain = size == 0.0 || (1e-4..1e16).contains(&size);
    match text.split_once('e') {
        // `{:?}` would write small ones with an exponent, `{}` writes none.
        Some(_) if is_plain => {
            out.push_str(&value.to_string());
            if value.fract() == 0.0 {
                out.push_str(".0");
            }
        }
        None if is_plain => out.push_str(text),
        _ => {
            let plain = format!("{value:e}");
            let (digits, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            out.push_str(&format!("{digits}e{sign}{exponent:0>2}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: f64) -> String {
        let mut out = String::new();
        append(&mut out, value);
        out
    }

    #[test]
    fn numbers() {
        let check = |value: f64, expected: &str| assert_eq!(written(value), expected);
        check(1.0, "1.0");
        check(-0.0, "-0.0");
        check(0.1, "0.1");
        check(41.004_705_882_352_944, "41.004705882352944");
        check(123_456_789_012_345_680.0, "1.2345678901234568e+17");
        check(1e15, "1000000000000000.0");
        check(1e16, "1e+16");
        check(0.0001, "0.0001");
        check(0.000_012_5, "1.25e-05");
        check(5e-324, "5e-324");
        check(f64::INFINITY, "1e9999");
        check(f64::NEG_INFINITY, "-1e9999");
        check(f64::NAN, "null");
    }

    proptest! {
        #[test]
        fn they_come_back(value in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
            prop_assert_eq!(written(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
