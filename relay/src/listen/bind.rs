//! Opening sockets.

use super::way::{Wanted, Way};
use socket2::{Domain, Protocol, SockAddr, Type};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket, UnixListener};

/// Connections that the kernel holds ready for us to accept.
const BACKLOG: i32 = 1_024;

/// A socket that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{listener} {address}: {source}: {what_to_do}")]
pub struct Error {
    /// Its key in `[listen]`.
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

/// Where a socket is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    Unix(PathBuf),
}

impl Place {
    fn address(&self) -> Address {
        match self {
            Self::Tcp(address) | Self::Udp(address) => Address::Ip(*address),
            Self::Unix(path) => Address::Path(path.clone()),
        }
    }
}

/// An open socket and what it is for.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) place: Place,
    pub(super) way: Arc<Way>,
    /// Where it really is.
    pub(super) address: Address,
    pub(super) socket: Socket,
    /// Removes the socket's file when it goes.
    pub(super) path: Option<UnixPath>,
}

/// An open socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
    Udp(UdpSocket),
}

/// Opens a socket that is asked for. `beside` are the addresses under the same key: beside an IPv4 address with
/// the same port an IPv6 one takes IPv6 alone, else it takes both. A UDP socket gets a receive buffer of
/// `udp_buffer` bytes, or what the system permits of it.
pub(super) fn open(wanted: &Wanted, beside: &[SocketAddr], udp_buffer: u32) -> Result<Bound, Error> {
    let Wanted { name, place, way } = wanted;
    let opened = match place {
        Place::Tcp(address) => tcp(*address, beside),
        Place::Udp(address) => udp(name, *address, beside, udp_buffer),
        Place::Unix(path) => unix(path),
    };
    let (address, socket, path) = opened.map_err(|source| failed(name, place, source))?;
    Ok(Bound { place: place.clone(), way: Arc::clone(way), address, socket, path })
}

/// The error about a socket that cannot be opened; `name` is its key in `[listen]`.
pub(super) fn failed(name: &'static str, place: &Place, source: io::Error) -> Error {
    let key = format!("listen.{name}");
    let what_to_do = match source.kind() {
        ErrorKind::AddrInUse => {
            format!("another program (or an older instance of this one) has it; stop it or change {key}")
        }
        ErrorKind::PermissionDenied => {
            format!("ports below 1024 and foreign folders need rights; change {key}")
        }
        ErrorKind::AddrNotAvailable => format!("no interface of this host has that address; change {key}"),
        ErrorKind::NotFound => format!("make the folder or file, or change {key}"),
        _ => format!("check {key}"),
    };
    Error { listener: name, address: place.address(), source, what_to_do }
}

/// A socket, where it is, and its file.
type Opened = (Address, Socket, Option<UnixPath>);

fn tcp(address: SocketAddr, beside: &[SocketAddr]) -> io::Result<Opened> {
    let socket = new(address, beside, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from_std(socket.into())?;
    Ok((Address::Ip(socket.local_addr()?), Socket::Tcp(socket), None))
}

fn udp(listener: &str, address: SocketAddr, beside: &[SocketAddr], buffer: u32) -> io::Result<Opened> {
    let socket = new(address, beside, Type::DGRAM, Protocol::UDP)?;
    socket.set_recv_buffer_size(buffer as usize)?;
    // The system answers with twice what it grants, for its own book-keeping.
    let granted = socket.recv_buffer_size()? / 2;
    if granted < buffer as usize {
        tracing::warn!(
            listener, %address, asked = buffer, granted,
            "the system grants a smaller receive buffer; raise net.core.rmem_max"
        );
    }
    socket.bind(&SockAddr::from(address))?;
    let socket = UdpSocket::from_std(socket.into())?;
    Ok((Address::Ip(socket.local_addr()?), Socket::Udp(socket), None))
}

fn new(
    address: SocketAddr,
    beside: &[SocketAddr],
    kind: Type,
    protocol: Protocol,
) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(beside.iter().any(|other| other.is_ipv4() && other.port() == address.port()))?;
    }
    Ok(socket)
}

/// The file of a socket on which nobody listens any more is replaced.
fn unix(path: &Path) -> io::Result<Opened> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path) {
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
    Ok((Address::Path(path.to_owned()), Socket::Unix(socket), Some(file)))
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
