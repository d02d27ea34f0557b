//! One job, from its list to its end.

use super::fetch::{Batch, Fetched, From, Graphite};
use super::pace::Pace;
use super::state::{Phase, Report, Source};
use super::{Inner, Later, Wanted, list};
use skyline_core::batch::{BatchBuilder, Listener, Origin};
use skyline_core::reject::RejectCounts;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Points that go into the log at once: the windows look after others between two batches.
const AT_ONCE: usize = 8_192;
/// Pause before a window that is busy is asked again, and between two looks whether windows are whole.
const SOON: Duration = Duration::from_millis(20);
/// After a stop was asked for, so long points may take into the log.
const STOP_WAIT: Duration = Duration::from_secs(2);
/// Metrics one after the other that fail, each for itself, until the job ends.
const MOST_IN_A_ROW: u64 = 50;
const SOURCE: skyline_core::batch::Source =
    skyline_core::batch::Source { listener: Listener::Backfill, origin: Origin::Backfill };

/// How a job ends in this run of the node.
enum End {
    Done,
    Cancelled,
    /// The node stops; the next start goes on.
    Stopped,
    Failed(String),
}

/// Runs the job whose report is open.
pub(super) async fn run(inner: &Arc<Inner>, cancel: &CancellationToken) {
    let now = inner.parts.clock.now();
    inner.change(|report| {
        report.since = Some(now);
        report.resumed += u32::from(report.position > 0);
    });
    let end = tokio::select! {
        end = drive(inner, cancel) => end,
        // What is on its way into the log is counted there, unless the log has no room.
        () = async {
            inner.parts.stop.cancelled().await;
            tokio::time::sleep(STOP_WAIT).await;
        } => End::Stopped,
    };
    let now = inner.parts.clock.now();
    let report = inner.report().map(|mut report| {
        report.seconds += report.since.take().map_or(0.0, |since| (now - since).max(0.0));
        match &end {
            End::Done => report.phase = Phase::Done,
            End::Cancelled => report.phase = Phase::Cancelled,
            End::Stopped => {}
            End::Failed(why) => {
                report.phase = Phase::Failed;
                report.error.clone_from(why);
            }
        }
        report
    });
    if let Some(report) = report {
        inner.save(&report).unwrap_or_else(|why| tracing::error!("{why}"));
        if !report.phase.is_open() {
            inner.file.forget_names();
        }
        let (metrics, stored, seconds, phase) =
            (report.position, report.counts.stored, report.seconds, report.phase);
        // Who sees that it has ended can begin the next: nothing of this one comes behind.
        inner.end(report);
        match end {
            End::Failed(why) => tracing::warn!(metrics, stored, "the back-fill has failed: {why}"),
            End::Stopped => tracing::info!(metrics, stored, "the back-fill goes on at the next start"),
            _ => tracing::info!(metrics, stored, seconds, ?phase, "the back-fill has ended"),
        }
    }
}

async fn drive(inner: &Arc<Inner>, cancel: &CancellationToken) -> End {
    match try_drive(inner, cancel).await {
        Ok(end) => end,
        Err(why) => End::Failed(why),
    }
}

async fn try_drive(inner: &Arc<Inner>, cancel: &CancellationToken) -> Result<End, String> {
    let parts = &inner.parts;
    // What was logged before the start is to be seen as there.
    while !parts.windows.is_warm() {
        if cancel.is_cancelled() {
            return Ok(End::Cancelled);
        }
        tokio::time::sleep(SOON).await;
    }
    let Some(report) = inner.report() else { return Ok(End::Done) };
    let spec = Arc::new(report.spec.clone());
    let from = source(inner, &report)?;
    if report.phase == Phase::Listing {
        listing(inner, &report, &from, cancel).await?;
    }
    let names = inner.file.names().map_err(|(path, error)| {
        format!("the list of the back-fill, {}, cannot be read: {error}; begin it again", path.display())
    })?;
    let mut next = inner.report().map_or(0, |report| report.position as usize);
    let pace = Pace::new(parts.options.points_per_second);
    let mut ahead: VecDeque<AbortOnDropHandle<Batch>> = VecDeque::new();
    let mut failed_in_a_row = 0;
    loop {
        while ahead.len() < parts.options.concurrency.max(1) && next < names.len() && !cancel.is_cancelled() {
            let end = (next + parts.options.metrics_per_request.max(1)).min(names.len());
            let items = names.get(next..end).unwrap_or_default().to_vec();
            let fetching = from.clone().fetch(items, Arc::clone(&spec), parts.clock.now());
            ahead.push_back(AbortOnDropHandle::new(tokio::spawn(fetching)));
            next = end;
        }
        let Some(batch) = ahead.pop_front() else { break };
        let batch = tokio::select! {
            batch = batch => batch,
            () = parts.stop.cancelled() => return Ok(End::Stopped),
            () = cancel.cancelled() => return Ok(End::Cancelled),
        };
        let batch = batch.map_err(|error| format!("a question ended early: {error}"))?;
        let hopeless = batch.hopeless.clone();
        commit(inner, batch, &pace, &mut failed_in_a_row).await?;
        if let Some(why) = hopeless {
            return Ok(End::Failed(why));
        }
        // One file says nothing of the next.
        if matches!(from, From::Graphite(_)) && failed_in_a_row >= MOST_IN_A_ROW {
            let last = inner.report().and_then(|report| report.troubles.last().map(|t| t.error.clone()));
            let last = last.unwrap_or_default();
            return Ok(End::Failed(format!(
                "{MOST_IN_A_ROW} metrics in a row could not be read, such as: {last}"
            )));
        }
        if parts.stop.is_cancelled() {
            return Ok(End::Stopped);
        }
        if cancel.is_cancelled() {
            return Ok(End::Cancelled);
        }
    }
    Ok(if cancel.is_cancelled() { End::Cancelled } else { End::Done })
}

fn source(inner: &Inner, report: &Report) -> Result<From, String> {
    let options = &inner.parts.options;
    match &report.spec.source {
        Source::Whisper { folder } => Ok(From::Whisper(Arc::new(folder.clone()))),
        Source::Graphite { url } => {
            let server = inner.parts.surroundings.server(url.as_deref())?;
            let rate = report.spec.requests_per_second.unwrap_or(options.requests_per_second);
            let server = Graphite::new(server, Pace::new(rate), options.attempts, options.pause)?;
            Ok(From::Graphite(Arc::new(server)))
        }
    }
}

/// Looks which metrics there are, and writes them down.
async fn listing(
    inner: &Inner,
    report: &Report,
    from: &From,
    cancel: &CancellationToken,
) -> Result<(), String> {
    let select = report.spec.select.as_deref();
    let wanted: Wanted = match select {
        Some(select) => inner.parts.surroundings.pattern(select)?,
        None => Arc::new(|_| true),
    };
    let listed = match from {
        From::Graphite(server) => {
            list::names(server, select, &wanted, cancel).await.inspect_err(|_| inner.asked(1, 1))?
        }
        From::Whisper(folder) => {
            let folder = Arc::clone(folder);
            let listing = tokio::task::spawn_blocking(move || list::files(&folder, &wanted)).await;
            listing.map_err(|error| format!("reading folders ended early: {error}"))??
        }
    };
    if listed.items.is_empty() && !cancel.is_cancelled() {
        return Err(nothing(&listed, select));
    }
    inner.file.save_names(&listed.items).map_err(|(path, error)| format!("{}: {error}", path.display()))?;
    inner.asked(listed.requests, 0);
    let report = inner.change(|report| {
        report.metrics = listed.items.len() as u64;
        report.counts.nameless = listed.nameless;
        report.counts.others = listed.others;
        report.counts.requests += listed.requests;
        report.phase = Phase::Filling;
    });
    report.map_or(Ok(()), |report| inner.save(&report))
}

/// Why there is nothing to do.
fn nothing(listed: &list::Listed, select: Option<&str>) -> String {
    let what =
        if select.is_some() { "nothing there matches what is selected" } else { "there are no metrics" };
    match (listed.others, listed.nameless) {
        (0, 0) => what.to_owned(),
        (0, n) => format!("{what}; {n} files or folders have no name, or cannot be read"),
        (n, _) => format!(
            "{what}; {n} files are packed (.wsp.gz) or of Ceres, which are not read: unpack them, or fill from the render address of their server"
        ),
    }
}

/// Puts what was fetched into the log, as far as the windows lack it, and then writes down that it is done.
async fn commit(inner: &Inner, batch: Batch, pace: &Pace, failed_in_a_row: &mut u64) -> Result<(), String> {
    let mut outcome = Outcome::default();
    let done = batch.metrics.len() as u64;
    inner.asked(batch.requests, batch.failures);
    let mut troubles = Vec::new();
    for Fetched { metric, points } in batch.metrics {
        match points {
            Ok(points) => {
                *failed_in_a_row = 0;
                outcome.empty += u64::from(points.is_empty());
                inner.metric(metric, points, &mut outcome, pace).await?;
            }
            Err(error) => {
                *failed_in_a_row += 1;
                troubles.push((metric, error));
            }
        }
    }
    inner.flush(&mut outcome, pace).await?;
    let totals = &inner.totals;
    totals.stored.fetch_add(outcome.stored, Relaxed);
    totals.there.fetch_add(outcome.there, Relaxed);
    totals.refused.fetch_add(outcome.refused.total(), Relaxed);
    let now = inner.parts.clock.now();
    let report = inner.change(|report| {
        for (metric, error) in &troubles {
            report.trouble(metric, error);
        }
        let counts = &mut report.counts;
        counts.requests += batch.requests;
        counts.failures += batch.failures;
        counts.points += outcome.stored + outcome.there + outcome.refused.total();
        counts.stored += outcome.stored;
        counts.there += outcome.there;
        counts.empty += outcome.empty;
        counts.unasked += batch.unasked;
        for (why, points) in outcome.refused.iter() {
            *counts.refused.entry(why.label().to_owned()).or_default() += points;
        }
        for (why, points) in batch.skipped.each() {
            // No value at all is no point; of two at a time the last one is one.
            if points > 0 && !matches!(why, "null" | "duplicate" | "unsorted") {
                counts.points += points;
                *counts.refused.entry(why.to_owned()).or_default() += points;
            }
        }
        report.position += done;
        if let Some(since) = report.since.replace(now) {
            report.seconds += (now - since).max(0.0);
        }
    });
    report.map_or(Ok(()), |report| inner.save(&report))
}

/// What becomes of the points of a batch.
#[derive(Default)]
struct Outcome {
    builder: Option<BatchBuilder>,
    stored: u64,
    there: u64,
    empty: u64,
    refused: RejectCounts,
}

impl Inner {
    /// No job runs any more.
    fn end(&self, report: Report) {
        let mut cancel = self.cancel.lock().unwrap_or_else(PoisonError::into_inner);
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        *cancel = None;
    }

    fn report(&self) -> Option<Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the report; a copy of it as it is then.
    fn change(&self, change: impl FnOnce(&mut Report)) -> Option<Report> {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.as_mut().map(|report| {
            change(report);
            report.clone()
        })
    }

    fn save(&self, report: &Report) -> Result<(), String> {
        self.file.save(report).map_err(|(path, error)| {
            format!("the state of the back-fill is not saved in {}: {error}", path.display())
        })
    }

    fn asked(&self, requests: u64, failures: u64) {
        self.totals.requests.fetch_add(requests, Relaxed);
        self.totals.failures.fetch_add(failures, Relaxed);
    }

    /// Takes the points of a metric that its window lacks.
    async fn metric(
        &self,
        metric: String,
        points: Vec<skyline_core::point::Datapoint>,
        outcome: &mut Outcome,
        pace: &Pace,
    ) -> Result<(), String> {
        if points.is_empty() {
            return Ok(());
        }
        let (now, points) = (self.parts.clock.now(), Arc::new(points));
        let missing = loop {
            let asked: Later<'_, _> = self.parts.windows.missing(metric.clone(), Arc::clone(&points), now);
            match asked.await {
                Some(missing) => break missing,
                None => tokio::time::sleep(SOON).await,
            }
        };
        outcome.there += missing.there;
        outcome.refused.merge(&missing.refused);
        for point in missing.points {
            let builder = outcome.builder.get_or_insert_with(|| BatchBuilder::new(SOURCE, now));
            match builder.point(metric.as_bytes(), point.ts, point.value) {
                Ok(()) => {}
                Err(why) => outcome.refused.add(why, 1),
            }
            if builder.len() >= 2 * AT_ONCE {
                self.flush(outcome, pace).await?;
            }
        }
        if outcome.builder.as_ref().is_some_and(|builder| builder.len() >= AT_ONCE) {
            self.flush(outcome, pace).await?;
        }
        Ok(())
    }

    /// Logs what was gathered.
    async fn flush(&self, outcome: &mut Outcome, pace: &Pace) -> Result<(), String> {
        let Some(batch) = outcome.builder.take().and_then(BatchBuilder::finish) else { return Ok(()) };
        let points = batch.len() as u64;
        pace.wait(points as f64).await;
        match self.parts.intake.submit(batch).await {
            Some(_) => outcome.stored += points,
            None => return Err("the log takes no points; `skyline doctor` says why".to_owned()),
        }
        Ok(())
    }
}
