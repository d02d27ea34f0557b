//! All jobs: those of the settings, those that run, and what they say of themselves.

mod set;
mod turn;

use crate::job::{Job, Sink};
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use set::Set;
use skyline_conf::model::Settings;
use skyline_conf::model::journal::Durability;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::problem::Problem;
use skyline_relay::intake::Intake;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The jobs of the settings. A copy is the same jobs.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Folder of the cursors.
    folder: PathBuf,
    /// Whether cursors are on the disk before a job goes on.
    sync: bool,
    clock: Clock,
    in_force: ArcSwap<Set>,
    /// None: nothing was started.
    started: Mutex<Option<Started>>,
}

/// What was started.
#[derive(Debug)]
struct Started {
    intake: Intake,
    tasks: TaskTracker,
    stop: CancellationToken,
    running: Vec<Running>,
}

/// A job that runs.
#[derive(Debug)]
struct Running {
    job: Arc<Job>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Ends jobs, all at the same time: one that has points in hand waits a moment for room in the journal.
async fn ended(leaving: Vec<Running>) -> Vec<Arc<Job>> {
    for running in &leaving {
        running.stop.cancel();
    }
    let mut jobs = Vec::with_capacity(leaving.len());
    for Running { job, task, .. } in leaving {
        // One that panicked has ended too.
        drop(task.await);
        jobs.push(job);
    }
    jobs
}

/// Jobs that can take the place of those in force.
#[derive(Debug)]
pub struct Prepared(Set);

impl Jobs {
    /// The jobs of the settings. Nothing is asked yet.
    ///
    /// # Errors
    /// A server cannot be asked as the settings say.
    pub fn new(settings: &Settings, clock: &Clock) -> Result<Self, Problem> {
        let folder = settings.node.state_dir.join("vista");
        let sync = settings.journal.durability == Durability::Machine;
        let set = Set::new(&settings.vista, (&folder, sync, clock), None)?;
        Ok(Self(Arc::new(Inner {
            folder,
            sync,
            clock: clock.clone(),
            in_force: ArcSwap::from_pointee(set),
            started: Mutex::default(),
        })))
    }

    /// Jobs of other settings; those that are the same go on as they are. Reads files, so it may block.
    ///
    /// # Errors
    /// A server cannot be asked as these settings say.
    pub fn prepare(&self, settings: &Settings) -> Result<Prepared, Problem> {
        let inner = &*self.0;
        let common = (inner.folder.as_path(), inner.sync, &inner.clock);
        Ok(Prepared(Set::new(&settings.vista, common, Some(&inner.in_force.load()))?))
    }

    /// Starts a task for each, if they are enabled. They end when `stop` is cancelled.
    ///
    /// # Errors
    /// The folder of their cursors cannot be made.
    pub fn start(
        &self,
        intake: &Intake,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> std::io::Result<()> {
        let mut started = self.started();
        *started = Some(Started {
            intake: intake.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
            running: Vec::new(),
        });
        self.start_missing(started.as_mut())
    }

    /// Puts other jobs into the place of those in force. Those that are gone or changed end first: what they have in hand
    /// is logged, and what they were asking for is asked for again by who follows them.
    ///
    /// # Errors
    /// The folder of their cursors cannot be made.
    pub async fn replace(&self, prepared: Prepared) -> std::io::Result<()> {
        let set = Arc::new(prepared.0);
        let leaving = match self.started().as_mut() {
            None => Vec::new(),
            Some(started) => {
                let stays = |running: &Running| set.runs(&running.job);
                let (staying, leaving) = std::mem::take(&mut started.running).into_iter().partition(stays);
                started.running = staying;
                leaving
            }
        };
        for job in ended(leaving).await {
            match set.jobs.iter().find(|new| new.name() == job.name()) {
                Some(new) => new.follows(&job),
                None => tracing::info!(
                    job = job.name(),
                    "a vista job is gone; how far it had come is kept for 30 days"
                ),
            }
        }
        self.0.in_force.store(set);
        self.start_missing(self.started().as_mut())
    }

    fn started(&self) -> std::sync::MutexGuard<'_, Option<Started>> {
        self.0.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the jobs in force that do not run.
    fn start_missing(&self, started: Option<&mut Started>) -> std::io::Result<()> {
        let (inner, set) = (&*self.0, self.0.in_force.load());
        let Some(started) = started.filter(|_| set.enabled()) else { return Ok(()) };
        if !set.jobs.is_empty() {
            std::fs::create_dir_all(&inner.folder)?;
        }
        set.sweep(&inner.folder, &inner.clock);
        for job in &set.jobs {
            if started.running.iter().any(|running| Arc::ptr_eq(&running.job, job)) {
                continue;
            }
            let stop = started.stop.child_token();
            let sink = Sink { intake: started.intake.clone(), stop: stop.clone() };
            let task = started.tasks.spawn(turn::run(Arc::clone(job), inner.clock.clone(), sink));
            started.running.push(Running { job: Arc::clone(job), stop, task });
        }
        Ok(())
    }

    /// A job by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Job>> {
        self.0.in_force.load().jobs.iter().find(|job| job.name() == name).cloned()
    }

    /// Figures of all jobs.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        let (now, set) = (self.0.clock.now(), self.0.in_force.load());
        for job in set.jobs.iter().filter(|_| set.enabled()) {
            job.counts(|counts| counts.figures(job.name(), now, out));
        }
    }

    /// What jobs do, for `/api/v1/vista`.
    #[must_use]
    pub fn status(&self) -> Value {
        let (now, set) = (self.0.clock.now(), self.0.in_force.load());
        let row = |job: &Arc<Job>| {
            let health = job.client.health();
            let fetch = &job.fetch;
            let mut row = json!({
                "name": fetch.name,
                "kind": fetch.kind.name(),
                "server": health.address,
                "is_asked": job.client.is_willing(),
                "target": fetch.target,
                "store_as": fetch.store_as,
                "every_seconds": fetch.every_seconds,
            });
            let counts = job.counts(|counts| counts.status(now));
            if let (Some(row), Value::Object(counts)) = (row.as_object_mut(), counts) {
                row.extend(counts);
            }
            row
        };
        json!({ "enabled": set.enabled(), "jobs": set.jobs.iter().map(row).collect::<Vec<_>>() })
    }

    /// Jobs that fail, for people; empty if none does.
    #[must_use]
    pub fn trouble(&self) -> Vec<String> {
        let words = |job: &Arc<Job>| {
            job.counts(|counts| match &counts.last_error {
                Some((_, error)) if counts.failures_in_a_row > 2 => Some(error.to_string()),
                _ => None,
            })
        };
        let set = self.0.in_force.load();
        if set.enabled() { set.jobs.iter().filter_map(words).collect() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests;
