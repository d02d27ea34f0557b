//! `[listen]`: where points come in.

use super::keepalive::Keepalive;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Listeners. An empty list switches a kind off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Carbon lines over TCP.
    pub plaintext_tcp: Vec<SocketAddr>,
    /// Carbon lines over UDP.
    pub plaintext_udp: Vec<SocketAddr>,
    /// Carbon lines over a Unix stream socket (paths).
    pub plaintext_unix: Vec<PathBuf>,
    /// Carbon pickles over TCP.
    pub pickle_tcp: Vec<SocketAddr>,
    /// Carbon's protobuf over TCP.
    pub protobuf_tcp: Vec<SocketAddr>,
    /// msgpack `[name, [timestamp, value]]` over UDP, one a datagram.
    pub msgpack_udp: Vec<SocketAddr>,
    /// Listeners whose bytes are packed or encrypted, or that have a protocol of their own.
    pub stream: Vec<Stream>,
    /// Connections at once over all stream listeners; beyond it new ones wait.
    pub max_connections: u32,
    /// A connection that sends nothing for so long is closed, seconds; 0: never.
    pub idle_seconds: f64,
    /// Longest line without its newline, bytes (at most 32,768).
    pub max_line_bytes: u32,
    /// Longest frame (pickle, protobuf), bytes.
    pub max_frame_bytes: u32,
    /// Round timestamps down to a multiple of so many seconds; 0: leave them.
    pub timestamp_resolution_seconds: u32,
    /// Receive buffer of UDP sockets, bytes.
    pub udp_buffer_bytes: u32,
    /// Stream listeners, when the journal cannot take a batch.
    pub when_full: WhenFull,
    /// UDP listeners, when the journal cannot take a batch.
    pub udp_when_full: WhenFull,
    /// When a connection on which nothing moves is probed.
    pub keepalive: Keepalive,
}

/// `[[listen.stream]]`: a stream listener in every detail. Points are counted with the plain listener of the
/// same protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stream {
    /// TCP: where. Either this or `unix`.
    pub address: Option<SocketAddr>,
    /// Unix stream socket: its path.
    pub unix: Option<PathBuf>,
    /// What the bytes mean, once they are decrypted and unpacked.
    pub protocol: Protocol,
    /// How they are compressed (within TLS, if there is any).
    pub packing: Packing,
    /// How they are encrypted; left out: not at all.
    pub tls: Option<Tls>,
}

/// What the bytes of a stream mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Carbon lines.
    #[default]
    Plaintext,
    /// Carbon pickles.
    Pickle,
    /// Carbon's protobuf.
    Protobuf,
}

/// How the bytes of a stream are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Not at all.
    #[default]
    Plain,
    /// gzip: one stream, flushed in pieces, or several one after the other.
    Gzip,
    /// lz4: frames, one after the other.
    Lz4,
}

/// How a listener speaks TLS. The files are read again when they change, for new connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the listener's certificate and those between it and its authority.
    pub certificate: PathBuf,
    /// PEM file with its private key; left out: it is in the file of the certificate.
    pub key: Option<PathBuf>,
    /// PEM file with the authorities of senders: each must then have a certificate of one of them (mTLS).
    pub client_ca: Option<PathBuf>,
    /// Oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// What a listener does when the journal cannot take a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// Stop reading until it can.
    Block,
    /// Refuse the batch and count it.
    Shed,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            plaintext_tcp: vec![SocketAddr::from(([0, 0, 0, 0], 2003))],
            plaintext_udp: Vec::new(),
            plaintext_unix: Vec::new(),
            pickle_tcp: vec![SocketAddr::from(([0, 0, 0, 0], 2024))],
            protobuf_tcp: Vec::new(),
            msgpack_udp: Vec::new(),
            stream: Vec::new(),
            max_connections: 10_000,
            idle_seconds: 600.0,
            max_line_bytes: 16_384,
            max_frame_bytes: 1_048_576,
            timestamp_resolution_seconds: 0,
            udp_buffer_bytes: 8 << 20,
            when_full: WhenFull::Block,
            udp_when_full: WhenFull::Shed,
            keepalive: Keepalive::default(),
        }
    }
}
