//! The ring of Python carbon (`carbon:lib/carbon/hashing.py`, hash type `carbon_ch`).
//!
//! Each node has a hundred places; a place is the first two bytes of an MD5. A taken place moves a node up by one,
//! so the order of destinations matters on collisions.

use md5::{Digest, Md5};

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

/// Python's `repr` of a printable text: single quotes unless the text has some and no double ones.
fn python_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
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

fn position(text: &[u8]) -> u32 {
    let digest = Md5::digest(text);
    u32::from(digest[0]) << 8 | u32::from(digest[1])
}

impl Ring {
    /// A ring of `nodes` in the order of the configuration. `replicas`: nodes a name goes to; `diverse`: they
    /// must be on different hosts.
    #[must_use]
    pub fn new(nodes: Vec<Node>, replicas: usize, diverse: bool) -> Self {
        let mut places: Vec<(u32, usize)> = Vec::with_capacity(nodes.len() * PLACES as usize);
        for (index, node) in nodes.iter().enumerate() {
            let key = node.key();
            for i in 0..PLACES {
                let mut place = position(format!("{key}:{i}").as_bytes());
                while let Err(at) = Self::free(&places, place) {
                    place = at;
                }
                let at = places.partition_point(|(p, _)| *p < place);
                places.insert(at, (place, index));
            }
        }
        Self { nodes, places, replicas, diverse }
    }

    /// `Err`: the place is taken, look at the next.
    fn free(places: &[(u32, usize)], place: u32) -> Result<(), u32> {
        match places.binary_search_by_key(&place, |(p, _)| *p) {
            Ok(_) => Err(place + 1),
            Err(_) => Ok(()),
        }
    }

    /// Indexes of the nodes for a name, first choice first; fewer than asked when there are not as many.
    #[must_use]
    pub fn nodes(&self, name: &[u8]) -> Vec<usize> {
        let mut chosen: Vec<usize> = Vec::with_capacity(self.replicas);
        let mut hosts: Vec<&str> = Vec::new();
        let start = self.places.partition_point(|(p, _)| *p < position(name));
        for (_, index) in self.places.iter().cycle().skip(start).take(self.places.len()) {
            if chosen.len() >= self.replicas {
                break;
            }
            let Some(node) = self.nodes.get(*index) else { continue };
            if chosen.contains(index) || (self.diverse && hosts.contains(&node.host.as_str())) {
                continue;
            }
            chosen.push(*index);
            hosts.push(&node.host);
        }
        chosen
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

    #[test]
    fn every_name_has_its_replicas_on_different_hosts() {
        let ring = ring(&[("a", None), ("b", Some("1")), ("b", Some("2")), ("c", None)], 3, true);
        for i in 0..500 {
            let nodes = ring.nodes(format!("metric.{i}").as_bytes());
            assert_eq!(nodes.len(), 3);
            let hosts: std::collections::HashSet<_> = nodes.iter().map(|n| &ring.nodes[*n].host).collect();
            assert_eq!(hosts.len(), 3);
        }
        assert_eq!(self::ring(&[("a", None)], 2, false).nodes(b"x"), [0]);
        assert!(self::ring(&[], 1, true).nodes(b"x").is_empty());
    }

    #[test]
    fn load_is_spread() {
        let ring = ring(&[("a", None), ("b", None), ("c", None)], 1, true);
        let mut counts = [0; 3];
        for i in 0..3000 {
            counts[ring.nodes(format!("metric.{i}").as_bytes())[0]] += 1;
        }
        assert!(counts.iter().all(|n| *n > 500), "{counts:?}");
    }
}
