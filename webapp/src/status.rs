//! The state of the node: health, readiness, figures.

mod prometheus;

use crate::answer;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use skyline_core::figure::Figure;
use skyline_core::health::StoreHealth;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

pub use prometheus::text as prometheus_text;

/// Whether the node does all that it is set to do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Readiness {
    /// It does.
    pub ready: bool,
    /// Why not; may also tell what is degraded while ready.
    pub reasons: Vec<String>,
    /// How far the start is, such as metrics restored of all; null when there is nothing to tell.
    pub progress: Value,
    /// The stores. One that is away does not make the node unready: points need none of them.
    pub stores: Vec<StoreHealth>,
}

/// Where the answers come from. The functions are called on the thread that answers: they must not wait.
#[derive(Clone)]
pub struct Sources {
    /// For `/-/ready`.
    pub readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// For `/metrics`.
    pub figures: Arc<dyn Fn() -> Vec<Figure> + Send + Sync>,
    /// For `/-/status`: what `skyline status` shows.
    pub status: Arc<dyn Fn() -> Value + Send + Sync>,
    /// For `/-/reload`: reads the settings again; what changed, or why nothing did.
    pub reload: Arc<dyn Fn() -> Reloading + Send + Sync>,
}

/// Settings that are being read again.
pub type Reloading = Pin<Box<dyn Future<Output = Reloaded> + Send>>;

/// What reading the settings again came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Reloaded {
    /// They are in force; what changed.
    Done(Value),
    /// Something is wrong with them; nothing was changed.
    Refused(String),
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

const ROUTES: &[&str] =
    &["GET /-/healthy", "GET /-/ready", "GET /-/status", "POST /-/reload", "GET /metrics"];

/// The router for `http.status`.
pub fn router(sources: Sources) -> Router {
    let Sources { readiness, figures, status, reload } = sources;
    Router::new()
        .route("/-/healthy", get(|| async { "ok\n" }))
        .route("/-/ready", get(move || async move { ready(&readiness()) }))
        .route("/-/status", get(move || async move { answer::ok(&status()) }))
        .route("/-/reload", post(move || async move { reloaded(reload().await) }))
        .route("/metrics", get(move || async move { metrics(&figures()) }))
        .fallback(|| async { answer::no_such_route(ROUTES) })
        .method_not_allowed_fallback(|| async { answer::wrong_method(ROUTES) })
}

fn ready(readiness: &Readiness) -> Response {
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let stores: Vec<_> = readiness.stores.iter().map(store).collect();
    let body = json!({
        "ready": readiness.ready, "reasons": readiness.reasons, "progress": readiness.progress, "stores": stores,
    });
    answer::document(status, &body)
}

/// A store's health as it is answered.
#[must_use]
pub fn store(health: &StoreHealth) -> Value {
    let StoreHealth { name, state, since, waiting, detail } = health;
    json!({ "store": name, "state": state.label(), "since": since, "waiting": waiting, "detail": detail })
}

fn reloaded(outcome: Reloaded) -> Response {
    match outcome {
        Reloaded::Done(changed) => answer::ok(&changed),
        Reloaded::Refused(why) => answer::error(StatusCode::CONFLICT, &why),
    }
}

fn metrics(figures: &[Figure]) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], prometheus_text(figures)).into_response()
}
