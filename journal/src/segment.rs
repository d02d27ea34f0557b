//! The format of a segment file: records one after the other, nothing between or before them.
//!
//! A file is named by the sequence number of its first point, in 20 digits, `.seg`. Each record is
//! a header of 44 bytes and a payload. All numbers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `F5 53 4A FF`; two of its bytes never occur in UTF-8, so no metric name can imitate it |
//! | 4 | 1 | format: 1 = lines, 2 = route set |
//! | 5 | 1 | origin ([`Origin`]); 0 in a route set |
//! | 6 | 1 | listener ([`Listener`]); 0 in a route set |
//! | 7 | 1 | flags: bit 0 = the payload begins with a route set for each point |
//! | 8 | 4 | length of the payload |
//! | 12 | 4 | number of points; 0 in a route set |
//! | 16 | 8 | sequence number of the first point; in a route set that of the next record |
//! | 24 | 8 | time of receipt, f64 seconds; never less than that of the record before |
//! | 32 | 4 | route set of all points (0 with flag 0); in a route set its number |
//! | 36 | 4 | CRC-32 (IEEE) of the payload |
//! | 40 | 4 | CRC-32 (IEEE) of bytes 0 to 39 |
//!
//! Payload of format 1: with flag 0 one u32 a point (its route set), then the lines. Payload of
//! format 2: the names of the set's readers, sorted, each a u32 length and as many bytes.
//! The number of a set means something only within its segment: before a segment's first use of
//! a set stands its route-set record. The end of the file, or zeros, end the segment.

pub(crate) mod scan;
pub(crate) mod summary;
pub(crate) mod tally;
pub(crate) mod walk;

use skyline_core::batch::{Listener, Origin, RouteSet, Source};
use std::path::{Path, PathBuf};

/// First bytes of every record.
pub(crate) const MAGIC: [u8; 4] = [0xF5, b'S', b'J', 0xFF];
/// Length of a record's header, bytes.
pub(crate) const HEADER: usize = 44;

const FORMAT_LINES: u8 = 1;
const FORMAT_ROUTE_SET: u8 = 2;
const FLAG_PER_SAMPLE: u8 = 1;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Points as lines.
    Lines { source: Source, per_sample: bool },
    /// The names of a route set.
    RouteSet,
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) payload_len: u32,
    pub(crate) count: u32,
    pub(crate) first_seq: u64,
    pub(crate) received: f64,
    pub(crate) set: RouteSet,
    pub(crate) payload_crc: u32,
}

impl Header {
    /// Sequence number after the record's last point.
    pub(crate) fn end_seq(&self) -> u64 {
        self.first_seq.saturating_add(u64::from(self.count))
    }

    /// Length of header and payload, bytes.
    pub(crate) fn record_len(&self) -> u64 {
        HEADER as u64 + u64::from(self.payload_len)
    }

    /// Length of the part of the payload that holds the points' route sets, bytes.
    pub(crate) fn sets_len(&self) -> usize {
        match self.kind {
            Kind::Lines { per_sample: true, .. } => self.count as usize * 4,
            _ => 0,
        }
    }

    /// The 44 bytes.
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let (format, origin, listener, flags) = match self.kind {
            Kind::Lines { source, per_sample } => (
                FORMAT_LINES,
                source.origin as u8,
                source.listener as u8,
                if per_sample { FLAG_PER_SAMPLE } else { 0 },
            ),
            Kind::RouteSet => (FORMAT_ROUTE_SET, 0, 0, 0),
        };
        let mut out = [0; HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            if let Some(place) = out.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
            at += bytes.len();
        };
        put(&MAGIC);
        put(&[format, origin, listener, flags]);
        put(&self.payload_len.to_le_bytes());
        put(&self.count.to_le_bytes());
        put(&self.first_seq.to_le_bytes());
        put(&self.received.to_le_bytes());
        put(&self.set.0.to_le_bytes());
        put(&self.payload_crc.to_le_bytes());
        let crc = crc32fast::hash(out.get(..HEADER - 4).unwrap_or_default());
        if let Some(place) = out.get_mut(HEADER - 4..) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        out
    }

    /// The header that `bytes` begin with; `None` when they are not one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if !body.starts_with(&MAGIC) || crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut rest = body.get(MAGIC.len()..)?;
        let [format, origin, listener, flags] = *split(&mut rest)?;
        let header = Self {
            kind: match format {
                FORMAT_LINES => Kind::Lines {
                    source: Source {
                        origin: Origin::from_number(origin)?,
                        listener: Listener::from_number(listener)?,
                    },
                    per_sample: flags & FLAG_PER_SAMPLE != 0,
                },
                FORMAT_ROUTE_SET => Kind::RouteSet,
                _ => return None,
            },
            payload_len: u32::from_le_bytes(*split(&mut rest)?),
            count: u32::from_le_bytes(*split(&mut rest)?),
            first_seq: u64::from_le_bytes(*split(&mut rest)?),
            received: f64::from_le_bytes(*split(&mut rest)?),
            set: RouteSet(u32::from_le_bytes(*split(&mut rest)?)),
            payload_crc: u32::from_le_bytes(*split(&mut rest)?),
        };
        header.sound().then_some(header)
    }

    fn sound(&self) -> bool {
        let points = match self.kind {
            // The shortest line is `a 1 1` with its LF.
            Kind::Lines { .. } => self.count > 0 && u64::from(self.count) * 6 <= u64::from(self.payload_len),
            Kind::RouteSet => self.count == 0,
        };
        points
            && self.first_seq.checked_add(u64::from(self.count)).is_some()
            && !self.received.is_nan()
            && self.sets_len() <= self.payload_len as usize
    }
}

/// Takes the first `N` bytes off `rest`.
pub(crate) fn split<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(head)
}

/// The payload of a route-set record: also the key by which a set is known.
pub(crate) fn encode_names(names: &[&str]) -> Vec<u8> {
    let mut out = Vec::with_capacity(names.iter().map(|n| n.len() + 4).sum());
    for name in names {
        out.extend_from_slice(&(name.len() as u32).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
    }
    out
}

/// Reads back what [`encode_names`] wrote.
pub(crate) fn decode_names(mut payload: &[u8]) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    while !payload.is_empty() {
        let len = u32::from_le_bytes(*split(&mut payload)?) as usize;
        let (name, rest) = payload.split_at_checked(len)?;
        names.push(std::str::from_utf8(name).ok()?);
        payload = rest;
    }
    Some(names)
}

/// Path of the segment that begins with `first_seq`.
pub(crate) fn path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}.seg"))
}

/// Leaves an empty segment named by the log's end: without it a log whose points have all been read
/// and freed would look to the next start like one that has been lost. A segment that is there
/// already is left as it is.
pub(crate) fn mark_end(dir: &Path, end: u64) -> std::io::Result<()> {
    std::fs::File::options().create(true).append(true).open(path(dir, end)).map(drop)
}

/// The first sequence number that a segment's file name says.
pub(crate) fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            kind: Kind::Lines {
                source: Source { listener: Listener::PickleTcp, origin: Origin::Backfill },
                per_sample: true,
            },
            payload_len: 1000,
            count: 17,
            first_seq: 0x0102_0304_0506_0708,
            received: 1_700_000_000.25,
            set: RouteSet(9),
            payload_crc: 0xDEAD_BEEF,
        }
    }

    #[test]
    fn layout_is_as_documented() {
        let bytes = header().encode();
        assert_eq!(bytes[..8], [0xF5, b'S', b'J', 0xFF, 1, 1, 4, 1]);
        assert_eq!(bytes[8..12], 1000_u32.to_le_bytes());
        assert_eq!(bytes[12..16], 17_u32.to_le_bytes());
        assert_eq!(bytes[16..24], 0x0102_0304_0506_0708_u64.to_le_bytes());
        assert_eq!(bytes[24..32], 1_700_000_000.25_f64.to_le_bytes());
        assert_eq!(bytes[32..36], 9_u32.to_le_bytes());
        assert_eq!(bytes[36..40], 0xDEAD_BEEF_u32.to_le_bytes());
        assert_eq!(bytes[40..], crc32fast::hash(&bytes[..40]).to_le_bytes());
        assert_eq!(Header::decode(&bytes), Some(header()));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let bytes = header().encode();
        for bit in 0..HEADER * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn headers_that_cannot_be() {
        let refused = |change: fn(&mut Header)| {
            let mut header = header();
            change(&mut header);
            assert_eq!(Header::decode(&header.encode()), None, "{header:?}");
        };
        refused(|h| h.count = 0);
        refused(|h| h.payload_len = 0);
        refused(|h| h.payload_len = 17 * 6 - 1);
        refused(|h| h.first_seq = u64::MAX - 3);
        refused(|h| h.received = f64::NAN);
        refused(|h| h.kind = Kind::RouteSet);
    }

    #[test]
    fn file_names() {
        let check = |name, expected| assert_eq!(parse_name(name), expected, "{name}");
        check("00000000000000000042.seg", Some(42));
        check("18446744073709551615.seg", Some(u64::MAX));
        check("18446744073709551616.seg", None);
        check("42.seg", None);
        check("00000000000000000042.sum", None);
        check("+0000000000000000042.seg", None);
        assert_eq!(path(Path::new("/j"), 42), Path::new("/j/00000000000000000042.seg"));
    }

    proptest! {
        #[test]
        fn names_read_back(names in prop::collection::vec(".{0,12}", 0..6)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let payload = encode_names(&names);
            prop_assert_eq!(decode_names(&payload), Some(names));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(Header::decode(&bytes).is_none());
            drop(decode_names(&bytes));
        }
    }
}
