//! Reading shards' files: first what each holds, then the series of all of them, a range of ranks at a time.
//!
//! A series is in the shard of its name's hash, and series that senders send together are in as many shards.
//! Read by ranks they come back in the order in which they were, and so does their memory: what a burst of points
//! touches lies together.

use super::{BLOCKS_HEADER, Error, SNAP_MAGIC, ShardFile, VERSION};
use crate::block::{BLOCK_POINTS, Block, MAX_BLOCK_BYTES};
use crate::chunk::RESTORED;
use crate::input::Input;
use crate::window::{Tail, Window};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a block's length and checksum in a blocks file.
const BLOCK_HEADER: usize = 6;
/// Pieces of a file that lie no further apart are read at once, bytes.
pub(super) const GAP: u64 = 4 << 10;
/// Read at once at most, bytes.
pub(super) const MOST: u64 = 1 << 20;

/// What a snapshot holds.
#[derive(Debug)]
pub struct Contents {
    /// Everything before this sequence number is in the windows.
    pub position: u64,
    /// In the order of their ranks.
    series: Vec<Place>,
    /// Bytes of the blocks file that are valid, and there.
    blocks_len: u64,
}

/// Where a series lies in a snapshot.
#[derive(Debug)]
struct Place {
    rank: u32,
    at: u64,
    len: u32,
    crc: u32,
    blocks: u32,
}

/// One series of a snapshot.
#[derive(Debug)]
pub struct Saved<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// Where the owner had it among the others when it was saved.
    pub rank: u32,
    /// Bytes that the owner keeps with the series.
    pub state: &'a [u8],
    /// The window.
    pub window: Window,
}

/// Series that were read together, still as they are in files.
#[derive(Debug, Default)]
pub struct Part {
    series: Vec<Raw>,
    bytes: Vec<u8>,
    blocks: Vec<RawBlock>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Raw {
    rank: u32,
    /// In [`Part::bytes`].
    entry: Range<usize>,
    /// In [`Part::blocks`].
    blocks: Range<usize>,
}

/// A block in [`Part::bytes`]; empty: it was damaged.
#[derive(Debug)]
struct RawBlock {
    at: u32,
    bytes: Range<usize>,
}

impl Contents {
    /// The ranks of its series, lowest first, and the number of blocks that each has.
    pub fn series(&self) -> impl Iterator<Item = (u32, u32)> {
        self.series.iter().map(|series| (series.rank, series.blocks))
    }

    fn within(&self, ranks: &Range<u64>) -> &[Place] {
        let at = |rank: u64| self.series.partition_point(|series| u64::from(series.rank) < rank);
        self.series.get(at(ranks.start)..at(ranks.end)).unwrap_or_default()
    }
}

impl ShardFile {
    /// Looks at what is there; `None`: nothing is.
    ///
    /// # Errors
    /// The snapshot cannot be read or is damaged.
    pub fn open(&mut self) -> Result<Option<Contents>, Error> {
        let path = self.snap_path();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { path, source }),
        };
        let damaged = |what| Error::Damaged { path: path.clone(), what };
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or_else(|| damaged("too short"))?;
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return Err(damaged("checksum"));
        }
        let mut input = Input(body);
        if input.take(4) != Some(&SNAP_MAGIC) || input.u32() != Some(VERSION) {
            return Err(damaged("not a snapshot of this version"));
        }
        let header = (input.u64(), input.u32(), input.u32(), input.u32());
        let (Some(position), Some(generation), Some(len), Some(count)) = header else {
            return Err(damaged("header"));
        };
        let mut series = Vec::new();
        for _ in 0..count {
            let before = input.0;
            let entry = Entry::read(&mut input).ok_or_else(|| damaged("series"))?;
            let (at, len) = (body.len() - before.len(), before.len() - input.0.len());
            series.push(Place {
                rank: entry.rank,
                at: at as u64,
                len: len as u32,
                crc: crc32fast::hash(before.get(..len).unwrap_or_default()),
                blocks: entry.offsets.len() as u32 / 4,
            });
        }
        series.sort_by_key(|series| series.rank);
        let blocks_path = self.blocks_path(generation);
        let there = match std::fs::metadata(&blocks_path) {
            Ok(metadata) => metadata.len(),
            // Its blocks are lost, one by one; the tails are not.
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(source) => return Err(Error::Io { path: blocks_path, source }),
        };
        self.generation = generation;
        self.standing = generation;
        // Shorter than the snapshot says: the next save writes all of it anew.
        self.len = if there >= u64::from(len) { len } else { 0 };
        self.live = BLOCKS_HEADER;
        Ok(Some(Contents { position, series, blocks_len: there.min(u64::from(len)) }))
    }

    /// Reads the series of some ranks and adds them to `part`; how many of their blocks were damaged and are left
    /// out. Each series is to be read once.
    ///
    /// # Errors
    /// A file cannot be read; nothing was added.
    pub fn read(&mut self, contents: &Contents, ranks: Range<u64>, part: &mut Part) -> Result<u64, Error> {
        let places = contents.within(&ranks);
        let before = (part.series.len(), part.bytes.len(), part.blocks.len());
        let outcome = self.add(places, contents.blocks_len, part);
        if outcome.is_err() {
            part.series.truncate(before.0);
            part.bytes.truncate(before.1);
            part.blocks.truncate(before.2);
        }
        outcome
    }

    fn add(&mut self, places: &[Place], blocks_len: u64, part: &mut Part) -> Result<u64, Error> {
        if places.is_empty() {
            return Ok(0);
        }
        let path = self.snap_path();
        let first_block = part.blocks.len();
        let pieces = places.iter().map(|place| (place.at, place.len as usize));
        let read = with_file(&path, |file| {
            let file = file.ok_or(ErrorKind::NotFound)?;
            read_pieces(&file, pieces, &mut part.buffer, |i, bytes| {
                let place = places.get(i).filter(|place| place.crc == crc32fast::hash(bytes));
                let entry = Entry::read(&mut Input(bytes));
                let (Some(place), Some(entry)) = (place, entry) else {
                    return Err(io::Error::new(ErrorKind::InvalidData, "it is not as it was a moment ago"));
                };
                let start = part.blocks.len();
                part.blocks.extend(entry.offsets().map(|at| RawBlock { at, bytes: 0..0 }));
                let entry = part.bytes.len()..part.bytes.len() + bytes.len();
                part.bytes.extend_from_slice(bytes);
                part.series.push(Raw { rank: place.rank, entry, blocks: start..part.blocks.len() });
                Ok(())
            })
        });
        read.map_err(|source| Error::Io { path, source })?;
        let path = self.blocks_path(self.generation);
        let wanted = part.blocks.get_mut(first_block..).unwrap_or_default();
        let is_there = with_file(&path, |file| match file {
            Some(file) => {
                read_blocks(&file, blocks_len, wanted, &mut part.bytes, &mut part.buffer).map(|()| true)
            }
            None => Ok(wanted.is_empty()),
        });
        if !is_there.map_err(|source| Error::Io { path, source })? {
            // The next save writes all of it anew.
            self.len = 0;
        }
        let mut lost = 0;
        for block in part.blocks.get(first_block..).unwrap_or_default() {
            match block.bytes.len() as u32 {
                0 => lost += 1,
                len => self.live = self.live.saturating_add(len + BLOCK_HEADER as u32),
            }
        }
        Ok(lost)
    }
}

/// Finds blocks in their file and appends them to `bytes`. Beyond `len` nothing of the file is valid.
fn read_blocks(
    file: &File,
    len: u64,
    wanted: &mut [RawBlock],
    bytes: &mut Vec<u8>,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let mut order: Vec<u32> = (0..wanted.len() as u32).collect();
    let at = |i: u32| wanted.get(i as usize).map_or(0, |block| block.at);
    order.sort_unstable_by_key(|i| at(*i));
    let pieces: Vec<_> = order
        .iter()
        .map(|i| {
            let at = u64::from(at(*i));
            (at, len.saturating_sub(at).min((BLOCK_HEADER + MAX_BLOCK_BYTES) as u64) as usize)
        })
        .collect();
    read_pieces(file, pieces.into_iter(), buffer, |i, piece| {
        let block = order.get(i).and_then(|i| wanted.get_mut(*i as usize));
        if let (Some(block), Some(found)) = (block, block_in(piece)) {
            block.bytes = bytes.len()..bytes.len() + found.len();
            bytes.extend_from_slice(found);
        }
        Ok(())
    })
}

/// The block that stands at the beginning of some bytes of a blocks file, if it is whole.
fn block_in(bytes: &[u8]) -> Option<&[u8]> {
    let mut input = Input(bytes);
    let len = usize::from(input.u16()?);
    let crc = input.u32()?;
    input.take(len).filter(|bytes| crc32fast::hash(bytes) == crc)
}

/// Opens a file for `f`; none: it is not there.
fn with_file<T>(path: &Path, f: impl FnOnce(Option<File>) -> io::Result<T>) -> io::Result<T> {
    match File::open(path) {
        Ok(file) => f(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => f(None),
        Err(error) => Err(error),
    }
}

/// Reads pieces of a file, those that lie close together at once. `pieces`: where each begins and its length,
/// bytes. `take` gets the number and bytes of each, fewer where the file ends.
pub(super) fn read_pieces(
    file: &File,
    pieces: impl Iterator<Item = (u64, usize)>,
    buffer: &mut Vec<u8>,
    mut take: impl FnMut(usize, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut pieces = pieces.enumerate().peekable();
    let mut run = Vec::new();
    while let Some((i, (start, len))) = pieces.next() {
        run.clear();
        run.push((i, 0, len));
        let mut end = start + len as u64;
        while let Some((i, (at, len))) =
            pieces.next_if(|(_, (at, _))| (start..=end.saturating_add(GAP)).contains(at) && at - start < MOST)
        {
            run.push((i, (at - start) as usize, len));
            end = end.max(at + len as u64);
        }
        buffer.resize((end - start) as usize, 0);
        let mut filled = 0;
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            match file.read_at(room, start + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        for (i, from, len) in run.drain(..) {
            let until = (from + len).min(buffer.len());
            take(i, buffer.get(from..until).unwrap_or_default())?;
        }
    }
    Ok(())
}

impl Part {
    /// Passes its series on in the order of their ranks, and is empty then. `neighbours`: so many, one after the
    /// other, do the same things in the same minute, and need each other's blocks side by side. How many blocks
    /// were none although their checksum was right; they are left out.
    pub fn restore(&mut self, neighbours: usize, mut pass_on: impl FnMut(Saved<'_>)) -> u64 {
        let Self { series, bytes, blocks, .. } = self;
        series.sort_by_key(|series| series.rank);
        let mut lost = 0;
        let bytes_of = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
        for group in series.chunks(neighbours.max(1)) {
            let mut entries = Vec::with_capacity(group.len());
            for raw in group {
                let found = blocks.get(raw.blocks.clone()).unwrap_or_default();
                // Whole when it was read.
                if let Some(entry) = Entry::read(&mut Input(bytes_of(&raw.entry))) {
                    entries.push((entry, found, VecDeque::with_capacity(found.len() + 1)));
                }
            }
            let most = group.iter().map(|raw| raw.blocks.len()).max().unwrap_or(0);
            for k in 0..most {
                for (entry, found, sealed) in &mut entries {
                    let Some(found) = found.get(k) else { continue };
                    match Block::from_bytes(bytes_of(&found.bytes), found.at) {
                        Some(mut block) => {
                            block.copy = RESTORED;
                            sealed.push_back(block);
                        }
                        None => {
                            // What was damaged was counted when it was read.
                            lost += u64::from(!found.bytes.is_empty());
                            if k == 0 {
                                entry.skip = 0;
                            }
                        }
                    }
                }
            }
            for (entry, _, sealed) in entries {
                let Entry { name, rank, state, skip, hint, .. } = entry;
                let window = Window::from_parts(entry.tail(), sealed, skip, hint);
                pass_on(Saved { name, rank, state, window });
            }
        }
        series.clear();
        bytes.clear();
        blocks.clear();
        lost
    }
}

/// A series as a snapshot has it.
#[derive(Debug)]
struct Entry<'a> {
    name: &'a str,
    rank: u32,
    state: &'a [u8],
    skip: u16,
    hint: u8,
    first: f64,
    step: f64,
    times: &'a [u8],
    values: &'a [u8],
    offsets: &'a [u8],
}

impl<'a> Entry<'a> {
    fn read(input: &mut Input<'a>) -> Option<Self> {
        let name_len = usize::from(input.u16()?);
        let name = std::str::from_utf8(input.take(name_len)?).ok()?;
        let rank = input.u32()?;
        let state_len = usize::from(input.u16()?);
        let state = input.take(state_len)?;
        let skip = input.u16()?;
        let hint = input.u8()?;
        let spelled_out = input.u8()? != 0;
        let n = usize::from(input.u16()?);
        let (first, step) = (input.f64()?, input.f64()?);
        let times = input.take(if spelled_out { 8 * n } else { 0 })?;
        let values = input.take(8 * n)?;
        let count = input.u32()? as usize;
        let offsets = input.take(count.checked_mul(4)?)?;
        Some(Self { name, rank, state, skip, hint, first, step, times, values, offsets })
    }

    fn offsets(&self) -> impl Iterator<Item = u32> {
        self.offsets.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b))
    }

    fn tail(&self) -> Tail {
        let numbers =
            |bytes: &'a [u8]| bytes.as_chunks::<8>().0.iter().map(|b| f64::from_bits(u64::from_le_bytes(*b)));
        // One that was sealed before has the room for a block, so that its next points ask for no memory.
        let points = if self.offsets.is_empty() { self.values.len() / 8 } else { BLOCK_POINTS };
        Tail::from_parts(numbers(self.values), numbers(self.times), points, self.first, self.step)
    }
}
