//! Folders of files, read whole: statements, settings, notes and refusals.

use super::*;
use crate::model::keepalive::Keepalive;
use crate::model::relay::WhenBehind;
use crate::routing::walk::Act;
use crate::routing::{CarbonHash, Protocol, RingKey, RingKind, Share};

/// Reads a folder of these files, `carbon.conf` first.
fn relay_of(program: Program, files: &[(&str, &str)]) -> Result<CarbonRelay, String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let read = read(&dir.path().join("carbon.conf"), program, "a", &Overrides::default());
    let read = read.map_err(|error| error.to_string())?;
    crate::convert::of_routing(&read.routing).unwrap();
    Ok(read)
}

/// What happens to a name, one word for each act.
fn told(relay: &CarbonRelay, name: &str) -> String {
    let told = |act: Act<'_>| match act {
        Act::Route { route, .. } => match &route.to {
            Target::Discard(why) => format!("{why:?}"),
            Target::Clusters(clusters) => {
                let members = clusters.iter().flat_map(|at| &relay.routing.clusters[*at].members);
                let labels: Vec<_> =
                    members.map(|at| relay.routing.destinations[*at].label.as_str()).collect();
                format!("[{}]", labels.join(","))
            }
        },
        Act::Renamed { name, .. } => format!(">{name}"),
        Act::Input { outputs, .. } => format!("+{}", outputs.join(",")),
    };
    relay.routing.walk(0, name).into_iter().map(told).collect::<Vec<_>>().join(" ")
}

const RULES: &str = "[a]\npattern = ^a\ndestinations = h:1, gone:1\ncontinue = yes\n\
                     [d]\ndefault = yes\ndestinations = h:2:x,h:1\n";

#[test]
fn a_relay_with_rules_and_lists() {
    let conf = "[relay]\nDESTINATIONS = h:1, h:2:x\nUSE_WHITELIST = yes\nTAG_RELAY_NORMALIZED = yes\n";
    let files = [
        ("carbon.conf", conf),
        ("relay-rules.conf", RULES),
        ("whitelist.conf", "^[ab]\n"),
        ("blacklist.conf", "tmp$\n(\n"),
    ];
    let relay = relay_of(Program::Relay, &files).unwrap();
    let check = |name: &str, expected: &str| assert_eq!(told(&relay, name), expected, "{name}");
    check("a.x", "[h:1] [h:2:x,h:1]");
    check("b.x", "[h:2:x,h:1]");
    check("b.tmp", "Blacklisted");
    check("c.x", "NotWhitelisted");
    assert_eq!(relay.routing.names, Names::TagsNormalized);
    assert_eq!((relay.relay_step, relay.files.len()), (2, 4));
    let notes: Vec<_> = relay.notes.iter().map(ToString::to_string).collect();
    let has = |part: &str| notes.iter().any(|note| note.contains(part));
    assert!(has("`gone:1` is not in DESTINATIONS") && has("blacklist.conf:2: ("), "{notes:?}");
}

#[test]
fn lists_are_read_only_where_they_are_used() {
    let files = [
        ("carbon.conf", "[relay]\nDESTINATIONS = h:1\nRELAY_METHOD = constant\n"),
        ("blacklist.conf", ".\n"),
    ];
    let relay = relay_of(Program::Relay, &files).unwrap();
    assert_eq!((told(&relay, "a").as_str(), relay.files.len()), ("[h:1]", 1));
}

#[test]
fn an_aggregator() {
    let conf =
        "[aggregator]\nDESTINATIONS = h:1:a, h:2:b\nWRITE_BACK_FREQUENCY = 15\nREPLICATION_FACTOR = 2\n";
    let rules = "<dc>.all (60) = sum <dc>.*\nslow (10) = max s.*\n";
    let rewrites = "[pre]\n^p\\. =\n[post]\n_x$ =\n";
    let of = |more: &str| {
        let files = [
            ("carbon.conf", &*format!("{conf}{more}")),
            ("aggregation-rules.conf", rules),
            ("rewrite-rules.conf", rewrites),
        ];
        relay_of(Program::Aggregator, &files).unwrap()
    };
    let relay = of("");
    let check = |relay: &CarbonRelay, name: &str, expected: &str| {
        assert_eq!(told(relay, name), expected, "{name}");
    };
    check(&relay, "p.ams.w_x", ">ams.w_x +ams.all >ams.w [h:1:a,h:2:b]");
    check(&relay, "s.y", "+s.all +slow [h:1:a,h:2:b]");
    // Its own output is not passed on.
    check(&relay, "ams.all", "+ams.all []");
    check(&relay, "other", "[h:1:a,h:2:b]");
    let Statement::Aggregate(aggregation) = &relay.routing.statements[1] else { panic!("no aggregation") };
    assert_eq!((aggregation.every, aggregation.after, aggregation.keep), (60, 15, 360));
    assert_eq!((relay.relay_step, &aggregation.then), (5, &Then::From(5)));
    let Share::Ring(ring) = &relay.routing.clusters[0].share else { panic!("no ring") };
    assert_eq!((ring.kind, ring.replicas, ring.diverse), (RingKind::Carbon(CarbonHash::Md5), 2, true));
    let relay = of("FORWARD_ALL = no\n");
    check(&relay, "p.ams.w", ">ams.w +ams.all []");
    check(&relay, "other", "[]");
    assert_eq!(relay.routing.walk(relay.relay_step, "ams.all").len(), 1);
}

#[test]
fn rings() {
    let of = |more: &str| {
        let conf = format!("[relay]\nDESTINATIONS = h:1:a, h:2:b\n{more}");
        relay_of(Program::Relay, &[("carbon.conf", &*conf), ("aggregation-rules.conf", "o 60 = sum i\n")])
    };
    let check = |more: &str, kind: RingKind, namings: Option<usize>| {
        let relay = of(more).unwrap();
        let Share::Ring(ring) = &relay.routing.clusters[0].share else { panic!("no ring") };
        let found = match &ring.key {
            RingKey::Aggregates(namings) => Some(namings.len()),
            _ => None,
        };
        assert_eq!((ring.kind, found), (kind, namings), "{more}");
    };
    check("RELAY_METHOD = consistent-hashing\n", RingKind::Carbon(CarbonHash::Md5), None);
    check("RELAY_METHOD = fast-hashing\n", RingKind::CarbonFast(CarbonHash::Mmh3), None);
    check(
        "RELAY_METHOD = aggregated-consistent-hashing\nROUTER_HASH_TYPE = fnv1a_ch\n",
        RingKind::Carbon(CarbonHash::Fnv1a),
        Some(1),
    );
    check(
        "RELAY_METHOD = fast-aggregated-hashing\nROUTER_HASH_TYPE = what\n",
        RingKind::CarbonFast(CarbonHash::Md5),
        Some(1),
    );
}

#[test]
fn pools_take_turns() {
    let conf = "[relay]\nRELAY_METHOD = constant\nDESTINATIONS = h:1:a, g:1, h:1:b\nDESTINATIONS_POOL_REPLICAS = True\n";
    let relay = relay_of(Program::Relay, &[("carbon.conf", conf)]).unwrap();
    let clusters: Vec<_> = relay
        .routing
        .clusters
        .iter()
        .map(|cluster| (cluster.share.clone(), cluster.members.clone()))
        .collect();
    assert_eq!(clusters, [(Share::InTurn, vec![0, 2]), (Share::All, vec![1])]);
}

#[test]
fn settings() {
    let conf = "[relay]\nRELAY_METHOD = constant\nDESTINATIONS = h:1\nLINE_RECEIVER_PORT = 2013\n\
                LINE_RECEIVER_INTERFACE = ::1\nPICKLE_RECEIVER_PORT = 0\nENABLE_UDP_LISTENER = on\n\
                PROTOBUF_RECEIVER_PORT = 2005\nMAX_RECEIVER_CONNECTIONS = 7\nMETRIC_CLIENT_IDLE_TIMEOUT = 60\n\
                TCP_KEEPALIVE = no\nUSE_FLOW_CONTROL = no\nMAX_QUEUE_SIZE = inf\nDYNAMIC_ROUTER = yes\nQUEUE_LOW_WATERMARK_PCT = 0.5\n\
                DESTINATION_PROTOCOL = line\nDESTINATION_TRANSPORT = ssl\nDESTINATION_SSL_CA = /ca.pem\n\
                CARBON_METRIC_INTERVAL = 0\n";
    let relay = relay_of(Program::Relay, &[("carbon.conf", conf)]).unwrap();
    let listening = &relay.listening;
    assert_eq!(listening.line_tcp, Some("[::1]:2013".parse().unwrap()));
    assert_eq!(listening.line_udp, Some("0.0.0.0:2003".parse().unwrap()));
    assert_eq!(listening.pickle_tcp, None);
    assert_eq!(listening.keepalive, Keepalive { idle_seconds: 0, interval_seconds: 30, probes: 2 });
    assert_eq!(listening.protobuf_tcp, Some("0.0.0.0:2005".parse().unwrap()));
    assert_eq!((listening.max_connections, listening.idle_seconds), (Some(7), Some(60.0)));
    let sending = &relay.sending;
    assert_eq!((sending.when_behind, sending.mark_points), (WhenBehind::Shed, u64::MAX));
    assert_eq!((sending.protocol, sending.low_share), (Protocol::Plaintext, 0.5));
    // Five attempts: after the pauses of 1, 2.7, 5 and 5 seconds.
    assert_eq!(sending.detour_seconds.map(|seconds| seconds.round()), Some(14.0));
    assert_eq!(sending.tls.as_ref().unwrap().ca, Some(PathBuf::from("/ca.pem")));
    assert_eq!((relay.own_metrics.prefix.as_str(), relay.own_metrics.every_seconds), ("carbon.relays", None));
}

#[test]
fn a_cache_only_listens() {
    let relay = relay_of(Program::Cache, &[("carbon.conf", "[cache]\n")]).unwrap();
    assert_eq!(relay.routing, Routing::default());
    assert_eq!(relay.listening.pickle_tcp, Some("0.0.0.0:2004".parse().unwrap()));
}

#[test]
fn conf_dir_and_the_command_line_say_where_files_are() {
    let dir = tempfile::tempdir().unwrap();
    let (conf, other) = (dir.path().join("carbon.conf"), dir.path().join("other"));
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("mine.conf"), RULES).unwrap();
    let text =
        format!("[relay]\nDESTINATIONS = h:1\nCONF_DIR = {}\nRELAY_RULES = mine.conf\n", other.display());
    std::fs::write(&conf, text).unwrap();
    let relay = read(&conf, Program::Relay, "a", &Overrides::default()).unwrap();
    assert_eq!(relay.files, [conf.clone(), other.join("mine.conf")]);
    let overrides = Overrides { relay_rules: Some(dir.path().join("none")), ..Overrides::default() };
    let error = read(&conf, Program::Relay, "a", &overrides).unwrap_err().to_string();
    assert!(error.contains("none") && error.contains("check the path"), "{error}");
}

#[test]
fn what_is_refused_names_file_and_line() {
    let check = |program: Program, more: &str, rules: &str, expected: &str| {
        let conf = format!("[{}]\nDESTINATIONS = h:1:a\n{more}", program.section());
        let files =
            [("carbon.conf", &*conf), ("relay-rules.conf", rules), ("aggregation-rules.conf", "junk\n")];
        let error = relay_of(program, &files).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    let relay = Program::Relay;
    check(relay, "RELAY_METHOD = ring\n", "", "carbon.conf, line 3: `ring`: RELAY_METHOD: there is no such");
    check(relay, "", "[a]\n", "relay-rules.conf, line 1: `[a]`");
    check(relay, "RELAY_METHOD = fast-aggregated-hashing\n", "", "aggregation-rules.conf, line 1: `junk`");
    check(Program::Aggregator, "", "", "aggregation-rules.conf, line 1: `junk`");
    check(relay, "[relay:a]\nDESTINATIONS = h:1,\n", "", "line 4: `h:1, `: DESTINATIONS: ``: the port");
    check(relay, "[relay:a]\nDESTINATIONS = :1\n", "", "the host is empty");
    let twice = "[relay:a]\nRELAY_METHOD = fast-hashing\nDESTINATIONS = h:1,h:2\n";
    check(relay, twice, "", "equal host and instance");
    check(relay, "DESTINATION_PROTOCOL = udp\n", "", "pickle, line and protobuf");
    check(relay, "DESTINATION_TRANSPORT = tls\n", "", "none and ssl");
    check(relay, "LINE_RECEIVER_PORT = 70000\n", "", "0 to 65535");
    check(relay, "LINE_RECEIVER_PORT = abc\n", "", "a number is expected");
    check(relay, "UDP_RECEIVER_INTERFACE = eth0\nENABLE_UDP_LISTENER = 1\n", "", "an IP address");
    check(relay, "RELAY_METHOD = fast-hashing\nREPLICATION_FACTOR = 0\n", "", "from 1 to");
}
