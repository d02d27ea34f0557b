//! The jobs of one version of the settings.

use crate::cursor;
use crate::gates::Gates;
use crate::job::{Common, Job};
use skyline_conf::model::vista::Vista;
use skyline_core::clock::Clock;
use skyline_core::problem::Problem;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// The jobs, and what is common to them.
#[derive(Debug)]
pub(super) struct Set {
    /// The settings without the jobs.
    vista: Vista,
    gates: Arc<Gates>,
    pub(super) jobs: Vec<Arc<Job>>,
}

impl Set {
    /// Those of `vista`; of those `before` the ones that are the same are taken over. `folder`: of their cursors, which
    /// are on the disk at once if `sync`.
    pub(super) fn new(
        vista: &Vista,
        (folder, sync, clock): (&Path, bool, &Clock),
        before: Option<&Self>,
    ) -> Result<Self, Problem> {
        let common = Vista { fetch: Vec::new(), ..vista.clone() };
        let before = before.filter(|before| before.vista == common);
        let gates = before.map_or_else(
            || Arc::new(Gates::new(vista.concurrency, vista.per_host)),
            |before| Arc::clone(&before.gates),
        );
        let parts =
            Common { folder: folder.to_owned(), sync, gates: Arc::clone(&gates), clock: clock.clone() };
        let mut jobs = Vec::with_capacity(vista.fetch.len());
        // What is switched off opens no file, and holds no start up.
        for fetch in vista.fetch.iter().filter(|_| vista.enabled) {
            let job = Job::new(vista, fetch, &parts)?;
            let same = before.and_then(|before| before.jobs.iter().find(|old| old.is_same(&job)));
            jobs.push(same.cloned().unwrap_or_else(|| Arc::new(job)));
        }
        Ok(Self { vista: common, gates, jobs })
    }

    pub(super) const fn enabled(&self) -> bool {
        self.vista.enabled
    }

    /// Whether this very job is among those that run.
    pub(super) fn runs(&self, job: &Arc<Job>) -> bool {
        self.enabled() && self.jobs.iter().any(|own| Arc::ptr_eq(own, job))
    }

    /// Forgets jobs that are gone for long.
    pub(super) fn sweep(&self, folder: &Path, clock: &Clock) {
        let names = self.jobs.iter().map(|job| job.name().to_owned()).collect();
        let now = UNIX_EPOCH + Duration::from_secs_f64(clock.now().max(0.0));
        cursor::sweep(folder, &names, now);
    }
}
