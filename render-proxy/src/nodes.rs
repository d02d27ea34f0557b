//! What `/metrics/find` finds: the metrics and the branches that a pattern stands for, out of names.

use crate::glob::Glob;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A question for nodes.
#[derive(Debug, Clone)]
pub struct Find {
    pattern: Glob,
    below: Arc<Glob>,
}

/// Whether a path is a metric, and whether there are others below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds {
    /// A metric.
    pub leaf: bool,
    /// Others are below it.
    pub branch: bool,
}

impl Kinds {
    /// A row for each of both, whether it is the one of a metric: the branch first.
    pub fn rows(self) -> impl Iterator<Item = bool> {
        [(self.branch, false), (self.leaf, true)].into_iter().filter(|(is, _)| *is).map(|(_, leaf)| leaf)
    }
}

impl Find {
    /// Reads a pattern; none if it is too long or stands for too much.
    #[must_use]
    pub fn new(pattern: &str) -> Option<Self> {
        let pattern = Glob::new(pattern)?;
        let below = Arc::new(pattern.and_below());
        Some(Self { pattern, below })
    }

    /// The names that have to do with it: others lead to no node.
    #[must_use]
    pub const fn names(&self) -> &Arc<Glob> {
        &self.below
    }

    /// The nodes that `names` lead to, by path.
    pub fn nodes<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> BTreeMap<&'a str, Kinds> {
        let mut nodes: BTreeMap<&str, Kinds> = BTreeMap::new();
        let depth = self.pattern.depth();
        for name in names {
            let ends = name.match_indices('.').map(|(end, _)| end).chain([name.len()]);
            let paths = ends.filter_map(|end| name.get(..end)).zip(1..);
            for (path, _) in paths.filter(|(_, parts)| depth.is_none_or(|depth| depth == *parts)) {
                if self.pattern.matches(path) {
                    let kinds = nodes.entry(path).or_default();
                    if path.len() < name.len() { kinds.branch = true } else { kinds.leaf = true }
                }
            }
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nodes_of_names() {
        let check = |pattern: &str, expected: &[(&str, bool)]| {
            let find = Find::new(pattern).unwrap();
            let names =
                ["a.b", "a.b.c", "a.d", "b.x.c"].into_iter().filter(|name| find.names().matches(name));
            let nodes = find.nodes(names);
            let rows = nodes.iter().flat_map(|(path, kinds)| kinds.rows().map(|leaf| (*path, leaf)));
            assert_eq!(rows.collect::<Vec<_>>(), expected, "{pattern}");
        };
        check("*", &[("a", false), ("b", false)]);
        check("a.*", &[("a.b", false), ("a.b", true), ("a.d", true)]);
        check("a.{b,x.y}", &[("a.b", false), ("a.b", true)]);
        check("**.c", &[("a.b.c", true), ("b.x.c", true)]);
        check("b.**", &[("b.x", false), ("b.x.c", true)]);
        check("a.b.c.*", &[]);
        assert!(Find::new(&"{a,b}".repeat(9)).is_none());
    }

    proptest! {
        #[test]
        fn no_name_is_needed_that_was_not_asked_for(
            pattern in "([ab*]|\\*\\*)(\\.([ab*]|\\*\\*)){0,3}",
            names in prop::collection::vec("[ab](\\.[ab]){0,4}", 0..20),
        ) {
            let find = Find::new(&pattern).unwrap();
            let all = find.nodes(names.iter().map(String::as_str));
            let asked = names.iter().map(String::as_str).filter(|name| find.names().matches(name));
            prop_assert_eq!(find.nodes(asked), all);
        }
    }
}
