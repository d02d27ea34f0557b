//! What nobody is told of.

use super::change::{self, Body, Change};
use super::{ACCOUNT, Alerts};
use crate::answer::{self, number};
use crate::api::query::{Bad, Parameters};
use crate::api::record_failed;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use skyline_alerting::mute::MuteError;
use skyline_sql::mute::{Mute, MuteKind, NewMute};

/// What a mute is made of. `seconds` in place of `until`: from now.
const ALLOWED: &[&str] = &["kind", "pattern", "until", "seconds", "schedule", "zone", "reason"];
/// Longest mute with an end, seconds: what is longer has none.
const LONGEST: f64 = 10.0 * 366.0 * 86_400.0;

/// `GET /api/v1/mutes`.
pub(super) async fn list(State(alerts): State<Alerts>, uri: Uri) -> Response {
    if let Err(bad) = Parameters::read(&uri, &[]) {
        return bad.into_response();
    }
    if let Err(error) = alerts.policy.mutes.refresh().await {
        return record_failed(&error);
    }
    let all = alerts.policy.mutes.all(alerts.clock.now());
    let mutes: Vec<Value> = all.iter().map(|(mute, holds)| document(mute, *holds)).collect();
    answer::ok(&json!({ "mutes": mutes }))
}

/// `POST /api/v1/mutes`.
pub(super) async fn add(State(alerts): State<Alerts>, _change: Change, body: Bytes) -> Response {
    let now = alerts.clock.now();
    let new = match Body::read(&body, ALLOWED).and_then(|body| wanted(&body, now)) {
        Ok(new) => new,
        Err(bad) => return bad.into_response(),
    };
    match alerts.policy.mutes.add(new, &alerts.policy.rule_names(), ACCOUNT).await {
        Ok(mute) => {
            let all = alerts.policy.mutes.all(now);
            let holds = all.iter().any(|(other, holds)| other.id == mute.id && *holds);
            answer::document(StatusCode::CREATED, &document(&mute, holds))
        }
        Err(MuteError::Record(error)) => refused(&error),
        Err(error) => {
            Bad::new(error.parameter().unwrap_or_default(), error.to_string(), ALLOWED).into_response()
        }
    }
}

fn refused(error: &skyline_sql::Error) -> Response {
    match error {
        skyline_sql::Error::Data { .. } => Bad::new("", error.to_string(), ALLOWED).into_response(),
        other => record_failed(other),
    }
}

fn wanted(body: &Body, now: f64) -> Result<NewMute, Bad> {
    let kind = match body.text("kind")? {
        None => MuteKind::Name,
        Some(word) => {
            MuteKind::of(&word).ok_or_else(|| body.bad("kind", "`kind` is not name, glob or rule"))?
        }
    };
    let pattern = body
        .text("pattern")?
        .ok_or_else(|| body.bad("pattern", "`pattern` is missing: what is to be muted?"))?;
    let (until, seconds) = (body.number("until")?, body.number("seconds")?);
    let until = match (until, seconds) {
        (Some(_), Some(_)) => return Err(body.bad("seconds", "give `until` or `seconds`, not both")),
        (Some(until), None) if until - now > LONGEST => {
            return Err(body.bad("until", "`until` is too far: leave it out to mute until somebody unmutes"));
        }
        (None, Some(seconds)) if !(1.0..=LONGEST).contains(&seconds) => {
            return Err(body.bad("seconds", "`seconds` is not a number from 1 to 316224000"));
        }
        (None, Some(seconds)) => Some((now + seconds).ceil()),
        (until, None) => until,
    };
    let (schedule, zone) = (body.text("schedule")?, body.text("zone")?);
    if zone.is_some() && schedule.is_none() {
        return Err(body.bad("zone", "`zone` belongs to `schedule`, which is missing"));
    }
    Ok(NewMute {
        kind,
        pattern,
        until: until.map(|at| at as i64),
        schedule,
        zone,
        reason: body.text("reason")?,
    })
}

/// `DELETE /api/v1/mutes/{id}`.
pub(super) async fn remove(
    State(alerts): State<Alerts>,
    _change: Change,
    Path(id): Path<String>,
) -> Response {
    let id = match change::id(&id) {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    match alerts.policy.mutes.remove(id, ACCOUNT).await {
        Ok(Some(mute)) => answer::ok(&json!({ "removed": document(&mute, false) })),
        Ok(None) => answer::error(StatusCode::NOT_FOUND, &format!("there is no mute {id}")),
        Err(error) => record_failed(&error),
    }
}

fn document(mute: &Mute, holds: bool) -> Value {
    json!({
        "id": mute.id,
        "kind": mute.what.kind.word(),
        "pattern": mute.what.pattern,
        "until": mute.what.until.map(|at| number(at as f64)),
        "schedule": mute.what.schedule,
        "zone": mute.what.zone,
        "reason": mute.what.reason,
        "by": mute.by,
        "created": mute.created,
        "holds": holds,
    })
}
