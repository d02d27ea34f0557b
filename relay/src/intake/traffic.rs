//! What listeners count of their sockets.

use skyline_core::figure::{Figure, Kind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of the sockets; listeners write them, figures show them.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) open: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) limit_hits: AtomicU64,
    pub(crate) idle_closed: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    pub(crate) paused_millis: AtomicU64,
    pub(crate) drops: crate::listen::KernelDrops,
}

impl Traffic {
    /// Connections: open ones, and all since the start.
    pub(super) fn connections(&self) -> (u64, u64) {
        (self.open.load(Relaxed), self.accepted.load(Relaxed))
    }

    pub(super) fn figures(&self, out: &mut Vec<Figure>) {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let counter = Figure::counter;
        out.push(Figure::gauge(
            "skyline_relay_connections",
            "Open connections of senders.",
            get(&self.open) as f64,
        ));
        out.extend([
            counter("skyline_relay_connections_total", "Connections accepted.", get(&self.accepted)),
            counter(
                "skyline_relay_connection_limit_hits_total",
                "Times that accepting stopped at listen.max_connections.",
                get(&self.limit_hits),
            ),
            counter(
                "skyline_relay_connections_idle_closed_total",
                "Connections closed after listen.idle_seconds.",
                get(&self.idle_closed),
            ),
            counter(
                "skyline_relay_accept_errors_total",
                "Connections that could not be accepted.",
                get(&self.accept_errors),
            ),
        ]);
        out.push(Figure {
            name: "skyline_relay_paused_seconds_total",
            help: "Time during which listeners did not read because a destination or the journal was full.",
            kind: Kind::Counter,
            labels: Vec::new(),
            value: get(&self.paused_millis) as f64 / 1000.0,
        });
        self.drops.figures(out);
    }
}
