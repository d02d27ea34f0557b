//! When a rule applies, or a mute holds: days and hours of a named time zone.
//!
//! What counts is what clocks on the wall there show. When they are put forward, hours that do not exist do not occur;
//! when they are put back, hours that occur twice apply twice.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use skyline_conf::schedule::{BadSchedule, Schedule};
use std::fmt;

/// Days and hours of a time zone.
#[derive(Debug, Clone)]
pub struct Active {
    schedule: Schedule,
    zone: TimeZone,
    name: String,
}

/// Text that is not days and hours, or no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadActive {
    /// Of the days and hours.
    #[error("schedule: {0}")]
    Schedule(#[from] BadSchedule),
    /// Of the zone.
    #[error(
        "zone: `{0}` is no time zone; write a name of the time zone database, such as Europe/Berlin or UTC"
    )]
    Zone(String),
}

impl Active {
    /// Reads days and hours (as in `mon-fri 09:00-17:00`) of a zone (as in `Europe/Berlin`).
    ///
    /// # Errors
    /// [`BadActive`], which says what would be right.
    pub fn read(schedule: &str, zone: &str) -> Result<Self, BadActive> {
        let schedule = Schedule::read(schedule)?;
        let shown = || zone.chars().take(60).flat_map(char::escape_debug).collect();
        let zone = TimeZone::get(zone).map_err(|_| BadActive::Zone(shown()))?;
        let name = zone.iana_name().unwrap_or("UTC").to_owned();
        Ok(Self { schedule, zone, name })
    }

    /// Whether it applies at a time, seconds. A time that no clock can show is none of it.
    #[must_use]
    pub fn applies(&self, at: f64) -> bool {
        let Some(time) = seconds(at) else { return false };
        let local = self.zone.to_datetime(time);
        let day = local.weekday().to_monday_zero_offset();
        let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
        match (u8::try_from(day), u16::try_from(minute)) {
            (Ok(day), Ok(minute)) => self.schedule.applies(day, minute),
            _ => false,
        }
    }
}

/// Whole seconds as a time.
fn seconds(at: f64) -> Option<Timestamp> {
    if !at.is_finite() {
        return None;
    }
    Timestamp::from_second(at.floor() as i64).ok()
}

impl fmt::Display for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.schedule, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schedule: &str, zone: &str, time: &str, expected: bool) {
        let at: Timestamp = time.parse().unwrap();
        let active = Active::read(schedule, zone).unwrap();
        assert_eq!(active.applies(at.as_second() as f64 + 0.5), expected, "{schedule} {zone} {time}");
    }

    #[test]
    fn zones() {
        check("mon-fri 09:00-17:00", "UTC", "2026-11-30T09:00:00Z", true);
        check("mon-fri 09:00-17:00", "Europe/Berlin", "2026-11-30T08:00:00Z", true);
        check("mon-fri 09:00-17:00", "Europe/Berlin", "2026-11-30T07:59:59Z", false);
        check("mon-fri 09:00-17:00", "Europe/Berlin", "2026-11-30T16:00:00Z", false);
        // Monday in Auckland is still Sunday in Greenwich.
        check("mon", "Pacific/Auckland", "2026-11-29T12:00:00Z", true);
        check("sun", "UTC", "2026-11-29T12:00:00Z", true);
        // Half an hour.
        check("09:00-10:00", "Asia/Kolkata", "2026-11-30T03:30:00Z", true);
        check("09:00-10:00", "Asia/Kolkata", "2026-11-30T03:29:00Z", false);
    }

    #[test]
    fn clocks_that_are_put_forward_and_back() {
        // In Berlin 02:00-03:00 does not exist on 2026-03-29, and occurs twice on 2026-10-25.
        for time in ["2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"] {
            check("sun 02:00-03:00", "Europe/Berlin", time, false);
        }
        check("sun 02:30-03:30", "Europe/Berlin", "2026-03-29T01:10:00Z", true);
        for (time, expected) in [
            ("2026-10-24T23:59:00Z", false),
            ("2026-10-25T00:30:00Z", true),
            ("2026-10-25T01:30:00Z", true),
            ("2026-10-25T02:00:00Z", false),
        ] {
            check("sun 02:00-03:00", "Europe/Berlin", time, expected);
        }
        // The same hours on the wall in summer and in winter.
        check("09:00-17:00", "Europe/Berlin", "2026-07-01T07:00:00Z", true);
        check("09:00-17:00", "Europe/Berlin", "2026-12-01T07:00:00Z", false);
        check("09:00-17:00", "Europe/Berlin", "2026-12-01T08:00:00Z", true);
        // A night over the change.
        check("sat 22:00-06:00", "Europe/Berlin", "2026-10-25T04:59:00Z", true);
        check("sat 22:00-06:00", "Europe/Berlin", "2026-10-25T05:00:00Z", false);
    }

    #[test]
    fn what_is_none() {
        let active = Active::read("mon-sun", "UTC").unwrap();
        assert!([f64::NAN, f64::INFINITY, 1e300, -1e300].iter().all(|at| !active.applies(*at)));
        assert!(Active::read("mon", "Europe/Berln").unwrap_err().to_string().contains("no time zone"));
        assert!(Active::read("mond", "UTC").unwrap_err().to_string().contains("names no day"));
        assert_eq!(
            Active::read("mon 9:00-17:00", "Europe/Berlin").unwrap().to_string(),
            "mon 09:00-17:00 (Europe/Berlin)"
        );
    }
}
