//! Destinations and clusters as their tables.

use super::Form;
use crate::crelay::template;
use crate::model::listen;
use crate::model::relay::cluster::{ClusterKind, ClusterTable, HashOn, NamingTable, RingHash};
use crate::model::relay::destination::{DestinationTls, Transport};
use crate::model::relay::rule::Patterns;
use crate::model::relay::{DestinationEntry, DestinationTable};
use crate::routing::{
    CarbonHash, Cluster, Destination, Endpoint, Ring, RingKey, RingKind, Server, Share, address, rotated,
};
use std::collections::HashSet;

impl Form<'_> {
    /// `relay.destinations` and the clusters. Destinations stand in the first cluster that has them, if that keeps
    /// their order; else all are in the list.
    pub(super) fn clusters(&self) -> (Vec<DestinationEntry>, Vec<ClusterTable>) {
        let all = &self.routing.destinations;
        let mut order: Vec<usize> = Vec::new();
        for member in self.routing.clusters.iter().flat_map(|cluster| &cluster.members) {
            if !order.contains(member) {
                order.push(*member);
            }
        }
        let is_in_order = order.iter().copied().eq(0..all.len());
        let listed = if is_in_order { Vec::new() } else { all.iter().map(|one| self.entry(one)).collect() };
        let mut known: HashSet<usize> = if is_in_order { HashSet::new() } else { (0..all.len()).collect() };
        let clusters =
            self.routing.clusters.iter().map(|cluster| self.cluster(cluster, &mut known)).collect();
        (listed, clusters)
    }

    fn cluster(&self, cluster: &Cluster, known: &mut HashSet<usize>) -> ClusterTable {
        let members =
            cluster.members.iter().filter_map(|index| Some((*index, self.routing.destinations.get(*index)?)));
        let members: Vec<(usize, &Destination)> = members.collect();
        let are_new = members.iter().all(|(index, _)| !known.contains(index));
        let is_single = |(index, destination): &(usize, &Destination)| {
            if known.insert(*index) {
                self.entry(destination)
            } else {
                DestinationEntry::Address(destination.label.clone())
            }
        };
        let table = ClusterTable { name: cluster.name.clone(), ..ClusterTable::default() };
        let together = if are_new { together(cluster, &members) } else { None };
        if let Some((kind, servers)) = together {
            known.extend(&cluster.members);
            return ClusterTable {
                kind,
                destinations: servers.iter().map(|one| self.server(one)).collect(),
                ..table
            };
        }
        let destinations = members.iter().map(is_single).collect();
        let table = ClusterTable { destinations, ..table };
        match &cluster.share {
            Share::All => table,
            Share::InTurn => ClusterTable { kind: ClusterKind::InTurn, ..table },
            Share::AnyOf => ClusterTable { kind: ClusterKind::AnyOf, stand_ins: Some(false), ..table },
            Share::Ring(ring) => self.ring(ring, table),
        }
    }

    fn ring(&self, ring: &Ring, table: ClusterTable) -> ClusterTable {
        let (kind, hash) = match ring.kind {
            RingKind::Carbon(CarbonHash::Md5) => (ClusterKind::Carbon, None),
            RingKind::Carbon(hash) => (ClusterKind::Carbon, Some(word(hash))),
            RingKind::CarbonFast(CarbonHash::Mmh3) => (ClusterKind::CarbonFast, None),
            RingKind::CarbonFast(hash) => (ClusterKind::CarbonFast, Some(word(hash))),
            RingKind::RelayCarbon => (ClusterKind::RelayCarbon, None),
            RingKind::RelayFnv1a => (ClusterKind::RelayFnv1a, None),
            RingKind::RelayJump => (ClusterKind::RelayJump, None),
            RingKind::Ng => (ClusterKind::Ng, None),
            RingKind::NgV2 => (ClusterKind::NgV2, None),
        };
        let is_of_c_relay =
            matches!(ring.kind, RingKind::RelayCarbon | RingKind::RelayFnv1a | RingKind::RelayJump);
        let (hash_on, hash_outputs) = match &ring.key {
            RingKey::Name => (is_of_c_relay.then_some(HashOn::Name), None),
            RingKey::WithoutTags => ((!is_of_c_relay).then_some(HashOn::WithoutTags), None),
            RingKey::Aggregates(namings) => {
                let table = |naming: &crate::routing::Naming| NamingTable {
                    when: Patterns::One(self.pattern(&naming.from)),
                    name: template::write(&naming.to),
                };
                (Some(HashOn::Aggregates), Some(namings.iter().map(table).collect()))
            }
        };
        ClusterTable {
            kind,
            hash,
            replication_factor: u32::try_from(ring.replicas).ok().filter(|replicas| *replicas > 1),
            diverse_replicas: ring.diverse.then_some(true),
            hash_on,
            hash_outputs,
            ..table
        }
    }
}

const fn word(hash: CarbonHash) -> RingHash {
    match hash {
        CarbonHash::Md5 => RingHash::Md5,
        CarbonHash::Fnv1a => RingHash::Fnv1a,
        CarbonHash::Mmh3 => RingHash::Mmh3,
    }
}

/// The servers of a cluster whose destinations are made of all of them: `any_of`, `failover`.
fn together(cluster: &Cluster, members: &[(usize, &Destination)]) -> Option<(ClusterKind, Vec<Server>)> {
    let servers = |endpoints: &[Endpoint]| -> Option<Vec<Server>> {
        let servers = endpoints.iter().map(|endpoint| match endpoint {
            Endpoint::Server(server) => Some(server.clone()),
            Endpoint::File(_) => None,
        });
        servers.collect()
    };
    match (&cluster.share, members) {
        (Share::All, [(_, one)]) if one.endpoints.len() > 1 && one.label == cluster.name => {
            Some((ClusterKind::Failover, servers(&one.endpoints)?))
        }
        (Share::AnyOf, all) => {
            let firsts: Vec<Endpoint> =
                all.iter().filter_map(|(_, d)| d.endpoints.first().cloned()).collect();
            let servers = servers(&firsts)?;
            let is_so = all.len() == servers.len()
                && all.iter().zip(servers.iter().zip(rotated(&servers))).all(
                    |((_, d), (server, endpoints))| {
                        d.endpoints == endpoints && d.label == format!("{}/{}", cluster.name, server.place())
                    },
                );
            is_so.then_some((ClusterKind::AnyOf, servers))
        }
        _ => None,
    }
}

impl Form<'_> {
    /// A destination in the shortest form that says all of it.
    fn entry(&self, destination: &Destination) -> DestinationEntry {
        let label = &destination.label;
        let Some((first, others)) = destination.endpoints.split_first() else {
            return DestinationEntry::Address(label.clone());
        };
        let mut table = match first {
            Endpoint::Server(server) if others.is_empty() && says(label, server) => {
                return DestinationEntry::Address(label.clone());
            }
            Endpoint::Server(server) => of_server(server),
            Endpoint::File(path) => {
                DestinationTable { file: Some(path.clone()), ..DestinationTable::default() }
            }
        };
        let shown = table.address.clone().or_else(|| Some(table.file.as_ref()?.display().to_string()));
        table.name = Some(label.clone()).filter(|label| Some(label) != shown.as_ref());
        if !others.is_empty() {
            let stand_in = |endpoint: &Endpoint| match endpoint {
                Endpoint::Server(one) => self.server(one),
                Endpoint::File(path) => DestinationEntry::Table(Box::new(DestinationTable {
                    file: Some(path.clone()),
                    ..DestinationTable::default()
                })),
            };
            table.stand_ins = Some(others.iter().map(stand_in).collect());
        }
        DestinationEntry::Table(Box::new(table))
    }

    /// A server that needs no name, and is not taken for a destination whose name is its address.
    fn server(&self, server: &Server) -> DestinationEntry {
        let text = server.to_string();
        let is_name_of_other = |one: &Destination| {
            one.label == text
                && !matches!(one.endpoints.as_slice(), [Endpoint::Server(other)] if other == server)
        };
        if address::read(&text).as_ref() == Ok(server)
            && !self.routing.destinations.iter().any(is_name_of_other)
        {
            return DestinationEntry::Address(text);
        }
        DestinationEntry::Table(Box::new(of_server(server)))
    }
}

/// Whether an address by itself says all of a server. An instance with a colon has to be told from a protocol that is
/// misspelt.
fn says(text: &str, server: &Server) -> bool {
    let has_colon = server.instance.as_deref().is_some_and(|instance| instance.contains(':'));
    !has_colon && address::read(text).as_ref() == Ok(server)
}

fn of_server(server: &Server) -> DestinationTable {
    let text = server.to_string();
    let plain = Server {
        protocol: server.protocol,
        ..Server::plain(&server.host, server.port, server.instance.clone())
    };
    DestinationTable {
        protocol: (!says(&text, &plain)).then(|| server.protocol.into()),
        address: Some(text),
        transport: Some(server.transport.into()).filter(|transport| *transport != Transport::Tcp),
        packing: Some(server.packing.into()).filter(|packing| *packing != listen::Packing::Plain),
        tls: server.tls.as_ref().map(|tls| DestinationTls {
            ca: tls.ca.clone(),
            certificate: tls.identity.as_ref().map(|(certificate, _)| certificate.clone()),
            key: tls.identity.as_ref().map(|(_, key)| key.clone()),
        }),
        every_address: server.every_address.then_some(true),
        ..DestinationTable::default()
    }
}
