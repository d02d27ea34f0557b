//! Files that others remove, hold or change while they are open.

use super::{all, anomaly, context, here};
use crate::{Error, Search};
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use std::path::Path;
use std::time::{Duration, Instant};

/// Another program with the same file.
async fn other(file: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.expect("opened")
}

/// What is written into a file that was removed would be gone at the next start.
#[tokio::test]
async fn a_file_that_was_removed_takes_nothing() {
    let (dir, store) = here().await;
    let file = dir.path().join("anomalies.db");
    store.record(&[anomaly("a", 60.0)], &context()).await.expect("recorded");
    let moved = dir.path().join("moved.db");
    std::fs::rename(&file, &moved).expect("moved");
    for _ in 0..2 {
        let error = store.record(&[anomaly("b", 60.0)], &context()).await.expect_err("it is gone");
        assert!(matches!(&error, Error::Config { .. }) && error.to_string().contains("removed"), "{error}");
        assert!(store.ping().await.is_err());
        // Another one in its place is not the one that is open.
        std::fs::write(&file, "").expect("written");
    }
    std::fs::rename(&moved, &file).expect("put back");
    store.ping().await.expect("it is there");
    store.record(&[anomaly("b", 60.0)], &context()).await.expect("recorded");
    assert_eq!(all(&store).await.len(), 2);
}

/// Nothing is wrong with the anomalies: they have to wait, and not to be left out.
#[tokio::test]
async fn a_table_that_is_gone_is_no_fault_of_the_anomaly() {
    let (dir, store) = here().await;
    let mut connection = other(&dir.path().join("anomalies.db")).await;
    connection.execute("ALTER TABLE anomaly_algorithm RENAME TO taken").await.expect("renamed");
    let error = store.record(&[anomaly("a", 60.0)], &context()).await.expect_err("no table");
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    connection.execute("ALTER TABLE taken RENAME TO anomaly_algorithm").await.expect("renamed");
    store.record(&[anomaly("a", 60.0)], &context()).await.expect("recorded");
}

/// Held for longer than is waited: those who write are told so in time, those who read go on.
#[tokio::test]
async fn a_file_that_another_holds_is_read_and_waited_for() {
    let (dir, store) = here().await;
    store.record(&[anomaly("a", 60.0)], &context()).await.expect("recorded");
    let mut connection = other(&dir.path().join("anomalies.db")).await;
    connection.execute("BEGIN IMMEDIATE").await.expect("begun");
    let started = Instant::now();
    let (batch, who) = ([anomaly("b", 60.0)], context());
    let (written, also, read) =
        tokio::join!(store.record(&batch, &who), store.set_label(1, Some("x"), 1), async {
            let page = store.anomalies(&Search::default()).await.expect("read");
            assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
            page.rows.len()
        });
    assert_eq!(read, 1);
    assert!(written.expect_err("held").is_retry() && also.expect_err("held").is_retry());
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    connection.execute("ROLLBACK").await.expect("ended");
    store.record(&batch, &context()).await.expect("recorded");
    assert_eq!(all(&store).await.len(), 2);
}

/// So full that nothing more goes in: what was recorded is there, and it goes on when there is room.
#[tokio::test]
async fn a_full_file_is_worth_a_retry() {
    let (dir, store) = here().await;
    store.record(&[anomaly("a", 60.0)], &context()).await.expect("recorded");
    let mut session = store.writer().await.expect("the connection that writes");
    session.raw("PRAGMA max_page_count = 1").await.expect("set");
    drop(session);
    let batch: Vec<_> = (0..2_000).map(|i| anomaly(&format!("m{i}"), 60.0)).collect();
    let error = store.record(&batch, &context()).await.expect_err("full");
    assert!(error.is_retry() && error.to_string().contains("full"), "{error}");
    assert_eq!(all(&store).await.len(), 1);
    // What was tried is undone with its connection; the next one has room.
    store.record(&batch, &context()).await.expect("recorded");
    assert_eq!(all(&store).await.len(), 2_001);
    drop(dir);
}
