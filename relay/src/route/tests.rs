//! Routing against the ring, under other names, by turns and checks; and that what is known is not worked out anew.

use super::*;
use skyline_conf::model::relay::{DestinationEntry, Method};
use skyline_conf::routing::pattern::{Dialect, Pattern};
use skyline_conf::routing::template::Template;
use skyline_conf::routing::{
    Aggregation, Cluster, Destination, Digits, Discard, Endpoint, Function, Output, Rewrite, Route, Server,
    Share, Stamp, Validate,
};
use skyline_core::batch::{BatchBuilder, Source};
use skyline_core::reject::Reject;
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
    for (i, name) in names.iter().enumerate() {
        builder.point(name.as_bytes(), 60.0, i as f64).unwrap();
    }
    builder.finish().unwrap()
}

fn routes(router: &Router, origin: Origin, names: &[&str]) -> Routes {
    router.route(batch(origin, names)).batch.unwrap().routes
}

#[test]
fn constant_sends_everything_everywhere_but_history() {
    let dir = TempDir::new().unwrap();
    let journal = journal(&dir);
    let router =
        Router::of_settings(&relay(Method::Constant, 1, &["a:1", "b:2:x:pickle"]), &journal).unwrap();
    let both = Routes::All(journal.route_set(&["dest:a:1", "dest:b:2:x"]));
    assert_eq!(routes(&router, Origin::Live, &["m", "n"]), both);
    assert_eq!(routes(&router, Origin::Own, &["m"]), both);
    assert_eq!(routes(&router, Origin::Backfill, &["m"]), Routes::All(RouteSet(0)));
    assert_eq!(router.choices.choose(0, "m", None), [0, 1]);
    assert_eq!(router.doors[0].names.len(), 0, "no name has to be remembered");
    for method in [Method::Constant, Method::ConsistentHashing] {
        let nowhere = Router::of_settings(&relay(method, 1, &[]), &journal).unwrap();
        assert_eq!(routes(&nowhere, Origin::Live, &["m"]), Routes::All(RouteSet(0)));
    }
}

#[test]
fn hashing_gives_each_name_the_set_of_its_nodes() {
    let dir = TempDir::new().unwrap();
    let journal = journal(&dir);
    let relay =
        relay(Method::ConsistentHashing, 2, &["10.0.0.1:2004:a", "10.0.0.2:2004:b", "10.0.0.3:2004:c"]);
    let names: Vec<String> = (0..300).map(|i| format!("servers.web{i:03}.cpu")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for capacity in [1, 10, names::CAPACITY] {
        let routing = native::routing(&relay).unwrap();
        let readers: Vec<String> = routing.destinations.iter().map(dest::reader_of).collect();
        let router = Router::with_capacity(routing, readers.clone(), &journal, capacity);
        let set_of = |name: &&str| {
            let chosen = router.choices.choose(0, name, None);
            assert_eq!(chosen.len(), 2);
            let readers: Vec<&str> = chosen.iter().map(|i| readers[*i].as_str()).collect();
            journal.route_set(&readers)
        };
        let expected: Vec<RouteSet> = names.iter().map(set_of).collect();
        for round in 0..2 {
            let got = routes(&router, Origin::Live, &names);
            assert_eq!(got, Routes::PerSample(expected.clone()), "round {round}, capacity {capacity}");
        }
        let same: Vec<&str> = names.iter().copied().filter(|name| set_of(name) == expected[0]).collect();
        assert!(same.len() > 1);
        assert_eq!(routes(&router, Origin::Live, &same), Routes::All(expected[0]));
        assert!(router.doors[0].names.len() <= 2 * capacity);
    }
}

/// Destinations `a`, `b`, ... each a cluster of its own, and one in turn of all.
fn lettered(letters: &str, statements: Vec<Statement>) -> Routing {
    let destination = |c: char| Destination {
        label: c.to_string(),
        endpoints: vec![Endpoint::Server(Server::plain(c.to_string(), 1, None))],
    };
    let cluster =
        |(i, c): (usize, char)| Cluster { name: c.to_string(), share: Share::All, members: vec![i] };
    let mut clusters: Vec<Cluster> = letters.chars().enumerate().map(cluster).collect();
    let members = (0..clusters.len()).collect();
    clusters.push(Cluster { name: "turn".to_owned(), share: Share::InTurn, members });
    Routing {
        destinations: letters.chars().map(destination).collect(),
        clusters,
        statements,
        ..Routing::default()
    }
}

fn matching(text: &str) -> Matcher {
    Matcher::of(vec![Pattern::new(text, Dialect::Python).unwrap()])
}

fn route(when: &str, to: Target, stop: bool) -> Route {
    Route { when: matching(when), validate: None, key: None, to, stop }
}

fn send(when: &str, cluster: usize, stop: bool) -> Statement {
    Statement::Route(route(when, Target::Clusters(vec![cluster]), stop))
}

fn rewrite(from: &str, to: &str) -> Statement {
    let from = Pattern::new(from, Dialect::Python).unwrap();
    Statement::Rewrite(Rewrite { from, to: Template::text(to), every: true, without_tags: false })
}

/// What `router` makes of points: name, value and destinations of each; then refusals and copies.
fn told(router: &Router, journal: &Journal, names: &[&str]) -> (Vec<String>, Vec<(Reject, u64)>, u64) {
    let routed = router.route(batch(Origin::Live, names));
    let letters =
        router.routing().destinations.iter().map(|d| d.label.clone()).chain(["aggregate".to_owned()]);
    let letters: Vec<String> = letters.collect();
    let readers: Vec<String> = router.readers.iter().cloned().chain(["aggregate".to_owned()]).collect();
    // Every set of the destinations by its number.
    let set_name = |set: RouteSet| {
        (0..1_usize << readers.len())
            .find_map(|bits| {
                let of = |list: &[String]| -> Vec<String> {
                    list.iter()
                        .enumerate()
                        .filter(|(i, _)| bits & 1 << i != 0)
                        .map(|(_, t)| t.clone())
                        .collect()
                };
                let names = of(&readers);
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                (journal.route_set(&names) == set).then(|| of(&letters).join("+"))
            })
            .unwrap()
    };
    let lines = routed.batch.map_or_else(Vec::new, |batch| {
        let again =
            Batch::from_text(batch.source, batch.received, batch.routes.clone(), batch.text.clone()).unwrap();
        assert_eq!(again.samples, batch.samples);
        let set = |i: usize| match &batch.routes {
            Routes::All(set) => *set,
            Routes::PerSample(sets) => sets[i],
        };
        let line =
            |(i, s)| format!("{} {} {}", String::from_utf8_lossy(batch.name(s)), s.value, set_name(set(i)));
        batch.samples.iter().enumerate().map(line).collect()
    });
    (lines, routed.refused.iter().collect(), routed.copies)
}

#[track_caller]
fn check(routing: Routing, names: &[&str], lines: &[&str], refused: &[(Reject, u64)], copies: u64) {
    let dir = TempDir::new().unwrap();
    let journal = journal(&dir);
    let readers = routing.destinations.iter().map(dest::reader_of).collect();
    let router = Router::new(routing, readers, &journal);
    for round in 0..2 {
        let got = told(&router, &journal, names);
        assert_eq!(got.0, lines, "round {round}");
        assert_eq!((got.1, got.2), (refused.to_vec(), copies), "round {round}");
    }
}

#[test]
fn rules_in_order() {
    let statements = vec![send("^a", 0, false), send("x$", 1, true), send("", 2, false)];
    check(
        lettered("abc", statements),
        &["a.b", "a.x", "z.x", "z"],
        &["a.b 0 a+c", "a.x 1 a+b", "z.x 2 b", "z 3 c"],
        &[],
        0,
    );
    check(lettered("a", vec![send("^a", 0, false)]), &["a", "b"], &["a 0 a", "b 1 "], &[], 0);
}

#[test]
fn points_that_are_thrown_away() {
    let discard = |when: &str, why| Statement::Route(route(when, Target::Discard(why), true));
    let mut unlisted = route("^[abc]", Target::Discard(Discard::NotWhitelisted), true);
    unlisted.when.negated = true;
    let statements = vec![
        discard("tmp$", Discard::Blacklisted),
        Statement::Route(unlisted),
        send("^b", 0, false),
        discard("^[bc]", Discard::Blackhole),
        send("", 1, false),
    ];
    let refused = [(Reject::Blacklisted, 2), (Reject::NotWhitelisted, 1), (Reject::Blackhole, 1)];
    // What was sent before it came to the black hole is sent.
    check(
        lettered("ab", statements),
        &["a.tmp", "z", "a", "b", "c", "b.tmp"],
        &["a 2 b", "b 3 a"],
        &refused,
        0,
    );
    check(lettered("a", vec![discard("", Discard::Blackhole)]), &["a"], &[], &[(Reject::Blackhole, 1)], 0);
}

#[test]
fn names_that_change_on_the_way() {
    let statements = vec![
        send("", 0, false),
        rewrite("^old", "new"),
        rewrite("^bad", " "),
        send("", 1, false),
        send("w", 0, false),
    ];
    check(
        lettered("ab", statements),
        &["x", "old.y", "old", "z", "bad"],
        &["x 0 a+b", "old.y 1 a", "new.y 1 a+b", "old 2 a", "new 2 a+b", "z 3 a+b", "bad 4 a"],
        &[],
        2,
    );
    // A name that no line can carry is refused if nothing else is sent.
    check(
        lettered("a", vec![rewrite("^bad", ""), send("", 0, false)]),
        &["bad", "ok"],
        &["ok 1 a"],
        &[(Reject::Name, 1)],
        0,
    );
}

#[test]
fn members_that_take_turns() {
    let dir = TempDir::new().unwrap();
    let journal = journal(&dir);
    let routing = lettered("abc", vec![send("", 3, false)]);
    let readers = routing.destinations.iter().map(dest::reader_of).collect();
    let router = Router::new(routing, readers, &journal);
    let (lines, ..) = told(&router, &journal, &["m"; 6]);
    assert_eq!(lines, ["m 0 a", "m 1 b", "m 2 c", "m 3 a", "m 4 b", "m 5 c"]);
}

#[test]
fn each_cluster_has_turns_of_its_own() {
    let two = |when: &str, cluster| send(when, cluster, true);
    let mut routing = lettered("abcd", vec![two("^m", 4), two("^n", 5)]);
    let in_turn = |members| Cluster { name: "turn".to_owned(), share: Share::InTurn, members };
    routing.clusters.truncate(4);
    routing.clusters.extend([in_turn(vec![0, 1]), in_turn(vec![2, 3])]);
    let pattern = Pattern::new("^[^2]", Dialect::Posix).unwrap();
    if let Some(Statement::Route(route)) = routing.statements.first_mut() {
        route.validate = Some(Validate { pattern, log: false });
    }
    let dir = TempDir::new().unwrap();
    let journal = journal(&dir);
    let readers = routing.destinations.iter().map(dest::reader_of).collect();
    let router = Router::new(routing, readers, &journal);
    let (lines, refused, _) = told(&router, &journal, &["m", "n", "m", "n", "m", "n"]);
    // One of them does not look right, and takes nobody's turn.
    assert_eq!(lines, ["m 0 a", "n 1 c", "n 3 d", "m 4 b", "n 5 c"]);
    assert_eq!(refused, [(Reject::Invalid, 1)]);
}

#[test]
fn any_number_of_statements_may_match() {
    let mut statements = vec![send("", 0, false); 100];
    statements.push(send("", 1, false));
    check(lettered("ab", statements), &["m"], &["m 0 a+b"], &[], 0);
}

#[test]
fn points_that_do_not_look_right() {
    let validate =
        |text: &str| Some(Validate { pattern: Pattern::new(text, Dialect::Posix).unwrap(), log: true });
    let checked = |when, text, to: Target| {
        Statement::Route(Route { validate: validate(text), ..route(when, to, false) })
    };
    let statements = vec![
        checked("", "^[0-3] [0-9]+$", Target::Clusters(vec![])),
        checked("^m", "^[13] ", Target::Clusters(vec![0])),
        send("^m", 1, false),
    ];
    check(
        lettered("ab", statements),
        &["m", "m", "n", "m", "m", "n"],
        &["m 0 b", "m 1 a+b", "n 2 ", "m 3 a+b"],
        &[(Reject::Invalid, 2)],
        0,
    );
}

#[test]
fn inputs_of_aggregates_go_to_the_aggregator() {
    let aggregation = Aggregation {
        when: matching("^in"),
        for_each_pattern: false,
        outputs: vec![Output {
            name: Template::text("sum"),
            is_whole: true,
            function: Function::Sum,
            digits: Digits::Fewest,
        }],
        every: 60,
        after: 60,
        keep: 300,
        stamp: Stamp::Start,
        then: Then::From(2),
        stop: false,
    };
    let statements = vec![send("^in.a", 0, false), Statement::Aggregate(aggregation), send("sum", 1, false)];
    let routing = lettered("ab", statements);
    check(
        routing.clone(),
        &["in.a", "in.b", "sum"],
        &["in.a 0 a+aggregate", "in.b 1 aggregate", "sum 2 b"],
        &[],
        0,
    );
    let dir = TempDir::new().unwrap();
    let journal = journal(&dir);
    let readers = routing.destinations.iter().map(dest::reader_of).collect();
    let router = Router::new(routing, readers, &journal);
    // Behind the aggregation nothing is an input.
    let routed = router.enter(&Then::From(2), batch(Origin::Live, &["in.sum", "in.a"])).batch.unwrap();
    assert_eq!(routed.routes, Routes::PerSample(vec![journal.route_set(&["dest:b:1"]), RouteSet(0)]));
    let direct = router.enter(&Then::Clusters(vec![0]), batch(Origin::Live, &["x"])).batch.unwrap();
    assert_eq!(direct.routes, Routes::All(RouteSet(0)), "an unknown way in is from the top");
}
