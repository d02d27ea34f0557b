//! What years of several writers, upgrades and faults leave is folded, left out or marked, and counted.

use super::*;
use crate::tests::{Home, on_both};

on_both!(odd_rows, ids_that_are_taken, ids_out_of_all_proportion, a_user_that_may_only_read);

fn odd() -> Old {
    Old::new(&[BASE, TO_1_2_16, FRESH_1_3_0, ROWS, ROWS_1_2_16, ROWS_1_3_0, ODD_ROWS])
}

#[track_caller]
fn dropped(report: &Report, table: &str, expected: &[(&str, u64)]) {
    let expected: BTreeMap<_, _> = expected.iter().map(|(why, rows)| ((*why).to_owned(), *rows)).collect();
    assert_eq!(of(report, table).dropped, expected, "{table}");
}

#[track_caller]
fn changed(report: &Report, table: &str, expected: &[(&str, u64)]) {
    let expected: BTreeMap<_, _> = expected.iter().map(|(what, rows)| ((*what).to_owned(), *rows)).collect();
    assert_eq!(of(report, table).changed, expected, "{table}");
}

fn odd_counts(report: &Report) {
    for (table, expected) in [
        ("hosts", [5, 3, 1, 1]),
        ("apps", [5, 4, 1, 0]),
        ("algorithms", [6, 5, 1, 0]),
        ("users", [4, 1, 2, 1]),
        ("metrics", [8, 5, 1, 2]),
        ("anomalies", [14, 10, 2, 2]),
        ("ionosphere", [13, 12, 0, 1]),
        ("z_ts", [15, 10, 0, 5]),
        ("z_fp", [13, 8, 0, 5]),
        ("ionosphere_layers", [5, 3, 1, 1]),
        ("layers_algorithms", [19, 8, 0, 11]),
        ("ionosphere_matched", [7, 4, 0, 3]),
        ("ionosphere_layers_matched", [4, 3, 0, 1]),
        ("luminosity", [9, 3, 3, 3]),
    ] {
        assert_eq!(counts(report, table), expected, "{table}");
    }
}

fn odd_reasons(report: &Report) {
    let none = "its profile is not there";
    dropped(report, "metrics", &[("no name", 2)]);
    dropped(report, "anomalies", &[("its metric is not there", 2)]);
    changed(
        report,
        "anomalies",
        &[
            ("a list of algorithms was cut at 255 characters", 1),
            ("an algorithm of it is not there: left out", 31),
            ("its app is not there: `unknown`", 1),
            ("its host is not there: `unknown`", 1),
            ("its source is not there: none", 1),
            // Of the usual rows one, of the odd ones all that stay but one.
            ("without a time of recording: that of the point", 6),
        ],
    );
    changed(
        report,
        "ionosphere",
        &[
            ("disabled: deleted in the imported database", 1),
            ("disabled: disabled in the imported database", 1),
            ("disabled: its series is missing in the imported database", 4),
            ("its parent is not there: none", 2),
        ],
    );
    dropped(
        report,
        "z_ts",
        &[
            ("no value", 1),
            ("the same time twice: the later row stays", 1),
            ("their profile is not there", 3),
        ],
    );
    dropped(
        report,
        "z_fp",
        &[
            ("no such feature", 1),
            ("no value", 1),
            ("the same feature twice: the later row stays", 1),
            ("their profile is not there", 2),
        ],
    );
    dropped(report, "ionosphere_layers", &[(none, 1)]);
    dropped(
        report,
        "layers_algorithms",
        &[
            ("`in` and `not in` were never evaluated", 2),
            ("a second rule of one kind: the first stays", 1),
            ("empty", 2),
            ("its limit is no number", 1),
            ("its set is not there", 2),
            ("no such layer", 2),
            ("of a second set of one profile", 1),
        ],
    );
    dropped(report, "ionosphere_matched", &[(none, 2), ("no time", 1)]);
    dropped(report, "luminosity", &[("its anomaly is not there", 2), ("its metric is not there", 1)]);
}

async fn odd_rows(home: Home) {
    let (old, record) = (odd(), home.open().await);
    let report = old.import_into(&record).await;
    odd_counts(&report);
    odd_reasons(&report);
    let check = async |sql: &str, expected: &[&str]| assert_eq!(lines(&record, sql).await, expected, "{sql}");
    check(
        "SELECT CONCAT_WS('|', id, name, first_seen_at, settings_from) FROM metric WHERE id = 2 OR id > 3 ORDER BY id",
        &[
            "2|stats.web02.cpu|1400000000|default",
            &format!("6|stats.ümlaut.größe|{}|default", now_of(&record, 6).await),
            &format!("8|stats.nulls|{}|default", now_of(&record, 8).await),
        ],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', a.id, h.name, p.name, COALESCE(a.source_id, 0), a.recurrences, COALESCE(a.label, '-')) \
         FROM anomaly a JOIN host h ON h.id = a.host_id JOIN app p ON p.id = a.app_id ORDER BY a.id",
        &[
            "1|skyline-1|analyzer|1|0|-",
            "2|skyline-1|mirage|1|1|deployment",
            "3|skyline-2|analyzer|1|1|-",
            "4|skyline-1|ionosphere|1|0|-",
            "17|unknown|unknown|0|0|-",
            "21|skyline-1|analyzer|1|0|-",
            "23|skyline-1|analyzer|1|0|-",
            "25|skyline-1|analyzer|1|0|-",
            "27|skyline-1|analyzer|1|0|-",
            "29|skyline-1|analyzer|1|0|-",
        ],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', anomaly_id, algorithm_id, triggered) FROM anomaly_algorithm WHERE anomaly_id IN (21, 23, 29) \
         ORDER BY anomaly_id, algorithm_id",
        &["21|1|0", "21|2|0", "21|4|1", "29|1|0", "29|2|0", "29|3|1", "29|4|0"],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', id, metric_id, COALESCE(parent_id, 0), root_id, origin, state) FROM profile WHERE id > 5 ORDER BY id",
        &[
            "101|1|0|101|learnt|active",
            "103|1|0|103|learnt|disabled",
            "105|1|103|103|learnt|disabled",
            "107|1|109|1|learnt|disabled",
            "109|1|1|1|learnt|active",
            "113|1|0|113|person|disabled",
            "115|2|0|115|person|active",
        ],
    )
    .await;
    check("SELECT CAST(state_at AS CHAR) FROM profile WHERE id = 113", &["1561000000"]).await;
    check("SELECT CONCAT_WS('|', id, profile_id, state) FROM layer_set WHERE id > 2", &["15|101|disabled"])
        .await;
    check(
        "SELECT CONCAT_WS('|', new_id) FROM import_map WHERE kind = 'ionosphere_layers' AND old_id = 13",
        &["1"],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', anomaly_id, metric_id, shift_s) FROM correlation ORDER BY anomaly_id, metric_id",
        &["1|2|60", "1|3|-60", "2|2|0"],
    )
    .await;
    assert_eq!(float(&record, "SELECT value FROM anomaly WHERE id = 27").await, 0.300_001);
    assert_eq!(float(&record, "SELECT value FROM anomaly WHERE id = 25").await, 1e59);
}

/// When a metric without a time was imported.
async fn now_of(record: &Store, metric: i64) -> String {
    let sql = format!("SELECT CAST(last_seen_at AS CHAR) FROM metric WHERE id = {metric}");
    lines(record, &sql).await.remove(0)
}

async fn ids_that_are_taken(home: Home) {
    let (old, record) = (odd(), home.open().await);
    let mut session = record.writer().await.unwrap();
    for sql in [
        "INSERT INTO host (id, name, created_at) VALUES (1, 'own', 5), (2, 'skyline-1', 5)",
        "INSERT INTO app (id, name, created_at) VALUES (3, 'mirage', 5)",
        "INSERT INTO metric (id, name, name_hash, first_seen_at, last_seen_at) VALUES (2, 'own', 'oooooooooooooooo', 5, 5)",
        "INSERT INTO anomaly (id, metric_id, host_id, app_id, anomaly_ts, received_ts, window_points, full_duration_s, \
         is_counter, journal_seq, created_at) VALUES (4, 2, 2, 3, 7, 7, 0, 0, 0, 0, 7)",
        "INSERT INTO profile (id, metric_id, resolution_s, full_duration_s, origin, feature_set, feature_count, created_by, \
         created_at) VALUES (1, 2, 60, 86400, 'person', 1, 0, 1, 7)",
    ] {
        session.execute(Statement::new(sql)).await.unwrap();
    }
    drop(session);
    odd_reasons(&old.import_into(&record).await);
    let check = async |sql: &str, expected: &[&str]| assert_eq!(lines(&record, sql).await, expected, "{sql}");
    check(
        "SELECT CONCAT_WS('|', m.old_id, m.new_id, t.name) FROM import_map m JOIN metric t ON t.id = m.new_id \
         WHERE m.kind = 'metrics' ORDER BY m.old_id",
        // Up to the highest id that the record has given they move behind all of the source.
        &[
            "1|9|stats.web01.cpu",
            "2|10|stats.web02.cpu",
            "3|3|stats.Web01.cpu",
            "4|10|stats.web02.cpu",
            "6|6|stats.ümlaut.größe",
            "8|8|stats.nulls",
        ],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', m.old_id, m.new_id) FROM import_map m WHERE m.kind = 'anomalies' ORDER BY m.old_id",
        &[
            "1|30", "2|31", "3|32", "4|33", "11|31", "13|32", "17|17", "21|21", "23|23", "25|25", "27|27", "29|29",
        ],
    )
    .await;
    check(
        "SELECT CONCAT_WS('|', p.id, t.name, COALESCE(p.parent_id, 0), p.root_id) FROM profile p \
         JOIN metric t ON t.id = p.metric_id WHERE p.id BETWEEN 2 AND 4 OR p.id > 115 ORDER BY p.id",
        &[
            "2|stats.web01.cpu|116|116",
            "3|stats.web01.cpu|116|116",
            "4|stats.web01.cpu|2|116",
            "116|stats.web01.cpu|0|116",
        ],
    )
    .await;
    check("SELECT CONCAT_WS('|', id, name) FROM host WHERE name = 'skyline-1'", &["2|skyline-1"]).await;
    check("SELECT CONCAT_WS('|', id, recurrences) FROM anomaly WHERE id IN (4, 31)", &["4|0", "31|1"]).await;
    check(
        "SELECT CONCAT_WS('|', old_id, new_id) FROM import_map WHERE kind = 'ionosphere' AND old_id < 3 ORDER BY old_id",
        &["1|116", "2|2"],
    )
    .await;
}

/// Ids after which the record could give none, views in the place of tables, zero dates, and tables whose names are
/// almost those of series. The record goes on recording behind what was imported.
async fn ids_out_of_all_proportion(home: Home) {
    let (old, record) = (Old::usual(), home.open().await);
    old.database
        .run(
            "SET sql_mode = ''; SET foreign_key_checks = 0; \
             ALTER TABLE metrics MODIFY id BIGINT NOT NULL AUTO_INCREMENT; \
             ALTER TABLE anomalies MODIFY id BIGINT NOT NULL AUTO_INCREMENT, MODIFY metric_id BIGINT NOT NULL; \
             ALTER TABLE hosts MODIFY id BIGINT NOT NULL AUTO_INCREMENT; \
             INSERT INTO metrics (id, metric, created_timestamp) VALUES (9223372036854775806, 'stats.huge', '0000-00-00'); \
             INSERT INTO hosts (id, host, created_timestamp) VALUES (9223372036854775806, 'huge', '0000-00-00'), \
                 (77, 'skyline-1 ', NULL), (78, '😀', NULL); \
             INSERT INTO anomalies (id, metric_id, host_id, app_id, source_id, anomaly_timestamp, anomalous_datapoint, \
                 full_duration, algorithms_run, triggered_algorithms, created_timestamp) VALUES \
                 (9223372036854775805, 9223372036854775806, 1, 1, 1, 1560001000, 1, 86400, '1', '1', '0000-00-00'), \
                 (9223372036854775806, 1, 77, 1, 1, 1560001000, 1, 86400, '1', '1', '0000-00-00'); \
             RENAME TABLE hosts TO kept_hosts; CREATE VIEW hosts AS SELECT * FROM kept_hosts; \
             CREATE TABLE `z_ts_1``; DROP TABLE hosts` (id INT); CREATE TABLE `z_fp_' OR 1` (id INT); \
             CREATE TABLE `z_ts_` (id INT)",
        )
        .unwrap();
    old.import_into(&record).await;
    old.import_into(&record).await;
    record.record(&[crate::tests::anomaly("stats.own", 60.0)], &crate::tests::context()).await.unwrap();
    let check = async |sql: &str, expected: &[&str]| assert_eq!(lines(&record, sql).await, expected, "{sql}");
    let own = "SELECT CAST(COUNT(*) AS CHAR) FROM anomaly WHERE id < 1000000000000000";
    check(own, &["7"]).await;
    check("SELECT name FROM metric WHERE id < 1000000000000000 AND name LIKE 'stats.huge'", &["stats.huge"])
        .await;
}

async fn a_user_that_may_only_read(home: Home) {
    let (mut old, record) = (Old::usual(), home.open().await);
    let user = format!("r{}", &old.database.name()[..10]);
    let name = old.database.name();
    old.database
        .run(&format!(
            "CREATE USER {user}@localhost IDENTIFIED BY 'p &%#'; GRANT SELECT ON {name}.* TO {user}@localhost"
        ))
        .unwrap();
    let address = old.database.url().replace("mysql:///", &format!("mysql://{user}@localhost/"));
    old.access.address = address.parse().unwrap();
    let error = old.attempt(&record).await.unwrap_err().to_string();
    assert!(error.contains("--password-file"), "{error}");
    old.access.password = Some(skyline_conf::secret::Secret::new("p &%#"));
    old.import_into(&record).await;
    let elsewhere = address.replace(name, "mysql");
    old.access.address = elsewhere.parse().unwrap();
    let error = old.attempt(&record).await.unwrap_err().to_string();
    assert!(error.contains("give the user SELECT on it") && !error.contains("p &%#"), "{error}");
    old.database.run(&format!("DROP USER {user}@localhost")).unwrap();
}
