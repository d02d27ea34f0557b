//! The outbox as a page: the newest messages with their pictures, as a person gets them. For the demo and for dry runs.

use super::Alerts;
use super::change;
use crate::answer;
use crate::api::record_failed;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use skyline_alerting::Message;
use skyline_alerting::message::Pictures;
use skyline_alerting::text::html::{self, Shown, escaped, of_line};
use skyline_alerting::text::story::Story;
use skyline_alerting::text::style::Style;
use skyline_sql::outbox::{Message as Row, Wanted};

/// Messages of the page.
const MESSAGES: u32 = 40;

/// What a browser may do with these pages: show them and their pictures.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);

const SHEET: &str = "body{margin:0 auto;max-width:60em;padding:1em;font:15px/1.5 system-ui,sans-serif;background:#f2f4f6;color:#202124}\
 article{background:#fff;border-radius:6px;padding:1em;margin:1em 0;overflow-wrap:anywhere}\
 h2{font-size:1.05em;margin:0}p{margin:.4em 0}.dim{color:#5f6368;font-size:.9em}img{max-width:100%;height:auto;display:block;margin:.6em 0}\
 .code{background:#eef1f4}@media(prefers-color-scheme:dark){body{background:#111418;color:#e8eaed}article{background:#1b2026}\
 .dim{color:#a9b0b8}.code{background:#2a3138 !important}a{color:#8ab4f8}}";

/// A page.
pub(super) fn page(status: StatusCode, policy: HeaderValue, text: String) -> Response {
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let robots = HeaderName::from_static("x-robots-tag");
    let headers = [
        (header::CONTENT_TYPE, html),
        (header::CONTENT_SECURITY_POLICY, policy),
        (robots, HeaderValue::from_static("noindex")),
    ];
    (status, headers, text).into_response()
}

/// The beginning of a page.
pub(super) fn head(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>{}</title><style>{SHEET}</style></head>\n<body>\n",
        escaped(title)
    )
}

/// `GET /outbox`.
pub(super) async fn outbox(State(alerts): State<Alerts>) -> Response {
    let wanted = Wanted { limit: MESSAGES, ..Wanted::default() };
    let page_of = match alerts.store.messages(&wanted).await {
        Ok(page) => page,
        Err(error) => return record_failed(&error),
    };
    let style = Style::new(&alerts.settings);
    let mut out = head("Outbox");
    out.push_str("<h1>Outbox</h1>\n<p class=\"dim\">The newest messages, as their recipients get them. Load the page again for newer ones.</p>\n");
    if page_of.rows.is_empty() {
        out.push_str("<article><p>There are no messages yet.</p></article>\n");
    }
    for (id, row) in &page_of.rows {
        article(&mut out, *id, row, &style, alerts.gallery.is_some());
    }
    out.push_str("</body></html>\n");
    page(StatusCode::OK, POLICY, out)
}

fn article(out: &mut String, id: i64, row: &Row, style: &Style, has_pictures: bool) {
    let Ok(message) = serde_json::from_str::<Message>(&row.body) else {
        out.push_str(&format!("<article><p>Message {id} is of another version of the node.</p></article>\n"));
        return;
    };
    let story = Story::new(&message, style);
    let time = skyline_alerting::text::time::whole(message.created, &style.zone);
    let state = match (row.state.word(), row.is_dry) {
        ("sent", true) => "not sent: dry run",
        (word, _) => word,
    };
    let error = row.error.as_deref().map_or_else(String::new, |error| format!(": {}", escaped(error)));
    let lead = [&story.lead].into_iter().chain(&story.more).map(|line| format!("<p>{}</p>", of_line(line)));
    let lead: String = lead.collect();
    let picture = if has_pictures && !message.members.is_empty() {
        format!(
            "<img src=\"/outbox/{id}/window.png\" width=\"588\" height=\"308\" loading=\"lazy\" alt=\"the window of the first metric\">"
        )
    } else {
        String::new()
    };
    out.push_str(&format!(
        "<article><h2><a href=\"/outbox/{id}/page\">{}</a></h2>\n<p class=\"dim\">{} to {} &middot; {} &middot; {state}{error}</p>\n{lead}{picture}</article>\n",
        escaped(&story.subject),
        escaped(&row.channel),
        escaped(&row.recipient),
        escaped(&time),
    ));
}

/// `GET /outbox/{id}/page`: one message in its HTML form; `GET /outbox/{id}/window.png`, `/graphite.png`: its pictures.
pub(super) async fn picture(
    State(alerts): State<Alerts>,
    Path((id, what)): Path<(String, String)>,
) -> Response {
    let id = match change::id(&id) {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    let row = match alerts.store.message(id).await {
        Ok(Some(row)) => row,
        Ok(None) => return answer::error(StatusCode::NOT_FOUND, &format!("there is no message {id}")),
        Err(error) => return record_failed(&error),
    };
    let Ok(message) = serde_json::from_str::<Message>(&row.body) else {
        return answer::error(StatusCode::NOT_FOUND, "the message is of another version of the node");
    };
    let pictures = match &alerts.gallery {
        Some(gallery) => gallery.pictures(&message).await,
        None => Pictures::default(),
    };
    let png = match what.as_str() {
        "page" => return whole(&alerts, id, &message, &pictures),
        "window.png" => pictures.window,
        "graphite.png" => pictures.graphite,
        _ => None,
    };
    match png {
        Some(bytes) => {
            ([(header::CONTENT_TYPE, HeaderValue::from_static("image/png"))], bytes).into_response()
        }
        None => answer::error(StatusCode::NOT_FOUND, "there is no such picture"),
    }
}

fn whole(alerts: &Alerts, id: i64, message: &Message, pictures: &Pictures) -> Response {
    let address = |name: &str| format!("/outbox/{id}/{name}.png");
    let window = pictures.window.as_ref().map(|_| address("window"));
    let graphite = pictures.graphite.as_ref().map(|_| address("graphite"));
    let shown = Shown {
        window: window.as_deref(),
        description: &pictures.description,
        graphite: graphite.as_deref(),
    };
    let text = html::write(&Story::new(message, &Style::new(&alerts.settings)), shown);
    page(StatusCode::OK, POLICY, text)
}
