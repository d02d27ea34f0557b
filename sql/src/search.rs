//! Finding recorded anomalies, page by page.
//!
//! A page ends at a place (time and id of its last row), not at a row number: rows recorded while
//! somebody pages neither shift nor repeat what follows.

use crate::error::Error;
use crate::pool::Store;
use crate::record::name_hash;
use crate::row::{Row, SELECT};
use crate::statement::Statement;
use skyline_core::algorithm::Algorithm;
use std::fmt;
use std::str::FromStr;

/// Rows of a page at most.
pub const MAX_LIMIT: u32 = 1_000;

/// Longest pattern, bytes: that of a metric's name.
const MAX_PATTERN: usize = skyline_core::name::MAX_WINDOW_NAME_BYTES;

/// What is looked for. Conditions are joined by "and"; the default is everything, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Metrics.
    pub names: Option<Names>,
    /// Points at this time or later, seconds.
    pub from: Option<f64>,
    /// Points at this time or earlier, seconds.
    pub until: Option<f64>,
    /// Found by this part of the node.
    pub app: Option<String>,
    /// Found by this node.
    pub host: Option<String>,
    /// This algorithm voted yes.
    pub algorithm: Option<Algorithm>,
    /// Rows of a page; taken as 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
    /// By time of the point.
    pub order: Order,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            names: None,
            from: None,
            until: None,
            app: None,
            host: None,
            algorithm: None,
            limit: 100,
            cursor: None,
            order: Order::Descending,
        }
    }
}

/// Which metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// The one with this name.
    Exact(String),
    /// Those whose whole name fits; `%` stands for any run of characters, all else for itself.
    Like(String),
}

/// In which order rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    #[default]
    Descending,
}

/// A place between two rows. Its text form is meant for links and has no meaning outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cursor {
    ts: f64,
    id: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.ts.to_bits(), self.id)
    }
}

/// The text is not a [`Cursor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: take it from `next` of the page before")]
pub struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (ts, id) = text.split_once('-').ok_or(BadCursor)?;
        let hex = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_hexdigit());
        if ts.len() != 16 || !hex(ts) || !hex(id) {
            return Err(BadCursor);
        }
        let ts = f64::from_bits(u64::from_str_radix(ts, 16).map_err(|_| BadCursor)?);
        let id = i64::from_str_radix(id, 16).map_err(|_| BadCursor)?;
        if ts.is_finite() { Ok(Self { ts, id }) } else { Err(BadCursor) }
    }
}

/// Some rows and where the next ones begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The rows, in the order that was asked for.
    pub rows: Vec<Row>,
    /// For the next page; none when there is nothing more now.
    pub next: Option<Cursor>,
}

/// `%` keeps its meaning; what else LIKE would take for a sign is escaped.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if matches!(c, '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern
}

impl Store {
    /// One page of the anomalies that fit.
    ///
    /// # Errors
    /// [`Error::Data`] for a pattern that is too long; [`Error::Retry`] when the database cannot be read now.
    pub async fn anomalies(&self, search: &Search) -> Result<Page, Error> {
        let limit = search.limit.clamp(1, MAX_LIMIT);
        if let Some(Names::Like(text)) = &search.names
            && text.len() > MAX_PATTERN
        {
            return Err(Error::data(self.place(), format!("a pattern has at most {MAX_PATTERN} bytes")));
        }
        let question = format!("anomalies {limit} {search:?}");
        let mut rows = self.cached(&question, self.rows(statement(search, limit))).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|row| Cursor { ts: row.anomaly.point.ts, id: row.id });
        Ok(Page { rows, next })
    }

    /// The anomaly with that id.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn anomaly(&self, id: i64) -> Result<Option<Row>, Error> {
        let mut query = Statement::new(SELECT);
        query.push(" WHERE a.id = ").push_bind(id);
        Ok(self.cached(&format!("anomaly {id}"), self.rows(query)).await?.pop())
    }

    /// What is anomalous now: the newest anomaly of each metric, if its point, or that of the last one that
    /// was counted with it, was received at `since` (seconds) or later. The one received last comes first; at most `limit` (1 to [`MAX_LIMIT`]).
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn latest(&self, since: f64, limit: u32) -> Result<Vec<Row>, Error> {
        // Asked for from the full minute on, so that those who ask within it share the answer: what was
        // received last comes first, so rows before `since` are at the end.
        let from = (since / 60.0).floor() * 60.0;
        let limit = limit.clamp(1, MAX_LIMIT);
        let mut query = Statement::new(SELECT);
        query.push(" WHERE a.last_received_ts >= ").push_bind(from);
        query.push(
            " AND NOT EXISTS (SELECT 1 FROM anomaly b WHERE b.metric_id = a.metric_id \
             AND (b.anomaly_ts, b.id) > (a.anomaly_ts, a.id)) ORDER BY a.last_received_ts DESC, a.id DESC LIMIT ",
        );
        query.push_bind(i64::from(limit));
        let mut rows = self.cached(&format!("latest {from} {limit}"), self.rows(query)).await?;
        rows.retain(|row| row.last_received >= since);
        Ok(rows)
    }
}

/// The statement of a search; it asks for one row more than the page has, to know whether there is a next page.
pub(crate) fn statement(search: &Search, limit: u32) -> Statement {
    let mut query = Statement::new(SELECT);
    query.push(" WHERE 1 = 1");
    match &search.names {
        Some(Names::Exact(name)) => {
            query
                .push(" AND a.metric_id = (SELECT id FROM metric WHERE name_hash = ")
                .push_bind(name_hash(name))
                .push(")");
        }
        Some(Names::Like(text)) => {
            query.push(" AND a.metric_id IN (SELECT id FROM metric WHERE name LIKE ");
            query.push_bind(pattern(text)).push(" ESCAPE '!')");
        }
        None => {}
    }
    if let Some(from) = search.from {
        query.push(" AND a.anomaly_ts >= ").push_bind(from);
    }
    if let Some(until) = search.until {
        query.push(" AND a.anomaly_ts <= ").push_bind(until);
    }
    if let Some(app) = &search.app {
        query.push(" AND a.app_id = (SELECT id FROM app WHERE name = ").push_bind(app.clone()).push(")");
    }
    if let Some(host) = &search.host {
        query.push(" AND a.host_id = (SELECT id FROM host WHERE name = ").push_bind(host.clone()).push(")");
    }
    if let Some(algorithm) = search.algorithm {
        query.push(
            " AND EXISTS (SELECT 1 FROM anomaly_algorithm v JOIN algorithm g ON g.id = v.algorithm_id \
             WHERE v.anomaly_id = a.id AND v.triggered = 1 AND g.name = ",
        );
        query.push_bind(algorithm.name()).push(")");
    }
    let (beyond, order) = match search.order {
        Order::Ascending => (">", "ASC"),
        Order::Descending => ("<", "DESC"),
    };
    if let Some(cursor) = search.cursor {
        query.push(" AND (a.anomaly_ts, a.id) ").push(beyond).push(" (").push_bind(cursor.ts);
        query.push(", ").push_bind(cursor.id).push(")");
    }
    query.push(&format!(" ORDER BY a.anomaly_ts {order}, a.id {order} LIMIT "));
    query.push_bind(i64::from(limit) + 1);
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        let check = |ts, id| {
            let cursor = Cursor { ts, id };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        };
        check(0.0, 0);
        check(1_569_400_000.25, 42);
        check(-1.5, i64::MAX);
    }

    #[test]
    fn what_is_no_cursor() {
        let check = |text: &str| assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        for text in ["", "-", "1-1", "zz", "7ff8000000000000-1", "41d7629a38400000-", "41d7629a38400000--1"] {
            check(text);
        }
        check("41d7629a38400000-ffffffffffffffff");
        check("+1d7629a38400000-1");
    }

    #[test]
    fn only_percent_is_a_sign() {
        let check = |text, expected| assert_eq!(pattern(text), expected);
        check("a.%.b", "a.%.b");
        check("a_b", "a!_b");
        check("a!%", "a!!%");
    }
}
