//! What the relay does: where points go, where they come from, what was refused.

use super::Sources;
use super::query::{Bad, Parameters};
use crate::answer;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde_json::{Value, json};

/// Entries of an answer unless more are asked for, and at most.
const USUAL: usize = 100;
const MOST: usize = 10_001;

/// Where the answers come from: copies, made on the thread that answers.
pub trait RelaySource: Send + Sync {
    /// All destinations.
    fn destinations(&self) -> Vec<Value>;

    /// Those senders that sent most, `limit` at most, and how many are known.
    fn senders(&self, limit: usize) -> (Vec<Value>, usize);

    /// The newest points that were refused, oldest first, `limit` at most.
    fn bad(&self, limit: usize) -> Vec<Value>;
}

pub(super) async fn destinations(State(sources): State<Sources>, uri: Uri) -> Result<Response, Bad> {
    Parameters::read(&uri, &[])?;
    Ok(answer::ok(&json!({ "destinations": sources.relay.destinations() })))
}

pub(super) async fn senders(State(sources): State<Sources>, uri: Uri) -> Result<Response, Bad> {
    let (senders, known) = sources.relay.senders(limit(&uri)?);
    Ok(answer::ok(&json!({ "senders": senders, "known": known })))
}

pub(super) async fn bad(State(sources): State<Sources>, uri: Uri) -> Result<Response, Bad> {
    Ok(answer::ok(&json!({ "bad_points": sources.relay.bad(limit(&uri)?) })))
}

fn limit(uri: &Uri) -> Result<usize, Bad> {
    let parameters = Parameters::read(uri, &["limit"])?;
    let read = |text: &str| text.parse().ok().filter(|n| (1..=MOST).contains(n));
    Ok(parameters.parse("limit", "a whole number from 1 to 10001", read)?.unwrap_or(USUAL))
}
