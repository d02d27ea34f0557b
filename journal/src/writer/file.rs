//! The segment file that is being written.

use crate::segment::path;
use crate::sys;
use skyline_core::file::sync_dir;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

/// A segment open for appending.
#[derive(Debug)]
pub(crate) struct Active {
    file: File,
    pub(crate) path: PathBuf,
    /// Length of what counts.
    pub(crate) bytes: u64,
}

impl Active {
    /// Creates the segment that begins with `first_seq`, with `size` bytes reserved for it.
    pub(crate) fn create(
        dir: &Path,
        first_seq: u64,
        size: u64,
        sync: bool,
        fault: &Fault,
    ) -> io::Result<Self> {
        fault.create()?;
        let path = path(dir, first_seq);
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.set_len(0)?;
        // Less fragmentation where the file system can; where it cannot, writes tell when it is full.
        drop(sys::reserve(&file, size));
        if sync {
            sync_dir(dir)?;
        }
        Ok(Self { file, path, bytes: 0 })
    }

    /// Writes all of `slices` behind what is there.
    pub(crate) fn append(&mut self, mut slices: &mut [IoSlice<'_>], fault: &Fault) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match fault.write(&mut self.file, slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => IoSlice::advance_slices(&mut slices, n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Cuts off what was written since `bytes` was right; false when that fails too.
    pub(crate) fn cut_back(&self, fault: &Fault) -> bool {
        fault.cut().and_then(|()| self.file.set_len(self.bytes)).is_ok()
    }

    /// Waits until a group is on the disk.
    pub(crate) fn sync_group(&self, fault: &Fault) -> io::Result<()> {
        fault.sync()?;
        self.file.sync_data()
    }

    /// Waits until everything is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Gives back the space reserved beyond the end. Not doing so costs only space.
    pub(crate) fn close(self) {
        drop(self.file.set_len(self.bytes));
    }
}

/// What may be made to fail: nothing, outside of tests.
#[cfg(not(test))]
#[derive(Debug, Default)]
pub(crate) struct Fault {}

#[cfg(not(test))]
#[expect(clippy::unused_self, reason = "tests inject failures here")]
impl Fault {
    const fn create(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, file: &mut File, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        file.write_vectored(slices)
    }

    const fn cut(&self) -> io::Result<()> {
        Ok(())
    }

    const fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What a test makes fail.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Fault {
    /// The disk is full after so many bytes more.
    pub(crate) room: Option<usize>,
    pub(crate) no_cut: bool,
    pub(crate) no_sync: bool,
    pub(crate) no_create: bool,
}

#[cfg(test)]
impl Fault {
    fn fail(when: bool) -> io::Result<()> {
        if when { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn create(&self) -> io::Result<()> {
        Self::fail(self.no_create)
    }

    fn write(&self, file: &mut File, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(room) = self.room else { return file.write_vectored(slices) };
        let Some(first) = slices.first() else { return Ok(0) };
        let already = file.metadata()?.len() as usize;
        let left = room.saturating_sub(already);
        Self::fail(left == 0)?;
        file.write(&first[..left.min(first.len())])
    }

    fn cut(&self) -> io::Result<()> {
        Self::fail(self.no_cut)
    }

    fn sync(&self) -> io::Result<()> {
        Self::fail(self.no_sync)
    }
}
