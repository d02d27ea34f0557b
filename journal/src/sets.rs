//! The table of route sets: which readers' names each number stands for, in this run.
//!
//! Numbers are given out in order of first use and are never taken back. Those in segments of
//! earlier runs are translated when they are read ([`crate::segment::scan`]).

use crate::segment::encode_names;
use skyline_core::batch::{RouteSet, Routes};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// All sets known in this run. A leaf among the locks: nothing is locked while it is.
#[derive(Debug)]
pub(crate) struct SetTable(RwLock<Sets>);

#[derive(Debug)]
struct Sets {
    numbers: HashMap<Arc<[u8]>, u32>,
    sets: Vec<Set>,
}

#[derive(Debug)]
struct Set {
    /// The set's names as a route-set record has them.
    payload: Arc<[u8]>,
    names: Vec<String>,
}

impl Default for SetTable {
    fn default() -> Self {
        let payload: Arc<[u8]> = Arc::from(Vec::new());
        let sets = vec![Set { payload: Arc::clone(&payload), names: Vec::new() }];
        Self(RwLock::new(Sets { numbers: HashMap::from([(payload, 0)]), sets }))
    }
}

impl SetTable {
    /// The number of the set of `names`; order and repetition do not matter.
    pub(crate) fn number(&self, names: &[&str]) -> RouteSet {
        let names: Vec<&str> = names.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let payload = encode_names(&names);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).numbers.get(&*payload).copied();
        if let Some(number) = known {
            return RouteSet(number);
        }
        let mut sets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = sets.numbers.get(&*payload) {
            return RouteSet(*number);
        }
        let number = sets.sets.len() as u32;
        let payload: Arc<[u8]> = Arc::from(payload);
        sets.numbers.insert(Arc::clone(&payload), number);
        sets.sets.push(Set { payload, names: names.into_iter().map(str::to_owned).collect() });
        RouteSet(number)
    }

    /// The payload of a set's record; that of the empty set when there is no such set.
    pub(crate) fn payload(&self, set: RouteSet) -> Arc<[u8]> {
        let sets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        sets.sets.get(set.0 as usize).map_or_else(|| Arc::from(Vec::new()), |set| Arc::clone(&set.payload))
    }

    /// Extends `members` by what it lacks: for each set whether `name` is in it.
    pub(crate) fn extend_members(&self, name: &str, members: &mut Arc<Vec<bool>>) {
        let sets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = sets.sets.get(members.len()..).filter(|new| !new.is_empty()) {
            Arc::make_mut(members).extend(new.iter().map(|set| set.names.iter().any(|n| n == name)));
        }
    }
}

/// How many points of a batch go to each set.
pub(crate) type SetCounts = Vec<(RouteSet, u64)>;

/// Counts the points of each set among `points` points.
pub(crate) fn count_sets(routes: &Routes, points: usize) -> SetCounts {
    let sets = match routes {
        Routes::All(set) => return vec![(*set, points as u64)],
        Routes::PerSample(sets) => sets.as_slice(),
    };
    let mut numbers: Vec<u32> = sets.iter().map(|set| set.0).collect();
    let largest = numbers.iter().copied().max().unwrap_or(0) as usize;
    if largest > 1024 + 8 * numbers.len() {
        numbers.sort_unstable();
        return numbers
            .chunk_by(|a, b| a == b)
            .filter_map(|run| Some((RouteSet(*run.first()?), run.len() as u64)))
            .collect();
    }
    let mut counts = vec![0_u64; largest + 1];
    for number in numbers {
        if let Some(count) = counts.get_mut(number as usize) {
            *count += 1;
        }
    }
    (0..).zip(counts).filter(|(_, n)| *n > 0).map(|(number, n)| (RouteSet(number), n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::decode_names;

    #[test]
    fn sets_are_sets() {
        let table = SetTable::default();
        assert_eq!(table.number(&[]), RouteSet(0));
        let ab = table.number(&["a", "b"]);
        assert_eq!(ab, RouteSet(1));
        assert_eq!(table.number(&["b", "a", "b"]), ab);
        assert_ne!(table.number(&["ab"]), ab);
        assert_eq!(decode_names(&table.payload(ab)), Some(vec!["a", "b"]));
        assert_eq!(decode_names(&table.payload(RouteSet(99))), Some(vec![]));
        let mut members = Arc::default();
        table.extend_members("b", &mut members);
        assert_eq!(*members, [false, true, false]);
        table.number(&["b"]);
        table.extend_members("b", &mut members);
        assert_eq!(*members, [false, true, false, true]);
    }

    #[test]
    fn counts() {
        let check = |sets: &[u32], expected: &[(u32, u64)]| {
            let routes = Routes::PerSample(sets.iter().map(|n| RouteSet(*n)).collect());
            let expected: SetCounts = expected.iter().map(|(n, count)| (RouteSet(*n), *count)).collect();
            assert_eq!(count_sets(&routes, sets.len()), expected);
        };
        check(&[1, 2, 1, 0], &[(0, 1), (1, 2), (2, 1)]);
        check(&[u32::MAX, 2, u32::MAX], &[(2, 1), (u32::MAX, 2)]);
        assert_eq!(count_sets(&Routes::All(RouteSet(3)), 7), [(RouteSet(3), 7)]);
    }
}
