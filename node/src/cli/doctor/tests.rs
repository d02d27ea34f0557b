//! Tests of the stages: what is said of a status of each kind.

use super::running::Look;
use super::{points, summary};
use crate::cli::report::{Level, Part, Report};
use serde_json::{Value, json};
use skyline_conf::model::Settings;
use skyline_core::clock::Clock;
use std::time::Duration;

/// What `lines` says of a status; `before` the same with other numbers.
fn said(status: Value, before: Value, lines: impl Fn(&Look, &mut Report)) -> Vec<String> {
    let mut report = Report::new(true);
    lines(&Look { status, before, seconds: 2.0 }, &mut report);
    report.lines.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn has(said: &[String], expected: &str) {
    assert!(said.iter().any(|line| line.contains(expected)), "{expected} in {said:#?}");
}

fn listener(received: u64, refused: u64) -> Value {
    json!({ "listener": "plaintext_tcp", "addresses": ["127.0.0.1:2003"], "received": received, "refused": refused,
            "reasons": if refused > 0 { json!({ "value": refused }) } else { json!({}) } })
}

#[test]
fn points_on_their_way_in() {
    let now = Clock::system().now();
    let of = |status: Value, before: Value| {
        said(status, before, |look, report| points::lines(look, &Settings::default(), report))
    };
    let good = of(
        json!({ "ledger_balanced": true, "listeners": [listener(300, 0)], "journal": { "bytes": 1_048_576, "budget": 10_485_760 },
                "senders": [{ "sender": "10.0.0.9", "last_seen": now - 20.0 }] }),
        json!({ "listeners": [listener(100, 0)] }),
    );
    has(&good, "ok       listen: plaintext_tcp at 127.0.0.1:2003: 300 points so far, 100 a second now");
    has(&good, "ok       senders: the last to send was 10.0.0.9, 20 s ago");
    has(&good, "ok       journal: 1.0 MiB on disk of 10.0 MiB");
    has(&good, "ok       ledger");
    assert!(good.iter().all(|line| line.starts_with("ok")), "{good:#?}");
    let reader =
        json!({ "reader": "dest:a:1", "lag_seconds": 300.0, "waiting": 1_000, "shed": 7, "lost": 0 });
    let bad = of(
        json!({ "ledger_balanced": false, "listeners": [listener(300, 5)],
                "journal": { "bytes": 1_048_576, "budget": 10_485_760, "readers": [reader.clone()] },
                "senders": [{ "sender": "10.0.0.9", "last_seen": now - 3_600.0 }],
                "bad_points": [{ "time": now, "listener": "plaintext_tcp", "peer": "10.0.0.9:1", "reason": "value", "text": "a x 1" }] }),
        json!({}),
    );
    has(&bad, "warning  senders: nothing has come for 3,600 s, last from 10.0.0.9");
    has(&bad, "warning  bad points: 5 were refused since the start (value 5); the last: ");
    has(&bad, "value: a x 1; mend that sender");
    has(
        &bad,
        "warning  journal: 1.0 MiB on disk of 10.0 MiB; dest:a:1 is furthest behind: 1,000 points, 300 s",
    );
    has(&bad, "dropped before a reader had them, in all time: dest:a:1 7");
    has(&bad, "problem  ledger");
    let full = of(
        json!({ "listeners": [listener(0, 0)], "journal": { "bytes": 95, "budget": 100, "readers": [reader] } }),
        json!({}),
    );
    has(
        &full,
        "warning  senders: nobody has sent a point since the start; point a sender at it, or try: bash -c 'echo",
    );
    has(&full, "nearly full");
    has(&of(json!({}), json!({})), "problem  listen: no listener is open");
}

#[tokio::test]
async fn destinations_as_the_node_sees_them() {
    let row = |more: Value| {
        let mut row = json!({ "destination": "a:1", "connected": true, "points_per_second": 5.4, "waiting": 3, "lag_seconds": 0.2,
                              "reconnects": 0, "since": 60.0, "last_error": "refused" });
        for (key, value) in more.as_object().unwrap() {
            row[key] = value.clone();
        }
        row
    };
    let check = async |row: Value, expected: &str| {
        let mut report = Report::new(true);
        let look = Look { status: json!({ "destinations": [row] }), ..Look::default() };
        super::destinations::lines(&look, &[], &mut report).await;
        has(&report.lines.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    };
    check(
        row(json!({})),
        "ok       relay.destinations: a:1 takes 5 points a second, 3 points wait, 0 s behind",
    )
    .await;
    check(
        row(json!({ "connected": false })),
        "problem  relay.destinations: a:1 is down since 1970-01-01T00:01:00Z: refused; 3 points wait",
    )
    .await;
    check(row(json!({ "lag_seconds": 31.0, "pausing": true })), "listeners pause for it").await;
    check(row(json!({ "reconnects": 9 })), "9 connections ended since the start; look into its log").await;
    check(row(json!({ "held": true })), "problem  relay.destinations: a:1 is held").await;
    check(row(json!({ "leaving": true })), "not in the settings any more").await;
}

#[tokio::test]
async fn verdicts_and_why_there_are_none() {
    let mut settings = Settings::default();
    settings.http.api = Vec::new();
    let check = async |window: Value, expected: &str| {
        let mut report = Report::new(true);
        let look = Look { status: json!({ "window": window }), seconds: 1.0, ..Look::default() };
        super::windows::lines(&look, &settings, &mut report).await;
        has(&report.lines.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    };
    check(json!({ "warm": true, "metrics": 7 }), "ok       window: 7 metrics").await;
    check(json!({ "warm": false, "metrics": 7 }), "warning  window: 7 metrics; they are being restored")
        .await;
    check(
        json!({ "warm": true, "not_judged": { "too_short": 5 } }),
        "warning  verdicts: nothing was judged since the start; not judged: too few points 5; wait until",
    )
    .await;
    check(json!({ "warm": true }), "ok       verdicts: nothing to judge has come yet").await;
    check(
        json!({ "warm": true, "judged": 10, "p99_ms": 3.2, "anomalies": 1 }),
        "ok       verdicts: 10 since the start, 10 a second now, 1 anomalous; 99 of 100 within 3 ms",
    )
    .await;
    check(json!({ "warm": true, "judged": 10, "p99_ms": 3_000.0 }), "warning  verdicts").await;
    check(json!({ "warm": true, "shed": 3 }), "3 points never reached them").await;
}

#[tokio::test]
async fn a_back_fill_that_left_something_to_do() {
    let mut settings = Settings::default();
    settings.http.api = Vec::new();
    let check = async |backfill: Value, expected: Option<&str>| {
        let mut report = Report::new(true);
        let status = json!({ "window": { "warm": true, "metrics": 7 }, "backfill": backfill });
        super::windows::lines(&Look { status, seconds: 1.0, ..Look::default() }, &settings, &mut report)
            .await;
        let said: Vec<_> = report.lines.iter().map(ToString::to_string).collect();
        match expected {
            Some(expected) => has(&said, expected),
            None => assert!(said.iter().all(|line| !line.contains("backfill")), "{said:#?}"),
        }
    };
    check(Value::Null, None).await;
    check(json!({ "phase": "done", "counts": { "failed": 0 } }), None).await;
    check(json!({ "phase": "cancelled" }), None).await;
    check(
        json!({ "phase": "filling", "position": 3, "metrics": 9 }),
        Some("ok       backfill: 3 of 9 metrics"),
    )
    .await;
    check(json!({ "phase": "done", "metrics": 9, "counts": { "failed": 2 } }), Some("warning  backfill: "))
        .await;
    check(
        json!({ "phase": "done", "metrics": 9, "counts": { "failed": 0, "unread": 2 } }),
        Some("folders that could not be read: 2"),
    )
    .await;
    check(json!({ "phase": "failed", "error": "g: refused" }), Some("warning  backfill: failed")).await;
}

#[tokio::test]
async fn what_hangs_is_named_and_the_rest_comes_in_order() {
    let mut report = Report::new(true);
    let part = |name: &'static str, wait: u64| {
        Part::new(name, async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let mut report = Report::new(true);
            report.ok(name, "seen");
            report
        })
    };
    report
        .side_by_side(
            vec![part("slow", 60), part("hangs", 100_000), part("quick", 1)],
            Duration::from_millis(400),
        )
        .await;
    let said: Vec<_> = report.lines.iter().map(|line| (line.key.as_str(), line.level)).collect();
    assert_eq!(said, [("slow", Level::Ok), ("hangs", Level::Problem), ("quick", Level::Ok)]);
    assert!(report.lines[1].message.contains("no answer within 0.4 s"));
}

#[test]
fn the_summary_says_what_comes_next() {
    let check = |fill: &dyn Fn(&mut Report), is_running, expected: &str| {
        let mut report = Report::new(true);
        fill(&mut report);
        assert_eq!(summary(&report, " --config /s.toml", is_running, "skyline"), expected);
    };
    check(
        &|r| r.ok("a", "b"),
        true,
        "\n1 ok, 0 warnings, 0 problems: all is well\nnext: skyline status --config /s.toml",
    );
    check(
        &|r| r.warning("a", "b", "c"),
        true,
        "\n0 ok, 1 warning, 0 problems: it works\nnext: look at what is marked `warning`",
    );
    check(
        &|r| r.problem("a", "b", "c"),
        false,
        "\n0 ok, 0 warnings, 1 problem: no node WORKS here\nnext: mend what is marked `problem`, then skyline doctor --config /s.toml",
    );
}
