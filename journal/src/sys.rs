//! The system calls that the standard library does not wrap.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Reserves disk blocks for the first `bytes` of `file` without changing its length.
pub(crate) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    let bytes = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open for as long as `file` is borrowed; no memory is passed.
    match unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, 0, bytes) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Size of a file system and what of it a user may still fill, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) total: u64,
    pub(crate) available: u64,
}

impl Space {
    /// Bytes that a journal which has `used` may have in all if `kept_percent` of the file system stays free.
    pub(crate) fn room(self, used: u64, kept_percent: f64) -> u64 {
        (used as f64 + self.available as f64 - self.kept(kept_percent)).max(0.0) as u64
    }

    /// Bytes that are to stay free.
    pub(crate) fn kept(self, kept_percent: f64) -> f64 {
        self.total as f64 * (kept_percent / 100.0).clamp(0.0, 1.0)
    }
}

/// The space of the file system that holds `path`.
pub(crate) fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` ends with NUL, `stat` is writable and of the type that the call fills.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the memory was zeroed, which is a valid value of the plain C struct, and the call succeeded.
    let stat = unsafe { stat.assume_init() };
    let block = stat.f_frsize;
    Ok(Space { total: stat.f_blocks.saturating_mul(block), available: stat.f_bavail.saturating_mul(block) })
}

/// Bytes that a journal of `used` bytes may have in all if `kept_percent` of the file system of `path` stays
/// free.
///
/// # Errors
/// The path does not exist or cannot be asked.
pub fn room_bytes(path: &Path, used: u64, kept_percent: f64) -> io::Result<u64> {
    Ok(space(path)?.room(used, kept_percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_plausible() {
        let space = space(Path::new("/")).unwrap();
        assert!(space.total >= space.available && space.total > 0, "{space:?}");
        assert!(super::space(Path::new("/no/such/place")).is_err());
    }

    #[test]
    fn reserving_does_not_change_the_length() {
        let file = tempfile::tempfile().unwrap();
        // A file system without the call is not an error of ours.
        if reserve(&file, 1 << 20).is_ok() {
            assert_eq!(file.metadata().unwrap().len(), 0);
        }
    }
}
