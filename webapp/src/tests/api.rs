//! What the API answers, and what it complains about.

use super::{Api, Client, anomaly};
use hyper::Method;
use serde_json::{Value, json};
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;

#[tokio::test]
async fn an_anomaly_as_json() {
    let mut api = Api::start().await;
    let counter =
        Anomaly {
            counter: true, point: Datapoint::new(9_900.5, 12_345.0), ..anomaly("a.\"b\"<ü>", 9_900.5)
        };
    api.record(&[counter]).await;
    let answer = api.get("/api/v1/anomalies").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    let expected = json!({
        "id": 1,
        "metric": "a.\"b\"<ü>",
        "timestamp": 9_900.5,
        "value": 12_345,
        "judged_value": 950,
        "counter": true,
        "received": 9_901,
        "algorithms_triggered": ["histogram_bins", "first_hour_average", "stddev_from_average", "grubbs", "ks_test",
            "mean_subtraction_cumulation", "median_absolute_deviation"],
        "algorithms_asked": ["histogram_bins", "first_hour_average", "stddev_from_average", "grubbs", "ks_test",
            "mean_subtraction_cumulation", "median_absolute_deviation", "stddev_from_moving_average", "least_squares"],
        "mean": 100,
        "stddev": 100,
        "window_from": -76_499.5,
        "window_points": 1440,
        "full_duration": 86_400,
        "host": "web01",
        "app": "analyzer",
        "recurrences": 0,
        "verdict": "undecided",
        "label": null,
        "label_by": null,
        "ended": null,
        "explanation": "increase 950 (to 12345) is 8.5 deviations above its mean 100 over 24 h; 7 of 9 algorithms agree",
    });
    assert_eq!(answer.json(), json!({ "anomalies": [expected], "next": null }));
    assert_eq!(api.get("/api/v1/anomalies/1").await.json(), expected);
    for (path, status) in
        [("2", 404), ("x", 400), ("1.5", 400), ("99999999999999999999", 400), ("1?x=1", 400)]
    {
        let answer = api.get(&format!("/api/v1/anomalies/{path}")).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["error"].is_string());
    }
}

#[tokio::test]
async fn pages_are_linked() {
    let mut api = Api::start().await;
    let batch: Vec<_> =
        (0..25).map(|i| anomaly(if i % 5 == 0 { "other" } else { "a b&c" }, f64::from(i))).collect();
    api.record(&batch).await;
    for order in ["asc", "desc"] {
        let mut path = format!("/api/v1/anomalies?metric_like=a%20b%25&limit=7&order={order}&from=1");
        let (mut times, mut sizes) = (Vec::new(), Vec::new());
        loop {
            let page = api.get(&path).await.json();
            let rows = page["anomalies"].as_array().expect("rows");
            sizes.push(rows.len());
            times.extend(rows.iter().filter_map(|row| row["timestamp"].as_i64()));
            match &page["next"] {
                Value::String(next) => path = next.clone(),
                _ => break,
            }
        }
        let mut expected: Vec<_> = (0..25).filter(|i| i % 5 != 0).collect();
        if order == "desc" {
            expected.reverse();
        }
        assert_eq!((times, sizes), (expected, vec![7, 7, 6]));
    }
}

#[tokio::test]
async fn searches() {
    let mut api = Api::start().await;
    api.record(&[
        anomaly("a", 1_569_399_960.0),
        anomaly("b", 1_569_399_961.0),
        anomaly("c", 1_569_400_020.0),
    ])
    .await;
    let mut check = async |query: &str, expected: &[&str]| {
        let answer = api.get(&format!("/api/v1/anomalies?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let rows = answer.json();
        let rows: Vec<_> =
            rows["anomalies"].as_array().expect("rows").iter().filter_map(|r| r["metric"].as_str()).collect();
        assert_eq!(rows, expected, "{query}");
    };
    check("", &["c", "b", "a"]).await;
    check("metric=b", &["b"]).await;
    check("metric=all&order=ASC", &["a", "b", "c"]).await;
    check("metric=nothing", &[]).await;
    check("from=1569399961", &["c", "b"]).await;
    check("from=20190925+08:26&until=20190925%2008:26", &["a"]).await;
    check("until=1569399960.5&from=all", &["a"]).await;
    check("app=analyzer&host=web01&limit=1", &["c"]).await;
    check("app=boundary", &[]).await;
    check("algorithm=grubbs", &["c", "b", "a"]).await;
    check("algorithm=least_squares", &[]).await;
}

#[tokio::test]
async fn complaints_name_the_parameter() {
    let mut api = Api::start().await;
    let mut check = async |query: &str, parameter: &str, says: &str| {
        let answer = api.get(&format!("/api/v1/anomalies?{query}")).await;
        let body = answer.json();
        assert_eq!((answer.status, &body["parameter"]), (400, &json!(parameter)), "{query}");
        assert!(body["error"].as_str().is_some_and(|e| e.contains(says)), "{query}: {body}");
        assert!(body["allowed"].as_array().is_some_and(|a| a.contains(&json!("metric_like"))), "{body}");
    };
    check("metrc=a", "metrc", "no parameter").await;
    check("metric=a&metric=b", "metric", "twice").await;
    check("metric=a&metric_like=b", "metric_like", "not both").await;
    check("from=yesterday", "from", "unix seconds").await;
    check("until=2019-09-25", "until", "YYYYmmdd HH:MM").await;
    check("algorithm=magic", "algorithm", "least_squares").await;
    for limit in ["0", "1001", "-1", "ten", "1e2", "99999999999"] {
        check(&format!("limit={limit}"), "limit", "from 1 to 1000").await;
    }
    check("cursor=1", "cursor", "page before").await;
    check("order=up", "order", "asc or desc").await;
    check(&format!("metric_like={}", "x".repeat(2_049)), "metric_like", "2048").await;
    check("%3Cscript%3E=1", "<script>", "<script>").await;
}

#[tokio::test]
async fn what_is_anomalous_now_as_a_script() {
    let mut api = Api::start().await;
    assert_eq!(api.get("/anomalies.json").await.text, "handle_data([])");
    let hostile = "a\");alert('x');//</script>\u{2028}";
    let batch = [
        anomaly("old", 9_000.0),
        anomaly("a.b", 9_980.0),
        anomaly(hostile, 9_990.25),
        anomaly("a.b", 9_920.0),
    ];
    api.record(&batch).await;
    let answer = api.get("/anomalies.json?callback=x&_=1569400000").await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers["content-type"].to_str().expect("text").starts_with("application/javascript"));
    assert_eq!(
        answer.text,
        r#"handle_data([[950.0, "a\");alert('x');//\u003c/script\u003e\u2028", 9990.25], [950.0, "a.b", 9980]])"#
    );
    assert!(api.get("/anomalies.json?seconds=3600&x=%").await.text.contains("\"old\""));
    assert_eq!(api.get("/anomalies.json?seconds=0").await.json()["parameter"], "seconds");
}

#[tokio::test]
async fn windows() {
    let mut api = Api::start().await;
    let mut check = async |path: &str, status, expected: Value| {
        let answer = api.get(path).await;
        assert_eq!((answer.status, answer.json()), (status, expected), "{path}");
    };
    let points = json!([[60, 1], [120, 2.5], [180.5, -0.25]]);
    check("/api/v1/series/a.b", 200, json!({ "metric": "a.b", "points": points })).await;
    check("/api/v1/series/a/%C3%BC", 200, json!({ "metric": "a/ü", "points": points })).await;
    check("/api/v1/series/a.b?from=61&until=120", 200, json!({ "metric": "a.b", "points": [[120, 2.5]] }))
        .await;
    check("/api/v1/series/no", 404, json!({ "error": "there is no metric `no` in the window" })).await;
    check("/api/v1/series/busy", 503, json!({ "error": "the window is busy: ask again" })).await;
    let off = "windows are switched off (window.enabled)";
    check("/api/v1/series/off", 404, json!({ "error": off })).await;
    check("/api?metric=metrics.off", 404, json!({ "results": format!("Error: {off}") })).await;
    check("/api/v1/series/%ff", 400, json!({ "error": "the metric's name is not UTF-8" })).await;
    check("/api?metric=metrics.a.b", 200, json!({ "results": points })).await;
    check("/api?metric=metrics.no", 404, json!({ "results": "Error: no key called metrics.no" })).await;
    let key = "Error: no key called a.b: metrics are called metrics.NAME here";
    check("/api?metric=a.b", 404, json!({ "results": key })).await;
    let ask = "Error: no metric requested: ask for ?metric=metrics.NAME";
    check("/api", 404, json!({ "results": ask })).await;
    let other = "Error: ask for ?metric=metrics.NAME; other questions are not answered here";
    check("/api?graphite_metric=a", 404, json!({ "results": other })).await;
    check("/version", 200, json!({ "SKYLINE_VERSION": env!("CARGO_PKG_VERSION") })).await;
    assert_eq!(api.get("/api/v1/series/busy").await.headers["retry-after"], "1");
}

#[tokio::test]
async fn the_seed_can_be_removed_and_nothing_else() {
    let mut api = Api::start().await;
    api.record(&[anomaly(crate::api::SEED_METRIC, 9_990.0), anomaly("a", 9_990.0)]).await;
    let answer = api.client.ask(Method::DELETE, "/api/v1/seed").await;
    assert_eq!(answer.json(), json!({ "metric": "horizon.test.pickle", "window": true, "anomalies": 1 }));
    assert_eq!(api.store.counts().await.expect("counted").anomalies, 1);
    for (method, path) in [
        (Method::GET, "/api/v1/seed"),
        (Method::DELETE, "/api/v1/series/a"),
        (Method::DELETE, "/api/v1/anomalies/1"),
        (Method::POST, "/api/v1/anomalies"),
        (Method::OPTIONS, "/api/v1/seed"),
    ] {
        let answer = api.client.ask(method.clone(), path).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.headers.contains_key("allow"), "{method} {path}");
        assert!(answer.json()["routes"].is_array());
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn an_unknown_path_lists_the_routes() {
    let mut api = Api::start().await;
    for path in ["/", "/api/v2", "/api/v1/series/", "/..%2f..%2fetc/passwd", "/anomalies.json/"] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["routes"].as_array().is_some_and(|r| r.len() == 12), "{path}");
    }
}

#[tokio::test]
async fn a_record_that_is_away_is_no_hang() {
    let mut api = Api::start().await;
    api.store.close().await;
    for path in ["/api/v1/anomalies", "/api/v1/anomalies/1", "/anomalies.json"] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(!answer.text.contains("a.db"), "paths of this machine stay inside: {}", answer.text);
    }
    assert_eq!(api.get("/version").await.status, 200);
    assert!(!api.served.ended.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_ask_while_anomalies_are_recorded() {
    let api = Api::start().await;
    let batch: Vec<_> = (0..2_000).map(|i| anomaly(&format!("m{}", i % 100), f64::from(i))).collect();
    api.record(&batch).await;
    let address = api.served.address;
    let clients: Vec<_> = (0..1_000)
        .map(|i| {
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                for path in [
                    format!("/api/v1/anomalies?metric=m{}&limit=5", i % 100),
                    "/anomalies.json?seconds=86400".to_owned(),
                ] {
                    let mut answer = client.get(&path).await;
                    // A slow machine may say "later", and only that.
                    while answer.status == 503 && answer.headers["retry-after"] == "1" {
                        answer = client.get(&path).await;
                    }
                    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
                }
            })
        })
        .collect();
    for i in 0..20 {
        api.record(&[anomaly("late", 5_000.0 + f64::from(i))]).await;
    }
    for client in clients {
        client.await.expect("answered");
    }
    assert_eq!(api.store.counts().await.expect("counted").anomalies, 2_020);
}

#[tokio::test]
async fn what_the_relay_does() {
    let mut api = Api::start().await;
    let destinations = api.get("/api/v1/relay/destinations").await.json();
    assert_eq!(destinations, json!({ "destinations": [{ "destination": "h:1" }] }));
    let senders = api.get("/api/v1/relay/senders").await.json();
    assert_eq!((senders["senders"].as_array().map(Vec::len), &senders["known"]), (Some(100), &json!(300)));
    assert_eq!(api.get("/api/v1/relay/bad?limit=2").await.json(), json!({ "bad_points": [298, 299] }));
    for bad in ["senders?limit=0", "senders?limit=10002", "bad?limit=x", "bad?from=1", "destinations?limit=1"]
    {
        assert_eq!(api.get(&format!("/api/v1/relay/{bad}")).await.status, 400, "{bad}");
    }
}
