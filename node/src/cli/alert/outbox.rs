//! Messages: `outbox`, and `outbox --retry`.

use super::Where;
use super::incidents::rows;
use super::time::{shown, text};
use crate::cli::output::say;
use hyper::Method;
use serde_json::{Value, json};

pub(super) async fn list(node: &Where, state: Option<&str>, limit: u32) -> anyhow::Result<()> {
    let only = state.map_or_else(String::new, |state| format!("&state={state}"));
    let answer = node.get(&format!("/api/v1/outbox?limit={limit}{only}")).await?;
    if node.json {
        return say!("{}", serde_json::to_string_pretty(&answer)?);
    }
    let messages = rows(&answer, "messages");
    if messages.is_empty() {
        say!(
            "there are no messages{}",
            state.map_or_else(String::new, |state| format!(" that are {state}"))
        )?;
    }
    for message in messages {
        say!("{}", line(message))?;
    }
    let is_dead = |message: &&Value| message.get("state").and_then(Value::as_str) == Some("dead");
    match messages.iter().find(is_dead) {
        Some(dead) => say!("next: {}", node.next(&format!("outbox --retry {}", id(dead)))),
        None => say!("next: {}", node.next("list")),
    }
}

fn id(message: &Value) -> u64 {
    message.get("id").and_then(Value::as_u64).unwrap_or_default()
}

fn line(message: &Value) -> String {
    let dry = message.get("dry_run").and_then(Value::as_bool) == Some(true);
    let state = match text(message.get("state"), 8).as_str() {
        "sent" if dry => "not sent: dry run".to_owned(),
        "sent" => format!("sent {}", shown(message.get("sent"))),
        "dead" => "GIVEN UP".to_owned(),
        other => other.to_owned(),
    };
    let attempts = message.get("attempts").and_then(Value::as_u64).unwrap_or_default();
    let tried = if attempts > 1 { format!(", {attempts} attempts") } else { String::new() };
    let why = match text(message.get("error"), 160).as_str() {
        "" => String::new(),
        error => format!(": {error}"),
    };
    format!(
        "{:>5}  {}  {:<9} {} {}  {}  [{state}{tried}]{why}",
        id(message),
        shown(message.get("created")),
        text(message.get("kind"), 9),
        text(message.get("channel"), 30),
        text(message.get("recipient"), 60),
        text(message.get("metric"), 60),
    )
}

pub(super) async fn retry(node: &Where, number: u64) -> anyhow::Result<()> {
    let message = node.change(Method::POST, &format!("/api/v1/outbox/{number}/retry"), &json!({})).await?;
    if node.json {
        return say!("{}", serde_json::to_string_pretty(&message)?);
    }
    say!(
        "message {number} to {} by {} waits again",
        text(message.get("recipient"), 80),
        text(message.get("channel"), 40)
    )?;
    say!("next: {}", node.next("outbox"))
}
