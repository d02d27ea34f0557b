//! Every step on both servers: from nothing, twice, from each older version, after each interruption.

use super::{Home, all, anomaly, context, on_both};
use crate::error::Error;
use crate::migrate::{self, STEPS, statements};
use crate::session::Session;
use crate::statement::Statement;
use crate::{Plan, Store};
use std::collections::BTreeMap;

on_both!(
    steps_are_applied_once,
    every_older_version_comes_up_to_date,
    a_newer_schema_is_refused,
    a_database_of_another_program_is_refused,
    several_may_bring_it_up_to_date_at_once,
);

/// The last step that is known.
pub(super) fn newest() -> i64 {
    STEPS.last().expect("steps").version
}

/// A row as the first version wrote it.
async fn insert_old(session: &mut Session) {
    const OLD: &[&str] = &[
        "INSERT INTO host (name, created_at) VALUES ('h', 1)",
        "INSERT INTO app (name, created_at) VALUES ('x', 1)",
        "INSERT INTO metric (name, name_hash, first_seen_at, last_seen_at) VALUES ('m', ?, 1, 2)",
        "INSERT INTO anomaly (metric_id, host_id, app_id, anomaly_ts, received_ts, value, window_points, \
         full_duration_s, is_counter, journal_seq, created_at) VALUES (1, 1, 1, 5.5, 6.5, 0.1, 3, 60, 0, 9, 1)",
    ];
    for text in OLD {
        let mut statement = Statement::new(text);
        if text.contains('?') {
            statement = statement.bind(crate::record::name_hash("m"));
        }
        session.execute(statement).await.expect("inserted");
    }
}

impl Home {
    /// A file as the first version left it.
    pub(super) async fn old_file(&self) {
        migrate::apply(self.session().await, &STEPS[..1], 7).await.expect("applied");
        insert_old(&mut self.session().await).await;
    }

    /// A connection before anything was brought up to date.
    async fn session(&self) -> Session {
        match self {
            Self::File(_) => Store::bare_file(&self.path()).await,
            Self::Server(..) => Store::bare_server(&self.settings()).await,
        }
        .expect("a connection")
    }

    async fn plan(&self) -> Result<Plan, Error> {
        migrate::plan(&mut self.session().await, STEPS).await
    }
}

/// Each table with its columns.
async fn shape(home: &Home) -> BTreeMap<String, Vec<String>> {
    let mut session = home.session().await;
    let tables = migrate::tables(&mut session).await.expect("listed");
    let mut shape = BTreeMap::new();
    for table in tables {
        let columns = Statement::new(session.dialect().pick(
            "SELECT name FROM pragma_table_info(?)",
            "SELECT CAST(column_name AS CHAR) AS name FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = ?",
        ));
        let rows = session.fetch(columns.bind(table.as_str())).await.expect("listed");
        let mut names: Vec<String> = rows.iter().map(|row| row.get("name").expect("a name")).collect();
        names.sort();
        shape.insert(table, names);
    }
    shape
}

async fn steps_are_applied_once(home: Home) {
    let before = home.plan().await.expect("looked at");
    assert_eq!((before.current, before.has_rows, before.missing.len()), (0, false, STEPS.len()));
    for missing in [STEPS.len(), 0, 0] {
        let plan = migrate::apply(home.session().await, STEPS, 7).await.expect("applied");
        assert_eq!(plan.missing.len(), missing);
    }
    let after = home.plan().await.expect("looked at");
    assert!(after.is_done() && after.current == after.known && !after.has_rows, "{after:?}");
    let mut session = home.session().await;
    let logins = session.fetch(Statement::new("SELECT login FROM account ORDER BY id")).await.expect("read");
    let logins: Vec<String> = logins.iter().map(|row| row.first().expect("a name")).collect();
    assert_eq!(logins, ["system", "admin"]);
}

#[tokio::test]
async fn both_dialects_have_the_same_tables_and_columns() {
    let mut shapes = Vec::new();
    for home in [Home::file(), Home::server()] {
        migrate::apply(home.session().await, STEPS, 7).await.expect("applied");
        shapes.push(shape(&home).await);
    }
    assert_eq!(shapes[0], shapes[1]);
    assert!(shapes[0].len() >= 28, "{:?}", shapes[0].keys());
}

async fn every_older_version_comes_up_to_date(home: Home) {
    for version in 1..STEPS.len() {
        // A place of its own for each version.
        let home = if home.is_file() { Home::file() } else { Home::server() };
        migrate::apply(home.session().await, &STEPS[..version], 7).await.expect("the older version");
        insert_old(&mut home.session().await).await;
        let plan = home.plan().await.expect("looked at");
        assert_eq!((plan.current, plan.has_rows), (STEPS[version - 1].version, true));
        // A file is brought up to date by whoever opens it, a server with data only by a person.
        if !home.is_file() {
            let error = home.open().await.counts().await.expect_err("not up to date").to_string();
            assert!(error.contains("skyline migrate"), "{error}");
            migrate::apply(home.session().await, STEPS, 7).await.expect("applied");
        }
        let store = home.open().await;
        let rows = all(&store).await;
        assert_eq!(rows.len(), 1, "from {version}");
        let row = &rows[0];
        // From the fourth step on whoever inserts says it.
        let last_received = if version < 4 { 6.5 } else { 0.0 };
        assert_eq!(
            (row.anomaly.point.ts, row.anomaly.point.value, row.last_received),
            (5.5, 0.1, last_received)
        );
        store.record(&[anomaly("m", 9.0)], &context()).await.expect("recorded");
        assert!(home.plan().await.expect("looked at").is_done());
    }
}

/// In MariaDB every statement stays done: a step goes on after any of them, whether or not it was recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_goes_on_where_it_was_interrupted() {
    for (index, step) in STEPS.iter().enumerate() {
        let (earlier, through) = (&STEPS[..index], &STEPS[..=index]);
        let whole = Home::server();
        migrate::apply(whole.session().await, through, 7).await.expect("applied");
        let expected = shape(&whole).await;
        let texts: Vec<_> = statements(step.mysql).collect();
        for (done, is_recorded) in [(texts.len() / 2, true), (texts.len() - 1, false)] {
            let home = Home::server();
            migrate::apply(home.session().await, earlier, 7).await.expect("applied");
            let mut session = home.session().await;
            session.raw(migrate::DEFINITION_MYSQL).await.expect("made");
            for text in &texts[..(done + usize::from(!is_recorded))] {
                session.raw(text).await.expect("done");
            }
            migrate::record_progress(&mut session, step, done).await.expect("recorded");
            drop(session);
            assert!(home.plan().await.expect("looked at").interrupted);
            migrate::apply(home.session().await, through, 8).await.expect("went on");
            assert!(shape(&home).await == expected, "step {}, statement {done}", step.version);
        }
    }
}

async fn a_newer_schema_is_refused(home: Home) {
    let store = home.open().await;
    store.record(&[anomaly("a", 1.0)], &context()).await.expect("recorded");
    store.close().await;
    let mut session = home.session().await;
    session.raw("INSERT INTO schema_migration VALUES (99, 'future', '', 0)").await.expect("inserted");
    for error in [
        home.plan().await.expect_err("newer"),
        migrate::apply(home.session().await, STEPS, 7).await.expect_err("newer"),
    ] {
        let text = error.to_string();
        assert!(matches!(error, Error::Config { .. }), "{text}");
        let known = newest();
        let expected = format!("has schema 99 (future), this version of skyline knows {known} at most");
        assert!(text.contains(&expected), "{text}");
    }
    session.raw("DELETE FROM schema_migration WHERE version = 99").await.expect("removed");
    assert!(home.plan().await.expect("looked at").is_done());
    session.raw("UPDATE schema_migration SET checksum = 'x' WHERE version = 1").await.expect("changed");
    let error = home.plan().await.expect_err("another text").to_string();
    assert!(error.contains("is not the one of this version"), "{error}");
}

async fn a_database_of_another_program_is_refused(home: Home) {
    home.session().await.raw("CREATE TABLE something (id INTEGER)").await.expect("made");
    let error = home.plan().await.expect_err("another program's").to_string();
    assert!(error.contains("another program"), "{error}");
}

async fn several_may_bring_it_up_to_date_at_once(home: Home) {
    let mut applying = Vec::new();
    for _ in 0..4 {
        let session = home.session().await;
        applying.push(tokio::spawn(async move {
            migrate::apply(session, STEPS, 7).await.map(|p| p.missing.len())
        }));
    }
    let mut applied = 0;
    for apply in applying {
        applied += apply.await.expect("ended").expect("applied");
    }
    assert_eq!(applied, STEPS.len());
}
