//! The verdict of the sums is the verdict of the plain functions, whatever comes in.

use super::*;
use proptest::prelude::*;

/// The plain computation on the window as it is after the point.
fn oracle(tracked: &Tracked, now: f64, settings: &Settings, scratch: &mut Scratch) -> consensus::Verdict {
    let mut columns = Columns::default();
    consensus::decide_all(tracked.window.view(&mut columns), now, settings, scratch)
}

#[derive(Debug, Clone)]
enum Step {
    Next {
        gap: u32,
        value: f64,
        delay: u32,
    },
    Late {
        back: u32,
        value: f64,
    },
    Again {
        value: f64,
    },
    /// Saved and restored, perhaps with another full duration.
    Restart {
        full_duration: f64,
    },
    /// The clock is set back, seconds.
    Back {
        by: u32,
    },
}

fn values() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (-1000_i32..1000).prop_map(|v| f64::from(v) / 10.0),
        3 => Just(5.0),
        2 => Just(0.1),
        1 => Just(0.0),
        1 => (0_i32..100).prop_map(|v| 1e9 + f64::from(v)),
        1 => Just(1e12),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let next = (prop_oneof![9 => Just(60_u32), 1 => 1_u32..4000], values(), 0_u32..400)
        .prop_map(|(gap, value, delay)| Step::Next { gap, value, delay });
    let step = prop_oneof![
        30 => next,
        1 => (1_u32..5000, values()).prop_map(|(back, value)| Step::Late { back, value }),
        1 => values().prop_map(|value| Step::Again { value }),
        1 => prop_oneof![2 => Just(1.0), 1 => Just(0.7), 1 => Just(1.4)]
            .prop_map(|full_duration| Step::Restart { full_duration }),
        1 => (1_u32..8000).prop_map(|by| Step::Back { by }),
    ];
    prop::collection::vec(step, 1..400)
}

/// A rank whose phase is in step with neither blocks nor what cursors decode at once.
const RANK: u32 = 1_000;

#[test]
fn neighbours_are_in_step_and_all_minutes_are_used() {
    for points in [120, 24, 256] {
        let mut metrics = vec![0; points as usize];
        (0..points * NEIGHBOURS).for_each(|rank| metrics[(phase(rank) % points) as usize] += 1);
        assert!(metrics.iter().all(|n| *n == NEIGHBOURS), "{points}: {metrics:?}");
    }
    assert!((64..128).all(|rank| phase(rank) == phase(64)));
    assert_ne!(phase(64), phase(128));
    assert!(!phase(RANK).is_multiple_of(24) && phase(RANK) as u8 > 0);
}

#[track_caller]
fn agree(tracked: &Tracked, judged: Judged, now: f64, context: &mut Context) {
    let Judged::Verdict(findings) = judged else { return };
    if findings.counter {
        return;
    }
    let settings = context.settings.clone();
    let whole = oracle(tracked, now, &settings, &mut Scratch::default());
    assert_eq!(findings.anomalous, whole.anomalous, "{findings:?} {whole:?}");
    for algorithm in findings.asked.iter() {
        assert_eq!(
            findings.yes.contains(algorithm),
            whole.yes.contains(algorithm),
            "{algorithm:?} of {findings:?}"
        );
    }
}

fn follow(steps: &[Step], full_duration: f64, consensus: u32) {
    let settings = Settings { full_duration, consensus, ..Settings::default() };
    let mut context = Context::new(settings, 600.0);
    let mut tracked = Tracked::new("a.b", 1, RANK, true);
    let mut ts = 1_700_000_000.0;
    let mut now: f64 = ts;
    let mut set_back = 0.0;
    for step in steps {
        let point = match step {
            Step::Next { gap, value, delay } => {
                ts += f64::from(*gap);
                now = f64::max(now, ts - set_back + f64::from(*delay));
                Datapoint::new(ts, *value)
            }
            Step::Late { back, value } => Datapoint::new(ts - f64::from(*back), *value),
            Step::Again { value } => Datapoint::new(ts, *value),
            Step::Restart { full_duration: times } => {
                let mut state = Vec::new();
                tracked.encode_state(&mut state);
                tracked = Tracked::restored("a.b", 1, RANK, true, &state, tracked.window.clone());
                context.settings.full_duration = full_duration * times;
                continue;
            }
            Step::Back { by } => {
                set_back += f64::from(*by);
                now -= f64::from(*by);
                continue;
            }
        };
        let (_, judged) = tracked.observe(point, now, true, &mut context);
        agree(&tracked, judged, now, &mut context);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn sums_and_points_give_one_verdict(steps in steps(), hours in 2_u32..8, consensus in 1_u32..7) {
        follow(&steps, f64::from(hours) * 3600.0, consensus);
    }
}

/// A day and a half of minutes: eviction, first hour, wear, seals, spikes of all sizes.
#[test]
fn a_long_run_agrees() {
    for (level, swing) in [(100.0, 5.0), (1e9, 5.0), (0.3, 0.01), (1e5, 4e4)] {
        let settings = Settings { full_duration: 6.0 * 3600.0, ..Settings::default() };
        let mut context = Context::new(settings, 600.0);
        let mut tracked = Tracked::new("a.b", 1, RANK, true);
        let mut seed = 99_u32;
        let mut anomalies = 0;
        for i in 0..4000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(seed >> 16) / 65_536.0 - 0.5;
            let spike = if i % 400 > 396 { 30.0 * swing } else { 0.0 };
            let ts = 1_700_000_000.0 + 60.0 * f64::from(i);
            let point = Datapoint::new(ts, level + swing * noise + spike);
            let (_, judged) = tracked.observe(point, ts + 1.0, true, &mut context);
            agree(&tracked, judged, ts + 1.0, &mut context);
            anomalies += u32::from(matches!(judged, Judged::Verdict(f) if f.anomalous));
        }
        assert!(anomalies > 5, "{level}: {anomalies}");
        assert!(context.scans < 700, "{level}: the points were needed {} times", context.scans);
    }
}

#[test]
fn gates_and_counters() {
    let mut context = Context::new(Settings::default(), 600.0);
    let mut flat = Tracked::new("flat", 1, 1, false);
    let mut counter = Tracked::new("counter", 2, 2, false);
    let mut last = (Judged::No, Judged::No);
    for i in 0..300 {
        let ts = 1_700_000_000.0 + 60.0 * f64::from(i);
        last.0 = flat.observe(Datapoint::new(ts, 7.0), ts, true, &mut context).1;
        last.1 =
            counter.observe(Datapoint::new(ts, f64::from(i * i % 7 + i * 100)), ts, true, &mut context).1;
    }
    assert_eq!(last.0, Judged::Gated(Gate::Boring));
    let figures = |tracked: &Tracked, judged: Judged, context: &mut Context| match judged {
        Judged::Verdict(findings) if findings.counter => tracked.explain(&findings, context),
        other => panic!("{other:?}"),
    };
    let explained = figures(&counter, last.1, &mut context);
    assert!((explained.mean - 100.0).abs() < 1.0, "{explained:?}");
    let ts = 1_700_000_000.0 + 60.0 * 300.0;
    assert_eq!(counter.observe(Datapoint::new(ts, 3.0), ts, true, &mut context).1, Judged::Reset);
    // It stays a counter: the next increase is judged as one.
    let judged = counter.observe(Datapoint::new(ts + 60.0, 103.0), ts + 60.0, true, &mut context).1;
    assert_eq!(figures(&counter, judged, &mut context).value, 100.0);
    assert_eq!(
        counter.observe(Datapoint::new(ts + 120.0, 203.0), ts + 900.0, true, &mut context).1,
        Judged::Gated(Gate::Stale)
    );
}
