//! One run of a job: piece by piece, each in the journal before the next is asked for.

use super::{Job, Sink};
use crate::cursor::Cursor;
use crate::error::Error;
use crate::plan::Range;
use crate::series::{Answer, Limits};
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Shortest span that is asked for at once because longer ones are too much, seconds.
const SHORTEST: i64 = 60;

/// Bytes of a point in an answer, at most: more than either server writes.
const POINT_BYTES: u64 = 64;

impl Job {
    pub(crate) fn load_cursor(&self) -> Cursor {
        Cursor::load(&self.file, &self.fetch)
    }

    /// Fetches everything that is due and submits it, piece by piece; the cursor moves behind each.
    ///
    /// # Errors
    /// A piece was not fetched or not taken. Those before it are.
    pub(crate) async fn run(&self, cursor: &mut Cursor, sink: &Sink) -> Result<(), Error> {
        let begun = Instant::now();
        let now = self.clock.now() as i64;
        if cursor.rewind(now) {
            tracing::warn!(job = self.name(), "the clock was set back: the job goes on at what is now");
        }
        let mut pieces: VecDeque<Range> = self.wants().ranges(now, cursor.asked()).into();
        while let Some(piece) = pieces.pop_front() {
            if begun.elapsed() >= self.run_timeout {
                // The next run goes on here.
                tracing::debug!(job = self.name(), "the run takes long; the rest is fetched by the next");
                return Ok(());
            }
            let (range, rest) = piece.cut(self.longest.load(Relaxed));
            if let Some(rest) = rest {
                pieces.push_front(rest);
            }
            let began = Instant::now();
            let asked = sink.stop.run_until_cancelled(self.ask_in_place(range, now)).await;
            let (answer, place) = match asked {
                None => return Ok(()),
                Some(Err(error)) if error.is_too_much() && self.shorten(range) => {
                    pieces.push_front(range);
                    continue;
                }
                Some(Err(error)) => {
                    if error.is_late() {
                        // The next run, after a pause: a server that hangs is not asked at once again.
                        self.shorten(range);
                    }
                    return Err(error);
                }
                Some(Ok(asked)) => asked,
            };
            let took = began.elapsed();
            self.take(&answer, range, cursor, sink).await?;
            drop(place);
            self.lengthen(range, &answer, took);
        }
        Ok(())
    }

    /// Asks for the newest of what it fetches, for less of that where the answer is too long; what was asked for, and the
    /// answer. Stores nothing.
    ///
    /// # Errors
    /// There is no answer, or one that is of no use.
    pub async fn newest(&self) -> Result<(Range, Answer), Error> {
        let mut range = self.wants().newest(self.clock.now() as i64);
        loop {
            match self.ask(range).await {
                Err(error) if error.is_too_much() && self.shorten(range) => {
                    range.from = range.until - range.seconds() / 2;
                }
                asked => return asked.map(|answer| (range, answer)),
            }
        }
    }

    /// Puts an answer into the journal, and moves the cursor behind it.
    async fn take(
        &self,
        answer: &Answer,
        range: Range,
        cursor: &mut Cursor,
        sink: &Sink,
    ) -> Result<(), Error> {
        let named = self.names(answer)?;
        self.submit(answer, &named, range, cursor, sink).await?;
        cursor.move_to(range.until, self.late);
        self.save(cursor).await;
        let unnamed = named.names.iter().filter(|name| name.is_none()).count();
        self.counts(|counts| {
            counts.skipped.add(&answer.skipped);
            counts.series = answer.series.len();
            counts.unnamed += unnamed as u64;
            counts.asked = cursor.asked();
            if named.why.is_some() {
                counts.why_unnamed = named.why;
            }
        });
        Ok(())
    }

    /// An answer to `range` was too long: asks for half of it from now on. False: it is short already.
    fn shorten(&self, range: Range) -> bool {
        let half = range.seconds() / 2;
        if half < SHORTEST.max(i64::from(self.fetch.step_seconds)) {
            // What is wrong is not the span.
            self.longest.store(i64::MAX, Relaxed);
            return false;
        }
        if self.longest.swap(half, Relaxed) == i64::MAX {
            tracing::info!(job = self.name(), "the answers are too long; less is asked for at once");
        }
        true
    }

    /// An answer to `range` was so short, and so soon there, that twice the span would do.
    fn lengthen(&self, range: Range, answer: &Answer, took: Duration) {
        let longest = self.longest.load(Relaxed);
        if longest == i64::MAX || range.seconds() < longest {
            return;
        }
        let points: usize = answer.series.iter().map(|series| series.points.len()).sum();
        let points = points as u64 + answer.skipped.null + answer.skipped.not_finite;
        let is_short = points.saturating_mul(POINT_BYTES * 4) < self.fetch.max_body_bytes
            && points.saturating_mul(4) < Limits::default().points as u64
            && took.as_secs_f64() * 4.0 < self.fetch.timeout_seconds;
        if is_short {
            self.longest.store(longest.saturating_mul(2), Relaxed);
        }
    }

    /// Writes the cursor; one that cannot be written is counted, and told once.
    pub(super) async fn save(&self, cursor: &Cursor) {
        let (cursor, file, sync) = (cursor.clone(), self.file.clone(), self.sync);
        let saved = tokio::task::spawn_blocking(move || cursor.save(&file, sync)).await;
        let error = match saved {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let first = self.counts(|counts| {
            counts.unsaved += 1;
            counts.unsaved == 1
        });
        if first {
            let path = self.file.display();
            tracing::warn!(job = self.name(), %path, error, "how far a job has come is not written: after a restart it fetches again");
        }
    }
}
