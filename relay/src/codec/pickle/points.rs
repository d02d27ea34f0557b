//! From the top-level list of a frame to points: `(name, (timestamp, value))`, lists or tuples at
//! each level, and `(name, (timestamp, value), (timestamp, value), …)` as some Go senders write.

use super::Limits;
use super::item::{Heap, Item, Members, Piece, Span};
use super::machine::Machine;
use super::number;
use skyline_core::batch::BatchBuilder;
use skyline_core::reject::Reject;

/// Longest text of the two numbers of a line, with blanks and LF, bytes.
const NUMBERS: usize = 52;

/// How far a frame's items were taken.
#[derive(Debug, Default)]
pub(super) struct Progress {
    piece: Option<Piece>,
    /// Items of `piece` that were taken.
    taken: u32,
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
    /// [`Limits::text_bytes`] the rest of the frame is refused, one [`Reject::FrameTooLong`] an item.
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
                if progress.text >= stop_at {
                    return false;
                }
                let item = view.heap.cell(piece.cells.at + progress.taken);
                progress.taken += 1;
                view.item(item, progress, out, refused);
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
    #[inline]
    fn item(
        self,
        item: Item,
        progress: &mut Progress,
        out: &mut BatchBuilder,
        refused: &mut impl FnMut(&[u8], Reject),
    ) {
        if progress.text > self.limits.text_bytes || progress.work > 8 * self.frame.len() {
            return refused(&[], Reject::FrameTooLong);
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
            _ => return refused(&[], Reject::Item),
        };
        progress.work += data.len();
        let name = match name {
            Item::Text(span) => bytes(self.frame, span),
            Item::Made(span) => bytes(self.made, span),
            Item::Garbled(span) => return refused(bytes(self.frame, span), Reject::Name),
            _ => return refused(&[], Reject::Item),
        };
        // All or nothing: an item with anything else among its pairs is of another shape.
        if data.len() > 1 && data.iter().any(|d| !matches!(self.heap.members(*d), Members::Two(..))) {
            return refused(name, Reject::Item);
        }
        for datapoint in data {
            match self.point(name, *datapoint, out) {
                Ok(()) => progress.text += name.len() + NUMBERS,
                Err(why) => refused(name, why),
            }
        }
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
