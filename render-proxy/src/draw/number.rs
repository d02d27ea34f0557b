//! Numbers as a chart writes them.

/// From here on a number is written with an exponent.
const LARGEST: f64 = 1e15;
/// Below this too.
const SMALLEST: f64 = 1e-4;

/// Thousands and their letters, largest first.
const UNITS: [(f64, &str); 4] = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];

/// A value in four or so digits: `812`, `45.12`, `1.235 M`, `-2.5e-7`.
#[must_use]
pub fn short(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "not a number".to_owned();
    }
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(SMALLEST..LARGEST).contains(&size) {
        return exponent(value, 3);
    }
    if size < 1e6 && value.fract() == 0.0 {
        return sign(format!("{value:.0}"));
    }
    // What would be rounded to a thousand of a unit is one of the next.
    let unit = UNITS.iter().find(|(from, _)| size >= *from * 0.999_95 && size >= 1e5);
    let (scaled, letter) = unit.map_or((value, ""), |(from, letter)| (value / from, *letter));
    let before = scaled.abs().log10().floor() as i32 + 1;
    let decimals = (4 - before).clamp(0, 7) as usize;
    sign(format!("{}{letter}", trimmed(format!("{scaled:.decimals$}"))))
}

/// A value with an exponent and at most so many decimals.
fn exponent(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    sign(format!("{}e{power}", trimmed(digits.to_owned())))
}

/// Without noughts that say nothing.
fn trimmed(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// With the sign that is as wide as a digit.
fn sign(text: String) -> String {
    match text.strip_prefix('-') {
        Some("0") => "0".to_owned(),
        Some(rest) => format!("\u{2212}{rest}"),
        None => text,
    }
}

/// Labels of ticks that are `step` apart: all in one unit, and with as many decimals as tell them apart.
pub(super) fn ticks(values: &[f64], step: f64) -> Vec<String> {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if largest == 0.0 || step <= 0.0 {
        return values.iter().map(|value| short(*value)).collect();
    }
    let decimals = |step: f64| (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize;
    if !(SMALLEST..LARGEST).contains(&largest) || step < 1e-9 {
        let power = largest.log10().floor();
        let places = (power - (step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize;
        let label = |value: &f64| if *value == 0.0 { "0".to_owned() } else { exponent(*value, places) };
        return values.iter().map(label).collect();
    }
    let unit = UNITS.iter().find(|(from, _)| largest >= *from && largest >= 1e4);
    let (from, letter) = unit.map_or((1.0, ""), |(from, letter)| (*from, *letter));
    let places = decimals(step / from);
    let label = |value: &f64| {
        if *value == 0.0 { "0".to_owned() } else { sign(format!("{:.places$}{letter}", value / from)) }
    };
    values.iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        #[track_caller]
        fn check(value: f64, expected: &str) {
            assert_eq!(short(value), expected);
        }
        check(0.0, "0");
        check(-0.0, "0");
        check(812.0, "812");
        check(123_456.0, "123456");
        check(45.1234, "45.12");
        check(99.999_99, "100");
        check(0.001_234_5, "0.001234");
        check(1_234_567.0, "1.235 M");
        check(123_456.7, "123.5 k");
        check(-2.5e-7, "\u{2212}2.5e-7");
        check(1e300, "1e300");
        check(1e-300, "1e-300");
        check(999_999_990.0, "1 G");
        check(999_000_000.0, "999 M");
        check(-5e14, "\u{2212}500 T");
        check(f64::NAN, "not a number");
    }

    #[test]
    fn ticks_are_told_apart() {
        #[track_caller]
        fn check(values: &[f64], step: f64, expected: &[&str]) {
            assert_eq!(ticks(values, step), expected);
        }
        check(&[0.0, 50.0, 100.0], 50.0, &["0", "50", "100"]);
        check(&[0.0, 0.5, 1.0], 0.5, &["0", "0.5", "1.0"]);
        check(&[0.0, 5000.0, 10_000.0], 5000.0, &["0", "5 k", "10 k"]);
        check(&[-1e6, -5e5, 0.0], 5e5, &["\u{2212}1.0 M", "\u{2212}0.5 M", "0"]);
        check(&[1e300, 1.5e300], 5e299, &["1e300", "1.5e300"]);
        check(&[1e-7, 2e-7], 1e-7, &["1e-7", "2e-7"]);
        check(&[1_000_000.1, 1_000_000.2], 0.1, &["1.0000001 M", "1.0000002 M"]);
    }
}
