//! Stops, crashes and lost files, with a journal. A crash is a copy of the folder at that moment: what the kernel
//! has been given is there, nothing else.

use super::super::task::{Task, Turn};
use super::super::{Counts, Options, READER, Submit};
use super::*;
use proptest::prelude::*;
use skyline_conf::routing::Function::{Average, Count, Median, Sum};
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Routes, Source};
use skyline_core::clock::Clock;
use skyline_journal::{Durability, Journal, Scope, WhenFull};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tempfile::TempDir;

/// Takes aggregates as a store of points does: the last value of a series and time counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    points: Arc<Mutex<BTreeMap<String, f64>>>,
    pub(super) is_full: Arc<AtomicBool>,
}

impl Store {
    pub(super) fn points(&self) -> BTreeMap<String, f64> {
        self.points.lock().unwrap().clone()
    }
}

impl Submit for Store {
    async fn submit(&self, batch: Batch, _: &Then) -> bool {
        assert_eq!(batch.source, Source { listener: Listener::Aggregator, origin: Origin::Live });
        if self.is_full.load(Relaxed) {
            return false;
        }
        let mut points = self.points.lock().unwrap();
        for sample in &batch.samples {
            let name = String::from_utf8_lossy(batch.name(sample));
            points.insert(format!("{name} {}", sample.ts), sample.value);
        }
        true
    }
}

pub(super) fn journal(dir: &Path) -> Journal {
    let options = skyline_journal::Options {
        dir: dir.join("journal"),
        max_bytes: 64 << 20,
        // Small, so that what is not held is gone.
        segment_bytes: 4 << 10,
        memory_bytes: 2 << 10,
        durability: Durability::Process,
        when_full: WhenFull::ShedOldest,
        min_free_percent: 0.0,
    };
    Journal::open(options).unwrap().0
}

pub(super) fn inputs(journal: &Journal, received: f64, points: &[(&str, f64, f64)], to: &[&str]) -> Batch {
    let source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };
    let mut builder = BatchBuilder::new(source, received);
    for (name, ts, value) in points {
        builder.point(name.as_bytes(), *ts, *value).unwrap();
    }
    Batch { routes: Routes::All(journal.route_set(to)), ..builder.finish().unwrap() }
}

fn aggregations() -> Arc<Routing> {
    let outputs = [("sum", Sum), ("count", Count), ("average", Average), ("median", Median)];
    routing(vec![Statement::Aggregate(aggregation("^in", &outputs, Then::FromTop))])
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let new = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &new);
        } else {
            // The journal's keeper may just have put another file into its place.
            let _copied = std::fs::copy(&path, &new);
        }
    }
}

/// A node with nothing but a journal and an aggregator.
struct Node {
    root: TempDir,
    generation: u32,
    clock: Clock,
    store: Store,
    running: Option<(Journal, Task<Store>)>,
}

impl Node {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let clock = Clock::at(1000.0);
        let mut node = Self { root, generation: 0, clock, store: Store::default(), running: None };
        node.start();
        node
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join(self.generation.to_string())
    }

    fn start(&mut self) {
        let dir = self.dir();
        std::fs::create_dir_all(&dir).unwrap();
        let journal = journal(&dir);
        let reader = journal.reader(READER, Scope::Routed).unwrap();
        let options = Options { state_dir: dir, clock: self.clock.clone(), limits: Limits::default() };
        let machine = Machine::new(aggregations(), options.limits);
        let counts = Arc::new(Mutex::new(Counts::default()));
        let task =
            Task::open(options, machine, journal.clone(), reader, Arc::new(self.store.clone()), counts);
        self.running = Some((journal, task));
    }

    fn task(&mut self) -> &mut Task<Store> {
        &mut self.running.as_mut().unwrap().1
    }

    /// Logs points, and others that are not for the aggregator.
    async fn log(&self, points: &[(&str, f64, f64)]) {
        let (journal, _) = self.running.as_ref().unwrap();
        let now = self.clock.now();
        journal.append(inputs(journal, now, &[("foreign", now, 1.0); 20], &["other"])).await.unwrap();
        journal.append(inputs(journal, now, points, &[READER, "other"])).await.unwrap();
    }

    async fn at(&mut self, now: f64) {
        self.clock.set(now);
        while self.task().turn().await == Turn::More {}
    }

    /// Ends at once, as `kill -9` does, and starts again.
    fn kill(&mut self) {
        let before = self.dir();
        self.generation += 1;
        copy(&before, &self.dir());
        drop(self.running.take());
        self.start();
    }

    /// Positions are saved, as once a second.
    fn sync(&self) {
        self.running.as_ref().unwrap().0.sync().unwrap();
    }

    async fn stop(&mut self) {
        while self.task().turn().await == Turn::More {}
        self.task().save().await;
        drop(self.running.take());
        self.start();
    }

    fn damage(&self, file: &str) {
        let path = self.dir().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }

    fn value(&self, series: &str) -> Option<f64> {
        self.store.points().get(series).copied()
    }
}

#[tokio::test]
async fn buckets_outlive_a_stop_and_a_kill() {
    let mut node = Node::new();
    node.log(&[("in.a", 1000.0, 1.0), ("in.b", 1001.0, 2.0)]).await;
    node.at(1001.0).await;
    node.stop().await;
    node.log(&[("in.a", 1002.0, 4.0)]).await;
    node.at(1002.0).await;
    node.kill();
    node.log(&[("in.a", 1003.0, 8.0)]).await;
    // Killed again with points that nobody has read.
    node.kill();
    node.at(1015.0).await;
    let expected = [("average 1000", 3.75), ("count 1000", 4.0), ("median 1000", 3.0), ("sum 1000", 15.0)];
    assert_eq!(node.store.points(), expected.map(|(name, value)| (name.to_owned(), value)).into());
    // Stopped before what has to be read again was read.
    node.log(&[("in.a", 1030.0, 1.0)]).await;
    node.at(1031.0).await;
    node.sync();
    node.kill();
    node.task().save().await;
    node.sync();
    node.kill();
    node.at(1045.0).await;
    assert_eq!(node.value("sum 1030"), Some(1.0));
    // Days later: what is open is still computed.
    node.log(&[("in.a", 1012.0, 3.0), ("in.a", 1000.0, 1.0)]).await;
    node.kill();
    node.at(200_000.0).await;
    assert_eq!((node.value("sum 1000"), node.value("sum 1010")), (Some(16.0), Some(3.0)));
}

#[tokio::test]
async fn what_the_file_lacks_the_one_before_has_with_the_journal() {
    let mut node = Node::new();
    for i in 0..4 {
        node.at(1001.0 + f64::from(i)).await;
        for _ in 0..30 {
            node.log(&[("in.a", 1000.0, 1.0)]).await;
        }
        node.at(1001.0 + f64::from(i)).await;
        node.task().save().await;
    }
    node.damage("aggregate");
    node.kill();
    node.at(1015.0).await;
    assert_eq!(node.value("sum 1000"), Some(120.0));
}

#[tokio::test]
async fn a_lost_state_leaves_what_was_sent() {
    let mut node = Node::new();
    node.log(&[("in.a", 1000.0, 1.0)]).await;
    node.at(1016.0).await;
    node.log(&[("in.a", 1010.0, 1.0)]).await;
    node.task().save().await;
    node.at(1017.0).await;
    node.task().save().await;
    assert_eq!(node.value("sum 1000"), Some(1.0));
    node.sync();
    node.damage("aggregate");
    node.damage("aggregate.before");
    node.kill();
    node.log(&[("in.a", 1001.0, 50.0), ("in.a", 1011.0, 1.0)]).await;
    node.at(1030.0).await;
    assert_eq!(node.value("sum 1000"), Some(1.0), "the whole stands");
    // The journal still had what came after the last save but one.
    assert_eq!(node.value("sum 1010"), Some(2.0));
    assert_eq!(node.task().machine.counts.too_late, 1);
}

#[tokio::test]
async fn a_journal_that_is_full_delays_aggregates() {
    let mut node = Node::new();
    node.log(&[("in.a", 1000.0, 1.0)]).await;
    node.store.is_full.store(true, Relaxed);
    node.at(1015.0).await;
    assert!(node.store.points().is_empty());
    node.stop().await;
    node.at(1100.0).await;
    node.store.is_full.store(false, Relaxed);
    node.at(1101.0).await;
    assert_eq!(node.value("sum 1000"), Some(1.0));
}

#[tokio::test]
async fn the_journal_is_kept_no_longer_than_needed() {
    let mut node = Node::new();
    node.log(&[("in.a", 1000.0, 1.0)]).await;
    for i in 0..20 {
        for _ in 0..20 {
            node.log(&[("in.a", 1010.0 + f64::from(i) * 10.0, 1.0)]).await;
        }
        node.at(1010.0 + f64::from(i) * 10.0).await;
        node.task().save().await;
    }
    let (journal, _) = node.running.as_ref().unwrap();
    let reader = journal.ledgers().into_iter().find(|(name, _)| name == READER).unwrap();
    assert!(reader.1.pinned_bytes < 100_000, "{reader:?}");
    assert_eq!((reader.1.waiting, reader.1.delivered), (0, 401));
    // With all sent and nothing open it keeps nothing.
    node.at(2000.0).await;
    node.at(2001.0).await;
    node.task().save().await;
    node.sync();
    assert_eq!(node.task().machine.open(), 0);
    node.kill();
    node.at(2002.0).await;
    node.log(&[("in.a", 2000.0, 5.0)]).await;
    node.at(2003.0).await;
    node.kill();
    node.at(2015.0).await;
    assert_eq!(node.value("sum 2000"), Some(5.0));
}

#[derive(Debug, Clone)]
enum Step {
    Log(Vec<(u8, i16)>),
    Read,
    Save,
    Sync,
    Kill,
    Stop,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec((0_u8..30, any::<i16>()), 1..20).prop_map(Step::Log),
        4 => Just(Step::Read),
        2 => Just(Step::Save),
        2 => Just(Step::Sync),
        2 => Just(Step::Kill),
        1 => Just(Step::Stop),
        3 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 24 } else { 200 }))]

    #[test]
    fn no_point_is_missing_or_counted_twice(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut node = Node::new();
            let mut expected: BTreeMap<String, Vec<f64>> = BTreeMap::new();
            let mut now = 1000.0;
            for step in steps {
                match step {
                    Step::Log(points) => {
                        let points: Vec<_> = points
                            .iter()
                            .map(|(back, value)| ("in.x", now - f64::from(*back), f64::from(*value)))
                            .collect();
                        node.log(&points).await;
                        for (_, ts, value) in points {
                            expected.entry(format!("{}", (ts / 10.0).floor() * 10.0)).or_default().push(value);
                        }
                    }
                    Step::Read => node.at(now).await,
                    Step::Save => node.task().save().await,
                    Step::Sync => node.sync(),
                    Step::Kill => node.kill(),
                    Step::Stop => node.stop().await,
                    Step::Wait => {
                        now += 3.0;
                        node.clock.set(now);
                    }
                }
            }
            for _ in 0..3 {
                now += 100.0;
                node.at(now).await;
            }
            let mut all = BTreeMap::new();
            for (ts, mut values) in expected {
                values.sort_by(f64::total_cmp);
                let (n, sum) = (values.len(), values.iter().sum::<f64>());
                let median = (values[(n - 1) / 2] + values[n / 2]) / 2.0;
                all.insert(format!("sum {ts}"), sum);
                all.insert(format!("count {ts}"), n as f64);
                all.insert(format!("average {ts}"), sum / n as f64);
                all.insert(format!("median {ts}"), median);
            }
            assert_eq!(node.store.points(), all);
        });
    }
}
