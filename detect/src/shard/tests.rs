//! What the shards of a thread store, refuse, judge, hold back and save.

use super::*;
use crate::settings::Settings;
use skyline_core::batch::{BatchBuilder, Listener, Source};
use skyline_core::shard::name_hash;
use skyline_store::snapshot::{Part, ShardFile};
use std::path::Path;

mod fill;

const NOON: f64 = 1_700_049_600.0;

fn options() -> Options {
    Options { max_future: 600.0, max_metrics: 100, ..Options::default() }
}

/// Shards, and the batches they were given.
struct Rig {
    shards: Shards,
    next_seq: u64,
    anomalies: Vec<Anomaly>,
}

impl Rig {
    fn new(options: Options) -> Self {
        Self::with(options, Settings::default())
    }

    fn with(options: Options, settings: Settings) -> Self {
        Self {
            shards: Shards::new(options, Context::new(settings, 600.0)),
            next_seq: 0,
            anomalies: Vec::new(),
        }
    }

    /// A batch with these points, received at `now`.
    fn batch(&mut self, now: f64, origin: Origin, points: &[(&str, f64, f64)]) -> Batch {
        let source = Source { listener: Listener::PlaintextTcp, origin };
        let mut builder = BatchBuilder::new(source, now);
        for (name, ts, value) in points {
            builder.point(name.as_bytes(), *ts, *value).unwrap();
        }
        let mut batch = builder.finish().unwrap();
        batch.first_seq = self.next_seq;
        self.next_seq = batch.end_seq();
        batch
    }

    fn live(&mut self, now: f64, points: &[(&str, f64, f64)]) {
        let batch = self.batch(now, Origin::Live, points);
        self.shards.ingest(&batch, &mut self.anomalies);
    }

    fn refused(&self, reason: Reject) -> u64 {
        self.shards.counters.refused.get(reason)
    }

    fn values(&mut self, name: &str) -> Vec<f64> {
        let points = self.shards.series(name, 0.0, f64::MAX).unwrap_or_default();
        points.iter().map(|point| point.value).collect()
    }

    /// A day of `name`, a point a minute up to `NOON`, with the last `bad` points far off.
    fn a_day(&mut self, name: &str, bad: usize) {
        for minute in 0..1440 {
            let now = NOON - 60.0 * f64::from(1439 - minute);
            let noise = f64::from(minute * 7919 % 101);
            let value = if (1440 - minute) as usize <= bad { 5000.0 } else { 100.0 + noise };
            self.live(now, &[(name, now, value)]);
        }
    }
}

#[test]
fn points_are_stored_corrected_and_counted() {
    let mut rig = Rig::new(options());
    rig.live(NOON, &[("a", NOON - 60.0, 1.0), ("b", NOON, 5.0), ("a", NOON, 2.0)]);
    rig.live(NOON, &[("a", NOON, 3.0), ("a", NOON - 120.0, 0.0), ("b", NOON, 5.0)]);
    assert_eq!(rig.values("a"), [0.0, 1.0, 3.0]);
    assert_eq!(rig.values("b"), [5.0]);
    assert_eq!(rig.shards.series("c", 0.0, f64::MAX), None);
    let counters = rig.shards.counters();
    assert_eq!((counters.stored, counters.late, counters.replaced, counters.repeated), (6, 1, 1, 1));
    assert_eq!((rig.shards.len(), rig.shards.memory().points), (2, 4));
}

#[test]
fn what_does_not_belong_in_a_window_is_refused_by_reason() {
    let mut rig =
        Rig::new(Options { skip: vec!["debug".into()], keep: vec!["debug.ok".into()], ..options() });
    rig.live(
        NOON,
        &[
            ("a", NOON + 601.0, 1.0),
            ("a", NOON - 87_000.0, 1.0),
            ("a", NOON, f64::INFINITY),
            ("a.debug", NOON, 1.0),
            ("debug.ok", NOON, 1.0),
            ("a", NOON, 7.0),
        ],
    );
    let reasons = [Reject::Future, Reject::Old, Reject::Infinite, Reject::Skipped];
    assert_eq!(reasons.map(|reason| rig.refused(reason)), [1; 4]);
    assert_eq!((rig.values("a"), rig.values("debug.ok")), (vec![7.0], vec![1.0]));
    assert_eq!(rig.shards.counters().stored, 2);
}

#[test]
fn metrics_and_new_names_are_capped() {
    let mut rig = Rig::new(Options { max_metrics: 3, max_new_names: 2, ..options() });
    rig.live(NOON, &[("a", NOON, 1.0), ("b", NOON, 1.0), ("c", NOON, 1.0), ("a", NOON, 2.0)]);
    assert_eq!((rig.refused(Reject::NewNameCap), rig.shards.len()), (1, 2));
    rig.live(NOON + 60.0, &[("c", NOON, 1.0), ("d", NOON, 1.0)]);
    assert_eq!((rig.refused(Reject::MetricCap), rig.shards.len()), (1, 3));
}

#[test]
fn an_anomaly_is_found_and_explained() {
    let mut rig = Rig::new(options());
    rig.a_day("web.requests", 3);
    let found = rig.anomalies.last().expect("the last points are far off");
    assert_eq!((found.metric.as_str(), found.point.value, found.point.ts), ("web.requests", 5000.0, NOON));
    assert!(found.triggered.len() >= 6 && found.mean > 100.0 && found.window_points == 1440, "{found:?}");
    assert_eq!(found.seq, 1439);
}

#[test]
fn what_was_judged_or_stored_before_a_restart_is_not_again() {
    let mut rig = Rig::new(options());
    rig.a_day("a", 0);
    let judged = rig.shards.counters().judged;
    let shard = ShardId::of_hash(name_hash(b"a"));
    rig.shards.resume(shard, Done { applied: 1441, judged: 1442, counted: 0 });
    rig.live(NOON + 60.0, &[("a", NOON + 60.0, 1.0)]);
    assert_eq!(rig.values("a").len(), 1440, "it is in the window already");
    rig.live(NOON + 120.0, &[("a", NOON + 120.0, 1.0)]);
    assert_eq!((rig.values("a").len(), rig.shards.counters().judged), (1440 + 1, judged));
    rig.live(NOON + 180.0, &[("a", NOON + 180.0, 130.0)]);
    assert_eq!(rig.shards.counters().judged, judged + 1);
}

#[test]
fn each_shard_goes_on_where_it_was() {
    let mut rig = Rig::new(options());
    let done = |applied, counted| Done { applied, judged: 0, counted };
    let shard = |name: &[u8]| ShardId::of_hash(name_hash(name));
    assert!(shard(b"a") != shard(b"b") && shard(b"b") != shard(b"c"));
    rig.shards.resume(shard(b"a"), done(2, 5));
    rig.shards.resume(shard(b"b"), done(0, 3));
    let points = ["a", "b", "c"].repeat(3);
    let points: Vec<_> = (0..).zip(points).map(|(i, name)| (name, NOON + f64::from(i), 1.0)).collect();
    // Numbers 0 to 8: a has 0, 3, 6, b has 1, 4, 7, and c, of which nothing is known, has the others.
    rig.live(NOON, &points);
    assert_eq!(["a", "b", "c"].map(|name| rig.values(name).len()), [2, 3, 3], "0 was in the window");
    assert_eq!(rig.shards.counters().stored, 1 + 2 + 3, "0 and 3, and 1, were counted");
}

#[test]
fn history_is_stored_without_a_verdict_and_own_metrics_not_at_all() {
    let mut rig = Rig::new(options());
    for (origin, stored, filled) in [(Origin::Backfill, 0, 1), (Origin::History, 1, 1), (Origin::Own, 1, 1)] {
        let batch = rig.batch(NOON, origin, &[("a", NOON, 1.0)]);
        rig.shards.ingest(&batch, &mut rig.anomalies);
        let counters = rig.shards.counters();
        assert_eq!((counters.stored, counters.filled.stored), (stored, filled));
    }
    let counters = rig.shards.counters();
    assert_eq!((counters.judged, counters.gated), (0, [0; 3]));
}

#[test]
fn each_thread_takes_its_own_shards() {
    let all = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let points: Vec<_> = all.iter().map(|name| (*name, NOON, 1.0)).collect();
    let mut threads: Vec<Rig> =
        (0..3).map(|thread| Rig::new(Options { thread, threads: 3, ..options() })).collect();
    threads.iter_mut().for_each(|rig| rig.live(NOON, &points));
    for name in all {
        assert_eq!(
            threads.iter_mut().filter_map(|rig| rig.shards.series(name, 0.0, NOON)).count(),
            1,
            "{name}"
        );
    }
}

#[test]
fn a_series_is_found_whatever_follows_what() {
    let mut rig = Rig::new(options());
    let names: Vec<String> = (0..40).map(|i| format!("host.{i}")).collect();
    let mut expected: HashMap<&str, Vec<f64>> = HashMap::new();
    // In order, backwards, every third, each twice, without the first, in order again.
    let orders: [Vec<usize>; 8] = [
        (0..40).collect(),
        (0..40).rev().collect(),
        (0..120).map(|i| i * 3 % 40).take(40).collect(),
        (0..40).map(|i| i / 2).collect(),
        (1..40).collect(),
        (0..40).collect(),
        // Behind the last there is none.
        (20..40).chain(0..20).collect(),
        (0..40).rev().step_by(2).collect(),
    ];
    for (minute, order) in orders.iter().enumerate() {
        let ts = NOON + 60.0 * minute as f64;
        let mut points = Vec::new();
        for (place, name) in order.iter().filter_map(|i| names.get(*i)).enumerate() {
            let value = (minute * 100 + place) as f64;
            let values = expected.entry(name).or_default();
            // The second point of a minute takes the place of the first.
            if points.iter().any(|(earlier, _, _)| earlier == name) {
                values.pop();
            }
            values.push(value);
            points.push((name.as_str(), ts, value));
        }
        rig.live(ts, &points);
        if minute == 3 {
            // Its place goes to a metric that does not follow the one before it.
            assert!(rig.shards.remove("host.20"));
            expected.remove("host.20");
            rig.live(ts, &[("elsewhere", ts, 1.0)]);
        }
        if minute == 5 {
            // And this one's to none at first: the guess behind the one before it is an empty place.
            assert!(rig.shards.remove("host.30"));
            expected.remove("host.30");
        }
    }
    for (name, values) in expected {
        assert_eq!(rig.values(name), values, "{name}");
    }
    assert_eq!((rig.values("elsewhere"), rig.shards.len()), (vec![1.0], 41));
}

/// Restores shards from their files: the position of the last, and the number of series.
fn restore(rig: &mut Rig, dir: &Path, shards: &[ShardId]) -> (u64, usize) {
    let (mut part, mut position, mut series) = (Part::default(), 0, 0);
    for shard in shards {
        let mut file = ShardFile::new(dir, *shard, false);
        let Some(contents) = file.open().unwrap() else { continue };
        position = contents.position;
        series += contents.series().count();
        assert_eq!(file.read(&contents, 0..u64::MAX, &mut part).unwrap(), 0);
    }
    assert_eq!(part.restore(64, |saved| rig.shards.restore(saved)), 0);
    (position, series)
}

#[test]
fn shards_are_saved_and_restored_and_expire() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(options());
    rig.a_day("a", 0);
    let shard = ShardId::of_hash(name_hash(b"a"));
    let mut file = ShardFile::new(dir.path(), shard, false);
    rig.shards.save(shard, NOON, 1440, &mut file).unwrap();
    let mut again = Rig::new(options());
    assert_eq!(restore(&mut again, dir.path(), &[shard]), (1440, 1));
    assert_eq!(again.values("a"), rig.values("a"));
    // The sums came along: the next verdict needs no point of the past, and is the same.
    (rig.next_seq, again.next_seq) = (1440, 1440);
    let before = (rig.shards.scans(), rig.shards.counters().clone());
    for restored in [&mut rig, &mut again] {
        restored.live(NOON + 60.0, &[("a", NOON + 60.0, 150.0)]);
    }
    let votes = rig.shards.counters().votes.iter().zip(before.1.votes).map(|(after, before)| after - before);
    assert_eq!(again.shards.counters().votes.to_vec(), votes.collect::<Vec<_>>());
    assert_eq!(again.shards.counters().judged, 1);
    assert_eq!(again.shards.scans(), rig.shards.scans() - before.0);
    // Much later nothing of it is left but how far the shard is, and the place is used again.
    again.shards.save(shard, NOON + 100_000.0, 1441, &mut file).unwrap();
    assert_eq!(restore(&mut Rig::new(options()), dir.path(), &[shard]), (1441, 0));
    assert!(again.shards.is_empty() && again.shards.series("a", 0.0, f64::MAX).is_none());
    again.live(NOON + 100_000.0, &[("a", NOON + 100_000.0, 1.0)]);
    assert_eq!(again.values("a"), [1.0]);
}

#[test]
fn a_restart_keeps_the_order_in_which_metrics_came() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(Options { max_metrics: 10_000, ..options() });
    let names: Vec<String> = (0..3_000).map(|i| format!("host.{:04}", i * 7_919 % 3_000)).collect();
    for minute in 0..3 {
        let now = NOON + 60.0 * f64::from(minute);
        let points: Vec<_> = names.iter().map(|name| (name.as_str(), now, f64::from(minute))).collect();
        rig.live(now, &points);
    }
    assert!(rig.shards.remove(&names[17]));
    let mut again = Rig::new(Options { max_metrics: 10_000, ..options() });
    for shard in 0..SHARDS {
        let mut file = ShardFile::new(dir.path(), ShardId(shard), false);
        rig.shards.save(ShardId(shard), NOON + 180.0, 9_000, &mut file).unwrap();
    }
    let all: Vec<_> = (0..SHARDS).map(ShardId).collect();
    assert_eq!(restore(&mut again, dir.path(), &all), (9_000, 2_999));
    let order: Vec<_> = (0..2_999).filter_map(|slot| again.shards.at(slot)).map(|s| &*s.name).collect();
    let expected: Vec<_> = names.iter().filter(|name| **name != names[17]).map(String::as_str).collect();
    assert_eq!(order, expected);
    let values = names.iter().map(|name| again.shards.series(name, 0.0, f64::MAX).map_or(0, |p| p.len()));
    assert_eq!(values.sum::<usize>(), 2_999 * 3);
    // Found by its name, and more can come.
    again.live(NOON + 180.0, &[(&names[0], NOON + 180.0, 9.0), ("new", NOON + 180.0, 1.0)]);
    assert_eq!((again.values(&names[0]).last(), again.values("new").len()), (Some(&9.0), 1));
}

#[test]
fn a_removed_metric_is_gone() {
    let mut rig = Rig::new(options());
    rig.live(NOON, &[("a", NOON, 1.0), ("b", NOON, 2.0)]);
    assert!(rig.shards.remove("a") && !rig.shards.remove("a"));
    assert_eq!((rig.shards.len(), rig.values("b")), (1, vec![2.0]));
}

#[test]
fn second_order_holds_back_repeats() {
    let check = |second_order, surfaced, unsurfaced| {
        // Everybody votes yes for a jump: one vote is enough, a point is one anomaly after the other.
        let settings = Settings { consensus: 1, ..Settings::default() };
        let mut rig = Rig::with(Options { second_order, ..options() }, settings);
        rig.a_day("a", 0);
        rig.anomalies.clear();
        let before = rig.shards.counters().unsurfaced;
        for i in 1..=10 {
            let now = NOON + 60.0 * f64::from(i);
            rig.live(now, &[("a", now, 1e6)]);
        }
        let held = rig.shards.counters().unsurfaced - before;
        assert_eq!((rig.anomalies.len(), held), (surfaced, unsurfaced), "second order {second_order}");
    };
    check(false, 10, 0);
    check(true, 1, 9);
}

/// What another node gets of all shards that were handed out.
fn handed_over(from: &mut Shards, copy: u8) -> Vec<skyline_store::chunk::Whole> {
    use skyline_store::chunk::{Chunks, Gathered, Header};
    let header = Header {
        writer: 1,
        written_at: NOON,
        position: 0,
        every: 60.0,
        is_released: false,
        node: "a".into(),
    };
    let mut all = Vec::new();
    for shard in from.owned() {
        let mut chunks = Chunks::new(&header, copy, false, 0);
        from.hand_out(shard, &mut chunks);
        let out = chunks.finish();
        let mut gathered = Gathered::default();
        for (_, chunk) in &out.blocks {
            gathered.add_blocks(chunk).unwrap();
        }
        gathered.add_open(&out.open).unwrap();
        all.extend(gathered.into_series(&mut skyline_store::block::Sealer::default()));
    }
    all
}

#[test]
fn another_node_goes_on_with_the_same_windows_and_verdicts() {
    let mut here = Rig::new(options());
    let value = |i: u32| 100.0 + f64::from(i * 7919 % 13);
    for i in 0..1_440 {
        let ts = NOON + 60.0 * f64::from(i);
        here.live(ts + 1.0, &[("a", ts, value(i)), ("b", ts, f64::from(i))]);
    }
    let mut there = Rig::new(options());
    let now = NOON + 60.0 * 1_440.0;
    // A point that came before the windows did stays.
    there.live(now + 1.0, &[("a", now, 104.0)]);
    for whole in handed_over(&mut here.shards, 2) {
        there.shards.adopt(whole, now).unwrap();
    }
    here.live(now + 1.0, &[("a", now, 104.0)]);
    assert_eq!(there.values("a"), here.values("a"));
    assert_eq!(there.values("b"), here.values("b"));
    for rig in [&mut here, &mut there] {
        rig.live(now + 61.0, &[("a", now + 60.0, 900.0), ("b", now + 60.0, 1_440.0)]);
    }
    assert_eq!((here.anomalies.len(), there.anomalies.len()), (1, 1));
    assert_eq!(here.anomalies[0].triggered, there.anomalies[0].triggered);
    // Blocks that were taken from a copy are in that copy.
    let again = handed_over(&mut there.shards, skyline_store::chunk::RESTORED);
    assert!(again.iter().all(|whole| whole.window.len() < 240), "blocks were handed out again");
}

#[test]
fn what_may_not_be_kept_is_not_taken_over() {
    let mut here = Rig::new(options());
    here.live(NOON, &[("a.b", NOON, 1.0), ("skip.me", NOON, 1.0), ("c", NOON - 86_000.0, 1.0)]);
    let shards = "0-1022".parse().unwrap();
    let mut there = Rig::new(Options { skip: vec!["skip.".into()], max_metrics: 1, shards, ..options() });
    let outcome: Vec<_> = handed_over(&mut here.shards, 2)
        .into_iter()
        .map(|whole| (whole.name.clone(), there.shards.adopt(whole, NOON + 3_600.0)))
        .collect();
    let of = |name: &str| outcome.iter().find(|(n, _)| &**n == name).unwrap().1;
    assert_eq!(of("skip.me"), Err(Reject::Skipped));
    assert_eq!(of("c"), Ok(()), "it is too old, and was left out");
    assert_eq!((of("a.b"), there.shards.len()), (Ok(()), 1));
}

#[test]
fn shards_of_other_nodes_are_left_alone() {
    let of = |name: &str| ShardId::of_name(name.as_bytes()).0;
    let shards = of("a.b").to_string().parse().unwrap();
    let mut rig = Rig::new(Options { shards, ..options() });
    assert_ne!(of("a.b"), of("c"));
    rig.live(NOON, &[("a.b", NOON, 1.0), ("c", NOON, 1.0)]);
    assert_eq!((rig.shards.len(), rig.shards.owned().count()), (1, 1));
}
