//! Listeners that run: what is open, and how that is changed.

use super::bind::{Address, Bound, Error, Place, Socket};
use super::way::{self, Way};
use super::{Shared, descriptors, stream, udp};
use arc_swap::ArcSwap;
use skyline_conf::model::listen::Listen;
use skyline_core::batch::Listener;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long [`Running::closed`] waits.
const CLOSING: Duration = Duration::from_secs(1);

/// The handle of listeners that run. They go on when it is dropped.
#[derive(Debug)]
pub struct Running {
    open: Vec<Open>,
    /// Of sockets that are being closed: cancelled when they are.
    closing: Vec<CancellationToken>,
    shared: Arc<Shared>,
    tracker: TaskTracker,
}

#[derive(Debug)]
struct Open {
    place: Place,
    address: Address,
    /// For connections and datagrams to come.
    way: Arc<ArcSwap<Way>>,
    /// Closes this socket and its connections.
    stop: CancellationToken,
    /// Cancelled when the socket is closed.
    closed: CancellationToken,
}

impl Running {
    pub(super) const fn new(shared: Arc<Shared>, tracker: TaskTracker) -> Self {
        Self { open: Vec::new(), closing: Vec::new(), shared, tracker }
    }

    /// Every open socket with the address that it really has (port 0 was replaced).
    #[must_use]
    pub fn addresses(&self) -> Vec<(Listener, Address)> {
        self.open.iter().map(|open| (open.way.load().listener, open.address.clone())).collect()
    }

    /// Listens as `settings` say from now on. A socket whose address stays is not touched, and neither are its
    /// connections: what has changed (limits, protocol, packing, certificates) holds for new ones. New addresses
    /// are opened first; then those that are gone are closed: their connections are read to the end of what is
    /// in their buffers, as at a stop.
    ///
    /// Not changed are: the receive buffer of a UDP socket that stays, and `when_full` and `udp_when_full`,
    /// which are the intake's.
    ///
    /// # Errors
    /// The first address that cannot be opened, or certificates that cannot be used, and what to do about it.
    /// Nothing has changed then.
    pub fn replace(&mut self, settings: &Listen) -> Result<(), Error> {
        let wanted = way::wanted(settings)?;
        let mut gone: Vec<Option<usize>> = (0..self.open.len()).map(Some).collect();
        let stays: Vec<Option<usize>> = wanted
            .iter()
            .map(|one| {
                let is_it = |at: &Option<usize>| {
                    at.and_then(|at| self.open.get(at)).is_some_and(|open| open.place == one.place)
                };
                gone.iter_mut().find(|at| is_it(at)).and_then(Option::take)
            })
            .collect();
        let bound = way::open(&wanted, settings, |i| stays.get(i).is_some_and(Option::is_some))?;
        self.shared.places.resize(descriptors::places(settings.max_connections));
        self.shared.settings.store(Arc::new(settings.clone()));
        for (one, at) in wanted.iter().zip(&stays) {
            if let Some(open) = at.and_then(|at| self.open.get(at)) {
                open.way.store(Arc::clone(&one.way));
            }
        }
        self.start(bound);
        for at in gone.iter().flatten() {
            if let Some(open) = self.open.get(*at) {
                tracing::info!(listener = open.way.load().listener.label(), address = %open.address, "no longer listening");
                open.stop.cancel();
                self.closing.push(open.closed.clone());
            }
        }
        self.open.retain(|open| !open.stop.is_cancelled() || self.shared.stop.is_cancelled());
        Ok(())
    }

    /// Waits until the sockets that [`replace`](Self::replace) closes are closed, and their addresses free. One that
    /// is held up by a full journal is waited for no longer than a second.
    pub async fn closed(&mut self) {
        let all = std::mem::take(&mut self.closing);
        let waiting = async {
            for closed in &all {
                closed.cancelled().await;
            }
        };
        if timeout(CLOSING, waiting).await.is_err() {
            self.closing = all.into_iter().filter(|closed| !closed.is_cancelled()).collect();
        }
    }

    /// Starts to read what is bound.
    pub(super) fn start(&mut self, bound: Vec<Bound>) {
        for Bound { place, way, address, socket, path } in bound {
            let listener = way.listener;
            tracing::info!(listener = listener.label(), %address, "listening");
            let stop = self.shared.stop.child_token();
            let way = Arc::new(ArcSwap::new(way));
            let closed = CancellationToken::new();
            let at_end = closed.clone().drop_guard();
            let open = Open { place, address, way: Arc::clone(&way), stop: stop.clone(), closed };
            let shared = Arc::clone(&self.shared);
            match socket {
                Socket::Udp(socket) => {
                    shared.intake.traffic().drops.watch(listener, &open.address, &socket);
                    self.tracker.spawn(async move {
                        udp::serve(socket, way, shared, stop).await;
                        drop(at_end);
                    });
                }
                socket => {
                    let tracker = self.tracker.clone();
                    self.tracker.spawn(async move {
                        stream::serve(socket, way, shared, tracker, stop).await;
                        drop(path);
                        drop(at_end);
                    });
                }
            }
            self.open.push(open);
        }
    }
}
