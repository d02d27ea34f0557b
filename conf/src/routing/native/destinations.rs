//! Destinations: those of the list, and those that clusters name.

use super::{ALL, At, Compiler, Fault, clusters};
use crate::model::relay::{DestinationEntry, DestinationTable, Method, Sending};
use crate::routing::{
    CarbonHash, Cluster, Destination, Endpoint, Protocol, Ring, RingKey, RingKind, Server, Share, Tls,
    Transport, address,
};

/// How an address is written.
const FORM: &str = "write host:port[:instance][:protocol] with protocol plaintext, pickle or protobuf";

/// A destination that was read and is not in the list yet.
pub(super) struct Read {
    pub(super) label: String,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) sending: Sending,
}

impl Compiler<'_> {
    /// `relay.destinations`.
    pub(super) fn listed(&mut self) {
        let at = At("relay.destinations".to_owned());
        for entry in &self.relay.destinations {
            let Some(read) = self.read(&at, entry) else { continue };
            if self.alike(&read).is_some() {
                let message = format!("`{}` is given twice: remove one, or give them instances", read.label);
                self.fault(&at, message);
            } else {
                self.add(&at, read);
            }
        }
    }

    /// The cluster of `relay.destinations`, unless one of the clusters has its name.
    pub(super) fn all(&mut self) -> Option<usize> {
        if let Some(known) = self.clusters.get(ALL) {
            return Some(*known);
        }
        let relay = self.relay;
        let members: Vec<usize> = (0..relay.destinations.len()).collect();
        let share = match relay.method {
            Method::Constant => Share::All,
            Method::ConsistentHashing => Share::Ring(Ring {
                kind: RingKind::Carbon(CarbonHash::Md5),
                replicas: relay.replication_factor.max(1) as usize,
                diverse: relay.diverse_replicas,
                key: RingKey::Name,
            }),
        };
        if let Share::Ring(ring) = &share {
            self.nodes(&At("relay.destinations".to_owned()), ring.kind, &members);
        }
        let index = self.routing.clusters.len();
        self.routing.clusters.push(Cluster { name: ALL.to_owned(), share, members });
        self.clusters.insert(ALL.to_owned(), index);
        Some(index)
    }

    /// The destination of a cluster: one that is there, or a new one.
    pub(super) fn member(&mut self, at: &At, entry: &DestinationEntry) -> Option<usize> {
        if let DestinationEntry::Address(text) = entry
            && let Some(known) = self.known(text)
        {
            return Some(known);
        }
        let read = self.read(at, entry)?;
        let Some(index) = self.alike(&read) else { return self.add(at, read) };
        let known = self.routing.destinations.get(index)?;
        let is_same = known.endpoints == read.endpoints && self.sending.get(index) == Some(&read.sending);
        if !is_same {
            let message = format!(
                "`{}` is the same place as `{}`, which is defined otherwise: define it once with a `name`, and write that name here",
                read.label, known.label
            );
            self.fault(at, message);
        }
        Some(index)
    }

    /// A copy of the destination of that name, or one that is written out.
    pub(super) fn known_or_read(&mut self, at: &At, entry: &DestinationEntry) -> Option<Read> {
        let known = match entry {
            DestinationEntry::Address(name) => self.known(name),
            DestinationEntry::Table(_) => None,
        };
        let Some(index) = known else { return self.read(at, entry) };
        let Destination { label, endpoints } = self.routing.destinations.get(index)?.clone();
        Some(Read { label, endpoints, sending: self.sending.get(index)?.clone() })
    }

    /// The destination of that name.
    fn known(&self, name: &str) -> Option<usize> {
        self.destinations.get(name).or_else(|| self.destinations.get(name.trim())).copied()
    }

    /// Adds a destination; its name must be new.
    pub(super) fn add(&mut self, at: &At, read: Read) -> Option<usize> {
        let Read { label, endpoints, sending } = read;
        if self.destinations.contains_key(&label) {
            self.fault(at, format!("another destination is called `{label}`: give this one a `name`"));
            return None;
        }
        let index = self.routing.destinations.len();
        self.destinations.insert(label.clone(), index);
        self.routing.destinations.push(Destination { label, endpoints });
        self.sending.push(sending);
        Some(index)
    }

    /// A destination that stands for the same place: equal host, port, instance and transport, or the same file or
    /// endpoints.
    fn alike(&self, read: &Read) -> Option<usize> {
        let place = |endpoints: &[Endpoint]| match endpoints {
            [Endpoint::Server(s)] => {
                Some((s.host.clone(), s.port, s.instance.clone(), s.transport, s.every_address))
            }
            _ => None,
        };
        let its = place(&read.endpoints);
        self.routing.destinations.iter().position(|known| match &its {
            Some(_) => place(&known.endpoints) == its,
            None => known.endpoints == read.endpoints,
        })
    }

    /// Reads a destination; what is wrong is among the faults.
    pub(super) fn read(&mut self, at: &At, entry: &DestinationEntry) -> Option<Read> {
        let table = match entry {
            DestinationEntry::Address(text) => {
                &DestinationTable { address: Some(text.clone()), ..DestinationTable::default() }
            }
            DestinationEntry::Table(table) => table.as_ref(),
        };
        let first = match (&table.address, &table.file) {
            (Some(text), _) => match server(text, table) {
                Ok(server) => Endpoint::Server(server),
                Err(what) => {
                    self.fault(at, format!("`{text}`: {what}"));
                    return None;
                }
            },
            (None, Some(path)) => {
                let keys = [
                    ("protocol", table.protocol.is_some()),
                    ("transport", table.transport.is_some()),
                    ("packing", table.packing.is_some()),
                    ("tls", table.tls.is_some()),
                    ("every_address", table.every_address.is_some()),
                ];
                self.without(at, &keys, "a file takes plain lines: remove it");
                Endpoint::File(path.clone())
            }
            (None, None) => {
                self.faults.push(Fault { place: at.0.clone(), message: "an address is missing".to_owned() });
                return None;
            }
        };
        let written = table.address.as_deref().map(|text| text.trim().to_owned());
        let shown = || match &first {
            Endpoint::Server(server) => server.to_string(),
            Endpoint::File(path) => path.display().to_string(),
        };
        let label = table.name.clone().or(written).unwrap_or_else(shown);
        let mut endpoints = vec![first];
        for entry in table.stand_ins.iter().flatten() {
            let at = at.key("stand_ins");
            self.sent_otherwise(&at, entry);
            endpoints.extend(self.known_or_read(&at, entry)?.endpoints);
        }
        let usual = &self.relay.sending;
        let sending = Sending {
            when_behind: table.when_behind.unwrap_or(usual.when_behind),
            mark_points: table.mark_points.unwrap_or(usual.mark_points),
            catch_up_points_per_second: table
                .catch_up_points_per_second
                .unwrap_or(usual.catch_up_points_per_second),
            ..usual.clone()
        };
        Some(Read { label, endpoints, sending })
    }

    /// Keys of a destination that is sent to as another one is.
    pub(super) fn sent_otherwise(&mut self, at: &At, entry: &DestinationEntry) {
        let DestinationEntry::Table(table) = entry else { return };
        let keys = [
            ("when_behind", table.when_behind.is_some()),
            ("mark_points", table.mark_points.is_some()),
            ("catch_up_points_per_second", table.catch_up_points_per_second.is_some()),
        ];
        self.without(
            at,
            &keys,
            "what stands in for another destination is sent to as that one is: write it there",
        );
    }

    fn without(&mut self, at: &At, keys: &[(&str, bool)], why: &str) {
        for (key, _) in keys.iter().filter(|(_, is_there)| *is_there) {
            self.fault(&at.key(key), why);
        }
    }

    /// Two members that a ring cannot tell apart.
    pub(super) fn nodes(&mut self, at: &At, kind: RingKind, members: &[usize]) {
        if !clusters::hashes_instances(kind) {
            return;
        }
        let mut seen = std::collections::HashSet::new();
        let mut twice = Vec::new();
        for destination in members.iter().filter_map(|index| self.routing.destinations.get(*index)) {
            if let Some(Endpoint::Server(server)) = destination.endpoints.first()
                && !seen.insert((server.host.clone(), server.instance.clone()))
            {
                twice.push(destination.label.clone());
            }
        }
        for label in twice {
            let message = format!(
                "`{label}` and another destination have equal host and instance, which the ring cannot tell \
                 apart: give each an instance, as in {label}:a"
            );
            self.fault(at, message);
        }
    }
}

/// The server that a table is about.
fn server(text: &str, table: &DestinationTable) -> Result<Server, String> {
    let read = match table.protocol {
        Some(protocol) => {
            address::without_protocol(text).map(|server| Server { protocol: protocol.into(), ..server })
        }
        None => address::read(text),
    };
    let server = read.map_err(|what| format!("{what}; {FORM}"))?;
    let tls = table
        .tls
        .as_ref()
        .map(|tls| Tls { ca: tls.ca.clone(), identity: tls.certificate.clone().zip(tls.key.clone()) });
    let transport = table.transport.unwrap_or_default().into();
    let packing = table.packing.unwrap_or_default();
    let is_packed = packing != crate::model::listen::Packing::Plain;
    if transport == Transport::Udp && (is_packed || tls.is_some() || server.protocol != Protocol::Plaintext) {
        return Err(
            "datagrams hold plain lines: leave protocol, packing and tls out, or write transport = \"tcp\""
                .to_owned(),
        );
    }
    Ok(Server {
        transport,
        packing: packing.into(),
        tls,
        every_address: table.every_address.unwrap_or_default(),
        ..server
    })
}
