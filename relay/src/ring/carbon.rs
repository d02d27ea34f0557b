//! The ring of Python carbon (`carbon:lib/carbon/hashing.py`, hash type `carbon_ch`).
//!
//! Each node has a hundred places; a place is the first two bytes of an MD5. A taken place moves a
//! node up by one, so the order of destinations matters on collisions.

use md5::{Digest, Md5};
use std::collections::BTreeMap;

/// Places a node.
const PLACES: u32 = 100;

/// A node of the ring: host and instance are its identity, the port is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Host as configured, IPv6 without brackets.
    pub host: String,
    /// Instance, if any.
    pub instance: Option<String>,
}

impl Node {
    /// The text of Python's tuple `(host, instance)`, which is what is hashed.
    fn key(&self) -> String {
        match &self.instance {
            Some(instance) => format!("({}, {})", python_repr(&self.host), python_repr(instance)),
            None => format!("({}, None)", python_repr(&self.host)),
        }
    }
}

/// Python's `repr` of a text without unusual control characters: single quotes unless the text has
/// some and no double ones.
fn python_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c == quote => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// The ring.
#[derive(Debug, Clone)]
pub struct Ring {
    nodes: Vec<Node>,
    /// Place and index of a node, by place.
    places: Vec<(u32, usize)>,
    replicas: usize,
    diverse: bool,
}

/// Where a text lies on the ring: the first two bytes of its MD5.
fn position(text: &[u8]) -> u32 {
    let digest = Md5::digest(text);
    digest.iter().take(2).fold(0, |place, byte| place << 8 | u32::from(*byte))
}

impl Ring {
    /// A ring of `nodes` in the order of the configuration. `replicas`: nodes a name goes to, at
    /// least one; `diverse`: they must be on different hosts.
    #[must_use]
    pub fn new(nodes: Vec<Node>, replicas: usize, diverse: bool) -> Self {
        let mut taken = BTreeMap::new();
        for (index, node) in nodes.iter().enumerate() {
            let key = node.key();
            for i in 0..PLACES {
                let mut place = position(format!("{key}:{i}").as_bytes());
                while taken.contains_key(&place) {
                    place += 1;
                }
                taken.insert(place, index);
            }
        }
        Self { nodes, places: taken.into_iter().collect(), replicas: replicas.max(1), diverse }
    }

    /// Number of places; every name starts at one of them.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether it has no node.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The place at which the walk for a name starts. All names that start there go to the same nodes.
    #[must_use]
    pub fn start(&self, name: &[u8]) -> usize {
        let key = position(name);
        let at = self.places.partition_point(|(place, _)| *place < key);
        if at == self.places.len() { 0 } else { at }
    }

    /// Indexes of the nodes of names that start at place number `start`, first choice first; fewer
    /// than asked for when there are not as many.
    #[must_use]
    pub fn nodes_from(&self, start: usize) -> Vec<usize> {
        let mut chosen: Vec<usize> = Vec::new();
        // The reference's walk ends one place short of a full circle, and gives a single node without
        // looking (`carbon:lib/carbon/hashing.py`, `get_nodes`).
        let steps = if self.nodes.len() == 1 { 1 } else { self.places.len().saturating_sub(1) };
        for (_, index) in self.places.iter().cycle().skip(start).take(steps) {
            if chosen.len() == self.replicas {
                break;
            }
            let is_passed = chosen.contains(index) || self.diverse && self.host_among(&chosen, *index);
            if !is_passed {
                chosen.push(*index);
            }
        }
        chosen
    }

    /// Indexes of the nodes for a name, first choice first.
    #[must_use]
    pub fn nodes(&self, name: &[u8]) -> Vec<usize> {
        self.nodes_from(self.start(name))
    }

    /// Whether the host of a node is that of one of `chosen`.
    fn host_among(&self, chosen: &[usize], index: usize) -> bool {
        let host = |index: usize| self.nodes.get(index).map(|node| node.host.as_str());
        chosen.iter().any(|other| host(*other) == host(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(nodes: &[(&str, Option<&str>)], replicas: usize, diverse: bool) -> Ring {
        let nodes = nodes.iter().map(|(h, i)| Node { host: (*h).into(), instance: i.map(Into::into) });
        Ring::new(nodes.collect(), replicas, diverse)
    }

    #[test]
    fn keys_are_pythons() {
        let key = |host: &str, instance: Option<&str>| {
            Node { host: host.into(), instance: instance.map(Into::into) }.key()
        };
        assert_eq!(key("10.0.0.1", Some("a")), "('10.0.0.1', 'a')");
        assert_eq!(key("h", None), "('h', None)");
        assert_eq!(key("it's", None), "(\"it's\", None)");
    }

    /// Nodes by host and instance, made into a ring, and names with the nodes that the reference chooses.
    type Nodes<'a> = [(&'a str, Option<&'a str>)];

    #[track_caller]
    fn check(nodes: &Nodes<'_>, replicas: usize, diverse: bool, name: &str, expected: &[usize]) {
        let got = ring(nodes, replicas, diverse).nodes(name.as_bytes());
        assert_eq!(got, expected, "{name} to {replicas} of {} nodes", nodes.len());
    }

    #[test]
    fn names_go_where_carbon_sends_them() {
        let three = [("relay-a.example", None), ("relay-b.example", None), ("relay-c.example", None)];
        check(&three, 1, true, "servers.web01.cpu.user", &[2]);
        check(&three, 1, true, "Ünïcode.größe", &[0]);
        check(&three, 3, false, "disk.free;host=db1;dc=eu", &[0, 2, 1]);
        check(&three, 3, false, "a", &[2, 1, 0]);
        // Beyond the last place of the ring.
        check(&three, 2, false, "wrap.739", &[1, 0]);
        let instances = [
            ("192.0.2.1", Some("1")),
            ("192.0.2.1", Some("2")),
            ("192.0.2.2", Some("1")),
            ("192.0.2.2", Some("2")),
            ("2001:db8::7", Some("ü")),
        ];
        check(&instances, 3, true, "servers.web01.cpu.user", &[4, 3, 0]);
        check(&instances, 3, true, "Ünïcode.größe", &[4, 1, 3]);
        check(&instances, 3, true, "disk.free;host=db1;dc=eu", &[2, 0, 4]);
        check(&instances, 4, false, "Ünïcode.größe", &[4, 1, 0, 3]);
        check(&instances, 4, false, "a", &[0, 2, 4, 3]);
    }

    #[test]
    fn places_that_are_taken_move_nodes_up() {
        // Four thousand places, of which more than a hundred collide.
        let hosts: Vec<String> = (0..40).map(|i| format!("store{i:02}")).collect();
        let forty: Vec<(&str, Option<&str>)> =
            hosts.iter().map(|host| (host.as_str(), Some("it's"))).collect();
        check(&forty, 2, true, "servers.web01.cpu.user", &[18, 20]);
        check(&forty, 2, true, "Ünïcode.größe", &[12, 25]);
        check(&forty, 2, true, "disk.free;host=db1;dc=eu", &[37, 31]);
        check(&forty, 2, true, "a", &[4, 24]);
        assert_eq!(ring(&forty, 1, true).len(), 4000);
    }

    #[test]
    fn fewer_nodes_than_replicas() {
        check(&[("a", None)], 2, false, "x", &[0]);
        check(&[], 1, true, "x", &[]);
        check(&[("a", Some("1")), ("a", Some("2"))], 2, true, "x", &[1]);
        assert_eq!(ring(&[("a", Some("1")), ("a", Some("2"))], 5, false).nodes(b"x").len(), 2);
        assert_eq!(ring(&[("a", None), ("b", None)], 0, false).nodes(b"x").len(), 1);
    }
}
