//! The stack machine: one pass over the opcodes of a frame.

use super::item::{Heap, Item, Memo, Span};
use super::number;
use super::text::{self, Unescaped};
use skyline_core::reject::Reject;

/// Open marks at most. Points need three; a frame of nothing but marks ends here.
const MAX_MARKS: usize = 64;

/// Bytes of an integer at most (opcode `LONG4`).
const MAX_LONG: usize = 1_024;

/// Newest protocol that is understood.
const MAX_PROTOCOL: u8 = 5;

/// Items of each kind for which memory is kept between frames: a frame of 500 points needs
/// about 3,000. A larger frame gives back what it took beyond.
const KEPT: usize = 16_384;

/// Decodes frames; keeps its memory between them. [`Machine::run`] reads a frame,
/// [`Machine::emit`] then takes the points out.
#[derive(Debug, Default)]
pub struct Machine {
    stack: Vec<Item>,
    marks: Vec<u32>,
    /// Height of the stack below which nothing may be popped: the innermost mark.
    fence: usize,
    pub(super) heap: Heap,
    memo: Memo,
    /// Strings whose escapes were resolved.
    pub(super) made: Vec<u8>,
    pub(super) progress: super::points::Progress,
}

/// The frame and how far it is read.
#[derive(Debug, Clone, Copy)]
struct Input<'a> {
    frame: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.frame.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.frame.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(bytes)
    }

    /// The next `length` bytes and where they are.
    #[inline]
    fn take(&mut self, length: usize) -> Option<(&'a [u8], Span)> {
        let end = self.at.checked_add(length)?;
        let bytes = self.frame.get(self.at..end)?;
        let span = Span { at: self.at as u32, len: length as u32 };
        self.at = end;
        Some((bytes, span))
    }

    /// The bytes up to the next LF, which is skipped.
    fn line(&mut self) -> Option<(&'a [u8], Span)> {
        let length = memchr::memchr(b'\n', self.frame.get(self.at..)?)?;
        let taken = self.take(length);
        self.at += 1;
        taken
    }
}

impl Machine {
    /// A machine that has not read anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a frame (without its length prefix) up to its STOP opcode; what follows is ignored.
    ///
    /// # Errors
    /// [`Reject::Frame`]: it is cut, it asks for something other than plain data, or it does not
    /// hold a list or tuple.
    pub fn run(&mut self, frame: &[u8]) -> Result<(), Reject> {
        self.stack.clear();
        self.stack.shrink_to(KEPT);
        self.marks.clear();
        self.fence = 0;
        self.heap.clear(KEPT);
        self.memo.clear(KEPT);
        self.made.clear();
        self.made.shrink_to(KEPT);
        let short = u32::try_from(frame.len()).is_ok();
        let top = if short { self.execute(Input { frame, at: 0 }) } else { None };
        self.progress.begin(top.and_then(|top| self.heap.first_piece(top)))
    }

    /// Runs the opcodes that make up nearly all of real frames; the others are in `rarely`.
    /// `None`: the frame is refused.
    fn execute(&mut self, mut input: Input<'_>) -> Option<Item> {
        loop {
            let op = input.byte()?;
            match op {
                b'q' => {
                    let key = input.byte()?;
                    self.remember(u64::from(key), input.at)?;
                }
                0x94 => self.remember(self.memo.len(), input.at)?,
                b'r' => {
                    let key = u32::from_le_bytes(input.array()?);
                    self.remember(u64::from(key), input.at)?;
                }
                b'J' => {
                    let n = i32::from_le_bytes(input.array()?);
                    self.stack.push(Item::Number(f64::from(n)));
                }
                b'G' => {
                    let x = f64::from_be_bytes(input.array()?);
                    self.stack.push(Item::Number(x));
                }
                b'K' => {
                    let n = input.byte()?;
                    self.stack.push(Item::Number(f64::from(n)));
                }
                0x86 => self.tuple(2)?,
                b'X' => {
                    let length = u32::from_le_bytes(input.array()?);
                    self.unicode(&mut input, length as usize)?;
                }
                0x8c => {
                    let length = input.byte()?;
                    self.unicode(&mut input, usize::from(length))?;
                }
                b'U' => {
                    let length = input.byte()?;
                    self.string(&mut input, usize::from(length))?;
                }
                b'h' => {
                    let key = input.byte()?;
                    self.recall(u64::from(key))?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(input.array()?);
                    self.recall(u64::from(key))?;
                }
                b'(' => self.mark()?,
                b']' => {
                    let list = self.heap.list();
                    self.stack.push(list);
                }
                b'e' => self.extend()?,
                b'a' => {
                    let item = self.pop()?;
                    self.heap.append(self.top()?, &[item])?;
                }
                b't' => {
                    let start = self.unmark()?;
                    let tuple = self.heap.tuple(self.stack.get(start..)?);
                    self.replace(start, tuple);
                }
                b'.' => return self.pop(),
                _ => self.rarely(op, &mut input)?,
            }
        }
    }

    /// Scalars that real senders write seldom, and protocol 0.
    #[inline(never)]
    fn rarely(&mut self, op: u8, input: &mut Input<'_>) -> Option<()> {
        let item = match op {
            0x80 => return (input.byte()? <= MAX_PROTOCOL).then_some(()),
            // The length of a protocol 4 frame is of no use: the end of the body rules.
            0x95 => return input.array::<8>().map(|_| ()),
            b'M' => Item::Number(f64::from(u16::from_le_bytes(input.array()?))),
            b'I' => number::integer_or_bool(input.line()?.0)?,
            b'L' => {
                let line = input.line()?.0;
                number::integer(line.strip_suffix(b"L").unwrap_or(line))?
            }
            b'F' => number::float(input.line()?.0)?,
            0x8a => {
                let length = input.byte()?;
                number::long(input.take(usize::from(length))?.0)
            }
            0x8b => {
                let length = usize::try_from(i32::from_le_bytes(input.array()?)).ok()?;
                if length > MAX_LONG {
                    return None;
                }
                number::long(input.take(length)?.0)
            }
            0x88 => Item::Number(1.0),
            0x89 => Item::Number(0.0),
            b'N' => Item::Opaque,
            b'S' => self.quoted(input)?,
            b'V' => self.raw_unicode(input)?,
            b'T' => {
                let length = usize::try_from(i32::from_le_bytes(input.array()?)).ok()?;
                return self.string(input, length);
            }
            0x8d => {
                let length = usize::try_from(u64::from_le_bytes(input.array()?)).ok()?;
                return self.unicode(input, length);
            }
            b'C' => {
                let length = input.byte()?;
                bytes(input, usize::from(length))?
            }
            b'B' => {
                let length = u32::from_le_bytes(input.array()?);
                bytes(input, length as usize)?
            }
            0x8e => {
                let length = usize::try_from(u64::from_le_bytes(input.array()?)).ok()?;
                bytes(input, length)?
            }
            b'p' => {
                let key = key(input.line()?.0)?;
                return self.remember(key, input.at);
            }
            b'g' => {
                let key = key(input.line()?.0)?;
                return self.recall(key);
            }
            _ => return self.container(op),
        };
        self.stack.push(item);
        Some(())
    }

    /// The remaining containers. Dictionaries and sets are read so that a frame with one in it is
    /// not lost; what they hold is not a datapoint. Every other opcode refuses the frame.
    fn container(&mut self, op: u8) -> Option<()> {
        match op {
            b')' => self.tuple(0)?,
            0x85 => self.tuple(1)?,
            0x87 => self.tuple(3)?,
            b'l' => {
                let start = self.unmark()?;
                let list = self.heap.list();
                self.heap.append(list, self.stack.get(start..)?)?;
                self.replace(start, list);
            }
            b'}' => self.stack.push(Item::Dict),
            b'd' => {
                let start = self.unmark()?;
                self.replace(self.pairs_from(start)?, Item::Dict);
            }
            b's' => {
                self.pop()?;
                self.pop()?;
                (self.top()? == Item::Dict).then_some(())?;
            }
            b'u' => {
                let start = self.unmark()?;
                self.stack.truncate(self.pairs_from(start)?);
                (self.top()? == Item::Dict).then_some(())?;
            }
            0x8f => self.stack.push(Item::Set),
            0x90 => {
                let start = self.unmark()?;
                self.stack.truncate(start);
                (self.top()? == Item::Set).then_some(())?;
            }
            0x91 => {
                let start = self.unmark()?;
                self.replace(start, Item::Opaque);
            }
            _ => return None,
        }
        Some(())
    }

    /// `start`, if what lies above it are pairs of key and value.
    fn pairs_from(&self, start: usize) -> Option<usize> {
        self.stack.len().checked_sub(start)?.is_multiple_of(2).then_some(start)
    }

    #[inline]
    fn top(&self) -> Option<Item> {
        if self.stack.len() > self.fence { self.stack.last().copied() } else { None }
    }

    #[inline]
    fn pop(&mut self) -> Option<Item> {
        if self.stack.len() > self.fence { self.stack.pop() } else { None }
    }

    fn replace(&mut self, start: usize, item: Item) {
        self.stack.truncate(start);
        self.stack.push(item);
    }

    #[inline]
    fn mark(&mut self) -> Option<()> {
        if self.marks.len() >= MAX_MARKS {
            return None;
        }
        self.fence = self.stack.len();
        self.marks.push(self.fence as u32);
        Some(())
    }

    /// Takes the innermost mark away; the height of the stack at which it was.
    #[inline]
    fn unmark(&mut self) -> Option<usize> {
        let start = self.marks.pop()? as usize;
        self.fence = self.marks.last().map_or(0, |mark| *mark as usize);
        Some(start)
    }

    #[inline]
    fn tuple(&mut self, length: usize) -> Option<()> {
        let start = self.stack.len().checked_sub(length).filter(|start| *start >= self.fence)?;
        let tuple = self.heap.tuple(self.stack.get(start..)?);
        self.replace(start, tuple);
        Some(())
    }

    fn extend(&mut self) -> Option<()> {
        let start = self.unmark()?;
        let list = *self.stack.get(self.fence..start)?.last()?;
        self.heap.append(list, self.stack.get(start..)?)?;
        self.stack.truncate(start);
        Some(())
    }

    #[inline]
    fn remember(&mut self, key: u64, read: usize) -> Option<()> {
        self.memo.put(key, self.top()?, read);
        Some(())
    }

    #[inline]
    fn recall(&mut self, key: u64) -> Option<()> {
        self.stack.push(self.memo.get(key)?);
        Some(())
    }

    /// Text of Python 3: UTF-8; lone surrogates may be in it and spoil only their item.
    #[inline]
    fn unicode(&mut self, input: &mut Input<'_>, length: usize) -> Option<()> {
        let (bytes, span) = input.take(length)?;
        let item = if is_utf8(bytes) {
            Item::Text(span)
        } else if text::is_utf8_with_surrogates(bytes) {
            Item::Garbled(span)
        } else {
            return None;
        };
        self.stack.push(item);
        Some(())
    }

    /// A byte string of Python 2, which must be UTF-8 as in the reference.
    #[inline]
    fn string(&mut self, input: &mut Input<'_>, length: usize) -> Option<()> {
        let (bytes, span) = input.take(length)?;
        if !is_utf8(bytes) {
            return None;
        }
        self.stack.push(Item::Text(span));
        Some(())
    }

    fn quoted(&mut self, input: &mut Input<'_>) -> Option<Item> {
        let (line, span) = input.line()?;
        let inner = text::unquoted(line)?;
        if memchr::memchr(b'\\', inner).is_none() {
            // One byte in: the quote.
            let span = Span { at: span.at + 1, len: inner.len() as u32 };
            return is_utf8(inner).then_some(Item::Text(span));
        }
        let start = self.made.len();
        text::unescape(inner, &mut self.made)?;
        is_utf8(self.made.get(start..)?).then(|| self.made_since(start))
    }

    fn raw_unicode(&mut self, input: &mut Input<'_>) -> Option<Item> {
        let (line, span) = input.line()?;
        let start = self.made.len();
        Some(match text::raw_unicode(line, &mut self.made)? {
            Unescaped::AsIs => Item::Text(span),
            Unescaped::Surrogate => Item::Garbled(span),
            Unescaped::Written => self.made_since(start),
        })
    }

    fn made_since(&self, start: usize) -> Item {
        Item::Made(Span { at: start as u32, len: (self.made.len() - start) as u32 })
    }
}

#[inline]
fn is_utf8(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

/// Bytes of Python 3: text if they are UTF-8.
fn bytes(input: &mut Input<'_>, length: usize) -> Option<Item> {
    let (bytes, span) = input.take(length)?;
    Some(if is_utf8(bytes) { Item::Text(span) } else { Item::Garbled(span) })
}

/// A memo number written as text.
fn key(line: &[u8]) -> Option<u64> {
    std::str::from_utf8(line.trim_ascii()).ok()?.parse().ok()
}
