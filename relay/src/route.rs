//! From a metric's name to its set of destinations, once a batch. A known name costs one look-up,
//! and none with `constant`.

use crate::dest::address::Address;
use crate::dest::{self, addresses};
use crate::ring::carbon::{Node, Ring};
use papaya::HashMap;
use skyline_conf::model::relay::{Method, Relay};
use skyline_core::batch::{Batch, Origin, RouteSet, Routes, Sample};
use skyline_journal::Journal;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Names whose set is remembered, about 130 MB of them at 60 bytes a name; beyond it the set is
/// worked out for each point.
const REMEMBERED: usize = 1 << 20;

/// The `[relay]` section cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A destination is wrong.
    #[error(transparent)]
    Destination(#[from] dest::Error),
    /// Two nodes of a ring cannot be told apart.
    #[error(
        "relay.destinations: `{0}` and another destination have equal host and instance, which the ring \
         cannot tell apart: give each an instance, as in {0}:a"
    )]
    SameNode(String),
}

/// The compiled routing of one configuration.
#[derive(Debug)]
pub struct Router {
    method: Compiled,
    destinations: Vec<Address>,
}

#[derive(Debug)]
enum Compiled {
    /// All points to one set.
    Constant(RouteSet),
    /// By a ring.
    Ring(Hashing),
}

/// A ring with the sets that it leads to.
#[derive(Debug)]
struct Hashing {
    ring: Ring,
    /// The set of names that start at each place of the ring.
    sets: Vec<RouteSet>,
    /// The sets of names seen, at most `capacity`.
    names: HashMap<Box<[u8]>, RouteSet>,
    remembered: AtomicUsize,
    capacity: usize,
}

impl Router {
    /// Compiles the section.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(relay: &Relay, journal: &Journal) -> Result<Self, Error> {
        Self::with_capacity(relay, journal, REMEMBERED)
    }

    fn with_capacity(relay: &Relay, journal: &Journal, capacity: usize) -> Result<Self, Error> {
        let destinations: Vec<Address> = addresses(relay)?.into_iter().map(|(address, _)| address).collect();
        let readers: Vec<String> = destinations.iter().map(Address::reader).collect();
        let method = match relay.method {
            Method::Constant => {
                Compiled::Constant(journal.route_set(&readers.iter().map(String::as_str).collect::<Vec<_>>()))
            }
            Method::ConsistentHashing => {
                let ring = ring(relay, &destinations)?;
                let set = |place| {
                    let nodes = ring.nodes_from(place).into_iter();
                    journal.route_set(
                        &nodes.filter_map(|i| readers.get(i).map(String::as_str)).collect::<Vec<_>>(),
                    )
                };
                let sets = (0..ring.len()).map(set).collect();
                let (names, remembered) = (HashMap::new(), AtomicUsize::new(0));
                Compiled::Ring(Hashing { ring, sets, names, remembered, capacity })
            }
        };
        Ok(Self { method, destinations })
    }

    /// The destinations, in the order of the settings.
    #[must_use]
    pub fn destinations(&self) -> &[Address] {
        &self.destinations
    }

    /// Fills `batch.routes`. Back-filled points go nowhere.
    pub fn route(&self, batch: &mut Batch) {
        batch.routes = match (batch.source.origin, &self.method) {
            (Origin::Backfill, _) => Routes::All(RouteSet(0)),
            (Origin::Live | Origin::Own, Compiled::Constant(set)) => Routes::All(*set),
            (Origin::Live | Origin::Own, Compiled::Ring(hashing)) => hashing.route(batch),
        };
    }

    /// The destinations of a name, first choice first.
    #[must_use]
    pub fn explain(&self, name: &[u8]) -> Vec<&Address> {
        match &self.method {
            Compiled::Constant(_) => self.destinations.iter().collect(),
            Compiled::Ring(hashing) => {
                hashing.ring.nodes(name).into_iter().filter_map(|i| self.destinations.get(i)).collect()
            }
        }
    }
}

/// The ring of the section's destinations.
fn ring(relay: &Relay, destinations: &[Address]) -> Result<Ring, Error> {
    let mut nodes: Vec<Node> = Vec::with_capacity(destinations.len());
    for address in destinations {
        let node = Node { host: address.host.clone(), instance: address.instance.clone() };
        if nodes.contains(&node) {
            return Err(Error::SameNode(address.to_string()));
        }
        nodes.push(node);
    }
    Ok(Ring::new(nodes, relay.replication_factor as usize, relay.diverse_replicas))
}

impl Hashing {
    fn route(&self, batch: &Batch) -> Routes {
        let names = self.names.pin();
        let set_of = |sample: &Sample| {
            let name = batch.name(sample);
            if let Some(set) = names.get(name) {
                return *set;
            }
            let set = self.sets.get(self.ring.start(name)).copied().unwrap_or_default();
            // A name that two threads see at the same time may be counted twice; the bound holds.
            if self.remembered.load(Relaxed) < self.capacity {
                self.remembered.fetch_add(1, Relaxed);
                names.insert(name.into(), set);
            }
            set
        };
        let Some((first, rest)) = batch.samples.split_first() else { return Routes::All(RouteSet(0)) };
        let first = set_of(first);
        let mut sets = Vec::new();
        for (at, sample) in rest.iter().enumerate() {
            let set = set_of(sample);
            if sets.is_empty() && set != first {
                sets.reserve_exact(batch.len());
                sets.resize(at + 1, first);
            }
            if !sets.is_empty() {
                sets.push(set);
            }
        }
        if sets.is_empty() { Routes::All(first) } else { Routes::PerSample(sets) }
    }
}

#[cfg(test)]
mod tests;
