//! Opening the database: one connection that writes, several that read.

use crate::answers;
use crate::cache::Cache;
use crate::dictionary::Known;
use crate::error::Error;
use crate::figures::Totals;
use crate::migrate;
use skyline_conf::model::memcached::Memcached;
use skyline_core::clock::Clock;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before a file that others are opening is opened again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// How long a call waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// What of the write-ahead log stays on disk after it was folded in, bytes.
const WAL_KEPT: &str = "67108864";
/// Largest file that is looked through at open, bytes.
const CHECKED_BYTES: u64 = 64 << 20;
/// Connections that read.
const READERS: u32 = 4;

/// How the record behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where `created_at` comes from.
    pub clock: Clock,
    /// Sync the disk with every transaction. Without it a power failure (not a crash of the process)
    /// may take the last transactions; the rest stays whole.
    pub sync: bool,
    /// A cache that nodes with this record share.
    pub memcached: Memcached,
}

/// The record. Cheap to clone; all clones are the same record.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    clock: Clock,
    writer: SqlitePool,
    readers: SqlitePool,
    totals: Totals,
    known: Known,
    cache: Cache,
}

/// Code by which SQLite says that another connection holds the file (SQLITE_BUSY and SQLITE_LOCKED).
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code()?.parse::<u32>().ok());
    matches!(code.map(|code| code & 0xff), Some(5 | 6))
}

/// Opens, again and again while others are opening the file: a file that becomes one with a write-ahead
/// log answers "busy" at once where two do it at the same time, however long the time-out is.
async fn patient<F: Future<Output = Result<SqlitePool, sqlx::Error>>>(
    open: impl Fn() -> F,
) -> Result<SqlitePool, sqlx::Error> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match open().await {
            Err(error) if is_busy(&error) && Instant::now() < until => tokio::time::sleep(BUSY_PAUSE).await,
            outcome => return outcome,
        }
    }
}

/// Looks through a file that is small enough to be looked through in a moment: damage is better met now than
/// at each question.
async fn check(path: &Path, writer: &SqlitePool) -> Result<(), Error> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > CHECKED_BYTES) {
        return Ok(());
    }
    let found = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)").fetch_one(writer).await;
    let damage = match found {
        Ok(found) if found == "ok" => return Ok(()),
        Ok(found) => found.replace('\n', " "),
        Err(error) => return Err(Error::of(path, error)),
    };
    Err(Error::damaged(path, format!("{damage}: the file is damaged, restore it or move it away")))
}

impl Store {
    /// Opens or creates the record in `path` and brings its tables up to date.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the file is no database; [`Error::Config`] when it is another program's, of a
    /// newer version, or cannot be opened.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, Options::default()).await
    }

    /// [`Store::open`] with choices.
    ///
    /// # Errors
    /// See there.
    pub async fn open_with(path: &Path, options: Options) -> Result<Self, Error> {
        let failed = |e| match Error::of(path, e) {
            // Opening is done once, with a person at hand: what would be worth a retry later is not now.
            Error::Retry { source, .. } => {
                let advice = if is_busy(&source) {
                    "end the program that has it open"
                } else {
                    "check the folder, its owner and the disk"
                };
                Error::config(path, format!("cannot be opened: {source}; {advice}"))
            }
            other => other,
        };
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(if options.sync { SqliteSynchronous::Full } else { SqliteSynchronous::Normal })
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("journal_size_limit", WAL_KEPT);
        let pool = || {
            SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).max_lifetime(None).idle_timeout(None)
        };
        let open_writer = || pool().max_connections(1).connect_with(connect.clone());
        let writer = patient(open_writer).await.map_err(failed)?;
        let now = options.clock.now() as i64;
        migrate::run(path, &writer, now).await.map_err(|e| match e {
            Error::Retry { source, .. } => failed(source),
            other => other,
        })?;
        check(path, &writer).await?;
        // Names are case-sensitive, so LIKE is; query_only: what reads cannot write by mistake.
        let reading = connect.pragma("case_sensitive_like", "ON").pragma("query_only", "ON");
        let readers = pool().max_connections(READERS).connect_lazy_with(reading);
        let (path, clock) = (path.to_owned(), options.clock);
        let cache = answers::cache(&path.display().to_string(), &options.memcached, &clock);
        Ok(Self(Arc::new(Inner {
            path,
            clock,
            writer,
            readers,
            totals: Totals::default(),
            known: Known::default(),
            cache,
        })))
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Waits for calls in progress and closes the file. Later calls get [`Error::Closed`].
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }

    pub(crate) fn now(&self) -> i64 {
        self.0.clock.now() as i64
    }

    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.0.writer
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(crate) fn known(&self) -> &Known {
        &self.0.known
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.0.totals
    }
}
