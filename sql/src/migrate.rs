//! Brings the tables up to date: numbered steps, each in a transaction, each recorded.

use crate::error::Error;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection, SqlitePool};
use std::path::Path;

/// One step.
struct Step {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

/// All steps, ascending. A step that was released never changes.
const STEPS: &[Step] =
    &[Step { version: 1, name: "anomalies", sql: include_str!("../migrations/sqlite/0001_anomalies.sql") }];

/// MD5 of a step's text in hexadecimal digits.
fn checksum(sql: &str) -> String {
    use md5::Digest as _;
    md5::Md5::digest(sql).iter().map(|b| format!("{b:02x}")).collect()
}

/// Applies what is missing.
pub(crate) async fn run(path: &Path, pool: &SqlitePool, now: i64) -> Result<(), Error> {
    let mut connection = pool.acquire().await.map_err(|e| Error::of(path, e))?;
    run_steps(path, &mut connection, STEPS, now).await
}

async fn run_steps(
    path: &Path,
    connection: &mut SqliteConnection,
    steps: &[Step],
    now: i64,
) -> Result<(), Error> {
    let failed = |e| Error::of(path, e);
    // Immediate: a second process that opens the same file waits here.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
    if !tables.is_empty() && !tables.iter().any(|t| t == "schema_migration") {
        return Err(Error::config(path, "is a database of another program: name another file"));
    }
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS schema_migration \
         (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL)",
    )
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    let applied = sqlx::query("SELECT version, name, checksum FROM schema_migration ORDER BY version")
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
    let newest = steps.last().map_or(0, |s| s.version);
    let mut done = Vec::new();
    for row in &applied {
        let version: i64 = row.try_get("version").map_err(failed)?;
        let name: String = row.try_get("name").map_err(failed)?;
        if version > newest {
            let problem = format!(
                "has schema {version} ({name}), this version of skyline knows {newest} at most: \
                 run the newer skyline again or name another file"
            );
            return Err(Error::config(path, problem));
        }
        let sum: String = row.try_get("checksum").map_err(failed)?;
        if steps.iter().any(|s| s.version == version && checksum(s.sql) != sum) {
            let problem = format!(
                "schema {version} ({name}) is not the one of this version of skyline: name another file"
            );
            return Err(Error::config(path, problem));
        }
        done.push(version);
    }
    for step in steps.iter().filter(|s| !done.contains(&s.version)) {
        sqlx::raw_sql(AssertSqlSafe(step.sql)).execute(&mut *transaction).await.map_err(failed)?;
        sqlx::query("INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)")
            .bind(step.version)
            .bind(step.name)
            .bind(checksum(step.sql))
            .bind(now)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        tracing::info!(file = %path.display(), version = step.version, name = step.name, "record: schema applied");
    }
    transaction.commit().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Step =
        Step { version: 1, name: "one", sql: "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);" };
    const TWO: Step =
        Step { version: 2, name: "two", sql: "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1;" };
    const BAD: Step = Step {
        version: 2,
        name: "bad",
        sql: "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE nothing SET y = 1;",
    };

    #[tokio::test]
    async fn steps_are_applied_once_and_whole() {
        let path = Path::new("memory");
        let mut db = SqliteConnection::connect("sqlite::memory:").await.expect("opened");
        run_steps(path, &mut db, &[ONE], 5).await.expect("applied");
        let error = run_steps(path, &mut db, &[ONE, BAD], 6).await.expect_err("a bad step");
        assert!(error.to_string().contains("nothing"), "{error}");
        for now in [7, 8] {
            run_steps(path, &mut db, &[ONE, TWO], now).await.expect("applied");
        }
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT x, y FROM a").fetch_all(&mut db).await.expect("read");
        assert_eq!(rows, [(1, 2)]);
        let applied: Vec<(i64, String, i64)> =
            sqlx::query_as("SELECT version, name, applied_at FROM schema_migration")
                .fetch_all(&mut db)
                .await
                .expect("read");
        assert_eq!(applied, [(1, "one".to_owned(), 5), (2, "two".to_owned(), 7)]);
        let error = run_steps(path, &mut db, &[ONE], 9).await.expect_err("an older version");
        assert!(matches!(error, Error::Config { .. }), "{error}");
    }
}
