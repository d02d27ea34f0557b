//! Compares the source with the record at the end, and writes down what was imported.

use super::Import;
use super::cursor::json;
use super::error::Error;
use super::report::{Report, Table};
use super::step;
use crate::session::Session;
use crate::statement::{Statement, Value};
use std::collections::BTreeMap;

/// Metrics that are named when their profiles differ.
const NAMED: usize = 20;

/// Tables of the source and those of the record that their rows went to.
const TARGETS: [(&str, &str); 13] = [
    ("hosts", "host"),
    ("apps", "app"),
    ("sources", "source"),
    ("algorithms", "algorithm"),
    ("users", "account"),
    ("metrics", "metric"),
    ("anomalies", "anomaly"),
    ("ionosphere", "profile"),
    ("ionosphere_layers", "layer_set"),
    ("ionosphere_matched", "match_event"),
    ("ionosphere_layers_matched", "match_event"),
    ("layers_algorithms", "layer_rule"),
    ("luminosity", "correlation"),
];

/// Counts of both sides.
pub(super) async fn compare(import: &mut Import<'_>, name: String) -> Result<Report, Error> {
    let mut tables = Vec::new();
    let mut differences = Vec::new();
    for cursor in std::mem::take(&mut import.cursors) {
        let is_counted = TARGETS.iter().any(|(table, _)| *table == cursor.table);
        let rows = if is_counted { Some(import.source.count(cursor.table).await?) } else { None };
        let tally = &cursor.tally;
        if let Some(rows) = rows.filter(|rows| *rows != tally.read) {
            differences.push(format!("{}: {rows} rows there, {} were read", cursor.table, tally.read));
        }
        // Of a dry run's series and features only the rows are counted.
        let accounted = tally.written + tally.joined + tally.dropped_rows();
        if accounted != tally.read {
            differences
                .push(format!("{}: {} rows read, {accounted} accounted for", cursor.table, tally.read));
        }
        let new = tally.read.saturating_sub(cursor.before);
        tables.push(Table { name: cursor.table, rows, new, tally: tally.clone() });
        import.cursors.push(cursor);
    }
    let mut session = import.session().await?;
    for (table, target) in TARGETS {
        differences.extend(missing(&mut session, import.source_id, table, target).await?);
    }
    let here = matched_here(&mut session, import.source_id).await?;
    let profiles = profiles_here(&mut session, import.source_id).await?;
    drop(session);
    let there = import.source.profiles_by_metric().await?;
    differences.extend(profiles_differ(import, &there, &profiles));
    // Counts go on in the record once it is used, so the sums are compared by the run that has made the profiles.
    let is_new = tables.iter().any(|table| table.name == step::PROFILES && table.new > 0);
    let expected: i64 =
        there.iter().filter(|row| import.maps.metrics.contains_key(&row.0)).map(|row| row.2).sum();
    if is_new && here != expected {
        differences.push(format!("matched_count of all profiles: {expected} there, {here} here"));
    }
    let oldest_anomaly = import.source.oldest_anomaly().await?;
    let version = import.source.layout().version().to_string();
    Ok(Report { name, version, tables, differences, oldest_anomaly })
}

/// Rows that were imported and are not there any more.
async fn missing(
    session: &mut Session,
    source_id: i64,
    table: &str,
    target: &str,
) -> Result<Option<String>, Error> {
    let text = format!(
        "SELECT COUNT(DISTINCT m.new_id) FROM import_map m LEFT JOIN {target} t ON t.id = m.new_id \
         WHERE m.source_id = ? AND m.kind = ? AND t.id IS NULL"
    );
    if matches!(target, "layer_rule" | "correlation") {
        return Ok(None);
    }
    let missing = session.number(Statement::new(&text).bind(source_id).bind(table)).await?.unwrap_or(0);
    Ok((missing > 0)
        .then(|| format!("{target}: {missing} rows of {table} were removed from the record since")))
}

/// Sum of the match counts of imported profiles.
async fn matched_here(session: &mut Session, source_id: i64) -> Result<i64, Error> {
    let select = Statement::new(
        "SELECT CAST(COALESCE(SUM(p.match_count), 0) AS SIGNED) FROM import_map m JOIN profile p ON p.id = m.new_id \
         WHERE m.source_id = ? AND m.kind = 'ionosphere'",
    );
    Ok(session.number(select.bind(source_id)).await?.unwrap_or(0))
}

/// Imported profiles of each metric.
async fn profiles_here(session: &mut Session, source_id: i64) -> Result<BTreeMap<i64, i64>, Error> {
    let select = Statement::new(
        "SELECT p.metric_id AS metric_id, COUNT(*) AS profiles FROM import_map m JOIN profile p ON p.id = m.new_id \
         WHERE m.source_id = ? AND m.kind = 'ionosphere' GROUP BY p.metric_id",
    );
    let rows = session.fetch(select.bind(source_id)).await?;
    let failed = |e: sqlx::Error| crate::Error::of(session.place(), &e);
    let mut profiles = BTreeMap::new();
    for row in &rows {
        profiles.insert(row.get("metric_id").map_err(failed)?, row.get("profiles").map_err(failed)?);
    }
    Ok(profiles)
}

/// Metrics whose profiles are not as many as there.
fn profiles_differ(import: &Import<'_>, there: &[(i64, i64, i64)], here: &BTreeMap<i64, i64>) -> Vec<String> {
    // Twins are one metric here.
    let mut expected: BTreeMap<i64, i64> = BTreeMap::new();
    for (old, profiles, _) in there {
        if let Some(metric) = import.maps.metrics.get(old) {
            *expected.entry(*metric).or_default() += profiles;
        }
    }
    let differ = expected.iter().filter(|(metric, profiles)| here.get(metric).unwrap_or(&0) != *profiles);
    let mut said: Vec<_> = differ
        .map(|(metric, profiles)| {
            let here = here.get(metric).unwrap_or(&0);
            format!("metric {metric}: {profiles} profiles there, {here} here")
        })
        .collect();
    let more = said.len().saturating_sub(NAMED);
    said.truncate(NAMED);
    if more > 0 {
        said.push(format!("and {more} more metrics whose profiles differ"));
    }
    said
}

/// One row of `audit_event` for each table of which something is new since the last one.
pub(super) async fn audit(import: &mut Import<'_>) -> Result<(), Error> {
    let mut cursors = std::mem::take(&mut import.cursors);
    let mut transaction = import.begin().await?;
    for cursor in cursors.iter_mut().filter(|cursor| cursor.tally != cursor.audited) {
        let target = match cursor.table {
            step::SERIES => "profile_series",
            step::FEATURES => "profile_feature",
            table => TARGETS.iter().find(|(from, _)| *from == table).map_or(table, |(_, to)| to),
        };
        let mut insert = Statement::new(
            "INSERT INTO audit_event (at, account_id, action, table_name, row_id, before_text, after_text) ",
        );
        insert.push_rows([[
            import.now.into(),
            step::SYSTEM.into(),
            "import".into(),
            target.into(),
            // Not a row of that table: the database that the rows are from.
            import.source_id.into(),
            Value::Text(json(&cursor.audited)),
            json(&cursor.tally).into(),
        ]]);
        transaction.session().execute(insert).await?;
        cursor.audit(&mut transaction).await?;
    }
    transaction.commit().await?;
    import.cursors = cursors;
    Ok(())
}
