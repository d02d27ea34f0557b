//! Whether Redis has the windows as they are now, in layout `chunks`.

use crate::eventually_true;
use crate::node::Node;
use std::time::{Duration, Instant};

/// Waits until every shard has been written by this node since now. One that another node wrote last is written only when
/// that has missed its turn. `write_seconds`: of the node's settings.
///
/// # Errors
///
/// After `limit`.
pub fn all_shards(node: &Node, write_seconds: f64, limit: Duration) -> anyhow::Result<()> {
    let mut start = Instant::now();
    eventually_true(limit, "all shards in Redis", || {
        let Ok(metrics) = node.metrics() else { return false };
        if metrics.sum("skyline_mirror_shards_of_others", &[]) > 0.0 {
            start = Instant::now();
        }
        let waited = start.elapsed().as_secs_f64();
        // A shard that had no metric until now has no age.
        let had_its_turn = waited > write_seconds + 0.5;
        had_its_turn
            && metrics.sum("skyline_mirror_age_seconds", &[]) < waited
            && metrics.sum("skyline_mirror_shards_behind", &[]) == 0.0
    })
}
