//! The threads that own windows: each reads the journal, stores, judges, saves.
//!
//! [`thread`] is one such thread; [`state`] what it leaves on disk besides windows; [`recorder`]
//! takes anomalies from them into the record. Nothing outside touches a window: others ask
//! through [`Plane::copy_of`] and get copies. [`copied`] answers for the copy in Redis.

pub(crate) mod copied;
pub(crate) mod latency;
pub(crate) mod recorder;
pub(crate) mod state;
pub(crate) mod thread;

use skyline_alerting::stale;
use skyline_core::anomaly::Anomaly;
use skyline_core::figure::Figure;
use skyline_core::point::Datapoint;
use skyline_core::shard::ShardId;
use skyline_detect::shard::Missing;
use skyline_journal::Caller;
use skyline_mirror::chunks::Since;
use skyline_render_proxy::glob::Glob;
use skyline_render_proxy::nodes::{Find, Nodes};
use skyline_render_proxy::windows::Unanswered;
use skyline_store::chunk::{HandOut, Header, Whole};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::oneshot;

/// Questions that may wait for one thread.
pub(crate) const QUESTIONS: usize = 256;

/// A shard that is to be handed out.
pub(crate) type Ask = (ShardId, Since);

/// A question to the thread that owns a metric.
#[derive(Debug)]
pub(crate) enum Question {
    /// Points of a metric between two times (seconds, inclusive).
    Series { name: String, from: f64, until: f64, answer: oneshot::Sender<Option<Vec<Datapoint>>> },
    /// What the window of a metric lacks of some history, at a time.
    Missing { name: String, points: Arc<Vec<Datapoint>>, now: f64, answer: oneshot::Sender<Missing> },
    /// Remove a metric; the answer says whether it was there.
    Remove { name: String, answer: oneshot::Sender<bool> },
    /// The names of a shard's metrics.
    Names { shard: ShardId, answer: oneshot::Sender<Vec<String>> },
    /// Names that a pattern stands for, from one series on, for a few milliseconds; the answer says where to go on.
    Matching { first: u32, pattern: Arc<Glob>, answer: oneshot::Sender<(Vec<String>, Option<u32>)> },
    /// Nodes that names lead to, in the same way.
    Nodes { first: u32, find: Arc<Find>, answer: oneshot::Sender<(Nodes, Option<u32>)> },
    /// Which metrics are silent.
    Silent { question: stale::Question, answer: oneshot::Sender<stale::Answer> },
    /// Hand shards out for their copy. The thread sets the header's position.
    HandOut { asks: Vec<Ask>, header: Header, answer: oneshot::Sender<Vec<(ShardId, HandOut)>> },
    /// Take series over; the answer says how many were, and how many not.
    Adopt { series: Vec<Whole>, answer: oneshot::Sender<(u64, u64)> },
}

/// What a thread shows to others.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Anomalies of points before this sequence number are in the record.
    pub(crate) recorded: AtomicU64,
    /// Metrics restored so far.
    pub(crate) restored: AtomicU64,
    /// Metrics that the files of windows hold; 0 until all files were looked at.
    pub(crate) to_restore: AtomicU64,
    /// Whether windows are whole and points are judged as they come.
    pub(crate) warm: AtomicBool,
    /// How far the files of the thread's shards were when they were restored; none: a shard has no files.
    pub(crate) files: OnceLock<Vec<(ShardId, Option<u64>)>>,
    /// The thread has read the journal to its end and saved; it only answers for the copy now.
    pub(crate) ended: AtomicBool,
    /// Published ten times a second.
    pub(crate) view: Mutex<View>,
}

/// Figures that a thread publishes ten times a second.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) metrics: u64,
    pub(crate) counters: skyline_detect::shard::Counters,
    pub(crate) scans: u64,
    pub(crate) waiting: u64,
    pub(crate) lag_seconds: f64,
    pub(crate) latency: latency::Quantiles,
    pub(crate) unsaved_anomalies: u64,
    pub(crate) joined_anomalies: u64,
    pub(crate) save_errors: u64,
}

/// Anomalies on their way to the record.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) thread: usize,
    pub(crate) anomalies: Vec<Anomaly>,
    /// All anomalies of this thread before this sequence number are recorded with these.
    pub(crate) through: u64,
}

/// A question that was not taken.
#[derive(Debug)]
enum Refused {
    /// The thread has too many now.
    Full(Box<Question>),
    /// There is no such thread any more.
    Gone,
}

/// All window threads.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) threads: Vec<Handle>,
    pub(crate) told: Arc<recorder::Told>,
}

/// One window thread, from outside.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) questions: SyncSender<Question>,
    /// Lets the thread look for questions.
    pub(crate) caller: Caller,
    pub(crate) join: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Plane {
    /// Puts a question to the thread that owns a shard.
    fn put(&self, shard: ShardId, question: Question) -> Result<(), Refused> {
        let number = usize::from(shard.0).checked_rem(self.threads.len());
        let owner = number.and_then(|number| self.threads.get(number)).ok_or(Refused::Gone)?;
        owner.questions.try_send(question).map_err(|error| match error {
            TrySendError::Full(question) => Refused::Full(Box::new(question)),
            TrySendError::Disconnected(_) => Refused::Gone,
        })?;
        owner.caller.call();
        Ok(())
    }

    fn send(&self, name: &str, question: Question) -> Result<(), Unanswered> {
        if self.threads.is_empty() {
            return Err(Unanswered::Off);
        }
        let shard = ShardId::of_name(name.as_bytes());
        self.put(shard, question).map_err(|_| Unanswered::Busy)
    }

    /// Waits for all threads to end.
    pub(crate) fn join(&self) {
        for handle in &self.threads {
            let join = handle.join.lock().unwrap_or_else(PoisonError::into_inner).take();
            if join.is_some_and(|join| join.join().is_err()) {
                tracing::error!("a window thread has panicked; its points are read again at the next start");
            }
        }
    }

    /// A copy of a metric's points; `None`: no such metric.
    pub(crate) async fn copy_of(
        &self,
        name: &str,
        from: f64,
        until: f64,
    ) -> Result<Option<Vec<Datapoint>>, Unanswered> {
        let (answer, question) = oneshot::channel();
        self.send(name, Question::Series { name: name.to_owned(), from, until, answer })?;
        question.await.map_err(|_| Unanswered::Busy)
    }

    /// What the window of a metric lacks of some history.
    pub(crate) async fn missing_of(
        &self,
        name: String,
        points: Arc<Vec<Datapoint>>,
        now: f64,
    ) -> Result<Missing, Unanswered> {
        let (answer, question) = oneshot::channel();
        let shard = ShardId::of_name(name.as_bytes());
        let asked = Question::Missing { name, points, now, answer };
        self.put(shard, asked).map_err(|_| Unanswered::Busy)?;
        question.await.map_err(|_| Unanswered::Busy)
    }

    /// Names of metrics that a pattern stands for, sorted, `limit` at most.
    pub(crate) async fn names_like(
        &self,
        pattern: &Arc<Glob>,
        limit: usize,
    ) -> Result<Vec<String>, Unanswered> {
        let mut names = Vec::new();
        let ask = |first, answer| Question::Matching { first, pattern: Arc::clone(pattern), answer };
        let take = |more| {
            names.extend::<Vec<String>>(more);
            names.len() < limit
        };
        self.look_at_names(ask, take).await?;
        names.sort_unstable();
        names.truncate(limit);
        Ok(names)
    }

    /// The nodes that all names lead to; once there are more than `limit`, not all names are looked at.
    pub(crate) async fn nodes_like(&self, find: &Arc<Find>, limit: usize) -> Result<Nodes, Unanswered> {
        let mut nodes = Nodes::new();
        let ask = |first, answer| Question::Nodes { first, find: Arc::clone(find), answer };
        let take = |more: Nodes| {
            for (path, kinds) in more {
                let known = nodes.entry(path).or_default();
                *known = known.and(kinds);
            }
            nodes.len() <= limit
        };
        self.look_at_names(ask, take).await?;
        Ok(nodes)
    }

    /// Has each thread look at its names for some milliseconds at a time, between batches of points, until all are seen
    /// or what was found is enough to `take`, which says whether it takes more.
    async fn look_at_names<T>(
        &self,
        ask: impl Fn(u32, oneshot::Sender<(T, Option<u32>)>) -> Question,
        mut take: impl FnMut(T) -> bool,
    ) -> Result<(), Unanswered> {
        if self.threads.is_empty() {
            return Err(Unanswered::Off);
        }
        let mut open: Vec<(usize, u32)> = (0..self.threads.len()).map(|thread| (thread, 0)).collect();
        while !open.is_empty() {
            let mut answers = Vec::with_capacity(open.len());
            for (thread, first) in std::mem::take(&mut open) {
                let (answer, later) = oneshot::channel();
                let owner = self.threads.get(thread).ok_or(Unanswered::Off)?;
                owner.questions.try_send(ask(first, answer)).map_err(|_| Unanswered::Busy)?;
                owner.caller.call();
                answers.push((thread, later));
            }
            for (thread, later) in answers {
                let (more, next) = later.await.map_err(|_| Unanswered::Busy)?;
                let takes_more = take(more);
                open.extend(next.filter(|_| takes_more).map(|next| (thread, next)));
            }
        }
        Ok(())
    }

    /// Removes a metric's window; says whether it was there.
    pub(crate) async fn remove_metric(&self, name: &str) -> Result<bool, Unanswered> {
        let (answer, question) = oneshot::channel();
        self.send(name, Question::Remove { name: name.to_owned(), answer })?;
        question.await.map_err(|_| Unanswered::Busy)
    }

    /// Which metrics are silent, as all threads say; none: one of them did not answer.
    pub(crate) async fn silent(&self, question: &stale::Question) -> Option<stale::Answer> {
        let mut sum = stale::Answer::default();
        // One after the other: each looks through all of its metrics.
        for handle in &self.threads {
            let (answer, answered) = oneshot::channel();
            handle.questions.try_send(Question::Silent { question: question.clone(), answer }).ok()?;
            handle.caller.call();
            sum = sum.and(answered.await.ok()?);
        }
        Some(sum)
    }

    /// Whether every thread judges points as they come.
    pub(crate) fn is_warm(&self) -> bool {
        self.threads.iter().all(|t| t.shared.warm.load(Ordering::Acquire))
    }

    /// Metrics restored, and metrics that files hold.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let sum = |f: fn(&Shared) -> &AtomicU64| {
            self.threads.iter().map(|t| f(&t.shared).load(Ordering::Relaxed)).sum::<u64>()
        };
        (sum(|s| &s.restored), sum(|s| &s.to_restore))
    }

    /// What each thread published last.
    pub(crate) fn views(&self) -> Vec<View> {
        self.threads
            .iter()
            .map(|t| t.shared.view.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }

    /// Figures of windows and verdicts, summed over the threads.
    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        let views = self.views();
        let sum = |f: &dyn Fn(&View) -> u64| views.iter().map(f).sum::<u64>();
        out.push(Figure::gauge(
            "skyline_window_metrics",
            "Metrics in the window",
            sum(&|v| v.metrics) as f64,
        ));
        out.push(Figure::counter(
            "skyline_window_stored_total",
            "Points that the window took",
            sum(&|v| v.counters.stored),
        ));
        for reason in skyline_core::reject::Reject::ALL {
            let n = sum(&|v| v.counters.refused.get(reason));
            if n > 0 {
                let figure =
                    Figure::counter("skyline_window_refused_total", "Points that the window refused", n);
                out.push(figure.label("reason", reason.label()));
            }
        }
        for (outcome, points) in [
            ("stored", sum(&|v| v.counters.filled.stored)),
            ("there", sum(&|v| v.counters.filled.there)),
            ("refused", sum(&|v| v.counters.filled.refused.total())),
        ] {
            let text = "Points of history that came out of the log, by what the window did with them";
            out.push(Figure::counter("skyline_window_filled_total", text, points).label("outcome", outcome));
        }
        out.push(Figure::gauge(
            "skyline_window_waiting_points",
            "Logged points that the slowest window thread has not read",
            views.iter().map(|v| v.waiting).max().unwrap_or(0) as f64,
        ));
        out.push(Figure::gauge(
            "skyline_window_lag_seconds",
            "Age of the oldest point that a window thread has not read",
            views.iter().map(|v| v.lag_seconds).fold(0.0, f64::max),
        ));
        for (kind, n) in [
            ("late", sum(&|v| v.counters.late)),
            ("replaced", sum(&|v| v.counters.replaced)),
            ("repeated", sum(&|v| v.counters.repeated)),
        ] {
            out.push(
                Figure::counter(
                    "skyline_window_amended_total",
                    "Stored points that came late, changed a value, or were there already",
                    n,
                )
                .label("kind", kind),
            );
        }
        out.push(Figure::counter(
            "skyline_window_save_errors_total",
            "Shards that could not be saved",
            sum(&|v| v.save_errors),
        ));
        self.verdict_figures(&views, out);
    }

    fn verdict_figures(&self, views: &[View], out: &mut Vec<Figure>) {
        let sum = |f: &dyn Fn(&View) -> u64| views.iter().map(f).sum::<u64>();
        out.push(Figure::counter(
            "skyline_detect_judged_total",
            "Verdicts since start",
            sum(&|v| v.counters.judged),
        ));
        for (i, gate) in ["too_short", "stale", "boring"].into_iter().enumerate() {
            let n = sum(&|v| v.counters.gated.get(i).copied().unwrap_or(0));
            out.push(
                Figure::counter("skyline_detect_gated_total", "Points not judged since start, by gate", n)
                    .label("gate", gate),
            );
        }
        out.push(Figure::counter(
            "skyline_detect_resets_total",
            "Resets of counters, not judged",
            sum(&|v| v.counters.resets),
        ));
        out.push(Figure::counter(
            "skyline_detect_anomalies_total",
            "Anomalies found since start",
            sum(&|v| v.counters.anomalies),
        ));
        out.push(Figure::counter(
            "skyline_detect_unsurfaced_total",
            "Anomalies that second order held back",
            sum(&|v| v.counters.unsurfaced),
        ));
        out.push(Figure::counter(
            "skyline_detect_scans_total",
            "Windows decoded to reach a verdict",
            sum(&|v| v.scans),
        ));
        for (i, algorithm) in skyline_core::algorithm::Algorithm::ALL.into_iter().enumerate() {
            let votes = sum(&|v| v.counters.votes.get(i).copied().unwrap_or(0));
            let triggered = sum(&|v| v.counters.triggered.get(i).copied().unwrap_or(0));
            out.push(
                Figure::counter("skyline_detect_votes_total", "Yes votes in all verdicts", votes)
                    .label("algorithm", algorithm.name()),
            );
            out.push(
                Figure::counter("skyline_detect_triggered_total", "Yes votes in anomalies", triggered)
                    .label("algorithm", algorithm.name()),
            );
        }
        out.push(Figure::gauge(
            "skyline_detect_unrecorded_anomalies",
            "Anomalies that wait for the record",
            sum(&|v| v.unsaved_anomalies) as f64,
        ));
        out.push(Figure::counter(
            "skyline_detect_joined_anomalies_total",
            "Anomalies joined with a newer one of the same metric while the record was away",
            sum(&|v| v.joined_anomalies),
        ));
        self.told.figures(out);
        for (quantile, f) in [("0.5", 0), ("0.99", 1), ("1", 2)] {
            let worst = views.iter().map(|v| v.latency.of(f)).fold(0.0, f64::max);
            out.push(
                Figure::gauge(
                    "skyline_verdict_latency_seconds",
                    "Receipt to verdict, over the last one to two minutes, of the slower thread",
                    worst,
                )
                .label("quantile", quantile),
            );
        }
    }
}
