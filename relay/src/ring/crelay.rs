//! The rings of carbon-c-relay (`carbon-c-relay:consistent-hash.c`), and its `any_of`.
//!
//! Unlike carbon's, a taken place moves nobody: of nodes at one place the first in an order owns it, and the others
//! do not have it.

use super::Node;
use super::circle::{Circle, PLACES};
use super::hash::{Bytes, fnv1a_32, fnv1a_place, md5_place};
use std::cmp::Ordering;

/// The circle of `carbon_ch`.
pub(super) fn carbon_circle(nodes: &[Node]) -> Circle {
    let text = |node: &Node, i: u32| {
        // As Python's tuple, but what is in quotes is not escaped.
        match &node.instance {
            Some(instance) => format!("('{}', '{instance}'):{i}", node.host),
            None => format!("('{}', None):{i}", node.host),
        }
    };
    let order = |a: &Node, b: &Node| {
        let instances = match (&a.instance, &b.instance) {
            (Some(a), Some(b)) => a.cmp(b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        };
        a.host.cmp(&b.host).then(instances)
    };
    circle(nodes, |node, i| md5_place(text(node, i).as_bytes()), order)
}

/// The circle of `fnv1a_ch`.
pub(super) fn fnv1a_circle(nodes: &[Node]) -> Circle {
    let text = |node: &Node, i: u32| match &node.instance {
        Some(instance) => format!("{i}-{instance}"),
        None => format!("{i}-{}:{}", node.host, node.port),
    };
    let order = |a: &Node, b: &Node| a.host.cmp(&b.host).then(a.port.cmp(&b.port));
    circle(nodes, |node, i| name_place(text(node, i).as_bytes()), order)
}

/// Where a name lies with `fnv1a_ch`.
pub(super) fn name_place(text: &[u8]) -> i64 {
    fnv1a_place(text, Bytes::Signed)
}

/// The circle of nodes that have a hundred places each, but those that others own; `order` is that of nodes at one
/// place.
pub(super) fn circle(
    nodes: &[Node],
    place: impl Fn(&Node, u32) -> i64,
    order: impl Fn(&Node, &Node) -> Ordering,
) -> Circle {
    let mut places: Vec<(i64, u32, &Node)> = nodes
        .iter()
        .zip(0..)
        .flat_map(|(node, index)| (0..PLACES).map(move |i| (i, index, node)))
        .map(|(i, index, node)| (place(node, i), index, node))
        .collect();
    places.sort_by(|(at, _, a), (other, _, b)| at.cmp(other).then_with(|| order(a, b)));
    places.dedup_by_key(|(at, ..)| *at);
    Circle::new(places.into_iter().map(|(at, index, _)| (at, index)).collect())
}

/// The member that `any_of` chooses for a name, of `members`; `None`: there are none.
#[must_use]
pub fn any_of(name: impl AsRef<[u8]>, members: usize) -> Option<usize> {
    (fnv1a_32(name.as_ref(), Bytes::Signed) as usize).checked_rem(members)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use skyline_conf::routing::RingKind::{RelayCarbon, RelayFnv1a};

    #[test]
    fn of_nodes_at_one_place_the_first_owns_it() {
        let node = |host: &str, port, instance: Option<&str>| Node {
            host: host.to_owned(),
            port,
            instance: instance.map(Into::into),
        };
        let nodes =
            [node("b", 1, None), node("a", 2, Some("x")), node("a", 1, Some("y")), node("a", 3, None)];
        let same = circle(&nodes, |_, i| i64::from(i), |a, b| a.host.cmp(&b.host));
        assert_eq!((same.len(), same.nodes_from(7).all(|node| node == 1)), (100, true));
        // Equal instances have equal texts.
        let twins = [node("b", 1, Some("x")), node("a", 2, Some("x")), node("a", 1, Some("x"))];
        assert!(fnv1a_circle(&twins).nodes_from(0).all(|node| node == 2));
        // An instance comes before none.
        let both = [node("a", 1, None), node("a", 1, Some("x"))];
        let order = carbon_circle(&both);
        assert_eq!(order.nodes_from(0).filter(|node| *node == 1).count(), 100);
    }

    #[test]
    fn all_are_reached() {
        let nodes = [("10.0.0.1", None), ("10.0.0.2", Some("b")), ("10.0.0.3", None)];
        for kind in [RelayCarbon, RelayFnv1a] {
            let mut all = super::super::tests::ring(kind, &nodes, 3, false).choose("a.b.c");
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2]);
        }
        check(RelayFnv1a, &[], 1, false, "x", &[]);
    }

    #[test]
    fn any_of_is_a_remainder() {
        assert_eq!(any_of("foobar", 7), Some(0xbf9c_f968_usize % 7));
        assert_eq!(any_of("foobar", 0), None);
    }
}
