//! Starts alerting: rules, channels, pictures, and the dispatcher.

use crate::plane::Plane;
use anyhow::Context as _;
use skyline_alerting::channel::{self, Channel, Gallery};
use skyline_alerting::dispatcher::{self, Alerting, Waiting};
use skyline_alerting::gallery::{Captions, WindowGallery};
use skyline_alerting::policy::{self, Policy};
use skyline_conf::model::Settings;
use skyline_conf::model::journal::Durability;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_render_proxy::proxy::Proxy;
use skyline_render_proxy::signed::Signer;
use skyline_render_proxy::windows::Windows;
use skyline_sql::Store;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A channel that edits what it said tells what is new after so long, seconds.
const EDITED: f64 = 5.0;
/// A message that has waited for so long is worth a word, seconds.
const LATE: f64 = 60.0;
/// What `/-/ready` says of that.
const UNWRITTEN: &str = "messages leave without being written down: neither alerts.log nor the record takes anything; make room on the disk, a restart may send them again";
/// At a start mutes are waited for so long.
const MUTES: Duration = Duration::from_secs(2);
/// Somebody who looks at a page would rather wait so long than see no picture.
const PAGES: Duration = Duration::from_secs(5);
/// Other nodes are heard once in so long.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);
/// Old incidents and messages are looked for once in so long.
const PURGE: Duration = Duration::from_secs(3_600);

/// Alerting of a node.
#[derive(Debug)]
pub(crate) struct Alerts {
    /// Rules, mutes and links.
    pub(crate) policy: Arc<Policy>,
    /// Where the pictures of pages come from.
    pub(crate) gallery: Arc<dyn Gallery>,
    /// Pictures of messages.
    pictures: WindowGallery,
    /// The dispatcher; none: alerting is switched off.
    pub(crate) dispatcher: Option<Alerting>,
    channels: Vec<Arc<dyn Channel>>,
    task: Option<JoinHandle<()>>,
    stop: CancellationToken,
    keep: f64,
    node: String,
}

/// What starting it takes.
pub(crate) struct Parts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) store: &'a Store,
    pub(crate) plane: &'a Arc<Plane>,
    pub(crate) name: &'a str,
    pub(crate) clock: &'a Clock,
    pub(crate) graphs: &'a Proxy,
    pub(crate) abort: &'a CancellationToken,
}

/// Starts it.
///
/// # Errors
/// A channel, a rule or the file of alerts cannot be used.
pub(crate) async fn start(parts: &Parts<'_>) -> anyhow::Result<Alerts> {
    let Parts { settings, store, plane, name, clock, graphs, abort } = *parts;
    let alerting = &settings.alerting;
    let state_dir = &settings.node.state_dir;
    let pictures = settings.render_proxy.is_on().then(|| Signer::open(state_dir)).transpose()?;
    let policy = Arc::new(Policy::open(alerting, state_dir, store.clone(), clock.clone(), pictures)?);
    // What is muted is known before anybody is told; a record that is away does not hold a start up.
    if !matches!(tokio::time::timeout(MUTES, policy.mutes.refresh()).await, Ok(Ok(()))) {
        tracing::warn!("mutes cannot be read yet: what is muted may be told");
    }
    let windows: Arc<dyn Windows> = Arc::<Plane>::clone(plane);
    let gallery = gallery(settings, &windows, graphs);
    let stop = CancellationToken::new();
    let (mut dispatcher, mut task, mut open) = (None, None, Vec::new());
    if alerting.enabled {
        let channels = channel::all(alerting)?;
        if channels.is_empty() {
            tracing::info!("no channel of [alerting] is configured: incidents are kept, and nobody is told");
        }
        open.clone_from(&channels);
        let parts = dispatcher::Parts {
            node: name.to_owned(),
            settings: behaviour(settings, &channels),
            state_dir: state_dir.clone(),
            store: store.clone(),
            clock: clock.clone(),
            rules: Arc::<Policy>::clone(&policy),
            channels,
            gallery: Arc::new(gallery.clone()),
            windows: Some(windows),
            stop: stop.clone(),
            abort: abort.clone(),
        };
        let file = state_dir.join("alerts.log");
        let started = dispatcher::start(parts)
            .with_context(|| format!("the file of alerts {} cannot be used", file.display()))?;
        (dispatcher, task) = (Some(started.0), Some(started.1));
    }
    Ok(Alerts {
        policy,
        gallery: Arc::new(gallery.clone().with_patience(PAGES)),
        pictures: gallery,
        dispatcher,
        channels: open,
        task,
        stop,
        keep: alerting.keep_seconds,
        node: name.to_owned(),
    })
}

/// How the dispatcher behaves.
fn behaviour(settings: &Settings, channels: &[Arc<dyn Channel>]) -> dispatcher::Settings {
    let alerting = &settings.alerting;
    let pace = channels.iter().map(|channel| {
        let edits = channel.name() == "slack";
        let pace = if edits { EDITED.min(alerting.update_seconds) } else { alerting.update_seconds };
        (channel.name().to_owned(), pace)
    });
    dispatcher::Settings {
        incidents: skyline_alerting::incident::Settings {
            join: alerting.join_seconds,
            end: alerting.end_seconds,
        },
        gather: f64::from(alerting.gather_milliseconds) / 1e3,
        pace: pace.collect::<HashMap<_, _>>(),
        other_pace: alerting.update_seconds,
        retry: alerting.retry_seconds,
        give_up: alerting.give_up_seconds,
        limits: policy::limits(alerting),
        dry_run: alerting.dry_run,
        sync: settings.journal.durability == Durability::Machine,
    }
}

fn gallery(settings: &Settings, windows: &Arc<dyn Windows>, graphs: &Proxy) -> WindowGallery {
    let alerting = &settings.alerting;
    let patience = Duration::from_millis(alerting.picture_milliseconds.into());
    let captions = Captions { titles: alerting.titles.clone(), zone: alerting.zone.clone() };
    WindowGallery::new(Arc::clone(windows), captions, patience).with_graphite(graphs.clone())
}

/// Asks the record what people have acknowledged at other nodes, until `stop`.
async fn hear_of_acknowledgements(store: Store, node: String, dispatcher: Alerting, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(ACKNOWLEDGED)).await.is_some() {
        // A record that is away is said by those who write to it.
        for key in store.acknowledged_elsewhere(&node).await.unwrap_or_default() {
            if dispatcher.acknowledge(&key, "somebody, at another node").await.is_err() {
                return;
            }
        }
    }
}

impl Alerts {
    /// Tells of metrics that send no more, until `stop`.
    pub(crate) fn look_for_silence(
        &self,
        settings: &Settings,
        (plane, name, clock): (&Arc<Plane>, &str, &Clock),
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let Some(alerting) = self.dispatcher.clone() else { return };
        let parts = crate::stale::Parts {
            plane: Arc::clone(plane),
            alerting,
            policy: Arc::clone(&self.policy),
            name: name.to_owned(),
            clock: clock.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(crate::stale::watch(settings.clone(), parts));
    }

    /// Keeps mutes fresh, and removes what is old, until `stop`.
    pub(crate) fn look_after(
        &self,
        store: &Store,
        clock: &Clock,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        tasks.spawn(self.policy.mutes.clone().keep_fresh(stop.clone()));
        if let Some(dispatcher) = self.dispatcher.clone() {
            tasks.spawn(hear_of_acknowledgements(store.clone(), self.node.clone(), dispatcher, stop.clone()));
        }
        let (store, clock, stop, keep) = (store.clone(), clock.clone(), stop.clone(), self.keep);
        if keep <= 0.0 {
            return;
        }
        tasks.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(PURGE)).await.is_some() {
                if let Err(error) = store.purge_alerts(clock.now() - keep).await {
                    tracing::warn!(%error, "old incidents and messages are not removed now");
                }
            }
        });
    }

    /// Lets it send what is due; it ends.
    pub(crate) async fn end(&self, task: Option<JoinHandle<()>>) {
        self.stop.cancel();
        if let Some(task) = task
            && task.await.is_err()
        {
            tracing::error!("alerting has panicked; what it wrote down is sent after the next start");
        }
    }

    /// The task, to be waited for at the end.
    pub(crate) const fn take_task(&mut self) -> Option<JoinHandle<()>> {
        self.task.take()
    }

    /// Channels that take nothing, each in a sentence: the node does its work, a person should know all the same.
    pub(crate) fn trouble(&self) -> Vec<String> {
        let waiting =
            self.dispatcher.as_ref().map(|dispatcher| dispatcher.told.waiting()).unwrap_or_default();
        let sentence = |(name, waiting, error): (String, Waiting, Option<String>)| {
            let minutes = waiting.oldest_seconds / 60.0;
            let is_late = waiting.oldest_seconds > LATE;
            is_late.then(|| {
                let why = error.unwrap_or_else(|| "it was not tried yet".to_owned());
                format!(
                    "{} messages wait for channel {name}, the oldest for {minutes:.0} minutes: {why}",
                    waiting.messages
                )
            })
        };
        let is_bold = self.dispatcher.as_ref().is_some_and(|dispatcher| dispatcher.told.is_bold());
        let bold = is_bold.then(|| UNWRITTEN.to_owned());
        bold.into_iter().chain(waiting.into_iter().filter_map(sentence)).collect()
    }

    /// Adds figures of alerting to `out`.
    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        if let Some(dispatcher) = &self.dispatcher {
            dispatcher.told.figures(out);
            let help = "Messages since start that left without a chart, because it was not there in time";
            out.push(Figure::counter("skyline_alerting_late_charts_total", help, self.pictures.late()));
        }
        for channel in &self.channels {
            channel.figures(out);
        }
    }

    /// What `skyline status` shows of it.
    pub(crate) fn status(&self) -> serde_json::Value {
        let Some(dispatcher) = &self.dispatcher else { return serde_json::Value::Null };
        let told = &dispatcher.told;
        let counts = told.counts();
        let channels = told.waiting().into_iter().map(|(name, waiting, error)| {
            let (sent, dead) =
                counts.iter().find(|(of, ..)| *of == name).map_or((0, 0), |(_, sent, dead)| (*sent, *dead));
            serde_json::json!({
                "channel": name, "sent": sent, "dead": dead, "waiting": waiting.messages,
                "oldest_seconds": waiting.oldest_seconds, "error": error,
            })
        });
        serde_json::json!({
            "incidents_open": told.open(),
            "channels": channels.collect::<Vec<_>>(),
            "p50_ms": told.latency(0.5).map(|seconds| seconds * 1e3),
            "p99_ms": told.latency(0.99).map(|seconds| seconds * 1e3),
            "record_away": told.away(),
        })
    }
}
