//! From decoded points to batches: checks of name, value and age, and what to tell the sender of those refused.

use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Source};
use skyline_core::name::MAX_LINE_BYTES;
use skyline_core::reject::Reject;
use skyline_relay::intake::Refusals;
use std::borrow::Cow;

/// Lines of a batch have about so many bytes.
const BATCH_BYTES: usize = 256 << 10;

/// Bytes that a point costs beside its line, about.
const BESIDE: usize = 48;

/// Refused points that an answer names; the others are counted.
const NAMED: usize = 100;

/// What an operator is shown of a line that cannot be read: nothing of JSON, or of what else may be a key with its name.
/// Who takes one kind of body for another sends keys where no line has any.
#[must_use]
pub(crate) fn example(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii();
    if matches!(line.first(), Some(b'{' | b'}' | b'[' | b']' | b'"')) {
        return b"(JSON)";
    }
    if line.windows(3).any(|part| part.eq_ignore_ascii_case(b"key")) { b"(may hold a key)" } else { line }
}

/// What a point must fulfil.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Time of receipt, seconds.
    pub now: f64,
    /// Older points are refused, seconds before now.
    pub max_age: f64,
    /// Points further ahead are refused, seconds.
    pub max_future: f64,
    /// Timestamps are rounded down to multiples of so many seconds; 0: as they are.
    pub resolution: u32,
    /// Bytes that all points of a request may become.
    pub most_bytes: usize,
}

/// A refused point, for its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which point of the request, counted from 0.
    pub index: usize,
    /// The field at fault.
    pub field: &'static str,
    /// What is wrong with it.
    pub error: Cow<'static, str>,
}

/// Why something is passed over that is no point, and no fault of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Skip {
    /// Prometheus says that a series has ended.
    Stale = 0,
    /// A value that is not a number, or infinite.
    NotANumber,
    /// A native histogram of Prometheus.
    Histogram,
    /// A text of InfluxDB.
    Text,
}

impl Skip {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stale, Self::NotANumber, Self::Histogram, Self::Text];

    /// The label of its counter.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::NotANumber => "not_a_number",
            Self::Histogram => "histogram",
            Self::Text => "text",
        }
    }
}

/// The points of one request.
#[derive(Debug)]
pub struct Points {
    bounds: Bounds,
    prefix: Vec<u8>,
    name: Vec<u8>,
    out: BatchBuilder,
    /// Bytes of `out`, about.
    room: usize,
    bytes: usize,
    batches: Vec<Batch>,
    seen: usize,
    accepted: usize,
    refusals: Refusals,
    faults: Vec<Fault>,
    skipped: [u64; Skip::ALL.len()],
}

impl Points {
    /// None yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            prefix: Vec::new(),
            name: Vec::new(),
            out: builder(&bounds),
            room: BATCH_BYTES,
            bytes: 0,
            batches: Vec::new(),
            seen: 0,
            accepted: 0,
            refusals: Refusals::default(),
            faults: Vec::new(),
            skipped: [0; Skip::ALL.len()],
        }
    }

    /// From now on `prefix` stands in front of every name.
    pub fn prefix(&mut self, prefix: &[u8]) {
        prefix.clone_into(&mut self.prefix);
    }

    /// Takes a point; without a time it has that of receipt. `text`: the value as it came, to be passed on so.
    pub fn take(&mut self, name: &[u8], ts: Option<f64>, value: f64, text: Option<&[u8]>) {
        // A refused one takes as long to look at.
        let line = self.prefix.len() + name.len() + 32 + text.map_or(0, <[u8]>::len);
        self.bytes = self.bytes.saturating_add(line + BESIDE);
        match self.check(ts, value) {
            Ok(ts) => self.add(name, ts, value, text),
            Err(why) => self.refuse_as(name, why),
        }
    }

    fn check(&self, ts: Option<f64>, value: f64) -> Result<f64, Reject> {
        let ts = ts.unwrap_or_else(|| self.bounds.now.floor());
        if value.is_nan() {
            Err(Reject::NanValue)
        } else if value.is_infinite() {
            Err(Reject::Infinite)
        } else if !ts.is_finite() {
            Err(Reject::Time)
        } else if ts < self.bounds.now - self.bounds.max_age {
            Err(Reject::Old)
        } else if ts > self.bounds.now + self.bounds.max_future {
            Err(Reject::Future)
        } else {
            Ok(ts)
        }
    }

    fn add(&mut self, name: &[u8], ts: f64, value: f64, text: Option<&[u8]>) {
        // A prefix alone is no name.
        if name.is_empty() {
            return self.refuse_as(name, Reject::Name);
        }
        let line = self.prefix.len() + name.len() + 32 + text.map_or(0, <[u8]>::len);
        // Looked at before anything of it is copied.
        if line > MAX_LINE_BYTES + 32 {
            return self.refuse_as(name, Reject::LineTooLong);
        }
        if self.is_too_much() {
            self.seen += 1;
            return;
        }
        self.name.clear();
        self.name.extend_from_slice(&self.prefix);
        self.name.extend_from_slice(name);
        let taken = match text {
            Some(text) => {
                self.out.point_as(&self.name, ts, value, |line: &mut Vec<u8>| line.extend_from_slice(text))
            }
            None => self.out.point(&self.name, ts, value),
        };
        if let Err(why) = taken {
            return self.refuse_as(name, why);
        }
        self.seen += 1;
        self.accepted += 1;
        self.room = self.room.saturating_sub(line);
        if self.room == 0 {
            self.room = BATCH_BYTES;
            let full = std::mem::replace(&mut self.out, builder(&self.bounds));
            self.batches.extend(full.finish());
        }
    }

    /// Refuses a point that could be read.
    fn refuse_as(&mut self, name: &[u8], why: Reject) {
        let (max_age, max_future) = (self.bounds.max_age, self.bounds.max_future);
        self.refuse_with(name, why, || match why {
            Reject::NanValue => ("value", "is not a number (NaN)".into()),
            Reject::Infinite => ("value", "is infinite".into()),
            Reject::Time => ("timestamp", "is not a number".into()),
            Reject::Old => (
                "timestamp",
                format!("is more than {max_age} seconds ago; see the precision that it is written in").into(),
            ),
            Reject::Future => (
                "timestamp",
                format!("is more than {max_future} seconds ahead; it counts seconds since 1970").into(),
            ),
            Reject::LineTooLong => ("metric", "is too long".into()),
            _ => ("metric", "is empty, has blanks or control characters, or is no UTF-8".into()),
        });
    }

    /// Refuses a point, or what should be one. `example`: what an operator is shown of it, never a key.
    pub fn refuse(&mut self, field: &'static str, error: Cow<'static, str>, example: &[u8], why: Reject) {
        self.bytes = self.bytes.saturating_add(BESIDE);
        self.refuse_with(example, why, || (field, error));
    }

    /// `fault` is asked for the first hundred only.
    fn refuse_with(
        &mut self,
        example: &[u8],
        why: Reject,
        fault: impl FnOnce() -> (&'static str, Cow<'static, str>),
    ) {
        self.refusals.add(example, why);
        if self.faults.len() < NAMED {
            let (field, error) = fault();
            self.faults.push(Fault { index: self.seen, field, error });
        }
        self.seen += 1;
    }

    /// Passes over something.
    pub fn skip(&mut self, why: Skip) {
        if let Some(count) = self.skipped.get_mut(why as usize) {
            *count += 1;
        }
        self.seen += 1;
    }

    /// Whether the points, refused ones too, have become more bytes than they may.
    #[must_use]
    pub const fn is_too_much(&self) -> bool {
        self.bytes > self.bounds.most_bytes
    }

    /// The end of the request.
    #[must_use]
    pub fn finish(mut self) -> Taken {
        self.batches.extend(self.out.finish());
        Taken {
            batches: self.batches,
            accepted: self.accepted,
            refusals: self.refusals,
            faults: self.faults,
            skipped: self.skipped,
            bytes: self.bytes,
        }
    }
}

const fn builder(bounds: &Bounds) -> BatchBuilder {
    let source = Source { listener: Listener::Flux, origin: Origin::Live };
    BatchBuilder::new(source, bounds.now).resolution(bounds.resolution)
}

/// What a request has brought.
#[derive(Debug)]
pub struct Taken {
    /// To be logged.
    pub batches: Vec<Batch>,
    /// Points of these.
    pub accepted: usize,
    /// What was refused, for the operator.
    pub refusals: Refusals,
    /// The same for the sender: the first hundred.
    pub faults: Vec<Fault>,
    /// What was passed over, by [`Skip`].
    pub skipped: [u64; Skip::ALL.len()],
    /// What the points take, about.
    pub bytes: usize,
}

impl Taken {
    /// Points that were refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refusals.counts().total() as usize
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const NOW: f64 = 1_700_000_000.5;

    pub(crate) fn bounds() -> Bounds {
        Bounds { now: NOW, max_age: 1_000.0, max_future: 600.0, resolution: 0, most_bytes: 1 << 20 }
    }

    /// Accepted lines with a blank between, and faults as `index field`.
    pub(crate) fn summary(points: Points) -> (String, Vec<String>) {
        let taken = points.finish();
        let text: Vec<u8> = taken.batches.iter().flat_map(|batch| batch.text.clone()).collect();
        assert_eq!(taken.batches.iter().map(Batch::len).sum::<usize>(), taken.accepted);
        let faults = taken.faults.iter().map(|f| format!("{} {}", f.index, f.field)).collect();
        (String::from_utf8(text).unwrap(), faults)
    }

    #[test]
    fn bounds_are_kept_and_neighbours_too() {
        let mut points = Points::new(bounds());
        points.prefix(b"shop.");
        points.take(b"a", None, 1.0, None);
        points.take(b"b", Some(NOW - 1_000.0), 2.5, Some(b"2.50"));
        points.take(b"b", Some(NOW - 1_001.0), 2.5, None);
        points.take(b"c", Some(NOW + 600.0), 3.0, None);
        points.take(b"c", Some(NOW + 601.0), 3.0, None);
        points.take(b"d", Some(f64::NAN), 4.0, None);
        points.take(b"d", None, f64::NAN, None);
        points.take(b"d", None, f64::NEG_INFINITY, None);
        points.take(b"", None, 4.0, None);
        points.take(b"e e", None, 4.0, None);
        points.take(&[b'x'; 20_000], None, 4.0, None);
        points.take(b"f", None, -0.0, None);
        let (text, faults) = summary(points);
        assert_eq!(
            text,
            "shop.a 1 1700000000\nshop.b 2.50 1699999000.5\nshop.c 3 1700000600.5\nshop.f -0 1700000000\n"
        );
        let expected = [
            "2 timestamp",
            "4 timestamp",
            "5 timestamp",
            "6 value",
            "7 value",
            "8 metric",
            "9 metric",
            "10 metric",
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn many_points_are_several_batches() {
        let mut points = Points::new(Bounds { most_bytes: 100 << 20, ..bounds() });
        for _ in 0..20_000 {
            points.take(b"a.name.of.some.length", None, 1.0, None);
        }
        let taken = points.finish();
        assert!((4..10).contains(&taken.batches.len()), "{}", taken.batches.len());
        assert_eq!(taken.batches.iter().map(Batch::len).sum::<usize>(), 20_000);
    }

    #[test]
    fn there_is_a_bound() {
        let mut points = Points::new(Bounds { most_bytes: 1_000, ..bounds() });
        for _ in 0..1_000 {
            points.take(&[b'n'; 100], None, 1.0, None);
        }
        assert!(points.is_too_much());
        assert!(points.finish().accepted < 10);
        let mut points = Points::new(bounds());
        for _ in 0..1_000 {
            points.take(b"", None, 1.0, None);
        }
        let taken = points.finish();
        assert_eq!((taken.faults.len(), taken.refused()), (NAMED, 1_000));
    }

    #[test]
    fn a_text_is_made_for_those_that_are_named() {
        let mut points = Points::new(bounds());
        let mut made = 0;
        for _ in 0..3 * NAMED {
            points.refuse_with(b"a", Reject::Old, || {
                made += 1;
                ("timestamp", "is old".into())
            });
        }
        assert_eq!((made, points.finish().refused()), (NAMED, 3 * NAMED));
    }

    #[test]
    fn no_example_has_a_key() {
        let check = |line: &[u8], expected: &[u8]| assert_eq!(example(line), expected);
        check(b" a.b c 1\r", b"a.b c 1");
        check(b"  {\"metric\": \"a\", \"key\": \"secret\"}", b"(JSON)");
        check(b"[{\"metric\":\"a\"}]", b"(JSON)");
        check(b"    \"key\": \"secret\",", b"(JSON)");
        check(b"metric=a&value=1&key=secret", b"(may hold a key)");
        check(b"X-Api-Key: secret", b"(may hold a key)");
    }
}
