//! What is written, as others read it.

use super::{Held, NOW, Running, batch_of, in_redis, journal, options, python, server, until, written};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use skyline_core::batch::Origin;
use skyline_core::figure::Figure;
use skyline_mirror::compat::pair::Pairs;
use skyline_mirror::compat::{Adoption, Options};
use skyline_peers::redis::Redis;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Points as senders send them: counters, gauges, tiny and huge values, fractions of seconds, any order.
fn random_points(random: &mut SmallRng, count: usize) -> Vec<(String, f64, f64)> {
    let mut points = Vec::with_capacity(count);
    for _ in 0..count {
        let name = format!("süß.web{}.{}", random.random_range(0..20), random.random_range(0..5));
        let second = f64::from(random.random_range(0..86_000_u32));
        let ts = NOW - second + if random.random_bool(0.1) { 0.25 } else { 0.0 };
        let value = match random.random_range(0..4) {
            0 => f64::from(random.random_range(-100..100_i32)),
            1 => random.random::<f64>() * 1e-300,
            2 => -random.random::<f64>() * 1e300,
            _ => random.random::<f64>(),
        };
        points.push((name, ts, value));
    }
    points
}

#[tokio::test]
async fn python_reads_what_is_written_and_it_is_adopted_again() {
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), 64 << 20);
    let running = Running::start(&journal, server(&redis), options(), &Arc::default());
    let mut expected: HashMap<String, Vec<(f64, f64)>> = HashMap::new();
    let mut random = SmallRng::seed_from_u64(20);
    for _ in 0..20 {
        let points = random_points(&mut random, 500);
        let rows: Vec<_> = points.iter().map(|(name, ts, value)| (name.as_str(), *ts, *value)).collect();
        journal.append(batch_of(Origin::Live, &rows)).await.unwrap();
        for (name, ts, value) in points {
            expected.entry(name).or_default().push((ts, value));
        }
    }
    written(&journal).await;
    assert_eq!(in_redis(&server(&redis)).await, expected);
    assert_eq!(python::run(&redis, python::READ, ""), python::as_read(&expected));

    let mut adoption = Adoption::new(server(&redis), "metrics.");
    let mut adopted = HashMap::new();
    while let Some(windows) = adoption.next().await.unwrap() {
        for (name, points) in windows {
            adopted.insert(name, points.iter().map(|p| (p.ts, p.value)).collect::<Vec<_>>());
        }
    }
    for points in expected.values_mut() {
        points.reverse();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.dedup_by_key(|point| point.0);
    }
    assert_eq!(adopted, expected);
    assert_eq!((running.state.written(), running.state.is_stuck()), (10_000, false));
    running.stop().await;
}

#[tokio::test]
async fn only_what_the_window_takes_is_written() {
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), 64 << 20);
    let options = Options {
        skip: vec!["skipped".into()],
        keep: vec!["kept".into()],
        shards: "0-511".parse().unwrap(),
        max_names: 4,
        ..options()
    };
    let in_shards = |prefix: &str, wanted: bool| {
        let mut names = (0..).map(|n| format!("{prefix}{n}"));
        names
            .find(|name| {
                options.shards.contains(skyline_core::shard::ShardId::of_name(name.as_bytes())) == wanted
            })
            .unwrap()
    };
    let (good, other) = (in_shards("good", true), in_shards("good", false));
    let (skipped, kept) = (in_shards("skipped", true), in_shards("skipped.kept", true));
    let running = Running::start(&journal, server(&redis), options.clone(), &Arc::default());
    let points = [
        (good.as_str(), NOW, 1.0),
        (&other, NOW, 1.0),
        (&skipped, NOW, 1.0),
        (&kept, NOW, 2.0),
        (&good, NOW + 601.0, 3.0),
        (&good, NOW + 600.0, 4.0),
        (&good, NOW - 87_000.0, 5.0),
        (&good, NOW - 86_999.0, 6.0),
        (&good, NOW, f64::INFINITY),
    ];
    journal.append(batch_of(Origin::Live, &points)).await.unwrap();
    journal.append(batch_of(Origin::Own, &[(good.as_str(), NOW, 7.0)])).await.unwrap();
    written(&journal).await;
    journal.append(batch_of(Origin::Backfill, &[(good.as_str(), NOW, 8.0)])).await.unwrap();
    let many: Vec<_> = (0..5).map(|n| in_shards(&format!("more{n}."), true)).collect();
    let rows: Vec<_> = many.iter().map(|name| (name.as_str(), NOW, 1.0)).collect();
    journal.append(batch_of(Origin::Live, &rows)).await.unwrap();
    written(&journal).await;
    let found = in_redis(&server(&redis)).await;
    assert_eq!(found[&good], [(NOW, 1.0), (NOW + 600.0, 4.0), (NOW - 86_999.0, 6.0)]);
    assert_eq!(found[&kept], [(NOW, 2.0)]);
    assert_eq!(found.len(), 4, "{found:?}");
    let mut figures = Vec::new();
    running.state.figures(&mut figures);
    let rejected = |reason: &str| {
        let is_it = |figure: &&Figure| figure.labels == [("reason", reason.to_owned())];
        figures.iter().find(is_it).map_or(0.0, |figure| figure.value)
    };
    let reasons = ["infinite", "future", "old", "skipped", "metric_cap"];
    assert_eq!(reasons.map(rejected), [1.0, 1.0, 1.0, 1.0, 3.0]);
    running.stop().await;
}

/// Live points of one metric come on, and older history of it, and of the same times, is filled in between: whoever reads
/// the key meanwhile sees time ascend, and never a value of the history where there is a live one.
#[tokio::test]
async fn history_goes_into_its_place_while_live_points_come() {
    const LIVE: u32 = 300;
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), 64 << 20);
    let options = Options { trim_every: Some(Duration::from_millis(150)), ..options() };
    let running = Running::start(&journal, server(&redis), options, &Arc::default());
    let is_over = Arc::new(AtomicBool::new(false));
    let reading = {
        let (server, is_over) = (server(&redis), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut reads = 0;
            while !is_over.load(Ordering::Relaxed) {
                let bytes: Vec<u8> =
                    server.query(redis::cmd("GET").arg("metrics.a")).await.unwrap_or_default();
                let points: Vec<_> = Pairs::new(&bytes).map(|pair| (pair.ts, pair.value.unwrap())).collect();
                assert!(points.windows(2).all(|two| two[0].0 <= two[1].0), "time goes back: {points:?}");
                reads += usize::from(!points.is_empty());
                tokio::task::yield_now().await;
            }
            reads
        })
    };
    let at = |minute: u32| NOW - 60.0 * f64::from(2 * LIVE - minute);
    for i in 0..LIVE {
        // What is live is even; its history is negative.
        journal.append(batch_of(Origin::Live, &[("a", at(LIVE + i), f64::from(i))])).await.unwrap();
        let minutes = [i, LIVE + i, LIVE + i / 2];
        let mut rows = minutes.map(|minute| ("a", at(minute), -1.0 - f64::from(minute)));
        rows.sort_by(|a, b| a.1.total_cmp(&b.1));
        journal.append(batch_of(Origin::Backfill, &rows)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    written(&journal).await;
    is_over.store(true, Ordering::Relaxed);
    assert!(reading.await.unwrap() > 20, "the key was read while it changed");
    let found = in_redis(&server(&redis)).await.remove("a").unwrap();
    let filled = (0..LIVE).map(|i| (at(i), -1.0 - f64::from(i)));
    let expected: Vec<_> = filled.chain((0..LIVE).map(|i| (at(LIVE + i), f64::from(i)))).collect();
    assert_eq!(found, expected);
    // Of the history a third was lacking.
    assert_eq!(running.state.written(), 2 * u64::from(LIVE));
    running.stop().await;
}

#[tokio::test]
async fn a_key_of_another_type_hurts_no_neighbour() {
    let redis = Redis::start().unwrap();
    redis.cli(&["LPUSH", "metrics.b", "x"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), 64 << 20);
    let running = Running::start(&journal, server(&redis), options(), &Arc::default());
    journal
        .append(batch_of(Origin::Live, &[("a", NOW, 1.0), ("b", NOW, 2.0), ("c", NOW, 3.0)]))
        .await
        .unwrap();
    let history = [("a", NOW - 60.0, 1.0), ("b", NOW - 60.0, 2.0), ("c", NOW - 60.0, 3.0)];
    written(&journal).await;
    journal.append(batch_of(Origin::Backfill, &history)).await.unwrap();
    written(&journal).await;
    assert_eq!(redis.cli(&["LLEN", "metrics.b"]).unwrap(), "1");
    assert_eq!(redis.cli(&["STRLEN", "metrics.a"]).unwrap(), "30");
    assert_eq!(redis.cli(&["STRLEN", "metrics.c"]).unwrap(), "30");
    assert_eq!(running.state.written(), 4);
    running.stop().await;
}

/// Counts what is logged at WARN.
struct Warnings(Arc<AtomicU64>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let is_of_a_metric = event.metadata().fields().field("key").is_some();
        self.0.fetch_add(u64::from(is_of_a_metric), Ordering::Relaxed);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn many_keys_of_another_type_are_told_once() {
    let warnings = Arc::new(AtomicU64::new(0));
    let _logging = tracing::subscriber::set_default(Warnings(Arc::clone(&warnings)));
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), 64 << 20);
    let names: Vec<_> = (0..50).map(|n| format!("b{n}")).collect();
    for name in &names {
        redis.cli(&["LPUSH", &format!("metrics.{name}"), "x"]).unwrap();
    }
    let running = Running::start(&journal, server(&redis), options(), &Arc::default());
    for origin in [Origin::Backfill, Origin::Live] {
        let rows: Vec<_> = names.iter().map(|name| (name.as_str(), NOW, 1.0)).collect();
        journal.append(batch_of(origin, &rows)).await.unwrap();
        written(&journal).await;
    }
    let mut figures = Vec::new();
    running.state.figures(&mut figures);
    let refused = figures.iter().find(|figure| figure.name == "skyline_redis_refused_points_total").unwrap();
    assert_eq!((refused.value, running.state.written()), (100.0, 0));
    assert_eq!(warnings.load(Ordering::Relaxed), 1);
    running.stop().await;
}

/// The node is killed again and again; the mark tells the next what Redis has.
#[tokio::test]
async fn a_restart_of_the_node_neither_loses_nor_doubles() {
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let windows = Arc::new(Held::default());
    let mut appended = 0;
    for round in 0..8 {
        let journal = journal(folder.path(), 64 << 20);
        let running = Running::start(&journal, server(&redis), options(), &windows);
        for _ in 0..40 {
            let names: Vec<_> = (0..100).map(|n| format!("m{n}")).collect();
            let ts = NOW - 80_000.0 + f64::from(appended);
            let rows: Vec<_> = names.iter().map(|name| (name.as_str(), ts, f64::from(round))).collect();
            journal.append(batch_of(Origin::Live, &rows)).await.unwrap();
            names.iter().for_each(|name| windows.put(name, ts as u64, f64::from(round)));
            appended += 1;
        }
        if round == 7 {
            written(&journal).await;
            until(Duration::from_secs(10), "the first copy", async || !running.state.has_gap()).await;
            running.stop().await;
        } else {
            // As if it was killed: nothing more is saved.
            until(Duration::from_secs(10), "some is written", async || running.state.written() > 1_000).await;
            running.task.abort();
            running.task.await.unwrap_err();
        }
    }
    let found = in_redis(&server(&redis)).await;
    assert_eq!(found.len(), 100);
    for (name, points) in found {
        assert_eq!(points.len(), appended as usize, "{name}");
    }
}
