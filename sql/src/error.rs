//! What can go wrong with the record, by what the caller can do about it.

use crate::place::Place;

/// Why the record did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Away, busy, full or failing disk: the same call may succeed later. Nothing of it was stored.
    #[error("record {place}: {problem}")]
    Retry {
        /// The database.
        place: Place,
        /// What the database said.
        problem: String,
    },
    /// The database or a setting is in the way; a person has to act.
    #[error("record {place} ({}): {problem}", place.key())]
    Config {
        /// The database.
        place: Place,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The file is no database, or is one no more.
    #[error("record {place} ({}): {problem}", place.key())]
    Damaged {
        /// The database.
        place: Place,
        /// What is wrong and what to do.
        problem: String,
    },
    /// What was asked, or what is stored, makes no sense.
    #[error("record {place}: {problem}")]
    Data {
        /// The database.
        place: Place,
        /// What is wrong.
        problem: String,
    },
    /// Another transaction was in the way: the same call will do at once.
    #[error("record {place}: {problem}")]
    Clash {
        /// The database.
        place: Place,
        /// What the database said.
        problem: String,
    },
    /// [`crate::Store::close`] was called.
    #[error("record {place} is closed")]
    Closed {
        /// The database.
        place: Place,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retry(&self) -> bool {
        matches!(self, Self::Retry { .. } | Self::Clash { .. })
    }

    pub(crate) fn retry(place: &Place, problem: impl Into<String>) -> Self {
        Self::Retry { place: place.clone(), problem: problem.into() }
    }

    pub(crate) fn config(place: &Place, problem: impl Into<String>) -> Self {
        Self::Config { place: place.clone(), problem: problem.into() }
    }

    pub(crate) fn damaged(place: &Place, problem: impl Into<String>) -> Self {
        Self::Damaged { place: place.clone(), problem: problem.into() }
    }

    pub(crate) fn data(place: &Place, problem: impl Into<String>) -> Self {
        Self::Data { place: place.clone(), problem: problem.into() }
    }

    /// Sorts an error of the database by what can be done.
    pub(crate) fn of(place: &Place, source: &sqlx::Error) -> Self {
        match source {
            sqlx::Error::PoolClosed => Self::Closed { place: place.clone() },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Self::data(place, source.to_string())
            }
            // A row that is referred to by an id in memory was removed: next time the id is looked up.
            _ if source.as_database_error().is_some_and(|e| e.is_foreign_key_violation()) => {
                Self::retry(place, source.to_string())
            }
            _ => match place {
                Place::File(_) => Self::of_sqlite(place, source),
                Place::Server { .. } => Self::of_mysql(place, source),
            },
        }
    }

    fn of_sqlite(place: &Place, source: &sqlx::Error) -> Self {
        // SQLite's primary result code is the low byte of the extended one.
        match sqlite_code(source) {
            Some(26) => {
                Self::damaged(place, "the file is not an SQLite database: name another file or move it away")
            }
            Some(11) => {
                Self::damaged(place, format!("{source}: the file is damaged, restore it or move it away"))
            }
            Some(8) => Self::config(place, "the file cannot be written: give the node's user the right to"),
            // A table or a column is not there: nothing is wrong with what was to be stored.
            Some(1) => Self::config(
                place,
                format!(
                    "{source}: its tables are not those of this version of skyline, restore a backup or move it away"
                ),
            ),
            Some(19 | 20) => Self::data(place, source.to_string()),
            _ => Self::retry(place, source.to_string()),
        }
    }

    fn of_mysql(place: &Place, source: &sqlx::Error) -> Self {
        let Some(number) = mysql_number(source) else {
            return match source {
                sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => Self::config(
                    place,
                    format!("{source}: check record.tls, record.ca_file and the server's certificate"),
                ),
                _ => Self::retry(place, source.to_string()),
            };
        };
        match number {
            // A deadlock, a lock that another transaction holds, a row that changed.
            1020 | 1205 | 1213 => Self::Clash { place: place.clone(), problem: source.to_string() },
            // Access denied for the user, by password or by plugin.
            1045 | 1698 => Self::config(
                place,
                format!(
                    "{source}: set record.user and the password in record.password_file or the variable of record.password_env"
                ),
            ),
            // No such database, or none that this user may see.
            1044 | 1049 => Self::config(place, format!("{source}; {}", make_database(place))),
            1142 | 1143 | 1227 | 1370 => Self::config(
                place,
                format!("{source}: give the user all rights on the database; {}", make_database(place)),
            ),
            // Read-only: by an option of the server, or of this session.
            1290 | 1792 | 1836 => Self::config(
                place,
                format!("{source}: name a server that takes writes, or make this one do so"),
            ),
            // A table or a column is not there.
            1054 | 1146 => Self::config(
                place,
                format!(
                    "{source}: its tables are not those of this version of skyline, type: skyline migrate"
                ),
            ),
            // A value that does not fit, is there twice, or breaks a rule.
            1048 | 1062 | 1064 | 1264 | 1265 | 1366 | 1406 | 3819 | 4025 => {
                Self::data(place, source.to_string())
            }
            _ => Self::retry(place, source.to_string()),
        }
    }
}

/// What to type into the server to have a database and a user for it.
pub(crate) fn make_database(place: &Place) -> String {
    let Place::Server { database, user, address } = place else { return String::new() };
    let is_local = ["socket=", "//127.0.0.1", "//localhost", "//[::1]"].iter().any(|at| address.contains(at));
    let host = if is_local { "localhost" } else { "%" };
    format!(
        "as an administrator of the server, type: CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4; \
         CREATE USER IF NOT EXISTS '{user}'@'{host}' IDENTIFIED BY 'PASSWORD'; \
         GRANT ALL ON `{database}`.* TO '{user}'@'{host}'"
    )
}

/// The primary result code of an error of SQLite.
pub(crate) fn sqlite_code(source: &sqlx::Error) -> Option<u32> {
    let code = source.as_database_error()?.code()?.parse::<u32>().ok()?;
    Some(code & 0xff)
}

/// The number of an error of MariaDB or MySQL.
pub(crate) fn mysql_number(source: &sqlx::Error) -> Option<u16> {
    let error = source.as_database_error()?.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()?;
    Some(error.number())
}
