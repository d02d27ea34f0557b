//! What can keep a database from being imported, by what the operator can do.

use super::address::Address;

/// Why the import ended. What was imported until then stays; the same command goes on behind it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be one.
    #[error("--from: {problem}")]
    Address {
        /// What is wrong and what to write.
        problem: String,
    },
    /// The source does not let us in.
    #[error("{address}: {source}; {advice}")]
    Connect {
        /// Where.
        address: Box<Address>,
        /// What it said.
        source: sqlx::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The source did not answer a question.
    #[error("{address}, reading {table}: {source}; run the same command again, it goes on where it was")]
    Read {
        /// Where.
        address: Box<Address>,
        /// Table that was read.
        table: String,
        /// What it said.
        source: sqlx::Error,
    },
    /// The source took too long for one question.
    #[error(
        "{address}, reading {table}: no answer in {seconds} s; run the same command again when the server is idle"
    )]
    Slow {
        /// Where.
        address: Box<Address>,
        /// Table that was read.
        table: String,
        /// How long was waited.
        seconds: u64,
    },
    /// There are no tables of Skyline.
    #[error(
        "{address}: no database of Skyline, the table `{table}` is missing; name the right database, or give the user the right to read it"
    )]
    Foreign {
        /// Where.
        address: Box<Address>,
        /// A table that every version has.
        table: &'static str,
    },
    /// The tables are older than what can be imported.
    #[error("{address}: the tables are older than version 1.2.12; missing: {}; upgrade the database with the scripts of Skyline's updates/sql first", missing.join(", "))]
    TooOld {
        /// Where.
        address: Box<Address>,
        /// What is missing, with the version that brought it.
        missing: Vec<String>,
    },
    /// The database was imported under another name before.
    #[error(
        "this database is in the record already, as {known}: give --name {known} to go on with it, or --name with a new name to import it once more"
    )]
    KnownAs {
        /// That name.
        known: String,
    },
    /// Another database has the name.
    #[error(
        "the record has a database of the name {name} already, with other metrics: give --name with a new name"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Somebody else imports the same database into the same record.
    #[error(
        "another import of this database runs, {table} moved on: wait for it to end, then run this again"
    )]
    Beside {
        /// Table of the source.
        table: &'static str,
    },
    /// The record does not take it.
    #[error(transparent)]
    Record(#[from] crate::Error),
}
