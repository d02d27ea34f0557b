//! Hash rings.

pub mod carbon;
pub mod hash;

use skyline_conf::routing::RingKind;

/// A node of a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Host as configured, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Instance, if any.
    pub instance: Option<String>,
}

/// A ring of any kind.
#[derive(Debug)]
pub struct Ring(carbon::Ring);

impl Ring {
    /// A ring of `nodes`, in the order of the configuration.
    #[must_use]
    pub fn new(_kind: RingKind, nodes: Vec<Node>, replicas: usize, diverse: bool) -> Self {
        let nodes = nodes.into_iter().map(|node| carbon::Node { host: node.host, instance: node.instance });
        Self(carbon::Ring::new(nodes.collect(), replicas, diverse))
    }

    /// Indexes of the nodes for a key, first choice first.
    #[must_use]
    pub fn choose(&self, key: &str) -> Vec<usize> {
        self.0.nodes(key.as_bytes())
    }
}
