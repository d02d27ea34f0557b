//! Why a listener is not served.

use crate::serve::Listener;
use std::net::SocketAddr;

/// Why a listener is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Anybody who can reach such an address could read everything.
    #[error(
        "{}: {address} is not a loopback address; there are no accounts yet, so use 127.0.0.1 or [::1] \
         and a reverse proxy that asks for a password", listener.key()
    )]
    NotLoopback {
        /// Whose address it is.
        listener: Listener,
        /// The address.
        address: SocketAddr,
    },
    /// The address is taken, or not one of this machine.
    #[error("{}: {address} cannot be bound: {source}; stop the program that has it, or change the address (a second node on this machine: --http-port and --state-dir)", listener.key())]
    Bind {
        /// Whose address it is.
        listener: Listener,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}
