//! Takes a database of the reference (Skyline 1.2.12 to 1.3.0 on MySQL or MariaDB) into the record.
//!
//! Entry points: [`run`], and [`Access`] with an [`Address`]. `source` reads, `step` says what becomes of each
//! table, `cursor` keeps how far it has come, `check` compares at the end.
//!
//! Invariants: the source is only read. What was read of a table up to an id is in the record, with the place
//! itself, or is not: each batch is one transaction. So an import that was interrupted goes on, and a second
//! one changes nothing. Rows keep their ids where these are free; `import_map` says which became which.

mod address;
mod check;
mod cursor;
mod error;
mod lineage;
mod map;
mod report;
pub mod series;
mod source;
mod step;
mod tally;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use error::Error;
pub use report::{Report, Table};
pub use source::Access;
pub use tally::Tally;

use crate::pool::Store;
use crate::session::{Session, Transaction};
use crate::statement::Statement;
use cursor::Cursor;
use map::Map;
use source::{Dictionary, Source};
use std::collections::HashMap;

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Name of the database in the record; none: made of its address.
    pub name: Option<String>,
    /// Say what would be done: series and features are counted, not read. The record has to be one of its own
    /// that is thrown away afterwards.
    pub dry: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Table of the source.
    pub table: &'static str,
    /// Rows of it that were looked at in this run.
    pub rows: u64,
    /// Rows of all tables that were looked at in this run.
    pub done: u64,
    /// Rows that all tables have, without series and features.
    pub total: u64,
}

/// Ids of the source and what they are in the record.
#[derive(Debug, Default)]
struct Maps {
    names: HashMap<Dictionary, Map>,
    accounts: Map,
    metrics: Map,
    profiles: Map,
}

impl Maps {
    fn name(&self, which: Dictionary, old: i64) -> Option<i64> {
        self.names.get(&which)?.get(&old).copied()
    }

    /// The account of a user. An upgrade to 1.3.0 writes 1 and 2 whatever ids the two users have that it makes.
    fn account(&self, user: i64) -> Option<i64> {
        self.accounts.get(&user).copied().or(match user {
            1 => Some(step::SYSTEM),
            2 => Some(step::ADMIN),
            _ => None,
        })
    }
}

/// An import that is under way.
struct Import<'a> {
    source: Source,
    record: &'a Store,
    source_id: i64,
    now: i64,
    dry: bool,
    maps: Maps,
    cursors: Vec<Cursor>,
    progress: &'a mut dyn FnMut(Progress),
    rows: HashMap<&'static str, u64>,
    done: u64,
    total: u64,
}

/// Whether a database can be read, and can be imported.
///
/// # Errors
/// See [`Error`].
pub async fn probe(access: &Access) -> Result<(), Error> {
    Box::pin(Source::open(access)).await?.close().await;
    Ok(())
}

/// Imports what the record has not yet got of a database, and compares the two.
///
/// # Errors
/// See [`Error`]. What was imported before stays; the next run goes on behind it.
pub async fn run(
    access: &Access,
    record: &Store,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    let mut source = Box::pin(Source::open(access)).await?;
    let mark = mark(&mut source).await?;
    let now = record.now();
    let name = options.name.clone().unwrap_or_else(|| access.address.source_name());
    let source_id = known_as(record, &name, &mark, options.name.is_some(), now).await?;
    let total = total(&mut source).await?;
    let mut import = Import {
        source,
        record,
        source_id,
        now,
        dry: options.dry,
        maps: Maps::default(),
        cursors: Vec::new(),
        progress,
        rows: HashMap::new(),
        done: 0,
        total,
    };
    Box::pin(step::all(&mut import)).await?;
    let report = Box::pin(check::compare(&mut import, name)).await?;
    if !options.dry {
        check::audit(&mut import).await?;
    }
    import.source.close().await;
    Ok(report)
}

impl Import<'_> {
    /// A connection to the record. SQLite has one that writes: it must be gone before the next one is asked for.
    async fn session(&self) -> Result<Session, Error> {
        Ok(self.record.writer().await?)
    }

    /// A transaction of the record.
    async fn begin(&self) -> Result<Transaction, Error> {
        Ok(self.record.transaction().await?)
    }

    fn progressed(&mut self, table: &'static str, rows: usize) {
        let of_table = self.rows.entry(table).or_default();
        *of_table += rows as u64;
        self.done += rows as u64;
        (self.progress)(Progress { table, rows: *of_table, done: self.done, total: self.total });
    }

    fn finished(&mut self, cursor: Cursor) {
        self.cursors.push(cursor);
    }
}

/// Tables whose rows are counted for the progress.
const COUNTED: [&str; 12] = [
    "hosts",
    "apps",
    "sources",
    "algorithms",
    "users",
    "metrics",
    "anomalies",
    "ionosphere",
    "ionosphere_layers",
    "ionosphere_matched",
    "ionosphere_layers_matched",
    "luminosity",
];

async fn total(source: &mut Source) -> Result<u64, Error> {
    let mut total = 0;
    for table in COUNTED {
        total += source.count(table).await?;
    }
    Ok(total)
}

/// What tells a database from another wherever it is: the first row of each dictionary and of the metrics. The
/// reference never changes or removes them.
async fn mark(source: &mut Source) -> Result<String, Error> {
    use md5::Digest as _;
    let mut sum = md5::Md5::new();
    for metric in source.metrics(0, 1).await? {
        sum.update(format!("metric {} {:?} {:?}\n", metric.old_id, metric.name, metric.created));
    }
    for which in Dictionary::ALL {
        for row in source.names(which, 0, 1).await? {
            sum.update(format!("{which:?} {} {:?} {:?}\n", row.old_id, row.name, row.created));
        }
    }
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The row of the database in `import_source`.
async fn known_as(record: &Store, name: &str, mark: &str, is_given: bool, now: i64) -> Result<i64, Error> {
    let mut transaction = record.writer().await?.begin().await?;
    let session = transaction.session();
    let failed = |place: &crate::Place, e: sqlx::Error| crate::Error::of(place, &e);
    let select = Statement::new("SELECT id, mark FROM import_source WHERE name = ?").bind(name);
    if let Some(row) = session.fetch_one(select).await? {
        let known: String = row.get("mark").map_err(|e| failed(session.place(), e))?;
        if known != mark {
            return Err(Error::NameTaken { name: name.to_owned() });
        }
        let id = row.get("id").map_err(|e| failed(session.place(), e))?;
        transaction.commit().await?;
        return Ok(id);
    }
    let select = Statement::new("SELECT name FROM import_source WHERE mark = ? AND name <> ? ORDER BY id")
        .bind(mark)
        .bind(name);
    if let Some(row) = session.fetch_one(select).await?.filter(|_| !is_given) {
        return Err(Error::KnownAs { known: row.get("name").map_err(|e| failed(session.place(), e))? });
    }
    let insert = Statement::new("INSERT INTO import_source (name, mark, first_at) VALUES (?, ?, ?)")
        .bind(name)
        .bind(mark)
        .bind(now);
    let id = session.execute(insert).await?.id;
    transaction.commit().await?;
    Ok(id)
}
