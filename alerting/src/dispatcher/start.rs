//! The start: what was remembered comes back from the file, and what the file lacks from the database.

use super::copy::Copier;
use super::keep::Keeper;
use super::lanes::Lanes;
use super::{Alerting, Dispatcher, Event, Parts, Told};
use crate::incident::{Head, Incidents, Member};
use crate::message::Message;
use crate::outbox::log::Log;
use crate::outbox::record::Record;
use crate::outbox::{Entry, Fate, State, Told as ToldOf};
use serde::de::DeserializeOwned;
use skyline_sql::Store;
use skyline_sql::incident::Open;
use skyline_sql::outbox::Message as Row;
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
/// One that did not answer is asked again after so long, seconds.
const PAUSE: f64 = 5.0;
/// And has so long for its answer then.
const LIMIT: Duration = Duration::from_secs(30);

/// Whether the database has said what it knows of the last run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Filling {
    /// It has.
    Done,
    /// It is being asked.
    Asking,
    /// It is asked then, seconds.
    At(f64),
}

/// What the database knows of the last run.
#[derive(Debug)]
pub(super) struct Found {
    open: Open,
    /// Messages that wait here and are sent or given up there.
    over: Vec<Row>,
}

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
        keeper: Keeper::default(),
        ticked: now,
        filling: Filling::At(now),
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
        match tokio::time::timeout(patience, self.question(now)).await {
            Ok(Ok(found)) => {
                self.filling = Filling::Done;
                self.add(found, now);
                self.state.set_back(now);
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the record cannot be asked for open incidents yet; the file of alerts is what is known");
            }
            Err(_) => tracing::warn!(
                "the record does not answer yet; the file of alerts is what is known of open incidents"
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
        self.renew("the file of alerts cannot be written");
        self.show(now);
    }

    /// What the database is asked.
    fn question(&self, now: f64) -> impl Future<Output = Result<Found, skyline_sql::Error>> + Send + 'static {
        let since = now - self.parts.rules.longest_repeat();
        let keys: Vec<String> = self.state.waiting().map(|e| e.message.key.clone()).collect();
        let (store, node): (Store, _) = (self.parts.store.clone(), self.parts.node.clone());
        async move {
            let open = store.open_alerts(&node, since).await?;
            let over = store.messages_over(&keys).await?;
            Ok(Found { open, over })
        }
    }

    /// Asks again, once it is time to.
    pub(super) fn fill_again(&mut self, now: f64) {
        if !matches!(self.filling, Filling::At(at) if at <= now) {
            return;
        }
        self.filling = Filling::Asking;
        let (question, events) = (self.question(now), self.events_in.clone());
        let place = self.parts.store.place().clone();
        tokio::spawn(async move {
            let found = tokio::time::timeout(LIMIT, question).await.unwrap_or_else(|_| {
                Err(skyline_sql::Error::Retry { place, problem: "no answer in time".into() })
            });
            events.send(Event::Found(found)).await.ok();
        });
    }

    /// The database has answered, after the start.
    pub(super) fn found(&mut self, found: Result<Found, skyline_sql::Error>, now: f64) {
        match found {
            Ok(found) => {
                self.filling = Filling::Done;
                self.add(found, now);
                let (incidents, waiting) = (self.state.incidents.open(), self.state.waiting().count());
                tracing::info!(incidents, waiting, "the record was asked for what it knows of the last run");
                self.renew("the file of alerts cannot be written");
            }
            Err(error) => {
                tracing::debug!(%error, "the record cannot be asked for open incidents yet");
                self.filling = Filling::At(now + PAUSE);
            }
        }
    }

    fn add(&mut self, found: Found, now: f64) {
        let Found { open: Open { incidents, members, told, messages }, over } = found;
        for row in over {
            // The file could not be written when that became known.
            let waits = |e: &Entry| e.fate == Fate::Waiting && !e.is_leaving;
            if self.state.entries.get(&row.key).is_some_and(waits) {
                self.state.settled(&row.key, now);
            }
        }
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
            let known = self.state.told.get_mut(&row.incident).and_then(|of| of.get_mut(&lane));
            if let Some(known) = known.filter(|known| known.messages >= row.messages) {
                if known.thread.is_none() {
                    known.thread = row.thread;
                }
                continue;
            }
            if self.state.incidents.get(&row.incident).is_none() {
                continue;
            }
            if let Some(told) = parse::<ToldOf>(&row.detail, &row.incident) {
                self.state.restore(Record::Told(told), now);
            }
        }
        for row in messages {
            // What has left since the question was asked does not come back.
            if let Some(message) = parse::<Message>(&row.body, &row.key).filter(|m| !self.state.knows(m)) {
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
