//! `/-/status` of the node, read.

use serde_json::Value;

/// What the node says about itself.
#[derive(Debug, Clone)]
pub struct Status(pub Value);

/// The account of one destination, in points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// `host:port...` as in the settings.
    pub address: String,
    /// Whether a connection is open.
    pub connected: bool,
    /// Meant for it.
    pub routed: u64,
    /// Taken by it.
    pub delivered: u64,
    /// In the log, for it.
    pub waiting: u64,
    /// Dropped before it took them.
    pub shed: u64,
    /// Sent a second time.
    pub repeats: u64,
    /// No longer in the settings.
    pub leaving: bool,
    /// Not sent to because it is not known how.
    pub held: bool,
}

impl Status {
    /// Everything that is ready is ready.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.0.pointer("/ready").and_then(Value::as_bool) == Some(true)
    }

    /// Whether the ledger adds up, in the node's own view.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.0.pointer("/ledger_balanced").and_then(Value::as_bool) == Some(true)
    }

    /// A number anywhere in it, by its JSON pointer; 0 if it is not there.
    #[must_use]
    pub fn number(&self, pointer: &str) -> u64 {
        self.0.pointer(pointer).and_then(Value::as_f64).map_or(0, |n| n as u64)
    }

    /// Points that came in, over all listeners.
    #[must_use]
    pub fn received(&self) -> u64 {
        let rows = self.0.pointer("/listeners").and_then(Value::as_array);
        rows.into_iter().flatten().filter_map(|row| row.get("received")?.as_u64()).sum()
    }

    /// All destinations.
    #[must_use]
    pub fn destinations(&self) -> Vec<Destination> {
        let rows = self.0.pointer("/destinations").and_then(Value::as_array);
        rows.into_iter().flatten().map(destination).collect()
    }

    /// The destination with this port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn destination(&self, port: u16) -> anyhow::Result<Destination> {
        let mine = format!(":{port}");
        self.destinations()
            .into_iter()
            .find(|d| {
                d.address.split_once(&mine).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with(':'))
            })
            .ok_or_else(|| anyhow::anyhow!("no destination with port {port} in {}", self.0))
    }
}

fn destination(row: &Value) -> Destination {
    let number = |key: &str| row.get(key).and_then(Value::as_u64).unwrap_or(0);
    let is = |key: &str| row.get(key).and_then(Value::as_bool) == Some(true);
    Destination {
        address: row.get("destination").and_then(Value::as_str).unwrap_or_default().to_owned(),
        connected: is("connected"),
        routed: number("routed"),
        delivered: number("delivered"),
        waiting: number("waiting"),
        shed: number("shed"),
        repeats: number("repeats"),
        leaving: is("leaving"),
        held: is("held"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let status = Status(serde_json::json!({
            "ready": true, "ledger_balanced": true, "journal": {"points": 3},
            "listeners": [{"received": 2}, {"received": 5}],
            "destinations": [{"destination": "127.0.0.1:20:pickle", "connected": true, "routed": 7},
                             {"destination": "127.0.0.1:2003", "delivered": 1, "waiting": 2}],
        }));
        assert!(status.ready() && status.balanced());
        assert_eq!((status.received(), status.number("/journal/points"), status.number("/x")), (7, 3, 0));
        assert_eq!(status.destination(20).unwrap().routed, 7);
        assert_eq!(status.destination(2003).unwrap().waiting, 2);
        assert!(status.destination(200).is_err());
    }
}
