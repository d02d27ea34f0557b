//! carbon's `fast-hashing`: nodes in the order of their hashes, and the hash of a name modulo their number.

use super::Node;
use super::carbon::{key, place};
use super::circle::Circle;
use skyline_conf::routing::CarbonHash;

/// The nodes in order, as a circle whose places are 0, 1, 2, ….
pub(super) fn circle(hash: CarbonHash, nodes: &[Node]) -> Circle {
    let mut order: Vec<(i64, u32)> =
        nodes.iter().zip(0..).map(|(node, index)| (place(hash, key(node).as_bytes()), index)).collect();
    // Of equal hashes the order of the configuration decides.
    order.sort_unstable();
    Circle::new((0..).zip(order).map(|(at, (_, index))| (at, index)).collect())
}

/// The number of the place at which the walk for a name starts, of `nodes` places.
pub(super) fn start(hash: CarbonHash, name: &[u8], nodes: usize) -> usize {
    let nodes = i64::try_from(nodes).unwrap_or(i64::MAX).max(1);
    // Python's remainder is never negative.
    usize::try_from(place(hash, name).rem_euclid(nodes)).unwrap_or_default()
}
