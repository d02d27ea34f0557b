//! Copies what is remembered into the database: what changed, as it is by then. While the database is away changes gather,
//! bounded by what is remembered.

use super::{Dispatcher, Event, is_over, row};
use crate::message::Severity;
use crate::outbox::State;
use crate::outbox::record::Changed;
use skyline_sql::Error;
use skyline_sql::incident::{Changes, Incident, Member, Told};
use std::time::Duration;

/// Pauses between attempts while the database is away, seconds.
const SHORTEST: f64 = 0.25;
const LONGEST: f64 = 5.0;
/// Members, and messages, that are copied at once.
const PIECE: usize = 2_000;
/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What is still to be copied.
#[derive(Debug, Default)]
pub(super) struct Copier {
    /// What the database does not have.
    pub(super) dirty: Changed,
    /// What it is being given.
    leaving: Option<Changed>,
    /// Not before, seconds.
    again: f64,
    pause: f64,
    /// Why it takes nothing.
    away: Option<String>,
}

impl Copier {
    /// The database is known not to take anything now.
    pub(super) const fn is_away(&self) -> bool {
        self.away.is_some()
    }

    pub(super) const fn is_busy(&self) -> bool {
        self.leaving.is_some()
    }

    pub(super) const fn away(&self) -> Option<&String> {
        self.away.as_ref()
    }

    /// When there is something to do, seconds.
    pub(super) fn next(&self, now: f64) -> Option<f64> {
        (self.leaving.is_none() && !self.dirty.is_empty()).then_some(self.again.max(now))
    }

    /// The clock was set back to `now`, seconds.
    pub(super) const fn set_back(&mut self, now: f64) {
        self.again = self.again.min(now);
    }

    /// Takes as much as is copied at once.
    fn piece(&mut self) -> Changed {
        let mut piece = Changed::default();
        let mut left = PIECE;
        // Members wait for nothing, so they go in pieces; all heads go first.
        while left > 0
            && let Some((key, mut places)) = self.dirty.incidents.pop_first()
        {
            if places.len() > left {
                let rest = places.iter().copied().skip(left).collect::<Vec<_>>();
                let first = rest.first().copied().unwrap_or(u32::MAX);
                let rest = places.split_off(&first);
                self.dirty.incidents.insert(key.clone(), rest);
            }
            left = left.saturating_sub(places.len().max(1));
            piece.incidents.insert(key, places);
        }
        if !self.dirty.incidents.is_empty() {
            // Rows of who was told and of messages follow their incidents.
            return piece;
        }
        piece.told = std::mem::take(&mut self.dirty.told);
        for _ in 0..PIECE {
            let Some(key) = self.dirty.messages.pop_first() else { break };
            piece.messages.insert(key);
        }
        // These are not in the database.
        self.dirty.storms.clear();
        self.dirty.forgotten.clear();
        piece
    }
}

impl Dispatcher {
    /// Begins to copy, if there is anything to be copied.
    pub(super) fn copy(&mut self, now: f64) {
        if self.copier.next(now).is_none_or(|at| at > now) {
            return;
        }
        let piece = self.copier.piece();
        let changes = changes(&self.parts.node, &self.state, &piece);
        for key in &piece.messages {
            if let Some(entry) = self.state.entries.get_mut(key) {
                entry.is_copying = true;
            }
        }
        self.copier.leaving = Some(piece);
        let (store, events) = (self.parts.store.clone(), self.events_in.clone());
        tokio::spawn(async move {
            let outcome = match tokio::time::timeout(LIMIT, write(&store, changes)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    Err(Error::Retry { place: store.place().clone(), problem: "no answer in time".into() })
                }
            };
            events.send(Event::Copied(outcome)).await.ok();
        });
    }

    /// The database has answered.
    pub(super) fn copied(&mut self, outcome: Result<(), Error>, now: f64) {
        let Some(piece) = self.copier.leaving.take() else { return };
        let error = match outcome {
            Ok(()) => {
                if self.copier.away.take().is_some() {
                    tracing::info!("the record takes incidents and messages again");
                }
                (self.copier.again, self.copier.pause) = (0.0, SHORTEST);
                for key in piece.messages {
                    self.kept(&key);
                }
                if self.copier.dirty.is_empty() {
                    // Written down there, if not in the file.
                    self.keeper.answer();
                }
                return;
            }
            Err(error) => error,
        };
        self.copier.dirty.merge(piece);
        let pause = self.copier.pause.clamp(SHORTEST, LONGEST);
        (self.copier.again, self.copier.pause) = (now + pause, pause * 2.0);
        if self.copier.away.replace(error.to_string()).is_none() {
            tracing::error!(%error, "the record does not take incidents and messages; they are kept in a file, and sent all the same");
        }
    }

    /// The database has a message, unless it was changed meanwhile; one that is over need not be remembered any more.
    fn kept(&mut self, key: &str) {
        let Some(entry) = self.state.entries.get_mut(key).filter(|entry| entry.is_copying) else { return };
        (entry.is_copying, entry.is_kept) = (false, true);
        if is_over(entry) {
            self.state.entries.remove(key);
        }
    }
}

/// Writes changes; what can never be written is left out, and the others are not lost with it.
async fn write(store: &skyline_sql::Store, changes: Changes) -> Result<(), Error> {
    match store.keep_alerts(&changes).await {
        Err(Error::Data { .. }) => {}
        other => return other,
    }
    let Changes { incidents, members, told, messages } = changes;
    let one = |incident| Changes { incidents: vec![incident], ..Changes::default() };
    let pieces = incidents.into_iter().map(one);
    let pieces =
        pieces.chain(members.into_iter().map(|m| Changes { members: vec![m], ..Changes::default() }));
    let pieces = pieces.chain(told.into_iter().map(|t| Changes { told: vec![t], ..Changes::default() }));
    let pieces =
        pieces.chain(messages.into_iter().map(|m| Changes { messages: vec![m], ..Changes::default() }));
    for piece in pieces {
        match store.keep_alerts(&piece).await {
            Err(error @ Error::Data { .. }) => {
                tracing::error!(%error, "a part of an incident cannot be recorded and is left out");
            }
            other => other?,
        }
    }
    Ok(())
}

/// The rows of what was changed.
fn changes(node: &str, state: &State, changed: &Changed) -> Changes {
    let mut changes = Changes::default();
    for (key, places) in &changed.incidents {
        let Some(incident) = state.incidents.get(key) else { continue };
        let severity =
            state.told.get(key).into_iter().flat_map(|of| of.values()).map(|told| told.severity).max();
        changes.incidents.push(Incident {
            key: key.clone(),
            node: node.to_owned(),
            first_metric: incident.head.first_metric.clone(),
            opened: incident.head.opened,
            since: incident.head.since,
            changed: incident.head.changed,
            ended: incident.head.ended,
            severity: severity.unwrap_or(Severity::Info).word().to_owned(),
            metrics: incident.members.len() as u64,
            anomalies: incident.members.iter().map(|m| m.told.points).fold(0, u64::saturating_add),
            acknowledged: incident.head.acknowledged.as_ref().map(|a| a.at),
            detail: serde_json::to_string(&incident.head).unwrap_or_default(),
        });
        let members = places.iter().filter_map(|place| incident.members.get(*place as usize));
        changes.members.extend(members.map(|m| Member {
            incident: key.clone(),
            place: m.place,
            name: m.told.metric.clone(),
            since: m.told.since,
            last: m.told.last,
            ended: m.told.ended,
            points: m.told.points,
            detail: serde_json::to_string(m).unwrap_or_default(),
        }));
    }
    for (incident, lane) in &changed.told {
        let Some(told) = state.told.get(incident).and_then(|of| of.get(lane)) else { continue };
        changes.told.push(Told {
            incident: incident.clone(),
            channel: told.channel.clone(),
            recipient: told.recipient.clone(),
            messages: told.messages,
            last: told.last,
            thread: told.thread.clone(),
            detail: serde_json::to_string(told).unwrap_or_default(),
        });
    }
    let entries = changed.messages.iter().filter_map(|key| state.entries.get(key));
    changes.messages.extend(entries.map(|entry| row(node, entry)));
    changes
}
