//! The digest of metrics that send no more: asks the windows now and then, and gives what is new to alerting.

use crate::plane::Plane;
use skyline_alerting::dispatcher::{Alerting, Closed};
use skyline_alerting::policy::Policy;
use skyline_alerting::stale::{FILE, Watch, messages, targets};
use skyline_conf::model::Settings;
use skyline_core::clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A node that reads its log after a start is looked at so often until it judges points as they come.
const WARM: Duration = Duration::from_millis(200);

/// What the digest is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) plane: Arc<Plane>,
    pub(crate) alerting: Alerting,
    pub(crate) policy: Arc<Policy>,
    /// Name of the node.
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
}

/// Looks until the node stops. Does nothing where the settings have no digest, no windows, or nobody to tell.
pub(crate) async fn watch(settings: Settings, parts: Parts) {
    let stop = parts.stop.clone();
    tokio::select! {
        () = look_again_and_again(settings, parts) => {}
        () = stop.cancelled() => {}
    }
}

async fn look_again_and_again(settings: Settings, parts: Parts) {
    let Parts { plane, alerting, policy, name, clock, .. } = parts;
    let (wanted, to) = (&settings.alerting, targets(&settings.alerting));
    if !(wanted.enabled && wanted.stale.enabled && settings.window.enabled) || to.is_empty() {
        return;
    }
    while !plane.is_warm() {
        tokio::time::sleep(WARM).await;
    }
    let file = settings.node.state_dir.join(FILE);
    let mut watch = Watch::new(wanted, settings.detect.stale_seconds, clock.now(), Some(&file));
    // Those of the last run that may not have been given.
    if give(&alerting, &watch).await.is_err() {
        return;
    }
    loop {
        tokio::time::sleep(Duration::from_secs_f64(wanted.stale.every_seconds)).await;
        let now = clock.now();
        let Some(question) = watch.question(now) else { continue };
        let Some(answer) = plane.silent(&question).await else { continue };
        let digest = watch.look(answer, now, |name| policy.mutes.is_muted(name, now));
        if let Some(digest) = &digest {
            tracing::info!(silent = digest.silent, back = digest.back, "a digest of silent metrics is told");
        }
        watch.set_pending(digest.map(|digest| messages(&digest, &to, &name, now)).unwrap_or_default());
        let Some(kept) = keep(watch).await else { return };
        watch = kept;
        if watch.pending().is_empty() {
            continue;
        }
        if give(&alerting, &watch).await.is_err() {
            return;
        }
        watch.set_pending(Vec::new());
        let Some(kept) = keep(watch).await else { return };
        watch = kept;
    }
}

/// Gives what is to be told to alerting, which knows messages that it was given before.
async fn give(alerting: &Alerting, watch: &Watch) -> Result<(), Closed> {
    for message in watch.pending() {
        alerting.post(message.clone()).await?;
    }
    Ok(())
}

/// Writes down what was told, beside: it may be many names. None: the node ends.
async fn keep(mut watch: Watch) -> Option<Watch> {
    let written = tokio::task::spawn_blocking(move || {
        let written = watch.keep();
        (watch, written)
    });
    let (watch, written) = written.await.ok()?;
    if let Err(error) = written {
        tracing::warn!(%error, "which metrics were told as silent is not written down");
    }
    Some(watch)
}
