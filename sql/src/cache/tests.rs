//! The cache in front of a record that counts how often it is asked, with a real memcached behind it.

mod hostile;

use super::{Cache, Options};
use crate::row::{Row, Verdict};
use skyline_conf::model::memcached::Memcached as Settings;
use skyline_core::algorithm::Algorithm;
use skyline_core::anomaly::Anomaly;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::health::State;
use skyline_core::point::Datapoint;
use skyline_peers::memcached::Memcached;
use skyline_peers::port;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(super) fn row(id: i64, metric: &str) -> Row {
    Row {
        id,
        anomaly: Anomaly {
            metric: metric.to_owned(),
            point: Datapoint::new(60.5, 9.0),
            received: 61.25,
            judged_value: 9.0,
            asked: Algorithm::ALL.into_iter().collect(),
            triggered: [Algorithm::Grubbs, Algorithm::KsTest].into_iter().collect(),
            mean: 0.1 + 0.2,
            stddev: 0.5,
            window_from: 0.0,
            window_points: 2,
            full_duration: 86_400,
            counter: false,
            seq: 1,
        },
        host: "web01".to_owned(),
        app: "analyzer".to_owned(),
        recurrences: 3,
        ended: Some(70.0),
        last_received: 71.5,
        verdict: Verdict::Explained,
        explained_by: Some(4),
        chat_thread: None,
        label: Some("ours".to_owned()),
        label_by: None,
    }
}

/// A record that holds one number, for several nodes.
#[derive(Debug, Default, Clone)]
struct Record {
    number: Arc<AtomicI64>,
    asked: Arc<AtomicU64>,
}

/// One node: the record through a cache.
struct Node {
    record: Record,
    cache: Cache,
}

const TIMEOUT: f64 = 0.2;

fn settings(address: &str) -> Settings {
    Settings { address: address.to_owned(), timeout_seconds: TIMEOUT, ..Settings::default() }
}

impl Node {
    fn new(record: &Record, memcached: &Settings) -> Self {
        let (record, memcached) = (record.clone(), memcached.clone());
        let options = Options { record: "r".to_owned(), memcached, clock: Clock::system() };
        Self { record, cache: Cache::new(options) }
    }

    async fn read(&self, question: &str) -> i64 {
        let ask = async {
            self.record.asked.fetch_add(1, Ordering::SeqCst);
            let id = self.record.number.load(Ordering::SeqCst);
            // Others get a turn between the reading and the putting.
            tokio::task::yield_now().await;
            Ok::<_, ()>(vec![row(id, question)])
        };
        let rows = self.cache.rows(question, ask).await.unwrap();
        assert_eq!(*rows, [row(rows[0].id, question)], "the answer is that of the question");
        rows[0].id
    }

    async fn write(&self, number: i64) {
        let writing = self.cache.writing();
        self.record.number.store(number, Ordering::SeqCst);
        drop(writing);
        self.cache.settle().await;
    }

    fn asked(&self) -> u64 {
        self.record.asked.load(Ordering::SeqCst)
    }

    fn figure(&self, name: &str, layer: &str) -> f64 {
        let mut figures = Vec::new();
        self.cache.figures(&mut figures);
        let is = |f: &&Figure| f.name == name && f.labels.iter().any(|(_, value)| value == layer);
        figures.iter().find(is).map_or(f64::NAN, |f| f.value)
    }

    /// Reads until memcached has been asked again.
    async fn until(&self, state: State) {
        let from = Instant::now();
        while self.cache.health().state != state {
            self.cache.tend().await;
            assert!(from.elapsed() < Duration::from_secs(10), "{:?}", self.cache.health());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn without_memcached_answers_live_a_second() {
    let node = Node::new(&Record::default(), &settings(""));
    assert_eq!((node.read("q").await, node.read("q").await, node.asked()), (0, 0, 1));
    node.write(5).await;
    assert_eq!((node.read("q").await, node.asked()), (5, 2));
    // Another program writes.
    node.record.number.store(6, Ordering::SeqCst);
    let from = Instant::now();
    while node.read("q").await != 6 {
        assert!(from.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(node.cache.health().state, State::Off);
    assert!(node.figure("skyline_cache_hits_total", "process") >= 1.0);
}

#[tokio::test]
async fn an_error_is_not_kept() {
    let node = Node::new(&Record::default(), &settings(""));
    let failed = node.cache.rows("q", async { Err::<Vec<Row>, _>("away") }).await;
    assert_eq!(failed.unwrap_err(), "away");
    assert_eq!((node.read("q").await, node.asked()), (0, 1));
}

#[tokio::test]
async fn two_nodes_share_answers_and_see_writes_at_once() {
    for memcached in [Memcached::start().unwrap(), Memcached::start_unix().unwrap()] {
        let (record, settings) = (Record::default(), settings(&memcached.address()));
        let (a, b) = (Node::new(&record, &settings), Node::new(&record, &settings));
        assert_eq!(a.read("q").await, 0);
        memcached.has_keys(2).unwrap();
        assert_eq!((b.read("q").await, b.read("q").await, a.asked()), (0, 0, 1));
        assert_eq!(b.figure("skyline_cache_hits_total", "memcached"), 1.0);
        assert_eq!(b.figure("skyline_cache_hits_total", "process"), 1.0);
        for number in 1..50 {
            let (writer, reader) = if number % 2 == 0 { (&a, &b) } else { (&b, &a) };
            writer.write(number).await;
            assert_eq!((reader.read("q").await, writer.read("q").await), (number, number));
        }
        let asked = a.asked();
        assert!((50..100).contains(&asked), "{asked} for 50 numbers: what one has read, the other takes");
        assert_eq!(a.cache.health().state, State::Up);
        // Another record in the same memcached.
        let clock = Clock::system();
        let other = Options { record: "s".to_owned(), memcached: settings.clone(), clock };
        let other = Node { record: Record::default(), cache: Cache::new(other) };
        assert_eq!(other.read("q").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_reads_what_was_before_a_write_that_has_ended() {
    let memcached = Memcached::start().unwrap();
    let (record, settings) = (Record::default(), settings(&memcached.address()));
    let settings = Settings { timeout_seconds: 5.0, ..settings };
    let nodes: Arc<Vec<Node>> = Arc::new((0..3).map(|_| Node::new(&record, &settings)).collect());
    let ended = Arc::new(AtomicI64::new(0));
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..6 {
        let (nodes, ended) = (Arc::clone(&nodes), Arc::clone(&ended));
        readers.spawn(async move {
            let mut last = 0;
            while last < 300 {
                let at_least = ended.load(Ordering::SeqCst);
                last = nodes[reader % 3].read("q").await;
                assert!(last >= at_least, "{last} after {at_least} was written");
            }
        });
    }
    for number in 1..=300 {
        nodes[number as usize % 3].write(number).await;
        ended.store(number, Ordering::SeqCst);
        // Now and then memcached loses everything, or only the generation.
        match number % 25 {
            0 => drop(memcached.say(b"flush_all\r\n").unwrap()),
            12 => {
                drop(memcached.say(format!("delete {}\r\n", generation_key(&memcached)).as_bytes()).unwrap())
            }
            _ => {}
        }
    }
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
}

/// The key whose value is a number.
fn generation_key(memcached: &Memcached) -> String {
    let keys = memcached.keys().unwrap();
    let is_number = |key: &&String| {
        let head = memcached.say(format!("get {key}\r\n").as_bytes()).unwrap();
        head.rsplit(' ').next().and_then(|bytes| bytes.parse::<usize>().ok()).is_some_and(|bytes| bytes < 25)
    };
    keys.iter().find(is_number).cloned().unwrap_or_else(|| "none".to_owned())
}

#[tokio::test]
async fn a_paused_memcached_costs_one_timeout_a_second() {
    let mut memcached = Memcached::start().unwrap();
    let (record, settings) = (Record::default(), settings(&memcached.address()));
    let (a, b) = (Node::new(&record, &settings), Node::new(&record, &settings));
    assert_eq!((a.read("q").await, b.read("q").await), (0, 0));
    memcached.pause();
    let from = Instant::now();
    a.write(1).await;
    assert!(from.elapsed() < Duration::from_secs_f64(TIMEOUT + 1.0), "{:?}", from.elapsed());
    let from = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(a.read("q").await, 1, "its own write is seen at once");
    }
    let waited = from.elapsed().as_secs_f64();
    // One try in each second, of one time-out each.
    assert!(waited < (waited + 1.0).ceil() * TIMEOUT + 1.0, "{waited}");
    assert_eq!(a.cache.health().state, State::Away);
    assert!(a.cache.health().detail.contains("no answer within 0.2 s"), "{:?}", a.cache.health());
    memcached.resume();
    a.until(State::Up).await;
    a.cache.tend().await;
    assert_eq!(b.read("q").await, 1, "what was owed was told");
    assert!(a.figure("skyline_cache_errors_total", "memcached") >= 1.0);
}

#[tokio::test]
async fn a_memcached_that_is_killed_and_comes_back_empty() {
    let mut memcached = Memcached::start().unwrap();
    let (record, settings) = (Record::default(), settings(&memcached.address()));
    let (a, b) = (Node::new(&record, &settings), Node::new(&record, &settings));
    assert_eq!((a.read("q").await, b.read("q").await), (0, 0));
    memcached.kill().unwrap();
    a.write(1).await;
    assert_eq!(a.read("q").await, 1);
    assert_eq!(a.cache.health().state, State::Away);
    memcached.restart().unwrap();
    a.until(State::Up).await;
    b.until(State::Up).await;
    assert_eq!((a.read("q").await, b.read("q").await), (1, 1));
    // Idle connections of before are dead, and that costs nobody an error.
    memcached.restart().unwrap();
    let before = a.figure("skyline_cache_errors_total", "memcached");
    a.write(2).await;
    assert_eq!((a.read("q").await, a.cache.health().state), (2, State::Up));
    assert_eq!(a.figure("skyline_cache_errors_total", "memcached"), before);
}

#[tokio::test]
async fn a_write_that_is_given_up_is_told_by_the_next_reader() {
    let memcached = Memcached::start().unwrap();
    let (record, settings) = (Record::default(), settings(&memcached.address()));
    let (a, b) = (Node::new(&record, &settings), Node::new(&record, &settings));
    assert_eq!((a.read("q").await, b.read("q").await), (0, 0));
    let writing = a.cache.writing();
    record.number.store(1, Ordering::SeqCst);
    drop(writing);
    // Nobody has settled.
    assert_eq!((a.read("q").await, b.read("q").await), (1, 1));
}

#[tokio::test]
async fn what_cannot_be_told_is_stale_for_so_long_and_no_longer() {
    let memcached = Memcached::start().unwrap();
    let record = Record::default();
    let reaches = Settings { keep_seconds: 2, ..settings(&memcached.address()) };
    let does_not = Settings { address: port::free().to_string(), ..reaches.clone() };
    let (a, b) = (Node::new(&record, &does_not), Node::new(&record, &reaches));
    assert_eq!(b.read("q").await, 0);
    a.write(1).await;
    let from = Instant::now();
    while b.read("q").await != 1 {
        assert!(from.elapsed() < Duration::from_secs(3), "keep_seconds is the bound");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
