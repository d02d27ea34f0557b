//! What was fetched, on its way into the log.

use super::aside::aside;
use super::fetch::{Asked, Batch, Fetched};
use super::pace::Pace;
use super::run::{End, SOON};
use super::state::{Counts, Report};
use super::{Halt, Inner};
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use skyline_core::point::Datapoint;
use skyline_core::reject::RejectCounts;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Points that go into the log at once: the windows look after others between two batches.
const AT_ONCE: usize = 8_192;
/// The log says so when the job has waited so long for room in the journal.
const LONG: Duration = Duration::from_secs(10);
const SOURCE: Source = Source { listener: Listener::Backfill, origin: Origin::Backfill };

/// Puts what was fetched into the log, as far as the windows lack it, and then writes down that it is done.
pub(super) async fn commit(
    inner: &Arc<Inner>,
    fetched: Batch,
    pace: &Pace,
    halt: &Halt,
    failed_in_a_row: &mut u64,
) -> Result<(), End> {
    let Batch { metrics, skipped, asked, unasked, .. } = fetched;
    let done = metrics.len() as u64;
    inner.asked(asked);
    let mut taking = Taking { inner, pace, halt, outcome: Outcome::default() };
    let taken = taking.all(metrics, failed_in_a_row).await;
    let outcome = taking.outcome;
    let totals = &inner.totals;
    totals.stored.fetch_add(outcome.stored, Relaxed);
    totals.there.fetch_add(outcome.there, Relaxed);
    totals.refused.fetch_add(outcome.refused.total(), Relaxed);
    let now = inner.parts.clock.now();
    let report = inner.change(|report| {
        let counts = &mut report.counts;
        counts.add(asked);
        counts.points += outcome.stored + outcome.there + outcome.refused.total();
        counts.stored += outcome.stored;
        counts.there += outcome.there;
        for (why, points) in outcome.refused.iter() {
            *counts.refused.entry(why.label().to_owned()).or_default() += points;
        }
        if let Some(since) = report.since.replace(now) {
            report.seconds += (now - since).max(0.0);
        }
        // Metrics that are not done are taken again, by the next start.
        if taken.is_err() {
            return;
        }
        let counts = &mut report.counts;
        counts.empty += outcome.empty;
        counts.unasked += unasked;
        for (why, points) in skipped.each() {
            // No value at all is no point; of two at a time the last one is one.
            if points > 0 && !matches!(why, "null" | "duplicate" | "unsorted") {
                counts.points += points;
                *counts.refused.entry(why.to_owned()).or_default() += points;
            }
        }
        for (metric, error) in &outcome.troubles {
            report.trouble(metric, error);
        }
        report.position += done;
    });
    if let Some(report) = report {
        inner.save(&report).await?;
    }
    taken
}

impl Counts {
    pub(super) const fn add(&mut self, asked: Asked) {
        self.requests += asked.requests;
        self.failures += asked.failures;
    }
}

/// What becomes of the points of a batch.
#[derive(Default)]
struct Outcome {
    builder: Option<BatchBuilder>,
    stored: u64,
    there: u64,
    empty: u64,
    refused: RejectCounts,
    /// Metrics that could not be read, and why.
    troubles: Vec<(String, String)>,
}

/// A batch that is taken in.
struct Taking<'a> {
    inner: &'a Inner,
    pace: &'a Pace,
    halt: &'a Halt,
    outcome: Outcome,
}

impl Taking<'_> {
    async fn all(&mut self, metrics: Vec<Fetched>, failed_in_a_row: &mut u64) -> Result<(), End> {
        for Fetched { metric, points } in metrics {
            match points {
                Ok(points) => {
                    *failed_in_a_row = 0;
                    self.outcome.empty += u64::from(points.is_empty());
                    self.metric(metric, points).await?;
                }
                Err(error) => {
                    *failed_in_a_row += 1;
                    self.outcome.troubles.push((metric, error));
                }
            }
        }
        self.flush().await
    }

    /// Takes the points of a metric that its window lacks.
    async fn metric(&mut self, metric: String, points: Vec<Datapoint>) -> Result<(), End> {
        if points.is_empty() {
            return Ok(());
        }
        let parts = &self.inner.parts;
        let (now, points) = (parts.clock.now(), Arc::new(points));
        let missing = loop {
            let asked = parts.windows.missing(metric.clone(), Arc::clone(&points), now);
            match self.halt.unless(asked).await? {
                Some(missing) => break missing,
                None => self.halt.unless(tokio::time::sleep(SOON)).await?,
            }
        };
        self.outcome.there += missing.there;
        self.outcome.refused.merge(&missing.refused);
        for point in missing.points {
            let builder = self.outcome.builder.get_or_insert_with(|| BatchBuilder::new(SOURCE, now));
            match builder.point(metric.as_bytes(), point.ts, point.value) {
                Ok(()) => {}
                Err(why) => self.outcome.refused.add(why, 1),
            }
            if builder.len() >= 2 * AT_ONCE {
                self.flush().await?;
            }
        }
        if self.outcome.builder.as_ref().is_some_and(|builder| builder.len() >= AT_ONCE) {
            self.flush().await?;
        }
        Ok(())
    }

    /// Logs what was gathered.
    async fn flush(&mut self) -> Result<(), End> {
        let Some(batch) = self.outcome.builder.take().and_then(BatchBuilder::finish) else { return Ok(()) };
        let points = batch.len() as u64;
        self.halt.unless(self.pace.wait(points as f64)).await?;
        self.room().await?;
        if self.inner.parts.intake.submit_fetched(batch, &self.halt.any).await {
            self.outcome.stored += points;
            return Ok(());
        }
        if self.halt.any.is_cancelled() {
            return Err(self.halt.end());
        }
        Err(End::Failed("the log takes no points; `skyline doctor` says why".to_owned()))
    }

    /// Waits until the log has room: what is in it and not read yet by all goes before history, whatever `journal.when_full`
    /// says.
    async fn room(&self) -> Result<(), End> {
        let room = self.inner.parts.intake.has_room_for_bulk(&self.halt.any);
        tokio::pin!(room);
        let has_room = match tokio::time::timeout(LONG, &mut room).await {
            Ok(has_room) => has_room,
            Err(_) => {
                tracing::warn!(
                    "the back-fill waits: the journal is full of points that a destination has yet to get; `skyline status` says which is behind"
                );
                room.await
            }
        };
        if has_room { Ok(()) } else { Err(self.halt.end()) }
    }
}

impl Inner {
    /// No job runs any more.
    pub(super) fn end(&self, report: Report) {
        let mut halt = self.halt.lock().unwrap_or_else(PoisonError::into_inner);
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        *halt = None;
    }

    pub(super) fn report(&self) -> Option<Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the report; a copy of it as it is then.
    pub(super) fn change(&self, change: impl FnOnce(&mut Report)) -> Option<Report> {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.as_mut().map(|report| {
            change(report);
            report.clone()
        })
    }

    pub(super) async fn save(self: &Arc<Self>, report: &Report) -> Result<(), String> {
        let (inner, report) = (Arc::clone(self), report.clone());
        let saved = aside(move || inner.file.save(&report)).await;
        saved.map_err(|(path, error)| {
            format!("the state of the back-fill is not saved in {}: {error}", path.display())
        })
    }

    pub(super) fn asked(&self, asked: Asked) {
        self.totals.requests.fetch_add(asked.requests, Relaxed);
        self.totals.failures.fetch_add(asked.failures, Relaxed);
    }
}
