//! Links of messages. One shows its incident. Of the others a `GET` shows what the link does, because scanners of mail follow links; a `POST` does it.

use super::page::{head, page};
use super::{Alerts, incident, incidents};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use skyline_alerting::link::Action;
use skyline_alerting::mute::MuteError;
use skyline_alerting::text::html::escaped;
use skyline_alerting::text::name::literal;
use skyline_sql::SYSTEM;
use skyline_sql::mute::{MuteKind, NewMute};

/// What a browser may do with these pages: send their one form back here.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
);

/// Who acknowledges by a link.
const BY: &str = "a link in a message";

/// `GET /alert/{token}`.
pub(super) async fn show(State(alerts): State<Alerts>, Path(token): Path<String>) -> Response {
    let action = match read(&alerts, &token) {
        Ok(action) => action,
        Err(answer) => return answer,
    };
    let (what, button) = match &action {
        Action::Show(id) => return incident::page(&alerts, id).await,
        Action::Acknowledge(incident) => {
            let metric = match alerts.store.incident(incident).await {
                Ok(Some((found, ..))) => {
                    format!(" that began with <bdi class=\"code\">{}</bdi>", shown(&found.first_metric))
                }
                Ok(None) | Err(_) => String::new(),
            };
            (
                format!(
                    "You are about to say that you have seen the incident{metric}. Then it does not escalate, and is not told again while it goes on."
                ),
                "Acknowledge",
            )
        }
        Action::Mute { metric, seconds } => (
            format!(
                "You are about to mute <bdi class=\"code\">{}</bdi> for {}. Nobody is told of it in that time.",
                shown(metric),
                minutes(*seconds)
            ),
            "Mute",
        ),
    };
    let form =
        format!("<p>{what}</p>\n<form method=\"post\"><button type=\"submit\">{button}</button></form>");
    answer(StatusCode::OK, button, &form)
}

/// `POST /alert/{token}`.
pub(super) async fn act(State(alerts): State<Alerts>, Path(token): Path<String>) -> Response {
    match read(&alerts, &token) {
        Ok(Action::Show(_)) => {
            let text = "<p>This link shows an incident and does nothing.</p>";
            answer(StatusCode::METHOD_NOT_ALLOWED, "Nothing was done", text)
        }
        Ok(Action::Acknowledge(incident)) => acknowledge(&alerts, &incident).await,
        Ok(Action::Mute { metric, seconds }) => mute(&alerts, metric, seconds).await,
        Err(answer) => answer,
    }
}

async fn acknowledge(alerts: &Alerts, incident: &str) -> Response {
    match incidents::acknowledged(alerts, incident, BY, SYSTEM).await {
        Ok(true) => answer(
            StatusCode::OK,
            "Acknowledged",
            "<p>Acknowledged. It does not escalate, and is not told again while it goes on.</p>",
        ),
        Ok(false) => answer(StatusCode::OK, "Acknowledged", "<p>Somebody has acknowledged it before.</p>"),
        Err(refusal) => {
            let text = "<p>This incident cannot be acknowledged now: it has ended, or the node does not know it any more.</p>";
            answer(refusal.status(), "Not acknowledged", text)
        }
    }
}

async fn mute(alerts: &Alerts, metric: String, seconds: u32) -> Response {
    let until = alerts.clock.now() as i64 + i64::from(seconds);
    let name = shown(&metric);
    let new = NewMute {
        kind: MuteKind::Name,
        pattern: metric,
        until: Some(until),
        schedule: None,
        zone: None,
        reason: Some(BY.to_owned()),
    };
    match alerts.policy.mutes.add(new, &[], SYSTEM).await {
        Ok(mute) => {
            let text = format!(
                "<p>Muted: nobody is told of <bdi class=\"code\">{name}</bdi> for {}.</p>\n<p class=\"dim\">To undo it: <code>skyline alert unmute {}</code></p>",
                minutes(seconds),
                mute.id
            );
            answer(StatusCode::OK, "Muted", &text)
        }
        Err(error) => {
            let status = match &error {
                MuteError::Record(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            };
            answer(status, "Not muted", "<p>It could not be muted now. Try again in a moment.</p>")
        }
    }
}

#[expect(clippy::result_large_err, reason = "the answer itself, made once a request")]
fn read(alerts: &Alerts, token: &str) -> Result<Action, Response> {
    let Some(links) = &alerts.policy.links else {
        return Err(answer(StatusCode::NOT_FOUND, "No such link", "<p>This node has no links.</p>"));
    };
    links.read(token, alerts.clock.now()).map(|(action, _)| action).map_err(|bad| {
        let mut said = bad.to_string();
        if let Some(first) = said.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        answer(StatusCode::FORBIDDEN, "No such link", &format!("<p>{}.</p>", escaped(&said)))
    })
}

/// A name of a stranger, literally.
fn shown(name: &str) -> String {
    escaped(&literal(name))
}

fn minutes(seconds: u32) -> String {
    skyline_alerting::text::number::duration(f64::from(seconds))
}

/// A page; `text` is HTML.
pub(super) fn answer(status: StatusCode, title: &str, text: &str) -> Response {
    let body =
        format!("{}<article><h2>{}</h2>\n{text}</article>\n</body></html>\n", head(title), escaped(title));
    page(status, POLICY, body)
}
