//! How many questions are under way: of all jobs together, and to one host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for questions.
#[derive(Debug)]
pub struct Gates {
    all: Arc<Semaphore>,
    per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    _host: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
}

impl Gates {
    /// So many places, and so many of them for one host.
    #[must_use]
    pub fn new(all: u32, per_host: u32) -> Self {
        let places = |n: u32| n.max(1) as usize;
        Self {
            all: Arc::new(Semaphore::new(places(all))),
            per_host: places(per_host),
            hosts: Mutex::default(),
        }
    }

    /// Waits for a place. The host's comes first: who waits for a slow host holds nothing that others need.
    pub async fn enter(&self, host: &str) -> Place {
        let of_host = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            let gate = hosts.entry(host.to_owned());
            Arc::clone(gate.or_insert_with(|| Arc::new(Semaphore::new(self.per_host))))
        };
        // Neither is ever closed.
        let host = of_host.acquire_owned().await.ok();
        Place { _host: host, _all: Arc::clone(&self.all).acquire_owned().await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_slow_host_leaves_places_to_others() {
        let gates = Gates::new(2, 1);
        let enters = |host: &'static str| tokio::time::timeout(Duration::from_millis(50), gates.enter(host));
        let slow = enters("slow:80").await.unwrap();
        assert!(enters("slow:80").await.is_err(), "one for a host");
        let other = enters("other:80").await.unwrap();
        assert!(enters("third:80").await.is_err(), "two for all");
        drop(slow);
        let again = enters("slow:80").await.unwrap();
        drop((again, other));
    }
}
