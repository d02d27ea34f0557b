//! Routing against the ring, and what a batch costs that is known.

use super::*;
use skyline_conf::model::relay::DestinationEntry;
use skyline_core::batch::{BatchBuilder, Listener, Source};
use skyline_journal::{Durability, Options, WhenFull};
use tempfile::TempDir;

fn journal(dir: &TempDir) -> Journal {
    let options = Options {
        dir: dir.path().to_owned(),
        max_bytes: 8 << 20,
        segment_bytes: 1 << 20,
        memory_bytes: 1 << 20,
        durability: Durability::Process,
        when_full: WhenFull::Block,
        min_free_percent: 0.0,
    };
    Journal::open(options).unwrap().0
}

fn relay(method: Method, replication_factor: u32, destinations: &[&str]) -> Relay {
    let destinations =
        destinations.iter().map(|text| DestinationEntry::Address((*text).to_owned())).collect();
    Relay { method, replication_factor, destinations, ..Relay::default() }
}

fn batch(origin: Origin, names: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(Source { listener: Listener::PlaintextTcp, origin }, 1.0);
    for name in names {
        builder.point(name.as_bytes(), 1.0, 1.0).unwrap();
    }
    builder.finish().unwrap()
}

fn routes(router: &Router, origin: Origin, names: &[&str]) -> Routes {
    let mut batch = batch(origin, names);
    router.route(&mut batch);
    batch.routes
}

#[test]
fn constant_sends_everything_everywhere_but_history() {
    let dir = TempDir::new().unwrap();
    let journal = journal(&dir);
    let router = Router::new(&relay(Method::Constant, 1, &["a:1", "b:2:x:pickle"]), &journal).unwrap();
    let both = Routes::All(journal.route_set(&["dest:a:1", "dest:b:2:x"]));
    assert_eq!(routes(&router, Origin::Live, &["m", "n"]), both);
    assert_eq!(routes(&router, Origin::Own, &["m"]), both);
    assert_eq!(routes(&router, Origin::Backfill, &["m"]), Routes::All(RouteSet(0)));
    assert_eq!(router.explain(b"m").len(), 2);
    let nowhere = Router::new(&relay(Method::Constant, 1, &[]), &journal).unwrap();
    assert_eq!(routes(&nowhere, Origin::Live, &["m"]), Routes::All(RouteSet(0)));
    let nowhere = Router::new(&relay(Method::ConsistentHashing, 1, &[]), &journal).unwrap();
    assert_eq!(routes(&nowhere, Origin::Live, &["m"]), Routes::All(RouteSet(0)));
}

#[test]
fn hashing_gives_each_name_the_set_of_its_nodes() {
    let dir = TempDir::new().unwrap();
    let journal = journal(&dir);
    let relay =
        relay(Method::ConsistentHashing, 2, &["10.0.0.1:2004:a", "10.0.0.2:2004:b", "10.0.0.3:2004:c"]);
    let names: Vec<String> = (0..300).map(|i| format!("servers.web{i:03}.cpu")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for capacity in [0, 10, REMEMBERED] {
        let router = Router::with_capacity(&relay, &journal, capacity).unwrap();
        let set_of = |name: &&str| {
            let readers: Vec<String> =
                router.explain(name.as_bytes()).into_iter().map(Address::reader).collect();
            assert_eq!(readers.len(), 2);
            journal.route_set(&readers.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let expected: Vec<RouteSet> = names.iter().map(set_of).collect();
        for round in 0..2 {
            let got = routes(&router, Origin::Live, &names);
            assert_eq!(got, Routes::PerSample(expected.clone()), "round {round}, capacity {capacity}");
        }
        let same: Vec<&str> = names.iter().copied().filter(|name| set_of(name) == expected[0]).collect();
        assert!(same.len() > 1);
        assert_eq!(routes(&router, Origin::Live, &same), Routes::All(expected[0]));
        if let Compiled::Ring(hashing) = &router.method {
            assert_eq!(hashing.names.len(), names.len().min(capacity));
        }
    }
}

#[test]
fn what_a_ring_cannot_tell_apart_is_refused() {
    let dir = TempDir::new().unwrap();
    let journal = journal(&dir);
    let check = |method, destinations: &[&str], expected: &str| {
        let error = Router::new(&relay(method, 1, destinations), &journal).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(Method::ConsistentHashing, &["h:1", "h:2"], "`h:2`");
    check(Method::ConsistentHashing, &["h:1:a", "h:2:a"], "`h:2:a`");
    check(Method::Constant, &["h:1", "h:1:pickle"], "twice");
    check(Method::Constant, &["h"], "port");
    assert!(Router::new(&relay(Method::Constant, 1, &["h:1", "h:2"]), &journal).is_ok());
    assert!(Router::new(&relay(Method::ConsistentHashing, 1, &["h:1:a", "h:2:b"]), &journal).is_ok());
}
