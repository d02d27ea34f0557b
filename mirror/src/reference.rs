//! Windows that Skyline, or a node with layout `compat`, has left in Redis, given to the windows of this node.
//! Nothing in Redis is changed.

use crate::chunks::{Shards, Told};
use crate::compat::{Adopted, Adoption};
use crate::server::{Error, Server};
use crate::taking::Taking;
use skyline_core::point::Datapoint;
use skyline_core::shard::{ShardId, ShardSet};
use skyline_store::block::Sealer;
use skyline_store::chunk::{Kept, Whole};
use skyline_store::window::Window;
use std::time::Duration;

/// Pause after Redis has not answered.
const PAUSE: Duration = Duration::from_millis(500);
/// Pause before the windows are asked again whether they are restored.
const RESTORING: Duration = Duration::from_millis(50);

/// Takes the windows of shards without files over, unless `taking` is none, and says that it has begun.
pub async fn begin<S: Shards>(
    server: &Server,
    namespace: &str,
    shards: &S,
    taking: Option<&Taking>,
    told: &Told,
) {
    let files = loop {
        match shards.files() {
            Some(files) => break files,
            None => tokio::time::sleep(RESTORING).await,
        }
    };
    told.set_shards(files.len());
    let wanted = taking.map_or(ShardSet::NONE, |taking| taking.wanted(&files));
    if let Some(taking) = taking.filter(|_| wanted != ShardSet::NONE) {
        taking.note(wanted);
        take_over(server, namespace, wanted, shards, told).await;
        taking.note(ShardSet::NONE);
    }
    told.set_begun();
}

/// Takes the windows of some shards over, for as long as that takes, unless Redis refuses to show them; what was found.
pub(crate) async fn take_over<S: Shards>(
    server: &Server,
    namespace: &str,
    wanted: ShardSet,
    shards: &S,
    told: &Told,
) -> Adopted {
    let mut adoption = Adoption::new(server.clone(), namespace);
    let mut sealer = Sealer::default();
    loop {
        match adoption.next().await {
            Ok(None) => break,
            Ok(Some(windows)) => {
                let series: Vec<Whole> = windows
                    .into_iter()
                    .filter(|(name, _)| wanted.contains(ShardId::of_name(name.as_bytes())))
                    .map(|(name, points)| whole(name, &points, &mut sealer))
                    .collect();
                let (taken, refused) = shards.adopt(series).await;
                told.took(taken, refused);
            }
            // A right that is missing, or a key of another kind: only a person can help, and the node would never be ready.
            Err(error @ (Error::Refused { .. } | Error::Command(_))) if server.is_up() => {
                tracing::warn!(
                    %error,
                    namespace,
                    "windows are not taken from Skyline's keys in Redis; to have them, mend that, empty node.state_dir and start \
                     the node again, else set redis.adopt to false"
                );
                break;
            }
            Err(error) => {
                if matches!(error, Error::Refused { .. }) {
                    told.set_note(Some(error.to_string()));
                }
                tracing::debug!(%error, "windows are not taken from Redis now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    let adopted = adoption.adopted();
    if adopted.names > 0 {
        let Adopted { metrics, points, missing, bad_names, unreadable, damaged, .. } = adopted;
        tracing::info!(
            metrics,
            points,
            missing,
            bad_names,
            unreadable,
            damaged,
            "windows were taken from Skyline's keys in Redis"
        );
    }
    adopted
}

/// A series of points that ascend. Its order among others is not known: it comes behind them.
fn whole(name: String, points: &[Datapoint], sealer: &mut Sealer) -> Whole {
    let mut window = Window::default();
    for point in points.iter().filter(|point| point.ts.is_finite() && point.value.is_finite()) {
        window.push(point.ts, point.value, sealer);
    }
    // Nobody has sent it here yet: whether it was silent for long is not told of it.
    let kept = Kept { is_newest_filled: true, ..Kept::NOTHING };
    Whole { name: name.into(), rank: u32::MAX, kept, window }
}
