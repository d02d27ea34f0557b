//! Sections, each read whole.

use super::*;
use crate::load::load;
use crate::model::relay::{DestinationEntry, Method};
use crate::routing::walk::Act;
use crate::routing::{Aggregation, Endpoint, Function, RingKind, Share, Stamp};

/// Compiles the text of a settings file.
fn compiled(text: &str) -> Result<Native, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("skyline.toml");
    std::fs::write(&file, text).unwrap();
    let settings = load(Some(&file), &[]).map_err(|error| error.to_string())?.settings;
    read(&settings.relay).map_err(|error| error.to_string())
}

/// What happens to a name, one word for each act.
fn told(native: &Native, from: usize, name: &str) -> String {
    let routing = &native.routing;
    let labels = |clusters: &[usize]| {
        let names: Vec<_> = clusters.iter().map(|at| routing.clusters[*at].name.as_str()).collect();
        format!("[{}]", names.join(","))
    };
    let told = |act: Act<'_>| match act {
        Act::Route { route, key, .. } => match &route.to {
            Target::Discard(why) => format!("{why:?}"),
            Target::Clusters(clusters) => {
                labels(clusters) + &key.map(|key| format!("#{key}")).unwrap_or_default()
            }
        },
        Act::Renamed { name, .. } => format!(">{name}"),
        Act::Input { outputs, .. } => format!("+{}", outputs.join(",")),
    };
    routing.walk(from, name).into_iter().map(told).collect::<Vec<_>>().join(" ")
}

/// What is wrong with a section, in words that contain all of `expected`.
#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let error = compiled(text).unwrap_err();
    for expected in expected {
        assert!(error.contains(expected), "{expected}\nis not in\n{error}");
    }
}

fn relay(method: Method, destinations: &[&str]) -> Relay {
    let destinations = destinations.iter().map(|text| DestinationEntry::Address((*text).to_owned()));
    Relay { method, destinations: destinations.collect(), ..Relay::default() }
}

#[test]
fn without_rules_the_section_is_one_cluster() {
    let routing = routing(&relay(Method::Constant, &["a:1", "b:2:x:pickle"])).unwrap();
    assert_eq!(routing.destinations.len(), 2);
    assert_eq!(routing.clusters[0].members, [0, 1]);
    assert_eq!(routing.walk(0, "any").len(), 1);
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    let check = |method, destinations: &[&str], expected: &str| {
        let error = routing(&relay(method, destinations)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(Method::ConsistentHashing, &["h:1", "h:2"], "`h:2`");
    check(Method::ConsistentHashing, &["h:1:a", "h:2:a"], "`h:2:a`");
    check(Method::Constant, &["h:1", "h:1:pickle"], "twice");
    check(Method::Constant, &["h"], "port");
    assert!(routing(&relay(Method::Constant, &["h:1", "h:2"])).is_ok());
    assert!(routing(&relay(Method::ConsistentHashing, &["h:1:a", "h:2:b"])).is_ok());
}

const CLUSTERS: &str = "
[relay]
destinations = ['h:1', { name = 'west', address = 'w:1', tls = { ca = '/ca.pem' }, packing = 'gzip', mark_points = 5 }]
[[relay.cluster]]
name = 'all'
destinations = ['west', 'h:2:a:pickle']
[[relay.cluster]]
name = 'ring'
kind = 'carbon_ch'
replication_factor = 2
destinations = ['h:2:a:pickle', 'h:1', 'h:3']
[[relay.cluster]]
name = 'any'
kind = 'any_of'
destinations = ['x:1', { address = 'x:2', transport = 'udp' }]
[[relay.cluster]]
name = 'first'
kind = 'failover'
destinations = ['y:1', 'y:2']
[[relay.cluster]]
name = 'archive'
kind = 'lb'
destinations = [{ file = '/var/points' }, { address = 'z:1:pickle', protocol = 'plaintext', stand_ins = ['west', 'z:2'] }]
";

#[test]
fn clusters_share_destinations() {
    let native = compiled(CLUSTERS).unwrap();
    let routing = &native.routing;
    let labels: Vec<_> = routing.destinations.iter().map(|d| d.label.as_str()).collect();
    assert_eq!(
        labels,
        ["h:1", "west", "h:2:a:pickle", "h:3", "any/x:1", "any/x:2", "first", "/var/points", "z:1:pickle"]
    );
    let members: Vec<_> = routing.clusters.iter().map(|cluster| cluster.members.as_slice()).collect();
    assert_eq!(members, [&[1, 2][..], &[2, 0, 3], &[4, 5], &[6], &[7, 8], &[0, 1]]);
    let endpoints: Vec<_> = routing.destinations.iter().map(|d| d.endpoints.len()).collect();
    assert_eq!(endpoints, [1, 1, 1, 1, 2, 2, 2, 1, 3]);
    assert_eq!((native.sending[1].mark_points, native.sending[0].mark_points), (5, 1_000_000));
    let Share::Ring(ring) = &routing.clusters[1].share else { panic!("no ring") };
    assert_eq!((ring.kind, ring.replicas), (RingKind::RelayCarbon, 2));
    assert_eq!([&routing.clusters[2].share, &routing.clusters[4].share], [&Share::AnyOf, &Share::InTurn]);
    let [Endpoint::Server(last), ..] = routing.destinations[8].endpoints.as_slice() else {
        panic!("no server")
    };
    assert_eq!(last.instance.as_deref(), Some("pickle"));
    // None of the clusters is sent to: the implicit rule is about relay.destinations.
    assert_eq!(native.notes.len(), 5);
    assert!(native.notes[0].to_string().contains("relay.cluster `all` (line 4): no rule sends anything"));
}

#[test]
fn servers_that_stand_in_may_be_called_by_name() {
    let text = |kind: &str| {
        format!(
            "[relay]\ndestinations = [{{ name = 'west', address = 'w:1', tls = {{}}, mark_points = 5 }}, 'e:1']\n\
             [[relay.cluster]]\nname = 'c'\nkind = '{kind}'\ndestinations = ['west', 'e:1', 'x:1']\n"
        )
    };
    let check = |kind: &str, labels: &[&str]| {
        let native = compiled(&text(kind)).unwrap();
        let made = native.routing.destinations.get(2..).unwrap();
        assert_eq!(made.iter().map(|one| one.label.as_str()).collect::<Vec<_>>(), labels);
        assert_eq!(made[0].endpoints[0], native.routing.destinations[0].endpoints[0], "it is encrypted");
        assert_eq!((made[0].endpoints.len(), native.sending[2].mark_points), (3, 5));
    };
    check("any_of", &["c/w:1", "c/e:1", "c/x:1"]);
    check("failover", &["c"]);
}

#[test]
fn instances_of_one_address_may_stand_in() {
    let text = "[[relay.cluster]]\nname = 'c'\nkind = 'any_of'\ndestinations = ['h:1:a', 'h:1:b', 'g:1:a']\n";
    let labels: Vec<String> =
        compiled(text).unwrap().routing.destinations.into_iter().map(|one| one.label).collect();
    assert_eq!(labels, ["c/h:1:a", "c/h:1:b", "c/g:1"]);
}

#[test]
fn own_metrics_go_one_way() {
    let cluster = "[[relay.cluster]]\nname = 'c'\ndestinations = ['h:1']\n";
    let check = |keys: &str| compiled(&format!("[relay]\nown_metrics_to = ['c']\n{keys}\n{cluster}"));
    assert_eq!(check("").unwrap().routing.own, Then::Clusters(vec![0]));
    assert!(check("own_metrics_at = 'nowhere'").unwrap_err().contains("remove one of the two"));
}

#[test]
fn what_nothing_is_sent_to_is_told() {
    let notes = |text: &str| -> Vec<String> {
        compiled(text).unwrap().notes.iter().map(ToString::to_string).collect()
    };
    let list = "[relay]\ndestinations = ['h:1']\n";
    let rule = "[[relay.rule]]\nsend_to = 'c'\n[[relay.cluster]]\nname = 'c'\n";
    let told = notes(&format!("{list}{rule}destinations = ['g:1']"));
    assert!(matches!(told.as_slice(), [one] if one.contains("nothing is sent to `h:1`")), "{told:?}");
    assert_eq!(notes(&format!("{list}{rule}destinations = ['g:1', 'h:1']")), Vec::<String>::new());
    assert_eq!(notes(list), Vec::<String>::new());
    let all =
        format!("{list}[[relay.cluster]]\nname = 'destinations'\nkind = 'lb'\ndestinations = ['h:1', 'g:1']");
    assert_eq!(notes(&all), Vec::<String>::new());
}

#[test]
fn rules_are_walked_from_top_to_bottom() {
    let rules = r#"
        [[relay.rule]]
        match = ["*.tmp.**", { regex = '^CRON', dialect = "python_any_case" }]
        discard = "blacklisted"
        [[relay.rule]]
        match_not = ["a.**", "a-", "ab.**"]
        discard = "not_whitelisted"
        [[relay.rule]]
        rewrite = { prefix = "ab.", and = [{ suffix = ".no", not = true }] }
        into = "a."
        [[relay.rule]]
        name = "sums"
        match = "a.*.cpu.**"
        aggregate = [
          { name = 'all.cpu.\2', function = "sum" },
          { name = 'all.cpu95.\2', function = "quantile0.95" },
        ]
        every_seconds = 60
        [[relay.rule]]
        match = { regex = '^a\.(\w+)' }
        hash_key = '\_1'
        send_to = ["ring", "all"]
        stop = true
        [[relay.rule]]
        name = "rest"
        send_to = "destinations"
    "#;
    let native = compiled(&format!("{CLUSTERS}{rules}")).unwrap();
    let check = |name: &str, expected: &str| assert_eq!(told(&native, 0, name), expected, "{name}");
    check("a.tmp.x", "Blacklisted");
    check("cron.x", "Blacklisted");
    check("b.x", "NotWhitelisted");
    check("ab.X.cpu.0", ">a.X.cpu.0 +all.cpu.0,all.cpu95.0 [ring,all]#x.cpu.0");
    check("ab.no", "[destinations]");
    check("a-", "[destinations]");
    let Statement::Aggregate(Aggregation { every, after, keep, stamp, then, outputs, .. }) =
        &native.routing.statements[3]
    else {
        panic!("no aggregation")
    };
    assert_eq!((*every, *after, *keep, *stamp), (60, 60, 120, Stamp::Start));
    assert_eq!((then, outputs[1].function), (&Then::From(4), Function::Quantile(0.95)));
}

#[test]
fn where_points_go_on_that_the_node_makes() {
    let of = |keys: &str| {
        let text = format!(
            "relay.own_metrics_at = 'last'\n[[relay.cluster]]\nname = 'c'\ndestinations = ['h:1']\n\
             [[relay.rule]]\naggregate = [{{ name = 'x', function = 'max' }}]\nevery_seconds = 5\n{keys}\n\
             [[relay.rule]]\nname = 'last'\nsend_to = 'c'\n"
        );
        let native = compiled(&text).unwrap();
        assert_eq!(native.routing.own, Then::From(1));
        let Statement::Aggregate(aggregation) = &native.routing.statements[0] else { panic!("none") };
        aggregation.then.clone()
    };
    assert_eq!(of(""), Then::From(1));
    assert_eq!(of("outputs_at = 'below'"), Then::From(1));
    assert_eq!(of("outputs_at = 'top'"), Then::FromTop);
    assert_eq!(of("outputs_at = 'last'"), Then::From(1));
    assert_eq!(of("outputs_at = 'nowhere'"), Then::Clusters(Vec::new()));
    assert_eq!(of("outputs_to = 'c'"), Then::Clusters(vec![0]));
}

#[test]
fn names_are_cleaned() {
    let names = |text: &str| compiled(text).unwrap().routing.names;
    assert_eq!(names("relay.names = 'tags_normalized'"), Names::TagsNormalized);
    let cleaned = names("relay.names = 'cleaned'\nrelay.allowed_characters = '-'");
    assert_eq!(cleaned, Names::Cleaned { allowed: "-".to_owned() });
}

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let text = "[[relay.cluster]]\nname = 'carbon'\ndestinations = ['h']\n\n\
                [[relay.rule]]\nmatch = { regex = '(' }\nsend_to = 'carbn'\n\n\
                [[relay.rule]]\nname = 'sums'\naggregate = [{ name = '\\1', function = 'summ' }]\n";
    refused(
        text,
        &[
            "6 problems in [relay]",
            "relay.cluster `carbon` (line 1): destinations: `h`: the port is missing; write host:port",
            "relay.rule 1 (line 5): match: expression `(`: unclosed group",
            "relay.rule 1 (line 5): send_to: there is no cluster `carbn`; did you mean `carbon`?",
            "relay.rule `sums` (line 9): `every_seconds` is missing",
            "relay.rule `sums` (line 9): aggregate: there is no function `summ`; did you mean `sum`?",
        ],
    );
}

#[test]
fn rules_that_are_refused() {
    let check = |rule: &str, expected: &str| {
        refused(
            &format!("[[relay.rule]]\n{rule}\n[[relay.cluster]]\nname = 'c'\ndestinations = ['h:1']"),
            &[expected],
        );
    };
    check("match = 'a'", "it does nothing: give it `send_to`");
    check("send_too = 'c'", "did you mean `send_to`?");
    check("send_to = 'c'\ndiscard = 'blackhole'", "both there");
    check("discard = 'blackhol'", "did you mean \"blackhole\"?");
    check("discard = 'blackhole'\nstop = false", "stop: what is discarded");
    check("send_to = 'c'\nmatch = 'a'\nmatch_not = 'b'", "both there");
    check("send_to = 'c'\nmatch = '^a'", "match: `^a`: this is a glob");
    check(
        "send_to = 'c'\nmatch = { regexp = 'a' }",
        "unknown key `relay.rule.match.regexp` at line 3, column 11",
    );
    check("send_to = 'c'\nmatch = { prefix = 'a', suffix = 'b' }", "one of `exact`");
    check("send_to = 'c'\nmatch = { prefix = 'a', not = true }", "`not` has a meaning within `and` only");
    check(
        "send_to = 'c'\nmatch = { prefix = 'a', dialect = 'go' }",
        "`dialect` has a meaning with `regex` only",
    );
    check("send_to = 'c'\nmatch = { regex = '(?=a)', dialect = 'go' }", "look-around");
    check("send_to = 'c'\nmatch = [1]", "item 1 of the list is 1");
    check("send_to = 'c'\nhash_key = '\\1'", "names group 1, and the pattern has no groups");
    check("send_to = 'c'\nhash_key = 'x'\nmatch_not = 'a'", "no pattern that a name matched");
    check("send_to = 'c'\nvalidate_log = true", "there is no `validate`");
    check("send_to = 'c'\neach_pattern = true", "each_pattern: it has no part in a rule that sends");
    check("send_to = 'c'\ninto = 'x'", "into: it has no part in a rule that sends");
    check("rewrite = 'a.*'", "`into` is missing");
    check("rewrite = 'a.*'\ninto = '\\2'", "names group 2, and the pattern has 1");
    check("rewrite = 'a.*'\ninto = 'b'\nmatch = 'x'", "as `and` in the pattern of rewrite");
    check("aggregate = []\nevery_seconds = 5", "the list is empty");
    check("aggregate = [{ name = 'x' }]\nevery_seconds = 5", "`name` and `function` are both needed");
    check("aggregate = [{ name = 'x', function = 'sum' }]\nevery_seconds = 0", "from 1 to");
    check("aggregate = [{ name = 'x', function = 'sum' }]\nevery_seconds = 9\nkeep_seconds = 8", "less than");
    check(
        "aggregate = [{ name = 'x', function = 'sum' }]\nevery_seconds = 9\noutputs_at = 'y'",
        "no rule `y`",
    );
    check(
        "aggregate = [{ name = 'x', function = 'sum' }]\nevery_seconds = 9\noutputs_at = 'belo'",
        "did you mean `below`?",
    );
    check("stop = true\nname = 'top'", "`top` is a word for a place");
    check("stop = true\nname = 'a'\n[[relay.rule]]\nstop = true\nname = 'a'", "rule 1 has this name too");
    check("stop = true\nline = 5", "unknown key `relay.rule.line`");
}

#[test]
fn clusters_that_are_refused() {
    let check =
        |cluster: &str, expected: &str| refused(&format!("[[relay.cluster]]\n{cluster}"), &[expected]);
    let of = |keys: &str| format!("name = 'c'\n{keys}");
    check("destinations = ['h:1']", "the `name` is missing");
    check("name = 'c'", "the `destinations` are missing");
    check("name = ''\ndestinations = ['h:1']", "its `name` is empty");
    check(&of("destinations = []"), "it has no destinations");
    check(&of("destinations = ['h:1', 'h:1']"), "there twice");
    check(&of("destinations = ['h:1', 'h:1:pickle']"), "the same place as `h:1`");
    check(&of("kind = 'carbon-ch'\ndestinations = ['h:1']"), "did you mean \"carbon_ch\"?");
    check(&of("kind = 'consistent-hashing'\ndestinations = ['h:1', 'h:2']"), "equal host and instance");
    check(&of("kind = 'fnv1a_ch'\nreplication_factor = 2\ndestinations = ['h:1']"), "more than it has");
    check(&of("replication_factor = 2\ndestinations = ['h:1']"), "a meaning with a ring only");
    check(
        &of("kind = 'carbon_ch'\nhash = 'md5'\ndestinations = ['h:1']"),
        "a meaning with consistent-hashing",
    );
    check(&of("destinations = [{ name = 'x' }]"), "either `address` or `file`");
    check(&of("destinations = [{ address = 'h:1', tls = { key = '/k' } }]"), "go together");
    check(&of("destinations = [{ address = 'h:1', transport = 'udp', packing = 'gzip' }]"), "datagrams");
    check(&of("destinations = ['h:1', { file = '/x', name = 'h:1' }]"), "another destination is called");
    check(&of("kind = 'failover'\ndestinations = [{ file = '/x' }]"), "are servers");
    let named = "name = 'x'\ndestinations = [{ name = 'c', address = 'h:1' }]\n[[relay.cluster]]";
    let failover = of("kind = 'failover'\ndestinations = ['g:1', 'i:1']");
    check(&format!("{named}\n{failover}"), "give the cluster another name");
    check(&of("destinations = [{ file = '/x', protocol = 'pickle' }]"), "protocol: a file takes plain lines");
    check(
        &of("destinations = [{ address = 'h:1', stand_ins = [{ address = 'g:1', mark_points = 5 }] }]"),
        "stand_ins: mark_points: what stands in",
    );
    check(
        &of("kind = 'failover'\ndestinations = ['h:1', { address = 'g:1', mark_points = 5 }]"),
        "what stands in",
    );
    let twice = "name = 'c'\ndestinations = ['h:1']\n[[relay.cluster]]\nname = 'c'\ndestinations = ['h:2']";
    check(twice, "is defined above");
}
