//! Times as render questions write them: `-1h`, `noon_yesterday`, `20231101`, `1700000000`.
//!
//! A text is a number of seconds, or a reference with an offset: `reference[±offset]`. The reference is a time of day, a day,
//! or both; without one it is now. Quirks of Graphite that its users live with are kept: `12am` is noon, `12pm`
//! midnight, two digits of a year below 70 are of this century, months have 30 days and years 365.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Longest text of a time, bytes.
const MAX_TEXT: usize = 64;
/// The last second of the year 9999.
const LAST: i64 = 253_402_300_799;
/// The first second of the year 1.
const FIRST: i64 = -62_135_596_800;

/// A text that is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AtTimeError {
    /// The reference.
    #[error(
        "`{0}` is no time of day and no day: write 1700000000, -1h, 12:30_20231101, noon, monday or 11/01/2023"
    )]
    Reference(String),
    /// The offset.
    #[error("`{0}` is no offset: write -30s, -5min, -1h, -2d, -1w, -1mon or -1y")]
    Offset(String),
    /// Beyond the calendar.
    #[error("`{0}` is beyond the years 1 to 9999")]
    Range(String),
}

/// The time that `text` means at `now` in `zone`, seconds.
///
/// # Errors
/// It is no time.
pub fn parse(text: &str, now: i64, zone: &TimeZone) -> Result<i64, AtTimeError> {
    if text.len() > MAX_TEXT {
        return Err(AtTimeError::Reference(shortened(text)));
    }
    let text: String = text.trim().to_lowercase().chars().filter(|c| !matches!(c, '_' | ',' | ' ')).collect();
    if !text.is_empty() && is_digits(&text) && !is_compact_date(&text) {
        let seconds = text.parse().ok().filter(|s| *s <= LAST);
        return seconds.ok_or_else(|| AtTimeError::Range(shortened(&text)));
    }
    let at = text.find('+').or_else(|| text.find('-')).unwrap_or(text.len());
    let (reference, offset) = text.split_at(at);
    let start = self::reference(reference, now, zone)?;
    let seconds = self::offset(offset)?;
    start
        .checked_add(seconds)
        .filter(|s| (FIRST..=LAST).contains(s))
        .ok_or_else(|| AtTimeError::Range(shortened(&text)))
}

/// A zone by its name, as `tz` of a question has it; none for a name that is none.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
        return None;
    }
    TimeZone::get(name).ok()
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// Eight digits that can be a year, month and day are a date, not seconds.
fn is_compact_date(text: &str) -> bool {
    let part = |range| text.get(range).and_then(|t: &str| t.parse::<u32>().ok());
    let parts = (part(0..4), part(4..6), part(6..8));
    text.len() == 8
        && matches!(parts, (Some(year), Some(month), Some(day)) if year > 1900 && month < 13 && day < 32)
}

fn reference(text: &str, now: i64, zone: &TimeZone) -> Result<i64, AtTimeError> {
    if text.is_empty() || text == "now" {
        return Ok(now);
    }
    let wrong = || AtTimeError::Reference(shortened(text));
    let beyond = || AtTimeError::Range(shortened(text));
    let here = Timestamp::from_second(now).map_err(|_| beyond())?.to_zoned(zone.clone()).datetime();
    let (time, day) = time_of_day(text).ok_or_else(wrong)?;
    let date = date(day, here.date()).ok_or_else(wrong)?;
    let moment = DateTime::from_parts(date, time);
    // An hour that there is twice is the second one; one that there is not is as much later.
    let instant = zone.to_ambiguous_timestamp(moment).later().map_err(|_| beyond())?;
    Ok(instant.as_second())
}

/// A time of day at the beginning of a text, and what follows; midnight where there is none.
fn time_of_day(text: &str) -> Option<(Time, &str)> {
    for (word, hour) in [("noon", 12), ("midnight", 0), ("teatime", 16)] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some((at(hour, 0)?, rest));
        }
    }
    if let Some((hour, rest)) = text.split_once(':').filter(|(hour, _)| matches!(hour.len(), 1 | 2)) {
        let digits = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
        let (minute, rest) = rest.split_at(digits);
        let (afternoon, rest) = match (rest.strip_prefix("am"), rest.strip_prefix("pm")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => (false, rest),
        };
        return Some((at(hours(hour, afternoon)?, number(minute)?)?, rest));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if matches!(digits, 1 | 2) {
        let (hour, rest) = text.split_at(digits);
        if let Some(rest) = rest.strip_prefix("am") {
            return Some((at(hours(hour, false)?, 0)?, rest));
        }
        if let Some(rest) = rest.strip_prefix("pm") {
            return Some((at(hours(hour, true)?, 0)?, rest));
        }
    }
    Some((Time::midnight(), text))
}

fn hours(text: &str, afternoon: bool) -> Option<i8> {
    let hour = number(text)?;
    Some(if afternoon { (hour + 12) % 24 } else { hour })
}

fn number(text: &str) -> Option<i8> {
    (is_digits(text)).then(|| text.parse().ok()).flatten()
}

fn at(hour: i8, minute: i8) -> Option<Time> {
    Time::new(hour, minute, 0, 0).ok()
}

fn date(text: &str, today: Date) -> Option<Date> {
    match text {
        "" | "today" => return Some(today),
        "yesterday" => return today.yesterday().ok(),
        "tomorrow" => return today.tomorrow().ok(),
        _ => {}
    }
    if text.matches('/').count() == 2 {
        return with_slashes(text);
    }
    if text.len() == 8 && is_digits(text) {
        let part = |range| text.get(range).and_then(|t: &str| t.parse::<i16>().ok());
        return Date::new(part(0..4)?, narrow(part(4..6)?)?, narrow(part(6..8)?)?).ok();
    }
    let word = text.get(..3)?;
    if let Some(month) = MONTHS.iter().position(|m| *m == word) {
        let tail = text.bytes().rev().take(2).take_while(u8::is_ascii_digit).count();
        let day = text.get(text.len() - tail..).filter(|d| !d.is_empty()).and_then(number)?;
        return Date::new(today.year(), i8::try_from(month + 1).ok()?, day).ok();
    }
    let (_, weekday) = WEEKDAYS.iter().find(|(name, _)| *name == word)?;
    let back = weekday.until(today.weekday());
    today.checked_sub(i64::from(back).days()).ok()
}

/// Month, day and year.
fn with_slashes(text: &str) -> Option<Date> {
    let mut parts = text.split('/').map(|part| {
        let is_number = !part.is_empty() && is_digits(part);
        is_number.then(|| part.parse::<i16>().ok()).flatten()
    });
    let (month, day, year) = (parts.next()??, parts.next()??, parts.next()??);
    let year = if year < 1900 { year + 1900 } else { year };
    let year = if year < 1970 { year + 100 } else { year };
    Date::new(year, narrow(month)?, narrow(day)?).ok()
}

fn narrow(n: i16) -> Option<i8> {
    i8::try_from(n).ok()
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Units by how their names begin, seconds.
const UNITS: [(&str, i64); 7] = [
    ("s", 1),
    ("min", 60),
    ("h", 3_600),
    ("d", 86_400),
    ("w", 604_800),
    ("mon", 30 * 86_400),
    ("y", 365 * 86_400),
];

/// Seconds of `±1d12h`; a sign alone is none.
fn offset(text: &str) -> Result<i64, AtTimeError> {
    let wrong = || AtTimeError::Offset(shortened(text));
    let (sign, mut rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Ok(0),
    };
    let mut total = SignedDuration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let (_, seconds) = UNITS.iter().find(|(name, _)| unit.starts_with(name)).ok_or_else(wrong)?;
        let count: i64 = count.parse().map_err(|_| wrong())?;
        let part = count.checked_mul(*seconds).map(SignedDuration::from_secs).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = behind;
    }
    Ok(sign * total.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A Tuesday, 22:15:23 in UTC.
    const NOW: i64 = 1_700_000_123;

    #[test]
    fn times() {
        let check =
            |text: &str, expected: i64| assert_eq!(parse(text, NOW, &TimeZone::UTC), Ok(expected), "{text}");
        check("", NOW);
        check("-1d12h", NOW - 129_600);
        check("- 1 H", NOW - 3_600);
        check("12:30_20231101", 1_698_841_800);
        check("12am", 1_699_963_200);
        check("8:50pm_monday", 1_699_908_600);
        check("tuesday", 1_699_920_000);
        check("wed", 1_699_401_600);
        check("01/02/70", 86_400);
        check("20231345", 20_231_345);
    }

    #[test]
    fn hours_that_there_are_twice_or_not_at_all() {
        let zone = zone("Europe/Berlin").unwrap();
        let check = |text: &str, expected: i64| assert_eq!(parse(text, NOW, &zone), Ok(expected), "{text}");
        check("02:30_20231029", 1_698_543_000);
        check("02:30_20230326", 1_679_794_200);
    }

    #[test]
    fn what_is_none() {
        for text in [
            "-1m",
            "-h",
            "1.5h",
            "25:00",
            "24:00",
            "13/40/2023",
            "feb30",
            "jan",
            "-1d-1h",
            "bogus",
            "1:x",
            "é",
            "-9999999999y",
        ] {
            assert!(parse(text, NOW, &TimeZone::UTC).is_err(), "{text}");
        }
        assert!(parse("999999999999", NOW, &TimeZone::UTC).is_err());
        assert!(zone("../../etc/passwd").is_none() && zone("Nowhere/At_all").is_none());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+:/_ 0-9a-zé]{0,24}|\\PC{0,24}", now in -1_i64 << 40..1_i64 << 40) {
            drop(parse(&text, now, &TimeZone::UTC));
        }

        #[test]
        fn offsets_add_up(days in 0_i64..10_000, hours in 0_i64..10_000) {
            let text = format!("-{days}d{hours}hours");
            prop_assert_eq!(parse(&text, NOW, &TimeZone::UTC), Ok(NOW - days * 86_400 - hours * 3_600));
        }
    }
}
