//! Deliveries on their way out: what is to be written next, without copying where the text of a
//! batch can go as it is.

mod frame;
mod protobuf;

use super::acks::Acks;
use frame::Point;
use skyline_conf::routing::Protocol;
use skyline_core::batch::Sample;
use skyline_journal::{Delivery, Mine};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

/// Texts up to this many bytes are copied together: cheaper than a slice of the write for each.
const SMALL: usize = 1024;
/// A part made of small texts is closed at this size, bytes.
const PART: usize = 64 << 10;
/// A buffer that has grown beyond this is given back when it is empty, bytes.
const KEPT: usize = 4 << 20;
/// Slices of one write.
pub(super) const SLICES: usize = 64;

/// How much of the journal the destination has seen; sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Everything before it is done: points before it count as delivered already.
    pub(super) position: u64,
    /// Everything before it was written once: points before it are repeats.
    pub(super) sent: u64,
}

/// What a write finished, in points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sent {
    /// All points.
    pub(super) points: u64,
    /// Those of them that were written before.
    pub(super) repeats: u64,
    /// Everything before it has been written; 0: no change.
    pub(super) end_seq: u64,
}

/// Bytes to be written, from one take of the journal.
#[derive(Debug)]
pub(super) struct Outgoing {
    protocol: Protocol,
    points_per_frame: usize,
    deliveries: Vec<Delivery>,
    /// Bytes that had to be made.
    made: Vec<u8>,
    parts: VecDeque<Part>,
    /// Bytes of the first part that are written.
    offset: usize,
}

/// One slice of a write.
#[derive(Debug)]
struct Part {
    bytes: Bytes,
    points: u64,
    repeats: u64,
    end_seq: u64,
}

#[derive(Debug)]
enum Bytes {
    /// The text of the delivery with this index.
    Text(usize),
    /// A range of `made`.
    Made(Range<usize>),
}

impl Outgoing {
    pub(super) fn new(protocol: Protocol, points_per_frame: usize) -> Self {
        Self {
            protocol,
            points_per_frame: points_per_frame.max(1),
            deliveries: Vec::new(),
            made: Vec::new(),
            parts: VecDeque::new(),
            offset: 0,
        }
    }

    /// Whether everything is written.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Forgets what is not written.
    pub(super) fn clear(&mut self) {
        self.deliveries.clear();
        self.parts.clear();
        self.offset = 0;
        if self.made.capacity() > KEPT {
            self.made = Vec::new();
        }
        self.made.clear();
    }

    /// Takes what is to be written next, and enters it in `acks`. To be called when it is empty.
    pub(super) fn load(&mut self, deliveries: &mut Vec<Delivery>, seen: Seen, acks: &mut Acks) {
        self.clear();
        std::mem::swap(&mut self.deliveries, deliveries);
        match self.protocol {
            Protocol::Plaintext => self.lines(seen, acks),
            Protocol::Pickle => self.frames(frame::write, seen, acks),
            Protocol::Protobuf => self.frames(protobuf_frame, seen, acks),
        }
    }

    fn lines(&mut self, seen: Seen, acks: &mut Acks) {
        for (index, delivery) in self.deliveries.iter().enumerate() {
            let start = self.made.len();
            let text = &delivery.batch.text;
            let whole = match &delivery.mine {
                Mine::All if text.len() > SMALL => true,
                Mine::All => {
                    self.made.extend_from_slice(text);
                    false
                }
                Mine::Some(_) => {
                    samples(delivery).for_each(|s| self.made.extend_from_slice(delivery.batch.line(s)));
                    false
                }
            };
            let made = start..self.made.len();
            let bytes = if whole { text.len() } else { made.len() };
            enter(delivery, bytes, seen, acks);
            let (points, end_seq) = (delivery.points(), delivery.batch.end_seq());
            let repeats = if end_seq <= seen.sent { points } else { 0 };
            let bytes = if whole { Bytes::Text(index) } else { Bytes::Made(made) };
            push(&mut self.parts, Part { bytes, points, repeats, end_seq });
        }
    }

    fn frames(&mut self, write: fn(&[Point<'_>], &mut Vec<u8>), seen: Seen, acks: &mut Acks) {
        let points: Vec<Point<'_>> =
            self.deliveries.iter().flat_map(|delivery| points(delivery, seen)).collect();
        let mut ending = self.deliveries.iter().peekable();
        let (mut framed, mut ended, mut entered) = (0, 0, 0);
        let mut left = points.as_slice();
        while let Some((chunk, rest)) = frame::split(left, self.points_per_frame) {
            left = rest;
            let start = self.made.len();
            write(chunk, &mut self.made);
            framed += chunk.len() as u64;
            // Deliveries whose last point is in this frame.
            let mut end_seq = 0;
            while let Some(delivery) = ending.next_if(|delivery| ended + delivery.points() <= framed) {
                ended += delivery.points();
                enter(delivery, self.made.len() - entered, seen, acks);
                entered = self.made.len();
                end_seq = delivery.batch.end_seq();
            }
            let repeats = chunk.iter().filter(|point| point.is_repeat).count() as u64;
            let bytes = Bytes::Made(start..self.made.len());
            self.parts.push_back(Part { bytes, points: chunk.len() as u64, repeats, end_seq });
        }
    }

    /// Fills `slices` with what is to be written next; how many it filled.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let mut filled = 0;
        for (slice, part) in slices.iter_mut().zip(&self.parts) {
            let offset = if filled == 0 { self.offset } else { 0 };
            *slice = IoSlice::new(self.bytes(part).get(offset..).unwrap_or_default());
            filled += 1;
        }
        filled
    }

    /// What is left of the first part, which ends where a line or a frame does; `None`: nothing is left.
    pub(super) fn first(&self) -> Option<&[u8]> {
        self.parts.front().and_then(|part| self.bytes(part).get(self.offset..))
    }

    fn bytes(&self, part: &Part) -> &[u8] {
        match &part.bytes {
            Bytes::Text(index) => self.deliveries.get(*index).map(|delivery| delivery.batch.text.as_slice()),
            Bytes::Made(range) => self.made.get(range.clone()),
        }
        .unwrap_or_default()
    }

    /// So many bytes were written: which points that finished.
    pub(super) fn advance(&mut self, written: usize) -> Sent {
        let mut sent = Sent::default();
        self.offset += written;
        while let Some(part) = self.parts.front() {
            let length = self.bytes(part).len();
            if self.offset < length {
                break;
            }
            self.offset -= length;
            sent.points += part.points;
            sent.repeats += part.repeats;
            sent.end_seq = sent.end_seq.max(part.end_seq);
            self.parts.pop_front();
        }
        if self.parts.is_empty() {
            self.clear();
        }
        sent
    }
}

/// Adds a part; small made ones are put together.
fn push(parts: &mut VecDeque<Part>, part: Part) {
    if let (Some(last), Bytes::Made(range)) = (parts.back_mut(), &part.bytes)
        && let Bytes::Made(before) = &mut last.bytes
        && range.end - before.start <= PART
    {
        before.end = range.end;
        last.points += part.points;
        last.repeats += part.repeats;
        last.end_seq = part.end_seq;
    } else {
        parts.push_back(part);
    }
}

/// Enters a delivery, of which the last of `bytes` is written last, in the account of the connection.
fn enter(delivery: &Delivery, bytes: usize, seen: Seen, acks: &mut Acks) {
    let batch = &delivery.batch;
    let done = seen.position.saturating_sub(batch.first_seq).min(batch.len() as u64);
    let fresh = match &delivery.mine {
        Mine::All => batch.len() as u64 - done,
        Mine::Some(indexes) => (indexes.len() - indexes.partition_point(|i| u64::from(*i) < done)) as u64,
    };
    acks.queue(bytes as u64, batch.first_seq, batch.end_seq(), fresh);
}

/// The samples of a delivery that are the destination's.
fn samples(delivery: &Delivery) -> impl Iterator<Item = &Sample> {
    let all = &delivery.batch.samples;
    let (whole, picked) = match &delivery.mine {
        Mine::All => (all.as_slice(), [].as_slice()),
        Mine::Some(indexes) => ([].as_slice(), indexes.as_slice()),
    };
    whole.iter().chain(picked.iter().filter_map(|index| all.get(*index as usize)))
}

/// Appends a frame of protobuf to `out`.
fn protobuf_frame(points: &[Point<'_>], out: &mut Vec<u8>) {
    protobuf::write(points.iter().map(|point| (point.name, point.ts, point.value)), out);
}

/// The points of a delivery, for a frame.
fn points(delivery: &Delivery, seen: Seen) -> impl Iterator<Item = Point<'_>> {
    let is_repeat = delivery.batch.end_seq() <= seen.sent;
    samples(delivery).map(move |sample| Point {
        name: delivery.batch.name(sample),
        ts: sample.ts,
        value: sample.value,
        is_repeat,
    })
}

#[cfg(test)]
mod tests;
