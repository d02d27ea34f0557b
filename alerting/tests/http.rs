//! PagerDuty and webhooks against strict receivers; the templates that are shipped.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/channels.rs"]
mod common;

use common::{KINDS, Nothing, ORIGINS, accepted, broken, message, refused, retried};
use serde_json::{Value, json};
use skyline_alerting::channel::pagerduty::PagerDuty;
use skyline_alerting::channel::webhook::Webhook;
use skyline_alerting::channel::{self, Delivery};
use skyline_alerting::message::{Kind, Message, Origin, Severity};
use skyline_alerting::rule::Target;
use skyline_alerting::stale::{self, Digest};
use skyline_alerting::text::{Story, Style, name};
use skyline_alerting::{Channel as _, samples};
use skyline_conf::model::alerting::Alerting;
use skyline_conf::model::alerting::pagerduty::PagerDuty as Duty;
use skyline_conf::model::alerting::webhook::Webhook as Hook;
use skyline_peers::http::{Reply, Request, Server};
use skyline_peers::pagerduty::{PagerDuty as Receiver, ROUTING_KEY};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

fn written(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

fn duty(receiver: &Receiver, folder: &TempDir, key: &str) -> PagerDuty {
    let settings = Duty {
        routing_key_file: written(folder, "key", key),
        url: receiver.url(),
        timeout_seconds: 1.0,
        ..Duty::default()
    };
    PagerDuty::new(&settings, Style::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_opens_and_resolves_one_incident() {
    let (receiver, folder) = (Receiver::start().unwrap(), tempfile::tempdir().unwrap());
    let duty = duty(&receiver, &folder, ROUTING_KEY);
    for origin in ORIGINS {
        for kind in [Kind::Opened, Kind::Opened, Kind::Updated, Kind::Escalated] {
            accepted(duty.deliver(&message(kind, origin, "a.b", "pagerduty"), None, &Nothing).await);
            assert_eq!(receiver.open(), ["20261130-0001"]);
        }
        accepted(duty.deliver(&message(Kind::Ended, origin, "a.b", "pagerduty"), None, &Nothing).await);
        assert_eq!(receiver.open().len(), 0);
    }
    let events = receiver.events();
    assert_eq!(events.len(), 20);
    let first = &events[0];
    assert_eq!(first["payload"]["severity"], "warning");
    assert_eq!(events[3]["payload"]["severity"], "critical");
    assert_eq!(first["payload"]["custom_details"]["Metric"], "a.b");
    assert_eq!(first["images"][0]["src"], "https://skyline.internal/render?target=web01");
    assert!(first["payload"]["summary"].as_str().unwrap().contains("a.b is 98.4, 4.6 times its usual 21.5"));
    // A test opens nothing that stays open.
    accepted(duty.deliver(&message(Kind::Test, Origin::Analyzer, "a.b", "pagerduty"), None, &Nothing).await);
    assert_eq!(receiver.events().len(), 22);
    assert_eq!(receiver.open().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_metrics_are_one_incident_of_pagerduty_until_none_is_silent() {
    let (receiver, folder) = (Receiver::start().unwrap(), tempfile::tempdir().unwrap());
    let duty = duty(&receiver, &folder, ROUTING_KEY);
    let to = [Target { channel: "pagerduty".into(), recipients: vec!["service".into()] }];
    let digest = |silent, back, is_over| Digest { lines: vec!["It is so.".into()], silent, back, is_over };
    // Two fall silent, one more does while one is back, one is back, the last is known no more.
    let told = [digest(2, 0, false), digest(1, 1, false), digest(0, 1, false), digest(0, 0, true)];
    let mut open = Vec::new();
    for (digest, now) in told.iter().zip(1..) {
        let [message] = &stale::messages(digest, &to, "n1", f64::from(now))[..] else {
            panic!("one message")
        };
        accepted(duty.deliver(message, None, &Nothing).await);
        open.push(receiver.open());
    }
    let (first, key) = (receiver.events()[0].clone(), open[0].clone());
    assert_eq!((first["payload"]["severity"].as_str(), key.len()), (Some("warning"), 1));
    assert_eq!(open, [key.clone(), key.clone(), key, Vec::new()]);
    let actions: Vec<_> =
        receiver.events().iter().map(|event| event["event_action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        actions,
        ["trigger", "trigger", "resolve"],
        "that some send again while others do not is no event"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_is_an_incident_of_pagerduty_while_that_lasts() {
    let (receiver, folder) = (Receiver::start().unwrap(), tempfile::tempdir().unwrap());
    let duty = duty(&receiver, &folder, ROUTING_KEY);
    let mut begins = message(Kind::HeldBack, Origin::Analyzer, "", "service");
    begins.key = "held-0a0b-18c-begins".into();
    accepted(duty.deliver(&begins, None, &Nothing).await);
    assert_eq!(receiver.open(), ["held-0a0b-18c"]);
    let mut ends = Message { ended: Some(begins.created), key: "held-0a0b-18c-ends".into(), ..begins };
    ends.lines = vec!["2 messages were held back.".into(), "n1-1 a.b".into(), "n1-2 a.c".into()];
    // The first of its two events is taken and the second is not: both are sent again.
    receiver.trouble_after(1, Reply::text(503, ""));
    retried(duty.deliver(&ends, None, &Nothing).await);
    assert_eq!(receiver.open(), ["held-0a0b-18c"]);
    accepted(duty.deliver(&ends, None, &Nothing).await);
    assert_eq!(receiver.open(), Vec::<String>::new());
    let told =
        receiver.events().iter().rev().find(|event| event["event_action"] == "trigger").cloned().unwrap();
    assert_eq!(told["payload"]["severity"], "info");
    assert_eq!(told["payload"]["custom_details"]["More"], json!(["n1-1 a.b", "n1-2 a.c"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_takes_every_name() {
    let (receiver, folder) = (Receiver::start().unwrap(), tempfile::tempdir().unwrap());
    let duty = duty(&receiver, &folder, ROUTING_KEY);
    for metric in common::hostile() {
        let mut message =
            samples::with_company(message(Kind::Opened, Origin::Boundary, &metric, "p"), &[&metric]);
        message.incident.clone_from(&metric);
        accepted(duty.deliver(&message, None, &Nothing).await);
        let event = receiver.events().pop().unwrap();
        let shown = event["payload"]["custom_details"]["Metric"].as_str().unwrap();
        assert_eq!(shown, name::isolated(&name::literal(&metric)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn troubles_of_pagerduty_are_told_apart() {
    let (receiver, folder) = (Receiver::start().unwrap(), tempfile::tempdir().unwrap());
    let right = duty(&receiver, &folder, ROUTING_KEY);
    let message = message(Kind::Opened, Origin::Analyzer, "a.b", "pagerduty");
    let headers = vec![("retry-after", "9".to_owned())];
    receiver.trouble(Reply::Answer(429, headers, Vec::new()));
    match right.deliver(&message, None, &Nothing).await {
        Delivery::Retry { after, .. } => assert_eq!(after, Some(Duration::from_secs(9))),
        other => panic!("{other:?}"),
    }
    for reply in [Reply::text(500, "oops"), Reply::text(503, ""), Reply::Hang] {
        receiver.trouble(reply);
        retried(right.deliver(&message, None, &Nothing).await);
    }
    let wrong = duty(&receiver, &folder, "ffffffffffffffffffffffffffffffff");
    let reason = refused(wrong.deliver(&message, None, &Nothing).await);
    assert!(reason.contains("400") && reason.contains("Events API v2"), "{reason}");
    assert!(!reason.contains("ffffffff") && !format!("{wrong:?}").contains("ffffffff"), "{reason}");
    drop(receiver);
    retried(right.deliver(&message, None, &Nothing).await);
}

type Shared<T> = Arc<Mutex<Vec<T>>>;

/// A receiver that keeps requests and answers with what it is told to.
fn receiver() -> (Server, Shared<Request>, Shared<Reply>) {
    let (requests, replies) = (Shared::<Request>::default(), Shared::<Reply>::default());
    let (kept, told) = (Arc::clone(&requests), Arc::clone(&replies));
    let server = Server::start(move |request| {
        kept.lock().unwrap().push(request);
        told.lock().unwrap().pop().unwrap_or_else(|| Reply::text(200, "thanks"))
    });
    (server.unwrap(), requests, replies)
}

fn hook(server: &Server) -> Hook {
    Hook {
        name: "chat".into(),
        url: format!("{}/in?x=1", server.url()),
        timeout_seconds: 1.0,
        ..Hook::default()
    }
}

/// What openssl says that the signature of a text is.
fn signed_by_openssl(key: &str, text: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", key, "-r"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    output.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_say_everything_and_are_signed() {
    let (server, requests, _) = receiver();
    let folder = tempfile::tempdir().unwrap();
    let settings = Hook {
        secret_file: written(&folder, "secret", "between us"),
        headers: vec!["X-Org: 7".into()],
        headers_file: written(&folder, "headers", "Authorization: Bearer abc:def\n\nX-Key: k\n"),
        ..hook(&server)
    };
    let webhook = Webhook::new(&settings, Style::default()).unwrap();
    assert_eq!(webhook.name(), "chat");
    for kind in KINDS {
        for origin in ORIGINS {
            let message = message(kind, origin, "stats.web01.cpu", "chat");
            let (_, answer) = accepted(webhook.deliver(&message, None, &Nothing).await);
            assert_eq!(answer, "200 OK");
            let request = requests.lock().unwrap().pop().unwrap();
            let body = String::from_utf8(request.body.clone()).unwrap();
            let expected =
                signed_by_openssl("between us", &format!("{}.{body}", request.header("x-skyline-timestamp")));
            assert_eq!(request.header("x-skyline-signature"), format!("v1={expected}"));
            assert_eq!((request.path.as_str(), request.query.as_str()), ("/in", "x=1"));
            assert_eq!((request.header("x-org"), request.header("x-key")), ("7", "k"));
            assert_eq!(request.header("authorization"), "Bearer abc:def");
            let body: Value = serde_json::from_str(&body).unwrap();
            let story = Story::new(&message, &Style::default());
            assert_eq!(body["lead"], story.lead.plain());
            assert_eq!(body["kind"], json!(kind));
            assert_eq!(body["origin"], json!(origin));
            let read: Vec<skyline_alerting::message::Member> =
                serde_json::from_value(body["members"].clone()).unwrap();
            assert_eq!(read, message.members);
        }
    }
    let shown = format!("{webhook:?}");
    assert!(!shown.contains("between us") && !shown.contains("abc:def"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn troubles_of_webhooks_are_told_apart() {
    let (server, _, replies) = receiver();
    let folder = tempfile::tempdir().unwrap();
    let settings = Hook {
        url: String::new(),
        url_file: written(&folder, "url", &format!("{}/secret-path", server.url())),
        headers_file: written(&folder, "headers", "Authorization: Bearer hidden-one"),
        ..hook(&server)
    };
    let webhook = Webhook::new(&settings, Style::default()).unwrap();
    let message = message(Kind::Opened, Origin::Analyzer, "a.b", "chat");
    let tell = |reply: Reply| replies.lock().unwrap().push(reply);
    for (status, expected) in [
        (400, "refused"),
        (413, "refused"),
        (401, "broken"),
        (403, "broken"),
        (404, "broken"),
        (410, "broken"),
        (408, "again"),
        (429, "again"),
        (500, "again"),
        (502, "again"),
    ] {
        tell(Reply::text(status, "because \u{202e}of\nBearer it"));
        let (what, reason) = match webhook.deliver(&message, None, &Nothing).await {
            Delivery::Retry { reason, .. } => ("again", reason),
            Delivery::Broken { reason } => ("broken", reason),
            Delivery::Refused { reason } => ("refused", reason),
            other @ Delivery::Accepted { .. } => panic!("{status}: {other:?}"),
        };
        assert_eq!(what, expected, "{status}");
        assert!(
            reason.contains(&status.to_string()) && reason.contains("because \\u{202e}of\\nBearer"),
            "{reason}"
        );
        assert!(!reason.contains("secret-path"), "{reason}");
    }
    // A yes is one, and a no, however long its page is: a message that was taken must not be sent again.
    tell(Reply::text(200, &"x".repeat(200_000)));
    accepted(webhook.deliver(&message, None, &Nothing).await);
    tell(Reply::text(400, &"x".repeat(200_000)));
    assert!(refused(webhook.deliver(&message, None, &Nothing).await).contains("400"));
    // Parts of the address are secrets as well.
    tell(Reply::text(404, "Cannot POST /secret-path"));
    let reason = broken(webhook.deliver(&message, None, &Nothing).await);
    assert!(!reason.contains("secret-path"), "{reason}");
    // One that repeats what it was told is not repeated.
    tell(Reply::text(400, "bad header Bearer hidden-one"));
    let reason = refused(webhook.deliver(&message, None, &Nothing).await);
    assert!(!reason.contains("hidden-one"), "{reason}");
    tell(Reply::Hang);
    let reason = retried(webhook.deliver(&message, None, &Nothing).await);
    assert!(!reason.contains("secret-path"), "{reason}");
    drop(server);
    let reason = retried(webhook.deliver(&message, None, &Nothing).await);
    assert!(!reason.contains("secret-path"), "{reason}");
}

/// A template that is shipped, its placeholders replaced.
fn template(folder: &TempDir, name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/templates").join(name);
    let text = std::fs::read_to_string(file).unwrap();
    let text = text
        .replace("put the id of the chat here", "-100")
        .replace("put the name of the topic here", "alerts");
    written(folder, name, &text)
}

fn body_of(folder: &TempDir, name: &str, message: &Message) -> Value {
    let settings = Hook {
        name: "chat".into(),
        url: "http://127.0.0.1:1/".into(),
        template: template(folder, name),
        ..Hook::default()
    };
    let body = Webhook::new(&settings, Style::default()).unwrap().body(message);
    serde_json::from_str(&body).unwrap()
}

#[test]
fn shipped_templates_are_what_their_receivers_take() {
    let folder = tempfile::tempdir().unwrap();
    let mut metrics = common::hostile();
    metrics.push("stats.web01.cpu".into());
    for metric in &metrics {
        for (kind, origin) in KINDS.iter().flat_map(|&kind| ORIGINS.iter().map(move |&origin| (kind, origin)))
        {
            let mut message = samples::with_company(message(kind, origin, metric, "chat"), &[metric]);
            message.lines.push(metric.clone());
            message.rule.clone_from(metric);
            alertmanager(&body_of(&folder, "alertmanager.json", &message), &message);
            teams(&body_of(&folder, "teams.json", &message), &message);
            mattermost(&body_of(&folder, "mattermost.json", &message));
            discord(&body_of(&folder, "discord.json", &message));
            telegram(&body_of(&folder, "telegram.json", &message));
            ntfy(&body_of(&folder, "ntfy.json", &message));
        }
    }
}

#[track_caller]
fn alertmanager(body: &Value, message: &Message) {
    let alert = &body[0];
    for (name, value) in alert["labels"].as_object().unwrap() {
        assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && value.is_string(),
            "{name}: {value}"
        );
    }
    let at = |name: &str| alert[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(at("startsAt") <= at("endsAt"), "{alert}");
    assert_eq!(at("endsAt").as_second() > message.created as i64, message.ended.is_none());
}

#[track_caller]
fn teams(body: &Value, message: &Message) {
    let card = &body["attachments"][0]["content"];
    assert_eq!((&body["type"], &card["type"]), (&json!("message"), &json!("AdaptiveCard")));
    // Text runs know no mark-up.
    for block in card["body"].as_array().unwrap() {
        assert_eq!(block["type"], "RichTextBlock");
        assert!(block["inlines"][0]["text"].as_str().is_some_and(|text| !text.is_empty()));
    }
    let about_metrics = message.kind.is_about_metrics();
    assert_eq!(
        card["actions"].as_array().unwrap().len(),
        match (about_metrics, message.kind) {
            (false, _) => 0,
            (true, Kind::Ended) => 1,
            (true, _) => 3,
        }
    );
    assert!(body.to_string().len() < 28_000);
}

/// No mention, no link and no emphasis can come out of a name.
#[track_caller]
fn is_tame_markdown(text: &str) {
    assert!(text.chars().count() <= 4096, "{}", text.chars().count());
    let chars: Vec<char> = text.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let escaped = i > 0 && chars[i - 1] == '\\' && !(i > 1 && chars[i - 2] == '\\');
        match c {
            '@' => assert_eq!(chars.get(i + 1), Some(&'\u{2060}'), "a mention in {text}"),
            '<' | '`' | '[' | ']' | '~' | '_' => {
                assert!(escaped || i > 1 && chars[i - 1] == '\\', "{c} in {text}")
            }
            _ => {}
        }
    }
}

#[track_caller]
fn mattermost(body: &Value) {
    is_tame_markdown(body["attachments"][0]["text"].as_str().unwrap());
    assert!(body["attachments"][0]["color"].as_str().unwrap().starts_with('#'));
}

#[track_caller]
fn discord(body: &Value) {
    assert_eq!(body["allowed_mentions"]["parse"], json!([]));
    let embed = &body["embeds"][0];
    is_tame_markdown(embed["description"].as_str().unwrap());
    assert!(embed["title"].as_str().unwrap().chars().count() <= 256);
    assert!(embed["color"].as_u64().unwrap() < 1 << 24);
    assert!(embed.get("url").is_none_or(|url| url.as_str().unwrap().starts_with("https://")));
}

#[track_caller]
fn telegram(body: &Value) {
    let text = body["text"].as_str().unwrap();
    assert_eq!(body["chat_id"], "-100");
    // Tags are ours, and closed; entities are those that Telegram knows.
    let mut open = Vec::new();
    let mut outside = String::new();
    for (i, piece) in text.split('<').enumerate() {
        let Some((tag, rest)) = piece.split_once('>').filter(|_| i > 0) else {
            outside.push_str(piece);
            continue;
        };
        match tag {
            "b" | "code" => open.push(tag),
            "/b" | "/code" => assert_eq!(open.pop(), Some(&tag[1..])),
            other => panic!("<{other}> in {text}"),
        }
        if open.last() != Some(&"code") {
            outside.push_str(rest);
        }
    }
    assert_eq!(open.len(), 0, "{text}");
    let broken = outside.matches("@\u{2060}").count();
    assert_eq!(outside.matches('@').count(), broken, "a mention in {outside}");
    for entity in text.split('&').skip(1) {
        let known = ["lt;", "gt;", "amp;", "quot;"].iter().any(|known| entity.starts_with(known));
        assert!(known, "&{entity}");
    }
    let read = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    assert!(read.chars().count() <= 4096);
}

#[track_caller]
fn ntfy(body: &Value) {
    assert!(body["message"].as_str().unwrap().chars().count() <= 2048);
    assert!((1..=5).contains(&body["priority"].as_u64().unwrap()));
    assert_eq!(body["topic"], "alerts");
}

#[test]
fn placeholders_of_templates_are_refused() {
    for name in ["telegram.json", "ntfy.json"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/templates").join(name);
        let settings = Hook {
            name: "chat".into(),
            url: "http://127.0.0.1:1/".into(),
            template: file,
            ..Hook::default()
        };
        let problem = Webhook::new(&settings, Style::default()).unwrap_err().to_string();
        assert!(problem.contains("placeholder"), "{problem}");
    }
}

#[tokio::test]
async fn all_channels_of_the_settings_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut alerting = Alerting::default();
    assert_eq!(channel::all(&alerting).unwrap().len(), 0);
    alerting.email.sender = "a@b.test".into();
    alerting.slack.token_file = written(&folder, "token", "xoxb-1");
    alerting.pagerduty.routing_key_file = written(&folder, "key", ROUTING_KEY);
    alerting.webhooks = vec![Hook { name: "one".into(), url: "https://x.test".into(), ..Hook::default() }];
    let all = channel::all(&alerting).unwrap();
    let names: Vec<&str> = all.iter().map(|channel| channel.name()).collect();
    assert_eq!(names, ["email", "slack", "pagerduty", "one"]);
    let configured: Vec<String> = alerting.configured().into_iter().map(|channel| channel.name).collect();
    assert_eq!(names, configured);
    alerting.webhooks[0].url = "no address".into();
    assert!(channel::all(&alerting).unwrap_err().to_string().contains("one"));
    assert!(Severity::Critical > Severity::Info);
}
