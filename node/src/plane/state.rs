//! What a window thread leaves on disk besides the windows: how far it has judged, from where the
//! journal must be kept, and its part of the ledger. A small JSON file, renamed into place.

use serde::{Deserialize, Serialize};
use skyline_core::reject::{Reject, RejectCounts};
use skyline_core::shard::{SHARDS, ShardId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One thread's state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) thread: u16,
    pub(crate) threads: u16,
    /// Points before this were judged, their anomalies recorded, and are in the counts below.
    pub(crate) judged: u64,
    /// Shards without a file hold nothing from before this.
    pub(crate) hold: u64,
    pub(crate) stored: u64,
    pub(crate) refused: BTreeMap<String, u64>,
}

/// The state of all threads of the last run, whatever their number was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Past {
    /// Per shard; `None`: nothing known.
    judged: Vec<Option<(u64, u64)>>,
    pub(crate) stored: u64,
    pub(crate) refused: RejectCounts,
    /// Points before this are in the counts.
    pub(crate) counted: Option<u64>,
}

fn path(dir: &Path, thread: u16) -> PathBuf {
    dir.join(format!("thread-{thread}.json"))
}

impl State {
    /// Writes the file.
    pub(crate) fn save(&self, dir: &Path, sync: bool) -> Result<(), skyline_store::snapshot::Error> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        skyline_store::snapshot::write_whole(&path(dir, self.thread), &bytes, sync)
    }
}

impl Past {
    /// Reads what the threads of the last run left. A file that cannot be read counts as absent:
    /// its shards are then read from the journal again.
    pub(crate) fn load(dir: &Path) -> Self {
        let mut past = Self { judged: vec![None; usize::from(SHARDS)], ..Self::default() };
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
        for shard in (0..SHARDS).filter(|s| s % state.threads.max(1) == state.thread) {
            if let Some(slot) = self.judged.get_mut(usize::from(shard)) {
                *slot = Some((state.judged, state.hold));
            }
        }
        self.stored += state.stored;
        for (label, n) in &state.refused {
            if let Some(reason) = Reject::ALL.into_iter().find(|r| r.label() == label) {
                self.refused.add(reason, *n);
            }
        }
        self.counted = Some(self.counted.map_or(state.judged, |c| c.min(state.judged)));
    }

    /// From where on a thread needs the journal for its shards; `None`: nothing is known of them.
    pub(crate) fn hold_of(&self, thread: u16, threads: u16) -> Option<u64> {
        let owned = (0..SHARDS).filter(|shard| shard % threads.max(1) == thread);
        owned.filter_map(|shard| self.of(ShardId(shard))).map(|(_, hold)| hold).min()
    }

    /// For a shard: points before the first were judged; its windows hold nothing from before the second
    /// unless its file says so.
    pub(crate) fn of(&self, shard: ShardId) -> Option<(u64, u64)> {
        self.judged.get(usize::from(shard.0)).copied().flatten()
    }
}

/// Removes files of threads that this run does not have.
pub(crate) fn forget_beyond(dir: &Path, threads: u16) {
    for thread in threads..SHARDS {
        if std::fs::remove_file(path(dir, thread)).is_err() {
            break;
        }
    }
}
