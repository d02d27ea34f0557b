//! `metrics`: names once each, with what the operator set for learning.

use super::BATCH;
use crate::import::Import;
use crate::import::cursor::Cursor;
use crate::import::error::Error;
use crate::import::map::{self, Ids};
use crate::import::source::Metric;
use crate::session::Session;
use crate::statement::{Statement, Value};
use std::collections::HashMap;

const TABLE: &str = "metrics";

/// What the application writes, and what the columns default to: days, seconds, generations, percent.
const DEFAULTS: [Learning; 2] = [(30, 3661, 16, 100.0), (30, 3661, 5, 7.0)];

type Learning = (i64, i64, i64, f64);

/// Settings of a metric, and whether a person chose them.
fn learning(metric: &Metric) -> (Learning, bool) {
    let [(days, after, generations, percent), _] = DEFAULTS;
    let learning = (
        metric.learn_days.unwrap_or(days),
        metric.learn_after_s.unwrap_or(after),
        metric.max_generations.unwrap_or(generations),
        metric.max_percent.unwrap_or(percent),
    );
    (learning, !DEFAULTS.contains(&learning))
}

/// The column `name_hash`.
fn hash(name: &str) -> Vec<u8> {
    use md5::Digest as _;
    md5::Md5::digest(name).to_vec()
}

pub(super) async fn run(import: &mut Import<'_>) -> Result<(), Error> {
    let highest = import.source.highest(TABLE).await?;
    let mut session = import.session().await?;
    let mut cursor = Cursor::load(&mut session, import.source_id, TABLE, Some("metric")).await?;
    let mut map = map::load(&mut session, import.source_id, TABLE, "metric").await?;
    let mut ids = Ids::new(&mut session, "metric", cursor.floor, highest).await?;
    drop(session);
    loop {
        let rows = import.source.metrics(cursor.last, BATCH).await?;
        let Some(last) = rows.last().map(|row| row.old_id) else { break };
        let count = rows.len();
        let wanted: Vec<_> = rows.iter().map(|row| row.old_id).collect();
        let mut transaction = import.begin().await?;
        let session = transaction.session();
        let given = ids.give(session, &wanted).await?;
        let mut known = known(session, &rows).await?;
        let (mut new, mut joined, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for (row, id) in rows.iter().zip(given) {
            cursor.tally.read += 1;
            let Some(name) = row.name.as_deref().filter(|name| !name.is_empty()) else {
                cursor.tally.drop_row("no name");
                continue;
            };
            if let Some(known) = known.get(name) {
                cursor.tally.joined += 1;
                joined.push((*known, row));
                pairs.push((row.old_id, *known));
                continue;
            }
            cursor.tally.written += 1;
            known.insert(name.to_owned(), id);
            pairs.push((row.old_id, id));
            let ((days, after, generations, percent), chosen) = learning(row);
            new.push([
                Value::Int(id),
                name.into(),
                hash(name).into(),
                row.created.unwrap_or(import.now).into(),
                // The source knows the metric today: one without new anomalies is not removed as forgotten at once.
                import.now.into(),
                days.into(),
                after.into(),
                generations.into(),
                percent.into(),
                if chosen { "operator" } else { "default" }.into(),
            ]);
        }
        write(session, new).await?;
        for (id, row) in joined {
            join(session, id, row).await?;
        }
        map::store(session, import.source_id, TABLE, &pairs).await?;
        cursor.advance(&mut transaction, last).await?;
        transaction.commit().await?;
        map.extend(pairs);
        import.progressed(TABLE, count);
    }
    import.finished(cursor);
    import.maps.metrics = map;
    Ok(())
}

async fn write(session: &mut Session, rows: Vec<[Value; 10]>) -> Result<(), Error> {
    const INTO: &str = "INSERT INTO metric (id, name, name_hash, first_seen_at, last_seen_at, learn_days, learn_after_s, \
         learn_max_generation, learn_max_percent, settings_from) ";
    super::insert(session, INTO, rows, "").await
}

/// Those of the metrics that the record has.
async fn known(session: &mut Session, rows: &[Metric]) -> Result<HashMap<String, i64>, Error> {
    let mut select = Statement::new("SELECT id, name FROM metric WHERE name_hash IN ");
    select.push_list(rows.iter().filter_map(|row| row.name.as_deref()).map(hash));
    let mut known = HashMap::new();
    if select.values.is_empty() {
        return Ok(known);
    }
    let rows = session.fetch(select).await?;
    let failed = |e: sqlx::Error| crate::Error::of(session.place(), &e);
    for row in &rows {
        known.insert(row.get("name").map_err(failed)?, row.get("id").map_err(failed)?);
    }
    Ok(known)
}

/// A metric that the record has: what a person chose comes over unless somebody has chosen here; it was first
/// seen when the earlier of the two says.
async fn join(session: &mut Session, id: i64, row: &Metric) -> Result<(), Error> {
    if let Some(created) = row.created {
        let update = Statement::new("UPDATE metric SET first_seen_at = ? WHERE id = ? AND first_seen_at > ?")
            .bind(created)
            .bind(id)
            .bind(created);
        session.execute(update).await?;
    }
    let ((days, after, generations, percent), chosen) = learning(row);
    if chosen {
        let update = Statement::new(
            "UPDATE metric SET learn_days = ?, learn_after_s = ?, learn_max_generation = ?, learn_max_percent = ?, \
             settings_from = 'operator' WHERE id = ? AND settings_from = 'default'",
        )
        .bind(days)
        .bind(after)
        .bind(generations)
        .bind(percent)
        .bind(id);
        session.execute(update).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_a_person_chose() {
        let check = |days, after, generations, percent, chosen| {
            let metric = Metric {
                old_id: 1,
                name: None,
                created: None,
                learn_days: days,
                learn_after_s: after,
                max_generations: generations,
                max_percent: percent,
            };
            assert_eq!(learning(&metric).1, chosen, "{metric:?}");
        };
        check(Some(30), Some(3661), Some(16), Some(100.0), false);
        check(Some(30), Some(3661), Some(5), Some(7.0), false);
        check(None, None, None, None, false);
        check(Some(30), Some(3661), Some(5), Some(100.0), true);
        check(Some(0), None, None, None, true);
    }
}
