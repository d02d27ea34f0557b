//! Messages to people: those that wait to be sent, and what became of the others.

use crate::error::Error;
use crate::incident::renew;
use crate::pool::Store;
use crate::session::{Dialect, Row as Answer, Session};
use crate::statement::Statement;

/// Keys of one statement.
const KEYS: usize = 200;
/// Messages of a node that are read back at most.
const WAITING: i64 = 100_000;
/// Longest error or answer that is kept, characters.
const WORDS: usize = 1_000;

/// What became of a message so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// It is to be sent.
    #[default]
    Waiting,
    /// A channel has accepted it; or nothing is sent at all (`alerting.dry_run`).
    Sent,
    /// It was given up.
    Dead,
}

impl State {
    /// The word for it, in the table and for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Dead => "dead",
        }
    }

    /// From the word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Sent, Self::Dead].into_iter().find(|state| state.word() == word)
    }
}

/// One message to one recipient.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Known by this for ever.
    pub key: String,
    /// Key of the incident; empty: of none.
    pub incident: String,
    /// The node that sends it.
    pub node: String,
    /// Channel.
    pub channel: String,
    /// Recipient.
    pub recipient: String,
    /// What it is about, in one word.
    pub kind: String,
    /// All that it says, JSON.
    pub body: String,
    /// What became of it.
    pub state: State,
    /// It was only shown, not sent.
    pub is_dry: bool,
    /// Times that sending was tried.
    pub attempts: u32,
    /// Not to be tried before, seconds.
    pub not_before: f64,
    /// When it was made, seconds.
    pub created: f64,
    /// When the channel accepted it, seconds.
    pub sent: Option<f64>,
    /// Why it was not sent the last time, or is dead.
    pub error: Option<String>,
    /// What the channel said when it took it.
    pub answer: Option<String>,
}

/// One page of messages and where the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Messages {
    /// The messages, the newest first, and their ids.
    pub rows: Vec<(i64, Message)>,
    /// For the next page: messages with ids below it; none when there is nothing more.
    pub next: Option<i64>,
}

/// Which messages are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Only in this state.
    pub state: Option<State>,
    /// Only of the incident with this key.
    pub incident: Option<String>,
    /// Only with ids below it.
    pub below: Option<i64>,
    /// At most so many, 1 to [`crate::MAX_LIMIT`].
    pub limit: u32,
}

const SELECT: &str = "SELECT o.id, o.message_key, i.incident_key, o.node, o.channel, o.recipient, o.kind, o.body, o.state, \
     o.is_dry, o.attempts, o.not_before, o.created_at, o.sent_at, o.error, o.answer FROM outbox o \
     LEFT JOIN incident i ON i.id = o.incident_id WHERE 1 = 1";

impl Store {
    /// A page of messages, the newest first.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn messages(&self, wanted: &Wanted) -> Result<Messages, Error> {
        let limit = wanted.limit.clamp(1, crate::MAX_LIMIT);
        let mut select = Statement::new(SELECT);
        if let Some(state) = wanted.state {
            select.push(" AND o.state = ").push_bind(state.word());
        }
        if let Some(incident) = &wanted.incident {
            select.push(" AND i.incident_key = ").push_bind(incident.clone());
        }
        if let Some(below) = wanted.below {
            select.push(" AND o.id < ").push_bind(below);
        }
        select.push(" ORDER BY o.id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        let answers = self.reader().await?.fetch(select).await?;
        let rows: Result<Vec<_>, _> = answers.iter().map(message_of).collect();
        let mut rows = rows.map_err(|e| Error::of(self.place(), &e))?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|(id, _)| *id);
        Ok(Messages { rows, next })
    }

    /// The message with that id.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn message(&self, id: i64) -> Result<Option<Message>, Error> {
        one(&mut self.reader().await?, id).await
    }

    /// Those of these messages that are sent or dead, by their keys.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn messages_over(&self, keys: &[String]) -> Result<Vec<Message>, Error> {
        let mut over = Vec::new();
        for chunk in keys.chunks(KEYS) {
            let mut select = Statement::new(SELECT);
            select.push(" AND o.state <> 'waiting' AND o.message_key IN ");
            select.push_list(chunk.iter().map(String::as_str));
            for row in self.reader().await?.fetch(select).await? {
                over.push(message_of(&row).map_err(|e| Error::of(self.place(), &e))?.1);
            }
        }
        Ok(over)
    }
}

/// Puts a message, or brings it up to date; one that is sent or dead does not wait again.
pub(crate) async fn put(
    session: &mut Session,
    message: &Message,
    incident: Option<i64>,
) -> Result<(), Error> {
    let short = |text: &Option<String>| text.as_ref().map(|t| t.chars().take(WORDS).collect::<String>());
    let mut insert = Statement::new(
        "INSERT INTO outbox (message_key, incident_id, node, channel, recipient, kind, body, state, is_dry, attempts, \
         not_before, created_at, sent_at, error, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(message.key.as_str())
    .bind(incident)
    .bind(message.node.as_str())
    .bind(message.channel.as_str())
    .bind(message.recipient.as_str())
    .bind(message.kind.as_str())
    .bind(message.body.as_str())
    .bind(message.state.word())
    .bind(message.is_dry)
    .bind(message.attempts)
    .bind(message.not_before.ceil() as i64)
    .bind(message.created as i64)
    .bind(message.sent.map(|at| at as i64))
    .bind(short(&message.error))
    .bind(short(&message.answer));
    if message.state == State::Waiting {
        // What is over stays over.
        insert.push(match session.dialect() {
            Dialect::Sqlite => {
                " ON CONFLICT (message_key) DO UPDATE SET attempts = excluded.attempts, \
                 not_before = excluded.not_before, error = excluded.error WHERE state = 'waiting'"
            }
            Dialect::MySql => {
                " ON DUPLICATE KEY UPDATE attempts = IF(state = 'waiting', VALUES(attempts), attempts), \
                 not_before = IF(state = 'waiting', VALUES(not_before), not_before), \
                 error = IF(state = 'waiting', VALUES(error), error)"
            }
        });
    } else {
        let columns = ["state", "is_dry", "attempts", "sent_at", "error", "answer"];
        insert.push(&renew(session, "message_key", &columns));
    }
    session.execute(insert).await.map(drop)
}

/// The message with that id.
pub(crate) async fn one(session: &mut Session, id: i64) -> Result<Option<Message>, Error> {
    let place = session.place().clone();
    let mut select = Statement::new(SELECT);
    select.push(" AND o.id = ").push_bind(id);
    let row = session.fetch_one(select).await?;
    let message = row.map(|row| message_of(&row)).transpose().map_err(|e| Error::of(&place, &e))?;
    Ok(message.map(|(_, message)| message))
}

/// Messages of a node that wait, the oldest first.
pub(crate) async fn waiting(session: &mut Session, node: &str) -> Result<Vec<Message>, Error> {
    let place = session.place().clone();
    let mut select = Statement::new(SELECT);
    select.push(" AND o.state = 'waiting' AND o.node = ").push_bind(node);
    select.push(" ORDER BY o.id LIMIT ").push_bind(WAITING);
    let rows: Result<Vec<_>, _> = session.fetch(select).await?.iter().map(message_of).collect();
    Ok(rows.map_err(|e| Error::of(&place, &e))?.into_iter().map(|(_, message)| message).collect())
}

fn message_of(row: &Answer) -> Result<(i64, Message), sqlx::Error> {
    let number = |column: &str| row.get::<i64>(column);
    let text = |column: &str| row.get::<Option<String>>(column);
    let state: String = row.get("state")?;
    let message = Message {
        key: row.get("message_key")?,
        incident: text("incident_key")?.unwrap_or_default(),
        node: text("node")?.unwrap_or_default(),
        channel: row.get("channel")?,
        recipient: row.get("recipient")?,
        kind: row.get("kind")?,
        body: row.get("body")?,
        state: State::of(&state).unwrap_or_default(),
        is_dry: number("is_dry")? != 0,
        attempts: u32::try_from(number("attempts")?).unwrap_or(u32::MAX),
        not_before: number("not_before")? as f64,
        created: number("created_at")? as f64,
        sent: row.get::<Option<i64>>("sent_at")?.map(|at| at as f64),
        error: text("error")?,
        answer: text("answer")?,
    };
    Ok((number("id")?, message))
}
