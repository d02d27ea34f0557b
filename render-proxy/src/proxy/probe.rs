//! Whether a Graphite server renders, for who looks after the node.

use super::upstreams::{Forward, Kind, Upstreams};
use bytes::Bytes;
use skyline_conf::model::graphite::Server;
use skyline_core::problem::Problem;
use skyline_upstream::{HeaderMap, Method};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a server that renders was seen to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Time until its answer.
    pub took: Duration,
    /// Names at the top of its tree.
    pub top_names: usize,
}

/// Asks a server to render a line of its own, and for the names at the top of its tree.
///
/// # Errors
/// It does not answer, or not as Graphite does.
pub async fn probe(server: &Server) -> Result<Seen, Problem> {
    let label = server.label();
    let all = Upstreams::new(std::slice::from_ref(server), Duration::from_secs(60))?;
    let start = Instant::now();
    let rendered =
        ask(&all, Kind::Render, "target=constantLine(1)&from=-5min&format=json&noCache=1", &label).await?;
    let took = start.elapsed();
    let is_list =
        rendered.as_array().is_some_and(|rows| rows.iter().all(|row| row.get("datapoints").is_some()));
    if !is_list {
        return Err(strange(&label, "what it rendered is no list of series"));
    }
    let names = ask(&all, Kind::Find, "query=*&format=treejson", &label).await?;
    let top_names = names.as_array().ok_or_else(|| strange(&label, "what it found is no list"))?.len();
    Ok(Seen { took, top_names })
}

fn strange(label: &str, what: &str) -> Problem {
    let advice = "see that url and render_path in graphite.server lead to Graphite's render";
    Problem::new(format!("{label}: {what}"), advice)
}

async fn ask(all: &Upstreams, kind: Kind, query: &str, label: &str) -> Result<serde_json::Value, Problem> {
    let forward = Forward {
        kind,
        method: Method::GET,
        rest: if kind == Kind::Find { "/".into() } else { String::new() },
        query: Some(Bytes::copy_from_slice(query.as_bytes())),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let answered = all.ask(Arc::new(forward)).await.map_err(|error| {
        Problem::new(error.to_string(), "look at its log, and at graphite.server in the settings")
    })?;
    match answered.status.as_u16() {
        200 => serde_json::from_slice(&answered.start).map_err(|_| strange(label, "its answer is no JSON")),
        401 | 403 => {
            let advice = "see user, password, token and headers in graphite.server";
            Err(Problem::new(format!("{label} refuses us: status {}", answered.status.as_u16()), advice))
        }
        other => Err(strange(label, &format!("it answers with status {other}"))),
    }
}
