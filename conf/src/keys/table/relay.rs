//! The keys of `[relay]`: where points are forwarded to.

use super::{DAY, GIB, MOST, key};
use crate::keys::relay::{CLUSTER, DESTINATION, RULE};
use crate::keys::{Key, Kind};
use Kind::{Choice, List, Number, Path, Switch, Text, Texts, Whole};

pub(super) const KEYS: &[Key] = &[
    key(
        "relay.method",
        Choice(&["constant", "consistent-hashing"]),
        "",
        "How destinations are chosen for a metric: constant = every point to every destination; consistent-hashing = carbon's hash ring (carbon_ch) on the name.",
    ),
    key(
        "relay.replication_factor",
        Whole(1, 1_000),
        "destinations",
        "How many destinations a metric goes to, with consistent-hashing.",
    ),
    key(
        "relay.diverse_replicas",
        Switch,
        "",
        "Whether these must be on different hosts, with consistent-hashing.",
    ),
    key(
        "relay.destinations",
        List(&DESTINATION),
        "",
        "The destinations, each host:port[:instance][:protocol] with protocol plaintext (default), pickle or protobuf, or a table with settings of its own.",
    ),
    key(
        "relay.names",
        Choice(&["as_received", "tags_normalized", "cleaned"]),
        "",
        "How names are treated before the first rule: tags_normalized = their tags in normal form, as carbon's TAG_RELAY_NORMALIZED; cleaned = as carbon-c-relay does: one dot for many, none at the ends, and _ for every character but ASCII letters, digits, dots and allowed_characters.",
    ),
    key(
        "relay.allowed_characters",
        Text,
        "",
        "With names = \"cleaned\": what is allowed besides ASCII letters, digits and dots.",
    ),
    key(
        "relay.dialect",
        Choice(&["python", "python_any_case", "posix", "go"]),
        "",
        "Whose regular expressions regex in a pattern is, unless the pattern has a dialect of its own.",
    ),
    key(
        "relay.cluster",
        List(&CLUSTER),
        "",
        "Destinations that share points, each a table with a name. relay.destinations are one more, called destinations, which shares by method.",
    ),
    key(
        "relay.rule",
        List(&RULE),
        "",
        "What happens to a name, from the first rule to the last: each is a table that sends it to clusters, discards, renames or aggregates it. None: all names go to relay.destinations.",
    ),
    key(
        "relay.own_metrics_at",
        Text,
        "",
        "Where the node's own metrics enter: top = before the first rule, nowhere, or the name of a rule.",
    ),
    key(
        "relay.own_metrics_to",
        Texts,
        "",
        "Clusters that the node's own metrics go to, past all rules, in place of own_metrics_at.",
    ),
    key(
        "relay.detour_seconds",
        Number(0.0, 86_400.0),
        "seconds",
        "A member of a ring (or of those that share points otherwise) that is down for so long has new points of its names go to the others until it is back; what was routed to it before waits for it. 0: they wait too. carbon.conf's DYNAMIC_ROUTER counts instead, if it is on.",
    ),
    key(
        "relay.self_metrics",
        Choice(&["auto", "none", "carbon", "carbon_c_relay"]),
        "",
        "Under whose names the relay tells of itself, besides node.self_metrics_seconds: carbon = carbon.relays.<host>-<instance>.*; carbon_c_relay = carbon.relays.<host>.*; auto = those of the program whose file relay.files names, at the interval of that file; none = nobody's.",
    ),
    key(
        "relay.deduplicate_seconds",
        Whole(0, 86_400),
        "seconds",
        "A point is refused as a duplicate if another sender (another IP address) brought the same name, time and value less than so long ago: for two feeds that bring the same. What one sender repeats goes on. 0: nothing is looked at.",
    ),
    key(
        "relay.deduplicate_points",
        Whole(1_000, 100_000_000),
        "points",
        "Newest points that are remembered for that, at most: those of deduplicate_seconds, or duplicates go on. About 50 bytes of memory each.",
    ),
    key(
        "relay.reload_on_change",
        Switch,
        "",
        "Read this file and the files of relay.files again when they have changed, as SIGHUP does. A file with a fault changes nothing.",
    ),
    key(
        "relay.files.carbon_conf",
        Path,
        "",
        "carbon's carbon.conf. relay-rules.conf, rewrite-rules.conf, aggregation-rules.conf, blacklist.conf and whitelist.conf are read from its folder. Its listeners count instead of those of [listen]. Empty: none.",
    ),
    key(
        "relay.files.carbon_program",
        Choice(&["relay", "aggregator"]),
        "",
        "Which sections of carbon.conf are read: relay = [relay], aggregator = [aggregator].",
    ),
    key(
        "relay.files.carbon_instance",
        Text,
        "",
        "Instance of carbon's --instance: the section [relay:INSTANCE] goes over [relay].",
    ),
    key(
        "relay.files.c_relay_conf",
        Path,
        "",
        "A file in carbon-c-relay's language. Its listen statements, if it has any, count instead of [listen]. Empty: none.",
    ),
    key(
        "relay.files.c_relay_ca",
        Path,
        "",
        "carbon-c-relay's -C: a PEM file, or a folder of them, of the authorities that servers are checked with, and clients of listeners with mtls. A certificate that is in it itself is trusted. Empty: servers with those of the system (or of the variable SSL_CERT_FILE), clients with the file that the listener names.",
    ),
    key(
        "relay.files.c_relay_characters",
        Text,
        "",
        "carbon-c-relay's -c: the characters of names besides letters, digits and dots. Others become _.",
    ),
    key("relay.files.relay_ng_conf", Path, "", "carbon-relay-ng's TOML. Empty: none."),
    key(
        "relay.sending.when_behind",
        Choice(&["spool", "block", "shed"]),
        "",
        "While a destination is further behind than its mark: spool = its points stay in the journal; block = listeners pause until it is below resume_share of the mark; shed = it skips its oldest points, counted.",
    ),
    key(
        "relay.sending.mark_points",
        Whole(1, MOST),
        "points",
        "How far behind a destination may be before when_behind applies.",
    ),
    key(
        "relay.sending.resume_share",
        Number(0.0, 1.0),
        "",
        "With when_behind = \"block\": share of the mark below which listeners go on.",
    ),
    key(
        "relay.sending.catch_up_points_per_second",
        Whole(0, MOST),
        "points a second",
        "Most that is sent while catching up from the journal's files. 0: no limit.",
    ),
    key(
        "relay.sending.resend_bytes",
        Whole(0, GIB),
        "bytes",
        "How far back the sender goes at most after a connection that the other side has ended or that broke, and after a crash of the node: what the socket buffers of both sides can hold, and what a carbon that is restarted has read and not yet written. Carbon overwrites equal points, so a second copy does no harm and a hole would. At most an eighth of journal.max_bytes counts.",
    ),
    key("relay.sending.points_per_frame", Whole(1, 100_000), "points", "Points in a pickle frame."),
    key("relay.sending.connect_seconds", Number(0.1, 600.0), "seconds", "Time for a connection attempt."),
    key(
        "relay.sending.stall_seconds",
        Number(0.1, DAY),
        "seconds",
        "An open connection on which nothing moves for so long is given up.",
    ),
    key(
        "relay.sending.retry_min_seconds",
        Number(0.01, 3_600.0),
        "seconds",
        "First pause between attempts. It doubles up to retry_max_seconds, with jitter.",
    ),
    key(
        "relay.sending.retry_max_seconds",
        Number(0.01, 3_600.0),
        "seconds",
        "Longest pause between attempts.",
    ),
    key(
        "relay.sending.keepalive.idle_seconds",
        Whole(0, 32_767),
        "seconds",
        "A TCP connection to a destination on which nothing moves for so long is probed. 0: it is not.",
    ),
    key("relay.sending.keepalive.interval_seconds", Whole(1, 32_767), "seconds", "Time between probes."),
    key(
        "relay.sending.keepalive.probes",
        Whole(1, 127),
        "probes",
        "The connection is given up when so many in a row are not answered.",
    ),
];
