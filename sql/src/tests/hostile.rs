//! Servers with odd settings, and databases that others hold or hurt: calls end in time, and what was
//! recorded is there once.

use super::{all, anomaly, context};
use crate::{Context, Error, Names, Options, Search, Store, Verdict};
use skyline_conf::model::record::Record;
use skyline_peers::mariadb::{Database, MariaDb};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn open(database: &Database, options: Options) -> Store {
    let settings = Record { server: database.url(), user: "root".into(), ..Record::default() };
    Store::open_server(&settings, options).expect("an address")
}

/// Names that a server with other ideas of texts takes for one another, or for its own signs.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "cpu",
        "CPU",
        "cpu ",
        " cpu",
        "größe",
        "grosse",
        "GRÖSSE",
        "a😀",
        "a😁",
        "a\u{1f4a9}",
        "a'b",
        "a\"b",
        "a`b",
        "a\\",
        "a\\'; DROP TABLE anomaly; --",
        "a%",
        "a_",
        "a!",
        "a?",
        "e\u{301}",
        "é",
        "a\u{0}b",
        "\u{feff}a",
        "ａ",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("x".repeat(2_048));
    names.push("X".repeat(2_048));
    names.push("😀".repeat(512));
    names
}

/// Nothing that an administrator may set makes the record lose, join or hide rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_have_odd_settings() {
    let server = MariaDb::start_with(&[
        "--autocommit=0",
        "--completion-type=CHAIN",
        "--sql-mode=ANSI_QUOTES,PIPES_AS_CONCAT,IGNORE_SPACE,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE",
        "--character-set-server=latin1",
        "--collation-server=latin1_swedish_ci",
        "--transaction-isolation=SERIALIZABLE",
        "--default-storage-engine=MyISAM",
        "--default-time-zone=+09:00",
        "--wait-timeout=1",
        "--lower-case-table-names=1",
        "--max-allowed-packet=1M",
    ])
    .expect("a server");
    let database = server.database().expect("a database");
    database.run("SET GLOBAL foreign_key_checks = 0; SET GLOBAL sql_safe_updates = 1; SET GLOBAL sql_select_limit = 3; COMMIT").expect("set");
    let store = open(&database, Options::default());
    let batch: Vec<_> = names().iter().map(|name| anomaly(name, 60.0)).collect();
    assert_eq!(store.record(&batch, &context()).await.expect("recorded").new, batch.len() as u64);
    // Names so long that a statement of 500 of them is larger than the server takes.
    let long: Vec<_> = (0..600).map(|i| anomaly(&format!("{}{i}", "y".repeat(2_040)), 60.0)).collect();
    assert_eq!(store.record(&long, &context()).await.expect("recorded").new, 600);
    // Longer than the server keeps a silent connection.
    tokio::time::sleep(Duration::from_secs(3)).await;
    store.record(&[anomaly("late", 120.0)], &context()).await.expect("recorded, at the first attempt");
    for name in names() {
        let search = Search { names: Some(Names::Exact(name.clone())), ..Search::default() };
        let rows = store.anomalies(&search).await.expect("a page").rows;
        assert_eq!(rows.len(), 1, "{name:?}");
        assert_eq!(rows[0].anomaly.metric, name);
    }
    assert_eq!(all(&store).await.len(), batch.len() + 601);
    let id = all(&store).await[0].id;
    store.set_verdict(id, Verdict::Muted, None, 1).await.expect("set");
    store.set_label(id, Some("größe 😀 '\\"), 1).await.expect("set");
    assert_eq!(store.purge(100.0).await.expect("purged"), batch.len() as u64 + 600);
    store.close().await;
    let rows =
        database.run("SELECT m.name FROM anomaly a JOIN metric m ON m.id = a.metric_id").expect("rows");
    assert_eq!(rows, "late\n", "purged for good");
}

/// However many ask at once, each has its answer in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_ask_a_silent_server_do_not_wait_for_each_other() {
    let mut server = MariaDb::start().expect("a server");
    let database = server.database().expect("a database");
    let store = open(&database, Options::default());
    server.pause();
    let started = Instant::now();
    let asking: Vec<_> = (0..30)
        .map(|i| {
            let store = store.clone();
            tokio::spawn(async move {
                let error = store.latest(f64::from(i) * 60.0, 10).await.expect_err("silence");
                assert!(error.is_retry(), "{error}");
                started.elapsed()
            })
        })
        .collect();
    for one in asking {
        let time = one.await.expect("an answer");
        assert!(time < Duration::from_secs(12), "{time:?}");
    }
    server.resume();
    store.ping().await.expect("it is back");
}

/// Questions that hold up all of their connections leave one for who records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_questions_do_not_keep_anomalies_out() {
    let server = MariaDb::start().expect("a server");
    let database = server.database().expect("a database");
    let store = open(&database, Options::default());
    store.record(&[anomaly("a", 60.0)], &context()).await.expect("recorded");
    // A lock that stops those who read of changes, and nobody else.
    let holder = std::thread::spawn(move || database.run("LOCK TABLES audit_event WRITE; SELECT SLEEP(5)"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asking: Vec<_> = (0..12)
        .map(|i| {
            let store = store.clone();
            tokio::spawn(async move { store.changes("anomaly", i, 10).await.map(drop) })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    store.record(&[anomaly("b", 60.0)], &context()).await.expect("recorded");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let mut answered = 0;
    for one in asking {
        answered += usize::from(one.await.expect("an end").is_ok());
    }
    assert!(answered >= 4, "{answered}");
    holder.join().expect("joined").expect("held");
}

/// Tables and rows that another session holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_of_others_are_waited_for_and_given_up() {
    let server = MariaDb::start().expect("a server");
    let database = Arc::new(server.database().expect("a database"));
    let store = open(&database, Options { join_seconds: 900, ..Options::default() });
    store.record(&[anomaly("a", 60.0)], &context()).await.expect("recorded");
    for lock in [
        "LOCK TABLES metric WRITE; SELECT SLEEP(16)",
        "START TRANSACTION; UPDATE metric SET last_seen_at = last_seen_at + 1; SELECT SLEEP(24)",
    ] {
        let holder = std::thread::spawn({
            let database = Arc::clone(&database);
            move || database.run(lock)
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        let started = Instant::now();
        let error = store.record(&[anomaly("a", 120.0)], &context()).await.expect_err("locked");
        assert!(error.is_retry(), "{error}");
        assert!(started.elapsed() < Duration::from_secs(23), "{:?}", started.elapsed());
        holder.join().expect("joined").expect("held");
        let batch = [anomaly("a", 120.0)];
        store.record(&batch, &context()).await.expect("recorded");
    }
    let rows = all(&store).await;
    assert_eq!((rows.len(), rows[0].recurrences), (1, 1));
}

/// No connection free, only reading, and connections that are killed in the middle of what they do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_is_named_and_comes_back() {
    let server = MariaDb::start_with(&["--max-connections=10"]).expect("a server");
    let database = Arc::new(server.database().expect("a database"));
    let store = open(&database, Options::default());
    store.record(&[anomaly("a", 60.0)], &context()).await.expect("recorded");
    let user = Record { server: database.url(), user: "u".into(), ..Record::default() };
    database.run(&format!("CREATE USER u; GRANT ALL ON {}.* TO u", database.name())).expect("a user");
    let plain = Store::open_server(&user, Options::default()).expect("an address");
    database.run("SET GLOBAL read_only = 1").expect("set");
    let error = plain.record(&[anomaly("b", 60.0)], &context()).await.expect_err("read only");
    assert!(matches!(&error, Error::Config { .. }) && error.to_string().contains("takes writes"), "{error}");
    plain.anomalies(&Search::default()).await.expect("reading goes on");
    database.run("SET GLOBAL read_only = 0").expect("set");
    plain.record(&[anomaly("b", 60.0)], &context()).await.expect("recorded");
    // Killed again and again while it records.
    let stop = Arc::new(AtomicBool::new(false));
    let batches: Vec<Vec<_>> =
        (0..40).map(|b| (0..50).map(|i| anomaly(&format!("k{i}"), f64::from(b * 60))).collect()).collect();
    let killing = std::thread::spawn({
        let (database, stop) = (Arc::clone(&database), Arc::clone(&stop));
        move || {
            while !stop.load(Ordering::SeqCst) {
                let ids = database.run("SELECT id FROM information_schema.processlist WHERE user = 'u'");
                for id in ids.unwrap_or_default().lines() {
                    drop(database.run(&format!("KILL {id}")));
                }
            }
        }
    });
    for batch in &batches {
        while let Err(error) = plain.record(batch, &context()).await {
            assert!(error.is_retry(), "{error}");
        }
    }
    stop.store(true, Ordering::SeqCst);
    killing.join().expect("joined");
    assert_eq!(all(&store).await.len(), 2 + 40 * 50);
    assert!(
        all(&store).await.iter().all(|row| row.anomaly.asked.len() == 9 && row.anomaly.triggered.len() == 7)
    );
}

/// Two nodes with names and metrics of their own and in common, at once and from the first moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_begin_at_once() {
    let server = MariaDb::start().expect("a server");
    let database = server.database().expect("a database");
    let nodes = [0, 1].map(|_| open(&database, Options { join_seconds: 900, ..Options::default() }));
    let tasks: Vec<_> = nodes
        .iter()
        .enumerate()
        .map(|(number, store)| {
            let store = store.clone();
            tokio::spawn(async move {
                let context = Context { host: format!("node{number}"), app: "analyzer".to_owned() };
                for round in 0..30_u32 {
                    let mut batch: Vec<_> =
                        (0..60).map(|i| anomaly(&format!("m{i}"), f64::from(round) * 60.0)).collect();
                    if number == 1 {
                        batch.reverse();
                    }
                    while let Err(error) = store.record(&batch, &context).await {
                        assert!(error.is_retry(), "{error}");
                    }
                    if round % 10 == 0 {
                        store.purge(-1.0).await.ok();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("done");
    }
    let rows = all(&nodes[0]).await;
    assert_eq!(rows.len(), 60);
    assert!(rows.iter().all(|row| row.recurrences == 29 && row.ended == Some(29.0 * 60.0)));
}
