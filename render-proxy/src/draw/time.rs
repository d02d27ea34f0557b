//! The time axis: round times in a zone, over changes of its clocks, and how times are written.

use super::DrawError;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};

/// The furthest time that has a date, seconds on either side of the epoch.
const FURTHEST: f64 = 2.5e11;
const DAY: f64 = 86_400.0;
/// Ticks that are made at most.
const MOST: usize = 200;

/// Distances of ticks within a day, seconds.
const CLOCK_STEPS: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0,
    14_400.0, 21_600.0, 43_200.0,
];

/// Distances of ticks in days.
const DAY_STEPS: [i32; 4] = [1, 2, 7, 14];
/// Distances of ticks in months.
const MONTH_STEPS: [i32; 10] = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600];

/// A labelled time on the axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// When, seconds.
    pub(super) at: f64,
    /// How it is written.
    pub(super) label: String,
    /// Whether a day or something longer begins.
    pub(super) is_day: bool,
}

/// The zone of a name.
pub(super) fn zone(name: &str) -> Result<TimeZone, DrawError> {
    TimeZone::get(name).map_err(|_| DrawError::Zone(name.chars().take(100).collect()))
}

/// Whether a time has a date.
pub(super) fn has_date(at: f64) -> bool {
    at.abs() <= FURTHEST
}

fn zoned(at: f64, zone: &TimeZone) -> Zoned {
    let seconds = if at.is_nan() { 0.0 } else { at.clamp(-FURTHEST, FURTHEST).floor() };
    Timestamp::from_second(seconds as i64).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone())
}

/// A time as a chart of `span` seconds writes it: as short as it is clear.
pub(super) fn clock(at: f64, span: f64, zone: &TimeZone) -> String {
    let form = match span {
        span if span <= 600.0 => "%H:%M:%S",
        span if span <= DAY * 1.05 => "%H:%M",
        span if span <= DAY * 7.0 => "%a %H:%M",
        span if span <= DAY * 60.0 => "%-d %b %H:%M",
        _ => "%-d %b %Y",
    };
    zoned(at, zone).strftime(form).to_string()
}

/// A day with its year.
pub(super) fn day(at: f64, zone: &TimeZone) -> String {
    zoned(at, zone).strftime("%-d %b %Y").to_string()
}

/// A day and a time.
pub(super) fn full(at: f64, zone: &TimeZone) -> String {
    zoned(at, zone).strftime("%-d %b %Y %H:%M").to_string()
}

/// Round times from `from` to `until`, at most `count` or so.
pub(super) fn ticks(from: f64, until: f64, count: usize, zone: &TimeZone) -> Vec<Tick> {
    let wanted = (until - from) / count.max(1) as f64;
    if let Some(step) = CLOCK_STEPS.iter().find(|step| **step >= wanted) {
        return by_clock(from, until, *step, zone);
    }
    let days = DAY_STEPS.iter().find(|days| f64::from(**days) * DAY >= wanted);
    if let Some(days) = days {
        let first = zoned(from, zone).date();
        let form = if *days <= 2 { "%a %-d %b" } else { "%-d %b" };
        // Weeks begin on Mondays.
        let back = if *days >= 7 { i32::from(first.weekday().to_monday_zero_offset()) } else { 0 };
        let start = first.checked_sub(back.days()).unwrap_or(first);
        return by_date(start, from, until, form, zone, |date| date.checked_add(days.days()).ok());
    }
    let months =
        MONTH_STEPS.iter().find(|months| f64::from(**months) * 30.4 * DAY >= wanted).unwrap_or(&1200);
    let first = zoned(from, zone).date();
    let (month, form) = if *months >= 12 { (1, "%Y") } else { (first.month(), "%b %Y") };
    let start = Date::new(first.year(), month, 1).unwrap_or(first);
    by_date(start, from, until, form, zone, |date| date.checked_add(months.months()).ok())
}

fn by_clock(from: f64, until: f64, step: f64, zone: &TimeZone) -> Vec<Tick> {
    // How far a time is past a round one, as the clocks of the zone show it.
    let past = |at: f64| {
        let offset = f64::from(zoned(at, zone).offset().seconds());
        (at + offset).rem_euclid(step)
    };
    let mut ticks = Vec::new();
    let from = from.ceil();
    let mut at = if past(from) == 0.0 { from } else { from - past(from) + step };
    while at <= until && ticks.len() < MOST {
        if past(at) == 0.0 && at >= from {
            ticks.push(tick(at, step, zone));
        }
        // Where clocks are changed before the next tick, it is nearer or further.
        let next = at + step;
        let rest = past(next);
        let candidates = [next - rest, next - rest + step];
        at = candidates.into_iter().find(|t| *t > at && past(*t) == 0.0).unwrap_or(next);
    }
    ticks
}

fn tick(at: f64, step: f64, zone: &TimeZone) -> Tick {
    let time = zoned(at, zone);
    let is_day = time.hour() == 0 && time.minute() == 0 && time.second() == 0;
    let form = match () {
        () if is_day => "%a %-d %b",
        () if step < 60.0 => "%H:%M:%S",
        () => "%H:%M",
    };
    Tick { at, label: time.strftime(form).to_string(), is_day }
}

fn by_date(
    start: Date,
    from: f64,
    until: f64,
    form: &str,
    zone: &TimeZone,
    next: impl Fn(Date) -> Option<Date>,
) -> Vec<Tick> {
    let mut ticks = Vec::new();
    let mut date = Some(start);
    while let Some(day) = date {
        // Some days have no midnight: they begin when their clocks do.
        let Ok(begin) = DateTime::from(day).to_zoned(zone.clone()) else { break };
        let at = begin.timestamp().as_second() as f64;
        if at > until || ticks.len() >= MOST {
            break;
        }
        if at >= from {
            ticks.push(Tick { at, label: day.strftime(form).to_string(), is_day: true });
        }
        date = next(day);
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> f64 {
        text.parse::<Timestamp>().unwrap().as_second() as f64
    }

    #[track_caller]
    fn check(from: &str, until: &str, count: usize, name: &str, expected: &[&str]) {
        let ticks = ticks(at(from), at(until), count, &zone(name).unwrap());
        assert_eq!(ticks.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn round_times() {
        check(
            "2026-11-29T15:10:00Z",
            "2026-11-30T15:10:00Z",
            8,
            "UTC",
            &["18:00", "21:00", "Mon 30 Nov", "03:00", "06:00", "09:00", "12:00", "15:00"],
        );
        check(
            "2026-11-29T15:10:00Z",
            "2026-11-29T16:10:00Z",
            6,
            "Asia/Kathmandu",
            &["21:00", "21:10", "21:20", "21:30", "21:40", "21:50"],
        );
        check(
            "2026-11-01T00:00:00Z",
            "2026-11-29T00:00:00Z",
            8,
            "UTC",
            &["2 Nov", "9 Nov", "16 Nov", "23 Nov"],
        );
        check(
            "2026-01-15T00:00:00Z",
            "2026-06-15T00:00:00Z",
            6,
            "UTC",
            &["Feb 2026", "Mar 2026", "Apr 2026", "May 2026", "Jun 2026"],
        );
        check(
            "1999-06-01T00:00:00Z",
            "2026-06-15T00:00:00Z",
            6,
            "UTC",
            &["2004", "2009", "2014", "2019", "2024"],
        );
    }

    #[test]
    fn clocks_are_changed() {
        // 02:00 is not there in spring, and twice in autumn.
        check(
            "2026-03-28T23:00:00Z",
            "2026-03-29T10:00:00Z",
            6,
            "Europe/Zurich",
            &["Sun 29 Mar", "04:00", "06:00", "08:00", "10:00", "12:00"],
        );
        check(
            "2026-10-24T22:00:00Z",
            "2026-10-25T10:00:00Z",
            4,
            "Europe/Zurich",
            &["Sun 25 Oct", "03:00", "06:00", "09:00"],
        );
        // A day without midnight.
        check(
            "2018-11-03T03:00:00Z",
            "2018-11-06T03:00:00Z",
            3,
            "America/Sao_Paulo",
            &["Sat 3 Nov", "Sun 4 Nov", "Mon 5 Nov", "Tue 6 Nov"],
        );
    }

    #[test]
    fn zones_are_named() {
        assert!(zone("Europe/Zurich").is_ok());
        assert!(matches!(zone("Europe/Atlantis"), Err(DrawError::Zone(_))));
    }

    proptest! {
        #[test]
        fn ticks_are_in_order_and_in_time(from in -1e9..4e9_f64, long in 1.0..3e9_f64, count in 1_usize..40) {
            for name in ["UTC", "Europe/Zurich", "Australia/Lord_Howe", "America/Sao_Paulo"] {
                let ticks = ticks(from, from + long, count, &zone(name).unwrap());
                prop_assert!(ticks.len() <= count * 2 + 3, "{}", ticks.len());
                prop_assert!(ticks.iter().all(|tick| tick.at >= from && tick.at <= from + long));
                prop_assert!(ticks.iter().zip(ticks.iter().skip(1)).all(|(a, b)| a.at < b.at));
            }
        }
    }
}
