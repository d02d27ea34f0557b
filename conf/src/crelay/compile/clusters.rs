//! Clusters and their servers.

use super::Compiler;
use crate::crelay::DEFAULT_PORT;
use crate::crelay::syntax::{
    At, Cluster, Codec, Hash, Host, HostTls, Kind, Members, Protocol as Proto, Sharing,
};
use crate::routing::{
    self, Destination, Endpoint, Packing, Protocol, Ring, RingKey, RingKind, Server, Share, Tls, Transport,
    rotated,
};
use std::collections::HashMap;
use std::path::PathBuf;

/// Servers so far, by what tells them apart.
pub(super) type Servers = HashMap<(String, u16, Transport, bool), Known>;

/// A server that stands in some cluster.
#[derive(Debug)]
pub(super) struct Known {
    server: Server,
    /// The first cluster that it stands in.
    cluster: String,
    /// Whether that is an `any_of` or `failover` one.
    alone: bool,
    /// Its own destination, unless it is alone.
    destination: usize,
}

impl Compiler<'_> {
    pub(super) fn cluster(&mut self, cluster: &Cluster) {
        let name = &cluster.name.value;
        if self.clusters.contains_key(name) || name == "blackhole" {
            let why = if name == "blackhole" { "is always there" } else { "is defined above" };
            self.fault(cluster.name.at, format!("a cluster `{name}` {why}: give this one another name"));
            return;
        }
        let (share, members) = match &cluster.members {
            Members::Servers { sharing, use_all, hosts } => match sharing {
                Sharing::Forward => (Share::All, self.plain(name, hosts, *use_all)),
                Sharing::Lb => (Share::InTurn, self.plain(name, hosts, *use_all)),
                Sharing::AnyOf => (Share::AnyOf, self.any_of(name, hosts, *use_all)),
                Sharing::Failover => (Share::All, self.failover(name, hosts, *use_all)),
            },
            Members::Hashed { hash, replication, dynamic, hosts } => {
                if let Some(dynamic) = dynamic {
                    self.note(
                        dynamic.at,
                        "`dynamic` has no effect: what is meant for a server that is down waits for it",
                    );
                }
                let ring = self.ring(name, *hash, *replication, hosts.len());
                (Share::Ring(ring), self.plain(name, hosts, false))
            }
            Members::Files { with_sender, paths } => {
                if let Some(ip) = with_sender {
                    self.fault(
                        ip.at,
                        "`file ip` cannot be kept: the address of who sent a point is not remembered; write `file`",
                    );
                }
                (Share::All, paths.iter().map(|path| self.file(&path.value)).collect())
            }
        };
        let index = self.relay.routing.clusters.len();
        self.relay.routing.clusters.push(routing::Cluster { name: name.clone(), share, members });
        self.clusters.insert(name.clone(), index);
    }

    fn ring(&mut self, name: &str, hash: Hash, replication: Option<At<u32>>, servers: usize) -> Ring {
        let kind = match hash {
            Hash::Carbon => RingKind::RelayCarbon,
            Hash::Fnv1a => RingKind::RelayFnv1a,
            Hash::Jump => RingKind::RelayJump,
        };
        let mut replicas = 1;
        if let Some(At { at, value: count }) = replication {
            if !(1..=255).contains(&count) {
                self.fault(at, format!("replication is 1 to 255, not {count}"));
            } else if count as usize > servers {
                self.fault(
                    at,
                    format!("replication {count} is more than cluster `{name}` has servers ({servers})"),
                );
            }
            replicas = count as usize;
        }
        Ring { kind, replicas, diverse: false, key: RingKey::WithoutTags }
    }

    /// Each server by itself; another cluster may have it too.
    fn plain(&mut self, cluster: &str, hosts: &[At<Host>], use_all: bool) -> Vec<usize> {
        hosts.iter().filter_map(|host| self.admit(cluster, host, use_all, false)).map(|(_, at)| at).collect()
    }

    /// A destination for each server, with the others behind it.
    fn any_of(&mut self, cluster: &str, hosts: &[At<Host>], use_all: bool) -> Vec<usize> {
        let servers = self.alone(cluster, hosts, use_all);
        let members = servers.iter().zip(rotated(&servers));
        members
            .map(|(server, endpoints)| self.destination(format!("{cluster}/{}", server.place()), endpoints))
            .collect()
    }

    /// One destination with all servers.
    fn failover(&mut self, cluster: &str, hosts: &[At<Host>], use_all: bool) -> Vec<usize> {
        let endpoints = self.alone(cluster, hosts, use_all).into_iter().map(Endpoint::Server).collect();
        vec![self.destination(cluster.to_owned(), endpoints)]
    }

    /// Servers that no other cluster may have.
    fn alone(&mut self, cluster: &str, hosts: &[At<Host>], use_all: bool) -> Vec<Server> {
        hosts
            .iter()
            .filter_map(|host| self.admit(cluster, host, use_all, true))
            .map(|(server, _)| server)
            .collect()
    }

    fn file(&mut self, path: &str) -> usize {
        let endpoints = vec![Endpoint::File(PathBuf::from(path))];
        let known = self.relay.routing.destinations.iter().position(|known| known.endpoints == endpoints);
        known.unwrap_or_else(|| self.destination(path.to_owned(), endpoints))
    }

    fn destination(&mut self, label: String, endpoints: Vec<Endpoint>) -> usize {
        self.relay.routing.destinations.push(Destination { label, endpoints });
        self.relay.routing.destinations.len() - 1
    }

    /// A server of a cluster, and the destination that it is by itself (of no meaning if it is `alone`), if
    /// nothing is wrong with it.
    fn admit(
        &mut self,
        cluster: &str,
        host: &At<Host>,
        use_all: bool,
        alone: bool,
    ) -> Option<(Server, usize)> {
        let server = self.server(host, use_all)?;
        let key = (server.host.clone(), server.port, server.transport, use_all);
        let Some(known) = self.servers.get(&key) else {
            let destination = if alone {
                0
            } else {
                self.destination(label(&server), vec![Endpoint::Server(server.clone())])
            };
            let known = Known { server: server.clone(), cluster: cluster.to_owned(), alone, destination };
            self.servers.insert(key, known);
            return Some((server, destination));
        };
        let (place, other) = (server.place(), &known.cluster);
        let own = |instance: &Option<String>| match instance {
            Some(instance) => format!("instance `{instance}`"),
            None => "no instance".to_owned(),
        };
        let message = if known.cluster == cluster {
            format!("{place} stands in cluster `{cluster}` twice: write it once")
        } else if known.alone {
            format!(
                "{place} stands in cluster `{other}`, and a server of an any_of or failover cluster cannot stand in \
                 another one too"
            )
        } else if alone {
            format!(
                "{place} stands in cluster `{other}`: a server of an any_of or failover cluster cannot stand in \
                 another one too"
            )
        } else if known.server.instance != server.instance {
            let (here, there) = (own(&server.instance), own(&known.server.instance));
            format!("{place} has {here} here and {there} in cluster `{other}`: write the same in both")
        } else if known.server != server {
            format!("{place} has another transport in cluster `{other}`: write the same in both")
        } else {
            return Some((server, known.destination));
        };
        self.fault(host.at, message);
        None
    }

    fn server(&mut self, At { at, value: host }: &At<Host>, use_all: bool) -> Option<Server> {
        if let Some(At { at, value: Kind::Syslog }) = host.kind {
            self.fault(at, "points are not sent as syslog: write `type linemode`, or leave it out");
            return None;
        }
        let transport = match host.protocol.map(|protocol| protocol.value) {
            Some(Proto::Udp) => Transport::Udp,
            Some(Proto::Tcp) | None => Transport::Tcp,
        };
        let (mut packing, mut tls) = (Packing::Plain, None);
        if let Some(At { at, value: given }) = &host.transport {
            packing = self.packing(*at, given.codec)?;
            tls = given.tls.as_ref().map(|tls| match &tls.value {
                HostTls::Ssl => Tls::default(),
                HostTls::Mutual { certificate, key } => {
                    Tls { ca: None, identity: Some((PathBuf::from(certificate), PathBuf::from(key))) }
                }
            });
        }
        if transport == Transport::Udp && (packing != Packing::Plain || tls.is_some()) {
            self.fault(
                *at,
                "datagrams can be neither packed nor encrypted: write `proto tcp`, or no transport",
            );
            return None;
        }
        Some(Server {
            host: host.address.host.clone(),
            port: host.address.port.unwrap_or(DEFAULT_PORT),
            instance: host.instance.as_ref().map(|instance| instance.value.clone()),
            protocol: Protocol::Plaintext,
            transport,
            packing,
            tls,
            every_address: use_all,
        })
    }

    /// What a stream is packed with, if the node can do that.
    pub(super) fn packing(&mut self, at: crate::crelay::syntax::Position, codec: Codec) -> Option<Packing> {
        match codec {
            Codec::Plain => Some(Packing::Plain),
            Codec::Gzip => Some(Packing::Gzip),
            Codec::Lz4 => Some(Packing::Lz4),
            Codec::Snappy => {
                self.fault(
                    at,
                    "`snappy` cannot be kept: its blocks have no frames, so that a stream of them cannot be cut \
                     safely; write `lz4` or `gzip` on both sides",
                );
                None
            }
        }
    }
}

/// `host:port`, and `=instance` if there is one.
fn label(server: &Server) -> String {
    match &server.instance {
        Some(instance) => format!("{}={instance}", server.place()),
        None => server.place(),
    }
}
