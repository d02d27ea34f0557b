//! Back-fill: the windows of a running node, filled from a Graphite server or from whisper files (docs/backfill.md).
//!
//! One job at a time. It lists the metrics once (`list`), then takes them in that order: fetched a few questions ahead
//! (`fetch`), compared with the windows, and what they lack goes through the log as history that nobody forwards or
//! judges. How far it has come is written down after that (`state`), so that a job that was interrupted, by `kill -9` too,
//! goes on where it was; what is asked a second time is in the windows already.
//!
//! The account of a job, in points: `points = stored + there + refused(reason)`.

mod aside;
mod commit;
mod fetch;
mod list;
mod pace;
mod run;
mod state;

#[cfg(test)]
mod tests;

pub use state::{Counts, Phase, Report, Source, Spec, Trouble};

use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::point::Datapoint;
use skyline_core::reject::RejectCounts;
use skyline_relay::intake::Intake;
use skyline_upstream::Options as Upstream;
use state::File;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What is answered later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a window lacks of some history.
#[derive(Debug, Clone, Default)]
pub struct Missing {
    /// What it would take, in the order of time.
    pub points: Vec<Datapoint>,
    /// Points that are there already.
    pub there: u64,
    /// Points that it would not take.
    pub refused: RejectCounts,
}

/// The windows, as the job sees them.
pub trait Windows: Send + Sync {
    /// What the window of a metric lacks of `points`, whose times ascend; none: it is busy, ask again.
    fn missing(&self, name: String, points: Arc<Vec<Datapoint>>, now: f64) -> Later<'_, Option<Missing>>;

    /// Whether all that was logged before this start is in the windows.
    fn is_warm(&self) -> bool;
}

/// A Graphite server that can be asked.
#[derive(Debug, Clone)]
pub struct Server {
    /// How.
    pub options: Upstream,
    /// Path of its `render` behind the address, such as `/render`.
    pub render: String,
}

/// Which names are wanted.
pub type Wanted = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What only the node knows of.
pub trait Surroundings: Send + Sync {
    /// The server of an address, or the first of the settings.
    ///
    /// # Errors
    /// What is wrong with it, and what to do, for a person.
    fn server(&self, url: Option<&str>) -> Result<Server, String>;

    /// Which names a pattern stands for.
    ///
    /// # Errors
    /// It is no pattern.
    fn pattern(&self, text: &str) -> Result<Wanted, String>;
}

/// Bounds of a job.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of `backfill.json` and `backfill.names`.
    pub state_dir: PathBuf,
    /// Whether files are on the disk before the job goes on.
    pub sync: bool,
    /// Questions a second, unless the job says otherwise.
    pub requests_per_second: f64,
    /// Questions at the same time.
    pub concurrency: usize,
    /// Metrics of one question.
    pub metrics_per_request: usize,
    /// Points that go into the log a second.
    pub points_per_second: f64,
    /// Attempts of a question that fails.
    pub attempts: u32,
    /// Pause after the first failure; doubles, up to 64 times as long.
    pub pause: Duration,
    /// The longest window, seconds: older points are not asked for.
    pub window: f64,
}

/// What the job needs.
#[derive(Clone)]
pub struct Parts {
    /// Bounds.
    pub options: Options,
    /// The way into the log.
    pub intake: Intake,
    /// The windows.
    pub windows: Arc<dyn Windows>,
    /// Servers and patterns.
    pub surroundings: Arc<dyn Surroundings>,
    /// Time.
    pub clock: Clock,
    /// The node stops: the job goes on at the next start.
    pub stop: CancellationToken,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Why a job does not begin.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// One runs.
    #[error("a back-fill is running: wait for it, or cancel it with `skyline backfill --cancel`")]
    Running,
    /// It asks for what there is not.
    #[error("{0}")]
    Bad(String),
    /// Its file cannot be written.
    #[error("the state of the back-fill is not saved in {path}: {source}; see that the folder may be written and the disk has room", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The back-fill of a node. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Backfill(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    file: File,
    /// The job that runs, or ran last.
    report: Mutex<Option<Report>>,
    /// Ends the job that runs.
    halt: Mutex<Option<Halt>>,
    totals: Totals,
}

/// How a job ends before its time.
#[derive(Debug, Clone)]
struct Halt {
    /// Somebody cancels it.
    cancel: CancellationToken,
    /// That, or the node stops.
    any: CancellationToken,
}

impl Halt {
    fn new(stop: &CancellationToken) -> Self {
        Self { cancel: CancellationToken::new(), any: stop.child_token() }
    }
}

/// All jobs since the start.
#[derive(Debug, Default)]
struct Totals {
    stored: AtomicU64,
    there: AtomicU64,
    refused: AtomicU64,
    requests: AtomicU64,
    failures: AtomicU64,
}

impl Backfill {
    /// The back-fill of a state folder: what is written there of the last job.
    #[must_use]
    pub fn open(parts: Parts) -> Self {
        let file = File::new(&parts.options.state_dir, parts.options.sync);
        let report = file.load();
        Self(Arc::new(Inner {
            parts,
            file,
            report: Mutex::new(report),
            halt: Mutex::new(None),
            totals: Totals::default(),
        }))
    }

    /// The job that was interrupted by the end of the node, to be run now; none: there is none.
    #[must_use]
    pub fn interrupted(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let report = self.report()?;
        report.phase.is_open().then(|| {
            tracing::info!(position = report.position, metrics = report.metrics, "the back-fill goes on");
            self.job()
        })
    }

    /// Begins a job, which is then to be run.
    ///
    /// # Errors
    /// Another runs, it asks for what there is not, or nothing can be written.
    pub fn begin(&self, spec: Spec) -> Result<impl Future<Output = ()> + Send + use<>, NotBegun> {
        let inner = &*self.0;
        let mut halt = inner.halt.lock().unwrap_or_else(PoisonError::into_inner);
        if halt.is_some() {
            return Err(NotBegun::Running);
        }
        let now = inner.parts.clock.now();
        let spec = spec.checked(now, inner.parts.options.window).map_err(NotBegun::Bad)?;
        let around = &inner.parts.surroundings;
        if let Some(select) = &spec.select {
            around.pattern(select).map_err(NotBegun::Bad)?;
        }
        match &spec.source {
            Source::Graphite { url } => drop(around.server(url.as_deref()).map_err(NotBegun::Bad)?),
            Source::Whisper { folder } => {
                let is_there = std::fs::metadata(folder).is_ok_and(|about| about.is_dir());
                if !is_there {
                    let folder = folder.display();
                    return Err(NotBegun::Bad(format!(
                        "whisper: {folder} is no folder that the node can read; name the folder in which the files are, on the node's machine"
                    )));
                }
            }
        }
        let report = Report::new(spec, now);
        inner.file.save(&report).map_err(|(path, source)| NotBegun::State { path, source })?;
        *inner.report.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        *halt = Some(Halt::new(&inner.parts.stop));
        drop(halt);
        Ok(self.job())
    }

    fn job(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::clone(&self.0);
        let halt = inner
            .halt
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| Halt::new(&inner.parts.stop))
            .clone();
        async move { run::run(&inner, &halt).await }
    }

    /// The job that runs, or ran last.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        let report = self.0.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        report.map(|report| report.at(self.0.parts.clock.now()))
    }

    /// Ends the job that runs; whether there was one. What waits for a server, a window or room in the log waits no longer.
    pub fn cancel(&self) -> bool {
        let halt = self.0.halt.lock().unwrap_or_else(PoisonError::into_inner);
        halt.as_ref().is_some_and(|halt| {
            halt.cancel.cancel();
            halt.any.cancel();
            true
        })
    }

    /// What it reports.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        const POINTS: &str = "Points of history that back-fills fetched, by what became of them";
        let totals = &self.0.totals;
        for (outcome, points) in
            [("stored", &totals.stored), ("there", &totals.there), ("refused", &totals.refused)]
        {
            let figure = Figure::counter("skyline_backfill_points_total", POINTS, points.load(Relaxed));
            out.push(figure.label("outcome", outcome));
        }
        out.push(Figure::counter(
            "skyline_backfill_requests_total",
            "Questions to Graphite, or whisper files that were opened, for back-fills",
            totals.requests.load(Relaxed),
        ));
        out.push(Figure::counter(
            "skyline_backfill_failures_total",
            "Of them, those that failed",
            totals.failures.load(Relaxed),
        ));
        let report = self.report();
        let of = |f: fn(&Report) -> u64| report.as_ref().map_or(0.0, |report| f(report) as f64);
        out.push(Figure::gauge(
            "skyline_backfill_running",
            "1 while a back-fill runs",
            of(|report| u64::from(report.phase.is_open())),
        ));
        out.push(Figure::gauge(
            "skyline_backfill_metrics",
            "Metrics of the back-fill that runs, or ran last",
            of(|r| r.metrics),
        ));
        out.push(Figure::gauge(
            "skyline_backfill_metrics_done",
            "Of them, those that are done",
            of(|r| r.position),
        ));
        out.push(Figure::gauge(
            "skyline_backfill_metrics_failed",
            "Of them, those that could not be read",
            of(|r| r.counts.failed),
        ));
        out.push(Figure::gauge(
            "skyline_backfill_seconds",
            "For so long it has run, without the time between two starts of the node",
            report.as_ref().map_or(0.0, |report| report.seconds),
        ));
    }
}
