//! The bytes of a group of batches, in the order in which they are written.

use super::Entry;
use crate::segment::{HEADER, Header, Kind};
use crate::sets::SetTable;
use skyline_core::batch::{RouteSet, Routes};
use std::io::IoSlice;
use std::ops::Range;

/// A group as it will stand in the segment. Headers and route sets are in one buffer of their own;
/// lines are written from the batches.
#[derive(Debug)]
pub(crate) struct Layout {
    scratch: Vec<u8>,
    /// For each batch, what of `scratch` comes before its payload.
    heads: Vec<Range<usize>>,
    pub(crate) places: Vec<Place>,
    /// Sets whose record is in this group.
    pub(crate) new_sets: Vec<u32>,
    pub(crate) end_seq: u64,
    pub(crate) last_received: f64,
}

/// Where a batch will be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) first_seq: u64,
    pub(crate) received: f64,
    /// Bytes of its record and of the route sets before it.
    pub(crate) bytes: u64,
}

impl Layout {
    /// Lays out a group that begins with `next_seq`; `known` says whether a set's record is in the
    /// segment already.
    pub(crate) fn new(
        group: &[Entry],
        next_seq: u64,
        last_received: f64,
        table: &SetTable,
        known: impl Fn(u32) -> bool,
    ) -> Self {
        let mut layout = Self {
            scratch: Vec::with_capacity(group.len() * HEADER),
            heads: Vec::with_capacity(group.len()),
            places: Vec::with_capacity(group.len()),
            new_sets: Vec::new(),
            end_seq: next_seq,
            last_received,
        };
        for entry in group {
            layout.add(entry, table, &known);
        }
        layout
    }

    fn add(&mut self, entry: &Entry, table: &SetTable, known: impl Fn(u32) -> bool) {
        let batch = &entry.batch;
        // A clock that jumps back, or is none, never takes the log back in time.
        if batch.received.is_finite() {
            self.last_received = self.last_received.max(batch.received);
        }
        let start = self.scratch.len();
        for (set, _) in &entry.counts {
            if !known(set.0) && !self.new_sets.contains(&set.0) {
                self.new_sets.push(set.0);
                self.add_set(*set, table);
            }
        }
        let payload_len = entry.prefix.len() + batch.text.len();
        let (per_sample, set) = match batch.routes {
            Routes::All(set) => (false, set),
            Routes::PerSample(_) => (true, RouteSet(0)),
        };
        let header = Header {
            kind: Kind::Lines { source: batch.source, per_sample },
            payload_len: payload_len as u32,
            count: batch.len() as u32,
            first_seq: self.end_seq,
            received: self.last_received,
            set,
            payload_crc: entry.payload_crc,
        };
        self.scratch.extend_from_slice(&header.encode());
        self.heads.push(start..self.scratch.len());
        self.places.push(Place {
            first_seq: self.end_seq,
            received: self.last_received,
            bytes: (self.scratch.len() - start + payload_len) as u64,
        });
        self.end_seq = header.end_seq();
    }

    fn add_set(&mut self, set: RouteSet, table: &SetTable) {
        let payload = table.payload(set);
        let header = Header {
            kind: Kind::RouteSet,
            payload_len: payload.len() as u32,
            count: 0,
            first_seq: self.end_seq,
            received: self.last_received,
            set,
            payload_crc: crc32fast::hash(&payload),
        };
        self.scratch.extend_from_slice(&header.encode());
        self.scratch.extend_from_slice(&payload);
    }

    /// Bytes of the group.
    pub(crate) fn bytes(&self) -> u64 {
        self.places.iter().map(|place| place.bytes).sum()
    }

    /// What is to be written.
    pub(crate) fn slices<'a>(&'a self, group: &'a [Entry]) -> Vec<IoSlice<'a>> {
        let mut slices = Vec::with_capacity(group.len() * 3);
        for (entry, head) in group.iter().zip(&self.heads) {
            slices.push(IoSlice::new(self.scratch.get(head.clone()).unwrap_or_default()));
            if !entry.prefix.is_empty() {
                slices.push(IoSlice::new(&entry.prefix));
            }
            slices.push(IoSlice::new(&entry.batch.text));
        }
        slices
    }
}
