//! Graphite's own pictures for messages, and whether its pictures are behind.

use super::upstreams::{Forward, Kind};
use super::{Inner, Proxy, behind};
use crate::link::{Graph, encode};
use crate::params::Params;
use crate::question::Question;
use bytes::Bytes;
use skyline_upstream::{Error, Method};
use std::sync::Arc;
use std::time::Duration;

/// Longest picture that goes into a message, bytes.
const MAX_PICTURE: usize = 1 << 20;
/// How PNG begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Why there is no picture of Graphite.
#[derive(Debug, thiserror::Error)]
pub enum NoPicture {
    /// The settings name no server.
    #[error("there is no Graphite server")]
    NoServer,
    /// A name that Graphite cannot be asked for.
    #[error("the name has characters that Graphite takes for something else")]
    Name,
    /// It did not answer.
    #[error(transparent)]
    Upstream(#[from] Error),
    /// Too late.
    #[error("Graphite has not answered within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// Another answer.
    #[error("Graphite's answer is no picture: status {0}")]
    Other(u16),
}

impl Proxy {
    /// Graphite's own picture of a metric, PNG. `graph.settings` is that of the node's settings where it is empty.
    ///
    /// # Errors
    /// Why there is none; a message goes without it.
    pub async fn picture(&self, graph: &Graph<'_>, within: Duration) -> Result<Bytes, NoPicture> {
        let inner = &self.0;
        if inner.upstreams.is_empty() {
            return Err(NoPicture::NoServer);
        }
        let settings = if graph.settings.is_empty() { &inner.graph_settings } else { graph.settings };
        let query = Graph { settings, ..*graph }.picture().ok_or(NoPicture::Name)?;
        let asking = inner.upstreams.ask(Arc::new(question(query)));
        let answered = tokio::time::timeout(within, asking).await.map_err(|_| NoPicture::Late(within))??;
        let is_picture = answered.status == 200 && answered.rest.is_none() && answered.start.starts_with(PNG);
        if is_picture && answered.start.len() <= MAX_PICTURE {
            Ok(answered.start)
        } else {
            Err(NoPicture::Other(answered.status.as_u16()))
        }
    }
}

impl Inner {
    /// Whether a picture lacks what the window has: the same targets are asked for their newest values.
    pub(super) async fn is_picture_behind(
        &self,
        params: &Params,
        forward: &Forward,
        asked: &Question,
        newest: i64,
    ) -> bool {
        let from = asked.from.max(asked.now - 3_600);
        let mut query = format!("from={from}&until={}&format=json", asked.until);
        for target in params.all("target").chain(params.all("target[]")) {
            query.push_str("&target=");
            encode(&mut query, target);
        }
        let mut data = question(query);
        data.headers = forward.headers.clone();
        // What is packed cannot be looked at.
        data.headers.remove(skyline_upstream::header::ACCEPT_ENCODING);
        data.headers.remove(skyline_upstream::header::CONTENT_TYPE);
        let asking = self.upstreams.ask(Arc::new(data));
        match tokio::time::timeout(self.patience, asking).await {
            Ok(Ok(data)) if data.status == 200 && data.rest.is_none() => {
                behind::is_behind(&data.start, newest, self.behind)
            }
            // The picture is there: without a proof to the contrary it is good.
            _ => false,
        }
    }
}

fn question(query: String) -> Forward {
    Forward {
        kind: Kind::Render,
        method: Method::GET,
        rest: String::new(),
        query: Some(query.into()),
        headers: skyline_upstream::HeaderMap::new(),
        body: Bytes::new(),
    }
}
