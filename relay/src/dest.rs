//! Destinations: for each a task of its own that reads the journal and sends.
//!
//! A destination that is down or slow stands still in the journal and hurts no other. `identity` is
//! what it is called, `sender` its task from connection to
//! connection, `connection` one of them, `acks` the account of what is proved to have arrived there,
//! `running` all of them, and how they are replaced while they run.

mod acks;
mod connect;
mod connection;
mod feed;
mod identity;
mod lag;
mod orders;
mod outgoing;
mod pace;
mod report;
mod running;
mod sender;
mod sink;
mod skipped;
pub(crate) mod source;
mod stage;
mod status;
mod turn;
mod unacked;

#[cfg(test)]
mod tests;

use crate::flow::Flow;
pub use identity::reader_of;
pub use report::{DestinationStatus, Left};
use running::Running;
use skyline_conf::model::relay::Sending;
use skyline_conf::routing::Destination;
use skyline_core::clock::Clock;
use skyline_journal::{Journal, Ledger, Scope};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Destinations cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One is given twice.
    #[error("relay.destinations: `{0}` is given twice: remove one, or give them instances")]
    Twice(String),
    /// The journal does not give a reader.
    #[error(transparent)]
    Journal(#[from] skyline_journal::Error),
}

/// All destinations, running.
#[derive(Debug)]
pub struct Destinations(Arc<Running>);

/// A destination that is no longer configured and still has a position in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Name of its reader.
    pub reader: String,
    /// Points that wait for it.
    pub waiting: u64,
    /// Bytes of the journal that are kept because of it.
    pub pinned_bytes: u64,
}

/// When destinations end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Send what is there, wait until it is acknowledged, then end.
    pub drain: CancellationToken,
    /// End now.
    pub abort: CancellationToken,
}

impl Destinations {
    /// Registers a reader for each and starts its task, in `tasks`. What waits for destinations that are no
    /// longer configured is sent before their positions are forgotten, where the name of the reader tells
    /// where to; else it is given up, with a log line that says what is dropped. To be called within a runtime.
    ///
    /// # Errors
    /// See [`Error`]. Nothing was started then.
    pub fn start(
        all: Vec<(Destination, Sending)>,
        journal: &Journal,
        flow: &Flow,
        clock: &Clock,
        tasks: &TaskTracker,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let running = Running::new(journal, flow, clock, tasks, stop);
        running.replace(all)?;
        for orphan in Self::orphans(journal)? {
            let Orphan { reader, waiting, pinned_bytes } = &orphan;
            match identity::recall(reader).filter(|_| *waiting > 0) {
                Some(destination) => {
                    tracing::warn!(
                        reader,
                        waiting,
                        "a destination is no longer configured: what waits for it is sent, as plain lines"
                    );
                    running.see_off(&orphan.reader, destination)?;
                    continue;
                }
                None if *waiting > 0 => tracing::error!(
                    reader,
                    dropped_points = waiting,
                    pinned_bytes,
                    "a destination is no longer configured: the points that waited for it are dropped"
                ),
                None => tracing::info!(reader, "a destination is no longer configured"),
            }
            Self::forget(journal, &orphan)?;
        }
        Ok(Self(running))
    }

    /// Goes on with `all` in place of what there was. Those that are configured as before are left alone;
    /// those that are sent to in another way end their connection in order and go on at the same position; those
    /// that are gone send what waits for them, then end, and their position is forgotten. To be called before
    /// points are routed to what is new in `all`. Writes files: call it on a thread that may block.
    ///
    /// # Errors
    /// See [`Error`]. Nothing was changed then.
    pub fn replace(&self, all: Vec<(Destination, Sending)>) -> Result<(), Error> {
        self.0.replace(all)
    }

    /// Opens the files of all destinations anew: to be called when they were moved away.
    pub fn reopen(&self) {
        self.0.reopen();
    }

    /// Destinations that have a position in the journal and no reader now.
    ///
    /// # Errors
    /// [`Error::Journal`] when a position cannot be read.
    pub fn orphans(journal: &Journal) -> Result<Vec<Orphan>, Error> {
        let names = journal.orphans().into_iter().filter(|name| name.starts_with(identity::READER_PREFIX));
        names
            .map(|name| {
                let Ledger { waiting, pinned_bytes, .. } = journal.reader(&name, Scope::Routed)?.ledger();
                Ok(Orphan { reader: name, waiting, pinned_bytes })
            })
            .collect()
    }

    /// Gives up what waits for an orphan.
    ///
    /// # Errors
    /// [`Error::Journal`] when it is configured again, or its position cannot be removed.
    pub fn forget(journal: &Journal, orphan: &Orphan) -> Result<(), Error> {
        Ok(journal.forget(&orphan.reader)?)
    }
}
