//! Takes anomalies from the window threads into the record and to alerting, and tells syslog.
//!
//! A thread's position moves past an anomaly only when it is recorded here or stands in the file of waiting
//! ones ([`waiting`]), and alerting has written down what it changes, so a crash in between finds it again from the journal; the record keeps it once,
//! however often it is given. While the record is away anomalies go to that file, and from there into the
//! record in the same order ([`contact`]). When the file takes no more they wait here, and the journal
//! keeps their points.

mod contact;
mod told;
mod waiting;

use super::{Found, Shared};
use crate::syslog::Syslog;
use contact::{Contact, record};
use skyline_alerting::dispatcher::Alerting;
use skyline_core::anomaly::Anomaly;
use skyline_sql::{Context, Error, Store};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
pub(crate) use told::Told;
pub(crate) use waiting::Waiting;

/// Groups that wait for so long are stuck, and people are told of those behind them all the same.
const STUCK: Duration = Duration::from_secs(5);
/// Groups taken at once.
const GROUPS: usize = 256;

/// What the recorder works with.
pub(crate) struct Recorder {
    pub(crate) store: Store,
    pub(crate) context: Context,
    pub(crate) shared: Vec<Arc<Shared>>,
    pub(crate) syslog: Option<Syslog>,
    pub(crate) told: Arc<Told>,
    pub(crate) waiting: Waiting,
    /// Who tells people; none: nobody is told.
    pub(crate) alerting: Option<Alerting>,
}

impl Recorder {
    /// Runs until all threads have ended, or the record is closed.
    pub(crate) async fn run(self, mut found: Receiver<Found>) {
        let mut contact = Contact::new(&self);
        let mut groups = Vec::new();
        loop {
            let is_open = tokio::select! {
                count = found.recv_many(&mut groups, GROUPS) => count > 0 && self.take(&mut groups, &mut found, &mut contact).await,
                is_open = contact.turn() => is_open,
            };
            if !is_open {
                // Closed: the node is stopping, and positions stay before what is neither recorded nor kept.
                return;
            }
        }
    }

    /// Records groups, or keeps them; then lets their threads go on. False when the record was closed.
    async fn take(
        &self,
        groups: &mut Vec<Found>,
        found: &mut Receiver<Found>,
        contact: &mut Contact,
    ) -> bool {
        while !groups.is_empty() {
            let mut later = Vec::new();
            if !self.take_once(groups, (found, &mut later), contact).await {
                return false;
            }
            groups.append(&mut later);
        }
        true
    }

    /// The same of these alone. What came while they waited for long is in `later`: alerting has heard of it.
    async fn take_once(
        &self,
        groups: &mut Vec<Found>,
        (found, later): (&mut Receiver<Found>, &mut Vec<Found>),
        contact: &mut Contact,
    ) -> bool {
        let anomalies = anomalies_of(groups);
        // Side by side: a record that does not answer must not keep people from being told.
        let mut both =
            pin!(async { tokio::join!(self.record_or_keep(&anomalies, contact), self.alert(&anomalies)) });
        let (is_kept, is_told) = match tokio::time::timeout(STUCK, &mut both).await {
            Ok(outcome) => outcome,
            Err(_) => loop {
                let (before, room) = (later.len(), GROUPS.saturating_sub(later.len()));
                tokio::select! {
                    biased;
                    outcome = &mut both => break outcome,
                    count = found.recv_many(later, room), if room > 0 => {
                        if count == 0 {
                            // The threads have ended.
                            break both.await;
                        }
                        if let Some(alerting) = &self.alerting {
                            alerting.hint(anomalies_of(later.get(before..).unwrap_or_default())).await;
                        }
                    }
                }
            },
        };
        if !is_kept || !is_told {
            return false;
        }
        for anomaly in &anomalies {
            self.tell(anomaly).await;
        }
        for group in groups.drain(..) {
            if let Some(shared) = self.shared.get(group.thread) {
                shared.recorded.fetch_max(group.through, Ordering::AcqRel);
            }
        }
        true
    }

    /// Gives anomalies to alerting; false when it has ended. Returns when alerting has written down what they change: in
    /// its file, or in the record. While it can write to neither, positions stay, as they do where anomalies find no room here.
    async fn alert(&self, anomalies: &[Anomaly]) -> bool {
        match &self.alerting {
            Some(alerting) => alerting.take(anomalies.to_vec()).await.is_ok(),
            None => true,
        }
    }

    /// Records anomalies, or keeps them; false when the record was closed.
    async fn record_or_keep(&self, anomalies: &[Anomaly], contact: &mut Contact) -> bool {
        let is_up = self.told.away().is_none() && self.waiting.count() == 0;
        let is_recorded = is_up
            && match record(&self.store, &self.told, &self.context, anomalies).await {
                Ok(()) => true,
                Err(Error::Closed { .. }) => return false,
                Err(error) => {
                    contact.lost(&error);
                    false
                }
            };
        is_recorded || self.keep(anomalies, contact).await
    }

    /// Keeps anomalies in the file, or waits until the record takes them; false when it was closed.
    async fn keep(&self, anomalies: &[Anomaly], contact: &mut Contact) -> bool {
        loop {
            if self.waiting.append(anomalies, &self.context).await {
                self.told.set_stuck(0);
                return true;
            }
            self.told.set_stuck(anomalies.len() as u64);
            if !contact.turn().await {
                return false;
            }
            if self.told.away().is_some() || self.waiting.count() > 0 {
                continue;
            }
            match record(&self.store, &self.told, &self.context, anomalies).await {
                Ok(()) => {
                    self.told.set_stuck(0);
                    return true;
                }
                Err(Error::Closed { .. }) => return false,
                Err(error) => contact.lost(&error),
            }
        }
    }

    async fn tell(&self, anomaly: &Anomaly) {
        tracing::info!(
            metric = anomaly.metric,
            ts = anomaly.point.ts,
            value = anomaly.judged_value,
            votes = anomaly.triggered.len(),
            "anomaly"
        );
        if let Some(syslog) = &self.syslog
            && !syslog.anomaly(anomaly).await
        {
            self.told.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What is in groups.
fn anomalies_of(groups: &[Found]) -> Vec<Anomaly> {
    groups.iter().flat_map(|group| group.anomalies.iter().cloned()).collect()
}

#[cfg(test)]
mod tests;
