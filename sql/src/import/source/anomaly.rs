//! Rows of `anomalies` and `luminosity`.

use super::Source;
use super::dictionary::CREATED;
use crate::import::error::Error;
use sqlx::FromRow;

/// A row of `anomalies`. Decimals are text.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Anomaly {
    pub(crate) old_id: i64,
    pub(crate) metric_id: i64,
    pub(crate) host_id: i64,
    pub(crate) app_id: i64,
    pub(crate) source_id: i64,
    pub(crate) ts: i64,
    pub(crate) value: String,
    pub(crate) full_duration: i64,
    pub(crate) run: String,
    pub(crate) triggered: String,
    pub(crate) created: Option<i64>,
    /// `1560000061.000200`; zero is none.
    pub(crate) thread: String,
    pub(crate) label: Option<String>,
    pub(crate) user_id: i64,
}

/// A row of `luminosity`: how another metric moved with that of the anomaly `old_id`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Luminosity {
    pub(crate) old_id: i64,
    pub(crate) metric_id: i64,
    pub(crate) coefficient: String,
    pub(crate) shifted: i64,
    pub(crate) shifted_coefficient: String,
}

impl Source {
    /// Anomalies behind the id `after`.
    pub(crate) async fn anomalies(&mut self, after: i64, limit: usize) -> Result<Vec<Anomaly>, Error> {
        let has = |column, otherwise| self.layout.or("anomalies", column, otherwise);
        let columns = format!(
            "CAST(t.metric_id AS SIGNED) AS metric_id, CAST(t.host_id AS SIGNED) AS host_id, \
             CAST(t.app_id AS SIGNED) AS app_id, CAST(t.source_id AS SIGNED) AS source_id, \
             CAST(t.anomaly_timestamp AS SIGNED) AS ts, CAST(t.anomalous_datapoint AS CHAR) AS value, \
             CAST(t.full_duration AS SIGNED) AS full_duration, t.algorithms_run AS run, \
             t.triggered_algorithms AS triggered, {CREATED}, \
             CAST(COALESCE({thread}, 0) AS CHAR) AS thread, {label} AS label, \
             CAST(COALESCE({user}, 0) AS SIGNED) AS user_id",
            thread = has("slack_thread_ts", "0"),
            label = has("label", "CAST(NULL AS CHAR)"),
            user = has("user_id", "0"),
        );
        self.page("anomalies", &columns, after, limit).await
    }

    /// Correlations of the anomalies behind the id `after`, about `limit`, and always all of an anomaly.
    pub(crate) async fn luminosity(&mut self, after: i64, limit: usize) -> Result<Vec<Luminosity>, Error> {
        const COLUMNS: &str = "CAST(t.metric_id AS SIGNED) AS metric_id, \
             CAST(t.coefficient AS CHAR) AS coefficient, CAST(t.shifted AS SIGNED) AS shifted, \
             CAST(t.shifted_coefficient AS CHAR) AS shifted_coefficient";
        let mut rows: Vec<Luminosity> = self.page("luminosity", COLUMNS, after, limit).await?;
        let Some(last) = rows.last().map(|row| row.old_id).filter(|_| rows.len() == limit) else {
            return Ok(rows);
        };
        // The last anomaly may have more: they are read whole, in the place of those that are here.
        rows.retain(|row| row.old_id != last);
        let sql =
            format!("SELECT CAST(t.id AS SIGNED) AS old_id, {COLUMNS} FROM luminosity t WHERE t.id = ?");
        rows.extend(self.all::<Luminosity>("luminosity", sql, &[last]).await?);
        Ok(rows)
    }
}
