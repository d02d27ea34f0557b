//! Aggregates: new series computed of others, as the statements of a routing say.
//!
//! The aggregator is one more reader of the journal ([`READER`]); the router adds it to the destinations of every point
//! that is an input. Points are put into buckets by their own time. A bucket is computed and sent `after` seconds
//! behind its begin; a point that comes later makes its aggregates be computed and sent again, until `keep` seconds
//! behind its begin. Aggregates enter the node like received points, from the listener `aggregator`.
//!
//! Whether a point is too late is judged by the time of its receipt, which the journal has, and the time of a reader that
//! lags is that of what it reads: a node that was down, or that is slow, comes to the same aggregates.
//!
//! Buckets are saved every ten seconds and at the end, with the sequence number up to which they hold, and the journal is
//! kept from there on. After `kill -9` what came behind it is read again: no point is missing or counted twice,
//! and aggregates of these seconds are sent once more, the same series, time and value, which a store of points
//! overwrites; another aggregation, of which they are inputs, takes them once more. If the state is lost or damaged,
//! buckets that had been computed by then are not begun again, so that no part takes the place of a whole; those that
//! were open lack what came before.
//!
//! `machine` is all that without time, tasks and files; `task` reads, ticks and saves; `state` is the file.

mod accumulator;
mod bench;
mod bucket;
mod figures;
mod inputs;
mod machine;
mod state;
mod task;

#[cfg(test)]
mod tests;

#[doc(hidden)]
pub use bench::Bench;
pub use figures::Counts;
pub use machine::Limits;

use crate::dest::Stop;
use machine::Machine;
use skyline_conf::routing::{Routing, Then};
use skyline_core::batch::Batch;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_journal::{Journal, Scope};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use task::Task;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Name of the reader.
pub const READER: &str = "aggregate";

/// Takes aggregates.
pub trait Submit: Send + Sync + 'static {
    /// Routes and logs a batch of aggregates that go on by `then`; false if it could not be logged. They are
    /// computed and submitted again then, a second later.
    ///
    /// May wait for room in the journal for some seconds, not for ever: the aggregator keeps the journal back
    /// meanwhile. Is never cancelled.
    fn submit(&self, batch: Batch, then: &Then) -> impl Future<Output = bool> + Send;
}

/// How an aggregator behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the file `aggregate`.
    pub state_dir: PathBuf,
    /// The clock by which buckets are computed.
    pub clock: Clock,
    /// What it may keep.
    pub limits: Limits,
}

/// What an aggregator works by. The two belong together: by a routing's `then` only its own router knows the way.
#[derive(Debug)]
struct Work<S> {
    routing: Arc<Routing>,
    submit: Arc<S>,
}

impl<S> Clone for Work<S> {
    fn clone(&self) -> Self {
        Self { routing: Arc::clone(&self.routing), submit: Arc::clone(&self.submit) }
    }
}

/// The aggregator, running.
#[derive(Debug)]
pub struct Aggregator<S> {
    work: watch::Sender<Work<S>>,
    counts: Arc<Mutex<Counts>>,
}

impl<S: Submit> Aggregator<S> {
    /// Reads the state of the last run and starts the task, in `tasks`. Also for a routing without aggregations: what
    /// the last run held is given up in order, and a later [`Self::replace`] may bring some.
    ///
    /// # Errors
    /// The journal does not give a reader. Nothing was started then.
    pub fn start(
        options: Options,
        routing: Arc<Routing>,
        journal: &Journal,
        submit: S,
        tasks: &TaskTracker,
        stop: &Stop,
    ) -> Result<Self, skyline_journal::Error> {
        let reader = journal.reader(READER, Scope::Routed)?;
        let machine = Machine::new(Arc::clone(&routing), options.limits);
        let submit = Arc::new(submit);
        let (work, changes) = watch::channel(Work { routing, submit: Arc::clone(&submit) });
        let counts = Arc::new(Mutex::new(Counts::default()));
        let task = Task::open(options, machine, journal.clone(), reader, submit, Arc::clone(&counts));
        tasks.spawn(task.run(changes, stop.clone()));
        Ok(Self { work, counts })
    }

    /// Goes on by another routing. Buckets of aggregations whose inputs, outputs and length of buckets are the same go on;
    /// of others what was not sent is computed a last time and sent on by the old `then`, to whom took aggregates until
    /// now; all others are given to `submit`, which knows the ways of the new routing. Who took them until now is
    /// dropped after that.
    pub fn replace(&self, routing: Arc<Routing>, submit: S) {
        self.work.send_replace(Work { routing, submit: Arc::new(submit) });
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the aggregator reports.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        self.counts().figures(out);
    }
}
