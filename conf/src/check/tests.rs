//! Tests of the checks: one line a contradiction.

use super::*;
use crate::model::listen::{Protocol, Stream};
use crate::model::record::Tls;
use crate::model::redis::{Kind, Layout};
use crate::model::relay::cluster::ClusterTable;
use crate::model::relay::{DestinationEntry, DestinationTable, Method, WhenBehind};
use std::net::SocketAddr;

/// Settings with nothing to find.
fn good() -> Settings {
    let mut settings = Settings::default();
    settings.relay.destinations = vec![DestinationEntry::Address("10.0.0.1:2004:pickle".into())];
    settings
}

fn findings(change: impl FnOnce(&mut Settings)) -> Vec<Finding> {
    let mut settings = good();
    change(&mut settings);
    check(&settings)
}

/// The one finding is about `key`, in words that contain `expected`.
#[track_caller]
fn one(severity: Severity, change: impl FnOnce(&mut Settings), key: &str, expected: &str) {
    let found = findings(change);
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(
        matches!(found.as_slice(), [f] if f.key == key && f.severity == severity && f.to_string().contains(expected)),
        "{key}: {expected}\nin {said:#?}"
    );
}

#[track_caller]
fn problem(change: impl FnOnce(&mut Settings), key: &str, expected: &str) {
    one(Severity::Problem, change, key, expected);
}

#[track_caller]
fn warning(change: impl FnOnce(&mut Settings), key: &str, expected: &str) {
    one(Severity::Warning, change, key, expected);
}

#[track_caller]
fn fine(change: impl FnOnce(&mut Settings)) {
    assert_eq!(findings(change), []);
}

fn at(text: &str) -> Vec<SocketAddr> {
    text.split(' ').map(|address| address.parse().unwrap()).collect()
}

fn to(settings: &mut Settings, destinations: &[&str]) {
    settings.relay.destinations =
        destinations.iter().map(|text| DestinationEntry::Address((*text).into())).collect();
}

#[test]
fn levels_of_log_lines() {
    for good in ["info", "WARN", "off", "info,skyline_relay=debug", "skyline_relay::dest = trace, error"] {
        fine(|s| s.node.log = good.into());
    }
    let check = |log: &str, expected: &str| problem(|s| s.node.log = log.into(), "node.log", expected);
    check("infoo", "`infoo` is no level; did you mean `info`?");
    check("info,skyline_relay=debgu", "did you mean `debug`?");
    check("skyline_relay", "levels are off, error, warn");
    check("", "levels are");
    check("=info", "does not name a part");
    check("[span]=info", "does not name a part");
}

#[test]
fn addresses_that_are_used_twice() {
    fine(|_| {});
    problem(
        |s| s.listen.pickle_tcp = at("0.0.0.0:2003"),
        "listen.pickle_tcp",
        "0.0.0.0:2003 is used by listen.plaintext_tcp too",
    );
    let stream = |text: &str| Stream { address: text.parse().ok(), ..Stream::default() };
    problem(
        |s| s.listen.stream = vec![stream("0.0.0.0:2003")],
        "listen.stream",
        "used by listen.plaintext_tcp",
    );
    let unix = || Stream { unix: Some("/run/s".into()), ..Stream::default() };
    problem(|s| s.listen.stream = vec![unix(), unix()], "listen.stream", "is there twice");
    problem(|s| s.listen.pickle_tcp = at("127.0.0.1:2003"), "listen.pickle_tcp", "are one to the system");
    problem(|s| s.listen.pickle_tcp = at("[::]:2003"), "listen.pickle_tcp", "are one to the system");
    problem(|s| s.http.status = at("127.0.0.1:1500"), "http.status", "is used by http.api too");
    problem(
        |s| s.listen.plaintext_tcp = at("10.0.0.9:1 10.0.0.9:1"),
        "listen.plaintext_tcp",
        "is there twice",
    );
    problem(
        |s| s.listen.plaintext_tcp = at("0.0.0.0:1 10.0.0.9:1"),
        "listen.plaintext_tcp",
        "is part of 0.0.0.0:1",
    );
    problem(
        |s| (s.listen.plaintext_udp, s.listen.msgpack_udp) = (at("0.0.0.0:5"), at("0.0.0.0:5")),
        "listen.msgpack_udp",
        "too",
    );
    problem(
        |s| s.listen.plaintext_unix = vec!["/run/s".into(), "/run/s".into()],
        "listen.plaintext_unix",
        "twice",
    );
    problem(|s| s.listen.plaintext_unix = vec!["".into()], "listen.plaintext_unix", "empty");
    fine(|s| s.listen.plaintext_tcp = at("0.0.0.0:2003 [::]:2003"));
    fine(|s| s.listen.plaintext_udp = at("0.0.0.0:2003"));
    fine(|s| s.listen.plaintext_tcp = at("10.0.0.8:2003 10.0.0.9:2003"));
    warning(
        |s| s.listen.plaintext_tcp = at("127.0.0.1:0"),
        "listen.plaintext_tcp",
        "another one at each start",
    );
    warning(
        |s| (s.listen.plaintext_tcp, s.listen.pickle_tcp) = (vec![], vec![]),
        "listen",
        "every listener is off",
    );
}

#[test]
fn http_is_on_loopback() {
    problem(|s| s.http.api = at("0.0.0.0:1500"), "http.api", "write 127.0.0.1:1500");
    problem(|s| s.http.status = at("[::]:1502"), "http.status", "not a loopback address");
    fine(|s| s.http.api = at("[::1]:1500 127.0.0.2:1500"));
    fine(|s| (s.http.api, s.http.status) = (vec![], vec![]));
}

#[test]
fn sizes_and_times() {
    problem(
        |s| s.listen.max_line_bytes = 32_769,
        "listen.max_line_bytes",
        "found 32_769, expected a whole number from 64 to 32_768",
    );
    problem(|s| s.listen.max_connections = 0, "listen.max_connections", "from 1 to");
    problem(|s| s.window.max_metrics = 0, "window.max_metrics", "found 0");
    problem(|s| s.relay.sending.points_per_frame = 0, "relay.sending.points_per_frame", "found 0");
    problem(|s| s.window.snapshot_seconds = 0.0, "window.snapshot_seconds", "from 1 to 86_400");
    problem(|s| s.window.snapshot_seconds = f64::NAN, "window.snapshot_seconds", "expected a number");
    problem(|s| s.node.shutdown_seconds = -1.0, "node.shutdown_seconds", "from 0.1 to 600");
    problem(|s| s.node.shutdown_seconds = f64::INFINITY, "node.shutdown_seconds", "from 0.1 to 600");
    problem(|s| s.journal.min_free_percent = 100.0, "journal.min_free_percent", "from 0 to 90");
    problem(|s| s.journal.segment_bytes = 9 << 30, "journal.segment_bytes", "larger than the budget");
    problem(|s| s.window.full_duration_seconds = 7_199, "window.full_duration_seconds", "from 7200");
    problem(
        |s| (s.relay.sending.retry_min_seconds, s.relay.sending.retry_max_seconds) = (2.0, 1.0),
        "relay.sending.retry_min_seconds",
        "more than",
    );
    warning(|s| s.journal.segment_bytes = 4 << 30, "journal.segment_bytes", "2147483648 bytes, a quarter");
    warning(|s| s.journal.memory_bytes = 9 << 30, "journal.memory_bytes", "held in memory");
    warning(|s| s.window.snapshot_seconds = 80_000.0, "window.snapshot_seconds", "3600 is a good value");
    warning(|s| s.node.shutdown_seconds = 120.0, "node.shutdown_seconds", "TimeoutStopSec");
    warning(|s| s.relay.sending.resend_bytes = 0, "relay.sending.resend_bytes", "is lost");
    assert!(
        findings(|s| s.journal.max_bytes = 0).iter().any(|f| f.is_problem() && f.key == "journal.max_bytes")
    );
    assert!(
        findings(|s| s.journal.max_bytes = u64::MAX).iter().any(Finding::is_problem),
        "TOML cannot write it"
    );
}

#[test]
fn detection() {
    problem(|s| s.detect.consensus = 10, "detect.consensus", "from 1 to 9");
    problem(|s| s.detect.consensus = 0, "detect.consensus", "found 0");
    problem(|s| s.detect.algorithms.truncate(5), "detect.consensus", "set it to 5 or less");
    problem(|s| s.detect.algorithms[3] = "grubs".into(), "detect.algorithms", "did you mean `grubbs`?");
    problem(|s| s.detect.algorithms[3] = "prophet".into(), "detect.algorithms", "there are histogram_bins");
    problem(|s| s.detect.algorithms[3] = "ks_test".into(), "detect.algorithms", "`ks_test` is there twice");
    problem(|s| s.detect.algorithms.clear(), "detect.algorithms", "nobody votes");
    problem(|s| s.detect.boredom_set_size = 100, "detect.boredom_set_size", "every metric is boring");
    problem(|s| s.detect.never_counters = vec![String::new()], "detect.never_counters", "matches nothing");
    problem(|s| s.window.skip = vec!["a".into(), " ".into()], "window.skip", "matches nothing");
    warning(|s| s.window.keep = vec!["a".into()], "window.keep", "which is empty");
    warning(|s| s.detect.stale_seconds = 86_400, "detect.stale_seconds", "no longer in the window");
    fine(|s| (s.window.skip, s.window.keep) = (vec!["a.".into()], vec!["a.b".into()]));
}

#[test]
fn node_and_record() {
    problem(|s| s.node.state_dir = "".into(), "node.state_dir", "it is empty");
    problem(|s| s.node.name = "a b".into(), "node.name", "use letters");
    problem(
        |s| (s.record.syslog.enabled, s.record.syslog.address) = (true, "udp:loghost:514".into()),
        "record.syslog.address",
        "numeric address",
    );
    problem(
        |s| (s.record.syslog.enabled, s.record.syslog.address) = (true, "dev/log".into()),
        "record.syslog.address",
        "",
    );
    fine(|s| (s.record.syslog.enabled, s.record.syslog.address) = (true, "udp:10.0.0.5:514".into()));
    fine(|s| s.record.syslog.address = "nonsense".into());
    warning(|s| s.node.state_dir = "state".into(), "node.state_dir", "write the whole path");
    warning(|s| s.record.sqlite_file = "a.db".into(), "record.sqlite_file", "write the whole path");
}

#[test]
fn destinations() {
    problem(|s| to(s, &["h"]), "relay.destinations", "`h`: the port is missing; write host:port");
    problem(|s| to(s, &["h:1", "h:1:pickle"]), "relay.destinations", "is there twice");
    fine(|s| {
        to(s, &["h:1"]);
        let udp = DestinationTable {
            name: Some("u".to_owned()),
            address: Some("h:1".to_owned()),
            transport: Some(crate::model::relay::destination::Transport::Udp),
            ..DestinationTable::default()
        };
        s.relay.destinations.push(DestinationEntry::Table(Box::new(udp)));
    });
    problem(|s| to(s, &["127.0.0.1:2003"]), "relay.destinations", "this node's own listen.plaintext_tcp");
    problem(|s| to(s, &["localhost:2003:a"]), "relay.destinations", "come back for ever");
    problem(|s| to(s, &["127.0.0.1:2024:pickle"]), "relay.destinations", "own listen.pickle_tcp");
    problem(|s| to(s, &["127.0.0.1:1500"]), "relay.destinations", "own http.api");
    problem(
        |s| {
            s.listen.plaintext_tcp = at("10.0.0.9:2003");
            to(s, &["10.0.0.9:2003"]);
        },
        "relay.destinations",
        "own listen.plaintext_tcp",
    );
    problem(
        |s| {
            let address = "[::1".into();
            let table = DestinationTable { address: Some(address), ..DestinationTable::default() };
            s.relay.destinations = vec![DestinationEntry::Table(Box::new(table))];
        },
        "relay.destinations",
        "without `]`",
    );
    fine(|s| to(s, &["127.0.0.1:2013", "10.0.0.9:2003", "graphite:2003"]));
    warning(|s| to(s, &["h:2004"]), "relay.destinations", "write `h:2004:pickle`");
    let pickles = |s: &mut Settings, of_cluster: &str| {
        let table = DestinationTable {
            address: Some("h:2004".into()),
            protocol: Some(Protocol::Pickle),
            ..DestinationTable::default()
        };
        s.relay.destinations = vec![DestinationEntry::Table(Box::new(table))];
        let destinations = vec![DestinationEntry::Address(of_cluster.into())];
        s.relay.cluster = vec![ClusterTable { destinations, ..ClusterTable::default() }];
    };
    fine(|s| pickles(s, "h:2004"));
    warning(|s| pickles(s, "h:2004:a"), "relay.cluster", "write `h:2004:a:pickle`");
    warning(|s| to(s, &["h:2003:pickle"]), "relay.destinations", "leave `:pickle` out");
    warning(|s| to(s, &["h:1:pickel"]), "relay.destinations", "did you mean `pickle`?");
    warning(|s| to(s, &["h:1:tcp"]), "relay.destinations", "taken for the name of an instance");
    problem(|s| to(s, &["h:1:a:pickel"]), "relay.destinations", "`pickel` is no protocol");
    problem(|s| to(s, &["h:1:a:b"]), "relay.destinations", "an instance with a colon is not taken");
    warning(|s| to(s, &[]), "relay.destinations", "forwarded to nobody");
    warning(
        |s| s.relay.sending.when_behind = WhenBehind::Block,
        "relay.sending.when_behind",
        "stops the listeners",
    );
    problem(
        |s| (s.window.enabled, s.relay.destinations) = (false, vec![]),
        "relay.destinations",
        "nothing is done with them",
    );
    fine(|s| s.window.enabled = false);
}

#[test]
fn rings() {
    let ring = |factor, destinations: &'static [&'static str]| {
        move |s: &mut Settings| {
            s.relay.method = Method::ConsistentHashing;
            s.relay.replication_factor = factor;
            to(s, destinations);
        }
    };
    fine(ring(2, &["a:1", "b:1", "c:1"]));
    fine(ring(1, &["a:1:x", "a:2:y"]));
    problem(
        ring(3, &["a:1", "b:1"]),
        "relay.replication_factor",
        "3 destinations for each metric are asked for and there are 2",
    );
    problem(ring(1, &["a:1", "a:2"]), "relay.destinations", "give each an instance");
    warning(ring(2, &["a:1:x", "a:2:y"]), "relay.diverse_replicas", "get fewer copies");
    problem(|s| s.relay.replication_factor = 0, "relay.replication_factor", "found 0");
    warning(|s| s.relay.replication_factor = 2, "relay.replication_factor", "no effect");
}

#[test]
fn problems_come_first_and_say_what_to_do() {
    let found = findings(|s| {
        s.node.state_dir = "state".into();
        s.detect.consensus = 0;
        s.listen.pickle_tcp = at("0.0.0.0:2003");
    });
    let keys: Vec<&str> = found.iter().map(|f| f.key).collect();
    assert_eq!(keys, ["listen.pickle_tcp", "detect.consensus", "node.state_dir"]);
    assert!(found.iter().all(|f| !f.advice.is_empty() && !f.message.is_empty()));
    assert_eq!(
        found[0].to_string(),
        "problem: listen.pickle_tcp: 0.0.0.0:2003 is used by listen.plaintext_tcp too; give each listener its own port"
    );
}

#[test]
fn own_listeners() {
    let check = |address: &str, expected| {
        assert_eq!(own_listener(&good(), address.parse().unwrap()), expected, "{address}")
    };
    check("10.1.2.3:2003", Some("listen.plaintext_tcp"));
    check("127.0.0.1:1501", Some("http.status"));
    check("10.1.2.3:1501", None);
    check("10.1.2.3:2004", None);
    check("[::1]:2003", None);
}

#[test]
fn hosts_that_are_this_node() {
    let listen = |s: &mut Settings| {
        s.listen.plaintext_tcp = at("0.0.0.0:2003 10.9.9.9:2013");
        s.render_proxy.addresses = at("127.0.0.1:8080");
    };
    let check = |host: &str, port: u16, expected| {
        let mut settings = good();
        listen(&mut settings);
        assert_eq!(sockets::listener_of(&settings, host, port), expected, "{host}:{port}");
    };
    check("LocalHost", 2003, Some("listen.plaintext_tcp"));
    check("::ffff:127.0.0.1", 8080, Some("render_proxy.addresses"));
    check("0.0.0.0", 2003, Some("listen.plaintext_tcp"));
    check("10.9.9.9", 2013, Some("listen.plaintext_tcp"));
    // It may be another machine's.
    check("10.9.9.9", 2003, None);
    check("carbon.internal", 2003, None);
    check("127.0.0.1", 0, None);
    let proxy = |s: &mut Settings| {
        listen(s);
        s.graphite.server = vec![crate::model::graphite::Server {
            url: "http://localhost:8080".into(),
            ..Default::default()
        }];
    };
    problem(proxy, "graphite.server", "this node's own render_proxy.addresses");
    problem(|s| to(s, &["localhost:1501"]), "relay.destinations", "own http.status: it takes no lines");
}

#[test]
fn findings_are_about_the_item_that_is_looked_at() {
    let found = findings(|s| to(s, &["10.0.0.1:2004:pickle", "a b", "c d"]));
    let items: Vec<_> = found.iter().map(|finding| finding.item).collect();
    assert_eq!(items, [Some(1), Some(2)], "{found:?}");
    let mut all = Findings::default();
    all.each("alerting.rule", &[0, 0], |_, _, all| {
        all.warning("alerting.rule", "a", "");
        all.warning("alerting.zone", "b", "");
    });
    all.warning("alerting.rule", "c", "");
    let items: Vec<_> = all.all.iter().map(|finding| finding.item).collect();
    assert_eq!(items, [Some(0), None, Some(1), None, None]);
}

#[test]
fn redis_servers() {
    fn on(s: &mut Settings, servers: &[&str], kind: Kind) {
        (s.redis.servers, s.redis.kind) = (servers.iter().map(ToString::to_string).collect(), kind);
    }
    const ONE: &[&str] = &["redis://127.0.0.1:6379"];
    fine(|s| on(s, ONE, Kind::Single));
    fine(|s| on(s, &["unix:///run/redis/redis-server.sock"], Kind::Single));
    fine(|s| on(s, &["rediss://[::1]:6379", "rediss://h:6380"], Kind::Cluster));
    problem(|s| on(s, &["127.0.0.1:6379"], Kind::Single), "redis.servers", "write unix:///PATH");
    problem(|s| on(s, &["redis://:secret@h:1"], Kind::Single), "redis.servers", "`an address with a user");
    problem(|s| on(s, &["redis://a:1", "redis://b:1"], Kind::Single), "redis.servers", "set redis.kind");
    problem(|s| on(s, &["unix:///a"], Kind::Cluster), "redis.servers", "only a single server");
    problem(|s| on(s, ONE, Kind::Sentinel), "redis.sentinel_master", "it is empty");
    problem(|s| (on(s, ONE, Kind::Cluster), s.redis.database = 1).0, "redis.database", "only database 0");
    let compat = |s: &mut Settings| (on(s, ONE, Kind::Cluster), s.redis.layout = Layout::Compat).0;
    problem(compat, "redis.layout", "not for a cluster");
    problem(|s| (on(s, ONE, Kind::Single), s.redis.prefix = "a{b}".into()).0, "redis.prefix", "use letters");
    problem(
        |s| (on(s, ONE, Kind::Single), s.redis.password_file = "/no/such".into()).0,
        "redis.password_file",
        "cannot be read",
    );
    problem(
        |s| (on(s, ONE, Kind::Single), s.redis.password_env = "SKYLINE_NO_SUCH".into()).0,
        "redis.password_env",
        "is not set",
    );
    problem(
        |s| (on(s, &["rediss://h:1"], Kind::Single), s.redis.ca_file = "/no/such".into()).0,
        "redis.ca_file",
        "cannot be read",
    );
    problem(|s| s.window.shards = "5-1024".into(), "window.shards", "`5-1024` names no shards");
}

#[test]
fn servers_of_the_record_and_the_cache() {
    fn on(server: &str) -> impl FnOnce(&mut Settings) + use<> {
        let server = server.to_owned();
        |s| s.record.server = server
    }
    fine(on("mysql://127.0.0.1:3306/skyline"));
    fine(on("mysql://db.example.net/skyline"));
    fine(on("mysql:///skyline?socket=/run/mysqld/mysqld.sock"));
    for bad in ["127.0.0.1", "mysql://h", "mysql://h:3306/", "mysql:///skyline", "postgres://h/x"] {
        problem(on(bad), "record.server", "write mysql://");
    }
    problem(on("mysql://u:secret@h/skyline"), "record.server", "`an address with a user`");
    problem(
        |s| {
            s.record.server = "mysql:///a?socket=/b".into();
            s.record.tls = Tls::Verified;
        },
        "record.tls",
        "not encrypted",
    );
    problem(
        |s| {
            s.record.server = "mysql://h/a".into();
            s.record.tls = Tls::Verified;
            s.record.ca_file = "/no/such".into();
        },
        "record.ca_file",
        "cannot be read",
    );
    problem(|s| s.memcached.address = "here".into(), "memcached.address", "write 127.0.0.1:11211");
    problem(|s| s.memcached.namespace = "a b".into(), "memcached.namespace", "use up to 100");
    fine(|s| s.memcached.address = "/run/memcached.sock".into());
}

/// Settings with one Graphite server.
fn graphite(change: impl FnOnce(&mut crate::model::graphite::Server)) -> impl FnOnce(&mut Settings) {
    move |settings| {
        let mut server =
            crate::model::graphite::Server { url: "http://127.0.0.1:8080".into(), ..Default::default() };
        change(&mut server);
        settings.graphite.server = vec![server];
    }
}

#[test]
fn graphite_servers() {
    let key = "graphite.server";
    fine(graphite(|_| {}));
    for url in ["https://graphite.internal/prefix", "http://[::1]:8080", "https://g.internal:"] {
        fine(graphite(|s| s.url = url.into()));
    }
    problem(graphite(|s| s.url = "graphite".into()), key, "neither http:// nor");
    problem(graphite(|s| s.url = "http://".into()), key, "has no host");
    problem(graphite(|s| s.url = "http://g:x".into()), key, "a port that is none");
    problem(graphite(|s| s.url = "http://g/?x".into()), key, "has a query");
    problem(graphite(|s| s.url = "http://graphite.example.net:80".into()), key, "a name from an example");
    problem(graphite(|s| s.url = "http://YOUR_GRAPHITE_HOST.example.com".into()), key, "from an example");
    problem(graphite(|s| s.render_path = "../x".into()), key, "is no path");
    problem(graphite(|s| s.render_path = "/".into()), key, "is no path");
    problem(graphite(|s| s.ca_file = "/nowhere/ca.pem".into()), key, "/nowhere/ca.pem cannot be read");
    let user = |s: &mut crate::model::graphite::Server| {
        (s.user, s.password_file) = ("u".into(), "/nowhere/pw".into())
    };
    problem(graphite(user), key, "/nowhere/pw cannot be read");
    problem(graphite(|s| s.password_env = "PATH".into()), key, "has a password and no user");
    problem(graphite(|s| s.token_env = "SKYLINE_NO_SUCH".into()), key, "SKYLINE_NO_SUCH is not set");
    warning(graphite(|s| s.insecure = true), key, "anybody between");
    let header = |name: &str, value: &str| crate::model::graphite::Header {
        name: name.into(),
        value: value.into(),
        ..Default::default()
    };
    fine(graphite(|s| s.headers = vec![header("X-Org-Id", "1")]));
    problem(graphite(|s| s.headers = vec![header("X Org", "1")]), key, "no name of a header");
    problem(graphite(|s| s.headers = vec![header("X", "1\r\nY: 2")]), key, "control characters");
    let twice = |s: &mut Settings| {
        graphite(|_| {})(s);
        s.graphite.server.push(s.graphite.server[0].clone());
    };
    problem(twice, key, "two servers are called 127.0.0.1:8080");
    let secret = findings(graphite(|s| s.url = "http://u:hunter2@graphite.internal/".into()));
    assert!(!format!("{secret:?}").contains("hunter2"), "{secret:?}");
}

#[test]
fn who_may_ask_the_render_proxy() {
    let key = "render_proxy.addresses";
    fine(|s| s.render_proxy.addresses = at("127.0.0.1:8088 [::1]:8088"));
    problem(|s| s.render_proxy.addresses = at("0.0.0.0:8088"), key, "read every metric");
    fine(|s| {
        s.render_proxy.addresses = at("0.0.0.0:8088");
        s.render_proxy.open_to_all = true;
    });
    problem(|s| s.render_proxy.user = "u".into(), "render_proxy.user", "has no password");
    problem(|s| s.render_proxy.zone = "Europe/Berln".into(), "render_proxy.zone", "no time zone");
    problem(|s| s.render_proxy.graph_settings = "width=1".into(), "render_proxy.graph_settings", "with &");
    problem(|s| s.render_proxy.graph_settings = "&a=b c".into(), "render_proxy.graph_settings", "characters");
    problem(
        |s| s.render_proxy.addresses = s.http.api.clone(),
        "http.api",
        "is used by render_proxy.addresses",
    );
}
