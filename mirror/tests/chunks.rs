//! Layout `chunks` against a real Redis: whatever happens to the node and to Redis, in any order, after the node has stopped
//! Redis has exactly its windows; and what happens when it stops in the middle of something.
#![expect(clippy::indexing_slicing, reason = "a test that panics has failed")]
#![expect(clippy::unwrap_used, reason = "what all the tests share")]

use skyline_core::clock::Clock;
use skyline_core::shard::ShardId;
use skyline_mirror::chunks::{Options, Shards, Since, Told, run};
use skyline_mirror::server::Server;
use skyline_mirror::taking::Taking;
use skyline_peers::redis::Redis;
use skyline_store::block::Sealer;
use skyline_store::chunk::{Chunks, Gathered, HandOut, Header, Kept, RESTORED, Whole};
use skyline_store::window::{Columns, Window};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const FIRST_COPY: u8 = RESTORED + 1;
const NAMES: usize = 6;
const LIMIT: Duration = Duration::from_secs(20);

type Points = Vec<(f64, f64)>;

fn name(i: usize) -> String {
    format!("shop.host{i}.latency")
}

fn shard(name: &str) -> ShardId {
    ShardId::of_name(name.as_bytes())
}

/// Windows as a node has them.
#[derive(Default)]
struct Windows {
    series: BTreeMap<String, Window>,
    copies: BTreeMap<u16, u8>,
    sealer: Sealer,
    position: u64,
}

impl Windows {
    fn push(&mut self, name: &str, ts: f64, value: f64) {
        self.series.entry(name.to_owned()).or_default().push(ts, value, &mut self.sealer);
        self.position += 1;
    }

    fn points(&mut self) -> BTreeMap<String, Points> {
        let mut columns = Columns::default();
        let mut of = |window: &mut Window| {
            let view = window.view(&mut columns);
            std::iter::zip(view.ts, view.values).map(|(ts, value)| (*ts, *value)).collect::<Points>()
        };
        let all = self.series.iter_mut().map(|(name, window)| (name.clone(), of(window)));
        all.filter(|(_, points)| !points.is_empty()).collect()
    }

    fn hand_out(&mut self, of: ShardId, since: Since, header: &Header) -> HandOut {
        let is_whole = since == Since::Nothing;
        let copy = match self.copies.get(&of.0).copied().unwrap_or(FIRST_COPY) {
            copy if is_whole => copy + 1,
            _ if since == Since::Restored => RESTORED,
            copy => copy,
        };
        self.copies.insert(of.0, copy);
        let mut chunks = Chunks::new(header, copy, is_whole, 0);
        for (name, window) in self.series.iter_mut().filter(|(name, _)| shard(name) == of) {
            chunks.series(name, 0, Kept::NOTHING, window);
        }
        chunks.finish()
    }

    fn adopt(&mut self, whole: Whole) {
        let mut window = whole.window;
        let here = self.points().remove(&*whole.name).unwrap_or_default();
        for (ts, value) in here {
            window.push(ts, value, &mut self.sealer);
        }
        self.series.insert(whole.name.into(), window);
    }

    /// As they come back from the node's files.
    fn restored(&self) -> Self {
        let mut all = Gathered::default();
        let header = header();
        let mut chunks = Chunks::new(&header, u8::MAX, true, 0);
        for (name, window) in &self.series {
            chunks.series(name, 0, Kept::NOTHING, &mut window.clone());
        }
        let out = chunks.finish();
        for (_, chunk) in &out.blocks {
            assert_eq!(all.add_blocks(chunk), Ok(0));
        }
        all.add_open(&out.open).unwrap();
        let mut sealer = Sealer::default();
        let series = all.into_series(&mut sealer);
        let series = series.into_iter().map(|whole| (whole.name.into(), whole.window)).collect();
        Self { series, position: self.position, ..Self::default() }
    }
}

fn header() -> Header {
    Header { writer: 0, written_at: 0.0, position: 0, every: 0.0, is_released: false, node: String::new() }
}

/// What the copy asks for.
struct Plane {
    windows: Arc<Mutex<Windows>>,
    files: Vec<(ShardId, Option<u64>)>,
    has_ended: AtomicBool,
    /// Questions get no answer, although what they ask is done.
    is_silent: AtomicBool,
    asked: AtomicU64,
}

impl Plane {
    async fn answer(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

impl Shards for Plane {
    fn files(&self) -> Option<Vec<(ShardId, Option<u64>)>> {
        Some(self.files.clone())
    }

    async fn hand_out(&self, asks: Vec<(ShardId, Since)>, header: Header) -> Option<Vec<(ShardId, HandOut)>> {
        let out = {
            let mut windows = self.windows.lock().unwrap();
            let header = Header { position: windows.position, ..header };
            // Not all that are asked for, as the node does.
            let some = asks.iter().take(4);
            some.map(|(of, since)| (*of, windows.hand_out(*of, *since, &header))).collect()
        };
        self.answer().await;
        Some(out)
    }

    async fn adopt(&self, series: Vec<Whole>) -> (u64, u64) {
        self.answer().await;
        let mut windows = self.windows.lock().unwrap();
        let taken = series.len() as u64;
        series.into_iter().for_each(|whole| windows.adopt(whole));
        (taken, 0)
    }

    fn have_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }
}

/// A running copy.
struct Node {
    plane: Arc<Plane>,
    told: Arc<Told>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Node {
    /// `files`: the windows are those of its files.
    fn start(redis: &Redis, folder: &TempDir, writer: u64, windows: Windows, files: Option<u64>) -> Self {
        let settings = skyline_conf::model::redis::Redis {
            servers: vec![redis.unix()],
            timeout_seconds: 2.0,
            ..Default::default()
        };
        let mut of: Vec<ShardId> = (0..NAMES).map(|i| shard(&name(i))).collect();
        of.sort();
        of.dedup();
        let plane = Arc::new(Plane {
            files: of.into_iter().map(|of| (of, files)).collect(),
            windows: Arc::new(Mutex::new(windows)),
            has_ended: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            asked: AtomicU64::new(0),
        });
        let options = Options {
            prefix: "skyline".into(),
            namespace: "metrics.".into(),
            every: 0.03,
            keep: 90_000.0,
            node: format!("node {writer}"),
            writer,
            adopt: true,
            journal_end: u64::MAX,
            taking: Taking::new(folder.path().join(format!("taking-{writer}"))),
            clock: Clock::system(),
        };
        let (told, stop) = (Arc::new(Told::default()), CancellationToken::new());
        let server = Server::new(&settings).unwrap();
        let ends = (stop.clone(), CancellationToken::new());
        let running = tokio::spawn(run(server, Arc::clone(&plane), options, Arc::clone(&told), ends));
        Self { plane, told, stop, running }
    }

    async fn has_begun(&self) {
        let start = Instant::now();
        while !self.told.has_begun() {
            assert!(start.elapsed() < LIMIT, "it has not begun: {:?}", self.told.note());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn stop(self) -> Arc<Mutex<Windows>> {
        self.plane.has_ended.store(true, Ordering::Relaxed);
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.running).await.unwrap().unwrap();
        Arc::clone(&self.plane.windows)
    }

    async fn kill(self) -> Arc<Mutex<Windows>> {
        self.running.abort();
        drop(self.running.await);
        Arc::clone(&self.plane.windows)
    }
}

fn take(windows: &Mutex<Windows>) -> Windows {
    std::mem::take(&mut *windows.lock().unwrap())
}

/// What a node without a disk takes.
async fn in_redis(redis: &Redis) -> BTreeMap<String, Points> {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(redis, &folder, 99, Windows::default(), None);
    node.has_begun().await;
    node.kill().await.lock().unwrap().points()
}

fn compare(expected: &BTreeMap<String, Points>, found: &BTreeMap<String, Points>, what: &str) {
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{what}");
    for (name, points) in expected {
        let there = &found[name];
        let lacks = points.iter().filter(|point| !there.contains(point)).count();
        assert!(
            points == there,
            "{what}: {name}: {} points, {} there, {lacks} lack",
            points.len(),
            there.len()
        );
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Some of everything, then a stop.
async fn any_order(seed: u64) {
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(seed);
    let start = (Clock::system().now() / 60.0).floor() * 60.0 - 80_000.0;
    let (mut next, mut log): (Vec<f64>, Vec<(String, f64, f64)>) = (vec![start; NAMES], Vec::new());
    let (mut writer, mut disk, mut saved) = (1, Windows::default(), 0);
    let mut node = Node::start(&redis, &folder, writer, Windows::default(), None);
    let mut done = Vec::new();
    for _ in 0..30 {
        let what = dice.below(14);
        done.push(what);
        match what {
            0..=5 => {
                let i = dice.below(NAMES as u64) as usize;
                for _ in 0..dice.below(150) {
                    next[i] += 10.0;
                    let is_late = dice.below(60) == 0;
                    let ts = if is_late { start + 5.0 * dice.below(900) as f64 } else { next[i] };
                    log.push((name(i), ts, dice.below(1_000) as f64 / 8.0));
                    let (name, ts, value) = log.last().unwrap();
                    node.plane.windows.lock().unwrap().push(name, *ts, *value);
                }
            }
            6 => drop(redis.cli(&["FLUSHALL"]).unwrap()),
            7 => drop(redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).unwrap()),
            8 => {
                let key =
                    format!("skyline:{{{:04}}}:open", shard(&name(dice.below(NAMES as u64) as usize)).0);
                let how: &[&str] = if dice.below(2) == 0 {
                    &["LPUSH", &key, "x"]
                } else {
                    &["SETRANGE", &key, "80", "damage"]
                };
                if how[0] == "LPUSH" {
                    redis.cli(&["DEL", &key]).unwrap();
                }
                drop(redis.cli(how));
            }
            9 => {
                // Saved, as far as it has begun: before that, nothing of it is all that there is.
                node.has_begun().await;
                disk = node.plane.windows.lock().unwrap().restored();
                saved = log.len();
            }
            10 if saved > 0 => {
                node.has_begun().await;
                node.kill().await;
                let files = disk.position;
                let mut windows = disk.restored();
                log[saved..].iter().for_each(|(name, ts, value)| windows.push(name, *ts, *value));
                node = Node::start(&redis, &folder, writer, windows, Some(files));
            }
            11 => {
                node.has_begun().await;
                let windows = take(&*node.stop().await).restored();
                let position = windows.position;
                node = Node::start(&redis, &folder, writer, windows, Some(position));
            }
            12 | 13 => {
                node.has_begun().await;
                let position = take(&*node.stop().await).position;
                // Another, or the same, without its files.
                writer += what - 12;
                (disk, saved) = (Windows::default(), 0);
                node = Node::start(&redis, &folder, writer, Windows { position, ..Windows::default() }, None);
                node.has_begun().await;
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(dice.below(60))).await;
    }
    node.has_begun().await;
    let expected = node.stop().await.lock().unwrap().points();
    // What it was sent, last write wins.
    let mut sent: BTreeMap<String, BTreeMap<u64, (f64, f64)>> = BTreeMap::new();
    for (name, ts, value) in log {
        sent.entry(name).or_default().insert(ts.to_bits(), (ts, value));
    }
    let sent = sent.into_iter().map(|(name, points)| (name, points.into_values().collect())).collect();
    compare(&sent, &expected, &format!("seed {seed}, in the node, {done:?}"));
    compare(&expected, &in_redis(&redis).await, &format!("seed {seed}, in Redis, {done:?}"));
}

#[tokio::test]
async fn redis_has_the_windows_whatever_happened_before_the_stop() {
    let (first, count) = match std::env::var("SEED") {
        Ok(seed) => (seed.parse().unwrap(), 1),
        Err(_) => (1, 4),
    };
    for seed in first..first + count {
        any_order(seed).await;
    }
}

/// Points of some hours of each metric.
fn filled() -> Windows {
    let mut windows = Windows::default();
    let start = (Clock::system().now() / 60.0).floor() * 60.0 - 60.0 * 500.0;
    for i in 0..NAMES {
        for minute in 0..400 {
            windows.push(&name(i), start + 60.0 * f64::from(minute), f64::from(minute % 7) + i as f64);
        }
    }
    windows
}

#[tokio::test]
async fn a_stop_while_windows_are_taken_leaves_them_in_redis() {
    let (redis, folder) = (Redis::start().unwrap(), tempfile::tempdir().unwrap());
    let node = Node::start(&redis, &folder, 1, filled(), Some(1));
    node.has_begun().await;
    let expected = node.stop().await.lock().unwrap().points();
    let next = Node::start(&redis, &folder, 2, Windows::default(), None);
    next.plane.is_silent.store(true, Ordering::Relaxed);
    let start = Instant::now();
    while next.plane.asked.load(Ordering::Relaxed) == 0 {
        assert!(start.elapsed() < LIMIT, "nothing is taken");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // The windows end only after they were asked.
    next.plane.is_silent.store(false, Ordering::Relaxed);
    next.stop().await;
    compare(&expected, &in_redis(&redis).await, "after a stop");
    // It was sent some points meanwhile, and has files of them now.
    let files = Windows { position: 1, ..Windows::default() };
    let again = Node::start(&redis, &folder, 2, files, Some(1));
    again.has_begun().await;
    compare(&expected, &again.kill().await.lock().unwrap().points(), "taken at the next start");
}

#[tokio::test]
async fn what_was_handed_out_and_not_written_at_a_stop_is_written() {
    let (redis, folder) = (Redis::start().unwrap(), tempfile::tempdir().unwrap());
    let node = Node::start(&redis, &folder, 1, Windows::default(), Some(0));
    node.has_begun().await;
    node.plane.is_silent.store(true, Ordering::Relaxed);
    let (start, asked) = (Instant::now(), node.plane.asked.load(Ordering::Relaxed));
    *node.plane.windows.lock().unwrap() = filled();
    while node.plane.asked.load(Ordering::Relaxed) == asked {
        assert!(start.elapsed() < LIMIT, "nothing is handed out");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    node.plane.is_silent.store(false, Ordering::Relaxed);
    let expected = node.stop().await.lock().unwrap().points();
    compare(&expected, &in_redis(&redis).await, "after a stop");
}

#[tokio::test]
async fn a_node_takes_again_what_another_wrote_until_it_stopped() {
    let (redis, folder) = (Redis::start().unwrap(), tempfile::tempdir().unwrap());
    let mut windows = filled();
    let late: Vec<(String, f64, f64)> = windows
        .points()
        .into_iter()
        .flat_map(|(name, points)| {
            let last = points.last().unwrap().0;
            (1..90).map(move |i| (name.clone(), last + 60.0 * f64::from(i), 5.0))
        })
        .collect();
    let old = Node::start(&redis, &folder, 1, windows, Some(1));
    old.has_begun().await;
    while old.told.behind() > 0 || redis.cli(&["--scan", "--pattern", "*:open"]).unwrap().lines().count() < 5
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let new = Node::start(&redis, &folder, 2, Windows::default(), None);
    new.has_begun().await;
    for (name, ts, value) in late {
        old.plane.windows.lock().unwrap().push(&name, ts, value);
    }
    let expected = old.stop().await.lock().unwrap().points();
    let start = Instant::now();
    loop {
        let found = new.plane.windows.lock().unwrap().points();
        if found == expected {
            break;
        }
        assert!(start.elapsed() < LIMIT, "what came last was not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    new.stop().await;
    compare(&expected, &in_redis(&redis).await, "after both");
}
