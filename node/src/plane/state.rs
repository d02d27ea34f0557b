//! What a window thread leaves on disk besides the windows: how far it has judged, from where the
//! journal must be kept, and its part of the ledger. A small JSON file, see [`file::update`].

use serde::{Deserialize, Serialize};
use skyline_core::file;
use skyline_core::reject::{Reject, RejectCounts};
use skyline_core::shard::{SHARDS, ShardId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One thread's state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) thread: u16,
    pub(crate) threads: u16,
    /// Points before this were judged, and their anomalies recorded.
    pub(crate) judged: u64,
    /// Points before this are in the counts below.
    pub(crate) counted: u64,
    /// Shards without a file hold nothing from before this.
    pub(crate) hold: u64,
    pub(crate) stored: u64,
    pub(crate) refused: BTreeMap<String, u64>,
}

/// What is known of a shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PastShard {
    /// Points before this were judged, and their anomalies recorded.
    pub(crate) judged: u64,
    /// Points before this are in the counts of its thread.
    pub(crate) counted: u64,
    /// Its windows hold nothing from before this unless its file says so.
    pub(crate) hold: u64,
}

/// What a thread had stored and refused, points.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) stored: u64,
    pub(crate) refused: RejectCounts,
}

/// The state of all threads of the last run, whatever their number was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    shards: Vec<Option<PastShard>>,
    counts: Vec<Counts>,
}

fn path(dir: &Path, thread: u16) -> PathBuf {
    dir.join(format!("thread-{thread}.json"))
}

impl State {
    /// Writes the file.
    pub(crate) fn save(&self, dir: &Path, sync: bool) -> Result<(), skyline_store::snapshot::Error> {
        let (path, bytes) = (path(dir, self.thread), serde_json::to_vec(self).unwrap_or_default());
        file::update(&path, &bytes, sync)
            .map_err(|source| skyline_store::snapshot::Error::Io { path, source })
    }
}

impl Past {
    /// Reads what the threads of the last run left. A file that cannot be read counts as absent:
    /// its shards are then read from the journal again.
    pub(crate) fn load(dir: &Path) -> Self {
        let mut past = Self { shards: vec![None; usize::from(SHARDS)], counts: Vec::new() };
        for thread in 0..SHARDS {
            let Ok(bytes) = std::fs::read(path(dir, thread)) else { break };
            let state: State = match serde_json::from_slice(&bytes) {
                Ok(state) => state,
                Err(error) => {
                    tracing::warn!(%error, thread, "window state is unreadable, its points are read again");
                    continue;
                }
            };
            past.merge(&state);
        }
        past
    }

    fn merge(&mut self, state: &State) {
        let State { judged, counted, hold, .. } = *state;
        for shard in (0..SHARDS).filter(|s| s % state.threads.max(1) == state.thread) {
            if let Some(slot) = self.shards.get_mut(usize::from(shard)) {
                *slot = Some(PastShard { judged, counted, hold });
            }
        }
        let mut counts = Counts { stored: state.stored, ..Counts::default() };
        for (label, n) in &state.refused {
            if let Some(reason) = Reject::ALL.into_iter().find(|r| r.label() == label) {
                counts.refused.add(reason, *n);
            }
        }
        self.counts.push(counts);
    }

    /// The counts that a thread goes on with: its own, or all of them for the first of another number of
    /// threads.
    pub(crate) fn counts_of(&self, thread: usize, threads: u16) -> Counts {
        if self.counts.len() == usize::from(threads) {
            return self.counts.get(thread).copied().unwrap_or_default();
        }
        let mut all = Counts::default();
        for counts in self.counts.iter().filter(|_| thread == 0) {
            all.stored += counts.stored;
            all.refused.merge(&counts.refused);
        }
        all
    }

    /// From where on a thread needs the journal for its shards; `None`: nothing is known of them.
    pub(crate) fn hold_of(&self, thread: u16, threads: u16) -> Option<u64> {
        let owned = (0..SHARDS).filter(|shard| shard % threads.max(1) == thread);
        owned.filter_map(|shard| self.of(ShardId(shard))).map(|past| past.hold).min()
    }

    /// What is known of a shard; `None`: nothing.
    pub(crate) fn of(&self, shard: ShardId) -> Option<PastShard> {
        self.shards.get(usize::from(shard.0)).copied().flatten()
    }
}

/// Removes files of threads that this run does not have.
pub(crate) fn forget_beyond(dir: &Path, threads: u16) {
    for thread in threads..SHARDS {
        if file::remove(&path(dir, thread)).is_err() {
            break;
        }
    }
}
