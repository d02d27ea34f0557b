//! How points are relayed, wherever that is written: in the settings, or in the files of another relay.

mod language;

pub use language::Language;

use crate::carbon::{self, assemble, keys::Program};
use crate::crelay::compile::{Socket, StatisticsTarget};
use crate::model::Settings;
use crate::model::listen::{self, Listen};
use crate::model::relay::{CarbonProgram, DestinationEntry, Files, Sending};
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
    /// What is read and not done as it is written, or is odd.
    pub notes: Vec<Note>,
    /// Every file that was read besides the settings, to be looked at for changes.
    pub files: Vec<PathBuf>,
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
    let program = match carbon_program {
        CarbonProgram::Relay => Program::Relay,
        CarbonProgram::Aggregator => Program::Aggregator,
    };
    let read = assemble::read(carbon_conf, program, carbon_instance, &assemble::Overrides::default())?;
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
    let usual = Sending {
        when_behind: sending.when_behind,
        mark_points: sending.mark_points,
        points_per_frame: sending.points_per_frame,
        ..settings.relay.sending.clone()
    };
    let mut routing = read.routing;
    routing.own = Then::From(read.relay_step);
    let sending = vec![usual; routing.destinations.len()];
    let note = |note: carbon::Note| {
        let line = note.line.map_or_else(String::new, |line| format!(", line {line}"));
        let place = format!("{}{line}: {}", note.file.display(), note.key);
        Note { place, message: note.message, advice: note.advice }
    };
    Ok(Relaying {
        routing,
        sending,
        listen,
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
    Ok(Relaying { routing: read.routing, sending, listen, notes, files: vec![path.clone()] })
}

/// The `[relay]` section.
fn native(settings: &Settings) -> Result<Relaying, Error> {
    let relay = &settings.relay;
    let routing = native::routing(relay)?;
    let sending = relay.destinations.iter().map(|entry| sending_of(entry, &relay.sending)).collect();
    Ok(Relaying { routing, sending, listen: settings.listen.clone(), notes: Vec::new(), files: Vec::new() })
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
