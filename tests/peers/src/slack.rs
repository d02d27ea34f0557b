//! A strict Slack on loopback: it checks every call against what Slack documents, keeps what was said, and plays
//! troubles when told to.
#![expect(clippy::indexing_slicing, reason = "a JSON value has a null where it has no such member")]

use crate::http::{Reply, Request, Server};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The token that it knows.
pub const TOKEN: &str = "xoxb-1-test-token";
/// Path of its incoming webhook.
pub const WEBHOOK: &str = "/services/T1/B1/secret-part";

/// A message in a channel.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Id of the channel.
    pub channel: String,
    /// Its time, which is its id.
    pub ts: String,
    /// First message of its thread; none: it is one itself.
    pub thread: Option<String>,
    /// What was posted, as edited last.
    pub body: Value,
    /// How often it was edited.
    pub edits: usize,
    /// Reactions to it.
    pub reactions: Vec<String>,
}

/// A picture in a thread.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Id of the channel.
    pub channel: String,
    /// The thread.
    pub thread: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its text for who does not see it.
    pub alt: String,
}

/// What a call is answered with instead of its answer.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// 429 with this `Retry-After`, seconds.
    TooMany(u64),
    /// This status.
    Status(u16),
    /// `{"ok": false, "error": CODE}`.
    Code(&'static str),
    /// Never.
    Hang,
    /// 200, and JSON that ends too early.
    Broken,
    /// The call does its work, and is answered with this status all the same.
    WorkThenStatus(u16),
}

#[derive(Debug)]
struct Upload {
    length: usize,
    bytes: Option<Vec<u8>>,
    alt: String,
    is_complete: bool,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<Posted>,
    pictures: Vec<Picture>,
    webhook: Vec<Value>,
    uploads: HashMap<String, Upload>,
    calls: Vec<(Instant, String)>,
    violations: Vec<String>,
    troubles: HashMap<String, VecDeque<Trouble>>,
    count: u64,
}

/// The server. Channels: `ops` (C1), `db` (C2); `archived` (C9) is one that has ended.
#[derive(Debug)]
pub struct Slack {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Slack {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start() -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, own) = (Arc::clone(&state), Arc::new(Mutex::new(String::new())));
        let url = Arc::clone(&own);
        let server = Server::start(move |request| {
            let url = url.lock().unwrap_or_else(PoisonError::into_inner).clone();
            lock(&shared).answer(&request, &url)
        })?;
        *own.lock().unwrap_or_else(PoisonError::into_inner) = server.url();
        Ok(Self { server, state })
    }

    /// Where its methods are.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api", self.server.url())
    }

    /// Address of its incoming webhook.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        format!("{}{WEBHOOK}", self.server.url())
    }

    /// The next calls of a method (`upload` and `webhook` are two of them) have these troubles.
    pub fn trouble(&self, method: &str, troubles: &[Trouble]) {
        lock(&self.state).troubles.entry(method.to_owned()).or_default().extend(troubles.iter().cloned());
    }

    /// All messages.
    #[must_use]
    pub fn messages(&self) -> Vec<Posted> {
        lock(&self.state).messages.clone()
    }

    /// All pictures.
    #[must_use]
    pub fn pictures(&self) -> Vec<Picture> {
        lock(&self.state).pictures.clone()
    }

    /// What came by the webhook.
    #[must_use]
    pub fn by_webhook(&self) -> Vec<Value> {
        lock(&self.state).webhook.clone()
    }

    /// Methods that were called, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        lock(&self.state).calls.iter().map(|(_, method)| method.clone()).collect()
    }

    /// When a method was called.
    #[must_use]
    pub fn times(&self, method: &str) -> Vec<Instant> {
        let state = lock(&self.state);
        state.calls.iter().filter(|(_, called)| called == method).map(|(at, _)| *at).collect()
    }

    /// Calls that Slack would not have understood; must be empty.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        lock(&self.state).violations.clone()
    }

    /// Removes a message, as people do.
    pub fn remove(&self, ts: &str) {
        lock(&self.state).messages.retain(|message| message.ts != ts);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

type Answer = Result<Value, &'static str>;

impl State {
    fn answer(&mut self, request: &Request, url: &str) -> Reply {
        let method = match request.path.as_str() {
            WEBHOOK => "webhook",
            path if path.starts_with("/upload/") => "upload",
            path => path.strip_prefix("/api/").unwrap_or(path),
        }
        .to_owned();
        self.calls.push((Instant::now(), method.clone()));
        let trouble = self.troubles.get_mut(&method).and_then(VecDeque::pop_front);
        match trouble {
            Some(Trouble::TooMany(seconds)) => {
                let Reply::Answer(status, mut headers, body) =
                    Reply::json(429, &json!({"ok": false, "error": "ratelimited"}))
                else {
                    return Reply::Hang;
                };
                headers.push(("retry-after", seconds.to_string()));
                Reply::Answer(status, headers, body)
            }
            Some(Trouble::Status(status)) => Reply::text(status, "server trouble"),
            Some(Trouble::Code(code)) => Reply::json(200, &json!({"ok": false, "error": code})),
            Some(Trouble::Hang) => Reply::Hang,
            Some(Trouble::Broken) => {
                let headers = vec![("content-type", "application/json".to_owned())];
                Reply::Answer(200, headers, b"{\"ok\": tr".to_vec())
            }
            Some(Trouble::WorkThenStatus(status)) => {
                drop(self.work(&method, request, url));
                Reply::text(status, "server trouble")
            }
            None => self.work(&method, request, url),
        }
    }

    fn work(&mut self, method: &str, request: &Request, url: &str) -> Reply {
        if method == "upload" {
            return self.upload(request);
        }
        let is_get = method == "files.getUploadURLExternal";
        self.must(
            request.method.as_str() == if is_get { "GET" } else { "POST" },
            method,
            "wrong method of HTTP",
        );
        let body = if is_get {
            Value::Null
        } else {
            let is_json = request.header("content-type").starts_with("application/json");
            self.must(is_json, method, "the body is not said to be JSON");
            match serde_json::from_slice(&request.body) {
                Ok(body) => body,
                Err(_) => return Reply::json(200, &json!({"ok": false, "error": "invalid_json"})),
            }
        };
        if method == "webhook" {
            self.must(request.header("authorization").is_empty(), method, "a token was sent");
            self.content(method, &body);
            self.must(
                body.get("channel").is_none() && body.get("thread_ts").is_none(),
                method,
                "channel or thread",
            );
            self.webhook.push(body);
            return Reply::text(200, "ok");
        }
        if request.header("authorization") != format!("Bearer {TOKEN}") {
            return Reply::json(200, &json!({"ok": false, "error": "invalid_auth"}));
        }
        let answer = match method {
            "chat.postMessage" => self.post(&body),
            "chat.update" => self.update(&body),
            "reactions.add" => self.react(&body),
            "reactions.remove" => self.take_back(&body),
            "files.getUploadURLExternal" => self.place(request, url),
            "files.completeUploadExternal" => self.complete(&body),
            _ => {
                self.must(false, method, "no such method");
                Err("unknown_method")
            }
        };
        match answer {
            Ok(mut body) => {
                body["ok"] = json!(true);
                Reply::json(200, &body)
            }
            Err(code) => Reply::json(200, &json!({"ok": false, "error": code})),
        }
    }

    fn must(&mut self, good: bool, method: &str, what: &str) {
        if !good {
            self.violations.push(format!("{method}: {what}"));
        }
    }

    /// What every message must be.
    fn content(&mut self, method: &str, body: &Value) {
        let text = body["text"].as_str().unwrap_or_default().to_owned();
        self.must(!text.is_empty(), method, "no text for notifications");
        self.must(text.chars().count() <= 4000, method, "the text is too long");
        let open = text.replace("&lt;", "").replace("&gt;", "").replace("&amp;", "");
        self.must(!open.contains(['<', '>', '&']), method, "the text has mark-up");
        let blocks = body["blocks"].as_array().cloned().unwrap_or_default();
        self.must(!blocks.is_empty() && blocks.len() <= 50, method, "no blocks, or too many");
        self.must(body["blocks"].to_string().chars().count() <= 40_000, method, "the blocks are too long");
        for block in &blocks {
            if let Err(wrong) = block_is_good(block) {
                self.must(false, method, &format!("{wrong}: {block}"));
            }
        }
    }

    fn post(&mut self, body: &Value) -> Answer {
        const KNOWN: [&str; 12] = [
            "channel",
            "text",
            "blocks",
            "mrkdwn",
            "unfurl_links",
            "unfurl_media",
            "thread_ts",
            "icon_emoji",
            "parse",
            "link_names",
            "reply_broadcast",
            "metadata",
        ];
        self.fields("chat.postMessage", body, &KNOWN);
        self.content("chat.postMessage", body);
        let channel = match body["channel"].as_str().unwrap_or_default().trim_start_matches('#') {
            "ops" | "C1" => "C1",
            "db" | "C2" => "C2",
            "archived" | "C9" => return Err("is_archived"),
            _ => return Err("channel_not_found"),
        };
        let thread = body["thread_ts"].as_str().map(str::to_owned);
        if let Some(thread) = &thread
            && self.find(channel, thread).is_none()
        {
            return Err("thread_not_found");
        }
        self.count += 1;
        let ts = format!("1795958710.{:06}", self.count);
        self.messages.push(Posted {
            channel: channel.to_owned(),
            ts: ts.clone(),
            thread,
            body: body.clone(),
            edits: 0,
            reactions: Vec::new(),
        });
        Ok(json!({"channel": channel, "ts": ts, "message": {"text": body["text"], "ts": ts}}))
    }

    fn fields(&mut self, method: &str, body: &Value, known: &[&str]) {
        for name in body.as_object().into_iter().flat_map(|map| map.keys()) {
            self.must(known.contains(&name.as_str()), method, &format!("unknown field {name}"));
        }
    }

    fn find(&mut self, channel: &str, ts: &str) -> Option<&mut Posted> {
        self.messages.iter_mut().find(|message| message.channel == channel && message.ts == ts)
    }

    fn update(&mut self, body: &Value) -> Answer {
        self.fields("chat.update", body, &["channel", "ts", "text", "blocks", "parse", "link_names"]);
        self.content("chat.update", body);
        let (channel, ts) = (text_of(body, "channel"), text_of(body, "ts"));
        self.must(channel.starts_with('C'), "chat.update", "the channel is no id");
        let message = self.find(&channel, &ts).ok_or("message_not_found")?;
        message.edits += 1;
        message.body = body.clone();
        Ok(json!({"channel": channel, "ts": ts, "text": body["text"]}))
    }

    fn react(&mut self, body: &Value) -> Answer {
        self.fields("reactions.add", body, &["channel", "timestamp", "name"]);
        let name = text_of(body, "name");
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_+-".contains(c);
        self.must(!name.is_empty() && name.chars().all(is_name), "reactions.add", "no name of an emoji");
        self.must(text_of(body, "channel").starts_with('C'), "reactions.add", "the channel is no id");
        let message =
            self.find(&text_of(body, "channel"), &text_of(body, "timestamp")).ok_or("message_not_found")?;
        if message.reactions.contains(&name) {
            return Err("already_reacted");
        }
        message.reactions.push(name);
        Ok(json!({}))
    }

    fn take_back(&mut self, body: &Value) -> Answer {
        self.fields("reactions.remove", body, &["channel", "timestamp", "name"]);
        let name = text_of(body, "name");
        let message =
            self.find(&text_of(body, "channel"), &text_of(body, "timestamp")).ok_or("message_not_found")?;
        let before = message.reactions.len();
        message.reactions.retain(|reaction| *reaction != name);
        if message.reactions.len() == before { Err("no_reaction") } else { Ok(json!({})) }
    }

    fn place(&mut self, request: &Request, url: &str) -> Answer {
        let length = request.field("length").and_then(|length| length.parse().ok());
        let (Some(file), Some(length)) = (request.field("filename"), length) else {
            return Err("invalid_arguments");
        };
        self.must(!file.is_empty() && length > 0, "files.getUploadURLExternal", "no name or length");
        let alt = request.field("alt_txt").unwrap_or_default();
        self.must(alt.chars().count() <= 1000, "files.getUploadURLExternal", "alt_txt is too long");
        self.count += 1;
        let id = format!("F{}", self.count);
        self.uploads.insert(id.clone(), Upload { length, bytes: None, alt, is_complete: false });
        Ok(json!({"upload_url": format!("{url}/upload/{id}"), "file_id": id}))
    }

    fn upload(&mut self, request: &Request) -> Reply {
        self.must(request.method.as_str() == "POST", "upload", "wrong method of HTTP");
        self.must(request.header("authorization").is_empty(), "upload", "the token was sent");
        let id = request.path.trim_start_matches("/upload/");
        let Some(upload) = self.uploads.get_mut(id) else {
            return Reply::text(404, "no such place");
        };
        let fits = upload.length == request.body.len() && request.body.starts_with(b"\x89PNG");
        upload.bytes = Some(request.body.clone());
        self.must(fits, "upload", "not the length that was said, or no picture");
        Reply::text(200, &format!("OK - {}", request.body.len()))
    }

    fn complete(&mut self, body: &Value) -> Answer {
        let known = ["files", "channel_id", "thread_ts", "initial_comment", "blocks"];
        self.fields("files.completeUploadExternal", body, &known);
        let both = body.get("initial_comment").is_some() && body.get("blocks").is_some();
        self.must(!both, "files.completeUploadExternal", "initial_comment and blocks exclude each other");
        let (channel, thread) = (text_of(body, "channel_id"), text_of(body, "thread_ts"));
        self.must(channel.starts_with('C'), "files.completeUploadExternal", "the channel is no id");
        if self.find(&channel, &thread).is_none() {
            return Err("thread_not_found");
        }
        for file in body["files"].as_array().cloned().unwrap_or_default() {
            let id = text_of(&file, "id");
            let upload = self.uploads.get_mut(&id).ok_or("file_not_found")?;
            let Some(bytes) = upload.bytes.clone() else { return Err("file_not_found") };
            let again = std::mem::replace(&mut upload.is_complete, true);
            let alt = upload.alt.clone();
            self.must(!again, "files.completeUploadExternal", "completed twice");
            self.pictures.push(Picture { channel: channel.clone(), thread: thread.clone(), bytes, alt });
        }
        Ok(json!({"files": body["files"]}))
    }
}

fn text_of(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_default().to_owned()
}

/// Whether Slack takes a block.
fn block_is_good(block: &Value) -> Result<(), String> {
    match block["type"].as_str().unwrap_or_default() {
        "rich_text" => {
            let parts = block["elements"].as_array().ok_or("no elements")?;
            parts.iter().try_for_each(rich_is_good)
        }
        "actions" => {
            let buttons = block["elements"].as_array().ok_or("no elements")?;
            if buttons.is_empty() || buttons.len() > 25 {
                return Err("no buttons, or too many".into());
            }
            buttons.iter().try_for_each(|button| {
                let label = button["text"]["text"].as_str().unwrap_or_default();
                let url = button["url"].as_str().unwrap_or_default();
                let is_good = button["type"] == "button"
                    && button["text"]["type"] == "plain_text"
                    && (1..=75).contains(&label.chars().count())
                    && (url.starts_with("http://") || url.starts_with("https://"))
                    && url.len() <= 3000
                    && button["action_id"].as_str().is_some_and(|id| id.len() <= 255);
                if is_good { Ok(()) } else { Err(format!("a bad button {button}")) }
            })
        }
        "context" => {
            let items = block["elements"].as_array().ok_or("no elements")?;
            items.iter().try_for_each(|item| {
                let length = item["text"].as_str().unwrap_or_default().chars().count();
                let is_good = item["type"] == "plain_text" && (1..=3000).contains(&length);
                if is_good { Ok(()) } else { Err(format!("a bad text {item}")) }
            })
        }
        other => Err(format!("an unexpected block {other}")),
    }
}

fn rich_is_good(part: &Value) -> Result<(), String> {
    let inner = part["elements"].as_array().ok_or("no elements")?;
    match part["type"].as_str().unwrap_or_default() {
        "rich_text_section" => {
            inner.iter().try_for_each(|element| match element["type"].as_str().unwrap_or_default() {
                "text" if element["text"].as_str().is_some_and(|text| !text.is_empty()) => Ok(()),
                "emoji" if element["name"].as_str().is_some_and(|name| !name.is_empty()) => Ok(()),
                _ => Err(format!("a bad element {element}")),
            })
        }
        "rich_text_list" if part["style"] == "bullet" && !inner.is_empty() => {
            inner.iter().try_for_each(rich_is_good)
        }
        other => Err(format!("a bad part {other}")),
    }
}

/// All text that a reader of a message's blocks sees, in order.
#[must_use]
pub fn seen(body: &Value) -> String {
    fn walk(value: &Value, out: &mut String) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, out)),
            Value::Object(map) => {
                if let Some(Value::String(text)) = map.get("text") {
                    out.push_str(text);
                }
                for inner in ["elements", "text"].iter().filter_map(|name| map.get(*name)) {
                    if !inner.is_string() {
                        walk(inner, out);
                    }
                }
            }
            _ => {}
        }
    }
    let mut out = String::new();
    walk(&body["blocks"], &mut out);
    out
}
