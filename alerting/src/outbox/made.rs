//! Which messages were made lately: how many went to a recipient counts against the limits, and the same key is put once.
//!
//! A message leaves the memory when the database has it, so this is a memory of its own, and written down.

use super::Lane;
use std::collections::BTreeMap;

/// Keys are remembered for so long at least, seconds.
const REMEMBERED: f64 = 3_600.0;
/// Keys of one recipient that are remembered at most; the oldest go.
const MOST: usize = 10_000;

/// Keys of messages and when they were made, by recipient.
#[derive(Debug, Default)]
pub(super) struct Made {
    of: BTreeMap<Lane, BTreeMap<String, f64>>,
}

impl Made {
    /// Takes a message into account; one that is known counts no second time.
    pub(super) fn add(&mut self, lane: Lane, key: &str, at: f64) {
        let keys = self.of.entry(lane).or_default();
        if keys.contains_key(key) {
            return;
        }
        keys.insert(key.to_owned(), at);
        if keys.len() > MOST {
            let mut times: Vec<f64> = keys.values().copied().collect();
            times.sort_by(f64::total_cmp);
            // A tenth at once, so that this is rare.
            let oldest = times.get(MOST / 10).copied().unwrap_or(at);
            keys.retain(|_, at| *at > oldest);
        }
    }

    pub(super) fn has(&self, lane: &Lane, key: &str) -> bool {
        self.of.get(lane).is_some_and(|keys| keys.contains_key(key))
    }

    /// How many were made after that.
    pub(super) fn since(&self, lane: &Lane, since: f64) -> usize {
        self.of.get(lane).map_or(0, |keys| keys.values().filter(|at| **at > since).count())
    }

    /// Forgets what is older than the window and [`REMEMBERED`].
    pub(super) fn forget(&mut self, now: f64, window: f64) {
        let since = now - window.max(REMEMBERED);
        self.of.retain(|_, keys| {
            keys.retain(|_, at| *at > since);
            !keys.is_empty()
        });
    }

    /// The clock was set back to `now`, seconds: none was made later.
    pub(super) fn set_back(&mut self, now: f64) {
        self.of.values_mut().flat_map(BTreeMap::values_mut).for_each(|at| *at = at.min(now));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Lane, &BTreeMap<String, f64>)> {
        self.of.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Lane {
        ("email".to_owned(), "ops".to_owned())
    }

    #[test]
    fn a_key_counts_once_and_is_forgotten() {
        let mut made = Made::default();
        for at in [1_000.0, 2_000.0, 3_000.0] {
            made.add(lane(), "a", at);
        }
        made.add(lane(), "b", 3_000.0);
        assert_eq!((made.since(&lane(), 0.0), made.since(&lane(), 1_000.0)), (2, 1));
        made.forget(4_600.0, 60.0);
        assert!(!made.has(&lane(), "a") && made.has(&lane(), "b"));
        made.forget(7_000.0, 10_000.0);
        assert!(made.has(&lane(), "b"), "the window is longer");
        made.forget(7_000.0, 60.0);
        assert_eq!(made.iter().count(), 0);
    }

    #[test]
    fn they_are_bounded() {
        let mut made = Made::default();
        for n in 0..3 * MOST {
            made.add(lane(), &n.to_string(), n as f64);
        }
        assert!(made.since(&lane(), -1.0) <= MOST);
        assert!(made.has(&lane(), &(3 * MOST - 1).to_string()));
    }
}
