//! Each version comes over with everything that it has.

use super::*;
use crate::tests::{Home, on_both};

on_both!(
    version_1_2_12,
    version_1_2_16,
    version_1_3_0_fresh,
    version_1_3_0_upgraded,
    ids_in_steps_of_two,
    values_are_exact,
    series_are_whole,
    older_ones_are_refused,
    a_dry_run_says_the_same,
);

#[track_caller]
fn usual_counts(report: &Report) {
    for (table, expected) in [
        ("hosts", [2, 2, 0, 0]),
        ("apps", [4, 4, 0, 0]),
        ("sources", [1, 1, 0, 0]),
        ("algorithms", [5, 5, 0, 0]),
        ("metrics", [3, 3, 0, 0]),
        ("anomalies", [4, 4, 0, 0]),
        ("ionosphere", [5, 5, 0, 0]),
        ("z_ts", [8, 7, 0, 1]),
        ("z_fp", [6, 6, 0, 0]),
        ("ionosphere_layers", [2, 2, 0, 0]),
        ("layers_algorithms", [9, 7, 0, 2]),
        ("ionosphere_matched", [4, 4, 0, 0]),
        ("ionosphere_layers_matched", [2, 2, 0, 0]),
        ("luminosity", [3, 3, 0, 0]),
    ] {
        assert_eq!(counts(report, table), expected, "{table}");
    }
}

/// What does not depend on the version.
async fn usual_content(record: &Store) {
    let check = async |sql: &str, expected: &[&str]| assert_eq!(lines(record, sql).await, expected, "{sql}");
    check(
        "SELECT CONCAT_WS('|', id, name, first_seen_at, learn_days, learn_max_generation, settings_from) FROM metric ORDER BY id",
        &[
            "1|stats.web01.cpu|1500000010|30|16|default",
            "2|stats.web02.cpu|1500000020|30|5|default",
            "3|stats.Web01.cpu|1500000030|14|3|operator",
        ],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', a.id, m.name, h.name, p.name, s.name, CAST(a.anomaly_ts AS INTEGER), a.created_at, \
         a.full_duration_s, a.recurrences, a.verdict) FROM anomaly a JOIN metric m ON m.id = a.metric_id \
         JOIN host h ON h.id = a.host_id JOIN app p ON p.id = a.app_id JOIN source s ON s.id = a.source_id ORDER BY a.id",
        &[
            "1|stats.web01.cpu|skyline-1|analyzer|graphite|1560000000|1560000060|86400|0|alerted",
            "2|stats.web01.cpu|skyline-1|mirage|graphite|1560000000|1560000120|604800|0|alerted",
            "3|stats.web02.cpu|skyline-2|analyzer|graphite|1560000300|1560000300|86400|0|alerted",
            "4|stats.Web01.cpu|skyline-1|ionosphere|graphite|1560000600|1560000660|86400|0|alerted",
        ],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', v.anomaly_id, g.name, v.triggered) FROM anomaly_algorithm v \
         JOIN algorithm g ON g.id = v.algorithm_id WHERE v.anomaly_id IN (1, 4) ORDER BY v.anomaly_id, v.algorithm_id",
        &[
            "1|histogram_bins|0",
            "1|first_hour_average|1",
            "1|stddev_from_average|0",
            "1|grubbs|1",
            "1|ks_test|0",
            "4|ks_test|1",
        ],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', id, metric_id, origin, COALESCE(parent_id, 0), root_id, generation, state, \
         COALESCE(state_reason, '-'), created_at, COALESCE(validated_at, 0), check_count, match_count, \
         COALESCE(last_matched_at, 0), COALESCE(anomaly_id, 0), feature_set) FROM profile ORDER BY id",
        &[
            "1|1|person|0|1|0|active|-|1560000900|1560000900|70|7|1570000000|1|0",
            "2|1|learnt|1|1|1|active|-|1560010000|1560010000|0|2|0|1|0",
            "3|1|echo|1|1|1|active|-|1560020000|1560030000|0|0|0|1|0",
            "4|1|learnt|2|1|2|disabled|disabled in the imported database|1560100900|0|3|1|1560200000|0|0",
            "5|2|person|0|5|0|disabled|its series is missing in the imported database|1560100950|1560100950|0|0|0|3|0",
        ],
    )
    .await;
    layers_and_matches(record).await;
}

async fn layers_and_matches(record: &Store) {
    let check = async |sql: &str, expected: &[&str]| assert_eq!(lines(record, sql).await, expected, "{sql}");
    check(
        "SELECT CONCAT_WS('|', layer_set_id, kind, op, COALESCE(bound_text, '-'), COALESCE(times, 0), state) FROM layer_rule \
         ORDER BY layer_set_id, kind",
        &[
            "1|D|ge|-|0|active",
            "1|E|le|-|3|active",
            "1|F1|ge|0100|0|disabled",
            "1|F2|le|0430|0|disabled",
            "2|D|ne|-|0|active",
            "2|D1|le|-|5|active",
            "2|E|eq|-|1|active",
        ],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', id, profile_id, state, COALESCE(label, '-'), created_at, COALESCE(validated_at, 0), check_count, \
         match_count) FROM layer_set ORDER BY id",
        &["1|1|active|nightly backup|1560001000|0|40|4", "2|2|disabled|-|1560011000|1560011000|0|0"],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', metric_id, CAST(anomaly_ts AS INTEGER), kind, profile_id, COALESCE(layer_set_id, 0)) \
         FROM match_event ORDER BY id",
        &[
            "1|1570000000|sum|1|0",
            "1|1569990000|minmax|2|0",
            "1|1569980000|echo_sum|3|0",
            "1|1569970000|echo_minmax|3|0",
            "1|1570000500|layer|1|1",
            "1|1570000900|layer|1|1",
        ],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', anomaly_id, metric_id, shift_s, sign) FROM correlation ORDER BY anomaly_id, metric_id",
        &["1|2|0|1", "1|3|-60|1", "2|2|120|-1"],
    )
    .await;
    // One row for each table of which something came.
    check(
        "SELECT CAST(COUNT(*) AS CHAR) FROM audit_event WHERE action = 'import' AND after_text LIKE '%read%'",
        &["14"],
    )
    .await;
}

async fn version_1_2_12(home: Home) {
    let (old, record) = (Old::new(&[BASE, ROWS]), home.open().await);
    let report = old.import_into(&record).await;
    assert_eq!(report.version, "1.2.12 or later, before 1.2.16");
    assert_eq!(report.oldest_anomaly, Some(1_560_000_000));
    usual_counts(&report);
    usual_content(&record).await;
    assert_eq!(lines(&record, "SELECT login FROM account ORDER BY id").await, ["system", "admin"]);
    let sql = "SELECT CONCAT_WS('|', COALESCE(chat_thread, '-'), COALESCE(label, '-'), COALESCE(label_by, 0)) FROM anomaly";
    assert_eq!(lines(&record, sql).await, ["-|-|0"; 4]);
    let sql = "SELECT CONCAT_WS('|', created_by, COALESCE(validated_by, 0)) FROM profile ORDER BY id";
    assert_eq!(lines(&record, sql).await, ["2|0", "1|0", "1|0", "1|0", "2|0"]);
    assert_eq!(lines(&record, "SELECT DISTINCT verdict FROM match_event").await, ["open"]);
}

async fn version_1_2_16(home: Home) {
    let (old, record) = (Old::new(&[BASE, TO_1_2_16, ROWS, ROWS_1_2_16]), home.open().await);
    let report = old.import_into(&record).await;
    assert_eq!(report.version, "1.2.16 or later, before 1.3.0");
    usual_counts(&report);
    usual_content(&record).await;
    let sql = "SELECT COALESCE(chat_thread, '-') FROM anomaly ORDER BY id";
    assert_eq!(lines(&record, sql).await, ["1560000061.000200", "-", "-", "-"]);
}

/// What only 1.3.0 has.
async fn labels_and_verdicts(record: &Store) {
    let check = async |sql: &str, expected: &[&str]| assert_eq!(lines(record, sql).await, expected, "{sql}");
    let ops = "SELECT CONCAT_WS('|', login, role, COALESCE(password_hash, '-'), description) FROM account WHERE id > 2";
    check(ops, &["ops|viewer|-|on call"]).await;
    check(
        "SELECT CONCAT_WS('|', a.id, a.label, c.login) FROM anomaly a JOIN account c ON c.id = a.label_by",
        &["2|deployment|ops"],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', p.id, c.login, COALESCE(v.login, '-'), COALESCE(p.label, '-')) FROM profile p \
         JOIN account c ON c.id = p.created_by LEFT JOIN account v ON v.id = p.validated_by ORDER BY p.id",
        &[
            "1|ops|ops|weekly peak",
            "2|system|system|-",
            "3|system|system|-",
            "4|system|-|-",
            "5|admin|admin|-",
        ],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', e.kind, e.verdict, COALESCE(c.login, '-')) FROM match_event e \
         LEFT JOIN account c ON c.id = e.verdict_by ORDER BY e.id",
        &[
            "sum|valid|admin",
            "minmax|invalid|ops",
            "echo_sum|open|-",
            "echo_minmax|open|-",
            "layer|open|-",
            "layer|invalid|-",
        ],
    )
    .await;
}

async fn version_1_3_0_fresh(home: Home) {
    let (old, record) = (Old::usual(), home.open().await);
    let report = old.import_into(&record).await;
    assert_eq!(report.version, "1.3.0");
    usual_counts(&report);
    assert_eq!(counts(&report, "users"), [4, 1, 2, 1]);
    labels_and_verdicts(&record).await;
}

async fn version_1_3_0_upgraded(home: Home) {
    let old = Old::new(&[BASE, ROWS, TO_1_2_16, ROWS_1_2_16, TO_1_3_0, ROWS_1_3_0]);
    let record = home.open().await;
    let report = old.import_into(&record).await;
    assert_eq!(report.version, "1.3.0, upgraded");
    usual_counts(&report);
    labels_and_verdicts(&record).await;
}

async fn ids_in_steps_of_two(home: Home) {
    let step = "SET SESSION auto_increment_increment = 2, auto_increment_offset = 1;\n";
    let old = Old::new(&[step, BASE, TO_1_2_16, STEP_TWO, TO_1_3_0]);
    let record = home.open().await;
    let report = old.import_into(&record).await;
    assert_eq!(counts(&report, "users"), [2, 0, 2, 0]);
    let check = async |sql: &str, expected: &[&str]| assert_eq!(lines(&record, sql).await, expected, "{sql}");
    check("SELECT CONCAT_WS('|', id, name) FROM metric ORDER BY id", &["1|a.b", "3|c.d"]).await;
    check(
        "SELECT CONCAT_WS('|', id, metric_id, host_id, app_id) FROM anomaly ORDER BY id",
        &["1|1|3|1", "3|3|1|3"],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', id, COALESCE(parent_id, 0), root_id, created_by) FROM profile ORDER BY id",
        &["1|0|1|2", "3|1|1|1"],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', profile_id, point_count) FROM profile_series ORDER BY profile_id",
        &["1|2", "3|1"],
    )
    .await;
    check("SELECT CONCAT_WS('|', anomaly_id, metric_id) FROM correlation", &["3|1"]).await;
}

async fn values_are_exact(home: Home) {
    let (old, record) = (Old::usual(), home.open().await);
    old.import_into(&record).await;
    let check = async |sql: &str, expected: f64| assert_eq!(float(&record, sql).await, expected, "{sql}");
    check("SELECT value FROM anomaly WHERE id = 1", 123.456_789).await;
    check("SELECT value FROM anomaly WHERE id = 2", -0.000_001).await;
    check("SELECT value FROM anomaly WHERE id = 3", 12_345_678_901_234_567.5).await;
    check("SELECT value FROM profile_feature WHERE profile_id = 1 AND feature_id = 2", -2.25e-9).await;
    check("SELECT value FROM profile_feature WHERE profile_id = 1 AND feature_id = 216", 1e300).await;
    check("SELECT features_sum FROM profile WHERE id = 1", 54_321.5).await;
    check("SELECT calc_ms FROM profile WHERE id = 1", 1250.0).await;
    check("SELECT bound_number FROM layer_rule WHERE layer_set_id = 1 AND kind = 'E'", 50.5).await;
    check("SELECT bound_number FROM layer_rule WHERE layer_set_id = 2 AND kind = 'D1'", -1000.0).await;
    check("SELECT coefficient FROM correlation WHERE anomaly_id = 1 AND metric_id = 2", 0.90123).await;
    check("SELECT shifted_coefficient FROM correlation WHERE anomaly_id = 1 AND metric_id = 3", 0.95).await;
    check("SELECT distance FROM match_event WHERE kind = 'minmax'", 2.0).await;
}

async fn series_are_whole(home: Home) {
    let (old, record) = (Old::usual(), home.open().await);
    old.import_into(&record).await;
    let mut session = record.reader().await.unwrap();
    let rows = session
        .fetch(Statement::new("SELECT point_count, data, encoding FROM profile_series ORDER BY profile_id"))
        .await
        .unwrap();
    let points: Vec<_> = rows
        .iter()
        .map(|row| {
            assert_eq!(row.get::<i64>("encoding").unwrap(), super::super::series::ENCODING);
            let count = row.get::<i64>("point_count").unwrap() as usize;
            super::super::series::decode(&row.get::<Vec<u8>>("data").unwrap(), count).unwrap()
        })
        .collect();
    assert_eq!(points[0], [(1_559_999_880, 1.0), (1_559_999_940, 2.0), (1_560_000_000, 123.456_789)]);
    assert_eq!(points[1], [(1_557_408_000, 9.0), (1_557_411_600, 8.5)]);
    assert_eq!(points.len(), 4);
    drop(session);
    let sql = "SELECT CONCAT_WS('|', id, resolution_s) FROM profile ORDER BY id";
    assert_eq!(lines(&record, sql).await, ["1|60", "2|3600", "3|0", "4|0", "5|0"]);
}

async fn older_ones_are_refused(home: Home) {
    let record = home.open().await;
    let error = Old::new(&[BASE, BELOW]).attempt(&record).await.unwrap_err().to_string();
    let missing = "missing: ionosphere_layers_matched.approx_close (version 1.2.8), ionosphere.echo_fp (version 1.2.12); upgrade";
    assert!(error.contains(missing), "{error}");
    let error = Old::new(&["CREATE TABLE a (x INT);"]).attempt(&record).await.unwrap_err().to_string();
    assert!(error.contains("no database of Skyline, the table `metrics` is missing"), "{error}");
    assert_eq!(lines(&record, "SELECT name FROM import_source").await, Vec::<String>::new());
}

async fn a_dry_run_says_the_same(home: Home) {
    let old = Old::new(&[BASE, TO_1_2_16, FRESH_1_3_0, ROWS, ROWS_1_2_16, ROWS_1_3_0, ODD_ROWS]);
    let (record, scratch) = (home.open().await, Home::file());
    let scratch = scratch.open().await;
    let dry =
        run(&old.access, &scratch, &Options { dry: true, ..Options::default() }, &mut |_| {}).await.unwrap();
    let real = old.import_into(&record).await;
    for table in real.tables.iter().filter(|table| !table.name.starts_with("z_")) {
        assert_eq!(of(&dry, table.name).dropped, table.tally.dropped, "{}", table.name);
        assert_eq!(counts(&dry, table.name), counts(&real, table.name), "{}", table.name);
    }
    for table in ["z_ts", "z_fp"] {
        assert_eq!(of(&dry, table).read, of(&real, table).read, "{table}");
    }
    assert_eq!(dry.differences, Vec::<String>::new());
}
