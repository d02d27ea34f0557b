//! Opening the record: an SQLite file with one connection that writes and several that read, or a server.
//!
//! A file is opened, checked and brought up to date at once. A server may be away when the node starts: it
//! is connected to when the record is first used, and its tables are looked at before anything else.

use crate::answers;
use crate::cache::Cache;
use crate::dictionary::Known;
use crate::error::{Error, sqlite_code};
use crate::figures::Totals;
use crate::migrate::{self, STEPS};
use crate::place::Place;
use crate::server::{Server, WAIT_LIMIT};
use crate::session::{Dialect, Link, Session, Transaction};
use crate::statement::Statement;
use skyline_conf::model::memcached::Memcached;
use skyline_conf::model::record::Record;
use skyline_core::clock::Clock;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlitePool};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before a file that others are opening is opened again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// How long a call waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one statement may take. A server that does not answer is away.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);
/// The same for a file: locks are waited for first.
const FILE_LIMIT: Duration = Duration::from_secs(60);
/// What of the write-ahead log stays on disk after it was folded in, bytes.
const WAL_KEPT: &str = "67108864";
/// Largest file that is looked through at open, bytes.
const CHECKED_BYTES: u64 = 64 << 20;
/// Attempts at a transaction that met another one in the database, and the pause between them.
const ATTEMPTS: u32 = 4;
const CLASH_PAUSE: Duration = Duration::from_millis(30);
/// Connections that read.
const READERS: u32 = 4;

/// How the record behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where `created_at` comes from.
    pub clock: Clock,
    /// Sync the disk with every transaction. Without it a power failure (not a crash of the process)
    /// may take the last transactions; the rest stays whole. A server follows its own settings.
    pub sync: bool,
    /// Anomalies of a metric that follow each other within so many seconds are one row; 0: each is a row.
    pub join_seconds: u32,
    /// A cache that nodes with this record share.
    pub memcached: Memcached,
}

/// The record. Cheap to clone; all clones are the same record.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    options: Options,
    backend: Backend,
    totals: Totals,
    known: Known,
    cache: Arc<Cache>,
}

#[derive(Debug)]
enum Backend {
    Sqlite { writer: SqlitePool, readers: SqlitePool, identity: Option<(u64, u64)> },
    MySql { server: Box<Server>, is_checked: AtomicBool, checking: tokio::sync::Mutex<()> },
}

/// Code by which SQLite says that another connection holds the file (SQLITE_BUSY and SQLITE_LOCKED).
fn is_busy(error: &sqlx::Error) -> bool {
    matches!(sqlite_code(error), Some(5 | 6))
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
async fn check(path: &Path, place: &Place, writer: &SqlitePool) -> Result<(), Error> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > CHECKED_BYTES) {
        return Ok(());
    }
    let found = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)").fetch_one(writer).await;
    let damage = match found {
        Ok(found) if found == "ok" => return Ok(()),
        Ok(found) => found.replace('\n', " "),
        Err(error) => return Err(Error::of(place, &error)),
    };
    Err(Error::damaged(place, format!("{damage}: the file is damaged, restore it or move it away")))
}

/// How a file is opened.
fn file_options(path: &Path, sync: bool) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if sync { SqliteSynchronous::Full } else { SqliteSynchronous::Normal })
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("journal_size_limit", WAL_KEPT)
        // A statement of thousands of values is no line of a log, slow or not.
        .disable_statement_logging()
}

fn file_pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).max_lifetime(None).idle_timeout(None)
}

/// The only connection that writes a file.
async fn open_writer(path: &Path, place: &Place, options: &Options) -> Result<SqlitePool, Error> {
    let connect = file_options(path, options.sync);
    let open = || file_pool().max_connections(1).connect_with(connect.clone());
    patient(open).await.map_err(|error| match Error::of(place, &error) {
        // Opening is done once, with a person at hand: what would be worth a retry later is not now.
        Error::Retry { .. } => {
            let advice = if is_busy(&error) {
                "end the program that has it open"
            } else {
                "check the folder, its owner and the disk"
            };
            Error::config(place, format!("cannot be opened: {error}; {advice}"))
        }
        other => other,
    })
}

/// Which file it is: device and number there; none if it is not there.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

async fn sqlite_session(place: &Place, pool: &SqlitePool) -> Result<Session, Error> {
    let connection = pool.acquire().await.map_err(|e| Error::of(place, &e))?;
    Ok(Session::new(place.clone(), Link::Sqlite(connection), FILE_LIMIT))
}

impl Store {
    /// Opens or creates the record in the SQLite file `path` and brings its tables up to date.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the file is no database; [`Error::Config`] when it is another program's, of a
    /// newer version, or cannot be opened.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        Self::open_file(path, Options::default()).await
    }

    /// [`Store::open`] with choices.
    ///
    /// # Errors
    /// See there.
    pub async fn open_file(path: &Path, options: Options) -> Result<Self, Error> {
        let place = Place::File(path.to_owned());
        let writer = open_writer(path, &place, &options).await?;
        let now = options.clock.now() as i64;
        let up_to_date = async {
            let mut session = sqlite_session(&place, &writer).await?;
            migrate::backup::copy_first(&mut session).await?;
            migrate::apply(session, STEPS, now).await
        };
        up_to_date.await.map_err(|e| match e {
            Error::Retry { problem, .. } => Error::config(
                &place,
                format!("cannot be opened: {problem}; check the disk and who else has it open"),
            ),
            other => other,
        })?;
        check(path, &place, &writer).await?;
        // Names are case-sensitive, so LIKE is; query_only: what reads cannot write by mistake.
        let reading =
            file_options(path, options.sync).pragma("case_sensitive_like", "ON").pragma("query_only", "ON");
        let readers = file_pool().max_connections(READERS).connect_lazy_with(reading);
        let identity = identity(path);
        Ok(Self::new(place, options, Backend::Sqlite { writer, readers, identity }))
    }

    /// The record on the server of the settings. Does not connect: that is done when it is first used, and
    /// again after each failure.
    ///
    /// # Errors
    /// [`Error::Config`] when the settings name no server.
    pub fn open_server(settings: &Record, options: Options) -> Result<Self, Error> {
        let server = Server::new(settings)?;
        let place = server.place().clone();
        let backend = Backend::MySql {
            server: Box::new(server),
            is_checked: AtomicBool::new(false),
            checking: tokio::sync::Mutex::default(),
        };
        Ok(Self::new(place, options, backend))
    }

    /// The record that the settings name: a server, or the file `own_file` if they name none.
    ///
    /// # Errors
    /// See [`Store::open`] and [`Store::open_server`].
    pub async fn open_with(settings: &Record, own_file: &Path, options: Options) -> Result<Self, Error> {
        match settings.file(own_file) {
            Some(file) => Self::open_file(file, options).await,
            None => Self::open_server(settings, options),
        }
    }

    fn new(place: Place, options: Options, backend: Backend) -> Self {
        let cache = Arc::new(answers::cache(&place, &options.memcached, &options.clock));
        let (totals, known) = (Totals::default(), Known::default());
        Self(Arc::new(Inner { place, options, backend, totals, known, cache }))
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Waits for calls in progress and closes the database. Later calls get [`Error::Closed`].
    pub async fn close(&self) {
        match &self.0.backend {
            Backend::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Backend::MySql { server, .. } => server.close().await,
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match &self.0.backend {
            Backend::Sqlite { .. } => Dialect::Sqlite,
            Backend::MySql { .. } => Dialect::MySql,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.0.options.clock.now() as i64
    }

    pub(crate) fn join_seconds(&self) -> u32 {
        self.0.options.join_seconds
    }

    /// A connection that may only read.
    pub(crate) async fn reader(&self) -> Result<Session, Error> {
        match &self.0.backend {
            Backend::Sqlite { readers, .. } => sqlite_session(self.place(), readers).await,
            Backend::MySql { server, is_checked, checking } => {
                self.checked(server, is_checked, checking).await?;
                let lease = server.lease_to_read().await?;
                Ok(Session::new(self.place().clone(), Link::MySql(lease), STATEMENT_LIMIT))
            }
        }
    }

    /// A connection that may write; in SQLite there is one.
    pub(crate) async fn writer(&self) -> Result<Session, Error> {
        match &self.0.backend {
            Backend::Sqlite { writer, identity: known, .. } => {
                // SQLite would go on writing into a file that nobody finds any more.
                if self.place().file().is_some_and(|path| identity(path) != *known) {
                    return Err(Error::config(
                        self.place(),
                        "the file was removed or replaced while it was open: put it back, or start the node again",
                    ));
                }
                sqlite_session(self.place(), writer).await
            }
            Backend::MySql { server, is_checked, checking } => {
                self.checked(server, is_checked, checking).await?;
                self.server_session(server).await
            }
        }
    }

    /// Looks at the tables of the server, unless somebody has. Of those who come at once one looks; the
    /// others wait for it, but not for each other: a server that does not answer would keep the last one longest.
    async fn checked(
        &self,
        server: &Server,
        is_checked: &AtomicBool,
        checking: &tokio::sync::Mutex<()>,
    ) -> Result<(), Error> {
        if is_checked.load(Ordering::Acquire) {
            return Ok(());
        }
        let Ok(_one_at_a_time) = tokio::time::timeout(WAIT_LIMIT, checking.lock()).await else {
            return Err(Error::retry(self.place(), "its tables are still being looked at"));
        };
        if !is_checked.load(Ordering::Acquire) {
            self.check_server(server).await?;
            is_checked.store(true, Ordering::Release);
        }
        Ok(())
    }

    async fn server_session(&self, server: &Server) -> Result<Session, Error> {
        let lease = server.lease().await?;
        Ok(Session::new(self.place().clone(), Link::MySql(lease), STATEMENT_LIMIT))
    }

    /// Tables of an empty database are made; those of an older version that hold something are left to a
    /// person: other nodes may be writing them, and nobody has made a backup.
    async fn check_server(&self, server: &Server) -> Result<(), Error> {
        let mut session = self.server_session(server).await?;
        let plan = migrate::plan(&mut session, STEPS).await?;
        if plan.is_done() {
            return Ok(());
        }
        if plan.has_rows {
            let (current, known) = (plan.current, plan.known);
            return Err(Error::config(
                self.place(),
                format!(
                    "has schema {current} and holds data, this version of skyline needs schema {known}: \
                     type: skyline migrate"
                ),
            ));
        }
        migrate::apply(session, STEPS, self.now()).await.map(drop)
    }

    /// A connection to a file as it is; makes the file.
    pub(crate) async fn bare_file(path: &Path) -> Result<Session, Error> {
        let place = Place::File(path.to_owned());
        let pool = open_writer(path, &place, &Options::default()).await?;
        sqlite_session(&place, &pool).await
    }

    /// A connection to a database as it is.
    pub(crate) async fn bare_server(settings: &Record) -> Result<Session, Error> {
        let server = Server::new(settings)?;
        let lease = server.lease().await?;
        Ok(Session::new(server.place().clone(), Link::MySql(lease), STATEMENT_LIMIT))
    }

    /// Whether it is there and has the tables of this version; makes them in an empty database.
    ///
    /// # Errors
    /// Why it cannot be used now.
    pub async fn ping(&self) -> Result<(), Error> {
        let outcome =
            self.writer().await?.number(Statement::new("SELECT version FROM schema_migration LIMIT 1")).await;
        if outcome.is_err() {
            self.doubt();
        }
        outcome.map(drop)
    }

    /// A transaction that may write.
    pub(crate) async fn transaction(&self) -> Result<Transaction, Error> {
        Ok(self.writer().await?.begin().await?.before(&self.0.cache))
    }

    /// Does a transaction, and again a few times when it has met another one in the database.
    pub(crate) async fn repeated<T, F: Future<Output = Result<T, Error>>>(
        &self,
        transaction: impl Fn() -> F,
    ) -> Result<T, Error> {
        let mut attempt = 1;
        loop {
            match Box::pin(transaction()).await {
                Err(Error::Clash { .. }) if attempt < ATTEMPTS => {
                    tokio::time::sleep(CLASH_PAUSE * attempt).await;
                    attempt += 1;
                }
                outcome => {
                    if matches!(outcome, Err(Error::Config { .. })) {
                        self.doubt();
                    }
                    return outcome;
                }
            }
        }
    }

    /// The tables may have changed: they are looked at before they are used again.
    pub(crate) fn doubt(&self) {
        if let Backend::MySql { is_checked, .. } = &self.0.backend {
            is_checked.store(false, Ordering::Release);
        }
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
