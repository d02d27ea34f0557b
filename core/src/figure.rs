//! A figure that a part of the node reports about itself. Parts push figures into a list once a
//! second or on request; one place renders them as Prometheus text, another as carbon lines.

/// How a figure behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows (and survives restarts where the ledger keeps it).
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One figure: a sample of a Prometheus metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Name with unit, such as `skyline_journal_bytes`; counters end in `_total`.
    pub name: &'static str,
    /// One sentence for the operator.
    pub help: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// Label names and values, in the order in which they are shown.
    pub labels: Vec<(&'static str, String)>,
    /// The value, in the unit that the name says.
    pub value: f64,
}

impl Figure {
    /// A counter without labels.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, kind: Kind::Counter, labels: Vec::new(), value: value as f64 }
    }

    /// A gauge without labels.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, kind: Kind::Gauge, labels: Vec::new(), value }
    }

    /// The same figure with one more label.
    #[must_use]
    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((name, value.into()));
        self
    }
}
