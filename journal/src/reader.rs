//! One reader of the log: a cursor (how far it has read) and a position (how far it is done).

mod file;

use crate::error::Error;
use crate::journal::{Handle, Shared, ledger, lock};
use crate::ledger::flight::Span;
use crate::ledger::{Account, Ledger, Wake};
use crate::log::{Log, Segment};
use crate::segment::tally::{nth, tally};
use crate::share::{Delivery, Scope, Share};
use file::{Item, Segments};
use skyline_core::batch::{Batch, Routes};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

/// One reader: a cursor (how far it has read) and a position (how far it is done; saved).
///
/// Dropping it gives the name free: the next one of that name begins at the position.
#[derive(Debug)]
pub struct Reader {
    handle: Arc<Handle>,
    place: usize,
    name: Arc<str>,
    /// The segment it reads while it lags.
    files: Segments,
}

/// Ends a [`Reader::wait`] from outside.
#[derive(Debug, Clone)]
pub struct Caller {
    shared: Weak<Shared>,
    wake: Arc<Wake>,
}

impl Caller {
    /// Lets the reader's thread go on. Does nothing once the journal is closed.
    pub fn call(&self) {
        let Some(shared) = self.shared.upgrade() else { return };
        // Between the thread's look and its sleep there is no moment without the mutex.
        let log = lock(&shared.log);
        self.wake.called.store(true, Ordering::Relaxed);
        self.wake.thread.notify_all();
        drop(log);
    }
}

/// Where the next batches are.
enum Next {
    Nothing,
    Memory(Vec<Item>),
    File(Box<Segment>),
}

/// How the account stood when a take began.
struct Stand {
    cursor: u64,
    position: u64,
    moves: u64,
}

impl Reader {
    pub(crate) fn new(handle: Arc<Handle>, place: usize, name: Arc<str>) -> Self {
        Self { handle, place, name, files: Segments::default() }
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    fn with<T>(&self, f: impl FnOnce(&mut Account) -> T) -> T {
        f(lock(&self.shared().log).account(self.place))
    }

    /// The name that it was registered with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sequence number up to which everything is done: what is saved, and what a restart begins
    /// at. Moves by [`Self::done`], and over what holds nothing for this reader.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.with(|account| account.position)
    }

    /// Sequence number of the next point that [`Self::take`] looks at.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.with(|account| account.cursor)
    }

    /// Whether the next `take` is served from memory (else it reads files: call it on a thread
    /// that may block).
    #[must_use]
    pub fn in_memory(&self) -> bool {
        let mut log = lock(&self.shared().log);
        let cursor = log.account(self.place).cursor;
        cursor >= log.end || log.ring.covers(cursor)
    }

    /// Appends up to about `max_points` points' batches to `out` and moves the cursor past them,
    /// also past batches that hold nothing for it. Nothing new: appends nothing.
    ///
    /// # Errors
    /// [`Error::Io`] when a segment cannot be read; the cursor stays.
    pub fn take(&mut self, max_points: usize, out: &mut Vec<Delivery>) -> Result<(), Error> {
        let before = out.len();
        while out.len() == before {
            let (next, stand) = self.next(max_points.max(1));
            let items = match next {
                Next::Nothing => return Ok(()),
                Next::Memory(items) => {
                    self.files.close();
                    items
                }
                Next::File(segment) => {
                    let shared = &self.handle.shared;
                    let dir = &shared.options.dir;
                    self.files.read(dir, &segment, stand.cursor, max_points.max(1), &shared.sets)?
                }
            };
            if self.settle(&stand, items, out) {
                self.recount()?;
            }
        }
        Ok(())
    }

    /// Finds what lies at the cursor.
    fn next(&self, max_points: usize) -> (Next, Stand) {
        let mut log = lock(&self.shared().log);
        let cursor = log.account(self.place).cursor;
        let held = log.next_held(cursor);
        let account = log.account(self.place);
        if held > cursor {
            account.crossed(cursor, held);
            account.cursor = held;
            account.settle();
        }
        let stand = Stand { cursor: account.cursor, position: account.position, moves: account.moves };
        if stand.cursor >= log.end {
            self.balance(&mut log);
            return (Next::Nothing, stand);
        }
        if log.ring.covers(stand.cursor) {
            return (Next::Memory(in_memory(&mut log, self.place, stand.cursor, max_points)), stand);
        }
        match log.segment_with(stand.cursor).cloned() {
            Some(segment) => (Next::File(Box::new(segment)), stand),
            None => (Next::Nothing, stand),
        }
    }

    /// A reader that has caught up waits for nothing: whatever is left was miscounted.
    fn balance(&self, log: &mut Log) {
        let account = log.account(self.place);
        let left = account.unread();
        if left > 0 {
            account.correct(left, 0);
            account.settle();
            log.counters.mismatches += 1;
            tracing::error!(reader = %self.name, points = left, "points that were counted for a reader are not in the journal");
        }
    }

    /// Enters what was read in the account and passes it on; true when points were lost on the
    /// way, so that the rest must be counted anew.
    fn settle(&self, stand: &Stand, items: Vec<Item>, out: &mut Vec<Delivery>) -> bool {
        let share = self.with(|account| {
            account.share.refresh(&self.name, &self.shared().sets);
            account.share.clone()
        });
        let before = out.len();
        let mut steps = Vec::with_capacity(items.len());
        let mut cursor = stand.cursor;
        for item in items {
            let mut step = Step::new(item, cursor, stand.position, &share);
            cursor = step.end;
            out.extend(step.delivery.take());
            steps.push(step);
        }
        let mut log = lock(&self.shared().log);
        let account = log.account(self.place);
        if account.moves != stand.moves {
            // The budget has moved the cursor: what was read is charged already.
            out.truncate(before);
            return false;
        }
        let mut lost = false;
        for step in steps {
            if step.begin > account.cursor {
                account.crossed(account.cursor, step.begin);
                lost = true;
            }
            match step.fate {
                Fate::Read(span) => account.took(step.end, span, step.received),
                Fate::Missing => {
                    account.crossed(step.begin, step.end);
                    account.pass(step.end, 0);
                    lost = true;
                }
            }
        }
        account.settle();
        lost
    }

    /// Counts what lies beyond the cursor: points that were lost are no longer waited for.
    fn recount(&self) -> Result<(), Error> {
        let shared = self.shared();
        let (segments, from, to, thought, moves, share) = {
            let mut log = lock(&shared.log);
            let to = log.end;
            let account = log.account(self.place);
            let from = account.cursor.max(account.position);
            let (thought, moves, share) = (account.unread(), account.moves, account.share.clone());
            (log.segments_between(from, to), from, to, thought, moves, share)
        };
        let counted = tally(&shared.options.dir, &segments, from, to, &shared.sets)?;
        let missing = self.with(|account| {
            if account.moves == moves { account.correct(thought, share.of_summary(&counted)) } else { 0 }
        });
        if missing > 0 {
            tracing::error!(reader = %self.name, points = missing, "the journal is damaged, points of a reader are lost");
        }
        Ok(())
    }

    /// Resolves when there is something beyond the cursor. Cancel-safe.
    pub async fn ready(&self) {
        let wake = self.with(|account| Arc::clone(&account.wake));
        loop {
            let mut notified = std::pin::pin!(wake.task.notified());
            notified.as_mut().enable();
            if self.park() {
                return;
            }
            notified.await;
        }
    }

    /// Whether there is something; if not, the next append wakes.
    fn park(&self) -> bool {
        let mut log = lock(&self.shared().log);
        let end = log.end;
        let account = log.account(self.place);
        account.parked = account.cursor >= end;
        !account.parked
    }

    /// The same for a thread: true when there is something or a [`Caller`] has called, false after `timeout`.
    pub fn wait(&self, timeout: Duration) -> bool {
        let wake = self.with(|account| Arc::clone(&account.wake));
        let log = lock(&self.shared().log);
        wake.sleeping.fetch_add(1, Ordering::Relaxed);
        let idle = |log: &mut Log| {
            let end = log.end;
            let account = log.account(self.place);
            account.parked = account.cursor >= end;
            account.parked && !wake.called.swap(false, Ordering::Relaxed)
        };
        let waited = wake.thread.wait_timeout_while(log, timeout, idle);
        wake.sleeping.fetch_sub(1, Ordering::Relaxed);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Wakes the thread that is in [`Self::wait`], or the next time it is, for what is not in the journal.
    #[must_use]
    pub fn caller(&self) -> Caller {
        let wake = self.with(|account| Arc::clone(&account.wake));
        Caller { shared: Arc::downgrade(&self.handle.shared), wake }
    }

    /// Everything before `seq` is done; `delivered` points of it, since the position, were this
    /// reader's. Saved within a second. Does nothing beyond the cursor or behind the position.
    pub fn done(&mut self, seq: u64, delivered: u64) {
        let mut log = lock(&self.shared().log);
        let first_end = log.segments.front().map_or(0, |segment| segment.end_seq);
        let account = log.account(self.place);
        let before = account.pin();
        let counted = account.done(seq, delivered);
        let frees = before < first_end && account.position >= first_end;
        if let Some(counted) = counted {
            log.counters.mismatches += 1;
            let first = log.counters.mismatches == 1;
            drop(log);
            if first {
                tracing::error!(reader = %self.name, delivered, counted, "a reader's account differs from the journal's");
            }
        } else {
            drop(log);
        }
        if frees && self.shared().full.load(Ordering::Acquire) {
            self.shared().alarm.ring();
        }
    }

    /// Moves the cursor back to `seq` (not before the oldest point held), to read again what
    /// follows. What is before the position, shed points too, is settled and not counted again.
    pub fn rewind(&mut self, seq: u64) {
        let mut log = lock(&self.shared().log);
        let start = log.start();
        log.account(self.place).rewind(seq, start);
    }

    /// Segments from `seq` on are kept although the position is beyond (what might have to be sent
    /// again, or a snapshot's position); `u64::MAX`: no hold. The hold is saved with the position:
    /// after a restart it stands until the first `hold` or `done`.
    pub fn hold(&mut self, seq: u64) {
        self.with(|account| {
            account.hold_inherited = false;
            account.dirty |= account.hold != seq;
            account.hold = seq;
        });
    }

    /// The sequence number that [`Self::hold`] keeps; `u64::MAX`: none.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.with(|account| account.hold)
    }

    /// Skips to the end; what is skipped counts as shed, what is taken and not done too (unless
    /// `done` says later that it was delivered).
    pub fn skip_to_now(&mut self) {
        let mut log = lock(&self.shared().log);
        let end = log.end;
        log.account(self.place).skip(end, u64::MAX);
    }

    /// Skips forward so that at most `points` of its own points wait, the oldest first; returns
    /// how many were shed. Reads headers of segments: call it on a thread that may block.
    ///
    /// # Errors
    /// [`Error::Io`] when a segment cannot be read; then nothing was shed.
    pub fn shed_to(&mut self, points: u64) -> Result<u64, Error> {
        let shared = self.shared();
        loop {
            let (segments, from, excess, gone, moves, mut share) = {
                let mut log = lock(&shared.log);
                let (start, end) = (log.start(), log.end);
                let account = log.account(self.place);
                let excess = account.waiting().saturating_sub(points);
                if excess == 0 {
                    return Ok(0);
                }
                // Of what is in flight, what the log has dropped can no longer be counted there.
                let gone = account.flight.own_before(start);
                if gone >= excess {
                    return Ok(account.skip(start, 0));
                }
                let (from, moves) = (account.position.max(start), account.moves);
                let share = account.share.clone();
                (log.segments_between(from, end), from, excess, gone, moves, share)
            };
            let dir = &shared.options.dir;
            let named = (&*self.name, &mut share);
            let (seq, _) = nth(dir, &segments, from, excess - gone, named, &shared.sets)?;
            let mut log = lock(&shared.log);
            let account = log.account(self.place);
            if account.moves == moves {
                let unread = excess.saturating_sub(account.flight.own());
                let unread = if seq > account.cursor { unread } else { 0 };
                return Ok(account.skip(seq, unread));
            }
        }
    }

    /// Share of the budget, 0 to 1, of closed segments that this reader is done with and holds back
    /// ([`Self::hold`]). What it has yet to read does not count.
    #[must_use]
    pub fn held_share(&self) -> f64 {
        let log = lock(&self.shared().log);
        let held = log.accounts.get(self.place).map_or(0, |account| log.held_bytes(account));
        held as f64 / log.budget.max(1) as f64
    }

    /// The account: `routed == delivered + waiting + shed`, all in points of this reader, since its
    /// name was first seen.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let now = self.shared().clock.now();
        let log = lock(&self.shared().log);
        log.accounts.get(self.place).map_or_else(Ledger::default, |account| ledger(&log, account, now))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut log = lock(&self.shared().log);
        let start = log.start();
        log.account(self.place).detach(start);
    }
}

/// Clones of the batches from `cursor` on, about `max_points` points of them the reader's.
fn in_memory(log: &mut Log, place: usize, cursor: u64, max_points: usize) -> Vec<Item> {
    let share = log.account(place).share.clone();
    let mut points = 0;
    let mut items = Vec::new();
    for batch in log.ring.from(cursor) {
        if points >= max_points {
            break;
        }
        let foreign = share.scope == Scope::Routed
            && matches!(&batch.routes, Routes::All(_))
            && share.mine(&batch.routes, batch.len(), 0).is_none();
        if !foreign {
            points += batch.len();
        }
        items.push(Item::Batch(Arc::clone(batch)));
    }
    items
}

/// What became of a stretch of the log.
enum Fate {
    /// It was read; the reader's points of it, from its position on.
    Read(Option<Span>),
    /// There is no record, or its lines are not what was written.
    Missing,
}

/// One item as the account sees it.
struct Step {
    begin: u64,
    end: u64,
    received: f64,
    fate: Fate,
    delivery: Option<Delivery>,
}

impl Step {
    fn new(item: Item, cursor: u64, position: u64, share: &Share) -> Self {
        match item {
            Item::Batch(batch) => Self::read(batch, cursor, position, share),
            Item::Missing { to } => {
                let end = to.max(cursor);
                Self { begin: cursor, end, received: 0.0, fate: Fate::Missing, delivery: None }
            }
        }
    }

    fn read(batch: Arc<Batch>, cursor: u64, position: u64, share: &Share) -> Self {
        let (first_seq, end, received) = (batch.first_seq, batch.end_seq(), batch.received);
        let begin = first_seq.max(cursor);
        let mine = share.mine(&batch.routes, batch.len(), (begin - first_seq) as usize);
        let start = begin.max(position);
        let span = mine.as_ref().map(|mine| Span::of_batch(first_seq, end, start, mine));
        let delivery = mine.map(|mine| Delivery { batch, mine });
        Self { begin, end, received, fate: Fate::Read(span), delivery }
    }
}
