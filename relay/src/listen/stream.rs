//! Accepting connections, TCP and Unix.

use super::bind::Socket;
use super::connection::Connection;
use super::layers::Layers;
use super::places::Seat;
use super::socket::Stream;
use super::way::Way;
use super::{LAST_LOOK, Shared};
use crate::intake::{Peer, Refusals};
use crate::keepalive;
use arc_swap::ArcSwap;
use skyline_core::reject::Reject;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after an accept that failed for want of a resource.
const PAUSE: Duration = Duration::from_millis(100);

/// Seconds between two log lines about the same trouble.
const LOG_EVERY: f64 = 60.0;

/// Connections of the kernel's queue that are still taken when a stop comes.
const LAST_ACCEPTS: usize = 1_024;

/// Accepts connections until `stop` is cancelled.
pub(super) async fn serve(
    socket: Socket,
    way: Arc<ArcSwap<Way>>,
    shared: Arc<Shared>,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let mut door = Door { socket, way, shared, tracker, stop, limit_logged: None, error_logged: None };
    let stop = door.stop.clone();
    let mut stopped = pin!(stop.cancelled());
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            () = door.admit() => {}
        }
    }
    // Senders that had connected before the stop: what they have written is not lost.
    for _ in 0..LAST_ACCEPTS {
        let Ok(Ok((stream, peer))) = timeout(LAST_LOOK, accept(&door.socket)).await else { break };
        let Some(seat) = door.shared.places.try_take() else { break };
        door.start(stream, peer, seat);
    }
}

struct Door {
    socket: Socket,
    way: Arc<ArcSwap<Way>>,
    shared: Arc<Shared>,
    tracker: TaskTracker,
    stop: CancellationToken,
    limit_logged: Option<f64>,
    error_logged: Option<f64>,
}

impl Door {
    /// Lets one connection in. At the limit nothing is accepted until one has left; may be dropped
    /// at any time, at the cost of a connection that was accepted and has to wait for its place.
    async fn admit(&mut self) {
        let places = Arc::clone(&self.shared.places);
        if places.is_full() {
            self.at_the_limit();
            // Given back at once: a place that is held while nobody comes would be lost to others.
            places.room().await;
        }
        match accept(&self.socket).await {
            Ok((stream, peer)) => {
                if let Some(seat) = places.take().await {
                    self.start(stream, peer, seat);
                }
            }
            Err(error) => {
                self.shared.intake.traffic().accept_errors.fetch_add(1, Relaxed);
                let due = due(&mut self.error_logged, self.shared.intake.clock().now());
                if due {
                    tracing::warn!(listener = self.way.load().listener.label(), %error, "a connection is not accepted; raise the limit of open files if this goes on");
                }
                if !matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn at_the_limit(&mut self) {
        self.shared.intake.traffic().limit_hits.fetch_add(1, Relaxed);
        if due(&mut self.limit_logged, self.shared.intake.clock().now()) {
            let limit = self.shared.places.most();
            tracing::warn!(
                listener = self.way.load().listener.label(),
                limit,
                "listen.max_connections reached; new connections wait"
            );
        }
    }

    fn start(&self, stream: Stream, peer: Peer, seat: Seat) {
        if let Stream::Tcp(stream) = &stream {
            keepalive::set(stream, &self.shared.settings.load().keepalive);
        }
        self.shared.intake.traffic().accepted.fetch_add(1, Relaxed);
        let way = self.way.load();
        let layers = match Layers::of(&way) {
            Ok(layers) => layers,
            Err(error) => {
                let mut refusals = Refusals::default();
                refusals.add(error.to_string().as_bytes(), Reject::Tls);
                return self.shared.intake.refuse(way.listener, peer, &refusals);
            }
        };
        let shared = Arc::clone(&self.shared);
        let connection = Connection::new(stream, way.listener, layers, peer, shared, seat, self.stop.clone());
        self.tracker.spawn(connection.run());
    }
}

/// Whether a log line is due; then it counts as written.
fn due(logged: &mut Option<f64>, now: f64) -> bool {
    let due = logged.is_none_or(|at| (now - at).abs() >= LOG_EVERY);
    if due {
        *logged = Some(now);
    }
    due
}

async fn accept(socket: &Socket) -> io::Result<(Stream, Peer)> {
    match socket {
        Socket::Tcp(socket) => {
            let (stream, peer) = socket.accept().await?;
            Ok((Stream::Tcp(stream), Peer::Address(peer)))
        }
        Socket::Unix(socket) => {
            let (stream, _) = socket.accept().await?;
            Ok((Stream::Unix(stream), Peer::Local))
        }
        Socket::Udp(_) => Err(ErrorKind::Unsupported.into()),
    }
}
