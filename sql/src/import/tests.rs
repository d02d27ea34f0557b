//! Databases of each version, and odd ones, taken from a real server into a file and into a server.

mod again;
mod big;
mod odd;
mod versions;

use super::{Access, Error, Options, Report, Tally, run};
use crate::Store;
use crate::statement::Statement;
use skyline_peers::mariadb::{Database, MariaDb, Shared};
use std::collections::BTreeMap;

const BASE: &str = include_str!("tests/fixtures/schema_1_2_12.sql");
const TO_1_2_16: &str = include_str!("tests/fixtures/upgrade_1_2_16.sql");
const TO_1_3_0: &str = include_str!("tests/fixtures/upgrade_1_3_0.sql");
const FRESH_1_3_0: &str = include_str!("tests/fixtures/fresh_1_3_0.sql");
const BELOW: &str = include_str!("tests/fixtures/below_1_2_12.sql");
const ROWS: &str = include_str!("tests/fixtures/rows.sql");
const ROWS_1_2_16: &str = include_str!("tests/fixtures/rows_1_2_16.sql");
const ROWS_1_3_0: &str = include_str!("tests/fixtures/rows_1_3_0.sql");
const ODD_ROWS: &str = include_str!("tests/fixtures/odd_rows.sql");
const STEP_TWO: &str = include_str!("tests/fixtures/step_two.sql");

/// A database of the reference.
struct Old {
    database: Database,
    access: Access,
    _server: Shared,
}

impl Old {
    /// Made by these texts, one after the other, in one session.
    fn new(texts: &[&str]) -> Self {
        let server = MariaDb::shared().expect("a server");
        let database = server.database().expect("a database");
        database.run(&texts.concat()).expect("the tables of the reference");
        let address = database.url().replace("mysql:///", "mysql://root@localhost/");
        let access = Access { address: address.parse().expect("an address"), password: None, ca: None };
        Self { database, access, _server: server }
    }

    /// With the rows that every version can hold, at 1.3.0.
    fn usual() -> Self {
        Self::new(&[BASE, TO_1_2_16, FRESH_1_3_0, ROWS, ROWS_1_2_16, ROWS_1_3_0])
    }

    async fn attempt(&self, record: &Store) -> Result<Report, Error> {
        run(&self.access, record, &Options::default(), &mut |_| {}).await
    }

    #[track_caller]
    fn import_into(&self, record: &Store) -> impl Future<Output = Report> {
        let caller = std::panic::Location::caller();
        async move {
            let report = self.attempt(record).await.unwrap_or_else(|error| panic!("{caller}: {error}"));
            assert_eq!(report.differences, Vec::<String>::new(), "{caller}");
            report
        }
    }
}

/// What became of the rows of a table.
#[track_caller]
fn of<'a>(report: &'a Report, table: &str) -> &'a Tally {
    &report.tables.iter().find(|t| t.name == table).expect("the table").tally
}

/// Rows read, written, joined and left out of a table.
#[track_caller]
fn counts(report: &Report, table: &str) -> [u64; 4] {
    let tally = of(report, table);
    [tally.read, tally.written, tally.joined, tally.dropped_rows()]
}

/// What a statement answers: the first column of each row, a text.
async fn lines(record: &Store, sql: &str) -> Vec<String> {
    let mut session = record.reader().await.expect("a session");
    let rows = session.fetch(Statement::new(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter().map(|row| row.first::<String>().unwrap_or_else(|error| panic!("{sql}: {error}"))).collect()
}

/// What a statement answers: a number.
async fn float(record: &Store, sql: &str) -> f64 {
    let mut session = record.reader().await.expect("a session");
    let rows = session.fetch(Statement::new(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.first().expect("a row").first().expect("a number")
}

/// Tables that an import fills, and what a row of them is.
const CONTENT: &[(&str, &str)] = &[
    ("host", "id, name, created_at"),
    ("app", "id, name, created_at"),
    ("source", "id, name, created_at"),
    ("algorithm", "id, name, created_at"),
    ("account", "id, login, role, description"),
    (
        "metric",
        "id, name, first_seen_at, learn_days, learn_after_s, learn_max_generation, learn_max_percent, settings_from",
    ),
    (
        "anomaly",
        "id, metric_id, host_id, app_id, source_id, anomaly_ts, received_ts, value, full_duration_s, recurrences, \
         verdict, chat_thread, label, label_by, created_at",
    ),
    ("anomaly_algorithm", "anomaly_id, algorithm_id, triggered"),
    (
        "profile",
        "id, metric_id, resolution_s, full_duration_s, origin, parent_id, root_id, generation, anomaly_ts, anomaly_id, \
         feature_count, features_sum, state, state_reason, created_by, created_at, validated_at, validated_by, label, \
         check_count, match_count, last_checked_at, last_matched_at",
    ),
    ("profile_feature", "profile_id, feature_id, value"),
    ("profile_series", "profile_id, point_count, first_ts, last_ts, min_value, max_value, encoding"),
    (
        "layer_set",
        "id, profile_id, metric_id, state, label, created_at, validated_at, check_count, match_count",
    ),
    ("layer_rule", "layer_set_id, kind, op, bound_number, bound_text, times, state"),
    (
        "match_event",
        "id, metric_id, anomaly_ts, matched_at, kind, profile_id, layer_set_id, distance, detail, verdict, verdict_by",
    ),
    ("correlation", "anomaly_id, metric_id, coefficient, shift_s, shifted_coefficient, sign"),
    ("import_source", "id, name, mark"),
    ("import_table", "source_id, table_name, last_id, tally, audited_tally"),
    ("import_map", "source_id, kind, old_id, new_id"),
    ("audit_event", "id, account_id, action, table_name, row_id, before_text, after_text"),
];

/// Everything that an import can have written, table by table.
async fn content(record: &Store) -> BTreeMap<&'static str, Vec<String>> {
    let mut content = BTreeMap::new();
    for (table, columns) in CONTENT {
        let parts: Vec<_> =
            columns.split(", ").map(|c| format!("COALESCE(CAST({c} AS CHAR), '-')")).collect();
        let sql = format!("SELECT CONCAT_WS('|', {}) FROM {table}", parts.join(", "));
        let mut rows = lines(record, &sql).await;
        rows.sort();
        content.insert(*table, rows);
    }
    content
}
