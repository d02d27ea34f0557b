//! Writes what the log brings: a reader of the log like any other, whose position moves when Redis has the points.
//!
//! Points go in chunks, one at a time, each a transaction that also moves the mark. An APPEND that is done twice
//! doubles points, so after an answer that did not come the mark is read first: it tells whether Redis has the
//! chunk. Only a Redis that was stopped, and goes on with a chunk after we have read the mark, can still double the
//! points of that one chunk; who reads a window drops what is double.

use super::fill::Fills;
use super::state::{State, add};
use super::{Compat, Options, Windows};
use crate::server::{Error, Server};
use redis::{Pipeline, Value, pipe};
use skyline_core::batch::{Origin, Sample};
use skyline_core::point::Datapoint;
use skyline_core::reject::RejectCounts;
use skyline_core::shard::ShardId;
use skyline_journal::{Delivery, Mine, Reader};
use std::panic::resume_unwind;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Points that are taken from the log, and so in flight, at once.
pub(super) const TAKEN: usize = 4_000;
/// After a chunk that was not full, more points are gathered for so long: a transaction has its price.
const GATHER: Duration = Duration::from_millis(100);
/// Without points the mark is looked at once in so long.
const LOOK: Duration = Duration::from_secs(5);
/// Pauses between attempts while Redis takes nothing.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pause after the log could not be read.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// The task that writes.
pub(super) struct Writer<'c, W> {
    compat: &'c Compat<W>,
    reader: Reader,
    stop: CancellationToken,
    /// The mark that Redis should hold: all before it is there. Not known at first, and after an answer was lost.
    mark: Mark,
    /// Points before this are in Redis already, from an earlier run.
    written_before: u64,
    /// The connection by which the set was last told of names.
    connection: u64,
    /// Points that the log had dropped before we had them, when last looked.
    shed: u64,
}

/// What we know of the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Nothing was asked yet.
    Unknown,
    /// It is this.
    Is(u64),
    /// It was this, and may be that of the chunk that was last sent.
    Was(u64),
}

/// What is written at once.
struct Chunk {
    pipeline: Pipeline,
    /// All before is written with it.
    end: u64,
    /// Points of the log in it, those that are not written too.
    delivered: u64,
    /// Points that are appended.
    points: usize,
    /// History that goes into its place before.
    fills: Fills,
}

impl<'c, W: Windows> Writer<'c, W> {
    pub(super) fn new(compat: &'c Compat<W>, reader: Reader, stop: CancellationToken) -> Self {
        Self { compat, reader, stop, mark: Mark::Unknown, written_before: 0, connection: 0, shed: 0 }
    }

    fn server(&self) -> &'c Server {
        &self.compat.server
    }

    fn state(&self) -> &'c State {
        &self.compat.state
    }

    fn options(&self) -> &'c Options {
        &self.compat.options
    }

    pub(super) async fn run(mut self) {
        self.shed = self.reader.ledger().shed;
        let stop = self.stop.clone();
        if stop.run_until_cancelled(self.begin()).await.is_none() {
            return;
        }
        let mut looked = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.reader.ready() => {}
                () = sleep(LOOK.saturating_sub(looked.elapsed())) => {
                    looked = Instant::now();
                    // A failure is found again by the next that is written.
                    drop(self.look().await);
                    continue;
                }
            }
            let (back, deliveries) = take(self.reader).await;
            self.reader = back;
            self.look_at_account();
            match deliveries {
                Ok(deliveries) if deliveries.is_empty() => {}
                Ok(deliveries) => {
                    let mut delivered = 0;
                    for run in deliveries.chunk_by(|a, b| is_history(a) == is_history(b)) {
                        let chunk = self.chunk(run);
                        let (end, points) = (chunk.end, chunk.delivered);
                        let is_written = end <= self.written_before;
                        if !is_written && !Box::pin(self.put(chunk)).await {
                            return;
                        }
                        self.reader.done(end, points);
                        delivered += points;
                    }
                    drop(deliveries);
                    if delivered < TAKEN as u64 / 2 && !stop.is_cancelled() {
                        sleep(GATHER).await;
                    }
                    looked = Instant::now();
                }
                Err(error) => {
                    tracing::error!(%error, "the log cannot be read for Redis");
                    sleep(LOG_PAUSE).await;
                }
            }
        }
    }

    /// Learns from the mark what an earlier run has written.
    async fn begin(&mut self) {
        let gap_key = self.options().gap_key();
        let mut question = pipe();
        question.atomic().cmd("GET").arg(&self.options().mark).cmd("EXISTS").arg(&gap_key);
        let answers = loop {
            match self.server().run(&question).await {
                Ok(answers) => break answers,
                Err(error) => self.failed(&error, SHORTEST_PAUSE.max(LOG_PAUSE)).await,
            }
        };
        self.succeeded();
        let found = answers.first().and_then(number);
        let position = self.reader.position();
        // Of a reader of everything, each point of the log is one of its own.
        let end = position + self.reader.ledger().waiting;
        match found {
            Some(mark) if mark >= position && mark <= end => self.written_before = mark,
            Some(mark) if mark < position => self.state().set_gap("it has lost what it had"),
            Some(_) => self.state().set_gap("it was written by another log"),
            None => self.state().set_gap("nothing was written to it yet"),
        }
        if found.is_some() && self.state().gaps_left() == 0 && answers.get(1) == Some(&Value::Int(1)) {
            self.state().set_gap("an earlier gap was not mended to its end");
        }
        self.mark = Mark::Is(found.unwrap_or(0));
        self.connection = self.server().connection();
        self.state().began.store(true, Ordering::Release);
    }

    /// Looks whether Redis still has what it had.
    async fn look(&mut self) -> Result<(), Error> {
        let found = self.found().await?;
        self.compare(found, None);
        self.mark = Mark::Is(found);
        Ok(())
    }

    /// The mark that Redis holds. Asked in a transaction: who may not begin one would have
    /// the commands of a chunk carried out one by one.
    async fn found(&self) -> Result<u64, Error> {
        let mut question = pipe();
        question.atomic().cmd("GET").arg(&self.options().mark);
        Ok(self.server().run(&question).await?.first().and_then(number).unwrap_or(0))
    }

    /// The mark that was found, against what it should be.
    fn compare(&self, found: u64, sent: Option<u64>) {
        let is_right = match self.mark {
            Mark::Unknown => true,
            Mark::Is(mark) => found == mark,
            Mark::Was(mark) => found == mark || Some(found) == sent,
        };
        if !is_right {
            self.state().set_gap("it has lost what it had");
        }
    }

    /// What the log has dropped before it was taken is in no chunk.
    fn look_at_account(&mut self) {
        let ledger = self.reader.ledger();
        if ledger.shed > self.shed {
            self.state().set_gap("the log has dropped points that were not written yet");
        }
        self.shed = ledger.shed;
        self.state().waiting.store(ledger.waiting, Ordering::Relaxed);
    }

    /// The commands for what was taken.
    fn chunk(&mut self, deliveries: &[Delivery]) -> Chunk {
        let options = self.options();
        let end = deliveries.last().map_or(0, |delivery| delivery.batch.end_seq());
        let delivered = deliveries.iter().map(Delivery::points).sum();
        let mut pipeline = Pipeline::with_capacity(TAKEN + 2);
        pipeline.atomic().cmd("GETSET").arg(&options.mark).arg(end);
        let mut names = self.compat.names();
        if self.connection != self.server().connection() {
            self.connection = self.server().connection();
            names.all_untold();
        }
        let now = options.clock.now();
        let (mut points, mut told) = (0, Vec::new());
        let (mut rejected, mut fills) = (RejectCounts::default(), Fills::default());
        let mut pair = Vec::with_capacity(24);
        for (batch, seq, sample) in deliveries.iter().flat_map(samples) {
            let is_mine = options.shards.contains(ShardId::of_hash(sample.hash));
            if seq < self.written_before || batch.source.origin == Origin::Own || !is_mine {
                continue;
            }
            match names.admit(batch, sample, now, options) {
                Ok((name, is_new)) => {
                    let key = options.key(name);
                    let point = Datapoint::new(sample.ts, sample.value);
                    if is_new {
                        told.push(key.clone());
                    }
                    if batch.source.origin == Origin::Backfill {
                        fills.add(key, point);
                        continue;
                    }
                    pair.clear();
                    super::pair::encode(point, &mut pair);
                    pipeline.cmd("APPEND").arg(&key).arg(pair.as_slice());
                    points += 1;
                }
                Err(reason) => rejected.add(reason, 1),
            }
        }
        self.state().names.store(names.len() as u64, Ordering::Relaxed);
        drop(names);
        self.state().rejected.lock().unwrap_or_else(PoisonError::into_inner).merge(&rejected);
        if !told.is_empty() {
            pipeline.cmd("SADD").arg(options.set()).arg(told);
        }
        Chunk { pipeline, end, delivered, points, fills }
    }

    /// Tries until Redis has a chunk; false when that was stopped.
    async fn put(&mut self, mut chunk: Chunk) -> bool {
        let mut pause = SHORTEST_PAUSE;
        let stop = self.stop.clone();
        while let Err(error) = Box::pin(self.attempt(&mut chunk)).await {
            if stop.run_until_cancelled(self.failed(&error, pause)).await.is_none() {
                return false;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.succeeded();
        true
    }

    async fn attempt(&mut self, chunk: &mut Chunk) -> Result<(), Error> {
        Box::pin(self.compat.fill_in(&mut chunk.fills)).await?;
        if let Mark::Was(_) = self.mark {
            let found = self.found().await?;
            self.compare(found, Some(chunk.end));
            self.mark = Mark::Is(found);
            if found == chunk.end {
                // It had it all the time.
                add(&self.state().written, chunk.points);
                return Ok(());
            }
            add(&self.state().resent, chunk.points);
        }
        let outcomes = match self.server().run_each(&chunk.pipeline).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                if let Mark::Is(mark) = self.mark {
                    self.mark = Mark::Was(mark);
                }
                return Err(error);
            }
        };
        let mut outcomes = outcomes.into_iter();
        let before = outcomes.next().and_then(Result::ok).as_ref().and_then(number).unwrap_or(0);
        self.compare(before, None);
        self.mark = Mark::Is(chunk.end);
        let refused = outcomes.filter_map(Result::err).inspect(|error| {
            if self.state().refused.load(Ordering::Relaxed) == 0 {
                tracing::warn!("Redis does not take the points of a metric: {error}");
            }
        });
        let refused = refused.count();
        add(&self.state().refused, refused);
        add(&self.state().written, chunk.points.saturating_sub(refused));
        Ok(())
    }

    /// Tells of a failure once, and rests.
    async fn failed(&self, error: &Error, pause: Duration) {
        if !self.state().stuck.swap(true, Ordering::Relaxed) {
            tracing::warn!("points wait for Redis in the log: {error}");
        }
        sleep(pause).await;
    }

    fn succeeded(&self) {
        if self.state().stuck.swap(false, Ordering::Relaxed) {
            tracing::info!("Redis takes points again");
        }
    }
}

/// Whether its points go into their places. What was received before them is there then: each kind has its chunks.
fn is_history(delivery: &Delivery) -> bool {
    delivery.batch.source.origin == Origin::Backfill
}

/// The samples of a delivery that are ours, with their sequence numbers.
fn samples(delivery: &Delivery) -> impl Iterator<Item = (&skyline_core::batch::Batch, u64, &Sample)> {
    let batch = &*delivery.batch;
    let indexes: Box<dyn Iterator<Item = usize>> = match &delivery.mine {
        Mine::All => Box::new(0..batch.len()),
        Mine::Some(indexes) => Box::new(indexes.iter().map(|index| *index as usize)),
    };
    indexes.filter_map(move |index| Some((batch, batch.first_seq + index as u64, batch.samples.get(index)?)))
}

/// A number in an answer, as a mark is.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(n) => u64::try_from(*n).ok(),
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// Takes what comes next; what is read from files is read on a thread that may block.
async fn take(mut reader: Reader) -> (Reader, Result<Vec<Delivery>, skyline_journal::Error>) {
    let mut deliveries = Vec::new();
    if reader.in_memory() {
        let outcome = reader.take(TAKEN, &mut deliveries).map(|()| deliveries);
        return (reader, outcome);
    }
    let task = spawn_blocking(move || {
        let outcome = reader.take(TAKEN, &mut deliveries).map(|()| deliveries);
        (reader, outcome)
    });
    match task.await {
        Ok(back) => back,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is being shut down: nothing of this task runs any more.
            Err(_) => std::future::pending().await,
        },
    }
}
