//! What is told of all destinations: their state, what they leave, figures.

use super::Destinations;
use super::running::Listed;
use skyline_conf::routing::Endpoint;
use skyline_core::figure::Figure;
use skyline_journal::Ledger;
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;

/// What `skyline status` shows of one.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationStatus {
    /// `host:port[:instance]`; of a file or several endpoints the label.
    pub address: String,
    /// Name of its reader in the journal.
    pub reader: String,
    /// Where it can be reached, the first choice first.
    pub endpoints: Vec<Endpoint>,
    /// The endpoint in use; `None`: there is no connection.
    pub endpoint: Option<String>,
    /// Whether it is no longer configured, and what waited for it is still being sent.
    pub leaving: bool,
    /// Whether its points are held because how it was sent to is not known: the register was lost.
    pub held: bool,
    /// `plaintext`, `pickle` or `protobuf`; `unknown` while its points are held.
    pub protocol: &'static str,
    /// Whether a connection is open.
    pub connected: bool,
    /// Whether listeners pause because of it (`when_behind = "block"`).
    pub pausing: bool,
    /// Since when it is connected or not, seconds.
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
    /// Bytes of the journal's closed files that are kept because of it.
    pub spool_bytes: u64,
    /// Since start: points written, repeats included.
    pub sent: u64,
    /// Points sent a second time since start.
    pub repeats: u64,
    /// Since start: bytes written.
    pub sent_bytes: u64,
    /// Since start: writes of one or many batches.
    pub writes: u64,
    /// Since start: time spent in them, seconds.
    pub writing_seconds: f64,
    /// Since start: connections after the first.
    pub reconnects: u64,
    /// Since start: connections that could not be made, broke, stalled, or were closed by the peer.
    pub errors: u64,
    /// Since start: points that were skipped because it was behind its mark. The journal's budget took the rest of
    /// [`Self::shed`], and what was skipped in earlier runs.
    pub skipped: u64,
    /// Since start: times that listeners paused because of it.
    pub pauses: u64,
}

/// What a destination leaves when the node stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// As in [`DestinationStatus::address`].
    pub address: String,
    /// Points that wait in the journal for the next start.
    pub waiting: u64,
    /// Whether there was a connection at the end.
    pub connected: bool,
}

impl Destinations {
    /// Each with its account: that of the journal, or the last one when its task has ended.
    fn accounts(&self) -> impl Iterator<Item = (Listed, Ledger)> {
        let all = self.0.list();
        let mut ledgers: HashMap<String, Ledger> = self.0.journal.ledgers().into_iter().collect();
        all.into_iter().map(move |listed| {
            let last = listed.status.last().map(|(ledger, _)| ledger);
            let ledger = last.or_else(|| ledgers.remove(&listed.reader));
            (listed, ledger.unwrap_or_default())
        })
    }

    /// How each is doing.
    #[must_use]
    pub fn status(&self) -> Vec<DestinationStatus> {
        let of = |(Listed { status, is_leaving, is_held, reader, endpoints }, ledger): (Listed, Ledger)| {
            let (since, last_error) = status.since();
            DestinationStatus {
                address: status.name().to_owned(),
                reader,
                endpoints,
                endpoint: status.endpoint(),
                leaving: is_leaving,
                held: is_held,
                protocol: status.protocol(),
                connected: status.is_up.load(Relaxed),
                pausing: status.is_pausing.load(Relaxed),
                since,
                last_error,
                routed: ledger.routed,
                delivered: ledger.delivered,
                waiting: ledger.waiting,
                shed: ledger.shed,
                lost: ledger.lost,
                lag_seconds: ledger.lag_seconds,
                spool_bytes: ledger.pinned_bytes,
                sent: status.sent.load(Relaxed),
                repeats: status.repeats.load(Relaxed),
                sent_bytes: status.bytes.load(Relaxed),
                writes: status.writes.load(Relaxed),
                writing_seconds: status.writing.load(Relaxed) as f64 / 1e9,
                reconnects: status.reconnects.load(Relaxed),
                errors: status.errors.load(Relaxed),
                skipped: status.skipped.load(Relaxed),
                pauses: status.pauses.load(Relaxed),
            }
        };
        self.accounts().map(of).collect()
    }

    /// Those for which points are left. To be asked once their tasks have ended.
    #[must_use]
    pub fn left(&self) -> Vec<Left> {
        let of = |(Listed { status, .. }, ledger): (Listed, Ledger)| Left {
            address: status.name().to_owned(),
            waiting: ledger.waiting,
            connected: status.last().map_or_else(|| status.is_up.load(Relaxed), |(_, connected)| connected),
        };
        self.accounts().map(of).filter(|left| left.waiting > 0).collect()
    }

    /// What the destinations report. The journal reports the account of each reader.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        let errors = self.0.register_errors.load(Relaxed);
        out.push(Figure::counter("skyline_destinations_register_errors_total", REGISTER_ERRORS, errors));
        for (Listed { status, is_held, .. }, ledger) in self.accounts() {
            let mut add = |figure: Figure| out.push(figure.label("destination", status.name().to_owned()));
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
                (
                    "skyline_destination_held",
                    "1 while its points are held because how it was sent to is not known.",
                    f64::from(is_held),
                ),
                ("skyline_destination_lag_points", "Points that wait for it.", ledger.waiting as f64),
                ("skyline_destination_lag_seconds", "Age of its oldest waiting point.", ledger.lag_seconds),
                (
                    "skyline_destination_spool_bytes",
                    "Bytes of the journal's closed files that are kept because of it.",
                    ledger.pinned_bytes as f64,
                ),
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
                    "skyline_destination_skipped_points_total",
                    "Points skipped since start because it was behind its mark (when_behind = \"shed\").",
                    &status.skipped,
                ),
                (
                    "skyline_destination_pauses_total",
                    "Times since start that listeners paused because of it.",
                    &status.pauses,
                ),
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
const REGISTER_ERRORS: &str = "Times since start that the file that tells how destinations are sent to was missing, \
                               damaged or could not be written.";
const ERRORS: &str =
    "Connections since start that could not be made, broke, stalled, or were closed by the peer.";
