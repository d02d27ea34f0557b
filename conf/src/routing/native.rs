//! The `[relay]` section of the node's own settings as a [`Routing`].

use super::{CarbonHash, Cluster, Destination, Endpoint, Matcher, Ring, RingKey, RingKind, Route, Routing};
use super::{Share, Statement, Target, address};
use crate::model::relay::{DestinationEntry, Method, Relay};
use std::collections::HashSet;

/// The name of the cluster of all destinations.
const ALL: &str = "destinations";

/// The section cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A destination cannot be read.
    #[error(
        "relay.destinations: `{text}`: {what}; write host:port[:instance][:protocol] with protocol plaintext, pickle or protobuf"
    )]
    Address {
        /// As written.
        text: String,
        /// What is wrong.
        what: &'static str,
    },
    /// One is given twice.
    #[error("relay.destinations: `{0}` is given twice: remove one, or give them instances")]
    Twice(String),
    /// Two nodes of a ring cannot be told apart.
    #[error(
        "relay.destinations: `{0}` and another destination have equal host and instance, which the ring \
         cannot tell apart: give each an instance, as in {0}:a"
    )]
    SameNode(String),
}

impl DestinationEntry {
    /// `host:port[:instance][:protocol]`.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Address(text) => text,
            Self::Table(table) => &table.address,
        }
    }
}

/// Compiles the section.
///
/// # Errors
/// See [`Error`].
pub fn routing(relay: &Relay) -> Result<Routing, Error> {
    let mut destinations = Vec::new();
    let (mut seen, mut nodes) = (HashSet::new(), HashSet::new());
    for text in relay.destinations.iter().map(DestinationEntry::address) {
        let server = address::read(text).map_err(|what| Error::Address { text: text.to_owned(), what })?;
        if !seen.insert((server.host.clone(), server.port, server.instance.clone())) {
            return Err(Error::Twice(text.to_owned()));
        }
        let is_new = nodes.insert((server.host.clone(), server.instance.clone()));
        if relay.method == Method::ConsistentHashing && !is_new {
            return Err(Error::SameNode(text.to_owned()));
        }
        destinations
            .push(Destination { label: text.trim().to_owned(), endpoints: vec![Endpoint::Server(server)] });
    }
    let share = match relay.method {
        Method::Constant => Share::All,
        Method::ConsistentHashing => Share::Ring(Ring {
            kind: RingKind::Carbon(CarbonHash::Md5),
            replicas: relay.replication_factor.max(1) as usize,
            diverse: relay.diverse_replicas,
            key: RingKey::Name,
        }),
    };
    let cluster = Cluster { name: ALL.to_owned(), share, members: (0..destinations.len()).collect() };
    let route = Route {
        when: Matcher::everything(),
        validate: None,
        key: None,
        to: Target::Clusters(vec![0]),
        stop: true,
    };
    Ok(Routing {
        destinations,
        clusters: vec![cluster],
        statements: vec![Statement::Route(route)],
        ..Routing::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(method: Method, destinations: &[&str]) -> Relay {
        let destinations = destinations.iter().map(|text| DestinationEntry::Address((*text).to_owned()));
        Relay { method, destinations: destinations.collect(), ..Relay::default() }
    }

    #[test]
    fn the_section_is_one_cluster() {
        let routing = routing(&relay(Method::Constant, &["a:1", "b:2:x:pickle"])).unwrap();
        assert_eq!(routing.destinations.len(), 2);
        assert_eq!(routing.clusters[0].members, [0, 1]);
        assert_eq!(routing.walk(0, "any").len(), 1);
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        let check = |method, destinations: &[&str], expected: &str| {
            let error = routing(&relay(method, destinations)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(Method::ConsistentHashing, &["h:1", "h:2"], "`h:2`");
        check(Method::ConsistentHashing, &["h:1:a", "h:2:a"], "`h:2:a`");
        check(Method::Constant, &["h:1", "h:1:pickle"], "twice");
        check(Method::Constant, &["h"], "port");
        assert!(routing(&relay(Method::Constant, &["h:1", "h:2"])).is_ok());
        assert!(routing(&relay(Method::ConsistentHashing, &["h:1:a", "h:2:b"])).is_ok());
    }
}
