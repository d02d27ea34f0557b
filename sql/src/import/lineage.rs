//! Families of profiles: who was learnt from whom, and who was first.

use std::collections::{BTreeMap, HashSet};

/// All profiles that come over, with their parents.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// Parent of each; 0 for none.
    parents: BTreeMap<i64, i64>,
}

/// Place of a profile in its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kin {
    /// Who it was learnt from.
    pub(super) parent: Option<i64>,
    /// The first of the family; itself if it has no parent.
    pub(super) root: i64,
    /// It names a parent that is not there, or one that descends from it.
    pub(super) is_cut: bool,
}

impl Family {
    /// A profile, and its parent (0 for none).
    pub(super) fn add(&mut self, id: i64, parent: i64) {
        self.parents.insert(id, parent);
    }

    /// Whether it comes over.
    pub(super) fn has(&self, id: i64) -> bool {
        self.parents.contains_key(&id)
    }

    /// The parent, if it is there.
    fn parent(&self, id: i64) -> Option<i64> {
        self.parents.get(&id).copied().filter(|parent| self.has(*parent))
    }

    /// Place of `id`. A circle is cut where its lowest id names its parent.
    pub(super) fn kin(&self, id: i64) -> Kin {
        let named = self.parents.get(&id).copied().unwrap_or(0);
        let parent = self.parent(id).filter(|_| !self.is_lowest_of_circle(id));
        let (mut root, mut seen) = (id, HashSet::new());
        while let Some(parent) = self.parent(root).filter(|_| !self.is_lowest_of_circle(root)) {
            if !seen.insert(root) {
                break;
            }
            root = parent;
        }
        Kin { parent, root, is_cut: named > 0 && parent.is_none() }
    }

    /// Whether the way up from `id` comes back to it, over no lower id.
    fn is_lowest_of_circle(&self, id: i64) -> bool {
        let (mut at, mut seen) = (id, HashSet::new());
        while let Some(parent) = self.parent(at) {
            if parent == id {
                return true;
            }
            if parent < id || !seen.insert(parent) {
                return false;
            }
            at = parent;
        }
        false
    }

    /// Those whose parent or root has a higher id.
    pub(super) fn late(&self) -> Vec<i64> {
        let is_late = |id: &i64| {
            let kin = self.kin(*id);
            kin.root > *id || kin.parent.is_some_and(|parent| parent > *id)
        };
        // A root is higher only where somebody on the way to it names a higher parent.
        let upward: HashSet<i64> =
            self.parents.iter().filter(|(id, parent)| parent > id).map(|(id, _)| *id).collect();
        if upward.is_empty() {
            return Vec::new();
        }
        self.parents.keys().copied().filter(is_late).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(family: &[(i64, i64)], id: i64, parent: Option<i64>, root: i64, is_cut: bool) {
        let mut all = Family::default();
        for (id, parent) in family {
            all.add(*id, *parent);
        }
        assert_eq!(all.kin(id), Kin { parent, root, is_cut });
    }

    #[test]
    fn families() {
        let family = [(1, 0), (2, 1), (3, 2), (4, 99), (5, 4)];
        check(&family, 1, None, 1, false);
        check(&family, 3, Some(2), 1, false);
        check(&family, 4, None, 4, true);
        check(&family, 5, Some(4), 4, false);
    }

    #[test]
    fn circles_are_cut_once() {
        let family = [(3, 5), (5, 4), (4, 3), (6, 5), (7, 7)];
        check(&family, 3, None, 3, true);
        check(&family, 5, Some(4), 3, false);
        check(&family, 4, Some(3), 3, false);
        check(&family, 6, Some(5), 3, false);
        check(&family, 7, None, 7, true);
    }

    #[test]
    fn parents_that_come_later() {
        let mut family = Family::default();
        for (id, parent) in [(1, 0), (2, 9), (9, 1), (10, 9)] {
            family.add(id, parent);
        }
        assert_eq!(family.late(), [2]);
    }
}
