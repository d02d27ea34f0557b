//! Reading a segment with its route sets: their numbers are translated to those of this run.

use super::walk::{Bytes, Record, Step, Walker};
use super::{HEADER, Kind, decode_names};
use crate::sets::SetTable;
use skyline_core::batch::{Batch, RouteSet, Routes};
use std::collections::HashMap;
use std::io;

/// A walk through a segment.
#[derive(Debug)]
pub(crate) struct Scan<B> {
    walker: Walker<B>,
    sets: HashMap<u32, RouteSet>,
    /// Damaged bytes passed so far.
    pub(crate) skipped: u64,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Item {
    /// A record of points.
    Points(Record),
    /// The end; `torn` bytes from `at` on are not a record.
    End { at: u64, torn: u64 },
}

impl<B: Bytes> Scan<B> {
    /// Starts at the beginning of a segment.
    pub(crate) fn new(walker: Walker<B>) -> Self {
        Self { walker, sets: HashMap::from([(0, RouteSet(0))]), skipped: 0 }
    }

    /// The walker, to set how it reads.
    pub(crate) const fn walker(&mut self) -> &mut Walker<B> {
        &mut self.walker
    }

    /// The next record of points. With `verify` a record counts only when its payload's checksum
    /// is right.
    pub(crate) fn next(&mut self, table: &SetTable, verify: bool) -> io::Result<Item> {
        loop {
            match self.walker.step(verify)? {
                Step::Record(record) if record.header.kind == Kind::RouteSet => {
                    self.learn(&record, table)?;
                }
                Step::Record(record) => return Ok(Item::Points(record)),
                Step::Skipped(bytes) => self.skipped += bytes,
                Step::End { at, torn } => return Ok(Item::End { at, torn }),
            }
        }
    }

    fn learn(&mut self, record: &Record, table: &SetTable) -> io::Result<()> {
        let Some(payload) = self.walker.payload(record)? else { return Ok(()) };
        if crc32fast::hash(payload) != record.header.payload_crc {
            tracing::error!(
                set = record.header.set.0,
                "a route set in the journal is damaged, points of it have lost their destinations"
            );
            return Ok(());
        }
        if let Some(names) = decode_names(payload) {
            self.sets.insert(record.header.set.0, table.number(&names));
        }
        Ok(())
    }

    /// Where the points of a record go. Checks no checksum.
    pub(crate) fn routes(&mut self, record: &Record) -> io::Result<Routes> {
        let len = record.header.sets_len();
        if len == 0 {
            return Ok(Routes::All(self.translate(record.header.set.0)));
        }
        let prefix = self.walker.window(record.at + HEADER as u64, len)?;
        let mut last = (0, RouteSet(0));
        let sets = &self.sets;
        let translated = prefix.as_chunks::<4>().0.iter().map(|bytes| {
            let number = u32::from_le_bytes(*bytes);
            if number != last.0 {
                last = (number, sets.get(&number).copied().unwrap_or_default());
            }
            last.1
        });
        let mut translated: Vec<RouteSet> = translated.collect();
        translated.resize(record.header.count as usize, RouteSet(0));
        Ok(Routes::PerSample(translated))
    }

    fn translate(&self, number: u32) -> RouteSet {
        self.sets.get(&number).copied().unwrap_or_default()
    }

    /// The batch of a record; `None` when its payload is damaged.
    pub(crate) fn batch(&mut self, record: &Record) -> io::Result<Option<Batch>> {
        let header = record.header;
        let Kind::Lines { source, .. } = header.kind else { return Ok(None) };
        let routes = self.routes(record)?;
        let Some(payload) = self.walker.payload(record)? else { return Ok(None) };
        if crc32fast::hash(payload) != header.payload_crc {
            return Ok(None);
        }
        let text = payload.get(header.sets_len()..).unwrap_or_default().to_vec();
        let batch = Batch::from_text(source, header.received, routes, text);
        Ok(batch
            .ok()
            .filter(|batch| batch.len() == header.count as usize)
            .map(|batch| Batch { first_seq: header.first_seq, ..batch }))
    }
}
