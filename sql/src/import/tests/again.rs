//! Once is enough: repeated, interrupted and later imports make every row once.

use super::*;
use crate::tests::{Home, on_both};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

on_both!(
    twice_is_once,
    interrupted_anywhere,
    what_came_since,
    what_the_record_has_found_itself,
    under_another_name,
    two_databases,
    two_at_once,
    rows_removed_since,
    a_stronger_correlation_since,
);

/// Runs a future for so many polls and drops it where it is.
async fn for_polls<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

fn odd() -> Old {
    Old::new(&[BASE, TO_1_2_16, FRESH_1_3_0, ROWS, ROWS_1_2_16, ROWS_1_3_0, ODD_ROWS])
}

/// A few pages of everything that has pages.
fn pages(anomalies: u64) -> Old {
    Old::new(&[BASE, TO_1_2_16, FRESH_1_3_0, ROWS, &big::rows(anomalies, 130, 20)])
}

async fn twice_is_once(home: Home) {
    let (old, record) = (odd(), home.open().await);
    let first = old.import_into(&record).await;
    let made = content(&record).await;
    assert!(made.values().all(|rows| !rows.is_empty()), "{made:?}");
    let second = old.import_into(&record).await;
    assert_eq!(content(&record).await, made);
    assert_eq!(second.new_rows(), 0);
    for table in &first.tables {
        assert_eq!(of(&second, table.name), &table.tally, "{}", table.name);
    }
}

async fn interrupted_anywhere(home: Home) {
    let old = pages(3_500);
    let whole = Home::file();
    let whole = whole.open().await;
    let expected = old.import_into(&whole).await;
    let record = home.open().await;
    let (mut polls, mut interrupted) = (20, 0);
    let report = loop {
        match for_polls(polls, old.attempt(&record)).await {
            Some(outcome) => break outcome.unwrap(),
            None => interrupted += 1,
        }
        polls += polls / 3 + interrupted;
    };
    assert!(interrupted > 4, "{interrupted}");
    assert_eq!(report.differences, Vec::<String>::new());
    for table in &expected.tables {
        assert_eq!(of(&report, table.name), &table.tally, "{}", table.name);
    }
    if home.is_file() {
        let (mut made, mut expected) = (content(&record).await, content(&whole).await);
        // What is audited in one row there may be in several here.
        for content in [&mut made, &mut expected] {
            content.remove("audit_event");
        }
        assert_eq!(made, expected);
    }
    assert_eq!(old.import_into(&record).await.new_rows(), 0);
}

async fn what_came_since(home: Home) {
    let (old, record) = (odd(), home.open().await);
    old.import_into(&record).await;
    old.database
        .run(
            "INSERT INTO metrics (metric, created_timestamp) VALUES ('new.metric', FROM_UNIXTIME(1700000000));
             INSERT INTO anomalies (id, metric_id, host_id, app_id, source_id, anomaly_timestamp, anomalous_datapoint, \
             full_duration, algorithms_run, triggered_algorithms) VALUES (541, 9, 1, 1, 1, 1700000000, 1, 86400, '1', '1'), \
             (43, 4, 2, 1, 1, 1560000300, 9, 86400, '1', '1');
             INSERT INTO ionosphere (id, metric_id, full_duration, enabled, parent_id, generation) VALUES (201, 1, 86400, 1, 1, 1);
             INSERT INTO z_ts_1 (fp_id, timestamp, value) VALUES (201, 1700000000, 5), (997, 1700000000, 5);
             INSERT INTO luminosity (id, metric_id, coefficient, shifted, shifted_coefficient) VALUES (541, 1, 0.9, 0, 0.9)",
        )
        .unwrap();
    let report = old.import_into(&record).await;
    let new: Vec<_> = report.tables.iter().filter(|t| t.new > 0).map(|t| (t.name, t.new)).collect();
    assert_eq!(new, [("metrics", 1), ("anomalies", 2), ("ionosphere", 1), ("z_ts", 2), ("luminosity", 1)]);
    let check = async |sql: &str, expected: &[&str]| assert_eq!(lines(&record, sql).await, expected, "{sql}");
    check("SELECT CONCAT_WS('|', id, metric_id) FROM anomaly WHERE id > 29", &["541|9"]).await;
    check("SELECT CONCAT_WS('|', id, recurrences) FROM anomaly WHERE id = 3", &["3|2"]).await;
    check(
        "SELECT CONCAT_WS('|', id, parent_id, root_id, state) FROM profile WHERE id > 115",
        &["201|1|1|active"],
    )
    .await;
    check("SELECT CONCAT_WS('|', anomaly_id, metric_id) FROM correlation WHERE anomaly_id > 29", &["541|1"])
        .await;
}

async fn what_the_record_has_found_itself(home: Home) {
    let (old, record) = (Old::usual(), home.open().await);
    let mut session = record.writer().await.unwrap();
    for sql in [
        "INSERT INTO host (id, name, created_at) VALUES (50, 'skyline-1', 5)",
        "INSERT INTO app (id, name, created_at) VALUES (60, 'analyzer', 5)",
    ] {
        session.execute(Statement::new(sql)).await.unwrap();
    }
    use md5::Digest as _;
    let insert = Statement::new("INSERT INTO metric (id, name, name_hash, first_seen_at, last_seen_at) VALUES (70, ?, ?, 1600000000, 5)")
        .bind("stats.web01.cpu")
        .bind(md5::Md5::digest("stats.web01.cpu").to_vec());
    session.execute(insert).await.unwrap();
    let insert = "INSERT INTO anomaly (id, metric_id, host_id, app_id, anomaly_ts, received_ts, value, window_points, \
                  full_duration_s, is_counter, journal_seq, created_at) VALUES (80, 70, 50, 60, 1560000000, 7, 1, 0, 0, 0, 0, 7)";
    session.execute(Statement::new(insert)).await.unwrap();
    drop(session);
    let report = old.import_into(&record).await;
    assert_eq!(counts(&report, "anomalies"), [4, 3, 1, 0]);
    let check = async |sql: &str, expected: &[&str]| assert_eq!(lines(&record, sql).await, expected, "{sql}");
    check("SELECT CONCAT_WS('|', id, recurrences, created_at) FROM anomaly WHERE id = 80", &["80|0|7"]).await;
    check(
        "SELECT CONCAT_WS('|', id, first_seen_at) FROM metric WHERE name = 'stats.web01.cpu'",
        &["70|1500000010"],
    )
    .await;
    check("SELECT CONCAT_WS('|', anomaly_id) FROM correlation WHERE anomaly_id IN (1, 80)", &["80"; 2]).await;
}

async fn under_another_name(home: Home) {
    let (old, record) = (Old::usual(), home.open().await);
    old.import_into(&record).await;
    let moved = Old::usual();
    let error = moved.attempt(&record).await.unwrap_err().to_string();
    let known = old.access.address.source_name();
    assert!(error.contains(&format!("give --name {known} to go on")), "{error}");
    let named = |name: &str| Options { name: Some(name.to_owned()), dry: false };
    let report = run(&moved.access, &record, &named(&known), &mut |_| {}).await.unwrap();
    assert_eq!((report.name.as_str(), report.new_rows()), (known.as_str(), 0));
    // The mark is that of the first rows: another database under the name is noticed.
    moved.database.run("UPDATE metrics SET metric = 'other' WHERE id = 1").unwrap();
    let error = run(&moved.access, &record, &named(&known), &mut |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("give --name with a new name"), "{error}");
}

async fn two_databases(home: Home) {
    let (one, two, record) = (Old::usual(), odd(), home.open().await);
    two.database.run("UPDATE metrics SET metric = 'other.one' WHERE id = 1").unwrap();
    one.import_into(&record).await;
    let report = two.import_into(&record).await;
    assert_eq!(counts(&report, "ionosphere"), [13, 12, 0, 1]);
    let made = content(&record).await;
    for old in [&one, &two] {
        assert_eq!(old.import_into(&record).await.new_rows(), 0);
    }
    assert_eq!(content(&record).await, made);
    assert_eq!(lines(&record, "SELECT CAST(COUNT(*) AS CHAR) FROM profile").await, ["17"]);
    assert_eq!(lines(&record, "SELECT CAST(COUNT(*) AS CHAR) FROM metric").await, ["6"]);
}

async fn two_at_once(home: Home) {
    let (old, record) = (pages(2_500), home.open().await);
    let (one, two) = tokio::join!(old.attempt(&record), old.attempt(&record));
    for outcome in [&one, &two] {
        // It says so, or the database does.
        if let Err(error) = outcome {
            assert!(matches!(error, Error::Beside { .. } | Error::Record(_)), "{error}");
        }
    }
    let report = old.import_into(&record).await;
    assert_eq!(counts(&report, "anomalies"), [2_504, 2_504, 0, 0]);
    assert_eq!(lines(&record, "SELECT CAST(COUNT(*) AS CHAR) FROM anomaly").await, ["2504"]);
    assert_eq!(lines(&record, "SELECT CAST(COUNT(*) AS CHAR) FROM profile").await, ["135"]);
}

async fn rows_removed_since(home: Home) {
    let (old, record) = (Old::usual(), home.open().await);
    old.import_into(&record).await;
    record.remove_metric("stats.web01.cpu").await.unwrap();
    let more = "INSERT INTO anomalies (metric_id, host_id, app_id, source_id, anomaly_timestamp, anomalous_datapoint, \
                full_duration, algorithms_run, triggered_algorithms) VALUES (1, 1, 1, 1, 1700000000, 1, 86400, '1', '1')";
    old.database.run(more).unwrap();
    let report = old.attempt(&record).await.unwrap();
    assert_eq!(counts(&report, "anomalies"), [5, 4, 0, 1]);
    assert!(
        report
            .differences
            .iter()
            .any(|d| d == "anomaly: 2 rows of anomalies were removed from the record since"),
        "{:?}",
        report.differences
    );
}

/// Of an anomaly that is one with another: the higher coefficient stays, whichever run brings it.
async fn a_stronger_correlation_since(home: Home) {
    let (old, record) = (Old::usual(), home.open().await);
    old.import_into(&record).await;
    let again = |id: i64, coefficient: &str| {
        let rows = format!(
            "INSERT INTO anomalies (id, metric_id, host_id, app_id, source_id, anomaly_timestamp, anomalous_datapoint, \
                 full_duration, algorithms_run, triggered_algorithms) \
             SELECT {id}, metric_id, host_id, app_id, source_id, anomaly_timestamp, 1, full_duration, '1', '1' \
                 FROM anomalies WHERE id = 1; \
             INSERT INTO luminosity (id, metric_id, coefficient, shifted, shifted_coefficient) \
                 VALUES ({id}, 2, {coefficient}, 60, 0.5)"
        );
        old.database.run(&rows).unwrap();
    };
    let sql =
        "SELECT CONCAT_WS('|', coefficient, shift_s) FROM correlation WHERE anomaly_id = 1 AND metric_id = 2";
    for (id, coefficient, expected) in
        [(50, "0.5", "0.90123|0"), (51, "0.99", "0.99|60"), (52, "0.98", "0.99|60")]
    {
        again(id, coefficient);
        assert_eq!(counts(&old.import_into(&record).await, "luminosity")[1], 3);
        assert_eq!(lines(&record, sql).await, [expected]);
    }
}
