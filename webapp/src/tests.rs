//! The routers as clients see them: over sockets, with bytes.

mod alerts;
mod api;
mod graph;
mod serving;
mod status;

use crate::api::{RelaySource, SeriesSource, Sources};
use crate::serve::{Limits, Listener, bind};
use axum::Router;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::anomaly::Anomaly;
use skyline_core::clock::Clock;
use skyline_core::point::Datapoint;
use skyline_render_proxy::windows::{Later, Unanswered, Windows};
use skyline_sql::{Context, Store};
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A router that is served until this is dropped.
struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<()>,
    _stop: DropGuard,
}

async fn serve(router: Router, limits: Limits) -> Served {
    let bound =
        bind(Listener::Api, &[SocketAddr::from(([127, 0, 0, 1], 0))]).await.expect("bound").limits(limits);
    let address = bound.addresses()[0];
    let stop = CancellationToken::new();
    let ended = tokio::spawn(bound.serve(router, stop.clone()));
    Served { address, ended, _stop: stop.clone().drop_guard(), stop }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

/// A connection that stays open between requests.
struct Client {
    address: SocketAddr,
    sender: SendRequest<Empty<Bytes>>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connected");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("http");
        tokio::spawn(connection);
        Self { address, sender }
    }

    async fn ask(&mut self, method: Method, path: &str) -> Answer {
        self.sender.ready().await.expect("open");
        let request = Request::builder().method(method).uri(path).header("host", self.address.to_string());
        let request = request.body(Empty::new()).expect("a request");
        let answer = self.sender.send_request(request).await.expect("answered");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.into_body().collect().await.expect("whole").to_bytes();
        // Pictures are no text; everything else is.
        let is_text = headers.get("content-type").is_none_or(|kind| kind != "image/png");
        let text = if is_text { String::from_utf8(body.to_vec()).expect("UTF-8") } else { String::new() };
        Answer { status, headers, body, text }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.ask(Method::GET, path).await
    }
}

/// Windows of two metrics; a third is always busy, a fourth is of a node without windows.
struct TwoMetrics;

impl Windows for TwoMetrics {
    fn series<'a>(&'a self, name: &'a str, from: f64, until: f64) -> Later<'a, Option<Vec<Datapoint>>> {
        let points = [Datapoint::new(60.0, 1.0), Datapoint::new(120.0, 2.5), Datapoint::new(180.5, -0.25)];
        Box::pin(async move {
            match name {
                "a.b" | "a/ü" => {
                    Ok(Some(points.into_iter().filter(|p| p.ts >= from && p.ts <= until).collect()))
                }
                "busy" => Err(Unanswered::Busy),
                "off" => Err(Unanswered::Off),
                _ => Ok(None),
            }
        })
    }
}

impl SeriesSource for TwoMetrics {
    fn remove<'a>(&'a self, name: &'a str) -> Later<'a, bool> {
        Box::pin(async move { Ok(name == crate::api::SEED_METRIC) })
    }
}

/// A relay with a destination, 300 senders and 300 bad points.
struct Relay;

impl RelaySource for Relay {
    fn destinations(&self) -> Vec<Value> {
        vec![json!({ "destination": "h:1" })]
    }

    fn senders(&self, limit: usize) -> (Vec<Value>, usize) {
        ((0..limit.min(300)).map(Value::from).collect(), 300)
    }

    fn bad(&self, limit: usize) -> Vec<Value> {
        (300 - limit.min(300)..300).map(Value::from).collect()
    }
}

/// An API over an empty record at the time 10,000.
struct Api {
    _dir: TempDir,
    store: Store,
    served: Served,
    client: Client,
}

impl Api {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(&dir.path().join("a.db")).await.expect("opened");
        let sources = Sources {
            backfill: None,
            store: store.clone(),
            series: Arc::new(TwoMetrics),
            relay: Arc::new(Relay),
            alerts: None,
            fetched: None,
            clock: Clock::at(10_000.0),
        };
        let served = serve(crate::api::router(sources), Limits::default()).await;
        let client = Client::connect(served.address).await;
        Self { _dir: dir, store, served, client }
    }

    async fn record(&self, anomalies: &[Anomaly]) {
        let context = Context { host: "web01".to_owned(), app: "analyzer".to_owned() };
        self.store.record(anomalies, &context).await.expect("recorded");
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.client.get(path).await
    }
}

fn anomaly(metric: &str, ts: f64) -> Anomaly {
    Anomaly {
        metric: metric.to_owned(),
        point: Datapoint::new(ts, 950.0),
        judged_value: 950.0,
        received: ts + 0.5,
        asked: AlgorithmSet::ALL,
        triggered: Algorithm::ALL.into_iter().take(7).collect(),
        mean: 100.0,
        stddev: 100.0,
        window_from: ts - 86_400.0,
        window_points: 1440,
        full_duration: 86_400,
        counter: false,
        seq: 42,
    }
}
