//! Files of other relays, converted; that the text relays in the same way the converter itself looks at.

use super::*;
use crate::crelay::template;
use crate::model::relay::{CarbonProgram, Files};
use crate::routing::pattern::Condition;
use crate::routing::template::Template;
use crate::routing::{
    Aggregation, CarbonHash, Cluster, Destination, Digits, Endpoint, Function, Output, Protocol, Rewrite,
    Ring, RingKind, Server, Stamp, Tls, Validate,
};
use proptest::prelude::*;

/// The text that files become; the first is the one that is named.
#[track_caller]
fn converted(files: &[(&str, &str)], named: impl Fn(std::path::PathBuf) -> Files) -> Converted {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let mut settings = Settings::default();
    settings.relay.files = named(dir.path().join(files[0].0));
    let read = relaying::read(&settings).unwrap_or_else(|error| panic!("{error}"));
    let converted = convert(&read).unwrap_or_else(|error| {
        let (mut read, mut notes) = (read.clone(), Vec::new());
        fit(&mut read, &mut notes);
        panic!("{error}\n{}", write::text(&read, &relay(&read), &notes))
    });
    // A node can run with it.
    let settings = load::text(&converted.text, Path::new("converted")).unwrap().settings;
    let findings = crate::check::check(&settings);
    let problems: Vec<_> = findings.iter().filter(|finding| finding.is_problem()).collect();
    assert!(problems.is_empty(), "{problems:?}\n{}", converted.text);
    converted
}

#[track_caller]
fn has(converted: &Converted, expected: &[&str]) {
    for expected in expected {
        assert!(converted.text.contains(expected), "{expected}\nis not in\n{}", converted.text);
    }
}

#[test]
fn carbon() {
    let conf = "[relay]\nDESTINATIONS = h:1:a, h:2:pickle, g:1\nRELAY_METHOD = rules\nUSE_WHITELIST = yes\n\
                PICKLE_RECEIVER_MAX_LENGTH = 1073741824\nMAX_QUEUE_SIZE = inf\nLINE_RECEIVER_PORT = 2013\nNONSENSE = 1\n";
    let rules = "[a]\npattern = ^a\ndestinations = h:2:pickle, h:1:a\ncontinue = yes\n\
                 [d]\ndefault = yes\ndestinations = h:1:a\n";
    let files = [
        ("carbon.conf", conf),
        ("relay-rules.conf", rules),
        ("blacklist.conf", "^tmp\n"),
        ("whitelist.conf", "a\nb\n"),
    ];
    let converted = converted(&files, |path| Files { carbon_conf: path, ..Files::default() });
    has(
        &converted,
        &[
            "carbon.conf:8: NONSENSE: ",
            "plaintext_tcp = [\"0.0.0.0:2013\"]",
            "max_frame_bytes = 67_108_864",
            "{ address = \"h:2:pickle\", protocol = \"pickle\" }",
            "match = { regex = \"^tmp\" }\ndiscard = \"blacklisted\"\n",
            "match_not = [{ regex = \"a\" }, { regex = \"b\" }]\ndiscard = \"not_whitelisted\"\n",
            "[[relay.rule]]\nname = \"rule-3\"\nmatch = { regex = \"^a\", dialect = \"python_any_case\" }\nsend_to = \"a\"\n",
            "send_to = \"d\"\nstop = true\n",
            "own_metrics_at = \"rule-3\"",
            "mark_points = 9_223_372_036_854_775_807",
        ],
    );
    assert!(
        converted
            .notes
            .iter()
            .any(|note| note.to_string().contains("listen.max_frame_bytes: 1_073_741_824 is out"))
    );
}

#[test]
fn one_address_in_several_ways() {
    let check = |text: &str| {
        converted(&[("r.conf", text)], |path| Files { c_relay_conf: path, ..Files::default() });
    };
    check("cluster a forward h:1 h:1 proto udp; match * send to a;");
    check(
        "cluster a forward g:1; cluster b forward h:1 h:1 proto udp; cluster c forward h:1 g:1; match * send to b;",
    );
    check("cluster a forward h:1=x:y; match * send to a;");
    let carbon =
        "[relay]\nRELAY_METHOD = consistent-hashing\nDESTINATION_PROTOCOL = line\nDESTINATIONS = h:1:x:y\n";
    converted(&[("carbon.conf", carbon)], |path| Files { carbon_conf: path, ..Files::default() });
}

#[test]
fn a_server_is_not_taken_for_a_destination_of_its_name() {
    let server = |host: &str| Endpoint::Server(Server::plain(host, 1, None));
    let encrypted = Server { tls: Some(Tls::default()), ..Server::plain("h", 1, None) };
    let cluster = |name: &str, members| Cluster { name: name.to_owned(), share: Share::All, members };
    let routing = Routing {
        destinations: vec![
            Destination { label: "h:1".to_owned(), endpoints: vec![Endpoint::Server(encrypted)] },
            Destination { label: "b".to_owned(), endpoints: vec![server("h"), server("g")] },
        ],
        clusters: vec![cluster("a", vec![0]), cluster("b", vec![1])],
        ..Routing::default()
    };
    let text = of_routing(&routing).unwrap().text;
    assert!(text.contains("destinations = [{ address = \"h:1\" }, \"g:1\"]"), "{text}");
}

#[test]
fn carbon_that_tells_of_itself() {
    let conf = "[relay]\nDESTINATIONS = h:1:a, g:1:b\nRELAY_METHOD = consistent-hashing\nDYNAMIC_ROUTER = yes\n\
                DYNAMIC_ROUTER_MAX_RETRIES = 3\nTCP_KEEPALIVE = no\nQUEUE_LOW_WATERMARK_PCT = 0.5\n";
    let of = |more: &str| {
        let named = |path| Files { carbon_conf: path, carbon_instance: "b".to_owned(), ..Files::default() };
        converted(&[("carbon.conf", &format!("{conf}{more}"))], named)
    };
    let usual = of("");
    has(
        &usual,
        &[
            "self_metrics = \"carbon\"\n",
            "[relay.files]\ncarbon_instance = \"b\"\n",
            "detour_seconds = 3.718",
            "[listen.keepalive]\nidle_seconds = 0\n",
            "[relay.sending.keepalive]\nidle_seconds = 0\n",
            "resume_share = 0.5\n",
        ],
    );
    let told = |converted: &Converted| converted.text.contains("relay.self_metrics: how often");
    assert!(!told(&usual) && told(&of("CARBON_METRIC_INTERVAL = 10\n")));
    has(
        &of("[relay:b]\nDYNAMIC_ROUTER_MAX_RETRIES = 900000\n"),
        &["detour_seconds = 86_400\n", "is out of its range here"],
    );
    assert!(!of("CARBON_METRIC_INTERVAL = 0\n").text.contains("self_metrics ="));
}

#[test]
fn a_carbon_aggregator() {
    let conf = "[aggregator]\nDESTINATIONS = h:1:a, h:2:b\nREPLICATION_FACTOR = 9\nROUTER_HASH_TYPE = fnv1a_ch\nFORWARD_ALL = no\n";
    let files = [
        ("carbon.conf", conf),
        ("aggregation-rules.conf", "<dc>.all (60) = p95 <dc>.*.<<x>>\n"),
        ("rewrite-rules.conf", "[pre]\n^a\\.(b|c)(\\d) = \\2\\g<1>0\\\\x\n[post]\n_x$ =\n"),
    ];
    let named =
        |path| Files { carbon_conf: path, carbon_program: CarbonProgram::Aggregator, ..Files::default() };
    has(
        &converted(&files, named),
        &[
            "kind = \"consistent-hashing\"\n",
            "hash = \"fnv1a\"\n",
            "replication_factor = 2\n",
            "into = '\\2\\g{1}0\\\\x'\n",
            "aggregate = [{ name = '\\1.all', function = \"quantile0.95\" }]\nevery_seconds = 60\n",
            "outputs_at = \"rule-5\"\n",
        ],
    );
}

#[test]
fn carbon_without_anything() {
    let named = |path| Files { carbon_conf: path, ..Files::default() };
    converted(&[("carbon.conf", "[relay]\nRELAY_METHOD = constant\n")], named);
    let pools = "[relay]\nRELAY_METHOD = constant\nDESTINATIONS = h:1:a, g:1, h:1:b\nDESTINATIONS_POOL_REPLICAS = True\n";
    has(&converted(&[("carbon.conf", pools)], named), &["name = \"destinations (2)\"", "kind = \"lb\""]);
    let rings = "[relay]\nDESTINATIONS = h:1:a, g:1:a\nRELAY_METHOD = fast-aggregated-hashing\nDIVERSE_REPLICAS = no\n";
    let files = [("carbon.conf", rings), ("aggregation-rules.conf", "o.<x> 60 = sum i.<x>\n")];
    has(
        &converted(&files, named),
        &["kind = \"fast-hashing\"", "hash_on = \"aggregates\"", "name = 'o.\\1'"],
    );
}

#[test]
fn c_relay() {
    let text = r#"
        listen type linemode 2003 proto udp /run/x.sock proto unix;
        listen type linemode transport gzip 3003 proto tcp;
        cluster one forward 10.0.0.1:2003=a 10.0.0.2 proto udp [::1]:5 transport lz4 ssl;
        cluster any any_of a:1 b:2 c:3;
        cluster fail failover x:1 y:2;
        cluster ring fnv1a_ch replication 2 dynamic 10.0.0.1:2003=a q:1 r:1;
        cluster use forward useall many.example:2003;
        cluster log file /var/log/points;
        match ^a ^b validate ^[0-9] else log send to one stop;
        match * route using \_1.\.0 send to ring any;
        match dead send to blackhole;
        rewrite ^c\.(.+) into \1.\\c;
        aggregate ^s\.([^.]+) every 10 seconds expire after 35 seconds timestamp at start of bucket
            compute percentile95 write to p.\1 compute variance write to v.\1 send to log stop;
        match * send to fail use log stop;
        send statistics to one stop;
    "#;
    let named = |path| Files { c_relay_conf: path, ..Files::default() };
    let converted = converted(&[("relay.conf", text)], named);
    has(
        &converted,
        &[
            "names = \"cleaned\"",
            "dialect = \"posix\"",
            "plaintext_tcp = []",
            "plaintext_unix = [\"/run/x.sock\"]",
            ":3003\", protocol = \"plaintext\", packing = \"gzip\" }]",
            "relay.conf:7: `dynamic` has no effect",
            "{ name = \"10.0.0.1:2003=a\", address = \"10.0.0.1:2003:a\" }",
            "transport = \"udp\"",
            "packing = \"lz4\", tls = {}",
            "kind = \"any_of\"\ndestinations = [\"a:1\", \"b:2\", \"c:3\"]\n",
            "kind = \"failover\"\ndestinations = [\"x:1\", \"y:2\"]\n",
            "kind = \"fnv1a_ch\"\ndestinations = [\"10.0.0.1:2003=a\", \"q:1\", \"r:1\"]\nreplication_factor = 2\n",
            "every_address = true",
            "validate = { regex = \"^[0-9]\" }\nvalidate_log = true\nstop = true\n",
            "discard = \"blackhole\"",
            "whole_name = false",
            "outputs_to = \"log\"",
            "own_metrics_to = [\"one\"]",
        ],
    );
}

#[test]
fn relay_ng() {
    let text = r#"
        listen_addr = "0.0.0.0:2103"
        blocklist = ["prefix bad.", "notRegex ^[a-z]"]
        [[rewriter]]
        old = "/a\\.(b)/"
        new = "$1"
        not = "x"
        max = -1
        [[aggregation]]
        function = "percentiles"
        prefix = "s."
        regex = "^s\\.(.*)"
        format = "p.$1"
        interval = 10
        wait = 25
        [[route]]
        key = "all"
        type = "sendAllMatch"
        destinations = ["h:1 pickle=true", "h:2: prefix=a notSub=b", "h:3 regex=c"]
        [[route]]
        key = "first"
        type = "sendFirstMatch"
        prefix = "z"
        destinations = ["h:3 sub=q notRegex=w", "h:2: prefix=b", "h:4"]
        [[route]]
        key = "ring"
        type = "consistentHashing-v2"
        destinations = ["h:1:x", "g:1"]
    "#;
    let named = |path| Files { relay_ng_conf: path, ..Files::default() };
    has(
        &converted(&[("ng.toml", text)], named),
        &[
            "dialect = \"go\"",
            "plaintext_udp = [\"0.0.0.0:2103\"]",
            "not = true",
            "function = \"percentile95\"",
            "kind = \"ng-consistent-hashing-v2\"",
            "{ name = \"h:2:\", address = \"h:2\" }",
        ],
    );
}

/// A routing with `words` wherever the model has a text.
fn of_words(words: &[String], flags: u8) -> Routing {
    let word = |i: usize| words[i % words.len()].as_str();
    let flag = |bit: u8| flags >> bit & 1 == 1;
    let pattern = |i: usize| {
        let dialect = if flag(0) { Dialect::Go } else { Dialect::Python };
        let pattern = Pattern::new(&format!("({})", regex::escape(word(i))), dialect).unwrap();
        if !flag(1) {
            return pattern;
        }
        let other = if flag(2) { Pattern::everything() } else { pattern.clone() };
        pattern.on_condition(vec![Condition { pattern: other, is_wanted: flag(3) }])
    };
    let server = |i: usize| Server {
        protocol: if flag(0) { Protocol::Pickle } else { Protocol::Plaintext },
        tls: flag(4).then(|| Tls { ca: Some(word(i).into()), identity: None }),
        ..Server::plain(format!("h{i}"), 2003, flag(5).then(|| format!("{}x", word(i))))
    };
    let destination = |i: usize| Destination {
        label: format!("{}{i}", word(i)),
        endpoints: match i {
            3 => vec![Endpoint::File(format!("/{}", word(i)).into())],
            2 => vec![Endpoint::Server(server(i)), Endpoint::Server(server(7))],
            _ => vec![Endpoint::Server(server(i))],
        },
    };
    let ring = Ring {
        kind: if flag(6) { RingKind::CarbonFast(CarbonHash::Md5) } else { RingKind::RelayJump },
        replicas: 2,
        diverse: flag(1),
        key: RingKey::Aggregates(vec![crate::routing::Naming {
            from: pattern(1),
            to: Template::text(word(2)),
        }]),
    };
    let cluster = |i: usize, share, members| Cluster { name: format!("{i}{}", word(i)), share, members };
    let when =
        Matcher { negated: flag(7), without_tags: flag(2), ..Matcher::of(vec![pattern(0), pattern(1)]) };
    let route = Route {
        validate: flag(3).then(|| Validate { pattern: pattern(2), log: flag(4) }),
        key: (!when.negated).then(|| template::read(&format!("{}\\1{}", word(1), word(2)), 1)),
        when: when.clone(),
        to: Target::Clusters(if flag(6) { vec![1, 0] } else { vec![] }),
        stop: flag(0),
    };
    let digits = if flag(4) { Digits::Six } else { Digits::Fewest };
    let (name, function) = (Template::text(word(3)), Function::Quantile(0.25));
    let output = Output { name, is_whole: flag(5), function, digits };
    let then = [Then::FromTop, Then::From(1), Then::From(2), Then::Clusters(vec![1])];
    let then = |i: usize| then[(usize::from(flags) >> i) % 4].clone();
    let aggregation = Aggregation {
        when: Matcher { negated: false, ..when },
        for_each_pattern: flag(7),
        outputs: vec![output.clone(), Output { function: Function::NearestRank(9), ..output }],
        every: 60,
        after: if flag(1) { 61 } else { 60 },
        keep: if flag(2) { 121 } else { 300 },
        stamp: Stamp::End,
        then: then(1),
        stop: flag(4),
    };
    let rewrite =
        Rewrite { from: pattern(3), to: Template::text(word(0)), every: flag(5), without_tags: flag(6) };
    Routing {
        destinations: (0..4).map(destination).collect(),
        clusters: vec![
            cluster(0, Share::Ring(ring), if flag(3) { vec![0, 1] } else { vec![1, 0] }),
            cluster(1, if flag(4) { Share::InTurn } else { Share::All }, vec![2, 3, 0]),
            cluster(2, if flag(5) { Share::AnyOf } else { Share::All }, vec![2]),
        ],
        statements: vec![
            Statement::Route(route),
            Statement::Aggregate(aggregation),
            Statement::Rewrite(rewrite),
        ],
        names: Names::Cleaned { allowed: word(1).to_owned() },
        own: then(3),
    }
}

proptest! {
    #[test]
    fn any_text_may_stand_anywhere(
        words in proptest::collection::vec("([ -~]|[\n\t\u{7f}é\"'\\\\]){1,6}", 1..5),
        flags: u8,
    ) {
        let routing = of_words(&words, flags);
        let converted = of_routing(&routing);
        prop_assert!(converted.is_ok(), "{:?}\n{routing:#?}", converted);
    }
}
