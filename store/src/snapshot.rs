//! What a shard's windows leave on disk, so that a restart finds them.
//!
//! Two files a shard. `SSSS.GGGG.blocks` takes each sealed block once, when the shard is next saved;
//! `SSSS.snap` is written whole each time and renamed into place: for every series its open tail,
//! and where its blocks lie in the first file, and for the shard the position in the journal
//! up to which all of this is complete. So neither can be newer than the other: what a blocks
//! file holds beyond the length in the snapshot is cut off, and the journal gives it again.
//! When more than half of a blocks file is dead, the next save writes a new generation of it.
//!
//! `SSSS.snap` (little-endian): magic `SKYS`, version u32, position u64, generation u32, length of
//! the blocks file u32, number of series u32, series, CRC-32 of all before. A series: name
//! length u16, name, rank u32, length u16 and bytes of the owner's state, skip u16, hint u8, spelled-out times
//! u8, points of the tail u16, first f64, step f64, [times f64 each], values f64 each, number of blocks
//! u32, offsets u32 each.
//! In a blocks file: magic `SKYB`, version u32, then length u16, CRC-32 u32, bytes of each block.

mod read;

pub use read::{Contents, Part, Saved};

use crate::window::Window;
use skyline_core::file;
use skyline_core::shard::ShardId;
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const SNAP_MAGIC: [u8; 4] = *b"SKYS";
const BLOCKS_MAGIC: [u8; 4] = *b"SKYB";
const VERSION: u32 = 3;
const BLOCKS_HEADER: u32 = 8;
/// Below this a blocks file is not worth rewriting, bytes.
const COMPACT_FROM: u32 = 256 << 10;
/// Bytes of each buffer that are kept for the next save, at most.
const KEPT_BUFFER: usize = 8 << 20;

/// A shard's files could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("window file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The snapshot is damaged; its shard starts empty and is filled from the journal.
    #[error("window file {path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

/// Reused memory of saves.
#[derive(Debug, Default)]
pub struct Buffers {
    snap: Vec<u8>,
    blocks: Vec<u8>,
}

/// The files of one shard.
#[derive(Debug)]
pub struct ShardFile {
    dir: PathBuf,
    shard: ShardId,
    generation: u32,
    /// Generation that the snapshot on disk refers to: not removed before another stands.
    standing: u32,
    /// Valid bytes of the blocks file; 0: there is none.
    len: u32,
    /// Bytes of it that live series used at the last save, or that were read of it.
    live: u32,
    sync: bool,
}

impl ShardFile {
    /// The files of `shard` in `dir`, nothing read yet. `sync`: wait for the disk at each save.
    #[must_use]
    pub fn new(dir: &Path, shard: ShardId, sync: bool) -> Self {
        Self { dir: dir.to_owned(), shard, generation: 0, standing: 0, len: 0, live: 0, sync }
    }

    fn snap_path(&self) -> PathBuf {
        self.dir.join(format!("{:04}.snap", self.shard.0))
    }

    fn blocks_path(&self, generation: u32) -> PathBuf {
        self.dir.join(format!("{:04}.{generation:04}.blocks", self.shard.0))
    }

    /// Renames a damaged snapshot and its blocks, so that nothing writes over them; the new name, if the
    /// snapshot could be renamed. `at`: seconds since the epoch, part of the name.
    pub fn set_aside(&mut self, at: u64) -> Option<PathBuf> {
        let aside = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".damaged-{at}"));
            PathBuf::from(name)
        };
        let snap = self.snap_path();
        let number = format!("{:04}.", self.shard.0);
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_ours = |name: &str| name.starts_with(&number) && name.ends_with(".blocks");
            if name.to_str().is_some_and(is_ours) {
                drop(std::fs::rename(entry.path(), aside(&entry.path())));
            }
        }
        std::fs::rename(&snap, aside(&snap)).ok().map(|()| aside(&snap))
    }

    /// Begins a save.
    pub fn writer<'a>(&'a mut self, buffers: &'a mut Buffers) -> Writer<'a> {
        // A file that is missing, mostly dead, or shorter than the offsets of a failed save.
        let rewrite = self.len == 0 || (self.len > COMPACT_FROM && self.len / 2 > self.live);
        let generation = if rewrite { self.generation.wrapping_add(1) } else { self.generation };
        let Buffers { snap, blocks } = buffers;
        blocks.clear();
        snap.clear();
        snap.extend_from_slice(&SNAP_MAGIC);
        snap.extend_from_slice(&VERSION.to_le_bytes());
        snap.extend_from_slice(&[0; 20]);
        Writer {
            base: if rewrite { BLOCKS_HEADER } else { self.len },
            live: BLOCKS_HEADER,
            file: self,
            generation,
            rewrite,
            snap,
            blocks,
            count: 0,
        }
    }

    /// Whether there is a snapshot. One without series has to stay: it says up to where the journal was
    /// taken, and without it what is gone would come back.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.standing != 0
    }
}

/// A save in the making.
#[derive(Debug)]
pub struct Writer<'a> {
    file: &'a mut ShardFile,
    generation: u32,
    rewrite: bool,
    base: u32,
    live: u32,
    snap: &'a mut Vec<u8>,
    blocks: &'a mut Vec<u8>,
    count: u32,
}

impl Writer<'_> {
    /// Adds a series; notes in its blocks where they lie. `rank`: where the owner has it among the others.
    /// Of `state` the first 64 KiB are kept.
    pub fn series(&mut self, name: &str, rank: u32, state: &[u8], window: &mut Window) {
        self.snap.extend_from_slice(&(name.len() as u16).to_le_bytes());
        self.snap.extend_from_slice(name.as_bytes());
        self.snap.extend_from_slice(&rank.to_le_bytes());
        let state = state.get(..usize::from(u16::MAX)).unwrap_or(state);
        self.snap.extend_from_slice(&(state.len() as u16).to_le_bytes());
        self.snap.extend_from_slice(state);
        self.snap.extend_from_slice(&window.skip.to_le_bytes());
        let (values, times, first, step) = window.tail.parts();
        self.snap.extend_from_slice(&[window.hint, u8::from(!times.is_empty())]);
        self.snap.extend_from_slice(&(values.len() as u16).to_le_bytes());
        for number in [first, step].iter().chain(times).chain(values) {
            self.snap.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        self.snap.extend_from_slice(&(window.sealed.len() as u32).to_le_bytes());
        for block in &mut window.sealed {
            let bytes = block.bytes();
            let size = bytes.len() as u32 + 6;
            if self.rewrite || block.stored_at == 0 {
                let at = self.base.wrapping_add(self.blocks.len() as u32);
                self.blocks.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
                self.blocks.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
                self.blocks.extend_from_slice(bytes);
                block.stored_at = at;
            }
            self.live = self.live.saturating_add(size);
            self.snap.extend_from_slice(&block.stored_at.to_le_bytes());
        }
        self.count += 1;
    }

    /// Writes both files. Everything before `position` is in the series that were added.
    ///
    /// # Errors
    /// A file cannot be written (the disk is full); the older snapshot stands, and the next save
    /// writes all blocks anew.
    pub fn finish(mut self, position: u64) -> Result<(), Error> {
        let outcome = self.write(position);
        if outcome.is_err() {
            // Offsets in memory point behind what is on disk now.
            self.file.len = 0;
            self.file.generation = self.generation;
            if self.rewrite {
                drop(std::fs::remove_file(self.file.blocks_path(self.generation)));
            }
        }
        for buffer in [self.snap, self.blocks] {
            buffer.clear();
            buffer.shrink_to(KEPT_BUFFER);
        }
        outcome
    }

    fn write(&mut self, position: u64) -> Result<(), Error> {
        let blocks_path = self.file.blocks_path(self.generation);
        let len = u32::try_from(self.blocks.len()).ok().and_then(|added| self.base.checked_add(added));
        let Some(len) = len else {
            let source = std::io::Error::other(
                "a shard's blocks have more than 4 GiB: lower window.full_duration_seconds",
            );
            return Err(Error::Io { path: blocks_path, source });
        };
        let write_blocks = || -> std::io::Result<()> {
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(self.rewrite).open(&blocks_path)?;
            if self.rewrite {
                file.write_all(&BLOCKS_MAGIC)?;
                file.write_all(&VERSION.to_le_bytes())?;
            } else {
                file.set_len(u64::from(self.base))?;
                file.seek(SeekFrom::Start(u64::from(self.base)))?;
            }
            file.write_all(self.blocks)?;
            if self.file.sync { file.sync_data() } else { Ok(()) }
        };
        if self.rewrite || !self.blocks.is_empty() {
            write_blocks().map_err(|source| Error::Io { path: blocks_path.clone(), source })?;
        }
        let header = [
            &position.to_le_bytes()[..],
            &self.generation.to_le_bytes(),
            &len.to_le_bytes(),
            &self.count.to_le_bytes(),
        ]
        .concat();
        if let Some(slot) = self.snap.get_mut(8..28) {
            slot.copy_from_slice(&header);
        }
        self.snap.extend_from_slice(&crc32fast::hash(self.snap).to_le_bytes());
        let path = self.file.snap_path();
        file::replace(&path, self.snap, self.file.sync).map_err(|source| Error::Io { path, source })?;
        if self.file.standing != self.generation {
            drop(std::fs::remove_file(self.file.blocks_path(self.file.standing)));
        }
        self.file.generation = self.generation;
        self.file.standing = self.generation;
        self.file.len = len;
        self.file.live = self.live;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
