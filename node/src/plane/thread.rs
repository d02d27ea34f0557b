//! One window thread: reads the journal, stores and judges, answers questions, saves.
//!
//! Its position in the journal is the point up to which everything was judged and every anomaly
//! recorded. Shards are saved one at a time, in turn, so that no save holds up verdicts; the journal
//! is kept back to the oldest of them.

use super::latency::Latency;
use super::state::{Counts, Past, PastShard, State};
use super::{Found, Question, Shared, View};
use skyline_core::anomaly::Anomaly;
use skyline_core::clock::Clock;
use skyline_core::shard::ShardId;
use skyline_detect::shard::{Done, Shards};
use skyline_journal::{Delivery, Journal, Reader};
use skyline_store::snapshot::{Error as SnapshotError, Loaded, ShardFile};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

/// Points taken from the journal at once.
const TAKE: usize = 16_384;
/// Shards saved at most before the thread looks after points again.
const SAVES: u64 = 16;
/// Below so many points the thread rests for [`REST`], so that small batches gather.
const SMALL: u64 = 2_000;
const REST: Duration = Duration::from_millis(3);
/// Longest wait for points: questions wait as long.
const WAIT: Duration = Duration::from_millis(20);
/// Points after which every shard has been saved once: what a restart reads in some ten seconds.
const SAVE_ALL_EVERY: u64 = 20_000_000;
/// Takes and groups of anomalies told apart while they wait; beyond it the newest are taken as one.
const TOLD_APART: usize = 1_024;
/// Pause before a shard's files that cannot be read are tried again.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// Share of the journal's budget that windows hold back at most before they are saved out of turn.
const PINNED_SHARE: f64 = 0.25;
/// How often that is looked at, seconds.
const LOOK_EVERY: f64 = 0.1;
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
    turned_at: f64,
    joined: u64,
    save_errors: u64,
    save_failed_at: f64,
    looked_at: f64,
    is_pressed: bool,
}

/// Runs until told to stop.
pub(crate) fn run(parts: Parts, past: &Past) {
    let Ok(mut thread) = Thread::load(parts, past) else { return };
    thread.serve();
    thread.finish();
}

/// The node stops before the windows could be read: nothing of them may be saved.
#[derive(Debug)]
struct Stopped;

/// Reads a shard's files. Ones that are damaged are set aside, so that no save writes over them; ones
/// that cannot be read now are tried again, since an empty window would be saved in their place.
fn read(parts: &Parts, file: &mut ShardFile) -> Result<Option<Loaded>, Stopped> {
    let mut said = false;
    loop {
        match file.load() {
            Ok(loaded) => return Ok(loaded),
            Err(error @ SnapshotError::Damaged { .. }) => {
                let aside = file.set_aside(parts.clock.now() as u64);
                tracing::error!(%error, ?aside, "a shard's windows are lost, what the journal has is read again");
                return Ok(None);
            }
            Err(error) if !std::mem::replace(&mut said, true) => {
                tracing::error!(%error, "windows cannot be restored, trying again; points are logged and forwarded meanwhile");
            }
            Err(_) => {}
        }
        if parts.abort.is_cancelled() || parts.stop.is_cancelled() {
            return Err(Stopped);
        }
        std::thread::sleep(READ_AGAIN);
    }
}

impl Thread {
    /// Restores this thread's shards and goes back in the journal to where the oldest of them ends.
    fn load(mut parts: Parts, past: &Past) -> Result<Self, Stopped> {
        let position = parts.reader.position();
        let end = parts.journal.end();
        let owned: Vec<ShardId> = parts.shards.owned().collect();
        parts.shared.shards.store(owned.len() as u64, Ordering::Relaxed);
        let mut saved = Vec::with_capacity(owned.len());
        let mut begin = position;
        // Behind the reader's position where shards came from another thread.
        let mut all_judged = position.min(end);
        let mut all_counted = 0;
        let mut ahead = 0;
        for shard in owned {
            let mut file = ShardFile::new(&parts.dir, shard, parts.sync);
            let PastShard { judged, counted, hold } =
                past.of(shard).unwrap_or(PastShard { judged: position, counted: position, hold: position });
            let mut applied = hold;
            if let Some(loaded) = read(&parts, &mut file)? {
                applied = loaded.position;
                if loaded.lost_blocks > 0 {
                    let (shard, blocks) = (shard.0, loaded.lost_blocks);
                    tracing::error!(shard, blocks, "window blocks were damaged and are lost");
                }
                for series in loaded.series {
                    parts.shards.restore(series);
                }
            }
            ahead = ahead.max(applied.max(judged).saturating_sub(end));
            // What the journal gives numbers to from here on is new, whatever was there before.
            let applied = applied.min(end);
            // A save comes only after all before it was judged and recorded.
            let done = Done { applied, judged: judged.min(end).max(applied), counted: counted.min(end) };
            parts.shards.resume(shard, done);
            begin = begin.min(applied);
            all_judged = all_judged.min(done.judged);
            all_counted = all_counted.max(done.counted);
            parts.shared.restored.fetch_add(1, Ordering::Relaxed);
            saved.push(Saved { shard, file, position: applied });
        }
        if ahead > 0 {
            tracing::error!(
                points = ahead,
                "the windows are further than the journal, which was removed or has lost its end; they go on from there"
            );
        }
        let start = parts.journal.start();
        if begin < start {
            tracing::error!(
                points = start - begin,
                "the journal does not reach back to where the windows were saved: they lack the points between"
            );
        }
        parts.reader.hold(begin);
        parts.reader.rewind(begin);
        let past = past.counts_of(parts.number, parts.threads);
        let now = parts.clock.now();
        // Where an earlier run was stopped in its round: the oldest holds the journal.
        let oldest = saved.iter().enumerate().min_by_key(|(_, shard)| shard.position);
        Ok(Self {
            next_save: oldest.map_or(0, |(index, _)| index),
            saved,
            saved_at: now,
            points_since_save: 0,
            past,
            counted: all_counted,
            open: VecDeque::new(),
            unrecorded: VecDeque::new(),
            held: Vec::new(),
            held_through: begin,
            position: all_judged,
            latency: Latency::default(),
            ticked_at: 0.0,
            turned_at: now,
            joined: 0,
            save_errors: 0,
            save_failed_at: f64::NEG_INFINITY,
            looked_at: 0.0,
            is_pressed: false,
            parts,
        })
    }

    fn serve(&mut self) {
        // What was logged before this run's start is caught up with before the node says it is warm.
        let target = self.parts.journal.end();
        let mut taken: Vec<Delivery> = Vec::new();
        let mut found = Vec::new();
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
            if points < SMALL {
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
                Question::Remove { name, answer } => {
                    let was_there = self.parts.shards.remove(&name);
                    if was_there {
                        self.save_shard_of(&name);
                    }
                    let _nobody_asks_any_more = answer.send(was_there);
                }
            }
        }
    }

    fn tick(&mut self) {
        let now = self.parts.clock.now();
        self.save_due(now);
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
        self.publish();
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

    fn save_state(&mut self) {
        let counters = self.parts.shards.counters();
        let mut refused = self.past.refused;
        refused.merge(&counters.refused);
        let state = State {
            thread: self.parts.number as u16,
            threads: self.parts.threads,
            judged: self.position,
            counted: self.counted.max(self.held_through),
            hold: self.hold(),
            stored: self.past.stored + counters.stored,
            refused: refused.iter().map(|(r, n)| (r.label().to_owned(), n)).collect(),
        };
        if let Err(error) = state.save(&self.parts.dir, self.parts.sync) {
            self.save_failed(&error);
        }
    }

    fn hold(&self) -> u64 {
        self.saved.iter().map(|s| s.position).min().unwrap_or(self.position)
    }

    fn save_failed(&mut self, error: &skyline_store::snapshot::Error) {
        self.save_errors += 1;
        let now = self.parts.clock.now();
        if !(0.0..60.0).contains(&(now - self.save_failed_at)) {
            tracing::error!(%error, "windows cannot be saved; the journal keeps what is needed to restore them");
        }
        self.save_failed_at = now;
    }

    /// Saves the next shards when their time has come: by the clock, or by the points that came.
    fn save_due(&mut self, now: f64) {
        // A clock that was set back does not put saving off.
        self.saved_at = self.saved_at.min(now);
        let shards = self.saved.len().max(1) as u64;
        let by_time = (now - self.saved_at) * shards as f64 / self.parts.snapshot_seconds;
        let by_points = self.points_since_save * shards / SAVE_ALL_EVERY;
        let due = (by_time as u64).max(by_points).max(self.pressed(now)).min(SAVES);
        let backing_off = (0.0..1.0).contains(&(now - self.save_failed_at));
        if due == 0 || backing_off || !self.unrecorded.is_empty() {
            return;
        }
        self.points_since_save = 0;
        self.saved_at = now;
        for _ in 0..due {
            self.save_next(now);
        }
    }

    /// Shards to be saved because what they hold back takes too much of the journal's budget.
    fn pressed(&mut self, now: f64) -> u64 {
        if !(0.0..LOOK_EVERY).contains(&(now - self.looked_at)) {
            self.looked_at = now;
            self.is_pressed = self.parts.reader.pinned_share() > PINNED_SHARE;
        }
        if self.is_pressed { SAVES } else { 0 }
    }

    /// Saves the shard of a metric that was removed, so that it does not come back after a crash.
    fn save_shard_of(&mut self, name: &str) {
        let shard = ShardId::of_name(name.as_bytes());
        let next = self.next_save;
        if let Some(index) =
            self.saved.iter().position(|s| s.shard == shard).filter(|_| self.unrecorded.is_empty())
        {
            self.next_save = index;
            self.save_next(self.parts.clock.now());
            self.next_save = next;
        }
    }

    fn save_next(&mut self, now: f64) {
        let position = self.held_through;
        // Windows end by the time of what they hold: neither a clock that is days ahead for a moment nor
        // points that wait after a long stop may cost what is still to be judged.
        let now = now.min(self.parts.shards.newest());
        if self.next_save == 0 {
            self.save_state();
        }
        let shards = self.saved.len().max(1);
        let Some(next) = self.saved.get_mut(self.next_save) else { return };
        self.next_save = (self.next_save + 1) % shards;
        match self.parts.shards.save(next.shard, now, position, &mut next.file) {
            Ok(()) => {
                next.position = position;
                let hold = self.hold();
                self.parts.reader.hold(hold);
            }
            Err(error) => self.save_failed(&error),
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
    }
}
