//! Layout `compat`: windows in Redis as the reference's tools read and write them.
//!
//! Each metric is a string key, `<namespace>NAME`, of [`pair`]s; the set `<namespace>unique_metrics` holds all
//! keys. Points are appended as the log brings them. A key of our own, the mark, is
//! written in one transaction with each chunk of points and holds how far the log is in Redis: by it we see
//! whether an answer that was lost was for a chunk that Redis has, and whether Redis has lost what it
//! had (a restart without its data, a replica that was behind). Then, and when the log has moved past us, there is
//! a *gap*: all keys are compared with the windows, and what they lack is put in.

mod adopt;
mod fill;
mod mend;
mod names;
pub mod pair;
mod state;
mod stored;
mod trim;
mod write;

pub use adopt::{Adopted, Adoption};
pub use state::State;

use crate::server::Server;
use crate::windows::Windows;
use names::Names;
use skyline_conf::model::Settings;
use skyline_core::clock::Clock;
use skyline_core::shard::ShardSet;
use skyline_journal::Reader;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is written, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Prefix of the keys.
    pub namespace: String,
    /// Key of our own that says how far the log is in Redis; of each node another.
    pub mark: String,
    /// Length of the window, seconds.
    pub full_duration: f64,
    /// Kept beyond it, seconds.
    pub grace: f64,
    /// Timestamps further ahead of the time of receipt are not written, seconds.
    pub max_future: f64,
    /// Names at most.
    pub max_names: usize,
    /// Names that are not written.
    pub skip: Vec<String>,
    /// Names that are written although `skip` matches.
    pub keep: Vec<String>,
    /// Shards whose metrics are written.
    pub shards: ShardSet,
    /// Each key is trimmed once in so long; none: never.
    pub trim_every: Option<Duration>,
    /// What time it is.
    pub clock: Clock,
}

impl Options {
    /// Those of the settings, for the node called `node`.
    #[must_use]
    pub fn new(settings: &Settings, node: &str) -> Self {
        let (redis, window) = (&settings.redis, &settings.window);
        let every = Duration::try_from_secs_f64(redis.trim_seconds).ok();
        Self {
            namespace: redis.namespace.clone(),
            mark: format!("{}:{node}:mark", redis.prefix),
            full_duration: f64::from(window.full_duration_seconds),
            grace: f64::from(window.grace_seconds),
            max_future: f64::from(window.max_future_seconds),
            max_names: usize::try_from(window.max_metrics).unwrap_or(usize::MAX),
            skip: window.skip.clone(),
            keep: window.keep.clone(),
            shards: window.shards.parse().unwrap_or(ShardSet::ALL),
            trim_every: every.filter(|every| !every.is_zero()),
            clock: Clock::system(),
        }
    }

    /// Points older than this are not kept, seconds.
    fn kept_seconds(&self) -> f64 {
        self.full_duration + self.grace
    }

    /// The key of a metric.
    fn key(&self, name: &str) -> String {
        [&self.namespace, name].concat()
    }

    /// The set of all keys.
    fn set(&self) -> String {
        [&self.namespace, "unique_metrics"].concat()
    }

    /// Stands while a gap is being mended, over restarts.
    fn gap_key(&self) -> String {
        [&self.mark, ":gap"].concat()
    }
}

/// The copy: writes what the log brings, trims, mends.
pub struct Compat<W> {
    server: Server,
    options: Arc<Options>,
    windows: Arc<W>,
    state: Arc<State>,
    names: Arc<Mutex<Names>>,
}

impl<W: Windows> Compat<W> {
    /// Talks to nobody yet.
    #[must_use]
    pub fn new(server: Server, options: Options, windows: Arc<W>) -> Self {
        Self {
            server,
            options: Arc::new(options),
            windows,
            state: Arc::default(),
            names: Arc::new(Mutex::new(Names::new())),
        }
    }

    /// What it does, for others to see.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// Runs until `stop`, then ends within the time-out of a question to Redis. `reader` gets every point of the
    /// log; its position moves when Redis has them.
    pub async fn run(self, reader: Reader, stop: CancellationToken) {
        let writer = write::Writer::new(&self, reader, stop.clone());
        let writing = Box::pin(writer.run());
        let mending = Box::pin(stop.run_until_cancelled(self.mend_gaps()));
        let trimming = Box::pin(stop.run_until_cancelled(self.trim_all()));
        let ((), _, _) = tokio::join!(writing, mending, trimming);
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> std::fmt::Debug for Compat<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compat").field("server", &self.server).finish_non_exhaustive()
    }
}
