//! The start: what was remembered comes back from the file, and what the file lacks from the database.

use super::copy::Copier;
use super::lanes::Lanes;
use super::{Alerting, Dispatcher, Parts, Told};
use crate::incident::{Head, Incidents, Member};
use crate::message::Message;
use crate::outbox::log::Log;
use crate::outbox::record::Record;
use crate::outbox::{Entry, State, Told as ToldOf};
use serde::de::DeserializeOwned;
use skyline_sql::incident::Open;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Groups of anomalies and other questions that may wait.
const ASKS: usize = 256;
/// Answers that may wait: one a recipient, one of the database, one of each incident that ends. Those who answer wait then.
const EVENTS: usize = 1_024;
/// How long a database is waited for that may know more than the file.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same where the file has something: the database is asked for what was lost with a disk, which is rare.
const HASTE: Duration = Duration::from_millis(500);

/// Starts alerting.
///
/// # Errors
/// The file of alerts cannot be read or written.
pub fn start(parts: Parts) -> io::Result<(Alerting, JoinHandle<()>)> {
    let now = parts.clock.now();
    let path = parts.state_dir.join("alerts.log");
    let (log, found) = Log::open(&path, parts.settings.sync)?;
    if found.damaged > 0 {
        tracing::error!(file = %path.display(), lines = found.damaged, "the file of alerts is damaged; what was there is left out");
    }
    if found.cut_bytes > 0 {
        tracing::warn!(file = %path.display(), bytes = found.cut_bytes, "the end of the file of alerts is not whole; it is cut off");
    }
    let is_empty = found.records.is_empty();
    let mut state = State::new(Incidents::new(&parts.node, parts.settings.incidents, now));
    for record in found.records {
        state.restore(record, now);
    }
    // The clock may have been ahead when it was written.
    state.set_back(now);
    let (asks_in, asks) = mpsc::channel(ASKS);
    let (events_in, events) = mpsc::channel(EVENTS);
    let told = Arc::new(Told::default());
    let handle = Alerting { asks: asks_in, told: Arc::clone(&told) };
    let mut dispatcher = Dispatcher {
        parts,
        state,
        log: Arc::new(Mutex::new(log)),
        copier: Copier::default(),
        lanes: Lanes::default(),
        asks,
        events,
        events_in,
        told,
        waiting: Vec::new(),
        ticked: now,
        file_again: 0.0,
        nowhere_since: None,
    };
    let task = tokio::spawn(async move {
        dispatcher.fill(if is_empty { PATIENCE } else { HASTE }).await;
        dispatcher.run().await;
    });
    Ok((handle, task))
}

impl Dispatcher {
    /// Takes from the database what the file does not know.
    async fn fill(&mut self, patience: Duration) {
        let now = self.parts.clock.now();
        let since = now - self.parts.rules.longest_repeat();
        let asked = self.parts.store.open_alerts(&self.parts.node, since);
        match tokio::time::timeout(patience, asked).await {
            Ok(Ok(open)) => {
                self.add(open, now);
                self.state.set_back(now);
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the record cannot be asked for open incidents; the file of alerts is what is known")
            }
            Err(_) => tracing::warn!(
                "the record does not answer; the file of alerts is what is known of open incidents"
            ),
        }
        self.copier.dirty = self.state.restored();
        let (incidents, waiting) = (self.state.incidents.open(), self.state.waiting().count());
        if incidents > 0 || waiting > 0 {
            tracing::info!(
                incidents,
                waiting,
                "incidents that are open, and messages that wait, from the last run"
            );
        }
        let all = self.state.records();
        if let Err(error) = self.append_all(&all) {
            tracing::error!(%error, "the file of alerts cannot be written");
        }
        self.show(now);
    }

    fn append_all(&self, all: &[Record]) -> io::Result<()> {
        self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner).renew(all)
    }

    fn add(&mut self, open: Open, now: f64) {
        let Open { incidents, members, told, messages } = open;
        // Where both know something the later counts: the file could not be written for a while, or the database.
        for row in incidents {
            if self.state.incidents.get(&row.key).is_some_and(|known| known.head.changed >= row.changed) {
                continue;
            }
            let of = members.iter().filter(|m| m.incident == row.key);
            let members: Vec<Member> = of.filter_map(|m| parse(&m.detail, &row.key)).collect();
            if let Some(head) = parse::<Head>(&row.detail, &row.key).filter(|_| !members.is_empty()) {
                self.state.restore(Record::Incident(head, members), now);
            }
        }
        for row in told {
            let lane = (row.channel, row.recipient);
            let known = self.state.told.get(&row.incident).and_then(|of| of.get(&lane));
            if known.is_some_and(|known| known.messages >= row.messages)
                || self.state.incidents.get(&row.incident).is_none()
            {
                continue;
            }
            if let Some(told) = parse::<ToldOf>(&row.detail, &row.incident) {
                self.state.restore(Record::Told(told), now);
            }
        }
        for row in
            messages.into_iter().filter(|row| !self.state.entries.contains_key(&row.key)).collect::<Vec<_>>()
        {
            if let Some(message) = parse::<Message>(&row.body, &row.key) {
                let mut entry = Entry::new(message);
                (entry.attempts, entry.not_before, entry.error) = (row.attempts, row.not_before, row.error);
                self.state.restore(Record::Message(Box::new(entry)), now);
            }
        }
    }
}

fn parse<T: DeserializeOwned>(text: &str, key: &str) -> Option<T> {
    serde_json::from_str(text)
        .inspect_err(|error| tracing::error!(%error, key, "the record holds something else than an alert; it is left out"))
        .ok()
}
