//! Starts the copy of the windows in Redis.

use crate::plane::Plane;
use anyhow::Context as _;
use skyline_conf::model::Settings;
use skyline_conf::model::redis::Layout;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::file;
use skyline_journal::{Journal, Scope};
use skyline_mirror::chunks::{self, Told};
use skyline_mirror::compat::{self, Compat};
use skyline_mirror::reference;
use skyline_mirror::server::Server;
use skyline_mirror::taking::Taking;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The journal's reader of layout `compat`.
const READER: &str = "redis";

/// A Redis that does not answer at the start is waited for so long before the node says it is ready, seconds.
const PATIENCE: f64 = 10.0;

/// The copy of the windows.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) server: Server,
    pub(crate) told: Arc<Told>,
    /// Of layout `compat`.
    compat: Option<Arc<compat::State>>,
    journal: Journal,
    thread: Mutex<Option<JoinHandle<()>>>,
    clock: Clock,
    started: f64,
}

/// When the copy ends, and what waits for that.
pub(crate) struct Ends<'a> {
    /// The windows read on to the end; then the copy is written a last time.
    pub(crate) windows: &'a CancellationToken,
    pub(crate) abort: &'a CancellationToken,
    /// The copy asks the windows for nothing more.
    pub(crate) copied: &'a CancellationToken,
}

/// Starts the copy, if the settings want one; none: they do not. It has a thread of its own: putting windows together
/// must not hold up points.
///
/// # Errors
/// A password or certificate is not where the settings say, or the state cannot be written. That Redis is away is none.
pub(crate) fn start(
    settings: &Settings,
    journal: &Journal,
    plane: &Arc<Plane>,
    name: &str,
    clock: &Clock,
    ends: &Ends<'_>,
) -> anyhow::Result<Option<Mirror>> {
    let redis = &settings.redis;
    if !redis.is_on() || !settings.window.enabled {
        ends.copied.cancel();
        forget_reader(journal);
        return Ok(None);
    }
    let server = Server::new(redis).map_err(|error| anyhow::anyhow!("[redis]: {error}"))?;
    let told = Arc::new(Told::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut compat_state = None;
    let (thread_server, thread_plane, thread_told) = (server.clone(), Arc::clone(plane), Arc::clone(&told));
    let (stop, abort, copied) = (ends.windows.clone(), ends.abort.clone(), ends.copied.clone());
    let builder = std::thread::Builder::new().name("mirror".to_owned());
    let thread = match redis.layout {
        Layout::Chunks => {
            forget_reader(journal);
            let options = chunk_options(settings, name, journal, clock)?;
            builder.spawn(move || {
                // Also when it ends early: nothing may wait for it then.
                let _copied = copied.drop_guard();
                let ends = (stop, abort);
                runtime.block_on(chunks::run(thread_server, thread_plane, options, thread_told, ends));
            })
        }
        Layout::Compat => {
            copied.cancel();
            let mut options = compat::Options::new(settings, name);
            options.clock = clock.clone();
            let namespace = redis.namespace.clone();
            let taking = redis.adopt.then(|| taking(&settings.node.state_dir));
            let compat = Compat::new(server.clone(), options, Arc::clone(plane));
            compat_state = Some(compat.state());
            let reader = journal.reader(READER, Scope::Everything)?;
            builder.spawn(move || {
                let adopting = reference::begin(
                    &thread_server,
                    &namespace,
                    &*thread_plane,
                    taking.as_ref(),
                    &thread_told,
                );
                let both = async {
                    let adopting = stop.run_until_cancelled(adopting);
                    tokio::join!(adopting, Box::pin(compat.run(reader, stop.clone())))
                };
                runtime.block_on(async {
                    abort.run_until_cancelled(both).await;
                });
            })
        }
    };
    let thread = thread.context("the thread of the copy in Redis cannot be started")?;
    tracing::info!(servers = ?redis.servers, layout = ?redis.layout, "windows are copied to Redis");
    let (clock, started, journal) = (clock.clone(), clock.now(), journal.clone());
    let thread = Mutex::new(Some(thread));
    Ok(Some(Mirror { server, told, compat: compat_state, journal, clock, started, thread }))
}

/// A position that nothing moves any more would keep the journal for ever.
fn forget_reader(journal: &Journal) {
    if journal.orphans().iter().any(|name| name == READER)
        && let Err(error) = journal.forget(READER)
    {
        tracing::warn!(%error, reader = READER, "an old position cannot be removed");
    }
}

fn chunk_options(
    settings: &Settings,
    name: &str,
    journal: &Journal,
    clock: &Clock,
) -> anyhow::Result<chunks::Options> {
    let (redis, window) = (&settings.redis, &settings.window);
    Ok(chunks::Options {
        prefix: redis.prefix.clone(),
        namespace: redis.namespace.clone(),
        every: redis.write_seconds,
        keep: f64::from(window.full_duration_seconds) + f64::from(window.grace_seconds),
        node: name.to_owned(),
        writer: number(&settings.node.state_dir)?,
        adopt: redis.adopt,
        journal_end: journal.end(),
        taking: taking(&settings.node.state_dir),
        clock: clock.clone(),
    })
}

fn taking(state_dir: &Path) -> Taking {
    Taking::new(state_dir.join("windows-to-take"))
}

/// The node's own number: made at its first start, kept in its state.
fn number(state_dir: &Path) -> anyhow::Result<u64> {
    let path = state_dir.join("node-number");
    let read = || u64::from_str_radix(std::fs::read_to_string(&path).ok()?.trim(), 16).ok();
    if let Some(number) = read() {
        return Ok(number);
    }
    let number: u64 = rand::random();
    if path.exists() {
        tracing::warn!(
            file = %path.display(),
            "the node's number cannot be read and is made anew: its shards in Redis count as another node's until they have missed their turn"
        );
    }
    file::replace(&path, format!("{number:016x}\n").as_bytes(), true)
        .with_context(|| format!("the node's number cannot be written to {}", path.display()))?;
    Ok(number)
}

impl Mirror {
    /// Why the windows are not yet as whole as Redis can make them; none: they are, or Redis does not answer and the
    /// node does what it can without.
    pub(crate) fn is_taking(&self) -> Option<String> {
        let waited = self.clock.now() - self.started;
        if self.told.has_begun() || !(self.server.is_up() || (0.0..PATIENCE).contains(&waited)) {
            return None;
        }
        // Somebody has to change something, and nobody knows when.
        if self.server.refusal().is_some() {
            return None;
        }
        let (left, shards) = self.told.adopting();
        let done = shards.saturating_sub(left);
        Some(format!("windows are being taken from Redis: {done} of {shards} shards"))
    }

    /// What waits for Redis: points with layout `compat`, shards with `chunks`.
    pub(crate) fn waiting(&self) -> u64 {
        match self.compat {
            Some(_) => {
                let ledgers = self.journal.ledgers();
                ledgers.iter().find(|(name, _)| name == READER).map_or(0, |(_, ledger)| ledger.waiting)
            }
            None => self.told.behind(),
        }
    }

    /// What a person should know, as a sentence.
    pub(crate) fn note(&self) -> Option<String> {
        let lacks = self.compat.as_ref().is_some_and(|compat| compat.has_gap());
        self.told
            .note()
            .or_else(|| lacks.then(|| "it lacks points of an outage, which are being put in".to_owned()))
    }

    /// Waits until the copy has ended.
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the copy of the windows in Redis has panicked; the next start goes on with it");
        }
    }

    /// Adds the figures of the copy.
    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        self.server.figures(out);
        self.told.adoption_figures(out);
        match &self.compat {
            Some(compat) => compat.figures(out),
            None => self.told.figures(self.clock.now(), out),
        }
    }
}
