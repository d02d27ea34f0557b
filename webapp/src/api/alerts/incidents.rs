//! Incidents: those that are open, those that were, and that somebody has seen one.

use super::change::{Body, Change};
use super::{ACCOUNT, Alerts};
use crate::answer::{self, number};
use crate::api::query::{Bad, Parameters};
use crate::api::record_failed;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use skyline_alerting::dispatcher::Acknowledged;
use skyline_sql::MAX_LIMIT;
use skyline_sql::incident::{Incident, Member, Told};

/// Incidents of a page unless more are asked for.
const USUAL: u32 = 50;
/// Newest incidents among which the beginning of an id is looked for.
const LOOKED_AT: u32 = MAX_LIMIT;
/// Characters of an id that are enough.
const SHORTEST: usize = 4;

/// `GET /api/v1/incidents?open=true&limit=…&below=…`.
pub(super) async fn list(State(alerts): State<Alerts>, uri: Uri) -> Response {
    let (is_open, below, limit) = match wanted(&uri) {
        Ok(wanted) => wanted,
        Err(bad) => return bad.into_response(),
    };
    match alerts.store.incidents(is_open, below, limit).await {
        Ok(page) => {
            let rows: Vec<Value> = page.rows.iter().map(|(_, incident)| document(incident)).collect();
            answer::ok(&json!({ "incidents": rows, "next": page.next }))
        }
        Err(error) => record_failed(&error),
    }
}

fn wanted(uri: &Uri) -> Result<(bool, Option<i64>, u32), Bad> {
    let parameters = Parameters::read(uri, &["open", "below", "limit"])?;
    let is_open = parameters.parse("open", "true or false", |text| text.parse().ok())?.unwrap_or_default();
    let below = parameters
        .parse("below", "a number: take it from `next` of the page before", |text| text.parse().ok())?;
    let limit = parameters.parse("limit", &format!("a number from 1 to {MAX_LIMIT}"), |text| {
        text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n))
    })?;
    Ok((is_open, below, limit.unwrap_or(USUAL)))
}

/// `GET /api/v1/incidents/{id}`.
pub(super) async fn one(State(alerts): State<Alerts>, Path(id): Path<String>) -> Response {
    let id = match find(&alerts, &id).await {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    match alerts.store.incident(&id).await {
        Ok(Some((incident, members, told))) => {
            let mut said = document(&incident);
            if let Value::Object(fields) = &mut said {
                fields.insert("members".into(), members.iter().map(of_member).collect());
                fields.insert("told".into(), told.iter().map(of_told).collect());
            }
            answer::ok(&said)
        }
        Ok(None) => unknown(&id),
        Err(error) => record_failed(&error),
    }
}

/// `POST /api/v1/incidents/{id}/acknowledge`, with who does it in `by`.
pub(super) async fn acknowledge(
    State(alerts): State<Alerts>,
    _change: Change,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let by = Body::read(&body, &["by"]).and_then(|body| {
        let by = body.text("by")?.unwrap_or_else(|| "the API".to_owned());
        if by.chars().count() > 100 { Err(body.bad("by", "`by` has 100 characters at most")) } else { Ok(by) }
    });
    let by = match by {
        Ok(by) => by,
        Err(bad) => return bad.into_response(),
    };
    let id = match find(&alerts, &id).await {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    match acknowledged(&alerts, &id, &by, ACCOUNT).await {
        Ok(is_new) => answer::ok(&json!({ "id": id, "acknowledged": true, "new": is_new, "by": by })),
        Err(answer) => answer,
    }
}

/// Somebody has seen it; whether that is new.
pub(super) async fn acknowledged(
    alerts: &Alerts,
    id: &str,
    by: &str,
    account: i64,
) -> Result<bool, Response> {
    let Some(dispatcher) = &alerts.dispatcher else {
        return Err(answer::error(StatusCode::CONFLICT, "alerting is switched off (alerting.enabled)"));
    };
    let what =
        dispatcher.acknowledge(id, by).await.map_err(|_| answer::busy("the node is stopping: ask again"))?;
    match what {
        Acknowledged::New => {
            // It holds whether or not this is written down; the record may be away.
            match alerts.store.note_acknowledgement(id, by, account).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::debug!(incident = id, "acknowledged before the record has the incident")
                }
                Err(error) => tracing::warn!(%error, incident = id, "who acknowledged is not written down"),
            }
            return Ok(true);
        }
        Acknowledged::Before => return Ok(false),
        Acknowledged::Unknown => {}
    }
    match alerts.store.incident(id).await {
        Ok(Some((incident, ..))) if incident.acknowledged.is_some() => Ok(false),
        Ok(Some((incident, ..))) if incident.ended.is_some() => {
            Err(answer::error(StatusCode::CONFLICT, "it has ended: there is nothing to acknowledge"))
        }
        // The node whose it is looks for that every few seconds.
        Ok(Some((incident, ..))) if incident.node != alerts.node => {
            alerts.store.note_acknowledgement(id, by, account).await.map_err(|error| record_failed(&error))
        }
        // The start did not find it in the file, nor the record yet.
        Ok(Some(_)) => Err(answer::error(
            StatusCode::CONFLICT,
            "the record has it as open, but the node does not know it (yet): nothing is acknowledged; ask again in a minute",
        )),
        Ok(None) => Err(unknown(id)),
        Err(error) => Err(record_failed(&error)),
    }
}

/// The whole id of an incident whose id begins so.
async fn find(alerts: &Alerts, text: &str) -> Result<String, Response> {
    let is_good =
        text.len() >= SHORTEST && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_good {
        let problem = "`id` is not the id of an incident, or four characters or more of its beginning";
        return Err(Bad::new("id", problem, &["id"]).into_response());
    }
    if text.len() >= 24 {
        return Ok(text.to_owned());
    }
    let page = alerts.store.incidents(false, None, LOOKED_AT).await.map_err(|error| record_failed(&error))?;
    let mut found = page.rows.iter().filter(|(_, incident)| incident.key.starts_with(text));
    match (found.next(), found.next()) {
        (Some((_, incident)), None) => Ok(incident.key.clone()),
        (Some(_), Some(_)) => {
            Err(Bad::new("id", "the ids of several incidents begin so: give more of it", &["id"])
                .into_response())
        }
        (None, _) => Err(unknown(text)),
    }
}

fn unknown(id: &str) -> Response {
    answer::error(StatusCode::NOT_FOUND, &format!("there is no incident `{id}`"))
}

fn parsed(detail: &str) -> Value {
    serde_json::from_str(detail).unwrap_or(Value::Null)
}

fn document(incident: &Incident) -> Value {
    let detail = parsed(&incident.detail);
    json!({
        "id": incident.key,
        "node": incident.node,
        "first_metric": incident.first_metric,
        "severity": incident.severity,
        "opened": number(incident.opened),
        "since": number(incident.since),
        "changed": number(incident.changed),
        "ended": incident.ended.map(number),
        "metrics": incident.metrics,
        "anomalies": incident.anomalies,
        "acknowledged": incident.acknowledged.map(number),
        "acknowledged_by": detail.pointer("/acknowledged/by"),
        "returns": detail.get("returns"),
    })
}

fn of_member(member: &Member) -> Value {
    let detail = parsed(&member.detail);
    let told = |field: &str| detail.pointer(&format!("/told/{field}")).cloned();
    json!({
        "metric": member.name,
        "since": number(member.since),
        "last": number(member.last),
        "ended": member.ended.map(number),
        "anomalies": member.points,
        "value": told("value"),
        "peak": told("peak"),
        "mean": told("mean"),
        "stddev": told("stddev"),
        "algorithms_triggered": told("triggered"),
    })
}

fn of_told(told: &Told) -> Value {
    let detail = parsed(&told.detail);
    json!({
        "channel": told.channel,
        "recipient": told.recipient,
        "rule": detail.get("rule"),
        "messages": told.messages,
        "last": number(told.last),
        "thread": told.thread,
        "end_told": detail.get("is_over"),
    })
}
