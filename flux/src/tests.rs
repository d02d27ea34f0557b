//! Requests over real connections, into a real journal.

use crate::requests::IN_HAND;
use crate::{Bound, Context, Flux, bind};
use skyline_conf::model::Settings;
use skyline_conf::model::flux::ApiKey;
use skyline_conf::model::listen::WhenFull;
use skyline_conf::routing::Routing;
use skyline_core::clock::Clock;
use skyline_journal::{Journal, Reader, Scope};
use skyline_relay::flow::Flow;
use skyline_relay::intake::{Intake, Options};
use skyline_relay::route::Router;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Longest wait for what is to come.
const LIMIT: Duration = Duration::from_secs(20);

struct Served {
    to: SocketAddr,
    flux: Arc<Flux>,
    intake: Intake,
    flow: Flow,
    _reader: Reader,
    _folder: tempfile::TempDir,
}

async fn serve(change: impl FnOnce(&mut Settings)) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, KEY).unwrap();
    let mut settings = Settings::default();
    settings.flux.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    settings.flux.wait_seconds = 0.1;
    settings.flux.api_keys = vec![ApiKey { name: "test".into(), key_file: file, ..ApiKey::default() }];
    change(&mut settings);
    let options = skyline_journal::Options {
        dir: folder.path().join("journal"),
        max_bytes: 64 << 20,
        segment_bytes: 1 << 20,
        memory_bytes: 1 << 20,
        durability: skyline_journal::Durability::Process,
        when_full: skyline_journal::WhenFull::Block,
        min_free_percent: 0.0,
    };
    let (journal, _) = Journal::open(options).unwrap();
    // Somebody who reads nothing: the journal can be full.
    let reader = journal.reader("slow", Scope::Everything).unwrap();
    let router = Router::new(Routing::default(), Vec::new(), &journal);
    let options = Options {
        state_dir: folder.path().to_owned(),
        when_full: WhenFull::Block,
        udp_when_full: WhenFull::Shed,
        clock: Clock::system(),
    };
    let intake = Intake::open(journal, router, options).unwrap();
    let flow = Flow::default();
    let flux: Arc<Flux> =
        Flux::new(&settings, Context { intake: intake.clone(), flow: flow.clone() }).unwrap();
    let bound: Bound = bind(&settings.flux.listen).await.unwrap();
    let to = bound.addresses()[0];
    bound.spawn(&flux, &TaskTracker::new(), &CancellationToken::new());
    Served { to, flux, intake, flow, _reader: reader, _folder: folder }
}

async fn ask(to: SocketAddr, request: String) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn post(to: SocketAddr, headers: &str, body: &str) -> String {
    let length = body.len();
    ask(to, format!("POST /metric_data_post HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}")).await
}

#[track_caller]
fn is(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
}

#[tokio::test]
async fn keys_are_asked_for_without_a_hint() {
    let served = serve(|_| {}).await;
    let to = served.to;
    let body = r#"{"metric":"a","value":1}"#;
    let nothing = post(to, "", body).await;
    let wrong = post(to, "X-Api-Key: 0123456789abcdef0123456789abcdeX\r\n", body).await;
    is(&nothing, 401);
    let without_date = |text: &str| text.lines().filter(|l| !l.starts_with("date")).collect::<String>();
    assert_eq!(without_date(&nothing), without_date(&wrong));
    for header in ["Authorization: Bearer", "Authorization: Token", "X-Api-Key:"] {
        is(&post(to, &format!("{header} {KEY}\r\n"), body).await, 204);
    }
    is(&post(to, "", &format!(r#"{{"metric":"a","value":1,"key":"{KEY}"}}"#)).await, 204);
    is(
        &post(
            to,
            "",
            &format!(r#"[{{"metric":"a","value":1,"key":"{KEY}"}},{{"metric":"a","value":1,"key":"x"}}]"#),
        )
        .await,
        401,
    );
    assert_eq!(served.intake.ledgers().iter().map(|l| l.logged).sum::<u64>(), 4);
}

#[tokio::test]
async fn while_destinations_hold_up_everything_is_sent_again() {
    let served = serve(|_| {}).await;
    let pause = served.flow.paused();
    let headers = format!("X-Api-Key: {KEY}\r\n");
    let answer = post(served.to, &headers, r#"{"metric":"a","value":1}"#).await;
    is(&answer, 503);
    assert!(answer.to_ascii_lowercase().contains("retry-after: "), "{answer}");
    drop(pause);
    is(&post(served.to, &headers, r#"{"metric":"a","value":1}"#).await, 204);
}

#[tokio::test]
async fn a_request_needs_no_more_memory_than_there_is() {
    let served = serve(|settings| settings.flux.memory_bytes = 100 << 10).await;
    let headers = format!("X-Api-Key: {KEY}\r\n");
    is(&post(served.to, &headers, &" ".repeat(200 << 10)).await, 503);
    is(&post(served.to, &headers, r#"{"metric":"a","value":1}"#).await, 204);
}

/// Looks until it holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looking = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, looking).await.is_ok(), "{what}");
}

#[tokio::test]
async fn who_goes_away_keeps_the_places_of_its_points() {
    let served = serve(|settings| {
        settings.flux.wait_seconds = 60.0;
        settings.flux.api_keys[0].points_per_second = 0.001;
        settings.flux.api_keys[0].burst_points = 100;
    })
    .await;
    let pause = served.flow.paused();
    let body = "a 1 -1\nb 2 -1\nbad\n".to_owned() + &"\n".repeat(100 << 10);
    let head = format!(
        "POST /metric_data_post HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for n in 1..=3 {
        let mut stream = TcpStream::connect(served.to).await.unwrap();
        stream.write_all((head.clone() + &body).as_bytes()).await.unwrap();
        // Who goes away before it was decoded has sent nothing.
        until("points are about to be logged", || served.flux.left(0).unwrap() < f64::from(101 - 3 * n))
            .await;
    }
    // Each was closed at once.
    until("no connection is left", || served.flux.counters().open.load(Relaxed) == 0).await;
    assert_eq!(served.flux.hands.available_permits(), IN_HAND - 3);
    assert_eq!(served.intake.ledgers().iter().map(|l| l.logged).sum::<u64>(), 0);
    drop(pause);
    until("all hands are free", || served.flux.hands.available_permits() == IN_HAND).await;
    assert_eq!(served.intake.ledgers().iter().map(|l| l.logged).sum::<u64>(), 6);
    let mut figures = Vec::new();
    served.flux.figures(&mut figures);
    let of = |name| figures.iter().find(|f| f.name == name).map(|f| f.value);
    assert_eq!(of("skyline_flux_key_points_total"), Some(6.0));
    assert_eq!(of("skyline_flux_key_refused_points_total"), Some(3.0));
}

#[tokio::test]
async fn only_what_is_not_logged_is_given_back() {
    let served = serve(|settings| {
        settings.flux.wait_seconds = 0.05;
        settings.flux.api_keys[0].points_per_second = 0.001;
        settings.flux.api_keys[0].burst_points = 100_000;
    })
    .await;
    let headers = format!("X-Api-Key: {KEY}\r\nContent-Type: text/plain\r\n");
    // Several batches each, until the journal has room for some of them only.
    let body = format!("{} 1 -1\n", "x".repeat(4_000)).repeat(900);
    let logged = || served.intake.ledgers().iter().map(|l| l.logged).sum::<u64>();
    let mut taken = 0;
    let answer = loop {
        let answer = post(served.to, &headers, &body).await;
        if !answer.starts_with("HTTP/1.1 204 ") {
            break answer;
        }
        taken += 900;
        assert!(taken < 100_000, "the journal is never full");
    };
    is(&answer, 503);
    let logged = logged();
    assert!(logged > taken, "{logged} {taken}");
    let mut figures = Vec::new();
    served.flux.figures(&mut figures);
    let counted = figures.iter().find(|f| f.name == "skyline_flux_key_points_total").unwrap().value;
    assert_eq!(counted, logged as f64);
    let left = served.flux.left(0).unwrap();
    assert!((left - (100_000.0 - logged as f64)).abs() < 1.0, "{left} {logged}");
}

#[tokio::test]
async fn a_stranger_sends_no_large_body() {
    let served = serve(|_| {}).await;
    let point = format!(r#"{{"metric":"a","value":1,"key":"{KEY}"}}"#);
    let padded = |length: usize| format!("{point}{}", " ".repeat(length - point.len()));
    is(&post(served.to, "", &padded(64 << 10)).await, 204);
    is(&post(served.to, "", &padded((64 << 10) + 1)).await, 401);
    is(&post(served.to, "Content-Encoding: gzip\r\n", &point).await, 401);
    is(&post(served.to, &format!("X-Api-Key: {KEY}\r\n"), &padded(200 << 10)).await, 204);
    is(&post(served.to, &format!("X-Api-Key: {KEY}\r\nContent-Encoding: gzip\r\n"), &point).await, 400);
}

#[tokio::test]
async fn no_key_is_an_example() {
    let served = serve(|_| {}).await;
    let bodies = [
        format!("{{\"metric\":\"a\",\"value\":1,\"key\":\"{KEY}\"}}"),
        format!("{{\n  \"metric\": \"a\",\n  \"key\": \"{KEY}\"\n}}"),
        format!("metric=a&value=1&key={KEY}"),
        "a 1 x".to_owned(),
    ];
    for (path, kind) in [("metric_data_post", "Content-Type: text/plain\r\n"), ("write", "")] {
        for body in &bodies {
            let length = body.len();
            let request = format!(
                "POST /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Api-Key: {KEY}\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
            );
            is(&ask(served.to, request).await, 400);
        }
    }
    let shown = served.intake.recent_refusals();
    assert!(shown.iter().all(|refusal| !refusal.text.contains(KEY)), "{shown:?}");
    assert!(shown.iter().any(|refusal| refusal.text == "a 1 x"), "{shown:?}");
}

#[tokio::test]
async fn paths_and_methods() {
    let served = serve(|_| {}).await;
    for (request, status) in [
        ("GET /metric_data_post", 405),
        ("DELETE /flux/metric_data", 405),
        ("GET /nothing", 404),
        ("GET /flux/populate_metric", 410),
        ("HEAD /ping", 204),
        ("GET /flux/openapi.json", 200),
        ("GET /flux/metric_data?metric=a&value=1&key=", 401),
    ] {
        let answer =
            ask(served.to, format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        is(&answer, status);
    }
    let openapi = include_str!("openapi.json");
    let paths: serde_json::Value = serde_json::from_str(openapi).unwrap();
    assert_eq!(paths["paths"].as_object().unwrap().len(), 6);
}
