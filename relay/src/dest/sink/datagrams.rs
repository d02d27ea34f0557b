//! Datagrams of whole lines.

use super::Load;
use memchr::{memchr, memrchr};
use std::io::Error;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;

/// Bytes of a datagram at most, but for one line that is longer: what one packet of Ethernet carries, tunnels
/// included.
const DATAGRAM: usize = 1400;

/// A socket that sends to one server.
#[derive(Debug)]
pub(in crate::dest) struct Datagrams(UdpSocket);

impl Datagrams {
    /// A socket that sends to `at`.
    ///
    /// # Errors
    /// There is no way to it.
    pub(in crate::dest) async fn to(at: SocketAddr) -> Result<Self, Error> {
        let any = match at {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(at).await?;
        Ok(Self(socket))
    }

    /// Sends a load.
    pub(super) async fn write(&self, mut load: Load) -> (Load, Result<(), Error>) {
        while let Some(bytes) = load.outgoing.first() {
            let datagram = whole_lines(bytes);
            let length = datagram.len();
            match self.0.send(datagram).await {
                // A line that is longer than any datagram cannot be sent, now or later.
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => load.wrote(length),
                Ok(_) => load.wrote(length),
                Err(error) => return (load, Err(error)),
            }
        }
        (load, Ok(()))
    }
}

/// The lines at the beginning of `lines` that fit into a datagram; at least one.
fn whole_lines(lines: &[u8]) -> &[u8] {
    let Some((fitting, rest)) = lines.split_at_checked(DATAGRAM).filter(|(_, rest)| !rest.is_empty()) else {
        return lines;
    };
    let end = match memrchr(b'\n', fitting) {
        Some(at) => at + 1,
        None => memchr(b'\n', rest).map_or(lines.len(), |at| fitting.len() + at + 1),
    };
    lines.get(..end).unwrap_or(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_have_whole_lines() {
        let line = |bytes: usize| [vec![b'x'; bytes - 1], vec![b'\n']].concat();
        let check = |lines: &[usize], expected: usize| {
            let text: Vec<u8> = lines.iter().flat_map(|bytes| line(*bytes)).collect();
            assert_eq!(whole_lines(&text).len(), expected, "{lines:?}");
        };
        check(&[10], 10);
        check(&[700, 700], 1400);
        check(&[700, 701], 700);
        check(&[700, 700, 1], 1400);
        check(&[3000], 3000);
        check(&[3000, 10], 3000);
    }
}
