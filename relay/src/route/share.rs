//! How the members of a cluster share points, compiled.

use crate::ring::{Node, Ring, any_of};
use skyline_conf::routing::{Cluster, Destination, Endpoint, RingKey, Share, without_tags};

/// A cluster, ready to choose.
#[derive(Debug)]
pub(super) struct Members {
    /// Indexes of destinations.
    members: Vec<usize>,
    choice: Choice,
}

#[derive(Debug)]
enum Choice {
    All,
    AnyOf,
    InTurn,
    Ring { ring: Ring, key: RingKey },
}

impl Members {
    pub(super) fn new(cluster: &Cluster, destinations: &[Destination]) -> Self {
        let choice = match &cluster.share {
            Share::All => Choice::All,
            Share::AnyOf => Choice::AnyOf,
            Share::InTurn => Choice::InTurn,
            Share::Ring(ring) => {
                let nodes = cluster.members.iter().filter_map(|i| destinations.get(*i)).map(node).collect();
                Choice::Ring {
                    ring: Ring::new(ring.kind, nodes, ring.replicas, ring.diverse),
                    key: ring.key.clone(),
                }
            }
        };
        Self { members: cluster.members.clone(), choice }
    }

    /// Whether a name always leads to the same members, all of them.
    pub(super) const fn takes_all(&self) -> bool {
        matches!(self.choice, Choice::All)
    }

    /// Members among which the choice moves on with each point; 1 if it does not.
    pub(super) fn turns(&self) -> usize {
        if matches!(self.choice, Choice::InTurn) { self.members.len().max(1) } else { 1 }
    }

    /// The destinations of `name`, first choice first, added to `chosen`. `key` is hashed instead of it if there
    /// is one; `turn` counts points.
    pub(super) fn choose(&self, name: &str, key: Option<&str>, turn: usize, chosen: &mut Vec<usize>) {
        let mut add = |index: usize| chosen.extend(self.members.get(index));
        match &self.choice {
            Choice::All => chosen.extend(&self.members),
            Choice::InTurn => add(turn % self.members.len().max(1)),
            Choice::AnyOf => {
                let key = key.unwrap_or_else(|| without_tags(name));
                any_of(key, self.members.len()).into_iter().for_each(add);
            }
            Choice::Ring { ring, key: of } => match (key, of) {
                (Some(key), _) => ring.choose(key).into_iter().for_each(add),
                (None, RingKey::Name) => ring.choose(name).into_iter().for_each(add),
                (None, RingKey::WithoutTags) => ring.choose(without_tags(name)).into_iter().for_each(add),
                (None, RingKey::Aggregates(namings)) => {
                    let mut aggregates = namings.iter().filter_map(|naming| naming.apply(name)).peekable();
                    if aggregates.peek().is_none() {
                        ring.choose(name).into_iter().for_each(&mut add);
                    }
                    for aggregate in aggregates {
                        ring.choose(&aggregate).into_iter().for_each(&mut add);
                    }
                }
            },
        }
    }
}

/// The node of a destination on a ring: its first endpoint.
fn node(destination: &Destination) -> Node {
    match destination.endpoints.first() {
        Some(Endpoint::Server(server)) => {
            Node { host: server.host.clone(), port: server.port, instance: server.instance.clone() }
        }
        Some(Endpoint::File(_)) | None => Node { host: destination.label.clone(), port: 0, instance: None },
    }
}
