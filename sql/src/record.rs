//! Recording anomalies: a batch is one transaction.

mod join;

use crate::dictionary::Ids;
use crate::error::Error;
use crate::pool::Store;
use crate::session::Session;
use crate::statement::{Statement, Value};
use skyline_core::anomaly::Anomaly;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::Ordering;

/// Anomalies of one statement: 19 values each, votes 27, well below SQLite's 32,766.
const CHUNK: usize = 500;
/// Bytes of their names: a server takes no statement larger than its `max_allowed_packet`, 1 MiB or more.
const CHUNK_BYTES: usize = 256 << 10;

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
    /// Anomalies that are recorded now for the first time, as a row of their own.
    pub new: u64,
    /// Those that were counted with the row of their metric before them.
    pub joined: u64,
    /// Those that were recorded or counted before, or twice in the batch; nothing changed for them.
    pub known: u64,
    /// Those that no row can hold (a time that is not finite): logged, not stored.
    pub refused: u64,
}

impl Store {
    /// Records a batch, all or nothing. Recording the same again changes nothing.
    ///
    /// With [`crate::Options::join_seconds`] an anomaly that follows the last one of its metric (whoever
    /// found that) within so many seconds is counted with it: `recurrences` grows and `end_ts` moves to its
    /// time. The row goes on telling of the first anomaly, its value and its votes. A time that is not after
    /// `end_ts` was counted already. Without it, an anomaly is known by metric, time of its point, app and
    /// host, and each is a row.
    ///
    /// # Errors
    /// [`Error::Data`] when it can never be stored; anything else when the record is away for now.
    pub async fn record(&self, anomalies: &[Anomaly], context: &Context) -> Result<Recorded, Error> {
        if anomalies.is_empty() {
            return Ok(Recorded::default());
        }
        let totals = self.totals();
        let recorded = self.repeated(|| self.record_once(anomalies, context)).await.inspect_err(|_| {
            totals.failures.fetch_add(1, Ordering::Relaxed);
            self.known().clear();
        })?;
        totals.new.fetch_add(recorded.new, Ordering::Relaxed);
        totals.joined.fetch_add(recorded.joined, Ordering::Relaxed);
        totals.known.fetch_add(recorded.known, Ordering::Relaxed);
        totals.refused.fetch_add(recorded.refused, Ordering::Relaxed);
        Ok(recorded)
    }

    async fn record_once(&self, anomalies: &[Anomaly], context: &Context) -> Result<Recorded, Error> {
        let now = self.now();
        let mut transaction = self.transaction().await?;
        let mut recorded = Recorded::default();
        let ids = match self.known().get(context) {
            Some(ids) => ids,
            None => Ids::find(transaction.session(), context, now).await?,
        };
        let mut batch = Writer {
            session: transaction.session(),
            ids: &ids,
            now,
            join: f64::from(self.join_seconds()),
            recorded: &mut recorded,
        };
        batch.write(anomalies).await?;
        transaction.commit().await?;
        self.known().put(context, ids);
        Ok(recorded)
    }
}

/// A batch on its way into an open transaction.
struct Writer<'a> {
    session: &'a mut Session,
    ids: &'a Ids,
    now: i64,
    join: f64,
    recorded: &'a mut Recorded,
}

impl Writer<'_> {
    fn failed(&self) -> impl Fn(sqlx::Error) -> Error + use<> {
        let place = self.session.place().clone();
        move |e| Error::of(&place, &e)
    }

    async fn write(&mut self, anomalies: &[Anomaly]) -> Result<(), Error> {
        let storable = |a: &&Anomaly| a.point.ts.is_finite() && a.received.is_finite();
        for chunk in chunks(anomalies) {
            let chunk: Vec<_> = chunk.iter().filter(storable).collect();
            if chunk.is_empty() {
                continue;
            }
            let metrics = self.metrics(&chunk).await?;
            let rows = self.rows(&chunk, &metrics).await?;
            let new = self.insert(&rows).await?;
            self.votes(&new).await?;
        }
        let taken = self.recorded.new + self.recorded.joined + self.recorded.known;
        self.recorded.refused = anomalies.len() as u64 - taken;
        if self.recorded.refused > 0 {
            tracing::error!(
                anomalies = self.recorded.refused,
                "anomalies without a time or a name of their own are not recorded"
            );
        }
        Ok(())
    }

    /// Ids of the metrics of a chunk; one whose name clashes with another's hash has none. Their rows stay
    /// locked until the end of the transaction: another node that has anomalies of them waits.
    async fn metrics<'a>(&mut self, chunk: &[&'a Anomaly]) -> Result<HashMap<&'a str, i64>, Error> {
        let failed = self.failed();
        let mut seen: HashMap<&str, (i64, i64)> = HashMap::new();
        for anomaly in chunk {
            let at = anomaly.received as i64;
            let (first, last) = seen.entry(&anomaly.metric).or_insert((at, at));
            (*first, *last) = ((*first).min(at), (*last).max(at));
        }
        let mut rows: Vec<_> = seen.iter().map(|(name, times)| (name_hash(name), *name, *times)).collect();
        // Two transactions that lock in the same order do not wait for each other in a circle.
        rows.sort_unstable();
        let mut insert = Statement::new("INSERT INTO metric (name, name_hash, first_seen_at, last_seen_at) ");
        insert.push_rows(rows.iter().map(|(hash, name, (first, last))| {
            [Value::from(*name), hash.clone().into(), (*first).into(), (*last).into()]
        }));
        insert.push(self.session.dialect().pick(
            " ON CONFLICT (name_hash) DO UPDATE SET first_seen_at = min(first_seen_at, excluded.first_seen_at), \
             last_seen_at = max(last_seen_at, excluded.last_seen_at)",
            " ON DUPLICATE KEY UPDATE first_seen_at = LEAST(first_seen_at, VALUES(first_seen_at)), \
             last_seen_at = GREATEST(last_seen_at, VALUES(last_seen_at))",
        ));
        self.session.execute(insert).await?;
        let mut select = Statement::new("SELECT id, name FROM metric WHERE name_hash IN ");
        select.push_list(rows.iter().map(|(hash, ..)| hash.clone()));
        let mut ids = HashMap::with_capacity(rows.len());
        for row in self.session.fetch(select).await? {
            let name: &str = row.get("name").map_err(&failed)?;
            if let Some((name, _)) = seen.get_key_value(name) {
                ids.insert(*name, row.get("id").map_err(&failed)?);
            }
        }
        Ok(ids)
    }

    /// The rows of a chunk that are to be inserted.
    async fn rows<'a>(
        &mut self,
        chunk: &[&'a Anomaly],
        metrics: &HashMap<&str, i64>,
    ) -> Result<Vec<join::Fresh<'a>>, Error> {
        // None: its name clashes with another's hash.
        let of_metric = chunk.iter().filter_map(|a| Some((*metrics.get(a.metric.as_str())?, *a)));
        if self.join > 0.0 {
            return self.joined(of_metric.collect()).await;
        }
        // The key of a row is taken by the first anomaly of the batch that has it.
        let mut wanted = HashMap::with_capacity(chunk.len());
        let mut rows = Vec::with_capacity(chunk.len());
        for (metric, anomaly) in of_metric {
            match wanted.entry((metric, key(anomaly.point.ts))) {
                Entry::Vacant(place) => {
                    place.insert(());
                    rows.push(join::Fresh::new(metric, anomaly));
                }
                Entry::Occupied(_) => self.recorded.known += 1,
            }
        }
        Ok(rows)
    }

    /// Inserts the rows that are not there; returns the new ones with their anomalies.
    async fn insert<'a>(&mut self, rows: &[join::Fresh<'a>]) -> Result<Vec<(i64, &'a Anomaly)>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let before = self.ids_of(rows).await?;
        let fresh: Vec<_> = rows.iter().filter(|r| !before.contains_key(&r.key())).collect();
        self.recorded.known += (rows.len() - fresh.len()) as u64;
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let (ids, now) = (self.ids, self.now);
        let mut insert = Statement::new(
            "INSERT INTO anomaly (metric_id, host_id, app_id, source_id, anomaly_ts, end_ts, received_ts, \
             last_received_ts, value, judged_value, mean, stddev, window_from_ts, window_points, full_duration_s, \
             is_counter, journal_seq, recurrences, created_at) ",
        );
        insert.push_rows(fresh.iter().map(|row| {
            let anomaly = row.anomaly;
            [
                Value::from(row.metric),
                ids.host.into(),
                ids.app.into(),
                ids.source.into(),
                time(anomaly.point.ts).into(),
                row.end.map(time).into(),
                anomaly.received.into(),
                row.last_received.into(),
                anomaly.point.value.into(),
                anomaly.judged_value.into(),
                anomaly.mean.into(),
                anomaly.stddev.into(),
                anomaly.window_from.into(),
                anomaly.window_points.into(),
                anomaly.full_duration.into(),
                anomaly.counter.into(),
                anomaly.seq.cast_signed().into(),
                row.recurrences.into(),
                now.into(),
            ]
        }));
        self.session.execute(insert).await?;
        let after = self.ids_of(rows).await?;
        let new: Vec<_> = fresh.iter().filter_map(|r| Some((*after.get(&r.key())?, r.anomaly))).collect();
        if new.len() != fresh.len() {
            return Err(Error::retry(self.session.place(), "rows were removed while they were inserted"));
        }
        self.recorded.new += new.len() as u64;
        Ok(new)
    }

    /// Ids of rows of this app and host, by metric and time. Nobody else inserts such rows meanwhile: that
    /// would need the metric's lock.
    async fn ids_of(&mut self, rows: &[join::Fresh<'_>]) -> Result<HashMap<(i64, u64), i64>, Error> {
        let failed = self.failed();
        let times = rows.iter().map(|r| r.anomaly.point.ts);
        let (from, until) = bounds(times);
        let mut select = Statement::new("SELECT id, metric_id, anomaly_ts FROM anomaly WHERE metric_id IN ");
        select.push_list(rows.iter().map(|r| r.metric));
        select.push(" AND anomaly_ts >= ").push_bind(from).push(" AND anomaly_ts <= ").push_bind(until);
        select
            .push(" AND app_id = ")
            .push_bind(self.ids.app)
            .push(" AND host_id = ")
            .push_bind(self.ids.host);
        let mut ids = HashMap::new();
        for row in self.session.fetch(select).await? {
            let ts: f64 = row.get("anomaly_ts").map_err(&failed)?;
            ids.insert((row.get("metric_id").map_err(&failed)?, key(ts)), row.get("id").map_err(&failed)?);
        }
        Ok(ids)
    }

    async fn votes(&mut self, new: &[(i64, &Anomaly)]) -> Result<(), Error> {
        let votes: Vec<_> = new
            .iter()
            .flat_map(|(id, anomaly)| {
                let asked = self.ids.algorithms.iter().filter(|(a, _)| anomaly.asked.contains(*a));
                asked.map(|(a, number)| {
                    [(*id).into(), (*number).into(), anomaly.triggered.contains(*a).into()]
                })
            })
            .collect();
        if votes.is_empty() {
            return Ok(());
        }
        let mut insert =
            Statement::new("INSERT INTO anomaly_algorithm (anomaly_id, algorithm_id, triggered) ");
        insert.push_rows(votes);
        self.session.execute(insert).await?;
        Ok(())
    }
}

/// Parts that are small enough for one statement.
fn chunks(mut rest: &[Anomaly]) -> impl Iterator<Item = &[Anomaly]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let is_small = |a: &&Anomaly| {
            bytes += a.metric.len();
            bytes <= CHUNK_BYTES
        };
        let count = rest.iter().take(CHUNK).take_while(is_small).count().max(1);
        let (chunk, others) = rest.split_at_checked(count)?;
        rest = others;
        Some(chunk)
    })
}

/// The column `name_hash`.
pub(crate) fn name_hash(name: &str) -> Vec<u8> {
    use md5::Digest as _;
    md5::Md5::digest(name).to_vec()
}

/// A time as it is stored: both zeros are one.
fn time(ts: f64) -> f64 {
    ts + 0.0
}

/// A stored time as a key.
fn key(ts: f64) -> u64 {
    time(ts).to_bits()
}

/// The first and the last of some times.
fn bounds(times: impl Iterator<Item = f64>) -> (f64, f64) {
    times.fold((f64::INFINITY, f64::NEG_INFINITY), |(from, until), ts| (from.min(ts), until.max(ts)))
}
