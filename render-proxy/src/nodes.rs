//! What `/metrics/find` finds: the metrics and the branches that a pattern stands for, out of names.

use crate::glob::Glob;
use std::collections::BTreeMap;

/// Nodes by their paths.
pub type Nodes = BTreeMap<String, Kinds>;

/// A question for nodes.
#[derive(Debug, Clone)]
pub struct Find {
    pattern: Glob,
    depth: Option<usize>,
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
    /// What either says.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { leaf: self.leaf || other.leaf, branch: self.branch || other.branch }
    }

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
        Some(Self { depth: pattern.depth(), pattern })
    }

    /// Puts the nodes that `name` leads to among the others.
    pub fn look(&self, name: &str, nodes: &mut Nodes) {
        let ends = name.match_indices('.').map(|(end, _)| end).chain([name.len()]);
        let paths = ends.filter_map(|end| name.get(..end)).zip(1_usize..);
        for (path, _) in paths.filter(|(_, parts)| self.depth.is_none_or(|depth| depth == *parts)) {
            let branch = path.len() < name.len();
            let kinds = Kinds { leaf: !branch, branch };
            // Many names lead to one branch: it is compared with the pattern once.
            if let Some(known) = nodes.get_mut(path) {
                *known = known.and(kinds);
            } else if self.pattern.matches(path) {
                nodes.insert(path.to_owned(), kinds);
            }
        }
    }

    /// The nodes that `names` lead to.
    pub fn nodes<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Nodes {
        let mut nodes = Nodes::new();
        for name in names {
            self.look(name, &mut nodes);
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
            let nodes = find.nodes(["a.b", "a.b.c", "a.d", "b.x.c"]);
            let rows = nodes.iter().flat_map(|(path, kinds)| kinds.rows().map(|leaf| (path.as_str(), leaf)));
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
        fn nodes_are_the_beginnings_that_the_pattern_matches(
            pattern in "([ab*]|\\*\\*)(\\.([ab*]|\\*\\*)){0,3}",
            names in prop::collection::vec("[ab](\\.[ab]){0,4}", 0..20),
        ) {
            let glob = Glob::new(&pattern).unwrap();
            let mut expected = Nodes::new();
            for name in &names {
                let parts: Vec<_> = name.split('.').collect();
                for count in 1..=parts.len() {
                    let path = parts[..count].join(".");
                    if glob.matches(&path) {
                        let kinds = expected.entry(path).or_default();
                        if count == parts.len() { kinds.leaf = true } else { kinds.branch = true }
                    }
                }
            }
            prop_assert_eq!(Find::new(&pattern).unwrap().nodes(names.iter().map(String::as_str)), expected);
        }
    }
}
