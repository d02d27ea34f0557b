//! Layout `chunks`: each shard's windows as blocks in hash fields and one open chunk.
//!
//! Keys, with the shard as hash tag so that a shard lies on one node of a cluster:
//! `PREFIX:{SSSS}:blocks:HOUR`, a hash of chunks of blocks whose last points are of that hour, by the time (milliseconds, so many
//! digits that they sort) at which each was handed out; it expires when the hour has left the window. `PREFIX:{SSSS}:open`, a string:
//! the open chunk. What is in a chunk is described in [`skyline_store::chunk`].
//!
//! Blocks are written before the open chunk that no longer has their points, so a reader finds every point in
//! one of the two. The first bytes of the open chunk tell the writer after an outage, and a node at its start, whether all that was written is still there.
//!
//! `task` looks and keeps the turns, `write` writes, `adopt` reads; `keys` are the names.

mod adopt;
mod keys;
mod state;
mod task;
mod told;
mod write;

pub use task::{Options, run};
pub use told::Told;

use skyline_core::shard::ShardId;
use skyline_store::chunk::{HandOut, Header, Whole};
use std::future::Future;

/// Which blocks a shard hands out: those that are not in the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The copy has what was handed out last.
    Last,
    /// The copy has what the shard's files had when they were restored, and what was taken from it.
    Restored,
    /// The copy has nothing.
    Nothing,
}

/// The windows, as the copy sees them.
pub trait Shards: Send + Sync + 'static {
    /// Up to where the journal was in the files of each shard of this node when they were restored; none for
    /// a shard without files. `None`: they are still being restored.
    fn files(&self) -> Option<Vec<(ShardId, Option<u64>)>>;

    /// The chunks of some shards: of the first, and of others as far as that takes no long time; in no order. `None`: the windows have
    /// gone. Sets the header's position.
    fn hand_out(
        &self,
        asks: Vec<(ShardId, Since)>,
        header: Header,
    ) -> impl Future<Output = Option<Vec<(ShardId, HandOut)>>> + Send;

    /// Gives series to the windows; how many they took, and how many not.
    fn adopt(&self, series: Vec<Whole>) -> impl Future<Output = (u64, u64)> + Send;

    /// Whether the windows have taken everything and change no more.
    fn have_ended(&self) -> bool;
}
