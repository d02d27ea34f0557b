//! What nobody is told of: `mute`, `unmute`, `mutes`.

use super::Where;
use super::incidents::rows;
use super::time::{self, shown, text};
use crate::cli::output::say;
use clap::{ArgGroup, Args};
use hyper::Method;
use serde_json::{Value, json};

/// A mute that is to be.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("end").required(true).multiple(true).args(["for", "until", "schedule", "forever"])))]
pub(crate) struct New {
    /// Name of the metric; with --glob a glob of names, with --rule the name of a rule
    #[arg(value_name = "NAME")]
    pattern: String,
    /// NAME is a glob: * and ? within one element, ** for any number of them
    #[arg(long, conflicts_with = "rule")]
    glob: bool,
    /// NAME is the name of a rule
    #[arg(long)]
    rule: bool,
    /// For so long: 15m, 2h, 1d, 1w
    #[arg(long, value_name = "TIME", value_parser = time::length, conflicts_with_all = ["until", "forever"])]
    r#for: Option<u32>,
    /// Until then: 2026-12-01T08:00:00Z, or "2026-12-01 08:00" in alerting.zone
    #[arg(long, value_name = "TIME", conflicts_with = "forever")]
    until: Option<String>,
    /// At these hours only: "mon-fri 22:00-06:00, sat+sun"
    #[arg(long, value_name = "HOURS")]
    schedule: Option<String>,
    /// Time zone of the hours (default: alerting.zone)
    #[arg(long, value_name = "ZONE", requires = "schedule")]
    zone: Option<String>,
    /// Until somebody unmutes
    #[arg(long)]
    forever: bool,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    node: Where,
}

pub(super) async fn mute(new: &New) -> anyhow::Result<()> {
    let kind = match (new.glob, new.rule) {
        (true, _) => "glob",
        (_, true) => "rule",
        _ => "name",
    };
    let until = match &new.until {
        Some(text) => {
            let zone = new
                .node
                .config
                .load()
                .map_or_else(|_| "UTC".to_owned(), |loaded| loaded.settings.alerting.zone);
            Some(time::moment(text, &zone)?)
        }
        None => None,
    };
    let body = json!({
        "kind": kind,
        "pattern": new.pattern,
        "seconds": new.r#for,
        "until": until,
        "schedule": new.schedule,
        "zone": new.zone,
        "reason": new.reason,
    });
    let mute = new.node.change(Method::POST, "/api/v1/mutes", &body).await?;
    if new.node.json {
        return say!("{}", serde_json::to_string_pretty(&mute)?);
    }
    say!("muted {}", line(&mute))?;
    say!("next: {}", new.node.next(&format!("unmute {}", id(&mute))))
}

fn id(mute: &Value) -> u64 {
    mute.get("id").and_then(Value::as_u64).unwrap_or_default()
}

fn line(mute: &Value) -> String {
    let until = match mute.get("until").is_some_and(|until| !until.is_null()) {
        true => format!(" until {}", shown(mute.get("until"))),
        false => " until somebody unmutes".to_owned(),
    };
    let hours = match text(mute.get("schedule"), 255).as_str() {
        "" => String::new(),
        hours => format!(", {hours} {}", text(mute.get("zone"), 60)),
    };
    let now = if mute.get("holds").and_then(Value::as_bool) == Some(true) { "" } else { " (not now)" };
    let reason = match text(mute.get("reason"), 255).as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    format!("{} {}{until}{hours}{now}{reason}", text(mute.get("kind"), 8), text(mute.get("pattern"), 120))
}

pub(super) async fn unmute(node: &Where, number: u64) -> anyhow::Result<()> {
    let answer = node.change(Method::DELETE, &format!("/api/v1/mutes/{number}"), &Value::Null).await?;
    if node.json {
        return say!("{}", serde_json::to_string_pretty(&answer)?);
    }
    let removed = answer.get("removed").unwrap_or(&Value::Null);
    say!("unmuted {} {}", text(removed.get("kind"), 8), text(removed.get("pattern"), 120))?;
    say!("next: {}", node.next("mutes"))
}

pub(super) async fn list(node: &Where) -> anyhow::Result<()> {
    let answer = node.get("/api/v1/mutes").await?;
    if node.json {
        return say!("{}", serde_json::to_string_pretty(&answer)?);
    }
    let mutes = rows(&answer, "mutes");
    let Some(last) = mutes.last() else {
        say!("nothing is muted")?;
        return say!("next: {}", node.next("list"));
    };
    for mute in mutes {
        say!("{:>4}  {}  (by {})", id(mute), line(mute), text(mute.get("by"), 60))?;
    }
    say!("next: {}", node.next(&format!("unmute {}", id(last))))
}
