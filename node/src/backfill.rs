//! The back-fill as the node has it: its windows, its Graphite servers, and what the API asks of it.

use crate::plane::Plane;
use serde_json::Value;
use skyline_conf::model::Settings;
use skyline_conf::model::graphite::Server as GraphiteServer;
use skyline_conf::model::journal::Durability;
use skyline_core::clock::Clock;
use skyline_core::point::Datapoint;
use skyline_relay::intake::Intake;
use skyline_render_proxy::glob::Glob;
use skyline_render_proxy::proxy::options;
use skyline_vista::backfill::{
    self, Backfill, Later, Missing, NotBegun, Options, Parts, Server, Source, Spec, Wanted,
};
use skyline_webapp::api::backfill::{self as api, Wish};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

impl backfill::Windows for Plane {
    fn missing(&self, name: String, points: Arc<Vec<Datapoint>>, now: f64) -> Later<'_, Option<Missing>> {
        Box::pin(async move {
            let skyline_detect::shard::Missing { points, there, refused } =
                self.missing_of(name, points, now).await.ok()?;
            Some(Missing { points, there, refused })
        })
    }

    fn is_warm(&self) -> bool {
        Self::is_warm(self)
    }
}

/// The Graphite servers of the settings, and patterns of names.
struct Surroundings(Vec<GraphiteServer>);

impl backfill::Surroundings for Surroundings {
    fn server(&self, url: Option<&str>) -> Result<Server, String> {
        let bare = |text: &str| text.trim_end_matches('/').to_owned();
        let own = match url {
            None => self.0.first().cloned().ok_or_else(|| {
                "graphite: the settings name no server; set [[graphite.server]] url, or give --graphite URL or --whisper FOLDER".to_owned()
            })?,
            // The credentials of a server go to no other.
            Some(url) => self.0.iter().find(|server| bare(&server.url) == bare(url)).cloned().unwrap_or_else(|| {
                GraphiteServer { url: url.to_owned(), ..GraphiteServer::default() }
            }),
        };
        if let Some(wrong) = own.remote().wrong() {
            return Err(format!("graphite: the address {} {wrong}", own.remote().shown()));
        }
        let mut options = options(&own).map_err(|problem| problem.to_string())?;
        options.gzip = true;
        // Tells at once what is wrong with an address.
        skyline_upstream::Client::new(options.clone()).map_err(|problem| problem.to_string())?;
        Ok(Server { options, render: format!("/{}", own.render_path.trim_matches('/')) })
    }

    fn pattern(&self, text: &str) -> Result<Wanted, String> {
        let glob = Glob::new(text)
            .ok_or_else(|| format!("select: `{text}` is no pattern of names, or stands for too many"))?;
        Ok(Arc::new(move |name: &str| glob.matches(name)))
    }
}

/// The node's back-fill, and where its jobs run.
#[derive(Debug)]
pub(crate) struct Backfills {
    backfill: Backfill,
    clock: Clock,
    runtime: Handle,
    tasks: TaskTracker,
}

impl Backfills {
    /// The back-fill of this node; none where there are no windows. To be called on the runtime on which jobs run.
    /// `tasks` is what the end of the node waits for; at `stop` a job pauses until the next start.
    pub(crate) fn new(
        settings: &Settings,
        intake: &Intake,
        plane: &Arc<Plane>,
        clock: &Clock,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Option<Arc<Self>> {
        if !settings.window.enabled {
            return None;
        }
        let own = &settings.backfill;
        let windows: Arc<dyn backfill::Windows> = Arc::<Plane>::clone(plane);
        let parts = Parts {
            options: Options {
                state_dir: settings.node.state_dir.clone(),
                sync: settings.journal.durability == Durability::Machine,
                requests_per_second: own.requests_per_second,
                concurrency: own.concurrency as usize,
                metrics_per_request: own.metrics_per_request as usize,
                points_per_second: own.points_per_second,
                attempts: own.attempts,
                pause: Duration::from_secs_f64(own.retry_seconds),
                window: f64::from(settings.window.full_duration_seconds),
            },
            intake: intake.clone(),
            windows,
            surroundings: Arc::new(Surroundings(settings.graphite.server.clone())),
            clock: clock.clone(),
            stop: stop.clone(),
        };
        let (backfill, runtime) = (Backfill::open(parts), Handle::current());
        let all = Self { backfill, clock: clock.clone(), runtime, tasks: tasks.clone() };
        if let Some(job) = all.backfill.interrupted() {
            all.tasks.spawn_on(job, &all.runtime);
        }
        Some(Arc::new(all))
    }

    /// What it reports.
    pub(crate) fn figures(&self, out: &mut Vec<skyline_core::figure::Figure>) {
        self.backfill.figures(out);
    }
}

impl api::BackfillSource for Backfills {
    fn report(&self) -> Option<Value> {
        serde_json::to_value(self.backfill.report()?).ok()
    }

    fn begin(&self, wish: Wish) -> Result<Value, api::NotBegun> {
        let source = match wish.whisper {
            Some(folder) => Source::Whisper { folder: folder.into() },
            None => Source::Graphite { url: wish.graphite },
        };
        let until = wish.until.unwrap_or_else(|| self.clock.now());
        let spec =
            Spec { source, from: wish.from, until, select: wish.select, requests_per_second: wish.rate };
        let job = self.backfill.begin(spec).map_err(|error| match error {
            NotBegun::Running => api::NotBegun::Running(error.to_string()),
            NotBegun::Bad(why) => api::NotBegun::Bad(why),
            NotBegun::State { .. } => api::NotBegun::Failed(error.to_string()),
        })?;
        self.tasks.spawn_on(job, &self.runtime);
        Ok(api::BackfillSource::report(self).unwrap_or_default())
    }

    fn cancel(&self) -> bool {
        self.backfill.cancel()
    }
}
