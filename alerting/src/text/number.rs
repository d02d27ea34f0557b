//! Numbers and durations that are read at a glance.

/// A number with about four digits that matter, thousands apart; very large and very small ones with an exponent.
#[must_use]
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "no number".into() } else { sign(value, "infinity") };
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".into();
    }
    if !(1e-4..1e15).contains(&size) {
        return exponent(value);
    }
    let before = size.log10().floor() as i32 + 1;
    let decimals = usize::try_from(4 - before).unwrap_or(0);
    let text = format!("{size:.decimals$}");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = part.trim_end_matches('0');
    let dot = if part.is_empty() { "" } else { "." };
    sign(value, &format!("{}{dot}{part}", grouped(whole)))
}

/// `value` with three digits and an exponent: `1.23e-9`.
fn exponent(value: f64) -> String {
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let digits = if digits.contains('.') {
                digits.trim_end_matches('0').trim_end_matches('.')
            } else {
                digits
            };
            format!("{digits}e{exponent}")
        }
        None => text,
    }
}

fn sign(value: f64, text: &str) -> String {
    if value < 0.0 { format!("-{text}") } else { text.to_owned() }
}

fn grouped(digits: &str) -> String {
    if digits.len() <= 4 {
        return digits.to_owned();
    }
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with all its digits, as a program reads it.
#[must_use]
pub fn exact(value: f64) -> String {
    format!("{value}")
}

/// A duration in its two largest units: `2 d 3 h`, `35 min`, `12 s`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let all = if seconds.is_finite() { seconds.max(0.0).round() as u64 } else { 0 };
    let (days, hours, minutes, rest) = (all / 86_400, all / 3600 % 24, all / 60 % 60, all % 60);
    let two = |first: u64, unit: &str, second: u64, smaller: &str| match second {
        0 => format!("{first} {unit}"),
        second => format!("{first} {unit} {second} {smaller}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, 1..=4) => two(minutes, "min", rest, "s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => two(hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}

/// The length of a window in whole units: `24 hours`, `7 days`, `90 minutes`.
#[must_use]
pub fn length(seconds: u32) -> String {
    const DAY: u32 = 86_400;
    let (count, unit) = match seconds {
        s if s > DAY && s.is_multiple_of(DAY) => (s / DAY, "day"),
        s if s >= 3600 && s.is_multiple_of(3600) => (s / 3600, "hour"),
        s if s > 0 && s < DAY && s.is_multiple_of(60) => (s / 60, "minute"),
        s => return duration(f64::from(s)),
    };
    counted(u64::from(count), unit, &format!("{unit}s"))
}

/// `1 metric`, `3 metrics`.
#[must_use]
pub fn counted(count: u64, one: &str, several: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {several}", grouped(&count.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let check = |value: f64, expected: &str| assert_eq!(short(value), expected);
        check(0.0, "0");
        check(98.4, "98.4");
        check(98.456_789, "98.46");
        check(0.1 + 0.2, "0.3");
        check(1234.5, "1234");
        check(12_345.678, "12,346");
        check(-1_234_567.0, "-1,234,567");
        check(0.000_123_456, "0.0001235");
        check(1e-9, "1e-9");
        check(1.234e20, "1.23e20");
        check(1e20, "1e20");
        check(9999.9, "10,000");
        check(0.999_99, "1");
        check(f64::NAN, "no number");
        check(f64::NEG_INFINITY, "-infinity");
        check(f64::MAX, "1.8e308");
        check(f64::MIN_POSITIVE, "2.23e-308");
    }

    #[test]
    fn durations_have_two_units() {
        let check = |seconds: f64, expected: &str| assert_eq!(duration(seconds), expected);
        check(0.2, "0 s");
        check(59.0, "59 s");
        check(90.0, "1 min 30 s");
        check(120.0, "2 min");
        check(2100.0, "35 min");
        check(3600.0, "1 h");
        check(3661.0, "1 h 1 min");
        check(86_400.0 * 2.0 + 3600.0 * 3.0, "2 d 3 h");
        check(-5.0, "0 s");
        check(f64::NAN, "0 s");
    }

    #[test]
    fn lengths_are_in_whole_units() {
        let check = |seconds: u32, expected: &str| assert_eq!(length(seconds), expected);
        check(86_400, "24 hours");
        check(604_800, "7 days");
        check(3_600, "1 hour");
        check(43_200, "12 hours");
        check(1_800, "30 minutes");
        check(5_400, "90 minutes");
        check(60, "1 minute");
        check(90, "1 min 30 s");
        check(90_000, "25 hours");
        check(0, "0 s");
    }

    #[test]
    fn one_is_not_several() {
        assert_eq!(counted(1, "metric", "metrics"), "1 metric");
        assert_eq!(counted(12_000, "metric", "metrics"), "12,000 metrics");
    }
}
