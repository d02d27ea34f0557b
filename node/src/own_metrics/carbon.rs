//! A relay's own metrics as carbon-relay and carbon-aggregator name them
//! (`carbon:lib/carbon/instrumentation.py`): counts of the interval, then anew from zero.
//!
//! Carbon counts at a queue in memory; the counts here are those of the journal that mean the same to an
//! operator. `batchesSent` are writes. `queuedUntilReady` are most points that waited while a connection took
//! too little for a second, `queuedUntilConnected` those that came while there was none, to a second.

use super::snapshot::Snapshot;
use crate::watch::Queues;
use skyline_conf::carbon::assemble::{OwnMetrics, Program};
use skyline_conf::routing::Endpoint;
use skyline_relay::dest::DestinationStatus;
use std::collections::HashMap;

/// Names and values of the interval from `before` to `now`, of the relay on `host`.
pub(super) fn lines(
    own: &OwnMetrics,
    host: &str,
    (before, now): (&Snapshot, &Snapshot),
    queues: &HashMap<String, Queues>,
) -> Vec<(String, f64)> {
    let prefix = format!("{}.{}-{}", own.prefix, host.replace('.', "_"), own.instance);
    let mut lines = Vec::new();
    let mut add = |name: &str, value: f64| lines.push((format!("{prefix}.{name}"), value));
    let grown = |of: fn(&Snapshot) -> u64| of(now).saturating_sub(of(before)) as f64;
    if own.program == Program::Aggregator {
        add("allocatedBuffers", now.aggregates.open as f64);
        add("bufferedDatapoints", now.aggregates.values as f64);
        add("aggregateDatapointsSent", grown(|s| s.aggregates.outputs + s.aggregates.corrected));
    }
    for one in &now.destinations {
        // One that has come since has no counts of an earlier run to take away.
        let Some(then) = before.destination(&one.reader) else { continue };
        let name = name_of(one);
        for (what, value) in destination(then, one, queues.get(&one.reader).copied().unwrap_or_default()) {
            add(&format!("destinations.{name}.{what}"), value);
        }
    }
    add("activeConnections", now.open as f64);
    add("metricsReceived", grown(|s| s.received - s.blacklisted - s.not_whitelisted));
    add("blacklistMatches", grown(|s| s.blacklisted));
    add("whitelistRejects", grown(|s| s.not_whitelisted));
    if let (Some(cpu), Some(then)) = (now.process.cpu_seconds, before.process.cpu_seconds)
        && now.at > before.at
    {
        add("cpuUsage", (cpu - then).max(0.0) / (now.at - before.at) * 100.0);
    }
    if let Some(bytes) = now.process.resident_bytes {
        add("memUsage", bytes);
    }
    lines
}

/// What is told of a destination. As in carbon, what did not happen is not told; the longest queue is told
/// where points came.
fn destination(
    then: &DestinationStatus,
    now: &DestinationStatus,
    queues: Queues,
) -> impl Iterator<Item = (&'static str, f64)> {
    let grown = |of: fn(&DestinationStatus) -> u64| of(now).saturating_sub(of(then));
    let attempted = grown(|s| s.routed);
    let counts = [
        ("attemptedRelays", attempted),
        ("sent", grown(|s| s.delivered)),
        ("batchesSent", grown(|s| s.writes)),
        ("fullQueueDrops", grown(|s| s.shed)),
        ("queuedUntilConnected", queues.unconnected),
        ("queuedUntilReady", queues.slow),
    ];
    let longest = (attempted > 0).then_some(("relayMaxQueueLength", queues.longest));
    counts.into_iter().filter(|(_, n)| *n > 0).chain(longest).map(|(name, n)| (name, n as f64))
}

/// `host:port:instance` with dots as `_`; `None` stands for no instance.
fn name_of(one: &DestinationStatus) -> String {
    let name = match one.endpoints.first() {
        Some(Endpoint::Server(server)) => {
            let instance = server.instance.as_deref().unwrap_or("None");
            format!("{}:{}:{instance}", server.host, server.port)
        }
        _ => one.address.clone(),
    };
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;
    use crate::watch::tests::status;
    use skyline_conf::routing::Server;

    #[test]
    fn the_names_of_carbon_relay() {
        let at = |host: &str, routed, delivered| status(host, true, routed, delivered);
        let with_instance = |one: DestinationStatus| DestinationStatus {
            endpoints: vec![Endpoint::Server(Server::plain("10.0.0.1", 1, Some("a".to_owned())))],
            ..one
        };
        let process = |cpu| Process { resident_bytes: Some(4096.0), cpu_seconds: Some(cpu) };
        let before = Snapshot {
            at: 100.0,
            received: 50,
            blacklisted: 2,
            process: process(1.0),
            destinations: vec![
                with_instance(at("10.0.0.1", 40, 40)),
                at("b", 7, 7),
                status("c", false, 40, 10),
            ],
            ..Snapshot::default()
        };
        let now = Snapshot {
            at: 160.0,
            received: 80,
            blacklisted: 5,
            not_whitelisted: 1,
            open: 3,
            process: process(4.0),
            destinations: vec![
                DestinationStatus { writes: 4, ..with_instance(at("10.0.0.1", 60, 55)) },
                at("b", 7, 7),
                DestinationStatus { shed: 9, ..status("c", false, 60, 10) },
                at("new", 500, 500),
            ],
            ..Snapshot::default()
        };
        let queues = HashMap::from([
            ("dest:10.0.0.1:1".to_owned(), Queues { longest: 12, ..Queues::default() }),
            ("dest:c:1".to_owned(), Queues { unconnected: 20, longest: 50, ..Queues::default() }),
        ]);
        let own = OwnMetrics::usual(Program::Relay, "b");
        let lines = lines(&own, "web.example.org", (&before, &now), &queues);
        let shown: Vec<_> = lines
            .iter()
            .map(|(name, value)| {
                format!("{} {value}", name.strip_prefix("carbon.relays.web_example_org-b.").unwrap())
            })
            .collect();
        assert_eq!(
            shown,
            [
                "destinations.10_0_0_1:1:a.attemptedRelays 20",
                "destinations.10_0_0_1:1:a.sent 15",
                "destinations.10_0_0_1:1:a.batchesSent 4",
                "destinations.10_0_0_1:1:a.relayMaxQueueLength 12",
                "destinations.c:1:None.attemptedRelays 20",
                "destinations.c:1:None.fullQueueDrops 9",
                "destinations.c:1:None.queuedUntilConnected 20",
                "destinations.c:1:None.relayMaxQueueLength 50",
                "activeConnections 3",
                "metricsReceived 26",
                "blacklistMatches 3",
                "whitelistRejects 1",
                "cpuUsage 5",
                "memUsage 4096",
            ]
        );
    }

    #[test]
    fn an_aggregator_tells_of_its_buffers() {
        let mut now = Snapshot::default();
        (now.aggregates.open, now.aggregates.outputs, now.aggregates.corrected) = (3, 10, 2);
        let own = OwnMetrics::usual(Program::Aggregator, "a");
        let lines = lines(&own, "h", (&Snapshot::default(), &now), &HashMap::new());
        let first: Vec<_> = lines.iter().take(3).map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(
            first,
            [
                ("carbon.aggregator.h-a.allocatedBuffers", 3.0),
                ("carbon.aggregator.h-a.bufferedDatapoints", 0.0),
                ("carbon.aggregator.h-a.aggregateDatapointsSent", 12.0),
            ]
        );
    }
}
