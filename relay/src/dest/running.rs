//! The tasks of all destinations: how they are started, replaced and seen off.

use super::orders::Orders;
use super::sender::Sender;
use super::status::Status;
use super::{Error, Stop, identity};
use crate::flow::Flow;
use skyline_conf::model::relay::Sending;
use skyline_conf::routing::{Destination, Endpoint, Protocol};
use skyline_core::clock::Clock;
use skyline_journal::{Journal, Reader, Scope};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio_util::task::TaskTracker;

/// What may have to be sent again has this part of the journal at most.
const RESEND_SHARE: u64 = 8;

/// What all tasks share, and the list of them.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) journal: Journal,
    pub(super) flow: Flow,
    pub(super) stop: Stop,
    clock: Clock,
    tasks: TaskTracker,
    runtime: Handle,
    /// Changes when files are to be opened anew.
    files: watch::Sender<u64>,
    /// In the order of the settings, then those that leave.
    slots: Mutex<Vec<Slot>>,
}

/// One destination.
#[derive(Debug)]
struct Slot {
    reader: String,
    orders: watch::Sender<Orders>,
    status: Arc<Status>,
}

/// A destination as reports see it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) reader: String,
    pub(super) status: Arc<Status>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) is_leaving: bool,
}

impl Running {
    /// None yet, in the runtime of the caller.
    pub(super) fn new(
        journal: &Journal,
        flow: &Flow,
        clock: &Clock,
        tasks: &TaskTracker,
        stop: &Stop,
    ) -> Arc<Self> {
        Arc::new(Self {
            journal: journal.clone(),
            flow: flow.clone(),
            stop: stop.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            runtime: Handle::current(),
            files: watch::Sender::new(0),
            slots: Mutex::default(),
        })
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All destinations.
    pub(super) fn list(&self) -> Vec<Listed> {
        let of = |slot: &Slot| Listed {
            reader: slot.reader.clone(),
            status: Arc::clone(&slot.status),
            endpoints: slot.orders.borrow().endpoints.clone(),
            is_leaving: slot.orders.borrow().leaving.is_some(),
        };
        self.slots().iter().map(of).collect()
    }

    /// See [`super::Destinations::reopen`].
    pub(super) fn reopen(&self) {
        self.files.send_modify(|times| *times += 1);
    }

    /// Changes when files are to be opened anew.
    pub(super) fn files(&self) -> watch::Receiver<u64> {
        self.files.subscribe()
    }

    /// See [`super::Destinations::replace`].
    pub(super) fn replace(self: &Arc<Self>, all: Vec<(Destination, Sending)>) -> Result<(), Error> {
        let wanted = self.orders(all)?;
        // Held all the time: a destination that leaves may be wanted again.
        let mut slots = self.slots();
        let fresh = self.readers(&wanted, &slots)?;
        let mut before = std::mem::take(&mut *slots);
        for ((reader, orders), fresh) in wanted.into_iter().zip(fresh) {
            match (fresh, before.iter().position(|slot| slot.reader == reader)) {
                (_, Some(at)) => {
                    let slot = before.swap_remove(at);
                    slot.orders.send_if_modified(|now| now.update(&orders));
                    slots.push(slot);
                }
                (Some(fresh), None) => slots.push(self.spawn(fresh, orders)),
                (None, None) => {}
            }
        }
        for slot in before {
            slot.orders.send_if_modified(Orders::leave);
            slots.push(slot);
        }
        Ok(())
    }

    /// Starts what sends the points that wait for a destination that is not configured.
    pub(super) fn see_off(self: &Arc<Self>, reader: &str, destination: Destination) -> Result<(), Error> {
        let reader = self.journal.reader(reader, Scope::Routed)?;
        let mut orders = Orders::new(destination.endpoints, self.bounded(Sending::default()));
        orders.leave();
        let slot = self.spawn(reader, orders);
        self.slots().push(slot);
        Ok(())
    }

    /// The names of readers, and what their tasks are told.
    fn orders(&self, all: Vec<(Destination, Sending)>) -> Result<Vec<(String, Orders)>, Error> {
        let mut wanted: Vec<(String, Orders)> = Vec::with_capacity(all.len());
        for (destination, sending) in all {
            let reader = identity::reader_of(&destination);
            if wanted.iter().any(|(other, _)| *other == reader) {
                return Err(Error::Twice(identity::name(&reader).to_owned()));
            }
            wanted.push((reader, Orders::new(destination.endpoints, self.bounded(sending))));
        }
        Ok(wanted)
    }

    /// What may have to be sent again is kept; it must not fill the journal by itself.
    fn bounded(&self, sending: Sending) -> Sending {
        let resend_bytes = sending.resend_bytes.min(self.journal.max_bytes() / RESEND_SHARE);
        Sending { resend_bytes, ..sending }
    }

    /// Readers for those that are wanted and not there; all of them, or none.
    fn readers(&self, wanted: &[(String, Orders)], slots: &[Slot]) -> Result<Vec<Option<Reader>>, Error> {
        let known = self.journal.orphans();
        let mut readers = Vec::with_capacity(wanted.len());
        for (name, _) in wanted {
            if slots.iter().any(|slot| slot.reader == *name) {
                readers.push(None);
                continue;
            }
            match self.journal.reader(name, Scope::Routed) {
                Ok(reader) => readers.push(Some(reader)),
                Err(error) => {
                    for reader in readers.into_iter().flatten() {
                        let name = reader.name().to_owned();
                        drop(reader);
                        if !known.contains(&name)
                            && let Err(error) = self.journal.forget(&name)
                        {
                            tracing::warn!(reader = name, %error, "a position that is not needed stays");
                        }
                    }
                    return Err(error.into());
                }
            }
        }
        Ok(readers)
    }

    fn spawn(self: &Arc<Self>, reader: Reader, orders: Orders) -> Slot {
        let name = reader.name().to_owned();
        let protocol = orders.endpoints.first().map_or(Protocol::Plaintext, |endpoint| match endpoint {
            Endpoint::Server(server) => server.protocol,
            Endpoint::File(_) => Protocol::Plaintext,
        });
        let status = Arc::new(Status::new(identity::name(&name), protocol, self.clock.clone()));
        let (orders, told) = watch::channel(orders);
        let sender = Sender::new(Arc::clone(self), told, Arc::clone(&status));
        self.tasks.spawn_on(sender.run(reader), &self.runtime);
        Slot { reader: name, orders, status }
    }

    /// The task of a destination that leaves is done: forgets its position. Gives the reader back if the
    /// destination is configured again.
    pub(super) async fn depart(self: Arc<Self>, reader: Reader) -> Option<Reader> {
        match spawn_blocking(move || self.forget(reader)).await {
            Ok(back) => back,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is being shut down: nothing of this task runs any more.
                Err(_) => std::future::pending().await,
            },
        }
    }

    fn forget(&self, reader: Reader) -> Option<Reader> {
        // Held all the time: nobody may want it again meanwhile.
        let mut slots = self.slots();
        let at = slots.iter().position(|slot| slot.reader == reader.name());
        let is_wanted = |at: usize| slots.get(at).is_some_and(|slot| slot.orders.borrow().leaving.is_none());
        if at.is_some_and(is_wanted) {
            return Some(reader);
        }
        if let Some(at) = at {
            slots.remove(at);
        }
        let name = reader.name().to_owned();
        drop(reader);
        match self.journal.forget(&name) {
            Ok(()) => tracing::info!(reader = name, "gone: all that waited for the destination was sent"),
            Err(error) => {
                tracing::warn!(reader = name, %error, "the position of a destination that is gone stays")
            }
        }
        None
    }
}
