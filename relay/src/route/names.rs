//! What was worked out for a name, remembered: a known name costs one look, however many statements there are.
//!
//! Senders keep to their order, so the name behind the last one found is tried first: then a look is a
//! comparison with the next entry, in memory that is read from front to back. Memory is bounded: when a generation
//! is full it becomes the old one, and what is still asked for moves over.

use super::plan::Plan;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names of a generation; some 90 bytes each at names of 50 bytes that lead to the same destinations always.
pub(super) const CAPACITY: usize = 1 << 20;

/// Bytes of names of a generation, and of what was worked out for them, about.
const BYTES: usize = 512 << 20;

/// A memory of names for each thread that routes, so that none waits for another.
#[derive(Debug)]
pub(super) struct Names {
    lanes: Box<[Mutex<Lane>]>,
}

impl Names {
    /// An empty memory; `capacity`: names of a generation.
    pub(super) fn new(capacity: usize) -> Self {
        let lanes = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get).div_ceil(2);
        Self { lanes: (0..lanes).map(|_| Mutex::new(Lane::new(capacity, BYTES))).collect() }
    }

    /// The lane of this thread.
    pub(super) fn lane(&self) -> Option<MutexGuard<'_, Lane>> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static THREAD: usize = THREADS.fetch_add(1, Relaxed);
        }
        let lane = self.lanes.get(THREAD.with(|thread| *thread) % self.lanes.len().max(1))?;
        Some(lane.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Names remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let of = |lane: &Mutex<Lane>| {
            let lane = lane.lock().unwrap();
            lane.young.entries.len() + lane.old.entries.len()
        };
        self.lanes.iter().map(of).sum()
    }
}

/// The memory of one thread.
#[derive(Debug)]
pub(super) struct Lane {
    young: Generation,
    old: Generation,
    capacity: usize,
    /// Of a generation.
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct Generation {
    index: HashMap<u64, u32, RandomState>,
    entries: Vec<Entry>,
    text: Vec<u8>,
    /// What the plans take.
    plan_bytes: usize,
    /// The entry behind the one found last.
    next: usize,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    at: u32,
    length: u32,
    plan: Plan,
}

impl Lane {
    fn new(capacity: usize, most_bytes: usize) -> Self {
        Self { young: Generation::default(), old: Generation::default(), capacity, most_bytes }
    }

    /// The plan of a name, whose XXH3 is `hash`; worked out by `make` if it is not remembered.
    pub(super) fn plan(&mut self, hash: u64, name: &[u8], make: impl FnOnce() -> Plan) -> &Plan {
        let found = match self.young.find(hash, name) {
            Some(found) => found,
            None => {
                let plan =
                    self.old.find(hash, name).and_then(|at| self.old.entries.get(at)).map(|e| e.plan.clone());
                self.remember(hash, name, plan.unwrap_or_else(make))
            }
        };
        self.young.entries.get(found).map_or(&Plan::NOWHERE, |entry| &entry.plan)
    }

    /// Enters a name: its place.
    fn remember(&mut self, hash: u64, name: &[u8], plan: Plan) -> usize {
        let plan_bytes = plan.bytes();
        let bytes = self.young.text.len() + self.young.plan_bytes + name.len() + plan_bytes;
        if self.young.entries.len() >= self.capacity.max(1) || bytes > self.most_bytes {
            self.old = std::mem::take(&mut self.young);
        }
        let young = &mut self.young;
        let place = young.entries.len();
        let (at, length) = (young.text.len() as u32, name.len() as u32);
        young.text.extend_from_slice(name);
        young.plan_bytes += plan_bytes;
        young.entries.push(Entry { hash, at, length, plan });
        // Two names of equal hash take the place from each other: each look is then worked out anew.
        young.index.insert(hash, place as u32);
        young.next = place + 1;
        place
    }
}

impl Generation {
    fn find(&mut self, hash: u64, name: &[u8]) -> Option<usize> {
        let place = if self.is(self.next, hash, name) {
            self.next
        } else {
            let place = *self.index.get(&hash)? as usize;
            self.is(place, hash, name).then_some(place)?
        };
        self.next = place + 1;
        Some(place)
    }

    fn is(&self, place: usize, hash: u64, name: &[u8]) -> bool {
        self.entries.get(place).is_some_and(|entry| {
            entry.hash == hash
                && self.text.get(entry.at as usize..(entry.at + entry.length) as usize) == Some(name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Copy, Outcome};
    use super::*;
    use skyline_core::batch::RouteSet;
    use std::sync::Arc;

    #[test]
    fn what_was_worked_out_is_bounded_too() {
        let mut lane = Lane::new(1_000, 10_000);
        for i in 0..2_000_u64 {
            let name = format!("name.{i}");
            let outcome = Outcome {
                copies: vec![Copy { name: Some("x".repeat(100).into()), set: RouteSet(1) }],
                refused: None,
            };
            lane.plan(i, name.as_bytes(), || Plan::Renamed(Arc::new(outcome)));
            let bytes = |of: &Generation| of.text.len() + of.plan_bytes;
            assert!(bytes(&lane.young) <= 10_000 && bytes(&lane.old) <= 10_000, "{i}");
        }
        let (young, old) = (lane.young.entries.len(), lane.old.entries.len());
        assert!(old > 20 && young + old < 200, "{young} and {old}");
    }

    #[test]
    fn names_are_worked_out_once_and_forgotten_when_unused() {
        let mut lane = Lane::new(4, BYTES);
        let mut made = 0;
        let mut look = |lane: &mut Lane, name: &str| {
            let set = RouteSet(u32::from(name.as_bytes()[0]));
            let plan = lane.plan(name.len() as u64, name.as_bytes(), || {
                made += 1;
                Plan::Same(set)
            });
            assert!(matches!(plan, Plan::Same(found) if *found == set), "{name}");
            made
        };
        for round in 0..3 {
            for (i, name) in ["a", "bb", "ccc", "dddd"].into_iter().enumerate() {
                assert_eq!(look(&mut lane, name), if round == 0 { i + 1 } else { 4 });
            }
        }
        // A fifth makes the four the old generation; those asked for move over.
        assert_eq!(look(&mut lane, "eeeee"), 5);
        assert_eq!(look(&mut lane, "a"), 5);
        assert_eq!((lane.young.entries.len(), lane.old.entries.len()), (2, 4));
        for name in ["ffffff", "ggggggg", "hhhhhhhh"] {
            look(&mut lane, name);
        }
        assert_eq!((look(&mut lane, "bb"), look(&mut lane, "a")), (9, 9), "bb was forgotten, a was not");
        // Equal hashes never get each other's plan.
        let mut lane = Lane::new(4, BYTES);
        for _ in 0..2 {
            look(&mut lane, "x");
            look(&mut lane, "y");
        }
    }
}
