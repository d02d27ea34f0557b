//! `skyline import panorama` as an operator runs it: looked at before, killed, run again, repeated.

#![expect(clippy::unwrap_used, reason = "functions of a test: a failure is the finding")]

use anyhow::Context as _;
use serde_json::Value;
use skyline_peers::mariadb::{Database, MariaDb};
use skyline_peers::process::Process;
use skyline_peers::{START, eventually_true};
use skyline_tests::node;
use std::path::Path;
use std::process::{Command, Output};

const TABLES: [&str; 4] = [
    include_str!("../../sql/src/import/tests/fixtures/schema_1_2_12.sql"),
    include_str!("../../sql/src/import/tests/fixtures/upgrade_1_2_16.sql"),
    include_str!("../../sql/src/import/tests/fixtures/fresh_1_3_0.sql"),
    include_str!("../../sql/src/import/tests/fixtures/rows.sql"),
];

/// So many that an import takes some seconds.
const MORE: &str = "INSERT INTO anomalies (id, metric_id, host_id, app_id, source_id, anomaly_timestamp, anomalous_datapoint, \
     full_duration, algorithms_run, triggered_algorithms) SELECT 100 + seq, 1 + seq MOD 3, 1, 1, 1, 1570000000 + seq * 60, seq, \
     86400, '1,2,3,4,5', '2,4' FROM seq_1_to_20000";

fn command(database: &Database, state: &Path, more: &[&str]) -> anyhow::Result<Command> {
    let address = database.url().replace("mysql:///", "mysql://root@localhost/");
    let mut command = Command::new(node::binary()?);
    command.args(["import", "panorama", "--from", &address, "--state-dir"]).arg(state).args(more);
    Ok(command)
}

fn run(database: &Database, state: &Path, more: &[&str]) -> anyhow::Result<Output> {
    command(database, state, more)?.output().context("skyline")
}

/// The report of a run, and the rows that it has looked at of a table.
fn report(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "", "no bar where nobody looks");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rows(report: &Value, table: &str, what: &str) -> u64 {
    let tables = report.get("tables").and_then(Value::as_array).unwrap();
    let of = tables.iter().find(|t| t.get("name").and_then(Value::as_str) == Some(table)).unwrap();
    of.get(what).and_then(Value::as_u64).unwrap()
}

#[test]
fn a_killed_import_goes_on() {
    let server = MariaDb::shared().unwrap();
    let database = server.database().unwrap();
    database.run(&TABLES.concat()).unwrap();
    database.run(MORE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");

    let dry = report(&run(&database, &state, &["--dry-run", "--json"]).unwrap());
    assert_eq!(rows(&dry, "anomalies", "written"), 20_004);
    assert!(!state.exists(), "a dry run makes no record");

    let mut import = command(&database, &state, &[]).unwrap();
    let mut import = Process::start(&mut import, &folder.path().join("log")).unwrap();
    let wal = state.join("anomalies.db-wal");
    eventually_true(START, "some anomalies are in the record", || {
        std::fs::metadata(&wal).is_ok_and(|file| file.len() > 1 << 20)
    })
    .unwrap();
    import.must_run().unwrap();
    import.kill().unwrap();

    let rest = report(&run(&database, &state, &["--json"]).unwrap());
    let new = rows(&rest, "anomalies", "new");
    assert!(new > 0 && new < 20_004, "{new}: the kill came too early or too late");
    assert_eq!(rows(&rest, "anomalies", "written"), 20_004);
    assert_eq!(rest.get("differences"), Some(&Value::Array(Vec::new())));

    let again = run(&database, &state, &[]).unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("0 new rows in "), "{said}");
    assert!(said.contains("left out: z_ts, 1 row: the same time twice"), "{said}");
}

#[test]
fn what_cannot_be_imported_makes_no_record() {
    let server = MariaDb::shared().unwrap();
    let database = server.database().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let output = run(&database, &state, &[]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no database of Skyline, the table `metrics` is missing"), "{said}");
    assert_eq!(output.status.code(), Some(64));
    assert!(!state.exists());
}
