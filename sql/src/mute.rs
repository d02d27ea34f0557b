//! Mutes: what nobody is told of for a time. Every change is written down in `audit_event` with it.

use crate::account::{Change, audit};
use crate::error::Error;
use crate::pool::Store;
use crate::session::{Row, Session};
use crate::statement::Statement;
use serde_json::json;

/// Longest pattern, bytes; and schedule, zone and reason, characters.
const PATTERN: usize = 4_096;
const WORDS: usize = 255;
/// Mutes that there may be.
const MOST: i64 = 10_000;

/// What the pattern of a mute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MuteKind {
    /// The whole name of a metric.
    Name,
    /// A glob of the whole name.
    Glob,
    /// The name of a rule.
    Rule,
}

impl MuteKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Name, Self::Glob, Self::Rule];

    /// The word for it, in the table and for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Glob => "glob",
            Self::Rule => "rule",
        }
    }

    /// From the word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// What is to be muted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMute {
    /// What the pattern is.
    pub kind: MuteKind,
    /// The pattern.
    pub pattern: String,
    /// It ends then, seconds; none: when somebody removes it.
    pub until: Option<i64>,
    /// Days and hours when it holds; none: always.
    pub schedule: Option<String>,
    /// Their time zone.
    pub zone: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// A mute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// Its id.
    pub id: i64,
    /// What it mutes.
    pub what: NewMute,
    /// Login of who made it.
    pub by: String,
    /// When it was made, seconds.
    pub created: i64,
}

const SELECT: &str = "SELECT m.id, m.kind, m.pattern, m.until_at, m.schedule, m.zone, m.reason, m.created_at, a.login \
     FROM mute m JOIN account a ON a.id = m.created_by";

impl Store {
    /// All mutes that have not ended at `now` (seconds), by id.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn mutes(&self, now: i64) -> Result<Vec<Mute>, Error> {
        let statement =
            Statement::new(SELECT).with(" WHERE m.until_at IS NULL OR m.until_at > ? ORDER BY m.id");
        let rows = self.reader().await?.fetch(statement.bind(now)).await?;
        rows.iter().map(|row| decode(row).map_err(|e| Error::of(self.place(), &e))).collect()
    }

    /// Mutes; `by`: the account that does it. The same mute again is the one that is there, with the later end and the
    /// new reason.
    ///
    /// # Errors
    /// [`Error::Data`] for a pattern that is empty or too long, or when there are too many mutes.
    pub async fn add_mute(&self, new: &NewMute, by: i64) -> Result<Mute, Error> {
        let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.chars().count() > WORDS);
        if new.pattern.is_empty() || new.pattern.len() > PATTERN {
            return Err(Error::data(self.place(), format!("a pattern has 1 to {PATTERN} bytes")));
        }
        if long(&new.schedule) || long(&new.zone) || long(&new.reason) {
            let message = format!("schedule, zone and reason have {WORDS} characters at most");
            return Err(Error::data(self.place(), message));
        }
        let now = self.now();
        let mut transaction = self.transaction().await?;
        let session = transaction.session();
        let id = match same(session, new, now).await? {
            Some(before) => {
                let until = before.what.until.and_then(|old| new.until.map(|new| old.max(new)));
                let reason = new.reason.clone().or(before.what.reason.clone());
                let after = NewMute { until, reason, ..new.clone() };
                let set = Statement::new("UPDATE mute SET until_at = ?, reason = ? WHERE id = ?");
                session.execute(set.bind(until).bind(after.reason.clone()).bind(before.id)).await?;
                let (old, new) = (Some(document(&before.what)), Some(document(&after)));
                change(session, now, by, "mute.change", before.id, old, new).await?;
                before.id
            }
            None => {
                let count = session.fetch_one(Statement::new("SELECT COUNT(*) FROM mute")).await?;
                let count: Option<i64> = count.and_then(|row| row.first().ok());
                if count.unwrap_or_default() >= MOST {
                    transaction.rollback().await?;
                    return Err(Error::data(self.place(), format!("there are {MOST} mutes: remove some")));
                }
                let insert = Statement::new(
                    "INSERT INTO mute (kind, pattern, until_at, schedule, zone, reason, created_by, created_at) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                );
                let insert = insert.bind(new.kind.word()).bind(new.pattern.as_str()).bind(new.until);
                let insert =
                    insert.bind(new.schedule.clone()).bind(new.zone.clone()).bind(new.reason.clone());
                let id = session.execute(insert.bind(by).bind(now)).await?.id;
                change(session, now, by, "mute.create", id, None, Some(document(new))).await?;
                id
            }
        };
        let made = one(session, id).await?;
        transaction.commit().await?;
        made.ok_or_else(|| Error::retry(self.place(), "the mute was removed while it was made"))
    }

    /// Unmutes; what there was, or none. `by`: the account that does it.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now.
    pub async fn remove_mute(&self, id: i64, by: i64) -> Result<Option<Mute>, Error> {
        let now = self.now();
        let mut transaction = self.transaction().await?;
        let session = transaction.session();
        let Some(mute) = one(session, id).await? else {
            return transaction.rollback().await.map(|()| None);
        };
        session.execute(Statement::new("DELETE FROM mute WHERE id = ?").bind(id)).await?;
        change(session, now, by, "mute.remove", id, Some(document(&mute.what)), None).await?;
        transaction.commit().await?;
        Ok(Some(mute))
    }

    /// Removes mutes that ended before a time (seconds); how many.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now.
    pub async fn purge_mutes(&self, ended_before: i64) -> Result<u64, Error> {
        let statement = Statement::new("DELETE FROM mute WHERE until_at IS NOT NULL AND until_at < ?");
        Ok(self.writer().await?.execute(statement.bind(ended_before)).await?.rows)
    }
}

async fn one(session: &mut Session, id: i64) -> Result<Option<Mute>, Error> {
    let place = session.place().clone();
    let row = session.fetch_one(Statement::new(SELECT).with(" WHERE m.id = ?").bind(id)).await?;
    row.map(|row| decode(&row).map_err(|e| Error::of(&place, &e))).transpose()
}

/// The mute of the same pattern and hours that has not ended.
async fn same(session: &mut Session, new: &NewMute, now: i64) -> Result<Option<Mute>, Error> {
    let place = session.place().clone();
    let statement = Statement::new(SELECT).with(" WHERE m.kind = ? AND m.pattern = ? ORDER BY m.id DESC");
    let rows = session.fetch(statement.bind(new.kind.word()).bind(new.pattern.as_str())).await?;
    for row in &rows {
        let mute = decode(row).map_err(|e| Error::of(&place, &e))?;
        // The database may compare without regard to case.
        let is_same = mute.what.pattern == new.pattern
            && mute.what.schedule == new.schedule
            && mute.what.zone == new.zone
            && mute.what.until.is_none_or(|until| until > now);
        if is_same {
            return Ok(Some(mute));
        }
    }
    Ok(None)
}

async fn change(
    session: &mut Session,
    now: i64,
    by: i64,
    action: &str,
    row: i64,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Result<(), Error> {
    audit(session, now, Change { by, action, table: "mute", row, before, after }).await
}

fn document(mute: &NewMute) -> serde_json::Value {
    json!({
        "kind": mute.kind.word(),
        "pattern": mute.pattern,
        "until": mute.until,
        "schedule": mute.schedule,
        "zone": mute.zone,
        "reason": mute.reason,
    })
}

fn decode(row: &Row) -> Result<Mute, sqlx::Error> {
    let kind: String = row.get("kind")?;
    Ok(Mute {
        id: row.get("id")?,
        what: NewMute {
            kind: MuteKind::of(&kind).unwrap_or(MuteKind::Name),
            pattern: row.get("pattern")?,
            until: row.get("until_at")?,
            schedule: row.get("schedule")?,
            zone: row.get("zone")?,
            reason: row.get("reason")?,
        },
        by: row.get("login")?,
        created: row.get("created_at")?,
    })
}
