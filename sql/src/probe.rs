//! Asking a record how it is, for a person: nothing is changed.

use crate::error::{Error, make_database};
use crate::migrate::{self, STEPS};
use crate::place::Place;
use crate::pool::Store;
use crate::server::address;
use crate::session::{Dialect, Session};
use crate::statement::Statement;
use skyline_conf::model::record::Record;
use skyline_core::problem::Problem;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long all questions together may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long counting may take.
const COUNT_LIMIT: Duration = Duration::from_secs(3);

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Where it is.
    pub place: String,
    /// `SQLite`, `MariaDB` or `MySQL`.
    pub kind: &'static str,
    /// Its version, in its own words.
    pub version: String,
    /// Newest schema step that it has; 0: it is empty.
    pub schema: i64,
    /// Newest schema step that this version of skyline knows.
    pub known: i64,
    /// Whether a person has to type `skyline migrate`: it has rows and lacks steps.
    pub needs_migration: bool,
    /// Rights of the user on the database, as the server tells them; of a file whether it can be written.
    pub rights: Vec<String>,
    /// How long one question takes.
    pub latency: Duration,
    /// Bytes of tables and indexes.
    pub bytes: u64,
    /// Anomalies; none while there is no table of them, or so many that they are not counted in time.
    pub anomalies: Option<u64>,
}

/// Asks the record of the settings; `own_file`: the one that is used if they name none.
///
/// # Errors
/// What keeps the record from being used, and what to do about it.
pub async fn probe(settings: &Record, own_file: &Path) -> Result<Facts, Problem> {
    let asking = Box::pin(ask(settings, own_file));
    tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_| {
        Err(Problem::new(
            format!("the record does not answer within {} s", LIMIT.as_secs()),
            "see whether its server or disk is overloaded or stopped",
        ))
    })
}

async fn ask(settings: &Record, own_file: &Path) -> Result<Facts, Problem> {
    let mut session = connect(settings, own_file).await?;
    let place = session.place().clone();
    let started = Instant::now();
    session.number(Statement::new("SELECT 1")).await.map_err(|e| problem(&place, &e))?;
    let latency = started.elapsed();
    let failed = |e: Error| problem(&place, &e);
    let dialect = session.dialect();
    let version =
        words(&mut session, dialect.pick("SELECT sqlite_version() AS w", "SELECT version() AS w")).await;
    let version = version.map_err(failed)?.pop().unwrap_or_default();
    let plan = migrate::plan(&mut session, STEPS).await.map_err(failed)?;
    let rights = rights(&mut session).await.map_err(failed)?;
    let bytes = bytes(&mut session).await.map_err(failed)?;
    let anomalies = match plan.current {
        0 => None,
        _ => {
            let count = Statement::new("SELECT count(*) FROM anomaly");
            session.number_within(count, COUNT_LIMIT).await.unwrap_or(None)
        }
    };
    Ok(Facts {
        place: place.to_string(),
        kind: match dialect {
            Dialect::Sqlite => "SQLite",
            Dialect::MySql if version.contains("MariaDB") => "MariaDB",
            Dialect::MySql => "MySQL",
        },
        version,
        schema: plan.current,
        known: plan.known,
        needs_migration: !plan.is_done() && plan.has_rows,
        rights,
        latency,
        bytes,
        anomalies: anomalies.map(i64::unsigned_abs),
    })
}

async fn connect(settings: &Record, own_file: &Path) -> Result<Session, Problem> {
    let Some(file) = settings.file(own_file) else {
        let place = address::place(settings);
        return Store::bare_server(settings).await.map_err(|e| problem(&place, &e));
    };
    if !file.exists() {
        let advice = "the node makes it when it starts";
        return Err(Problem::new(format!("there is no file {} yet", file.display()), advice));
    }
    let place = Place::File(file.to_owned());
    Store::bare_file(file).await.map_err(|e| problem(&place, &e))
}

/// An error in plain words.
fn problem(place: &Place, error: &Error) -> Problem {
    let (Error::Retry { problem, .. }
    | Error::Clash { problem, .. }
    | Error::Config { problem, .. }
    | Error::Damaged { problem, .. }
    | Error::Data { problem, .. }) = error
    else {
        return Problem::new(error.to_string(), "start again");
    };
    let has = |text: &str| problem.contains(text);
    let what = |text: &str| format!("{text} {place}: {}", without_advice(problem));
    if has("Access denied") && has("to database") || has("Unknown database") {
        return Problem::new(
            what("there is no such database, or this user may not use it:"),
            make_database(place),
        );
    }
    if has("Access denied") {
        let advice = "set record.user, and write the password on the first line of record.password_file";
        return Problem::new(what("the server refuses this user and password:"), advice);
    }
    if has("another program") {
        return Problem::new(
            what("the database is not skyline's:"),
            format!("{} that is empty", place.another()),
        );
    }
    if has("has schema") {
        return Problem::new(
            what("the schema does not fit:"),
            "install the version of skyline that wrote it, or a newer one",
        );
    }
    if has("read-only") || has("readonly") || has("cannot be written") {
        return Problem::new(
            what("the record cannot be written:"),
            "give the node's user the right to write, or name a server that takes writes",
        );
    }
    if has("full") || has("No space") {
        return Problem::new(
            what("the disk of the record is full:"),
            "make room: lower record.keep_days or enlarge the disk",
        );
    }
    if has("certificate") || has("tls") || has("TLS") {
        return Problem::new(
            what("the encrypted connection is refused:"),
            "check record.tls, record.ca_file and the name in the server's certificate",
        );
    }
    match error {
        Error::Damaged { .. } => {
            Problem::new(what("the record is damaged:"), "restore a backup or move the file away")
        }
        Error::Retry { .. } if matches!(place, Place::Server { .. }) => Problem::new(
            what("the server cannot be reached at"),
            "see whether it runs, its address in record.server, and firewalls between",
        ),
        // What is wrong says what to do.
        _ => Problem::new(format!("the record cannot be used: {place}: {problem}"), ""),
    }
}

/// What is wrong without what to do about it, which [`problem`] says itself.
fn without_advice(problem: &str) -> &str {
    let advice = ["; as an administrator", ": set record.user", ": name ", ": give the ", ": check record."];
    let end = advice.iter().filter_map(|begin| problem.find(begin)).min();
    end.and_then(|end| problem.get(..end)).unwrap_or(problem)
}

async fn words(session: &mut Session, text: &str) -> Result<Vec<String>, Error> {
    let place = session.place().clone();
    let rows = session.fetch(Statement::new(text)).await?;
    rows.iter().map(|row| row.first::<String>().map_err(|e| Error::of(&place, &e))).collect()
}

/// Rights, without what could be a password.
async fn rights(session: &mut Session) -> Result<Vec<String>, Error> {
    if session.dialect() == Dialect::Sqlite {
        // Fails where the file cannot be written; takes nothing from anybody.
        session.raw("BEGIN IMMEDIATE").await?;
        session.raw("ROLLBACK").await?;
        return Ok(vec!["read and write".to_owned()]);
    }
    let grants = words(session, "SHOW GRANTS").await?;
    let Place::Server { database, .. } = session.place() else { return Ok(Vec::new()) };
    Ok(rights_on(database, &grants))
}

/// What may be done with a database, out of `SHOW GRANTS`: `SELECT, INSERT ON skyline.*`.
fn rights_on(database: &str, grants: &[String]) -> Vec<String> {
    let short = |grant: &String| {
        let grant = grant.strip_prefix("GRANT ").unwrap_or(grant);
        // Behind it: to whom, and what could be a password.
        let end = grant.find(" TO ").unwrap_or(grant.len());
        grant.get(..end).unwrap_or_default().replace(['`', '\\'], "")
    };
    let own = format!(" ON {database}.*");
    let counts = |right: &String| {
        right.ends_with(&own) || (right.ends_with(" ON *.*") && !right.starts_with("USAGE "))
    };
    let rights: Vec<String> = grants.iter().map(short).filter(counts).collect();
    if rights.is_empty() { vec!["rights by a role or a pattern".to_owned()] } else { rights }
}

async fn bytes(session: &mut Session) -> Result<u64, Error> {
    let statement = Statement::new(session.dialect().pick(
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED) FROM information_schema.tables \
         WHERE table_schema = DATABASE()",
    ));
    Ok(session.number(statement).await?.unwrap_or(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_those_on_the_database() {
        let grants = [
            "GRANT USAGE ON *.* TO `sky`@`localhost` IDENTIFIED BY PASSWORD '*123'",
            "GRANT SELECT, INSERT ON `my\\_sky`.* TO `sky`@`localhost`",
            "GRANT SELECT ON `other`.* TO `sky`@`localhost`",
            "GRANT SELECT ON `test`.* TO PUBLIC",
        ];
        let grants = grants.map(str::to_owned);
        assert_eq!(rights_on("my_sky", &grants), ["SELECT, INSERT ON my_sky.*"]);
        assert_eq!(rights_on("none", &grants), ["rights by a role or a pattern"]);
        let all = ["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION".to_owned()];
        assert_eq!(rights_on("sky", &all), ["ALL PRIVILEGES ON *.*"]);
    }

    #[test]
    fn advice_is_given_once() {
        let denied = "1045: Access denied for user 's'@'localhost' (using password: YES)";
        assert_eq!(without_advice(&format!("{denied}: set record.user and the password")), denied);
        assert_eq!(without_advice("refused"), "refused");
    }
}
