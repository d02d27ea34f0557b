//! The record as its callers see it, on files in a folder of its own.

mod opening;
mod record;
mod retention;
mod search;

use crate::{Context, Order, Row, Search, Store};
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;
use tempfile::TempDir;

/// A new record and the folder that holds it.
async fn here() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(&dir.path().join("anomalies.db")).await.expect("opened");
    (dir, store)
}

fn context() -> Context {
    Context { host: "web01".to_owned(), app: "analyzer".to_owned() }
}

fn anomaly(metric: &str, ts: f64) -> Anomaly {
    Anomaly {
        metric: metric.to_owned(),
        point: Datapoint::new(ts, 950.0),
        judged_value: 950.0,
        received: if ts.is_finite() { ts + 0.25 } else { 1.0 },
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

/// Every row, oldest first, through pages.
async fn all(store: &Store) -> Vec<Row> {
    pages(store, Search { order: Order::Ascending, limit: 1000, ..Search::default() }).await
}

/// All pages of a search.
async fn pages(store: &Store, mut search: Search) -> Vec<Row> {
    let mut rows = Vec::new();
    loop {
        let page = store.anomalies(&search).await.expect("a page");
        assert!(page.rows.len() <= search.limit.clamp(1, crate::MAX_LIMIT) as usize);
        assert!(page.next.is_none() || !page.rows.is_empty());
        rows.extend(page.rows);
        search.cursor = page.next;
        if search.cursor.is_none() {
            return rows;
        }
    }
}
