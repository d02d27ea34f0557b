//! lz4: frames one after the other, each a header, blocks, an end. Facts: lz4:doc/lz4_Frame_format.md.
//!
//! Blocks are taken out of the stream here and unpacked one by one, so that a frame which stays open for
//! hours, or for ever, holds the last 64 KiB of its text and no more.

use super::Fault;
use lz4_flex::block::decompress_into_with_dict;
use std::fmt;
use xxhash_rust::xxh32::{Xxh32, xxh32};

const MAGIC: u32 = 0x184d_2204;
/// The first of sixteen numbers of frames that are to be passed over.
const SKIPPABLE: u32 = 0x184d_2a50;

/// So far a block may refer back.
const WINDOW: usize = 64 << 10;

/// A buffer that is larger than this is given back once its part of a frame is done, bytes.
const KEPT_BYTES: usize = 4_096;

/// Unpacks frames.
#[derive(Debug)]
pub(in crate::listen) struct Lz4 {
    /// What has come of the next part of a frame. Grows with the bytes that arrive.
    held: Vec<u8>,
    at: At,
}

#[derive(Debug)]
enum At {
    /// Before a frame.
    Between,
    /// So many bytes are to be passed over.
    Skip(u32),
    Blocks(Box<Frame>),
}

/// What a frame's header says, and what its blocks need of those before.
#[derive(Debug)]
struct Frame {
    max_block: usize,
    has_block_checksums: bool,
    /// Of the whole text, if it has a checksum.
    checksum: Option<Checksum>,
    /// The last text, if blocks refer to it.
    window: Option<Vec<u8>>,
}

struct Checksum(Xxh32);

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checksum")
    }
}

impl Lz4 {
    pub(super) const fn new() -> Self {
        Self { held: Vec::new(), at: At::Between }
    }

    pub(super) const fn is_cut(&self) -> bool {
        !self.held.is_empty()
    }

    /// Unpacks one block at most.
    pub(super) fn step(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        let start = out.len();
        while out.len() == start {
            if let At::Skip(left) = &mut self.at {
                let now = input.len().min(*left as usize);
                *input = input.get(now..).unwrap_or_default();
                *left -= now as u32;
                if *left > 0 {
                    return Ok(false);
                }
                self.at = At::Between;
            }
            // The length of a part is known once its beginning is there.
            let mut need = 4;
            loop {
                if !gather(&mut self.held, input, need) {
                    return Ok(false);
                }
                let whole = self.at.length(first(&self.held, input, need))?;
                if whole <= need {
                    break;
                }
                need = whole;
            }
            let part = first(&self.held, input, need);
            let next = self.at.take(part, out)?;
            if self.held.is_empty() {
                *input = input.get(need..).unwrap_or_default();
            } else if self.held.capacity() > KEPT_BYTES {
                self.held = Vec::new();
            } else {
                self.held.clear();
            }
            if let Some(next) = next {
                self.at = next;
            }
        }
        Ok(true)
    }
}

/// Whether `need` bytes have come, in what is held or in `input`. If not, all of `input` is held.
fn gather(held: &mut Vec<u8>, input: &mut &[u8], need: usize) -> bool {
    if held.is_empty() && input.len() >= need {
        return true;
    }
    let missing = need.saturating_sub(held.len()).min(input.len());
    let (now, rest) = input.split_at(missing);
    held.extend_from_slice(now);
    *input = rest;
    held.len() >= need
}

/// The `need` bytes that were gathered.
fn first<'a>(held: &'a [u8], input: &'a [u8], need: usize) -> &'a [u8] {
    if held.is_empty() { input.get(..need) } else { held.get(..need) }.unwrap_or_default()
}

/// Whether a bit of a byte is set.
const fn bit(byte: u8, n: u8) -> bool {
    byte >> n & 1 == 1
}

/// The four bytes at an offset.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))
}

/// The length of a block and whether it is stored as it is; `None`: the end of the frame.
fn block(size: u32) -> Option<(usize, bool)> {
    (size != 0).then_some(((size & 0x7fff_ffff) as usize, bit((size >> 24) as u8, 7)))
}

impl At {
    /// Length of the part that begins with `start`, as far as that tells.
    fn length(&self, start: &[u8]) -> Result<usize, Fault> {
        let first = number(start, 0).unwrap_or_default();
        match self {
            Self::Blocks(frame) => match block(first) {
                None => Ok(if frame.checksum.is_some() { 8 } else { 4 }),
                Some((length, _)) if length > frame.max_block => Err("a block of lz4 that is too long"),
                Some((length, _)) => Ok(4 + length + if frame.has_block_checksums { 4 } else { 0 }),
            },
            _ if first & 0xffff_fff0 == SKIPPABLE => Ok(8),
            _ if first != MAGIC => Err("no lz4 frame"),
            _ => Ok(match start.get(4) {
                None => 7,
                Some(flags) => 7 + if bit(*flags, 3) { 8 } else { 0 } + if bit(*flags, 0) { 4 } else { 0 },
            }),
        }
    }

    /// Takes a part. What comes after it, if that is another state.
    fn take(&mut self, part: &[u8], out: &mut Vec<u8>) -> Result<Option<Self>, Fault> {
        let first = number(part, 0).unwrap_or_default();
        match self {
            Self::Blocks(frame) => match block(first) {
                None => frame.end(part).map(|()| Some(Self::Between)),
                Some((length, is_stored)) => frame.block(part, length, is_stored, out).map(|()| None),
            },
            _ if first == MAGIC => Frame::of(part).map(|frame| Some(Self::Blocks(Box::new(frame)))),
            _ => Ok(Some(Self::Skip(number(part, 4).unwrap_or_default()))),
        }
    }
}

impl Frame {
    /// Reads a header.
    fn of(header: &[u8]) -> Result<Self, Fault> {
        let [_, _, _, _, flags, sizes, .., check] = *header else { return Err("no lz4 frame") };
        if flags >> 6 != 1 {
            return Err("an unknown version of lz4 frames");
        }
        if bit(flags, 0) {
            return Err("an lz4 frame with a dictionary");
        }
        let described = header.get(4..header.len() - 1).unwrap_or_default();
        if (xxh32(described, 0) >> 8) as u8 != check {
            return Err("an lz4 frame whose header is damaged");
        }
        let max_block = match sizes >> 4 & 7 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return Err("an unknown size of blocks of lz4"),
        };
        Ok(Self {
            max_block,
            has_block_checksums: bit(flags, 4),
            checksum: bit(flags, 2).then(|| Checksum(Xxh32::new(0))),
            window: (!bit(flags, 5)).then(Vec::new),
        })
    }

    fn block(&mut self, part: &[u8], length: usize, is_stored: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        let data = part.get(4..4 + length).unwrap_or_default();
        if self.has_block_checksums && number(part, 4 + length) != Some(xxh32(data, 0)) {
            return Err("a block of lz4 whose checksum is wrong");
        }
        let start = out.len();
        if is_stored {
            out.extend_from_slice(data);
        } else {
            out.resize(start + self.max_block, 0);
            let room = out.get_mut(start..).unwrap_or_default();
            let dictionary = self.window.as_deref().unwrap_or_default();
            let made = decompress_into_with_dict(data, room, dictionary)
                .map_err(|_| "a block of lz4 that cannot be unpacked")?;
            out.truncate(start + made);
        }
        let text = out.get(start..).unwrap_or_default();
        if let Some(checksum) = &mut self.checksum {
            checksum.0.update(text);
        }
        if let Some(window) = &mut self.window {
            let text = text.get(text.len().saturating_sub(WINDOW)..).unwrap_or_default();
            let beyond = (window.len() + text.len()).saturating_sub(WINDOW);
            window.drain(..beyond.min(window.len()));
            window.extend_from_slice(text);
        }
        Ok(())
    }

    /// The end of the frame.
    fn end(&self, part: &[u8]) -> Result<(), Fault> {
        match &self.checksum {
            Some(checksum) if number(part, 4) != Some(checksum.0.digest()) => {
                Err("an lz4 frame whose checksum is wrong")
            }
            _ => Ok(()),
        }
    }
}
