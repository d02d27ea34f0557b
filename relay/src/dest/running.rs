//! The tasks of all destinations: how they are started, replaced and seen off.

use super::orders::Orders;
use super::register::{Register, Unwritten, Way};
use super::sender::Sender;
use super::status::Status;
use super::{Error, Stop, identity};
use crate::flow::Flow;
use skyline_conf::model::relay::Sending;
use skyline_conf::routing::{Destination, Endpoint};
use skyline_core::clock::Clock;
use skyline_journal::{Journal, Reader, Scope};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
    /// How each is sent to. Locked before `slots`, and all the time while destinations come and go: one that
    /// leaves may be wanted again. Who only asks how they do does not wait for its file.
    register: Mutex<Register>,
    /// Times that the register was missing, damaged or could not be written.
    pub(super) register_errors: AtomicU64,
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
    /// Whether how it is sent to is not known.
    pub(super) is_held: bool,
}

impl Running {
    /// None yet, in the runtime of the caller.
    pub(super) fn new(
        state_dir: &Path,
        journal: &Journal,
        flow: &Flow,
        clock: &Clock,
        tasks: &TaskTracker,
        stop: &Stop,
    ) -> Arc<Self> {
        let (register, fault) = Register::open(state_dir, &orphans(journal));
        if let Some(fault) = &fault {
            tracing::error!(
                path = %register.path().display(),
                why = %fault,
                "the register of destinations is lost: how those are sent to that have left the settings is not known"
            );
        }
        Arc::new(Self {
            register: Mutex::new(register),
            register_errors: AtomicU64::new(u64::from(fault.is_some())),
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
            is_held: slot.orders.borrow().is_held(),
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

    fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts with `all`, and with those of the last run that are not among them. A register that cannot be
    /// written must not keep the node from sending what it has.
    pub(super) fn begin(self: &Arc<Self>, all: Vec<(Destination, Sending)>) -> Result<(), Error> {
        let mut register = self.register();
        self.put_in_place(all, &mut register, Unwritten::GoOn)?;
        for name in orphans(&self.journal) {
            let reader = self.journal.reader(&name, Scope::Routed)?;
            let waiting = reader.ledger().waiting;
            if waiting == 0 && reader.held() >= reader.position() {
                tracing::info!(reader = name, "a destination is no longer configured");
                drop(reader);
                self.forget_position(&name, &mut register);
                continue;
            }
            let way = register.way(&name).cloned();
            match &way {
                Some(_) => tracing::warn!(
                    reader = name,
                    waiting,
                    "a destination is no longer configured: what waits for it is sent as before"
                ),
                None => tracing::error!(
                    reader = name,
                    held_points = waiting,
                    "a destination is no longer configured, and how it was sent to is not known: its points are \
                     held; name it in the settings again to have them sent"
                ),
            }
            self.see_off(reader, way);
        }
        Ok(())
    }

    /// See [`super::Destinations::replace`].
    pub(super) fn replace(self: &Arc<Self>, all: Vec<(Destination, Sending)>) -> Result<(), Error> {
        self.put_in_place(all, &mut self.register(), Unwritten::Refuse)
    }

    fn put_in_place(
        self: &Arc<Self>,
        all: Vec<(Destination, Sending)>,
        register: &mut Register,
        unwritten: Unwritten,
    ) -> Result<(), Error> {
        let wanted = ways(all)?;
        let fresh = self.readers(&wanted)?;
        if let Err(error) = register.enter(wanted.iter().cloned(), unwritten) {
            self.register_errors.fetch_add(1, Relaxed);
            if unwritten == Unwritten::Refuse {
                self.give_back(fresh);
                return Err(error);
            }
            tracing::error!(%error, "how destinations are sent to is not written down");
        }
        let mut slots = self.slots();
        let mut before = std::mem::take(&mut *slots);
        for ((reader, way), fresh) in wanted.into_iter().zip(fresh) {
            let orders = self.orders(way);
            match (fresh, before.iter().position(|slot| slot.reader == reader)) {
                (_, Some(at)) => {
                    let slot = before.swap_remove(at);
                    slot.orders.send_if_modified(|now| now.update(&orders));
                    slots.push(slot);
                }
                (Some(fresh), None) => slots.push(self.spawn(fresh.reader, orders)),
                (None, None) => {}
            }
        }
        for slot in before {
            slot.orders.send_if_modified(Orders::leave);
            slots.push(slot);
        }
        Ok(())
    }

    /// Starts what sends the points that wait for a destination that is not configured, or holds them if `way` is
    /// not known.
    fn see_off(self: &Arc<Self>, reader: Reader, way: Option<Way>) {
        let mut orders = match way {
            Some(way) => self.orders(way),
            None => Orders::held(),
        };
        orders.leave();
        let slot = self.spawn(reader, orders);
        self.slots().push(slot);
    }

    /// What a task is told that is to send in this way.
    fn orders(&self, way: Way) -> Orders {
        Orders::new(way.endpoints, self.bounded(way.sending))
    }

    /// What may have to be sent again is kept; it must not fill the journal by itself.
    fn bounded(&self, sending: Sending) -> Sending {
        let resend_bytes = sending.resend_bytes.min(self.journal.max_bytes() / RESEND_SHARE);
        Sending { resend_bytes, ..sending }
    }

    /// Readers for those that are wanted and not there; all of them, or none. The register is locked.
    fn readers(&self, wanted: &[(String, Way)]) -> Result<Vec<Option<Fresh>>, Error> {
        let known = self.journal.orphans();
        let there: Vec<String> = self.slots().iter().map(|slot| slot.reader.clone()).collect();
        let mut readers = Vec::with_capacity(wanted.len());
        for (name, _) in wanted {
            if there.contains(name) {
                readers.push(None);
                continue;
            }
            match self.journal.reader(name, Scope::Routed) {
                Ok(reader) => readers.push(Some(Fresh { reader, is_new: !known.contains(name) })),
                Err(error) => {
                    self.give_back(readers);
                    return Err(error.into());
                }
            }
        }
        Ok(readers)
    }

    /// Forgets the positions that have just been made.
    fn give_back(&self, readers: Vec<Option<Fresh>>) {
        for Fresh { reader, is_new } in readers.into_iter().flatten() {
            let name = reader.name().to_owned();
            drop(reader);
            if is_new && let Err(error) = self.journal.forget(&name) {
                tracing::warn!(reader = name, %error, "a position that is not needed stays");
            }
        }
    }

    fn spawn(self: &Arc<Self>, reader: Reader, orders: Orders) -> Slot {
        let name = reader.name().to_owned();
        let status = Arc::new(Status::new(identity::name(&name), orders.protocol(), self.clock.clone()));
        if orders.is_held() {
            status.held();
        }
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
        let mut register = self.register();
        let mut slots = self.slots();
        let at = slots.iter().position(|slot| slot.reader == reader.name());
        let is_wanted = |at: usize| slots.get(at).is_some_and(|slot| slot.orders.borrow().leaving.is_none());
        if at.is_some_and(is_wanted) {
            return Some(reader);
        }
        if let Some(at) = at {
            slots.remove(at);
        }
        drop(slots);
        let name = reader.name().to_owned();
        drop(reader);
        if self.forget_position(&name, &mut register) {
            tracing::info!(reader = name, "gone: all that waited for the destination was sent");
        }
        None
    }

    /// Forgets a position, and then how it was sent to.
    fn forget_position(&self, name: &str, register: &mut Register) -> bool {
        if let Err(error) = self.journal.forget(name) {
            tracing::warn!(reader = name, %error, "the position of a destination that is gone stays");
            return false;
        }
        if let Err(error) = register.remove(name) {
            self.register_errors.fetch_add(1, Relaxed);
            tracing::warn!(%error, "how a destination was sent to that is gone stays written down");
        }
        true
    }
}

/// A reader that has no task yet.
struct Fresh {
    reader: Reader,
    /// The journal did not know it before.
    is_new: bool,
}

/// The names of readers, and how they are sent to.
fn ways(all: Vec<(Destination, Sending)>) -> Result<Vec<(String, Way)>, Error> {
    let mut wanted: Vec<(String, Way)> = Vec::with_capacity(all.len());
    for (destination, sending) in all {
        let reader = identity::reader_of(&destination);
        if wanted.iter().any(|(other, _)| *other == reader) {
            return Err(Error::Twice(identity::name(&reader).to_owned()));
        }
        wanted.push((reader, Way { endpoints: destination.endpoints, sending }));
    }
    Ok(wanted)
}

/// Destinations that have a position in the journal and no reader now.
fn orphans(journal: &Journal) -> Vec<String> {
    let mut names = journal.orphans();
    names.retain(|name| name.starts_with(identity::READER_PREFIX));
    names
}
