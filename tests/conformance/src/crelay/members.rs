//! Members of a cluster that a name goes to.

use skyline_conf::routing::{Cluster, Destination, Endpoint, Routing, Share};
use skyline_relay::ring::{Node, Ring, any_of};

/// Places among the members of a cluster, first choice first; `key` is what is hashed.
pub(super) fn members(routing: &Routing, cluster: &Cluster, key: &str) -> Vec<usize> {
    match &cluster.share {
        Share::All => (0..cluster.members.len()).collect(),
        Share::InTurn => vec![0],
        Share::AnyOf => any_of(key, cluster.members.len()).into_iter().collect(),
        Share::Ring(ring) => {
            let nodes = cluster
                .members
                .iter()
                .filter_map(|member| routing.destinations.get(*member).and_then(node))
                .collect();
            Ring::new(ring.kind, nodes, ring.replicas, ring.diverse).choose(key)
        }
    }
}

fn node(destination: &Destination) -> Option<Node> {
    match destination.endpoints.first()? {
        Endpoint::Server(server) => {
            Some(Node { host: server.host.clone(), port: server.port, instance: server.instance.clone() })
        }
        Endpoint::File(_) => None,
    }
}
