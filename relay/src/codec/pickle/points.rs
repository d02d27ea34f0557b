//! From the top-level list of a frame to points: `(name, (timestamp, value))`, lists or tuples at
//! each level, and `(name, (timestamp, value), (timestamp, value), …)` as some Go senders write.

use super::item::{Heap, Item, Members, Piece, Span};
use super::machine::Machine;
use super::number;
use crate::codec::frame::{Limits, NUMBERS};
use skyline_core::batch::BatchBuilder;
use skyline_core::reject::Reject;

/// How far a frame's items were taken.
#[derive(Debug, Default)]
pub(super) struct Progress {
    piece: Option<Piece>,
    /// Items of `piece` that were taken.
    taken: u32,
    /// Datapoints that were taken of the item after them.
    within: usize,
    /// Bytes of lines that the frame has become.
    text: usize,
    /// Members looked at: what an item that is referred to many times costs each time.
    work: usize,
}

impl Progress {
    /// Starts at the first item; an error if there is no list.
    pub(super) fn begin(&mut self, piece: Option<Piece>) -> Result<(), Reject> {
        *self = Self { piece, ..Self::default() };
        if piece.is_some() { Ok(()) } else { Err(Reject::Frame) }
    }
}

impl Machine {
    /// Bytes of lines that the frame has become so far, rounded up.
    #[must_use]
    pub const fn emitted(&self) -> usize {
        self.progress.text
    }

    /// Takes points of the frame that was [`Machine::run`] last, in order, until they have become
    /// about `room` bytes of lines. True when all are taken; else it wants to be called again.
    ///
    /// What is not taken is passed to `refused` with its name, if it has one. Beyond
    /// [`Limits::text_bytes`] the rest of the frame is refused as [`Reject::FrameTooLong`], the rest of the
    /// item one by one and then one an item.
    pub fn emit(
        &mut self,
        frame: &[u8],
        limits: Limits,
        room: usize,
        out: &mut BatchBuilder,
        refused: &mut impl FnMut(&[u8], Reject),
    ) -> bool {
        let view = View { frame, made: &self.made, heap: &self.heap, limits };
        let progress = &mut self.progress;
        let stop_at = progress.text.saturating_add(room);
        while let Some(piece) = progress.piece {
            while progress.taken < piece.cells.len {
                let item = view.heap.cell(piece.cells.at + progress.taken);
                if progress.text >= stop_at || !view.item(item, progress, stop_at, out, refused) {
                    return false;
                }
                progress.taken += 1;
                progress.within = 0;
            }
            progress.piece = view.heap.next_piece(piece);
            progress.taken = 0;
        }
        true
    }
}

/// All that items point into.
#[derive(Clone, Copy)]
struct View<'a> {
    frame: &'a [u8],
    made: &'a [u8],
    heap: &'a Heap,
    limits: Limits,
}

impl View<'_> {
    /// Takes an item's datapoints until there is text up to `stop_at`; whether that were all.
    #[inline]
    fn item(
        self,
        item: Item,
        progress: &mut Progress,
        stop_at: usize,
        out: &mut BatchBuilder,
        refused: &mut impl FnMut(&[u8], Reject),
    ) -> bool {
        let mut refuse = |name: &[u8], why: Reject| {
            refused(name, why);
            true
        };
        if self.is_spent(progress) && progress.within == 0 {
            return refuse(&[], Reject::FrameTooLong);
        }
        let (name, one);
        let data: &[Item] = match self.heap.members(item) {
            Members::Two(first, second) => {
                (name, one) = (first, [second]);
                &one
            }
            Members::Many([first, rest @ ..]) if !rest.is_empty() => {
                name = *first;
                rest
            }
            _ => return refuse(&[], Reject::Item),
        };
        let name = match name {
            Item::Text(span) => bytes(self.frame, span),
            Item::Made(span) => bytes(self.made, span),
            Item::Garbled(span) => return refuse(bytes(self.frame, span), Reject::Name),
            _ => return refuse(&[], Reject::Item),
        };
        if progress.within == 0 {
            progress.work += data.len();
            // All or nothing: an item with anything else among its pairs is of another shape.
            if data.len() > 1 && data.iter().any(|d| !matches!(self.heap.members(*d), Members::Two(..))) {
                return refuse(name, Reject::Item);
            }
        }
        for datapoint in data.iter().skip(progress.within) {
            // One item can hold most of its frame.
            if progress.within > 0 && progress.text >= stop_at {
                return false;
            }
            progress.within += 1;
            let taken = if progress.text > self.limits.text_bytes {
                Err(Reject::FrameTooLong)
            } else {
                self.point(name, *datapoint, out)
            };
            match taken {
                Ok(()) => progress.text += name.len() + NUMBERS,
                Err(why) => refused(name, why),
            }
        }
        true
    }

    /// Whether the frame has become as much as it may, or costs as much.
    fn is_spent(self, progress: &Progress) -> bool {
        progress.text > self.limits.text_bytes || progress.work > 8 * self.frame.len()
    }

    #[inline]
    fn point(self, name: &[u8], datapoint: Item, out: &mut BatchBuilder) -> Result<(), Reject> {
        let Members::Two(ts, value) = self.heap.members(datapoint) else { return Err(Reject::Item) };
        let ts = self.number(ts).ok_or(Reject::Time)?;
        let value = self.number(value).ok_or(Reject::Value)?;
        out.point(name, ts, value)
    }

    #[inline]
    fn number(self, item: Item) -> Option<f64> {
        match item {
            Item::Number(number) => Some(number),
            Item::Text(span) => number::of_text(bytes(self.frame, span)),
            Item::Made(span) => number::of_text(bytes(self.made, span)),
            _ => None,
        }
    }
}

#[inline]
fn bytes(all: &[u8], span: Span) -> &[u8] {
    let at = span.at as usize;
    all.get(at..at + span.len as usize).unwrap_or_default()
}
