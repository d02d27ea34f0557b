//! Whole files: what they become, and what is said of them.

use super::*;
use crate::bounded::LONGEST;
use crate::routing::walk::Act;
use crate::routing::{
    Discard, Endpoint, Function, Protocol, RingKind, Share, Stamp, Statement, Target, Then,
};

fn good(text: &str) -> RelayNg {
    let ng = read(text, Path::new("relay.toml")).unwrap_or_else(|error| panic!("{error}"));
    crate::convert::of_routing(&ng.routing).unwrap();
    ng
}

/// What happens to a name: labels of the destinations that it is sent to, its aggregates, its new name.
fn told(ng: &RelayNg, name: &str) -> Vec<String> {
    let labels = |clusters: &[usize]| -> Vec<String> {
        let members = clusters.iter().flat_map(|cluster| &ng.routing.clusters[*cluster].members);
        members.map(|member| ng.routing.destinations[*member].label.clone()).collect()
    };
    let told = |act: Act<'_>| match act {
        Act::Route { route, .. } => match &route.to {
            Target::Clusters(clusters) => labels(clusters),
            Target::Discard(Discard::Blackhole) => vec!["nowhere".to_owned()],
            Target::Discard(other) => panic!("{other:?}"),
        },
        Act::Renamed { name, .. } => vec![format!("> {name}")],
        Act::Input { outputs, .. } => outputs,
    };
    ng.routing.walk(0, name).into_iter().flat_map(told).collect()
}

#[track_caller]
fn goes(text: &str, cases: &[(&str, &[&str])]) {
    let ng = good(text);
    for (name, expected) in cases {
        assert_eq!(told(&ng, name), *expected, "{name}");
    }
}

#[test]
fn a_whole_file() {
    let ng = good(
        r#"
        instance = "${HOST}"
        listen_addr = ":2003"
        pickle_addr = "0.0.0.0:2013"
        log_level = "info"
        max_procs = 2
        validate_order = true
        blacklist = ['prefix collectd.local', 'regex ^foo\..*\.cpu+']
        [amqp]
        amqp_enabled = false
        amqp_host = "localhost"
        [init]
        cmds = []
        [[route]]
        key = 'all'
        type = 'sendAllMatch'
        destinations = ['127.0.0.1:2003 spool=true pickle=false', 'b:2004 pickle=true flush=100']
        [[rewriter]]
        old = 'old'
        new = 'new'
        max = -1
        [[aggregation]]
        function = 'sum'
        regex = '^stats\.(app|web)[0-9]+\.(.*)'
        format = 'stats._sum_$1.$2'
        interval = 10
        wait = 25
        [instrumentation]
        graphite_addr = ""
        "#,
    );
    assert_eq!(ng.plaintext.map(|a| a.to_string()).as_deref(), Some("[::]:2003"));
    assert_eq!(ng.pickle.map(|a| a.to_string()).as_deref(), Some("0.0.0.0:2013"));
    assert_eq!(ng.instance.as_deref(), Some("${HOST}"));
    let both = ["127.0.0.1:2003", "b:2004"];
    assert_eq!(told(&ng, "collectd.local.x"), ["nowhere"]);
    assert_eq!(told(&ng, "foo.a.cpu"), ["nowhere"]);
    assert_eq!(told(&ng, "x.old.old"), ["> x.new.new", both[0], both[1]]);
    assert_eq!(told(&ng, "stats.web3.old"), ["> stats.web3.new", "stats._sum_web.new", both[0], both[1]]);
    let Some(Statement::Aggregate(aggregation)) = ng.routing.statements.get(3) else {
        panic!("no aggregation")
    };
    // Begun at 0, it is 25 s old when the interval ends at 30.
    assert_eq!((aggregation.every, aggregation.after, aggregation.keep), (10, 30, 30));
    assert_eq!(
        (aggregation.stamp, &aggregation.then, aggregation.stop),
        (Stamp::Start, &Then::From(4), false)
    );
    let protocols = ng.routing.destinations.iter().map(|destination| match &destination.endpoints[..] {
        [Endpoint::Server(server)] => server.protocol,
        other => panic!("{other:?}"),
    });
    assert_eq!(protocols.collect::<Vec<_>>(), [Protocol::Plaintext, Protocol::Pickle]);
    let notes: Vec<&str> = ng.notes.iter().map(|note| note.key.as_str()).collect();
    assert_eq!(notes, ["validate_order", "max_procs", "log_level", "instrumentation", "flush"]);
    assert_eq!(
        ng.notes[2].to_string(),
        "relay.toml:5: log_level: the node has a setting of its own; set `node.log` in the settings"
    );
}

#[test]
fn filters_are_joined() {
    goes(
        r"
        [[route]]
        key = 'r'
        type = 'sendAllMatch'
        Prefix = 'a.'
        notPrefix = 'a.b'
        substr = 'cpu'
        notSub = 'idle'
        regex = '[0-9]$'
        notRegex = '^a\.c[^p]'
        destinations = ['h:1']
        ",
        &[
            ("a.x.cpu1", &["h:1"]),
            ("x.a.x.cpu1", &[]),
            ("a.b.cpu1", &[]),
            ("a.x.mem1", &[]),
            ("a.x.cpu.idle1", &[]),
            ("a.x.cpu", &[]),
            ("a.cx.cpu1", &[]),
            ("a.cpu1", &["h:1"]),
        ],
    );
}

#[test]
fn all_and_first() {
    let route = |kind: &str| {
        format!(
            "[[route]]\nkey = 'r'\ntype = '{kind}'\nnotSub = 'secret'\ndestinations = ['a:1 prefix=x.', \
             'b:1 sub=y regex=z', 'c:1', 'd:1']"
        )
    };
    goes(
        &route("sendAllMatch"),
        &[
            ("x.y.z", &["c:1", "d:1", "a:1", "b:1"]),
            ("y.z", &["c:1", "d:1", "b:1"]),
            ("y", &["c:1", "d:1"]),
            ("x.secret", &[]),
        ],
    );
    let text = route("sendFirstMatch");
    goes(&text, &[("x.y.z", &["a:1"]), ("y.z", &["b:1"]), ("y", &["c:1"]), ("secret", &[])]);
    let note = good(&text).notes.pop().unwrap();
    assert!(note.to_string().contains("`c:1` takes all names, so nothing is left for `d:1`"), "{note}");
}

#[test]
fn routes_do_not_end_the_walk_and_share_destinations() {
    let text = "
        [[route]]
        key = 'one'
        type = 'sendFirstMatch'
        destinations = ['h:1:a prefix=x', 'h:1:a prefix=y']
        [[route]]
        key = 'two'
        type = 'sendAllMatch'
        destinations = ['h:1:a', 'h:1:a', '[::1]:2003']
    ";
    let ng = good(text);
    assert_eq!(told(&ng, "x"), ["h:1:a", "h:1:a", "[::1]:2003"]);
    assert_eq!(ng.routing.destinations.len(), 2);
    let names: Vec<&str> = ng.routing.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(names, ["one to h:1:a", "one to h:1:a (2)", "two"]);
}

#[test]
fn rings() {
    let check = |kind: &str, expected: RingKind| {
        let ng = good(&format!(
            "[[route]]\nkey = 'r'\ntype = '{kind}'\nprefix = 'a'\ndestinations = ['h:1:a', 'h:2:b']"
        ));
        let cluster = &ng.routing.clusters[0];
        let Share::Ring(ring) = &cluster.share else { panic!("{cluster:?}") };
        assert_eq!((ring.kind, ring.replicas, ring.diverse, cluster.members.len()), (expected, 1, false, 2));
    };
    check("consistentHashing", RingKind::Ng);
    check("consistentHashing-v2", RingKind::NgV2);
}

#[test]
fn rewriters() {
    let rewriter = |old: &str, new: &str, rest: &str| {
        let ng = good(&format!("[[rewriter]]\nold = '{old}'\nnew = '{new}'\n{rest}"));
        move |name: &str| told(&ng, name)
    };
    let check = |told: &dyn Fn(&str) -> Vec<String>, name: &str, expected: &str| {
        let expected: Vec<String> = if name == expected { Vec::new() } else { vec![format!("> {expected}")] };
        assert_eq!(told(name), expected, "{name}");
    };
    let all = rewriter("a.", "$1", "max = -1");
    check(&all, "a.a.ab", "$1$1ab");
    check(&all, "axb", "axb");
    check(&rewriter("a", "b", "max = 1"), "aa;t=a", "ba;t=a");
    let regex = rewriter(r"/server\.([^.]+)/", "servers.${1}.collectd", "not = 'collectd'\nmax = -1");
    check(&regex, "server.a.server.b", "servers.a.collectd.servers.b.collectd");
    check(&regex, "server.a.collectd", "server.a.collectd");
    check(&rewriter("/^/", "x.", "not = '/^x[.]/'\nmax = -1"), "a", "x.a");
    check(&rewriter("/^/", "x.", "not = '/^x[.]/'\nmax = -1"), "x.a", "x.a");
    let never = good("[[rewriter]]\nold = 'a'\nnew = 'b'");
    assert_eq!((never.routing.statements.len(), never.notes.len()), (0, 1));
    assert_eq!(good("[[rewriter]]\nold = '/b*/'\nnew = ''\nmax = -1").notes.len(), 1);
}

#[test]
fn aggregations() {
    let text = r"
        [[aggregation]]
        function = 'percentiles'
        regex = '^(a|b)\.'
        prefix = 'a'
        format = '$1.all'
        interval = 60
        wait = 0
        dropRaw = true
        [[aggregation]]
        function = 'derive'
        regex = '.*'
        format = 'rate'
        interval = 10
        wait = 20
    ";
    let ng = good(text);
    assert_eq!(told(&ng, "a.x"), ["p25", "p50", "p75", "p90", "p95", "p99"].map(|p| format!("a.all.{p}")));
    assert_eq!(told(&ng, "b.x"), ["rate"]);
    let Statement::Aggregate(first) = &ng.routing.statements[0] else { panic!("no aggregation") };
    assert_eq!((first.after, first.outputs[3].function), (60, Function::NearestRank(90)));
    // There is no route that they could go through.
    assert_eq!(first.then, Then::Clusters(Vec::new()));
}

#[test]
fn strict_names() {
    let text = "legacy_metric_validation = 'strict'\n[[route]]\nkey = 'r'\ntype = 'sendAllMatch'\n\
                destinations = ['h:1']";
    goes(
        text,
        &[
            ("a.b-c_1;host=ü", &["h:1"]),
            ("a..b", &["nowhere"]),
            ("a/b", &["nowhere"]),
            ("unit=B.mtype=gauge", &["h:1"]),
        ],
    );
}

#[test]
fn commands() {
    let text = r"
        [init]
        cmds = [
          'addBlack prefix collectd.localhost',
          'addBlock regex ^foo\..*\.cpu+',
          'addRewriter testold testnew -1',
          'addAgg sum regex=^stats\.([a-z]+)[0-9]+\.(.*) sub=req stats.sum_$1.$2 10 20 cache=true dropRaw=true',
          'addAgg max ^old\.(.*) new.$1 5 10',
          'addRoute sendAllMatch tagger sub==  127.0.0.1:2006',
          'addRoute sendFirstMatch first prefix=a  b:1 regex=b spool=true  c:1',
          'addRoute consistentHashing-v2 ring notPrefix=a notRegex=^(stats|tag)  d:1:x  e:1',
        ]
    ";
    let ng = good(text);
    let check = |name: &str, expected: &[&str]| assert_eq!(told(&ng, name), expected, "{name}");
    check("collectd.localhost.x", &["nowhere"]);
    check("stats.web1.req", &["stats.sum_web.req"]);
    check("tag=x", &["127.0.0.1:2006"]);
    check("ab", &["b:1"]);
    check("atestold", &["> atestnew", "c:1"]);
    check("old.x", &["new.x", "d:1:x", "e:1"]);
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let error = read(text, Path::new("relay.toml")).unwrap_err().to_string();
    for part in expected {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    refused("listen_addr = ", &["relay.toml, line 1, column 15: not TOML"]);
    refused(
        "\nlisten_adr = 'x'",
        &["line 2, column 1: listen_adr: no such key: did you mean `listen_addr`?"],
    );
    refused("colour = 1", &["colour: no such key", "taken out"]);
    refused("listen_addr = 'graphite:2003'", &["`graphite:2003`: write an IP address"]);
    refused("listen_addr = 2003", &["expected a text in quotes"]);
    refused("LISTEN_ADDR = ''\nlisten_addr = ''", &["twice"]);
    refused("validate_order = 'yes'", &["expected true or false"]);
    refused("legacy_metric_validation = 'strong'", &["none, medium or strict"]);
    refused("route = 1", &["[[route]]"]);
    refused("init = ['x']", &["[init]"]);
    refused("blocklist = ['prefix', 'pre a']", &["`prefix`: write", "`pre a`: write"]);
    refused("[amqp]\namqp_enabled = true", &["line 2, column 1: amqp.amqp_enabled", "set it to false"]);
    refused("[kafka]\nkafka_enabled = true", &["kafka.kafka_enabled"]);
}

#[test]
fn what_is_wrong_in_a_section_is_named() {
    let route = |text: &str, expected: &[&str]| refused(&format!("[[route]]\nkey = 'r'\n{text}"), expected);
    route("destinations = ['h:1']", &["line 1, column 1: route.type: missing"]);
    route(
        "type = 'grafanaNet'\napiKey = 'x'",
        &["line 3, column 1: route.type: `grafanaNet`", "Grafana Cloud"],
    );
    for (kind, peer) in [("kafkaMdm", "Kafka"), ("pubsub", "Pub/Sub"), ("cloudWatch", "CloudWatch")] {
        route(&format!("type = '{kind}'"), &[kind, peer, "take the route out"]);
    }
    route("type = 'sendAllMatsh'", &["did you mean `sendAllMatch`?"]);
    route("type = 'x'", &["no such type: `x`; use one of sendAllMatch"]);
    let all = |text: &str, expected: &[&str]| route(&format!("type = 'sendAllMatch'\n{text}"), expected);
    all("", &["route `r` needs at least 1"]);
    all("destinations = ['h']", &["destination `h`: the port is missing; write host:port[:instance]"]);
    all("destinations = ['h:1 flush=x']", &["`flush=x`: expected a whole number"]);
    all("destinations = ['h:1 pickel=true']", &["`pickel=true`: no such option: did you mean `pickle`?"]);
    all("destinations = ['h:1 pickle=1']", &["expected true or false"]);
    all("destinations = ['h:1 prefix=']", &["no value behind `=`"]);
    all("destinations = ['h:1 prefix']", &["name=value"]);
    all("destinations = ['h:1', 'h:1 pickle=true']", &["pickle=true in one place"]);
    all("destinations = ['h:1']\nregex = '(?=a)'", &["regex: expression `(?=a)`"]);
    all("destinations = ['h:1']\nprefx = 'a'", &["route.prefx: no such key: did you mean `prefix`?"]);
    all(
        "destinations = ['h:1']\n[[route]]\nkey='r'\ntype='sendAllMatch'\ndestinations=['i:1']",
        &["another route"],
    );
    refused("[[route]]\ntype = 'sendAllMatch'\ndestinations = ['h:1']", &["key: missing"]);
    let ring =
        |text: &str, expected: &[&str]| route(&format!("type = 'consistentHashing'\n{text}"), expected);
    ring("destinations = ['h:1']", &["needs at least 2"]);
    ring("destinations = ['h:1', 'h:2']", &["destination `h:2`", "give each an instance"]);
    ring("destinations = ['h:1', 'i:2 prefix=a']", &["no filters"]);
    let aggregation = |text: &str, expected: &[&str]| refused(&format!("[[aggregation]]\n{text}"), expected);
    aggregation("", &["regex: missing", "format: missing", "interval: 0", "function: no such function"]);
    let rest = "regex = '(a)'\nformat = '$1_x'\ninterval = 1\nwait = 1\nfunction";
    aggregation(&format!("{rest} = 'sum'"), &["write `${1}_x`"]);
    aggregation(&format!("{rest} = 'summ'"), &["did you mean `sum`?"]);
    aggregation(
        "regex = 'a'\nformat = 'b'\ninterval = 9999999999\nwait = -1\nfunction = 'sum'",
        &["interval: 9999999999", "wait: -1"],
    );
    let rewriter = |text: &str, expected: &[&str]| refused(&format!("[[rewriter]]\n{text}"), expected);
    rewriter("old = ''\nnew = 'a'", &["old: there is nothing"]);
    rewriter("old = '/a/'\nnew = 'a'", &["it must be -1"]);
    rewriter("old = 'a'\nnew = 'a'\nmax = 2", &["max: 2"]);
    rewriter("old = '/(/'\nnew = 'a'\nmax = -1", &["old: expression `(`"]);
    rewriter("old = '/a/'\nnew = '$1'\nmax = -1", &["new: group `1` does not exist"]);
}

#[test]
fn what_is_wrong_in_a_command_is_named() {
    let check = |command: &str, expected: &str| {
        refused(&format!("[init]\ncmds = ['{command}']"), &["line 2, column 9: init.cmds", expected]);
    };
    check("addDest x", "take this command out");
    check("help", "no such command");
    check("addBlack prefix", "write `prefix`");
    check("addRewriter a b", "how often it is replaced is missing");
    check("addRewriter a b 1 x", "`x` is one word too many");
    check("addAgg sum", "an expression is missing");
    check("addAgg sum regex=a b x 1", "the interval is missing");
    check("addAgg sum regex=a b 1 1 cache=x", "expected cache= or dropRaw=");
    check("addRoute", "the type of the route is missing");
    check("addRoute kafkaMdm x", "Kafka");
    check("addRoute sendAllMatch", "the key of the route is missing");
    check("addRoute sendAllMatch x h:1", "`h:1` is no filter; before each destination there are two blanks");
    check("addRoute sendAllMatch x", "needs at least 1");
}

#[test]
fn everything_is_said_at_once_but_not_without_end() {
    let many = "[[route]]\n".repeat(60);
    let Err(Error::Faulty { faults, .. }) = read(&many, Path::new("f")) else { panic!("no fault") };
    assert_eq!((faults.len(), faults[0].line, faults[1].line), (MOST_FAULTS, 1, 2));
    let many: String = (0..300).map(|i| format!("'h{i}:1 prefix=a',")).collect();
    let text = format!("[[route]]\nkey = 'r'\ntype = 'sendFirstMatch'\ndestinations = [{many}]");
    refused(&text, &["at most 256 destinations"]);
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relay.toml");
    let refused = |expected: &str| {
        let error = load(&file).unwrap_err().to_string();
        assert!(error.contains("relay.toml") && error.contains(expected), "{error}");
    };
    refused("check the path");
    std::fs::write(&file, b"# \xff").unwrap();
    refused("UTF-8");
    std::fs::write(&file, "#".repeat((LONGEST + 1) as usize)).unwrap();
    refused("16 MiB");
    std::fs::write(&file, "listen_addr = 'localhost:2003'").unwrap();
    assert_eq!(load(&file).unwrap().plaintext.map(|a| a.to_string()).as_deref(), Some("127.0.0.1:2003"));
}
