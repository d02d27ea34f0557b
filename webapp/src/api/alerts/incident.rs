//! An incident as a page, for links of messages: what broke, how it stands, and by which channels it was told. Nothing can
//! be done there, and nobody is named who was told: messages are passed on.

use super::{Alerts, links};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::tz::TimeZone;
use skyline_alerting::text::html::escaped;
use skyline_alerting::text::name::literal;
use skyline_alerting::text::number::{counted, short};
use skyline_alerting::text::style::Style;
use skyline_alerting::text::time::whole;
use skyline_sql::incident::{Incident, Member, Told};
use std::collections::BTreeMap;

/// Metrics that a page lists; the others are counted.
const METRICS: usize = 100;

/// The page of an incident.
pub(super) async fn page(alerts: &Alerts, id: &str) -> Response {
    match alerts.store.incident(id).await {
        Ok(Some((incident, members, told))) => {
            let zone = Style::new(&alerts.settings).zone;
            let text = text(&incident, &members, &told, &zone);
            links::answer(StatusCode::OK, &literal(&incident.first_metric), &text)
        }
        Ok(None) => {
            let text =
                "<p>The record does not have this incident, or not yet. Load the page again in a moment.</p>";
            links::answer(StatusCode::NOT_FOUND, "No such incident", text)
        }
        Err(_) => {
            let text = "<p>The record does not answer: the incident cannot be shown now. Messages leave all the same.</p>";
            links::answer(StatusCode::SERVICE_UNAVAILABLE, "Not now", text)
        }
    }
}

/// What is below the title, as HTML.
fn text(incident: &Incident, members: &[Member], told: &[Told], zone: &TimeZone) -> String {
    let at = |seconds: f64| escaped(&whole(seconds, zone));
    let state = match incident.ended {
        Some(ended) => format!("It is over: from {} to {}.", at(incident.since), at(ended)),
        None => format!("It goes on, since {}.", at(incident.since)),
    };
    let detail = parsed(&incident.detail);
    let seen = match (incident.acknowledged, detail.pointer("/acknowledged/by").and_then(|by| by.as_str())) {
        (Some(time), by) => {
            let by = by.unwrap_or("somebody");
            format!("Acknowledged by {}, {}.", escaped(&literal(by)), at(time))
        }
        (None, _) => "Nobody has acknowledged it.".to_owned(),
    };
    let mut out = format!("<p>{state} {seen}</p>\n<ul>\n");
    for member in members.iter().take(METRICS) {
        out.push_str(&item(member, zone));
    }
    if let Some(more) = members.len().checked_sub(METRICS).filter(|more| *more > 0) {
        out.push_str(&format!("<li>and {more} more</li>\n"));
    }
    out.push_str("</ul>\n");
    let mut channels: BTreeMap<&str, u64> = BTreeMap::new();
    for told in told {
        *channels.entry(&told.channel).or_default() += 1;
    }
    let channels = channels.into_iter().map(|(channel, recipients)| {
        format!("{} ({})", escaped(&literal(channel)), counted(recipients, "recipient", "recipients"))
    });
    let channels: Vec<String> = channels.collect();
    let told = if channels.is_empty() { "nobody".to_owned() } else { channels.join(", ") };
    out.push_str(&format!(
        "<p class=\"dim\">Severity: {}. Told: {told}. <code>skyline alert show {}</code></p>",
        escaped(&incident.severity),
        escaped(&incident.key)
    ));
    out
}

fn item(member: &Member, zone: &TimeZone) -> String {
    let detail = parsed(&member.detail);
    let number = |field: &str| detail.pointer(&format!("/told/{field}")).and_then(serde_json::Value::as_f64);
    let value = number("value").map(|value| format!(" is {}", short(value))).unwrap_or_default();
    let mean = number("mean").map(|mean| format!(", usually {}", short(mean))).unwrap_or_default();
    let state = match member.ended {
        Some(_) => format!("over, anomalous for the last time {}", escaped(&whole(member.last, zone))),
        None => format!("since {}", escaped(&whole(member.since, zone))),
    };
    format!(
        "<li><bdi class=\"code\">{}</bdi>{value}{mean}; {}; {state}</li>\n",
        escaped(&literal(&member.name)),
        counted(member.points, "anomalous point", "anomalous points")
    )
}

fn parsed(detail: &str) -> serde_json::Value {
    serde_json::from_str(detail).unwrap_or(serde_json::Value::Null)
}
