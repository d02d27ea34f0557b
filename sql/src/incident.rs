//! Incidents as alerting keeps them: their metrics, who was told, and threads. Rows are known by keys that the
//! node makes, so that writing the same again changes nothing.

mod read;
mod write;

pub(crate) use write::renew;

use crate::error::Error;
use crate::outbox::{self, Message};
use crate::pool::Store;
use crate::session::Dialect;
use crate::statement::Statement;
use read::{SELECT, incident_of, read_members, read_told};
use std::collections::HashMap;
use write::{ids, incidents, members, told};

/// Rows of one statement.
const CHUNK: usize = 200;
/// Rows removed in one transaction.
const REMOVED: i64 = 200;
/// So much older than what is over, what is open or waits is nobody's any more, seconds: longer than any message is tried.
pub(crate) const GONE: f64 = 30.0 * 86_400.0;

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

    /// Removes incidents that ended before `older_than` (seconds), and messages that are sent or dead and older; 30 days later
    /// also those that are open or wait: their node is gone, one that lives would have ended them. Returns how many of both.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now; what was removed before stays so.
    pub async fn purge_alerts(&self, older_than: f64) -> Result<(u64, u64), Error> {
        let (ended, gone) = (older_than as i64, (older_than - GONE) as i64);
        let messages = self.remove("outbox", "created_at < ? AND state <> 'waiting'", ended).await?
            + self.remove("outbox", "created_at < ?", gone).await?;
        let open = "ended_at IS NULL AND changed_ts < ?";
        let incidents = self.remove("incident", "ended_at < ?", ended).await?
            + self.remove("incident", open, gone).await?;
        Ok((incidents, messages))
    }

    /// Removes rows of a table that meet a condition on one time.
    async fn remove(&self, table: &str, condition: &str, time: i64) -> Result<u64, Error> {
        let text = match self.dialect() {
            Dialect::Sqlite => {
                format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {condition} LIMIT ?)")
            }
            Dialect::MySql => format!("DELETE FROM {table} WHERE {condition} LIMIT ?"),
        };
        let mut removed = 0;
        loop {
            let statement = Statement::new(&text).bind(time).bind(REMOVED);
            // Given back each time: a file has one connection that writes.
            let done = self.writer().await?.execute(statement).await?.rows;
            removed += done;
            if done < REMOVED.unsigned_abs() {
                return Ok(removed);
            }
        }
    }
}
