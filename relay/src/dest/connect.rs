//! Getting a connection: the name resolved anew each time, every address tried, pauses in between
//! that grow.

use super::sink::{Datagrams, File, Sink};
use super::stage::Stage;
use skyline_conf::routing::{Endpoint, Protocol, Server, Transport};
use std::hash::{BuildHasher, RandomState};
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// A way to an endpoint.
#[derive(Debug)]
pub(super) enum Link {
    /// A TCP connection.
    Stream(Stream),
    /// Datagrams, or a file.
    Sink(Sink),
}

impl Link {
    /// What is sent over it.
    pub(super) const fn protocol(&self) -> Protocol {
        match self {
            Self::Stream(stream) => stream.protocol,
            Self::Sink(_) => Protocol::Plaintext,
        }
    }
}

/// A TCP connection, and what goes over it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) socket: TcpStream,
    pub(super) protocol: Protocol,
    /// What packs and encrypts; `None`: points go as they are.
    pub(super) stage: Option<Box<Stage>>,
}

/// Connects to the first of `endpoints` that answers, each within `limit`, beginning with number `first`;
/// also gives its index.
///
/// # Errors
/// What each said.
pub(super) async fn connect_one(
    endpoints: &[Endpoint],
    first: usize,
    limit: Duration,
) -> Result<(usize, Link), Error> {
    let (before, from) = endpoints.split_at_checked(first).unwrap_or((&[], endpoints));
    let from = from.iter().enumerate().map(|(index, endpoint)| (before.len() + index, endpoint));
    let mut said: Option<Error> = None;
    for (index, endpoint) in from.chain(before.iter().enumerate()) {
        match connect(endpoint, limit).await {
            Ok(link) => return Ok((index, link)),
            Err(error) => {
                said = Some(match said {
                    None => error,
                    Some(before) => Error::new(error.kind(), format!("{before}; {error}")),
                });
            }
        }
    }
    Err(said.unwrap_or_else(|| Error::new(ErrorKind::NotFound, "the destination has no endpoint")))
}

/// Connects to an endpoint: for a server to the first address of the host that answers within `limit`.
///
/// # Errors
/// What the last address said, or that the name has none.
pub(super) async fn connect(endpoint: &Endpoint, limit: Duration) -> Result<Link, Error> {
    match endpoint {
        Endpoint::Server(server) => match server.transport {
            Transport::Tcp => Ok(Link::Stream(stream(server, limit).await?)),
            Transport::Udp => Ok(Link::Sink(Sink::Datagrams(datagrams(server, limit).await?))),
        },
        Endpoint::File(path) => Ok(Link::Sink(Sink::File(File::open(path).await?))),
    }
}

async fn stream(server: &Server, limit: Duration) -> Result<Stream, Error> {
    let mut last = None;
    for at in resolve(server, limit).await? {
        match timeout(limit, attempt(at, server)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Some(Error::new(error.kind(), format!("{at}: {error}"))),
            Err(_) => last = Some(Error::new(ErrorKind::TimedOut, format!("{at}: no answer in time"))),
        }
    }
    Err(last.unwrap_or_else(|| no_address(server)))
}

async fn datagrams(server: &Server, limit: Duration) -> Result<Datagrams, Error> {
    let mut last = None;
    for at in resolve(server, limit).await? {
        match Datagrams::to(at).await {
            Ok(datagrams) => return Ok(datagrams),
            Err(error) => last = Some(Error::new(error.kind(), format!("{at}: {error}"))),
        }
    }
    Err(last.unwrap_or_else(|| no_address(server)))
}

fn no_address(server: &Server) -> Error {
    Error::new(ErrorKind::NotFound, format!("{} has no address", server.host))
}

/// The addresses of a server's host.
async fn resolve(server: &Server, limit: Duration) -> Result<Vec<SocketAddr>, Error> {
    let host = server.host.as_str();
    let found = timeout(limit, lookup_host((host, server.port))).await;
    let addresses = found
        .map_err(|_| Error::new(ErrorKind::TimedOut, format!("{host} is not resolved in time")))?
        .map_err(|error| Error::new(error.kind(), format!("{host} cannot be resolved: {error}")))?;
    Ok(addresses.collect())
}

async fn attempt(at: SocketAddr, server: &Server) -> Result<Stream, Error> {
    let mut socket = TcpStream::connect(at).await?;
    // Connecting to a free local port can end up with the socket itself (a simultaneous open): it
    // would take and acknowledge everything.
    if socket.local_addr()? == socket.peer_addr()? {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    // What is written is all there is at the moment; waiting to fill a packet only delays it.
    socket.set_nodelay(true)?;
    let stage = Stage::open(server, &mut socket).await?;
    Ok(Stream { socket, protocol: server.protocol, stage })
}

/// The pauses between attempts: each twice the last, with jitter.
#[derive(Debug)]
pub(super) struct Backoff {
    min: f64,
    max: f64,
    next: f64,
    jitter: RandomState,
}

impl Backoff {
    /// Pauses from `min` to `max` seconds.
    pub(super) fn new(min: f64, max: f64) -> Self {
        let min = min.clamp(0.01, 3600.0);
        Self { min, max: max.clamp(min, 3600.0), next: min, jitter: RandomState::new() }
    }

    /// The next pause is the shortest again.
    pub(super) fn reset(&mut self) {
        self.next = self.min;
    }

    /// How long to wait now.
    pub(super) fn pause(&mut self) -> Duration {
        let base = self.next;
        self.next = (base * 2.0).min(self.max);
        // The keys differ from sender to sender and the pause from attempt to attempt; an eighth each
        // way, as carbon has it.
        let random = (self.jitter.hash_one(self.next.to_bits()) >> 11) as f64 / (1_u64 << 53) as f64;
        self.jitter = RandomState::new();
        Duration::from_secs_f64(base * (0.875 + 0.25 * random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let mut backoff = Backoff::new(0.2, 5.0);
        for expected in [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0] {
            let pause = backoff.pause().as_secs_f64();
            assert!((expected * 0.87..expected * 1.13).contains(&pause), "{pause} for {expected}");
        }
        backoff.reset();
        assert!(backoff.pause().as_secs_f64() < 0.23);
        assert!(Backoff::new(0.0, 0.0).pause() > Duration::ZERO);
    }

    #[tokio::test]
    async fn failures_say_what_was_tried() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for (text, expected) in [
            (closed.to_string(), format!("{closed}: ")),
            ("no-such-host.invalid:2003".to_owned(), "no-such-host.invalid cannot be resolved".to_owned()),
        ] {
            let server = skyline_conf::routing::address::read(&text).unwrap();
            let endpoints = [Endpoint::Server(server)];
            let error = connect_one(&endpoints, 0, Duration::from_secs(5)).await.unwrap_err().to_string();
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
