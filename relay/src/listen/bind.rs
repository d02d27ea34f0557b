//! Opening sockets.

use skyline_core::batch::Listener;
use socket2::{Domain, Protocol, SockAddr, Type};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UdpSocket, UnixListener};

/// Connections that the kernel holds ready for us to accept.
const BACKLOG: i32 = 1_024;

/// A socket that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{listener} {address}: {source}: {what_to_do}")]
pub struct Error {
    listener: &'static str,
    address: Address,
    source: io::Error,
    what_to_do: String,
}

/// Where a socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP or UDP.
    Ip(SocketAddr),
    /// A Unix socket's file.
    Path(PathBuf),
}

impl Address {
    /// The address of a TCP or UDP socket.
    #[must_use]
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Path(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// An open socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
    Udp(UdpSocket),
}

fn failed(listener: Listener, address: Address, source: io::Error) -> Error {
    let key = format!("listen.{}", listener.label());
    let what_to_do = match source.kind() {
        ErrorKind::AddrInUse => {
            format!("another program (or an older instance of this one) has it; stop it or change {key}")
        }
        ErrorKind::PermissionDenied => {
            format!("ports below 1024 and foreign folders need rights; change {key}")
        }
        ErrorKind::AddrNotAvailable => format!("no interface of this host has that address; change {key}"),
        ErrorKind::NotFound => format!("make the folder or change {key}"),
        _ => format!("check {key}"),
    };
    Error { listener: listener.label(), address, source, what_to_do }
}

/// Binds a TCP listener. `all` are the addresses of its kind: beside an IPv4 address with the same
/// port an IPv6 one takes IPv6 alone, else it takes both.
pub(super) fn tcp(
    listener: Listener,
    address: SocketAddr,
    all: &[SocketAddr],
) -> Result<(Address, Socket), Error> {
    let open = || {
        let socket = open(address, all, Type::STREAM, Protocol::TCP)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into())?;
        Ok((Address::Ip(socket.local_addr()?), Socket::Tcp(socket)))
    };
    open().map_err(|source| failed(listener, Address::Ip(address), source))
}

/// Binds a UDP socket with a receive buffer of `buffer` bytes, or what the system permits of it.
pub(super) fn udp(
    listener: Listener,
    address: SocketAddr,
    all: &[SocketAddr],
    buffer: u32,
) -> Result<(Address, Socket), Error> {
    let open = || {
        let socket = open(address, all, Type::DGRAM, Protocol::UDP)?;
        socket.set_recv_buffer_size(buffer as usize)?;
        // The system answers with twice what it grants, for its own book-keeping.
        let granted = socket.recv_buffer_size()? / 2;
        if granted < buffer as usize {
            tracing::warn!(
                listener = listener.label(), %address, asked = buffer, granted,
                "the system grants a smaller receive buffer; raise net.core.rmem_max"
            );
        }
        socket.bind(&SockAddr::from(address))?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok((Address::Ip(socket.local_addr()?), Socket::Udp(socket)))
    };
    open().map_err(|source| failed(listener, Address::Ip(address), source))
}

fn open(
    address: SocketAddr,
    all: &[SocketAddr],
    kind: Type,
    protocol: Protocol,
) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(all.iter().any(|other| other.is_ipv4() && other.port() == address.port()))?;
    }
    Ok(socket)
}

/// Binds a Unix stream socket. The file of a socket on which nobody listens any more is replaced.
pub(super) fn unix(listener: Listener, path: &Path) -> Result<(Address, Socket, UnixPath), Error> {
    let address = Address::Path(path.to_owned());
    let open = || {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path)
            {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
                _ => return Err(ErrorKind::AddrInUse.into()),
            },
            Ok(_) => {
                return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file that is not a socket"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let socket = UnixListener::bind(path)?;
        let file = UnixPath { path: path.to_owned(), identity: identity(path)? };
        Ok((Socket::Unix(socket), file))
    };
    let (socket, file) = open().map_err(|source| failed(listener, address.clone(), source))?;
    Ok((address, socket, file))
}

/// The file of a Unix socket; removed when this goes, if it is still the same file.
#[derive(Debug)]
pub(super) struct UnixPath {
    path: PathBuf,
    identity: (u64, u64),
}

/// What tells one file from another.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Drop for UnixPath {
    fn drop(&mut self) {
        let same = identity(&self.path).is_ok_and(|now| now == self.identity);
        if same && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket's file is not removed");
        }
    }
}
