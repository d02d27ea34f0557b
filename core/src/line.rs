//! One line of Graphite's plaintext protocol, `name SP value SP timestamp`: the form in which a
//! batch carries its points from the socket through the journal to the destinations.
//!
//! Numbers are read as Python's `float()` reads them (carbon does), without underscores and
//! without non-ASCII digits; blanks are ASCII only. Source: carbon:lib/carbon/protocols.py.

use crate::reject::Reject;
use std::io::Write;

/// One parsed line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line<'a> {
    /// First field, as received; UTF-8.
    pub name: &'a [u8],
    /// Second field, as received.
    pub value_text: &'a [u8],
    /// Third field, as received.
    pub ts_text: &'a [u8],
    /// The value; may be infinite, never NaN.
    pub value: f64,
    /// Seconds since the epoch; finite. An integer part of -1 means "time of receipt".
    pub ts: f64,
}

/// Whether `b` separates fields: space, TAB, CR, VT or FF.
const fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// Reads a number as Python's `float()` does: sign, digits with at most one point, exponent, or
/// `inf`, `infinity`, `nan` in any case.
#[must_use]
pub fn float(text: &[u8]) -> Option<f64> {
    let unsigned = match text {
        [b'+', rest @ ..] => {
            if matches!(rest.first(), Some(b'+' | b'-')) {
                return None;
            }
            rest
        }
        _ => text,
    };
    fast_float2::parse(unsigned).ok()
}

/// Whole seconds in 1 to 15 plain digits: what nearly every sender writes as the timestamp.
fn whole(text: &[u8]) -> Option<f64> {
    if text.is_empty() || text.len() > 15 {
        return None;
    }
    let mut n: u64 = 0;
    for b in text {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        n = n * 10 + u64::from(digit);
    }
    Some(n as f64)
}

/// Reads a line that has exactly one space between its fields and no other blank, the form that
/// can be forwarded as it is. `None` means "not that form", not "bad": ask [`parse`].
///
/// The caller has checked that the bytes hold no TAB, CR, VT or FF and are UTF-8.
#[must_use]
#[inline]
pub fn parse_plain(line: &[u8]) -> Option<Line<'_>> {
    let space = memchr::memchr(b' ', line)?;
    let (name, rest) = line.split_at(space);
    let rest = rest.get(1..)?;
    let space = rest.iter().position(|b| *b == b' ')?;
    let (value_text, ts_text) = rest.split_at(space);
    let ts_text = ts_text.get(1..)?;
    let ts = whole(ts_text)?;
    let value: f64 = fast_float2::parse(value_text).ok()?;
    if name.is_empty() || value.is_nan() {
        return None;
    }
    Some(Line { name, value_text, ts_text, value, ts })
}

/// Reads a line in any accepted form; `line` is without its LF.
///
/// # Errors
/// The reason for which the line is not taken.
pub fn parse(line: &[u8]) -> Result<Line<'_>, Reject> {
    let mut fields = line.split(|b| is_blank(*b)).filter(|field| !field.is_empty());
    let (Some(name), Some(value_text), Some(ts_text), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Reject::Fields);
    };
    if !name.is_ascii() && std::str::from_utf8(name).is_err() {
        return Err(Reject::Name);
    }
    let value = float(value_text).ok_or(Reject::Value)?;
    let ts = float(ts_text).ok_or(Reject::Time)?;
    if value.is_nan() {
        return Err(Reject::NanValue);
    }
    if !ts.is_finite() {
        return Err(Reject::Time);
    }
    Ok(Line { name, value_text, ts_text, value, ts })
}

/// Whether a timestamp asks to be replaced by the time of receipt: its integer part is -1.
#[must_use]
pub fn wants_stamp(ts: f64) -> bool {
    ts.trunc() == -1.0
}

/// Appends the shortest text that reads back as the same double.
pub fn write_number(value: f64, out: &mut Vec<u8>) {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        // Without the ".0" that ryu adds: carbon and people write whole numbers so. Keeps "-0".
        if value == 0.0 && value.is_sign_negative() {
            out.push(b'-');
        }
        write_whole(value as i64, out);
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
    } else {
        out.extend_from_slice(ryu::Buffer::new().format(value).as_bytes());
    }
}

/// Appends `value` with six digits behind the point, as C's `%f` does, if that reads back as the same double; else
/// as [`write_number`].
pub fn write_six_digits(value: f64, out: &mut Vec<u8>) {
    let start = out.len();
    let written = write!(out, "{value:.6}").is_ok();
    let text = out.get(start..).unwrap_or_default();
    if !written || !value.is_finite() || float(text) != Some(value) {
        out.truncate(start);
        write_number(value, out);
    }
}

fn write_whole(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        if let Some(slot) = digits.get_mut(at) {
            *slot = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn taken(line: &str, name: &str, value: f64, ts: f64) {
        let got = parse(line.as_bytes()).unwrap();
        assert_eq!((got.name, got.value, got.ts), (name.as_bytes(), value, ts), "{line:?}");
    }

    #[track_caller]
    fn refused(line: &[u8], why: Reject) {
        assert_eq!(parse(line).unwrap_err(), why, "{}", String::from_utf8_lossy(line));
    }

    #[test]
    fn lines_that_count() {
        taken("a.b 1.5 1700000000", "a.b", 1.5, 1_700_000_000.0);
        taken("  a.b\t1e3 \x0b 1700000000.5\r", "a.b", 1000.0, 1_700_000_000.5);
        taken("a +.5 +5.", "a", 0.5, 5.0);
        taken("a INFINITY -1", "a", f64::INFINITY, -1.0);
        taken("a -inf 1e9", "a", f64::NEG_INFINITY, 1e9);
        taken("größe 0 0", "größe", 0.0, 0.0);
        taken("a\0b 1 2", "a\0b", 1.0, 2.0);
        taken("a 007 0010", "a", 7.0, 10.0);
    }

    #[test]
    fn lines_that_do_not() {
        for line in ["", "a", "a 1", "a 1 2 3", "   "] {
            refused(line.as_bytes(), Reject::Fields);
        }
        for value in ["x", "1_000", "0x10", "1e", ".", "-", "+-1", "++1", "1,5", "１"] {
            refused(format!("a {value} 1").as_bytes(), Reject::Value);
        }
        for ts in ["N", "now", "1_0", "inf", "nan", ""] {
            let why = if ts.is_empty() { Reject::Fields } else { Reject::Time };
            refused(format!("a 1 {ts}").as_bytes(), why);
        }
        refused(b"a nan 1", Reject::NanValue);
        refused(b"a\xff 1 1", Reject::Name);
    }

    #[test]
    fn numbers_are_written_with_six_digits_where_nothing_is_lost() {
        let check = |value: f64, text: &str| {
            let mut out = Vec::new();
            write_six_digits(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        };
        check(1.0, "1.000000");
        check(-2.45, "-2.450000");
        check(6.0025, "6.002500");
        check(1e20, "100000000000000000000.000000");
        check(1.0 / 3.0, "0.3333333333333333");
        check(1e-9, "1e-9");
        check(f64::NEG_INFINITY, "-inf");
    }

    #[test]
    fn numbers_are_written_short() {
        let check = |value: f64, text: &str| {
            let mut out = Vec::new();
            write_number(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        };
        check(1_700_000_000.0, "1700000000");
        check(1.5, "1.5");
        check(-0.0, "-0");
        check(1e300, "1e300");
        check(f64::INFINITY, "inf");
        check(-42.0, "-42");
    }

    proptest! {
        #[test]
        fn written_numbers_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            let mut out = Vec::new();
            write_number(value, &mut out);
            prop_assert_eq!(float(&out).map(f64::to_bits), Some(bits));
        }

        #[test]
        fn the_fast_form_agrees_with_the_full_one(line in "[a-z. ]{0,8} [0-9.e+-]{0,6} [0-9]{0,12} ?") {
            if let Some(fast) = parse_plain(line.as_bytes()) {
                prop_assert_eq!(parse(line.as_bytes()), Ok(fast));
            }
        }
    }
}
