//! History that is filled in beside live points.

use super::*;
use skyline_store::block::Sealer;
use skyline_store::chunk::{Chunks, Gathered, Header};

/// The value of `a_day` at a minute of it.
fn usual(minute: i32) -> f64 {
    100.0 + f64::from(minute * 7919 % 101)
}

fn at(minute: i32) -> f64 {
    NOON - 60.0 * f64::from(1439 - minute)
}

impl Rig {
    fn filled(&mut self, now: f64, name: &str, minutes: impl Iterator<Item = i32>, value: fn(i32) -> f64) {
        let points: Vec<_> = minutes.map(|minute| (name, at(minute), value(minute))).collect();
        let batch = self.batch(now, Origin::Backfill, &points);
        self.shards.ingest(&batch, &mut self.anomalies);
    }

    fn filled_counts(&self) -> (u64, u64, u64) {
        let filled = &self.shards.counters().filled;
        (filled.stored, filled.there, filled.refused.total())
    }
}

#[test]
fn a_filled_day_is_judged_as_a_day_that_was_sent() {
    let (mut sent, mut filled) = (Rig::new(options()), Rig::new(options()));
    sent.a_day("a", 3);
    sent.anomalies.clear();
    let bad = |minute| if minute >= 1437 { 5000.0 } else { usual(minute) };
    // Some of it was sent meanwhile, and comes again with other values.
    for minute in [500, 1435, 1436] {
        filled.live(at(minute), &[("a", at(minute), usual(minute))]);
    }
    filled.filled(NOON, "a", 0..1440, |minute| if minute >= 1437 { 5000.0 } else { usual(minute) });
    filled.filled(NOON, "a", (0..1440).filter(|m| *m < 1437), |_| -1.0);
    assert_eq!(filled.filled_counts(), (1437, 3 + 1437, 0));
    assert!(filled.anomalies.is_empty(), "history is not judged");
    assert_eq!(filled.values("a"), (0..1440).map(bad).collect::<Vec<_>>());
    for rig in [&mut sent, &mut filled] {
        rig.live(NOON + 60.0, &[("a", NOON + 60.0, 5000.0)]);
    }
    let verdict = |rig: &Rig| {
        let anomaly = rig.anomalies.last().unwrap();
        (anomaly.triggered, anomaly.window_points, (anomaly.mean * 1e6).round(), anomaly.point)
    };
    assert_eq!(filled.anomalies.len(), 1, "at once, without a day of waiting");
    assert_eq!(verdict(&filled), verdict(&sent));
}

#[test]
fn the_newest_that_was_filled_in_is_judged_when_it_is_sent() {
    let mut rig = Rig::new(options());
    rig.filled(NOON, "a", 0..1440, |minute| if minute == 1439 { 5000.0 } else { usual(minute) });
    assert_eq!(rig.shards.newest_points().count(), 0, "nobody has sent it");
    rig.live(NOON, &[("a", NOON, 5000.0)]);
    assert_eq!((rig.anomalies.len(), rig.shards.counters().judged), (1, 1));
    rig.live(NOON, &[("a", NOON, 5000.0)]);
    assert_eq!(rig.shards.counters().judged, 1, "once");
    assert_eq!(rig.shards.newest_points().next(), Some(("a", NOON)));
}

#[test]
fn gates_and_counters_see_what_was_filled_in() {
    let mut rig = Rig::new(options());
    rig.filled(NOON, "total", 0..1440, |minute| f64::from(minute * 10));
    rig.filled(NOON, "flat", 0..1440, |_| 4.0);
    rig.live(NOON + 60.0, &[("total", NOON + 60.0, 90_000.0), ("flat", NOON + 60.0, 4.0)]);
    let [anomaly] = &rig.anomalies[..] else { panic!("{:?}", rig.anomalies) };
    assert!(anomaly.counter && anomaly.metric == "total");
    assert_eq!(rig.shards.counters().gated, [0, 0, 1]);
    // Late by more than the gate.
    rig.filled(NOON + 900.0, "slow", 0..1440, usual);
    rig.live(NOON + 900.0, &[("slow", NOON + 60.0, 5000.0)]);
    assert_eq!(rig.shards.counters().gated, [0, 1, 1]);
}

#[test]
fn what_a_window_lacks() {
    let skip = vec!["debug".into()];
    let mut rig = Rig::new(Options { skip, max_metrics: 1, max_new_names: 1, ..options() });
    rig.live(NOON, &[("a", at(1439), 1.0)]);
    let history = [at(-300), at(10), at(1439), NOON + 900.0].map(|ts| Datapoint::new(ts, 2.0));
    let missing = rig.shards.missing("a", &history, NOON);
    assert_eq!((missing.points, missing.there), (vec![Datapoint::new(at(10), 2.0)], 1));
    assert_eq!((missing.refused.get(Reject::Old), missing.refused.get(Reject::Future)), (1, 1));
    for (name, reason) in [("b", Reject::MetricCap), ("x.debug", Reject::Skipped), ("", Reject::WindowName)] {
        let missing = rig.shards.missing(name, &history[1..3], NOON);
        assert!(missing.points.is_empty() && missing.refused.get(reason) == 2, "{name}: {missing:?}");
        rig.filled(NOON, "b", 0..2, usual);
    }
    assert_eq!(rig.filled_counts(), (0, 0, 6));
}

#[test]
fn history_of_before_the_files_is_not_filled_twice() {
    let mut rig = Rig::new(options());
    rig.shards.resume(ShardId::of_name(b"a"), Done { applied: 2, judged: 2, counted: 2 });
    rig.filled(NOON, "a", 0..4, usual);
    assert_eq!(rig.values("a"), [usual(2), usual(3)]);
    assert_eq!(rig.filled_counts(), (2, 0, 0));
}

/// Files that hold what `rig` has of "a", saved and restored.
fn restarted(rig: &mut Rig) -> Rig {
    let (dir, shard) = (tempfile::tempdir().unwrap(), ShardId::of_hash(name_hash(b"a")));
    rig.shards.save(shard, NOON, rig.next_seq, &mut ShardFile::new(dir.path(), shard, false)).unwrap();
    let mut again = Rig::new(options());
    again.next_seq = restore(&mut again, dir.path(), &[shard]).0;
    again
}

/// What is handed out of it, taken over by a window with `points` of its own.
fn taken_over(rig: &mut Rig, points: &[(&str, f64, f64)]) -> Rig {
    let shard = ShardId::of_hash(name_hash(b"a"));
    let header = Header {
        writer: 1,
        written_at: NOON,
        position: 1,
        every: 1.0,
        is_released: true,
        node: String::new(),
    };
    let mut chunks = Chunks::new(&header, 2, true, 0);
    rig.shards.hand_out(shard, &mut chunks);
    let (out, mut gathered) = (chunks.finish(), Gathered::default());
    out.blocks.iter().for_each(|(_, chunk)| assert_eq!(gathered.add_blocks(chunk), Ok(0)));
    gathered.add_open(&out.open).unwrap();
    let mut again = Rig::new(options());
    if !points.is_empty() {
        again.live(NOON, points);
    }
    for whole in gathered.into_series(&mut Sealer::default()) {
        again.shards.adopt(whole, NOON).unwrap();
    }
    again
}

#[test]
fn that_nobody_has_sent_it_outlasts_files_and_redis() {
    let mut rig = Rig::new(options());
    rig.filled(NOON, "a", 0..1440, |minute| if minute == 1439 { 5000.0 } else { usual(minute) });
    for of in [restarted, |rig: &mut Rig| taken_over(rig, &[])] {
        let mut again = of(&mut rig);
        assert_eq!(again.values("a"), rig.values("a"));
        assert_eq!(again.shards.newest_points().count(), 0, "nobody has sent it");
        // Twice is as once.
        let mut again = of(&mut again);
        assert_eq!(again.shards.newest_points().count(), 0);
        again.live(NOON, &[("a", NOON, 5000.0)]);
        assert_eq!((again.anomalies.len(), again.shards.counters().judged), (1, 1));
        let again = of(&mut again);
        assert_eq!(again.shards.newest_points().next(), Some(("a", NOON)));
    }
    // The newest point of both says it.
    let sent = taken_over(&mut rig, &[("a", NOON, 1.0)]);
    assert_eq!(sent.shards.newest_points().next(), Some(("a", NOON)));
    let older = taken_over(&mut rig, &[("a", NOON - 90.0, 1.0)]);
    assert_eq!(older.shards.newest_points().count(), 0);
}
