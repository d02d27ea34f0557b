//! Addresses and connections. A connection cannot hold its place by being slow: heads and bodies have a time-out, and a
//! connection ends after [`AGE`] at the latest, whether its peer reads or not.

use crate::figures::Counters;
use crate::requests::Flux;
use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Of a connection; then it ends after the request in hand.
const AGE: Duration = Duration::from_secs(600);
/// For the request in hand, at the end of a connection's age or of serving.
const DRAIN: Duration = Duration::from_secs(5);
/// Longest request line with headers, bytes.
const MAX_HEAD: usize = 16 << 10;
/// Headers of a request at most.
const MAX_HEADERS: usize = 64;
/// Pause after the system refused a connection (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why points are not taken over HTTP.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or not one of this machine.
    #[error(
        "flux.listen: {address} cannot be bound: {source}; stop the program that has it, or change the address"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key that is not there or cannot be one.
    #[error("flux.api_keys: {0}")]
    Key(skyline_core::problem::Problem),
    /// A template that is none.
    #[error("flux: {0}")]
    Template(skyline_core::problem::Problem),
}

/// Bound addresses that are not served yet.
#[derive(Debug)]
pub struct Bound(Vec<TcpListener>);

/// Binds `addresses`; clients that connect wait until [`Bound::spawn`].
///
/// # Errors
/// [`Error::Bind`].
pub async fn bind(addresses: &[SocketAddr]) -> Result<Bound, Error> {
    let mut sockets = Vec::with_capacity(addresses.len());
    for &address in addresses {
        let socket = TcpListener::bind(address).await;
        sockets.push(socket.map_err(|source| Error::Bind { address, source })?);
    }
    Ok(Bound(sockets))
}

impl Bound {
    /// The addresses, with the ports that the kernel chose for port 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|s| s.local_addr().ok()).collect()
    }

    /// Serves until `stop`; then requests in hand are ended. All tasks go into `tasks`.
    pub fn spawn(self, flux: &Arc<Flux>, tasks: &TaskTracker, stop: &CancellationToken) {
        let places = Arc::new(Semaphore::new(flux.max_connections()));
        let router = Flux::router(flux);
        for socket in self.0 {
            let part = Accept {
                counters: flux.counters(),
                head: flux.head(),
                places: Arc::clone(&places),
                stop: stop.clone(),
                tasks: tasks.clone(),
            };
            tasks.spawn(part.run(socket, router.clone()));
        }
    }
}

/// The loop of one address.
struct Accept {
    counters: Arc<Counters>,
    head: Duration,
    places: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Accept {
    async fn run(self, socket: TcpListener, router: Router) {
        let mut refused = false;
        loop {
            let next = async {
                let place = Arc::clone(&self.places).acquire_owned().await;
                (place, socket.accept().await)
            };
            let Some((Ok(place), accepted)) = self.stop.run_until_cancelled(next).await else { return };
            match accepted {
                Ok((stream, peer)) => {
                    refused = false;
                    self.counters.connections.fetch_add(1, Relaxed);
                    let open = Open::new(&self.counters, place);
                    let (router, stop) = (router.clone(), self.stop.clone());
                    self.tasks.spawn(connection(stream, peer, router, self.head, stop, open));
                }
                Err(error) => {
                    if !refused {
                        tracing::warn!(%error, "flux.listen: connections cannot be accepted");
                    }
                    refused = true;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// An open connection, until it is dropped.
struct Open {
    counters: Arc<Counters>,
    _place: OwnedSemaphorePermit,
}

impl Open {
    fn new(counters: &Arc<Counters>, place: OwnedSemaphorePermit) -> Self {
        counters.open.fetch_add(1, Relaxed);
        Self { counters: Arc::clone(counters), _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Relaxed);
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    head: Duration,
    stop: CancellationToken,
    _open: Open,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let router = router.layer(Extension(ConnectInfo(peer)));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    // A client that goes away or is late is no error of ours: the result only tells that it ended.
    tokio::select! {
        ended = &mut serving => return drop(ended),
        () = stop.cancelled() => {}
        () = tokio::time::sleep(AGE) => {}
    }
    serving.as_mut().graceful_shutdown();
    drop(tokio::time::timeout(DRAIN, serving).await);
}
