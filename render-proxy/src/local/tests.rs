//! Questions answered from windows that a test fills.

use super::*;
use crate::params::Params;
use crate::windows::Later as Answered;
use std::collections::HashMap;

const NOW: i64 = 1_700_000_130;

/// Windows with a point a minute.
struct Few(HashMap<String, Vec<Datapoint>>);

impl Windows for Few {
    fn series<'a>(&'a self, name: &'a str, from: f64, until: f64) -> Answered<'a, Option<Vec<Datapoint>>> {
        let of = |points: &Vec<Datapoint>| {
            points.iter().copied().filter(|p| p.ts >= from && p.ts <= until).collect()
        };
        let points = self.0.get(name).map(of);
        Box::pin(async move { Ok(points) })
    }

    fn names<'a>(&'a self, pattern: &'a Arc<Glob>, limit: usize) -> Answered<'a, Vec<String>> {
        let mut names: Vec<String> = self.0.keys().filter(|name| pattern.matches(name)).cloned().collect();
        names.sort();
        names.truncate(limit);
        Box::pin(async move { Ok(names) })
    }

    fn nodes<'a>(&'a self, find: &'a Arc<Find>, _: usize) -> Answered<'a, Nodes> {
        let nodes = find.nodes(self.0.keys().map(String::as_str));
        Box::pin(async move { Ok(nodes) })
    }
}

fn local(names: &[&str]) -> Local {
    let points =
        (0..60).map(|i| Datapoint::new((NOW - 10 - 60 * (59 - i)) as f64, i as f64)).collect::<Vec<_>>();
    let all = names.iter().map(|name| ((*name).to_owned(), points.clone())).collect();
    Local::new(Arc::new(Few(all)), 86_400, Look::Dark, "UTC")
}

fn question(query: &str) -> Question {
    Question::read(&Params::read(query, None, b""), NOW).unwrap()
}

async fn json(local: &Local, query: &str) -> Result<serde_json::Value, NotHere> {
    let question = question(&format!("{query}&format=json"));
    let found = local.series(&question).await?;
    let answer = local.write(&question, found, true).await?;
    Ok(serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test]
async fn names_and_patterns_and_functions() {
    let local = local(&["a.x", "a.y", "b;dc=1"]);
    let all = json(&local, "target=a.*&target=b;dc%3D1&from=-3min").await.unwrap();
    let names: Vec<_> = all.as_array().unwrap().iter().map(|s| s["target"].as_str().unwrap()).collect();
    assert_eq!(names, ["a.x", "a.y", "b;dc=1"]);
    assert_eq!(
        all[0]["datapoints"],
        serde_json::json!([[57.0, 1_699_999_980], [58.0, 1_700_000_040], [59.0, 1_700_000_100]])
    );
    assert_eq!(all[2]["tags"], serde_json::json!({ "name": "b", "dc": "1", "answeredBy": "window" }));
    let wrapped =
        json(&local, "target=aliasSub(nonNegativeDerivative(a.x), \"(^.*$)\", \"\\1 A\")&from=-2min")
            .await
            .unwrap();
    assert_eq!(wrapped[0]["target"], "nonNegativeDerivative(a.x) A");
    assert_eq!(wrapped[0]["datapoints"][1][0], 1.0);
    let button = json(&local, "target=constantLine(100)&from=-1h").await.unwrap();
    assert_eq!(button[0]["datapoints"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn more_nodes_than_are_listed_are_none() {
    let local = local(&["a.x", "a.y", "b.x"]);
    let count = async |pattern: &str, limit: usize| {
        local.nodes(&Arc::new(Find::new(pattern).unwrap()), limit).await.map(|nodes| nodes.len())
    };
    assert_eq!(count("*", 2).await, Ok(2));
    assert_eq!(count("*.*", 3).await, Ok(3));
    assert_eq!(count("*.*", 2).await, Err(NotHere::TooManyNodes(2)));
    assert_eq!(local.interval(NOW), (NOW - 86_400, NOW));
}

#[tokio::test]
async fn what_is_not_here() {
    let local = local(&["a.x"]);
    assert_eq!(json(&local, "target=b").await, Err(NotHere::NoMetric));
    assert_eq!(json(&local, "target=sumSeries(a.x)").await, Err(NotHere::Function("sumSeries".into())));
    let many = format!("target=group({})", ["a.x"; 201].join(","));
    assert_eq!(json(&local, &many).await, Err(NotHere::TooMany), "wherever they stand");
    assert!(!Local::knows(&question("target=alias(sumSeries(a.x),'x')")));
    assert!(Local::knows(&question("target=cactiStyle(nonNegativeDerivative(a.x))")));
    assert!(local.reaches(&question("target=a&from=-24h")));
    assert!(!local.reaches(&question("target=a&from=-25h")));
}

#[tokio::test]
async fn pictures() {
    let local = local(&["a.x", "a.y", "a.z"]);
    for (query, size) in
        [("target=cactiStyle(a.x)&width=588&height=308", (588, 308)), ("target=a.*", (330, 600))]
    {
        let question = question(query);
        let found = local.series(&question).await.unwrap();
        let answer = local.write(&question, found, true).await.unwrap();
        assert_eq!(answer.content_type, "image/png");
        assert!(answer.body.starts_with(b"\x89PNG\r\n\x1a\n"));
        let side = |at: usize| u32::from_be_bytes(answer.body[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), side(20)), size);
    }
    let question = question("target=a.x&format=svg");
    let found = local.series(&question).await.unwrap();
    let svg = local.write(&question, found, true).await.unwrap();
    assert!(String::from_utf8_lossy(&svg.body).contains("answered from the window"));
}

#[test]
fn steps() {
    let check = |gaps: &[f64], expected: i64| {
        let mut ts = 0.0;
        let points: Vec<Datapoint> = gaps
            .iter()
            .map(|gap| {
                ts += gap;
                Datapoint::new(ts, 0.0)
            })
            .collect();
        assert_eq!(step(&points), expected);
    };
    check(&[], 60);
    check(&[1.0, 10.2, 9.9, 10.0, 3_600.0], 10);
    check(&[1.0, 47.0, 47.0], 47);
    check(&[1.0, 0.2, 0.2], 1);
}

#[tokio::test]
async fn large_questions_are_bounded_and_take_turns() {
    let points: Vec<_> = (0..86_400).map(|i| Datapoint::new((NOW - 86_399 + i) as f64, 1.0)).collect();
    let all = (0..24).map(|i| (format!("s.{i:02}"), points.clone())).collect();
    let local = Local::new(Arc::new(Few(all)), 86_400, Look::Dark, "UTC");
    assert_eq!(local.series(&question("target=s.*&from=-24h")).await.map(drop), Err(NotHere::TooLarge));
    let large = question("target=s.0*&from=-24h");
    let mut held = Vec::new();
    for _ in 0..LARGE_AT_ONCE {
        held.push(local.series(&large).await.unwrap());
    }
    let short = std::time::Duration::from_millis(100);
    let small = question("target=s.0*&from=-10min");
    local.series(&small).await.expect("small ones go by");
    assert!(tokio::time::timeout(short, local.series(&large)).await.is_err(), "it waits");
    // The place is free when the answer is written.
    local.write(&small, held.pop().unwrap(), false).await.unwrap();
    local.series(&large).await.unwrap();
    assert_eq!(local.large.available_permits(), 1);
}
