//! From settings to parts: what each part is given, and the start of the window threads.

use crate::plane::recorder::{Recorder, Waiting};
use crate::plane::{Found, Handle, Plane, QUESTIONS, Shared, state, thread};
use crate::syslog::Syslog;
use anyhow::Context as _;
use skyline_conf::model::Settings;
use skyline_conf::model::detect::Detect;
use skyline_conf::model::window::Window;
use skyline_core::algorithm::Algorithm;
use skyline_core::clock::Clock;
use skyline_core::shard::ShardSet;
use skyline_detect::shard::{Options as ShardOptions, Shards};
use skyline_detect::tracked::Context as DetectContext;
use skyline_journal::{Durability, Journal, Options as JournalOptions, Scope, WhenFull};
use skyline_relay::intake::Options as IntakeOptions;
use skyline_sql::Store;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

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
pub(crate) fn detect_settings(
    detect: &Detect,
    window: &Window,
) -> anyhow::Result<skyline_detect::settings::Settings> {
    let algorithms = detect
        .algorithms
        .iter()
        .map(|name| {
            Algorithm::from_name(name).with_context(|| format!("detect.algorithms: no algorithm `{name}`"))
        })
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
        // Checked with the other settings.
        shards: window.shards.parse().unwrap_or(ShardSet::ALL),
        judge: settings.detect.enabled,
        max_future: f64::from(window.max_future_seconds),
        max_metrics: share(window.max_metrics) as usize,
        max_new_names: share(window.max_new_names_per_minute),
        skip: window.skip.clone(),
        keep: window.keep.clone(),
        never_counters: settings.detect.never_counters.clone(),
        second_order: settings.detect.second_order,
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
    pub(crate) copied: &'a CancellationToken,
}

/// The recorder, and where anomalies come to it from.
pub(crate) type Recording = (Recorder, tokio::sync::mpsc::Receiver<Found>);

/// Starts the window threads; their anomalies wait for the recorder, which needs parts that need the windows.
pub(crate) fn start_plane(parts: PlaneParts<'_>) -> anyhow::Result<(Plane, Recording)> {
    let PlaneParts { settings, journal, store, clock, name, stop, abort, copied } = parts;
    let dir = settings.node.state_dir.join("window");
    std::fs::create_dir_all(&dir).with_context(|| format!("window folder {}", dir.display()))?;
    let threads = window_threads(&settings.window);
    let past = Arc::new(state::Past::load(&dir));
    let (found, found_in) = tokio::sync::mpsc::channel(FOUND);
    let mut plane = Plane { threads: Vec::new(), told: Arc::default() };
    let mut readers = Vec::with_capacity(usize::from(threads));
    for number in 0..threads {
        let mut reader = journal.reader(&format!("window-{number}"), Scope::Everything)?;
        // Held before anything is given up: shards may come from a thread of the last run.
        let hold = past.hold_of(number, threads).unwrap_or_else(|| reader.position());
        reader.hold(hold.min(reader.held()));
        readers.push(reader);
    }
    forget_old_threads(journal, &dir, threads);
    for (number, reader) in (0..threads).zip(readers) {
        let detect = detect_settings(&settings.detect, &settings.window)?;
        let context = DetectContext::new(detect, f64::from(settings.window.grace_seconds));
        let shared = Arc::new(Shared::default());
        let (ask, questions) = sync_channel(QUESTIONS);
        let caller = reader.caller();
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
            copied: copied.clone(),
        };
        let past = Arc::clone(&past);
        let join = std::thread::Builder::new()
            .name(format!("window-{number}"))
            .spawn(move || thread::run(parts, &past))
            .context("a window thread cannot be started")?;
        plane.threads.push(Handle { shared, questions: ask, caller, join: Mutex::new(Some(join)) });
    }
    drop(found);
    let shared = plane.threads.iter().map(|t| Arc::clone(&t.shared)).collect();
    let syslog = settings
        .record
        .syslog
        .enabled
        .then(|| Syslog::new(&settings.record.syslog.address, name))
        .transpose()?;
    let context = skyline_sql::Context { host: name.to_owned(), app: "analyzer".to_owned() };
    let told = Arc::clone(&plane.told);
    let sync = settings.journal.durability == skyline_conf::model::journal::Durability::Machine;
    let spill = settings.node.state_dir.join("anomalies.spill");
    let waiting = Waiting::open(&spill, settings.record.spill_bytes, sync, &told);
    let recorder = Recorder { store, context, shared, syslog, told, waiting, alerting: None };
    Ok((plane, (recorder, found_in)))
}

/// Positions of window threads that this run does not have would keep the journal for ever.
pub(crate) fn forget_old_threads(journal: &Journal, dir: &Path, threads: u16) {
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

/// Settings of the intake.
pub(crate) fn intake_options(settings: &Settings, clock: &Clock) -> IntakeOptions {
    IntakeOptions {
        state_dir: settings.node.state_dir.clone(),
        when_full: settings.listen.when_full,
        udp_when_full: settings.listen.udp_when_full,
        clock: clock.clone(),
    }
}
