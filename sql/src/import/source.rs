//! Reads a database of the reference: read only, in one snapshot, page by page in the order of ids.
//!
//! Nothing is locked. Rows of InnoDB are those of one moment. MyISAM tables have no snapshots; they are read
//! after that moment, and since the reference makes a name's row before the rows that refer to it, every
//! name of the snapshot is found. Decimals are read as text and times as Unix seconds: no digit and no
//! ambiguous hour is lost on the way.

mod anomaly;
mod dictionary;
mod layout;
mod matching;
mod profile;

pub(super) use anomaly::{Anomaly, Luminosity};
pub(super) use dictionary::{Dictionary, Metric};
pub(super) use layout::Layout;
pub(super) use matching::{Layer, LayerMatch, Match, Rule};
pub(super) use profile::{Extent, Profile};

use super::address::Address;
use super::error::Error;
use skyline_conf::secret::Secret;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::query::QueryAs;
use sqlx::{AssertSqlSafe, ConnectOptions as _, FromRow, MySql, MySqlConnection};
use std::path::PathBuf;
use std::time::Duration;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one question may take; the slowest looks through a table of a metric once.
const ANSWER: Duration = Duration::from_secs(600);

/// A database of the reference, as it was at one moment.
#[derive(Debug)]
pub(super) struct Source {
    address: Address,
    connection: MySqlConnection,
    layout: Layout,
}

/// Access to a source.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where it is.
    pub address: Address,
    /// The user's password.
    pub password: Option<Secret>,
    /// PEM file of the authorities of the server's certificate; without it the certificate is not checked.
    pub ca: Option<PathBuf>,
}

impl Source {
    /// Connects, begins the snapshot and looks what version it is.
    ///
    /// # Errors
    /// Nobody answers or lets us in; no tables of the reference, or older ones than can be imported.
    pub(super) async fn open(access: &Access) -> Result<Self, Error> {
        let refused = |source: sqlx::Error| {
            let advice = advice(&source);
            Error::Connect { address: Box::new(access.address.clone()), source, advice }
        };
        let options = access.address.options(access.password.as_ref(), access.ca.as_ref());
        let connecting = tokio::time::timeout(CONNECT, options.connect()).await;
        let late = |_| {
            let what = format!("no connection in {} s", CONNECT.as_secs());
            refused(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, what)))
        };
        let mut connection = connecting.map_err(late)?.map_err(refused)?;
        for statement in [
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES'",
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ] {
            sqlx::raw_sql(statement).execute(&mut connection).await.map_err(refused)?;
        }
        let mut source = Self { address: access.address.clone(), connection, layout: Layout::default() };
        source.layout = Layout::read(&mut source).await?;
        Ok(source)
    }

    /// What the tables are like.
    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Ends the snapshot.
    pub(super) async fn close(self) {
        use sqlx::Connection as _;
        if let Err(error) = self.connection.close().await {
            // Everything was read.
            tracing::debug!(%error, "the source did not say good-bye");
        }
    }

    fn boxed_address(&self) -> Box<Address> {
        Box::new(self.address.clone())
    }

    /// All rows of a statement, bounded by its own LIMIT or by what it is about.
    async fn all<T>(&mut self, table: &str, sql: String, numbers: &[i64]) -> Result<Vec<T>, Error>
    where
        T: for<'r> FromRow<'r, MySqlRow> + Send + Unpin,
    {
        let mut query: QueryAs<'_, MySql, T, MySqlArguments> = sqlx::query_as(AssertSqlSafe(sql));
        for number in numbers {
            query = query.bind(*number);
        }
        // The texts of statements differ by metric: kept prepared, they would fill the server's table of them.
        let answer = query.persistent(false).fetch_all(&mut self.connection);
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(source)) => {
                Err(Error::Read { address: self.boxed_address(), table: table.to_owned(), source })
            }
            Err(_) => Err(Error::Slow {
                address: self.boxed_address(),
                table: table.to_owned(),
                seconds: ANSWER.as_secs(),
            }),
        }
    }

    /// Rows of `table` behind the id `after`, `limit` at most, in the order of ids. `columns` may name the table `t`.
    async fn page<T>(&mut self, table: &str, columns: &str, after: i64, limit: usize) -> Result<Vec<T>, Error>
    where
        T: for<'r> FromRow<'r, MySqlRow> + Send + Unpin,
    {
        let sql = format!(
            "SELECT CAST(t.id AS SIGNED) AS old_id, {columns} FROM `{table}` t WHERE t.id > ? ORDER BY t.id LIMIT ?"
        );
        self.all(table, sql, &[after, limit as i64]).await
    }

    /// How many rows a table has in the snapshot.
    pub(super) async fn count(&mut self, table: &str) -> Result<u64, Error> {
        if !self.layout.has_table(table) {
            return Ok(0);
        }
        let rows: Vec<(i64,)> = self.all(table, format!("SELECT COUNT(*) FROM `{table}`"), &[]).await?;
        Ok(rows.first().map_or(0, |(count,)| count.cast_unsigned()))
    }

    /// Highest id of a table, 0 of an empty one.
    pub(super) async fn highest(&mut self, table: &str) -> Result<i64, Error> {
        let sql = format!("SELECT CAST(COALESCE(MAX(t.id), 0) AS SIGNED) FROM `{table}` t");
        let rows: Vec<(i64,)> = self.all(table, sql, &[]).await?;
        Ok(rows.first().map_or(0, |(id,)| *id))
    }

    /// Metrics that have profiles: id, profiles, sum of their `matched_count`.
    pub(super) async fn profiles_by_metric(&mut self) -> Result<Vec<(i64, i64, i64)>, Error> {
        let sql = "SELECT CAST(t.metric_id AS SIGNED), COUNT(*), CAST(COALESCE(SUM(t.matched_count), 0) AS SIGNED) \
                   FROM ionosphere t GROUP BY t.metric_id";
        self.all("ionosphere", sql.to_owned(), &[]).await
    }

    /// Time of the earliest anomaly.
    pub(super) async fn oldest_anomaly(&mut self) -> Result<Option<i64>, Error> {
        let sql = "SELECT CAST(MIN(t.anomaly_timestamp) AS SIGNED) FROM anomalies t";
        let rows: Vec<(Option<i64>,)> = self.all("anomalies", sql.to_owned(), &[]).await?;
        Ok(rows.first().and_then(|(ts,)| *ts))
    }
}

fn advice(error: &sqlx::Error) -> &'static str {
    match error.as_database_error().and_then(|e| e.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()) {
        // ER_DBACCESS_DENIED_ERROR, ER_BAD_DB_ERROR.
        Some(e) if matches!(e.number(), 1044 | 1049) => {
            "name the database in --from, and give the user SELECT on it"
        }
        // ER_ACCESS_DENIED_ERROR.
        Some(e) if e.number() == 1045 => {
            "check the user in --from, and --password-file or --password-env; the right SELECT on the database is enough"
        }
        _ => "check host, port or socket in --from, and that the server runs",
    }
}
