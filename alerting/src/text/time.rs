//! Times as people read them, always with the name of their zone.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A time in a zone; times beyond those that have a date are taken as the epoch.
fn zoned(seconds: f64, zone: &TimeZone) -> Zoned {
    let milliseconds = if seconds.is_finite() { (seconds * 1000.0).round() as i64 } else { 0 };
    Timestamp::from_millisecond(milliseconds).unwrap_or_default().to_zoned(zone.clone())
}

/// `Sun 29 Nov 2026, 14:05:10 CET (Europe/Zurich)`.
#[must_use]
pub fn whole(seconds: f64, zone: &TimeZone) -> String {
    let time = zoned(seconds, zone);
    let text = time.strftime("%a %-d %b %Y, %H:%M:%S %Z").to_string();
    match zone.iana_name() {
        Some(name) if !text.ends_with(name) => format!("{text} ({name})"),
        _ => text,
    }
}

/// The time of day and its zone, `14:05:10 CET`; with the date if that is not the one of `now`.
#[must_use]
pub fn clock(seconds: f64, now: f64, zone: &TimeZone) -> String {
    let time = zoned(seconds, zone);
    let is_today = time.date() == zoned(now, zone).date();
    time.strftime(if is_today { "%H:%M:%S %Z" } else { "%a %-d %b, %H:%M:%S %Z" }).to_string()
}

/// As RFC 3339 has it, in UTC: for programs.
#[must_use]
pub fn rfc3339(seconds: f64) -> String {
    zoned(seconds, &TimeZone::UTC).timestamp().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_named() {
        let zurich = TimeZone::get("Europe/Zurich").unwrap();
        let at = 1_795_958_710.0;
        assert_eq!(whole(at, &TimeZone::UTC), "Sun 29 Nov 2026, 13:25:10 UTC");
        assert_eq!(whole(at, &zurich), "Sun 29 Nov 2026, 14:25:10 CET (Europe/Zurich)");
        assert_eq!(clock(at, at + 60.0, &zurich), "14:25:10 CET");
        assert_eq!(clock(at, at + 86_400.0, &zurich), "Sun 29 Nov, 14:25:10 CET");
        assert_eq!(rfc3339(at), "2026-11-29T13:25:10Z");
    }

    #[test]
    fn odd_times_have_a_text_too() {
        for odd in [f64::NAN, f64::INFINITY, -1e300, 1e300, 0.0] {
            assert!(whole(odd, &TimeZone::UTC).contains("1970"), "{odd}");
        }
    }
}
