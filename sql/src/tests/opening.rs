//! Files that are taken, and files that are refused with the reason.

use super::{anomaly, context, here};
use crate::{Error, Store};
use sqlx::SqlitePool;
use std::path::Path;

async fn run(path: &Path, sql: &'static str) {
    let pool = SqlitePool::connect(&format!("sqlite:{}?mode=rwc", path.display())).await.expect("opened");
    sqlx::query(sql).execute(&pool).await.expect("done");
    pool.close().await;
}

async fn refused(path: &Path, reason: &str) {
    match Store::open(path).await {
        Err(error @ (Error::Config { .. } | Error::Damaged { .. })) => {
            let text = error.to_string();
            assert!(text.contains(reason), "{text}");
            assert!(
                text.contains(&path.display().to_string()) && text.contains("record.sqlite_file"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    std::fs::write(
        path("text"),
        "not a database, but long enough to have a header of one hundred bytes: ".repeat(9),
    )
    .expect("written");
    refused(&path("text"), "not an SQLite database").await;
    refused(&path("absent/a.db"), "cannot be opened").await;
    refused(dir.path(), "cannot be opened").await;
    run(&path("other"), "CREATE TABLE something (id INTEGER)").await;
    refused(&path("other"), "another program").await;
    std::fs::write(path("empty"), "").expect("written");
    Store::open(&path("empty")).await.expect("an empty file is a new record").close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let (dir, store) = here().await;
    store.record(&[anomaly("a", 1.0)], &context()).await.expect("recorded");
    store.close().await;
    let path = dir.path().join("anomalies.db");
    run(&path, "INSERT INTO schema_migration VALUES (99, 'future', '', 0)").await;
    let known = super::migrating::newest();
    refused(&path, &format!("has schema 99 (future), this version of skyline knows {known} at most")).await;
    run(&path, "DELETE FROM schema_migration WHERE version = 99").await;
    let store = Store::open(&path).await.expect("opened");
    assert_eq!(store.counts().await.expect("counted").anomalies, 1);
    store.close().await;
    run(&path, "UPDATE schema_migration SET checksum = 'x'").await;
    refused(&path, "is not the one of this version").await;
}

#[tokio::test]
async fn many_may_open_a_new_file_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.db");
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { Store::open(&path).await.map(drop).map_err(|e| e.to_string()) })
        })
        .collect();
    for open in opening {
        assert_eq!(open.await.expect("ended"), Ok(()));
    }
}

#[tokio::test]
async fn a_lock_that_stays_is_worth_a_retry() {
    let (dir, store) = here().await;
    let path = dir.path().join("anomalies.db");
    let other = SqlitePool::connect(&format!("sqlite:{}", path.display())).await.expect("opened");
    let lock = other.begin_with("BEGIN IMMEDIATE").await.expect("locked");
    let error = store.record(&[anomaly("a", 1.0)], &context()).await.expect_err("locked");
    assert!(error.is_retry(), "{error}");
    drop(lock);
    other.close().await;
    store.record(&[anomaly("a", 1.0)], &context()).await.expect("recorded");
    assert_eq!(store.counts().await.expect("counted").anomalies, 1);
}

#[tokio::test]
async fn damage_in_the_middle_is_met_at_the_start() {
    let (dir, store) = here().await;
    let batch: Vec<_> = (0..2_000).map(|i| anomaly(&format!("m{i}"), f64::from(i))).collect();
    store.record(&batch, &context()).await.expect("recorded");
    store.close().await;
    let path = dir.path().join("anomalies.db");
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[40_960..81_920].fill(0xa5);
    std::fs::write(&path, bytes).expect("written");
    match Store::open(&path).await {
        Err(Error::Damaged { problem, .. }) => assert!(problem.contains("move it away"), "{problem}"),
        other => panic!("{other:?}"),
    }
}
