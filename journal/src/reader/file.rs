//! Reading segments for a reader that lags: in order, about a MiB at a time.

use crate::error::Error;
use crate::log::Segment;
use crate::segment::path;
use crate::segment::scan::{self, Scan};
use crate::segment::tally;
use crate::segment::walk::Record;
use crate::sets::SetTable;
use skyline_core::batch::Batch;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Read and decoded at once, bytes.
const READ_AHEAD: usize = 1 << 20;

/// What was found in the log.
#[derive(Debug)]
pub(crate) enum Item {
    /// A batch.
    Batch(Arc<Batch>),
    /// Nothing that can be read up to `to`.
    Missing { to: u64 },
}

/// The segment that is open, if one is.
#[derive(Debug, Default)]
pub(crate) struct Segments(Option<Open>);

#[derive(Debug)]
struct Open {
    first_seq: u64,
    scan: Scan<File>,
    /// Read and not yet passed on.
    next: Option<Record>,
    /// Sequence number up to which it was passed on.
    through: u64,
}

impl Segments {
    /// Closes what is open.
    pub(crate) fn close(&mut self) {
        self.0 = None;
    }

    /// Reads on at `cursor`, which lies in `segment`.
    pub(crate) fn read(
        &mut self,
        dir: &Path,
        segment: &Segment,
        cursor: u64,
        max_points: usize,
        table: &SetTable,
    ) -> Result<Vec<Item>, Error> {
        let fits = |open: &Open| open.first_seq == segment.first_seq && open.through <= cursor;
        let mut open = match self.0.take().filter(fits) {
            Some(open) => open,
            None => match tally::open(dir, segment) {
                Ok(scan) => {
                    Open { first_seq: segment.first_seq, scan, next: None, through: segment.first_seq }
                }
                Err(Error::Io { path, source }) if source.kind() == io::ErrorKind::NotFound => {
                    tracing::error!(path = %path.display(), "a segment of the journal is missing");
                    return Ok(vec![Item::Missing { to: segment.end_seq }]);
                }
                Err(error) => return Err(error),
            },
        };
        let items = open
            .read(segment, cursor, max_points, table)
            .map_err(Error::io(&path(dir, segment.first_seq)))?;
        self.0 = Some(open);
        Ok(items)
    }
}

impl Open {
    fn read(
        &mut self,
        segment: &Segment,
        cursor: u64,
        max_points: usize,
        table: &SetTable,
    ) -> io::Result<Vec<Item>> {
        self.scan.walker().grow(segment.bytes);
        let mut items = Vec::new();
        let (mut points, mut bytes) = (0, 0);
        while points < max_points && self.through < segment.end_seq {
            let record = match self.next.take() {
                Some(record) => record,
                None => match self.scan.next(table, false)? {
                    scan::Item::Points(record) => record,
                    scan::Item::End { .. } => {
                        items.push(Item::Missing { to: segment.end_seq });
                        self.through = segment.end_seq;
                        break;
                    }
                },
            };
            if record.header.end_seq() <= cursor {
                self.through = record.header.end_seq();
                continue;
            }
            // Found what was looked for: from here on nothing is hopped over.
            self.scan.walker().read_ahead(READ_AHEAD);
            bytes += record.header.record_len();
            if bytes > READ_AHEAD as u64 && !items.is_empty() {
                self.next = Some(record);
                break;
            }
            points += record.header.count as usize;
            items.push(self.item(&record)?);
            self.through = record.header.end_seq();
        }
        Ok(items)
    }

    fn item(&mut self, record: &Record) -> io::Result<Item> {
        if let Some(batch) = self.scan.batch(record)? {
            return Ok(Item::Batch(Arc::new(batch)));
        }
        let header = record.header;
        tracing::error!(
            seq = header.first_seq,
            points = header.count,
            "a record of the journal is damaged, its points are lost"
        );
        Ok(Item::Missing { to: header.end_seq() })
    }
}
