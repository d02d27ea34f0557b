//! The points of an answer on their way into the journal: history first, so that what is judged has it behind it.

use super::{Job, Named, Sink};
use crate::cursor::Cursor;
use crate::error::Error;
use crate::plan::Range;
use crate::series::Answer;
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use std::time::Duration;

/// Points of a batch.
const BATCH: usize = 5_000;

/// History waits so long for room in a journal that takes all and sheds; then the run fails, and others have its place.
const WAIT: Duration = Duration::from_secs(10);

/// Batches of one origin.
struct Gathering<'a> {
    job: &'a Job,
    sink: &'a Sink,
    origin: Origin,
    batch: BatchBuilder,
    /// Newest time of each name in it.
    newest: Vec<(&'a str, i64)>,
}

impl Job {
    pub(super) async fn submit(
        &self,
        answer: &Answer,
        named: &Named,
        range: Range,
        cursor: &mut Cursor,
        sink: &Sink,
    ) -> Result<(), Error> {
        let now = self.clock.now() as i64;
        let live_from = self.wants().live_from(now, self.live);
        for origin in [Origin::History, Origin::Live] {
            let mut gathering = Gathering::new(self, sink, origin);
            for (series, name) in answer.series.iter().zip(&named.names) {
                let Some(name) = name else { continue };
                let fresh = cursor.fresh(name, &series.points, range);
                let (old, new) = fresh.split_at(fresh.partition_point(|p| p.ts < live_from));
                let points = if origin == Origin::History { old } else { new };
                for point in points {
                    // The name was looked at, and the value is a number: it is taken.
                    if gathering.batch.point(name.as_bytes(), point.ts as f64, point.value).is_ok() {
                        gathering.newest.push((name, point.ts));
                    }
                    if gathering.batch.len() >= BATCH {
                        gathering.has_room().await?;
                        gathering.flush(cursor).await?;
                        // A long piece: a kill fetches again what is in hand, not all of it.
                        self.save(cursor).await;
                    }
                }
            }
            gathering.flush(cursor).await?;
        }
        Ok(())
    }
}

impl<'a> Gathering<'a> {
    fn new(job: &'a Job, sink: &'a Sink, origin: Origin) -> Self {
        Self { job, sink, origin, batch: Self::builder(job, origin), newest: Vec::new() }
    }

    fn builder(job: &Job, origin: Origin) -> BatchBuilder {
        BatchBuilder::new(Source { listener: Listener::Vista, origin }, job.clock.now())
    }

    /// A full batch of history is not to take the place of points that a destination has yet to get, whatever the journal
    /// does when it is full. Live points, and what a short gap brings, do not wait: they are to be judged.
    async fn has_room(&self) -> Result<(), Error> {
        if self.origin != Origin::History {
            return Ok(());
        }
        let room = self.sink.intake.has_room_for_bulk(&self.sink.stop);
        if tokio::time::timeout(WAIT, room).await.is_ok_and(|has_room| has_room) {
            return Ok(());
        }
        Err(Error::NotLogged { job: self.job.name().to_owned(), points: self.batch.len() as u64 })
    }

    async fn flush(&mut self, cursor: &mut Cursor) -> Result<(), Error> {
        let fresh = Self::builder(self.job, self.origin);
        let Some(batch) = std::mem::replace(&mut self.batch, fresh).finish() else { return Ok(()) };
        let points = batch.len() as u64;
        if !self.sink.intake.submit_fetched(batch, &self.sink.stop).await {
            return Err(Error::NotLogged { job: self.job.name().to_owned(), points });
        }
        for (name, ts) in self.newest.drain(..) {
            cursor.took(name, ts);
        }
        self.job.counts(|counts| match self.origin {
            Origin::History => counts.history += points,
            _ => counts.live += points,
        });
        Ok(())
    }
}
