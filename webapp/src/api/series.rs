//! Points of a metric's window.

use super::query::Parameters;
use super::{SEED_METRIC, Sources, record_failed, unanswered};
use crate::answer::{self, number};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use skyline_core::point::Datapoint;
use skyline_render_proxy::windows::Unanswered;

/// Namespace of a metric's key in the reference (`FULL_NAMESPACE`).
const NAMESPACE: &str = "metrics.";

/// `GET /api/v1/series/{name}?from=…&until=…`.
pub(crate) async fn series(
    State(sources): State<Sources>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Response {
    let Ok(Path(name)) = name else {
        return answer::error(StatusCode::BAD_REQUEST, "the metric's name is not UTF-8");
    };
    let bounds = Parameters::read(&uri, &["from", "until"]).and_then(|p| {
        Ok((p.time("from")?.unwrap_or(f64::NEG_INFINITY), p.time("until")?.unwrap_or(f64::INFINITY)))
    });
    let (from, until) = match bounds {
        Ok(bounds) => bounds,
        Err(bad) => return bad.into_response(),
    };
    match sources.series.series(&name, from, until).await {
        Ok(Some(points)) => answer::ok(&json!({ "metric": name, "points": pairs(&points) })),
        Ok(None) => {
            answer::error(StatusCode::NOT_FOUND, &format!("there is no metric `{name}` in the window"))
        }
        Err(why) => unanswered(why),
    }
}

/// `GET /api?metric=metrics.NAME`, answered as the reference does.
pub(crate) async fn reference(State(sources): State<Sources>, uri: Uri) -> Response {
    let error = |problem: String| {
        answer::document(StatusCode::NOT_FOUND, &json!({ "results": format!("Error: {problem}") }))
    };
    let Ok(parameters) = Parameters::read(&uri, &["metric"]) else {
        return error(format!("ask for ?metric={NAMESPACE}NAME; other questions are not answered here"));
    };
    let Some(key) = parameters.get("metric") else {
        return error(format!("no metric requested: ask for ?metric={NAMESPACE}NAME"));
    };
    let Some(name) = key.strip_prefix(NAMESPACE) else {
        return error(format!("no key called {key}: metrics are called {NAMESPACE}NAME here"));
    };
    match sources.series.series(name, f64::NEG_INFINITY, f64::INFINITY).await {
        Ok(Some(points)) => answer::ok(&json!({ "results": pairs(&points) })),
        Ok(None) => error(format!("no key called {key}")),
        Err(Unanswered::Off) => error(Unanswered::Off.to_string()),
        Err(busy) => unanswered(busy),
    }
}

/// `DELETE /api/v1/seed`: takes away what `skyline seed` brought.
pub(crate) async fn remove_seed(State(sources): State<Sources>) -> Response {
    let window = match sources.series.remove(SEED_METRIC).await {
        Ok(was_there) => was_there,
        // Anomalies of a time when there were windows can be taken away all the same.
        Err(Unanswered::Off) => false,
        Err(busy) => return unanswered(busy),
    };
    match sources.store.remove_metric(SEED_METRIC).await {
        Ok(anomalies) => {
            answer::ok(&json!({ "metric": SEED_METRIC, "window": window, "anomalies": anomalies }))
        }
        Err(error) => record_failed(&error),
    }
}

fn pairs(points: &[Datapoint]) -> Vec<[Value; 2]> {
    points.iter().map(|point| [number(point.ts), number(point.value)]).collect()
}
