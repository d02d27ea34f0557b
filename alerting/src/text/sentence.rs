//! The first sentence: what is wrong, how far from expected, since when, and what else broke.

use super::line::Line;
use super::{number, time};
use crate::message::{Kind, Member, Message};
use jiff::tz::TimeZone;

/// Names in a sentence are no longer than this, characters; the facts have them whole.
pub(crate) const SHORT: usize = 160;

/// The first sentence of a message.
pub(super) fn lead(message: &Message, zone: &TimeZone) -> Line {
    match (message.kind, message.members.first()) {
        (Kind::Stale | Kind::Returned | Kind::HeldBack, _) | (_, None) => said(message),
        (Kind::Opened, Some(member)) => {
            let line = wrong(Line::default(), member, member.value, Tense::Is);
            company(line.and(since(message, member, zone)), message).and(".")
        }
        (Kind::Updated, Some(member)) => {
            let begin = format!("Still wrong after {}: ", number::duration(message.created - message.opened));
            company(wrong(Line::of(begin), member, member.value, Tense::Is), message).and(".")
        }
        (Kind::Escalated, Some(member)) => {
            let waited = number::duration(message.created - message.opened);
            let line = Line::of(format!("Nobody has acknowledged this for {waited}: "));
            company(wrong(line, member, member.value, Tense::Is), message).and(".")
        }
        (Kind::Ended, Some(member)) => over(message, member, zone),
        (Kind::Test, Some(member)) => {
            let line = Line::of("This is a test, nothing is wrong. An alert reads like this: ");
            wrong(line, member, member.value, Tense::Is).and(since(message, member, zone)).and(".")
        }
    }
}

/// What a message without metrics says: its first line.
fn said(message: &Message) -> Line {
    match (message.lines.first(), message.kind) {
        (Some(line), _) => Line::told(line),
        (None, Kind::Stale) => Line::of(format!(
            "{} sent no data for a while.",
            number::counted(message.member_count, "metric has", "metrics have")
        )),
        (None, Kind::Returned) => {
            let many = number::counted(message.member_count, "metric sends", "metrics send");
            Line::of(format!("{many} again."))
        }
        (None, Kind::HeldBack) => Line::of("Messages are held back, because there were too many."),
        (None, Kind::Test) => Line::of("This is a test, nothing is wrong."),
        (None, Kind::Ended) => Line::of("An incident is over."),
        (None, Kind::Opened | Kind::Updated | Kind::Escalated) => Line::of("There is an incident."),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tense {
    Is,
    Was,
}

/// `NAME is 98.4, 4.7 times its usual 21 (expected: 12 to 31)`.
fn wrong(line: Line, member: &Member, value: f64, tense: Tense) -> Line {
    let line = if tense == Tense::Was { line.and("it") } else { line.and_short_name(&member.metric, SHORT) };
    let verb = match (member.counter, tense) {
        (true, Tense::Is) => " grows by ",
        (true, Tense::Was) => " grew by ",
        (false, Tense::Is) => " is ",
        (false, Tense::Was) => " was ",
    };
    let line = line.and(verb).and_strong(number::short(value));
    match &member.bound {
        Some((algorithm, bound)) => line.and(against_bound(algorithm, *bound)),
        None => line.and(against_usual(member, value)),
    }
}

/// How a value breaks a rule of bounds.
fn against_bound(algorithm: &str, bound: f64) -> String {
    let bound = number::short(bound);
    match algorithm {
        "less_than" => format!(", below its bound of {bound}"),
        "greater_than" => format!(", above its bound of {bound}"),
        "detect_drop_off_cliff" => format!(": it has fallen off a cliff (drop of {bound} or more)"),
        // Names of algorithms are ours; one that is added later is said as it is called.
        other => format!(", which breaks its rule {other} {bound}"),
    }
}

/// How far a value is from the usual.
fn against_usual(member: &Member, value: f64) -> String {
    let (mean, stddev) = (member.mean, member.stddev);
    if !mean.is_finite() {
        return String::new();
    }
    let usual = number::short(mean);
    let ratio = if mean > 0.0 && value >= 0.0 { value / mean } else { f64::NAN };
    let far = if ratio >= 1.5 {
        format!(", {} times its usual {usual}", times(ratio))
    } else if ratio < 0.005 {
        format!(", next to nothing of its usual {usual}")
    } else if ratio <= 0.67 {
        format!(", {} % of its usual {usual}", (ratio * 100.0).round())
    } else if value > mean {
        format!(", more than its usual {usual}")
    } else {
        format!(", less than its usual {usual}")
    };
    if !stddev.is_finite() {
        return far;
    }
    let (low, high) = (mean - 3.0 * stddev, mean + 3.0 * stddev);
    let (from, to) = (number::short(low), number::short(high));
    if from == to {
        format!("{far} (it hardly ever changes)")
    } else {
        format!("{far} (expected: {from} to {to})")
    }
}

/// A factor, with a digit behind the dot only while that matters.
fn times(ratio: f64) -> String {
    if ratio < 9.95 { number::short((ratio * 10.0).round() / 10.0) } else { number::short(ratio.round()) }
}

/// `, since 14:05:10 UTC (20 s ago)`.
fn since(message: &Message, member: &Member, zone: &TimeZone) -> String {
    let ago = number::duration(message.created - member.since);
    format!(", since {} ({ago} ago)", time::clock(member.since, message.created, zone))
}

/// How many there are beside the first.
fn others(message: &Message) -> u64 {
    message.member_count.max(message.members.len() as u64).saturating_sub(1)
}

fn company(line: Line, message: &Message) -> Line {
    match (others(message), message.kind) {
        (0, _) => line,
        (n, Kind::Opened) => line
            .and("; ")
            .and_strong(number::counted(n, "other metric", "other metrics"))
            .and(" broke with it"),
        (n, _) => {
            let are = if n == 1 { " is wrong too" } else { " are wrong too" };
            line.and("; ").and_strong(number::counted(n, "other metric", "other metrics")).and(are)
        }
    }
}

/// Whether a metric is over because nothing comes from it: the lines of the message say so.
fn is_silent(message: &Message, member: &Member) -> bool {
    let says_so = |line: &String| {
        line.strip_prefix(&member.metric).is_some_and(|rest| rest.starts_with(" sends nothing"))
    };
    message.lines.iter().any(says_so)
}

/// `It is over: NAME is as usual again since 14:40:00 UTC, after 35 min.`
fn over(message: &Message, member: &Member, zone: &TimeZone) -> Line {
    let ended = message.ended.unwrap_or(message.created);
    if is_silent(message, member) {
        let line = Line::of("It is over: ").and_short_name(&member.metric, SHORT);
        let last = time::clock(member.last, message.created, zone);
        return line.and(format!(" sends no data any more; what it sent last, at {last}, was still wrong."));
    }
    let line = Line::of("It is over: ").and_short_name(&member.metric, SHORT);
    let (line, are) = match others(message) {
        0 => (line, "is"),
        n => (line.and(" and ").and_strong(number::counted(n, "other metric", "other metrics")), "are"),
    };
    let well = if member.bound.is_some() { "within bounds" } else { "as usual" };
    line.and(format!(
        " {are} {well} again since {}, after {}.",
        time::clock(ended, message.created, zone),
        number::duration(ended - message.opened)
    ))
}

/// The second sentence of a message about what is over: how bad it was.
pub(super) fn worst(member: &Member, now: f64, zone: &TimeZone) -> Line {
    let (at, value) = member.peak;
    wrong(Line::of("At its worst "), member, value, Tense::Was)
        .and(format!(", at {}.", time::clock(at, now, zone)))
}
