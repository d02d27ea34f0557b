//! `[[relay.cluster]]`.

use super::destinations::Read;
use super::{At, Compiler};
use crate::model::relay::cluster::{ClusterKind, ClusterTable, HashOn, RingHash};
use crate::routing::{
    CarbonHash, Cluster, Endpoint, Naming, Ring, RingKey, RingKind, Server, Share, rotated,
};

/// Whether a ring knows its members by host and instance alone.
pub(super) const fn hashes_instances(kind: RingKind) -> bool {
    matches!(kind, RingKind::Carbon(_) | RingKind::CarbonFast(_) | RingKind::Ng | RingKind::NgV2)
}

impl Compiler<'_> {
    pub(super) fn cluster(&mut self, at: &At, table: &ClusterTable) {
        if table.name.is_empty() {
            self.fault(at, "its `name` is empty: rules need one");
        } else if self.clusters.contains_key(&table.name) {
            self.fault(
                at,
                format!("a cluster `{}` is defined above: give this one another name", table.name),
            );
        }
        if table.destinations.is_empty() {
            self.fault(at, "it has no destinations");
        }
        let ring = self.ring(at, table);
        self.only_where_it_counts(at, table, ring.is_some());
        let (share, members) = match (table.kind, ring) {
            (_, Some(ring)) => {
                let members = self.members(at, table);
                self.nodes(at, ring.kind, &members);
                if ring.replicas > members.len() && !members.is_empty() {
                    let message = format!("{} is more than it has destinations", ring.replicas);
                    self.fault(&at.key("replication_factor"), message);
                }
                (Share::Ring(ring), members)
            }
            (ClusterKind::AnyOf, _) if table.stand_ins.unwrap_or(true) => {
                (Share::AnyOf, self.any_of(at, table))
            }
            (ClusterKind::AnyOf, _) => (Share::AnyOf, self.members(at, table)),
            (ClusterKind::Failover, _) => (Share::All, self.failover(at, table)),
            (ClusterKind::InTurn, _) => (Share::InTurn, self.members(at, table)),
            (_, None) => (Share::All, self.members(at, table)),
        };
        let index = self.routing.clusters.len();
        self.routing.clusters.push(Cluster { name: table.name.clone(), share, members });
        self.clusters.insert(table.name.clone(), index);
    }

    /// Keys that say nothing about a cluster of this kind.
    fn only_where_it_counts(&mut self, at: &At, table: &ClusterTable, is_ring: bool) {
        let is_carbon = matches!(table.kind, ClusterKind::Carbon | ClusterKind::CarbonFast);
        let of_aggregates = table.hash_on == Some(HashOn::Aggregates);
        let keys = [
            ("replication_factor", table.replication_factor.is_some(), is_ring, "a ring"),
            ("diverse_replicas", table.diverse_replicas.is_some(), is_ring, "a ring"),
            ("hash_on", table.hash_on.is_some(), is_ring, "a ring"),
            ("hash", table.hash.is_some(), is_carbon, "consistent-hashing and fast-hashing"),
            ("hash_outputs", table.hash_outputs.is_some(), of_aggregates, "hash_on = \"aggregates\""),
            ("stand_ins", table.stand_ins.is_some(), table.kind == ClusterKind::AnyOf, "any_of"),
        ];
        for (key, is_there, counts, with) in keys {
            if is_there && !counts {
                self.fault(&at.key(key), format!("it has a meaning with {with} only: remove it"));
            }
        }
    }

    fn ring(&mut self, at: &At, table: &ClusterTable) -> Option<Ring> {
        let hash = |usual| match table.hash.unwrap_or(usual) {
            RingHash::Md5 => CarbonHash::Md5,
            RingHash::Fnv1a => CarbonHash::Fnv1a,
            RingHash::Mmh3 => CarbonHash::Mmh3,
        };
        let (kind, usual) = match table.kind {
            ClusterKind::Carbon => (RingKind::Carbon(hash(RingHash::Md5)), HashOn::Name),
            ClusterKind::CarbonFast => (RingKind::CarbonFast(hash(RingHash::Mmh3)), HashOn::Name),
            ClusterKind::RelayCarbon => (RingKind::RelayCarbon, HashOn::WithoutTags),
            ClusterKind::RelayFnv1a => (RingKind::RelayFnv1a, HashOn::WithoutTags),
            ClusterKind::RelayJump => (RingKind::RelayJump, HashOn::WithoutTags),
            ClusterKind::Ng => (RingKind::Ng, HashOn::Name),
            ClusterKind::NgV2 => (RingKind::NgV2, HashOn::Name),
            ClusterKind::Forward | ClusterKind::AnyOf | ClusterKind::Failover | ClusterKind::InTurn => {
                return None;
            }
        };
        let key = match table.hash_on.unwrap_or(usual) {
            HashOn::Name => RingKey::Name,
            HashOn::WithoutTags => RingKey::WithoutTags,
            HashOn::Aggregates => {
                let at = at.key("hash_outputs");
                let mut namings = Vec::new();
                for naming in table.hash_outputs.iter().flatten() {
                    for from in self.patterns(&at, naming.when.as_slice()) {
                        let to = self.template(&at, &naming.name, from.groups());
                        namings.push(Naming { from, to });
                    }
                }
                RingKey::Aggregates(namings)
            }
        };
        let replicas = table.replication_factor.unwrap_or(1).max(1) as usize;
        Some(Ring { kind, replicas, diverse: table.diverse_replicas.unwrap_or_default(), key })
    }

    fn members(&mut self, at: &At, table: &ClusterTable) -> Vec<usize> {
        let at = at.key("destinations");
        let mut members = Vec::with_capacity(table.destinations.len());
        for entry in &table.destinations {
            let Some(index) = self.member(&at, entry) else { continue };
            if members.contains(&index) {
                let label = self.routing.destinations.get(index).map_or("", |known| known.label.as_str());
                let message = format!("`{label}` is there twice: write it once");
                self.fault(&at, message);
            } else {
                members.push(index);
            }
        }
        members
    }

    /// The destinations, each a server that is one by itself.
    fn servers(&mut self, at: &At, table: &ClusterTable) -> Vec<(Server, Read)> {
        let at = at.key("destinations");
        let mut servers: Vec<(Server, Read)> = Vec::new();
        for entry in &table.destinations {
            let Some(read) = self.known_or_read(&at, entry) else { continue };
            match read.endpoints.as_slice() {
                [Endpoint::Server(server)] if servers.iter().any(|(known, _)| known == server) => {
                    self.fault(&at, format!("`{}` is there twice: write it once", read.label));
                }
                [Endpoint::Server(server)] => servers.push((server.clone(), read)),
                _ => {
                    let message = format!(
                        "`{}`: the destinations of any_of and failover are servers without stand-ins of their own",
                        read.label
                    );
                    self.fault(&at, message);
                }
            }
        }
        servers
    }

    /// A destination for each server, with the others behind it.
    fn any_of(&mut self, at: &At, table: &ClusterTable) -> Vec<usize> {
        let (servers, read): (Vec<_>, Vec<_>) = self.servers(at, table).into_iter().unzip();
        let endpoints = rotated(&servers);
        let is_alone =
            |server: &Server| servers.iter().filter(|other| other.place() == server.place()).count() < 2;
        let members = servers.iter().zip(read).zip(endpoints);
        let members = members.map(|((server, read), endpoints)| Read {
            // Instances may share an address.
            label: match is_alone(server) {
                true => format!("{}/{}", table.name, server.place()),
                false => format!("{}/{server}", table.name),
            },
            endpoints,
            sending: read.sending,
        });
        let members: Vec<Read> = members.collect();
        members.into_iter().filter_map(|member| self.add(at, member)).collect()
    }

    /// One destination with all servers; it is sent to as the first is.
    fn failover(&mut self, at: &At, table: &ClusterTable) -> Vec<usize> {
        let servers = self.servers(at, table);
        for entry in table.destinations.iter().skip(1) {
            self.sent_otherwise(&at.key("destinations"), entry);
        }
        let Some((_, first)) = servers.first() else { return Vec::new() };
        if self.destinations.contains_key(&table.name) {
            let message =
                format!("a destination is called `{}` too: give the cluster another name", table.name);
            self.fault(at, message);
            return Vec::new();
        }
        let sending = first.sending.clone();
        let endpoints = servers.into_iter().map(|(server, _)| Endpoint::Server(server)).collect();
        self.add(at, Read { label: table.name.clone(), endpoints, sending }).into_iter().collect()
    }
}
