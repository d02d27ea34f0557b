//! `/api/v1/anomalies`: recorded anomalies as JSON.

use super::query::{Bad, Parameters};
use super::{Sources, explain, record_failed};
use crate::answer::{self, number};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::name::MAX_WINDOW_NAME_BYTES;
use skyline_sql::{MAX_LIMIT, Names, Order, Row, Search};

const ALLOWED: &[&str] =
    &["metric", "metric_like", "from", "until", "app", "host", "algorithm", "limit", "cursor", "order"];

/// A page of them.
pub(crate) async fn list(State(sources): State<Sources>, uri: Uri) -> Response {
    let (parameters, search) = match Parameters::read(&uri, ALLOWED).and_then(|p| search(&p).map(|s| (p, s)))
    {
        Ok(understood) => understood,
        Err(bad) => return bad.into_response(),
    };
    match sources.store.anomalies(&search).await {
        Ok(page) => {
            let next = page.next.map(|cursor| {
                format!("/api/v1/anomalies?{}", parameters.with("cursor", &cursor.to_string()))
            });
            let rows: Vec<_> = page.rows.iter().map(document).collect();
            answer::ok(&json!({ "anomalies": rows, "next": next }))
        }
        Err(error) => record_failed(&error),
    }
}

/// One of them.
pub(crate) async fn one(
    State(sources): State<Sources>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Response {
    if let Err(bad) = Parameters::read(&uri, &[]) {
        return bad.into_response();
    }
    let Some(id) = id.ok().and_then(|Path(id)| id.parse::<i64>().ok()) else {
        let body =
            json!({ "error": "`id` is not a number: take it from /api/v1/anomalies", "parameter": "id" });
        return answer::document(StatusCode::BAD_REQUEST, &body);
    };
    match sources.store.anomaly(id).await {
        Ok(Some(row)) => answer::ok(&document(&row)),
        Ok(None) => answer::error(StatusCode::NOT_FOUND, &format!("there is no anomaly {id}")),
        Err(error) => record_failed(&error),
    }
}

fn search(parameters: &Parameters) -> Result<Search, Bad> {
    let text = |name| parameters.get(name).map(str::to_owned);
    let names = match (text("metric"), text("metric_like")) {
        (Some(_), Some(_)) => {
            return Err(parameters.bad("metric_like", "give `metric` or `metric_like`, not both"));
        }
        (Some(name), None) => Some(Names::Exact(name)),
        (None, Some(pattern)) if pattern.len() > MAX_WINDOW_NAME_BYTES => {
            let problem = format!("`metric_like` is longer than {MAX_WINDOW_NAME_BYTES} bytes");
            return Err(parameters.bad("metric_like", problem));
        }
        (None, Some(pattern)) => Some(Names::Like(pattern)),
        (None, None) => None,
    };
    let default = Search::default();
    let algorithms = Algorithm::ALL.map(Algorithm::name).join(", ");
    Ok(Search {
        names,
        from: parameters.time("from")?,
        until: parameters.time("until")?,
        app: text("app"),
        host: text("host"),
        algorithm: parameters.parse("algorithm", &format!("one of {algorithms}"), Algorithm::from_name)?,
        limit: parameters
            .parse("limit", &format!("a number from 1 to {MAX_LIMIT}"), |text| {
                text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n))
            })?
            .unwrap_or(default.limit),
        cursor: parameters
            .parse("cursor", "a cursor: take it from `next` of the page before", |c| c.parse().ok())?,
        order: parameters
            .parse("order", "asc or desc", |text| match text.to_ascii_lowercase().as_str() {
                "asc" => Some(Order::Ascending),
                "desc" => Some(Order::Descending),
                _ => None,
            })?
            .unwrap_or(default.order),
    })
}

fn names(set: AlgorithmSet) -> Vec<&'static str> {
    set.iter().map(Algorithm::name).collect()
}

fn document(row: &Row) -> Value {
    let anomaly = &row.anomaly;
    json!({
        "id": row.id,
        "metric": anomaly.metric,
        "timestamp": number(anomaly.point.ts),
        "value": number(anomaly.point.value),
        "judged_value": number(anomaly.judged_value),
        "counter": anomaly.counter,
        "received": number(anomaly.received),
        "algorithms_triggered": names(anomaly.triggered),
        "algorithms_asked": names(anomaly.asked),
        "mean": number(anomaly.mean),
        "stddev": number(anomaly.stddev),
        "window_from": number(anomaly.window_from),
        "window_points": anomaly.window_points,
        "full_duration": anomaly.full_duration,
        "host": row.host,
        "app": row.app,
        "recurrences": row.recurrences,
        "verdict": row.verdict.name(),
        "label": row.label,
        "label_by": row.label_by,
        "ended": row.ended.map(number),
        "explanation": explain::sentence(anomaly),
    })
}
