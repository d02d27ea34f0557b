//! Chunks: what is kept of a shard's windows outside of the node, and read by the node that takes them over.
//!
//! A shard has two kinds. *Blocks*: the sealed blocks that were new when the shard was handed out, those of an
//! hour together, by the time of their last points; written once, and of no use once the hour has left the window. *Open*: the
//! open tails of all its series, written anew each time. Both at once are the shard's windows as they were when it was handed out.
//!
//! A block that a late point has changed is handed out again; of blocks with the same points the one handed out
//! last is right.
//!
//! Layout (little-endian). Blocks: magic `SKYC`, version u32, entries, CRC-32 of all before. An entry: name length
//! u16, name, length u16 and bytes of a block ([`crate::block`], without its padding).
//! Open: magic `SKYO`, version u32, writer u64, time f64, position u64, seconds between two f64, released u8, length u8 and bytes of the node's
//! name, series u32, entries, CRC-32. An entry: name length u16, name, rank u32, what is kept of it f64 ([`Kept`]),
//! spelled-out times u8, points u16, first f64, step f64, [times f64 each], values f64 each.

mod kept;
mod read;
#[cfg(test)]
mod tests;

pub use kept::Kept;
pub use read::{Gathered, NotOne, Whole, read_header};

use crate::bits::PAD;
use crate::window::Window;

/// Seconds of the points whose blocks are handed out together.
pub const PERIOD: i64 = 3_600;
/// The copy from which blocks were restored or taken: whether there is such a copy is found out later.
pub const RESTORED: u8 = 1;
/// Bytes at the front of an open chunk that tell two apart: [`Header::mark`].
pub const MARK_BYTES: usize = 32;

const BLOCKS_MAGIC: [u8; 4] = *b"SKYC";
const OPEN_MAGIC: [u8; 4] = *b"SKYO";
const VERSION: u32 = 1;

/// Who has written a shard, when, and how far.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The node's own number, any.
    pub writer: u64,
    /// Seconds since the epoch.
    pub written_at: f64,
    /// Everything that its journal has before this is in the windows.
    pub position: u64,
    /// It is written again after so many seconds.
    pub every: f64,
    /// The writer has ended, and does not come back to it before it has looked.
    pub is_released: bool,
    /// The node's name, of which 255 bytes are kept.
    pub node: String,
}

impl Header {
    /// The first bytes of the chunk: no two writes have the same.
    #[must_use]
    pub fn mark(&self) -> [u8; MARK_BYTES] {
        let mut mark = [0; MARK_BYTES];
        let parts = [
            &OPEN_MAGIC[..],
            &VERSION.to_le_bytes(),
            &self.writer.to_le_bytes(),
            &self.written_at.to_bits().to_le_bytes(),
            &self.position.to_le_bytes(),
        ];
        for (slot, byte) in mark.iter_mut().zip(parts.concat()) {
            *slot = byte;
        }
        mark
    }
}

/// A shard as it is handed out.
#[derive(Debug, Default)]
pub struct HandOut {
    /// The blocks that were not handed out before: number of the hour since the epoch, and the chunk.
    pub blocks: Vec<(i64, Vec<u8>)>,
    /// The open chunk.
    pub open: Vec<u8>,
    /// Its first bytes.
    pub mark: [u8; MARK_BYTES],
    /// Every block is in it: what was handed out before is of no use.
    pub is_whole: bool,
    /// Series of the shard.
    pub series: u32,
    /// Points in `blocks`.
    pub block_points: u64,
    /// Points in `open`.
    pub open_points: u64,
}

impl HandOut {
    /// Bytes of all its chunks.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blocks.iter().map(|(_, chunk)| chunk.len()).sum::<usize>() + self.open.len()
    }
}

/// A shard that is being handed out.
#[derive(Debug)]
pub struct Chunks {
    out: HandOut,
    copy: u8,
    /// Where the number of series stands in the open chunk.
    count_at: usize,
}

impl Chunks {
    /// Nothing yet. `copy`: the copy that blocks are for; those that have its number are in it. `is_whole`: no block has.
    /// `room`: bytes that the open chunk will most likely have; so many are asked for at once.
    #[must_use]
    pub fn new(header: &Header, copy: u8, is_whole: bool, room: usize) -> Self {
        let mark = header.mark();
        let mut open = Vec::with_capacity(room.max(MARK_BYTES));
        open.extend_from_slice(&mark);
        open.extend_from_slice(&header.every.to_bits().to_le_bytes());
        open.push(u8::from(header.is_released));
        let node = header.node.as_bytes();
        let node = node.get(..node.len().min(usize::from(u8::MAX))).unwrap_or_default();
        open.push(node.len() as u8);
        open.extend_from_slice(node);
        let count_at = open.len();
        open.extend_from_slice(&[0; 4]);
        Self { count_at, out: HandOut { open, mark, is_whole, ..HandOut::default() }, copy }
    }

    /// Adds a series. `rank`: where its owner has it among the others; `kept`: what is kept beside its points.
    pub fn series(&mut self, name: &str, rank: u32, kept: Kept, window: &mut Window) {
        let skip = if window.sealed.is_empty() { usize::from(window.skip) } else { 0 };
        for block in window.sealed.iter_mut().filter(|block| block.copy != self.copy) {
            block.copy = self.copy;
            let hour = (block.last_ts() / PERIOD as f64).floor() as i64;
            let place = self.out.blocks.iter().position(|(of, _)| *of == hour).unwrap_or_else(|| {
                self.out.blocks.push((hour, [&BLOCKS_MAGIC[..], &VERSION.to_le_bytes()].concat()));
                self.out.blocks.len() - 1
            });
            let Some((_, chunk)) = self.out.blocks.get_mut(place) else { continue };
            let bytes = block.bytes().split_last_chunk::<PAD>().map_or(block.bytes(), |(bytes, _)| bytes);
            put_text(chunk, name);
            chunk.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            chunk.extend_from_slice(bytes);
            self.out.block_points += block.len() as u64;
        }
        let open = &mut self.out.open;
        put_text(open, name);
        open.extend_from_slice(&rank.to_le_bytes());
        open.extend_from_slice(&kept.pack().to_bits().to_le_bytes());
        let (values, times, first, step) = window.tail.parts();
        let n = values.len();
        let values = values.get(skip..).unwrap_or_default();
        // Times that were a progression from a point that has left might not be one from the next.
        let spelled: Vec<f64> = match skip {
            0 => Vec::new(),
            _ if times.is_empty() => (skip..n).map(|i| first + i as f64 * step).collect(),
            _ => times.get(skip..).unwrap_or_default().to_vec(),
        };
        let times = if skip > 0 { spelled.as_slice() } else { times };
        open.push(u8::from(!times.is_empty()));
        open.extend_from_slice(&(values.len() as u16).to_le_bytes());
        for number in [first, step].iter().chain(times).chain(values) {
            open.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        self.out.open_points += values.len() as u64;
        self.out.series += 1;
    }

    /// The chunks.
    #[must_use]
    pub fn finish(mut self) -> HandOut {
        for (_, chunk) in &mut self.out.blocks {
            chunk.extend_from_slice(&crc32fast::hash(chunk).to_le_bytes());
        }
        let open = &mut self.out.open;
        if let Some(count) = open.get_mut(self.count_at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
            *count = self.out.series.to_le_bytes();
        }
        open.extend_from_slice(&crc32fast::hash(open).to_le_bytes());
        self.out
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}
