//! Who holds disk: segments go when nobody needs them, or when the budget is spent.

use crate::error::Error;
use crate::journal::{Shared, lock};
use crate::keeper::Keep;
use crate::ledger::Account;
use crate::log::{Log, Segment};
use crate::options::WhenFull;
use crate::segment::tally::tally;
use crate::segment::{mark_end, path, summary};
use crate::sys;
use std::io;
use std::sync::Arc;

/// Attempts to charge readers that move meanwhile, before they are made to wait.
const ATTEMPTS: usize = 8;
/// Seconds between two lines of log about shedding.
const SAY_EVERY: f64 = 60.0;
/// Free space above the mark, as a factor, at which the disk no longer counts as low.
const RELIEF: f64 = 1.2;

/// What dropping a segment costs a reader.
#[derive(Debug)]
struct Charge {
    place: usize,
    moves: u64,
    cursor: u64,
    own: u64,
}

/// Whom a dropped segment hurts.
#[derive(Debug, Default)]
struct Shed {
    /// Readers that had not read it, and the points that were theirs.
    charged: Vec<(Arc<str>, u64)>,
    /// Readers that had, and held it back to read it again after a crash.
    held: Vec<Arc<str>>,
}

impl Shared {
    /// Sees to it that `needed` bytes fit the budget; false when they do not.
    pub(crate) fn make_room(&self, needed: u64) -> bool {
        let fits = |log: &Log| log.bytes().saturating_add(needed) <= log.budget;
        if fits(&lock(&self.log)) {
            return true;
        }
        let mut keep = lock(&self.keep);
        if let Err(error) = self.save_positions(&mut keep, self.machine()) {
            tracing::warn!(%error, "positions cannot be saved, their segments cannot be freed");
        }
        self.free(&keep);
        if self.options.when_full == WhenFull::Block {
            let log = lock(&self.log);
            // With nothing closed there is nothing that readers could free.
            return fits(&log) || (log.closed() == 0 && log.budget > 0);
        }
        while !fits(&lock(&self.log)) && self.shed_oldest(&mut keep) {}
        true
    }

    /// Removes closed segments that nobody needs.
    pub(crate) fn free(&self, keep: &Keep) {
        let mut doomed = Vec::new();
        {
            let mut log = lock(&self.log);
            if keep.register_lost && log.living().next().is_none() {
                return;
            }
            let needed = log.living().map(|(_, account)| account.pin()).min().unwrap_or(u64::MAX);
            while log.closed() > 0 && log.segments.front().is_some_and(|s| s.end_seq <= needed) {
                doomed.extend(log.segments.pop_front());
            }
        }
        for segment in &doomed {
            self.remove(segment);
        }
    }

    fn remove(&self, segment: &Segment) {
        let dir = &self.options.dir;
        let last_end = {
            let log = lock(&self.log);
            log.segments.is_empty().then_some(log.end)
        };
        if let Some(end) = last_end
            && let Err(error) = mark_end(dir, end)
        {
            tracing::debug!(dir = %dir.display(), %error, "the end of an empty journal cannot be marked");
        }
        // A summary without its segment could be taken for that of another one.
        for path in [summary::path(dir, segment.first_seq), path(dir, segment.first_seq)] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::error!(path = %path.display(), %error, "a segment cannot be removed");
                }
                _ => {}
            }
        }
    }

    /// Drops the oldest closed segment and charges those who had not read it; false when there is
    /// none.
    pub(crate) fn shed_oldest(&self, keep: &mut Keep) -> bool {
        let Some(segment) = self.oldest_closed() else { return false };
        let mut charged = None;
        for _ in 0..ATTEMPTS {
            let plans = plans(&mut lock(&self.log), &segment);
            let charges = self.price(plans, &segment);
            charged = apply(&mut lock(&self.log), &segment, &charges);
            if charged.is_some() {
                break;
            }
        }
        let shed = charged.unwrap_or_else(|| {
            // Readers are faster than the counting: they wait this once.
            let mut log = lock(&self.log);
            let charges = self.price(plans(&mut log, &segment), &segment);
            apply(&mut log, &segment, &charges).unwrap_or_default()
        });
        // Saved before the file goes, so that a crash cannot forget what was charged.
        if let Err(error) = self.save_positions(keep, self.machine()) {
            tracing::error!(%error, "positions cannot be saved, what was shed may not be counted after a crash");
        }
        self.remove(&segment);
        self.say_shed(keep, &shed);
        true
    }

    fn oldest_closed(&self) -> Option<Segment> {
        let log = lock(&self.log);
        log.segments.front().filter(|_| log.closed() > 0).cloned()
    }

    fn price(&self, plans: Vec<(Charge, u64, crate::share::Share)>, segment: &Segment) -> Vec<Charge> {
        let price = |(charge, from, share): (Charge, u64, crate::share::Share)| {
            let whole = share.of_summary(&segment.summary);
            let own = if whole == 0 || from <= segment.first_seq {
                whole
            } else {
                let one = std::slice::from_ref(segment);
                let rest = tally(&self.options.dir, one, from, segment.end_seq, &self.sets);
                rest.map_or(whole, |rest| share.of_summary(&rest))
            };
            Charge { own, ..charge }
        };
        plans.into_iter().map(price).collect()
    }

    fn say_shed(&self, keep: &mut Keep, shed: &Shed) {
        let now = self.clock.now();
        if (shed.charged.is_empty() && shed.held.is_empty())
            || (0.0..SAY_EVERY).contains(&(now - keep.shed_said))
        {
            return;
        }
        keep.shed_said = now;
        for (reader, points) in &shed.charged {
            tracing::error!(%reader, points, "the journal's budget is spent, a reader's oldest points are dropped");
        }
        for reader in &shed.held {
            tracing::error!(%reader, "the journal's budget is spent, points that a reader would read again after a crash are dropped");
        }
    }

    /// Fits the budget to what is free on the disk.
    pub(crate) fn watch_disk(&self, keep: &mut Keep) {
        match sys::space(&self.options.dir) {
            Ok(space) => self.fit_budget(keep, space),
            Err(source) => {
                let error = Error::Io { path: self.options.dir.clone(), source };
                tracing::debug!(%error, "free disk cannot be told");
            }
        }
    }

    pub(crate) fn fit_budget(&self, keep: &mut Keep, space: sys::Space) {
        let least = space.kept(self.options.min_free_percent);
        let free = space.available as f64;
        let (used, budget) = {
            let mut log = lock(&self.log);
            let used = log.bytes();
            log.budget = self.options.max_bytes.min(space.room(used, self.options.min_free_percent));
            (used, log.budget)
        };
        let low = free < least * if keep.low_disk { RELIEF } else { 1.0 };
        if low != keep.low_disk {
            keep.low_disk = low;
            let dir = self.options.dir.display();
            if low {
                tracing::error!(
                    %dir,
                    free_bytes = free as u64,
                    kept_free_bytes = least as u64,
                    budget,
                    "the disk is nearly full: the journal may use `budget` bytes only; make room or lower journal.min_free_percent"
                );
            } else {
                tracing::info!(%dir, free_bytes = free as u64, budget, "the disk has room again");
            }
        }
        if low && used > budget && self.options.when_full == WhenFull::ShedOldest {
            while lock(&self.log).bytes() > budget && self.shed_oldest(keep) {}
        }
    }
}

/// Who has not read `segment` to its end, and from where on.
fn plans(log: &mut Log, segment: &Segment) -> Vec<(Charge, u64, crate::share::Share)> {
    let behind = |(_, account): &(usize, &Account)| account.cursor < segment.end_seq;
    log.living()
        .filter(behind)
        .map(|(place, account)| {
            let charge = Charge { place, moves: account.moves, cursor: account.cursor, own: 0 };
            (charge, account.cursor.max(account.position), account.share.clone())
        })
        .collect()
}

/// Drops the segment and charges its readers, unless one of them has moved.
fn apply(log: &mut Log, segment: &Segment, charges: &[Charge]) -> Option<Shed> {
    for charge in charges {
        let account = log.account(charge.place);
        if account.moves != charge.moves || account.cursor != charge.cursor {
            return None;
        }
    }
    let mut shed = Shed::default();
    let is_held = |a: &Account| a.cursor >= segment.end_seq && a.hold.min(a.position) < segment.end_seq;
    shed.held.extend(log.living().filter(|(_, a)| is_held(a)).map(|(_, a)| Arc::clone(&a.name)));
    for charge in charges {
        let account = log.account(charge.place);
        account.pass(segment.end_seq, charge.own);
        if charge.own > 0 {
            shed.charged.push((Arc::clone(&account.name), charge.own));
        }
    }
    // What is in flight there is lost to a restart: the files of those readers must say so.
    for account in log.accounts.iter_mut().filter(|account| account.position < segment.end_seq) {
        account.dirty = true;
    }
    log.segments.pop_front();
    log.counters.shed_segments += u64::from(!shed.charged.is_empty());
    log.counters.held_segments += u64::from(!shed.held.is_empty());
    Some(shed)
}
