//! How points are relayed, wherever that is written: in the settings, or in the files of another relay.

use crate::carbon::assemble::OwnMetrics as CarbonMetrics;
use crate::carbon::{self, assemble, keys::Program};
use crate::crelay::compile::{Socket, Statistics, StatisticsTarget};
use crate::model::Settings;
use crate::model::listen::{self, Listen};
use crate::model::relay::{CarbonProgram, DestinationEntry, Files, SelfMetrics, Sending, WhenBehind};
use crate::routing::{Packing, Routing, Then, native};
use crate::{crelay, relay_ng};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

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

/// Whose names a relay's own metrics have, and how often they are sent.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnMetrics {
    /// carbon's.
    Carbon(CarbonMetrics),
    /// carbon-c-relay's.
    CRelay(Statistics),
}

impl OwnMetrics {
    /// Seconds from one sending to the next; `None`: they are not sent.
    #[must_use]
    pub fn every_seconds(&self) -> Option<f64> {
        match self {
            Self::Carbon(carbon) => carbon.every_seconds,
            Self::CRelay(Statistics { to: StatisticsTarget::Blackhole, .. }) => None,
            Self::CRelay(statistics) => Some(f64::from(statistics.every)),
        }
    }

    /// Those that the settings ask for, where the file of a relay says `of_file`.
    fn wanted(settings: &Settings, of_file: Option<Self>) -> Option<Self> {
        let Files { carbon_program, carbon_instance, .. } = &settings.relay.files;
        let wanted = match (settings.relay.self_metrics, of_file) {
            (SelfMetrics::None, _) => None,
            (SelfMetrics::Auto, of_file)
            | (SelfMetrics::Carbon, of_file @ Some(Self::Carbon(_)))
            | (SelfMetrics::CarbonCRelay, of_file @ Some(Self::CRelay(_))) => of_file,
            (SelfMetrics::Carbon, _) => {
                Some(Self::Carbon(CarbonMetrics::usual(program(*carbon_program), carbon_instance)))
            }
            (SelfMetrics::CarbonCRelay, _) => Some(Self::CRelay(Statistics::default())),
        };
        wanted.filter(|own| own.every_seconds().is_some())
    }
}

const fn program(program: CarbonProgram) -> Program {
    match program {
        CarbonProgram::Relay => Program::Relay,
        CarbonProgram::Aggregator => Program::Aggregator,
    }
}

/// Something in a relay's file that is read and not done as it is written, or is odd; and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// File and line, or the key.
    pub place: String,
    /// What is so.
    pub message: String,
    /// What to do; empty: nothing.
    pub advice: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, "; {}", self.advice) }
    }
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
    /// A file of another relay, and destinations in the settings.
    #[error(
        "{key} is set and relay.destinations too: destinations come from that file alone; remove one of the two"
    )]
    BothWays {
        /// The key of the file.
        key: &'static str,
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
    let Some(key) = named.next() else { return native(settings) };
    if let Some(second) = named.next() {
        return Err(Error::TwoFiles { first: key, second });
    }
    if !relay.destinations.is_empty() {
        return Err(Error::BothWays { key });
    }
    match key {
        "relay.files.carbon_conf" => of_carbon(settings),
        "relay.files.c_relay_conf" => of_c_relay(settings),
        _ => of_relay_ng(settings),
    }
}

/// carbon's files. What they say of listeners and sending counts; the rest is that of the settings.
fn of_carbon(settings: &Settings) -> Result<Relaying, Error> {
    let Files { carbon_conf, carbon_program, carbon_instance, .. } = &settings.relay.files;
    let read = assemble::read(
        carbon_conf,
        program(*carbon_program),
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
        mark_points: sending.mark_points,
        points_per_frame: sending.points_per_frame,
        ..settings.relay.sending.clone()
    };
    let mut routing = read.routing;
    routing.own = Then::From(read.relay_step);
    let all = vec![usual; routing.destinations.len()];
    let note = |note: carbon::Note| {
        let line = note.line.map_or_else(String::new, |line| format!(", line {line}"));
        let place = format!("{}{line}: {}", note.file.display(), note.key);
        Note { place, message: note.message, advice: note.advice }
    };
    Ok(Relaying {
        routing,
        sending: all,
        listen,
        own_metrics: OwnMetrics::wanted(settings, Some(OwnMetrics::Carbon(read.own_metrics))),
        detour_seconds: sending.detour_seconds,
        notes: read.notes.into_iter().map(note).collect(),
        files: read.files,
    })
}

/// carbon-c-relay's file. What it listens on counts, if it says so.
fn of_c_relay(settings: &Settings) -> Result<Relaying, Error> {
    let read = crelay::read(&settings.relay.files.c_relay_conf)?;
    let mut listen = settings.listen.clone();
    if !read.listeners.is_empty() {
        listen.plaintext_tcp.clear();
        listen.plaintext_udp.clear();
        listen.plaintext_unix.clear();
        listen.pickle_tcp.clear();
    }
    for listener in read.listeners {
        let is_plain = listener.packing == Packing::Plain && listener.tls.is_none();
        let any =
            |ip: Option<IpAddr>, port| SocketAddr::new(ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), port);
        let packing = match listener.packing {
            Packing::Plain => listen::Packing::Plain,
            Packing::Gzip => listen::Packing::Gzip,
            Packing::Lz4 => listen::Packing::Lz4,
        };
        let tls = listener.tls.map(|tls| listen::Tls {
            certificate: tls.pem.clone(),
            key: None,
            client_ca: tls.mutual.then(|| tls.pem.clone()),
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
    routing.own = match read.statistics.to {
        StatisticsTarget::Clusters { clusters, rules_too: false } => Then::Clusters(clusters),
        StatisticsTarget::Blackhole => Then::Clusters(Vec::new()),
        StatisticsTarget::Clusters { .. } | StatisticsTarget::Rules => Then::FromTop,
    };
    let sending = vec![settings.relay.sending.clone(); routing.destinations.len()];
    let note = |note: crelay::compile::Note| Note {
        place: format!("{}, line {}", note.file.display(), note.line),
        message: note.text,
        advice: String::new(),
    };
    Ok(Relaying {
        routing,
        sending,
        listen,
        own_metrics,
        detour_seconds: None,
        notes: read.notes.into_iter().map(note).collect(),
        files: read.files,
    })
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
    let note = |note: relay_ng::Note| Note {
        place: format!("{}, line {}: {}", path.display(), note.line, note.key),
        message: note.message,
        advice: note.advice,
    };
    let notes = read.notes.into_iter().map(note).collect();
    Ok(Relaying {
        routing: read.routing,
        sending,
        listen,
        own_metrics: OwnMetrics::wanted(settings, None),
        detour_seconds: None,
        notes,
        files: vec![path.clone()],
    })
}

/// The `[relay]` section.
fn native(settings: &Settings) -> Result<Relaying, Error> {
    let relay = &settings.relay;
    let routing = native::routing(relay)?;
    let sending = relay.destinations.iter().map(|entry| sending_of(entry, &relay.sending)).collect();
    Ok(Relaying {
        routing,
        sending,
        listen: settings.listen.clone(),
        own_metrics: OwnMetrics::wanted(settings, None),
        detour_seconds: None,
        notes: Vec::new(),
        files: Vec::new(),
    })
}

/// How points are sent to a destination of the settings.
fn sending_of(entry: &DestinationEntry, usual: &Sending) -> Sending {
    let mut sending = usual.clone();
    if let DestinationEntry::Table(table) = entry {
        sending.when_behind = table.when_behind.unwrap_or(sending.when_behind);
        sending.mark_points = table.mark_points.unwrap_or(sending.mark_points);
        sending.catch_up_points_per_second =
            table.catch_up_points_per_second.unwrap_or(sending.catch_up_points_per_second);
    }
    sending
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::relay::DestinationTable;

    #[test]
    fn a_destination_may_have_settings_of_its_own() {
        let mut settings = Settings::default();
        let table = DestinationTable {
            address: "b:2".to_owned(),
            when_behind: None,
            mark_points: Some(7),
            catch_up_points_per_second: None,
        };
        settings.relay.destinations =
            vec![DestinationEntry::Address("a:1".to_owned()), DestinationEntry::Table(table)];
        let relaying = read(&settings).unwrap();
        let marks: Vec<u64> = relaying.sending.iter().map(|sending| sending.mark_points).collect();
        assert_eq!(marks, [Sending::default().mark_points, 7]);
        assert_eq!(relaying.routing.destinations.len(), 2);
    }

    #[test]
    fn whose_names_own_metrics_have() {
        let carbon = |every| Some(OwnMetrics::Carbon(CarbonMetrics { every_seconds: every, ..usual() }));
        fn usual() -> CarbonMetrics {
            CarbonMetrics::usual(Program::Relay, "a")
        }
        let c_relay = || Some(OwnMetrics::CRelay(Statistics { every: 5, ..Statistics::default() }));
        let check = |asked, of_file, expected: Option<OwnMetrics>| {
            let mut settings = Settings::default();
            settings.relay.self_metrics = asked;
            assert_eq!(OwnMetrics::wanted(&settings, of_file), expected, "{asked:?}");
        };
        check(SelfMetrics::Auto, None, None);
        check(SelfMetrics::Auto, carbon(Some(5.0)), carbon(Some(5.0)));
        check(SelfMetrics::Auto, carbon(None), None);
        check(SelfMetrics::Auto, c_relay(), c_relay());
        check(SelfMetrics::None, c_relay(), None);
        check(SelfMetrics::Carbon, None, Some(OwnMetrics::Carbon(usual())));
        check(SelfMetrics::Carbon, carbon(Some(5.0)), carbon(Some(5.0)));
        check(SelfMetrics::Carbon, c_relay(), Some(OwnMetrics::Carbon(usual())));
        check(SelfMetrics::CarbonCRelay, carbon(None), Some(OwnMetrics::CRelay(Statistics::default())));
        let nowhere = Statistics { to: StatisticsTarget::Blackhole, ..Statistics::default() };
        check(SelfMetrics::Auto, Some(OwnMetrics::CRelay(nowhere)), None);
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
