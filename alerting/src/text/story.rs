//! What a message says, before it takes a form.

use super::line::Line;
use super::style::Style;
use super::{name, number, sentence, time};
use crate::message::{Kind, Member, Message, Origin};
use jiff::tz::TimeZone;

/// Names in subjects are no longer than this, characters.
const SUBJECT_NAME: usize = 100;
/// Other metrics that a message lists.
const ROWS: usize = 20;
/// Lines that a message lists.
const LINES: usize = 200;

/// How things stand, for colours and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Something is wrong.
    Alarm,
    /// It goes on.
    Ongoing,
    /// It is over.
    Over,
    /// For the record.
    Note,
    /// Nothing is wrong.
    Test,
}

/// A fact in the table of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub label: &'static str,
    /// Its value.
    pub value: Line,
}

/// Another metric of the incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub metric: Line,
    /// Its value.
    pub value: String,
    /// What was expected.
    pub expected: String,
    /// Since when.
    pub since: String,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// One line that tells messages apart in a list; names shortened.
    pub subject: String,
    /// How things stand.
    pub state: State,
    /// The same in a word of capitals.
    pub word: &'static str,
    /// What found it, as `Skyline Analyzer`, with the environment in front.
    pub heading: String,
    /// How bad it is, in a word; none: the message is not about something bad.
    pub severity: Option<&'static str>,
    /// The sentence that says it all.
    pub lead: Line,
    /// Sentences behind it.
    pub more: Vec<Line>,
    /// Facts about the first metric.
    pub facts: Vec<Fact>,
    /// The other metrics.
    pub rows: Vec<Row>,
    /// Metrics that are not listed.
    pub unlisted: u64,
    /// Lines that the maker of the message added; from outside.
    pub lines: Vec<Line>,
    /// Lines that are not listed.
    pub unlisted_lines: usize,
    /// Where the reader can go: what for, and the address.
    pub links: Vec<(&'static str, String)>,
    /// Where the message comes from.
    pub footer: Line,
}

impl Story {
    /// What `message` says.
    #[must_use]
    pub fn new(message: &Message, style: &Style) -> Self {
        let first = message.members.first();
        let zone = &style.zone;
        let mut more = Vec::new();
        if let (Kind::Ended, Some(member)) = (message.kind, first) {
            more.push(sentence::worst(member, message.created, zone));
        }
        // The first line is the sentence itself where there are no metrics.
        let without_metrics = first.is_none() || !message.kind.is_about_metrics();
        let skipped = usize::from(without_metrics);
        let listed = message.members.iter().skip(1 - usize::from(without_metrics && first.is_some()));
        let rows: Vec<Row> = listed.take(ROWS).map(|member| row(member, message, zone)).collect();
        let shown = rows.len() as u64 + u64::from(!without_metrics);
        let is_of_lines = first.is_none();
        Self {
            subject: subject(message, style),
            state: state(message.kind),
            word: if message.kind == Kind::Stale { "NO DATA" } else { word(message.kind) },
            heading: heading(message.origin, style),
            severity: is_bad(message.kind).then(|| message.severity.word()),
            lead: sentence::lead(message, zone),
            more,
            facts: first.filter(|_| !without_metrics).map_or_else(Vec::new, |m| facts(message, m, zone)),
            rows,
            unlisted: if is_of_lines { 0 } else { message.member_count.saturating_sub(shown) },
            lines: message.lines.iter().skip(skipped).take(LINES).map(|line| Line::told(line)).collect(),
            unlisted_lines: message.lines.len().saturating_sub(skipped + LINES),
            links: links(message),
            footer: footer(message, style),
        }
    }
}

impl Story {
    /// What found it, and how bad it is.
    #[must_use]
    pub fn banner(&self) -> String {
        match self.severity {
            Some(severity) => format!("{} · {severity}", self.heading),
            None => self.heading.clone(),
        }
    }
}

/// Whether a message is about something bad: neither about data that is back, nor a notice, nor a test.
const fn is_bad(kind: Kind) -> bool {
    !matches!(kind, Kind::Returned | Kind::HeldBack | Kind::Test)
}

/// How things stand after a message of a kind.
const fn state(kind: Kind) -> State {
    match kind {
        Kind::Opened | Kind::Escalated => State::Alarm,
        Kind::Updated | Kind::Stale => State::Ongoing,
        Kind::Ended | Kind::Returned => State::Over,
        Kind::HeldBack => State::Note,
        Kind::Test => State::Test,
    }
}

/// The same in a word for titles.
const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Opened | Kind::Stale => "ALERT",
        Kind::Updated => "UPDATE",
        Kind::Ended => "ENDED",
        Kind::Returned => "DATA BACK",
        Kind::Escalated => "ESCALATED",
        Kind::HeldBack => "NOTICE",
        Kind::Test => "TEST",
    }
}

fn heading(origin: Origin, style: &Style) -> String {
    let heading = format!("{} {}", style.main, style.heading(origin));
    let heading =
        if style.environment.is_empty() { heading } else { format!("{} {heading}", style.environment) };
    name::literal(&heading)
}

/// `[Skyline alert] - Analyzer ALERT - NAME`, as the reference has it.
fn subject(message: &Message, style: &Style) -> String {
    let heading = style.heading(message.origin);
    let main = if style.environment.is_empty() {
        style.main.clone()
    } else {
        format!("{} {}", style.environment, style.main)
    };
    let word = word(message.kind);
    let what = match (message.kind, message.members.first()) {
        (Kind::Stale, _) => match message.member_count {
            0 => "stale metrics".to_owned(),
            n => number::counted(n, "stale metric", "stale metrics"),
        },
        (Kind::Returned, _) => {
            number::counted(message.member_count, "metric sends again", "metrics send again")
        }
        (Kind::HeldBack, _) => "messages held back".to_owned(),
        (_, None) => "incident".to_owned(),
        (kind, Some(member)) => {
            let metric = name::isolated(&name::shortened(&name::literal(&member.metric), SUBJECT_NAME));
            let bound = member.bound.as_ref().filter(|_| message.origin == Origin::Boundary);
            let metric = match (bound, kind) {
                (Some((algorithm, _)), Kind::Opened | Kind::Updated | Kind::Escalated | Kind::Test) => {
                    let algorithm = name::literal(algorithm).to_uppercase();
                    format!("{algorithm} - {} - {metric}", number::short(member.value))
                }
                _ => metric,
            };
            match message.member_count.saturating_sub(1) {
                0 => metric,
                n => format!("{metric} and {n} more"),
            }
        }
    };
    let dash = if message.origin == Origin::Boundary { "" } else { "- " };
    name::literal(&format!("[{main} alert] {dash}{heading} {word} - ")) + &what
}

/// The lower and the upper end of what was expected.
#[must_use]
pub fn expected(member: &Member) -> Option<(f64, f64)> {
    let (low, high) = (member.mean - 3.0 * member.stddev, member.mean + 3.0 * member.stddev);
    (low.is_finite() && high.is_finite()).then_some((low, high))
}

fn facts(message: &Message, member: &Member, zone: &TimeZone) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |label: &'static str, value: Line| facts.push(Fact { label, value });
    fact("Metric", Line::name(&member.metric));
    let label = match message.origin {
        Origin::Mirage => "Anomalous value (Mirage)",
        _ if member.counter => "Anomalous increase",
        _ => "Anomalous value",
    };
    fact(label, Line::default().and_strong(number::exact(member.value)));
    let timestamp = number::exact(member.last);
    fact("Anomalous at", Line::of(format!("{} (timestamp {timestamp})", time::whole(member.last, zone))));
    let points = number::counted(member.points, "point", "points");
    fact("Since", Line::of(format!("{} ({points})", time::whole(member.since, zone))));
    if let Some(ended) = member.ended.or(message.ended) {
        fact("Ended", Line::of(time::whole(ended, zone)));
    }
    if member.peak.1.to_bits() != member.value.to_bits() {
        let (at, value) = member.peak;
        fact("Worst", Line::of(format!("{} at {}", number::exact(value), time::whole(at, zone))));
    }
    if let Some((algorithm, bound)) = &member.bound {
        fact(
            "Rule of bounds",
            Line::name(&algorithm.to_uppercase()).and(format!(" {}", number::exact(*bound))),
        );
    }
    if let Some((low, high)) = expected(member).filter(|_| member.bound.is_none()) {
        fact("Expected", Line::of(format!("{} to {}", number::short(low), number::short(high))));
        fact("Mean", Line::of(number::short(member.mean)));
        fact("3-sigma", Line::of(number::short(3.0 * member.stddev)));
        fact("Upper bound", Line::of(number::short(high)));
        fact("Lower bound", Line::of(number::short(low)));
    }
    fact("Window", Line::of(number::length(member.window_seconds)));
    if member.counter {
        fact("Derivative graph", Line::of("True: the metric is judged by its increases"));
    }
    if !member.triggered.is_empty() {
        let names = name::literal(&member.triggered.join(", "));
        fact("Algorithms", Line::of(format!("{} of {}: {names}", member.triggered.len(), member.asked)));
    }
    if let Some(seconds) = message.repeat_seconds.filter(|_| message.kind != Kind::Ended) {
        let pause = number::duration(f64::from(seconds));
        fact("Next alert", Line::of(format!("in {pause} at the earliest")));
    }
    facts
}

fn row(member: &Member, message: &Message, zone: &TimeZone) -> Row {
    let expected = match (&member.bound, expected(member)) {
        (Some((algorithm, bound)), _) => {
            format!("{} {}", name::literal(algorithm).replace('_', " "), number::short(*bound))
        }
        (None, Some((low, high))) => format!("{} to {}", number::short(low), number::short(high)),
        (None, None) => String::new(),
    };
    Row {
        metric: Line::default().and_short_name(&member.metric, SUBJECT_NAME),
        value: number::short(member.value),
        expected,
        since: time::clock(member.since, message.created, zone),
    }
}

fn links(message: &Message) -> Vec<(&'static str, String)> {
    let links = &message.links;
    // There is nothing to acknowledge or to mute about what is over.
    let acts = message.kind != Kind::Ended;
    [
        ("Open the graph", &links.graph, true),
        ("Open the incident", &links.incident, true),
        ("Acknowledge", &links.acknowledge, acts),
        ("Mute for an hour", &links.mute, acts),
    ]
    .into_iter()
    .filter(|(_, address, is_useful)| *is_useful && !address.is_empty())
    .map(|(label, address, _)| (label, address.clone()))
    .collect()
}

fn footer(message: &Message, style: &Style) -> Line {
    let mut line = if message.rule.is_empty() {
        Line::of("Sent by Skyline itself")
    } else {
        Line::of("Sent by rule ").and_short_name(&message.rule, SUBJECT_NAME)
    };
    if !message.incident.is_empty() {
        line = line.and(", incident ").and_name(&message.incident);
    }
    let zone = style.zone.iana_name().unwrap_or("UTC");
    line.and(format!(". Times are in {zone}. Skyline {}.", env!("CARGO_PKG_VERSION")))
}
