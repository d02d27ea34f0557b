//! What others ask of alerting.

use super::figures::Told;
use crate::message::Message;
use skyline_core::anomaly::Anomaly;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Alerting has ended; what was given is not written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("alerting has ended")]
pub struct Closed;

/// What it was that somebody has seen an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// Nobody had.
    New,
    /// Somebody had before.
    Before,
    /// There is no such incident, or it is not remembered.
    Unknown,
}

/// A question to the task.
#[derive(Debug)]
pub(super) enum Ask {
    /// Take anomalies; answered when what they change is written down.
    Take(Vec<Anomaly>, oneshot::Sender<()>),
    /// Send a message of no incident; answered when it is written down.
    Post(Box<Message>, oneshot::Sender<()>),
    /// Send a message again that was given up; answered when that is written down.
    Again(Box<Message>, oneshot::Sender<()>),
    /// Somebody has seen an incident; answered when that is written down.
    Acknowledge { incident: String, by: String, answer: oneshot::Sender<Acknowledged> },
}

/// Alerting, from outside; clones are the same.
#[derive(Debug, Clone)]
pub struct Alerting {
    pub(super) asks: mpsc::Sender<Ask>,
    /// How it does.
    pub told: Arc<Told>,
}

impl Alerting {
    /// Takes anomalies; returns when what they change is written down: from then on no crash loses it.
    /// Giving the same again is harmless.
    ///
    /// # Errors
    /// It has ended.
    pub async fn take(&self, anomalies: Vec<Anomaly>) -> Result<(), Closed> {
        if anomalies.is_empty() {
            return Ok(());
        }
        let (done, answer) = oneshot::channel();
        self.asks.send(Ask::Take(anomalies, done)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    /// Lets it know of anomalies that will be given again: people need not wait until what is before them can be written
    /// down.
    pub async fn hint(&self, anomalies: Vec<Anomaly>) {
        let (nobody, _) = oneshot::channel();
        // It has ended: who gives them again hears of that.
        self.asks.send(Ask::Take(anomalies, nobody)).await.ok();
    }

    /// Sends a message that belongs to no incident, such as a digest of silent metrics; returns when it is written down.
    /// One with the same key is sent once, as long as it is remembered: an hour at least, unless ten thousand go to the
    /// same recipient.
    ///
    /// # Errors
    /// It has ended.
    pub async fn post(&self, message: Message) -> Result<(), Closed> {
        let (done, answer) = oneshot::channel();
        self.asks.send(Ask::Post(Box::new(message), done)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    /// Sends a message again that was given up; later ones of its incident go to that recipient too. Returns when that is
    /// written down.
    ///
    /// # Errors
    /// It has ended.
    pub async fn again(&self, message: Message) -> Result<(), Closed> {
        let (done, answer) = oneshot::channel();
        self.asks.send(Ask::Again(Box::new(message), done)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    /// Somebody has seen an incident: nobody else is told that nobody has. Returns when that is written down.
    ///
    /// # Errors
    /// It has ended.
    pub async fn acknowledge(&self, incident: &str, by: &str) -> Result<Acknowledged, Closed> {
        let (answer, is_new) = oneshot::channel();
        let ask = Ask::Acknowledge { incident: incident.to_owned(), by: by.to_owned(), answer };
        self.asks.send(ask).await.map_err(|_| Closed)?;
        is_new.await.map_err(|_| Closed)
    }
}
