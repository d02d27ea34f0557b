//! Members of a cluster that a name goes to: as the node's router chooses them.

use skyline_conf::routing::{Cluster, Routing};
use skyline_relay::route::Choices;

/// Places among the members of a cluster, first choice first; `key` is what is hashed.
pub(super) fn members(routing: &Routing, cluster: &Cluster, key: &str) -> Vec<usize> {
    let choices = Choices::new(routing);
    let number = routing.clusters.iter().position(|known| known.name == cluster.name);
    let chosen = number.map_or_else(Vec::new, |number| choices.choose(number, key, Some(key)));
    let place = |destination: usize| cluster.members.iter().position(|member| *member == destination);
    chosen.into_iter().filter_map(place).collect()
}
