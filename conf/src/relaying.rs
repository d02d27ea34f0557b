//! How points are relayed, wherever that is written: in the settings, or in the files of another relay.

mod language;
mod own;

pub use language::Language;
pub use own::OwnMetrics;

use crate::carbon::{self, assemble};
use crate::crelay::compile::{Socket, StatisticsTarget};
use crate::model::Settings;
use crate::model::listen::{self, Listen};
use crate::model::relay::{Files, Sending, WhenBehind};
use crate::note::Note;
use crate::routing::every_address;
use crate::routing::native::{self, Native};
use crate::routing::{Endpoint, Names, Packing, Routing, Server, Then};
use crate::{crelay, relay_ng};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What listeners, router and destinations are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Relaying {
    /// Where points go.
    pub routing: Routing,
    /// How they are sent, for each of its destinations.
    pub sending: Vec<Sending>,
    /// Where points come in.
    pub listen: Listen,
    /// The relay's own metrics under the names of another relay's; `None`: there are none.
    pub own_metrics: Option<OwnMetrics>,
    /// A member of a ring that is down for so many seconds has its part of the names go to the others until it
    /// is back; `None`: its points wait for it.
    pub detour_seconds: Option<f64>,
    /// What is read and not done as it is written, or is odd.
    pub notes: Vec<Note>,
    /// Every file that was read besides the settings, to be looked at for changes.
    pub files: Vec<PathBuf>,
}

/// What is written cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The `[relay]` section.
    #[error(transparent)]
    Native(#[from] native::Error),
    /// carbon's files.
    #[error(transparent)]
    Carbon(#[from] carbon::Error),
    /// carbon-c-relay's file.
    #[error(transparent)]
    CRelay(#[from] crelay::Error),
    /// carbon-relay-ng's file.
    #[error(transparent)]
    RelayNg(#[from] relay_ng::Error),
    /// More than one file of another relay.
    #[error("relay.files: {first} and {second} are both set; name one")]
    TwoFiles {
        /// A key.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// A file of another relay, and destinations, clusters or rules in the settings.
    #[error(
        "{key} is set and {own} too: how points are relayed comes from that file alone; remove one of the two"
    )]
    BothWays {
        /// The key of the file.
        key: &'static str,
        /// The other key.
        own: &'static str,
    },
}

/// Reads how points are relayed.
///
/// # Errors
/// See [`Error`]; it names file, line and what is wrong.
pub fn read(settings: &Settings) -> Result<Relaying, Error> {
    let relay = &settings.relay;
    let Files { carbon_conf, c_relay_conf, relay_ng_conf, .. } = &relay.files;
    let named = [
        ("relay.files.carbon_conf", carbon_conf),
        ("relay.files.c_relay_conf", c_relay_conf),
        ("relay.files.relay_ng_conf", relay_ng_conf),
    ];
    let mut named = named.into_iter().filter(|(_, path)| !path.as_os_str().is_empty()).map(|(key, _)| key);
    let Some(key) = named.next() else { return of_section(settings) };
    if let Some(second) = named.next() {
        return Err(Error::TwoFiles { first: key, second });
    }
    let own = [
        ("relay.destinations", relay.destinations.is_empty()),
        ("relay.cluster", relay.cluster.is_empty()),
        ("relay.rule", relay.rule.is_empty()),
    ];
    if let Some((own, _)) = own.into_iter().find(|(_, is_empty)| !is_empty) {
        return Err(Error::BothWays { key, own });
    }
    let (path, read) = match key {
        "relay.files.carbon_conf" => (carbon_conf, of_carbon(settings)),
        "relay.files.c_relay_conf" => (c_relay_conf, of_c_relay(settings)),
        _ => (relay_ng_conf, of_relay_ng(settings)),
    };
    let mut relaying = read?;
    if relaying.routing.destinations.is_empty() {
        let note = Note::new(None, "", "it names no destination: nothing is forwarded");
        relaying.notes.push(note.in_file(path).advise("is it whole?"));
    }
    Ok(relaying)
}

impl Relaying {
    /// Makes every address of hosts that are meant so a destination of its own. `resolve`: the addresses of a host.
    pub fn take_every_address(&mut self, resolve: impl FnMut(&Server) -> Vec<IpAddr>) {
        let places = every_address::expand(&mut self.routing, resolve);
        self.sending = places.iter().filter_map(|place| self.sending.get(*place)).cloned().collect();
    }
}

/// carbon's files. What they say of listeners and sending counts; the rest is that of the settings.
fn of_carbon(settings: &Settings) -> Result<Relaying, Error> {
    let Files { carbon_conf, carbon_program, carbon_instance, .. } = &settings.relay.files;
    let read = assemble::read(
        carbon_conf,
        (*carbon_program).into(),
        carbon_instance,
        &assemble::Overrides::default(),
    )?;
    let mut listen = settings.listen.clone();
    let (theirs, sending) = (read.listening, read.sending);
    listen.plaintext_tcp = theirs.line_tcp.into_iter().collect();
    listen.plaintext_udp = theirs.line_udp.into_iter().collect();
    listen.pickle_tcp = theirs.pickle_tcp.into_iter().collect();
    listen.protobuf_tcp = theirs.protobuf_tcp.into_iter().collect();
    listen.max_frame_bytes = theirs.max_frame_bytes;
    listen.max_connections = theirs.max_connections.unwrap_or(listen.max_connections);
    listen.idle_seconds = theirs.idle_seconds.unwrap_or(0.0);
    listen.timestamp_resolution_seconds = theirs.timestamp_resolution_seconds;
    listen.keepalive = theirs.keepalive;
    let when_behind = match settings.relay.sending.when_behind {
        // No file asks for it: whoever runs the node does.
        WhenBehind::Block => WhenBehind::Block,
        WhenBehind::Spool | WhenBehind::Shed => sending.when_behind,
    };
    let usual = Sending {
        when_behind,
        resume_share: sending.low_share,
        keepalive: theirs.keepalive,
        // What a settings file can hold.
        mark_points: sending.mark_points.min(i64::MAX as u64),
        points_per_frame: sending.points_per_frame,
        ..settings.relay.sending.clone()
    };
    let mut routing = read.routing;
    routing.own = Then::From(read.relay_step);
    Ok(Relaying {
        sending: vec![usual; routing.destinations.len()],
        routing,
        listen,
        own_metrics: OwnMetrics::wanted(settings, Some(OwnMetrics::Carbon(read.own_metrics))),
        detour_seconds: sending.detour_seconds.or_else(|| native_detour(settings)),
        notes: read.notes,
        files: read.files,
    })
}

/// carbon-c-relay's file. What it listens on counts, if it says so.
fn of_c_relay(settings: &Settings) -> Result<Relaying, Error> {
    let Files { c_relay_conf, c_relay_ca, c_relay_characters, .. } = &settings.relay.files;
    let read = crelay::read(c_relay_conf)?;
    let trusted = (!c_relay_ca.as_os_str().is_empty()).then(|| c_relay_ca.clone());
    let mut listen = settings.listen.clone();
    let mut listeners = read.listeners;
    if listeners.is_empty() && listens_as_usual(&listen) {
        listeners = vec![crelay::compile::Listener::usual()];
    }
    if !listeners.is_empty() {
        listen.plaintext_tcp.clear();
        listen.plaintext_udp.clear();
        listen.plaintext_unix.clear();
        listen.pickle_tcp.clear();
    }
    let all: IpAddr = if has_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    for listener in listeners {
        let is_plain = listener.packing == Packing::Plain && listener.tls.is_none();
        let any = |ip: Option<IpAddr>, port| SocketAddr::new(ip.unwrap_or(all), port);
        let packing = listener.packing.into();
        let tls = listener.tls.map(|tls| listen::Tls {
            certificate: tls.pem.clone(),
            key: None,
            client_ca: tls.mutual.then(|| trusted.clone().unwrap_or_else(|| tls.pem.clone())),
            min_version: if tls.only_1_3 { listen::TlsVersion::V13 } else { listen::TlsVersion::V12 },
        });
        let stream = |address, unix| listen::Stream {
            address,
            unix,
            protocol: listen::Protocol::Plaintext,
            packing,
            tls: tls.clone(),
        };
        for socket in listener.sockets {
            match socket {
                Socket::Udp(ip, port) => listen.plaintext_udp.push(any(ip, port)),
                Socket::Tcp(ip, port) if is_plain => listen.plaintext_tcp.push(any(ip, port)),
                Socket::Unix(path) if is_plain => listen.plaintext_unix.push(path),
                Socket::Tcp(ip, port) => listen.stream.push(stream(Some(any(ip, port)), None)),
                Socket::Unix(path) => listen.stream.push(stream(None, Some(path))),
            }
        }
    }
    let mut routing = read.routing;
    let own_metrics = OwnMetrics::wanted(settings, Some(OwnMetrics::CRelay(read.statistics.clone())));
    routing.names = Names::Cleaned { allowed: c_relay_characters.clone() };
    for endpoint in routing.destinations.iter_mut().flat_map(|destination| &mut destination.endpoints) {
        if let Endpoint::Server(Server { tls: Some(tls), .. }) = endpoint {
            tls.ca.clone_from(&trusted);
        }
    }
    routing.own = match read.statistics.to {
        StatisticsTarget::Clusters { clusters, rules_too: false } => Then::Clusters(clusters),
        StatisticsTarget::Blackhole => Then::Clusters(Vec::new()),
        StatisticsTarget::Clusters { .. } | StatisticsTarget::Rules => Then::FromTop,
    };
    let sending = vec![settings.relay.sending.clone(); routing.destinations.len()];
    Ok(Relaying {
        routing,
        sending,
        listen,
        own_metrics,
        detour_seconds: native_detour(settings),
        notes: read.notes,
        files: read.files,
    })
}

/// Whether nobody has said where lines come in.
fn listens_as_usual(listen: &Listen) -> bool {
    let usual = Listen::default();
    listen.plaintext_tcp == usual.plaintext_tcp
        && listen.plaintext_udp == usual.plaintext_udp
        && listen.plaintext_unix == usual.plaintext_unix
        && listen.pickle_tcp == usual.pickle_tcp
        && listen.stream == usual.stream
}

/// Whether this machine knows IPv6: then one socket takes both families.
fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

/// carbon-relay-ng's file.
fn of_relay_ng(settings: &Settings) -> Result<Relaying, Error> {
    let path = &settings.relay.files.relay_ng_conf;
    let read = relay_ng::load(path)?;
    let mut listen = settings.listen.clone();
    listen.plaintext_tcp = read.plaintext.into_iter().collect();
    listen.plaintext_udp = read.plaintext.into_iter().collect();
    listen.pickle_tcp = read.pickle.into_iter().collect();
    let sending = vec![settings.relay.sending.clone(); read.routing.destinations.len()];
    Ok(Relaying {
        routing: read.routing,
        sending,
        listen,
        own_metrics: OwnMetrics::wanted(settings, None),
        detour_seconds: native_detour(settings),
        notes: read.notes,
        files: vec![path.clone()],
    })
}

/// What the settings say of rings with a member that is down.
fn native_detour(settings: &Settings) -> Option<f64> {
    Some(settings.relay.detour_seconds).filter(|seconds| *seconds > 0.0)
}

/// The `[relay]` section.
fn of_section(settings: &Settings) -> Result<Relaying, Error> {
    let Native { routing, sending, notes } = native::read(&settings.relay)?;
    Ok(Relaying {
        routing,
        sending,
        listen: settings.listen.clone(),
        own_metrics: OwnMetrics::wanted(settings, None),
        detour_seconds: native_detour(settings),
        notes,
        files: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::relay::{DestinationEntry, DestinationTable};

    #[test]
    fn a_file_without_destinations_is_noted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut settings = Settings::default();
        settings.relay.files.c_relay_conf = file.path().to_owned();
        let notes =
            || -> Vec<String> { read(&settings).unwrap().notes.iter().map(ToString::to_string).collect() };
        let note = "it names no destination: nothing is forwarded; is it whole?";
        assert_eq!(notes(), [format!("{}: {note}", file.path().display())]);
        std::fs::write(file.path(), "cluster a forward h:1;").unwrap();
        assert_eq!(notes(), Vec::<String>::new());
    }

    #[test]
    fn a_destination_may_have_settings_of_its_own() {
        let mut settings = Settings::default();
        let table = DestinationTable {
            address: Some("b:2".to_owned()),
            mark_points: Some(7),
            ..DestinationTable::default()
        };
        settings.relay.destinations =
            vec![DestinationEntry::Address("a:1".to_owned()), DestinationEntry::Table(Box::new(table))];
        let relaying = read(&settings).unwrap();
        let marks: Vec<u64> = relaying.sending.iter().map(|sending| sending.mark_points).collect();
        assert_eq!(marks, [Sending::default().mark_points, 7]);
        assert_eq!(relaying.routing.destinations.len(), 2);
    }

    #[test]
    fn every_address_is_sent_to_as_its_destination_is() {
        let text = "relay.destinations = ['a:1', { address = 'two:1', every_address = true, mark_points = 7 }, 'b:1']\n\
                    [[relay.cluster]]\nname = 'c'\nkind = 'any_of'\nstand_ins = false\ndestinations = ['b:1', 'a:1']\n\
                    [[relay.cluster]]\nname = 'd'\ndestinations = ['two:1', 'a:1']\n\
                    [[relay.rule]]\nsend_to = ['c', 'd']\n";
        let settings = crate::load::text(text, Path::new("s.toml")).unwrap().settings;
        let mut relaying = read(&settings).unwrap();
        relaying.take_every_address(|_| vec![IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])]);
        let told: Vec<(&str, usize, u64)> = relaying
            .routing
            .destinations
            .iter()
            .zip(&relaying.sending)
            .map(|(one, sending)| (one.label.as_str(), one.endpoints.len(), sending.mark_points))
            .collect();
        let usual = Sending::default().mark_points;
        assert_eq!(
            told,
            [("b:1", 1, usual), ("a:1", 1, usual), ("two:1 (10.0.0.1)", 1, 7), ("two:1 (10.0.0.2)", 1, 7)]
        );
    }

    /// What a file of carbon-c-relay becomes with these settings.
    fn of_c_relay(text: &str, change: impl FnOnce(&mut Settings)) -> Relaying {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.relay.files.c_relay_conf = folder.path().join("relay.conf");
        std::fs::write(&settings.relay.files.c_relay_conf, text).unwrap();
        change(&mut settings);
        read(&settings).unwrap()
    }

    #[test]
    fn where_carbon_c_relay_listens_when_it_is_not_told() {
        let usual = of_c_relay("match * send to blackhole;", |_| ()).listen;
        let ports = |all: &[SocketAddr]| all.iter().map(SocketAddr::port).collect::<Vec<_>>();
        assert_eq!((ports(&usual.plaintext_tcp), ports(&usual.plaintext_udp)), (vec![2003], vec![2003]));
        assert_eq!(usual.plaintext_unix, [PathBuf::from("/tmp/.s.carbon-c-relay.2003")]);
        assert_eq!(usual.pickle_tcp, []);
        let own = of_c_relay("match * send to blackhole;", |settings| {
            settings.listen.plaintext_tcp = vec![SocketAddr::from(([127, 0, 0, 1], 5))];
        });
        assert_eq!((ports(&own.listen.plaintext_tcp), own.listen.plaintext_unix), (vec![5], Vec::new()));
        let told = of_c_relay("listen type linemode /s proto unix;", |_| ()).listen;
        assert_eq!((told.plaintext_tcp, told.plaintext_unix), (Vec::new(), vec![PathBuf::from("/s")]));
    }

    #[test]
    fn what_carbon_c_relay_was_told_on_its_command_line() {
        let text = "listen type linemode transport plain mtls /p.pem 1 proto tcp; cluster c forward h transport plain ssl;";
        let check = |ca: &str, servers: Option<&str>, clients: &str| {
            let relaying = of_c_relay(text, |settings| {
                settings.relay.files.c_relay_ca = ca.into();
                settings.relay.files.c_relay_characters = "-".to_owned();
            });
            let Endpoint::Server(server) = &relaying.routing.destinations[0].endpoints[0] else { panic!() };
            assert_eq!(server.tls.as_ref().unwrap().ca, servers.map(PathBuf::from));
            let listener = relaying.listen.stream[0].tls.as_ref().unwrap();
            assert_eq!(listener.client_ca, Some(PathBuf::from(clients)));
            assert_eq!(relaying.routing.names, Names::Cleaned { allowed: "-".to_owned() });
        };
        check("", None, "/p.pem");
        check("/ca.pem", Some("/ca.pem"), "/ca.pem");
    }

    #[test]
    fn one_way_of_saying_it() {
        let check = |change: &dyn Fn(&mut Settings), expected: &str| {
            let mut settings = Settings::default();
            change(&mut settings);
            let error = read(&settings).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(
            &|settings| {
                settings.relay.files.carbon_conf = "a".into();
                settings.relay.files.relay_ng_conf = "b".into();
            },
            "carbon_conf and relay.files.relay_ng_conf",
        );
        check(
            &|settings| {
                settings.relay.files.carbon_conf = "a".into();
                settings.relay.destinations = vec![DestinationEntry::Address("a:1".to_owned())];
            },
            "relay.destinations too",
        );
    }
}
