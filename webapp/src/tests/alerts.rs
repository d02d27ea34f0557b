//! Alerts over HTTP: what is answered, what is changed, and by whom it may be.

use super::{Answer, Relay, Served, TwoMetrics, serve};
use crate::api::Sources;
use crate::api::alerts::Alerts;
use crate::serve::Limits;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use skyline_alerting::channel::{Channel, Delivery, Gallery, Later};
use skyline_alerting::dispatcher::{self, Parts};
use skyline_alerting::message::{Message, Pictures};
use skyline_alerting::policy::Policy;
use skyline_core::clock::Clock;
use skyline_sql::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A channel that refuses everything.
#[derive(Debug)]
struct Refusing;

impl Channel for Refusing {
    fn name(&self) -> &str {
        "chat"
    }

    fn deliver<'a>(&'a self, _: &'a Message, _: Option<&'a str>, _: &'a dyn Gallery) -> Later<'a, Delivery> {
        Box::pin(async { Delivery::Refused { reason: "no <b>such</b> room".into() } })
    }
}

/// The same picture for all.
#[derive(Debug)]
struct OnePicture;

impl Gallery for OnePicture {
    fn pictures<'a>(&'a self, _: &'a Message) -> Later<'a, Pictures> {
        Box::pin(async {
            Pictures { window: Some(b"\x89PNG".to_vec()), graphite: None, description: "it rises".into() }
        })
    }
}

const SETTINGS: &str = "[alerting]\npublic_url = 'https://sky.company.internal'\ngather_milliseconds = 0\n\
    [[alerting.webhook]]\nname = 'chat'\nurl = 'http://127.0.0.1:9/'\n\
    [[alerting.rule]]\nname = 'web <1>'\nmatch = 'web.**'\n";

/// An API with alerting, with nothing to tell yet.
struct Node {
    _dir: tempfile::TempDir,
    alerts: Alerts,
    served: Served,
    _stop: DropGuard,
}

impl Node {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings =
            skyline_conf::load::text(SETTINGS, std::path::Path::new("s.toml")).unwrap().settings.alerting;
        let clock = Clock::at(1_796_040_000.0);
        let options = skyline_sql::Options { clock: clock.clone(), ..skyline_sql::Options::default() };
        let store = Store::open_file(&dir.path().join("a.db"), options).await.unwrap();
        let policy =
            Arc::new(Policy::open(&settings, dir.path(), store.clone(), clock.clone(), None).unwrap());
        let stop = CancellationToken::new();
        let parts = Parts {
            node: "n1".into(),
            settings: dispatcher::Settings { gather: 0.0, ..dispatcher::Settings::default() },
            state_dir: dir.path().to_owned(),
            store: store.clone(),
            clock: clock.clone(),
            rules: Arc::clone(&policy) as Arc<_>,
            channels: vec![Arc::new(Refusing)],
            gallery: Arc::new(OnePicture),
            windows: None,
            stop: stop.clone(),
            abort: stop.clone(),
        };
        let (dispatcher, _task) = dispatcher::start(parts).unwrap();
        let alerts = Alerts {
            store: store.clone(),
            clock: clock.clone(),
            node: "n1".into(),
            settings: Arc::new(settings),
            policy,
            dispatcher: Some(dispatcher),
            gallery: Some(Arc::new(OnePicture)),
        };
        let (series, relay) = (Arc::new(TwoMetrics), Arc::new(Relay));
        let sources = Sources {
            store,
            series,
            relay,
            clock,
            backfill: None,
            fetched: None,
            alerts: Some(alerts.clone()),
        };
        let served = serve(crate::api::router(sources), Limits::default()).await;
        Self { _dir: dir, alerts, served, _stop: stop.drop_guard() }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let stream = tokio::net::TcpStream::connect(self.served.address).await.unwrap();
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", self.served.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = sender
            .send_request(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap())
            .await
            .unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, text: String::from_utf8_lossy(&body).into_owned(), body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    async fn change(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.ask(method, path, &[("content-type", "application/json")], &body.to_string()).await
    }

    /// An anomaly, taken; the id of its incident.
    async fn broken(&self, metric: &str) -> String {
        let anomaly = super::anomaly(metric, 1_796_040_000.0);
        self.alerts.dispatcher.as_ref().unwrap().take(vec![anomaly]).await.unwrap();
        let find = async || {
            let page = self.get("/api/v1/incidents").await.json();
            page["incidents"].as_array()?.iter().find(|i| i["first_metric"] == metric)?["id"]
                .as_str()
                .map(str::to_owned)
        };
        for _ in 0..1_000 {
            if let Some(id) = find().await {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the incident is not in the record");
    }

    /// Waits until the outbox has a message in that state.
    async fn message(&self, state: &str) -> Value {
        for _ in 0..1_000 {
            let page = self.get(&format!("/api/v1/outbox?state={state}")).await.json();
            if let Some(message) = page["messages"].get(0) {
                return message.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there is no message that is {state}: {}", self.get("/api/v1/outbox").await.text);
    }
}

#[tokio::test]
async fn incidents_are_listed_shown_and_acknowledged() {
    let node = Node::start().await;
    assert_eq!(node.get("/api/v1/incidents").await.json(), json!({ "incidents": [], "next": null }));
    let id = node.broken("web.<1>").await;
    let one = node.get(&format!("/api/v1/incidents/{}", &id[..6])).await.json();
    assert_eq!(
        (one["id"].as_str(), one["members"][0]["metric"].as_str()),
        (Some(id.as_str()), Some("web.<1>"))
    );
    assert_eq!(one["acknowledged"], Value::Null);
    let path = format!("/api/v1/incidents/{id}/acknowledge");
    let seen = node.change(Method::POST, &path, &json!({ "by": "joe" })).await;
    assert_eq!((seen.status, seen.json()["new"].as_bool()), (200, Some(true)), "{}", seen.text);
    let again = node.change(Method::POST, &path, &json!({})).await;
    assert_eq!((again.status, again.json()["new"].as_bool()), (200, Some(false)), "{}", again.text);
    assert_eq!(node.change(Method::POST, &path, &json!({ "who": 1 })).await.json()["parameter"], "who");
    for (path, status) in [("abcd", 404), ("x", 400), ("a%20b%2f", 400)] {
        assert_eq!(node.get(&format!("/api/v1/incidents/{path}")).await.status, status, "{path}");
    }
    assert_eq!(node.get("/api/v1/incidents?open=maybe").await.json()["parameter"], "open");
}

#[tokio::test]
async fn what_is_muted_is_not_told() {
    let node = Node::start().await;
    let made = node
        .change(Method::POST, "/api/v1/mutes", &json!({ "kind": "glob", "pattern": "web.*", "seconds": 60 }))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let mute = made.json();
    assert_eq!((mute["holds"].as_bool(), mute["by"].as_str()), (Some(true), Some("admin")));
    assert_eq!(node.get("/api/v1/mutes").await.json()["mutes"], json!([mute]));
    let said = node.get("/api/v1/alerts/explain?metric=web.1").await.json();
    assert_eq!(said["rules"][0]["result"], "muted");
    node.broken("web.1").await;
    assert_eq!(node.get("/api/v1/outbox").await.json()["messages"], json!([]));
    let path = format!("/api/v1/mutes/{}", mute["id"]);
    let removed = node.change(Method::DELETE, &path, &Value::Null).await;
    assert_eq!(removed.status, 200, "{}", removed.text);
    assert_eq!(node.change(Method::DELETE, &path, &Value::Null).await.status, 404);
    let said = node.get("/api/v1/alerts/explain?metric=web.1").await.json();
    assert_eq!(said["rules"][0]["result"], "tells");
    assert_eq!(said["rules"][0]["name"], "web <1>");
    let bad = async |body: Value, parameter: &str| {
        let answer = node.change(Method::POST, "/api/v1/mutes", &body).await;
        assert_eq!(
            (answer.status, answer.json()["parameter"].as_str()),
            (400, Some(parameter)),
            "{body}: {}",
            answer.text
        );
    };
    bad(json!({ "pattern": "a", "kind": "regex" }), "kind").await;
    bad(json!({ "kind": "name" }), "pattern").await;
    bad(json!({ "pattern": 5 }), "pattern").await;
    bad(json!({ "pattern": "a[", "kind": "glob" }), "pattern").await;
    bad(json!({ "pattern": "x", "kind": "rule" }), "pattern").await;
    bad(json!({ "pattern": "a", "seconds": 0 }), "seconds").await;
    bad(json!({ "pattern": "a", "until": 5 }), "until").await;
    bad(json!({ "pattern": "a", "until": 1e300 }), "until").await;
    bad(json!({ "pattern": "a", "schedule": "monday" }), "schedule").await;
    bad(json!({ "pattern": "a", "schedule": "mon", "zone": "Mars" }), "zone").await;
    bad(json!({ "pattern": "a", "zone": "UTC" }), "zone").await;
    bad(json!({ "pattern": "a", "colour": "red" }), "colour").await;
    assert_eq!(node.get("/api/v1/alerts/explain").await.json()["parameter"], "metric");
}

#[tokio::test]
async fn only_programs_of_this_machine_change_something() {
    let node = Node::start().await;
    let json = ("content-type", "application/json");
    let body = r#"{"pattern": "a"}"#;
    let ask =
        async |headers: &[(&str, &str)]| node.ask(Method::POST, "/api/v1/mutes", headers, body).await.status;
    assert_eq!(ask(&[]).await, 415);
    assert_eq!(ask(&[("content-type", "text/plain")]).await, 415);
    assert_eq!(ask(&[("content-type", "application/x-www-form-urlencoded")]).await, 415);
    assert_eq!(ask(&[json, ("host", "evil.internal")]).await, 403);
    assert_eq!(ask(&[json, ("origin", "https://evil.internal")]).await, 403);
    assert_eq!(ask(&[json, ("origin", "http://127.0.0.1:1500")]).await, 403);
    assert_eq!(ask(&[json, ("origin", "null")]).await, 403);
    assert_eq!(node.get("/api/v1/mutes").await.json()["mutes"], json!([]), "nothing was changed");
    assert_eq!(ask(&[json, ("host", "sky.company.internal")]).await, 201);
    assert_eq!(ask(&[("content-type", "Application/JSON; charset=utf-8"), ("host", "localhost")]).await, 201);
    let id = node.broken("web.2").await;
    for path in [format!("/api/v1/incidents/{id}/acknowledge"), "/api/v1/outbox/1/retry".to_owned()] {
        assert_eq!(node.ask(Method::POST, &path, &[], "").await.status, 415, "{path}");
    }
    assert_eq!(node.ask(Method::DELETE, "/api/v1/mutes/1", &[], "").await.status, 415);
}

#[tokio::test]
async fn an_incident_of_another_node_is_acknowledged_for_it() {
    let node = Node::start().await;
    let key = "n2kkkkkkkkkkkkkkkkkkkkkkkkkk".to_owned();
    let theirs = skyline_sql::incident::Incident {
        key: key.clone(),
        node: "n2".into(),
        first_metric: "web.9".into(),
        opened: 1_796_039_990.0,
        since: 1_796_039_990.0,
        changed: 1_796_039_990.0,
        ended: None,
        severity: "warning".into(),
        metrics: 1,
        anomalies: 1,
        acknowledged: None,
        detail: "{}".into(),
    };
    let keep = async |incident| {
        let incidents = vec![incident];
        let changes = skyline_sql::incident::Changes { incidents, ..Default::default() };
        node.alerts.store.keep_alerts(&changes).await.unwrap();
    };
    keep(theirs.clone()).await;
    let path = format!("/api/v1/incidents/{key}/acknowledge");
    let done = node.change(Method::POST, &path, &json!({ "by": "joe" })).await;
    assert_eq!((done.status, done.json()["new"].clone()), (200, json!(true)), "{}", done.text);
    assert_eq!(node.alerts.store.acknowledged_elsewhere("n2").await.unwrap(), [key]);
    keep(skyline_sql::incident::Incident { ended: Some(1_796_040_000.0), ..theirs }).await;
    assert_eq!(node.change(Method::POST, &path, &json!({})).await.status, 409, "it has ended");
}

#[tokio::test]
async fn nothing_is_read_under_the_name_of_a_stranger() {
    let node = Node::start().await;
    node.broken("web.3").await;
    for path in ["/outbox", "/api/v1/outbox", "/api/v1/incidents", "/anomalies.json", "/version", "/nothing"]
    {
        let status = async |host| node.ask(Method::GET, path, &[("host", host)], "").await.status;
        assert_eq!(status("evil.example:1500").await, 403, "{path}");
        for host in ["sky.company.internal", "localhost:1500", "skyline_backend"] {
            assert_ne!(status(host).await, 403, "{path} {host}");
        }
    }
}

#[tokio::test]
async fn a_link_is_looked_at_before_it_acts() {
    let node = Node::start().await;
    let id = node.broken("web.<b>").await;
    let token = |action: &skyline_alerting::link::Action| {
        let link = node.alerts.policy.links.as_ref().unwrap().link(action, 1_796_040_000.0).unwrap();
        link.strip_prefix("https://sky.company.internal").unwrap().to_owned()
    };
    let shown = token(&skyline_alerting::link::Action::Show(id.clone()));
    let page = node.get(&shown).await;
    assert_eq!((page.status, &page.headers["content-type"] == "text/html; charset=utf-8"), (200, true));
    for expected in
        ["<h2>web.&lt;b&gt;</h2>", "It goes on", "Nobody has acknowledged it", "1 anomalous point;"]
    {
        assert!(page.text.contains(expected), "{expected}: {}", page.text);
    }
    assert_eq!(node.ask(Method::POST, &shown, &[], "").await.status, 405);
    let none = token(&skyline_alerting::link::Action::Show("ab".into()));
    assert_eq!(node.get(&none).await.status, 404);
    let path = token(&skyline_alerting::link::Action::Acknowledge(id.clone()));
    for _ in 0..2 {
        let page = node.get(&path).await;
        assert_eq!((page.status, &page.headers["content-type"] == "text/html; charset=utf-8"), (200, true));
        assert!(
            page.text.contains("<form method=\"post\">") && page.text.contains("web.&lt;b&gt;"),
            "{}",
            page.text
        );
        assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        assert_eq!(&page.headers["referrer-policy"], "no-referrer");
    }
    assert_eq!(node.get(&format!("/api/v1/incidents/{id}")).await.json()["acknowledged"], Value::Null);
    // As a browser sends a form.
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "null"),
        ("host", "sky.company.internal"),
    ];
    let done = node.ask(Method::POST, &path, &form, "").await;
    assert!(done.status == 200 && done.text.contains("Acknowledged."), "{}", done.text);
    // The record has it a moment later.
    let mut said = String::new();
    for _ in 0..1_000 {
        said = node.get(&shown).await.text;
        if said.contains("Acknowledged by") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(said.contains("Acknowledged by a link in a message"), "{said}");
    let again = node.ask(Method::POST, &path, &form, "").await;
    assert!(again.text.contains("acknowledged it before") || again.text.contains("cannot"), "{}", again.text);

    let mute = token(&skyline_alerting::link::Action::Mute { metric: "web.<b>".into(), seconds: 3_600 });
    assert!(node.get(&mute).await.text.contains("mute <bdi class=\"code\">web.&lt;b&gt;</bdi>"));
    assert_eq!(node.get("/api/v1/mutes").await.json()["mutes"], json!([]));
    let done = node.ask(Method::POST, &mute, &form, "").await;
    assert!(done.status == 200 && done.text.contains("skyline alert unmute 1"), "{}", done.text);
    let mutes = node.get("/api/v1/mutes").await.json();
    assert_eq!(
        (mutes["mutes"][0]["pattern"].as_str(), mutes["mutes"][0]["by"].as_str()),
        (Some("web.<b>"), Some("system"))
    );

    for method in [Method::GET, Method::POST] {
        let bad = node.ask(method, "/alert/AAAA", &form, "").await;
        assert!(bad.status == 403 && bad.text.contains("not one of this node"), "{}", bad.text);
    }
}

#[tokio::test]
async fn messages_are_listed_shown_and_tried_again() {
    let node = Node::start().await;
    node.broken("web.<script>alert(1)</script>").await;
    let dead = node.message("dead").await;
    assert_eq!(
        (dead["channel"].as_str(), dead["error"].as_str()),
        (Some("chat"), Some("no <b>such</b> room"))
    );
    assert_eq!(dead["metric"], "web.<script>alert(1)</script>");
    let page = node.get("/outbox").await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("<script") && !page.text.contains("<b>such"), "{}", page.text);
    assert!(
        page.text.contains("&lt;script&gt;")
            && page.text.contains(&format!("/outbox/{}/window.png", dead["id"]))
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("img-src 'self'"), "{policy}");
    let picture = node.get(&format!("/outbox/{}/window.png", dead["id"])).await;
    assert_eq!((picture.status, &picture.headers["content-type"] == "image/png"), (200, true));
    let whole = node.get(&format!("/outbox/{}/page", dead["id"])).await;
    assert!(whole.status == 200 && !whole.text.contains("<script"), "{}", whole.text);
    for path in ["/outbox/999/page", "/outbox/1/graphite.png", "/outbox/1/x"] {
        assert_eq!(node.get(path).await.status, 404, "{path}");
    }
    let retry =
        async |id: &Value| node.change(Method::POST, &format!("/api/v1/outbox/{id}/retry"), &json!({})).await;
    let again = retry(&dead["id"]).await;
    assert_eq!((again.status, again.json()["state"].as_str()), (200, Some("waiting")), "{}", again.text);
    assert_eq!(retry(&json!(999)).await.status, 404);
    // It is refused once more.
    let is_tried = async || node.message("dead").await["attempts"].as_u64() > Some(0);
    for _ in 0..500 {
        if is_tried().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let changes = node.alerts.store.changes("outbox", dead["id"].as_i64().unwrap(), 5).await.unwrap();
    assert_eq!(changes[0].action, "message.retry");
    assert_eq!(node.get("/api/v1/outbox?state=lost").await.json()["parameter"], "state");
}

#[tokio::test]
async fn without_alerting_its_routes_are_not_there() {
    let mut api = super::Api::start().await;
    let answer = api.get("/api/v1/incidents").await;
    assert_eq!(answer.status, 404);
    assert!(!answer.text.contains("mutes"));
}
