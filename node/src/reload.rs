//! Settings read again while the node runs: parse, check, and swap in one step; a fault changes nothing.
//!
//! What is swapped is how points are relayed: listeners, routing, destinations; and jobs that fetch points. A point that was taken before
//! goes where it was routed then, because the journal keeps that with the point. Other settings need a
//! restart, and are named.

use crate::cli::{Config, sentence};
use arc_swap::ArcSwap;
use serde_json::json;
use skyline_conf::model::Settings;
use skyline_conf::model::listen::Listen;
use skyline_conf::model::relay::Relay;
use skyline_conf::relaying::{self, Relaying};
use skyline_conf::{check, keys};
pub(crate) use skyline_webapp::status::Reloaded;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Requests that may wait.
const WAITING: usize = 16;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What a wish hears that comes too late.
const STOPPING: &str = "the node is stopping";

/// Sections whose keys are swapped.
const SWAPPED: [&str; 3] = ["relay.", "listen.", "vista."];

/// Keys of these that are not: they are looked at when the node starts, or a socket is bound.
const AT_START: [&str; 4] =
    ["relay.reload_on_change", "listen.when_full", "listen.udp_when_full", "listen.udp_buffer_bytes"];

/// A wish that settings are read again, and who wants to know how it went.
pub(crate) type Request = oneshot::Sender<Reloaded>;

/// Sends [`Request`]s.
pub(crate) type Door = mpsc::Sender<Request>;

/// What a reload is applied to.
pub(crate) trait Swap {
    /// Puts `new` in the place of what is in force.
    ///
    /// # Errors
    /// What cannot be done; then nothing was changed.
    fn swap(
        &mut self,
        new: &Relaying,
        settings: &Settings,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Reads settings again when asked to.
pub(crate) struct Reloads {
    config: Config,
    in_force: Settings,
    files: Arc<ArcSwap<Vec<PathBuf>>>,
    counters: Arc<Counters>,
}

/// How reloads went.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    done: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    /// Reloads that were done, and those that were refused.
    pub(crate) fn get(&self) -> (u64, u64) {
        (self.done.load(Relaxed), self.refused.load(Relaxed))
    }
}

/// A channel of wishes.
pub(crate) fn door() -> (Door, mpsc::Receiver<Request>) {
    mpsc::channel(WAITING)
}

/// Asks for a reload and waits for the outcome.
pub(crate) async fn ask(door: &Door) -> Reloaded {
    let (answer, outcome) = oneshot::channel();
    let ended = || Reloaded::Refused(STOPPING.to_owned());
    if door.send(answer).await.is_err() {
        return ended();
    }
    outcome.await.unwrap_or_else(|_| ended())
}

impl Reloads {
    pub(crate) fn new(
        config: Config,
        in_force: Settings,
        relaying: &Relaying,
        counters: Arc<Counters>,
    ) -> Self {
        let files = config.file().into_iter().chain(relaying.files.iter().cloned()).collect();
        Self { config, in_force, files: Arc::new(ArcSwap::from_pointee(files)), counters }
    }

    /// Serves wishes until `stop`.
    async fn run(
        mut self,
        mut wishes: mpsc::Receiver<Request>,
        mut target: impl Swap + Send,
        stop: CancellationToken,
    ) {
        while let Some(Some(answer)) = stop.run_until_cancelled(wishes.recv()).await {
            let outcome = self.reload(&mut target, &stop).await;
            match &outcome {
                Reloaded::Done(report) => {
                    self.counters.done.fetch_add(1, Relaxed);
                    tracing::info!(%report, "settings were read again");
                }
                Reloaded::Refused(why) => {
                    self.counters.refused.fetch_add(1, Relaxed);
                    tracing::error!(
                        why,
                        "settings were read again and are refused: those before stay in force"
                    );
                }
            }
            // Who asked may have gone.
            drop(answer.send(outcome));
        }
    }

    /// Files may be on a disk that does not answer: a stop does not wait for them.
    async fn reload(&mut self, target: &mut (impl Swap + Send), stop: &CancellationToken) -> Reloaded {
        let config = self.config.clone();
        let reading = tokio::task::spawn_blocking(move || read(&config));
        let Some(reading) = stop.run_until_cancelled(reading).await else {
            return Reloaded::Refused(STOPPING.to_owned());
        };
        let (settings, relaying) = match reading.map_err(anyhow::Error::from).flatten() {
            Ok(read) => read,
            Err(why) => {
                self.look_at_named().await;
                return Reloaded::Refused(sentence(&why));
            }
        };
        let files = self.config.file().into_iter().chain(relaying.files.iter().cloned()).collect();
        if let Err(error) = target.swap(&relaying, &settings).await {
            return Reloaded::Refused(sentence(&error));
        }
        self.files.store(Arc::new(files));
        let (swapped, waits) = taken_over(&mut self.in_force, settings);
        let file = self.config.file().and_then(|file| std::path::absolute(file).ok());
        Reloaded::Done(json!({
            "settings": file,
            "changed": swapped,
            "needs_restart": waits,
            "destinations": relaying.routing.destinations.len(),
            "statements": relaying.routing.statements.len(),
            "notes": relaying.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))
    }

    /// A file with a fault may be one that is named since: it is looked at from now on, so that mending it is seen.
    async fn look_at_named(&self) {
        let config = self.config.clone();
        let named = tokio::task::spawn_blocking(move || {
            let files = config.load().map(|loaded| loaded.settings.relay.files);
            files.map(|files| files.named().cloned().collect::<Vec<_>>()).unwrap_or_default()
        });
        let mut files = Vec::clone(&self.files.load());
        for file in named.await.unwrap_or_default() {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        self.files.store(Arc::new(files));
    }
}

/// Takes over what is swapped; the keys that have changed: those in force now, and those that need a restart, which
/// are named each time until there is one.
fn taken_over(in_force: &mut Settings, new: Settings) -> (Vec<&'static str>, Vec<&'static str>) {
    let is_swapped =
        |key: &&str| SWAPPED.iter().any(|section| key.starts_with(section)) && !AT_START.contains(key);
    let both = keys::changed(in_force, &new).into_iter().partition(is_swapped);
    in_force.relay = Relay { reload_on_change: in_force.relay.reload_on_change, ..new.relay };
    let Listen { when_full, udp_when_full, udp_buffer_bytes, .. } = in_force.listen;
    in_force.vista = new.vista;
    in_force.listen = Listen { when_full, udp_when_full, udp_buffer_bytes, ..new.listen };
    both
}

/// Reads and checks settings and relay files.
pub(crate) fn read(config: &Config) -> anyhow::Result<(Settings, Relaying)> {
    let loaded = config.load()?;
    let findings = check::check(&loaded.settings);
    let problems: Vec<String> = findings.iter().filter(|f| f.is_problem()).map(|f| loaded.told(f)).collect();
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
    let relaying = relaying(&loaded.settings)?;
    Ok((loaded.settings, relaying))
}

/// How points are relayed by these settings, hosts of which every address counts resolved. May block.
pub(crate) fn relaying(settings: &Settings) -> anyhow::Result<Relaying> {
    let mut relaying = relaying::read(settings)?;
    relaying.take_every_address(|server| match (server.host.as_str(), server.port).to_socket_addrs() {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(error) => {
            tracing::warn!(
                host = server.host, %error,
                "its addresses are not known now (useall): it is one server, looked up at each connection, until \
                 the settings are read again"
            );
            Vec::new()
        }
    });
    Ok(relaying)
}

/// Starts to serve wishes, and to watch the files if the settings say so.
pub(crate) fn start(
    reloads: Reloads,
    wishes: mpsc::Receiver<Request>,
    target: impl Swap + Send + 'static,
    door: &Door,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    if reloads.in_force.relay.reload_on_change {
        tasks.spawn(watch(Arc::clone(&reloads.files), door.clone(), stop.clone()));
    }
    tasks.spawn(reloads.run(wishes, target, stop.clone()));
}

/// What tells a file's versions apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version(Option<(SystemTime, u64)>);

impl Version {
    fn of(path: &Path) -> Self {
        Self(std::fs::metadata(path).ok().and_then(|meta| Some((meta.modified().ok()?, meta.len()))))
    }
}

/// What is known of files after a reload: one that has changed since it was looked at `before` may not have been read
/// so, and counts as it was then. Others that are read now are as they are `after`.
fn look_again(before: &[(PathBuf, Version)], mut after: Vec<(PathBuf, Version)>) -> Vec<(PathBuf, Version)> {
    for (path, version) in &mut after {
        if let Some((_, was)) = before.iter().find(|(known, _)| known == path) {
            version.clone_from(was);
        }
    }
    after
}

/// Asks for a reload when one of `files` has changed and then stayed as it is for a look.
async fn watch(files: Arc<ArcSwap<Vec<PathBuf>>>, door: Door, stop: CancellationToken) {
    let look = || -> Vec<(PathBuf, Version)> {
        files.load().iter().map(|path| (path.clone(), Version::of(path))).collect()
    };
    let mut known = look();
    let mut last = known.clone();
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let now = look();
        let is_settled = now == last;
        last.clone_from(&now);
        if is_settled && now != known {
            drop(ask(&door).await);
            known = look_again(&now, look());
            last.clone_from(&known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_named_until_there_is_one() {
        let mut in_force = Settings::default();
        let mut new = Settings::default();
        new.relay.reload_on_change = false;
        new.relay.detour_seconds = 5.0;
        new.listen.max_connections = 7;
        new.vista.concurrency = 3;
        new.listen.udp_buffer_bytes += 1;
        new.node.name = "other".to_owned();
        let waits = vec!["node.name", "listen.udp_buffer_bytes", "relay.reload_on_change"];
        let swapped = vec!["listen.max_connections", "relay.detour_seconds", "vista.concurrency"];
        assert_eq!(taken_over(&mut in_force, new.clone()), (swapped, waits.clone()));
        assert_eq!(taken_over(&mut in_force, new), (Vec::new(), waits));
        for key in AT_START {
            assert!(keys::find(key).is_some(), "{key}");
        }
    }

    /// Nothing that is refused comes so far.
    struct Never;

    impl Swap for Never {
        async fn swap(&mut self, _: &Relaying, _: &Settings) -> anyhow::Result<()> {
            anyhow::bail!("it was asked to swap")
        }
    }

    #[tokio::test]
    async fn a_file_with_a_fault_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let (settings, rules) = (folder.path().join("skyline.toml"), folder.path().join("relay.conf"));
        std::fs::write(&settings, "").unwrap();
        let config = Config::of_file(settings.to_str().unwrap());
        let (in_force, relaying) = read(&config).unwrap();
        let mut reloads = Reloads::new(config, in_force, &relaying, Arc::default());
        std::fs::write(&settings, format!("relay.files.c_relay_conf = '{}'\n", rules.display())).unwrap();
        std::fs::write(&rules, "nonsense").unwrap();
        for _ in 0..2 {
            let Reloaded::Refused(why) = reloads.reload(&mut Never, &CancellationToken::new()).await else {
                panic!("it was taken")
            };
            assert!(why.contains("relay.conf:1:1"), "{why}");
            assert_eq!(**reloads.files.load(), [settings.clone(), rules.clone()]);
        }
    }

    #[test]
    fn what_changes_while_it_is_read_is_read_again() {
        let version =
            |path: &str, length| (PathBuf::from(path), Version(Some((SystemTime::UNIX_EPOCH, length))));
        let before = [version("a", 1), version("b", 1)];
        let after = vec![version("a", 2), version("c", 1)];
        assert_eq!(look_again(&before, after), [version("a", 1), version("c", 1)]);
    }
}
