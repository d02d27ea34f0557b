//! A connection that is in use, of either dialect, and transactions on it.
//!
//! A connection on which something went wrong, or whose call was given up, is closed and not used again:
//! what the server was still about to do there is rolled back by the server.

use crate::cache::Cache;
use crate::error::Error;
use crate::place::Place;
use crate::server::Lease;
use crate::statement::{Statement, Value};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Executor as _, MySql, Sqlite, Type};
use std::sync::Arc;
use std::time::Duration;

/// Which SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    MySql,
}

impl Dialect {
    /// One of two texts.
    pub(crate) const fn pick<'a>(self, sqlite: &'a str, mysql: &'a str) -> &'a str {
        match self {
            Self::Sqlite => sqlite,
            Self::MySql => mysql,
        }
    }
}

/// What a statement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// Rows that it changed.
    pub(crate) rows: u64,
    /// Id of the row that it inserted last.
    pub(crate) id: i64,
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(sqlx::sqlite::SqliteRow),
    MySql(sqlx::mysql::MySqlRow),
}

impl Row {
    /// A column's value.
    pub(crate) fn get<'r, T>(&'r self, column: &str) -> Result<T, sqlx::Error>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, MySql> + Type<MySql>,
    {
        self.at(column)
    }

    /// The first column's value.
    pub(crate) fn first<'r, T>(&'r self) -> Result<T, sqlx::Error>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, MySql> + Type<MySql>,
    {
        self.at(0)
    }

    fn at<'r, T, I>(&'r self, column: I) -> Result<T, sqlx::Error>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, MySql> + Type<MySql>,
        I: ColumnIndex<sqlx::sqlite::SqliteRow> + ColumnIndex<sqlx::mysql::MySqlRow>,
    {
        use sqlx::Row as _;
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::MySql(row) => row.try_get(column),
        }
    }
}

/// The connection itself.
pub(crate) enum Link {
    Sqlite(PoolConnection<Sqlite>),
    MySql(Lease),
}

/// A connection in use.
pub(crate) struct Session {
    place: Place,
    limit: Duration,
    link: Option<Link>,
    /// Nothing is under way and no transaction is open.
    at_rest: bool,
    in_transaction: bool,
}

/// Binds the values of a statement.
macro_rules! bound {
    ($statement:expr, $finite:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($statement.text)).persistent($statement.keep);
        for value in $statement.values {
            query = match value {
                Value::Null => query.bind(None::<i64>),
                Value::Int(value) => query.bind(value),
                Value::Float(value) if $finite && !value.is_finite() => query.bind(None::<f64>),
                Value::Float(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Blob(value) => query.bind(value),
            };
        }
        query
    }};
}

impl Session {
    /// `limit`: how long one statement may take.
    pub(crate) const fn new(place: Place, link: Link, limit: Duration) -> Self {
        Self { place, limit, link: Some(link), at_rest: true, in_transaction: false }
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        match &self.link {
            Some(Link::MySql(_)) => Dialect::MySql,
            _ => Dialect::Sqlite,
        }
    }

    /// Runs a statement that gives no rows.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<Done, Error> {
        self.ask(async |link| match link {
            Link::Sqlite(connection) => {
                let done = bound!(statement, false).execute(&mut **connection).await?;
                Ok(Done { rows: done.rows_affected(), id: done.last_insert_rowid() })
            }
            Link::MySql(lease) => {
                let done = bound!(statement, true).execute(lease.connection()?).await?;
                Ok(Done { rows: done.rows_affected(), id: done.last_insert_id().cast_signed() })
            }
        })
        .await
    }

    /// [`Session::execute`] for what may take longer.
    pub(crate) async fn execute_within(
        &mut self,
        statement: Statement,
        limit: Duration,
    ) -> Result<Done, Error> {
        let usual = std::mem::replace(&mut self.limit, limit);
        let outcome = self.execute(statement).await;
        self.limit = usual;
        outcome
    }

    /// Runs a statement and takes all its rows.
    pub(crate) async fn fetch(&mut self, statement: Statement) -> Result<Vec<Row>, Error> {
        self.ask(async |link| match link {
            Link::Sqlite(connection) => {
                let rows = bound!(statement, false).fetch_all(&mut **connection).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Link::MySql(lease) => {
                let rows = bound!(statement, true).fetch_all(lease.connection()?).await?;
                Ok(rows.into_iter().map(Row::MySql).collect())
            }
        })
        .await
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_one(&mut self, statement: Statement) -> Result<Option<Row>, Error> {
        Ok(self.fetch(statement).await?.into_iter().next())
    }

    /// The first column of the first row.
    pub(crate) async fn number(&mut self, statement: Statement) -> Result<Option<i64>, Error> {
        let row = self.fetch_one(statement).await?;
        let number = row.map(|row| row.first::<Option<i64>>()).transpose();
        Ok(number.map_err(|e| Error::of(&self.place, &e))?.flatten())
    }

    /// [`Session::number`] for what may take longer.
    pub(crate) async fn number_within(
        &mut self,
        statement: Statement,
        limit: Duration,
    ) -> Result<Option<i64>, Error> {
        let usual = std::mem::replace(&mut self.limit, limit);
        let outcome = self.number(statement).await;
        self.limit = usual;
        outcome
    }

    /// Runs text without values, as the server takes it: definitions, transactions, settings.
    pub(crate) async fn raw(&mut self, text: &str) -> Result<(), Error> {
        self.raw_within(text, self.limit).await
    }

    /// [`Session::raw`] for what may take longer.
    pub(crate) async fn raw_within(&mut self, text: &str, limit: Duration) -> Result<(), Error> {
        let usual = std::mem::replace(&mut self.limit, limit);
        let outcome = self.ask(async |link| raw(link, text).await).await;
        self.limit = usual;
        outcome
    }

    /// As [`Session::raw_within`], with the database's own error.
    pub(crate) async fn raw_or(
        &mut self,
        text: &str,
        limit: Duration,
    ) -> Result<Result<(), sqlx::Error>, Error> {
        let usual = std::mem::replace(&mut self.limit, limit);
        let outcome = self
            .ask(async |link| match raw(link, text).await {
                Err(error @ sqlx::Error::Database(_)) => Ok(Err(error)),
                other => other.map(Ok),
            })
            .await;
        self.limit = usual;
        outcome
    }

    /// Begins a transaction; in SQLite as the only writer.
    pub(crate) async fn begin(mut self) -> Result<Transaction, Error> {
        let text = self.dialect().pick("BEGIN IMMEDIATE", "START TRANSACTION");
        self.raw(text).await?;
        self.in_transaction = true;
        Ok(Transaction { session: self, cache: None })
    }

    async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut Link) -> Result<T, sqlx::Error>,
    ) -> Result<T, Error> {
        let Some(link) = &mut self.link else { return Err(Error::Closed { place: self.place.clone() }) };
        // Stays so if the answer does not come, or nobody waits for it any more.
        self.at_rest = false;
        match tokio::time::timeout(self.limit, question(link)).await {
            Ok(Ok(answer)) => {
                self.at_rest = true;
                Ok(answer)
            }
            Ok(Err(error)) => {
                // An answer all the same; in a transaction what was done before has to go too.
                self.at_rest = error.as_database_error().is_some() && !self.in_transaction;
                Err(Error::of(&self.place, &error))
            }
            Err(_) => {
                let seconds = self.limit.as_secs_f64();
                Err(Error::retry(&self.place, format!("no answer within {seconds} s")))
            }
        }
    }
}

async fn raw(link: &mut Link, text: &str) -> Result<(), sqlx::Error> {
    let text = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
    match link {
        Link::Sqlite(connection) => (**connection).execute(text).await.map(drop),
        Link::MySql(lease) => lease.connection()?.execute(text).await.map(drop),
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.at_rest && !self.in_transaction {
            return;
        }
        match self.link.take() {
            Some(Link::Sqlite(connection)) => drop(connection.detach()),
            Some(Link::MySql(mut lease)) => lease.close(),
            None => {}
        }
    }
}

/// A transaction; rolled back, with its connection closed, unless it is committed.
pub(crate) struct Transaction {
    session: Session,
    /// Told of the end: answers from before it are not given any more.
    cache: Option<Arc<Cache>>,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(cache) = &self.cache {
            drop(cache.writing());
        }
    }
}

impl Transaction {
    pub(crate) const fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The same, in front of whose database is that cache.
    pub(crate) fn before(mut self, cache: &Arc<Cache>) -> Self {
        self.cache = Some(Arc::clone(cache));
        self
    }

    /// Undoes everything; the connection stays good.
    pub(crate) async fn rollback(mut self) -> Result<(), Error> {
        self.session.raw("ROLLBACK").await?;
        self.session.in_transaction = false;
        Ok(())
    }

    /// Makes everything stay.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        self.session.raw("COMMIT").await?;
        self.session.in_transaction = false;
        let cache = self.cache.clone();
        // The connection is free while memcached is told.
        drop(self);
        if let Some(cache) = cache {
            cache.settle().await;
        }
        Ok(())
    }
}
