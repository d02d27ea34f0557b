//! `[listen]`: where points come in.

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
            max_connections: 10_000,
            idle_seconds: 600.0,
            max_line_bytes: 16_384,
            max_frame_bytes: 1_048_576,
            timestamp_resolution_seconds: 0,
            udp_buffer_bytes: 8 << 20,
            when_full: WhenFull::Block,
            udp_when_full: WhenFull::Shed,
        }
    }
}
