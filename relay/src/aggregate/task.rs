//! The aggregator's task: reads the journal, lets the machine compute what is due, submits it, saves.

use super::figures::Counts;
use super::machine::{Due, Machine, Made};
use super::{Options, Submit, Work, state};
use crate::dest::{Stop, source};
use skyline_conf::routing::{Digits, Then};
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Source};
use skyline_core::clock::Clock;
use skyline_core::file;
use skyline_core::line;
use skyline_core::reject::Reject;
use skyline_journal::{Delivery, Durability, Journal, Mine, Reader};
use state::Found;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Seconds between two saves.
const SAVE_EVERY: f64 = 10.0;
/// Points of one batch of aggregates.
const BATCH: usize = 1_000;
/// With more series than this, computing and saving go to a thread that may block.
const MANY: u64 = 20_000;
/// Rest after a turn, so that batches that come one on the heels of the other are one turn.
const REST: Duration = Duration::from_millis(4);
/// Pause after an error of the journal.
const PAUSE: Duration = Duration::from_secs(1);

const SOURCE: Source = Source { listener: Listener::Aggregator, origin: Origin::Live };

/// The task.
pub(super) struct Task<S> {
    pub(super) machine: Machine,
    journal: Journal,
    /// Lent to a thread while files are read.
    reader: Option<Reader>,
    submit: Arc<S>,
    clock: Clock,
    file: PathBuf,
    /// All before is in the machine.
    applied: u64,
    /// What the file holds, and what the one beside it.
    saved: u64,
    saved_before: u64,
    saved_at: f64,
    /// The second of the last tick.
    ticked: f64,
    /// The state of an earlier run is lost, and what came when is not known yet.
    is_lost: bool,
    counts: Arc<Mutex<Counts>>,
    deliveries: Vec<Delivery>,
}

/// Whether a turn has left anything to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    More,
    CaughtUp,
    Failed,
}

impl<S: Submit> Task<S> {
    /// Reads the state and goes back in the journal to where it ends.
    pub(super) fn open(
        options: Options,
        mut machine: Machine,
        journal: Journal,
        mut reader: Reader,
        submit: Arc<S>,
        counts: Arc<Mutex<Counts>>,
    ) -> Self {
        let path = state::path(&options.state_dir);
        let (position, held, end) = (reader.position(), reader.held(), journal.end());
        let found = state::read(&path);
        let is_damaged = matches!(found, Found::Damaged);
        let loaded = match found {
            Found::State(bytes) => {
                let loaded = state::decode(&bytes, &mut machine);
                if let Some((_, left_out @ 1..)) = loaded {
                    tracing::warn!(
                        aggregations = left_out,
                        "aggregations have changed since the last run: what their buckets held is dropped"
                    );
                }
                loaded.map(|(seq, _)| seq)
            }
            Found::None | Found::Damaged => None,
        };
        let is_lost = loaded.is_none() && (is_damaged || held != u64::MAX);
        let mut begin = match loaded {
            // Without buckets nothing is needed that came before the hold.
            Some(seq) if machine.open() == 0 && held == u64::MAX => seq.max(position),
            Some(seq) if machine.open() == 0 => seq.max(held),
            Some(seq) => seq,
            None if held != u64::MAX => held,
            None => position,
        };
        if begin > end {
            tracing::error!(
                points = begin - end,
                "aggregates are further than the journal, which was removed or has lost its end; they go on from there"
            );
            begin = end;
        }
        let start = journal.start();
        if begin < start {
            tracing::error!(
                points = start - begin,
                "the journal does not reach back to where aggregates were saved: they lack what came between"
            );
        }
        if is_lost {
            tracing::error!(
                path = %path.display(),
                "the state of aggregates is lost: buckets that were open lack what came before"
            );
        }
        let is_needed = machine.open() > 0 || held != u64::MAX;
        reader.hold(if is_needed { begin.min(held) } else { u64::MAX });
        reader.rewind(begin);
        if loaded.is_none() && !is_lost {
            // From now on a file that is not there is one that was lost.
            let sync = journal.durability() == Durability::Machine;
            if let Err(error) = file::update(&path, &state::encode(&machine, begin), sync) {
                machine.counts.save_errors += 1;
                tracing::warn!(path = %path.display(), %error, "the state of aggregates cannot be saved");
            }
        }
        machine.is_changed = false;
        Self {
            machine,
            journal,
            reader: Some(reader),
            submit,
            saved_at: options.clock.now(),
            clock: options.clock,
            file: path,
            applied: begin,
            saved: begin,
            saved_before: begin,
            ticked: f64::NEG_INFINITY,
            is_lost,
            counts,
            deliveries: Vec::new(),
        }
    }

    /// Runs until the node stops: then reads to the end of the journal, as long as it may, and saves.
    pub(super) async fn run(mut self, mut changes: watch::Receiver<Work<S>>, stop: Stop) {
        loop {
            tokio::task::consume_budget().await;
            if stop.abort.is_cancelled() {
                break;
            }
            if changes.has_changed().unwrap_or(false) {
                let work = changes.borrow_and_update().clone();
                self.replace(work).await;
            }
            let turn = self.turn().await;
            if self.is_save_due() {
                self.save().await;
            }
            match turn {
                Turn::More => {}
                Turn::CaughtUp if stop.drain.is_cancelled() => break,
                Turn::CaughtUp => {
                    tokio::select! {
                        biased;
                        () = stop.drain.cancelled() => continue,
                        () = self.something_to_do(&mut changes) => {}
                    }
                    // A stop ends the rest too.
                    let _cut_short = stop.drain.run_until_cancelled(sleep(REST)).await;
                }
                Turn::Failed => {
                    let _cut_short = stop.abort.run_until_cancelled(sleep(PAUSE)).await;
                }
            }
        }
        self.save().await;
        self.publish();
    }

    /// Resolves when there is something to read, at the next full second, or when the routing has changed.
    async fn something_to_do(&self, changes: &mut watch::Receiver<Work<S>>) {
        let Some(reader) = &self.reader else { return };
        let now = self.clock.now();
        let to_the_second = Duration::from_secs_f64((now.floor() + 1.0 - now).clamp(0.001, 1.0));
        tokio::select! {
            () = reader.ready() => {}
            () = sleep(to_the_second) => {}
            // Without a sender nothing changes any more.
            Ok(()) = changes.changed() => changes.mark_changed(),
        }
    }

    /// Reads some, and computes what is due.
    pub(super) async fn turn(&mut self) -> Turn {
        // Asked for first: all that was received before is in the journal behind the cursor, or applied.
        let now = self.clock.now();
        let Some(reader) = self.reader.take() else { return Turn::Failed };
        let (reader, taken) = source::take(reader, std::mem::take(&mut self.deliveries)).await;
        let is_caught_up = reader.cursor() >= self.journal.end();
        self.reader = Some(reader);
        let mut deliveries = taken.deliveries;
        for delivery in deliveries.drain(..) {
            self.apply(&delivery).await;
        }
        self.deliveries = deliveries;
        if let Err(error) = taken.outcome {
            tracing::error!(%error, "inputs of aggregates cannot be read; it is tried again");
            self.publish();
            return Turn::Failed;
        }
        if is_caught_up {
            self.pass_foreign();
            self.tick(now).await;
        }
        self.publish();
        if is_caught_up { Turn::CaughtUp } else { Turn::More }
    }

    /// All before the cursor is applied, where the last of it was for others.
    fn pass_foreign(&mut self) {
        if let Some(reader) = &self.reader {
            self.applied = self.applied.max(reader.cursor());
        }
    }

    /// Puts a batch into the machine.
    async fn apply(&mut self, delivery: &Delivery) {
        let batch = &*delivery.batch;
        // A journal that was written while the clock was ahead has times of receipt that are yet to come.
        let now = batch.received.min(self.clock.now());
        if std::mem::take(&mut self.is_lost) {
            self.machine.close_before(now);
        }
        // What was due before this batch came is computed without it.
        self.tick(now).await;
        let is_made = batch.source.listener == Listener::Aggregator;
        let seen = self.applied.saturating_sub(batch.first_seq) as usize;
        let mut add = |i: usize| {
            if let Some(sample) = batch.samples.get(i).filter(|_| i >= seen) {
                self.machine.add(now, batch.name(sample), sample, is_made);
            }
        };
        match &delivery.mine {
            Mine::All => (0..batch.len()).for_each(&mut add),
            Mine::Some(indexes) => indexes.iter().for_each(|i| add(*i as usize)),
        }
        self.applied = self.applied.max(batch.end_seq());
        let Some(reader) = &mut self.reader else { return };
        let position = reader.position();
        if reader.held() == u64::MAX {
            reader.hold(position.min(batch.first_seq));
        }
        let counted = position.saturating_sub(batch.first_seq) as usize;
        let points = match &delivery.mine {
            Mine::All => batch.len().saturating_sub(counted),
            Mine::Some(indexes) => indexes.iter().filter(|i| **i as usize >= counted).count(),
        };
        reader.done(batch.end_seq(), points as u64);
    }

    /// Computes and submits what is due, if a second has begun since the last time.
    async fn tick(&mut self, now: f64) {
        let second = now.floor();
        // A clock that was set back goes on from where it is.
        if second == self.ticked {
            return;
        }
        self.ticked = second;
        let due = if self.machine.open() > MANY {
            let machine = std::mem::take(&mut self.machine);
            let due;
            (self.machine, due) = source::away(machine, move |machine| machine.tick(now)).await;
            due
        } else {
            self.machine.tick(now)
        };
        self.send(due).await;
    }

    /// Goes on by another routing.
    async fn replace(&mut self, work: Work<S>) {
        let due = self.machine.replace(work.routing);
        self.send(due).await;
        self.submit = work.submit;
    }

    async fn send(&mut self, all: Vec<Due>) {
        let mut is_taken = true;
        for Due { then, made } in all {
            for made in made.chunks(BATCH) {
                // Where one batch finds no room the others would wait for it too.
                is_taken = is_taken && self.send_batch(made, &then).await;
                if !is_taken {
                    self.machine.failed(made);
                }
            }
        }
    }

    async fn send_batch(&mut self, made: &[Made], then: &Then) -> bool {
        match batch(made, self.clock.now(), &mut self.machine.counts) {
            Some(batch) => self.submit.submit(batch, then).await,
            None => true,
        }
    }

    fn is_save_due(&self) -> bool {
        let passed = (self.clock.now() - self.saved_at).abs();
        let holds = self.reader.as_ref().is_some_and(|reader| reader.held() != u64::MAX);
        let moved = holds && self.applied > self.saved;
        passed >= SAVE_EVERY && (self.machine.is_changed || moved)
    }

    /// Saves, and lets the journal go up to what both the file and the one beside it hold.
    pub(super) async fn save(&mut self) {
        self.saved_at = self.clock.now();
        let machine = std::mem::take(&mut self.machine);
        let (path, applied) = (self.file.clone(), self.applied);
        let sync = self.journal.durability() == Durability::Machine;
        let (machine, outcome) = source::away(machine, move |machine| {
            let content = state::encode(machine, applied);
            file::update(&path, &content, sync)
        })
        .await;
        self.machine = machine;
        if let Err(error) = outcome {
            self.machine.counts.save_errors += 1;
            tracing::warn!(path = %self.file.display(), %error, "the state of aggregates is not saved; it is tried again");
            return;
        }
        self.machine.is_changed = false;
        self.saved_before = std::mem::replace(&mut self.saved, self.applied);
        if let Some(reader) = &mut self.reader {
            // After a start what lies before the position may have to be read again.
            let is_all_there = self.machine.open() == 0 && self.applied >= reader.position();
            reader.hold(if is_all_there { u64::MAX } else { self.saved_before });
        }
    }

    fn publish(&self) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = self.machine.counts;
    }
}

/// A batch of aggregates.
fn batch(made: &[Made], now: f64, counts: &mut Counts) -> Option<Batch> {
    let mut builder = BatchBuilder::new(SOURCE, now);
    builder.reserve(made.len() * 64);
    for Made { name, ts, value, digits, .. } in made {
        let write = |text: &mut Vec<u8>| match digits {
            Digits::Fewest => line::write_number(*value, text),
            Digits::Six => line::write_six_digits(*value, text),
        };
        match builder.point_as(name.as_bytes(), *ts, *value, write) {
            Ok(()) => {}
            Err(Reject::NanValue) => counts.no_value += 1,
            Err(_) => counts.bad_names += 1,
        }
    }
    builder.finish()
}
