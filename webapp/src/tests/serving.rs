//! Clients that are slow, big, many or not welcome.

use super::{Client, serve};
use crate::Error;
use crate::serve::{Limits, Listener, bind};
use axum::Router;
use axum::routing::{get, post};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Longest that any wait of these tests may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(|| async { sleep(Duration::from_secs(3600)).await }))
        .route(
            "/wait",
            get(|| async {
                sleep(Duration::from_millis(300)).await;
                "waited"
            }),
        )
        .route("/big", get(|| async { "x".repeat(64 << 20) }))
        .route("/body", post(|body: String| async move { body.len().to_string() }))
        .route("/panic", get(|| async { if true { panic!("as a bug would") } else { "" } }))
}

fn short() -> Limits {
    Limits {
        head: Duration::from_millis(300),
        request: Duration::from_millis(500),
        drain: Duration::from_millis(300),
        ..Limits::default()
    }
}

/// Sends bytes and returns all that comes until the peer closes.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(bytes).await.expect("sent");
    rest(&mut stream).await
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end as well.
    let _ended = timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("closed by the peer");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn only_loopback_is_served() {
    let check = async |address: &str, welcome: bool| {
        let address: SocketAddr = address.parse().expect("an address");
        match bind(Listener::Status, &[SocketAddr::from(([127, 0, 0, 1], 0)), address]).await {
            Ok(bound) => assert!(welcome && bound.addresses().len() == 2, "{address}"),
            Err(error @ Error::NotLoopback { .. }) => {
                assert!(!welcome, "{address}");
                let text = error.to_string();
                assert!(text.starts_with("http.status: ") && text.contains(&address.to_string()), "{text}");
            }
            Err(Error::Bind { source, .. }) => panic!("{address}: {source}"),
        }
    };
    check("127.0.0.1:0", true).await;
    check("127.8.9.10:0", true).await;
    check("0.0.0.0:0", false).await;
    check("[::]:0", false).await;
    check("192.0.2.1:0", false).await;
    check("[::ffff:192.0.2.1]:0", false).await;
    check("[2001:db8::1]:0", false).await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = taken.local_addr().expect("an address");
    let error = bind(Listener::Api, &[address]).await.expect_err("taken").to_string();
    assert!(error.starts_with(&format!("http.api: {address} cannot be bound")), "{error}");
}

#[tokio::test]
async fn a_slow_head_is_closed() {
    let served = serve(router(), short()).await;
    let mut stream = TcpStream::connect(served.address).await.expect("connected");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.expect("sent");
    let began = Instant::now();
    // A byte now and then does not extend the time.
    let (mut reading, mut writing) = stream.split();
    let drip = async {
        while writing.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut end = Vec::new();
    tokio::select! {
        () = drip => {}
        _ended = reading.read_to_end(&mut end) => {}
        () = sleep(PATIENCE) => panic!("still open"),
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let served = serve(router(), short()).await;
    let mut stream = TcpStream::connect(served.address).await.expect("connected");
    assert_eq!(rest(&mut stream).await, "");
    let text = raw(served.address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("hello"), "{text}");
}

#[tokio::test]
async fn a_slow_answer_is_given_up() {
    let served = serve(router(), short()).await;
    let answer = Client::connect(served.address).await.get("/slow").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("took too long"));
    assert_eq!(answer.headers["x-frame-options"], "DENY");
}

#[tokio::test]
async fn a_peer_that_does_not_read_loses_its_place() {
    let limits = Limits { connections: 1, age: Duration::from_millis(300), ..short() };
    let served = serve(router(), limits).await;
    let mut stalled = TcpStream::connect(served.address).await.expect("connected");
    stalled.write_all(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let next = async { Client::connect(served.address).await.get("/").await.status };
    assert_eq!(timeout(PATIENCE, next).await.expect("answered"), 200);
}

#[tokio::test]
async fn what_is_too_big_is_refused() {
    let served = serve(router(), Limits::default()).await;
    let check = async |request: String, expected: &str| {
        let text = timeout(PATIENCE, raw(served.address, request.as_bytes())).await.expect("answered");
        assert!(
            text.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{expected}: {}",
            &text[..text.len().min(200)]
        );
    };
    check(format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(40_000)), "431").await;
    check(format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(100)), "431").await;
    check(format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(40_000)), "431").await;
    check(
        format!("POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 70000\r\n\r\n{}", "y".repeat(70_000)),
        "413",
    )
    .await;
    check("POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999999\r\n\r\n".to_owned(), "413").await;
    check("nonsense\r\n\r\n".to_owned(), "400").await;
    let chunk = format!("{:x}\r\n{}\r\n", 8_000, "y".repeat(8_000)).repeat(10);
    let close = "transfer-encoding: chunked\r\nconnection: close";
    check(format!("POST /body HTTP/1.1\r\nhost: x\r\n{close}\r\n\r\n{chunk}0\r\n\r\n"), "413").await;
}

#[tokio::test]
async fn pages_that_a_browser_has_open_change_nothing() {
    let served = serve(router(), Limits::default()).await;
    let check = async |method: &str, path: &str, origin: &str, expected: &str| {
        let head = "host: x\r\nconnection: close\r\ncontent-length: 0";
        let request = format!("{method} {path} HTTP/1.1\r\n{head}\r\n{origin}\r\n");
        let text = timeout(PATIENCE, raw(served.address, request.as_bytes())).await.expect("answered");
        assert!(text.starts_with(&format!("HTTP/1.1 {expected} ")), "{method} {origin}: {text}");
    };
    check("GET", "/", "origin: http://evil.example\r\n", "200").await;
    check("POST", "/body", "", "200").await;
    check("POST", "/body", "origin: http://evil.example\r\n", "403").await;
    check("POST", "/body", "Origin: null\r\n", "403").await;
}

#[tokio::test]
async fn a_thousand_at_once_are_all_answered() {
    let served = serve(router(), Limits::default()).await;
    let address = served.address;
    let clients: Vec<_> = (0..1_000)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                for _ in 0..3 {
                    let answer = client.get("/wait").await;
                    assert_eq!((answer.status, answer.text.as_str()), (200, "waited"));
                }
            })
        })
        .collect();
    for client in clients {
        timeout(PATIENCE, client).await.expect("in time").expect("answered");
    }
}

#[tokio::test]
async fn those_beyond_the_cap_wait_their_turn() {
    let served =
        serve(router(), Limits { connections: 4, head: Duration::from_millis(300), ..Limits::default() })
            .await;
    // These hold every place and say nothing; their time-out frees them.
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(served.address).await.expect("connected"));
    }
    let mut client = Client::connect(served.address).await;
    assert_eq!(timeout(PATIENCE, client.get("/")).await.expect("answered").status, 200);
}

#[tokio::test]
async fn a_panic_costs_its_connection_only() {
    let served = serve(router(), Limits::default()).await;
    assert_eq!(raw(served.address, b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await, "");
    assert_eq!(Client::connect(served.address).await.get("/").await.status, 200);
}

#[tokio::test]
async fn stopping_ends_requests_in_hand_and_closes() {
    let served = serve(router(), Limits::default()).await;
    let mut idle = Client::connect(served.address).await;
    idle.get("/").await;
    let mut busy = Client::connect(served.address).await;
    let waiting = tokio::spawn(async move { busy.get("/wait").await });
    sleep(Duration::from_millis(100)).await;
    served.stop.cancel();
    assert_eq!(waiting.await.expect("answered").text, "waited");
    timeout(PATIENCE, served.ended).await.expect("ended").expect("in order");
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn stopping_does_not_wait_for_those_who_do_not_end() {
    let served = serve(router(), Limits { request: PATIENCE * 9, ..short() }).await;
    let mut busy = Client::connect(served.address).await;
    let asking =
        tokio::spawn(
            async move { busy.sender.ready().await.is_ok() && busy.get("/slow").await.status == 200 },
        );
    sleep(Duration::from_millis(100)).await;
    served.stop.cancel();
    timeout(Duration::from_secs(5), served.ended).await.expect("ended").expect("in order");
    asking.abort();
}

#[tokio::test]
async fn headers_for_browsers() {
    let served = serve(router(), Limits::default()).await;
    let mut client = Client::connect(served.address).await;
    for path in ["/", "/absent"] {
        let headers = client.get(path).await.headers;
        let check = |name: &str, expected: &str| assert_eq!(headers[name], expected, "{path}");
        check("x-content-type-options", "nosniff");
        check("x-frame-options", "DENY");
        check("referrer-policy", "no-referrer");
        check("cross-origin-resource-policy", "same-origin");
        check("cache-control", "no-store");
        assert!(
            headers["content-security-policy"].to_str().is_ok_and(|v| v.starts_with("default-src 'none'"))
        );
        assert!(!headers.contains_key("server"));
    }
}

#[tokio::test]
async fn graphs_may_be_embedded_and_their_data_may_not() {
    let kind = |kind: &'static str| get(move || async move { ([("content-type", kind)], "x") });
    let router = Router::new()
        .route("/picture", kind("image/svg+xml"))
        .route("/jsonp", kind("text/javascript"))
        .route("/json", kind("application/json"));
    let bound =
        bind(Listener::RenderProxy, &["127.0.0.1:0".parse().expect("an address")]).await.expect("bound");
    let address = bound.addresses()[0];
    let stop = tokio_util::sync::CancellationToken::new();
    let ended = tokio::spawn(bound.serve(router, stop.clone()));
    let mut client = Client::connect(address).await;
    for (path, expected) in
        [("/picture", None), ("/jsonp", Some("same-origin")), ("/json", Some("same-origin"))]
    {
        let headers = client.get(path).await.headers;
        let found = headers.get("cross-origin-resource-policy").map(|value| value.to_str().expect("text"));
        assert_eq!(found, expected, "{path}");
    }
    stop.cancel();
    drop(client);
    timeout(PATIENCE, ended).await.expect("ended").expect("in order");
}
