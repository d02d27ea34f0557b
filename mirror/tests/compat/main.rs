//! Layout `compat` against a real Redis, and against what Python's redis and msgpack make of it.
#![expect(clippy::unwrap_used, reason = "what all the tests share")]

mod adopt;
mod outages;
mod python;
mod trim;
mod write;

use skyline_conf::model::redis::{Layout, Redis as Settings};
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Source};
use skyline_core::clock::Clock;
use skyline_core::point::Datapoint;
use skyline_core::shard::{ShardId, ShardSet};
use skyline_journal::{Durability, Journal, Scope, WhenFull};
use skyline_mirror::compat::pair;
use skyline_mirror::compat::{Compat, Options, State};
use skyline_mirror::server::Server;
use skyline_mirror::windows::Windows;
use skyline_peers::redis::Redis;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Windows of a test: all points of all metrics.
#[derive(Debug, Default)]
struct Held(Mutex<HashMap<String, BTreeMap<u64, f64>>>);

impl Held {
    fn put(&self, name: &str, ts: u64, value: f64) {
        self.0.lock().unwrap().entry(name.to_owned()).or_default().insert(ts, value);
    }

    fn all(&self) -> HashMap<String, Vec<(f64, f64)>> {
        let held = self.0.lock().unwrap();
        let points = |of: &BTreeMap<u64, f64>| of.iter().map(|(ts, v)| (*ts as f64, *v)).collect();
        held.iter().map(|(name, of)| (name.clone(), points(of))).collect()
    }
}

impl Windows for Held {
    async fn names(&self, shard: ShardId) -> Vec<String> {
        let held = self.0.lock().unwrap();
        held.keys().filter(|name| ShardId::of_name(name.as_bytes()) == shard).cloned().collect()
    }

    async fn points(&self, name: &str) -> Option<Vec<Datapoint>> {
        let held = self.0.lock().unwrap();
        Some(held.get(name)?.iter().map(|(ts, value)| Datapoint::new(*ts as f64, *value)).collect())
    }
}

/// The time of the tests, seconds.
const NOW: f64 = 1_700_000_000.0;

fn settings(server: impl Into<String>) -> Settings {
    Settings {
        servers: vec![server.into()],
        layout: Layout::Compat,
        timeout_seconds: 1.0,
        ..Settings::default()
    }
}

fn server(redis: &Redis) -> Server {
    Server::new(&settings(redis.unix())).unwrap()
}

fn options() -> Options {
    Options {
        namespace: "metrics.".into(),
        mark: "skyline:test:mark".into(),
        full_duration: 86_400.0,
        grace: 600.0,
        max_future: 600.0,
        max_names: 1_000_000,
        skip: Vec::new(),
        keep: Vec::new(),
        shards: ShardSet::ALL,
        trim_every: None,
        clock: Clock::at(NOW),
    }
}

fn journal(dir: &Path, max_bytes: u64) -> Journal {
    let options = skyline_journal::Options {
        dir: dir.to_owned(),
        max_bytes,
        segment_bytes: max_bytes / 16,
        memory_bytes: 64 << 10,
        durability: Durability::Process,
        when_full: WhenFull::ShedOldest,
        min_free_percent: 0.0,
    };
    // A copy that was ended in the middle may still be reading.
    skyline_peers::eventually(Duration::from_secs(5), "the journal is free", || {
        Journal::open(options.clone()).ok().map(|(journal, _)| journal)
    })
    .unwrap()
}

fn batch_of(origin: Origin, points: &[(&str, f64, f64)]) -> Batch {
    let mut builder = BatchBuilder::new(Source { listener: Listener::PlaintextTcp, origin }, NOW);
    for (name, ts, value) in points {
        builder.point(name.as_bytes(), *ts, *value).unwrap();
    }
    builder.finish().unwrap()
}

/// A copy that runs.
struct Running {
    state: Arc<State>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(journal: &Journal, server: Server, options: Options, windows: &Arc<Held>) -> Self {
        let reader = journal.reader("redis", Scope::Everything).unwrap();
        let compat = Compat::new(server, options, Arc::clone(windows));
        let (state, stop) = (compat.state(), CancellationToken::new());
        let task = tokio::spawn(compat.run(reader, stop.clone()));
        Self { state, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
    }
}

/// Waits until all that is in the log is in Redis.
async fn written(journal: &Journal) {
    until(Duration::from_secs(30), "all points are in Redis", async || {
        let ledgers = journal.ledgers();
        ledgers.iter().any(|(name, ledger)| name == "redis" && ledger.waiting == 0)
    })
    .await;
}

async fn until(limit: Duration, what: &str, look: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !look().await {
        assert!(start.elapsed() < limit, "not after {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All windows in Redis, in the order in which their points were appended.
async fn in_redis(server: &Server) -> HashMap<String, Vec<(f64, f64)>> {
    let mut found = HashMap::new();
    let names: Vec<String> =
        server.query(redis::cmd("SMEMBERS").arg("metrics.unique_metrics")).await.unwrap();
    for chunk in names.chunks(500) {
        let values: Vec<Option<Vec<u8>>> = server.query(redis::cmd("MGET").arg(chunk)).await.unwrap();
        for (name, bytes) in chunk.iter().zip(values) {
            let bytes = bytes.unwrap_or_default();
            let points = pair::Pairs::new(&bytes).map(|pair| (pair.ts, pair.value.unwrap())).collect();
            found.insert(name.strip_prefix("metrics.").unwrap().to_owned(), points);
        }
    }
    found
}

/// The same, as who reads a window sees it: sorted, each time once.
async fn windows_in_redis(server: &Server) -> HashMap<String, Vec<(f64, f64)>> {
    let mut found = in_redis(server).await;
    for points in found.values_mut() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.dedup();
    }
    found
}

/// How many points are in both of two counts of windows.
fn count(windows: &HashMap<String, Vec<(f64, f64)>>) -> usize {
    windows.values().map(Vec::len).sum()
}
