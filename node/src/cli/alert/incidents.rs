//! Incidents: `list`, `show`, `ack`.

use super::Where;
use super::time::{harmless, shown, text};
use crate::cli::output::{counted, say};
use hyper::Method;
use serde_json::{Value, json};
use skyline_render_proxy::link::encoded;

/// Characters of an id that are printed: enough to name an incident.
const SHORT: usize = 8;
/// Metrics that `show` prints.
const METRICS: usize = 20;

pub(super) async fn list(node: &Where, open: bool, limit: u32) -> anyhow::Result<()> {
    let path = format!("/api/v1/incidents?limit={limit}{}", if open { "&open=true" } else { "" });
    let answer = node.get(&path).await?;
    if node.json {
        return say!("{}", serde_json::to_string_pretty(&answer)?);
    }
    let incidents = rows(&answer, "incidents");
    let Some(first) = incidents.first() else {
        return say!("there are no incidents{}", if open { " that go on" } else { "" });
    };
    for incident in incidents {
        say!("{}", line(incident))?;
    }
    say!("next: {}", node.next(&format!("show {}", short(first))))
}

pub(super) fn rows<'a>(answer: &'a Value, list: &str) -> &'a [Value] {
    answer.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn short(incident: &Value) -> String {
    let id = incident.get("id").and_then(Value::as_str).unwrap_or_default();
    harmless(&id.chars().take(SHORT).collect::<String>())
}

/// How an incident stands, in a word or two.
fn state(incident: &Value) -> String {
    let is = |field: &str| incident.get(field).is_some_and(|value| !value.is_null());
    if is("ended") {
        "ended".to_owned()
    } else if is("acknowledged") {
        match text(incident.get("acknowledged_by"), 30).as_str() {
            "" => "acknowledged".to_owned(),
            by => format!("acknowledged by {by}"),
        }
    } else {
        "OPEN".to_owned()
    }
}

fn line(incident: &Value) -> String {
    let metrics = incident.get("metrics").and_then(Value::as_u64).unwrap_or(1);
    let others = if metrics > 1 { format!(" and {} more", metrics - 1) } else { String::new() };
    format!(
        "{:<SHORT$}  {}  {:<8}  {:<8} {}{others}",
        short(incident),
        shown(incident.get("opened")),
        text(incident.get("severity"), 8),
        state(incident),
        text(incident.get("first_metric"), 80),
    )
}

pub(super) async fn show(node: &Where, id: &str) -> anyhow::Result<()> {
    let incident = node.get(&format!("/api/v1/incidents/{}", encoded(id))).await?;
    if node.json {
        return say!("{}", serde_json::to_string_pretty(&incident)?);
    }
    say!("{}", line(&incident))?;
    say!("id       {}", text(incident.get("id"), 64))?;
    say!("since    {}", shown(incident.get("since")))?;
    if incident.get("ended").is_some_and(|ended| !ended.is_null()) {
        say!("ended    {}", shown(incident.get("ended")))?;
    }
    let members = rows(&incident, "members");
    say!("metrics  {}", members.len())?;
    for member in members.iter().take(METRICS) {
        let number = |field: &str| member.get(field).and_then(Value::as_f64);
        let expected = number("mean").map_or_else(String::new, |mean| format!(", mean {mean:.4}"));
        let value = number("value").map_or_else(String::new, |value| format!(" value {value}{expected}"));
        let count = counted(number("anomalies").unwrap_or(1.0) as usize, "anomalous point");
        let over = if member.get("ended").is_some_and(|ended| !ended.is_null()) { ", over" } else { "" };
        say!("  {}:{value}, {count}{over}", text(member.get("metric"), 120))?;
    }
    if members.len() > METRICS {
        say!("  and {} more", members.len() - METRICS)?;
    }
    let told = rows(&incident, "told");
    if told.is_empty() {
        say!("told     nobody")?;
    }
    for told in told {
        let count = counted(told.get("messages").and_then(Value::as_u64).unwrap_or(0) as usize, "message");
        say!(
            "told     {} {}: {count} by {}, the last {}",
            text(told.get("channel"), 40),
            text(told.get("recipient"), 80),
            text(told.get("rule"), 60),
            shown(told.get("last")),
        )?;
    }
    match state(&incident).as_str() {
        "OPEN" => say!("next: {}", node.next(&format!("ack {}", short(&incident)))),
        _ => say!("next: {}", node.next("list")),
    }
}

pub(super) async fn acknowledge(node: &Where, id: &str, by: Option<String>) -> anyhow::Result<()> {
    let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
    let by = by.or_else(user).unwrap_or_else(|| "somebody".to_owned());
    let path = format!("/api/v1/incidents/{}/acknowledge", encoded(id));
    let answer = node.change(Method::POST, &path, &json!({ "by": by })).await?;
    if node.json {
        return say!("{}", serde_json::to_string_pretty(&answer)?);
    }
    if answer.get("new").and_then(Value::as_bool) == Some(true) {
        say!("acknowledged {} by {}", text(answer.get("id"), 64), harmless(&by))?;
    } else {
        say!("{} was acknowledged before", text(answer.get("id"), 64))?;
    }
    say!("next: {}", node.next(&format!("show {}", short(&answer))))
}
