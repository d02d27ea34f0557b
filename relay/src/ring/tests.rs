//! What holds of every ring.

use super::*;
use RingKind::{Carbon, CarbonFast, Ng, NgV2, RelayCarbon, RelayFnv1a, RelayJump};
use proptest::prelude::*;

/// Every ring there is.
const KINDS: [RingKind; 11] = [
    Carbon(CarbonHash::Md5),
    Carbon(CarbonHash::Fnv1a),
    Carbon(CarbonHash::Mmh3),
    CarbonFast(CarbonHash::Md5),
    CarbonFast(CarbonHash::Fnv1a),
    CarbonFast(CarbonHash::Mmh3),
    RelayCarbon,
    RelayFnv1a,
    RelayJump,
    Ng,
    NgV2,
];

/// Nodes by host and instance.
pub(super) type Nodes<'a> = [(&'a str, Option<&'a str>)];

pub(super) fn ring(kind: RingKind, nodes: &Nodes<'_>, replicas: usize, diverse: bool) -> Ring {
    let nodes = nodes.iter().map(|(host, instance)| Node {
        host: (*host).to_owned(),
        port: 2003,
        instance: instance.map(str::to_owned),
    });
    Ring::new(kind, nodes.collect(), replicas, diverse)
}

#[track_caller]
pub(super) fn check(
    kind: RingKind,
    nodes: &Nodes<'_>,
    replicas: usize,
    diverse: bool,
    name: &str,
    expected: &[usize],
) {
    let got = ring(kind, nodes, replicas, diverse).choose(name);
    assert_eq!(got, expected, "{name} to {replicas} of {} nodes", nodes.len());
}

fn hosts(count: usize, per_host: usize) -> Vec<Node> {
    (0..count)
        .map(|i| Node {
            host: format!("10.0.{}.7", i / per_host),
            port: 2003 + (i % per_host) as u16,
            instance: Some(format!("{}x{i}", i % 3)),
        })
        .collect()
}

proptest! {
    #[test]
    fn replicas_are_distinct_and_as_many_as_there_can_be(
        kind in proptest::sample::select(&KINDS[..]),
        (count, per_host, replicas) in (0_usize..12, 1_usize..4, 0_usize..6),
        diverse: bool,
        name in "[a-zü.;=]{0,20}",
    ) {
        let nodes = hosts(count, per_host);
        let ring = Ring::new(kind, nodes.clone(), replicas, diverse);
        let chosen = ring.choose(&name);
        let of = |indexes: &[usize]| -> HashSet<String> {
            indexes.iter().map(|i| if diverse { nodes[*i].host.clone() } else { i.to_string() }).collect()
        };
        prop_assert_eq!(of(&chosen).len(), chosen.len(), "the same twice: {:?}", chosen);
        let all: Vec<usize> = (0..count).collect();
        prop_assert_eq!(chosen.len(), replicas.max(1).min(of(&all).len()));
        if let Some(places) = ring.places() {
            let start = ring.start(&name);
            prop_assert!(start < places.max(1));
            prop_assert_eq!(ring.chosen_from(start), chosen);
        }
    }
}

#[test]
fn a_further_node_moves_few_names() {
    let names: Vec<String> = (0..2000).map(|i| format!("servers.web{i:04}.cpu.user")).collect();
    for kind in KINDS {
        // A remainder moves nearly all: that is what is fast about it.
        if matches!(kind, CarbonFast(_)) {
            continue;
        }
        for count in [2, 5, 20] {
            let mut nodes = hosts(count, 1);
            for (i, node) in nodes.iter_mut().enumerate() {
                // Numbers put the further one last, which is what the jump hash wants.
                node.instance = Some(i.to_string());
            }
            let before = Ring::new(kind, nodes.clone(), 1, false);
            nodes.push(Node { host: "10.9.9.9".to_owned(), port: 2003, instance: Some(count.to_string()) });
            let after = Ring::new(kind, nodes, 1, false);
            let moved = names.iter().filter(|name| before.choose(name) != after.choose(name)).count();
            let most = 2 * names.len() / (count + 1);
            assert!(moved <= most, "{kind:?}: {moved} of {} names moved at node {}", names.len(), count + 1);
        }
    }
}

#[test]
fn the_jump_hash_has_places_only_with_one_replica() {
    let nodes = hosts(4, 1);
    assert_eq!(Ring::new(RelayJump, nodes.clone(), 1, false).places(), Some(4));
    assert_eq!(Ring::new(RelayJump, nodes.clone(), 2, false).places(), None);
    assert_eq!(Ring::new(RelayJump, nodes, 9, false).choose("x").len(), 4);
}
