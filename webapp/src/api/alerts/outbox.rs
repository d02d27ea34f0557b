//! Messages: those that wait, those that have left, and those that were given up.

use super::change::{self, Change};
use super::{ACCOUNT, Alerts};
use crate::answer::{self, number};
use crate::api::query::{Bad, Parameters};
use crate::api::record_failed;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use skyline_sql::MAX_LIMIT;
use skyline_sql::outbox::{Message, State as Fate, Wanted};
use skyline_sql::responding::Again;

/// Messages of a page unless more are asked for.
const USUAL: u32 = 50;

/// `GET /api/v1/outbox?state=…&incident=…&limit=…&below=…`.
pub(super) async fn list(State(alerts): State<Alerts>, uri: Uri) -> Response {
    let wanted = match wanted(&uri) {
        Ok(wanted) => wanted,
        Err(bad) => return bad.into_response(),
    };
    match alerts.store.messages(&wanted).await {
        Ok(page) => {
            let rows: Vec<Value> = page.rows.iter().map(|(id, message)| document(*id, message)).collect();
            answer::ok(&json!({ "messages": rows, "next": page.next }))
        }
        Err(error) => record_failed(&error),
    }
}

fn wanted(uri: &Uri) -> Result<Wanted, Bad> {
    let parameters = Parameters::read(uri, &["state", "incident", "below", "limit"])?;
    let limit = parameters.parse("limit", &format!("a number from 1 to {MAX_LIMIT}"), |text| {
        text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n))
    })?;
    Ok(Wanted {
        state: parameters.parse("state", "waiting, sent or dead", Fate::of)?,
        incident: parameters.get("incident").map(str::to_owned),
        below: parameters
            .parse("below", "a number: take it from `next` of the page before", |text| text.parse().ok())?,
        limit: limit.unwrap_or(USUAL),
    })
}

/// `POST /api/v1/outbox/{id}/retry`.
pub(super) async fn retry(State(alerts): State<Alerts>, _change: Change, Path(id): Path<String>) -> Response {
    let id = match change::id(&id) {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    let conflict = |problem: &str| answer::error(StatusCode::CONFLICT, problem);
    let Some(dispatcher) = &alerts.dispatcher else {
        return conflict("alerting is switched off (alerting.enabled)");
    };
    match alerts.store.retry_message(id, &alerts.node, ACCOUNT).await {
        Ok(Again::Waits(message)) => match serde_json::from_str(&message.body) {
            Ok(body) => match dispatcher.again(body).await {
                Ok(()) => answer::ok(&document(id, &message)),
                // The row waits: the next start sends it.
                Err(_) => answer::busy("the node is stopping: the message is sent after the next start"),
            },
            Err(_) => {
                conflict("another version of the node has made this message: it is sent after the next start")
            }
        },
        Ok(Again::Not(state)) => conflict(&format!("it was not given up: it is {}", state.word())),
        Ok(Again::Elsewhere(node)) => {
            conflict(&format!("it is a message of the node `{node}`: ask that one"))
        }
        Ok(Again::None) => answer::error(StatusCode::NOT_FOUND, &format!("there is no message {id}")),
        Err(error) => record_failed(&error),
    }
}

fn document(id: i64, message: &Message) -> Value {
    json!({
        "id": id,
        "key": message.key,
        "incident": message.incident,
        "node": message.node,
        "channel": message.channel,
        "recipient": message.recipient,
        "kind": message.kind,
        "state": message.state.word(),
        "dry_run": message.is_dry,
        "attempts": message.attempts,
        "not_before": number(message.not_before),
        "created": number(message.created),
        "sent": message.sent.map(number),
        "error": message.error,
        "answer": message.answer,
        "metric": serde_json::from_str::<Value>(&message.body).ok().and_then(|body| body.pointer("/members/0/metric").cloned()),
    })
}
