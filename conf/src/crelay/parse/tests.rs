//! Texts that are read, refused, and printed again.

use super::*;
use crate::crelay::syntax::Members;
use proptest::prelude::*;
use std::path::PathBuf;

fn source(text: &str) -> Source {
    Source { path: PathBuf::from("r.conf"), text: text.to_owned() }
}

fn tree(text: &str) -> Tree {
    parse(&source(text)).unwrap_or_else(|fault| panic!("{fault}"))
}

/// Every clause of the grammar.
const EVERYTHING: &str = r#"
# servers
cluster a forward useall graphite 10.0.0.1:2013=x proto udp type linemode [::1]:2003=1 transport gzip ssl;
cluster b any_of h1 h2 proto tcp type syslog transport plain mtls /c.pem "/my key.pem";
cluster c failover h3; cluster d lb h4;
cluster e carbon_ch replication 2 dynamic h5 h6; cluster f fnv1a_ch h5=a; cluster g jump_fnv1a_ch dynamic h5=1;
cluster h file /a "/b c"; cluster i file ip /a;
match * send to a b stop;
match count ^x\ y$ "a b" validate ^[0-9]+\ [0-9]+$ else drop route using \1 send to blackhole;
match "*" "send" validate "x" else log;
rewrite ^a\.(.+)$ into "b;\\1";
aggregate ^a ^b every 10 seconds expire after 35 seconds timestamp at middle of bucket
  compute sum write to a.\1 compute summary write to a compute count write to a compute cnt write to a
  compute max write to a compute maximum write to a compute min write to a compute minimum write to a
  compute average write to a compute avg write to a compute median write to a compute percentile99 write to a
  compute variance write to a compute stddev write to a send to a stop;
aggregate x every 1 seconds expire after 2 seconds compute sum write to y;
statistics; statistics submit every 30 seconds reset counters after interval prefix with x send to a stop;
send statistics to a b stop;
listen type linemode 2003 proto tcp 10.0.0.1:2003 proto udp [::1] proto tcp ::1:5 proto udp /tmp/s proto unix;
listen type linemode transport lz4 mtls /p protomin tls1.2 protomax tls1.3 ciphers "A:B" ciphersuites C 1 proto tcp;
include /etc/relay.d/*.conf;
"#;

#[test]
fn a_tree_is_printed_and_read_again() {
    let tree = tree(EVERYTHING);
    assert_eq!(tree.statements.len(), 21);
    let printed = tree.to_string();
    assert_eq!(self::tree(&printed), tree, "{printed}");
    assert_eq!(self::tree(&printed).to_string(), printed);
}

#[test]
fn printed_form() {
    let check = |text: &str, expected: &str| assert_eq!(tree(text).to_string(), expected);
    check(
        "cluster \"a\" any_of h:2003=1 proto tcp [::1];",
        "cluster a\n    any_of\n        h:2003=1 proto tcp\n        [::1];\n",
    );
    check(
        "match \"a\\\\\" \"b\" \"x y\" send \n to a stop;",
        "match \"a\\\\\" b \"x y\"\n    send to a\n    stop;\n",
    );
    check("statistics reset counters after interval;", "statistics\n    reset counters after interval;\n");
}

#[test]
fn positions_of_nodes() {
    let text = " cluster a\n  forward h;";
    let Statement::Cluster(cluster) = &tree(text).statements[0].value else { panic!("no cluster") };
    let Members::Servers { hosts, .. } = &cluster.members else { panic!("no servers") };
    let places = [tree(text).statements[0].at.0, cluster.name.at.0, hosts[0].at.0];
    assert_eq!(places.map(|at| &text[at..=at]), ["c", "a", "h"]);
}

#[test]
fn faults_name_what_was_expected() {
    let check = |text: &str, expected: &str| {
        let fault = parse(&source(text)).unwrap_err();
        let got = format!("{}:{}: {}", fault.line, fault.column, fault.message);
        assert_eq!(got, expected, "{text}");
    };
    check(
        "cluster a h;",
        "1:11: expected \"forward\", \"any_of\", \"failover\", \"lb\", \"carbon_ch\", \"fnv1a_ch\", \
         \"jump_fnv1a_ch\" or \"file\", found \"h\"",
    );
    check(
        "klaster a forward h;",
        "1:1: expected \"cluster\", \"match\", \"rewrite\", \"aggregate\", \"statistics\", \"send\", \"listen\" or \
         \"include\", found \"klaster\"; did you mean \"cluster\"?",
    );
    check(
        "match * send to a\n\n# end\n",
        "1:18: expected the name of a cluster, \"stop\" or \";\", found the end of the file",
    );
    check("match * send to a stop stop;", "1:24: expected \";\", found \"stop\"");
    check("match a validate b send to c;", "1:20: expected \"else\", found \"send\"");
    check(
        "match a b =;",
        "1:11: expected an expression, \"validate\", \"route\", \"send\", \"stop\" or \";\", found \"=\"",
    );
    check("rewrite a \"into\" b;", "1:11: expected \"into\", found the text \"into\"");
    check("aggregate a every x", "1:19: expected a whole number, found \"x\"");
    check(
        "aggregate a every 99999999999 seconds",
        "1:19: the number 99999999999 is too large: at most 4294967295",
    );
    check(
        "aggregate a every 1 seconds expire after 2 seconds compute percentile100 write to x;",
        "1:60: `percentile100` is not a percentile: write percentile1 to percentile99",
    );
    check("cluster a forward h:70000;", "1:19: `70000` is not a port: write 1 to 65535");
    check(
        "listen type linemode x:1 proto tcp;",
        "1:22: `x` is not an address of this machine: write an IP address or a port",
    );
    check("listen type linemode 0 proto udp;", "1:22: `0` is not a port: write 1 to 65535");
    check("match \"a\n\" send to b;", "1:7: this text does not end: a `\"` is missing on its line");
    check("match é send to b;", "1:7: the character `é` stands in quotes only");
    let parts = "expected \"=\", \"proto\", \"type\", \"transport\", a server (host, or host:port) or \";\"";
    check("cluster a forward h = ;", "1:23: expected an instance, found \";\"");
    check("cluster a forward h !;", "1:21: the character `!` stands in quotes only");
    check(
        "cluster a forward h type linemode proto tcp;",
        "1:35: expected \"transport\", a server (host, or host:port) or \";\", found \"proto\"",
    );
    check("cluster a forward h", &format!("1:20: {parts}, found the end of the file"));
    check(
        "cluster a carbon_ch dynamic replication 2 h;",
        "1:29: expected a server (host, or host:port), found \"replication\"",
    );
}

#[test]
fn much_text_is_read() {
    let text = format!("match {} send to a;", "x ".repeat(50_000));
    assert_eq!(tree(&text).statements.len(), 1);
    assert!(parse(&source(&"cluster ".repeat(50_000))).is_err());
    assert!(parse(&source(&"(".repeat(200_000))).is_err());
}

/// Pieces of which texts are made that come far into the grammar.
fn piece() -> impl Strategy<Value = String> {
    let words: Vec<&str> = EVERYTHING.split_ascii_whitespace().collect();
    prop_oneof![
        9 => proptest::sample::select(words).prop_map(str::to_owned),
        1 => "[ -~\n]{0,4}",
    ]
}

/// A word as anybody may write it: any text without line breaks.
fn word() -> impl Strategy<Value = String> {
    let keywords =
        ["*", "send", "stop", "a\\ b", "x\\", "every", "validate", "blackhole", "proto", "^(a|b)$"];
    prop_oneof![
        proptest::sample::select(keywords.to_vec()).prop_map(str::to_owned),
        "[a-z.*^$\\\\ ]{1,6}",
        "[^\r\n]{1,6}",
    ]
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        if let Err(fault) = parse(&source(&text)) {
            prop_assert!(fault.to_string().contains("r.conf:"));
        }
    }

    #[test]
    fn what_reads_is_printed_alike(pieces in proptest::collection::vec(piece(), 0..30)) {
        if let Ok(tree) = parse(&source(&pieces.join(" "))) {
            let printed = tree.to_string();
            prop_assert_eq!(parse(&source(&printed)), Ok(tree), "{}", printed);
        }
    }

    #[test]
    fn statements_are_printed_alike(
        words in proptest::collection::vec(word(), 12),
        lists in proptest::collection::vec(proptest::collection::vec(word(), 1..4), 3),
        order in proptest::collection::vec(0..EVERYTHING.matches(';').count(), 0..6),
        stop in any::<bool>(),
    ) {
        let word = |i: usize| quoted(&words[i]);
        let list = |i: usize| lists[i].iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let stop = if stop { " stop" } else { "" };
        let whole = tree(EVERYTHING);
        let mut text = String::new();
        for i in &order {
            if let Some(statement) = whole.statements.get(*i) {
                text.push_str(&format!("{};", statement.value));
            }
        }
        text.push_str(&format!(
            "cluster {} forward h={} g transport plain mtls {} {}; cluster {} file {};\
             match {} validate {} else log route using {} send to {}{stop};\
             rewrite {} into {}; statistics prefix with {};\
             aggregate {} every 1 seconds expire after 2 seconds compute sum write to {} send to {}{stop};\
             listen type linemode transport gzip ssl {} ciphers {} {} proto unix 1 proto tcp; include {};",
            word(0), word(1), word(2), word(3), word(4), list(0), list(1), word(5), word(6), list(2),
            word(7), word(8), word(9), list(0), word(10), list(1), word(11), word(0), word(1), word(2),
        ));
        let tree = parse(&source(&text));
        prop_assert!(tree.is_ok(), "{} {:?}", text, tree);
        let printed = tree.clone().unwrap().to_string();
        prop_assert_eq!(parse(&source(&printed)), tree, "{}", printed);
    }
}
