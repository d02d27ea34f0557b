//! Times, lengths of time and texts of others, as commands take and print them.

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// A length of time as people write it: `90s`, `15m`, `2h`, `1d`, `1w`; seconds. A number alone is refused: who types
/// `--for 2` rarely means seconds.
pub(super) fn length(text: &str) -> Result<u32, String> {
    const FORM: &str = "write it as in 15m, 2h, 1d or 1w";
    let (number, unit) = match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => return Err(FORM.to_owned()),
    };
    let unit = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(FORM.to_owned()),
    };
    let number: u32 = number.parse().map_err(|_| FORM.to_owned())?;
    number.checked_mul(unit).filter(|seconds| *seconds > 0).ok_or_else(|| FORM.to_owned())
}

/// A moment as people write it: unix seconds, `2026-12-01T08:00:00Z`, or `2026-12-01 08:00` in `zone`.
pub(super) fn moment(text: &str, zone: &str) -> anyhow::Result<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(seconds);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_second());
    }
    let form = || {
        format!(
            "`{}` is no time: write it as in 2026-12-01T08:00:00Z, or as in \"2026-12-01 08:00\"",
            harmless(text)
        )
    };
    let local: jiff::civil::DateTime = text.parse().with_context(form)?;
    let zone = TimeZone::get(zone).with_context(|| format!("alerting.zone: {zone}"))?;
    Ok(local.to_zoned(zone).with_context(form)?.timestamp().as_second())
}

/// A time of an answer, in whole seconds.
pub(super) fn shown(value: Option<&Value>) -> String {
    let seconds = value.and_then(Value::as_f64).unwrap_or(0.0);
    Timestamp::from_second(seconds as i64).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}

/// Text of strangers on a terminal: nothing in it acts.
pub(super) fn harmless(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if acts(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// A text of an answer, harmless and at most so many characters long.
pub(super) fn text(value: Option<&Value>, most: usize) -> String {
    let text = harmless(value.and_then(Value::as_str).unwrap_or_default());
    if text.chars().count() <= most {
        return text;
    }
    let head: String = text.chars().take(most.saturating_sub(3)).collect();
    format!("{head}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, expected) in
            [("90s", 90), ("15m", 900), ("15min", 900), ("2h", 7_200), ("1d", 86_400), ("2w", 1_209_600)]
        {
            assert_eq!(length(text), Ok(expected), "{text}");
        }
        for bad in ["", "0", "90", "0s", "h", "1y", "-1h", "99999999w", "1.5h"] {
            assert!(length(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments() {
        let check = |text: &str, zone: &str, expected: i64| {
            assert_eq!(moment(text, zone).unwrap(), expected, "{text}")
        };
        check("1796040000", "UTC", 1_796_040_000);
        check("2026-11-30T12:00:00Z", "Europe/Berlin", 1_796_040_000);
        check("2026-11-30 13:00", "Europe/Berlin", 1_796_040_000);
        assert!(moment("tomorrow", "UTC").unwrap_err().to_string().contains("is no time"));
    }

    #[test]
    fn texts_of_strangers() {
        assert_eq!(harmless("a\u{1b}[2J\u{202e}\nü"), "a\\u{1b}[2J\\u{202e}\\nü");
        assert_eq!(text(Some(&Value::from("abcdefgh")), 6), "abc...");
        assert_eq!(text(None, 6), "");
    }
}
