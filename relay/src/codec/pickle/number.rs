//! Numbers of a pickle: text integers, text floats, two's complement of any length.

use super::item::Item;
use skyline_core::line;

/// Digits of a text integer at most. A double holds 309; more only costs time.
const MAX_DIGITS: usize = 1_000;

/// Bytes of text at most that are tried as a number where a string stands for one.
const MAX_NUMBER_TEXT: usize = 1_024;

/// A decimal integer of any size as the nearest double; `None` if it is not one.
pub(super) fn integer(text: &[u8]) -> Option<Item> {
    let text = text.trim_ascii();
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    line::float(text).map(finite)
}

/// The line of opcode `I`: an integer, or one of the two booleans of protocol 0.
pub(super) fn integer_or_bool(text: &[u8]) -> Option<Item> {
    match text {
        b"00" => Some(Item::Number(0.0)),
        b"01" => Some(Item::Number(1.0)),
        _ => integer(text),
    }
}

/// The line of opcode `F`.
pub(super) fn float(text: &[u8]) -> Option<Item> {
    line::float(text.trim_ascii()).map(Item::Number)
}

/// A string where a number is due (JVM reporters send values so).
pub(super) fn of_text(text: &[u8]) -> Option<f64> {
    if text.len() > MAX_NUMBER_TEXT {
        return None;
    }
    let blank = |b: &u8| matches!(b, b' ' | 0x09..=0x0d);
    let start = text.iter().position(|b| !blank(b))?;
    let end = text.iter().rposition(|b| !blank(b))?;
    line::float(text.get(start..=end)?)
}

/// A little-endian two's complement integer as the nearest double, ties to even.
pub(super) fn long(bytes: &[u8]) -> Item {
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    // Bytes that only repeat the sign are not part of the size.
    let used = bytes.iter().rposition(|b| *b != fill).map_or(0, |last| last + 1);
    let Some(bytes) = bytes.get(..used) else { return Item::Huge };
    if bytes.len() < 16 {
        let mut whole = [fill; 16];
        for (to, from) in whole.iter_mut().zip(bytes) {
            *to = *from;
        }
        return Item::Number(i128::from_le_bytes(whole) as f64);
    }
    // The magnitude from its top byte down: 64 bits that count, the rest only as "not zero".
    let mut magnitude = [0_u8; 130];
    if bytes.len() >= magnitude.len() {
        return Item::Huge;
    }
    let mut carry = negative;
    for (i, to) in magnitude.iter_mut().enumerate() {
        let from = bytes.get(i).copied().unwrap_or(fill);
        (*to, carry) = if negative { (!from).overflowing_add(u8::from(carry)) } else { (from, false) };
    }
    let top = magnitude.iter().rposition(|b| *b != 0).unwrap_or(0);
    let low = top.saturating_sub(8);
    let mut head: u128 = 0;
    for b in magnitude.get(low..=top).unwrap_or_default().iter().rev() {
        head = (head << 8) | u128::from(*b);
    }
    let rest = magnitude.get(..low).unwrap_or_default().iter().any(|b| *b != 0);
    // 65 bits or more stand above the lowest one, so that it can say "and something more".
    let value = (head | u128::from(rest)) as f64 * power_of_two(low as u32 * 8);
    finite(if negative { -value } else { value })
}

fn power_of_two(exponent: u32) -> f64 {
    f64::from_bits((1023 + u64::from(exponent.min(1024))) << 52)
}

fn finite(value: f64) -> Item {
    if value.is_finite() { Item::Number(value) } else { Item::Huge }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_numbers() {
        let check = |text: &str, want: Option<Item>| assert_eq!(integer(text.as_bytes()), want, "{text}");
        check("0", Some(Item::Number(0.0)));
        check("-12345678901234", Some(Item::Number(-12_345_678_901_234.0)));
        check("+5", Some(Item::Number(5.0)));
        check("9007199254740993", Some(Item::Number(9_007_199_254_740_992.0)));
        check(&"9".repeat(400), Some(Item::Huge));
        check(&"9".repeat(1_001), None);
        for bad in ["", "-", "abc", "1.5", "1e5", "0x10", "--1", "+-1", "1_0", "inf", "nan"] {
            check(bad, None);
        }
        assert_eq!(integer_or_bool(b"01"), Some(Item::Number(1.0)));
        assert_eq!(of_text(b" 7\t\r\n"), Some(7.0));
        for bad in [&b""[..], b"  ", b"x", b"1_000", b"0x10", &[b'1'; 2_000]] {
            assert_eq!(of_text(bad), None);
        }
    }

    #[test]
    fn two_complement_of_any_length() {
        let check = |bytes: &[u8], want: f64| assert_eq!(long(bytes), Item::Number(want), "{bytes:?}");
        check(b"", 0.0);
        check(b"\xff", -1.0);
        check(b"\x00\x80", -32_768.0);
        check(b"\x40\xe2\x01\x00", 123_456.0);
        check(&[0xff; 300], -1.0);
        check(&[&[0_u8; 16][..], &[1]].concat(), 2_f64.powi(128));
        check(&[&[0_u8; 16][..], &[0x80]].concat(), -(2_f64.powi(135)));
        check(&[&[0_u8; 127][..], &[0x40]].concat(), 2_f64.powi(1022));
        check(&[&[0_u8; 127][..], &[0x80, 0]].concat(), 2_f64.powi(1023));
        assert_eq!(long(&[&[0_u8; 128][..], &[1]].concat()), Item::Huge);
        assert_eq!(long(&[0x7f; 1_024]), Item::Huge);
        // Ties go to even, and one bit far below decides otherwise.
        let mut tie = [&[0_u8; 20][..], &[0, 4, 0, 0, 0, 0, 0, 0x80, 0]].concat();
        check(&tie, 2_f64.powi(160 + 63));
        tie[0] = 1;
        check(&tie, 2_f64.powi(160 + 63) + 2_f64.powi(160 + 11));
    }

    proptest! {
        #[test]
        fn long_agrees_with_the_text_of_the_same_number(n: i128, zeros in 0_usize..40) {
            let mut bytes = vec![0; zeros];
            bytes.extend_from_slice(&n.to_le_bytes());
            let want = n as f64 * 2_f64.powi(8 * zeros as i32);
            prop_assert_eq!(long(&bytes), Item::Number(want));
        }
    }
}
