//! What configurations become, and what is wrong with them.

use super::*;
use crate::crelay::read_text;
use crate::routing::pattern::Pattern;
use crate::routing::walk::Act;
use crate::routing::{
    self, Discard, Endpoint, Packing, Ring, RingKey, RingKind, Share, Stamp, Target, Then, Transport,
};
use proptest::prelude::*;
use std::net::IpAddr;
use std::path::Path;

fn relay(text: &str) -> Relay {
    let relay = read_text(Path::new("r.conf"), text).unwrap_or_else(|error| panic!("{error}"));
    crate::convert::of_routing(&relay.routing).unwrap();
    relay
}

fn routes(relay: &Relay) -> Vec<&routing::Route> {
    let statements = relay.routing.statements.iter();
    statements
        .filter_map(|s| if let routing::Statement::Route(route) = s { Some(route) } else { None })
        .collect()
}

#[test]
fn clusters_and_their_destinations() {
    let check = |text: &str, share: Share, labels: &[&str]| {
        let relay = relay(text);
        let cluster = relay.routing.clusters.last().unwrap();
        assert_eq!(cluster.share, share, "{text}");
        let label = |i: &usize| relay.routing.destinations[*i].label.clone();
        assert_eq!(cluster.members.iter().map(label).collect::<Vec<_>>(), labels, "{text}");
    };
    let ring =
        |kind, replicas| Share::Ring(Ring { kind, replicas, diverse: false, key: RingKey::WithoutTags });
    check("cluster a forward h:1=x [::1] ::2:5;", Share::All, &["h:1=x", "[::1]:2003", "[::2]:5"]);
    check("cluster a lb h g;", Share::InTurn, &["h:2003", "g:2003"]);
    check("cluster a any_of h g;", Share::AnyOf, &["a/h:2003", "a/g:2003"]);
    check("cluster a failover h g;", Share::All, &["a"]);
    check("cluster a file /x /y;", Share::All, &["/x", "/y"]);
    check("cluster a carbon_ch h g;", ring(RingKind::RelayCarbon, 1), &["h:2003", "g:2003"]);
    check("cluster a fnv1a_ch replication 2 h g;", ring(RingKind::RelayFnv1a, 2), &["h:2003", "g:2003"]);
    check("cluster a jump_fnv1a_ch h=1;", ring(RingKind::RelayJump, 1), &["h:2003=1"]);
    check("cluster a forward h h proto udp;", Share::All, &["h:2003", "h:2003/udp"]);
    check("cluster a any_of h h proto udp;", Share::AnyOf, &["a/h:2003", "a/h:2003/udp"]);
    check("cluster \"h:2003\" failover g; cluster a forward h;", Share::All, &["h:2003'"]);
    check("cluster b forward useall h; cluster a forward h;", Share::All, &["h:2003"]);
}

#[test]
fn stand_ins() {
    let endpoints = |text: &str| -> Vec<Vec<String>> {
        let host = |endpoint: &Endpoint| match endpoint {
            Endpoint::Server(server) => server.host.clone(),
            Endpoint::File(path) => path.display().to_string(),
        };
        let relay = relay(text);
        relay.routing.destinations.iter().map(|d| d.endpoints.iter().map(host).collect()).collect()
    };
    assert_eq!(endpoints("cluster a any_of f g h;"), [["f", "g", "h"], ["g", "h", "f"], ["h", "f", "g"]]);
    assert_eq!(endpoints("cluster a failover f g h;"), [["f", "g", "h"]]);
    let many: String = (0..100).map(|i| format!(" h{i}")).collect();
    let many = endpoints(&format!("cluster a any_of{many};"));
    assert_eq!(
        (many.len(), many[99].len(), many[99][0].as_str(), many[99][1].as_str()),
        (100, 33, "h99", "h0")
    );
}

#[test]
fn servers_are_shared() {
    let relay = relay(
        "cluster a forward h:1=x g; cluster b fnv1a_ch g h:1=x; cluster c file /x; cluster d file /x /y;",
    );
    let members: Vec<&[usize]> = relay.routing.clusters.iter().map(|c| c.members.as_slice()).collect();
    assert_eq!(members, [&[0, 1][..], &[1, 0], &[2], &[2, 3]]);
}

#[test]
fn servers() {
    let server = |text: &str| match &relay(&format!("cluster a forward {text};")).routing.destinations[0]
        .endpoints[0]
    {
        Endpoint::Server(server) => server.clone(),
        Endpoint::File(_) => panic!("a file"),
    };
    let plain = |host: &str| routing::Server::plain(host, 2003, None);
    assert_eq!(server("h proto tcp type linemode transport plain"), plain("h"));
    assert_eq!(server("h proto udp"), routing::Server { transport: Transport::Udp, ..plain("h") });
    assert_eq!(server("useall h"), routing::Server { every_address: true, ..plain("h") });
    let tls = |identity| Some(routing::Tls { ca: None, identity });
    assert_eq!(
        server("h transport gzip ssl"),
        routing::Server { packing: Packing::Gzip, tls: tls(None), ..plain("h") }
    );
    assert_eq!(
        server("h transport lz4 mtls /c /k"),
        routing::Server {
            packing: Packing::Lz4,
            tls: tls(Some((PathBuf::from("/c"), PathBuf::from("/k")))),
            ..plain("h")
        }
    );
}

#[test]
fn matches() {
    let relay = relay(
        "cluster a forward h; cluster b forward g;\
         match * send to b a; match ^x y$ route using \\1\\2 send to a stop;\
         match q(.) validate ^1 else log; match z send to blackhole;",
    );
    assert_eq!(relay.files, [PathBuf::from("r.conf")]);
    assert_eq!(relay.routing.names, Names::Cleaned { allowed: "-_:#".to_owned() });
    let routes = routes(&relay);
    let told: Vec<(&str, &Target, bool)> =
        routes.iter().map(|r| (r.when.patterns[0].as_str(), &r.to, r.stop)).collect();
    let to = |clusters: &[usize]| Target::Clusters(clusters.to_vec());
    assert_eq!(
        told,
        [
            ("*", &to(&[1, 0]), false),
            ("^x", &to(&[0]), true),
            ("y$", &to(&[0]), true),
            ("q(.)", &to(&[]), false),
            ("z", &Target::Discard(Discard::Blackhole), true),
        ]
    );
    assert_eq!(routes[0].when.patterns, [Pattern::everything()]);
    assert!(routes.iter().all(|route| route.when.without_tags && !route.when.negated));
    assert!(routes[3].validate.as_ref().is_some_and(|v| v.log && v.pattern.as_str() == "^1"));
    assert_eq!(routes[1].key.as_ref().map(|key| key.parts().len()), Some(0));
}

#[test]
fn rewrites_and_aggregates() {
    let relay = relay(
        "cluster a forward h; rewrite ^s\\.(.+) into n.\\1.\\7;\
         aggregate ^x\\.(.) ^y every 10 seconds expire after 35 seconds compute median write to m.\\1 \
         compute percentile95 write to p send to a stop;\
         aggregate q every 1 seconds expire after 2 seconds timestamp at start of bucket compute sum write to s;",
    );
    let acts = |name: &str| -> Vec<String> {
        let told = |act: Act<'_>| match act {
            Act::Renamed { name, .. } => name,
            Act::Input { outputs, .. } => outputs.join(" "),
            Act::Route { name, .. } => format!("> {name}"),
        };
        relay.routing.walk(0, name).into_iter().map(told).collect()
    };
    assert_eq!(acts("s.x.y;s.=1"), ["n.x.y.;s.=1"]);
    assert_eq!(acts("x.yz;t=q"), ["m.yz;t=q pz;t=q"]);
    assert_eq!(acts("y.z"), ["m..z p.z"]);
    assert_eq!(acts("aqb;q=q"), ["asb;q=q"]);
    let aggregates: Vec<&routing::Aggregation> = relay
        .routing
        .statements
        .iter()
        .filter_map(|s| if let routing::Statement::Aggregate(a) = s { Some(a) } else { None })
        .collect();
    assert_eq!((aggregates.len(), aggregates[0].when.patterns.len()), (2, 2));
    let first = aggregates[0];
    assert_eq!(
        (first.every, first.after, first.keep, first.stamp, first.stop),
        (10, 35, 45, Stamp::End, true)
    );
    assert_eq!(first.then, Then::Clusters(vec![0]));
    let functions: Vec<_> = first.outputs.iter().map(|output| output.function).collect();
    assert_eq!(functions, [routing::Function::NearestRank(50), routing::Function::NearestRank(95)]);
    assert_eq!((aggregates[1].stamp, &aggregates[1].then), (Stamp::Start, &Then::FromTop));
}

#[test]
fn listeners_and_statistics() {
    let relay = relay(
        "cluster a forward h;\
         listen type linemode 2013 proto tcp 10.0.0.1:5 proto udp [::1] proto tcp /s proto unix;\
         listen type linemode transport gzip mtls /p.pem protomin tls1.3 1 proto tcp;\
         statistics submit every 30 seconds reset counters after interval prefix with x.\\_2.\\3 send to a stop;",
    );
    let ip = |text: &str| text.parse::<IpAddr>().ok();
    assert_eq!(
        relay.listeners,
        [
            Listener {
                packing: Packing::Plain,
                tls: None,
                sockets: vec![
                    Socket::Tcp(None, 2013),
                    Socket::Udp(ip("10.0.0.1"), 5),
                    Socket::Tcp(ip("::1"), 2003),
                    Socket::Unix(PathBuf::from("/s")),
                ],
            },
            Listener {
                packing: Packing::Gzip,
                tls: Some(ListenerTls {
                    pem: PathBuf::from("/p.pem"),
                    mutual: true,
                    only_1_3: true,
                    only_1_2: false
                }),
                sockets: vec![Socket::Tcp(None, 1)],
            },
        ]
    );
    assert_eq!(relay.listeners[0].sockets[0].address().map(|a| a.to_string()).as_deref(), Some("[::]:2013"));
    let statistics = &relay.statistics;
    assert_eq!((statistics.every, statistics.reset), (30, true));
    assert_eq!(statistics.to, StatisticsTarget::Clusters { clusters: vec![0], rules_too: false });
    assert_eq!(statistics.prefix_of("Web1.example.org"), "x.web1..example.org");
    assert_eq!(Statistics::default().prefix_of("web1.example.org"), "carbon.relays.web1_example_org");
    let told = |text: &str| {
        self::relay(text).notes.iter().any(|n| n.to_string().contains("without `stop` statistics"))
    };
    assert!(told("cluster a forward h; send statistics to a; match * send to a;"));
    assert!(!told("cluster a forward h; send statistics to a stop; match * send to a;"));
    assert_eq!(self::relay("send statistics to blackhole;").statistics.to, StatisticsTarget::Blackhole);
    assert_eq!(self::relay("").statistics, Statistics::default());
}

#[test]
fn names_of_aggregates() {
    let compute = "every 1 seconds expire after 2 seconds compute sum write to";
    let relay = relay(&format!(
        "aggregate ^a\\.b b {compute} all;\naggregate (b) c {compute} x\\1;\naggregate b c {compute} s stop;"
    ));
    let mut made = Vec::new();
    for act in relay.routing.walk(0, "a.b.c") {
        if let Act::Input { statement, outputs, .. } = act {
            made.push(format!("{statement} {}", outputs.join(" ")));
        }
    }
    assert_eq!(made, ["0 all.c", "0 a.all.c", "1 a.xb.c", "1 a.b.x", "2 a.s.c"]);
}

#[test]
fn notes() {
    let check = |text: &str, expected: &str| {
        let notes: Vec<String> = relay(text).notes.iter().map(ToString::to_string).collect();
        assert!(notes.len() == 1 && notes[0].contains(expected), "{text}: {notes:?}");
    };
    check("\ncluster a carbon_ch dynamic h;", "r.conf:2: `dynamic` has no effect");
    check("statistics stop;", "`stop` has no effect");
    check("match a route using x send to blackhole;", "`route using` has no effect");
    check("listen type linemode transport plain ssl /p ciphers A 1 proto tcp;", "lists of ciphers");
    check(
        "aggregate ^a$ every 1 seconds expire after 2 seconds compute sum write to b send to blackhole;",
        "thrown away",
    );
    for part in ["a", "^a", "a$", "^a[b]"] {
        let text = "every 1 seconds expire after 2 seconds compute sum write to b;";
        check(&format!("aggregate {part} ^a$ ^a.*$ ^b.* (c) {text}"), &format!("`{part}` has no groups"));
    }
    check("include /nonexistent/*.conf;", "no file matches `/nonexistent/*.conf`");
}

#[test]
fn faults() {
    let check = |text: &str, expected: &[&str]| {
        let error = read_text(Path::new("r.conf"), text).expect_err(text);
        let got: Vec<String> =
            error.faults().iter().map(|f| format!("{}:{}: {}", f.line, f.column, f.message)).collect();
        assert_eq!(got.len(), expected.len(), "{got:?}");
        for (got, expected) in got.iter().zip(expected) {
            assert!(got.starts_with(expected) || got.contains(expected), "{got}: {expected}");
        }
    };
    let ab = |text: &str| format!("cluster servers forward h;\ncluster b any_of g;\n{text}");
    check(
        &ab("match * send to server;"),
        &["3:17: no cluster `server` is defined above this; did you mean `servers`?"],
    );
    check("match * send to a;\ncluster a forward h;", &["1:17: no cluster `a`"]);
    check(&ab("match * send to b blackhole;"), &["`blackhole` takes all"]);
    check(&ab("cluster b forward x;"), &["3:9: a cluster `b` is defined above"]);
    check("cluster blackhole forward x;", &["`blackhole` is always there"]);
    check(&ab("match * stop;"), &["3:1: this `match` does nothing"]);
    check(&ab("match (a send to b;"), &["3:7: expression `(a`"]);
    check(&ab("match a validate [ else drop;"), &["3:18: expression `[`"]);
    check(&ab("cluster c forward g;"), &["3:19: g:2003 stands in cluster `b`"]);
    check(&ab("cluster c failover h;"), &["h:2003 stands in cluster `servers`"]);
    check("cluster c any_of h h:2003;", &["h:2003 stands in cluster `c` twice"]);
    check(
        "cluster c forward h=a; cluster d forward h;",
        &["has no instance here and instance `a` in cluster `c`"],
    );
    check("cluster c forward h; cluster d forward h transport gzip;", &["another transport"]);
    check("cluster c carbon_ch replication 3 h g;", &["1:33: replication 3 is more than"]);
    check("cluster c carbon_ch replication 0 h;", &["replication is 1 to 255, not 0"]);
    check("cluster c forward h proto udp transport gzip;", &["datagrams"]);
    check("cluster c forward h transport snappy;", &["1:21: `snappy` cannot be kept"]);
    check("cluster c forward h type syslog;", &["syslog"]);
    check("cluster c file ip /x;", &["1:16: `file ip` cannot be kept"]);
    let bucket = |every: u32, expire: u32| {
        format!("aggregate x every {every} seconds expire after {expire} seconds compute sum write to y;")
    };
    check(&bucket(10, 10), &["1:43: a bucket expires after its interval"]);
    check(&bucket(0, 10), &["1:19: the interval is at least 1 second"]);
    check("listen type linemode transport gzip 1 proto udp;", &["1:37: datagrams"]);
    check("listen type linemode transport snappy 1 proto tcp;", &["snappy"]);
    check(
        "listen type linemode transport plain ssl /p protomin tls2 1 proto tcp;",
        &["`tls2` is not a version"],
    );
    check(
        "listen type linemode transport plain ssl /p protomax tls1.1 1 proto tcp;",
        &["no version of TLS is left"],
    );
    check("statistics submit every 0 seconds;", &["submitted every second at most"]);
    check(&ab("match ( send to b;\nmatch * send to no;\ncluster b forward x;"), &["3:7", "4:17", "5:9"]);
}

#[test]
fn very_many_faults_are_not_all_told() {
    let long = "x".repeat(5_000);
    let text = format!("cluster {long} forward h;") + &format!("match * send to {long}y;").repeat(200);
    let error = read_text(Path::new("r.conf"), &text).unwrap_err();
    assert_eq!(error.faults().len(), 100);
    assert!(error.to_string().len() < 60_000);
}

#[test]
fn deep_expressions_are_refused() {
    let deep = |open: &str| {
        let text = format!("rewrite {}a\\1{} into b;", open.repeat(50_000), ")".repeat(50_000));
        read_text(Path::new("r.conf"), &text).unwrap_err().to_string()
    };
    assert!(deep("(").contains("r.conf:1:9: expression"));
    assert!(deep("(?>").contains("r.conf:1:9: expression"));
}

proptest! {
    #[test]
    fn no_configuration_panics(pieces in proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..12)) {
        match read_text(Path::new("r.conf"), &pieces.concat()) {
            Ok(relay) => {
                for name in ["", "a.b", "x;y=z"] {
                    drop(relay.routing.walk(0, name));
                }
            }
            Err(error) => prop_assert!(!error.faults().is_empty()),
        }
    }
}

/// Statements and beginnings of statements that go well or badly with each other.
const PIECES: [&str; 16] = [
    "cluster a forward h g:1=2;",
    "cluster b any_of h i;",
    "cluster c carbon_ch replication 2 h g:1=2;",
    "cluster a failover x y;",
    "cluster d file /x /x;",
    "match * send to a c stop;",
    "match a (b) route using \\1\\9 send to b;",
    "match (a send to d;",
    "match x validate ^1 else log;",
    "rewrite (a)|(b) into \\^2\\_.1;",
    "aggregate (a) b every 1 seconds expire after 2 seconds compute median write to x.\\1 send to d;",
    "aggregate x every 9 seconds expire after 2 seconds compute sum write to y;",
    "statistics send to a;",
    "listen type linemode transport lz4 ssl /p 1 proto tcp;",
    "send statistics to blackhole;",
    "cluster ",
];

#[test]
fn faults_show_their_line() {
    let error = read_text(Path::new("r.conf"), "match * send to a;\nrewrite ( into b;\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 faults in the relay configuration\n\
         r.conf:1:17: no cluster `a` is defined above this\n  match * send to a;\n                  ^\n\
         r.conf:2:9: expression `(`: unclosed group: a `)` is missing\n  rewrite ( into b;\n          ^"
    );
}
