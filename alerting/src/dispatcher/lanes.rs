//! Sending: one message at a time to each recipient of each channel, and to all of them side by side.

use super::keep::Keeper;
use super::{Dispatcher, Event};
use crate::channel::{Channel, Delivery, Gallery};
use crate::message::{Kind, Message};
use crate::outbox::{Entry, Lane, State};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The first pause after a message was not taken, seconds; it doubles each time.
const FIRST: f64 = 0.5;
/// So much longer than a channel says that it takes at most, it is waited for.
const SPARE: Duration = Duration::from_secs(10);
/// A server's wish to be left alone is followed for so long at most, seconds.
const ASKED: f64 = 3_600.0;
/// A message waits so long for its row in the database, seconds.
const ROW: f64 = 0.25;
/// A recipient that takes nothing is tried with another message after this at most, seconds.
const LANE: f64 = 30.0;

/// What became of a message.
#[derive(Debug)]
pub(super) struct Outcome {
    key: String,
    lane: Lane,
    delivery: Delivery,
}

#[derive(Debug, Default)]
struct Way {
    is_busy: bool,
    /// Attempts in a row that failed.
    failures: u32,
    not_before: f64,
}

/// All recipients.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    ways: HashMap<Lane, Way>,
    /// Messages leave without being written down.
    pub(super) is_bold: bool,
}

impl Lanes {
    /// Whether the last attempt failed.
    pub(super) fn has_failed(&self, lane: &Lane) -> bool {
        self.ways.get(lane).is_some_and(|way| way.failures > 0)
    }

    /// When the next message is due to a recipient that is free, seconds.
    pub(super) fn next(&self, state: &State, keeper: &Keeper, now: f64) -> Option<f64> {
        let at = |entry: &Entry| {
            let way = self.ways.get(&entry.lane());
            if way.is_some_and(|way| way.is_busy) {
                return None;
            }
            let row = if entry.is_kept { 0.0 } else { entry.message.created + ROW };
            Some(entry.not_before.max(way.map_or(0.0, |way| way.not_before)).max(row.min(now + ROW)))
        };
        // What is not written down yet waits for that.
        let is_safe = |entry: &&Entry| self.is_bold || is_safe(entry, state, keeper);
        state.waiting().filter(is_safe).filter_map(at).min_by(f64::total_cmp)
    }

    /// The clock was set back to `now`, seconds.
    pub(super) fn set_back(&mut self, now: f64) {
        self.ways.values_mut().for_each(|way| way.not_before = way.not_before.min(now));
    }

    fn is_free(&self, lane: &Lane, now: f64) -> bool {
        self.ways.get(lane).is_none_or(|way| !way.is_busy && way.not_before <= now)
    }
}

impl Dispatcher {
    /// Sends what is due.
    pub(super) fn send(&mut self, now: f64) {
        self.give_up(now);
        let is_away = self.copier.is_away();
        let is_due = |e: &&Entry| {
            // A clock that was set back must not hold a message for ever.
            let waits = now - e.message.created;
            e.not_before <= now && (e.is_kept || is_away || !(0.0..ROW).contains(&waits))
        };
        let is_safe = |e: &&Entry| self.lanes.is_bold || is_safe(e, &self.state, &self.keeper);
        let mut due: Vec<_> = self.state.waiting().filter(is_due).filter(is_safe).collect();
        due.sort_by_key(|e| e.order);
        let due: Vec<_> = due.into_iter().map(|e| (e.message.key.clone(), e.lane())).collect();
        for (key, lane) in due {
            if self.lanes.is_free(&lane, now) {
                self.send_one(&key, lane, now);
            }
        }
    }

    fn send_one(&mut self, key: &str, lane: Lane, now: f64) {
        if self.parts.settings.dry_run {
            self.state.sent(key, None, "dry run: not sent".to_owned(), true, now);
            return;
        }
        let Some(entry) = self.state.entries.get_mut(key) else { return };
        let Some(channel) = self.parts.channels.iter().find(|c| c.name() == lane.0) else {
            let error = format!("no channel `{}` is configured", lane.0);
            tracing::error!(
                key,
                channel = lane.0,
                "a message is for a channel that is not configured; it is given up"
            );
            self.state.dead(key, error, true, now);
            return;
        };
        entry.is_leaving = true;
        let message = entry.message.clone();
        let told = self.state.told.get(&message.incident).and_then(|of| of.get(&lane));
        let thread = told.and_then(|told| told.thread.clone());
        self.lanes.ways.entry(lane.clone()).or_default().is_busy = true;
        let (channel, gallery) = (Arc::clone(channel), Arc::clone(&self.parts.gallery));
        let events = self.events_in.clone();
        let work =
            tokio::spawn(async move { deliver(&*channel, &message, thread.as_deref(), &*gallery).await });
        let key = key.to_owned();
        tokio::spawn(async move {
            let delivery = work.await.unwrap_or_else(|error| Delivery::Retry {
                after: None,
                reason: format!("sending ended early: {error}"),
            });
            events.send(Event::Left(Outcome { key, lane, delivery })).await.ok();
        });
    }

    /// Shows at the messages of an incident that somebody has acknowledged it.
    pub(super) fn show_acknowledged(&self, incident: &str) {
        for (lane, told) in self.state.told.get(incident).into_iter().flatten() {
            if let Some(thread) = &told.thread {
                self.mark_acknowledged(lane, thread);
            }
        }
    }

    fn mark_acknowledged(&self, lane: &Lane, thread: &str) {
        let channel = self.parts.channels.iter().find(|channel| channel.name() == lane.0);
        if let Some(channel) = channel.filter(|_| !self.parts.settings.dry_run) {
            channel.acknowledged(thread);
        }
    }

    /// A channel has answered.
    pub(super) fn left(&mut self, outcome: Outcome, now: f64) {
        let Outcome { key, lane, delivery } = outcome;
        let way = self.lanes.ways.entry(lane.clone()).or_default();
        way.is_busy = false;
        let Some(entry) = self.state.entries.get(&key) else { return };
        match delivery {
            Delivery::Accepted { thread, answer } => {
                (way.failures, way.not_before) = (0, 0.0);
                let received = self.state.incidents.get(&entry.message.incident).map(|i| i.head.opened);
                let latency = received.filter(|_| entry.message.kind == Kind::Opened).map(|at| now - at);
                tracing::info!(
                    key,
                    channel = lane.0,
                    kind = entry.message.kind.word(),
                    latency,
                    "message sent"
                );
                self.told.sent(&lane.0, latency);
                let incident = self.state.incidents.get(&entry.message.incident);
                if let (Some(thread), Some(_)) =
                    (&thread, incident.and_then(|i| i.head.acknowledged.as_ref()))
                {
                    // Acknowledged while this was on its way.
                    self.mark_acknowledged(&lane, thread);
                }
                self.state.sent(&key, thread, answer, false, now);
            }
            Delivery::Refused { reason } => {
                (way.failures, way.not_before) = (0, 0.0);
                tracing::error!(key, channel = lane.0, reason, "a message was refused; it is given up");
                self.told.dead(&lane.0);
                self.state.dead(&key, reason, true, now);
            }
            Delivery::Retry { after, reason } => {
                if way.failures == 0 {
                    tracing::warn!(
                        key,
                        channel = lane.0,
                        reason,
                        "a message was not taken; it is tried again"
                    );
                }
                self.not_taken(&key, &lane, after, reason, now);
            }
            Delivery::Broken { reason } => {
                if way.failures == 0 {
                    tracing::error!(
                        channel = lane.0,
                        reason,
                        "a channel takes no messages until somebody mends it; they wait"
                    );
                }
                self.not_taken(&key, &lane, None, reason, now);
            }
        }
    }

    /// A message was not taken; it is tried again, unless that was done for too long.
    fn not_taken(&mut self, key: &str, lane: &Lane, after: Option<Duration>, reason: String, now: f64) {
        let way = self.lanes.ways.entry(lane.clone()).or_default();
        let Some(entry) = self.state.entries.get(key) else { return };
        let settings = &self.parts.settings;
        let asked = after.map(|after| after.as_secs_f64().min(ASKED).min(settings.give_up));
        way.not_before = now + asked.unwrap_or_else(|| pause(way.failures, settings.retry.min(LANE)));
        way.failures = way.failures.saturating_add(1);
        if is_too_old(entry, settings.give_up, now) {
            self.too_old(key, lane, reason, now);
            return;
        }
        let next = now + asked.unwrap_or_else(|| pause(entry.attempts, settings.retry));
        self.told.retried(&lane.0);
        self.state.failed(key, reason, next.max(way.not_before));
    }

    /// Gives up what waits for too long behind others that its recipient does not take.
    fn give_up(&mut self, now: f64) {
        let old = self.state.waiting().filter(|e| {
            !e.is_leaving
                && self.lanes.has_failed(&e.lane())
                && is_too_old(e, self.parts.settings.give_up, now)
        });
        let old: Vec<_> = old.map(|e| (e.message.key.clone(), e.lane(), e.error.clone())).collect();
        for (key, lane, error) in old {
            let reason = error.unwrap_or_else(|| "the recipient took nothing for too long".to_owned());
            self.too_old(&key, &lane, reason, now);
        }
    }

    fn too_old(&mut self, key: &str, lane: &Lane, reason: String, now: f64) {
        tracing::error!(
            key,
            channel = lane.0,
            reason,
            "a message could not be sent for too long; it is given up"
        );
        self.told.dead(&lane.0);
        self.state.dead(key, reason, false, now);
    }
}

/// Whether a message waits for longer than it is tried, seconds.
fn is_too_old(entry: &Entry, give_up: f64, now: f64) -> bool {
    now - entry.since > give_up.max(f64::from(entry.message.repeat_seconds.unwrap_or(0)))
}

/// Whether a message may go: it is written down somewhere.
fn is_safe(entry: &Entry, state: &State, keeper: &Keeper) -> bool {
    entry.is_kept || keeper.has(&entry.message.key, &state.changed)
}

async fn deliver(
    channel: &dyn Channel,
    message: &Message,
    thread: Option<&str>,
    gallery: &dyn Gallery,
) -> Delivery {
    // Before that the channel itself gives up, and knows why.
    let limit = channel.longest() + SPARE;
    match tokio::time::timeout(limit, channel.deliver(message, thread, gallery)).await {
        Ok(delivery) => delivery,
        Err(_) => Delivery::Retry { after: None, reason: format!("no answer within {} s", limit.as_secs()) },
    }
}

/// The pause after so many failures, seconds: it doubles, and varies by half so that many do not come back at once.
fn pause(failures: u32, longest: f64) -> f64 {
    let whole = (FIRST * 2_f64.powi(failures.min(20).cast_signed())).min(longest.max(FIRST));
    whole * rand::random_range(0.5..=1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        for failures in 0..40_u32 {
            let whole = (FIRST * 2_f64.powi(failures.min(20).cast_signed())).min(60.0);
            for _ in 0..20 {
                let pause = pause(failures, 60.0);
                assert!((whole / 2.0..=whole).contains(&pause), "{failures}: {pause}");
            }
        }
    }
}
