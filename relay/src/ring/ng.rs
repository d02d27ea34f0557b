//! The rings of carbon-relay-ng (`carbon-relay-ng:route/consistent_hashing.go`).

use super::Node;
use super::circle::{Circle, PLACES, Stepping};
use super::hash::md5_place;

/// The circle of `consistentHashing`: of nodes at one place the first in the order of hosts and instances is found,
/// and as it has no replicas, the others might as well not be there.
pub(super) fn circle(nodes: &[Node]) -> Circle {
    super::crelay::circle(nodes, place, |a, b| a.host.cmp(&b.host).then_with(|| a.instance.cmp(&b.instance)))
}

/// The circle of `consistentHashing-v2`: a taken place moves a node up.
pub(super) fn stepping_circle(nodes: &[Node]) -> Circle {
    let mut stepping = Stepping::default();
    for (node, index) in nodes.iter().zip(0..) {
        for i in 0..PLACES {
            stepping.take(place(node, i), index);
        }
    }
    stepping.circle()
}

/// As Python's tuple, but what is in quotes is not escaped.
fn place(node: &Node, i: u32) -> i64 {
    let text = match &node.instance {
        Some(instance) => format!("('{}', '{instance}'):{i}", node.host),
        None => format!("('{}', None):{i}", node.host),
    };
    md5_place(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::tests::ring;
    use skyline_conf::routing::CarbonHash::Md5;
    use skyline_conf::routing::RingKind::{Carbon, Ng, NgV2, RelayCarbon};

    #[test]
    fn like_the_rings_that_they_are_made_after() {
        let hosts: Vec<String> = (0..30).map(|i| format!("store{i:02}")).collect();
        let nodes: Vec<(&str, Option<&str>)> = hosts.iter().map(|host| (host.as_str(), Some("a"))).collect();
        let ring = |kind| ring(kind, &nodes, 1, false);
        let (first, second) = (ring(Ng), ring(NgV2));
        let (carbon, relay) = (ring(Carbon(Md5)), ring(RelayCarbon));
        let names = (0..500).map(|i| format!("servers.web{i:03}.cpu"));
        let mut differ = 0;
        for name in names {
            assert_eq!(first.choose(&name), relay.choose(&name), "{name}");
            assert_eq!(second.choose(&name), carbon.choose(&name), "{name}");
            differ += usize::from(first.choose(&name) != second.choose(&name));
        }
        assert!((1..100).contains(&differ), "{differ} names differ");
    }
}
