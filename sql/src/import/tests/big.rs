//! A database of the size that a small team has; prints how fast it comes over.

use super::*;
use crate::tests::{Home, on_both};
use std::time::Instant;

on_both!(tens_of_thousands);

/// More rows for the small database: so many anomalies of 500 metrics, and so many profiles with `points` each.
pub(super) fn rows(anomalies: u64, profiles: u64, points: u64) -> String {
    let features = 150;
    let mut tables = String::new();
    for metric in 101..=110 {
        tables += &format!(
            "CREATE TABLE z_ts_{metric} LIKE z_ts_metricid; CREATE TABLE z_fp_{metric} LIKE z_fp_metricid;
             INSERT INTO z_ts_{metric} (fp_id, timestamp, value) SELECT p.id, 1560000000 + s.seq * 60, SIN(s.seq / 10) * p.id \
             FROM ionosphere p JOIN seq_1_to_{points} s WHERE p.metric_id = {metric} ORDER BY p.id, s.seq;
             INSERT INTO z_fp_{metric} (fp_id, feature_id, value) SELECT p.id, s.seq, p.id / s.seq \
             FROM ionosphere p JOIN seq_1_to_{features} s WHERE p.metric_id = {metric} ORDER BY p.id, s.seq;\n"
        );
    }
    format!(
        "INSERT INTO metrics (id, metric, created_timestamp) SELECT 100 + seq, CONCAT('servers.web', seq, '.cpu.user'), \
         FROM_UNIXTIME(1500000000) FROM seq_1_to_500;
         INSERT INTO anomalies (id, metric_id, host_id, app_id, source_id, anomaly_timestamp, anomalous_datapoint, \
         full_duration, algorithms_run, triggered_algorithms, created_timestamp) SELECT 100 + seq, 101 + seq MOD 500, 1, 1, 1, \
         1560000000 + seq * 60, seq / 7, 86400, '1,2,3,4,5', '2,4', FROM_UNIXTIME(1560000030 + seq * 60) FROM seq_1_to_{anomalies};
         INSERT INTO ionosphere (id, metric_id, full_duration, anomaly_timestamp, enabled, created_timestamp, matched_count, \
         parent_id, generation) SELECT 100 + seq, 101 + seq MOD 10, 86400, 1560000000 + seq * 60, 1, FROM_UNIXTIME(1560000900), seq, \
         IF(seq > 10, 90 + seq, 0), seq DIV 10 FROM seq_1_to_{profiles};
         {tables}
         INSERT INTO ionosphere_matched (id, fp_id, metric_timestamp) SELECT 100 + seq, 101 + seq MOD {profiles}, \
         1570000000 + seq FROM seq_1_to_{anomalies} WHERE seq MOD 5 = 0;
         INSERT INTO luminosity (id, metric_id, coefficient, shifted, shifted_coefficient) SELECT 100 + a.seq, 101 + b.seq, 0.9, 0, \
         0.9 FROM seq_1_to_{anomalies} a JOIN seq_1_to_3 b WHERE a.seq MOD 4 = 0;\n"
    )
}

async fn tens_of_thousands(home: Home) {
    let long = std::env::var_os("SKYLINE_LONG").is_some_and(|value| value != "0");
    let (anomalies, profiles, points) = if long { (300_000, 1_000, 10_080) } else { (20_000, 60, 1_440) };
    let (old, record) = (
        Old::new(&[BASE, TO_1_2_16, FRESH_1_3_0, ROWS, &rows(anomalies, profiles, points)]),
        home.open().await,
    );
    let started = Instant::now();
    let mut last = ("", started);
    let report = run(&old.access, &record, &Options::default(), &mut |now| {
        if now.table != last.0 {
            println!("{:6.2} s  {}", started.elapsed().as_secs_f64(), now.table);
            last = (now.table, Instant::now());
        }
    })
    .await
    .unwrap();
    assert_eq!(report.differences, Vec::<String>::new());
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} rows, {anomalies} anomalies, {profiles} profiles of {points} points, into {}: {seconds:.1} s, {:.0} rows/s",
        report.new_rows(),
        if home.is_file() { "SQLite" } else { "MariaDB" },
        report.new_rows() as f64 / seconds
    );
    assert_eq!(of(&report, "anomalies").written, anomalies + 4);
    assert_eq!(of(&report, "z_ts").written, profiles * points + 7);
    let started = Instant::now();
    assert_eq!(old.import_into(&record).await.new_rows(), 0);
    println!("again: {:.1} s", started.elapsed().as_secs_f64());
}
