//! Questions about metrics: recorded anomalies and the points of the window.
//!
//! | path | answers |
//! |---|---|
//! | `GET /api/v1/anomalies` | recorded anomalies, page by page |
//! | `GET /api/v1/anomalies/{id}` | one of them |
//! | `GET /api/v1/series/{name}` | points of a metric's window |
//! | `GET /api/v1/graph/{name}` | a picture of them |
//! | `GET /api/v1/relay/destinations` | where points go, and how that goes |
//! | `GET /api/v1/relay/senders` | where they come from, those with most points first |
//! | `GET /api/v1/relay/bad` | the newest points that were refused |
//! | `GET /api/v1/vista` | jobs that fetch points, and how they do |
//! | `GET /api/v1/backfill` | the back-fill that runs, or ran last |
//! | `POST /api/v1/backfill` | begins one |
//! | `DELETE /api/v1/backfill` | cancels it |
//! | `DELETE /api/v1/seed` | removes the metric of `skyline seed` |
//! | `GET /anomalies.json` | what is anomalous now, as the reference's dashboard reads it |
//! | `GET /api?metric=metrics.NAME` | a window as the reference answers it |
//! | `GET /version` | the version |
//!
//! What there is about alerts is in [`alerts`].
//!
//! Errors are JSON with `error`; a bad parameter is named in `parameter`, with what is `allowed`.

pub mod alerts;
mod anomalies;
pub mod backfill;
mod explain;
mod graph;
mod host;
mod now;
mod query;
mod relay;
mod series;

use crate::answer;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{delete, get};
use serde_json::{Value, json};
use skyline_core::clock::Clock;
use skyline_render_proxy::windows::{Later, Unanswered, Windows};
use skyline_sql::Store;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use explain::sentence;
pub use relay::RelaySource;

/// The log is told again after so long of questions that the record does not answer.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The metric that `skyline seed` sends, and the only one that a client can have removed.
pub const SEED_METRIC: &str = "horizon.test.pickle";

/// The answer when a window gave none.
fn unanswered(why: Unanswered) -> Response {
    match why {
        Unanswered::Busy => answer::busy(&why.to_string()),
        Unanswered::Off => answer::error(axum::http::StatusCode::NOT_FOUND, &why.to_string()),
    }
}

/// The node's windows, and what a client may do to them.
pub trait SeriesSource: Windows {
    /// Removes a metric's window; whether it was there. Asked for [`SEED_METRIC`] only.
    fn remove<'a>(&'a self, name: &'a str) -> Later<'a, bool> {
        let _name = name;
        Box::pin(async { Ok(false) })
    }
}

/// What jobs that fetch points do: a copy, made on the thread that answers.
pub type FetchedSource = Arc<dyn Fn() -> Value + Send + Sync>;

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    /// Recorded anomalies.
    pub store: Store,
    /// Windows.
    pub series: Arc<dyn SeriesSource>,
    /// What the relay does.
    pub relay: Arc<dyn RelaySource>,
    /// Incidents, mutes and messages; none: their routes are not there.
    pub alerts: Option<alerts::Alerts>,
    /// What jobs that fetch points do; none: there are none.
    pub fetched: Option<FetchedSource>,
    /// Filling windows from elsewhere; none: this node has none.
    pub backfill: Option<Arc<dyn backfill::BackfillSource>>,
    /// For what is "now".
    pub clock: Clock,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("store", &self.store).finish_non_exhaustive()
    }
}

const ROUTES: &[&str] = &[
    "GET /api/v1/anomalies",
    "GET /api/v1/anomalies/{id}",
    "GET /api/v1/series/{name}",
    "GET /api/v1/graph/{name}",
    "GET /api/v1/relay/destinations",
    "GET /api/v1/relay/senders",
    "GET /api/v1/relay/bad",
    "GET /api/v1/vista",
    "GET /api/v1/backfill",
    "POST /api/v1/backfill",
    "DELETE /api/v1/backfill",
    "DELETE /api/v1/seed",
    "GET /anomalies.json",
    "GET /api?metric=metrics.{name}",
    "GET /version",
];

/// The router for `http.api`.
pub fn router(sources: Sources) -> Router {
    let routes: Vec<&'static str> = match &sources.alerts {
        Some(_) => ROUTES.iter().chain(alerts::ROUTES).copied().collect(),
        None => ROUTES.to_vec(),
    };
    let others = routes.clone();
    let public_url = sources.alerts.as_ref().map_or("", |alerts| alerts.settings.public_url.as_str());
    let public_url: Arc<str> = public_url.into();
    let guard = move |request: Request, next: Next| host::guard(Arc::clone(&public_url), request, next);
    let of_alerts = sources.alerts.clone().map(alerts::router).unwrap_or_default();
    Router::new()
        .route("/api/v1/anomalies", get(anomalies::list))
        .route("/api/v1/anomalies/{id}", get(anomalies::one))
        .route("/api/v1/series/{*name}", get(series::series))
        .route("/api/v1/graph/{*name}", get(graph::graph))
        .route("/api/v1/relay/destinations", get(relay::destinations))
        .route("/api/v1/relay/senders", get(relay::senders))
        .route("/api/v1/relay/bad", get(relay::bad))
        .route("/api/v1/vista", get(fetched))
        .route("/api/v1/backfill", get(backfill::report).post(backfill::begin).delete(backfill::cancel))
        .route("/api/v1/seed", delete(series::remove_seed))
        .route("/anomalies.json", get(now::now))
        .route("/api", get(series::reference))
        .route("/version", get(|| async { version() }))
        .with_state(sources)
        .merge(of_alerts)
        .fallback(move || async move { answer::no_such_route(&routes) })
        .method_not_allowed_fallback(move || async move { answer::wrong_method(&others) })
        .layer(from_fn(guard))
}

async fn fetched(State(sources): State<Sources>, uri: Uri) -> Result<Response, query::Bad> {
    query::Parameters::read(&uri, &[])?;
    let nothing = || json!({ "enabled": false, "jobs": [] });
    Ok(answer::ok(&sources.fetched.as_ref().map_or_else(nothing, |source| source())))
}

fn version() -> Response {
    answer::ok(&json!({ "SKYLINE_VERSION": env!("CARGO_PKG_VERSION") }))
}

/// The answer when the record did not answer.
fn record_failed(error: &skyline_sql::Error) -> Response {
    tell(error);
    if error.is_retry() {
        return answer::busy("the record does not answer: ask again; `skyline doctor` says what is wrong");
    }
    // Wrong settings of its server, or a file that is damaged: both last until somebody acts.
    answer::error(
        axum::http::StatusCode::SERVICE_UNAVAILABLE,
        "the record cannot be read: `skyline doctor` says what is wrong, and so does the log",
    )
}

/// Tells the log of a question that was not answered, but not of each: they come as fast as clients ask.
fn tell(error: &skyline_sql::Error) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.is_none_or(|at| at.elapsed() > TELL_AGAIN) {
        *told = Some(Instant::now());
        tracing::warn!(%error, "a question to the record was not answered; others of this minute are not told");
    }
}
