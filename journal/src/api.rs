//! CONTRACT STUB: signatures only. The journal's author replaces this file by modules and keeps
//! the signatures (or tells everybody).
#![expect(clippy::todo, missing_docs, unused_variables, reason = "stub")]

use skyline_core::batch::{Batch, RouteSet};
use skyline_core::figure::Figure;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a journal behaves. Units: bytes, percent.
#[derive(Debug, Clone)]
pub struct Options {
    pub dir: PathBuf,
    pub max_bytes: u64,
    pub segment_bytes: u64,
    pub memory_bytes: u64,
    pub durability: Durability,
    pub when_full: WhenFull,
    pub min_free_percent: f64,
}

/// When a point counts as logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After `write(2)`.
    Process,
    /// After `fdatasync`, shared by all batches of a group.
    Machine,
}

/// What happens when the budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    ShedOldest,
    Block,
}

/// What went wrong, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("journal {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// Disk or budget is full: this batch was not taken. It comes back so that the caller may wait and retry.
    #[error("journal is full")]
    Full(Box<Batch>),
    #[error("journal is closed")]
    Closed,
}

/// The log. Cheap to clone; all clones are the same log.
#[derive(Debug, Clone)]
pub struct Journal {}

impl Journal {
    /// Opens or creates the log in `options.dir`, repairs a torn tail.
    pub fn open(options: Options) -> Result<(Self, Recovered), Error> {
        todo!()
    }
    /// The number of the set of these readers' names (order and duplicates ignored; interned; empty → RouteSet(0)).
    pub fn route_set(&self, readers: &[&str]) -> RouteSet {
        todo!()
    }
    /// Logs a batch: assigns `first_seq`, makes `received` not less than the last one's, writes one record
    /// (group commit), hands it to readers. Durability::Process: runs inline, microseconds. Machine: awaits the group's fdatasync.
    pub async fn append(&self, batch: Batch) -> Result<Arc<Batch>, Error> {
        todo!()
    }
    /// Resolves once there is room again after `Error::Full` (or after a second).
    pub async fn room(&self) {
        todo!()
    }
    /// Registers a reader. `Scope::Everything` reads every batch; `Scope::Routed` only counts and
    /// yields batches of which at least one sample goes to a set with this reader's name.
    /// Starts at its saved position, or at the end of the log for a new name.
    pub fn reader(&self, name: &str, scope: Scope) -> Result<Reader, Error> {
        todo!()
    }
    /// Names of saved positions for which no reader is registered (destinations that left the configuration).
    pub fn orphans(&self) -> Vec<String> {
        todo!()
    }
    /// Drops the position of a reader that will not come back; its segments are freed.
    pub fn forget(&self, name: &str) -> Result<(), Error> {
        todo!()
    }
    /// Sequence number after the newest logged point.
    pub fn end(&self) -> u64 {
        todo!()
    }
    /// Sequence number of the oldest point still on disk.
    pub fn start(&self) -> u64 {
        todo!()
    }
    /// The account of every registered reader, by name.
    pub fn ledgers(&self) -> Vec<(String, Ledger)> {
        todo!()
    }
    /// Saves all positions now and syncs the file.
    pub fn sync(&self) -> Result<(), Error> {
        todo!()
    }
    pub fn figures(&self, out: &mut Vec<Figure>) {
        todo!()
    }
}

/// What was found at open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    pub start: u64,
    pub end: u64,
    pub torn_bytes: u64,
    pub lost_points: u64,
    pub skipped_bytes: u64,
}

/// Which batches a reader gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Everything,
    Routed,
}

/// A batch as a reader gets it.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub batch: Arc<Batch>,
    /// Samples of it that are for this reader.
    pub mine: Mine,
}

/// Which samples of a batch are a reader's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mine {
    All,
    /// Indexes into `batch.samples`, ascending.
    Some(Vec<u32>),
}

impl Delivery {
    /// Number of samples that are the reader's.
    pub fn points(&self) -> u64 {
        todo!()
    }
}

/// One reader: a cursor (how far it has read) and a position (how far it is done; saved).
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    pub fn name(&self) -> &str {
        todo!()
    }
    /// Sequence number up to which everything is done: what is saved, and what a restart begins at.
    pub fn position(&self) -> u64 {
        todo!()
    }
    /// Sequence number of the next point that `take` looks at.
    pub fn cursor(&self) -> u64 {
        todo!()
    }
    /// Whether the next `take` is served from memory (else it reads files: call it on a blocking thread).
    pub fn in_memory(&self) -> bool {
        todo!()
    }
    /// Appends up to about `max_points` points' batches to `out` and moves the cursor past them (also past batches
    /// that hold nothing for it). Nothing new: appends nothing. Counts as shed what the log dropped before the cursor.
    pub fn take(&mut self, max_points: usize, out: &mut Vec<Delivery>) -> Result<(), Error> {
        todo!()
    }
    /// Resolves when there is something beyond the cursor. Cancel-safe.
    pub async fn ready(&self) {
        todo!()
    }
    /// The same for a thread: true when there is something, false after `timeout`.
    pub fn wait(&self, timeout: Duration) -> bool {
        todo!()
    }
    /// Everything before `seq` is done; `delivered` points of it were this reader's. Saved within a second.
    pub fn done(&mut self, seq: u64, delivered: u64) {
        todo!()
    }
    /// Moves the cursor back to `seq` (not before the oldest held), to read again what follows.
    pub fn rewind(&mut self, seq: u64) {
        todo!()
    }
    /// Segments from `seq` on are kept although the position is beyond (what might have to be sent again, or a snapshot's position). u64::MAX: no hold.
    pub fn hold(&mut self, seq: u64) {
        todo!()
    }
    /// Skips to the end; what is skipped counts as shed.
    pub fn skip_to_now(&mut self) {
        todo!()
    }
    /// Skips forward so that at most `points` of its own points wait; returns how many were shed.
    pub fn shed_to(&mut self, points: u64) -> Result<u64, Error> {
        todo!()
    }
    /// routed = delivered + waiting + shed, all in points of this reader, since its name was first seen.
    pub fn ledger(&self) -> Ledger {
        todo!()
    }
}

/// A reader's account, in points. `routed == delivered + waiting + shed` always holds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ledger {
    pub routed: u64,
    pub delivered: u64,
    pub waiting: u64,
    pub shed: u64,
    /// Bytes of log that it pins.
    pub pinned_bytes: u64,
    /// Age in seconds of the oldest waiting point.
    pub lag_seconds: f64,
}
