//! The account of a reader: where it is, and what became of every point that was its.
//!
//! `routed == delivered + waiting + shed` holds because only three of them are kept. That they are
//! true is checked as the reader goes: what it says it delivered against what the log counted, and
//! what waits against nothing whenever it has caught up.

pub(crate) mod flight;
mod times;

use crate::position::Saved;
use crate::sets::{SetCounts, SetTable};
use crate::share::{Scope, Share};
use flight::{Flight, Span};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Condvar};
use times::Times;
use tokio::sync::Notify;

/// A reader's account, in points. `routed == delivered + waiting + shed` always holds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ledger {
    /// Points that went to this reader since its name was first seen.
    pub routed: u64,
    /// Points that it said were delivered.
    pub delivered: u64,
    /// Points that it has not taken yet, or taken and not called done.
    pub waiting: u64,
    /// Points that it will not get: dropped by the budget, skipped, or damaged on disk.
    pub shed: u64,
    /// Points that damage took from the log before it had read them, whosever they were.
    pub lost: u64,
    /// Bytes of closed segments that are kept because of it.
    pub pinned_bytes: u64,
    /// Age in seconds of the oldest waiting point.
    pub lag_seconds: f64,
}

/// How a parked reader is woken.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    /// For a reader in a task.
    pub(crate) task: Notify,
    /// For a reader in a thread; waits with the log's mutex.
    pub(crate) thread: Condvar,
    /// Threads that wait; written with the log's mutex held. Waking nobody would be a system call too.
    pub(crate) sleeping: AtomicU32,
    /// Somebody called the thread; written with the log's mutex held.
    pub(crate) called: AtomicBool,
}

/// All that the log knows of one reader.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: Arc<str>,
    pub(crate) share: Share,
    /// Whether there is a handle for it.
    pub(crate) attached: bool,
    /// Forgotten: the place is free.
    pub(crate) gone: bool,
    /// All before it is settled.
    pub(crate) position: u64,
    /// The next point that `take` looks at. May be before the position after a rewind.
    pub(crate) cursor: u64,
    /// Segments from here on are kept; `u64::MAX`: none.
    pub(crate) hold: u64,
    /// The hold is that of an earlier run.
    pub(crate) hold_inherited: bool,
    pub(crate) routed: u64,
    pub(crate) delivered: u64,
    pub(crate) shed: u64,
    /// Points lost by damage before it had read them, whosever they were.
    pub(crate) lost: u64,
    /// Up to where such losses are counted.
    pub(crate) lost_through: u64,
    pub(crate) flight: Flight,
    /// Points called shed while they were in flight: should they turn out delivered, they are.
    forgivable: u64,
    /// Up to where they may lie.
    forgivable_through: u64,
    /// When what is in flight was received.
    times: Times,
    /// Counts every move of the cursor that is not `take`'s own.
    pub(crate) moves: u64,
    /// To be saved.
    pub(crate) dirty: bool,
    /// Before it nothing is needed after a restart.
    pub(crate) saved_pin: u64,
    /// Somebody sleeps until there is more.
    pub(crate) parked: bool,
    pub(crate) wake: Arc<Wake>,
}

impl Account {
    /// An account that begins at `position` with nothing in it.
    pub(crate) fn new(name: &str, scope: Scope, position: u64) -> Self {
        Self {
            name: Arc::from(name),
            share: Share::new(scope),
            attached: false,
            gone: false,
            position,
            cursor: position,
            hold: u64::MAX,
            hold_inherited: false,
            routed: 0,
            delivered: 0,
            shed: 0,
            lost: 0,
            lost_through: position,
            flight: Flight::default(),
            forgivable: 0,
            forgivable_through: 0,
            times: Times::default(),
            moves: 0,
            dirty: true,
            saved_pin: position,
            parked: false,
            wake: Arc::default(),
        }
    }

    /// An account that goes on where it was saved. What waits is added by [`Self::found`].
    pub(crate) fn resumed(saved: &Saved) -> Self {
        Self {
            hold: saved.hold,
            hold_inherited: saved.hold != u64::MAX,
            routed: saved.delivered + saved.shed,
            delivered: saved.delivered,
            shed: saved.shed,
            lost: saved.lost,
            dirty: false,
            saved_pin: saved.position.min(saved.hold),
            ..Self::new(&saved.name, saved.scope, saved.position)
        }
    }

    /// What a restart would go on from, in a log that begins at `start`.
    pub(crate) fn to_saved(&self, start: u64) -> Saved {
        // Segments that the budget took are gone for a restart, though their points are in flight.
        let gone = if self.position < start { self.flight.own_before(start) } else { 0 };
        Saved {
            name: self.name.to_string(),
            scope: self.share.scope,
            position: self.position.max(start),
            hold: self.hold,
            delivered: self.delivered,
            shed: self.shed + gone,
            lost: self.lost,
        }
    }

    /// Points not yet settled.
    pub(crate) fn waiting(&self) -> u64 {
        self.routed.saturating_sub(self.delivered + self.shed)
    }

    /// Points not yet taken.
    pub(crate) fn unread(&self) -> u64 {
        self.waiting().saturating_sub(self.flight.own())
    }

    /// The log needs its segments from here on.
    pub(crate) fn pin(&self) -> u64 {
        self.position.min(self.hold).min(self.cursor).min(self.saved_pin)
    }

    /// The log has grown from `from` to `to` by a batch with these points. A reader that has
    /// caught up and gets none of them is moved along, so that it is not woken and pins nothing.
    pub(crate) fn grown(&mut self, from: u64, to: u64, counts: &SetCounts, table: &SetTable) {
        if counts.iter().any(|(set, _)| set.0 as usize >= self.share.known_sets()) {
            self.share.refresh(&self.name, table);
        }
        let own = self.share.of_counts(counts);
        self.routed += own;
        if own == 0 && self.cursor == from {
            self.cursor = to;
            self.settle();
        }
    }

    /// Nothing in flight: all before the cursor is settled.
    pub(crate) fn settle(&mut self) {
        if self.flight.own() == 0 && self.position < self.cursor {
            self.position = self.cursor;
            self.dirty = true;
        }
    }

    /// `take` has moved the cursor to `end`, over a batch of which `span`, all of it at or after
    /// the position, is the reader's.
    pub(crate) fn took(&mut self, end: u64, span: Option<Span>, received: f64) {
        if let Some(span) = span {
            self.times.add(self.cursor, received);
            self.flight.push(span);
        }
        self.cursor = end;
        self.times.forget_before(self.first_waiting());
    }

    /// Sequence number at or before the oldest point that waits.
    pub(crate) fn first_waiting(&self) -> u64 {
        self.flight.start().unwrap_or(self.cursor)
    }

    /// Time of receipt of the oldest point in flight; `None` when nothing is, or when it was taken
    /// before a move of the cursor.
    pub(crate) fn oldest_in_flight(&self) -> Option<f64> {
        self.times.at(self.flight.start()?)
    }

    /// Moves the cursor on to `to` without taking; `own` of the points passed are shed.
    pub(crate) fn pass(&mut self, to: u64, own: u64) {
        self.cursor = self.cursor.max(to);
        self.charge(own);
        self.settle();
        self.moves += 1;
        self.dirty = true;
    }

    /// Counts `own` unread points as shed.
    pub(crate) fn charge(&mut self, own: u64) {
        self.shed += own.min(self.unread());
    }

    /// All before `seq` is done, `delivered` points of it were the reader's. Returns what the log
    /// counted, if that is another number.
    pub(crate) fn done(&mut self, seq: u64, delivered: u64) -> Option<u64> {
        if self.hold_inherited {
            self.hold = u64::MAX;
            self.hold_inherited = false;
            self.dirty = true;
        }
        let seq = seq.min(self.cursor);
        let moves_on = seq > self.position;
        let expected = if moves_on { self.flight.take_before(seq) } else { 0 };
        self.delivered += expected;
        self.position = self.position.max(seq);
        self.dirty = true;
        self.settle();
        let forgiven = delivered.saturating_sub(expected).min(self.forgivable);
        self.forgivable -= forgiven;
        self.shed -= forgiven;
        self.delivered += forgiven;
        if seq >= self.forgivable_through {
            self.forgivable = 0;
        }
        // What was read again from before the position was counted the first time.
        (moves_on && expected + forgiven != delivered).then_some(expected)
    }

    /// Moves the cursor back to `seq`; `start` is where the log begins. What was in flight and is
    /// no longer held cannot be read again: it is shed. What was shed in flight stays so once the
    /// reader goes back behind it.
    pub(crate) fn rewind(&mut self, seq: u64, start: u64) {
        if seq < self.position {
            self.forgivable = 0;
        }
        let asked = seq.min(self.cursor);
        let held = asked.max(start).min(self.cursor);
        self.flight.take_from(held);
        self.shed += self.flight.take_from(asked);
        self.cursor = held;
        self.settle();
        self.moves += 1;
        self.dirty = true;
    }

    /// Counts all before `seq` as shed: what is in flight there, and `unread` points beyond the
    /// cursor. Returns how many points.
    pub(crate) fn skip(&mut self, seq: u64, unread: u64) -> u64 {
        let flown = self.flight.take_before(seq);
        let unread = unread.min(self.unread().saturating_sub(flown));
        self.shed += flown + unread;
        self.forgivable += flown;
        self.forgivable_through = self.cursor;
        self.position = self.position.max(seq);
        self.cursor = self.cursor.max(seq);
        self.settle();
        self.moves += 1;
        self.dirty = true;
        flown + unread
    }

    /// The log was counted anew: where `thought` points were to lie beyond the cursor, `counted`
    /// do. What cannot be read is shed. Returns how many points.
    pub(crate) fn correct(&mut self, thought: u64, counted: u64) -> u64 {
        let missing = thought.saturating_sub(counted).min(self.unread());
        self.shed += missing;
        self.dirty |= missing > 0;
        missing
    }

    /// The log was counted for an account that has just been made, of which `thought` points were
    /// to wait: `counted` do.
    pub(crate) fn found(&mut self, thought: u64, counted: u64) {
        self.routed += counted.saturating_sub(thought);
    }

    /// The cursor passes from `from` to `to` over points whose records are not there.
    pub(crate) fn crossed(&mut self, from: u64, to: u64) {
        self.lost += to.saturating_sub(from.max(self.lost_through));
        self.lost_through = self.lost_through.max(to);
        self.dirty = true;
    }

    /// Detaches the handle: what was in flight is to be read again, in a log that begins at `start`.
    pub(crate) fn detach(&mut self, start: u64) {
        self.rewind(self.position, start);
        self.cursor = self.cursor.max(self.position);
        self.forgivable = 0;
        self.attached = false;
        self.parked = false;
        self.hold_inherited = self.hold != u64::MAX;
    }
}
