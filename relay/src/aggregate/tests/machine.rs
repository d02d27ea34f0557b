//! Points in, aggregates out.

use super::super::figures::Counts;
use super::super::state;
use super::*;
use proptest::prelude::*;
use skyline_conf::routing::Function::{
    Average, Count, Deviation, Last, Max, Median, Min, NearestRank, Quantile, Rate, Spread, Sum, Variance,
};
use skyline_conf::routing::template::{Case, Part};
use std::collections::BTreeMap;

#[test]
fn each_function() {
    let functions = [
        ("sum", Sum),
        ("count", Count),
        ("max", Max),
        ("min", Min),
        ("average", Average),
        ("last", Last),
        ("variance", Variance),
        ("deviation", Deviation),
        ("median", Median),
        ("nearest", NearestRank(75)),
        ("quantile", Quantile(0.75)),
        ("spread", Spread),
        ("rate", Rate),
    ];
    let mut machine = machine(vec![aggregation("^in", &functions, Then::FromTop)]);
    for (at, value) in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().enumerate() {
        add(&mut machine, 100.0, "in", 90.0 + at as f64, value);
    }
    let expected = [
        "average 90 5",
        "count 90 8",
        "deviation 90 2",
        "last 90 9",
        "max 90 9",
        "median 90 4.5",
        "min 90 2",
        "nearest 90 5",
        "quantile 90 5.5",
        "rate 90 1",
        "spread 90 7",
        "sum 90 40",
        "variance 90 4",
    ];
    assert_eq!(told(&machine.tick(105.0)), expected);
}

#[test]
fn a_bucket_from_its_begin_to_its_end() {
    let mut machine = machine(vec![aggregation("^in", &[("sum", Sum)], Then::FromTop)]);
    add(&mut machine, 100.0, "in.a", 100.0, 1.0);
    add(&mut machine, 101.0, "in.b", 109.9, 2.0);
    add(&mut machine, 101.0, "in.b", 110.0, 50.0);
    add(&mut machine, 101.0, "other", 110.0, 50.0);
    assert_eq!(told(&machine.tick(114.9)), [""; 0]);
    assert_eq!(told(&machine.tick(115.0)), ["sum 100 3"]);
    assert_eq!(told(&machine.tick(116.0)), [""; 0], "nothing has changed");
    // Late points correct it, all of one second at once.
    add(&mut machine, 120.0, "in.a", 105.0, 10.0);
    add(&mut machine, 120.0, "in.a", 105.0, 10.0);
    assert_eq!(told(&machine.tick(121.0)), ["sum 100 23"]);
    assert_eq!(told(&machine.tick(125.0)), ["sum 110 50"]);
    add(&mut machine, 159.9, "in.a", 100.0, 1.0);
    assert_eq!(told(&machine.tick(160.0)), ["sum 100 24"], "a last time");
    add(&mut machine, 160.0, "in.a", 100.0, 1.0);
    assert_eq!(told(&machine.tick(161.0)), [""; 0]);
    assert_eq!(machine.open(), 1);
    // Far ahead, far back, and no times at all.
    for ts in [231.0, 1e300, -1e300, 0.0] {
        add(&mut machine, 161.0, "in.a", ts, 1.0);
    }
    // A point that was received when its bucket was open and is read when that is forgotten begins none.
    add(&mut machine, 159.9, "in.a", 100.0, 1.0);
    add(&mut machine, 161.0, "in.a", 221.0, 1.0);
    let counts = Counts { bytes: 0, ..machine.counts };
    let expected = Counts {
        inputs: 13,
        unmatched: 1,
        outputs: 2,
        corrected: 2,
        too_late: 4,
        future: 2,
        open: 2,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
    machine.tick(1000.0);
    machine.tick(1001.0);
    assert_eq!((machine.open(), machine.counts.bytes), (0, 0));
}

#[test]
fn stamps_and_names() {
    let check = |stamp, every, expected: &str| {
        let parts = vec![
            Part::Group { index: 1, case: Case::Keep, dots_to_underscores: false },
            Part::Text(".all".to_owned()),
        ];
        let mut part = aggregation("^in\\.([^.]+)", &[("", Count)], Then::FromTop);
        part.outputs[0].name = Template::of(parts);
        part.outputs[0].is_whole = false;
        let mut machine = machine(vec![Aggregation { stamp, every, ..part }]);
        add(&mut machine, 100.0, "in.web.x", 91.0, 1.0);
        add(&mut machine, 100.0, "in.web.x", 92.0, 1.0);
        assert_eq!(told(&machine.tick(200.0)), [expected]);
    };
    check(Stamp::Start, 15, "web.all.x 90 2");
    check(Stamp::Middle, 15, "web.all.x 97 2");
    check(Stamp::End, 15, "web.all.x 105 2");
}

#[test]
fn aggregates_go_where_their_aggregation_says() {
    let to = |n: usize| Then::Clusters(vec![n]);
    let mut machine = machine(vec![
        aggregation("^in", &[("sum", Sum)], to(1)),
        aggregation("^in", &[("sum", Count)], Then::FromTop),
        aggregation("^in", &[("max", Max)], to(1)),
    ]);
    add(&mut machine, 100.0, "in", 100.0, 7.0);
    let due = machine.tick(115.0);
    let ways: Vec<_> = due.iter().map(|due| (due.then.clone(), told(std::slice::from_ref(due)))).collect();
    // The same name twice: they share nothing.
    let expected = vec![
        (to(1), vec!["max 100 7".to_owned(), "sum 100 7".to_owned()]),
        (Then::FromTop, vec!["sum 100 1".to_owned()]),
    ];
    assert_eq!(ways, expected);
}

#[test]
fn memory_is_bounded() {
    let outputs = [("median", Median), ("sum", Sum)];
    let statements = vec![Statement::Aggregate(aggregation("^in", &outputs, Then::FromTop))];
    let mut machine = Machine::new(routing(statements.clone()), Limits { values: 100, bytes: 1 << 20 });
    for i in 0..150 {
        add(&mut machine, 100.0, "in", 100.0, f64::from(i));
    }
    add(&mut machine, 100.0, "in", 110.0, 1.0);
    let Counts { values, full_values, open, .. } = machine.counts;
    assert_eq!((values, full_values, open), (100, 51, 3));
    assert_eq!(told(&machine.tick(115.0)), ["median 100 49.5", "sum 100 11175"]);

    let mut machine = Machine::new(routing(statements), Limits { values: 100, bytes: 10_000 });
    for second in 0..60 {
        add(&mut machine, 100.0, "in", f64::from(second) * 10.0 - 300.0, 1.0);
        add(&mut machine, 100.0, "in", f64::from(second) + 100.0, 1.0);
    }
    assert!(machine.counts.bytes <= 10_000 && machine.counts.values <= 100);
    machine.rules[0].aggregation.keep = u32::MAX;
    for second in 0..600 {
        add(&mut machine, 100.0, "in", f64::from(second) * 10.0, 1.0);
    }
    assert!(machine.counts.bytes <= 10_000 && machine.counts.full > 500);
    assert!(machine.rules[0].buckets.len() < 30);
}

#[test]
fn what_was_not_sent_is_computed_again() {
    let mut machine = machine(vec![aggregation("^in", &[("sum", Sum), ("n", Count)], Then::FromTop)]);
    add(&mut machine, 100.0, "in", 100.0, 7.0);
    let due = machine.tick(115.0);
    machine.failed(&due[0].made);
    assert_eq!(told(&machine.tick(116.0)), ["n 100 1", "sum 100 7"]);
    assert_eq!(machine.tick(117.0), []);
    add(&mut machine, 118.0, "in", 100.0, 7.0);
    let mut now = 118.0;
    for _ in 0..200 {
        let due = machine.tick(now);
        due.iter().for_each(|due| machine.failed(&due.made));
        now += 1.0;
    }
    assert_eq!((machine.counts.unsent, machine.counts.outputs, machine.open()), (2, 2, 0));
}

#[test]
fn another_routing() {
    let kept = aggregation("^in", &[("sum", Sum)], Then::FromTop);
    let gone = aggregation("^in", &[("gone", Sum)], Then::Clusters(vec![3]));
    let mut machine = machine(vec![gone, kept.clone()]);
    add(&mut machine, 100.0, "in", 100.0, 7.0);
    let later = Aggregation { after: 20, then: Then::From(5), ..kept.clone() };
    let new = aggregation("^in", &[("new", Count)], Then::FromTop);
    let statements = [rewrite("x", "y"), Statement::Aggregate(new), Statement::Aggregate(later)];
    let last = machine.replace(routing(statements.to_vec()));
    assert_eq!((told(&last), &last[0].then), (vec!["gone 100 7".to_owned()], &Then::Clusters(vec![3])));
    // Nobody can compute it once more.
    machine.failed(&last[0].made);
    assert_eq!(machine.counts.unsent, 1);
    add(&mut machine, 101.0, "in", 100.0, 1.0);
    assert_eq!(told(&machine.tick(115.0)), ["new 100 1"]);
    let due = machine.tick(120.0);
    assert_eq!((told(&due), &due[0].then), (vec!["sum 100 8".to_owned()], &Then::From(5)));
    machine.replace(Arc::default());
    assert_eq!((machine.open(), machine.counts.bytes), (0, 0));
}

#[test]
fn without_a_state_no_part_takes_the_place_of_a_whole() {
    let mut machine = machine(vec![aggregation("^in", &[("sum", Sum)], Then::FromTop)]);
    machine.close_before(126.0);
    for ts in [100.0, 110.0, 111.0, 120.0] {
        add(&mut machine, 126.0, "in", ts, 1.0);
    }
    assert_eq!(machine.counts.too_late, 3);
    assert_eq!(told(&machine.tick(200.0)), ["sum 120 1"]);
}

/// A point: input, time, value.
type Point = (u8, u32, i32);

const OUTPUTS: [(&str, Function); 9] = [
    ("sum", Sum),
    ("count", Count),
    ("max", Max),
    ("min", Min),
    ("average", Average),
    ("variance", Variance),
    ("median", Median),
    ("p95", NearestRank(95)),
    ("p75", Quantile(0.75)),
];

/// Every aggregate from all points at once.
fn all_at_once(points: &[Point]) -> BTreeMap<String, f64> {
    let mut buckets: BTreeMap<(u32, u32), Vec<f64>> = BTreeMap::new();
    for (input, ts, value) in points {
        buckets.entry((u32::from(input % 3), ts / 10 * 10)).or_default().push(f64::from(*value));
    }
    let mut out = BTreeMap::new();
    for ((group, begin), mut values) in buckets {
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        let (sum, mean) = (values.iter().sum::<f64>(), values.iter().sum::<f64>() / n);
        let quantile = |q: f64| {
            let rank = q * (n - 1.0);
            let (low, high) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
            low + (high - low) * rank.fract()
        };
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        let nearest = values[((0.95 * n + 0.9) as usize).clamp(1, values.len()) - 1];
        let (min, max) = (values[0], values[values.len() - 1]);
        let expected = [sum, n, max, min, mean, variance, quantile(0.5), nearest, quantile(0.75)];
        for ((name, _), value) in OUTPUTS.iter().zip(expected) {
            out.insert(format!("g{group}.{name} {begin}"), value);
        }
    }
    out
}

fn grouped() -> Machine {
    let mut grouped = aggregation("^in\\.(g.)\\.", &OUTPUTS, Then::FromTop);
    for (output, (name, _)) in grouped.outputs.iter_mut().zip(OUTPUTS) {
        let group = Part::Group { index: 1, case: Case::Keep, dots_to_underscores: false };
        output.name = Template::of(vec![group, Part::Text(format!(".{name}"))]);
    }
    machine(vec![grouped])
}

proptest! {
    /// In any order, with saves and restarts in between.
    #[test]
    fn the_last_aggregates_are_those_of_all_points(
        points in prop::collection::vec((0_u8..9, 1000_u32..1040, -1000_i32..1000), 1..80),
        steps in prop::collection::vec((0_usize..6, any::<bool>()), 80),
    ) {
        let mut machine = grouped();
        let mut last: BTreeMap<String, f64> = BTreeMap::new();
        let mut take = |all: Vec<Due>| {
            for made in all.iter().flat_map(|due| &due.made) {
                last.insert(format!("{} {}", made.name, made.ts), made.value);
            }
        };
        // All are received within 20 s.
        let mut now = 1020.0;
        for ((input, ts, value), (step, restarts)) in points.iter().zip(steps) {
            let name = format!("in.g{}.{input}", input % 3);
            add(&mut machine, now, &name, f64::from(*ts), f64::from(*value));
            if step == 0 {
                now += 0.25;
                take(machine.tick(now));
            }
            if restarts && step == 1 {
                let saved = state::encode(&machine, 7);
                let mut again = grouped();
                prop_assert_eq!(state::decode(&saved, &mut again), Some((7, 0)));
                prop_assert_eq!(again.counts.open, machine.counts.open);
                prop_assert_eq!(again.counts.values, machine.counts.values);
                prop_assert_eq!(&state::encode(&again, 7), &saved);
                machine = again;
            }
        }
        for _ in 0..3 {
            now += 100.0;
            take(machine.tick(now));
        }
        prop_assert_eq!(machine.open(), 0);
        let expected = all_at_once(&points);
        prop_assert!(last.keys().eq(expected.keys()));
        for (name, value) in &expected {
            let got = last[name];
            prop_assert!((got - value).abs() <= 1e-9 * value.abs().max(1e3), "{}: {}, not {}", name, got, value);
        }
    }

    #[test]
    fn damage_is_noticed(at: usize, bit in 0_u8..8, cut: usize) {
        let dir = tempfile::TempDir::new().unwrap();
        let path = state::path(dir.path());
        let mut machine = grouped();
        for i in 0..20 {
            add(&mut machine, 100.0, &format!("in.g{}.x", i % 3), 90.0 + f64::from(i), f64::from(i));
        }
        let mut saved = state::encode(&machine, 7);
        let length = saved.len();
        saved[at % length] ^= 1 << bit;
        std::fs::write(&path, &saved).unwrap();
        prop_assert!(matches!(state::read(&path), state::Found::Damaged));
        // Even where the checksum does not tell.
        let _any = state::decode(&saved, &mut grouped());
        saved.truncate(cut % length);
        let _any = state::decode(&saved, &mut grouped());
        std::fs::write(&path, &saved).unwrap();
        std::fs::write(dir.path().join("aggregate.before"), state::encode(&machine, 6)).unwrap();
        prop_assert!(matches!(state::read(&path), state::Found::State(_)));
    }
}

#[test]
fn a_clock_that_was_ahead_stops_nothing() {
    let mut machine = machine(vec![aggregation("^in", &[("sum", Sum)], Then::FromTop)]);
    add(&mut machine, 900_100.0, "in", 900_100.0, 1.0);
    assert_eq!(told(&machine.tick(900_200.0)), ["sum 900100 1"]);
    machine.tick(900_300.0);
    assert_eq!(machine.open(), 0);
    // Set back to what it is.
    add(&mut machine, 100.0, "in", 100.0, 2.0);
    assert_eq!(told(&machine.tick(115.0)), ["sum 100 2"]);
    machine.tick(900.0);
    // A part of what was sent is still no whole.
    add(&mut machine, 159.0, "in", 100.0, 1.0);
    assert_eq!((machine.counts.too_late, machine.open()), (1, 0));
}
