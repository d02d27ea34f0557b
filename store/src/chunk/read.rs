//! Reading chunks, and putting windows together from them.

use super::{BLOCKS_MAGIC, Header, Kept, OPEN_MAGIC, RESTORED, VERSION};
use crate::bits::PAD;
use crate::block::{BLOCK_POINTS, Block, MAX_BLOCK_BYTES, Sealer};
use crate::input::Input;
use crate::window::{Tail, Window};
use std::collections::{HashMap, VecDeque};

/// Bytes that are not the chunk that they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no chunk of this version, or damaged: {0}")]
pub struct NotOne(&'static str);

/// A series of all chunks of its shard.
#[derive(Debug)]
pub struct Whole {
    /// Its name, not checked.
    pub name: Box<str>,
    /// Where its owner had it among the others.
    pub rank: u32,
    /// What is kept of it beside its points.
    pub kept: Kept,
    /// Its points. Blocks belong to the copy [`RESTORED`].
    pub window: Window,
}

/// What was read of a shard so far.
#[derive(Debug, Default)]
pub struct Gathered {
    series: HashMap<Box<str>, Parts, foldhash::fast::RandomState>,
}

#[derive(Debug, Default)]
struct Parts {
    rank: u32,
    kept: Option<Kept>,
    blocks: Vec<Block>,
    tail: Option<Tail>,
}

/// The body of a chunk: without magic, version and checksum.
fn body<'a>(bytes: &'a [u8], magic: &[u8; 4]) -> Result<Input<'a>, NotOne> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(NotOne("too short"))?;
    let mut input = Input(body);
    if input.take(4) != Some(magic) || input.u32() != Some(VERSION) {
        return Err(NotOne("magic and version"));
    }
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(NotOne("checksum"));
    }
    Ok(input)
}

/// Who has written an open chunk; of its bytes the first three hundred are enough.
///
/// # Errors
/// It is no open chunk.
pub fn read_header(bytes: &[u8]) -> Result<Header, NotOne> {
    let mut input = Input(bytes);
    if input.take(4) != Some(&OPEN_MAGIC) || input.u32() != Some(VERSION) {
        return Err(NotOne("magic and version"));
    }
    header(&mut input).ok_or(NotOne("header"))
}

fn header(input: &mut Input<'_>) -> Option<Header> {
    let (writer, written_at, position) = (input.u64()?, input.f64()?, input.u64()?);
    let (every, released, len) = (input.f64()?, input.u8()?, input.u8()?);
    let node = String::from_utf8_lossy(input.take(usize::from(len))?).into_owned();
    // Whoever is looked at by its header alone has no checksum.
    if !written_at.is_finite() || !every.is_finite() {
        return None;
    }
    Some(Header { writer, written_at, position, every, is_released: released != 0, node })
}

fn text<'a>(input: &mut Input<'a>) -> Option<&'a str> {
    let len = usize::from(input.u16()?);
    std::str::from_utf8(input.take(len)?).ok()
}

impl Gathered {
    /// Adds a chunk of blocks. Chunks are to be added in the order in which they were handed out. How many blocks were
    /// none and are left out.
    ///
    /// # Errors
    /// It is no such chunk; the blocks before the place that is wrong were added.
    pub fn add_blocks(&mut self, bytes: &[u8]) -> Result<u64, NotOne> {
        let mut input = body(bytes, &BLOCKS_MAGIC)?;
        let (mut padded, mut lost) = (Vec::with_capacity(MAX_BLOCK_BYTES), 0);
        while !input.0.is_empty() {
            let entry = text(&mut input).and_then(|name| {
                let len = usize::from(input.u16()?);
                Some((name, input.take(len)?))
            });
            let (name, packed) = entry.ok_or(NotOne("a block's entry"))?;
            padded.clear();
            padded.extend_from_slice(packed);
            padded.resize(packed.len() + PAD, 0);
            match Block::from_bytes(&padded, 0) {
                Some(mut block) => {
                    block.copy = RESTORED;
                    self.of(name).blocks.push(block);
                }
                None => lost += 1,
            }
        }
        Ok(lost)
    }

    /// Adds the open chunk; who has written it.
    ///
    /// # Errors
    /// It is no such chunk.
    pub fn add_open(&mut self, bytes: &[u8]) -> Result<Header, NotOne> {
        let mut input = body(bytes, &OPEN_MAGIC)?;
        let header = header(&mut input).ok_or(NotOne("header"))?;
        let count = input.u32().ok_or(NotOne("number of series"))?;
        for _ in 0..count {
            self.tail(&mut input).ok_or(NotOne("a tail's entry"))?;
        }
        Ok(header)
    }

    fn tail(&mut self, input: &mut Input<'_>) -> Option<()> {
        let name = text(input)?;
        let (rank, kept) = (input.u32()?, Kept::unpack(input.f64()?));
        let is_spelled_out = input.u8()? != 0;
        let n = usize::from(input.u16()?);
        let (first, step) = (input.f64()?, input.f64()?);
        let mut numbers = |n: usize| -> Option<Vec<f64>> {
            let bytes = input.take(8 * n)?.as_chunks::<8>().0;
            Some(bytes.iter().map(|b| f64::from_bits(u64::from_le_bytes(*b))).collect())
        };
        let times = numbers(if is_spelled_out { n } else { 0 })?;
        let values = numbers(n)?;
        let tail = Tail::from_parts(values.into_iter(), times.into_iter(), BLOCK_POINTS, first, step);
        let parts = self.of(name);
        (parts.rank, parts.kept, parts.tail) = (rank, Some(kept), Some(tail));
        Some(())
    }

    fn of(&mut self, name: &str) -> &mut Parts {
        if !self.series.contains_key(name) {
            self.series.insert(name.into(), Parts { rank: u32::MAX, ..Parts::default() });
        }
        self.series.entry(name.into()).or_default()
    }

    /// Number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The series, in the order of their ranks.
    pub fn into_series(self, sealer: &mut Sealer) -> Vec<Whole> {
        let mut all: Vec<Whole> = self
            .series
            .into_iter()
            .map(|(name, parts)| Whole {
                name,
                rank: parts.rank,
                kept: parts.kept.unwrap_or(Kept::NOTHING),
                window: assemble(parts.blocks, parts.tail.unwrap_or_default(), sealer),
            })
            .collect();
        all.sort_by(|a, b| (a.rank, &a.name).cmp(&(b.rank, &b.name)));
        all
    }
}

/// A window of blocks in the order in which they were handed out, and of a tail.
fn assemble(blocks: Vec<Block>, mut tail: Tail, sealer: &mut Sealer) -> Window {
    // The slow way is for blocks that were handed out again, and for tails from before their block was sealed.
    let mut starts: Vec<(f64, f64)> =
        blocks.iter().map(|block| (block.first_ts(), block.last_ts())).collect();
    starts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let apart = starts.windows(2).all(|pair| matches!(pair, [a, b] if a.1 < b.0));
    let end = starts.last().map_or(f64::NEG_INFINITY, |(_, last)| *last);
    let tail_is_sound = tail.is_ascending_from(end);
    if apart && tail_is_sound {
        let mut sealed = VecDeque::from(blocks);
        sealed.make_contiguous().sort_by(|a, b| a.last_ts().total_cmp(&b.last_ts()));
        return Window::from_parts(tail, sealed, 0, 0);
    }
    let mut window = Window::default();
    let (mut ts, mut values) = (Vec::new(), Vec::new());
    for block in &blocks {
        block.read(0, block.len(), &mut ts, &mut values);
    }
    tail.read_all(&mut ts, &mut values);
    let mut points: Vec<(f64, f64)> = ts.into_iter().zip(values).collect();
    points.retain(|(ts, value)| ts.is_finite() && !value.is_nan());
    // Stable: of equal times the one handed out last stays behind the others, and wins.
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (ts, value) in points {
        window.push(ts, value, sealer);
    }
    window
}
