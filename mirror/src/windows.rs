//! The windows that are copied, as their owner shows them.

use skyline_core::point::Datapoint;
use skyline_core::shard::ShardId;
use std::future::Future;

/// Where windows are asked for. The owner may be busy; it answers when it can.
pub trait Windows: Send + Sync + 'static {
    /// The names of all metrics of a shard.
    fn names(&self, shard: ShardId) -> impl Future<Output = Vec<String>> + Send;

    /// A metric's points, oldest first; `None`: there is no such metric.
    fn points(&self, name: &str) -> impl Future<Output = Option<Vec<Datapoint>>> + Send;
}
