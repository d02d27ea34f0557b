//! Destinations: for each a task of its own that reads the journal and sends.
//!
//! A destination that is down or slow stands still in the journal and hurts no other. [`address`] is
//! how one is written, `sender` its task from connection to connection, `connection` one of them,
//! `acks` the account of what is proved to have arrived there.

mod acks;
pub mod address;
mod connect;
mod connection;
mod lag;
mod outgoing;
mod pace;
mod sender;
mod skipped;
pub(crate) mod source;
mod status;
mod unacked;

#[cfg(test)]
mod tests;

use crate::flow::Flow;
use address::{Address, BadAddress};
use lag::Lag;
use sender::Sender;
use skipped::Skipped;
use skyline_conf::model::relay::{DestinationEntry, Relay, Sending};
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_journal::{Journal, Ledger, Scope};
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
    #[error("relay.destinations: `{0}` is given twice: remove one, or give them instances")]
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

/// The name of a destination's reader in the journal.
#[must_use]
pub fn reader_of(destination: &skyline_conf::routing::Destination) -> String {
    use skyline_conf::routing::Endpoint;
    match destination.endpoints.as_slice() {
        [Endpoint::Server(server)] => {
            let (host, port) = (&server.host, server.port);
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            match &server.instance {
                Some(instance) => format!("{}{host}:{port}:{instance}", address::READER_PREFIX),
                None => format!("{}{host}:{port}", address::READER_PREFIX),
            }
        }
        _ => format!("{}{}", address::READER_PREFIX, destination.label),
    }
}

/// All destinations, running.
#[derive(Debug)]
pub struct Destinations {
    journal: Journal,
    all: Vec<Arc<Status>>,
}

/// What `skyline status` shows of one.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationStatus {
    /// `host:port[:instance]`.
    pub address: String,
    /// `plaintext` or `pickle`.
    pub protocol: &'static str,
    /// Whether a connection is open.
    pub connected: bool,
    /// Since when that is so, seconds.
    pub since: f64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Points for it since it was first configured.
    pub routed: u64,
    /// Points of them whose bytes its kernel has acknowledged.
    pub delivered: u64,
    /// Points in the journal for it.
    pub waiting: u64,
    /// Points that were skipped or that the journal had to drop.
    pub shed: u64,
    /// Points that damage took from the journal before they were sent, whosever they were.
    pub lost: u64,
    /// Age of its oldest waiting point, seconds.
    pub lag_seconds: f64,
    /// Points sent a second time since start.
    pub repeats: u64,
}

/// What may have to be sent again has this part of the journal at most.
const RESEND_SHARE: u64 = 8;

/// What a destination leaves when the node stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// `host:port[:instance]`.
    pub address: String,
    /// Points that wait in the journal for the next start.
    pub waiting: u64,
    /// Whether there was a connection at the end.
    pub connected: bool,
}

/// A destination that is no longer configured and still has a position in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Name of its reader.
    pub reader: String,
    /// Points that wait for it.
    pub waiting: u64,
    /// Bytes of the journal that are kept because of it.
    pub pinned_bytes: u64,
}

/// When destinations end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Send what is there, wait until it is acknowledged, then end.
    pub drain: CancellationToken,
    /// End now.
    pub abort: CancellationToken,
}

impl Destinations {
    /// Registers a reader for each and starts its task, in `tasks`. Positions of destinations that
    /// are no longer configured are given up, with a log line that says what is dropped.
    ///
    /// # Errors
    /// See [`Error`]. Nothing was started then.
    pub fn start(
        relay: &Relay,
        journal: &Journal,
        flow: &Flow,
        clock: &Clock,
        tasks: &TaskTracker,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let mut readers = Vec::new();
        for (address, sending) in parse(relay)? {
            let reader = journal.reader(&address.reader(), Scope::Routed)?;
            readers.push((address, sending, reader));
        }
        for orphan in Self::orphans(journal)? {
            let Orphan { reader, waiting, pinned_bytes } = &orphan;
            if *waiting > 0 {
                tracing::error!(
                    reader,
                    dropped_points = waiting,
                    pinned_bytes,
                    "a destination is no longer configured: the points that waited for it are dropped"
                );
            } else {
                tracing::info!(reader, "a destination is no longer configured");
            }
            Self::forget(journal, &orphan)?;
        }
        let mut all = Vec::new();
        for (address, mut sending, reader) in readers {
            // What may have to be sent again is kept; it must not fill the journal by itself.
            sending.resend_bytes = sending.resend_bytes.min(journal.max_bytes() / RESEND_SHARE);
            let status = Arc::new(Status::new(address.clone(), clock.clone()));
            let sender = Sender {
                address,
                journal: journal.clone(),
                status: Arc::clone(&status),
                stop: stop.clone(),
                lag: Lag::new(&sending, flow.clone()),
                sending,
                sent: 0,
                skipped: Skipped::default(),
            };
            tasks.spawn(sender.run(reader));
            all.push(status);
        }
        Ok(Self { journal: journal.clone(), all })
    }

    /// Destinations that have a position in the journal and no reader now.
    ///
    /// # Errors
    /// [`Error::Journal`] when a position cannot be read.
    pub fn orphans(journal: &Journal) -> Result<Vec<Orphan>, Error> {
        let names = journal.orphans().into_iter().filter(|name| name.starts_with(address::READER_PREFIX));
        names
            .map(|name| {
                let Ledger { waiting, pinned_bytes, .. } = journal.reader(&name, Scope::Routed)?.ledger();
                Ok(Orphan { reader: name, waiting, pinned_bytes })
            })
            .collect()
    }

    /// Gives up what waits for an orphan.
    ///
    /// # Errors
    /// [`Error::Journal`] when it is configured again, or its position cannot be removed.
    pub fn forget(journal: &Journal, orphan: &Orphan) -> Result<(), Error> {
        Ok(journal.forget(&orphan.reader)?)
    }

    /// Each with its account: that of the journal, or the last one when its task has ended.
    fn accounts(&self) -> impl Iterator<Item = (&Status, Ledger)> {
        let mut ledgers: HashMap<String, Ledger> = self.journal.ledgers().into_iter().collect();
        self.all.iter().map(move |status| {
            let last = status.last().map(|(ledger, _)| ledger);
            let ledger = last.or_else(|| ledgers.remove(&status.address().reader()));
            (&**status, ledger.unwrap_or_default())
        })
    }

    /// How each is doing.
    #[must_use]
    pub fn status(&self) -> Vec<DestinationStatus> {
        let of = |(status, ledger): (&Status, Ledger)| {
            let (since, last_error) = status.since();
            DestinationStatus {
                address: status.address().to_string(),
                protocol: status.address().protocol.label(),
                connected: status.is_up.load(Relaxed),
                since,
                last_error,
                routed: ledger.routed,
                delivered: ledger.delivered,
                waiting: ledger.waiting,
                shed: ledger.shed,
                lost: ledger.lost,
                lag_seconds: ledger.lag_seconds,
                repeats: status.repeats.load(Relaxed),
            }
        };
        self.accounts().map(of).collect()
    }

    /// Those for which points are left. To be asked once their tasks have ended.
    #[must_use]
    pub fn left(&self) -> Vec<Left> {
        let of = |(status, ledger): (&Status, Ledger)| Left {
            address: status.address().to_string(),
            waiting: ledger.waiting,
            connected: status.last().map_or_else(|| status.is_up.load(Relaxed), |(_, connected)| connected),
        };
        self.accounts().map(of).filter(|left| left.waiting > 0).collect()
    }

    /// What the destinations report. The journal reports the account of each reader.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        for (status, ledger) in self.accounts() {
            let mut add =
                |figure: Figure| out.push(figure.label("destination", status.address().to_string()));
            for (name, help, value) in [
                (
                    "skyline_destination_connected",
                    "1 while a connection is open.",
                    f64::from(status.is_up.load(Relaxed)),
                ),
                (
                    "skyline_destination_pausing",
                    "1 while listeners pause because of it (when_behind = \"block\").",
                    f64::from(status.is_pausing.load(Relaxed)),
                ),
                ("skyline_destination_lag_points", "Points that wait for it.", ledger.waiting as f64),
                ("skyline_destination_lag_seconds", "Age of its oldest waiting point.", ledger.lag_seconds),
            ] {
                add(Figure::gauge(name, help, value));
            }
            for (name, help, value) in [
                ("skyline_destination_sent_points_total", SENT, &status.sent),
                ("skyline_destination_sent_bytes_total", "Bytes written to it since start.", &status.bytes),
                (
                    "skyline_destination_writes_total",
                    "Writes of one or many batches since start.",
                    &status.writes,
                ),
                ("skyline_destination_repeats_total", REPEATS, &status.repeats),
                (
                    "skyline_destination_reconnects_total",
                    "Connections after the first since start.",
                    &status.reconnects,
                ),
                ("skyline_destination_send_errors_total", ERRORS, &status.errors),
            ] {
                add(Figure::counter(name, help, value.load(Relaxed)));
            }
        }
    }
}

const SENT: &str = "Points written to it since start, repeats included.";
const REPEATS: &str =
    "Points written to it a second time since start, because it might not have read the first.";
const ERRORS: &str =
    "Connections since start that could not be made, broke, stalled, or were closed by the peer.";
