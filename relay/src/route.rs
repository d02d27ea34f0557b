//! From a metric's name to its set of destinations, once a batch. A known name costs one look-up.

use crate::dest::address::Address;
use crate::dest::{self, parse};
use crate::ring::carbon::{Node, Ring};
use papaya::HashMap;
use skyline_conf::model::relay::{Method, Relay};
use skyline_core::batch::{Batch, Origin, RouteSet, Routes};
use skyline_journal::Journal;

/// Names whose set is remembered; beyond it the set is worked out each time.
const REMEMBERED: usize = 4_000_000;

/// The `[relay]` section cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A destination is wrong.
    #[error(transparent)]
    Destination(#[from] dest::Error),
    /// Two nodes of a ring cannot be told apart.
    #[error("relay.destinations: `{0}` and another destination have equal host and instance; the ring cannot tell them apart: give them instances")]
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
    /// By a ring; the set of every choice of nodes, and of every name seen.
    Ring { ring: Ring, journal: Journal, names: HashMap<Box<[u8]>, RouteSet> },
}

impl Router {
    /// Compiles the section.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(relay: &Relay, journal: &Journal) -> Result<Self, Error> {
        let destinations: Vec<Address> = parse(relay)?.into_iter().map(|(address, _)| address).collect();
        let method = match relay.method {
            Method::Constant => {
                let readers: Vec<String> = destinations.iter().map(Address::reader).collect();
                Compiled::Constant(journal.route_set(&readers.iter().map(String::as_str).collect::<Vec<_>>()))
            }
            Method::ConsistentHashing => {
                let mut nodes: Vec<Node> = Vec::new();
                for address in &destinations {
                    let node = Node { host: address.host.clone(), instance: address.instance.clone() };
                    if nodes.contains(&node) {
                        return Err(Error::SameNode(address.to_string()));
                    }
                    nodes.push(node);
                }
                let ring = Ring::new(nodes, relay.replication_factor as usize, relay.diverse_replicas);
                Compiled::Ring { ring, journal: journal.clone(), names: HashMap::new() }
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
        batch.routes = match (&self.method, batch.source.origin) {
            (_, Origin::Backfill) => Routes::All(RouteSet(0)),
            (Compiled::Constant(set), _) => Routes::All(*set),
            (Compiled::Ring { .. }, _) => self.route_each(batch),
        };
    }

    fn route_each(&self, batch: &Batch) -> Routes {
        let sets: Vec<RouteSet> = batch.samples.iter().map(|sample| self.set_of(batch.name(sample))).collect();
        match sets.first() {
            Some(first) if sets.iter().all(|set| set == first) => Routes::All(*first),
            _ => Routes::PerSample(sets),
        }
    }

    fn set_of(&self, name: &[u8]) -> RouteSet {
        let (ring, journal, names) = match &self.method {
            Compiled::Constant(set) => return *set,
            Compiled::Ring { ring, journal, names } => (ring, journal, names),
        };
        let names = names.pin();
        if let Some(set) = names.get(name) {
            return *set;
        }
        let chosen = ring.nodes(name);
        let readers: Vec<String> = chosen.iter().filter_map(|i| Some(self.destinations.get(*i)?.reader())).collect();
        let set = journal.route_set(&readers.iter().map(String::as_str).collect::<Vec<_>>());
        if names.len() < REMEMBERED {
            names.insert(name.into(), set);
        }
        set
    }

    /// The destinations of a name, first choice first.
    #[must_use]
    pub fn explain(&self, name: &[u8]) -> Vec<&Address> {
        match &self.method {
            Compiled::Constant(_) => self.destinations.iter().collect(),
            Compiled::Ring { ring, .. } => ring.nodes(name).into_iter().filter_map(|i| self.destinations.get(i)).collect(),
        }
    }
}
