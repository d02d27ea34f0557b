//! The log as the rest of the node sees it.

use crate::error::Error;
use crate::keeper::{Alarm, Keep, Keeper};
use crate::ledger::{Account, Ledger};
use crate::log::Log;
use crate::options::{Durability, Options};
use crate::reader::Reader;
use crate::recover::{self, Recovered};
use crate::segment::tally::tally;
use crate::sets::SetTable;
use crate::share::Scope;
use crate::writer::{Pending, Writer};
use skyline_core::batch::{Batch, Listener, RouteSet};
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::Notify;

/// Longest name of a reader, bytes.
/// What was read so long ago is not likely to be read again, seconds: whoever was sent it has taken it from its buffers.
const SETTLED: f64 = 60.0;
const MAX_READER_NAME: usize = 1024;

/// Locks; what a panicked thread left behind is used as it is.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All parts of an open journal. Locks are taken in the order `writer`, `keep`, `log`; `pending`
/// and the table of sets are leaves.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    /// Size at which a segment is closed.
    pub(crate) rotate_at: u64,
    pub(crate) clock: Clock,
    pub(crate) sets: SetTable,
    pub(crate) pending: Mutex<Pending>,
    pub(crate) pending_more: Condvar,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) keep: Mutex<Keep>,
    pub(crate) log: Mutex<Log>,
    pub(crate) alarm: Alarm,
    /// The last append was refused.
    pub(crate) full: AtomicBool,
    pub(crate) room: Notify,
    pub(crate) stopping: AtomicBool,
    pub(crate) writer_gone: AtomicBool,
    /// Held locked while the journal is open.
    pub(crate) _lock: File,
}

impl Shared {
    /// Whether groups are synced.
    pub(crate) fn machine(&self) -> bool {
        self.options.durability == Durability::Machine
    }
}

/// The open journal; closes it when the last of journal and readers goes.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        {
            // Under the lock, so that the writing thread cannot miss it.
            let _pending = lock(&self.shared.pending);
            self.shared.stopping.store(true, Ordering::Release);
        }
        self.shared.pending_more.notify_all();
        self.shared.alarm.ring();
        for thread in lock(&self.threads).drain(..) {
            drop(thread.join());
        }
        lock(&self.shared.writer).close();
    }
}

/// The log. Cheap to clone; all clones are the same log.
#[derive(Debug, Clone)]
pub struct Journal {
    handle: Arc<Handle>,
}

impl Journal {
    /// Opens or creates the log in `options.dir`, repairs a torn tail.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it open, [`Error::Io`] when a file cannot be read
    /// or written. Damage within segments is no error: it is counted in [`Recovered`].
    pub fn open(options: Options) -> Result<(Self, Recovered), Error> {
        Self::open_with(options, Clock::system())
    }

    /// The same with a clock of the caller's: what lags and rates are measured by.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(options: Options, clock: Clock) -> Result<(Self, Recovered), Error> {
        Self::open_kept(options, clock, Keeper::Thread)
    }

    pub(crate) fn open_kept(
        options: Options,
        clock: Clock,
        keeper: Keeper,
    ) -> Result<(Self, Recovered), Error> {
        let (shared, recovered) = recover::open(options, clock)?;
        let shared = Arc::new(shared);
        let handle = Handle { shared: Arc::clone(&shared), threads: Mutex::default() };
        let spawn = |name: &str, run: fn(&Shared)| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || run(&shared))
                .map_err(Error::io(&handle.shared.options.dir))
        };
        if shared.machine() {
            let thread = spawn("journal-writer", Shared::run_writer)?;
            lock(&handle.threads).push(thread);
        }
        if keeper == Keeper::Thread {
            let thread = spawn("journal-keeper", Shared::run_keeper)?;
            lock(&handle.threads).push(thread);
        }
        Ok((Self { handle: Arc::new(handle) }, recovered))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// The number of the set of these readers' names (order and repetition ignored; none:
    /// `RouteSet(0)`). The same names give the same number for as long as the journal is open.
    pub fn route_set(&self, readers: &[&str]) -> RouteSet {
        self.shared().sets.number(readers)
    }

    /// Logs a batch: assigns `first_seq`, makes `received` not less than the last one's, writes one
    /// record, hands it to readers. With [`Durability::Process`] it takes microseconds, after other
    /// tasks that can run had their turn to add theirs; with [`Durability::Machine`] it awaits the
    /// `fdatasync` of its group. If the future is dropped meanwhile, the batch may be logged all the same.
    ///
    /// # Errors
    /// [`Error::Full`] with the batch when it was not taken, [`Error::TooLarge`], [`Error::Closed`].
    pub async fn append(&self, batch: Batch) -> Result<Arc<Batch>, Error> {
        if batch.is_empty() {
            let first_seq = self.end();
            return Ok(Arc::new(Batch { first_seq, ..batch }));
        }
        match self.shared().options.durability {
            Durability::Process => self.shared().append_grouped(batch).await,
            Durability::Machine => self.shared().append_synced(batch).await,
        }
    }

    /// Resolves once there may be room again after [`Error::Full`]: when something was freed, or
    /// after a second.
    pub async fn room(&self) {
        let mut notified = std::pin::pin!(self.shared().room.notified());
        notified.as_mut().enable();
        if self.shared().full.load(Ordering::Acquire) {
            notified.await;
        }
    }

    /// Registers a reader. It starts at its saved position, or at the end of the log for a new
    /// name; where a position was lost or damaged, at the beginning of the log.
    ///
    /// # Errors
    /// [`Error::InUse`] when it has a handle already, [`Error::Io`] when it cannot be saved.
    pub fn reader(&self, name: &str, scope: Scope) -> Result<Reader, Error> {
        let shared = self.shared();
        if name.is_empty() || name.len() > MAX_READER_NAME {
            let source = std::io::Error::other("a reader's name has 1 to 1024 bytes");
            return Err(Error::Io { path: shared.options.dir.clone(), source });
        }
        let mut keep = lock(&shared.keep);
        let known = lock(&shared.log).living().find(|(_, a)| *a.name == *name).map(|(place, _)| place);
        let place = match known {
            Some(place) => place,
            None => shared.new_reader(&mut keep, name, scope)?,
        };
        let mut log = lock(&shared.log);
        let account = log.account(place);
        if account.attached {
            return Err(Error::InUse { name: name.to_owned() });
        }
        if account.share.scope != scope {
            drop(log);
            shared.change_scope(place, scope)?;
            log = lock(&shared.log);
        }
        let account = log.account(place);
        account.attached = true;
        let name = Arc::clone(&account.name);
        Ok(Reader::new(Arc::clone(&self.handle), place, name))
    }

    /// Names of saved positions for which no reader is registered (destinations that left the
    /// configuration). They keep their segments until [`Self::forget`].
    #[must_use]
    pub fn orphans(&self) -> Vec<String> {
        let log = lock(&self.shared().log);
        log.living().filter(|(_, a)| !a.attached).map(|(_, a)| a.name.to_string()).collect()
    }

    /// Drops the position of a reader that will not come back; its segments are freed.
    ///
    /// # Errors
    /// [`Error::InUse`] while it has a handle, [`Error::Io`] when its file cannot be removed.
    pub fn forget(&self, name: &str) -> Result<(), Error> {
        let shared = self.shared();
        let mut keep = lock(&shared.keep);
        {
            let mut log = lock(&shared.log);
            let mut living = log.accounts.iter_mut().filter(|a| !a.gone && *a.name == *name);
            let Some(account) = living.next() else { return Ok(()) };
            if account.attached {
                return Err(Error::InUse { name: name.to_owned() });
            }
            account.gone = true;
        }
        keep.positions.remove(name, shared.machine())?;
        shared.free(&keep);
        Ok(())
    }

    /// What a logged point survives.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.shared().options.durability
    }

    /// Bytes that its segments may take at most.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.shared().options.max_bytes
    }

    /// Whether the last batch was refused for want of disk or budget.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared().full.load(Ordering::Acquire)
    }

    /// Whether one of the next two segments takes the place of one that somebody has yet to read (or waits for it), or would
    /// read again after a crash and that is younger than a minute. Two, for a start begins a segment of its own.
    #[must_use]
    pub fn is_nearly_spent(&self) -> bool {
        let now = self.shared().clock.now();
        let log = lock(&self.shared().log);
        let next = self.shared().options.segment_bytes.saturating_mul(2);
        if log.bytes().saturating_add(next) <= log.budget {
            return false;
        }
        let Some(oldest) = log.segments.front().filter(|_| log.closed() > 0) else { return false };
        // Who has read it all may hold it for ever, where nothing new comes for it that would move its hold on.
        let is_unread =
            log.living().any(|(_, a)| a.waiting() > 0 && a.cursor.min(a.position) < oldest.end_seq);
        is_unread || now - oldest.summary.last_received < SETTLED
    }

    /// Sequence number after the newest logged point.
    #[must_use]
    pub fn end(&self) -> u64 {
        lock(&self.shared().log).end
    }

    /// Sequence number of the oldest point still on disk.
    #[must_use]
    pub fn start(&self) -> u64 {
        lock(&self.shared().log).start()
    }

    /// The account of every registered reader, by name.
    #[must_use]
    pub fn ledgers(&self) -> Vec<(String, Ledger)> {
        let now = self.shared().clock.now();
        let log = lock(&self.shared().log);
        let attached = log.living().filter(|(_, account)| account.attached);
        let mut ledgers: Vec<_> = attached.map(|(_, a)| (a.name.to_string(), ledger(&log, a, now))).collect();
        drop(log);
        ledgers.sort_by(|a, b| a.0.cmp(&b.0));
        ledgers
    }

    /// Points logged from sequence number `from_seq` on, by listener. Reads the headers of the
    /// segment that `from_seq` is in: call it on a thread that may block.
    ///
    /// # Errors
    /// [`Error::Io`] when a segment cannot be read.
    pub fn logged_by_listener(&self, from_seq: u64) -> Result<Vec<(Listener, u64)>, Error> {
        let shared = self.shared();
        let (segments, end) = {
            let log = lock(&shared.log);
            (log.segments_between(from_seq, log.end), log.end)
        };
        let summary = tally(&shared.options.dir, &segments, from_seq, end, &shared.sets)?;
        let of = |listener: Listener| summary.listeners.get(listener as usize).copied().unwrap_or(0);
        Ok(Listener::ALL.into_iter().map(|listener| (listener, of(listener))).collect())
    }

    /// Points logged since the journal was opened, by listener, and the sequence number after the last
    /// of them.
    #[must_use]
    pub fn logged_since_open(&self) -> (u64, Vec<(Listener, u64)>) {
        let log = lock(&self.shared().log);
        let of = |listener: Listener| log.counters.listeners.get(listener as usize).copied().unwrap_or(0);
        (log.end, Listener::ALL.into_iter().map(|listener| (listener, of(listener))).collect())
    }

    /// Times that a reader's count of delivered points was not the log's: more than none is a fault.
    #[must_use]
    pub fn mismatches(&self) -> u64 {
        lock(&self.shared().log).counters.mismatches
    }

    /// Saves all positions now and syncs every file, whatever the durability.
    ///
    /// # Errors
    /// [`Error::Io`] naming the first file that could not be written.
    pub fn sync(&self) -> Result<(), Error> {
        let shared = self.shared();
        lock(&shared.writer).sync()?;
        shared.sync_closed()?;
        let mut keep = lock(&shared.keep);
        shared.save_positions(&mut keep, true)
    }

    /// What the journal reports about itself.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        self.shared().figures(out);
    }
}

/// An account in points, bytes and seconds.
pub(crate) fn ledger(log: &Log, account: &Account, now: f64) -> Ledger {
    Ledger {
        routed: account.routed,
        delivered: account.delivered,
        waiting: account.waiting(),
        shed: account.shed,
        lost: account.lost,
        pinned_bytes: log.pinned_bytes(account),
        lag_seconds: log.oldest_waiting(account).map_or(0.0, |oldest| (now - oldest).max(0.0)),
    }
}

impl Shared {
    /// Enters a name that has no account; returns its place.
    fn new_reader(&self, keep: &mut Keep, name: &str, scope: Scope) -> Result<usize, Error> {
        let place = {
            let mut log = lock(&self.log);
            // Without a register nobody knows whether it is new: reading again leaves no hole.
            let position = if keep.register_lost { log.start() } else { log.end };
            let mut account = Account::new(name, scope, position);
            account.share.refresh(name, &self.sets);
            log.enter(account)
        };
        let entered = self.count_waiting(place).and_then(|()| {
            self.save_positions(keep, self.machine())?;
            keep.positions.enter(name, self.machine())
        });
        if entered.is_err() {
            lock(&self.log).account(place).gone = true;
        }
        entered.map(|()| place)
    }

    /// Counts what waits for an account that has just been made.
    pub(crate) fn count_waiting(&self, place: usize) -> Result<(), Error> {
        let (segments, from, to, thought) = {
            let mut log = lock(&self.log);
            let to = log.end;
            let account = log.account(place);
            let (from, thought) = (account.position, account.unread());
            (log.segments_between(from, to), from, to, thought)
        };
        let summary = tally(&self.options.dir, &segments, from, to, &self.sets)?;
        let mut log = lock(&self.log);
        let account = log.account(place);
        account.share.refresh(&Arc::clone(&account.name), &self.sets);
        let counted = account.share.of_summary(&summary);
        account.found(thought, counted);
        Ok(())
    }

    /// A reader comes back with another scope: what waits for it is another number.
    fn change_scope(&self, place: usize, scope: Scope) -> Result<(), Error> {
        {
            let mut log = lock(&self.log);
            let account = log.account(place);
            account.share.scope = scope;
            account.routed = account.delivered + account.shed;
            account.dirty = true;
        }
        self.count_waiting(place)
    }
}

#[cfg(test)]
impl Journal {
    /// Ends as `kill -9` would: nothing is saved, nothing is said.
    pub(crate) fn crash(self) {
        lock(&self.shared().keep).crashed = true;
    }
}
