//! `/metrics` of the node, and the equations that its figures must fulfil.

use std::collections::BTreeMap;

/// One sample: its name, its labels in order of their names, its value.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Prometheus text, read.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Vec<Sample>);

impl Metrics {
    /// Reads Prometheus text.
    ///
    /// # Errors
    ///
    /// Names the first line that is none.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).ok_or_else(|| anyhow::anyhow!("not a sample: {line}")));
        Ok(Self(samples.collect::<anyhow::Result<_>>()?))
    }

    /// Sum of the samples of `name` that have all of `labels`; 0 if there is none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|s| s.value).sum()
    }

    /// Points that were refused at the listeners for `reason`.
    #[must_use]
    pub fn refused(&self, reason: &str) -> u64 {
        self.sum("skyline_relay_refused_points_total", &[("reason", reason)]) as u64
    }

    /// Points that came in.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.sum("skyline_relay_received_points_total", &[]) as u64
    }

    /// Points that are in the log.
    #[must_use]
    pub fn logged(&self) -> u64 {
        self.sum("skyline_relay_logged_points_total", &[]) as u64
    }

    fn of<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |s| {
            s.name == name && labels.iter().all(|(key, value)| s.labels.get(*key).is_some_and(|v| v == value))
        })
    }

    fn values(&self, name: &str, label: &str) -> Vec<String> {
        let mut values: Vec<_> = self.of(name, &[]).filter_map(|s| s.labels.get(label).cloned()).collect();
        values.dedup();
        values
    }

    /// Counters that are lower than they were in `earlier`; those that are not there in both do not count.
    #[must_use]
    pub fn fallen_since(&self, earlier: &Self) -> Vec<String> {
        let key = |s: &Sample| (s.name.clone(), s.labels.clone());
        let before: BTreeMap<_, f64> = earlier.0.iter().map(|s| (key(s), s.value)).collect();
        let counters = self.0.iter().filter(|s| s.name.ends_with("_total"));
        counters
            .filter_map(|s| {
                let before = before.get(&key(s)).filter(|before| s.value < **before)?;
                Some(format!("{} {:?}: {} after {before}", s.name, s.labels, s.value))
            })
            .collect()
    }

    /// Checks, at a moment at which no point is on its way: each listener's points are logged or refused,
    /// and each reader's are delivered, waiting or shed.
    ///
    /// # Errors
    ///
    /// Names the listener or reader whose account does not add up.
    pub fn balanced(&self) -> anyhow::Result<()> {
        for listener in self.values("skyline_relay_received_points_total", "listener") {
            let of = |what: &str| {
                self.sum(&format!("skyline_relay_{what}_points_total"), &[("listener", &listener)])
            };
            let (received, copied, logged, refused) =
                (of("received"), of("copied"), of("logged"), of("refused"));
            anyhow::ensure!(
                received + copied == logged + refused,
                "{listener}: received {received} + copied {copied} is not logged {logged} + refused {refused}"
            );
        }
        let readers = self.values("skyline_journal_routed_points_total", "reader");
        anyhow::ensure!(!readers.is_empty(), "no reader has an account");
        for reader in readers {
            let of = |what: &str| self.sum(&format!("skyline_journal_{what}"), &[("reader", &reader)]);
            let (routed, delivered, waiting, shed) = (
                of("routed_points_total"),
                of("delivered_points_total"),
                of("waiting_points"),
                of("shed_points_total"),
            );
            anyhow::ensure!(
                routed == delivered + waiting + shed,
                "{reader}: routed {routed} is not delivered {delivered} + waiting {waiting} + shed {shed}"
            );
        }
        anyhow::ensure!(
            self.sum("skyline_ledger_balanced", &[]) == 1.0,
            "the node says that its ledger does not add up"
        );
        anyhow::ensure!(
            self.sum("skyline_journal_ledger_mismatches_total", &[]) == 0.0,
            "the journal found an account that is not the log's"
        );
        Ok(())
    }
}

/// `name{label="value",...} 12`
fn sample(line: &str) -> Option<Sample> {
    let (head, value) = line.rsplit_once(' ')?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    let Some((name, rest)) = head.split_once('{') else {
        return Some(Sample { name: head.to_owned(), labels: BTreeMap::new(), value });
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest.strip_suffix('}')?;
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"")?;
        let end = end_of_quote(after)?;
        let (text, after) = after.split_at(end);
        labels.insert(key.to_owned(), text.replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\"));
        rest = after.get(1..)?.trim_start_matches(',');
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

fn end_of_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a b\n\
        skyline_relay_received_points_total{listener=\"plaintext_tcp\"} 12\n\
        skyline_relay_logged_points_total{listener=\"plaintext_tcp\"} 9\n\
        skyline_relay_refused_points_total{listener=\"plaintext_tcp\",reason=\"fields\"} 2\n\
        skyline_relay_refused_points_total{listener=\"plaintext_tcp\",reason=\"cut_line\"} 1\n\
        skyline_journal_routed_points_total{reader=\"a \\\"b\\\", {c}\"} 9\n\
        skyline_journal_delivered_points_total{reader=\"a \\\"b\\\", {c}\"} 4\n\
        skyline_journal_waiting_points{reader=\"a \\\"b\\\", {c}\"} 5\n\
        skyline_ledger_balanced 1\n";

    #[test]
    fn text_is_read() {
        let metrics = Metrics::parse(TEXT).unwrap();
        let check = |name: &str, labels: &[(&str, &str)], expected: f64| {
            assert_eq!(metrics.sum(name, labels), expected)
        };
        check("skyline_relay_refused_points_total", &[], 3.0);
        check("skyline_relay_refused_points_total", &[("reason", "fields")], 2.0);
        check("skyline_relay_refused_points_total", &[("reason", "time")], 0.0);
        check("skyline_journal_waiting_points", &[("reader", "a \"b\", {c}")], 5.0);
        assert_eq!((metrics.received(), metrics.logged(), metrics.refused("cut_line")), (12, 9, 1));
        assert!(Metrics::parse("a{b=\"c} 1\n").is_err());
        assert!(Metrics::parse("a b\n").is_err());
    }

    #[test]
    fn a_counter_that_falls_is_seen() {
        let of = |text: &str| Metrics::parse(text).unwrap();
        let earlier = of("a_total{l=\"1\"} 5\na_total{l=\"2\"} 5\na 5\nb_total 1\n");
        let later = of("a_total{l=\"1\"} 5\na_total{l=\"2\"} 4\na 4\nc_total 0\n");
        assert_eq!(later.fallen_since(&earlier), ["a_total {\"l\": \"2\"}: 4 after 5"]);
    }

    #[test]
    fn a_point_too_few_is_seen() {
        Metrics::parse(TEXT).unwrap().balanced().unwrap();
        let check = |from: &str, to: &str| {
            let metrics = Metrics::parse(&TEXT.replace(from, to)).unwrap();
            assert!(metrics.balanced().is_err(), "{from} -> {to}");
        };
        check("} 9\nskyline_relay", "} 8\nskyline_relay");
        check("cut_line\"} 1", "cut_line\"} 2");
        check("} 4\n", "} 3\n");
        check("balanced 1", "balanced 0");
    }
}
