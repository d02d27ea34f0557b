//! Brings the tables up to date: numbered steps, the same for both dialects, each recorded with a checksum.
//!
//! In SQLite all missing steps are one transaction. MariaDB and MySQL make each definition permanent at
//! once, so a step goes statement by statement; how far it has come is recorded after each, and a step that
//! was interrupted goes on there. Only the statement after the recorded ones may have been done already,
//! so only there it is no fault that something exists.

pub(crate) mod backup;
mod steps;

use crate::error::{Error, mysql_number};
use crate::place::Place;
use crate::session::{Dialect, Session};
use crate::statement::Statement;
use std::time::Duration;
pub(crate) use steps::{STEPS, Step, statements};

/// How long one statement of a step may take: a large table is rewritten.
const STEP_LIMIT: Duration = Duration::from_hours(1);
/// How long others may take that are bringing the same database up to date, seconds.
const LOCK_SECONDS: u32 = 60;
/// Begins the checksum of a step that is under way; then the number of statements done and a colon.
const UNFINISHED: &str = "unfinished:";

/// What there is and what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Newest step that the database has; 0: it is empty.
    pub current: i64,
    /// Newest step that this version of skyline knows.
    pub known: i64,
    /// Steps to be applied, with their names.
    pub missing: Vec<(i64, &'static str)>,
    /// Whether there are anomalies, profiles or anything else that a person would miss.
    pub has_rows: bool,
    /// Whether the first of the missing steps was begun and interrupted.
    pub interrupted: bool,
}

impl Plan {
    /// Whether nothing is to be done.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Looks; changes nothing.
///
/// # Errors
/// The database is another program's, newer, or of another build.
pub(crate) async fn plan(session: &mut Session, steps: &[Step]) -> Result<Plan, Error> {
    let place = session.place().clone();
    let failed = |e| Error::of(&place, &e);
    let known = steps.last().map_or(0, |s| s.version);
    let tables = tables(session).await?;
    let mut plan = Plan { current: 0, known, missing: Vec::new(), has_rows: false, interrupted: false };
    if !tables.iter().any(|t| t == "schema_migration") {
        if !tables.is_empty() {
            let advice = place.another();
            return Err(Error::config(&place, format!("is a database of another program: {advice}")));
        }
        plan.missing = steps.iter().map(|s| (s.version, s.name)).collect();
        return Ok(plan);
    }
    let applied = Statement::new("SELECT version, name, checksum FROM schema_migration ORDER BY version");
    let mut done = Vec::new();
    for row in session.fetch(applied).await? {
        let version: i64 = row.get("version").map_err(failed)?;
        let name: String = row.get("name").map_err(failed)?;
        let sum: String = row.get("checksum").map_err(failed)?;
        let step = steps.iter().find(|s| s.version == version);
        check(&place, known, (version, &name), &sum, step)?;
        if sum.starts_with(UNFINISHED) {
            plan.interrupted = true;
        } else {
            plan.current = plan.current.max(version);
            done.push(version);
        }
    }
    plan.missing = steps.iter().filter(|s| !done.contains(&s.version)).map(|s| (s.version, s.name)).collect();
    plan.has_rows = has_rows(session, &tables).await?;
    Ok(plan)
}

/// Refuses a step that is not ours.
fn check(
    place: &Place,
    known: i64,
    (version, name): (i64, &str),
    sum: &str,
    step: Option<&Step>,
) -> Result<(), Error> {
    let advice = place.another();
    let dialect = match place {
        Place::File(_) => Dialect::Sqlite,
        Place::Server { .. } => Dialect::MySql,
    };
    let Some(step) = step else {
        let problem = format!(
            "has schema {version} ({name}), this version of skyline knows {known} at most: \
             run the newer skyline again or {advice}"
        );
        return Err(Error::config(place, problem));
    };
    let is_ours = match sum.strip_prefix(UNFINISHED) {
        Some(rest) => rest.split_once(':').is_some_and(|(_, sum)| sum == step.checksum(dialect)),
        None => sum == step.checksum(dialect),
    };
    if is_ours {
        return Ok(());
    }
    let problem = format!("schema {version} ({name}) is not the one of this version of skyline: {advice}");
    Err(Error::config(place, problem))
}

/// Names of all tables.
pub(crate) async fn tables(session: &mut Session) -> Result<Vec<String>, Error> {
    let place = session.place().clone();
    let statement = Statement::new(session.dialect().pick(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name",
        "SELECT CAST(table_name AS CHAR) AS name FROM information_schema.tables WHERE table_schema = DATABASE() \
         ORDER BY table_name",
    ));
    let rows = session.fetch(statement).await?;
    rows.iter().map(|row| row.get("name").map_err(|e| Error::of(&place, &e))).collect()
}

/// Whether there is something that a person would miss.
async fn has_rows(session: &mut Session, tables: &[String]) -> Result<bool, Error> {
    const LOOKS: [(&str, &str); 3] = [
        ("anomaly", "SELECT 1 FROM anomaly LIMIT 1"),
        ("profile", "SELECT 1 FROM profile LIMIT 1"),
        ("metric", "SELECT 1 FROM metric LIMIT 1"),
    ];
    for (table, look) in LOOKS {
        if tables.iter().any(|t| t == table) && session.fetch_one(Statement::new(look)).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Applies what is missing, and says what that was. A second process that does the same waits.
///
/// # Errors
/// See [`plan`]; or a step fails: it can be begun again.
pub(crate) async fn apply(session: Session, steps: &[Step], now: i64) -> Result<Plan, Error> {
    match session.dialect() {
        Dialect::Sqlite => apply_sqlite(session, steps, now).await,
        Dialect::MySql => apply_mysql(session, steps, now).await,
    }
}

async fn apply_sqlite(session: Session, steps: &[Step], now: i64) -> Result<Plan, Error> {
    let mut transaction = session.begin().await?;
    let session = transaction.session();
    let plan = plan(session, steps).await?;
    session.raw(DEFINITION_SQLITE).await?;
    for step in steps.iter().filter(|s| plan.missing.iter().any(|(version, _)| *version == s.version)) {
        session.raw_within(step.sqlite, STEP_LIMIT).await?;
        record(session, step, &step.checksum(Dialect::Sqlite), now).await?;
        tell(session.place(), step);
    }
    transaction.commit().await?;
    Ok(plan)
}

async fn apply_mysql(mut session: Session, steps: &[Step], now: i64) -> Result<Plan, Error> {
    let place = session.place().clone();
    let lock = Statement::new("SELECT GET_LOCK(CONCAT('skyline.', MD5(DATABASE())), ?)").bind(LOCK_SECONDS);
    let limit = Duration::from_secs(u64::from(LOCK_SECONDS) + 5);
    if session.number_within(lock, limit).await? != Some(1) {
        return Err(Error::retry(&place, "another node is bringing its tables up to date"));
    }
    let outcome = apply_locked(&mut session, steps, now).await;
    // Ends with the connection anyhow.
    session.raw("DO RELEASE_LOCK(CONCAT('skyline.', MD5(DATABASE())))").await.ok();
    outcome
}

async fn apply_locked(session: &mut Session, steps: &[Step], now: i64) -> Result<Plan, Error> {
    let plan = plan(session, steps).await?;
    session.raw(DEFINITION_MYSQL).await?;
    for step in steps.iter().filter(|s| plan.missing.iter().any(|(version, _)| *version == s.version)) {
        let sum = step.checksum(Dialect::MySql);
        let progress =
            Statement::new("SELECT checksum FROM schema_migration WHERE version = ?").bind(step.version);
        let place = session.place().clone();
        let before = match session.fetch_one(progress).await? {
            Some(row) => row.first::<String>().map_err(|e| Error::of(&place, &e))?,
            None => String::new(),
        };
        let done = before.strip_prefix(UNFINISHED).and_then(|rest| rest.split(':').next()?.parse().ok());
        let done: usize = done.unwrap_or(0);
        for (number, text) in statements(step.mysql).enumerate().skip(done) {
            if number == done {
                // Recorded before it is tried: from now on this step is known to have been begun.
                record_progress(session, step, number).await?;
            }
            match session.raw_or(&text, STEP_LIMIT).await? {
                Ok(()) => {}
                Err(error) if number == done && is_there(&error) => {}
                Err(error) => return Err(Error::of(&place, &error)),
            }
            record_progress(session, step, number + 1).await?;
        }
        record(session, step, &sum, now).await?;
        tell(&place, step);
    }
    Ok(plan)
}

/// A table, column, key or constraint is there already, or an index that is to go is gone.
fn is_there(error: &sqlx::Error) -> bool {
    matches!(mysql_number(error), Some(1050 | 1060 | 1061 | 1022 | 1091 | 1826 | 3822))
}

fn tell(place: &Place, step: &Step) {
    tracing::info!(record = %place, version = step.version, name = step.name, "record: schema applied");
}

const DEFINITION_SQLITE: &str = "CREATE TABLE IF NOT EXISTS schema_migration \
    (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL)";

pub(crate) const DEFINITION_MYSQL: &str = "CREATE TABLE IF NOT EXISTS schema_migration \
    (version BIGINT NOT NULL PRIMARY KEY, name VARCHAR(190) NOT NULL, checksum VARCHAR(190) NOT NULL, \
    applied_at BIGINT NOT NULL) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

/// So many statements of a step are done.
pub(crate) async fn record_progress(session: &mut Session, step: &Step, done: usize) -> Result<(), Error> {
    let sum = step.checksum(Dialect::MySql);
    record(session, step, &format!("{UNFINISHED}{done}:{sum}"), 0).await
}

async fn record(session: &mut Session, step: &Step, sum: &str, now: i64) -> Result<(), Error> {
    let text = session.dialect().pick(
        "INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES (?, ?, ?, ?) \
         ON CONFLICT (version) DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at",
        "INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES (?, ?, ?, ?) \
         ON DUPLICATE KEY UPDATE checksum = VALUES(checksum), applied_at = VALUES(applied_at)",
    );
    let statement = Statement::new(text).bind(step.version).bind(step.name).bind(sum).bind(now);
    session.execute(statement).await.map(drop)
}
