//! The task with a real database: what is given arrives, once, whatever is away or dies.

use super::{Acknowledged, Alerting, Parts, Settings, start};
use crate::channel::{Channel, Delivery, Gallery, Later};
use crate::message::{Kind, Message, Pictures, Severity};
use crate::outbox::telling::{Match, Rules};
use skyline_core::algorithm::AlgorithmSet;
use skyline_core::anomaly::Anomaly;
use skyline_core::clock::Clock;
use skyline_core::point::Datapoint;
use skyline_peers::mariadb::MariaDb;
use skyline_sql::outbox::{State as Fate, Wanted};
use skyline_sql::{Options, Store};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(20);

/// Everything to each recipient of two channels.
#[derive(Debug)]
struct All;

impl Rules for All {
    fn apply(&self, _metric: &str, _now: f64) -> Vec<Match> {
        let of = |channel: &str| Match {
            rule: "all".to_owned(),
            channel: channel.to_owned(),
            recipients: vec!["ann".to_owned()],
            severity: Severity::Warning,
            repeat_seconds: 1_800,
            minimum_seconds: 0,
            recovery: true,
            escalate: None,
        };
        vec![of("good"), of("bad")]
    }

    fn longest_repeat(&self) -> f64 {
        1_800.0
    }
}

#[derive(Debug)]
struct NoPictures;

impl Gallery for NoPictures {
    fn pictures<'a>(&'a self, _message: &'a Message) -> Later<'a, Pictures> {
        Box::pin(async { Pictures::default() })
    }
}

/// What a channel does, and what it took.
#[derive(Debug, Default)]
struct Way {
    name: &'static str,
    does: Mutex<Does>,
    took: Mutex<Vec<(Message, Option<String>)>>,
    acknowledged: Mutex<Vec<String>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Does {
    #[default]
    Takes,
    /// Takes, and the node dies before it hears of that.
    TakesSilently,
    IsAway,
    /// Is away, and wants to be left alone for a year.
    IsAwayForLong,
    Hangs,
    Refuses,
    Panics,
}

impl Way {
    fn new(name: &'static str, does: Does) -> Arc<Self> {
        Arc::new(Self {
            name,
            does: Mutex::new(does),
            took: Mutex::default(),
            acknowledged: Mutex::default(),
        })
    }

    fn is(&self, does: Does) {
        *self.does.lock().expect("lock") = does;
    }

    fn took(&self) -> Vec<(Kind, String)> {
        let took = self.took.lock().expect("lock");
        took.iter().map(|(m, _)| (m.kind, m.key.clone())).collect()
    }

    fn kinds(&self) -> Vec<Kind> {
        self.took().into_iter().map(|(kind, _)| kind).collect()
    }
}

impl Channel for Way {
    fn name(&self) -> &str {
        self.name
    }

    fn acknowledged(&self, thread: &str) {
        self.acknowledged.lock().expect("lock").push(thread.to_owned());
    }

    fn deliver<'a>(
        &'a self,
        message: &'a Message,
        thread: Option<&'a str>,
        _gallery: &'a dyn Gallery,
    ) -> Later<'a, Delivery> {
        Box::pin(async move {
            let does = *self.does.lock().expect("lock");
            match does {
                Does::Takes | Does::TakesSilently => {
                    self.took.lock().expect("lock").push((message.clone(), thread.map(str::to_owned)));
                    if does == Does::TakesSilently {
                        std::future::pending::<()>().await;
                    }
                    let thread = thread.is_none().then(|| format!("{}.1", self.name));
                    Delivery::Accepted { thread, answer: "250 ok".to_owned() }
                }
                Does::IsAway => Delivery::Retry { after: None, reason: "connection refused".to_owned() },
                Does::IsAwayForLong => Delivery::Retry {
                    after: Some(Duration::from_secs(31_536_000)),
                    reason: "too many requests".to_owned(),
                },
                Does::Hangs => std::future::pending().await,
                Does::Refuses => Delivery::Refused { reason: "no such address".to_owned() },
                Does::Panics => panic!("a bug in a channel"),
            }
        })
    }
}

struct Node {
    alerting: Alerting,
    task: JoinHandle<()>,
    stop: CancellationToken,
    store: Store,
}

impl Node {
    async fn start_with(dir: &Path, store: Store, ways: [&Arc<Way>; 2], settings: Settings) -> Self {
        let stop = CancellationToken::new();
        let parts = Parts {
            node: "n1".to_owned(),
            settings,
            state_dir: dir.to_owned(),
            store: store.clone(),
            clock: Clock::system(),
            rules: Arc::new(All),
            channels: ways.map(|way| Arc::clone(way) as Arc<dyn Channel>).into(),
            gallery: Arc::new(NoPictures),
            windows: None,
            stop: stop.clone(),
            abort: CancellationToken::new(),
        };
        let (alerting, task) = start(parts).expect("started");
        Self { alerting, task, stop, store }
    }

    async fn start(dir: &Path, ways: [&Arc<Way>; 2]) -> Self {
        Self::start_with(dir, file(dir).await, ways, settings()).await
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("ended");
        self.store.close().await;
    }

    /// Ends without a word, as `kill -9` does.
    async fn kill(self) {
        self.task.abort();
        drop(self.task.await);
        self.store.close().await;
    }
}

/// Waits little for company, and tells of what is new at once.
fn settings() -> Settings {
    Settings { gather: 0.05, other_pace: 0.2, retry: 0.3, ..Settings::default() }
}

async fn file(dir: &Path) -> Store {
    Store::open_file(&dir.join("anomalies.db"), Options::default()).await.expect("opened")
}

fn anomaly(metric: &str, ts: f64) -> Anomaly {
    Anomaly {
        metric: metric.to_owned(),
        point: Datapoint::new(ts, 950.0),
        judged_value: 950.0,
        received: Clock::system().now(),
        asked: AlgorithmSet::ALL,
        triggered: AlgorithmSet::ALL,
        mean: 100.0,
        stddev: 12.5,
        window_from: ts - 86_400.0,
        window_points: 1440,
        full_duration: 86_400,
        counter: false,
        seq: 42,
    }
}

/// Waits until it is so.
async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the database has so many messages of that fate.
async fn until_rows(store: &Store, fate: Fate, count: usize) -> Vec<skyline_sql::outbox::Message> {
    let end = Instant::now() + LONG;
    loop {
        let wanted = Wanted { state: Some(fate), limit: 100, ..Wanted::default() };
        let rows = store.messages(&wanted).await.map(|page| page.rows).unwrap_or_default();
        if rows.len() == count {
            return rows.into_iter().map(|(_, m)| m).collect();
        }
        assert!(Instant::now() < end, "{} rows {fate:?}, not {count}", rows.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().to_owned();
    (dir, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_channel_holds_nobody_else() {
    for does in [Does::IsAway, Does::Hangs, Does::Panics] {
        let (_dir, path) = folder();
        let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", does));
        let node = Node::start(&path, [&good, &bad]).await;
        node.alerting.take(vec![anomaly("a", 1_000.0), anomaly("b", 1_000.0)]).await.expect("taken");
        until("one message", || good.kinds() == [Kind::Opened]).await;
        node.alerting.take(vec![anomaly("c", 1_000.0)]).await.expect("taken");
        until("an update", || good.kinds() == [Kind::Opened, Kind::Updated]).await;
        assert_eq!(bad.kinds(), []);
        let waiting = || -> Vec<(String, u64)> {
            node.alerting.told.waiting().into_iter().map(|(name, w, _)| (name, w.messages)).collect()
        };
        let expected = [("bad".to_owned(), 1), ("good".to_owned(), 0)];
        until("one message that waits", || waiting() == expected).await;
        node.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_comes_back_gets_what_waits() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::IsAway));
    let node = Node::start(&path, [&good, &bad]).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    until_rows(&node.store, Fate::Sent, 1).await;
    let waiting = until_rows(&node.store, Fate::Waiting, 1).await;
    assert_eq!(waiting.first().map(|m| m.kind.as_str()), Some("opened"));
    bad.is(Does::Takes);
    until("it", || bad.kinds() == [Kind::Opened]).await;
    let sent = until_rows(&node.store, Fate::Sent, 2).await;
    let late = sent.iter().find(|m| m.channel == "bad").expect("sent");
    assert!(late.attempts > 1 && late.answer.as_deref() == Some("250 ok"), "{late:?}");
    assert!(node.alerting.told.latency(0.5).is_some_and(|seconds| seconds < 10.0));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_listed() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::Refuses));
    let node = Node::start(&path, [&good, &bad]).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    let dead = until_rows(&node.store, Fate::Dead, 1).await;
    let dead = dead.first().expect("one");
    assert_eq!((dead.channel.as_str(), dead.error.as_deref()), ("bad", Some("no such address")));
    assert_eq!(node.alerting.told.counts(), [("bad".to_owned(), 0, 1), ("good".to_owned(), 1, 0)]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_before_it_was_sent_loses_nothing() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::Hangs));
    let node = Node::start(&path, [&good, &bad]).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    until_rows(&node.store, Fate::Sent, 1).await;
    node.kill().await;
    bad.is(Does::Takes);
    let node = Node::start(&path, [&good, &bad]).await;
    until("it", || bad.kinds() == [Kind::Opened]).await;
    // Found again in the journal.
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    until_rows(&node.store, Fate::Sent, 2).await;
    node.stop().await;
    assert_eq!(good.kinds(), [Kind::Opened], "nothing is repeated");
    assert_eq!(bad.kinds(), [Kind::Opened]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_loses_nothing() {
    for milliseconds in [0, 20, 45, 55, 70, 100, 200] {
        let (_dir, path) = folder();
        let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::Takes));
        let node = Node::start(&path, [&good, &bad]).await;
        node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        node.kill().await;
        let node = Node::start(&path, [&good, &bad]).await;
        until_rows(&node.store, Fate::Sent, 2).await;
        node.stop().await;
        for way in [&good, &bad] {
            let keys: Vec<_> = way.took().into_iter().map(|(_, key)| key).collect();
            assert!(
                !keys.is_empty() && keys.iter().all(|key| Some(key) == keys.first()),
                "{milliseconds}: {keys:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_copy_has_the_same_key() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::TakesSilently));
    let node = Node::start(&path, [&good, &bad]).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    until("it", || bad.took().len() == 1).await;
    node.kill().await;
    bad.is(Does::Takes);
    let node = Node::start(&path, [&good, &bad]).await;
    until("the copy", || bad.took().len() == 2).await;
    node.stop().await;
    let took = bad.took();
    assert_eq!(took.first(), took.last());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_outlive_a_restart() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::Takes));
    let node = Node::start(&path, [&good, &bad]).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    until_rows(&node.store, Fate::Sent, 2).await;
    node.kill().await;
    let node = Node::start(&path, [&good, &bad]).await;
    node.alerting.take(vec![anomaly("b", 1_000.0)]).await.expect("taken");
    until("an update", || good.took().len() == 2).await;
    node.stop().await;
    let took = good.took.lock().expect("lock");
    let threads: Vec<_> = took.iter().map(|(_, thread)| thread.as_deref()).collect();
    assert_eq!(threads, [None, Some("good.1")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_file_the_database_knows() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::IsAway));
    let node = Node::start(&path, [&good, &bad]).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    until_rows(&node.store, Fate::Sent, 1).await;
    until_rows(&node.store, Fate::Waiting, 1).await;
    node.stop().await;
    std::fs::remove_file(path.join("alerts.log")).expect("removed");
    bad.is(Does::Takes);
    let node = Node::start(&path, [&good, &bad]).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    until_rows(&node.store, Fate::Sent, 2).await;
    node.stop().await;
    assert_eq!((good.kinds(), bad.kinds()), (vec![Kind::Opened], vec![Kind::Opened]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_messages_leave() {
    let (_dir, path) = folder();
    let mut server = MariaDb::start().expect("a server");
    let database = server.database().expect("a database");
    let record = skyline_conf::model::record::Record {
        server: database.url(),
        user: "root".into(),
        ..skyline_conf::model::record::Record::default()
    };
    let store = Store::open_server(&record, Options::default()).expect("a store");
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::Takes));
    let node = Node::start_with(&path, store, [&good, &bad], settings()).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    until_rows(&node.store, Fate::Sent, 2).await;
    server.kill().expect("killed");
    let before = Instant::now();
    node.alerting.take(vec![anomaly("b", 1_000.0)]).await.expect("taken");
    until("an update", || good.kinds() == [Kind::Opened, Kind::Updated]).await;
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    until("it is known to be away", || node.alerting.told.away().is_some()).await;
    // A restart without the database knows all the same.
    node.kill().await;
    let store = Store::open_server(&record, Options::default()).expect("a store");
    let node = Node::start_with(&path, store, [&good, &bad], settings()).await;
    node.alerting.take(vec![anomaly("b", 1_000.0), anomaly("c", 1_000.0)]).await.expect("taken");
    until("an update", || good.kinds() == [Kind::Opened, Kind::Updated, Kind::Updated]).await;
    server.restart().expect("the server");
    let rows = until_rows(&node.store, Fate::Sent, 6).await;
    let keys: std::collections::HashSet<_> = rows.iter().map(|m| &m.key).collect();
    assert_eq!(keys.len(), 6);
    let members = node.store.incidents(true, None, 10).await.expect("read").rows;
    assert_eq!(members.iter().map(|(_, i)| i.metrics).collect::<Vec<_>>(), [3]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_sends_nothing() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::Takes));
    let settings = Settings { dry_run: true, ..settings() };
    let node = Node::start_with(&path, file(&path).await, [&good, &bad], settings).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    let rows = until_rows(&node.store, Fate::Sent, 2).await;
    assert!(rows.iter().all(|m| m.is_dry && m.attempts == 0 && m.sent.is_some()));
    node.stop().await;
    assert_eq!((good.kinds(), bad.kinds()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_sends_what_is_due() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::IsAway));
    let settings = Settings { gather: 0.3, ..settings() };
    let node = Node::start_with(&path, file(&path).await, [&good, &bad], settings).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    node.stop.cancel();
    until("it", || good.kinds() == [Kind::Opened]).await;
    node.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posted_and_acknowledged() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::Takes));
    bad.is(Does::IsAway);
    let node = Node::start(&path, [&good, &bad]).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    until("it", || good.took().len() == 1).await;
    until_rows(&node.store, Fate::Sent, 1).await;
    let message = good.took.lock().expect("lock").first().expect("one").0.clone();
    assert_eq!(node.alerting.acknowledge(&message.incident, "ann").await, Ok(Acknowledged::New));
    assert_eq!(node.alerting.acknowledge(&message.incident, "ann").await, Ok(Acknowledged::Before));
    assert_eq!(node.alerting.acknowledge("none", "ann").await, Ok(Acknowledged::Unknown));
    // Where it was told it is shown at once, and where it is told later, then.
    let shown = |way: &Way| way.acknowledged.lock().expect("lock").clone();
    assert_eq!((shown(&good), shown(&bad)), (vec!["good.1".to_owned()], Vec::new()));
    bad.is(Does::Takes);
    until("it at the other", || shown(&bad) == ["bad.1"]).await;
    assert_eq!(shown(&good).len(), 1);
    let digest = Message { key: "stale-1".to_owned(), incident: String::new(), kind: Kind::Stale, ..message };
    for _ in 0..2 {
        node.alerting.post(digest.clone()).await.expect("posted");
    }
    until("the digest", || good.took().len() == 2).await;
    until_rows(&node.store, Fate::Sent, 3).await;
    // The database has it, and a restart came between.
    node.stop().await;
    let node = Node::start(&path, [&good, &bad]).await;
    node.alerting.post(digest).await.expect("posted");
    node.stop().await;
    assert_eq!(good.took().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_wants_too_much_time_is_given_up() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::IsAwayForLong));
    // No rule of these tests is that patient.
    let settings = Settings { give_up: 1_801.0, ..settings() };
    let node = Node::start_with(&path, file(&path).await, [&good, &bad], settings).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken");
    until_rows(&node.store, Fate::Sent, 1).await;
    let end = Instant::now() + LONG;
    let row = loop {
        let row = until_rows(&node.store, Fate::Waiting, 1).await.remove(0);
        if row.attempts > 0 {
            break row;
        }
        assert!(Instant::now() < end, "it is tried");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(row.not_before <= row.created + 1_802.0, "{row:?}");
    node.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_written_is_done_without() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::Takes));
    let full = PathBuf::from("/dev/full");
    std::os::unix::fs::symlink(full, path.join("alerts.log")).expect("a link");
    let settings = settings();
    // The folder cannot hold a new file either.
    std::fs::create_dir(path.join("alerts.log.new")).expect("a folder");
    let node = Node::start_with(&path, file(&path).await, [&good, &bad], settings).await;
    node.alerting.take(vec![anomaly("a", 1_000.0)]).await.expect("taken: the database has it");
    until_rows(&node.store, Fate::Sent, 2).await;
    let mut figures = Vec::new();
    node.alerting.told.figures(&mut figures);
    let failures =
        figures.iter().find(|f| f.name == "skyline_alerting_file_failures_total").expect("a figure");
    assert!(failures.value > 0.0);
    node.kill().await;
    assert_eq!((good.kinds(), bad.kinds()), (vec![Kind::Opened], vec![Kind::Opened]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_can_be_written_messages_leave_all_the_same() {
    let (_dir, path) = folder();
    let (good, bad) = (Way::new("good", Does::Takes), Way::new("bad", Does::Takes));
    std::os::unix::fs::symlink("/dev/full", path.join("alerts.log")).expect("a link");
    std::fs::create_dir(path.join("alerts.log.new")).expect("a folder");
    let store = file(&path).await;
    let node = Node::start_with(&path, store.clone(), [&good, &bad], settings()).await;
    // As on a full disk: neither takes anything.
    store.close().await;
    let before = Instant::now();
    let alerting = node.alerting.clone();
    let given = tokio::spawn(async move { alerting.take(vec![anomaly("a", 1_000.0)]).await });
    until("it is told", || good.kinds() == [Kind::Opened] && bad.kinds() == [Kind::Opened]).await;
    assert!(before.elapsed() >= Duration::from_secs(4), "it is tried first: {:?}", before.elapsed());
    until("it is said", || node.alerting.told.is_bold()).await;
    assert!(!given.is_finished(), "it is not written down");
    // What comes behind it is told too.
    node.alerting.hint(vec![anomaly("b", 1_000.0)]).await;
    until("an update", || good.kinds() == [Kind::Opened, Kind::Updated]).await;
    let mut figures = Vec::new();
    node.alerting.told.figures(&mut figures);
    assert!(figures.iter().any(|f| f.name == "skyline_alerting_unwritten" && f.value > 0.0));
    // There is room again.
    std::fs::remove_file(path.join("alerts.log")).expect("removed");
    std::fs::remove_dir(path.join("alerts.log.new")).expect("removed");
    until("it is written down", || given.is_finished()).await;
    until("it is said", || !node.alerting.told.is_bold()).await;
    node.kill().await;
    assert_eq!(good.kinds(), [Kind::Opened, Kind::Updated], "each once");
}
