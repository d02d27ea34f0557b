//! What writers and readers share: the segments, the newest batches, the accounts. One mutex
//! guards it; nothing is read, written, hashed or formatted while it is held.

use crate::ledger::{Account, Wake};
use crate::ring::Ring;
use crate::segment::summary::{Sealed, Summary};
use crate::sets::{SetCounts, SetTable};
use skyline_core::batch::{Batch, Listener};
use std::collections::VecDeque;
use std::sync::Arc;

/// A segment file.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) first_seq: u64,
    pub(crate) end_seq: u64,
    /// Length of its good part.
    pub(crate) bytes: u64,
    pub(crate) summary: Summary,
    /// Its summary is on disk.
    pub(crate) sealed: bool,
    /// It was synced since it was closed.
    pub(crate) synced: bool,
}

impl Segment {
    pub(crate) fn new(first_seq: u64) -> Self {
        Self {
            first_seq,
            end_seq: first_seq,
            bytes: 0,
            summary: Summary::default(),
            sealed: false,
            synced: false,
        }
    }

    pub(crate) fn from_sealed(sealed: Sealed) -> Self {
        Self {
            first_seq: sealed.first_seq,
            end_seq: sealed.end_seq,
            bytes: sealed.bytes,
            summary: sealed.summary,
            sealed: true,
            synced: false,
        }
    }

    pub(crate) fn to_sealed(&self) -> Sealed {
        Sealed {
            first_seq: self.first_seq,
            end_seq: self.end_seq,
            bytes: self.bytes,
            summary: self.summary.clone(),
        }
    }
}

/// Counters of this run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) points: u64,
    pub(crate) batches: u64,
    /// Points by listener, at its number.
    pub(crate) listeners: [u64; Listener::NUMBERS],
    /// Bytes of records.
    pub(crate) bytes: u64,
    pub(crate) write_errors: u64,
    /// Batches that were refused because disk or budget was full.
    pub(crate) refused: u64,
    /// Times that a reader's count of delivered points was not the log's.
    pub(crate) mismatches: u64,
    /// Points lost by damage, found at open or while reading.
    pub(crate) lost_points: u64,
    /// Segments dropped although a reader had not read them.
    pub(crate) shed_segments: u64,
    /// Segments dropped although a reader held them to read them again after a crash.
    pub(crate) held_segments: u64,
}

/// A batch that has just been written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) batch: Arc<Batch>,
    pub(crate) counts: SetCounts,
    /// Bytes of its records.
    pub(crate) bytes: u64,
}

/// The shared state.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) segments: VecDeque<Segment>,
    /// The last segment is being written.
    pub(crate) writing: bool,
    pub(crate) ring: Ring,
    pub(crate) accounts: Vec<Account>,
    /// Sequence number after the newest point.
    pub(crate) end: u64,
    /// Bytes that segments may take now.
    pub(crate) budget: u64,
    /// Bytes appended per second, smoothed.
    pub(crate) rate: f64,
    pub(crate) counters: Counters,
}

impl Log {
    /// Sequence number of the oldest point on disk.
    pub(crate) fn start(&self) -> u64 {
        self.segments.front().map_or(self.end, |segment| segment.first_seq)
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Number of segments that are closed.
    pub(crate) fn closed(&self) -> usize {
        self.segments.len() - usize::from(self.writing && !self.segments.is_empty())
    }

    /// The segment that holds point `seq`.
    pub(crate) fn segment_with(&self, seq: u64) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.first_seq <= seq);
        self.segments.get(after.checked_sub(1)?).filter(|segment| seq < segment.end_seq)
    }

    /// Where the next point after `seq` may be: `seq` itself within a segment, else the beginning
    /// of the next one.
    pub(crate) fn next_held(&self, seq: u64) -> u64 {
        if self.segment_with(seq).is_some() {
            return seq;
        }
        let after = self.segments.partition_point(|segment| segment.first_seq < seq);
        self.segments.range(after..).find(|s| s.end_seq > seq).map_or(self.end, |s| s.first_seq.max(seq))
    }

    /// Copies of the segments that hold points from `from` to `to`.
    pub(crate) fn segments_between(&self, from: u64, to: u64) -> Vec<Segment> {
        let overlaps = |segment: &&Segment| segment.first_seq < to && segment.end_seq > from;
        self.segments.iter().filter(overlaps).cloned().collect()
    }

    /// Makes a written batch visible. What falls out of memory goes to `fallen`, whom to wake to
    /// `wake`.
    pub(crate) fn publish(
        &mut self,
        written: Written,
        table: &SetTable,
        fallen: &mut Vec<Arc<Batch>>,
        wake: &mut Vec<Arc<Wake>>,
    ) {
        let Written { batch, counts, bytes } = written;
        let (from, to) = (self.end, batch.end_seq());
        if let Some(segment) = self.segments.back_mut() {
            segment.end_seq = to;
            segment.bytes += bytes;
            segment.summary.add(batch.source.listener, batch.received, &counts);
        }
        self.counters.points += batch.len() as u64;
        self.counters.batches += 1;
        if let Some(points) = self.counters.listeners.get_mut(batch.source.listener as usize) {
            *points += batch.len() as u64;
        }
        self.counters.bytes += bytes;
        self.end = to;
        for account in self.accounts.iter_mut().filter(|account| !account.gone) {
            account.grown(from, to, &counts, table);
            if account.parked && account.cursor < to {
                account.parked = false;
                wake.push(Arc::clone(&account.wake));
            }
        }
        self.ring.push(batch, fallen);
        // Who is further behind than the ring reads files, and needs nothing of it.
        let start = self.ring.start().unwrap_or(to);
        let cursors = self.accounts.iter().filter(|a| a.attached && !a.gone).map(|a| a.cursor);
        let needed = cursors.filter(|cursor| *cursor >= start).min().unwrap_or(to);
        self.ring.forget_before(needed, fallen);
    }

    /// The account of a reader whose handle exists.
    #[expect(
        clippy::indexing_slicing,
        reason = "places are given out by this log and never taken back while a handle is there"
    )]
    pub(crate) fn account(&mut self, place: usize) -> &mut Account {
        &mut self.accounts[place]
    }

    /// The accounts that count, with their places.
    pub(crate) fn living(&self) -> impl Iterator<Item = (usize, &Account)> {
        self.accounts.iter().enumerate().filter(|(_, account)| !account.gone)
    }

    /// Enters an account; returns its place.
    pub(crate) fn enter(&mut self, account: Account) -> usize {
        let free = self.accounts.iter().position(|account| account.gone);
        match free.and_then(|at| Some((at, self.accounts.get_mut(at)?))) {
            Some((at, place)) => {
                *place = account;
                at
            }
            None => {
                self.accounts.push(account);
                self.accounts.len() - 1
            }
        }
    }

    /// Bytes of closed segments that are kept because of this account.
    pub(crate) fn pinned_bytes(&self, account: &Account) -> u64 {
        let pin = account.position.min(account.hold).min(account.cursor);
        let closed = self.segments.iter().take(self.closed());
        closed.filter(|segment| segment.end_seq > pin).map(|segment| segment.bytes).sum()
    }

    /// Bytes of closed segments that an account is done with and holds back.
    pub(crate) fn held_bytes(&self, account: &Account) -> u64 {
        let done = account.position.min(account.cursor);
        let closed = self.segments.iter().take(self.closed());
        let is_held = |segment: &&Segment| segment.end_seq > account.hold && segment.end_seq <= done;
        closed.filter(is_held).map(|segment| segment.bytes).sum()
    }

    /// Time of receipt of the oldest waiting point of an account, if it is known; else one before.
    pub(crate) fn oldest_waiting(&self, account: &Account) -> Option<f64> {
        if account.waiting() == 0 {
            return None;
        }
        let first = account.first_waiting();
        if let Some(received) = account.oldest_in_flight() {
            return Some(received);
        }
        if self.ring.covers(first) {
            return self.ring.from(first).next().map(|batch| batch.received);
        }
        let segment = self.segment_with(self.next_held(first))?;
        Some(segment.summary.first_received)
    }
}
