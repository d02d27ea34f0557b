//! Binding addresses and serving a router on them.
//!
//! Each list of addresses has a bound on its connections; those beyond wait in the kernel's queue.
//! A connection cannot hold its place by being slow: headers have a time-out (which is also the one
//! of an idle connection), requests have one, and a connection ends after [`Limits::age`] at the latest,
//! whether its peer reads or not.

use crate::error::Error;
use crate::guard;
use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longest request line with headers, bytes.
const MAX_HEAD: usize = 16 << 10;
/// The same of questions for graphs, which name many metrics.
const MAX_GRAPH_HEAD: usize = 64 << 10;
/// Headers of a request at most.
const MAX_HEADERS: usize = 64;
/// Pause after the system refused a connection (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Which setting a list of addresses comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// `http.api`.
    Api,
    /// `http.status`.
    Status,
    /// `render_proxy.addresses`: checked with the other settings, may be any.
    RenderProxy,
}

impl Listener {
    /// The setting's key.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Api => "http.api",
            Self::Status => "http.status",
            Self::RenderProxy => "render_proxy.addresses",
        }
    }
}

/// Bounds of what clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections of all addresses together.
    pub connections: usize,
    /// Longest request line with headers, bytes.
    pub head_bytes: usize,
    /// For the head of a request, and between two requests.
    pub head: Duration,
    /// For an answer.
    pub request: Duration,
    /// Of a connection; then it ends after the request in hand.
    pub age: Duration,
    /// For requests in hand, at the end of a connection's age or of serving.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            head_bytes: MAX_HEAD,
            head: Duration::from_secs(10),
            request: Duration::from_secs(10),
            age: Duration::from_secs(120),
            drain: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// The usual ones: a scraper and a person need few connections for the state of the node, and file
    /// descriptors are needed for points.
    #[must_use]
    pub fn of(listener: Listener) -> Self {
        match listener {
            Listener::Api => Self::default(),
            Listener::Status => Self { connections: 128, ..Self::default() },
            // Graphite may take long; its own time-outs are in the settings.
            Listener::RenderProxy => Self {
                connections: 512,
                head_bytes: MAX_GRAPH_HEAD,
                request: Duration::from_secs(3_700),
                age: Duration::from_secs(3_600),
                ..Self::default()
            },
        }
    }
}

/// Bound addresses that are not served yet.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    sockets: Vec<TcpListener>,
    limits: Limits,
}

/// Binds `addresses`; clients that connect wait until [`Bound::serve`].
///
/// # Errors
/// [`Error::NotLoopback`] before anything is bound; [`Error::Bind`].
pub async fn bind(listener: Listener, addresses: &[SocketAddr]) -> Result<Bound, Error> {
    let outside = |a: &SocketAddr| listener != Listener::RenderProxy && !a.ip().to_canonical().is_loopback();
    if let Some(address) = addresses.iter().copied().find(outside) {
        return Err(Error::NotLoopback { listener, address });
    }
    let mut sockets = Vec::with_capacity(addresses.len());
    for &address in addresses {
        let socket = TcpListener::bind(address).await;
        sockets.push(socket.map_err(|source| Error::Bind { listener, address, source })?);
    }
    Ok(Bound { listener, sockets, limits: Limits::of(listener) })
}

/// [`bind`] and [`Bound::serve`].
///
/// # Errors
/// See [`bind`].
pub async fn serve(
    listener: Listener,
    addresses: &[SocketAddr],
    router: Router,
    stop: CancellationToken,
) -> Result<(), Error> {
    bind(listener, addresses).await?.serve(router, stop).await;
    Ok(())
}

impl Bound {
    /// The addresses, with the ports that the kernel chose for port 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|s| s.local_addr().ok()).collect()
    }

    /// The same with other limits.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves `router` until `stop`; then requests in hand are ended, within [`Limits::drain`].
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let Self { listener, sockets, limits } = self;
        let router = match listener {
            Listener::RenderProxy => guard::around_graphs(router, limits.request),
            Listener::Api | Listener::Status => guard::around(router, limits.request),
        };
        let places = Arc::new(Semaphore::new(limits.connections));
        let mut accepting = JoinSet::new();
        for socket in sockets {
            let part = Accept { listener, limits, places: Arc::clone(&places), stop: stop.clone() };
            accepting.spawn(part.run(socket, router.clone()));
        }
        while let Some(ended) = accepting.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, setting = listener.key(), "a listener ended");
            }
        }
    }
}

/// The loop of one address.
#[derive(Debug)]
struct Accept {
    listener: Listener,
    limits: Limits,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Accept {
    async fn run(self, socket: TcpListener, router: Router) {
        let mut connections = JoinSet::new();
        let mut refused = false;
        loop {
            // Ended ones are collected here, so that the set does not grow.
            while let Some(ended) = connections.try_join_next() {
                report(self.listener, ended);
            }
            let place = tokio::select! {
                () = self.stop.cancelled() => break,
                place = Arc::clone(&self.places).acquire_owned() => place,
            };
            // The semaphore is never closed.
            let Ok(place) = place else { break };
            let accepted = tokio::select! {
                () = self.stop.cancelled() => break,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    refused = false;
                    let connection = Connection { limits: self.limits, stop: self.stop.clone(), place, peer };
                    connections.spawn(connection.run(stream, router.clone()));
                }
                Err(error) => {
                    if !refused {
                        tracing::warn!(%error, setting = self.listener.key(), "connections cannot be accepted");
                    }
                    refused = true;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(socket);
        // Each connection saw the stop and has its time limit.
        while let Some(ended) = connections.join_next().await {
            report(self.listener, ended);
        }
    }
}

fn report(listener: Listener, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, setting = listener.key(), "a request failed");
    }
}

/// One connection; its place is free again when it is dropped.
#[derive(Debug)]
struct Connection {
    limits: Limits,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
    peer: SocketAddr,
}

impl Connection {
    async fn run(self, stream: TcpStream, router: Router) {
        let Self { limits, stop, place: _place, peer } = self;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended at once");
            return;
        }
        let router = router.layer(Extension(ConnectInfo(peer)));
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        let mut serving = pin!(serving);
        // A client that goes away or is late is no error of ours: the result only tells that it ended.
        tokio::select! {
            ended = &mut serving => return tell(ended),
            () = stop.cancelled() => {}
            () = tokio::time::sleep(limits.age) => {}
        }
        serving.as_mut().graceful_shutdown();
        if let Ok(ended) = tokio::time::timeout(limits.drain, serving).await {
            tell(ended);
        }
    }
}

fn tell(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
