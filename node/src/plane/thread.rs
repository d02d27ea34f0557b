//! One window thread: reads the journal, stores and judges, answers questions, saves.
//!
//! Its position in the journal is the point up to which everything was judged and every anomaly
//! recorded. Shards are saved one at a time, in turn, so that no save holds up verdicts; the journal
//! is kept back to the oldest of them.

mod copy;
mod load;
mod save;

use super::latency::Latency;
use super::state::{Counts, Past};
use super::{Found, Question, Shared, View};
use skyline_core::anomaly::Anomaly;
use skyline_core::clock::Clock;
use skyline_core::shard::ShardId;
use skyline_detect::shard::Shards;
use skyline_journal::{Delivery, Journal, Reader};
use skyline_render_proxy::nodes::Nodes;
use skyline_store::snapshot::ShardFile;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

/// Names are compared with a pattern for so long at a time.
const MATCHING: Duration = Duration::from_millis(4);
/// Points taken from the journal at once.
const TAKE: usize = 16_384;
/// Below so many points the thread rests for [`REST`], so that small batches gather: where they come one on the
/// heels of the other ([`HEELS`]), so many in a row. A lone burst is not worth waking up twice.
const SMALL: u64 = 2_000;
const REST: Duration = Duration::from_millis(3);
const HEELS: Duration = Duration::from_millis(10);
const IN_A_ROW: u32 = 4;
/// Longest wait for points and questions; saves, figures and the end of the node are looked after as often.
const WAIT: Duration = Duration::from_millis(100);
/// Takes and groups of anomalies told apart while they wait; beyond it the newest are taken as one.
const TOLD_APART: usize = 1_024;
/// Anomalies held while the record is away; beyond it those of one metric are joined.
const HELD: usize = 10_000;

/// What a thread is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) number: usize,
    pub(crate) threads: u16,
    pub(crate) shards: Shards,
    pub(crate) reader: Reader,
    pub(crate) journal: Journal,
    pub(crate) dir: PathBuf,
    pub(crate) sync: bool,
    pub(crate) snapshot_seconds: f64,
    pub(crate) clock: Clock,
    pub(crate) shared: Arc<Shared>,
    pub(crate) questions: Receiver<Question>,
    pub(crate) found: Sender<Found>,
    /// Stop once the journal is read to its end.
    pub(crate) stop: CancellationToken,
    /// Stop now.
    pub(crate) abort: CancellationToken,
    /// The copy in Redis has what it asks for, and asks no more.
    pub(crate) copied: CancellationToken,
}

/// A shard's files and how far they go.
#[derive(Debug)]
struct Saved {
    shard: ShardId,
    file: ShardFile,
    position: u64,
}

#[derive(Debug)]
struct Thread {
    parts: Parts,
    saved: Vec<Saved>,
    next_save: usize,
    /// Places in `saved` of shards that are saved before the next in turn.
    out_of_turn: Vec<usize>,
    saved_at: f64,
    points_since_save: u64,
    past: Counts,
    /// Points before this are in the counts, those of earlier runs included.
    counted: u64,
    /// Takes that are not yet behind the position: end and number of points.
    open: VecDeque<(u64, u64)>,
    /// Starts of takes with anomalies that are not yet recorded, and their ends.
    unrecorded: VecDeque<(u64, u64)>,
    held: Vec<Anomaly>,
    held_through: u64,
    position: u64,
    latency: Latency,
    ticked_at: f64,
    published_at: f64,
    turned_at: f64,
    joined: u64,
    save_errors: u64,
    save_failed_at: f64,
    looked_at: f64,
    is_pressed: bool,
    /// By shard: the number of the copy in Redis that has its blocks.
    copies: Vec<u8>,
    /// By shard: a metric was removed since it was last handed out.
    removed_from: Vec<bool>,
    /// By shard: bytes of the open chunk that was handed out last.
    open_bytes: Vec<usize>,
}

/// Runs until told to stop.
pub(crate) fn run(parts: Parts, past: &Past) {
    let shared = Arc::clone(&parts.shared);
    if let Ok(mut thread) = Thread::load(parts, past) {
        thread.serve();
        thread.finish();
    }
    shared.ended.store(true, Ordering::Release);
}

impl Thread {
    fn serve(&mut self) {
        // What was logged before this run's start is caught up with before the node says it is warm.
        let target = self.parts.journal.end();
        let mut taken: Vec<Delivery> = Vec::new();
        let mut found = Vec::new();
        let (mut took, mut in_a_row) = (Instant::now(), 0_u32);
        loop {
            self.answer();
            if self.parts.abort.is_cancelled() {
                return;
            }
            taken.clear();
            let start = self.parts.reader.cursor();
            if let Err(error) = self.parts.reader.take(TAKE, &mut taken) {
                tracing::error!(%error, "the window cannot read the journal, trying again");
                std::thread::sleep(Duration::from_secs(1));
            }
            if !self.parts.shared.warm.load(Ordering::Relaxed) && self.parts.reader.cursor() >= target {
                self.parts.shared.warm.store(true, Ordering::Release);
            }
            if taken.is_empty() {
                self.held_through = self.parts.reader.cursor();
                self.send(start, Vec::new());
                self.tick();
                if self.parts.stop.is_cancelled() {
                    return;
                }
                self.parts.reader.wait(WAIT);
                continue;
            }
            let points = self.ingest(&taken, &mut found);
            self.held_through = self.parts.reader.cursor();
            let is_long = self.open.len() >= TOLD_APART;
            match self.open.back_mut() {
                Some(last) if is_long => *last = (self.held_through, last.1 + points),
                _ => self.open.push_back((self.held_through, points)),
            }
            self.send(start, std::mem::take(&mut found));
            self.tick();
            let before = std::mem::replace(&mut took, Instant::now());
            in_a_row = if took.duration_since(before) < HEELS { in_a_row.saturating_add(1) } else { 0 };
            if points < SMALL && in_a_row >= IN_A_ROW {
                std::thread::sleep(REST);
            }
        }
    }

    fn ingest(&mut self, taken: &[Delivery], found: &mut Vec<Anomaly>) -> u64 {
        let mut points = 0;
        for delivery in taken {
            self.parts.shards.ingest(&delivery.batch, found);
            points += delivery.batch.len() as u64;
            if self.parts.shared.warm.load(Ordering::Relaxed) {
                let took = (self.parts.clock.now() - delivery.batch.received).max(0.0);
                self.latency.add(took, delivery.batch.len() as u64);
            }
        }
        self.points_since_save += points;
        points
    }

    /// Passes anomalies on; what the record cannot take now is held and tried again.
    fn send(&mut self, start: u64, mut found: Vec<Anomaly>) {
        if !found.is_empty() {
            let is_long = self.unrecorded.len() >= TOLD_APART;
            match self.unrecorded.back_mut() {
                Some(last) if is_long => last.1 = self.held_through,
                _ => self.unrecorded.push_back((start, self.held_through)),
            }
            self.held.append(&mut found);
        }
        if !self.held.is_empty() {
            let group = Found {
                thread: self.parts.number,
                anomalies: std::mem::take(&mut self.held),
                through: self.held_through,
            };
            if let Err(TrySendError::Full(group) | TrySendError::Closed(group)) =
                self.parts.found.try_send(group)
            {
                self.held = group.anomalies;
                if self.held.len() > HELD {
                    self.join_held();
                }
            }
        }
        let recorded = self.parts.shared.recorded.load(Ordering::Acquire);
        while self.unrecorded.front().is_some_and(|(_, end)| *end <= recorded) {
            self.unrecorded.pop_front();
        }
    }

    /// Keeps the newest of each metric; the journal's position does not depend on the others.
    fn join_held(&mut self) {
        let before = self.held.len();
        let mut newest: HashMap<String, Anomaly> = HashMap::new();
        for anomaly in self.held.drain(..) {
            newest.insert(anomaly.metric.clone(), anomaly);
        }
        self.held = newest.into_values().collect();
        self.joined += (before - self.held.len()) as u64;
    }

    /// Everything before it is judged and recorded.
    fn safe_position(&self) -> u64 {
        self.unrecorded.front().map_or(self.held_through, |(start, _)| *start)
    }

    fn answer(&mut self) {
        while let Ok(question) = self.parts.questions.try_recv() {
            // An asker who has gone away is not an error.
            match question {
                Question::Series { name, from, until, answer } => {
                    drop(answer.send(self.parts.shards.series(&name, from, until)));
                }
                Question::Missing { name, points, now, answer } => {
                    drop(answer.send(self.parts.shards.missing(&name, &points, now)));
                }
                Question::Remove { name, answer } => {
                    let was_there = self.parts.shards.remove(&name);
                    if was_there {
                        // Its files still have it, and a start after a crash would bring it back.
                        let shard = ShardId::of_name(name.as_bytes());
                        if let Some(removed) = self.removed_from.get_mut(usize::from(shard.0)) {
                            *removed = true;
                        }
                        self.save_out_of_turn(shard);
                    }
                    let _nobody_asks_any_more = answer.send(was_there);
                }
                Question::Names { shard, answer } => drop(answer.send(self.parts.shards.names(shard))),
                Question::Matching { first, pattern, answer } => {
                    let mut names = Vec::new();
                    let look = |name: &str| {
                        if pattern.matches(name) {
                            names.push(name.to_owned());
                        }
                    };
                    let next = self.look_at_names(first, look);
                    drop(answer.send((names, next)));
                }
                Question::Nodes { first, find, answer } => {
                    let mut nodes = Nodes::new();
                    let next = self.look_at_names(first, |name| find.look(name, &mut nodes));
                    drop(answer.send((nodes, next)));
                }
                Question::Silent { question, answer } => {
                    let mut found = skyline_alerting::stale::Answer::default();
                    for (name, last) in self.parts.shards.newest_points() {
                        found.take(&question, name, last);
                    }
                    drop(answer.send(found));
                }
                Question::HandOut { asks, header, answer } => drop(answer.send(self.hand_out(&asks, header))),
                Question::Adopt { series, answer } => drop(answer.send(self.adopt(series))),
            }
        }
    }

    fn look_at_names(&self, first: u32, look: impl FnMut(&str)) -> Option<u32> {
        let end = Instant::now() + MATCHING;
        self.parts.shards.look_at_names(first, look, || Instant::now() < end)
    }

    fn tick(&mut self) {
        let now = self.parts.clock.now();
        self.save_due(now);
        if !(0.0..0.1).contains(&(now - self.published_at)) {
            self.published_at = now;
            self.publish();
        }
        if (0.0..1.0).contains(&(now - self.ticked_at)) {
            return;
        }
        self.ticked_at = now;
        if !(0.0..60.0).contains(&(now - self.turned_at)) {
            self.turned_at = now;
            self.latency.turn();
        }
        self.move_position();
        self.save_state();
    }

    fn move_position(&mut self) {
        let safe = self.safe_position();
        let mut points = 0;
        while let Some((end, n)) = self.open.front().copied().filter(|(end, _)| *end <= safe) {
            // Points read again after a restart were delivered before.
            if end > self.parts.reader.position() {
                points += n.min(end - self.parts.reader.position());
            }
            self.open.pop_front();
        }
        if safe > self.position {
            self.position = safe;
        }
        if safe > self.parts.reader.position() {
            self.parts.reader.done(safe, points);
        }
    }

    fn publish(&self) {
        let ledger = self.parts.reader.ledger();
        let mut counters = self.parts.shards.counters().clone();
        counters.stored += self.past.stored;
        counters.refused.merge(&self.past.refused);
        let view = View {
            metrics: self.parts.shards.len() as u64,
            counters,
            scans: self.parts.shards.scans(),
            waiting: self.parts.journal.end().saturating_sub(self.held_through),
            lag_seconds: ledger.lag_seconds,
            latency: self.latency.quantiles(),
            unsaved_anomalies: self.held.len() as u64 + self.unrecorded.len() as u64,
            joined_anomalies: self.joined,
            save_errors: self.save_errors,
        };
        *self.parts.shared.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    /// Waits for the record, then saves every shard.
    fn finish(mut self) {
        let abort = self.parts.abort.clone();
        while !abort.is_cancelled() && (!self.unrecorded.is_empty() || !self.held.is_empty()) {
            std::thread::sleep(Duration::from_millis(5));
            let at = self.held_through;
            self.send(at, Vec::new());
        }
        self.move_position();
        self.save_state();
        if !self.unrecorded.is_empty() {
            return;
        }
        let now = self.parts.clock.now();
        for _ in 0..self.saved.len() {
            if self.parts.abort.is_cancelled() {
                break;
            }
            self.save_next(now);
        }
        self.save_state();
        self.publish();
        self.parts.shared.ended.store(true, Ordering::Release);
        self.answer_for_the_copy();
    }
}
