//! `skyline reload`: makes a running node read its settings and relay files again.

use super::http;
use super::output::{counted, program, say};
use super::send::reachable;
use super::status::harmless;
use anyhow::Context as _;
use hyper::Method;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;

/// Asks the node and prints what changed; an error says why nothing did.
pub(super) async fn reload(
    config: &super::Config,
    address: Option<SocketAddr>,
    json: bool,
) -> anyhow::Result<()> {
    let address = match address {
        Some(address) => address,
        None => {
            let settings = config.load()?.settings;
            reachable(*settings.http.status.first().context("http.status is empty: give --address")?)
        }
    };
    let answer = http::ask(Method::POST, address, "/-/reload").await;
    let answer =
        answer.map_err(|error| if http::is_refused(&error) { http::nobody(address) } else { error })?;
    let body = answer.json().with_context(|| format!("{address} is not a node's status listener"))?;
    anyhow::ensure!(
        answer.status == 200,
        "nothing was changed: {}",
        body.get("error").and_then(Value::as_str).unwrap_or("the node gave no reason")
    );
    if json {
        return say!("{}", serde_json::to_string_pretty(&body)?);
    }
    if let Some(theirs) = other(&body, config) {
        say!("note: the node reads {theirs}, not the file that was given here")?;
    }
    let texts = |key: &str| -> Vec<String> {
        let list = body.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let number = |key: &str| body.get(key).and_then(Value::as_u64).map_or(0, |n| n as usize);
    let [destinations, statements] = [("destinations", "destination"), ("statements", "statement")]
        .map(|(key, word)| counted(number(key), word));
    say!("in force: {destinations}, {statements}")?;
    match texts("changed").as_slice() {
        [] => say!(
            "relay files, keys and credentials were read again; no setting that a reload takes over has changed"
        )?,
        keys => say!("changed: {}", keys.join(", "))?,
    }
    for note in texts("notes") {
        say!("note: {note}")?;
    }
    let waits = texts("needs_restart");
    if !waits.is_empty() {
        say!("changed, and in force after a restart only: {}", waits.join(", "))?;
    }
    say!("next: {} status{}", program(), config.argument())
}

/// The settings file of the node, if the one that was given here is another.
fn other(body: &Value, config: &super::Config) -> Option<String> {
    let theirs = body.get("settings").and_then(Value::as_str)?;
    let ours = config.file()?;
    let real = |path: &Path| std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).ok();
    if real(&ours) == real(Path::new(theirs)) { None } else { Some(harmless(theirs)) }
}
