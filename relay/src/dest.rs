//! Destinations: for each a task of its own that reads the journal and sends.
//!
//! A destination that is down or slow stands still in the journal and hurts no other. [`address`] is how
//! one is written, `sender` its task, `acks` the account of a connection.

mod acks;
pub mod address;
mod encode;
mod pace;
mod sender;
mod status;
mod unacked;

#[cfg(test)]
mod tests;

use crate::flow::Flow;
use address::{Address, BadAddress};
use sender::Sender;
use skyline_conf::model::relay::{DestinationEntry, Relay, Sending};
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_journal::{Journal, Scope};
use status::Status;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Destinations cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One cannot be read.
    #[error("relay.destinations: {0}")]
    Address(#[from] BadAddress),
    /// One is given twice.
    #[error("relay.destinations: `{0}` is given twice; host, port and instance together must differ")]
    Twice(String),
    /// The journal does not give a reader.
    #[error(transparent)]
    Journal(#[from] skyline_journal::Error),
}

/// The destinations of the settings, each with its own way of sending.
///
/// # Errors
/// [`Error::Address`], [`Error::Twice`].
pub fn parse(relay: &Relay) -> Result<Vec<(Address, Sending)>, Error> {
    let mut all: Vec<(Address, Sending)> = Vec::new();
    for entry in &relay.destinations {
        let mut sending = relay.sending.clone();
        let text = match entry {
            DestinationEntry::Address(text) => text,
            DestinationEntry::Table(table) => {
                sending.when_behind = table.when_behind.unwrap_or(sending.when_behind);
                sending.mark_points = table.mark_points.unwrap_or(sending.mark_points);
                sending.catch_up_points_per_second =
                    table.catch_up_points_per_second.unwrap_or(sending.catch_up_points_per_second);
                &table.address
            }
        };
        let address = Address::parse(text)?;
        if all.iter().any(|(other, _)| other.reader() == address.reader()) {
            return Err(Error::Twice(address.to_string()));
        }
        all.push((address, sending));
    }
    Ok(all)
}

/// All destinations, running.
#[derive(Debug)]
pub struct Destinations {
    journal: Journal,
    all: Vec<(Address, Arc<Status>)>,
}

/// What `skyline status` shows of one.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationStatus {
    /// `host:port[:instance]`.
    pub address: String,
    /// plaintext or pickle.
    pub protocol: &'static str,
    /// Whether a connection is open.
    pub connected: bool,
    /// Since when that is so, seconds.
    pub since: f64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Points for it, ever.
    pub routed: u64,
    /// Points whose bytes its kernel has acknowledged.
    pub delivered: u64,
    /// Points in the journal for it.
    pub waiting: u64,
    /// Points that were skipped or that the journal had to drop.
    pub shed: u64,
    /// Points sent a second time since start.
    pub repeats: u64,
}

/// When destinations end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Send what is there, then end.
    pub drain: CancellationToken,
    /// End now.
    pub abort: CancellationToken,
}

impl Destinations {
    /// Registers a reader for each and starts its task. Positions of destinations that are no longer
    /// configured are given up, with a log line that says what is dropped.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(
        relay: &Relay,
        journal: &Journal,
        flow: &Flow,
        clock: &Clock,
        tasks: &TaskTracker,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let mut all = Vec::new();
        for (address, sending) in parse(relay)? {
            let reader = journal.reader(&address.reader(), Scope::Routed)?;
            let status = Arc::new(Status::new(address.clone(), clock.clone()));
            let sender = Sender {
                address: address.clone(),
                sending,
                journal: journal.clone(),
                reader: Some(reader),
                flow: flow.clone(),
                status: Arc::clone(&status),
                drain: stop.drain.clone(),
                abort: stop.abort.clone(),
                pausing: false,
                taken: Vec::new(),
                encoded: encode::Encoded::default(),
            };
            tasks.spawn(sender.run());
            all.push((address, status));
        }
        for name in journal.orphans().into_iter().filter(|name| name.starts_with("dest:")) {
            tracing::warn!(destination = name.trim_start_matches("dest:"), "no longer configured: what waited for it is given up");
            journal.forget(&name)?;
        }
        Ok(Self { journal: journal.clone(), all })
    }

    /// How each is doing.
    #[must_use]
    pub fn status(&self) -> Vec<DestinationStatus> {
        let ledgers: HashMap<String, _> = self.journal.ledgers().into_iter().collect();
        self.all
            .iter()
            .map(|(address, status)| {
                let ledger = ledgers.get(&address.reader()).copied().unwrap_or_default();
                let (since, last_error) = status.since();
                DestinationStatus {
                    address: address.to_string(),
                    protocol: address.protocol.label(),
                    connected: status.up.load(Relaxed),
                    since,
                    last_error,
                    routed: ledger.routed,
                    delivered: ledger.delivered,
                    waiting: ledger.waiting,
                    shed: ledger.shed,
                    repeats: status.repeats.load(Relaxed),
                }
            })
            .collect()
    }

    /// Figures of connections; the journal reports lag and ledger by reader.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        for (address, status) in &self.all {
            let label = |figure: Figure| figure.label("destination", address.to_string());
            let up = f64::from(u8::from(status.up.load(Relaxed)));
            out.push(label(Figure::gauge("skyline_destination_connected", "1 while a connection is open", up)));
            for (name, help, value) in [
                ("skyline_destination_sent_points_total", "Points written since start, repeats included", &status.sent_points),
                ("skyline_destination_writes_total", "Writes since start", &status.writes),
                ("skyline_destination_repeats_total", "Points sent a second time since start", &status.repeats),
                ("skyline_destination_connections_total", "Connections opened since start", &status.connections),
                ("skyline_destination_failures_total", "Connections that failed or broke since start", &status.failures),
            ] {
                out.push(label(Figure::counter(name, help, value.load(Relaxed))));
            }
        }
    }
}
