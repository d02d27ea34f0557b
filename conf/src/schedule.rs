//! Days and hours as people write them: `mon-fri 09:00-17:00, sat 10:00-12:00`, without a zone and a date.
//!
//! Parts are separated by commas; each has days, hours, or both. Days are `mon`, `mon-fri`, or several with `+`:
//! `mon+wed+fri`; left out: every day. Hours are `HH:MM-HH:MM`, the end not included, to `24:00`; an end that is not
//! after the begin is that of the next day; left out: the whole day.

use std::fmt;

/// When something applies within a week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    parts: Vec<Part>,
}

/// Some days of a week, from one minute to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// One bit a day, Monday the lowest.
    days: u8,
    /// First minute of the day.
    from: u16,
    /// First minute that is no longer of it; not more than `from`: of the next day.
    until: u16,
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` {why}")]
pub struct BadSchedule {
    /// The part at fault.
    pub part: String,
    /// What is wrong, and how it is written.
    pub why: &'static str,
}

/// Minutes of a day.
const DAY: u16 = 1_440;
/// All seven days.
const EVERY_DAY: u8 = 0x7f;
/// More parts are refused.
const PARTS: usize = 50;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const FORM: &str = "is neither days nor hours: write it as in `mon-fri 09:00-17:00`";

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// [`BadSchedule`] with the part at fault.
    pub fn read(text: &str) -> Result<Self, BadSchedule> {
        let mut parts = Vec::new();
        for part in text.split(',') {
            let bad = |why| BadSchedule {
                part: part.trim().chars().take(60).flat_map(char::escape_debug).collect(),
                why,
            };
            if parts.len() == PARTS {
                return Err(bad("is one part too many: fifty are taken"));
            }
            parts.push(read_part(part).map_err(bad)?);
        }
        Ok(Self { parts })
    }

    /// Whether it applies at a minute (0 to 1,439) of a day (0: Monday to 6: Sunday), as clocks on the wall show it.
    #[must_use]
    pub fn applies(&self, day: u8, minute: u16) -> bool {
        let is_of = |days: u8, day: u8| days & (1_u8 << (day % 7)) != 0;
        self.parts.iter().any(|part| {
            if part.from < part.until {
                return is_of(part.days, day) && (part.from..part.until).contains(&minute);
            }
            // Over midnight: this day's evening, or the morning after yesterday's.
            (is_of(part.days, day) && minute >= part.from)
                || (is_of(part.days, day + 6) && minute < part.until)
        })
    }
}

fn read_part(part: &str) -> Result<Part, &'static str> {
    let mut read = Part { days: EVERY_DAY, from: 0, until: DAY };
    let mut words = part.split_whitespace();
    let Some(first) = words.next() else { return Err("is empty: write it as in `mon-fri 09:00-17:00`") };
    let hours = if first.contains(':') {
        Some(first)
    } else {
        read.days = days(first)?;
        words.next()
    };
    if let Some(hours) = hours {
        (read.from, read.until) = minutes(hours)?;
    }
    if words.next().is_some() {
        return Err("has more than days and hours: separate parts with commas");
    }
    Ok(read)
}

fn days(text: &str) -> Result<u8, &'static str> {
    let lower = text.to_ascii_lowercase();
    let mut all = 0_u8;
    for piece in lower.split('+') {
        let (from, until) = piece.split_once('-').unwrap_or((piece, piece));
        let place = |day: &str| DAYS.iter().position(|known| *known == day);
        let (Some(from), Some(until)) = (place(from), place(until)) else {
            return Err(if text.chars().any(|c| c.is_ascii_digit()) {
                FORM
            } else {
                "names no day: days are mon, tue, wed, thu, fri, sat and sun"
            });
        };
        let length = (until + 7 - from) % 7;
        for step in 0..=length {
            all |= 1_u8 << ((from + step) % 7);
        }
    }
    Ok(all)
}

fn minutes(text: &str) -> Result<(u16, u16), &'static str> {
    let (from, until) = text.split_once('-').ok_or(FORM)?;
    let (from, until) = (minute(from)?, minute(until)?);
    if from == DAY || (from == until) || until == 0 && from == 0 {
        return Err("has hours that are none: write it as in `22:00-06:00`, a whole day as `00:00-24:00`");
    }
    Ok((from, until))
}

fn minute(text: &str) -> Result<u16, &'static str> {
    const HOURS: &str = "has no time of day: write it as in `09:00-17:00`";
    let (hour, minute) = text.split_once(':').ok_or(HOURS)?;
    let number = |text: &str| match text.len() {
        1 | 2 if text.bytes().all(|b| b.is_ascii_digit()) => text.parse::<u16>().map_err(|_| HOURS),
        _ => Err(HOURS),
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let all = hour * 60 + minute;
    if minute > 59 || all > DAY { Err(HOURS) } else { Ok(all) }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            let named: Vec<&str> = (0..7)
                .zip(DAYS)
                .filter(|(day, _)| part.days & (1_u8 << day) != 0)
                .map(|(_, name)| name)
                .collect();
            if part.days != EVERY_DAY {
                write!(f, "{} ", named.join("+"))?;
            }
            let (from, until) = (part.from, part.until);
            write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn applies(text: &str, day: u8, time: &str, expected: bool) {
        let schedule = Schedule::read(text).unwrap();
        assert_eq!(schedule.applies(day, minute(time).unwrap()), expected, "{text} on {day} at {time}");
    }

    #[test]
    fn days_and_hours() {
        applies("mon-fri 09:00-17:00", 0, "9:00", true);
        applies("mon-fri 09:00-17:00", 4, "16:59", true);
        applies("mon-fri 09:00-17:00", 4, "17:00", false);
        applies("mon-fri 09:00-17:00", 5, "12:00", false);
        applies("mon-fri 09:00-17:00, SAT 10:00-12:00", 5, "11:00", true);
        applies("sat+sun", 6, "00:00", true);
        applies("sat+sun", 0, "00:00", false);
        applies("fri-mon", 6, "12:00", true);
        applies("fri-mon", 1, "12:00", false);
        applies("00:00-24:00", 3, "23:59", true);
        applies("8:30-9:00", 3, "08:30", true);
    }

    #[test]
    fn over_midnight() {
        applies("fri 22:00-06:00", 4, "23:00", true);
        applies("fri 22:00-06:00", 5, "05:59", true);
        applies("fri 22:00-06:00", 5, "06:00", false);
        applies("fri 22:00-06:00", 4, "05:00", false);
        applies("sun 22:00-06:00", 0, "01:00", true);
        applies("22:00-06:00", 2, "12:00", false);
        applies("mon 22:00-00:00", 0, "23:59", true);
        applies("mon 22:00-00:00", 1, "00:00", false);
    }

    #[test]
    fn texts_that_are_no_schedules() {
        let bad = |text: &str, expected: &str| {
            let said = Schedule::read(text).unwrap_err().to_string();
            assert!(said.contains(expected), "{text}: {said}");
        };
        bad("", "is empty");
        bad("mon,", "is empty");
        bad("monday", "names no day");
        bad("9-17", "neither days nor hours");
        bad("mon 25:00-26:00", "no time of day");
        bad("mon 09:00", "neither days nor hours");
        bad("mon 09:00-09:00", "hours that are none");
        bad("mon 24:00-10:00", "hours that are none");
        bad("mon 09:00-17:00 tue", "more than days and hours");
        bad(&"mon,".repeat(100), "too many");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_printed_means_the_same(text in "[a-z0-9:+, -]{0,40}|.{0,60}") {
            if let Ok(schedule) = Schedule::read(&text) {
                let again = Schedule::read(&schedule.to_string()).unwrap();
                for day in 0..7 {
                    for minute in (0..DAY).step_by(7) {
                        prop_assert_eq!(schedule.applies(day, minute), again.applies(day, minute));
                    }
                }
            }
        }
    }
}
