//! Counting anomalies of a metric that follow each other closely as one row.
//!
//! A metric's rows are spans of time, from `anomaly_ts` to `end_ts`. An anomaly inside a span was counted
//! already: anomalies of a metric come in order, and those that come again after a crash come with the same
//! times. One that is not further than `join_seconds` behind the end of the span before it moves that end.

use super::{Writer, bounds, key, time};
use crate::error::Error;
use crate::statement::Statement;
use skyline_core::anomaly::Anomaly;
use std::collections::{BTreeMap, HashMap};

/// A row that is to be inserted.
#[derive(Debug)]
pub(super) struct Fresh<'a> {
    pub(super) metric: i64,
    pub(super) anomaly: &'a Anomaly,
    pub(super) end: Option<f64>,
    pub(super) recurrences: i64,
    pub(super) last_received: f64,
}

impl<'a> Fresh<'a> {
    pub(super) fn new(metric: i64, anomaly: &'a Anomaly) -> Self {
        Self { metric, anomaly, end: None, recurrences: 0, last_received: anomaly.received }
    }

    pub(super) fn key(&self) -> (i64, u64) {
        (self.metric, key(self.anomaly.point.ts))
    }
}

/// A row of a metric: stored, or to be.
#[derive(Debug)]
struct Span<'a> {
    /// Its id; none: it is not stored yet.
    id: Option<i64>,
    /// The anomaly it begins with; none: it is stored.
    fresh: Option<(i64, &'a Anomaly)>,
    end: f64,
    /// Anomalies that are counted with it now.
    more: i64,
    last_received: f64,
}

/// Spans of a metric by their beginning: times in an order that sorts as they do.
type Spans<'a> = HashMap<i64, BTreeMap<i64, Span<'a>>>;

/// Sorts as the time does.
fn order(ts: f64) -> i64 {
    let bits = time(ts).to_bits().cast_signed();
    // Negative times sort backwards by their bits.
    if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
}

/// What becomes of one anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    New,
    Joined,
    Known,
}

fn place<'a>(spans: &mut BTreeMap<i64, Span<'a>>, metric: i64, anomaly: &'a Anomaly, join: f64) -> Fate {
    let ts = time(anomaly.point.ts);
    if let Some((_, span)) = spans.range_mut(..=order(ts)).next_back() {
        if ts <= span.end {
            return Fate::Known;
        }
        if ts - span.end <= join {
            span.end = ts;
            span.more += 1;
            span.last_received = span.last_received.max(anomaly.received);
            return Fate::Joined;
        }
    }
    let last_received = anomaly.received;
    spans.insert(
        order(ts),
        Span { id: None, fresh: Some((metric, anomaly)), end: ts, more: 0, last_received },
    );
    Fate::New
}

impl Writer<'_> {
    /// Counts those that join a stored row, and returns the rows that are to be inserted.
    pub(super) async fn joined<'a>(
        &mut self,
        mut anomalies: Vec<(i64, &'a Anomaly)>,
    ) -> Result<Vec<Fresh<'a>>, Error> {
        anomalies.sort_by(|(_, a), (_, b)| a.point.ts.total_cmp(&b.point.ts));
        let mut spans = self.spans(&anomalies).await?;
        for (metric, anomaly) in anomalies {
            match place(spans.entry(metric).or_default(), metric, anomaly, self.join) {
                Fate::New => {}
                Fate::Joined => self.recorded.joined += 1,
                Fate::Known => self.recorded.known += 1,
            }
        }
        let mut fresh = Vec::new();
        for span in spans.into_values().flat_map(BTreeMap::into_values) {
            if let Some((metric, anomaly)) = span.fresh {
                let end = (span.more > 0).then_some(span.end);
                let Span { more: recurrences, last_received, .. } = span;
                fresh.push(Fresh { metric, anomaly, end, recurrences, last_received });
            } else if let Some(id) = span.id
                && span.more > 0
            {
                let update = Statement::new(
                    "UPDATE anomaly SET end_ts = ?, recurrences = recurrences + ?, last_received_ts = ? WHERE id = ?",
                );
                let update = update.bind(span.end).bind(span.more).bind(span.last_received).bind(id);
                self.session.execute(update).await?;
            }
        }
        // Ids in the order of time.
        fresh.sort_by(|a, b| a.anomaly.point.ts.total_cmp(&b.anomaly.point.ts));
        Ok(fresh)
    }

    /// The stored spans that these anomalies may fall into or behind.
    async fn spans<'a>(&mut self, anomalies: &[(i64, &'a Anomaly)]) -> Result<Spans<'a>, Error> {
        const COLUMNS: &str =
            "SELECT a.id, a.metric_id, a.anomaly_ts, a.end_ts, a.last_received_ts FROM anomaly a";
        let failed = self.failed();
        let (from, until) = bounds(anomalies.iter().map(|(_, a)| time(a.point.ts)));
        let mut metrics: Vec<_> = anomalies.iter().map(|(metric, _)| *metric).collect();
        metrics.sort_unstable();
        metrics.dedup();
        // The last one before all of them, then those between.
        let mut before = Statement::new(COLUMNS);
        before.push(
            " JOIN metric m ON a.id = (SELECT b.id FROM anomaly b WHERE b.metric_id = m.id AND b.anomaly_ts <= ",
        );
        before.push_bind(from).push(" ORDER BY b.anomaly_ts DESC, b.id DESC LIMIT 1) WHERE m.id IN ");
        before.push_list(metrics.iter().copied());
        let mut between = Statement::new(COLUMNS);
        between.push(" WHERE a.metric_id IN ").push_list(metrics.iter().copied());
        between.push(" AND a.anomaly_ts > ").push_bind(from).push(" AND a.anomaly_ts <= ").push_bind(until);
        let mut rows = self.session.fetch(before).await?;
        if until > from {
            rows.extend(self.session.fetch(between).await?);
        }
        let mut spans = Spans::new();
        for row in &rows {
            let begin: f64 = row.get("anomaly_ts").map_err(&failed)?;
            let end: Option<f64> = row.get("end_ts").map_err(&failed)?;
            let span = Span {
                id: Some(row.get("id").map_err(&failed)?),
                fresh: None,
                end: end.unwrap_or(begin).max(begin),
                more: 0,
                last_received: row.get("last_received_ts").map_err(&failed)?,
            };
            spans.entry(row.get("metric_id").map_err(&failed)?).or_default().insert(order(begin), span);
        }
        Ok(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_they_are() {
        let times = [-1e9, -1.5, -f64::MIN_POSITIVE, 0.0, f64::MIN_POSITIVE, 1.0, 1.5, 1e9];
        assert!(times.windows(2).all(|pair| order(pair[0]) < order(pair[1])));
        assert_eq!(order(-0.0), order(0.0));
    }
}
