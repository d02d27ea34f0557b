//! A running node: built part by part, listeners last, and taken down in order.

use crate::alerts::{self, Alerts};
use crate::assemble::{
    PlaneParts, Recording, forget_old_threads, intake_options, journal_options, node_name, start_plane,
};
use crate::backfill::Backfills;
use crate::cli::Config;
use crate::detour::Detour;
use crate::health::{self, Health};
use crate::http::Http;
use crate::own_metrics::{self, Named, Snapshot};
use crate::plane::Plane;
use crate::stores::Stores;
use crate::{graphs, mirror, record, reload, swap};
use anyhow::Context as _;
use skyline_conf::model::Settings;
use skyline_conf::model::journal::Durability;
use skyline_conf::relaying::Relaying;
use skyline_core::batch::Listener;
use skyline_core::clock::Clock;
use skyline_flux::Flux;
use skyline_journal::{Journal, Recovered};
use skyline_relay::aggregate::{Aggregator, Limits as AggregateLimits, Options as AggregateOptions};
use skyline_relay::dest::{Destinations, Stop};
use skyline_relay::flow::Flow;
use skyline_relay::intake::Intake;
use skyline_relay::listen::{Context as ListenContext, Listeners};
use skyline_relay::route::Router;
use skyline_render_proxy::proxy::Proxy;
use skyline_sql::Store;
use skyline_vista::Jobs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Makes the folder of the state, and shows that it can be written.
fn state_dir(settings: &Settings) -> anyhow::Result<PathBuf> {
    let state_dir = settings.node.state_dir.clone();
    std::fs::create_dir_all(&state_dir)
        .with_context(|| format!("node.state_dir {} cannot be made", state_dir.display()))?;
    tempfile::tempfile_in(&state_dir).map_err(|error| {
        let (dir, kind) = (state_dir.display(), error.kind());
        anyhow::anyhow!(
            "node.state_dir {dir} cannot be written: {kind}; give it to the user that runs the node"
        )
    })?;
    Ok(state_dir)
}

/// What finds anomalies and tells of them.
struct Judging {
    plane: Arc<Plane>,
    recorder: Option<tokio::task::JoinHandle<()>>,
    alerts: Arc<Alerts>,
    /// The dispatcher's task.
    telling: Option<tokio::task::JoinHandle<()>>,
    graphs: Proxy,
}

/// Starts the window threads, alerting, and then the recorder between them.
async fn judging(
    settings: &Settings,
    journal: &Journal,
    store: &Store,
    clock: &Clock,
    name: &str,
    tokens: &Tokens,
) -> anyhow::Result<Judging> {
    let (plane, recording) = windows(settings, journal, store, clock, name, tokens)?;
    let plane = Arc::new(plane);
    let graphs = graphs::proxy(settings, &plane, clock)?;
    let parts =
        alerts::Parts { settings, store, plane: &plane, name, clock, graphs: &graphs, abort: &tokens.abort };
    let mut alerts = alerts::start(&parts).await?;
    let recorder = recording.map(|(mut recorder, found)| {
        recorder.alerting.clone_from(&alerts.dispatcher);
        tokio::spawn(recorder.run(found))
    });
    let telling = alerts.take_task();
    Ok(Judging { plane, recorder, alerts: Arc::new(alerts), telling, graphs })
}

/// The window threads, and the recorder that is not started yet, if windows are kept.
fn windows(
    settings: &Settings,
    journal: &Journal,
    store: &Store,
    clock: &Clock,
    name: &str,
    tokens: &Tokens,
) -> anyhow::Result<(Plane, Option<Recording>)> {
    if !settings.window.enabled {
        forget_old_threads(journal, &settings.node.state_dir.join("window"), 0);
        return Ok((Plane { threads: Vec::new(), told: Arc::default() }, None));
    }
    let parts = PlaneParts {
        settings,
        journal,
        store: store.clone(),
        clock: clock.clone(),
        name,
        stop: &tokens.windows,
        abort: &tokens.abort,
        copied: &tokens.copied,
    };
    let (plane, recording) = start_plane(parts)?;
    Ok((plane, Some(recording)))
}

/// Whether files are on the disk before the node goes on.
fn is_synced(settings: &Settings) -> bool {
    settings.journal.durability == Durability::Machine
}

/// Opens the journal and says what was found.
fn open_journal(settings: &Settings) -> anyhow::Result<Journal> {
    let (journal, recovered) = Journal::open(journal_options(settings))?;
    let Recovered { start, end, torn_bytes, lost_points, skipped_bytes } = recovered;
    tracing::info!(start, end, torn_bytes, lost_points, skipped_bytes, "journal open");
    Ok(journal)
}

/// The intake, as settings want it.
fn intake(settings: &Settings, journal: &Journal, router: Router, clock: &Clock) -> anyhow::Result<Intake> {
    let intake = Intake::open(journal.clone(), router, intake_options(settings, clock))?;
    intake.deduplicate(settings.relay.deduplicate_seconds, settings.relay.deduplicate_points);
    Ok(intake)
}

/// Binds the addresses of points over HTTP, if there are keys.
async fn bind_flux(settings: &Settings) -> anyhow::Result<Option<skyline_flux::Bound>> {
    if !settings.flux.is_on() {
        return Ok(None);
    }
    Ok(Some(skyline_flux::bind(&settings.flux.listen).await?))
}

/// What takes points over HTTP, and where.
fn flux(
    settings: &Settings,
    bound: Option<&skyline_flux::Bound>,
    intake: &Intake,
    flow: &Flow,
) -> anyhow::Result<Option<(Arc<Flux>, Vec<SocketAddr>)>> {
    let Some(bound) = bound else { return Ok(None) };
    let context = skyline_flux::Context { intake: intake.clone(), flow: flow.clone() };
    Ok(Some((Flux::new(settings, context)?, bound.addresses())))
}

/// Starts the aggregator.
fn aggregator(
    relaying: &Relaying,
    intake: &Intake,
    journal: &Journal,
    clock: &Clock,
    state_dir: &Path,
    (tasks, tokens): (&TaskTracker, &Tokens),
) -> anyhow::Result<Arc<Aggregator<swap::Aggregates>>> {
    let options = AggregateOptions {
        state_dir: state_dir.to_owned(),
        clock: clock.clone(),
        limits: AggregateLimits::default(),
    };
    let routing = Arc::new(relaying.routing.clone());
    let submit = swap::Aggregates { intake: intake.clone(), router: intake.router() };
    let stop = Stop { drain: tokens.aggregates.clone(), abort: tokens.abort.clone() };
    Ok(Arc::new(Aggregator::start(options, routing, journal, submit, tasks, &stop)?))
}

/// Starts what sends to destinations.
fn destinations(
    relaying: &Relaying,
    state_dir: &Path,
    journal: &Journal,
    flow: &Flow,
    clock: &Clock,
    (tasks, tokens): (&TaskTracker, &Tokens),
) -> anyhow::Result<Arc<Destinations>> {
    let stop = Stop { drain: tokens.destinations.clone(), abort: tokens.abort.clone() };
    let pairs = swap::pairs(relaying);
    Ok(Arc::new(Destinations::start(pairs, state_dir, journal, flow, clock, tasks, &stop)?))
}

/// Starts what brings points beside the listeners, and is stopped with them: over HTTP, and fetched.
fn start_beside(
    health: &Health,
    flux: Option<skyline_flux::Bound>,
    settings: &Settings,
    intake: &Intake,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    if let (Some(bound), Some((flux, _))) = (flux, &health.flux) {
        bound.spawn(flux, tasks, stop);
    }
    let folder = settings.node.state_dir.join("vista");
    let missing = || format!("the folder {} cannot be made", folder.display());
    health.fetched.start(intake, tasks, stop).with_context(missing)
}

/// A running node.
pub(crate) struct Node {
    settings: Settings,
    health: Arc<Health>,
    journal: Journal,
    stores: Arc<Stores>,
    intake: Intake,
    plane: Arc<Plane>,
    destinations: Arc<Destinations>,
    listeners: TaskTracker,
    aggregates: TaskTracker,
    senders: TaskTracker,
    reload: reload::Door,
    recorder: Option<tokio::task::JoinHandle<()>>,
    alerts: Arc<Alerts>,
    telling: Option<tokio::task::JoinHandle<()>>,
    http: Http,
    tokens: Tokens,
}

/// One token for each step of the stop.
#[derive(Debug, Clone, Default)]
struct Tokens {
    listeners: CancellationToken,
    aggregates: CancellationToken,
    intake: CancellationToken,
    windows: CancellationToken,
    destinations: CancellationToken,
    http: CancellationToken,
    /// The copy in Redis asks the windows for nothing more.
    copied: CancellationToken,
    /// The time is up: end now.
    abort: CancellationToken,
}

impl Node {
    /// Builds and starts everything; listeners last. `config`: where settings are read from again; none: never.
    pub(crate) async fn start(
        settings: Settings,
        relaying: Relaying,
        config: Option<Config>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let tokens = Tokens::default();
        let started = Self::build(settings, relaying, config, clock, tokens.clone()).await;
        match &started {
            Ok(node) => node.tell_started(),
            Err(_) => tokens.abort.cancel(),
        }
        started
    }

    async fn build(
        settings: Settings,
        relaying: Relaying,
        config: Option<Config>,
        clock: Clock,
        tokens: Tokens,
    ) -> anyhow::Result<Self> {
        let name = node_name(&settings);
        // Bound first: an address that is taken ends the start before anything else is touched.
        let mut http = Http::bind(&settings).await?;
        let bound = Listeners::bind(&relaying.listen)?;
        let flux_bound = bind_flux(&settings).await?;
        let state_dir = state_dir(&settings)?;
        let record = record::open(&settings, is_synced(&settings), &clock).await?;
        let journal = open_journal(&settings)?;
        let flow = Flow::default();
        let senders = TaskTracker::new();
        let destinations = destinations(&relaying, &state_dir, &journal, &flow, &clock, (&senders, &tokens))?;
        let router = swap::router(&relaying.routing, &journal);
        let Judging { plane, recorder, alerts, telling, graphs } =
            judging(&settings, &journal, &record, &clock, &name, &tokens).await?;
        let ends = mirror::Ends { windows: &tokens.windows, abort: &tokens.abort, copied: &tokens.copied };
        let mirror = mirror::start(&settings, &journal, &plane, &name, &clock, &ends)?;
        let stores = Arc::new(Stores::new(record, &plane, mirror, &settings.redis, &clock));
        let intake = intake(&settings, &journal, router, &clock)?;
        let aggregates = TaskTracker::new();
        let aggregator =
            aggregator(&relaying, &intake, &journal, &clock, &state_dir, (&aggregates, &tokens))?;
        let detour = Arc::new(Detour::new(relaying.clone(), &intake, &journal, &aggregator));
        let reloads = Arc::new(reload::Counters::default());
        let flux = flux(&settings, flux_bound.as_ref(), &intake, &flow)?;
        let backfill = Backfills::new(&settings, &intake, &plane, &clock, (&senders, &tokens.listeners));
        let health = Arc::new(Health::new(health::Parts {
            name,
            clock: clock.clone(),
            journal: journal.clone(),
            intake: intake.clone(),
            destinations: Arc::clone(&destinations),
            plane: Arc::clone(&plane),
            stores: Arc::clone(&stores),
            alerts: Arc::clone(&alerts),
            listening: bound.addresses(),
            flux,
            aggregator,
            graphs,
            fetched: Jobs::new(&settings, &clock)?,
            backfill,
            reloads: Arc::clone(&reloads),
            detour,
            named: Named::of(&relaying),
        }));
        let nothing_yet = Snapshot::take(&health);
        let (reload, wishes) = reload::door();
        http.serve(&settings, &health, &plane, reload.clone(), &tokens.http);
        let listeners = TaskTracker::new();
        let context = ListenContext { intake: intake.clone(), flow };
        let listening = bound.spawn(context, &listeners, &tokens.listeners);
        if let Some(config) = config {
            let (destinations, intake) = (Arc::clone(&destinations), intake.clone());
            let (in_force, health) = (relaying.clone(), Arc::clone(&health));
            let target = swap::Parts { listening, in_force, destinations, intake, health };
            let reloads = reload::Reloads::new(config, settings.clone(), &relaying, reloads);
            reload::start(reloads, wishes, target, &reload, &senders, &tokens.listeners);
        }
        // Last of those that bring points, and stopped with the first.
        start_beside(&health, flux_bound, &settings, &intake, &listeners, &tokens.listeners)?;
        let node = Self {
            health,
            journal,
            stores,
            intake,
            plane,
            destinations,
            listeners,
            aggregates,
            senders,
            reload,
            recorder,
            alerts,
            telling,
            http,
            tokens,
            settings,
        };
        node.start_housekeeping(nothing_yet);
        Ok(node)
    }

    fn tell_started(&self) {
        let none = Vec::new();
        let flux = self.health.flux.as_ref().map_or(&none, |(_, addresses)| addresses);
        for (what, addresses) in [
            ("api", &self.http.api),
            ("status", &self.http.status),
            ("render_proxy", &self.http.graphs),
            ("flux", flux),
        ] {
            for address in addresses {
                tracing::info!(listener = what, %address, "listening");
            }
        }
        tracing::info!(version = env!("CARGO_PKG_VERSION"), name = self.health.name, "started");
    }

    /// The listeners' ledger, the check of all ledgers, own metrics, and the age limit of the record.
    fn start_housekeeping(&self, nothing_yet: Snapshot) {
        let stop = self.tokens.intake.clone();
        let (intake, health) = (self.intake.clone(), Arc::clone(&self.health));
        self.senders.spawn({
            let stop = stop.clone();
            async move { intake.keep_ledger(stop).await }
        });
        self.senders.spawn({
            let (health, stop) = (Arc::clone(&health), stop.clone());
            async move {
                while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await.is_some() {
                    health.check_ledger();
                    health.look_at_destinations();
                }
            }
        });
        self.stores.look_after(&self.senders, &stop);
        self.alerts.look_after(&self.stores.record, &self.health.clock, &self.senders, &stop);
        let of_windows = (&self.plane, health.name.as_str(), &health.clock);
        self.alerts.look_for_silence(&self.settings, of_windows, &self.senders, &stop);
        self.senders.spawn(own_metrics::send_named(Arc::clone(&health), nothing_yet, stop.clone()));
        let seconds = self.settings.node.self_metrics_seconds;
        if seconds > 0 {
            self.senders.spawn(own_metrics::send(health, seconds, stop.clone()));
        }
        let days = self.settings.record.keep_days;
        if days > 0 {
            let (store, clock) = (self.stores.record.clone(), self.health.clock.clone());
            self.senders.spawn(async move {
                while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(3600))).await.is_some()
                {
                    if let Err(error) = store.purge(clock.now() - f64::from(days) * 86_400.0).await {
                        tracing::warn!(%error, "old anomalies are not removed now");
                    }
                }
            });
        }
    }

    /// Takes the parts down in order within `node.shutdown_seconds`, and says what is left.
    pub(crate) async fn stop(mut self) {
        let deadline = tokio::time::Instant::now()
            + Duration::from_secs_f64(self.settings.node.shutdown_seconds.max(0.1));
        self.health.draining.store(true, Ordering::Relaxed);
        self.tokens.listeners.cancel();
        self.listeners.close();
        let share = Duration::from_secs_f64(self.settings.node.shutdown_seconds * 0.3);
        if tokio::time::timeout(share, self.listeners.wait()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        // What is due now goes out with the rest.
        self.tokens.aggregates.cancel();
        self.aggregates.close();
        if tokio::time::timeout(share, self.aggregates.wait()).await.is_err() {
            tracing::warn!("aggregates that are due were not computed in time; the next start does it");
        }
        self.tokens.intake.cancel();
        // Windows and destinations read what is left, side by side.
        self.tokens.windows.cancel();
        self.tokens.destinations.cancel();
        self.senders.close();
        let plane = Arc::clone(&self.plane);
        let stores = Arc::clone(&self.stores);
        let threads = tokio::task::spawn_blocking(move || {
            plane.join();
            stores.join();
        });
        let (senders, recorder) = (self.senders.clone(), self.recorder.take());
        let (alerts, telling) = (Arc::clone(&self.alerts), self.telling.take());
        let ending = async {
            let (threads, ()) = tokio::join!(threads, senders.wait());
            drop(threads);
            if let Some(recorder) = recorder {
                drop(recorder.await);
            }
            alerts.end(telling).await;
        };
        tokio::pin!(ending);
        if tokio::time::timeout_at(deadline, &mut ending).await.is_err() {
            self.tokens.abort.cancel();
            drop(tokio::time::timeout(Duration::from_secs(2), ending).await);
        }
        // On a thread of their own: a disk that hangs must not keep a second signal from ending the node.
        let (intake, journal) = (self.intake.clone(), self.journal.clone());
        let saving = tokio::task::spawn_blocking(move || {
            if let Err(error) = intake.close() {
                tracing::error!(%error, "the listeners' ledger is not saved");
            }
            if let Err(error) = journal.sync() {
                tracing::error!(%error, "positions are not saved");
            }
        });
        if let Err(error) = saving.await {
            tracing::error!(%error, "the last save ended early");
        }
        self.tokens.http.cancel();
        self.stores.record.close().await;
        self.report_what_is_left();
        self.http.end().await;
    }

    fn report_what_is_left(&self) {
        let waiting: Vec<String> = self
            .destinations
            .left()
            .iter()
            .map(|left| {
                let state = if left.connected { "" } else { " (down)" };
                format!("{} points for {}{state}", left.waiting, left.address)
            })
            .collect();
        if waiting.is_empty() {
            tracing::info!("stopped; every point was delivered");
        } else {
            tracing::info!("stopped; left in the journal, sent after the next start: {}", waiting.join(", "));
        }
    }

    /// Waits until the window has taken so many points in all.
    pub(crate) async fn until_stored(&self, points: u64, patience: Duration) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let stored: u64 = self.plane.views().iter().map(|v| v.counters.stored).sum();
            if stored >= points {
                return Ok(());
            }
            anyhow::ensure!(
                tokio::time::Instant::now() < deadline,
                "only {stored} of {points} points are stored"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Reads the settings again.
    pub(crate) fn reload(&self) -> reload::Door {
        self.reload.clone()
    }

    fn listening_on(&self, listener: Listener) -> anyhow::Result<SocketAddr> {
        let listening = self.health.listening.load();
        let found = listening.iter().find(|(l, _)| *l == listener).and_then(|(_, address)| address.ip());
        found.with_context(|| format!("no {} listener", listener.label()))
    }

    /// Where pickles are taken.
    pub(crate) fn pickle_address(&self) -> anyhow::Result<SocketAddr> {
        self.listening_on(Listener::PickleTcp)
    }

    /// Where lines are taken.
    pub(crate) fn plaintext_address(&self) -> anyhow::Result<SocketAddr> {
        self.listening_on(Listener::PlaintextTcp)
    }

    /// Where the API answers.
    pub(crate) fn api_address(&self) -> anyhow::Result<SocketAddr> {
        self.http.api.first().copied().context("no API listener")
    }

    /// Where health and figures are.
    pub(crate) fn status_address(&self) -> anyhow::Result<SocketAddr> {
        self.http.status.first().copied().context("no status listener")
    }
}
