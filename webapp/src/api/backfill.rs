//! Filling windows from a Graphite server or from whisper files: to begin it, to see how far it is, to cancel it.
//!
//! It is the node that fetches, so these take the same as other requests that change something, see [`super::alerts`].

use super::Sources;
use super::alerts::change::{Body, allowed};
use super::query::{Bad, Parameters};
use crate::answer;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wish {
    /// Points behind this, seconds.
    pub from: f64,
    /// Up to this, seconds; none: until now.
    pub until: Option<f64>,
    /// Pattern of the names.
    pub select: Option<String>,
    /// Address of a Graphite server.
    pub graphite: Option<String>,
    /// Folder of whisper files on the node's machine.
    pub whisper: Option<String>,
    /// Questions a second.
    pub rate: Option<f64>,
}

/// Why nothing begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotBegun {
    /// Another runs.
    Running(String),
    /// It asks for what there is not.
    Bad(String),
    /// The node cannot.
    Failed(String),
}

/// The node's back-fill.
pub trait BackfillSource: Send + Sync {
    /// The one that runs, or ran last.
    fn report(&self) -> Option<Value>;

    /// Begins one; its report.
    ///
    /// # Errors
    /// Nothing begins.
    fn begin(&self, wish: Wish) -> Result<Value, NotBegun>;

    /// Cancels the one that runs; whether there was one.
    fn cancel(&self) -> bool;
}

const KEYS: &[&str] = &["from", "until", "select", "graphite", "whisper", "rate"];

#[expect(clippy::result_large_err, reason = "the answer itself, made once a request")]
fn source(sources: &Sources) -> Result<Arc<dyn BackfillSource>, Response> {
    sources.backfill.clone().ok_or_else(|| {
        let problem = "this node keeps no windows, so there is nothing to fill: set window.enabled";
        answer::error(StatusCode::NOT_FOUND, problem)
    })
}

#[expect(clippy::result_large_err, reason = "the answer itself, made once a request")]
fn may_change(sources: &Sources, headers: &HeaderMap) -> Result<(), Response> {
    let url = sources.alerts.as_ref().map_or("", |alerts| alerts.settings.public_url.as_str());
    allowed(headers, url)
}

pub(super) async fn report(State(sources): State<Sources>, uri: Uri) -> Result<Response, Response> {
    Parameters::read(&uri, &[]).map_err(Bad::into_response)?;
    Ok(answer::ok(&json!({ "backfill": source(&sources)?.report() })))
}

pub(super) async fn begin(
    State(sources): State<Sources>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    may_change(&sources, &headers)?;
    let source = source(&sources)?;
    let wish = wish(&body).map_err(Bad::into_response)?;
    match source.begin(wish) {
        Ok(report) => Ok(answer::ok(&json!({ "backfill": report }))),
        Err(NotBegun::Running(why)) => Err(answer::error(StatusCode::CONFLICT, &why)),
        Err(NotBegun::Bad(why)) => Err(answer::error(StatusCode::BAD_REQUEST, &why)),
        Err(NotBegun::Failed(why)) => Err(answer::error(StatusCode::SERVICE_UNAVAILABLE, &why)),
    }
}

fn wish(body: &Bytes) -> Result<Wish, Bad> {
    let body = Body::read(body, KEYS)?;
    let from =
        body.number("from")?.ok_or_else(|| body.bad("from", "`from` is missing: seconds since the epoch"))?;
    let wish = Wish {
        from,
        until: body.number("until")?,
        select: body.text("select")?,
        graphite: body.text("graphite")?,
        whisper: body.text("whisper")?,
        rate: body.number("rate")?,
    };
    if wish.graphite.is_some() && wish.whisper.is_some() {
        return Err(body.bad("whisper", "`graphite` or `whisper`, not both"));
    }
    Ok(wish)
}

pub(super) async fn cancel(State(sources): State<Sources>, headers: HeaderMap) -> Result<Response, Response> {
    may_change(&sources, &headers)?;
    Ok(answer::ok(&json!({ "cancelled": source(&sources)?.cancel() })))
}
