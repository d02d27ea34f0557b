//! The tables of the source, one after the other, in an order in which what is referred to is there before.

mod anomalies;
mod correlations;
mod dictionaries;
mod layers;
mod matches;
mod metrics;
mod points;
mod profiles;

pub(super) use dictionaries::{ADMIN, SYSTEM};
pub(super) use profiles::{FEATURES, SERIES, TABLE as PROFILES};

use super::Import;
use super::error::Error;
use crate::session::Session;
use crate::statement::{Statement, Value};

/// Rows of the source in one transaction.
pub(super) const BATCH: usize = 1_000;

/// Imports everything that is not there yet.
pub(super) async fn all(import: &mut Import<'_>) -> Result<(), Error> {
    Box::pin(dictionaries::run(import)).await?;
    Box::pin(metrics::run(import)).await?;
    Box::pin(anomalies::run(import)).await?;
    Box::pin(profiles::run(import)).await?;
    Box::pin(layers::run(import)).await?;
    Box::pin(matches::of_profiles(import)).await?;
    Box::pin(matches::of_layers(import)).await?;
    Box::pin(correlations::run(import)).await
}

/// Inserts rows, so many a statement that no database has too many values. `into`: `INSERT INTO … (…) `.
async fn insert<const N: usize>(
    session: &mut Session,
    into: &str,
    rows: Vec<[Value; N]>,
    rest: &str,
) -> Result<(), Error> {
    // SQLite takes 32,766 values.
    let most = 30_000 / N.max(1);
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut statement = Statement::new(into);
        statement.push_rows(rows.by_ref().take(most)).push(rest);
        session.execute(statement).await?;
    }
    Ok(())
}

/// What the reference writes for "never" in a column of times.
fn time(ts: i64) -> Option<i64> {
    Some(ts).filter(|ts| *ts > 0)
}

/// A column that is 0, 1 or a time: when it was, if it was.
fn flag_or_time(value: i64, created: i64) -> Option<i64> {
    match value {
        ..=0 => None,
        1 => Some(created),
        at => Some(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_may_be_times() {
        let check = |value, expected| assert_eq!(flag_or_time(value, 77), expected, "{value}");
        check(0, None);
        check(-1, None);
        check(1, Some(77));
        check(1_560_030_000, Some(1_560_030_000));
    }
}
