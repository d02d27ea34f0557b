//! Listeners and statistics.

use super::Compiler;
use crate::crelay::DEFAULT_PORT;
use crate::crelay::syntax::{
    At, Listen, ListenTls, Position, Protocol, Receptor, SendStatistics, SendTo, Statistics as Written,
};
use crate::crelay::template;
use crate::routing::Packing;
use crate::routing::template::Template;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Versions of TLS that a configuration may name, the oldest first.
const VERSIONS: [&str; 5] = ["ssl3", "tls1.0", "tls1.1", "tls1.2", "tls1.3"];

/// One `listen`: addresses that are listened on in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What streams are packed with.
    pub packing: Packing,
    /// TLS around them.
    pub tls: Option<ListenerTls>,
    /// At least one.
    pub sockets: Vec<Socket>,
}

impl Listener {
    /// What is listened on where no `listen` is written: streams and datagrams, and a Unix socket.
    #[must_use]
    pub fn usual() -> Self {
        let unix = PathBuf::from(format!("/tmp/.s.carbon-c-relay.{DEFAULT_PORT}"));
        let sockets =
            vec![Socket::Tcp(None, DEFAULT_PORT), Socket::Udp(None, DEFAULT_PORT), Socket::Unix(unix)];
        Self { packing: Packing::Plain, tls: None, sockets }
    }
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// PEM file with a chain of certificates and its key.
    pub pem: PathBuf,
    /// Whether clients have to show a certificate (`mtls`).
    pub mutual: bool,
    /// Whether TLS 1.2 is refused (`protomin tls1.3`).
    pub only_1_3: bool,
    /// Whether TLS 1.3 is not offered (`protomax tls1.2`).
    pub only_1_2: bool,
}

/// One address that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Socket {
    /// Streams; no address: all of the machine, of both families.
    Tcp(Option<IpAddr>, u16),
    /// Datagrams.
    Udp(Option<IpAddr>, u16),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
}

impl Socket {
    /// The internet address; `::` stands for all.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(ip, port) | Self::Udp(ip, port) => {
                Some(SocketAddr::new(ip.unwrap_or(IpAddr::from([0; 16])), *port))
            }
            Self::Unix(_) => None,
        }
    }
}

/// What a relay tells of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Seconds from one telling to the next; at least 1.
    pub every: u32,
    /// Whether counters begin anew each time.
    pub reset: bool,
    /// What names begin with; see [`Statistics::prefix_of`].
    pub prefix: Template,
    /// Where they go.
    pub to: StatisticsTarget,
}

/// Where statistics go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatisticsTarget {
    /// Through the rules, as if they had been received.
    Rules,
    /// To these clusters (indexes into [`Routing::clusters`](crate::routing::Routing::clusters)).
    Clusters {
        /// Which.
        clusters: Vec<usize>,
        /// Whether they go through the rules as well (no `stop`).
        rules_too: bool,
    },
    /// Nowhere.
    Blackhole,
}

impl Default for Statistics {
    /// Every minute, cumulative, under `carbon.relays.<host with its dots as _>`, through the rules.
    fn default() -> Self {
        Self {
            every: 60,
            reset: false,
            prefix: template::read("carbon.relays.\\.1", PREFIX_GROUPS),
            to: StatisticsTarget::Rules,
        }
    }
}

/// Groups that a prefix may name: the host's whole name, it up to its first dot, and the rest.
const PREFIX_GROUPS: usize = 3;

impl Statistics {
    /// The prefix on a machine of that name: `\1` is its name, `\2` the name up to its first dot, `\3` the rest
    /// with that dot.
    #[must_use]
    pub fn prefix_of(&self, host: &str) -> String {
        let (short, rest) = host.split_at(host.find('.').unwrap_or(host.len()));
        let groups = [host, host, short, rest];
        let mut prefix = String::new();
        self.prefix.expand(|group| groups.get(group).copied(), &mut prefix);
        prefix
    }
}

impl Compiler<'_> {
    pub(super) fn statistics(&mut self, at: Position, written: &Written) {
        if let Some(every) = written.every {
            if every.value == 0 {
                self.fault(every.at, "statistics are submitted every second at most: write 1 or more");
            }
            self.relay.statistics.every = every.value;
        }
        self.relay.statistics.reset |= written.reset;
        if let Some(prefix) = &written.prefix {
            self.relay.statistics.prefix = template::read(&prefix.value, PREFIX_GROUPS);
        }
        match &written.send_to {
            Some(to) => self.send_statistics(&SendStatistics { to: to.clone(), stop: written.stop }),
            None if written.stop => {
                self.note(at, "`stop` has no effect on statistics that are sent to no cluster");
            }
            None => {}
        }
    }

    pub(super) fn send_statistics(&mut self, SendStatistics { to, stop }: &SendStatistics) {
        self.relay.statistics.to = match (self.targets(to), to) {
            (Some(clusters), SendTo::Clusters(names)) => {
                if let (false, Some(first)) = (*stop, names.first()) {
                    self.note(
                        first.at,
                        "without `stop` statistics go through the rules, and to no cluster but by them: write `stop` to \
                         send them here, or a `match` for their names",
                    );
                }
                StatisticsTarget::Clusters { clusters, rules_too: !*stop }
            }
            _ => StatisticsTarget::Blackhole,
        };
    }

    pub(super) fn listen(&mut self, listen: &Listen) {
        let (mut packing, mut tls) = (Packing::Plain, None);
        if let Some(At { at, value: transport }) = &listen.transport {
            let Some(given) = self.packing(*at, transport.codec) else { return };
            packing = given;
            tls = transport.tls.as_ref().map(|tls| self.listener_tls(&tls.value));
        }
        let mut sockets = Vec::with_capacity(listen.receptors.len());
        for At { at, value: receptor } in &listen.receptors {
            sockets.push(match receptor {
                Receptor::Internet { ip, port, protocol: Protocol::Tcp } => {
                    Socket::Tcp(*ip, port.unwrap_or(DEFAULT_PORT))
                }
                Receptor::Internet { ip, port, protocol: Protocol::Udp } => {
                    if packing != Packing::Plain || tls.is_some() {
                        self.fault(
                            *at,
                            "datagrams can be neither packed nor encrypted: listen for them with `transport plain` \
                             in a `listen` of their own",
                        );
                    }
                    Socket::Udp(*ip, port.unwrap_or(DEFAULT_PORT))
                }
                Receptor::Unix(path) => Socket::Unix(PathBuf::from(path)),
            });
        }
        self.relay.listeners.push(Listener { packing, tls, sockets });
    }

    fn listener_tls(&mut self, tls: &ListenTls) -> ListenerTls {
        let at_least = tls.at_least.as_ref().and_then(|version| self.version(version)).unwrap_or_default();
        let newest = VERSIONS.len() - 1;
        let mut only_1_2 = false;
        if let (Some(written), Some(at_most)) =
            (&tls.at_most, tls.at_most.as_ref().and_then(|version| self.version(version)))
        {
            if at_most < newest - 1 || at_most < at_least {
                self.fault(written.at, "no version of TLS is left: the node speaks tls1.2 and tls1.3");
            }
            only_1_2 = at_most == newest - 1;
            if only_1_2 {
                self.note(written.at, "`protomax tls1.2` has no effect: who can speaks tls1.3");
            }
        }
        for list in [&tls.ciphers, &tls.suites].into_iter().flatten() {
            self.note(list.at, "lists of ciphers have no effect: only ciphers that are safe are spoken");
        }
        let pem = PathBuf::from(&tls.pem.value);
        ListenerTls { pem, mutual: tls.mutual, only_1_3: at_least == newest, only_1_2 }
    }

    /// Index of a version in [`VERSIONS`].
    fn version(&mut self, At { at, value: text }: &At<String>) -> Option<usize> {
        let version = VERSIONS.iter().position(|version| version == text);
        if version.is_none() {
            self.fault(
                *at,
                format!("`{text}` is not a version of TLS: write one of {}", VERSIONS.join(", ")),
            );
        }
        version
    }
}
