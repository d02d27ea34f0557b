//! Starts the copy of the windows in Redis.

use crate::plane::Plane;
use anyhow::Context as _;
use skyline_conf::model::Settings;
use skyline_conf::model::redis::Layout;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::file;
use skyline_mirror::chunks::{self, Told};
use skyline_mirror::server::Server;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A Redis that does not answer at the start is waited for so long before the node says it is ready, seconds.
const PATIENCE: f64 = 10.0;

/// The copy of the windows.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) server: Server,
    pub(crate) told: Arc<Told>,
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

/// Starts the copy, if the settings want one; none: they do not.
///
/// # Errors
/// A password or certificate is not where the settings say, or the state cannot be written. That Redis is away is none.
pub(crate) fn start(
    settings: &Settings,
    plane: &Arc<Plane>,
    name: &str,
    clock: &Clock,
    ends: &Ends<'_>,
) -> anyhow::Result<Option<Mirror>> {
    let (redis, window) = (&settings.redis, &settings.window);
    if !redis.is_on() || !window.enabled {
        ends.copied.cancel();
        return Ok(None);
    }
    let server = Server::new(redis).map_err(|error| anyhow::anyhow!("[redis]: {error}"))?;
    let told = Arc::new(Told::default());
    let options = chunks::Options {
        prefix: redis.prefix.clone(),
        every: redis.write_seconds,
        keep: f64::from(window.full_duration_seconds) + f64::from(window.grace_seconds),
        node: name.to_owned(),
        writer: number(&settings.node.state_dir)?,
        adopt: redis.adopt,
        clock: clock.clone(),
    };
    if redis.layout == Layout::Chunks {
        let stops = (ends.windows.clone(), ends.abort.clone());
        let running = chunks::run(server.clone(), Arc::clone(plane), options, Arc::clone(&told), stops);
        let copied = ends.copied.clone();
        tokio::spawn(async move {
            // Also when it ends early: nothing may wait for it then.
            let _copied = copied.drop_guard();
            running.await;
        });
    }
    tracing::info!(servers = ?redis.servers, layout = ?redis.layout, "windows are copied to Redis");
    Ok(Some(Mirror { server, told, clock: clock.clone(), started: clock.now() }))
}

/// The node's own number: made at its first start, kept in its state.
fn number(state_dir: &Path) -> anyhow::Result<u64> {
    let path = state_dir.join("node-number");
    let read = || u64::from_str_radix(std::fs::read_to_string(&path).ok()?.trim(), 16).ok();
    if let Some(number) = read() {
        return Ok(number);
    }
    let number: u64 = rand::random();
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
        let (left, shards) = self.told.adopting();
        let done = shards.saturating_sub(left);
        Some(format!("windows are being taken from Redis: {done} of {shards} shards"))
    }

    /// Adds the figures of the copy.
    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        self.server.figures(out);
        self.told.figures(self.clock.now(), out);
    }
}
