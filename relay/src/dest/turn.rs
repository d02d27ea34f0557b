//! What may end a connection that works: the node stops, the destination is configured anew or leaves, an
//! endpoint before the one in use answers again.

use super::Stop;
use super::connect::{Link, connect};
use super::orders::Orders;
use super::sender::Sender;
use skyline_conf::routing::Endpoint;
use skyline_journal::Reader;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

/// A connection that is to end for another is given up when nothing was acknowledged for so long, seconds.
const HAND_OVER: f64 = 5.0;
/// A destination that is no longer configured stays so long at least: points that were routed before may
/// still be on their way to the journal.
const STAY: Duration = Duration::from_secs(2);
/// Nothing waits for a destination that is no longer configured, and it cannot be reached: how long it is
/// tried to send again what was acknowledged and may not have been read.
const RESEND_WITHIN: Duration = Duration::from_secs(60);

/// A link to the endpoint with this index.
pub(super) type Found = (usize, Link);

/// The reasons, and which of them hold.
#[derive(Debug)]
pub(super) struct Turn {
    stop: Stop,
    orders: watch::Receiver<Orders>,
    /// The edition of the orders that the connection was made by.
    edition: u64,
    is_draining: bool,
    is_handing_over: bool,
    leaving: Option<Instant>,
    /// Looks for an earlier endpoint.
    search: Option<AbortOnDropHandle<Found>>,
    found: Option<Found>,
}

impl Turn {
    /// For a connection to the endpoint with this index.
    pub(super) fn new(sender: &Sender, index: usize) -> Self {
        let earlier = sender.endpoints().get(..index).filter(|earlier| !earlier.is_empty());
        let (limit, pause) = (sender.connect_limit(), sender.search_pause());
        let search = earlier
            .map(|earlier| AbortOnDropHandle::new(tokio::spawn(search(earlier.to_vec(), limit, pause))));
        Self {
            stop: sender.stop.clone(),
            orders: sender.orders.clone(),
            edition: sender.edition(),
            is_draining: false,
            is_handing_over: false,
            leaving: None,
            search,
            found: None,
        }
        .with_orders()
    }

    fn with_orders(mut self) -> Self {
        self.read();
        self
    }

    fn read(&mut self) {
        let orders = self.orders.borrow_and_update();
        self.leaving = orders.leaving;
        self.is_handing_over |= orders.edition != self.edition;
    }

    /// Waits for a change; true when the node's time is up. Cancel-safe.
    pub(super) async fn changed(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.stop.abort.cancelled() => return true,
            () = self.stop.drain.cancelled(), if !self.is_draining => self.is_draining = true,
            Ok(()) = self.orders.changed() => self.read(),
            found = result(self.search.as_mut()), if self.search.is_some() => {
                self.search = None;
                self.found = found.ok();
                self.is_handing_over |= self.found.is_some();
            }
        }
        false
    }

    /// The node stops: what is in the journal is sent.
    pub(super) const fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// Another connection is to go on from here: nothing more is taken for this one.
    pub(super) const fn is_handing_over(&self) -> bool {
        self.is_handing_over
    }

    /// The destination is no longer configured.
    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether the destination is no longer configured and nothing waits for it.
    pub(super) fn is_done(&self, reader: &Reader) -> bool {
        self.leaving.is_some_and(|since| since.elapsed() >= STAY)
            && reader.cursor() >= reader.position()
            && reader.ledger().waiting == 0
    }

    /// The same while there is no connection.
    pub(super) fn is_done_unreached(orders: &Orders, reader: &Reader) -> bool {
        let Some(stays) = orders.leaving.map(|since| since.elapsed()) else { return false };
        let is_read = reader.cursor() >= reader.position() || stays >= RESEND_WITHIN;
        stays >= STAY && is_read && reader.ledger().waiting == 0
    }

    /// How long a connection may be without progress, seconds, when `stall_seconds` are usual.
    pub(super) fn patience(&self, stall_seconds: f64) -> f64 {
        if self.is_handing_over { stall_seconds.min(HAND_OVER) } else { stall_seconds }
    }

    /// The link to go on with.
    pub(super) fn into_found(self) -> Option<Found> {
        self.found
    }
}

async fn result(search: Option<&mut AbortOnDropHandle<Found>>) -> Result<Found, JoinError> {
    match search {
        Some(search) => search.await,
        None => std::future::pending().await,
    }
}

/// Tries endpoints again and again, until one answers.
async fn search(earlier: Vec<Endpoint>, limit: Duration, pause: Duration) -> Found {
    loop {
        sleep(pause).await;
        for (index, endpoint) in earlier.iter().enumerate() {
            if let Ok(link) = connect(endpoint, limit).await {
                return (index, link);
            }
        }
    }
}
