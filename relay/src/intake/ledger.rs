//! The account of every listener, and the file that carries it over restarts.
//!
//! After a crash the counts of logged points are exact as long as the journal still has all that
//! was logged after the last save (at most a second of it, as a rule); refused points of that
//! second are not known any more.

use skyline_core::batch::Listener;
use skyline_core::figure::Figure;
use skyline_core::file;
use skyline_core::reject::{Reject, RejectCounts};
use skyline_journal::{Durability, Journal};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

/// First line of the file.
const HEADING: &str = "skyline listener ledger 1";

/// Why an intake cannot be opened or its ledger not be saved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be written.
    #[error("ledger {path}: {source}; check that the folder is writable and not full", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] skyline_journal::Error),
}

/// The account of one listener, in points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerLedger {
    /// The listener.
    pub listener: Listener,
    /// Came in.
    pub received: u64,
    /// Were added because a point goes on under several names.
    pub copied: u64,
    /// Are in the journal.
    pub logged: u64,
    /// Were not taken, by reason.
    pub refused: RejectCounts,
}

impl ListenerLedger {
    /// Received or copied, and neither logged nor refused yet.
    #[must_use]
    pub fn on_their_way(&self) -> u64 {
        self.came().saturating_sub(self.logged + self.refused.total())
    }

    /// Received and copied.
    #[must_use]
    pub const fn came(&self) -> u64 {
        self.received + self.copied
    }
}

const RECEIVED: &str = "Points received: logged, refused, or on their way into the journal.";
const COPIED: &str = "Points added because routing sends one on under several names.";
const LOGGED: &str = "Points logged in the journal.";
const REFUSED: &str = "Points (lines, items, frames) that were not taken, by reason.";

/// Counters of all listeners. Written once a batch or read, never once a point.
#[derive(Debug)]
pub(super) struct Account {
    lines: [Line; Listener::ALL.len()],
    file: PathBuf,
    /// What the file holds.
    saved: Mutex<String>,
}

#[derive(Debug, Default)]
struct Line {
    received: AtomicU64,
    copied: AtomicU64,
    logged: AtomicU64,
    /// Of them, those of earlier runs.
    logged_before: AtomicU64,
    refused: [AtomicU64; Reject::COUNT],
}

impl Account {
    /// The account of earlier runs: the file, and what `journal` has after it.
    pub(super) fn open(state_dir: &Path, journal: &Journal) -> Result<Self, Error> {
        let file = state_dir.join("ledger");
        let account = Self { lines: Default::default(), saved: Mutex::new(String::new()), file };
        let end = account.load();
        for (listener, points) in journal.logged_by_listener(end)? {
            account.received(listener, points);
            account.logged(listener, points);
        }
        for (listener, now) in journal.logged_since_open().1 {
            let line = account.line(listener);
            line.logged_before.store(line.logged.load(Relaxed).saturating_sub(now), Relaxed);
        }
        // A full disk must not keep the node from forwarding what it has.
        if let Err(error) = account.save(journal) {
            tracing::error!(%error, "the listeners' ledger is not saved");
        }
        Ok(account)
    }

    fn line(&self, listener: Listener) -> &Line {
        let [tcp, udp, unix, pickle, msgpack, own, protobuf, aggregator, flux, vista, backfill] = &self.lines;
        match listener {
            Listener::PlaintextTcp => tcp,
            Listener::PlaintextUdp => udp,
            Listener::PlaintextUnix => unix,
            Listener::PickleTcp => pickle,
            Listener::MsgpackUdp => msgpack,
            Listener::Own => own,
            Listener::ProtobufTcp => protobuf,
            Listener::Aggregator => aggregator,
            Listener::Flux => flux,
            Listener::Vista => vista,
            Listener::Backfill => backfill,
        }
    }

    pub(super) fn received(&self, listener: Listener, points: u64) {
        self.line(listener).received.fetch_add(points, Relaxed);
    }

    pub(super) fn copied(&self, listener: Listener, points: u64) {
        self.line(listener).copied.fetch_add(points, Relaxed);
    }

    pub(super) fn logged(&self, listener: Listener, points: u64) {
        self.line(listener).logged.fetch_add(points, SeqCst);
    }

    pub(super) fn refused(&self, listener: Listener, why: Reject, points: u64) {
        if let Some(counter) = self.line(listener).refused.get(why as usize) {
            counter.fetch_add(points, Relaxed);
        }
    }

    /// All accounts.
    pub(super) fn lines(&self) -> Vec<ListenerLedger> {
        Listener::ALL.into_iter().map(|listener| self.read(listener)).collect()
    }

    /// What is reported of them.
    pub(super) fn figures(&self, out: &mut Vec<Figure>) {
        // What a back-fill has fetched nobody sent: it is in its own figures.
        for line in self.lines().into_iter().filter(|line| line.listener != Listener::Backfill) {
            let label = |figure: Figure| figure.label("listener", line.listener.label());
            out.push(label(Figure::counter("skyline_relay_received_points_total", RECEIVED, line.received)));
            out.push(label(Figure::counter("skyline_relay_copied_points_total", COPIED, line.copied)));
            out.push(label(Figure::counter("skyline_relay_logged_points_total", LOGGED, line.logged)));
            for (why, points) in line.refused.iter() {
                let figure = Figure::counter("skyline_relay_refused_points_total", REFUSED, points);
                out.push(label(figure).label("reason", why.label()));
            }
        }
    }

    /// Points of each listener that the journal says it has logged, in all runs. The counters here follow
    /// a little later.
    pub(super) fn in_journal(&self, journal: &Journal) -> Vec<(Listener, u64)> {
        let logged = journal.logged_since_open().1.into_iter();
        logged.map(|(listener, n)| (listener, self.line(listener).logged_before.load(Relaxed) + n)).collect()
    }

    fn read(&self, listener: Listener) -> ListenerLedger {
        let line = self.line(listener);
        // Outcomes first: a point that is counted between the two reads is then on its way.
        let logged = line.logged.load(SeqCst);
        let mut refused = RejectCounts::default();
        for (why, counter) in Reject::ALL.into_iter().zip(&line.refused) {
            refused.add(why, counter.load(SeqCst));
        }
        let (received, copied) = (line.received.load(SeqCst), line.copied.load(SeqCst));
        ListenerLedger { listener, received, copied, logged, refused }
    }

    /// Saves the account if it has changed since the last save.
    ///
    /// The counts of logged points must be those of exactly the points before the sequence number
    /// that is saved with them, so they are the journal's own: the counters here follow a little later.
    pub(super) fn save(&self, journal: &Journal) -> Result<(), Error> {
        let (end, logged) = journal.logged_since_open();
        let mut lines = self.lines();
        for (line, (listener, points)) in lines.iter_mut().zip(logged) {
            line.logged = self.line(listener).logged_before.load(Relaxed) + points;
        }
        let text = written(end, &lines);
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if *saved == text {
            return Ok(());
        }
        let failed = |source| Error::File { path: self.file.clone(), source };
        let sync = journal.durability() == Durability::Machine;
        file::update(&self.file, text.as_bytes(), sync).map_err(failed)?;
        *saved = text;
        Ok(())
    }

    /// Takes over the counts of the file; the sequence number up to which they hold, or 0.
    fn load(&self) -> u64 {
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return 0,
            Err(error) => {
                let path = self.file.display();
                tracing::warn!(%path, %error, "the listeners' ledger cannot be read; counts start with the journal");
                return 0;
            }
        };
        let Some((end, lines)) = parsed(&text) else {
            let path = self.file.display();
            tracing::warn!(%path, "the listeners' ledger is damaged; counts start with the journal");
            return 0;
        };
        for line in lines {
            // What was on its way at the last save has been logged since, or is gone with the process.
            self.received(line.listener, line.received);
            self.copied(line.listener, line.copied);
            self.logged(line.listener, line.logged);
            for (why, points) in line.refused.iter() {
                self.refused(line.listener, why, points);
            }
        }
        end
    }
}

/// The file: a heading, `end SEQUENCE`, then a line for each listener: its name, `logged N`, `copied N` if there
/// were any, and `REASON N` for every reason that occurred.
fn written(end: u64, lines: &[ListenerLedger]) -> String {
    let mut text = format!("{HEADING}\nend {end}\n");
    for line in lines {
        text.push_str(&format!("{} logged {}", line.listener.label(), line.logged));
        if line.copied > 0 {
            text.push_str(&format!(" copied {}", line.copied));
        }
        for (why, points) in line.refused.iter() {
            text.push_str(&format!(" {} {points}", why.label()));
        }
        text.push('\n');
    }
    text
}

fn parsed(text: &str) -> Option<(u64, Vec<ListenerLedger>)> {
    let mut lines = text.lines();
    if lines.next()? != HEADING {
        return None;
    }
    let end = lines.next()?.strip_prefix("end ")?.parse().ok()?;
    let mut ledgers = Vec::new();
    for line in lines {
        let mut words = line.split(' ');
        let name = words.next()?;
        let listener = Listener::ALL.into_iter().find(|l| l.label() == name)?;
        let mut ledger =
            ListenerLedger { listener, received: 0, copied: 0, logged: 0, refused: RejectCounts::default() };
        while let Some(word) = words.next() {
            let points: u64 = words.next()?.parse().ok()?;
            match word {
                "logged" => ledger.logged = points,
                "copied" => ledger.copied = points,
                _ => ledger.refused.add(Reject::ALL.into_iter().find(|why| why.label() == word)?, points),
            }
        }
        ledger.received = (ledger.logged + ledger.refused.total()).saturating_sub(ledger.copied);
        ledgers.push(ledger);
    }
    // The last line ends with its newline, or the file was cut.
    text.ends_with('\n').then_some((end, ledgers))
}
