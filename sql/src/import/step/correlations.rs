//! `luminosity`: metrics that moved with an anomaly. Of two rows of one pair the higher coefficient stays.

use super::{BATCH, anomalies};
use crate::import::Import;
use crate::import::cursor::Cursor;
use crate::import::error::Error;
use crate::import::map;
use crate::import::source::Luminosity;
use crate::session::Session;
use crate::statement::{Statement, Value};
use std::collections::BTreeMap;

const TABLE: &str = "luminosity";

/// What the record holds of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Correlation {
    coefficient: f64,
    shift: i64,
    shifted: Option<f64>,
}

pub(super) async fn run(import: &mut Import<'_>) -> Result<(), Error> {
    let mut session = import.session().await?;
    let mut cursor = Cursor::load(&mut session, import.source_id, TABLE, None).await?;
    drop(session);
    loop {
        let rows = import.source.luminosity(cursor.last, BATCH).await?;
        let (Some(first), Some(last)) = (rows.first().map(|r| r.old_id), rows.last().map(|r| r.old_id))
        else {
            break;
        };
        let mut transaction = import.begin().await?;
        let session = transaction.session();
        let of = map::range(session, import.source_id, anomalies::TABLE, "anomaly", (first, last)).await?;
        let mut best: BTreeMap<(i64, i64), Correlation> = BTreeMap::new();
        for row in &rows {
            cursor.tally.read += 1;
            let Some(anomaly) = of.get(&row.old_id) else {
                cursor.tally.drop_row("its anomaly is not there");
                continue;
            };
            let Some(metric) = import.maps.metrics.get(&row.metric_id) else {
                cursor.tally.drop_row("its metric is not there");
                continue;
            };
            let Some(new) = correlation(row) else {
                cursor.tally.drop_row("no coefficient");
                continue;
            };
            let known = best.entry((*anomaly, *metric));
            if let std::collections::btree_map::Entry::Occupied(_) = known {
                cursor.tally.joined += 1;
            }
            let known = known.or_insert(new);
            if new.coefficient > known.coefficient {
                *known = new;
            }
        }
        let joined = write(session, best, &mut cursor.tally.written).await?;
        cursor.tally.joined += joined;
        cursor.advance(&mut transaction, last).await?;
        transaction.commit().await?;
        import.progressed(TABLE, rows.len());
    }
    import.finished(cursor);
    Ok(())
}

fn correlation(row: &Luminosity) -> Option<Correlation> {
    let coefficient = row.coefficient.parse().ok()?;
    Some(Correlation { coefficient, shift: row.shifted, shifted: row.shifted_coefficient.parse().ok() })
}

/// Writes pairs; returns how many of them the record had.
async fn write(
    session: &mut Session,
    mut best: BTreeMap<(i64, i64), Correlation>,
    written: &mut u64,
) -> Result<u64, Error> {
    let mut joined = 0;
    let mut anomalies: Vec<_> = best.keys().map(|(anomaly, _)| *anomaly).collect();
    anomalies.dedup();
    if anomalies.is_empty() {
        return Ok(0);
    }
    let mut select =
        Statement::new("SELECT anomaly_id, metric_id, coefficient FROM correlation WHERE anomaly_id IN ");
    select.push_list(anomalies);
    let rows = session.fetch(select).await?;
    for row in &rows {
        let failed = |e: sqlx::Error| crate::Error::of(session.place(), &e);
        let pair = (row.get("anomaly_id").map_err(failed)?, row.get("metric_id").map_err(failed)?);
        let coefficient: f64 = row.get("coefficient").map_err(failed)?;
        let Some(new) = best.remove(&pair) else { continue };
        joined += 1;
        if new.coefficient > coefficient {
            let update = Statement::new(
                "UPDATE correlation SET coefficient = ?, shift_s = ?, shifted_coefficient = ?, sign = ? \
                 WHERE anomaly_id = ? AND metric_id = ?",
            )
            .bind(new.coefficient)
            .bind(new.shift)
            .bind(new.shifted)
            .bind(sign(new.coefficient))
            .bind(pair.0)
            .bind(pair.1);
            session.execute(update).await?;
        }
    }
    *written += best.len() as u64;
    let rows = best.into_iter().map(|((anomaly, metric), new)| {
        [
            Value::Int(anomaly),
            metric.into(),
            new.coefficient.into(),
            new.shift.into(),
            new.shifted.into(),
            Value::Int(0),
            sign(new.coefficient).into(),
        ]
    });
    let into = "INSERT INTO correlation (anomaly_id, metric_id, coefficient, shift_s, shifted_coefficient, points, sign) ";
    super::insert(session, into, rows.collect(), "").await?;
    Ok(joined)
}

fn sign(coefficient: f64) -> i64 {
    match coefficient {
        c if c > 0.0 => 1,
        c if c < 0.0 => -1,
        _ => 0,
    }
}
