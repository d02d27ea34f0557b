//! What people do about incidents and messages, written down with who did it.

use crate::account::{Change, audit};
use crate::error::Error;
use crate::outbox::{self, Message, State};
use crate::pool::Store;
use crate::session::Session;
use crate::statement::Statement;
use serde_json::json;

/// What became of the wish to try a message again.
#[derive(Debug, Clone, PartialEq)]
pub enum Again {
    /// It waits now.
    Waits(Box<Message>),
    /// It is not one that was given up.
    Not(State),
    /// Another node sends it.
    Elsewhere(String),
    /// There is no such message.
    None,
}

impl Store {
    /// Lets a message that was given up wait again. `node`: the node that asks, which must be the one that sends it;
    /// `by`: the account that does it.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now.
    pub async fn retry_message(&self, id: i64, node: &str, by: i64) -> Result<Again, Error> {
        let now = self.now();
        let mut transaction = self.transaction().await?;
        let session = transaction.session();
        let Some(mut message) = outbox::one(session, id).await? else {
            return transaction.rollback().await.map(|()| Again::None);
        };
        let refusal = match () {
            () if message.state != State::Dead => Some(Again::Not(message.state)),
            () if message.node != node => Some(Again::Elsewhere(message.node.clone())),
            () => None,
        };
        if let Some(refusal) = refusal {
            return transaction.rollback().await.map(|()| refusal);
        }
        let set =
            Statement::new("UPDATE outbox SET state = 'waiting', attempts = 0, not_before = ? WHERE id = ?");
        session.execute(set.bind(now).bind(id)).await?;
        let before = json!({ "state": "dead", "error": message.error });
        let after = json!({ "state": "waiting" });
        change(session, now, ("message.retry", "outbox", id, by), Some(before), Some(after)).await?;
        transaction.commit().await?;
        (message.state, message.attempts, message.not_before) = (State::Waiting, 0, now as f64);
        Ok(Again::Waits(Box::new(message)))
    }

    /// Writes down that somebody has acknowledged the incident with that key; false: there is no such incident yet.
    /// `who`: in words; `by`: the account that does it.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now.
    pub async fn note_acknowledgement(&self, incident: &str, who: &str, by: i64) -> Result<bool, Error> {
        let now = self.now();
        let mut transaction = self.transaction().await?;
        let session = transaction.session();
        let find = Statement::new("SELECT id FROM incident WHERE incident_key = ?").bind(incident);
        let id = session.fetch_one(find).await?.map(|row| row.first::<i64>()).transpose();
        let Some(id) = id.map_err(|e| Error::of(self.place(), &e))? else {
            return transaction.rollback().await.map(|()| false);
        };
        let set = Statement::new("UPDATE incident SET acknowledged_by = ? WHERE id = ?").bind(by).bind(id);
        session.execute(set).await?;
        let after = json!({ "by": who });
        change(session, now, ("incident.acknowledge", "incident", id, by), None, Some(after)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Keys of a node's open incidents that somebody has acknowledged at another node, and of which the node does not know
    /// that yet; at most a hundred.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn acknowledged_elsewhere(&self, node: &str) -> Result<Vec<String>, Error> {
        let select = Statement::new(
            "SELECT incident_key FROM incident WHERE ended_at IS NULL AND acknowledged_at IS NULL \
             AND acknowledged_by IS NOT NULL AND incident_key IS NOT NULL AND node = ? ORDER BY id LIMIT 100",
        );
        let rows = self.reader().await?.fetch(select.bind(node)).await?;
        rows.iter().map(|row| row.first().map_err(|e| Error::of(self.place(), &e))).collect()
    }
}

async fn change(
    session: &mut Session,
    now: i64,
    (action, table, row, by): (&str, &str, i64, i64),
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Result<(), Error> {
    audit(session, now, Change { by, action, table, row, before, after }).await
}
