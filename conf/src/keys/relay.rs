//! The keys of the tables in `[relay]`: destinations, clusters, rules, patterns.

use super::table::{MOST, key};
use super::{Item, Kind};
use Kind::{Choice, List, Names, One, OneOrList, Path, Switch, Text, Whole};

/// Longest time of a bucket, seconds.
const LONG: u64 = u32::MAX as u64;

pub(super) static DESTINATION: Item = Item {
    what: "a destination",
    keys: &[
        key(
            "relay.destinations.name",
            Text,
            "",
            "What clusters call it. Default: its address as it is written, or the path of its file.",
        ),
        key("relay.destinations.address", Text, "", "A server: host:port[:instance][:protocol]."),
        key(
            "relay.destinations.file",
            Path,
            "",
            "In place of address: a file; lines are added to its end. It may be rotated.",
        ),
        key(
            "relay.destinations.protocol",
            Choice(&["plaintext", "pickle", "protobuf"]),
            "",
            "What is sent, in place of a word in address; all that is behind the port there is the instance then.",
        ),
        key(
            "relay.destinations.transport",
            Choice(&["tcp", "udp"]),
            "",
            "How it travels: tcp (default), or udp = datagrams of whole lines.",
        ),
        key(
            "relay.destinations.packing",
            Choice(&["plain", "gzip", "lz4"]),
            "",
            "How the stream is compressed, within TLS. Default: plain.",
        ),
        key(
            "relay.destinations.tls",
            One(&DESTINATION_TLS),
            "",
            "How the stream is encrypted; {} trusts the authorities of the system. Left out: not at all.",
        ),
        key(
            "relay.destinations.every_address",
            Switch,
            "",
            "Whether every address of the host's name is a destination of its own.",
        ),
        key(
            "relay.destinations.stand_ins",
            List(&DESTINATION),
            "",
            "Destinations that stand in while this one cannot be reached, in this order.",
        ),
        key(
            "relay.destinations.when_behind",
            Choice(&["spool", "block", "shed"]),
            "",
            "In place of relay.sending.when_behind.",
        ),
        key(
            "relay.destinations.mark_points",
            Whole(1, MOST),
            "points",
            "In place of relay.sending.mark_points.",
        ),
        key(
            "relay.destinations.catch_up_points_per_second",
            Whole(0, MOST),
            "points a second",
            "In place of relay.sending.catch_up_points_per_second.",
        ),
    ],
    or_text: true,
    example: "\"10.0.0.1:2004:pickle\"",
    missing: |table| {
        let both = table.contains_key("address") == table.contains_key("file");
        both.then_some("either `address` or `file` is needed: the `address` is missing, for example `address = \"10.0.0.1:2003\"`")
    },
};

static DESTINATION_TLS: Item = Item {
    what: "tls",
    keys: &[
        key(
            "relay.destinations.tls.ca",
            Path,
            "",
            "PEM file with the authorities that are trusted. Left out: those of the system.",
        ),
        key(
            "relay.destinations.tls.certificate",
            Path,
            "",
            "PEM file with the certificate chain that is shown to the server (mTLS).",
        ),
        key("relay.destinations.tls.key", Path, "", "PEM file with its private key."),
    ],
    or_text: false,
    example: "{ ca = \"/etc/skyline/ca.pem\" }",
    missing: |table| {
        let one = table.contains_key("certificate") != table.contains_key("key");
        one.then_some("`certificate` and `key` go together: name both or none")
    },
};

pub(super) static CLUSTER: Item = Item {
    what: "a cluster",
    keys: &[
        key("relay.cluster.name", Text, "", "What rules call it."),
        key(
            "relay.cluster.kind",
            Choice(&[
                "forward",
                "any_of",
                "failover",
                "lb",
                "carbon_ch",
                "fnv1a_ch",
                "jump_fnv1a_ch",
                "consistent-hashing",
                "fast-hashing",
                "ng-consistent-hashing",
                "ng-consistent-hashing-v2",
            ]),
            "",
            "How its destinations share points. forward (default) = each gets all; lb = one each, in turn; any_of = one each by a hash of the name, and the others stand in for one that cannot be reached; failover = the first that can be reached gets all. The others are rings of hashes: those of carbon-c-relay (carbon_ch, fnv1a_ch, jump_fnv1a_ch), of carbon (consistent-hashing, fast-hashing) and of carbon-relay-ng (ng-...).",
        ),
        key(
            "relay.cluster.destinations",
            List(&DESTINATION),
            "",
            "Its destinations: each as in relay.destinations, or the name of one that is defined there or in a cluster above.",
        ),
        key(
            "relay.cluster.replication_factor",
            Whole(1, 1_000),
            "destinations",
            "How many destinations a metric goes to, with a ring. Default: 1.",
        ),
        key(
            "relay.cluster.diverse_replicas",
            Switch,
            "",
            "Whether these must be on different hosts. Default: false.",
        ),
        key(
            "relay.cluster.hash",
            Choice(&["md5", "fnv1a", "mmh3"]),
            "",
            "The hash of carbon's rings. Default: md5 for consistent-hashing, mmh3 for fast-hashing.",
        ),
        key(
            "relay.cluster.hash_on",
            Choice(&["name", "without_tags", "aggregates"]),
            "",
            "What a ring hashes: the name (default); the name up to its tags (default of carbon-c-relay's rings); or the names in hash_outputs.",
        ),
        key(
            "relay.cluster.hash_outputs",
            List(&NAMING),
            "",
            "With hash_on = \"aggregates\": for the names of inputs those of their aggregates, so that all inputs of one go to the same place. A name that none is about is hashed itself.",
        ),
        key(
            "relay.cluster.stand_ins",
            Switch,
            "",
            "With any_of: whether the others stand in for one that cannot be reached. Default: true.",
        ),
    ],
    or_text: false,
    example: "{ name = \"carbon\", kind = \"carbon_ch\", destinations = [\"10.0.0.1:2003\", \"10.0.0.2:2003\"] }",
    missing: |table| {
        let needs = [
            ("name", "the `name` is missing, for example `name = \"carbon\"`"),
            (
                "destinations",
                "the `destinations` are missing, for example `destinations = [\"10.0.0.1:2003\"]`",
            ),
        ];
        needs.iter().find(|(name, _)| !table.contains_key(*name)).map(|(_, message)| *message)
    },
};

static NAMING: Item = Item {
    what: "an item of hash_outputs",
    keys: &[
        key("relay.cluster.hash_outputs.match", OneOrList(&PATTERN), "", "Names of inputs."),
        key("relay.cluster.hash_outputs.name", Text, "", "A template of the name of their aggregate."),
    ],
    or_text: false,
    example: "{ match = \"servers.*.cpu\", name = 'all.cpu' }",
    missing: |table| {
        let both = table.contains_key("match") && table.contains_key("name");
        (!both).then_some("`match` and `name` are both needed")
    },
};

pub(super) static RULE: Item = Item {
    what: "a rule",
    keys: &[
        key("relay.rule.name", Text, "", "What others call it: own_metrics_at, outputs_at, messages."),
        key(
            "relay.rule.match",
            OneOrList(&PATTERN),
            "",
            "Names that it is about: a pattern, or a list of which one must match. Default: all names.",
        ),
        key(
            "relay.rule.match_not",
            OneOrList(&PATTERN),
            "",
            "In place of match: it is about all names that none of these match.",
        ),
        key(
            "relay.rule.without_tags",
            Switch,
            "",
            "Whether tags are left out of what is matched (with rewrite: of what is searched, and kept). Default: false.",
        ),
        key("relay.rule.send_to", Names, "", "Clusters that points go to, a name or a list."),
        key(
            "relay.rule.discard",
            Choice(&["blackhole", "blacklisted", "not_whitelisted"]),
            "",
            "In place of send_to: points are refused here, and counted by this reason.",
        ),
        key(
            "relay.rule.hash_key",
            Text,
            "",
            "A template of what takes the place of what the pattern matched, in what rings hash instead of the name.",
        ),
        key(
            "relay.rule.validate",
            One(&PATTERN),
            "",
            "What the text `value timestamp` of a point must look like; others are not sent by this rule, or, with no send_to, dropped.",
        ),
        key(
            "relay.rule.validate_log",
            Switch,
            "",
            "Whether points that fail validate are told in the log. Default: false.",
        ),
        key(
            "relay.rule.rewrite",
            One(&PATTERN),
            "",
            "The rule renames: what is replaced, in all names that have it.",
        ),
        key("relay.rule.into", Text, "", "A template of what takes its place."),
        key(
            "relay.rule.every_match",
            Switch,
            "",
            "Whether every match in a name is replaced, or the first alone. Default: true.",
        ),
        key(
            "relay.rule.aggregate",
            List(&OUTPUT),
            "",
            "The rule aggregates: series that are made of the names that it is about.",
        ),
        key(
            "relay.rule.every_seconds",
            Whole(1, LONG),
            "seconds",
            "Length of a bucket of aggregate, which begins at a multiple of it by the points' own time.",
        ),
        key(
            "relay.rule.after_seconds",
            Whole(0, LONG),
            "seconds",
            "When a bucket is first computed, counted from its begin. Default: every_seconds.",
        ),
        key(
            "relay.rule.keep_seconds",
            Whole(0, LONG),
            "seconds",
            "How long a bucket takes late points and is computed again, counted from its begin. Default: after_seconds and every_seconds together.",
        ),
        key(
            "relay.rule.each_pattern",
            Switch,
            "",
            "With aggregate: whether a name counts once for each pattern that it matches, as in carbon-c-relay. Default: false; with stop always for the first alone.",
        ),
        key(
            "relay.rule.stamp",
            Choice(&["start", "middle", "end"]),
            "",
            "Which moment of a bucket its point bears. Default: start.",
        ),
        key(
            "relay.rule.outputs_at",
            Text,
            "",
            "Where aggregates go on: below = at the next rule (default), top = before the first, nowhere, or the name of a rule.",
        ),
        key(
            "relay.rule.outputs_to",
            Names,
            "",
            "Clusters that aggregates go to, past all rules, in place of outputs_at.",
        ),
        key(
            "relay.rule.stop",
            Switch,
            "",
            "Whether the rules below are not looked at for names that this one is about. Default: false; a rule that discards always stops.",
        ),
    ],
    or_text: false,
    example: "{ match = \"servers.**\", send_to = \"carbon\" }",
    missing: |table| {
        let does = ["send_to", "discard", "validate", "rewrite", "aggregate", "stop"];
        let none = !does.iter().any(|name| table.contains_key(*name));
        none.then_some("it does nothing: give it `send_to`, `discard`, `rewrite` or `aggregate`")
    },
};

static OUTPUT: Item = Item {
    what: "an aggregate",
    keys: &[
        key("relay.rule.aggregate.name", Text, "", "A template of its name."),
        key(
            "relay.rule.aggregate.function",
            Text,
            "",
            "How it is computed: sum, count, min, max, average, last, median, variance, stddev, spread (largest minus smallest), rate (change a second), quantile0.95 (interpolated, as carbon does), percentile95 (nearest rank, as carbon-c-relay does).",
        ),
        key(
            "relay.rule.aggregate.whole_name",
            Switch,
            "",
            "Whether name is the whole name (default), or takes the place of what the pattern matched.",
        ),
        key(
            "relay.rule.aggregate.six_digits",
            Switch,
            "",
            "Whether its values are written with six digits behind the point, as carbon-c-relay does, or in as few as they need (default).",
        ),
    ],
    or_text: false,
    example: "{ name = 'all.\\1', function = \"sum\" }",
    missing: |table| {
        let both = table.contains_key("name") && table.contains_key("function");
        (!both).then_some(
            "`name` and `function` are both needed, for example `name = 'all.\\1', function = \"sum\"`",
        )
    },
};

/// The forms of a pattern; one of them is there.
pub(crate) const FORMS: [&str; 6] = ["exact", "prefix", "suffix", "contains", "glob", "regex"];

static PATTERN: Item = Item {
    what: "a pattern",
    keys: &[
        key("relay.rule.match.exact", Text, "", "The whole name."),
        key("relay.rule.match.prefix", Text, "", "How it begins."),
        key("relay.rule.match.suffix", Text, "", "How it ends."),
        key("relay.rule.match.contains", Text, "", "What stands in it."),
        key("relay.rule.match.glob", Text, "", "A glob of the whole name, as a text alone is."),
        key("relay.rule.match.regex", Text, "", "A regular expression that is searched for."),
        key(
            "relay.rule.match.dialect",
            Choice(&["python", "python_any_case", "posix", "go"]),
            "",
            "Whose regular expression it is, in place of relay.dialect.",
        ),
        key("relay.rule.match.and", List(&PATTERN), "", "Patterns that must match the name too."),
        key("relay.rule.match.not", Switch, "", "Within and: whether the pattern must not match."),
    ],
    or_text: true,
    example: "\"servers.*.cpu.**\"",
    missing: |table| {
        let count = FORMS.iter().filter(|form| table.contains_key(**form)).count();
        (count != 1).then_some("one of `exact`, `prefix`, `suffix`, `contains`, `glob` and `regex` is needed, for example `prefix = \"servers.\"`")
    },
};
