//! Writing down: what was changed goes into the file, and who waits for that is answered.
//!
//! While the file cannot be written the database is given the same at once, and the file is tried once a second with all
//! that is remembered.

use super::{Dispatcher, FILE_PAUSE, NOWHERE};
use crate::outbox::record::{Changed, Record};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, PoisonError};
use tokio::sync::oneshot;

/// The file, and what it lacks.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// It is not tried before, seconds; 0: it works.
    again: f64,
    /// Since when neither the file nor the database takes anything, seconds.
    nowhere_since: Option<f64>,
    /// Keys of messages that it lacks.
    lacks: BTreeSet<String>,
    /// Those who wait until what they gave is written down.
    waiting: Vec<Answer>,
}

/// What is said once something is written down.
#[derive(Debug)]
pub(super) enum Answer {
    /// That it is.
    Done(oneshot::Sender<()>),
    /// What an acknowledgement was.
    Acknowledged(oneshot::Sender<super::Acknowledged>, super::Acknowledged),
}

impl Keeper {
    pub(super) const fn fails(&self) -> bool {
        self.again > 0.0
    }

    /// The clock was set back to `now`, seconds: the file is tried no later than then.
    pub(super) fn set_back(&mut self, now: f64) {
        self.again = self.again.min(now);
        self.nowhere_since = self.nowhere_since.map(|since| since.min(now));
    }

    /// Whether the file has a message as it is.
    pub(super) fn has(&self, key: &str, changed: &Changed) -> bool {
        !changed.messages.contains(key) && !self.lacks.contains(key)
    }

    pub(super) fn wait(&mut self, answer: Answer) {
        self.waiting.push(answer);
    }

    /// All is written down.
    pub(super) fn answer(&mut self) {
        for answer in self.waiting.drain(..) {
            // Nobody may wait for it any more.
            let _gone = match answer {
                Answer::Done(done) => done.send(()).is_err(),
                Answer::Acknowledged(to, what) => to.send(what).is_err(),
            };
        }
    }
}

impl Dispatcher {
    /// While neither the file nor the database takes anything people are told all the same: that a restart tells them
    /// twice is the lesser evil. Who gives anomalies waits on, so that none is lost by a crash.
    pub(super) fn dare(&mut self, now: f64) {
        if !self.keeper.fails() || !self.copier.is_away() {
            if std::mem::take(&mut self.lanes.is_bold) {
                tracing::info!("messages are written down again before they leave");
            }
            self.keeper.nowhere_since = None;
            return;
        }
        let since = *self.keeper.nowhere_since.get_or_insert(now);
        if now - since >= NOWHERE && !self.lanes.is_bold {
            self.lanes.is_bold = true;
            tracing::error!(
                "messages leave without being written down: neither the file of alerts nor the record takes anything; a restart may send them again"
            );
        }
    }

    /// Writes down what was changed; who waits for that is told.
    pub(super) async fn write_down(&mut self, now: f64) {
        let changed = std::mem::take(&mut self.state.changed);
        let is_due = if self.keeper.fails() { now >= self.keeper.again } else { !changed.is_empty() };
        if is_due {
            let records = self.state.records_of(&changed);
            match self.append(records).await {
                Ok(()) => {
                    if self.keeper.fails() {
                        tracing::info!("the file of alerts is written again");
                    }
                    self.keeper.again = 0.0;
                    self.keeper.lacks.clear();
                }
                Err(error) => {
                    if !self.keeper.fails() {
                        tracing::error!(%error, "the file of alerts cannot be written; the database alone keeps them");
                    }
                    self.told.file_failed();
                    self.keeper.again = now + FILE_PAUSE;
                }
            }
        }
        if self.keeper.fails() {
            self.keeper.lacks.extend(changed.messages.iter().cloned());
        } else {
            self.keeper.answer();
        }
        // Each change is given to the database once, whatever the file does.
        self.copier.dirty.merge(changed);
    }

    async fn append(&mut self, records: Vec<Record>) -> io::Result<()> {
        let all = {
            let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            // What a file that failed has is not known.
            (log.is_long() || self.keeper.fails()).then(|| self.state.records())
        };
        let log = Arc::clone(&self.log);
        let write = move || {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            match all {
                Some(all) => log.renew(&all),
                None => log.append(&records),
            }
        };
        if self.parts.settings.sync {
            // A disk takes its time; others use the thread meanwhile.
            tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
        } else {
            write()
        }
    }

    /// Writes the file anew; `what`: for the log, should it fail.
    pub(super) fn renew(&self, what: &'static str) {
        let all = self.state.records();
        if let Err(error) = self.log.lock().unwrap_or_else(PoisonError::into_inner).renew(&all) {
            tracing::error!(%error, "{what}");
        }
    }
}
