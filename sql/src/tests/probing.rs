//! What a person is told of a record, good or bad.

use super::migrating::newest;
use super::{Home, anomaly, context, on_both};
use crate::migrate::STEPS;
use crate::{Facts, Migration, Store, probe};
use skyline_conf::model::record::Record;
use skyline_core::clock::Clock;
use skyline_core::problem::Problem;
use std::path::Path;

on_both!(a_good_record_is_told_of, an_empty_one_too, a_migration_is_planned_and_applied);

async fn asked(settings: &Record) -> Result<Facts, Problem> {
    probe(settings, Path::new("/no/such/file")).await
}

async fn a_good_record_is_told_of(home: Home) {
    let store = home.open().await;
    store.record(&[anomaly("a", 1.0)], &context()).await.expect("recorded");
    let facts = asked(&home.settings()).await.expect("facts");
    assert_eq!(facts.kind, if home.is_file() { "SQLite" } else { "MariaDB" });
    assert_eq!((facts.schema, facts.known, facts.anomalies), (newest(), newest(), Some(1)));
    assert!(!facts.version.is_empty() && !facts.rights.is_empty() && facts.bytes > 1_000, "{facts:?}");
    assert!(!facts.needs_migration && facts.latency.as_secs() < 5);
}

async fn an_empty_one_too(home: Home) {
    if home.is_file() {
        let problem = asked(&home.settings()).await.expect_err("no file yet");
        assert!(problem.to_string().contains("when it starts"), "{problem}");
        return;
    }
    let facts = asked(&home.settings()).await.expect("facts");
    assert_eq!((facts.schema, facts.anomalies, facts.needs_migration), (0, None, false));
}

async fn a_migration_is_planned_and_applied(home: Home) {
    let settings = home.settings();
    let migration = Migration::new(&settings, Path::new("/no/such/file"));
    let plan = migration.plan().await.expect("a plan");
    assert_eq!((plan.current, plan.has_rows, plan.missing.len()), (0, false, STEPS.len()));
    assert_eq!(home.is_file(), migration.place().file().is_some());
    assert_eq!(migration.apply(&Clock::at(5.0)).await.expect("applied"), None, "nothing to keep");
    assert!(migration.plan().await.expect("a plan").is_done());
    assert_eq!(migration.apply(&Clock::at(5.0)).await.expect("applied"), None);
    match migration.backup_command() {
        Some(command) => assert!(command.starts_with("mariadb-dump --socket=/"), "{command}"),
        None => assert!(home.is_file()),
    }
}

#[tokio::test]
async fn a_file_with_rows_is_copied_before_it_is_changed() {
    let home = Home::file();
    home.old_file().await;
    let settings = home.settings();
    let migration = Migration::new(&settings, Path::new(""));
    assert_eq!(migration.plan().await.expect("a plan").missing.len(), STEPS.len() - 1);
    let copy = migration.apply(&Clock::at(5.0)).await.expect("applied").expect("a copy");
    assert!(
        copy.to_string_lossy().ends_with(&format!("anomalies.db.before-{}", newest())),
        "{}",
        copy.display()
    );
    let old = Record { sqlite_file: copy, ..Record::default() };
    let plan = Migration::new(&old, Path::new("")).plan().await.expect("a plan");
    assert_eq!((plan.current, plan.has_rows), (1, true));
    assert_eq!(home.open().await.counts().await.expect("counted").anomalies, 1);
    // A node does the same when it opens the file.
    let home = Home::file();
    home.old_file().await;
    home.open().await;
    assert!(home.settings().sqlite_file.with_extension(format!("db.before-{}", newest())).is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn problems_are_told_in_plain_words() {
    let home = Home::server();
    let good = home.settings();
    let check = async |settings: &Record, what: &str, advice: &str| {
        let problem = asked(settings).await.expect_err(what);
        assert!(problem.what.contains(what), "{problem:?}");
        assert!(problem.advice.contains(advice), "{problem:?}");
    };
    let nobody = skyline_peers::port::free();
    let elsewhere = Record { server: format!("mysql://{nobody}/skyline"), ..good.clone() };
    check(&elsewhere, "cannot be reached", "record.server").await;
    let missing = Record { server: good.server.replace("mysql:///t", "mysql:///no_such_"), ..good.clone() };
    check(&missing, "no such database", "CREATE DATABASE IF NOT EXISTS `no_such_").await;
    let stranger = Record { user: "stranger".into(), ..good.clone() };
    check(&stranger, "refuses this user", "record.password_file").await;
    let newer = home.open().await;
    newer.ping().await.expect("made");
    let mut session = Store::bare_server(&good).await.expect("a connection");
    session.raw("INSERT INTO schema_migration VALUES (99, 'future', '', 0)").await.expect("inserted");
    check(&good, "has schema 99", "newer").await;
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("text");
    std::fs::write(&file, "no database, but long enough to have a header of its own: ".repeat(9))
        .expect("written");
    check(&Record { sqlite_file: file, ..Record::default() }, "damaged", "move the file away").await;
}
