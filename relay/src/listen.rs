//! Sockets to batches. [`Listeners::bind`] opens every socket of `[listen]`, so that what cannot
//! be opened is known before anything runs; [`Listeners::spawn`] starts them.
//!
//! A connection that is idle holds its small state and nothing else: buffers belong to the
//! process and are taken for the time of one read. What one read brings becomes one batch, and
//! nothing more is read until the journal has it, so a full journal closes the sender's window.

mod bind;
mod connection;
mod descriptors;
mod drops;
mod scratch;
mod stream;
mod udp;

#[cfg(test)]
mod tests;

pub use bind::{Address, Error};
pub(crate) use drops::KernelDrops;

use crate::flow::Flow;
use crate::intake::Intake;
use bind::{Socket, UnixPath};
use scratch::Pool;
use skyline_conf::model::listen::Listen;
use skyline_core::batch::Listener;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often it is looked whether listeners are paused.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same while nothing has paused: each look wakes a thread that may have nothing else to do.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// After a stop was asked for, so long it is looked whether a socket has something: what is in its
/// buffer already shows up at once.
const LAST_LOOK: Duration = Duration::from_millis(20);

/// What listeners work with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Takes what they decode.
    pub intake: Intake,
    /// Says when to pause.
    pub flow: Flow,
}

/// All sockets of `[listen]`, open; senders wait in the kernel until [`Listeners::spawn`].
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<Bound>,
    settings: Listen,
}

#[derive(Debug)]
struct Bound {
    listener: Listener,
    address: Address,
    socket: Socket,
    /// Removes the socket's file when it goes.
    path: Option<UnixPath>,
}

/// What all tasks of the listeners share.
#[derive(Debug)]
struct Shared {
    intake: Intake,
    flow: Flow,
    pool: Pool,
    permits: Arc<Semaphore>,
    /// Permits in all.
    most_connections: u32,
    settings: Listen,
}

impl Listeners {
    /// Opens all sockets. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The first address that cannot be opened, and what to do about it. Nothing stays open then.
    pub fn bind(settings: &Listen) -> Result<Self, Error> {
        let mut sockets = Vec::new();
        let mut add =
            |listener, (address, socket)| sockets.push(Bound { listener, address, socket, path: None });
        for (listener, addresses) in [
            (Listener::PlaintextTcp, &settings.plaintext_tcp),
            (Listener::PickleTcp, &settings.pickle_tcp),
            (Listener::ProtobufTcp, &settings.protobuf_tcp),
        ] {
            for address in addresses {
                add(listener, bind::tcp(listener, *address, addresses)?);
            }
        }
        for (listener, addresses) in
            [(Listener::PlaintextUdp, &settings.plaintext_udp), (Listener::MsgpackUdp, &settings.msgpack_udp)]
        {
            for address in addresses {
                add(listener, bind::udp(listener, *address, addresses, settings.udp_buffer_bytes)?);
            }
        }
        for path in &settings.plaintext_unix {
            let (address, socket, file) = bind::unix(Listener::PlaintextUnix, path)?;
            sockets.push(Bound { listener: Listener::PlaintextUnix, address, socket, path: Some(file) });
        }
        Ok(Self { sockets, settings: settings.clone() })
    }

    /// Every open socket with the address that it really has (port 0 was replaced).
    #[must_use]
    pub fn addresses(&self) -> Vec<(Listener, Address)> {
        self.sockets.iter().map(|bound| (bound.listener, bound.address.clone())).collect()
    }

    /// The address of the first TCP or UDP socket of a kind.
    #[must_use]
    pub fn address(&self, listener: Listener) -> Option<SocketAddr> {
        self.sockets.iter().filter(|bound| bound.listener == listener).find_map(|bound| bound.address.ip())
    }

    /// Starts to read. All tasks go into `tracker`; when `stop` is cancelled they stop accepting,
    /// take what is already in their sockets, submit it and end.
    pub fn spawn(self, context: Context, tracker: &TaskTracker, stop: &CancellationToken) {
        let wanted = self.settings.max_connections;
        let limit = descriptors::raise_limit();
        let most = descriptors::connections(wanted, limit);
        if most < wanted {
            tracing::warn!(
                connections = most,
                max_connections = wanted,
                open_files = limit,
                "the limit of open files allows fewer connections; raise it (LimitNOFILE) or lower listen.max_connections"
            );
        }
        let shared = Arc::new(Shared {
            permits: Arc::new(Semaphore::new(most as usize)),
            most_connections: most,
            pool: Pool::default(),
            intake: context.intake,
            flow: context.flow,
            settings: self.settings,
        });
        for Bound { listener, address, socket, path } in self.sockets {
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            tracing::info!(listener = listener.label(), %address, "listening");
            if let Socket::Udp(socket) = &socket {
                shared.intake.traffic().drops.watch(listener, &address, socket);
            }
            match socket {
                Socket::Udp(socket) => {
                    tracker.spawn(udp::serve(socket, listener, shared, stop));
                }
                socket => {
                    let tracker_of_connections = tracker.clone();
                    tracker.spawn(async move {
                        stream::serve(socket, listener, shared, tracker_of_connections, stop).await;
                        drop(path);
                    });
                }
            }
        }
        tracker.spawn(look_for_pauses(shared, stop.clone()));
    }
}

/// Counts the time during which nothing is read although somebody may be sending.
async fn look_for_pauses(shared: Arc<Shared>, stop: CancellationToken) {
    let mut next = LOOK_AGAIN;
    while stop.run_until_cancelled(tokio::time::sleep(next)).await.is_some() {
        let slept = std::mem::replace(&mut next, LOOK_AGAIN);
        if shared.flow.is_paused() || shared.intake.waiting() > 0 {
            // A look stands for the time since the last: right on the average, whatever a pause's length.
            shared.intake.traffic().paused_millis.fetch_add(slept.as_millis() as u64, Relaxed);
            next = LOOK_EVERY;
        }
    }
}
