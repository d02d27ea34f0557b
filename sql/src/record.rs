//! Recording anomalies: a batch is one transaction.

use crate::dictionary::Ids;
use crate::error::Error;
use crate::pool::Store;
use skyline_core::anomaly::Anomaly;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Anomalies of one statement: 17 values each, votes 27, well below SQLite's 32,766.
const CHUNK: usize = 500;

/// Who found the anomalies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Context {
    /// The node, `node.name`.
    pub host: String,
    /// The part of it, such as `analyzer`.
    pub app: String,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Anomalies that are recorded now for the first time.
    pub new: u64,
    /// Those that were recorded before, or twice in the batch; their rows did not change.
    pub known: u64,
    /// Those that no row can hold (a time that is not finite): logged, not stored.
    pub refused: u64,
}

impl Store {
    /// Records a batch, all or nothing. An anomaly is known by metric, time of its point, app and host; a
    /// known one is left as it is.
    ///
    /// # Errors
    /// [`Error::Data`] when it can never be stored; anything else when the record is away for now.
    pub async fn record(&self, anomalies: &[Anomaly], context: &Context) -> Result<Recorded, Error> {
        if anomalies.is_empty() {
            return Ok(Recorded::default());
        }
        let totals = self.totals();
        let recorded = self.changing(self.transaction(anomalies, context)).await.inspect_err(|_| {
            totals.failures.fetch_add(1, Ordering::Relaxed);
            self.known().clear();
        })?;
        totals.new.fetch_add(recorded.new, Ordering::Relaxed);
        totals.known.fetch_add(recorded.known, Ordering::Relaxed);
        totals.refused.fetch_add(recorded.refused, Ordering::Relaxed);
        Ok(recorded)
    }

    async fn transaction(&self, anomalies: &[Anomaly], context: &Context) -> Result<Recorded, Error> {
        let failed = |e| Error::of(self.path(), e);
        let now = self.now();
        let mut transaction = self.writer().begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut recorded = Recorded::default();
        let ids = match self.known().get(context) {
            Some(ids) => ids,
            None => Ids::find(&mut transaction, context, now).await.map_err(failed)?,
        };
        let mut batch = Writer {
            path: self.path(),
            connection: &mut transaction,
            ids: &ids,
            now,
            recorded: &mut recorded,
        };
        batch.write(anomalies).await?;
        transaction.commit().await.map_err(failed)?;
        self.known().put(context, ids);
        Ok(recorded)
    }
}

/// A batch on its way into an open transaction.
struct Writer<'a> {
    path: &'a Path,
    connection: &'a mut SqliteConnection,
    ids: &'a Ids,
    now: i64,
    recorded: &'a mut Recorded,
}

impl Writer<'_> {
    fn failed(&self) -> impl Fn(sqlx::Error) -> Error + use<> {
        let path = self.path.to_owned();
        move |e| Error::of(&path, e)
    }

    async fn write(&mut self, anomalies: &[Anomaly]) -> Result<(), Error> {
        let storable = |a: &&Anomaly| a.point.ts.is_finite() && a.received.is_finite();
        for chunk in anomalies.chunks(CHUNK) {
            let chunk: Vec<_> = chunk.iter().filter(storable).collect();
            if chunk.is_empty() {
                continue;
            }
            let metrics = self.metrics(&chunk).await?;
            let new = self.anomalies(&chunk, &metrics).await?;
            self.votes(&new).await?;
        }
        self.recorded.refused = anomalies.len() as u64 - self.recorded.new - self.recorded.known;
        if self.recorded.refused > 0 {
            tracing::error!(
                anomalies = self.recorded.refused,
                "anomalies without a time or a name of their own are not recorded"
            );
        }
        Ok(())
    }

    /// Ids of the metrics of a chunk; one whose name clashes with another's hash has none.
    async fn metrics<'a>(&mut self, chunk: &[&'a Anomaly]) -> Result<HashMap<&'a str, i64>, Error> {
        let failed = self.failed();
        let mut seen: HashMap<&str, (i64, i64)> = HashMap::new();
        for anomaly in chunk {
            let at = anomaly.received as i64;
            let (first, last) = seen.entry(&anomaly.metric).or_insert((at, at));
            (*first, *last) = ((*first).min(at), (*last).max(at));
        }
        let mut query =
            QueryBuilder::<Sqlite>::new("INSERT INTO metric (name, name_hash, first_seen_at, last_seen_at) ");
        query.push_values(&seen, |mut row, (name, (first, last))| {
            row.push_bind((*name).to_owned()).push_bind(name_hash(name)).push_bind(*first).push_bind(*last);
        });
        query.push(
            " ON CONFLICT (name_hash) DO UPDATE SET first_seen_at = min(first_seen_at, excluded.first_seen_at), \
             last_seen_at = max(last_seen_at, excluded.last_seen_at) RETURNING id, name",
        );
        let rows = query.build().persistent(false).fetch_all(&mut *self.connection).await.map_err(&failed)?;
        let mut ids = HashMap::with_capacity(rows.len());
        for row in &rows {
            let name: &str = row.try_get("name").map_err(&failed)?;
            if let Some((name, _)) = seen.get_key_value(name) {
                ids.insert(*name, row.try_get("id").map_err(&failed)?);
            }
        }
        Ok(ids)
    }

    /// Inserts the rows; returns the new ones with their anomalies.
    async fn anomalies<'a>(
        &mut self,
        chunk: &[&'a Anomaly],
        metrics: &HashMap<&str, i64>,
    ) -> Result<Vec<(i64, &'a Anomaly)>, Error> {
        let failed = self.failed();
        // The key of a row is taken by the first anomaly of the batch that has it.
        let mut wanted: HashMap<(i64, u64), &Anomaly> = HashMap::with_capacity(chunk.len());
        let mut rows = Vec::with_capacity(chunk.len());
        for &anomaly in chunk {
            let ts = anomaly.point.ts;
            // None: its name clashes with another's hash.
            let Some(metric) = metrics.get(anomaly.metric.as_str()) else { continue };
            match wanted.entry((*metric, key(ts))) {
                Entry::Vacant(place) => {
                    place.insert(anomaly);
                    rows.push((*metric, anomaly));
                }
                Entry::Occupied(_) => self.recorded.known += 1,
            }
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (host, app, now) = (self.ids.host, self.ids.app, self.now);
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO anomaly (metric_id, host_id, app_id, anomaly_ts, received_ts, value, judged_value, mean, \
             stddev, window_from_ts, window_points, full_duration_s, is_counter, journal_seq, created_at) ",
        );
        query.push_values(&rows, |mut row, (metric, anomaly)| {
            row.push_bind(*metric).push_bind(host).push_bind(app);
            row.push_bind(anomaly.point.ts).push_bind(anomaly.received).push_bind(anomaly.point.value);
            row.push_bind(anomaly.judged_value).push_bind(anomaly.mean).push_bind(anomaly.stddev);
            row.push_bind(anomaly.window_from).push_bind(anomaly.window_points);
            row.push_bind(anomaly.full_duration).push_bind(i64::from(anomaly.counter));
            row.push_bind(anomaly.seq.cast_signed()).push_bind(now);
        });
        query.push(
            " ON CONFLICT (metric_id, anomaly_ts, app_id, host_id) DO NOTHING RETURNING id, metric_id, anomaly_ts",
        );
        let inserted =
            query.build().persistent(false).fetch_all(&mut *self.connection).await.map_err(&failed)?;
        let mut new = Vec::with_capacity(inserted.len());
        for row in &inserted {
            let place = (
                row.try_get("metric_id").map_err(&failed)?,
                key(row.try_get("anomaly_ts").map_err(&failed)?),
            );
            if let Some(anomaly) = wanted.get(&place) {
                new.push((row.try_get("id").map_err(&failed)?, *anomaly));
            }
        }
        self.recorded.new += new.len() as u64;
        self.recorded.known += (rows.len() - new.len()) as u64;
        Ok(new)
    }

    async fn votes(&mut self, new: &[(i64, &Anomaly)]) -> Result<(), Error> {
        let votes: Vec<_> = new
            .iter()
            .flat_map(|(id, anomaly)| {
                let asked = self.ids.algorithms.iter().filter(|(a, _)| anomaly.asked.contains(*a));
                asked.map(|(a, number)| (*id, *number, anomaly.triggered.contains(*a)))
            })
            .collect();
        if votes.is_empty() {
            return Ok(());
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO anomaly_algorithm (anomaly_id, algorithm_id, triggered) ",
        );
        query.push_values(&votes, |mut row, (anomaly, algorithm, triggered)| {
            row.push_bind(*anomaly).push_bind(*algorithm).push_bind(i64::from(*triggered));
        });
        let failed = self.failed();
        query.build().persistent(false).execute(&mut *self.connection).await.map_err(failed)?;
        Ok(())
    }
}

/// The column `name_hash`.
fn name_hash(name: &str) -> Vec<u8> {
    use md5::Digest as _;
    md5::Md5::digest(name).to_vec()
}

/// A time as the database compares it: both zeros are one.
fn key(ts: f64) -> u64 {
    if ts == 0.0 { 0 } else { ts.to_bits() }
}
