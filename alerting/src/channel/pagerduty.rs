//! PagerDuty, by its Events API v2: an incident of ours is one of theirs, known by the same key, and resolved with it.
//!
//! Digests of silent metrics are one incident of theirs for each recipient, from the first metric that is silent until none
//! is; messages that are held back are one, for as long as that lasts. Nothing stays open that no later message resolves.

use super::object::with;
use super::{Channel, Delivery, Gallery, Later, answer};
use crate::message::{Kind, Message, Severity};
use crate::text::{Story, Style, name, time};
use serde_json::{Map, Value, json};
use skyline_conf::model::alerting::pagerduty::PagerDuty as Settings;
use skyline_conf::secret::Secret;
use skyline_core::clock::Clock;
use skyline_core::problem::Problem;
use skyline_upstream::{Ask, Client, HeaderValue, Options, StatusCode};
use std::time::Duration;

/// Its name in rules and in the outbox.
pub const NAME: &str = "pagerduty";
/// Longest summary that PagerDuty keeps, characters.
const SUMMARY: usize = 1024;
/// Longest key that it keeps, characters.
const KEY: usize = 255;

/// Events to PagerDuty.
#[derive(Debug)]
pub struct PagerDuty {
    client: Client,
    key: Secret,
    style: Style,
    clock: Clock,
    timeout: Duration,
}

impl PagerDuty {
    /// The channel that the settings describe.
    ///
    /// # Errors
    /// A key or an address that is of no use.
    pub fn new(settings: &Settings, style: Style) -> Result<Self, Problem> {
        let key = settings.routing_key()?.ok_or_else(|| {
            Problem::new("PagerDuty has no routing key", "name alerting.pagerduty.routing_key_file")
        })?;
        let total = Duration::from_secs_f64(settings.timeout_seconds);
        let mut options = Options::new("pagerduty", settings.url.as_str());
        (options.total, options.connect, options.idle) = (total, total, total);
        // When to try again is the outbox's to decide.
        options.pauses.failures = 0;
        options.redirects = 0;
        Ok(Self { client: Client::new(options)?, key, style, clock: Clock::system(), timeout: total })
    }

    async fn send(&self, message: &Message) -> Delivery {
        let steps = steps(message);
        let mut delivery = Delivery::Accepted {
            thread: None,
            answer: "nothing to say to PagerDuty: its incident goes on until all metrics send again".into(),
        };
        for step in steps {
            let event = match step {
                Step::Trigger => event(message, &Story::new(message, &self.style)),
                Step::Resolve => json!({"event_action": "resolve", "dedup_key": key(message)}),
            };
            delivery = self.post(event).await;
            if !matches!(delivery, Delivery::Accepted { .. }) {
                break;
            }
        }
        delivery
    }

    async fn post(&self, event: Value) -> Delivery {
        let event = with(event, "routing_key", json!(self.key.reveal()));
        let ask = Ask::post("", HeaderValue::from_static("application/json"), event.to_string());
        let answer = answer::of(&self.client, ask).await;
        answer::delivery(answer, self.clock.now(), &[&self.key], |status| match status {
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => {
                "the routing key must be that of an integration by Events API v2 (32 characters)"
            }
            _ => "",
        })
    }
}

/// What is done with PagerDuty's incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Opened, or told more if it is open.
    Trigger,
    /// Ended.
    Resolve,
}

/// What a message does, in order. Done again after a failure, it comes to the same.
const fn steps(message: &Message) -> &'static [Step] {
    match (message.kind, message.ended) {
        (Kind::Opened | Kind::Updated | Kind::Escalated | Kind::Stale, _) | (Kind::HeldBack, None) => {
            &[Step::Trigger]
        }
        (Kind::Ended, _) | (Kind::Returned, Some(_)) => &[Step::Resolve],
        // Told to an incident that somebody has resolved by hand it would open another.
        (Kind::Returned, None) => &[],
        // Nobody is kept awake by a test. What was held back is told, and a resolution has no room for it.
        (Kind::Test, _) | (Kind::HeldBack, Some(_)) => &[Step::Trigger, Step::Resolve],
    }
}

/// What PagerDuty knows the incident by.
fn key(message: &Message) -> String {
    name::shortened(message.matter(), KEY)
}

/// The event that opens an incident, without the key that it is routed by.
fn event(message: &Message, story: &Story) -> Value {
    let summary = format!("{} {}: {}", story.heading, story.word, story.lead.plain());
    let metric = message.members.first().map_or("", |member| member.metric.as_str());
    let mut details = Map::new();
    for fact in &story.facts {
        details.insert(fact.label.to_owned(), json!(fact.value.plain()));
    }
    let others: Vec<String> = story.rows.iter().map(|row| row.metric.plain()).collect();
    if !others.is_empty() {
        details.insert("Other metrics".into(), json!(others));
    }
    if !story.lines.is_empty() {
        details.insert("More".into(), story.lines.iter().map(|line| json!(line.plain())).collect());
    }
    details.insert("From".into(), json!(story.footer.plain()));
    let links: Vec<Value> =
        story.links.iter().map(|(label, address)| json!({"href": address, "text": label})).collect();
    let mut event = json!({
        "event_action": "trigger",
        "dedup_key": key(message),
        "client": story.heading,
        "links": links,
        "payload": {
            "summary": name::shortened(&summary, SUMMARY),
            "source": name::shortened(&name::literal(if metric.is_empty() { "skyline" } else { metric }), KEY),
            "severity": severity(message),
            "timestamp": time::rfc3339(message.created),
            "group": story.heading,
            "class": format!("{:?}", message.kind).to_lowercase(),
            "custom_details": details,
        },
    });
    if !message.links.incident.is_empty() {
        event = with(event, "client_url", json!(message.links.incident));
    }
    // They are fetched by PagerDuty, which takes none without encryption.
    if message.links.graph.starts_with("https://") {
        let graph = &message.links.graph;
        event = with(event, "images", json!([{"src": graph, "href": graph, "alt": "chart of the metric"}]));
    }
    event
}

const fn severity(message: &Message) -> &'static str {
    match (message.kind, message.severity) {
        (Kind::Test | Kind::HeldBack, _) | (_, Severity::Info) => "info",
        (_, Severity::Warning) => "warning",
        (_, Severity::Critical) => "critical",
    }
}

impl Channel for PagerDuty {
    fn name(&self) -> &str {
        NAME
    }

    fn deliver<'a>(
        &'a self,
        message: &'a Message,
        _thread: Option<&'a str>,
        _gallery: &'a dyn Gallery,
    ) -> Later<'a, Delivery> {
        Box::pin(self.send(message))
    }

    fn longest(&self) -> Duration {
        // A test is resolved too.
        self.timeout * 2
    }
}
