//! What follows an accepted text: the edit of the incident's first message, reactions, the picture in its thread.
//! Each is tried a few times; what does not work out is logged and counted, and the text is never sent again for it.
//! Edits and reactions say how things stand: they have places of their own, and never wait for pictures.

use super::Root;
use super::api::{Api, Trouble};
use crate::message::Pictures;
use serde_json::Value;
use skyline_conf::model::alerting::slack::Slack as Settings;
use skyline_core::figure::Figure;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

/// Edits and reactions that are under way at once, and messages whose pictures are; what is more waits.
const AT_ONCE: usize = 8;
/// Messages whose edits and reactions may wait; what is more goes without.
const WAITING: usize = 2_048;
/// Messages whose pictures may wait: these are large.
const PICTURES_WAITING: usize = 64;
/// First messages of which it is remembered whether they are marked as ended.
const MARKS: usize = 4_096;
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
    /// How the incident stands, for the mark at its first message.
    pub(super) stands: Stands,
    pub(super) pictures: Pictures,
}

/// How an incident stands by a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// It begins: nothing is marked.
    Begins,
    /// It goes on, or is back: it is not marked as ended.
    GoesOn,
    Ended,
    /// The message does not say.
    Unsaid,
}

/// The work behind accepted messages.
#[derive(Debug)]
pub(super) struct Extras {
    tasks: TaskTracker,
    words: Places,
    pictures: Places,
    shared: Arc<Shared>,
    tries: u32,
    /// Reaction that marks the end; empty: none.
    ended_emoji: String,
    /// Edits of the first messages that are under way.
    turns: Arc<Mutex<HashMap<String, Arc<Turn>>>>,
    /// Whether first messages are marked as ended, as far as it is known.
    marks: Mutex<HashMap<String, bool>>,
}

/// A bounded queue, and who is served.
#[derive(Debug)]
struct Places {
    waiting: Arc<Semaphore>,
    room: usize,
    at_once: Arc<Semaphore>,
}

impl Places {
    fn new(room: usize) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { waiting: semaphore(room), room, at_once: semaphore(AT_ONCE) }
    }

    fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waiting).try_acquire_owned().ok()
    }

    fn taken(&self) -> usize {
        self.room.saturating_sub(self.waiting.available_permits())
    }
}

/// The edits and marks of one first message: one at a time, and of those that wait only the newest, so that it never says
/// how things stood before.
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
            words: Places::new(WAITING),
            pictures: Places::new(PICTURES_WAITING),
            shared: Arc::default(),
            tries: settings.extra_tries.max(1),
            ended_emoji: settings.ended_emoji.clone(),
            turns: Arc::default(),
            marks: Mutex::default(),
        }
    }

    /// Does in the background what belongs to a message.
    pub(super) fn follow(&self, api: Arc<Api>, extra: Extra) {
        let Extra { root, edit, emoji, stands, pictures } = extra;
        self.show(Arc::clone(&api), root.clone(), pictures);
        let mark = self.mark(&root, stands);
        if edit.is_none() && mark.is_none() && emoji.is_empty() {
            return;
        }
        let Some(place) = self.words.take() else {
            return self.shared.fail("edit or reaction", "too many wait");
        };
        let (shared, tries, at_once) =
            (Arc::clone(&self.shared), self.tries, Arc::clone(&self.words.at_once));
        let (turns, key, ended) = (Arc::clone(&self.turns), root.text(), self.ended_emoji.clone());
        // Numbered here, in the order of the messages.
        let turn = (edit.is_some() || mark.is_some()).then(|| {
            let mut turns = lock(&turns);
            let turn = Arc::clone(turns.entry(key.clone()).or_default());
            let number = turn.newest.fetch_add(1, Ordering::Relaxed) + 1;
            (turn, number)
        });
        self.tasks.spawn(async move {
            if let Some((turn, number)) = turn {
                let at_it = turn.at_it.lock().await;
                let is_newest = || turn.newest.load(Ordering::Relaxed) == number;
                // Places are never closed.
                let serving = at_once.acquire().await;
                if let Some(edit) = &edit {
                    let edit = || async { if is_newest() { api.update(edit).await } else { Ok(()) } };
                    attempt(&shared, tries, "edit of the first message", edit).await;
                }
                if let Some(is_ended) = mark {
                    let mark = || async {
                        match is_ended {
                            _ if !is_newest() => Ok(()),
                            true => api.react(&root, &ended).await,
                            false => api.take_back(&root, &ended).await,
                        }
                    };
                    attempt(&shared, tries, "reaction", mark).await;
                }
                drop((at_it, serving));
                let mut turns = lock(&turns);
                if is_newest() {
                    turns.remove(&key);
                }
            }
            if !emoji.is_empty() {
                let _serving = at_once.acquire().await;
                attempt(&shared, tries, "reaction", || api.react(&root, &emoji)).await;
            }
            drop(place);
        });
    }

    /// Whether the first message is to be marked as ended (or not any more); none: it is as it should be.
    fn mark(&self, root: &Root, stands: Stands) -> Option<bool> {
        if self.ended_emoji.is_empty() || stands == Stands::Unsaid {
            return None;
        }
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.len() >= MARKS {
            // Taking away a mark that is not there does no harm.
            marks.clear();
        }
        let is_ended = stands == Stands::Ended;
        let before = marks.insert(root.text(), is_ended);
        (stands != Stands::Begins && (is_ended || before != Some(false))).then_some(is_ended)
    }

    fn show(&self, api: Arc<Api>, root: Root, pictures: Pictures) {
        if pictures.window.is_none() && pictures.graphite.is_none() {
            return;
        }
        let Some(place) = self.pictures.take() else {
            return self.shared.fail("picture", "too many wait");
        };
        let (shared, tries) = (Arc::clone(&self.shared), self.tries);
        let at_once = Arc::clone(&self.pictures.at_once);
        self.tasks.spawn(async move {
            let _serving = at_once.acquire().await;
            let shown = [
                (pictures.window, "window.png", pictures.description.as_str()),
                (pictures.graphite, "graphite.png", "Graphite's own chart"),
            ];
            for (png, file, words) in shown {
                if let Some(png) = png {
                    attempt(&shared, tries, "picture", || api.upload(&root, file, words, png.clone())).await;
                }
            }
            drop(place);
        });
    }

    /// How many pictures, edits and reactions were done, and how many were given up.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.shared.done.load(Ordering::Relaxed), self.shared.failed.load(Ordering::Relaxed))
    }

    pub(super) fn figures(&self, out: &mut Vec<Figure>) {
        let (done, failed) = self.counts();
        let help = "Pictures, edits and reactions behind messages to Slack, since start";
        for (result, count) in [("done", done), ("failed", failed)] {
            out.push(
                Figure::counter("skyline_alerting_slack_extras_total", help, count).label("result", result),
            );
        }
        let waiting = (self.words.taken() + self.pictures.taken()) as f64;
        let help = "Messages to Slack whose pictures, edits or reactions are not done yet";
        out.push(Figure::gauge("skyline_alerting_slack_extras_waiting", help, waiting));
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
