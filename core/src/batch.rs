//! A batch of datapoints on its way from a listener through the journal to every reader.
//!
//! A batch keeps its points as accepted lines (`name SP value SP timestamp LF`, the bytes that
//! were received wherever they had that form already), so that logging and forwarding them is a
//! copy. Beside the text stands one [`Sample`] a line with what readers would otherwise parse again.
#![expect(clippy::indexing_slicing, reason = "offsets are those of lines found in the same buffer")]

use crate::line;
use crate::name;
use crate::reject::Reject;
use crate::shard::name_hash;

/// What brought a batch in. The numbers are stored in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Listener {
    /// Carbon lines over TCP.
    PlaintextTcp = 1,
    /// Carbon lines over UDP.
    PlaintextUdp = 2,
    /// Carbon lines over a Unix stream socket.
    PlaintextUnix = 3,
    /// Carbon pickles over TCP.
    PickleTcp = 4,
    /// One msgpack array a datagram.
    MsgpackUdp = 5,
    /// The node's own metrics.
    Own = 6,
    /// Carbon's protobuf over TCP.
    ProtobufTcp = 7,
    /// What the node computes of points: aggregates.
    Aggregator = 8,
    /// Flux: points over HTTP.
    Flux = 9,
    /// Vista: points that the node fetches from other servers.
    Vista = 10,
    /// Back-fill: windows that the node fills from a Graphite server or from whisper files.
    Backfill = 11,
}

impl Listener {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::PlaintextTcp,
        Self::PlaintextUdp,
        Self::PlaintextUnix,
        Self::PickleTcp,
        Self::MsgpackUdp,
        Self::Own,
        Self::ProtobufTcp,
        Self::Aggregator,
        Self::Flux,
        Self::Vista,
        Self::Backfill,
    ];

    /// Above every number: what a table that is indexed by them has entries.
    pub const NUMBERS: usize = 12;

    /// The `listener` label of counters.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::PlaintextTcp => "plaintext_tcp",
            Self::PlaintextUdp => "plaintext_udp",
            Self::PlaintextUnix => "plaintext_unix",
            Self::PickleTcp => "pickle_tcp",
            Self::MsgpackUdp => "msgpack_udp",
            Self::Own => "own",
            Self::ProtobufTcp => "protobuf_tcp",
            Self::Aggregator => "aggregator",
            Self::Flux => "flux",
            Self::Vista => "vista",
            Self::Backfill => "backfill",
        }
    }

    /// The listener with that number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|l| *l as u8 == number)
    }
}

/// Why the points exist. The numbers are stored in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Origin {
    /// Sent to us now: forwarded, stored, judged.
    Live = 0,
    /// History fetched by us: stored, never forwarded, never judged.
    Backfill = 1,
    /// Our own metrics: forwarded, not stored, not judged.
    Own = 2,
    /// History fetched by us that others have not: forwarded, stored as far as the window reaches, never judged.
    History = 3,
}

impl Origin {
    /// The origin with that number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Live),
            1 => Some(Self::Backfill),
            2 => Some(Self::Own),
            3 => Some(Self::History),
            _ => None,
        }
    }
}

/// Where a batch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    /// The listener.
    pub listener: Listener,
    /// Live, back-fill, own or history.
    pub origin: Origin,
}

/// Number of a set of destinations in the journal's table of sets. 0 is the empty set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RouteSet(pub u32);

/// To which destinations the points of a batch go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routes {
    /// All points to the same set (the usual case; `RouteSet(0)`: to none).
    All(RouteSet),
    /// One set for each sample, in order.
    PerSample(Vec<RouteSet>),
}

/// One datapoint of a batch: where its line is, and what it says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// [`name_hash`] of the name.
    pub hash: u64,
    /// Seconds since the epoch; finite.
    pub ts: f64,
    /// The value; may be infinite, never NaN.
    pub value: f64,
    /// Offset of the line in [`Batch::text`], bytes.
    pub offset: u32,
    /// Length of the name, bytes. The name begins the line.
    pub name_len: u16,
    /// Length of the line with its LF, bytes.
    pub line_len: u16,
}

/// A batch of points. Not empty once made by [`BatchBuilder::finish`].
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Sequence number of the first point in the journal; 0 until it is logged.
    pub first_seq: u64,
    /// Time of receipt, seconds. The `now` of every verdict on these points.
    pub received: f64,
    /// Where they come from.
    pub source: Source,
    /// Where they go.
    pub routes: Routes,
    /// The accepted lines, each with its LF.
    pub text: Vec<u8>,
    /// One entry a line, in order.
    pub samples: Vec<Sample>,
}

impl Batch {
    /// Number of points.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether it holds no point (never, for a finished batch).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Sequence number after the last point.
    #[must_use]
    pub const fn end_seq(&self) -> u64 {
        self.first_seq + self.samples.len() as u64
    }

    /// The name of a sample of this batch.
    #[must_use]
    pub fn name(&self, sample: &Sample) -> &[u8] {
        let at = sample.offset as usize;
        self.text.get(at..at + sample.name_len as usize).unwrap_or_default()
    }

    /// The line of a sample of this batch, with its LF.
    #[must_use]
    pub fn line(&self, sample: &Sample) -> &[u8] {
        let at = sample.offset as usize;
        self.text.get(at..at + sample.line_len as usize).unwrap_or_default()
    }

    /// Takes away the points for which `keep`, which is called once for each in their order, says no. May
    /// leave an empty batch.
    pub fn retain(&mut self, mut keep: impl FnMut(&Sample) -> bool) {
        let (mut text, mut kept) = (0, 0);
        for at in 0..self.samples.len() {
            let sample = self.samples[at];
            if !keep(&sample) {
                continue;
            }
            // Until the first is taken away all stay where they are.
            if kept < at {
                let from = sample.offset as usize;
                self.text.copy_within(from..from + sample.line_len as usize, text);
                self.samples[kept] = Sample { offset: text as u32, ..sample };
                if let Routes::PerSample(sets) = &mut self.routes {
                    sets[kept] = sets[at];
                }
            }
            text += sample.line_len as usize;
            kept += 1;
        }
        self.text.truncate(text);
        self.samples.truncate(kept);
        if let Routes::PerSample(sets) = &mut self.routes {
            sets.truncate(kept);
        }
    }

    /// Reads back a batch whose text came out of a builder before (a journal record).
    ///
    /// # Errors
    /// The reason for which the first bad line is not a line; the text was altered.
    pub fn from_text(source: Source, received: f64, routes: Routes, text: Vec<u8>) -> Result<Self, Reject> {
        let mut samples = Vec::with_capacity(text.len() / 48 + 1);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &text) {
            let raw = &text[start..end];
            let parsed = match line::parse_plain(raw) {
                Some(parsed) => parsed,
                None => line::parse(raw)?,
            };
            samples.push(Sample {
                hash: name_hash(parsed.name),
                ts: parsed.ts,
                value: parsed.value,
                offset: u32::try_from(start).map_err(|_| Reject::Frame)?,
                name_len: u16::try_from(parsed.name.len()).map_err(|_| Reject::LineTooLong)?,
                line_len: u16::try_from(end + 1 - start).map_err(|_| Reject::LineTooLong)?,
            });
            start = end + 1;
        }
        if start != text.len() || samples.is_empty() {
            return Err(Reject::CutLine);
        }
        Ok(Self { first_seq: 0, received, source, routes, text, samples })
    }
}

/// Gathers points into a [`Batch`].
#[derive(Debug)]
pub struct BatchBuilder {
    source: Source,
    received: f64,
    resolution: u32,
    text: Vec<u8>,
    samples: Vec<Sample>,
}

impl BatchBuilder {
    /// An empty batch from `source`, received at `received` seconds.
    #[must_use]
    pub const fn new(source: Source, received: f64) -> Self {
        Self { source, received, resolution: 0, text: Vec::new(), samples: Vec::new() }
    }

    /// Rounds timestamps down to a multiple of `seconds` (carbon's `MIN_TIMESTAMP_RESOLUTION`);
    /// 0 leaves them as they are.
    #[must_use]
    pub const fn resolution(mut self, seconds: u32) -> Self {
        self.resolution = seconds;
        self
    }

    /// Makes room for about `bytes` of lines.
    pub fn reserve(&mut self, bytes: usize) {
        self.text.reserve(bytes);
        self.samples.reserve(bytes / 48);
    }

    /// Points so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no point yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The batch, unless it is empty.
    #[must_use]
    pub fn finish(self) -> Option<Batch> {
        if self.samples.is_empty() {
            return None;
        }
        Some(Batch {
            first_seq: 0,
            received: self.received,
            source: self.source,
            routes: Routes::All(RouteSet(0)),
            text: self.text,
            samples: self.samples,
        })
    }

    /// Takes every line of `chunk`, which ends with an LF. Each line that is not taken is passed
    /// to `refused` with the reason; its neighbours count all the same.
    pub fn lines(&mut self, chunk: &[u8], mut refused: impl FnMut(&[u8], Reject)) {
        self.reserve(chunk.len());
        let one_blank = memchr::memchr3(b'\t', b'\r', 0x0b, chunk).is_none()
            && memchr::memchr(0x0c, chunk).is_none()
            && (chunk.is_ascii() || std::str::from_utf8(chunk).is_ok())
            && self.resolution == 0;
        // Lines that can go on as they are form runs, each copied at once.
        let (mut start, mut run) = (0, 0);
        for end in memchr::memchr_iter(b'\n', chunk) {
            let raw = &chunk[start..end];
            let next = end + 1;
            let plain =
                if one_blank && raw.len() < u16::MAX as usize { line::parse_plain(raw) } else { None };
            if let Some(parsed) = plain {
                self.samples.push(Sample {
                    hash: name_hash(parsed.name),
                    ts: parsed.ts,
                    value: parsed.value,
                    offset: (self.text.len() + start - run) as u32,
                    name_len: parsed.name.len() as u16,
                    line_len: (next - start) as u16,
                });
            } else {
                self.text.extend_from_slice(&chunk[run..start]);
                if let Err(reason) = self.line(raw) {
                    refused(raw, reason);
                }
                run = next;
            }
            start = next;
        }
        self.text.extend_from_slice(&chunk[run..start]);
    }

    /// Takes one line in any accepted form, without its LF.
    ///
    /// # Errors
    /// The reason for which it is not taken.
    pub fn line(&mut self, raw: &[u8]) -> Result<(), Reject> {
        let parsed = line::parse(raw)?;
        let ts = self.stamped(parsed.ts);
        let offset = self.text.len();
        self.text.extend_from_slice(parsed.name);
        self.text.push(b' ');
        self.text.extend_from_slice(parsed.value_text);
        self.text.push(b' ');
        if ts.to_bits() == parsed.ts.to_bits() {
            self.text.extend_from_slice(parsed.ts_text);
        } else {
            line::write_number(ts, &mut self.text);
        }
        self.close(offset, parsed.name, ts, parsed.value, raw.len())
    }

    /// Takes a point of a binary protocol; writes its line.
    ///
    /// # Errors
    /// The reason for which it is not taken: [`name::for_line`], NaN, a time that is not finite, a line of
    /// more than [`name::MAX_LINE_BYTES`].
    pub fn point(&mut self, name: &[u8], ts: f64, value: f64) -> Result<(), Reject> {
        self.point_as(name, ts, value, |text| line::write_number(value, text))
    }

    /// The same; `write` writes `value` as the line shall have it.
    ///
    /// # Errors
    /// As [`Self::point`].
    pub fn point_as(
        &mut self,
        name: &[u8],
        ts: f64,
        value: f64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Reject> {
        name::for_line(name)?;
        if value.is_nan() {
            return Err(Reject::NanValue);
        }
        if !ts.is_finite() {
            return Err(Reject::Time);
        }
        let ts = self.stamped(ts);
        let offset = self.text.len();
        self.text.extend_from_slice(name);
        self.text.push(b' ');
        write(&mut self.text);
        self.text.push(b' ');
        line::write_number(ts, &mut self.text);
        self.close(offset, name, ts, value, 0)
    }

    /// Ends the line that begins at `offset`. It may be as long as it came in, if that was longer than
    /// carbon takes.
    fn close(&mut self, offset: usize, name: &[u8], ts: f64, value: f64, came: usize) -> Result<(), Reject> {
        if self.text.len() - offset > name::MAX_LINE_BYTES.max(came) {
            self.text.truncate(offset);
            return Err(Reject::LineTooLong);
        }
        self.text.push(b'\n');
        let line_len = self.text.len() - offset;
        let (Ok(offset32), Ok(line_len)) = (u32::try_from(offset), u16::try_from(line_len)) else {
            self.text.truncate(offset);
            return Err(Reject::LineTooLong);
        };
        self.samples.push(Sample {
            hash: name_hash(name),
            ts,
            value,
            offset: offset32,
            name_len: name.len() as u16,
            line_len,
        });
        Ok(())
    }

    /// The time of receipt for a timestamp of -1, then the resolution. Whole seconds: carbon's
    /// storage keeps no fraction.
    fn stamped(&self, ts: f64) -> f64 {
        let ts = if line::wants_stamp(ts) { self.received.floor() } else { ts };
        if self.resolution == 0 {
            return ts;
        }
        let step = f64::from(self.resolution);
        (ts.trunc() / step).floor() * step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TCP: Source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };

    #[test]
    fn a_table_of_listeners_has_room_for_all() {
        assert!(Listener::ALL.iter().all(|l| (*l as usize) < Listener::NUMBERS));
        assert!(Listener::ALL.iter().all(|l| Listener::from_number(*l as u8) == Some(*l)));
    }

    fn build(chunk: &[u8]) -> (Option<Batch>, Vec<(Vec<u8>, Reject)>) {
        let mut builder = BatchBuilder::new(TCP, 1_700_000_100.75);
        let mut refused = Vec::new();
        builder.lines(chunk, |line, why| refused.push((line.to_vec(), why)));
        (builder.finish(), refused)
    }

    #[test]
    fn good_lines_go_on_as_they_were_received() {
        let text = b"a.b 1.50 1700000000\nc 2 1700000060\n";
        let (batch, refused) = build(text);
        let batch = batch.unwrap();
        assert!(refused.is_empty());
        assert_eq!(batch.text, text);
        assert_eq!(batch.name(&batch.samples[1]), b"c");
        assert_eq!(batch.line(&batch.samples[1]), b"c 2 1700000060\n");
    }

    #[test]
    fn no_line_is_made_that_carbon_does_not_take() {
        let check = |name_len: usize, value: f64, expected: Result<(), Reject>| {
            let mut builder = BatchBuilder::new(TCP, 1_700_000_100.75);
            builder.point(b"good", 1_700_000_000.0, 2.0).unwrap();
            assert_eq!(builder.point(&vec![b'n'; name_len], 1_700_000_000.0, value), expected);
            builder.point(b"good", 1_700_000_060.0, 2.0).unwrap();
            let batch = builder.finish().unwrap();
            assert_eq!(batch.len(), 2 + usize::from(expected.is_ok()));
            assert!(batch.text.split(|b| *b == b'\n').all(|line| line.len() <= name::MAX_LINE_BYTES));
        };
        check(16_371, 2.0, Ok(()));
        check(16_372, 2.0, Err(Reject::LineTooLong));
        check(16_370, 1.123_456_789_012_345, Err(Reject::LineTooLong));
        // A timestamp of -1 is written out, and the line becomes longer than it came.
        let mut line = vec![b'n'; 16_380];
        line.extend_from_slice(b" 1 -1\nb 2 2\n");
        let (batch, refused) = build(&line[4..]);
        assert_eq!(batch.unwrap().text, b"b 2 2\n");
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].1, Reject::LineTooLong);
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let (batch, refused) = build(b"a 1 1\nbad\nb 2 2\n\nc  3\t3\r\nd nan 4\ne 5 -1\n");
        let batch = batch.unwrap();
        assert_eq!(batch.text, b"a 1 1\nb 2 2\nc 3 3\ne 5 1700000100\n");
        assert_eq!(
            refused.iter().map(|(_, why)| *why).collect::<Vec<_>>(),
            [Reject::Fields, Reject::Fields, Reject::NanValue]
        );
        let names: Vec<_> = batch.samples.iter().map(|s| batch.name(s).to_vec()).collect();
        assert_eq!(names, [b"a", b"b", b"c", b"e"]);
        assert_eq!(batch.samples[3].ts, 1_700_000_100.0);
    }

    #[test]
    fn times_are_rounded_down_when_asked() {
        let mut builder = BatchBuilder::new(TCP, 5.0).resolution(60);
        builder.lines(b"a 1 119.5\n", |_, _| ());
        builder.point(b"b", 61.0, 2.0).unwrap();
        assert_eq!(builder.finish().unwrap().text, b"a 1 60\nb 2 60\n");
    }

    #[test]
    fn points_are_taken_away() {
        let check = |lost: &[usize], expected: &str, sets: &[u32]| {
            let mut batch = build(b"a 1 1\nbb 22 2\nc 3 3\n").0.unwrap();
            batch.routes = Routes::PerSample([7, 8, 9].map(RouteSet).to_vec());
            let mut at = 0..;
            batch.retain(|_| !lost.contains(&at.next().unwrap()));
            assert_eq!(batch.text, expected.as_bytes());
            assert_eq!(batch.samples.iter().map(|s| batch.line(s)).collect::<Vec<_>>().concat(), batch.text);
            assert_eq!(batch.routes, Routes::PerSample(sets.iter().copied().map(RouteSet).collect()));
        };
        check(&[], "a 1 1\nbb 22 2\nc 3 3\n", &[7, 8, 9]);
        check(&[0], "bb 22 2\nc 3 3\n", &[8, 9]);
        check(&[1], "a 1 1\nc 3 3\n", &[7, 9]);
        check(&[0, 1, 2], "", &[]);
    }

    #[test]
    fn binary_points_become_lines() {
        let mut builder = BatchBuilder::new(TCP, 5.0);
        builder.point(b"a.b", 1_569_400_000.0, 1.5).unwrap();
        assert_eq!(builder.point(b"a b", 1.0, 1.0), Err(Reject::Name));
        assert_eq!(builder.point(b"a", f64::NAN, 1.0), Err(Reject::Time));
        assert_eq!(builder.point(b"a", 1.0, f64::NAN), Err(Reject::NanValue));
        assert_eq!(builder.finish().unwrap().text, b"a.b 1.5 1569400000\n");
    }

    proptest! {
        #[test]
        fn text_reads_back_as_the_same_batch(chunk in prop::collection::vec(
            prop_oneof![Just(b'\n'), Just(b' '), Just(b'1'), Just(b'.'), Just(b'a'), Just(b'-'), Just(b'\t'), any::<u8>()], 0..200)) {
            let mut chunk = chunk;
            chunk.push(b'\n');
            if let (Some(batch), _) = build(&chunk) {
                let again = Batch::from_text(batch.source, batch.received, batch.routes.clone(), batch.text.clone());
                prop_assert_eq!(again, Ok(batch));
            }
        }
    }
}
