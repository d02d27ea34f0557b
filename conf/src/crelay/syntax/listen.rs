//! `listen` and `statistics`: where points come in, and what the relay tells of itself.

use super::{At, Codec, Protocol, SendTo};
use std::net::IpAddr;

/// `statistics …`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    /// `submit every N seconds`
    pub every: Option<At<u32>>,
    /// `reset counters after interval`
    pub reset: bool,
    /// `prefix with …`
    pub prefix: Option<At<String>>,
    /// `send to …`
    pub send_to: Option<SendTo>,
    /// `stop`
    pub stop: bool,
}

/// `send statistics to …`
#[derive(Debug, Clone, PartialEq)]
pub struct SendStatistics {
    /// Where to.
    pub to: SendTo,
    /// `stop`
    pub stop: bool,
}

/// `listen type linemode …`
#[derive(Debug, Clone, PartialEq)]
pub struct Listen {
    /// `transport …`
    pub transport: Option<At<ListenTransport>>,
    /// At least one.
    pub receptors: Vec<At<Receptor>>,
}

/// `transport …` of listeners.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenTransport {
    /// What streams are packed with.
    pub codec: Codec,
    /// Around it.
    pub tls: Option<At<ListenTls>>,
}

/// TLS of listeners.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenTls {
    /// `mtls`: clients show a certificate.
    pub mutual: bool,
    /// PEM file.
    pub pem: At<String>,
    /// `protomin …`
    pub at_least: Option<At<String>>,
    /// `protomax …`
    pub at_most: Option<At<String>>,
    /// `ciphers …`
    pub ciphers: Option<At<String>>,
    /// `ciphersuites …`
    pub suites: Option<At<String>>,
}

/// One address that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receptor {
    /// An internet socket.
    Internet {
        /// Which address; none: all.
        ip: Option<IpAddr>,
        /// Which port; none: the default one.
        port: Option<u16>,
        /// Streams or datagrams.
        protocol: Protocol,
    },
    /// The path of a Unix stream socket.
    Unix(String),
}
