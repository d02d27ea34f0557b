//! The relay step: destinations, and how one is chosen for a name.

use super::super::conf::Conf;
use super::super::relay_rules::Rule;
use super::super::{Error, Note, relay_rules};
use super::{Files, Sending, in_file, route, settings};
use crate::routing::{
    CarbonHash, Cluster, Destination, Endpoint, Matcher, Ring, RingKey, RingKind, Routing, Server, Share,
    Target, address,
};
use std::io::ErrorKind;

/// What to do where there are no rules.
const NO_RULES: &str = "RELAY_METHOD = rules needs this file, and packages have it as an example only (Debian: \
                        /usr/share/doc/graphite-carbon/examples/relay-rules.conf.example); check the path, and CONF_DIR";

/// The values of `RELAY_METHOD`.
const METHODS: [&str; 6] = [
    "rules",
    "constant",
    "consistent-hashing",
    "aggregated-consistent-hashing",
    "fast-hashing",
    "fast-aggregated-hashing",
];

/// The method that a program uses.
struct Method {
    /// By rules, or to all.
    is_rules: bool,
    /// By a ring: whether it is the fast one, and whether aggregates are hashed.
    ring: Option<(bool, bool)>,
}

/// Adds destinations, clusters and the statements of the relay step.
pub(super) fn relay(conf: &Conf, files: &mut Files<'_>, routing: &mut Routing) -> Result<(), Error> {
    let fault = in_file(files.conf_file);
    let method = method(conf, files)?;
    let sending = settings::sending(conf).map_err(&fault)?;
    let mut servers = Vec::new();
    for text in conf.list("DESTINATIONS") {
        let read = address::without_protocol(text);
        let why = |what: &str| format!("`{text}`: {what}: write host:port or host:port:instance");
        let server = read.map_err(|what| fault(conf.fault("DESTINATIONS", &why(what))))?;
        if servers.iter().any(|(_, other)| *other == server) {
            let message = format!("`{text}` is there twice: it counts once");
            files.note(
                files.conf_file,
                vec![Note::new(conf.line_of("DESTINATIONS"), "DESTINATIONS", message)],
            );
            continue;
        }
        let same_node = |(_, other): &&(&String, Server)| {
            method.ring.is_some() && (&other.host, &other.instance) == (&server.host, &server.instance)
        };
        if let Some((other, _)) = servers.iter().find(same_node) {
            let why = format!(
                "`{other}` and `{text}` have equal host and instance, which a ring cannot tell apart: give each an instance"
            );
            return Err(fault(conf.fault("DESTINATIONS", &why)));
        }
        servers.push((text, server));
    }
    if servers.is_empty() {
        let note = Note::new(None, "DESTINATIONS", "there are no destinations: points are not relayed");
        files.note(files.conf_file, vec![note.advise("write host:port:instance, …")]);
    }
    routing.destinations =
        servers.into_iter().map(|(text, server)| destined(text, server, &sending)).collect();
    let pools = conf.flag("DESTINATION_POOL_REPLICAS") || conf.flag("DESTINATIONS_POOL_REPLICAS");
    if let Some((is_fast, of_aggregates)) = method.ring {
        if pools {
            let message = "each instance keeps the points that the ring gives it, in place of the one with the shortest queue";
            files.note(files.conf_file, vec![Note::new(None, "DESTINATION_POOL_REPLICAS", message)]);
        }
        return ring(conf, files, routing, is_fast, of_aggregates);
    }
    if method.is_rules {
        return by_rules(conf, files, routing, pools);
    }
    let clusters = clusters_of("destinations", (0..routing.destinations.len()).collect(), pools, routing);
    routing.statements.push(route(Matcher::everything(), Target::Clusters(clusters), true));
    Ok(())
}

fn destined(text: &str, server: Server, sending: &Sending) -> Destination {
    let server = Server { protocol: sending.protocol, tls: sending.tls.clone(), ..server };
    Destination { label: text.to_owned(), endpoints: vec![Endpoint::Server(server)] }
}

fn method(conf: &Conf, files: &Files<'_>) -> Result<Method, Error> {
    let ring = |is_fast, of_aggregates| Method { is_rules: false, ring: Some((is_fast, of_aggregates)) };
    if files.program == super::Program::Aggregator {
        return Ok(ring(false, false));
    }
    Ok(match conf.text("RELAY_METHOD").as_str() {
        "rules" => Method { is_rules: true, ring: None },
        "constant" => Method { is_rules: false, ring: None },
        "consistent-hashing" => ring(false, false),
        "aggregated-consistent-hashing" => ring(false, true),
        "fast-hashing" => ring(true, false),
        "fast-aggregated-hashing" => ring(true, true),
        _ => {
            let why = format!("there is no such method: write one of {}", METHODS.join(", "));
            return Err(in_file(files.conf_file)(conf.fault("RELAY_METHOD", &why)));
        }
    })
}

fn ring(
    conf: &Conf,
    files: &mut Files<'_>,
    routing: &mut Routing,
    is_fast: bool,
    of_aggregates: bool,
) -> Result<(), Error> {
    let key = "ROUTER_HASH_TYPE";
    let hash = match (conf.text(key).as_str(), is_fast) {
        ("", false) | ("carbon_ch", _) => CarbonHash::Md5,
        ("", true) | ("mmh3_ch", _) => CarbonHash::Mmh3,
        ("fnv1a_ch", _) => CarbonHash::Fnv1a,
        (other, _) => {
            let message = format!("there is no hash `{other}`: like carbon, the node uses carbon_ch then");
            let note = Note::new(conf.line_of(key), key, message);
            files.note(files.conf_file, vec![note.advise("write carbon_ch, which changes nothing")]);
            CarbonHash::Md5
        }
    };
    let fault = in_file(files.conf_file);
    let replicas = conf.whole("REPLICATION_FACTOR", 1..=1_000_000).map_err(fault)?.unwrap_or(1) as usize;
    let key = if of_aggregates {
        RingKey::Aggregates(files.aggregation_rules(conf)?.into_iter().map(|rule| rule.naming).collect())
    } else {
        RingKey::Name
    };
    let kind = if is_fast { RingKind::CarbonFast(hash) } else { RingKind::Carbon(hash) };
    let ring = Ring { kind, replicas, diverse: conf.flag("DIVERSE_REPLICAS"), key };
    let members: Vec<_> = (0..routing.destinations.len()).collect();
    let clusters = if members.is_empty() {
        Vec::new()
    } else {
        routing.clusters.push(Cluster { name: "destinations".to_owned(), share: Share::Ring(ring), members });
        vec![routing.clusters.len() - 1]
    };
    routing.statements.push(route(Matcher::everything(), Target::Clusters(clusters), true));
    Ok(())
}

fn by_rules(conf: &Conf, files: &mut Files<'_>, routing: &mut Routing, pools: bool) -> Result<(), Error> {
    let overrides = files.overrides;
    let read = files.text(&conf.text("RELAY_RULES"), &overrides.relay_rules);
    let (path, text) = read.map_err(|error| match error {
        Error::Unreadable { path, source, .. } if source.kind() == ErrorKind::NotFound => {
            Error::Unreadable { path, source, advice: NO_RULES }
        }
        error => error,
    })?;
    for rule in relay_rules::read(&text).map_err(in_file(&path))? {
        let (members, notes) = members_of(&rule, routing);
        files.note(&path, notes);
        let clusters = clusters_of(&rule.name, members, pools, routing);
        routing.statements.push(route(rule.when, Target::Clusters(clusters), !rule.goes_on));
    }
    Ok(())
}

/// Destinations of a rule, each once; those that are not in `DESTINATIONS` are left out, as in carbon, and told.
fn members_of(rule: &Rule, routing: &Routing) -> (Vec<usize>, Vec<Note>) {
    let (mut members, mut notes) = (Vec::new(), Vec::new());
    for (text, server) in &rule.destinations {
        let is_it = |endpoint: &Endpoint| match endpoint {
            Endpoint::Server(known) => {
                (&known.host, known.port, &known.instance) == (&server.host, server.port, &server.instance)
            }
            Endpoint::File(_) => false,
        };
        let found = routing.destinations.iter().position(|known| known.endpoints.iter().any(is_it));
        match found {
            Some(at) if members.contains(&at) => {}
            Some(at) => members.push(at),
            None => {
                let message = format!("`{text}` is not in DESTINATIONS: the rule sends nothing there");
                let note = Note::new(rule.line, &format!("[{}]", rule.name), message);
                notes.push(note.advise("add it to DESTINATIONS, with the same instance"));
            }
        }
    }
    (members, notes)
}

/// The clusters for some destinations that all get all, made if they are not there yet. With pools, instances of one
/// host and port take turns.
fn clusters_of(name: &str, members: Vec<usize>, pools: bool, routing: &mut Routing) -> Vec<usize> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    if pools {
        let place = |routing: &Routing, at: usize| {
            let endpoint = routing.destinations.get(at).and_then(|known| known.endpoints.first());
            match endpoint {
                Some(Endpoint::Server(server)) => Some((server.host.clone(), server.port)),
                _ => None,
            }
        };
        for member in members {
            let its = place(routing, member);
            let same =
                |group: &&mut Vec<usize>| group.first().is_some_and(|first| place(routing, *first) == its);
            match groups.iter_mut().find(same) {
                Some(group) => group.push(member),
                None => groups.push(vec![member]),
            }
        }
    } else if !members.is_empty() {
        groups.push(members);
    }
    groups
        .into_iter()
        .map(|members| {
            let share = if pools && members.len() > 1 { Share::InTurn } else { Share::All };
            let known = routing.clusters.iter().position(|c| c.share == share && c.members == members);
            known.unwrap_or_else(|| {
                routing.clusters.push(Cluster { name: name.to_owned(), share, members });
                routing.clusters.len() - 1
            })
        })
        .collect()
}
