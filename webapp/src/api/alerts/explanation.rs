//! Who would be told of a metric, and why.

use super::Alerts;
use crate::answer;
use crate::api::query::{Bad, Parameters};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde_json::Value;
use skyline_core::name::MAX_WINDOW_NAME_BYTES;

/// `GET /api/v1/alerts/explain?metric=NAME`.
pub(super) async fn explain(State(alerts): State<Alerts>, uri: Uri) -> Result<Response, Bad> {
    let parameters = Parameters::read(&uri, &["metric", "at"])?;
    let Some(metric) = parameters.get("metric") else {
        return Err(parameters.bad("metric", "`metric` is missing: give the name of a metric"));
    };
    if metric.len() > MAX_WINDOW_NAME_BYTES {
        return Err(
            parameters.bad("metric", format!("`metric` is longer than {MAX_WINDOW_NAME_BYTES} bytes"))
        );
    }
    let at = parameters.time("at")?.unwrap_or_else(|| alerts.clock.now());
    let policy = &alerts.policy;
    let said =
        skyline_alerting::explain::explain(&alerts.settings, &policy.rules, Some(&policy.mutes), metric, at);
    Ok(answer::ok(&serde_json::to_value(said).unwrap_or(Value::Null)))
}
