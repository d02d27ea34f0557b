//! Rows of `ionosphere_matched`, `ionosphere_layers`, `layers_algorithms` and `ionosphere_layers_matched`.

use super::Source;
use super::dictionary::CREATED;
use crate::import::error::Error;
use sqlx::FromRow;

/// A row of `ionosphere_matched`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Match {
    pub(crate) old_id: i64,
    pub(crate) profile_id: i64,
    pub(crate) ts: i64,
    pub(crate) calc_sum: Option<f64>,
    pub(crate) calc_count: i64,
    pub(crate) common_sum: Option<f64>,
    pub(crate) common_count: i64,
    pub(crate) tsfresh_version: Option<String>,
    pub(crate) minmax: i64,
    pub(crate) minmax_fp_sum: Option<f64>,
    pub(crate) minmax_fp_count: i64,
    pub(crate) minmax_sum: Option<f64>,
    pub(crate) minmax_count: i64,
    pub(crate) fp_count: i64,
    pub(crate) fp_checked: i64,
    pub(crate) validated: i64,
    pub(crate) user_id: i64,
}

/// A row of `ionosphere_layers`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Layer {
    pub(crate) old_id: i64,
    pub(crate) profile_id: i64,
    pub(crate) enabled: Option<i64>,
    pub(crate) deleted: Option<i64>,
    pub(crate) matched_count: i64,
    pub(crate) last_matched: i64,
    pub(crate) last_checked: i64,
    pub(crate) check_count: i64,
    pub(crate) created: Option<i64>,
    pub(crate) label: Option<String>,
    pub(crate) validated: i64,
}

/// A row of `layers_algorithms`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Rule {
    pub(crate) layer_id: i64,
    pub(crate) kind: Option<String>,
    pub(crate) op: Option<String>,
    pub(crate) bound: Option<String>,
    pub(crate) times: Option<i64>,
}

/// A row of `ionosphere_layers_matched`.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct LayerMatch {
    pub(crate) old_id: i64,
    pub(crate) layer_id: i64,
    pub(crate) ts: i64,
    pub(crate) value: Option<String>,
    pub(crate) full_duration: Option<i64>,
    pub(crate) layers_count: i64,
    pub(crate) layers_checked: i64,
    pub(crate) approx_close: i64,
    pub(crate) validated: i64,
    pub(crate) user_id: i64,
}

/// A number that is never null in what follows.
fn whole(column: &str, name: &str) -> String {
    format!("CAST(COALESCE({column}, 0) AS SIGNED) AS {name}, ")
}

impl Source {
    /// Matches behind the id `after`.
    pub(crate) async fn matches(&mut self, after: i64, limit: usize) -> Result<Vec<Match>, Error> {
        let has = |column, otherwise| self.layout.or("ionosphere_matched", column, otherwise);
        let columns = [
            whole("t.fp_id", "profile_id"),
            whole("t.metric_timestamp", "ts"),
            whole("t.all_calc_features_count", "calc_count"),
            whole("t.common_features_count", "common_count"),
            whole("t.minmax", "minmax"),
            whole("t.minmax_fp_features_count", "minmax_fp_count"),
            whole("t.minmax_anomalous_features_count", "minmax_count"),
            whole("t.fp_count", "fp_count"),
            whole("t.fp_checked", "fp_checked"),
            whole(has("validated", "0"), "validated"),
            whole(has("user_id", "0"), "user_id"),
            "t.tsfresh_version AS tsfresh_version, t.all_calc_features_sum + 0e0 AS calc_sum, \
             t.sum_common_values + 0e0 AS common_sum, t.minmax_fp_features_sum + 0e0 AS minmax_fp_sum, \
             t.minmax_anomalous_features_sum + 0e0 AS minmax_sum"
                .to_owned(),
        ]
        .concat();
        self.page("ionosphere_matched", &columns, after, limit).await
    }

    /// Layers behind the id `after`.
    pub(crate) async fn layers(&mut self, after: i64, limit: usize) -> Result<Vec<Layer>, Error> {
        let columns = [
            whole("t.fp_id", "profile_id"),
            whole("t.matched_count", "matched_count"),
            whole("t.last_matched", "last_matched"),
            whole("t.last_checked", "last_checked"),
            whole("t.check_count", "check_count"),
            whole("t.validated", "validated"),
            format!(
                "CAST(t.enabled AS SIGNED) AS enabled, CAST(t.deleted AS SIGNED) AS deleted, \
                 {CREATED}, t.label AS label"
            ),
        ]
        .concat();
        self.page("ionosphere_layers", &columns, after, limit).await
    }

    /// Rules of the layers from `first` to `last`, as they were made.
    pub(crate) async fn rules(&mut self, first: i64, last: i64) -> Result<Vec<Rule>, Error> {
        let sql = "SELECT CAST(t.layer_id AS SIGNED) AS layer_id, t.layer AS kind, \
                   t.`condition` AS op, t.layer_boundary AS bound, CAST(t.times_in_row AS SIGNED) AS times \
                   FROM layers_algorithms t WHERE t.layer_id BETWEEN ? AND ? ORDER BY t.layer_id, t.id";
        self.all("layers_algorithms", sql.to_owned(), &[first, last]).await
    }

    /// Matches of layers behind the id `after`.
    pub(crate) async fn layer_matches(&mut self, after: i64, limit: usize) -> Result<Vec<LayerMatch>, Error> {
        let has = |column, otherwise| self.layout.or("ionosphere_layers_matched", column, otherwise);
        let columns = [
            whole("t.layer_id", "layer_id"),
            whole("t.anomaly_timestamp", "ts"),
            whole("t.layers_count", "layers_count"),
            whole("t.layers_checked", "layers_checked"),
            whole("t.approx_close", "approx_close"),
            whole(has("validated", "0"), "validated"),
            whole(has("user_id", "0"), "user_id"),
            "CAST(t.anomalous_datapoint AS CHAR) AS value, CAST(t.full_duration AS SIGNED) AS full_duration"
                .to_owned(),
        ]
        .concat();
        self.page("ionosphere_layers_matched", &columns, after, limit).await
    }
}
