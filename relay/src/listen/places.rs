//! Places for connections: so many at once, a number that may change while the node runs.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of all stream listeners.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    most: AtomicU32,
    /// Places that are to be taken away once their connections end.
    owed: Mutex<usize>,
}

/// A connection's place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    permit: Option<OwnedSemaphorePermit>,
    places: Arc<Places>,
}

impl Places {
    pub(super) fn new(most: u32) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most as usize)),
            most: AtomicU32::new(most),
            owed: Mutex::new(0),
        }
    }

    /// Places in all.
    pub(super) fn most(&self) -> u32 {
        self.most.load(SeqCst)
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// Waits until a place may be free, without taking it.
    pub(super) async fn room(&self) {
        drop(self.free.acquire().await);
    }

    /// Takes a place, as soon as there is one.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Seat> {
        // Closed only if the semaphore were, which it never is.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Seat { permit: Some(permit), places: Arc::clone(self) })
    }

    /// Takes a place if one is free.
    pub(super) fn try_take(self: &Arc<Self>) -> Option<Seat> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Seat { permit: Some(permit), places: Arc::clone(self) })
    }

    /// Changes their number. Connections that have a place keep it.
    pub(super) fn resize(&self, most: u32) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.most.swap(most, SeqCst);
        if most >= before {
            let more = (most - before) as usize;
            let kept = more.min(*owed);
            *owed -= kept;
            self.free.add_permits(more - kept);
        } else {
            let fewer = (before - most) as usize;
            *owed += fewer - self.free.forget_permits(fewer);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut owed = self.places.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if *owed > 0
            && let Some(permit) = self.permit.take()
        {
            *owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_places_changes() {
        let places = Arc::new(Places::new(3));
        let free = |want: usize| assert_eq!(places.free.available_permits(), want);
        let mut seats: Vec<_> = (0..3).map(|_| places.try_take().unwrap()).collect();
        assert!(places.is_full() && places.try_take().is_none());
        places.resize(5);
        free(2);
        // One free place goes at once, the other two when their connections end.
        seats.push(places.try_take().unwrap());
        places.resize(2);
        free(0);
        seats.truncate(2);
        free(0);
        seats.truncate(1);
        free(1);
        seats.push(places.try_take().unwrap());
        places.resize(1);
        places.resize(3);
        free(1);
        seats.clear();
        free(3);
        assert_eq!(places.most(), 3);
    }
}
