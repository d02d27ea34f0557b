//! What routing costs a point: a ring, one rule and a thousand, names that are known.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skyline_conf::model::relay::{DestinationEntry, Method, Relay};
use skyline_conf::routing::pattern::{Dialect, Pattern};
use skyline_conf::routing::{Matcher, Route, Routing, Statement, Target, native};
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, RouteSet, Routes, Source};
use skyline_journal::{Durability, Journal, Options, WhenFull};
use skyline_relay::dest::reader_of;
use skyline_relay::route::Router;
use std::hint::black_box;
use std::time::Duration;

/// Points of a batch.
const BATCH: usize = 4_000;

fn batches(names: usize) -> Vec<Batch> {
    let names: Vec<String> =
        (0..names).map(|i| format!("servers.dc{}.web{:05}.cpu.{}", i % 3, i / 10, i % 10)).collect();
    names.chunks(BATCH).map(batch).collect()
}

fn batch(names: &[String]) -> Batch {
    let mut builder =
        BatchBuilder::new(Source { listener: Listener::PlaintextTcp, origin: Origin::Live }, 1.0);
    for name in names {
        builder.point(name.as_bytes(), 1_700_000_000.0, 1.5).unwrap();
    }
    builder.finish().unwrap()
}

fn ring(destinations: usize) -> Routing {
    let destinations = (0..destinations).map(|i| DestinationEntry::Address(format!("10.0.0.{i}:2004:a")));
    let relay =
        Relay { method: Method::ConsistentHashing, destinations: destinations.collect(), ..Relay::default() };
    native::routing(&relay).unwrap()
}

/// `count` rules of which the last matches.
fn rules(count: usize) -> Routing {
    let mut routing = ring(3);
    let route = |text: &str| {
        let when = Matcher::of(vec![Pattern::new(text, Dialect::Python).unwrap()]);
        Statement::Route(Route { when, validate: None, key: None, to: Target::Clusters(vec![0]), stop: true })
    };
    routing.statements = (1..count).map(|i| route(&format!(r"^apps\.team{i}\.(api|web)\."))).collect();
    routing.statements.push(route(r"^servers\."));
    routing
}

fn routing(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        dir: dir.path().to_owned(),
        max_bytes: 8 << 20,
        segment_bytes: 1 << 20,
        memory_bytes: 1 << 20,
        durability: Durability::Process,
        when_full: WhenFull::Block,
        min_free_percent: 0.0,
    };
    let journal = Journal::open(options).unwrap().0;
    let mut group = c.benchmark_group("route");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for (what, compiled, names) in [
        ("ring of 3, 10,000 names", ring(3), 10_000),
        ("ring of 3, 1,000,000 names", ring(3), 1_000_000),
        ("1 rule, 10,000 names", rules(1), 10_000),
        ("1,000 rules, 10,000 names", rules(1_000), 10_000),
    ] {
        let readers = compiled.destinations.iter().map(reader_of).collect();
        let router = Router::new(compiled, readers, &journal);
        let mut batches = batches(names);
        group.throughput(Throughput::Elements(names as u64));
        group.bench_function(what, |b| {
            b.iter(|| {
                for batch in &mut batches {
                    let empty = Batch {
                        first_seq: 0,
                        received: 0.0,
                        source: batch.source,
                        routes: Routes::All(RouteSet(0)),
                        text: Vec::new(),
                        samples: Vec::new(),
                    };
                    let taken = std::mem::replace(batch, empty);
                    *batch = black_box(router.route(taken)).batch.unwrap();
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, routing);
criterion_main!(benches);
