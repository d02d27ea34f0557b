//! What is counted of requests.

use crate::points::Skip;
use skyline_core::figure::Figure;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Endpoint {
    /// `metric_data`.
    Query = 0,
    /// `metric_data_post`.
    Post,
    /// `populate_metric`, which is gone.
    Populate,
    /// `api/v1/write`.
    RemoteWrite,
    /// `write` and `api/v2/write`.
    Influx,
    /// Anything else.
    Other,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Query, Self::Post, Self::Populate, Self::RemoteWrite, Self::Influx, Self::Other];

    /// The label of its counters.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Query => "metric_data",
            Self::Post => "metric_data_post",
            Self::Populate => "populate_metric",
            Self::RemoteWrite => "remote_write",
            Self::Influx => "influx",
            Self::Other => "other",
        }
    }
}

/// Status codes that are told apart.
pub(crate) const STATUSES: [u16; 13] = [200, 204, 400, 401, 404, 405, 408, 410, 413, 415, 429, 500, 503];

/// Counters of all requests.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    answers: [[AtomicU64; STATUSES.len()]; Endpoint::ALL.len()],
    skipped: [AtomicU64; Skip::ALL.len()],
    pub(crate) connections: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) body_bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn answered(&self, endpoint: Endpoint, status: u16) {
        let at = STATUSES.iter().position(|s| *s == status);
        if let Some(count) = at.and_then(|at| self.answers.get(endpoint as usize)?.get(at)) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn skipped(&self, counts: &[u64; Skip::ALL.len()]) {
        for (all, n) in self.skipped.iter().zip(counts) {
            all.fetch_add(*n, Relaxed);
        }
    }

    /// Answers with one of `statuses`; all if there are none.
    pub(crate) fn sum(&self, statuses: &[u16]) -> u64 {
        let rows = self.answers.iter().flat_map(|row| row.iter().zip(STATUSES));
        rows.filter(|(_, s)| statuses.is_empty() || statuses.contains(s)).map(|(n, _)| n.load(Relaxed)).sum()
    }

    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        for (endpoint, row) in Endpoint::ALL.into_iter().zip(&self.answers) {
            for (count, status) in row.iter().zip(STATUSES) {
                let count = count.load(Relaxed);
                if count > 0 {
                    let figure = Figure::counter("skyline_flux_requests_total", "Requests answered.", count);
                    out.push(figure.label("endpoint", endpoint.label()).label("status", status.to_string()));
                }
            }
        }
        for (why, count) in Skip::ALL.into_iter().zip(&self.skipped) {
            let help = "What was passed over: it is no point, and no fault of its sender.";
            let figure = Figure::counter("skyline_flux_skipped_total", help, count.load(Relaxed));
            out.push(figure.label("reason", why.label()));
        }
        out.push(Figure::gauge(
            "skyline_flux_connections",
            "Open connections.",
            self.open.load(Relaxed) as f64,
        ));
        out.push(Figure::counter(
            "skyline_flux_connections_total",
            "Connections accepted.",
            self.connections.load(Relaxed),
        ));
        out.push(Figure::counter(
            "skyline_flux_body_bytes_total",
            "Bytes of bodies, as they were sent.",
            self.body_bytes.load(Relaxed),
        ));
    }
}
