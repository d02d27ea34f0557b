//! Answers as Graphite gives them, and as it should not.

use super::*;

#[track_caller]
fn check(text: &str, expected: &[(&str, &[(i64, f64)])], skipped: Skipped) {
    let answer = parse_render(text.as_bytes(), Limits::default()).unwrap();
    let got: Vec<(&str, Vec<(i64, f64)>)> = answer
        .series
        .iter()
        .map(|s| (s.name.as_str(), s.points.iter().map(|p| (p.ts, p.value)).collect()))
        .collect();
    let expected: Vec<(&str, Vec<(i64, f64)>)> = expected.iter().map(|(n, p)| (*n, p.to_vec())).collect();
    assert_eq!((got, answer.skipped), (expected, skipped), "{text}");
}

#[test]
fn answers() {
    let none = Skipped::default();
    check("[]", &[], none);
    check(
        r#"[{"target": "a.b", "tags": {"name": "a.b"}, "datapoints": [[1.5, 60], [null, 120], [2, 180]]}]"#,
        &[("a.b", &[(60, 1.5), (180, 2.0)])],
        Skipped { null: 1, ..none },
    );
    check(
        r#"[{"datapoints": [], "target": "b"}, {"target": "c", "datapoints": [[1, 60.9]], "x": [{"y": 1}]}]"#,
        &[("b", &[]), ("c", &[(60, 1.0)])],
        none,
    );
}

#[test]
fn points_that_are_none_cost_no_neighbour() {
    check(
        r#"[{"target":"a","datapoints":[[NaN,60],[Infinity,60],[1e9999,60],["7",60],[true,60],[1,null],[1,"60"],
            [1,-60],[1,9223372036854775807],7,[1],[1,60,3],[{"a":1},60],[5,120],[6,60],[7,120]]}]"#,
        &[("a", &[(60, 6.0), (120, 7.0)])],
        Skipped { null: 0, not_finite: 3, not_a_number: 6, time: 4, duplicate: 1, unsorted: 1 },
    );
}

#[test]
fn what_is_no_answer_is_refused() {
    let refused = |text: &str, words: &str| {
        let error = parse_render(text.as_bytes(), Limits { series: 2, points: 3 }).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    };
    refused("", "ends at byte 0");
    refused("<!DOCTYPE html><html>", "HTML");
    refused("{}", "no `[`");
    refused("[1]", "no `{`");
    refused(r#"[{"target": 1, "datapoints": []}]"#, "no text");
    refused(r#"[{"target": "a"}]"#, "no datapoints");
    refused(r#"[{"target": "a", "datapoints": [[1, 60]"#, "ends at byte");
    refused(r#"[{"target": "a", "datapoints": []}] x"#, "no end");
    let one = r#"{"target": "a", "datapoints": []}"#;
    refused(&format!("[{one},{one},{one}]"), "more than 2 series");
    refused(r#"[{"target": "a", "datapoints": [[1,1],[1,2],[1,3],[1,4]]}]"#, "more points than");
}

#[test]
fn questions() {
    let check = |path: &str, target: &str, expected: &str| {
        assert_eq!(render_question(path, target, (60, 120), 130), expected);
    };
    let tail = "&from=60&until=120&now=130&format=json";
    check("/render", "a.b", &format!("/render?target=a.b{tail}"));
    check(
        "/render",
        "sumSeries(a.*, 'ü')",
        &format!("/render?target=sumSeries%28a.%2A%2C%20%27%C3%BC%27%29{tail}"),
    );
    check("/r/?from=-10minutes&format=json&local=1&target=", "a", &format!("/r/?local=1&target=a{tail}"));
}

#[test]
fn names_found() {
    let check = |text: &str, expected: &[(&str, bool)]| {
        let found = parse_find(text.as_bytes(), 2).unwrap();
        let got: Vec<_> = found.iter().map(|f| (f.path.as_str(), f.is_leaf)).collect();
        assert_eq!(got, expected, "{text}");
    };
    check("[]", &[]);
    check(
        r#"[{"allowChildren": 1, "expandable": 1, "leaf": 0, "id": "a", "text": "a", "context": {}},
            {"leaf": 1, "id": "b", "text": "b"}, {"leaf": 1}]"#,
        &[("a", false), ("b", true)],
    );
    check(
        r#"{"metrics": [{"path": "a.", "name": "a", "is_leaf": "0"}, {"path": "b", "is_leaf": "1"}]}"#,
        &[("a", false), ("b", true)],
    );
    assert!(
        parse_find(br#"[{"id":"a"},{"id":"b"},{"id":"c"}]"#, 2)
            .unwrap_err()
            .to_string()
            .contains("more than 2")
    );
    assert_eq!(parse_find(b"<html>", 2), Err(Unusable::Page));
}

#[test]
fn long_answers_are_read_beside_the_runtime() {
    use skyline_peers::http::{Reply, Server};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    let check = |kind: &'static str, blanks: usize, beside: u32| {
        let threads = Arc::new(AtomicU32::new(0));
        let started = Arc::clone(&threads);
        // All of it is one thread, but for what is done beside it.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_start(move || {
                started.fetch_add(1, SeqCst);
            })
            .build()
            .unwrap();
        let text = match kind {
            "prometheus" => {
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[60,"1"]]}]}}"#
            }
            "render" => r#"[{"target":"t","datapoints":[[1,60]]}]"#,
            _ => r#"[{"id":"t","leaf":1}]"#,
        };
        let server =
            Server::start(move |_| Reply::text(200, &format!("{text}{}", " ".repeat(blanks)))).unwrap();
        let client = Client::new(skyline_upstream::Options::new("a", server.url())).unwrap();
        let limits = Limits::default();
        let found = runtime.block_on(async {
            match kind {
                "prometheus" => {
                    let path = crate::prometheus::QUERY_RANGE;
                    let asked = crate::prometheus::range(&client, path, "x", (60, 60), 60, limits).await;
                    asked.unwrap().series.len()
                }
                "render" => render(&client, render_question(RENDER, "t", (0, 60), 60), limits)
                    .await
                    .unwrap()
                    .series
                    .len(),
                _ => find(&client, RENDER, "*").await.unwrap().len(),
            }
        });
        assert_eq!((found, threads.load(SeqCst)), (1, beside), "{kind}, {blanks}");
    };
    for kind in ["render", "find", "prometheus"] {
        check(kind, 0, 0);
        check(kind, AT_ONCE, 1);
    }
}
