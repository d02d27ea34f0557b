//! The record as its callers see it, on files in a folder of its own.

mod accounts;
mod alerts;
mod cached;
mod hostile;
mod hurt_files;
mod joining;
mod migrating;
mod mutes;
mod opening;
mod outages;
mod probing;
mod record;
mod responding;
mod retention;
mod search;

use crate::{Context, Options, Order, Row, Search, Store};
use skyline_conf::model::record::Record;
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;
use skyline_peers::mariadb::{Database, MariaDb, Shared};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Makes two tests of each function that takes a [`Home`]: on a file, and on a server.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::tests::Home::file()).await;
            })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::tests::Home::server()).await;
            })*
        }
    };
}
pub(crate) use on_both;

/// Where a record is made: a file in a folder of its own, or a database of its own.
pub(crate) enum Home {
    File(TempDir),
    Server(Database, #[expect(dead_code, reason = "the server runs as long as somebody holds it")] Shared),
}

impl Home {
    pub(crate) fn file() -> Self {
        Self::File(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn server() -> Self {
        let server = MariaDb::shared().expect("a server");
        Self::Server(server.database().expect("a database"), server)
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::File(dir) => dir.path().join("anomalies.db"),
            Self::Server(..) => PathBuf::new(),
        }
    }

    pub(crate) fn settings(&self) -> Record {
        match self {
            Self::File(_) => Record { sqlite_file: self.path(), ..Record::default() },
            Self::Server(database, _) => {
                Record { server: database.url(), user: "root".into(), ..Record::default() }
            }
        }
    }

    pub(crate) async fn open_with(&self, options: Options) -> Store {
        Store::open_with(&self.settings(), Path::new(""), options).await.expect("opened")
    }

    pub(crate) async fn open(&self) -> Store {
        self.open_with(Options::default()).await
    }
}

/// A new record in a file, and the folder that holds it.
async fn here() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(&dir.path().join("anomalies.db")).await.expect("opened");
    (dir, store)
}

pub(crate) fn context() -> Context {
    Context { host: "web01".to_owned(), app: "analyzer".to_owned() }
}

pub(crate) fn anomaly(metric: &str, ts: f64) -> Anomaly {
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
