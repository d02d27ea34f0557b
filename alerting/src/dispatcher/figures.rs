//! How alerting does, for others to see.

use super::Dispatcher;
use crate::outbox::Fate;
use skyline_core::figure::Figure;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Latencies that are remembered.
const LATENCIES: usize = 1_000;

/// What waits for a channel.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Waiting {
    /// Messages.
    pub messages: u64,
    /// Age of the oldest, seconds.
    pub oldest_seconds: f64,
}

#[derive(Debug, Default, Clone)]
struct Channel {
    sent: u64,
    dead: u64,
    retried: u64,
    waiting: Waiting,
    /// Why the oldest was not taken.
    error: Option<String>,
}

#[derive(Debug, Default)]
struct Inner {
    channels: BTreeMap<String, Channel>,
    open: u64,
    remembered: u64,
    held_back: u64,
    taken: u64,
    file_failures: u64,
    file_bytes: u64,
    away: Option<String>,
    is_bold: bool,
    latencies: VecDeque<f64>,
}

/// How alerting does.
#[derive(Debug, Default)]
pub struct Told(Mutex<Inner>);

impl Told {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn taken(&self) {
        self.inner().taken += 1;
    }

    pub(super) fn file_failed(&self) {
        self.inner().file_failures += 1;
    }

    pub(super) fn sent(&self, channel: &str, latency: Option<f64>) {
        let mut inner = self.inner();
        inner.channels.entry(channel.to_owned()).or_default().sent += 1;
        if let Some(latency) = latency {
            inner.latencies.push_back(latency.max(0.0));
            if inner.latencies.len() > LATENCIES {
                inner.latencies.pop_front();
            }
        }
    }

    pub(super) fn dead(&self, channel: &str) {
        self.inner().channels.entry(channel.to_owned()).or_default().dead += 1;
    }

    pub(super) fn retried(&self, channel: &str) {
        self.inner().channels.entry(channel.to_owned()).or_default().retried += 1;
    }

    /// Incidents that are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.inner().open
    }

    /// What waits for each channel, and why the oldest of it was not taken.
    #[must_use]
    pub fn waiting(&self) -> Vec<(String, Waiting, Option<String>)> {
        let inner = self.inner();
        inner.channels.iter().map(|(name, c)| (name.clone(), c.waiting, c.error.clone())).collect()
    }

    /// By channel: messages sent, and given up, since start.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64, u64)> {
        self.inner().channels.iter().map(|(name, c)| (name.clone(), c.sent, c.dead)).collect()
    }

    /// Why the database takes no incidents and messages now; none: it does.
    #[must_use]
    pub fn away(&self) -> Option<String> {
        self.inner().away.clone()
    }

    /// Whether messages leave without being written down, because nothing can be written.
    #[must_use]
    pub fn is_bold(&self) -> bool {
        self.inner().is_bold
    }

    /// Receipt to acceptance of the last openings, seconds: this share of them was faster. None: there were none.
    #[must_use]
    pub fn latency(&self, quantile: f64) -> Option<f64> {
        let mut all: Vec<f64> = self.inner().latencies.iter().copied().collect();
        all.sort_by(f64::total_cmp);
        let last = all.len().checked_sub(1)?;
        all.get(((last as f64) * quantile).round() as usize).copied()
    }

    /// Adds figures of alerting to `out`.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        let quantiles = [("0.5", 0.5), ("0.99", 0.99), ("1", 1.0)].map(|(name, q)| (name, self.latency(q)));
        for (name, latency) in quantiles {
            let Some(latency) = latency else { continue };
            let help = "Receipt of a bad point to acceptance of the opening message by its channel, over the last thousand";
            out.push(
                Figure::gauge("skyline_alerting_latency_seconds", help, latency).label("quantile", name),
            );
        }
        let inner = self.inner();
        let mut gauge = |name, help, value: u64| out.push(Figure::gauge(name, help, value as f64));
        gauge("skyline_alerting_incidents_open", "Incidents that are open", inner.open);
        gauge(
            "skyline_alerting_incidents_remembered",
            "Incidents that are open or ended lately",
            inner.remembered,
        );
        gauge(
            "skyline_alerting_held_back",
            "Messages that are held back now because there were too many",
            inner.held_back,
        );
        gauge("skyline_alerting_file_bytes", "Length of the file of alerts", inner.file_bytes);
        let up = u64::from(inner.away.is_none());
        gauge("skyline_alerting_record_up", "1 while the record takes incidents and messages", up);
        let help = "1 while messages leave without being written down, because neither the file of alerts nor the record takes anything";
        gauge("skyline_alerting_unwritten", help, u64::from(inner.is_bold));
        let mut counter = |name, help, value| out.push(Figure::counter(name, help, value));
        counter(
            "skyline_alerting_anomalies_total",
            "Anomalies that alerting was given since start",
            inner.taken,
        );
        counter(
            "skyline_alerting_file_failures_total",
            "Times that the file of alerts could not be written since start",
            inner.file_failures,
        );
        for (name, channel) in &inner.channels {
            let mut counter =
                |figure, help, n| out.push(Figure::counter(figure, help, n).label("channel", name.clone()));
            counter(
                "skyline_alerting_sent_total",
                "Messages that a channel has accepted since start",
                channel.sent,
            );
            counter("skyline_alerting_dead_total", "Messages that were given up since start", channel.dead);
            counter(
                "skyline_alerting_retries_total",
                "Attempts that were not taken and are made again, since start",
                channel.retried,
            );
            let mut gauge =
                |figure, help, n| out.push(Figure::gauge(figure, help, n).label("channel", name.clone()));
            gauge(
                "skyline_alerting_waiting",
                "Messages that wait for a channel",
                channel.waiting.messages as f64,
            );
            gauge(
                "skyline_alerting_oldest_seconds",
                "Age of the oldest message that waits for a channel",
                channel.waiting.oldest_seconds,
            );
        }
    }
}

impl Dispatcher {
    /// Shows how things are now.
    pub(super) fn show(&self, now: f64) {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner).bytes();
        let mut inner = self.told.inner();
        inner.open = self.state.incidents.open() as u64;
        inner.remembered = self.state.incidents.iter().count() as u64;
        inner.held_back = self.state.storms.values().map(|s| s.count).sum();
        inner.file_bytes = log;
        inner.away = self.copier.away().cloned();
        inner.is_bold = self.lanes.is_bold;
        for channel in inner.channels.values_mut() {
            (channel.waiting, channel.error) = (Waiting::default(), None);
        }
        for channel in &self.parts.channels {
            if !inner.channels.contains_key(channel.name()) {
                inner.channels.insert(channel.name().to_owned(), Channel::default());
            }
        }
        for entry in self.state.entries.values().filter(|e| e.fate == Fate::Waiting) {
            let channel = inner.channels.entry(entry.message.channel.clone()).or_default();
            let age = (now - entry.message.created).max(0.0);
            if channel.waiting.messages == 0 || age >= channel.waiting.oldest_seconds {
                channel.waiting.oldest_seconds = age;
                channel.error.clone_from(&entry.error);
            }
            channel.waiting.messages += 1;
        }
    }
}
