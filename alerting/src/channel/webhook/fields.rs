//! What a webhook can say of a message: every field by its name.

use crate::message::{Kind, Member, Message, Severity};
use crate::text::story::{State, expected};
use crate::text::{Story, html, line::Line, markup, name, number, plain, time};
use serde_json::{Map, Value, json};

/// Longest text for chats, characters: the least that any of them takes, with room for mark-up.
const CHAT: usize = 1800;
/// Names in texts for chats are no longer than this, characters.
const CHAT_NAME: usize = 600;
/// The receiver of an alert without end forgets it after this, seconds.
const FORGET: f64 = 7200.0;
/// And a test after this, seconds.
const TEST: f64 = 300.0;

/// All fields.
pub(super) const NAMES: [&str; 47] = [
    "version",
    "key",
    "incident",
    "kind",
    "topic",
    "status",
    "state",
    "severity",
    "priority",
    "origin",
    "heading",
    "word",
    "colour",
    "colour_number",
    "subject",
    "lead",
    "text",
    "chat_text",
    "chat_html",
    "chat_markdown",
    "metric",
    "metric_shown",
    "value",
    "value_shown",
    "mean",
    "stddev",
    "lower_bound",
    "upper_bound",
    "since",
    "since_at",
    "created",
    "created_at",
    "opened",
    "opened_at",
    "ended",
    "ended_at",
    "expires_at",
    "rule",
    "recipient",
    "member_count",
    "metrics",
    "members",
    "lines",
    "graph_url",
    "incident_url",
    "acknowledge_url",
    "mute_url",
];

/// Whether there is such a field.
pub(super) fn is_one(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The fields of a message.
pub(super) fn of(message: &Message, story: &Story) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("version", json!(1));
    put("key", json!(message.key));
    put("incident", json!(message.incident));
    put("kind", json!(message.kind));
    put("topic", json!(topic(message.kind)));
    put("status", json!(if is_resolved(message) { "resolved" } else { "firing" }));
    put("state", json!(state(story.state)));
    put("severity", json!(message.severity));
    put("priority", json!(priority(message)));
    put("origin", json!(message.origin));
    put("heading", json!(story.heading));
    put("word", json!(story.word));
    put("colour", json!(html::colour(story.state)));
    put(
        "colour_number",
        json!(u32::from_str_radix(html::colour(story.state).trim_start_matches('#'), 16).unwrap_or(0)),
    );
    put("subject", json!(story.subject));
    put("lead", json!(story.lead.plain()));
    put("text", json!(plain::write(story, "")));
    put("chat_text", json!(chat(story, Line::plain)));
    put("chat_html", json!(chat(story, markup::line_as_html)));
    put("chat_markdown", json!(chat(story, markup::line_as_markdown)));
    about_first(message.members.first(), &mut fields);
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    for (name, at) in
        [("created", Some(message.created)), ("opened", Some(message.opened)), ("ended", message.ended)]
    {
        put(name, json!(at));
        put(&format!("{name}_at"), json!(at.map(time::rfc3339)));
    }
    put("expires_at", json!(time::rfc3339(expires(message))));
    put("rule", json!(message.rule));
    put("recipient", json!(message.recipient));
    put("member_count", json!(message.member_count));
    put("metrics", message.members.iter().map(|member| json!(member.metric)).collect());
    put("members", json!(message.members));
    put("lines", json!(message.lines));
    put("graph_url", json!(message.links.graph));
    put("incident_url", json!(message.links.incident));
    let act = |address: &String| if message.kind == Kind::Ended { String::new() } else { address.clone() };
    put("acknowledge_url", json!(act(&message.links.acknowledge)));
    put("mute_url", json!(act(&message.links.mute)));
    fields
}

fn about_first(member: Option<&Member>, fields: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("metric", json!(member.map(|member| member.metric.as_str())));
    put("metric_shown", json!(member.map(|member| name::literal(&member.metric))));
    put("value", json!(member.map(|member| member.value)));
    put("value_shown", json!(member.map(|member| number::short(member.value))));
    put("mean", json!(member.map(|member| member.mean)));
    put("stddev", json!(member.map(|member| member.stddev)));
    let bounds = member.and_then(expected);
    put("lower_bound", json!(bounds.map(|(low, _)| low)));
    put("upper_bound", json!(bounds.map(|(_, high)| high)));
    put("since", json!(member.map(|member| member.since)));
    put("since_at", json!(member.map(|member| time::rfc3339(member.since))));
}

/// Whether all that the message is about is over: metrics may send again while others are silent still.
fn is_resolved(message: &Message) -> bool {
    match message.kind {
        Kind::Returned => message.ended.is_some(),
        kind => kind == Kind::Ended,
    }
}

const fn topic(kind: Kind) -> &'static str {
    match kind {
        Kind::Opened | Kind::Updated | Kind::Ended | Kind::Escalated => "incident",
        Kind::Stale | Kind::Returned => "stale",
        Kind::HeldBack => "held_back",
        Kind::Test => "test",
    }
}

const fn state(state: State) -> &'static str {
    match state {
        State::Alarm => "alarm",
        State::Ongoing => "ongoing",
        State::Over => "over",
        State::Note => "note",
        State::Test => "test",
    }
}

/// From 1, the least, to 5, as ntfy has it.
const fn priority(message: &Message) -> u8 {
    match (message.kind, message.severity) {
        (Kind::Ended | Kind::Returned | Kind::HeldBack | Kind::Test, _) => 3,
        (_, Severity::Info) => 2,
        (_, Severity::Warning) => 4,
        (_, Severity::Critical) => 5,
    }
}

/// When a receiver that hears no more takes it for over: well after the next message at the latest.
fn expires(message: &Message) -> f64 {
    let repeat = f64::from(message.repeat_seconds.unwrap_or(0));
    match (message.kind, message.ended) {
        (_, Some(ended)) => ended,
        (Kind::Test, None) => message.created + TEST,
        (_, None) => message.created + (2.0 * repeat).max(FORGET),
    }
}

/// A message as a text for chats, of whole lines.
fn chat(story: &Story, form: impl Fn(&Line) -> String) -> String {
    let mut lines = vec![
        Line::default().and_strong(story.word).and(format!(" · {}", story.banner())),
        story.lead.clone(),
    ];
    lines.extend(story.more.iter().cloned());
    if let Some(metric) = story.facts.iter().find(|fact| fact.label == "Metric") {
        lines.push(Line::of("Metric: ").and_short_name(&metric.value.plain(), CHAT_NAME));
    }
    for row in &story.rows {
        let mut line = row.metric.clone().and(" is ").and_strong(&row.value);
        line = line.and(format!(", since {}", row.since));
        lines.push(line);
    }
    let skipped = story.unlisted + story.unlisted_lines as u64;
    lines.extend(story.lines.iter().map(|line| Line::default().and_short_told(&line.plain(), CHAT_NAME)));
    let (mut out, mut size, mut left) = (String::new(), 0, skipped);
    for line in &lines {
        size += line.plain().chars().count() + 1;
        if size > CHAT {
            left += 1;
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&form(line));
    }
    if left > 0 {
        out.push_str(&format!("\nand {left} more"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Origin;
    use crate::samples;
    use crate::text::Style;

    #[test]
    fn every_field_has_a_name() {
        for kind in [Kind::Opened, Kind::Stale, Kind::Returned, Kind::Ended] {
            let message = samples::message(kind, Origin::Analyzer, "a.b", 1e9, "https://s");
            let fields = of(&message, &Story::new(&message, &Style::default()));
            let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
            let mut expected = NAMES;
            names.sort_unstable();
            expected.sort_unstable();
            assert_eq!(names, expected);
        }
    }
}
