//! Connections to a MariaDB or MySQL server: a few, made when they are needed, kept while they are good.
//!
//! Not sqlx's pool: that one goes on trying while a server refuses connections and then only says that time
//! is up; here the caller gets the server's own words at once.

pub(crate) mod address;

use crate::error::Error;
use crate::place::Place;
use skyline_conf::model::record::Record;
use sqlx::mysql::MySqlConnection;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at once.
const CONNECTIONS: usize = 5;
/// As many of them may ask at once: one is left for who records.
const READERS: usize = CONNECTIONS - 1;
/// How long making a connection may take.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How long a call waits until one of the connections is free.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(5);
/// A connection that nobody used for so long is asked whether it is still there.
const DOUBTED_AFTER: Duration = Duration::from_secs(5);

/// What every connection begins with, whatever the server has for all: nothing is cut to fit, a statement outside
/// of a transaction is one of its own, each sees what is committed, all rows come, and a lock that another
/// holds is not waited for without end. Idle connections are kept longer than they are left unused here.
const SETTINGS: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO', \
    SESSION autocommit = 1, SESSION completion_type = 0, SESSION foreign_key_checks = 1, SESSION unique_checks = 1, \
    SESSION sql_safe_updates = 0, SESSION sql_select_limit = 18446744073709551615, SESSION sql_auto_is_null = 0, \
    SESSION wait_timeout = 600, SESSION innodb_lock_wait_timeout = 5, SESSION lock_wait_timeout = 30; \
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// The server and its idle connections.
#[derive(Debug)]
pub(crate) struct Server {
    place: Place,
    settings: Record,
    idle: Arc<Mutex<Vec<(MySqlConnection, Instant)>>>,
    free: Arc<Semaphore>,
    free_to_read: Arc<Semaphore>,
}

impl Server {
    /// Does not connect.
    ///
    /// # Errors
    /// [`Error::Config`] when the settings name no server.
    pub(crate) fn new(settings: &Record) -> Result<Self, Error> {
        let place = address::place(settings);
        address::options(settings, &place)?;
        let settings = settings.clone();
        Ok(Self {
            place,
            settings,
            idle: Arc::default(),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
            free_to_read: Arc::new(Semaphore::new(READERS)),
        })
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// A connection to use. The password is read each time that one is made, so it can be changed.
    pub(crate) async fn lease(&self) -> Result<Lease, Error> {
        let place = &self.place;
        let permit = self.permit(&self.free).await?;
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some((mut connection, since)) = kept {
            let is_good = since.elapsed() < DOUBTED_AFTER
                || matches!(tokio::time::timeout(CONNECT_LIMIT, connection.ping()).await, Ok(Ok(())));
            if is_good {
                return Ok(self.leased(connection, permit));
            }
        }
        let connection = connect(&self.settings, place).await?;
        Ok(self.leased(connection, permit))
    }

    /// [`Server::lease`] for who only asks: however slow the questions are, they do not keep out who records.
    pub(crate) async fn lease_to_read(&self) -> Result<Lease, Error> {
        let to_read = self.permit(&self.free_to_read).await?;
        let mut lease = self.lease().await?;
        lease._to_read = Some(to_read);
        Ok(lease)
    }

    async fn permit(&self, of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
        match tokio::time::timeout(WAIT_LIMIT, Arc::clone(of).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Error::Closed { place: self.place.clone() }),
            Err(_) => Err(Error::retry(&self.place, "all connections are busy")),
        }
    }

    fn leased(&self, connection: MySqlConnection, permit: OwnedSemaphorePermit) -> Lease {
        Lease { connection: Some(connection), idle: Arc::clone(&self.idle), _permit: permit, _to_read: None }
    }

    /// Waits for those in use, then closes all.
    pub(crate) async fn close(&self) {
        let count = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        let all = tokio::time::timeout(WAIT_LIMIT, self.free.acquire_many(count)).await;
        self.free.close();
        self.free_to_read.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for (connection, _) in idle {
            // It is closed with or without a good-bye.
            drop(tokio::time::timeout(CONNECT_LIMIT, connection.close()).await);
        }
    }
}

/// Makes a connection.
pub(crate) async fn connect(settings: &Record, place: &Place) -> Result<MySqlConnection, Error> {
    let options = address::options(settings, place)?;
    let made = async {
        // A statement of thousands of values is no line of a log, slow or not.
        let mut connection = options.disable_statement_logging().connect().await?;
        connection.execute(sqlx::raw_sql(SETTINGS)).await?;
        Ok(connection)
    };
    match tokio::time::timeout(CONNECT_LIMIT, Box::pin(made)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(Error::of(place, &error)),
        Err(_) => Err(Error::retry(place, format!("no connection within {} s", CONNECT_LIMIT.as_secs()))),
    }
}

/// A connection in use; given back on drop, unless it was closed.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Option<MySqlConnection>,
    idle: Arc<Mutex<Vec<(MySqlConnection, Instant)>>>,
    _permit: OwnedSemaphorePermit,
    _to_read: Option<OwnedSemaphorePermit>,
}

impl Lease {
    pub(crate) fn connection(&mut self) -> Result<&mut MySqlConnection, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Closes it at once, and those that nobody uses with it: what happened to one has happened to all.
    pub(crate) fn close(&mut self) {
        self.connection = None;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push((connection, Instant::now()));
        }
    }
}
