//! Rows of `ionosphere`, and what the two tables of a metric hold of a profile.

use super::Source;
use super::dictionary::CREATED;
use crate::import::error::Error;
use sqlx::FromRow;

/// A row of `ionosphere`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Profile {
    pub(crate) old_id: i64,
    pub(crate) metric_id: i64,
    pub(crate) full_duration: i64,
    pub(crate) anomaly_ts: i64,
    /// Null is enabled.
    pub(crate) enabled: Option<i64>,
    /// Seconds.
    pub(crate) calc_time: Option<f64>,
    pub(crate) features_count: Option<i64>,
    pub(crate) features_sum: Option<f64>,
    pub(crate) deleted: Option<i64>,
    pub(crate) matched_count: i64,
    pub(crate) last_matched: i64,
    pub(crate) last_checked: i64,
    pub(crate) checked_count: i64,
    pub(crate) created: Option<i64>,
    pub(crate) generation: i64,
    /// 0, 1, or a time.
    pub(crate) validated: i64,
    pub(crate) echo: i64,
    pub(crate) user_id: i64,
    pub(crate) label: Option<String>,
}

/// Who a profile was learnt from; 0: nobody.
#[derive(Debug, Clone, Copy, FromRow)]
pub(crate) struct Lineage {
    pub(crate) old_id: i64,
    pub(crate) metric_id: i64,
    pub(crate) parent_id: i64,
}

/// Where the rows of a profile are in a table of its metric. Those of others may be between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct Extent {
    pub(crate) profile: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) rows: i64,
}

impl Source {
    /// Profiles behind the id `after`.
    pub(crate) async fn profiles(&mut self, after: i64, limit: usize) -> Result<Vec<Profile>, Error> {
        let has = |column, otherwise| self.layout.or("ionosphere", column, otherwise);
        let whole = |column: &str, name: &str| format!("CAST(COALESCE({column}, 0) AS SIGNED) AS {name}, ");
        let columns = [
            whole("t.metric_id", "metric_id"),
            whole("t.full_duration", "full_duration"),
            whole("t.anomaly_timestamp", "anomaly_ts"),
            whole("t.matched_count", "matched_count"),
            whole("t.last_matched", "last_matched"),
            whole("t.last_checked", "last_checked"),
            whole("t.checked_count", "checked_count"),
            whole("t.generation", "generation"),
            whole("t.validated", "validated"),
            whole("t.echo_fp", "echo"),
            whole(has("user_id", "0"), "user_id"),
            format!(
                "CAST(t.enabled AS SIGNED) AS enabled, t.calc_time + 0e0 AS calc_time, CAST(t.features_count AS SIGNED) AS features_count, \
                 t.features_sum + 0e0 AS features_sum, CAST(t.deleted AS SIGNED) AS deleted, {CREATED}, \
                 {label} AS label",
                label = has("label", "CAST(NULL AS CHAR)"),
            ),
        ]
        .concat();
        self.page("ionosphere", &columns, after, limit).await
    }

    /// Who was learnt from whom, of the profiles behind the id `after`.
    pub(crate) async fn lineage(&mut self, after: i64, limit: usize) -> Result<Vec<Lineage>, Error> {
        let columns =
            "CAST(t.metric_id AS SIGNED) AS metric_id, CAST(COALESCE(t.parent_id, 0) AS SIGNED) AS parent_id";
        self.page("ionosphere", columns, after, limit).await
    }

    /// Which profiles have rows in a table of a metric (`z_ts_12`), and where; none where there is no table.
    pub(crate) async fn extents(&mut self, table: &str) -> Result<Vec<Extent>, Error> {
        if !self.layout.has_table(table) {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT CAST(t.fp_id AS SIGNED) AS profile, CAST(MIN(t.id) AS SIGNED) AS first, \
             CAST(MAX(t.id) AS SIGNED) AS last, COUNT(*) AS `rows` FROM `{table}` t \
             WHERE t.fp_id IS NOT NULL GROUP BY t.fp_id"
        );
        self.all(table, sql, &[]).await
    }

    /// Times and values of a profile, as they were stored.
    pub(crate) async fn series(
        &mut self,
        metric: i64,
        extent: Extent,
    ) -> Result<Vec<(i64, Option<f64>)>, Error> {
        self.values(&format!("z_ts_{metric}"), "timestamp", extent).await
    }

    /// Ids of features and their values.
    pub(crate) async fn features(
        &mut self,
        metric: i64,
        extent: Extent,
    ) -> Result<Vec<(i64, Option<f64>)>, Error> {
        self.values(&format!("z_fp_{metric}"), "feature_id", extent).await
    }

    async fn values(
        &mut self,
        table: &str,
        key: &str,
        extent: Extent,
    ) -> Result<Vec<(i64, Option<f64>)>, Error> {
        let sql = format!(
            "SELECT CAST(COALESCE(t.`{key}`, 0) AS SIGNED), t.value + 0e0 FROM `{table}` t \
             WHERE t.id BETWEEN ? AND ? AND t.fp_id = ? ORDER BY t.id"
        );
        self.all(table, sql, &[extent.first, extent.last, extent.profile]).await
    }
}
