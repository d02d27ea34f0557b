//! Hash rings: from a metric's name to destinations, the same as the relay that is replaced.
//!
//! Most rings have a fixed number of places at which the walk for a name may start; what follows from a place
//! is the same for all names, so that it can be worked out once ([`Ring::places`], [`Ring::start`],
//! [`Ring::chosen_from`]).

mod carbon;
mod circle;
mod crelay;
mod fast;
mod hash;
mod jump;
mod ng;

pub use crelay::any_of;

use circle::Circle;
use skyline_conf::routing::{CarbonHash, RingKind};
use std::collections::HashSet;

/// A node of a ring.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// Host as configured, IPv6 without brackets.
    pub host: String,
    /// Port. Only carbon-c-relay's `fnv1a_ch` looks at it.
    pub port: u16,
    /// Instance, if any.
    pub instance: Option<String>,
}

/// A ring of nodes, numbered in the order of the configuration.
#[derive(Debug, Clone)]
pub struct Ring {
    layout: Layout,
    /// The host of each node as a number, if replicas must be on different ones.
    hosts: Option<Vec<usize>>,
    /// How many nodes a name gets: replicas, as far as there are nodes (or hosts).
    count: usize,
}

/// How nodes lie.
#[derive(Debug, Clone)]
enum Layout {
    /// On a circle; a name starts at the first place at or above its hash.
    Circle(Circle, fn(&[u8]) -> i64),
    /// On a circle; a name starts at its hash modulo the number of places.
    Modulo(Circle, CarbonHash),
    /// In a list that the jump hash looks into.
    Jump(Vec<u32>),
}

impl Ring {
    /// A ring of `nodes` in the order of the configuration. `replicas`: nodes a name goes to, at least one;
    /// `diverse`: they must be on different hosts.
    #[must_use]
    pub fn new(kind: RingKind, nodes: Vec<Node>, replicas: usize, diverse: bool) -> Self {
        let layout = match kind {
            RingKind::Carbon(hash) => Layout::Circle(carbon::circle(hash, &nodes), carbon_place(hash)),
            RingKind::CarbonFast(hash) => Layout::Modulo(fast::circle(hash, &nodes), hash),
            RingKind::RelayCarbon => Layout::Circle(crelay::carbon_circle(&nodes), hash::md5_place),
            RingKind::RelayFnv1a => Layout::Circle(crelay::fnv1a_circle(&nodes), crelay::name_place),
            RingKind::RelayJump => Layout::Jump(jump::order(&nodes)),
            RingKind::Ng => Layout::Circle(ng::circle(&nodes), hash::md5_place),
            RingKind::NgV2 => Layout::Circle(ng::stepping_circle(&nodes), hash::md5_place),
        };
        let number = |node: &Node| nodes.iter().position(|other| other.host == node.host).unwrap_or_default();
        let hosts: Option<Vec<usize>> = diverse.then(|| nodes.iter().map(number).collect());
        let most = hosts.as_ref().map_or(nodes.len(), |hosts| hosts.iter().collect::<HashSet<_>>().len());
        Self { layout, hosts, count: replicas.max(1).min(most) }
    }

    /// Indexes of the nodes for a key (the name, most often), first choice first; fewer than the replicas that
    /// were asked for when there are not as many nodes (or hosts).
    #[must_use]
    pub fn choose(&self, key: impl AsRef<[u8]>) -> Vec<usize> {
        match &self.layout {
            Layout::Jump(order) if self.hosts.is_some() => {
                let mut chosen = Vec::new();
                self.take(jump::choose(order, key.as_ref(), order.len()).into_iter(), &mut chosen);
                chosen
            }
            Layout::Jump(order) if self.count > 1 => jump::choose(order, key.as_ref(), self.count),
            // The first choice of the jump hash needs no copy of the list.
            _ => self.chosen_from(self.start(key)),
        }
    }

    /// Number of places at which the walk for a name may start, if it depends on nothing else. `None`: the
    /// ring looks at the whole key for each replica, as the jump hash does.
    #[must_use]
    pub const fn places(&self) -> Option<usize> {
        match &self.layout {
            Layout::Circle(circle, _) | Layout::Modulo(circle, _) => Some(circle.len()),
            Layout::Jump(order) if self.count <= 1 => Some(order.len()),
            Layout::Jump(_) => None,
        }
    }

    /// The place at which the walk for a key starts, below [`Ring::places`] (0 if there are none). It hashes
    /// once and allocates nothing.
    #[must_use]
    pub fn start(&self, key: impl AsRef<[u8]>) -> usize {
        let key = key.as_ref();
        match &self.layout {
            Layout::Circle(circle, place) => circle.start(place(key)),
            Layout::Modulo(circle, hash) => fast::start(*hash, key, circle.len()),
            Layout::Jump(order) => jump::bucket(jump::hash(key), order.len()),
        }
    }

    /// Indexes of the nodes of all keys that start at place number `start`, first choice first. Of a ring
    /// without [`Ring::places`] it is the first choice alone.
    #[must_use]
    pub fn chosen_from(&self, start: usize) -> Vec<usize> {
        let mut chosen = Vec::with_capacity(self.count);
        match &self.layout {
            Layout::Circle(circle, _) | Layout::Modulo(circle, _) => {
                self.take(circle.nodes_from(start), &mut chosen);
            }
            Layout::Jump(order) => chosen.extend(order.get(start).map(|index| *index as usize)),
        }
        chosen
    }

    /// Takes those of `nodes` that a name may have, in their order.
    fn take(&self, nodes: impl Iterator<Item = usize>, chosen: &mut Vec<usize>) {
        for node in nodes {
            if chosen.len() == self.count {
                return;
            }
            if !self.is_passed(chosen, node) {
                chosen.push(node);
            }
        }
    }

    /// Whether a node, or its host, is among `chosen`.
    fn is_passed(&self, chosen: &[usize], node: usize) -> bool {
        match &self.hosts {
            Some(hosts) => chosen.iter().any(|other| hosts.get(*other) == hosts.get(node)),
            None => chosen.contains(&node),
        }
    }
}

/// carbon's hash as a function, so that it is chosen once.
fn carbon_place(hash: CarbonHash) -> fn(&[u8]) -> i64 {
    match hash {
        CarbonHash::Md5 => hash::md5_place,
        CarbonHash::Fnv1a => |text| carbon::place(CarbonHash::Fnv1a, text),
        CarbonHash::Mmh3 => hash::murmur3_place,
    }
}

#[cfg(test)]
mod tests;
