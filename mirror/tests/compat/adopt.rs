//! Windows that the reference has written are taken over.

use super::{NOW, python, server};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use skyline_mirror::compat::{Adopted, Adoption};
use skyline_peers::redis::Redis;
use std::collections::{BTreeMap, HashMap};

async fn adopt(redis: &Redis) -> (HashMap<String, Vec<(f64, f64)>>, Adopted) {
    let mut adoption = Adoption::new(server(redis), "metrics.");
    let mut found = HashMap::new();
    while let Some(windows) = adoption.next().await.unwrap() {
        for (name, points) in windows {
            let points = points.iter().map(|p| (p.ts, p.value)).collect();
            assert!(found.insert(name, points).is_none(), "a window comes once");
        }
    }
    (found, adoption.adopted())
}

#[tokio::test]
async fn every_window_of_the_reference_is_adopted() {
    let redis = Redis::start().unwrap();
    let mut random = SmallRng::seed_from_u64(7);
    let mut input = String::new();
    let mut expected: HashMap<String, BTreeMap<u64, f64>> = HashMap::new();
    let mut nothing = 0;
    for _ in 0..30_000 {
        let name = format!("stats.web{}.requests", random.random_range(0..700));
        let ts = NOW as u64 - random.random_range(0..2_000) * 60;
        let (text, value) = match random.random_range(0..10) {
            0 => ("None".to_owned(), None),
            1..5 => {
                let whole = random.random_range(-5_000_000_000_i64..5_000_000_000);
                (whole.to_string(), Some(whole as f64))
            }
            _ => {
                let value: f64 = random.random::<f64>() * 1e6;
                (format!("{value:?}"), Some(value))
            }
        };
        input.push_str(&format!("{name} {ts} {text}\n"));
        match value {
            Some(value) => drop(expected.entry(name).or_default().insert(ts, value)),
            None => nothing += 1,
        }
    }
    python::run(&redis, python::WRITE, &input);
    let (found, adopted) = adopt(&redis).await;
    let expected: HashMap<_, Vec<_>> = expected
        .into_iter()
        .map(|(name, points)| (name, points.into_iter().map(|(ts, v)| (ts as f64, v)).collect()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!((adopted.empty, adopted.metrics, adopted.names), (nothing, 700, 700));
}

#[tokio::test]
async fn what_is_no_window_is_counted_and_passed_over() {
    let redis = Redis::start().unwrap();
    let script = r"
good = packb((1700000000, 1.5))
def put(name, value):
    r.sadd('metrics.unique_metrics', name)
    if value is not None:
        r.set(name, value)
put(b'metrics.good', good)
put(b'metrics.trimmed', packb([(1700000000 + n, 1.0) for n in range(20)])[3:])
put(b'metrics.header', packb([(1700000000 + n, 1.0) for n in range(20)]))
put(b'metrics.cut', good + good[:9])
put(b'metrics.text', b'hello')
put(b'metrics.nan', packb((1700000000, math.nan)) + packb((1700000060, math.inf)) + good)
put(b'metrics.gone', None)
put(b'metrics.empty', packb((1700000000, None)))
put(b'other.name', good)
put(b'metrics.latin\xff', good)
r.sadd('metrics.unique_metrics', 'metrics.list')
r.lpush('metrics.list', 'x')
";
    python::run(&redis, script, "");
    let (found, adopted) = adopt(&redis).await;
    let mut names: Vec<_> = found.iter().map(|(name, points)| (name.as_str(), points.len())).collect();
    names.sort_unstable();
    assert_eq!(names, [("cut", 1), ("good", 1), ("header", 20), ("nan", 1), ("trimmed", 20)]);
    assert_eq!(adopted.points, 43);
    let problems = [adopted.missing, adopted.bad_names, adopted.unreadable, adopted.damaged, adopted.empty];
    assert_eq!(problems, [2, 2, 2, 2, 3]);
}

#[tokio::test]
async fn adopting_goes_on_after_a_failure() {
    let mut redis =
        Redis::start_with(&skyline_peers::redis::Options { keeps_data: true, ..Default::default() }).unwrap();
    let input: String = (0..2_000).map(|n| format!("m{n} 1700000000 {n}\n")).collect();
    python::run(&redis, python::WRITE, &input);
    let mut adoption = Adoption::new(server(&redis), "metrics.");
    let mut found = adoption.next().await.unwrap().unwrap().len();
    redis.restart().unwrap();
    let mut failures = 0;
    loop {
        match adoption.next().await {
            Ok(Some(windows)) => found += windows.len(),
            Ok(None) => break,
            Err(error) => {
                failures += 1;
                assert!(failures < 20, "{error}");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    }
    assert_eq!((found, failures > 0), (2_000, true));
}

#[tokio::test]
async fn nothing_is_adopted_from_nothing() {
    let redis = Redis::start().unwrap();
    let (found, adopted) = adopt(&redis).await;
    assert!(found.is_empty() && adopted == Adopted::default());
}
