//! What can go wrong with the record, by what the caller can do about it.

use std::path::{Path, PathBuf};

/// Why the record did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Busy, full or failing disk: the same call may succeed later. Nothing of it was stored.
    #[error("record {path}: {source}")]
    Retry {
        /// The database file.
        path: PathBuf,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The file or a setting is in the way; a person has to act.
    #[error("record {path} (record.sqlite_file): {problem}")]
    Config {
        /// The database file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The file is no database, or is one no more.
    #[error("record {path} (record.sqlite_file): {problem}")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// What was asked, or what is stored, makes no sense.
    #[error("record {path}: {problem}")]
    Data {
        /// The database file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// [`crate::Store::close`] was called.
    #[error("record {path} is closed")]
    Closed {
        /// The database file.
        path: PathBuf,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retry(&self) -> bool {
        matches!(self, Self::Retry { .. })
    }

    pub(crate) fn config(path: &Path, problem: impl Into<String>) -> Self {
        Self::Config { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn data(path: &Path, problem: impl Into<String>) -> Self {
        Self::Data { path: path.to_owned(), problem: problem.into() }
    }

    /// Sorts an error of the database by what can be done.
    pub(crate) fn of(path: &Path, source: sqlx::Error) -> Self {
        let code = source.as_database_error().and_then(|e| e.code()).and_then(|c| c.parse::<u32>().ok());
        // SQLite's primary result code is the low byte of the extended one.
        match (code.map(|c| c & 0xff), &source) {
            (Some(26), _) => {
                Self::damaged(path, "the file is not an SQLite database: name another file or move it away")
            }
            (Some(11), _) => {
                Self::damaged(path, format!("{source}: the file is damaged, restore it or move it away"))
            }
            (Some(8), _) => {
                Self::config(path, "the file cannot be written: give the node's user the right to")
            }
            // A row that is referred to by an id in memory was removed: next time the id is looked up.
            _ if source.as_database_error().is_some_and(|e| e.is_foreign_key_violation()) => {
                Self::Retry { path: path.to_owned(), source }
            }
            (Some(1 | 19 | 20), _) => Self::data(path, source.to_string()),
            (_, sqlx::Error::PoolClosed) => Self::Closed { path: path.to_owned() },
            (
                _,
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_),
            ) => Self::data(path, source.to_string()),
            _ => Self::Retry { path: path.to_owned(), source },
        }
    }
}
