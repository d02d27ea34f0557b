//! Anomalies of a metric that follow each other are one row, counted once, whoever records them and however
//! often.

use super::{Home, all, anomaly, context, on_both};
use crate::{Context, Options, Recorded, Store};
use proptest::prelude::*;
use skyline_core::anomaly::Anomaly;

on_both!(
    those_that_follow_are_counted,
    what_was_counted_is_not_counted_again,
    other_parts_and_nodes_join_too,
    nodes_that_write_at_once_make_no_twins,
    a_row_that_goes_on_is_anomalous_now,
);

const JOIN: u32 = 900;

async fn joining(home: &Home) -> Store {
    home.open_with(Options { join_seconds: JOIN, ..Options::default() }).await
}

/// Begin, end and count of each row, by metric and time.
async fn spans(store: &Store) -> Vec<(String, f64, Option<f64>, u64)> {
    let mut spans: Vec<_> = all(store)
        .await
        .into_iter()
        .map(|r| (r.anomaly.metric, r.anomaly.point.ts, r.ended, r.recurrences))
        .collect();
    spans.sort_by(|a, b| a.partial_cmp(b).expect("finite"));
    spans
}

fn at(times: &[f64]) -> Vec<Anomaly> {
    times.iter().map(|ts| anomaly("a", *ts)).collect()
}

async fn those_that_follow_are_counted(home: Home) {
    let store = joining(&home).await;
    let record = async |batch: &[Anomaly], new, joined, known| {
        let expected = Recorded { new, joined, known, refused: 0 };
        assert_eq!(store.record(batch, &context()).await.expect("recorded"), expected);
    };
    record(&at(&[1_000.0, 1_060.0]), 1, 1, 0).await;
    record(&at(&[1_120.5]), 0, 1, 0).await;
    // Exactly at the limit it still joins; a moment later it does not.
    record(&at(&[2_020.5]), 0, 1, 0).await;
    record(&at(&[2_920.75]), 1, 0, 0).await;
    record(&[anomaly("b", 1_000.0)], 1, 0, 0).await;
    // In one batch: two rows of one metric, not in order.
    record(&at(&[9_060.0, 5_000.0, 9_000.0]), 2, 1, 0).await;
    let a = || "a".to_owned();
    assert_eq!(
        spans(&store).await,
        [
            (a(), 1_000.0, Some(2_020.5), 3),
            (a(), 2_920.75, None, 0),
            (a(), 5_000.0, None, 0),
            (a(), 9_000.0, Some(9_060.0), 1),
            ("b".to_owned(), 1_000.0, None, 0),
        ]
    );
    let first = all(&store).await.remove(0);
    assert_eq!(first.anomaly, anomaly("a", 1_000.0), "the row tells of the first one");
}

async fn what_was_counted_is_not_counted_again(home: Home) {
    let store = joining(&home).await;
    let batch = at(&[0.0, 60.0, 120.0, 2_000.0, 2_100.0]);
    store.record(&batch, &context()).await.expect("recorded");
    let before = all(&store).await;
    for from in 0..batch.len() {
        let again = store.record(&batch[from..], &context()).await.expect("recorded");
        assert_eq!((again.new, again.joined, again.known), (0, 0, (batch.len() - from) as u64));
    }
    for one in &batch {
        store.record(std::slice::from_ref(one), &context()).await.expect("recorded");
    }
    assert_eq!(all(&store).await, before);
}

async fn other_parts_and_nodes_join_too(home: Home) {
    let store = joining(&home).await;
    let other = |host: &str, app: &str| Context { host: host.to_owned(), app: app.to_owned() };
    for (ts, host, app) in [
        (0.0, "one", "analyzer"),
        (0.0, "two", "analyzer"),
        (30.0, "one", "boundary"),
        (30.0, "two", "analyzer"),
    ] {
        store.record(&at(&[ts]), &other(host, app)).await.expect("recorded");
    }
    assert_eq!(spans(&store).await, [("a".to_owned(), 0.0, Some(30.0), 1)]);
    let row = all(&store).await.remove(0);
    assert_eq!((row.host.as_str(), row.app.as_str()), ("one", "analyzer"));
}

async fn nodes_that_write_at_once_make_no_twins(home: Home) {
    const NODES: usize = 4;
    let mut writing = Vec::new();
    for node in 0..NODES {
        let store = joining(&home).await;
        let context = Context { host: format!("node{node}"), app: "analyzer".to_owned() };
        writing.push(tokio::spawn(async move {
            for round in 0..10_u32 {
                // The same metrics, each node in another order.
                let mut batch: Vec<_> =
                    (0..20).map(|i| anomaly(&format!("m{i}"), f64::from(round) * 60.0)).collect();
                batch.rotate_left(node * 5);
                store.record(&batch, &context).await.expect("recorded");
            }
        }));
    }
    for node in writing {
        node.await.expect("written");
    }
    let store = joining(&home).await;
    let counts = store.counts().await.expect("counted");
    assert_eq!(counts.metrics, 20);
    let spans = spans(&store).await;
    assert_eq!(spans.len(), 20, "{spans:?}");
    assert!(spans.iter().all(|(_, begin, ..)| *begin == 0.0));
    // Nodes that are behind meet times that others have counted.
    assert!(spans.iter().all(|(.., end, more)| *end == Some(540.0) && *more == 9), "{spans:?}");
}

async fn a_row_that_goes_on_is_anomalous_now(home: Home) {
    let store = joining(&home).await;
    store.record(&at(&[0.0, 800.0]), &context()).await.expect("recorded");
    let now = store.latest(700.0, 10).await.expect("read");
    assert_eq!(now.len(), 1);
    assert_eq!((now[0].last_received, now[0].ended), (800.25, Some(800.0)));
    assert!(store.latest(900.0, 10).await.expect("read").is_empty());
    // Old is what ended long ago.
    assert_eq!(store.purge(500.0).await.expect("purged"), 0);
    assert_eq!(store.purge(801.0).await.expect("purged"), 1);
}

/// The rows by definition: a new one wherever the gap is larger.
fn model(times: &[u32]) -> Vec<(f64, Option<f64>, u64)> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.dedup();
    let mut rows: Vec<(f64, Option<f64>, u64)> = Vec::new();
    for ts in times.into_iter().map(f64::from) {
        match rows.last_mut() {
            Some((begin, end, more)) if ts - end.unwrap_or(*begin) <= f64::from(JOIN) => {
                (*end, *more) = (Some(ts), *more + 1);
            }
            _ => rows.push((ts, None, 0)),
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// In order, cut anywhere, each piece perhaps given twice or with what came before.
    #[test]
    fn rows_do_not_depend_on_grouping_or_repeats(
        mut times in proptest::collection::vec(0..20_000_u32, 1..40),
        cuts in proptest::collection::vec((1..8_usize, 0..5_usize), 1..20),
    ) {
        times.sort_unstable();
        times.dedup();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let rows = runtime.block_on(async {
            let home = Home::file();
            let store = joining(&home).await;
            let anomalies: Vec<_> = times.iter().map(|ts| anomaly("a", f64::from(*ts))).collect();
            let (mut at, mut new_and_joined) = (0, 0);
            for (size, back) in cuts.iter().cycle() {
                let end = (at + size).min(anomalies.len());
                let batch = &anomalies[at.saturating_sub(*back)..end];
                let recorded = store.record(batch, &context()).await.expect("recorded");
                new_and_joined += recorded.new + recorded.joined;
                at = end;
                if at == anomalies.len() {
                    break;
                }
            }
            assert_eq!(new_and_joined, anomalies.len() as u64);
            spans(&store).await
        });
        let rows: Vec<_> = rows.into_iter().map(|(_, begin, end, more)| (begin, end, more)).collect();
        prop_assert_eq!(rows, model(&times));
    }
}
