//! What follows an accepted text: the picture in its thread, the edit of the incident's first message, a reaction.
//! Each is tried a few times; what does not work out is logged and counted, and the text is never sent again for it.

use super::Root;
use super::api::{Api, Trouble};
use crate::message::Pictures;
use serde_json::Value;
use skyline_conf::model::alerting::slack::Slack as Settings;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Messages whose extras are under way at once; what is more goes without.
const AT_ONCE: usize = 16;
/// Problems that are remembered for who asks.
const REMEMBERED: usize = 16;
/// Longest wait that Slack may ask for, for something that is not needed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What belongs to a message.
#[derive(Debug)]
pub(super) struct Extra {
    pub(super) root: Root,
    /// The body of the edit of the first message.
    pub(super) edit: Option<Value>,
    /// Reaction to the first message; empty: none.
    pub(super) emoji: String,
    pub(super) pictures: Pictures,
}

/// The work behind accepted messages.
#[derive(Debug)]
pub(super) struct Extras {
    tasks: TaskTracker,
    room: Arc<Semaphore>,
    shared: Arc<Shared>,
    tries: u32,
    /// Edits of the first messages that are under way.
    turns: Arc<Mutex<HashMap<String, Arc<Turn>>>>,
}

/// The edits of one first message: one at a time, and of those that wait only the newest, so that it never says how
/// things stood before.
#[derive(Debug, Default)]
struct Turn {
    newest: AtomicU64,
    at_it: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Shared {
    done: AtomicU64,
    failed: AtomicU64,
    problems: Mutex<Vec<String>>,
}

impl Shared {
    fn fail(&self, what: &str, reason: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(what, reason, "Slack has the message, but not all that belongs to it");
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.len() < REMEMBERED {
            problems.push(format!("{what}: {reason}"));
        }
    }
}

impl Extras {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            tasks: TaskTracker::new(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
            shared: Arc::default(),
            tries: settings.extra_tries.max(1),
            turns: Arc::default(),
        }
    }

    /// Does in the background what belongs to a message.
    pub(super) fn follow(&self, api: Arc<Api>, extra: Extra) {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            return self.shared.fail("picture", "there are too many at once");
        };
        let (shared, tries) = (Arc::clone(&self.shared), self.tries);
        let (turns, place) = (Arc::clone(&self.turns), extra.root.text());
        // Numbered here, in the order of the messages.
        let turn = extra.edit.is_some().then(|| {
            let mut turns = lock(&turns);
            let turn = Arc::clone(turns.entry(place.clone()).or_default());
            let number = turn.newest.fetch_add(1, Ordering::Relaxed) + 1;
            (turn, number)
        });
        self.tasks.spawn(async move {
            let Extra { root, edit, emoji, pictures } = extra;
            if let (Some(edit), Some((turn, number))) = (&edit, turn) {
                let at_it = turn.at_it.lock().await;
                let is_newest = || turn.newest.load(Ordering::Relaxed) == number;
                let edit = || async { if is_newest() { api.update(edit).await } else { Ok(()) } };
                attempt(&shared, tries, "edit of the first message", edit).await;
                drop(at_it);
                let mut turns = lock(&turns);
                if is_newest() {
                    turns.remove(&place);
                }
            }
            let shown = [
                (pictures.window, "window.png", pictures.description.as_str()),
                (pictures.graphite, "graphite.png", "Graphite's own chart"),
            ];
            for (png, file, words) in shown {
                if let Some(png) = png {
                    attempt(&shared, tries, "picture", || api.upload(&root, file, words, png.clone())).await;
                }
            }
            if !emoji.is_empty() {
                attempt(&shared, tries, "reaction", || api.react(&root, &emoji)).await;
            }
            drop(room);
        });
    }

    pub(super) fn figures(&self) -> (u64, u64) {
        (self.shared.done.load(Ordering::Relaxed), self.shared.failed.load(Ordering::Relaxed))
    }

    /// Waits for what is under way: what did not work out since the last time.
    pub(super) async fn settle(&self) -> Vec<String> {
        while !self.tasks.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        std::mem::take(&mut *self.shared.problems.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn lock(turns: &Mutex<HashMap<String, Arc<Turn>>>) -> MutexGuard<'_, HashMap<String, Arc<Turn>>> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn attempt<F>(shared: &Shared, tries: u32, what: &str, mut work: impl FnMut() -> F)
where
    F: Future<Output = Result<(), Trouble>>,
{
    let mut pause = Duration::from_secs(1);
    for remaining in (0..tries).rev() {
        match work().await {
            Ok(()) => {
                shared.done.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(trouble) if trouble.is_permanent() || remaining == 0 => {
                return shared.fail(what, &trouble.reason());
            }
            Err(trouble) => {
                tokio::time::sleep(trouble.after().unwrap_or(pause).min(PATIENCE)).await;
                pause *= 3;
            }
        }
    }
}
