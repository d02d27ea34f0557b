//! The values of the machine: items, the array that containers are ranges of, the memo.

use std::collections::HashMap;

/// No chunk.
const NONE: u32 = u32::MAX;

/// A range of bytes or of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u32,
    pub(super) len: u32,
}

/// A value on the stack, in a container or in the memo. Points at what it does not hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Item {
    /// Nothing was put here (gaps in the memo).
    Unset,
    /// A value that fits nowhere in a datapoint: `None`, a frozen set.
    Opaque,
    /// A dictionary; what is in it does not matter.
    Dict,
    /// A set; likewise.
    Set,
    /// Any number that a double can hold.
    Number(f64),
    /// An integer that is too large for a double.
    Huge,
    /// UTF-8 text in the frame.
    Text(Span),
    /// UTF-8 text in the machine's own buffer, where escapes were resolved.
    Made(Span),
    /// A string in the frame that is not UTF-8, or has a lone surrogate.
    Garbled(Span),
    /// A tuple: its members are these cells.
    Tuple(Span),
    /// A list, by its number.
    List(u32),
}

/// A piece of a list: a range of cells.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    cells: Span,
    next: u32,
}

/// A list: its first and last chunk.
#[derive(Debug, Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

/// The members of a container, as far as points need them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Members<'a> {
    /// Exactly two.
    Two(Item, Item),
    /// Another number of them, in one piece.
    Many(&'a [Item]),
    /// Not a container, or one that no sender of points writes.
    Other,
}

/// All containers of a frame. Lists can grow after they were put somewhere, so they are chains
/// of chunks; a whole batch of appended items is one chunk.
#[derive(Debug, Default)]
pub(super) struct Heap {
    cells: Vec<Item>,
    chunks: Vec<Chunk>,
    lists: Vec<List>,
}

impl Heap {
    /// Forgets everything; gives memory back above `kept` cells.
    pub(super) fn clear(&mut self, kept: usize) {
        self.cells.clear();
        self.chunks.clear();
        self.lists.clear();
        self.cells.shrink_to(kept);
        self.chunks.shrink_to(kept);
        self.lists.shrink_to(kept);
    }

    /// A tuple of `members`.
    #[inline]
    pub(super) fn tuple(&mut self, members: &[Item]) -> Item {
        Item::Tuple(self.store(members))
    }

    /// An empty list.
    pub(super) fn list(&mut self) -> Item {
        self.lists.push(List { first: NONE, last: NONE });
        Item::List(self.lists.len() as u32 - 1)
    }

    /// Appends `members` to the list; `None` if the item is not a list.
    #[inline]
    pub(super) fn append(&mut self, list: Item, members: &[Item]) -> Option<()> {
        let Item::List(number) = list else { return None };
        if members.is_empty() {
            return Some(());
        }
        let cells = self.store(members);
        let chunk = self.chunks.len() as u32;
        let list = self.lists.get_mut(number as usize)?;
        if let Some(last) = self.chunks.get_mut(list.last as usize) {
            if last.cells.at + last.cells.len == cells.at {
                last.cells.len += cells.len;
                return Some(());
            }
            last.next = chunk;
            list.last = chunk;
        } else {
            *list = List { first: chunk, last: chunk };
        }
        self.chunks.push(Chunk { cells, next: NONE });
        Some(())
    }

    #[inline]
    fn store(&mut self, members: &[Item]) -> Span {
        let at = self.cells.len() as u32;
        self.cells.extend_from_slice(members);
        Span { at, len: members.len() as u32 }
    }

    /// The cell with that number.
    #[inline]
    pub(super) fn cell(&self, number: u32) -> Item {
        self.cells.get(number as usize).copied().unwrap_or(Item::Unset)
    }

    fn cells(&self, span: Span) -> &[Item] {
        let at = span.at as usize;
        self.cells.get(at..at + span.len as usize).unwrap_or_default()
    }

    /// The pieces of a list or tuple: the first range of cells and the number of the next chunk.
    /// `None` for anything else.
    pub(super) fn first_piece(&self, item: Item) -> Option<Piece> {
        match item {
            Item::Tuple(cells) => Some(Piece { cells, next: NONE }),
            Item::List(number) => {
                let list = self.lists.get(number as usize)?;
                let empty = Piece { cells: Span { at: 0, len: 0 }, next: NONE };
                Some(self.next_piece(Piece { next: list.first, ..empty }).unwrap_or(empty))
            }
            _ => None,
        }
    }

    /// The piece after `piece`.
    pub(super) fn next_piece(&self, piece: Piece) -> Option<Piece> {
        let chunk = self.chunks.get(piece.next as usize)?;
        Some(Piece { cells: chunk.cells, next: chunk.next })
    }

    /// What a container holds. Takes the same short time for any container.
    #[inline]
    pub(super) fn members(&self, item: Item) -> Members<'_> {
        let Some(piece) = self.first_piece(item) else { return Members::Other };
        let Some(next) = self.next_piece(piece) else {
            return match self.cells(piece.cells) {
                [a, b] => Members::Two(*a, *b),
                other => Members::Many(other),
            };
        };
        // A list that was filled by single appends: a pair has one cell in each of two chunks.
        match (self.cells(piece.cells), self.cells(next.cells), self.next_piece(next)) {
            ([a], [b], None) => Members::Two(*a, *b),
            _ => Members::Other,
        }
    }
}

/// A range of cells of a container, and where the container goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) cells: Span,
    next: u32,
}

/// What the frame has numbered for later. Numbers below the bytes read so far, which is what
/// every pickler writes, live in an array; any other number costs one entry, not an array.
#[derive(Debug, Default)]
pub(super) struct Memo {
    dense: Vec<Item>,
    sparse: HashMap<u64, Item>,
    entries: u64,
}

impl Memo {
    /// Forgets everything; gives memory back above `kept` entries.
    pub(super) fn clear(&mut self, kept: usize) {
        self.dense.clear();
        self.dense.shrink_to(kept);
        if !self.sparse.is_empty() {
            self.sparse = HashMap::new();
        }
        self.entries = 0;
    }

    /// Number of entries, which is the number that the next unnumbered one gets.
    pub(super) const fn len(&self) -> u64 {
        self.entries
    }

    /// Stores `item` under `key`; `read` bytes of the frame were read so far.
    #[inline]
    pub(super) fn put(&mut self, key: u64, item: Item, read: usize) {
        if key == self.dense.len() as u64 && self.sparse.is_empty() {
            self.dense.push(item);
            self.entries += 1;
        } else {
            self.put_elsewhere(key, item, read);
        }
    }

    fn put_elsewhere(&mut self, key: u64, item: Item, read: usize) {
        if self.get(key).is_none() {
            self.entries += 1;
        }
        if key >= read as u64 {
            self.sparse.insert(key, item);
            return;
        }
        let key = key as usize;
        if key >= self.dense.len() {
            self.dense.resize(key + 1, Item::Unset);
        }
        if let Some(slot) = self.dense.get_mut(key) {
            *slot = item;
        }
        if !self.sparse.is_empty() {
            self.sparse.remove(&(key as u64));
        }
    }

    /// The item under `key`.
    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<Item> {
        match usize::try_from(key).ok().and_then(|at| self.dense.get(at)) {
            Some(Item::Unset) | None => self.sparse.get(&key).copied(),
            Some(item) => Some(*item),
        }
    }
}
