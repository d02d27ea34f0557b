//! The ring of Python carbon (`carbon:lib/carbon/hashing.py`).
//!
//! A taken place moves a node up by one, so the order of destinations matters on collisions.

use super::Node;
use super::circle::{Circle, PLACES, Stepping};
use super::hash::{Bytes, fnv1a_place, md5_place, murmur3_place};
use skyline_conf::routing::CarbonHash;

/// Where a text lies.
pub(super) fn place(hash: CarbonHash, text: &[u8]) -> i64 {
    match hash {
        CarbonHash::Md5 => md5_place(text),
        CarbonHash::Fnv1a => fnv1a_place(text, Bytes::Unsigned),
        CarbonHash::Mmh3 => murmur3_place(text),
    }
}

/// The circle of `nodes`, in the order of the configuration.
pub(super) fn circle(hash: CarbonHash, nodes: &[Node]) -> Circle {
    let mut stepping = Stepping::default();
    for (index, node) in nodes.iter().enumerate() {
        let key = key(node);
        for i in 0..PLACES {
            let text = match hash {
                CarbonHash::Md5 | CarbonHash::Mmh3 => format!("{key}:{i}"),
                // Neither host nor port: without instances all nodes have the same texts, and only the
                // step at taken places tells them apart.
                CarbonHash::Fnv1a => format!("{i}-{}", node.instance.as_deref().unwrap_or("None")),
            };
            stepping.take(place(hash, text.as_bytes()), index as u32);
        }
    }
    // The reference's walk ends one place before the circle closes, and gives a single node without looking
    // (`get_nodes`).
    if nodes.len() == 1 { stepping.circle() } else { stepping.circle().one_short() }
}

/// The text of Python's tuple `(host, instance)`, which is what is hashed.
pub(super) fn key(node: &Node) -> String {
    match &node.instance {
        Some(instance) => format!("({}, {})", python_repr(&node.host), python_repr(instance)),
        None => format!("({}, None)", python_repr(&node.host)),
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
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c == quote => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Nodes, check, ring};
    use super::*;
    use skyline_conf::routing::RingKind::Carbon;

    const KIND: skyline_conf::routing::RingKind = Carbon(CarbonHash::Md5);

    #[test]
    fn keys_are_pythons() {
        let key = |host: &str, instance: Option<&str>| {
            key(&Node { host: host.into(), port: 1, instance: instance.map(Into::into) })
        };
        assert_eq!(key("10.0.0.1", Some("a")), "('10.0.0.1', 'a')");
        assert_eq!(key("h", None), "('h', None)");
        assert_eq!(key("it's", None), "(\"it's\", None)");
    }

    #[test]
    fn names_go_where_carbon_sends_them() {
        let check = |nodes: &Nodes<'_>, replicas, diverse, name: &str, expected: &[usize]| {
            check(KIND, nodes, replicas, diverse, name, expected);
        };
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
        let check = |name: &str, expected: &[usize]| check(KIND, &forty, 2, true, name, expected);
        check("servers.web01.cpu.user", &[18, 20]);
        check("Ünïcode.größe", &[12, 25]);
        check("disk.free;host=db1;dc=eu", &[37, 31]);
        check("a", &[4, 24]);
        assert_eq!(ring(KIND, &forty, 1, true).places(), Some(4000));
    }

    #[test]
    fn fewer_nodes_than_replicas() {
        check(KIND, &[("a", None)], 2, false, "x", &[0]);
        check(KIND, &[], 1, true, "x", &[]);
        let two = [("a", Some("1")), ("a", Some("2"))];
        check(KIND, &two, 2, true, "x", &[1]);
        assert_eq!(ring(KIND, &two, 5, false).choose("x").len(), 2);
        assert_eq!(ring(KIND, &[("a", None), ("b", None)], 0, false).choose("x").len(), 1);
    }
}
