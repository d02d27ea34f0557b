//! Going through a segment record by record, hopping from header to header; past damage to the
//! next record whose checksums are right.

use super::{HEADER, Header, MAGIC};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Read at once while hopping over headers, bytes.
pub(crate) const HOP: usize = 8 << 10;
/// Least read at once while looking for the record after damage, bytes.
const SEARCH: usize = 256 << 10;

/// Something to read a segment from.
pub(crate) trait Bytes {
    /// Reads into `buffer` from `at`; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

impl Bytes for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, at)
    }
}

impl Bytes for &[u8] {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(n)
    }
}

/// A record and where it begins in its file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Record {
    pub(crate) at: u64,
    pub(crate) header: Header,
}

/// What comes next in a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// A record. Its `first_seq` is larger than expected where points were lost.
    Record(Record),
    /// Damage of so many bytes, with a good record behind it.
    Skipped(u64),
    /// The end. So many bytes before it, from `at` on, are not a record (zeros are not counted).
    End { at: u64, torn: u64 },
}

/// Reads one segment.
#[derive(Debug)]
pub(crate) struct Walker<B> {
    bytes: B,
    /// Bytes of the file that may be read.
    limit: u64,
    at: u64,
    /// Sequence number that the next record should begin with.
    expected: u64,
    chunk: usize,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl<B: Bytes> Walker<B> {
    /// Starts at the beginning of a segment of `limit` bytes that is named `first_seq`.
    pub(crate) const fn new(bytes: B, limit: u64, first_seq: u64) -> Self {
        Self { bytes, limit, at: 0, expected: first_seq, chunk: HOP, buffer: Vec::new(), buffer_at: 0 }
    }

    /// The segment has grown to `limit` bytes.
    pub(crate) fn grow(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    /// Reads so many bytes at once from now on.
    pub(crate) fn read_ahead(&mut self, bytes: usize) {
        self.chunk = bytes;
    }

    /// Up to `len` bytes from `at`: fewer at the end.
    pub(crate) fn window(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let left = self.limit.saturating_sub(at);
        let len = (len as u64).min(left);
        if at < self.buffer_at || at + len > self.buffer_at + self.buffer.len() as u64 {
            let want = len.max(self.chunk as u64).min(left);
            self.buffer.resize(want as usize, 0);
            self.buffer_at = at;
            let read = read_full(&self.bytes, &mut self.buffer, at);
            // Whatever happens, the buffer holds nothing that was not read.
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        let start = (at - self.buffer_at) as usize;
        let end = (start + len as usize).min(self.buffer.len());
        Ok(self.buffer.get(start..end).unwrap_or_default())
    }

    /// The payload of a record; `None` when it is cut.
    pub(crate) fn payload(&mut self, record: &Record) -> io::Result<Option<&[u8]>> {
        let len = record.header.payload_len as usize;
        let payload = self.window(record.at + HEADER as u64, len)?;
        Ok((payload.len() == len).then_some(payload))
    }

    /// The next step. With `verify` a record counts only when its payload's checksum is right.
    pub(crate) fn step(&mut self, verify: bool) -> io::Result<Step> {
        let at = self.at;
        if at >= self.limit {
            return Ok(Step::End { at, torn: 0 });
        }
        if let Some(record) = self.record(at, verify)? {
            self.at += record.header.record_len();
            self.expected = record.header.end_seq();
            return Ok(Step::Record(record));
        }
        if let Some(next) = self.search(at + 1)? {
            self.at = next;
            return Ok(Step::Skipped(next - at));
        }
        let torn = if self.only_zeros(at)? { 0 } else { self.limit - at };
        self.at = self.limit;
        Ok(Step::End { at, torn })
    }

    fn record(&mut self, at: u64, verify: bool) -> io::Result<Option<Record>> {
        let Some(header) = Header::decode(self.window(at, HEADER)?) else { return Ok(None) };
        if header.record_len() > self.limit.saturating_sub(at) || header.first_seq < self.expected {
            return Ok(None);
        }
        let record = Record { at, header };
        let whole =
            !verify || self.payload(&record)?.is_some_and(|p| crc32fast::hash(p) == header.payload_crc);
        Ok(whole.then_some(record))
    }

    /// Where the next good record begins, at or after `from`.
    fn search(&mut self, mut from: u64) -> io::Result<Option<u64>> {
        let [first, ..] = MAGIC;
        while from < self.limit {
            let len = self.chunk.max(SEARCH);
            let window = self.window(from, len)?;
            if window.is_empty() {
                break;
            }
            let mut next = from + window.len() as u64;
            if let Some(found) = memchr::memchr(first, window) {
                let candidate = from + found as u64;
                if self.record(candidate, true)?.is_some() {
                    return Ok(Some(candidate));
                }
                next = candidate + 1;
            }
            from = next;
        }
        Ok(None)
    }

    fn only_zeros(&mut self, mut from: u64) -> io::Result<bool> {
        while from < self.limit {
            let window = self.window(from, SEARCH)?;
            if window.is_empty() {
                break;
            }
            if window.iter().any(|b| *b != 0) {
                return Ok(false);
            }
            from += window.len() as u64;
        }
        Ok(true)
    }
}

fn read_full(bytes: &impl Bytes, buffer: &mut [u8], mut at: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match bytes.read_at(rest, at) {
            Ok(0) => break,
            Ok(n) => {
                done += n;
                at += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;
    use skyline_core::batch::{Listener, Origin, RouteSet, Source};

    fn record(first_seq: u64, payload: &[u8], count: u32) -> Vec<u8> {
        let header = Header {
            kind: Kind::Lines {
                source: Source { listener: Listener::PlaintextTcp, origin: Origin::Live },
                per_sample: false,
            },
            payload_len: payload.len() as u32,
            count,
            first_seq,
            received: 1.0,
            set: RouteSet(0),
            payload_crc: crc32fast::hash(payload),
        };
        [&header.encode()[..], payload].concat()
    }

    fn log() -> Vec<u8> {
        [record(10, b"a 1 1\nb 1 1\n", 2), record(12, b"a 1 1\n", 1), record(13, b"a 1 1\nb 1 1\n", 2)]
            .concat()
    }

    /// Sequence numbers of the records, bytes skipped, bytes torn.
    fn walk(bytes: &[u8]) -> (Vec<u64>, u64, u64) {
        let mut walker = Walker::new(bytes, bytes.len() as u64, 10);
        let (mut found, mut skipped) = (Vec::new(), 0);
        loop {
            match walker.step(true).unwrap() {
                Step::Record(record) => found.push(record.header.first_seq),
                Step::Skipped(bytes) => skipped += bytes,
                Step::End { torn, .. } => return (found, skipped, torn),
            }
        }
    }

    #[test]
    fn whole_and_cut() {
        let bytes = log();
        assert_eq!(walk(&bytes), (vec![10, 12, 13], 0, 0));
        let last = bytes.len() - 56;
        for cut in last..bytes.len() {
            assert_eq!(walk(&bytes[..cut]), (vec![10, 12], 0, (cut - last) as u64), "cut at {cut}");
        }
    }

    #[test]
    fn zeros_are_an_end() {
        let mut bytes = log();
        bytes.resize(bytes.len() + 100_000, 0);
        assert_eq!(walk(&bytes), (vec![10, 12, 13], 0, 0));
        assert_eq!(walk(&[]), (vec![], 0, 0));
        assert_eq!(walk(&[0; 3]), (vec![], 0, 0));
    }

    #[test]
    fn damage_costs_only_its_record() {
        let bytes = log();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                0..56 => (vec![12, 13], 56, 0),
                56..106 => (vec![10, 13], 50, 0),
                _ => (vec![10, 12], 0, 56),
            };
            assert_eq!(walk(&bad), expected, "bit {bit}");
        }
    }

    #[test]
    fn what_goes_back_is_not_a_record() {
        let bytes = [log(), record(5, b"a 1 1\n", 1), record(20, b"a 1 1\n", 1)].concat();
        assert_eq!(walk(&bytes), (vec![10, 12, 13, 20], 50, 0));
    }
}
