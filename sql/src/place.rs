//! Where a record is, as people are told.

use std::fmt;
use std::path::{Path, PathBuf};

/// The database of a record. Never shows a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file.
    File(PathBuf),
    /// A database of a MariaDB or MySQL server.
    Server {
        /// As `record.server` names it.
        address: String,
        /// The database.
        database: String,
        /// As whom it is asked.
        user: String,
    },
}

impl Place {
    /// The setting that names it.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::File(_) => "record.sqlite_file",
            Self::Server { .. } => "record.server",
        }
    }

    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server { .. } => None,
        }
    }

    /// What to do instead of using this one.
    pub(crate) const fn another(&self) -> &'static str {
        match self {
            Self::File(_) => "name another file",
            Self::Server { .. } => "name another database",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server { address, .. } => f.write_str(address),
        }
    }
}
