//! Builds the parts in order and takes them down in order.
//!
//! Start: record, journal, destinations, window threads, HTTP, listeners last. Stop: listeners, intake,
//! then windows, destinations and HTTP side by side, each with its share of the time.

use crate::health::{self, Health};
use crate::own_metrics;
use crate::plane::{Handle, Plane, QUESTIONS, Shared, recorder, state, thread};
use crate::syslog::Syslog;
use anyhow::Context as _;
use skyline_conf::model::Settings;
use skyline_conf::model::detect::Detect;
use skyline_conf::model::window::Window;
use skyline_core::algorithm::Algorithm;
use skyline_core::batch::Listener;
use skyline_core::clock::Clock;
use skyline_core::point::Datapoint;
use skyline_detect::shard::{Options as ShardOptions, Shards};
use skyline_detect::tracked::Context as DetectContext;
use skyline_journal::{Durability, Journal, Options as JournalOptions, Scope, WhenFull};
use skyline_relay::dest::{Destinations, Stop};
use skyline_relay::flow::Flow;
use skyline_relay::intake::{Intake, Options as IntakeOptions};
use skyline_relay::listen::{Address, Context as ListenContext, Listeners};
use skyline_relay::route::Router;
use skyline_sql::Store;
use skyline_webapp::{api, serve};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Groups of anomalies that may wait for the record.
const FOUND: usize = 1_000;

/// Settings of the journal.
pub(crate) fn journal_options(settings: &Settings) -> JournalOptions {
    use skyline_conf::model::journal;
    let journal = &settings.journal;
    JournalOptions {
        dir: settings.node.state_dir.join("journal"),
        max_bytes: journal.max_bytes,
        segment_bytes: journal.segment_bytes,
        memory_bytes: journal.memory_bytes,
        durability: match journal.durability {
            journal::Durability::Process => Durability::Process,
            journal::Durability::Machine => Durability::Machine,
        },
        when_full: match journal.when_full {
            journal::WhenFull::ShedOldest => WhenFull::ShedOldest,
            journal::WhenFull::Block => WhenFull::Block,
        },
        min_free_percent: journal.min_free_percent,
    }
}

/// Settings of detection.
pub(crate) fn detect_settings(detect: &Detect, window: &Window) -> anyhow::Result<skyline_detect::settings::Settings> {
    let algorithms = detect
        .algorithms
        .iter()
        .map(|name| Algorithm::from_name(name).with_context(|| format!("detect.algorithms: no algorithm `{name}`")))
        .collect::<anyhow::Result<_>>()?;
    Ok(skyline_detect::settings::Settings {
        algorithms,
        consensus: detect.consensus,
        stale_seconds: f64::from(detect.stale_seconds),
        min_points: detect.min_points,
        boredom_points: detect.boredom_points,
        boredom_set_size: detect.boredom_set_size,
        full_duration: f64::from(window.full_duration_seconds),
        ..Default::default()
    })
}

/// How many threads own windows.
pub(crate) fn window_threads(window: &Window) -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let wanted = if window.threads == 0 { cores.div_ceil(2) as u32 } else { window.threads };
    wanted.clamp(1, 256) as u16
}

/// What the window threads share of a thread's options.
pub(crate) fn shard_options(settings: &Settings, thread: u16, threads: u16) -> ShardOptions {
    let window = &settings.window;
    let share = |total: u64| total.div_ceil(u64::from(threads));
    ShardOptions {
        thread,
        threads,
        judge: settings.detect.enabled,
        max_future: f64::from(window.max_future_seconds),
        max_metrics: share(window.max_metrics) as usize,
        max_new_names: share(window.max_new_names_per_minute),
        skip: window.skip.clone(),
        keep: window.keep.clone(),
        never_counters: settings.detect.never_counters.clone(),
    }
}

/// What starting the plane takes.
pub(crate) struct PlaneParts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) journal: &'a Journal,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) name: &'a str,
    pub(crate) stop: &'a CancellationToken,
    pub(crate) abort: &'a CancellationToken,
}

/// Starts the window threads and the recorder.
pub(crate) fn start_plane(
    parts: PlaneParts<'_>,
) -> anyhow::Result<(Plane, tokio::task::JoinHandle<()>)> {
    let PlaneParts { settings, journal, store, clock, name, stop, abort } = parts;
    let dir = settings.node.state_dir.join("window");
    std::fs::create_dir_all(&dir).with_context(|| format!("window folder {}", dir.display()))?;
    let threads = window_threads(&settings.window);
    let past = Arc::new(state::Past::load(&dir));
    let (found, found_in) = tokio::sync::mpsc::channel(FOUND);
    let mut plane = Plane { threads: Vec::new() };
    for number in 0..threads {
        let reader = journal.reader(&format!("window-{number}"), Scope::Everything)?;
        let detect = detect_settings(&settings.detect, &settings.window)?;
        let context = DetectContext::new(detect, f64::from(settings.window.grace_seconds));
        let shared = Arc::new(Shared::default());
        let (ask, questions) = sync_channel(QUESTIONS);
        let parts = thread::Parts {
            number: usize::from(number),
            threads,
            shards: Shards::new(shard_options(settings, number, threads), context),
            reader,
            journal: journal.clone(),
            dir: dir.clone(),
            sync: settings.journal.durability == skyline_conf::model::journal::Durability::Machine,
            snapshot_seconds: settings.window.snapshot_seconds,
            clock: clock.clone(),
            shared: Arc::clone(&shared),
            questions,
            found: found.clone(),
            stop: stop.clone(),
            abort: abort.clone(),
        };
        let past = Arc::clone(&past);
        let join = std::thread::Builder::new()
            .name(format!("window-{number}"))
            .spawn(move || thread::run(parts, &past))
            .context("a window thread cannot be started")?;
        plane.threads.push(Handle { shared, questions: ask, join: Mutex::new(Some(join)) });
    }
    drop(found);
    forget_old_threads(journal, &dir, threads);
    let shared = plane.threads.iter().map(|t| Arc::clone(&t.shared)).collect();
    let syslog = settings.record.syslog.enabled.then(|| Syslog::new(&settings.record.syslog.address, name)).transpose()?;
    let context = skyline_sql::Context { host: name.to_owned(), app: "analyzer".to_owned() };
    let recorder = tokio::spawn(recorder::run(found_in, store, context, shared, syslog));
    Ok((plane, recorder))
}

/// Positions of window threads that this run does not have would keep the journal for ever.
fn forget_old_threads(journal: &Journal, dir: &Path, threads: u16) {
    for name in journal.orphans().into_iter().filter(|name| name.starts_with("window-")) {
        if let Err(error) = journal.forget(&name) {
            tracing::warn!(%error, reader = name, "an old position cannot be removed");
        }
    }
    state::forget_beyond(dir, threads);
}

/// The node's name in its own metrics and records.
pub(crate) fn node_name(settings: &Settings) -> String {
    if settings.node.name.is_empty() {
        hostname::get().map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned())
    } else {
        settings.node.name.clone()
    }
}

/// The plane as the API's source of points.
struct Windows(Arc<Plane>);

impl api::SeriesSource for Windows {
    fn series<'a>(&'a self, name: &'a str, from: f64, until: f64) -> api::Later<'a, Option<Vec<Datapoint>>> {
        Box::pin(async move { self.0.series(name, from, until).await.map_err(|_| api::Busy) })
    }

    fn remove<'a>(&'a self, name: &'a str) -> api::Later<'a, bool> {
        Box::pin(async move { self.0.remove(name).await.map_err(|_| api::Busy) })
    }
}

/// HTTP on a runtime of its own, so that answers never queue behind data.
struct Http {
    runtime: tokio::runtime::Runtime,
    api: Vec<SocketAddr>,
    status: Vec<SocketAddr>,
    bound: Option<(serve::Bound, serve::Bound)>,
    serving: Vec<tokio::task::JoinHandle<()>>,
}

impl Http {
    /// Binds; clients wait until [`Http::serve`].
    async fn bind(settings: &skyline_conf::model::http::Http) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("http").enable_all().build()?;
        let (api, status) = (settings.api.clone(), settings.status.clone());
        // Bound on that runtime: its own reactor then watches the sockets.
        let binding = runtime.spawn(async move {
            let api = serve::bind(serve::Listener::Api, &api).await?;
            let status = serve::bind(serve::Listener::Status, &status).await?;
            Ok::<_, skyline_webapp::Error>((api, status))
        });
        let bound = match binding.await {
            Ok(Ok(bound)) => bound,
            Ok(Err(error)) => {
                runtime.shutdown_background();
                return Err(error.into());
            }
            Err(error) => {
                runtime.shutdown_background();
                return Err(error.into());
            }
        };
        Ok(Self { api: bound.0.addresses(), status: bound.1.addresses(), bound: Some(bound), runtime, serving: Vec::new() })
    }

    fn serve(&mut self, health: &Arc<Health>, plane: &Arc<Plane>, stop: &CancellationToken) {
        let Some((api, status)) = self.bound.take() else { return };
        let windows = Arc::new(Windows(Arc::clone(plane)));
        let sources = api::Sources { store: health.store.clone(), series: windows, clock: health.clock.clone() };
        let of = |health: &Arc<Health>| Arc::clone(health);
        let (ready, figures, shown) = (of(health), of(health), of(health));
        let status_sources = skyline_webapp::status::Sources {
            readiness: Arc::new(move || ready.readiness()),
            figures: Arc::new(move || figures.figures()),
            status: Arc::new(move || shown.status()),
        };
        self.serving.push(self.runtime.spawn(api.serve(api::router(sources), stop.clone())));
        self.serving.push(self.runtime.spawn(status.serve(skyline_webapp::status::router(status_sources), stop.clone())));
    }

    async fn end(self) {
        for task in self.serving {
            drop(tokio::time::timeout(Duration::from_secs(1), task).await);
        }
        self.runtime.shutdown_background();
    }
}

/// A running node.
pub(crate) struct Node {
    settings: Settings,
    health: Arc<Health>,
    journal: Journal,
    store: Store,
    intake: Intake,
    plane: Arc<Plane>,
    destinations: Arc<Destinations>,
    listening: Vec<(Listener, Address)>,
    listeners: TaskTracker,
    senders: TaskTracker,
    recorder: Option<tokio::task::JoinHandle<()>>,
    http: Http,
    tokens: Tokens,
}

/// One token for each step of the stop.
#[derive(Debug, Clone, Default)]
struct Tokens {
    listeners: CancellationToken,
    intake: CancellationToken,
    windows: CancellationToken,
    destinations: CancellationToken,
    http: CancellationToken,
    /// The time is up: end now.
    abort: CancellationToken,
}

impl Node {
    /// Builds and starts everything; listeners last.
    pub(crate) async fn start(settings: Settings, clock: Clock) -> anyhow::Result<Self> {
        let state_dir = settings.node.state_dir.clone();
        std::fs::create_dir_all(&state_dir).with_context(|| format!("node.state_dir {}", state_dir.display()))?;
        let name = node_name(&settings);
        let tokens = Tokens::default();
        // Bound first: an address that is taken ends the start before anything else is touched.
        let mut http = Http::bind(&settings.http).await?;
        let file = &settings.record.sqlite_file;
        let file = if file.as_os_str().is_empty() { state_dir.join("anomalies.db") } else { file.clone() };
        let store = Store::open(&file).await?;
        let (journal, recovered) = Journal::open(journal_options(&settings))?;
        tracing::info!(?recovered, "journal open");
        let flow = Flow::default();
        let senders = TaskTracker::new();
        let router = Router::new(&settings.relay, &journal)?;
        let stop = Stop { drain: tokens.destinations.clone(), abort: tokens.abort.clone() };
        let destinations = Arc::new(Destinations::start(&settings.relay, &journal, &flow, &clock, &senders, &stop)?);
        let (plane, recorder) = if settings.window.enabled {
            let parts = PlaneParts {
                settings: &settings,
                journal: &journal,
                store: store.clone(),
                clock: clock.clone(),
                name: &name,
                stop: &tokens.windows,
                abort: &tokens.abort,
            };
            let (plane, recorder) = start_plane(parts)?;
            (plane, Some(recorder))
        } else {
            forget_old_threads(&journal, &state_dir.join("window"), 0);
            (Plane { threads: Vec::new() }, None)
        };
        let plane = Arc::new(plane);
        let intake = Intake::open(journal.clone(), router, intake_options(&settings, &clock))?;
        let health = Arc::new(Health::new(health::Parts {
            name,
            clock: clock.clone(),
            journal: journal.clone(),
            intake: intake.clone(),
            destinations: Arc::clone(&destinations),
            plane: Arc::clone(&plane),
            store: store.clone(),
        }));
        http.serve(&health, &plane, &tokens.http);
        let bound = Listeners::bind(&settings.listen, ListenContext { intake: intake.clone(), flow })?;
        let listening = bound.addresses();
        let listeners = TaskTracker::new();
        bound.spawn(&listeners, &tokens.listeners);
        let node = Self {
            health,
            journal,
            store,
            intake,
            plane,
            destinations,
            listening,
            listeners,
            senders,
            recorder,
            http,
            tokens,
            settings,
        };
        node.start_housekeeping();
        for (listener, address) in &node.listening {
            tracing::info!(listener = listener.label(), address = ?address, "listening");
        }
        tracing::info!(api = ?node.http.api, status = ?node.http.status, "ready");
        Ok(node)
    }

    /// The listeners' ledger, the check of all ledgers, own metrics, and the age limit of the record.
    fn start_housekeeping(&self) {
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
                }
            }
        });
        let seconds = self.settings.node.self_metrics_seconds;
        if seconds > 0 {
            self.senders.spawn(own_metrics::send(health, seconds, stop.clone()));
        }
        let days = self.settings.record.keep_days;
        if days > 0 {
            let (store, clock) = (self.store.clone(), self.health.clock.clone());
            self.senders.spawn(async move {
                while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(3600))).await.is_some() {
                    if let Err(error) = store.purge(clock.now() - f64::from(days) * 86_400.0).await {
                        tracing::warn!(%error, "old anomalies are not removed now");
                    }
                }
            });
        }
    }

    /// Returns when a signal comes or a part has ended by itself.
    pub(crate) async fn until_stopped(&self, stop: &CancellationToken) {
        let watch = async {
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                if self.plane.threads.iter().any(|t| t.join.lock().is_ok_and(|j| j.as_ref().is_some_and(|j| j.is_finished()))) {
                    tracing::error!("a window thread has ended by itself; stopping so that the journal is kept whole");
                    return;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = watch => {}
        }
    }

    /// Takes the parts down in order within `node.shutdown_seconds`, and says what is left.
    pub(crate) async fn stop(mut self) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs_f64(self.settings.node.shutdown_seconds.max(0.1));
        self.health.draining.store(true, Ordering::Relaxed);
        self.tokens.listeners.cancel();
        self.listeners.close();
        let share = Duration::from_secs_f64(self.settings.node.shutdown_seconds * 0.3);
        if tokio::time::timeout(share, self.listeners.wait()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        self.tokens.intake.cancel();
        if let Err(error) = self.intake.close() {
            tracing::error!(%error, "the listeners' ledger is not saved");
        }
        // Windows and destinations read what is left, side by side.
        self.tokens.windows.cancel();
        self.tokens.destinations.cancel();
        self.senders.close();
        let plane = Arc::clone(&self.plane);
        let threads = tokio::task::spawn_blocking(move || plane.join());
        let (senders, recorder) = (self.senders.clone(), self.recorder.take());
        let ending = async {
            let _: (_, _) = tokio::join!(threads, senders.wait());
            if let Some(recorder) = recorder {
                drop(recorder.await);
            }
        };
        tokio::pin!(ending);
        if tokio::time::timeout_at(deadline, &mut ending).await.is_err() {
            self.tokens.abort.cancel();
            drop(tokio::time::timeout(Duration::from_secs(2), ending).await);
        }
        if let Err(error) = self.journal.sync() {
            tracing::error!(%error, "positions are not saved");
        }
        self.tokens.http.cancel();
        self.store.close().await;
        self.report_what_is_left();
        self.http.end().await;
    }

    fn report_what_is_left(&self) {
        let waiting: Vec<String> = self
            .destinations
            .status()
            .iter()
            .filter(|d| d.waiting > 0)
            .map(|d| format!("{} points for {}", d.waiting, d.address))
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
            anyhow::ensure!(tokio::time::Instant::now() < deadline, "only {stored} of {points} points are stored");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn listening_on(&self, listener: Listener) -> anyhow::Result<SocketAddr> {
        let found = self.listening.iter().find(|(l, _)| *l == listener).and_then(|(_, address)| address.ip());
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

fn intake_options(settings: &Settings, clock: &Clock) -> IntakeOptions {
    IntakeOptions {
        state_dir: settings.node.state_dir.clone(),
        when_full: settings.listen.when_full,
        udp_when_full: settings.listen.udp_when_full,
        clock: clock.clone(),
    }
}
