//! Destinations: for each a task of its own that reads the journal and sends.
//!
//! A destination that is down or slow stands still in the journal and hurts no other. `identity` is
//! what it is called, `sender` its task from connection to
//! connection, `connection` one of them, `acks` the account of what is proved to have arrived there,
//! `running` all of them, and how they are replaced while they run, `register` the file that tells the next run
//! how those are sent to that have left the settings.

mod acks;
mod connect;
mod connection;
mod feed;
mod identity;
mod lag;
mod orders;
mod outgoing;
mod pace;
mod register;
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
use skyline_journal::Journal;
use std::path::{Path, PathBuf};
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
    /// How destinations are sent to cannot be written down.
    #[error("destinations {path}: {source}; check that the folder is writable and not full", path = path.display())]
    Register {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// All destinations, running.
#[derive(Debug)]
pub struct Destinations(Arc<Running>);

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
    /// longer configured is sent before their positions are forgotten, in the way that the register in `state_dir`
    /// tells; where it does not, it is held until they are configured again. To be called within a runtime.
    ///
    /// # Errors
    /// See [`Error`]. Nothing was started then.
    pub fn start(
        all: Vec<(Destination, Sending)>,
        state_dir: &Path,
        journal: &Journal,
        flow: &Flow,
        clock: &Clock,
        tasks: &TaskTracker,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let running = Running::new(state_dir, journal, flow, clock, tasks, stop);
        running.begin(all)?;
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
}
