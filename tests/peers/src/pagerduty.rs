//! A strict PagerDuty on loopback: Events API v2, as documented.
#![expect(clippy::indexing_slicing, reason = "a JSON value has a null where it has no such member")]

use crate::http::{Reply, Request, Server};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The routing key that it knows.
pub const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

#[derive(Debug, Default)]
struct State {
    events: Vec<Value>,
    open: Vec<String>,
    /// Each with the number of events that are answered as usual before it.
    troubles: VecDeque<(usize, Reply)>,
}

/// The server.
#[derive(Debug)]
pub struct PagerDuty {
    server: Server,
    state: Arc<Mutex<State>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PagerDuty {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start() -> anyhow::Result<Self> {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| answer(&mut lock(&shared), &request))?;
        Ok(Self { server, state })
    }

    /// Where events go.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/v2/enqueue", self.server.url())
    }

    /// The next event is answered so.
    pub fn trouble(&self, reply: Reply) {
        self.trouble_after(0, reply);
    }

    /// The event after so many others is answered so.
    pub fn trouble_after(&self, events: usize, reply: Reply) {
        lock(&self.state).troubles.push_back((events, reply));
    }

    /// Events that were taken.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        lock(&self.state).events.clone()
    }

    /// Keys of the incidents that are open.
    #[must_use]
    pub fn open(&self) -> Vec<String> {
        lock(&self.state).open.clone()
    }
}

fn answer(state: &mut State, request: &Request) -> Reply {
    match state.troubles.front_mut() {
        Some((0, _)) => {
            if let Some((_, reply)) = state.troubles.pop_front() {
                return reply;
            }
        }
        Some((before, _)) => *before -= 1,
        None => {}
    }
    let wrong = |errors: &[&str]| {
        Reply::json(
            400,
            &json!({"status": "invalid event", "message": "Event object is invalid", "errors": errors}),
        )
    };
    if request.method.as_str() != "POST" || request.path != "/v2/enqueue" {
        return Reply::text(404, "not found");
    }
    if !request.header("content-type").starts_with("application/json") || request.body.len() > 512 << 10 {
        return wrong(&["content type or size"]);
    }
    let Ok(event) = serde_json::from_slice::<Value>(&request.body) else { return wrong(&["not JSON"]) };
    if event["routing_key"] != ROUTING_KEY {
        return wrong(&["'routing_key' is invalid"]);
    }
    if let Err(error) = is_good(&event) {
        return wrong(&[&error]);
    }
    let key = event["dedup_key"].as_str().unwrap_or_default().to_owned();
    if event["event_action"] == "resolve" {
        state.open.retain(|open| *open != key);
    } else if !state.open.contains(&key) {
        state.open.push(key.clone());
    }
    state.events.push(event);
    Reply::json(202, &json!({"status": "success", "message": "Event processed", "dedup_key": key}))
}

fn is_good(event: &Value) -> Result<(), String> {
    let known =
        ["routing_key", "event_action", "dedup_key", "payload", "images", "links", "client", "client_url"];
    for field in event.as_object().into_iter().flat_map(|map| map.keys()) {
        if !known.contains(&field.as_str()) {
            return Err(format!("unknown field {field}"));
        }
    }
    let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    if !(1..=255).contains(&length(&event["dedup_key"])) {
        return Err("dedup_key".into());
    }
    match event["event_action"].as_str() {
        Some("resolve" | "acknowledge") => return Ok(()),
        Some("trigger") => {}
        _ => return Err("event_action".into()),
    }
    let payload = &event["payload"];
    let is_good = (1..=1024).contains(&length(&payload["summary"]))
        && length(&payload["source"]) > 0
        && payload["severity"]
            .as_str()
            .is_some_and(|s| ["critical", "error", "warning", "info"].contains(&s))
        && payload["timestamp"].as_str().is_some_and(|at| at.ends_with('Z'));
    if !is_good {
        return Err(format!("payload {payload}"));
    }
    let items = |name: &str| event[name].as_array().cloned().unwrap_or_default();
    let is_link = |link: &Value| link["href"].as_str().is_some_and(|href| href.starts_with("http"));
    let is_image = |image: &Value| image["src"].as_str().is_some_and(|src| src.starts_with("https://"));
    if items("links").iter().all(is_link) && items("images").iter().all(is_image) {
        Ok(())
    } else {
        Err("links or images".into())
    }
}
