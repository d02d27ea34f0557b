//! A relay's own metrics as carbon-c-relay names them (`carbon-c-relay:collector.c`): counts since the start, or of
//! the interval where its file says `reset counters after interval`.
//!
//! One dispatcher stands for all threads: what it worked is the processor time of the node, and it slept the
//! rest. A destination with several servers is told of under its first; those that share an address are one.

use super::snapshot::Snapshot;
use skyline_conf::crelay::clean::{ALLOWED, clean_name};
use skyline_conf::crelay::compile::Statistics;
use skyline_conf::routing::Endpoint;
use skyline_relay::dest::DestinationStatus;
use std::collections::BTreeMap;

/// Names and values at `now`, on `host`. `before`: at the interval's start. `aggregates`: whether there are
/// aggregations.
pub(super) fn lines(
    statistics: &Statistics,
    host: &str,
    (before, now): (&Snapshot, &Snapshot),
    aggregates: bool,
) -> Vec<(String, f64)> {
    let prefix = statistics.prefix_of(host);
    let then = if statistics.reset { counts(before, aggregates) } else { BTreeMap::new() };
    let grown = |name: &str, value: &Count| match value {
        Count::Sum(n) => n - then.get(name).map_or(0.0, Count::value).min(*n),
        Count::Now(n) => *n,
    };
    let named = |(name, value): (String, Count)| {
        let mut clean = String::new();
        clean_name(&format!("{prefix}.{name}"), ALLOWED, &mut clean);
        let value = grown(&name, &value);
        (clean, value)
    };
    counts(now, aggregates).into_iter().map(named).collect()
}

/// A value.
#[derive(Debug, Clone, Copy)]
enum Count {
    /// Only grows.
    Sum(f64),
    /// As it is now.
    Now(f64),
}

impl Count {
    const fn value(&self) -> f64 {
        match self {
            Self::Sum(n) | Self::Now(n) => *n,
        }
    }

    /// Both together.
    const fn and(self, other: Self) -> Self {
        match self {
            Self::Sum(n) => Self::Sum(n + other.value()),
            Self::Now(n) => Self::Now(n + other.value()),
        }
    }
}

fn counts(at: &Snapshot, aggregates: bool) -> BTreeMap<String, Count> {
    let mut all = BTreeMap::new();
    let mut add = |name: String, value: Count| {
        let sum = all.get(&name).map_or(value, |known: &Count| known.and(value));
        all.insert(name, sum);
    };
    let sum = |n: u64| Count::Sum(n as f64);
    let micros = |seconds: f64| Count::Sum((seconds.max(0.0) * 1e6).floor());
    let total = |of: fn(&DestinationStatus) -> u64| at.destinations.iter().map(of).sum::<u64>();
    let cpu = at.process.cpu_seconds.unwrap_or_default();
    let received = sum(at.received + at.own);
    let writing = at.destinations.iter().map(|one| one.writing_seconds).sum();
    for (name, value) in [
        ("metricsReceived", received),
        ("metricsSent", sum(total(|one| one.delivered))),
        ("metricsQueued", Count::Now(total(|one| one.waiting) as f64)),
        ("metricsDropped", sum(total(|one| one.shed))),
        ("metricsBlackholed", sum(at.blackholed)),
        ("metricsDiscarded", sum(at.discarded)),
        ("metricStalls", sum(total(|one| one.pauses))),
        ("connections", sum(at.accepted)),
        ("disconnects", sum(at.accepted.saturating_sub(at.open))),
        ("dispatch_wallTime_us", micros(cpu)),
        ("dispatch_sleepTime_us", micros(at.uptime - cpu)),
        ("server_wallTime_us", micros(writing)),
        ("dispatcher1.metricsReceived", received),
        ("dispatcher1.metricsBlackholed", sum(at.blackholed)),
        ("dispatcher1.metricsDiscarded", sum(at.discarded)),
        ("dispatcher1.wallTime_us", micros(cpu)),
        ("dispatcher1.sleepTime_us", micros(at.uptime - cpu)),
        ("destinations.internal.sent", sum(at.own)),
        ("destinations.internal.queued", Count::Now(0.0)),
        ("destinations.internal.stalls", sum(0)),
        ("destinations.internal.dropped", sum(at.own_refused)),
        ("destinations.internal.wallTime_us", micros(0.0)),
    ] {
        add(name.to_owned(), value);
    }
    for one in &at.destinations {
        let name = name_of(one);
        for (what, value) in [
            ("sent", sum(one.delivered)),
            ("queued", Count::Now(one.waiting as f64)),
            ("stalls", sum(one.pauses)),
            ("dropped", sum(one.shed)),
            ("wallTime_us", micros(one.writing_seconds)),
        ] {
            add(format!("destinations.{name}.{what}"), value);
        }
    }
    if aggregates {
        let counts = &at.aggregates;
        add("aggregators.metricsReceived".to_owned(), sum(counts.inputs));
        add("aggregators.metricsSent".to_owned(), sum(counts.outputs + counts.corrected));
        add("aggregators.metricsDropped".to_owned(), sum(counts.too_late + counts.future + counts.full));
    }
    all
}

/// `ip:port`, or the path of a file, with dots as `_`.
fn name_of(one: &DestinationStatus) -> String {
    let name = match one.endpoints.first() {
        Some(Endpoint::Server(server)) => format!("{}:{}", server.host, server.port),
        Some(Endpoint::File(path)) => path.display().to_string(),
        None => one.address.clone(),
    };
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::status;

    fn value(lines: &[(String, f64)], name: &str) -> Option<f64> {
        lines.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    #[test]
    fn counts_are_those_of_all_time_or_of_the_interval() {
        let file = DestinationStatus {
            reader: "dest:f".to_owned(),
            endpoints: vec![Endpoint::File("/var/log/points.txt".into())],
            ..status("f", true, 5, 5)
        };
        let before = Snapshot {
            received: 100,
            destinations: vec![status("10.0.0.1", true, 60, 50)],
            ..Snapshot::default()
        };
        let now = Snapshot {
            received: 130,
            own: 10,
            destinations: vec![status("10.0.0.1", true, 90, 70), file],
            ..Snapshot::default()
        };
        let check = |reset, name: &str, expected: Option<f64>| {
            let statistics = Statistics { reset, ..Statistics::default() };
            let lines = lines(&statistics, "web.example.org", (&before, &now), false);
            assert_eq!(value(&lines, &format!("carbon.relays.web_example_org.{name}")), expected, "{name}");
        };
        check(false, "metricsReceived", Some(140.0));
        check(true, "metricsReceived", Some(40.0));
        check(false, "destinations.10_0_0_1:1.sent", Some(70.0));
        check(true, "destinations.10_0_0_1:1.sent", Some(20.0));
        check(true, "destinations.10_0_0_1:1.queued", Some(20.0));
        check(false, "destinations._var_log_points_txt.sent", Some(5.0));
        check(false, "metricsSent", Some(75.0));
        check(false, "aggregators.metricsReceived", None);
    }

    #[test]
    fn servers_that_share_an_address_are_one() {
        let twin = DestinationStatus { reader: "dest:udp:h:1".to_owned(), ..status("h", true, 3, 2) };
        let now = Snapshot { destinations: vec![status("h", true, 5, 5), twin], ..Snapshot::default() };
        let lines = lines(&Statistics::default(), "web", (&Snapshot::default(), &now), true);
        assert_eq!(value(&lines, "carbon.relays.web.destinations.h:1.sent"), Some(7.0));
        assert_eq!(value(&lines, "carbon.relays.web.destinations.h:1.queued"), Some(1.0));
        assert_eq!(value(&lines, "carbon.relays.web.aggregators.metricsDropped"), Some(0.0));
    }
}
