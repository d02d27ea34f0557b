//! Sockets to batches. [`Listeners::bind`] opens every socket of `[listen]`, so that what cannot
//! be opened is known before anything runs; [`Listeners::spawn`] starts them, and [`Running::replace`] changes
//! them while they run.
//!
//! A connection that is idle holds its small state and nothing else: buffers belong to the
//! process and are taken for the time of one read. What one read brings becomes one batch, and
//! nothing more is read until the journal has it, so a full journal closes the sender's window.

mod bind;
mod connection;
mod descriptors;
mod drops;
pub mod fuzz;
mod layers;
mod link;
mod places;
mod running;
mod scratch;
mod socket;
mod stream;
mod tls;
mod udp;
mod unpack;
mod way;

#[cfg(test)]
mod tests;

pub use bind::{Address, Error};
pub(crate) use drops::KernelDrops;
pub use running::Running;

use crate::flow::Flow;
use crate::intake::Intake;
use arc_swap::ArcSwap;
use bind::Bound;
use places::Places;
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

/// Connections that decrypt or unpack at the same time: each has buffers that are its own until the journal has
/// taken what they become.
const TURNS: usize = 32;

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

/// What all tasks of the listeners share.
#[derive(Debug)]
struct Shared {
    intake: Intake,
    flow: Flow,
    pool: Pool,
    places: Arc<Places>,
    /// Of connections that decrypt or unpack at the same time.
    turns: Semaphore,
    /// For connections and datagrams to come.
    settings: ArcSwap<Listen>,
    /// Ends everything.
    stop: CancellationToken,
}

impl Listeners {
    /// Opens all sockets. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The first address that cannot be opened, and what to do about it. Nothing stays open then.
    pub fn bind(settings: &Listen) -> Result<Self, Error> {
        let sockets = way::open(&way::wanted(settings)?, settings, |_| false)?;
        Ok(Self { sockets, settings: settings.clone() })
    }

    /// Every open socket with the address that it really has (port 0 was replaced).
    #[must_use]
    pub fn addresses(&self) -> Vec<(Listener, Address)> {
        self.sockets.iter().map(|bound| (bound.way.listener, bound.address.clone())).collect()
    }

    /// The address of the first TCP or UDP socket of a kind.
    #[must_use]
    pub fn address(&self, listener: Listener) -> Option<SocketAddr> {
        self.sockets
            .iter()
            .filter(|bound| bound.way.listener == listener)
            .find_map(|bound| bound.address.ip())
    }

    /// Starts to read. All tasks go into `tracker`; when `stop` is cancelled they stop accepting,
    /// take what is already in their sockets, submit it and end.
    pub fn spawn(self, context: Context, tracker: &TaskTracker, stop: &CancellationToken) -> Running {
        let places = descriptors::places(self.settings.max_connections);
        let shared = Arc::new(Shared {
            places: Arc::new(Places::new(places)),
            turns: Semaphore::new(TURNS),
            pool: Pool::default(),
            intake: context.intake,
            flow: context.flow,
            settings: ArcSwap::from_pointee(self.settings),
            stop: stop.clone(),
        });
        let mut running = Running::new(Arc::clone(&shared), tracker.clone());
        running.start(self.sockets);
        tracker.spawn(look_for_pauses(shared));
        running
    }
}

/// Counts the time during which nothing is read although somebody may be sending.
async fn look_for_pauses(shared: Arc<Shared>) {
    let mut next = LOOK_AGAIN;
    while shared.stop.run_until_cancelled(tokio::time::sleep(next)).await.is_some() {
        let slept = std::mem::replace(&mut next, LOOK_AGAIN);
        if shared.flow.is_paused() || shared.intake.waiting() > 0 {
            // A look stands for the time since the last: right on the average, whatever a pause's length.
            shared.intake.traffic().paused_millis.fetch_add(slept.as_millis() as u64, Relaxed);
            next = LOOK_EVERY;
        }
    }
}
