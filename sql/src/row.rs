//! An anomaly as it is stored, read back.

use crate::error::Error;
use crate::pool::Store;
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};
use std::collections::HashMap;

/// A recorded anomaly.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its id; larger ids were recorded later.
    pub id: i64,
    /// What was found. Floats that were not a number are NaN again.
    pub anomaly: Anomaly,
    /// The node that found it.
    pub host: String,
    /// The part of the node that found it.
    pub app: String,
    /// Later anomalies that were joined with this one.
    pub recurrences: u64,
    /// Time of the last of them, seconds.
    pub ended: Option<f64>,
}

/// Columns of a row; to be followed by conditions.
pub(crate) const SELECT: &str = "SELECT a.id, m.name AS metric, h.name AS host, p.name AS app, a.anomaly_ts, \
    a.end_ts, a.received_ts, a.value, a.judged_value, a.mean, a.stddev, a.window_from_ts, a.window_points, \
    a.full_duration_s, a.is_counter, a.journal_seq, a.recurrences \
    FROM anomaly a JOIN metric m ON m.id = a.metric_id JOIN host h ON h.id = a.host_id \
    JOIN app p ON p.id = a.app_id";

fn decode(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    let float =
        |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<f64>, _>(column)?.unwrap_or(f64::NAN));
    Ok(Row {
        id: row.try_get("id")?,
        anomaly: Anomaly {
            metric: row.try_get("metric")?,
            point: Datapoint::new(float("anomaly_ts")?, float("value")?),
            judged_value: float("judged_value")?,
            received: float("received_ts")?,
            asked: AlgorithmSet::EMPTY,
            triggered: AlgorithmSet::EMPTY,
            mean: float("mean")?,
            stddev: float("stddev")?,
            window_from: float("window_from_ts")?,
            window_points: row.try_get::<u32, _>("window_points")?,
            full_duration: row.try_get::<u32, _>("full_duration_s")?,
            counter: row.try_get::<i64, _>("is_counter")? != 0,
            seq: row.try_get::<i64, _>("journal_seq")?.cast_unsigned(),
        },
        host: row.try_get("host")?,
        app: row.try_get("app")?,
        recurrences: row.try_get::<i64, _>("recurrences")?.unsigned_abs(),
        ended: row.try_get("end_ts")?,
    })
}

impl Store {
    /// Runs a query that begins with [`SELECT`] and adds the votes to its rows. The votes are read in a
    /// statement of their own: rows that are removed in between come back without votes.
    pub(crate) async fn rows(&self, mut query: QueryBuilder<Sqlite>) -> Result<Vec<Row>, Error> {
        let failed = |e| Error::of(self.path(), e);
        let mut connection = self.readers().acquire().await.map_err(failed)?;
        let found = query.build().fetch_all(&mut *connection).await.map_err(failed)?;
        let mut rows = found.iter().map(decode).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        if rows.is_empty() {
            return Ok(rows);
        }
        let mut votes = QueryBuilder::<Sqlite>::new(
            "SELECT v.anomaly_id, g.name, v.triggered FROM anomaly_algorithm v \
             JOIN algorithm g ON g.id = v.algorithm_id WHERE v.anomaly_id IN (",
        );
        let mut ids = votes.separated(", ");
        for row in &rows {
            ids.push_bind(row.id);
        }
        votes.push(")");
        let votes = votes.build().fetch_all(&mut *connection).await.map_err(failed)?;
        let mut sets: HashMap<i64, (AlgorithmSet, AlgorithmSet)> = HashMap::new();
        for vote in &votes {
            let id = vote.try_get("anomaly_id").map_err(failed)?;
            let name: &str = vote.try_get("name").map_err(failed)?;
            // Algorithms that this version does not know are left out.
            let Some(algorithm) = Algorithm::from_name(name) else { continue };
            let (asked, triggered) = sets.entry(id).or_default();
            asked.insert(algorithm);
            if vote.try_get::<i64, _>("triggered").map_err(failed)? != 0 {
                triggered.insert(algorithm);
            }
        }
        for row in &mut rows {
            if let Some((asked, triggered)) = sets.get(&row.id) {
                (row.anomaly.asked, row.anomaly.triggered) = (*asked, *triggered);
            }
        }
        Ok(rows)
    }
}
