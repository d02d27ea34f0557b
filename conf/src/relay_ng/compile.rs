//! From sections to statements.

use super::destination::{self, Destination};
use super::document::{At, Log};
use super::section::{Found, Kind, Route};
use super::transform;
use crate::routing::pattern::{Condition, Dialect, Pattern};
use crate::routing::{
    self, Discard, Endpoint, Matcher, RingKey, RingKind, Routing, Share, Statement, Target, Then,
};
use std::collections::{HashMap, HashSet};

/// Names that `legacy_metric_validation = "strict"` lets through, up to their tags; names that have `=` or `_is_` in
/// them are metrics 2.0, of which it says nothing.
const STRICT: [&str; 2] = [r"^\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?$", "=|_is_"];

/// The routing of a file. What is wrong is in the log.
pub(super) fn routing(found: &Found, log: &mut Log<'_>) -> Routing {
    let mut compiler = Compiler::default();
    if found.own.is_strict {
        let patterns = STRICT.iter().filter_map(|text| Pattern::new(text, Dialect::Go).ok()).collect();
        compiler.discard(Matcher { patterns, negated: true, without_tags: true });
    }
    for block in &found.blocks {
        if let Some(pattern) = block.filter.pattern(block.at, block.key, log) {
            compiler.discard(Matcher::of(vec![pattern]));
        }
    }
    let rewrites = found.rewriters.iter().filter_map(|rewriter| transform::rewrite(rewriter, log));
    compiler.routing.statements.extend(rewrites.map(Statement::Rewrite));
    // Aggregates pass by the block list, the rewriters and the aggregations.
    let routes = compiler.routing.statements.len() + found.aggregations.len();
    let then = if found.routes.is_empty() { Then::Clusters(Vec::new()) } else { Then::From(routes) };
    for aggregation in &found.aggregations {
        let aggregation = transform::aggregate(aggregation, then.clone(), log);
        compiler.routing.statements.extend(aggregation.map(Statement::Aggregate));
    }
    for route in &found.routes {
        compiler.route(route, log);
    }
    compiler.routing
}

/// Destinations of a sendFirstMatch route that have filters: each carries the filters of all before it.
const MOST_FIRST: usize = 256;

#[derive(Default)]
struct Compiler {
    routing: Routing,
    /// Where destinations are in the list, by host, port and instance.
    known: HashMap<(String, u16, Option<String>), usize>,
    /// Names of clusters.
    names: HashSet<String>,
}

impl Compiler {
    fn discard(&mut self, when: Matcher) {
        let to = Target::Discard(Discard::Blackhole);
        let route = routing::Route { when, validate: None, key: None, to, stop: true };
        self.routing.statements.push(Statement::Route(route));
    }

    fn route(&mut self, route: &Route, log: &mut Log<'_>) {
        let key = route.key;
        if route.name.is_empty() {
            log.fault(route.at, key, "key: missing: give the route a name");
        }
        let pattern = route.filter.pattern(route.at, key, log);
        let destinations: Vec<Destination> =
            route.destinations.iter().filter_map(|word| destination::read(word, key, log)).collect();
        let is_hashing = matches!(route.kind, Kind::Hashing | Kind::HashingV2);
        let least = if is_hashing { 2 } else { 1 };
        if route.destinations.len() < least {
            let why = format!("destinations: route `{}` needs at least {least}", route.name);
            log.fault(route.at, key, why);
        }
        let Some(pattern) = pattern else { return };
        match route.kind {
            Kind::AllMatch => self.all_match(route, &pattern, &destinations, log),
            Kind::FirstMatch => self.first_match(route, &pattern, &destinations, log),
            Kind::Hashing => self.hashing(route, RingKind::Ng, pattern, &destinations, log),
            Kind::HashingV2 => self.hashing(route, RingKind::NgV2, pattern, &destinations, log),
        }
    }

    /// To every destination whose filter matches: those without one together, each other by itself.
    fn all_match(&mut self, route: &Route, pattern: &Pattern, all: &[Destination], log: &mut Log<'_>) {
        let mut open = Vec::new();
        for destination in all.iter().filter(|destination| destination.filter.is_open()) {
            let index = self.index(destination, route.key, log);
            if !open.contains(&index) {
                open.push(index);
            }
        }
        if !open.is_empty() {
            self.send(&route.name, route.at, pattern.clone(), Share::All, open, log);
        }
        for destination in all.iter().filter(|destination| !destination.filter.is_open()) {
            let Some(filter) = destination.filter.pattern(destination.at, route.key, log) else { continue };
            let conditions = vec![Condition { pattern: filter, is_wanted: true }];
            self.one(route, destination, pattern.clone().on_condition(conditions), log);
        }
    }

    /// To the first destination whose filter matches: to each those names that none before it takes.
    fn first_match(&mut self, route: &Route, pattern: &Pattern, all: &[Destination], log: &mut Log<'_>) {
        if all.iter().filter(|destination| !destination.filter.is_open()).count() > MOST_FIRST {
            let why = format!(
                "route `{}`: at most {MOST_FIRST} destinations may have filters: make it several routes",
                route.name
            );
            log.fault(route.at, route.key, why);
            return;
        }
        let mut before: Vec<Condition> = Vec::new();
        let mut takes_all: Option<&Destination> = None;
        for destination in all {
            if let Some(first) = takes_all {
                let message = format!(
                    "route `{}`: `{}` takes all names, so nothing is left for `{}`",
                    route.name, first.label, destination.label
                );
                log.note(destination.at, route.key, message, "put destinations with filters first");
                continue;
            }
            let Some(filter) = destination.filter.pattern(destination.at, route.key, log) else { continue };
            let mut conditions = before.clone();
            if destination.filter.is_open() {
                takes_all = Some(destination);
            } else {
                conditions.push(Condition { pattern: filter.clone(), is_wanted: true });
            }
            self.one(route, destination, pattern.clone().on_condition(conditions), log);
            before.push(Condition { pattern: filter, is_wanted: false });
        }
    }

    /// Sends to one destination of a route.
    fn one(&mut self, route: &Route, destination: &Destination, pattern: Pattern, log: &mut Log<'_>) {
        let index = self.index(destination, route.key, log);
        // A destination can be there more than once, with other filters.
        let plain = format!("{} to {}", route.name, destination.label);
        let name = (2..).map(|n| format!("{plain} ({n})"));
        let name = std::iter::once(plain.clone()).chain(name).find(|name| !self.names.contains(name));
        self.send(&name.unwrap_or(plain), destination.at, pattern, Share::All, vec![index], log);
    }

    fn hashing(
        &mut self,
        route: &Route,
        kind: RingKind,
        pattern: Pattern,
        all: &[Destination],
        log: &mut Log<'_>,
    ) {
        let mut nodes = HashSet::new();
        let mut members = Vec::with_capacity(all.len());
        for destination in all {
            let (key, label) = (route.key, &destination.label);
            if !destination.filter.is_open() {
                let why = format!(
                    "destination `{label}`: a destination of a hashing route has no filters: give them to the route"
                );
                log.fault(destination.at, key, why);
            }
            if !nodes.insert((&destination.server.host, &destination.server.instance)) {
                let why = format!(
                    "destination `{label}`: another one has the same host and instance, which the ring cannot tell \
                     apart: give each an instance, as in {label}:a"
                );
                log.fault(destination.at, key, why);
            }
            members.push(self.index(destination, key, log));
        }
        let ring = routing::Ring { kind, replicas: 1, diverse: false, key: RingKey::Name };
        self.send(&route.name, route.at, pattern, Share::Ring(ring), members, log);
    }

    /// A cluster, and the statement that sends to it.
    fn send(
        &mut self,
        name: &str,
        at: At,
        when: Pattern,
        share: Share,
        members: Vec<usize>,
        log: &mut Log<'_>,
    ) {
        if !self.names.insert(name.to_owned()) {
            log.fault(
                at,
                "route.key",
                format!("`{name}`: another route has this key: give each one of its own"),
            );
        }
        let cluster = self.routing.clusters.len();
        self.routing.clusters.push(routing::Cluster { name: name.to_owned(), share, members });
        self.routing.statements.push(Statement::Route(routing::Route {
            when: Matcher::of(vec![when]),
            validate: None,
            key: None,
            to: Target::Clusters(vec![cluster]),
            stop: false,
        }));
    }

    /// The index of a destination, which is in the list once, however many routes name it.
    fn index(&mut self, destination: &Destination, key: &str, log: &mut Log<'_>) -> usize {
        let server = &destination.server;
        let identity = (server.host.clone(), server.port, server.instance.clone());
        let next = self.routing.destinations.len();
        let index = *self.known.entry(identity).or_insert(next);
        match self.routing.destinations.get(index).map(|known| known.endpoints.as_slice()) {
            None => self.routing.destinations.push(routing::Destination {
                label: destination.label.clone(),
                endpoints: vec![Endpoint::Server(server.clone())],
            }),
            Some([Endpoint::Server(known)]) if known.protocol != server.protocol => {
                let why = format!(
                    "destination `{}`: pickle=true in one place and not in another: use one of them",
                    destination.label
                );
                log.fault(destination.at, key, why);
            }
            Some(_) => {}
        }
        index
    }
}
