//! Incidents as alerting keeps them: their metrics, who was told, and threads. Rows are known by keys that the
//! node makes, so that writing the same again changes nothing.

use crate::error::Error;
use crate::outbox::{self, Message};
use crate::pool::Store;
use crate::record::name_hash;
use crate::session::{Row as Answer, Session};
use crate::statement::{Statement, Value};
use std::collections::HashMap;

/// Rows of one statement.
const CHUNK: usize = 200;
/// Incidents removed in one transaction.
const REMOVED: i64 = 200;

/// An incident without its metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Known by this for ever.
    pub key: String,
    /// The node that opened it.
    pub node: String,
    /// The metric that opened it.
    pub first_metric: String,
    /// When it was opened, seconds.
    pub opened: f64,
    /// Time of its first anomalous point, seconds.
    pub since: f64,
    /// When the node changed it last, seconds.
    pub changed: f64,
    /// When it ended, seconds.
    pub ended: Option<f64>,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// Metrics.
    pub metrics: u64,
    /// Anomalous points.
    pub anomalies: u64,
    /// When somebody acknowledged it, seconds.
    pub acknowledged: Option<f64>,
    /// JSON, as the node reads it back.
    pub detail: String,
}

/// A metric of an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Key of the incident.
    pub incident: String,
    /// Its number within the incident, from 0.
    pub place: u32,
    /// The metric's name.
    pub name: String,
    /// Time of its first anomalous point, seconds.
    pub since: f64,
    /// Time of its last one, seconds.
    pub last: f64,
    /// When it was over, seconds.
    pub ended: Option<f64>,
    /// Anomalous points.
    pub points: u64,
    /// JSON, as the node reads it back.
    pub detail: String,
}

/// Who was told of an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Key of the incident.
    pub incident: String,
    /// Channel.
    pub channel: String,
    /// Recipient.
    pub recipient: String,
    /// Messages made so far.
    pub messages: u32,
    /// When the last one was made, seconds.
    pub last: f64,
    /// What the channel calls the thread of these messages.
    pub thread: Option<String>,
    /// JSON, as the node reads it back.
    pub detail: String,
}

/// What is written at once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Incidents that are new or changed.
    pub incidents: Vec<Incident>,
    /// Metrics that are new or changed; of incidents that are among those or were written before.
    pub members: Vec<Member>,
    /// The same of who was told.
    pub told: Vec<Told>,
    /// Messages that are new or changed.
    pub messages: Vec<Message>,
}

impl Changes {
    /// Whether there is nothing to be written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.incidents.is_empty()
            && self.members.is_empty()
            && self.told.is_empty()
            && self.messages.is_empty()
    }
}

/// What a node needs to go on where it was.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Open {
    /// Incidents that are open, or ended lately.
    pub incidents: Vec<Incident>,
    /// Their metrics, by incident and place.
    pub members: Vec<Member>,
    /// Who was told of them.
    pub told: Vec<Told>,
    /// Messages that wait, the oldest first.
    pub messages: Vec<Message>,
}

/// One page of incidents and where the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Incidents {
    /// The incidents, the newest first, and their ids.
    pub rows: Vec<(i64, Incident)>,
    /// For the next page: incidents with ids below it; none when there is nothing more.
    pub next: Option<i64>,
}

const SELECT: &str = "SELECT id, incident_key, node, first_metric, opened_at, ended_at, since_ts, changed_ts, severity, \
     metric_count, anomaly_count, acknowledged_at, detail FROM incident WHERE incident_key IS NOT NULL";

impl Store {
    /// Writes what alerting has changed, all or nothing. Writing the same again changes nothing; a message that is sent or dead stays so.
    ///
    /// # Errors
    /// [`Error::Data`] when it can never be written; anything else when the database is away for now.
    pub async fn keep_alerts(&self, changes: &Changes) -> Result<(), Error> {
        self.repeated(|| self.keep_once(changes)).await
    }

    async fn keep_once(&self, changes: &Changes) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut transaction = self.transaction().await?;
        let session = transaction.session();
        for chunk in changes.incidents.chunks(CHUNK) {
            incidents(session, chunk).await?;
        }
        let keys = changes.members.iter().map(|m| m.incident.as_str());
        let keys = keys.chain(changes.told.iter().map(|t| t.incident.as_str()));
        let keys = keys.chain(changes.messages.iter().map(|m| m.incident.as_str()));
        let ids = ids(session, keys).await?;
        for chunk in changes.members.chunks(CHUNK) {
            members(session, chunk, &ids).await?;
        }
        for chunk in changes.told.chunks(CHUNK) {
            told(session, chunk, &ids).await?;
        }
        for message in &changes.messages {
            outbox::put(session, message, ids.get(message.incident.as_str()).copied()).await?;
        }
        transaction.commit().await
    }

    /// What a node left: incidents that are open or ended at `ended_since` (seconds) or later, and messages that wait.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn open_alerts(&self, node: &str, ended_since: f64) -> Result<Open, Error> {
        let mut session = self.reader().await?;
        let failed = |e| Error::of(self.place(), &e);
        let mut select = Statement::new(SELECT);
        select.push(" AND node = ").push_bind(node);
        select
            .push(" AND (ended_at IS NULL OR ended_at >= ")
            .push_bind(ended_since as i64)
            .push(") ORDER BY id");
        let mut open = Open::default();
        let mut keys = HashMap::new();
        for row in session.fetch(select).await? {
            let (id, incident) = incident_of(&row).map_err(failed)?;
            keys.insert(id, incident.key.clone());
            open.incidents.push(incident);
        }
        let mut all: Vec<i64> = keys.keys().copied().collect();
        all.sort_unstable();
        for chunk in all.chunks(CHUNK) {
            read_members(&mut session, chunk, &keys, &mut open.members).await?;
            read_told(&mut session, chunk, &keys, &mut open.told).await?;
        }
        open.messages = outbox::waiting(&mut session, node).await?;
        Ok(open)
    }

    /// A page of incidents, the newest first; at most `limit` (1 to [`crate::MAX_LIMIT`]). `below`: of an earlier page.
    /// `is_open`: only those that have not ended.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn incidents(&self, is_open: bool, below: Option<i64>, limit: u32) -> Result<Incidents, Error> {
        let limit = limit.clamp(1, crate::MAX_LIMIT);
        let mut select = Statement::new(SELECT);
        if is_open {
            select.push(" AND ended_at IS NULL");
        }
        if let Some(below) = below {
            select.push(" AND id < ").push_bind(below);
        }
        select.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let answers = self.reader().await?.fetch(select).await?;
        let rows: Result<Vec<_>, _> = answers.iter().map(incident_of).collect();
        let mut rows = rows.map_err(|e| Error::of(self.place(), &e))?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|(id, _)| *id);
        Ok(Incidents { rows, next })
    }

    /// An incident with its metrics and who was told; none: there is none with that key.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn incident(&self, key: &str) -> Result<Option<(Incident, Vec<Member>, Vec<Told>)>, Error> {
        let mut session = self.reader().await?;
        let mut select = Statement::new(SELECT);
        select.push(" AND incident_key = ").push_bind(key);
        let Some(row) = session.fetch_one(select).await? else { return Ok(None) };
        let (id, incident) = incident_of(&row).map_err(|e| Error::of(self.place(), &e))?;
        let keys = HashMap::from([(id, incident.key.clone())]);
        let (mut members, mut told) = (Vec::new(), Vec::new());
        read_members(&mut session, &[id], &keys, &mut members).await?;
        read_told(&mut session, &[id], &keys, &mut told).await?;
        Ok(Some((incident, members, told)))
    }

    /// Removes incidents that ended before `older_than` (seconds), and messages that are sent or dead and older. Returns how many of both.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now; what was removed before stays so.
    pub async fn purge_alerts(&self, older_than: f64) -> Result<(u64, u64), Error> {
        let messages = self.purge_messages(older_than).await?;
        let text = self.dialect().pick(
            "DELETE FROM incident WHERE id IN (SELECT id FROM incident WHERE ended_at < ? ORDER BY ended_at LIMIT ?)",
            "DELETE FROM incident WHERE ended_at < ? ORDER BY ended_at LIMIT ?",
        );
        let mut removed = 0;
        loop {
            let statement = Statement::new(text).bind(older_than as i64).bind(REMOVED);
            // Given back each time: a file has one connection that writes.
            let done = self.writer().await?.execute(statement).await?.rows;
            removed += done;
            if done < REMOVED.unsigned_abs() {
                return Ok((removed, messages));
            }
        }
    }
}

/// Columns that take the new value where a row is there already.
pub(crate) fn renew(session: &Session, key: &str, columns: &[&str]) -> String {
    let set = |value: fn(&str) -> String| {
        columns.iter().map(|c| format!("{c} = {}", value(c))).collect::<Vec<_>>().join(", ")
    };
    match session.dialect() {
        crate::session::Dialect::Sqlite => {
            format!(" ON CONFLICT ({key}) DO UPDATE SET {}", set(|c| format!("excluded.{c}")))
        }
        crate::session::Dialect::MySql => {
            format!(" ON DUPLICATE KEY UPDATE {}", set(|c| format!("VALUES({c})")))
        }
    }
}

async fn incidents(session: &mut Session, chunk: &[Incident]) -> Result<(), Error> {
    let mut insert = Statement::new(
        "INSERT INTO incident (incident_key, node, first_metric, opened_at, updated_at, ended_at, since_ts, \
         changed_ts, severity, metric_count, anomaly_count, acknowledged_at, detail) ",
    );
    insert.push_rows(chunk.iter().map(|i| {
        [
            Value::from(i.key.as_str()),
            i.node.as_str().into(),
            i.first_metric.as_str().into(),
            (i.opened as i64).into(),
            (i.changed as i64).into(),
            i.ended.map(|at| at as i64).into(),
            i.since.into(),
            i.changed.into(),
            i.severity.as_str().into(),
            i.metrics.cast_signed().into(),
            i.anomalies.cast_signed().into(),
            i.acknowledged.map(|at| at as i64).into(),
            i.detail.as_str().into(),
        ]
    }));
    let columns = [
        "updated_at",
        "ended_at",
        "changed_ts",
        "severity",
        "metric_count",
        "anomaly_count",
        "acknowledged_at",
        "detail",
    ];
    insert.push(&renew(session, "incident_key", &columns));
    session.execute(insert).await.map(drop)
}

/// Ids of incidents by their keys.
async fn ids<'a>(
    session: &mut Session,
    keys: impl Iterator<Item = &'a str>,
) -> Result<HashMap<&'a str, i64>, Error> {
    let mut keys: Vec<&str> = keys.filter(|key| !key.is_empty()).collect();
    keys.sort_unstable();
    keys.dedup();
    let place = session.place().clone();
    let failed = |e| Error::of(&place, &e);
    let mut ids = HashMap::with_capacity(keys.len());
    for chunk in keys.chunks(CHUNK) {
        let mut select = Statement::new("SELECT id, incident_key FROM incident WHERE incident_key IN ");
        select.push_list(chunk.iter().copied());
        for row in session.fetch(select).await? {
            let key: &str = row.get("incident_key").map_err(failed)?;
            if let Ok(at) = chunk.binary_search(&key)
                && let Some(key) = chunk.get(at)
            {
                ids.insert(*key, row.get("id").map_err(failed)?);
            }
        }
    }
    Ok(ids)
}

async fn members(session: &mut Session, chunk: &[Member], ids: &HashMap<&str, i64>) -> Result<(), Error> {
    let rows: Vec<_> = chunk
        .iter()
        .filter_map(|m| {
            let id = *ids.get(m.incident.as_str())?;
            Some([
                Value::from(id),
                m.place.into(),
                m.name.as_str().into(),
                name_hash(&m.name).into(),
                m.since.into(),
                m.last.into(),
                m.ended.into(),
                m.points.cast_signed().into(),
                m.detail.as_str().into(),
            ])
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut insert = Statement::new(
        "INSERT INTO incident_member (incident_id, place, name, name_hash, since_ts, last_ts, ended_ts, points, detail) ",
    );
    insert.push_rows(rows);
    let columns = ["since_ts", "last_ts", "ended_ts", "points", "detail"];
    insert.push(&renew(session, "incident_id, place", &columns));
    session.execute(insert).await.map(drop)
}

async fn told(session: &mut Session, chunk: &[Told], ids: &HashMap<&str, i64>) -> Result<(), Error> {
    let of = |t: &Told| Some((*ids.get(t.incident.as_str())?, t.clone()));
    let rows: Vec<_> = chunk.iter().filter_map(of).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut insert = Statement::new(
        "INSERT INTO incident_told (incident_id, channel, recipient, messages, last_ts, detail) ",
    );
    insert.push_rows(rows.iter().map(|(id, t)| {
        [
            Value::from(*id),
            t.channel.as_str().into(),
            t.recipient.as_str().into(),
            t.messages.into(),
            t.last.into(),
            t.detail.as_str().into(),
        ]
    }));
    insert.push(&renew(session, "incident_id, channel, recipient", &["messages", "last_ts", "detail"]));
    session.execute(insert).await?;
    let threads: Vec<_> = rows
        .iter()
        .filter_map(|(id, t)| {
            let thread = t.thread.as_deref()?;
            Some([Value::from(*id), t.channel.as_str().into(), t.recipient.as_str().into(), thread.into()])
        })
        .collect();
    if threads.is_empty() {
        return Ok(());
    }
    let mut insert = Statement::new("INSERT INTO incident_thread (incident_id, channel, recipient, thread) ");
    insert.push_rows(threads);
    insert.push(&renew(session, "incident_id, channel, recipient", &["thread"]));
    session.execute(insert).await.map(drop)
}

fn incident_of(row: &Answer) -> Result<(i64, Incident), sqlx::Error> {
    let number = |column: &str| row.get::<i64>(column);
    let text = |column: &str| Ok::<_, sqlx::Error>(row.get::<Option<String>>(column)?.unwrap_or_default());
    let time = |column: &str| row.get::<Option<f64>>(column);
    let opened = number("opened_at")? as f64;
    let incident = Incident {
        key: text("incident_key")?,
        node: text("node")?,
        first_metric: text("first_metric")?,
        opened,
        since: time("since_ts")?.unwrap_or(opened),
        changed: time("changed_ts")?.unwrap_or(opened),
        ended: row.get::<Option<i64>>("ended_at")?.map(|at| at as f64),
        severity: text("severity")?,
        metrics: number("metric_count")?.unsigned_abs(),
        anomalies: number("anomaly_count")?.unsigned_abs(),
        acknowledged: row.get::<Option<i64>>("acknowledged_at")?.map(|at| at as f64),
        detail: text("detail")?,
    };
    Ok((number("id")?, incident))
}

async fn read_members(
    session: &mut Session,
    ids: &[i64],
    keys: &HashMap<i64, String>,
    out: &mut Vec<Member>,
) -> Result<(), Error> {
    let place = session.place().clone();
    let mut select = Statement::new(
        "SELECT incident_id, place, name, since_ts, last_ts, ended_ts, points, detail FROM incident_member \
         WHERE incident_id IN ",
    );
    select.push_list(ids.iter().copied()).push(" ORDER BY incident_id, place");
    let of = |row: &Answer| {
        Ok(Member {
            incident: keys.get(&row.get::<i64>("incident_id")?).cloned().unwrap_or_default(),
            place: u32::try_from(row.get::<i64>("place")?).unwrap_or(u32::MAX),
            name: row.get("name")?,
            since: row.get("since_ts")?,
            last: row.get("last_ts")?,
            ended: row.get("ended_ts")?,
            points: row.get::<i64>("points")?.unsigned_abs(),
            detail: row.get("detail")?,
        })
    };
    for row in session.fetch(select).await? {
        out.push(of(&row).map_err(|e| Error::of(&place, &e))?);
    }
    Ok(())
}

async fn read_told(
    session: &mut Session,
    ids: &[i64],
    keys: &HashMap<i64, String>,
    out: &mut Vec<Told>,
) -> Result<(), Error> {
    let place = session.place().clone();
    let mut select = Statement::new(
        "SELECT t.incident_id, t.channel, t.recipient, t.messages, t.last_ts, t.detail, h.thread FROM incident_told t \
         LEFT JOIN incident_thread h ON h.incident_id = t.incident_id AND h.channel = t.channel \
         AND h.recipient = t.recipient WHERE t.incident_id IN ",
    );
    select.push_list(ids.iter().copied()).push(" ORDER BY t.incident_id, t.channel, t.recipient");
    let of = |row: &Answer| {
        Ok(Told {
            incident: keys.get(&row.get::<i64>("incident_id")?).cloned().unwrap_or_default(),
            channel: row.get("channel")?,
            recipient: row.get("recipient")?,
            messages: u32::try_from(row.get::<i64>("messages")?).unwrap_or(u32::MAX),
            last: row.get("last_ts")?,
            thread: row.get("thread")?,
            detail: row.get("detail")?,
        })
    };
    for row in session.fetch(select).await? {
        out.push(of(&row).map_err(|e| Error::of(&place, &e))?);
    }
    Ok(())
}
