//! PEM files.

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Longest file that is read, bytes: all authorities of the world are less.
const MAX_BYTES: u64 = 4 << 20;

/// What tells a file from its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: (u64, u64),
    /// Seconds and nanoseconds of the last change.
    changed: (i64, i64),
    length: u64,
}

impl Stamp {
    /// Of the file that is there now, if there is one. Links are followed.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        let changed = (found.mtime(), found.mtime_nsec());
        Some(Self { inode: (found.dev(), found.ino()), changed, length: found.len() })
    }
}

/// All certificates of a file, at least one.
pub(super) fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| unusable(path, &error.to_string()))?;
    if found.is_empty() { Err(unusable(path, "there is no certificate in it")) } else { Ok(found) }
}

/// The first private key of a file.
pub(super) fn key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            unusable(path, "there is no private key in it that can be read; it must not be encrypted")
        }
        other => unusable(path, &other.to_string()),
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let found = std::fs::metadata(path).map_err(named)?;
    if !found.is_file() && !found.is_dir() {
        return Err(unusable(path, "it is a pipe or a device, not a file"));
    }
    if found.len() > MAX_BYTES {
        return Err(unusable(path, "it is too long for a file of certificates"));
    }
    std::fs::read(path).map_err(named)
}

fn unusable(path: &Path, what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}
