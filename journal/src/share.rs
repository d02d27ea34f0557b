//! Which points are a reader's.

use crate::segment::summary::Summary;
use crate::sets::{SetCounts, SetTable};
use skyline_core::batch::{Batch, Routes};
use std::sync::Arc;

/// Which batches a reader gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every point of every batch.
    Everything,
    /// The points that go to a set with the reader's name.
    Routed,
}

/// A batch as a reader gets it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The batch.
    pub batch: Arc<Batch>,
    /// Samples of it that are for this reader.
    pub mine: Mine,
}

/// Which samples of a batch are a reader's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mine {
    /// All of them.
    All,
    /// Indexes into `batch.samples`, ascending.
    Some(Vec<u32>),
}

impl Delivery {
    /// Number of samples that are the reader's.
    #[must_use]
    pub fn points(&self) -> u64 {
        match &self.mine {
            Mine::All => self.batch.len() as u64,
            Mine::Some(indexes) => indexes.len() as u64,
        }
    }
}

/// A reader's part of the log.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) scope: Scope,
    /// For each set whether the reader's name is in it.
    members: Arc<Vec<bool>>,
}

impl Share {
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope, members: Arc::default() }
    }

    /// Learns of the sets that are new since the last time.
    pub(crate) fn refresh(&mut self, name: &str, table: &SetTable) {
        table.extend_members(name, &mut self.members);
    }

    /// How many sets it knows.
    pub(crate) fn known_sets(&self) -> usize {
        self.members.len()
    }

    fn is_member(&self, set: u32) -> bool {
        self.scope == Scope::Everything || self.members.get(set as usize).copied().unwrap_or(false)
    }

    /// Its points among counted ones.
    pub(crate) fn of_counts(&self, counts: &SetCounts) -> u64 {
        counts.iter().filter(|(set, _)| self.is_member(set.0)).map(|(_, n)| n).sum()
    }

    /// Its points in a part of the log.
    pub(crate) fn of_summary(&self, summary: &Summary) -> u64 {
        match self.scope {
            Scope::Everything => summary.points,
            Scope::Routed => {
                self.members.iter().zip(&summary.sets).filter(|(member, _)| **member).map(|(_, n)| n).sum()
            }
        }
    }

    /// Its samples with index `from` or later, among `count` samples; `None` when there are none.
    pub(crate) fn mine(&self, routes: &Routes, count: usize, from: usize) -> Option<Mine> {
        let indexes: Vec<u32> = match routes {
            Routes::All(set) if !self.is_member(set.0) => return None,
            Routes::PerSample(sets) if self.scope == Scope::Routed => {
                let sets = (0..).zip(sets).skip(from);
                sets.filter(|(_, set)| self.is_member(set.0)).map(|(index, _)| index).collect()
            }
            _ if from == 0 => return Some(Mine::All),
            _ => (from as u32..count as u32).collect(),
        };
        match indexes.len() {
            0 => None,
            n if n == count => Some(Mine::All),
            _ => Some(Mine::Some(indexes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_core::batch::RouteSet;

    fn share(scope: Scope) -> Share {
        let table = SetTable::default();
        table.number(&["me"]);
        table.number(&["other"]);
        table.number(&["other", "me"]);
        let mut share = Share::new(scope);
        share.refresh("me", &table);
        share
    }

    #[test]
    fn samples_of_a_reader() {
        let check = |scope, routes: Routes, from, expected: Option<Mine>| {
            assert_eq!(share(scope).mine(&routes, 4, from), expected, "{scope:?} {routes:?} from {from}");
        };
        let per_sample = |sets: [u32; 4]| Routes::PerSample(sets.into_iter().map(RouteSet).collect());
        let some = |indexes: &[u32]| Some(Mine::Some(indexes.to_vec()));
        check(Scope::Everything, Routes::All(RouteSet(0)), 0, Some(Mine::All));
        check(Scope::Everything, Routes::All(RouteSet(0)), 1, some(&[1, 2, 3]));
        check(Scope::Everything, per_sample([0, 1, 2, 3]), 0, Some(Mine::All));
        check(Scope::Everything, per_sample([0, 1, 2, 3]), 2, some(&[2, 3]));
        check(Scope::Everything, Routes::All(RouteSet(1)), 4, None);
        check(Scope::Routed, Routes::All(RouteSet(0)), 0, None);
        check(Scope::Routed, Routes::All(RouteSet(1)), 0, Some(Mine::All));
        check(Scope::Routed, Routes::All(RouteSet(2)), 0, None);
        check(Scope::Routed, Routes::All(RouteSet(99)), 0, None);
        check(Scope::Routed, Routes::All(RouteSet(3)), 3, some(&[3]));
        check(Scope::Routed, per_sample([1, 1, 3, 1]), 0, Some(Mine::All));
        check(Scope::Routed, per_sample([0, 1, 2, 3]), 0, some(&[1, 3]));
        check(Scope::Routed, per_sample([0, 1, 2, 3]), 2, some(&[3]));
        check(Scope::Routed, per_sample([0, 1, 2, 0]), 2, None);
    }
}
