//! An anomaly as it is stored, read back.

use crate::error::Error;
use crate::pool::Store;
use crate::session::Row as Answer;
use crate::statement::Statement;
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;
use std::collections::HashMap;

/// A recorded anomaly.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its id; larger ids were recorded later.
    pub id: i64,
    /// What was found. Floats that were not a number are NaN again.
    pub anomaly: Anomaly,
    /// The node that found it.
    pub host: String,
    /// The part of the node that found it.
    pub app: String,
    /// Later anomalies that were joined with this one.
    pub recurrences: u64,
    /// Time of the last of them, seconds.
    pub ended: Option<f64>,
    /// When the last of them was received, or this one if there is none, seconds.
    pub last_received: f64,
    /// What became of it.
    pub verdict: Verdict,
    /// The `match_event` that explained it.
    pub explained_by: Option<i64>,
    /// The chat thread of an imported one.
    pub chat_thread: Option<String>,
    /// What people call it.
    pub label: Option<String>,
    /// Login of who called it so.
    pub label_by: Option<String>,
}

impl Row {
    /// Share of the algorithms asked that voted yes, 0 to 1.
    #[must_use]
    pub fn score(&self) -> f64 {
        let Anomaly { asked, triggered, .. } = &self.anomaly;
        if asked.is_empty() { 0.0 } else { f64::from(triggered.len()) / f64::from(asked.len()) }
    }
}

/// What became of an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// People were told.
    Alerted,
    /// It is known to be harmless.
    Explained,
    /// Nobody has decided.
    #[default]
    Undecided,
    /// A rule keeps it quiet.
    Muted,
}

impl Verdict {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Alerted, Self::Explained, Self::Undecided, Self::Muted];

    /// Its name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alerted => "alerted",
            Self::Explained => "explained",
            Self::Undecided => "undecided",
            Self::Muted => "muted",
        }
    }

    /// The verdict with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

/// Columns of a row; to be followed by conditions.
pub(crate) const SELECT: &str = "SELECT a.id, m.name AS metric, h.name AS host, p.name AS app, a.anomaly_ts, \
    a.end_ts, a.received_ts, a.value, a.judged_value, a.mean, a.stddev, a.window_from_ts, a.window_points, \
    a.full_duration_s, a.is_counter, a.journal_seq, a.recurrences, a.last_received_ts, a.verdict, a.explained_by, \
    a.chat_thread, a.label, c.login AS label_by \
    FROM anomaly a JOIN metric m ON m.id = a.metric_id JOIN host h ON h.id = a.host_id \
    JOIN app p ON p.id = a.app_id LEFT JOIN account c ON c.id = a.label_by";

fn decode(row: &Answer) -> Result<Row, sqlx::Error> {
    let float = |column: &str| Ok::<_, sqlx::Error>(row.get::<Option<f64>>(column)?.unwrap_or(f64::NAN));
    Ok(Row {
        id: row.get("id")?,
        anomaly: Anomaly {
            metric: row.get("metric")?,
            point: Datapoint::new(float("anomaly_ts")?, float("value")?),
            judged_value: float("judged_value")?,
            received: float("received_ts")?,
            asked: AlgorithmSet::EMPTY,
            triggered: AlgorithmSet::EMPTY,
            mean: float("mean")?,
            stddev: float("stddev")?,
            window_from: float("window_from_ts")?,
            window_points: narrow(row.get("window_points")?),
            full_duration: narrow(row.get("full_duration_s")?),
            counter: row.get::<i64>("is_counter")? != 0,
            seq: row.get::<i64>("journal_seq")?.cast_unsigned(),
        },
        host: row.get("host")?,
        app: row.get("app")?,
        recurrences: row.get::<i64>("recurrences")?.unsigned_abs(),
        ended: row.get("end_ts")?,
        last_received: row.get("last_received_ts")?,
        verdict: Verdict::from_name(row.get("verdict")?).unwrap_or_default(),
        explained_by: row.get("explained_by")?,
        chat_thread: row.get("chat_thread")?,
        label: row.get("label")?,
        label_by: row.get("label_by")?,
    })
}

/// A count that was a `u32` when it was stored.
fn narrow(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Store {
    /// Runs a query that begins with [`SELECT`] and adds the votes to its rows. The votes are read in a
    /// statement of their own: rows that are removed in between come back without votes.
    pub(crate) async fn rows(&self, query: Statement) -> Result<Vec<Row>, Error> {
        let failed = |e| Error::of(self.place(), &e);
        let mut session = self.reader().await?;
        let found = session.fetch(query).await?;
        let mut rows = found.iter().map(decode).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        if rows.is_empty() {
            return Ok(rows);
        }
        let mut votes = Statement::new(
            "SELECT v.anomaly_id, g.name, v.triggered FROM anomaly_algorithm v \
             JOIN algorithm g ON g.id = v.algorithm_id WHERE v.anomaly_id IN ",
        );
        votes.push_list(rows.iter().map(|row| row.id));
        let votes = session.fetch(votes).await?;
        let mut sets: HashMap<i64, (AlgorithmSet, AlgorithmSet)> = HashMap::new();
        for vote in &votes {
            let id = vote.get("anomaly_id").map_err(failed)?;
            let name: &str = vote.get("name").map_err(failed)?;
            // Algorithms that this version does not know are left out.
            let Some(algorithm) = Algorithm::from_name(name) else { continue };
            let (asked, triggered) = sets.entry(id).or_default();
            asked.insert(algorithm);
            if vote.get::<i64>("triggered").map_err(failed)? != 0 {
                triggered.insert(algorithm);
            }
        }
        for row in &mut rows {
            if let Some((asked, triggered)) = sets.get(&row.id) {
                (row.anomaly.asked, row.anomaly.triggered) = (*asked, *triggered);
            }
        }
        Ok(rows)
    }
}
