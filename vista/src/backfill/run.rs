//! One job, from its list to its end.

use super::aside::aside;
use super::commit::commit;
use super::fetch::{Asked, Batch, From, Graphite};
use super::pace::Pace;
use super::state::{Phase, Report, Source};
use super::{Halt, Inner, Wanted, list};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// Pause before a window that is busy is asked again, and between two looks whether windows are whole.
pub(super) const SOON: Duration = Duration::from_millis(20);
/// Metrics one after the other that fail, each for itself, until the job ends.
const MOST_IN_A_ROW: u64 = 50;

/// How a job ends in this run of the node.
#[derive(Debug)]
pub(super) enum End {
    Done,
    Cancelled,
    /// The node stops; the next start goes on.
    Stopped,
    Failed(String),
}

impl std::convert::From<String> for End {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl Halt {
    /// What it makes of a job.
    pub(super) fn end(&self) -> End {
        if self.cancel.is_cancelled() { End::Cancelled } else { End::Stopped }
    }

    /// Does it, unless the job is to end before.
    pub(super) async fn unless<T>(&self, work: impl Future<Output = T>) -> Result<T, End> {
        self.any.run_until_cancelled(work).await.ok_or_else(|| self.end())
    }
}

/// Runs the job whose report is open.
pub(super) async fn run(inner: &Arc<Inner>, halt: &Halt) {
    inner.change(|report| report.resumed += u32::from(report.position > 0));
    let end = drive(inner, halt).await.err().unwrap_or(End::Done);
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
        inner.save(&report).await.unwrap_or_else(|why| tracing::error!("{why}"));
        if !report.phase.is_open() {
            let inner = Arc::clone(inner);
            aside(move || inner.file.forget_names()).await;
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

/// Takes all metrics that are not done; how else it ends.
async fn drive(inner: &Arc<Inner>, halt: &Halt) -> Result<(), End> {
    let parts = &inner.parts;
    // What was logged before the start is to be seen as there.
    while !parts.windows.is_warm() {
        halt.unless(tokio::time::sleep(SOON)).await?;
    }
    // That wait is not its own: from here on its time counts.
    let now = parts.clock.now();
    inner.change(|report| report.since = Some(now));
    let Some(report) = inner.report() else { return Ok(()) };
    let spec = report.spec.clone();
    let from = source(inner, &report)?;
    if report.phase == Phase::Listing {
        listing(inner, &report, &from, halt).await?;
    }
    let file = Arc::clone(inner);
    let names = aside(move || file.file.names()).await.map_err(|(path, error)| {
        format!("the list of the back-fill, {}, cannot be read: {error}; begin it again", path.display())
    })?;
    let (listed, mut next) =
        inner.report().map_or((0, 0), |report| (report.metrics, report.position as usize));
    if names.len() as u64 != listed {
        let why = format!(
            "the list of the back-fill is damaged: {listed} metrics were listed, and it has {}; begin it again",
            names.len()
        );
        return Err(End::Failed(why));
    }
    let pace = Pace::new(parts.options.points_per_second);
    let mut ahead: VecDeque<AbortOnDropHandle<Batch>> = VecDeque::new();
    let mut failed_in_a_row = 0;
    loop {
        while ahead.len() < parts.options.concurrency.max(1) && next < names.len() {
            let end = (next + parts.options.metrics_per_request.max(1)).min(names.len());
            let items = names.get(next..end).unwrap_or_default().to_vec();
            let now = parts.clock.now();
            let asked = spec.at(now, parts.options.window);
            let fetching = from.clone().fetch(items, asked, spec.now(report.began, now), now);
            ahead.push_back(AbortOnDropHandle::new(tokio::spawn(fetching)));
            next = end;
        }
        let Some(batch) = ahead.pop_front() else { return Ok(()) };
        let batch = halt.unless(batch).await?;
        let batch = batch.map_err(|error| format!("a question ended early: {error}"))?;
        let hopeless = batch.hopeless.clone();
        commit(inner, batch, &pace, halt, &mut failed_in_a_row).await?;
        if let Some(why) = hopeless {
            return Err(End::Failed(why));
        }
        // One file says nothing of the next.
        if matches!(from, From::Graphite(_)) && failed_in_a_row >= MOST_IN_A_ROW {
            let last = inner.report().and_then(|report| report.troubles.last().map(|t| t.error.clone()));
            let last = last.unwrap_or_default();
            return Err(End::Failed(format!(
                "{MOST_IN_A_ROW} metrics in a row could not be read, such as: {last}"
            )));
        }
        if halt.any.is_cancelled() {
            return Err(halt.end());
        }
    }
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
async fn listing(inner: &Arc<Inner>, report: &Report, from: &From, halt: &Halt) -> Result<(), End> {
    let select = report.spec.select.as_deref();
    let wanted: Wanted = match select {
        Some(select) => inner.parts.surroundings.pattern(select)?,
        None => Arc::new(|_| true),
    };
    let mut asked = Asked::default();
    let listed = match from {
        From::Graphite(server) => halt.unless(list::names(server, select, &wanted, &mut asked)).await,
        From::Whisper(folder) => {
            let folder = Arc::clone(folder);
            halt.unless(aside(move || list::files(&folder, &wanted))).await
        }
    };
    inner.asked(asked);
    inner.change(|report| report.counts.add(asked));
    let listed = listed??;
    if listed.items.is_empty() {
        return Err(End::Failed(nothing(&listed, select)));
    }
    let (file, items) = (Arc::clone(inner), listed.items);
    let (metrics, saved) = aside(move || (items.len() as u64, file.file.save_names(&items))).await;
    saved.map_err(|(path, error)| format!("{}: {error}", path.display()))?;
    let report = inner.change(|report| {
        report.metrics = metrics;
        report.counts.nameless = listed.nameless;
        report.counts.unread = listed.unread;
        report.counts.others = listed.others;
        report.phase = Phase::Filling;
    });
    if let Some(report) = report {
        inner.save(&report).await?;
    }
    Ok(())
}

/// Why there is nothing to do.
fn nothing(listed: &list::Listed, select: Option<&str>) -> String {
    let what =
        if select.is_some() { "nothing there matches what is selected" } else { "there are no metrics" };
    match (listed.others, listed.nameless + listed.unread) {
        (0, 0) => what.to_owned(),
        (0, n) => format!("{what}; {n} files or folders have no name, or cannot be read"),
        (n, _) => format!(
            "{what}; {n} files are packed (.wsp.gz) or of Ceres, which are not read: unpack them, or fill from the render address of their server"
        ),
    }
}
