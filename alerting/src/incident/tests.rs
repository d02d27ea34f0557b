//! Incidents: what joins, what goes on, what ends, and that nothing counts twice.

use super::{Incidents, Seen, Settings};
use proptest::prelude::*;
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;

const REPEAT: f64 = 1_800.0;

pub(crate) fn anomaly(metric: &str, ts: f64) -> Anomaly {
    Anomaly {
        metric: metric.to_owned(),
        point: Datapoint::new(ts, 950.0),
        judged_value: 950.0,
        received: ts + 0.5,
        asked: AlgorithmSet::ALL,
        triggered: Algorithm::ALL.into_iter().take(7).collect(),
        mean: 100.0,
        stddev: 12.5,
        window_from: ts - 86_400.0,
        window_points: 1440,
        full_duration: 86_400,
        counter: false,
        seq: 42,
    }
}

fn empty() -> Incidents {
    Incidents::new("n1", Settings::default(), 0.0)
}

/// Gives it when it was received.
fn give(incidents: &mut Incidents, metric: &str, ts: f64) -> Seen {
    let anomaly = anomaly(metric, ts);
    incidents.observe(&anomaly, anomaly.received, || REPEAT)
}

fn key(seen: &Seen) -> String {
    seen.key().expect("a change").to_owned()
}

#[test]
fn what_breaks_together_is_one() {
    let mut incidents = empty();
    let first = give(&mut incidents, "a", 1_000.0);
    assert!(matches!(first, Seen::Opened(_)));
    let key = key(&first);
    for (metric, ts) in [("b", 1_000.0), ("c", 1_060.0), ("d", 1_120.0)] {
        assert_eq!(give(&mut incidents, metric, ts), Seen::Joined(key.clone()), "{metric}");
    }
    assert_eq!(give(&mut incidents, "a", 1_060.0), Seen::GoesOn(key.clone()));
    assert!(matches!(give(&mut incidents, "e", 1_121.0), Seen::Opened(other) if other != key), "too late");
    let members: Vec<_> =
        incidents.get(&key).expect("there").members.iter().map(|m| m.told.metric.clone()).collect();
    assert_eq!(members, ["a", "b", "c", "d"]);
}

#[test]
fn each_has_its_own_where_nothing_joins() {
    let mut incidents = Incidents::new("n1", Settings { join: 0.0, ..Settings::default() }, 0.0);
    for metric in ["a", "b"] {
        assert!(matches!(give(&mut incidents, metric, 1_000.0), Seen::Opened(_)), "{metric}");
    }
}

#[test]
fn the_same_again_is_known() {
    let mut incidents = empty();
    give(&mut incidents, "a", 1_000.0);
    give(&mut incidents, "a", 1_060.0);
    for ts in [1_000.0, 1_060.0, 940.0] {
        assert_eq!(give(&mut incidents, "a", ts), Seen::Known, "{ts}");
    }
    let incident = incidents.iter().next().expect("one");
    assert_eq!(incident.members.first().expect("one").told.points, 2);
}

#[test]
fn keys_are_made_of_what_is_known_again() {
    let key_of = |node: &str, metric: &str, ts: f64| super::key(node, metric, ts);
    assert_eq!(key_of("n", "a", 1.0), key_of("n", "a", 1.0));
    assert_eq!(key_of("n", "a", 1.0).len(), 24);
    for other in [key_of("m", "a", 1.0), key_of("n", "b", 1.0), key_of("n", "a", 2.0), key_of("na", "", 1.0)]
    {
        assert_ne!(key_of("n", "a", 1.0), other);
    }
}

#[test]
fn it_ends_when_all_are_over() {
    let mut incidents = empty();
    let key = key(&give(&mut incidents, "a", 1_000.0));
    give(&mut incidents, "b", 1_060.0);
    assert!(incidents.tick(1_300.0).is_empty(), "not yet");
    assert_eq!(incidents.tick(1_301.0), [(key.clone(), vec![0])]);
    assert!(incidents.get(&key).expect("there").is_open());
    assert_eq!(incidents.tick(1_361.0), [(key.clone(), vec![1])]);
    let incident = incidents.get(&key).expect("there");
    assert_eq!((incident.head.ended, incident.last()), (Some(1_361.0), 1_060.0));
    assert_eq!(incident.members.first().expect("one").told.ended, Some(1_000.0));
    assert!(incidents.tick(9_999.0).is_empty());
}

#[test]
fn what_came_while_the_node_was_down_is_waited_for() {
    let mut incidents = empty();
    let key = key(&give(&mut incidents, "a", 1_000.0));
    let kept = incidents.get(&key).expect("there").clone();
    let mut again = Incidents::new("n1", Settings::default(), 5_000.0);
    again.put(kept);
    assert!(again.tick(5_300.0).is_empty());
    assert_eq!(give(&mut again, "a", 1_000.0), Seen::Known);
    assert_eq!(again.tick(5_301.0).len(), 1);
}

#[test]
fn parts_make_the_whole() {
    let mut incidents = empty();
    let key = key(&give(&mut incidents, "a", 1_000.0));
    for metric in ["b", "c", "d"] {
        give(&mut incidents, metric, 1_001.0);
    }
    give(&mut incidents, "b", 1_060.0);
    let whole = incidents.get(&key).expect("there").clone();
    let part =
        |places: &[usize]| places.iter().map(|place| whole.members[*place].clone()).collect::<Vec<_>>();
    let mut again = empty();
    for places in [&[1, 0][..], &[3, 2], &[1], &[]] {
        again.put_part(whole.head.clone(), part(places));
    }
    assert_eq!(again.get(&key), Some(&whole));
    assert_eq!(again.of_metric("d").map(|(_, place)| place), Some(3));
    // What was lost leaves no gap.
    let mut again = empty();
    for places in [&[0][..], &[2, 3]] {
        again.put_part(whole.head.clone(), part(places));
    }
    let names: Vec<_> =
        again.get(&key).expect("there").members.iter().map(|m| m.told.metric.as_str()).collect();
    assert_eq!(names, ["a", "c", "d"]);
    assert_eq!(again.of_metric("d").map(|(_, place)| place), Some(2));
}

#[test]
fn one_that_breaks_again_continues_its_incident() {
    let mut incidents = empty();
    let key = key(&give(&mut incidents, "a", 1_000.0));
    incidents.tick(1_400.0);
    assert_eq!(give(&mut incidents, "a", 3_000.0), Seen::Reopened(key.clone()));
    let incident = incidents.get(&key).expect("there");
    assert_eq!((incident.head.returns, incident.is_open()), (1, true));
    // It was silent for 2,000 seconds before: half an hour proves nothing.
    assert!(incidents.tick(3_000.0 + 1_800.0).is_empty());
    assert_eq!(incidents.tick(3_000.0 + 3_601.0).len(), 1);
    let late = 3_000.0 + 3_601.0 + REPEAT;
    assert!(matches!(give(&mut incidents, "a", late), Seen::Opened(other) if other != key));
}

#[test]
fn patience_grows_with_the_pauses() {
    let mut incidents = empty();
    let key = key(&give(&mut incidents, "a", 1_000.0));
    for n in 1..6 {
        give(&mut incidents, "a", 1_000.0 + 250.0 * f64::from(n));
    }
    let patience = |incidents: &Incidents| {
        incidents.get(&key).expect("there").members.first().expect("one").patience(300.0)
    };
    assert_eq!(patience(&incidents), 500.0);
    for n in 1..9 {
        give(&mut incidents, "a", 2_250.0 + 60.0 * f64::from(n));
    }
    assert_eq!(patience(&incidents), 300.0);
}

#[test]
fn the_peak_is_the_furthest() {
    let mut incidents = empty();
    for (ts, value) in [(1.0, 500.0), (2.0, -900.0), (3.0, 600.0)] {
        let mut anomaly = anomaly("a", ts);
        anomaly.judged_value = value;
        incidents.observe(&anomaly, ts, || REPEAT);
    }
    let told = &incidents.iter().next().expect("one").members.first().expect("one").told;
    assert_eq!((told.peak, told.value, told.points), ((2.0, -900.0), 600.0, 3));
}

#[test]
fn what_is_forgotten_is_new() {
    let mut incidents = empty();
    let key = key(&give(&mut incidents, "a", 1_000.0));
    incidents.forget(&key);
    assert!(incidents.of_metric("a").is_none());
    assert_eq!(give(&mut incidents, "a", 1_000.0), Seen::Opened(key));
}

#[test]
fn acknowledged_once() {
    let mut incidents = empty();
    let key = key(&give(&mut incidents, "a", 1_000.0));
    assert!(incidents.acknowledge(&key, "ann", 1_010.0) && !incidents.acknowledge(&key, "bob", 1_020.0));
    assert!(!incidents.acknowledge("none", "ann", 1_010.0));
    assert_eq!(incidents.get(&key).and_then(|i| i.head.acknowledged.clone()).expect("seen").by, "ann");
}

proptest! {
    /// Every anomaly counts once, whatever is given again, and every metric is in one open incident at most.
    #[test]
    fn each_counts_once(
        steps in prop::collection::vec((0_u8..6, 1_u32..400, any::<bool>(), any::<bool>()), 1..80)
    ) {
        let mut incidents = empty();
        let mut now = 1_000.0;
        let mut given = Vec::new();
        let mut counted = 0;
        for (metric, pause, again, tick) in steps {
            now += f64::from(pause);
            let one = anomaly(&format!("m{metric}"), now);
            prop_assert_ne!(incidents.observe(&one, now, || REPEAT), Seen::Known);
            counted += 1;
            given.push(one);
            if again {
                let before: Vec<_> = incidents.iter().cloned().collect();
                for old in &given {
                    prop_assert_eq!(incidents.observe(old, now + 0.1, || REPEAT), Seen::Known);
                }
                prop_assert_eq!(incidents.iter().cloned().collect::<Vec<_>>(), before);
            }
            if tick {
                incidents.tick(now + 30.0);
            }
        }
        let points: u64 = incidents.iter().flat_map(|i| &i.members).map(|m| m.told.points).sum();
        prop_assert_eq!(points, counted);
        for metric in 0..6 {
            let name = format!("m{metric}");
            let open = incidents.iter().filter(|i| i.is_open());
            prop_assert!(open.filter(|i| i.members.iter().any(|m| m.told.metric == name)).count() <= 1);
        }
    }

    /// What was kept and put back goes on as if nothing had been.
    #[test]
    fn put_back_is_the_same(steps in prop::collection::vec((0_u8..6, 1_u32..400), 1..40), at in 0_usize..40) {
        let mut whole = empty();
        let mut cut = empty();
        let mut now = 1_000.0;
        for (n, (metric, pause)) in steps.into_iter().enumerate() {
            now += f64::from(pause);
            if n == at {
                let kept: Vec<_> = cut.iter().cloned().collect();
                cut = empty();
                for mut incident in kept {
                    incident.members.reverse();
                    cut.put(incident);
                }
            }
            let one = anomaly(&format!("m{metric}"), now);
            prop_assert_eq!(whole.observe(&one, now, || REPEAT), cut.observe(&one, now, || REPEAT));
            prop_assert_eq!(whole.tick(now), cut.tick(now));
        }
    }
}
