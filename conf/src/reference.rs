//! The two texts that list every key: `conf/skyline.toml` and `docs/settings.md`.
//!
//! Both are written from [`crate::keys`]. The files are committed so that they can be read without
//! building; a test fails when they are stale and rewrites them when `UPDATE=1` is set.

use crate::keys::{self, Item, Key, Kind, Section};
use toml::Value;

/// Longest line of a comment, characters.
const WIDTH: usize = 100;

/// `conf/skyline.toml`: every key with its default, each commented out, so that the file as it is means
/// the same as an empty one.
#[must_use]
pub fn skyline_toml() -> String {
    let mut out = String::new();
    comment(
        &mut out,
        "Settings of Skyline Node. Every key is here with its default, commented out: take the `#` away from a key to change it. Lines that begin with `# ` are text.",
    );
    out.push_str("#\n");
    comment(
        &mut out,
        "A key can also be set by a variable, which wins over the file: SKYLINE__LISTEN__MAX_CONNECTIONS=5, two underscores between the levels, lists with commas.",
    );
    out.push_str("#\n");
    comment(&mut out, "After a change: skyline check --config FILE");
    for section in keys::sections() {
        out.push_str("\n\n");
        comment(&mut out, section.text);
        out.push_str(&format!("[{}]\n", section.name));
        for key in keys_of(section) {
            out.push('\n');
            comment(&mut out, key.text);
            if matches!(key.kind, Kind::Whole(..) | Kind::Number(..)) {
                comment(&mut out, &format!("Unit: {}", values(key)));
            }
            out.push_str(match key.path {
                "relay.destinations" => DESTINATIONS,
                "relay.cluster" => CLUSTERS,
                "relay.rule" => RULES,
                "listen.stream" => STREAMS,
                "alerting.rule" => ALERT_RULES,
                "alerting.webhook" => WEBHOOKS,
                "graphite.server" => GRAPHITE,
                "vista.fetch" => FETCHES,
                _ => "",
            });
            let (value, size) = default_and_size(key);
            let size = size.map_or_else(String::new, |size| format!(" # {size}"));
            out.push_str(&format!("#{} = {value}{size}\n", key.parts().1));
        }
    }
    out
}

const DESTINATIONS: &str = "\
#   destinations = [
#     \"10.0.0.1:2004:pickle\",
#     { address = \"10.0.0.2:2003\", when_behind = \"shed\", mark_points = 100_000 },
#   ]
";

const STREAMS: &str = "\
#   stream = [
#     { address = \"0.0.0.0:2013\", packing = \"gzip\" },
#     { address = \"0.0.0.0:2014\", protocol = \"pickle\", tls = { certificate = \"/etc/skyline/node.pem\" } },
#   ]
";

const FETCHES: &str = "\
#   [[vista.fetch]]
#   name = \"load\"
#   kind = \"prometheus\"
#   url = \"http://prometheus.internal:9090\"
#   target = \"node_load1\"
#   store_as = \"prom.{instance}.load1\"
#   history = [\"15d\"]
";

const GRAPHITE: &str = "\
#   [[graphite.server]]
#   url = \"http://127.0.0.1:8080\"
#   headers = [{ name = \"X-Org-Id\", value = \"1\" }]
";

const CLUSTERS: &str = "\
#   [[relay.cluster]]
#   name = \"carbon\"
#   kind = \"carbon_ch\"
#   replication_factor = 2
#   destinations = [\"10.0.0.1:2003\", \"10.0.0.2:2003\", \"10.0.0.3:2003\"]
";

const RULES: &str = "\
#   [[relay.rule]]
#   match = \"servers.*.cpu.**\"
#   send_to = \"carbon\"
#   stop = true
#
#   [[relay.rule]]
#   rewrite = { regex = '^old\\.(\\w+)' }
#   into = 'new.\\1'
";

const ALERT_RULES: &str = "\
#   [[alerting.rule]]
#   name = \"web\"
#   match = \"stats.web.**\"
#   channel = [\"email\", \"slack\"]
#   severity = \"critical\"
#   active = \"mon-fri 08:00-20:00\"
";

const WEBHOOKS: &str = "\
#   [[alerting.webhook]]
#   name = \"chat\"
#   url = \"https://chat.example.com/hooks/1\"
";

/// `docs/settings.md`: the same as tables.
#[must_use]
pub fn settings_md() -> String {
    let mut out = String::from(
        "# Settings\n\nThis page is written from the program's own table of keys (`UPDATE=1 cargo test -p skyline-conf`).\n\n\
         One TOML file, given by `--config FILE` or the variable `SKYLINE_CONFIG`; without one, every key has its default. \
         [conf/skyline.toml](../conf/skyline.toml) is the same list as a file to start from, and \
         [conf/examples](../conf/examples) has whole files for usual places. \
         `skyline check --config FILE` says what is wrong with a file, all wrong keys and values at once and then what contradicts, and `skyline run` starts with none that has a problem.\n\n\
         A variable wins over the file. Its name is `SKYLINE__`, the section and the key in capitals, with two \
         underscores between the levels: `SKYLINE__RELAY__SENDING__MARK_POINTS=500000`. Its value is written as in the file; \
         quotes may be left out, and a list may be written with commas: `SKYLINE__WINDOW__SKIP=statsd.,carbon.`. \
         Unknown keys are refused, each with the nearest right one.\n\n\
         Numbers may be written with underscores. Where a number may have a fraction, its range says so by the word *number*; all others are whole.\n",
    );
    for section in keys::sections() {
        out.push_str(&format!("\n## `[{}]`\n\n{}\n\n", section.name, section.text));
        table(&mut out, keys_of(section));
        if section.name == "listen" {
            out.push_str(
                "\nEach `[[listen.stream]]` is a stream listener in every detail; its points are counted with the plain listener of the same protocol:\n\n\
                 ```toml\n[[listen.stream]]\naddress = \"0.0.0.0:2013\"\npacking = \"gzip\"\n\n\
                 [[listen.stream]]\naddress = \"0.0.0.0:2014\"\nprotocol = \"pickle\"\n\
                 tls = { certificate = \"/etc/skyline/node.pem\", client_ca = \"/etc/skyline/senders.pem\" }\n```\n\n",
            );
            tables(&mut out, "a stream", keys::of_a_stream());
        }
        if section.name == "graphite" {
            out.push_str("\nKeys of `[[graphite.server]]`:\n\n");
            tables(&mut out, "a Graphite server", keys::of_a_graphite_server());
        }
        if section.name == "vista" {
            out.push_str(
                "\nKeys of `[[vista.fetch]]`; headers are written as those of `[[graphite.server]]`:\n\n",
            );
            tables(&mut out, "a job", keys::of_a_fetch());
        }
        if section.name == "relay" {
            out.push_str(
                "\nA destination is a text, or a table with settings of its own; what it leaves out comes from `[relay.sending]`. \
                 How clusters and rules are written is in [rules.md](rules.md).\n\n\
                 ```toml\n[relay]\ndestinations = [\n  \"10.0.0.1:2004:pickle\",\n  { address = \"10.0.0.2:2003\", when_behind = \"shed\", mark_points = 100_000 },\n]\n```\n\n",
            );
            tables(&mut out, "a destination", keys::of_a_destination());
            out.push_str("\nKeys of `[[relay.cluster]]`:\n\n");
            tables(&mut out, "a cluster", keys::of_a_cluster());
            out.push_str("\nKeys of `[[relay.rule]]`:\n\n");
            tables(&mut out, "a rule", keys::of_a_rule());
        }
        if section.name == "alerting" {
            out.push_str(
                "\nKeys of `[[alerting.rule]]`; [alert-rules.md](alert-rules.md) explains them:\n\n",
            );
            tables(&mut out, "a rule", keys::of_an_alert_rule());
            out.push_str("\nKeys of `[[alerting.webhook]]`:\n\n");
            tables(&mut out, "a webhook", keys::of_a_webhook());
        }
        if section.name == "flux" {
            out.push_str("\nKeys of `flux.api_keys`; [flux.md](flux.md) has an example:\n\n");
            tables(&mut out, "a key", keys::of_a_flux_key());
        }
    }
    out
}

/// The keys of an item, and of what its keys have for values, each once.
fn tables(out: &mut String, what: &str, item: &Item) {
    table(out, item.keys.iter());
    let mut done = vec![item];
    for key in item.keys {
        let (Kind::One(inner) | Kind::List(inner) | Kind::OneOrList(inner)) = key.kind else { continue };
        // What has a table of its own on the page.
        if done.contains(&inner) || inner == keys::of_a_destination() {
            continue;
        }
        done.push(inner);
        out.push_str(&format!("\n`{}` of {what}:\n\n", key.parts().1));
        table(out, inner.keys.iter());
    }
}

fn table<'k>(out: &mut String, keys: impl Iterator<Item = &'k Key>) {
    out.push_str("| key | default | values | what it does |\n|---|---|---|---|\n");
    for key in keys {
        let (value, size) = default_and_size(key);
        let default = match (value.as_str(), size) {
            ("", _) => String::new(),
            (value, Some(size)) => format!("`{value}` ({size})"),
            (value, None) => format!("`{value}`"),
        };
        let (name, values, text) = (key.parts().1, values(key), in_table(key.text));
        out.push_str(&format!(
            "| `{name}` | {default} | {values} | {text} |
"
        ));
    }
}

/// Angle brackets would be taken for HTML, bars for the table's own.
fn in_table(text: &str) -> String {
    text.replace('<', "&lt;").replace('>', "&gt;").replace('|', "\\|")
}

fn keys_of(section: &Section) -> impl Iterator<Item = &'static Key> {
    let name = section.name;
    keys::all().iter().filter(move |key| key.parts().0 == name)
}

fn default_and_size(key: &Key) -> (String, Option<String>) {
    let Some(default) = keys::default_of(key.path) else { return (String::new(), None) };
    let size = match &default {
        Value::Integer(n) if key.unit == "bytes" => keys::round_bytes(*n),
        _ => None,
    };
    (keys::literal(&default), size)
}

/// Kind, range and unit for the table.
fn values(key: &Key) -> String {
    let range = match key.kind {
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Whole(..) => key.kind.expected().replace("a whole number ", "").replace("of ", ""),
        Kind::Number(..) => key.kind.expected().replace("a number ", "number "),
        Kind::Switch => "`true`, `false`".into(),
        Kind::Text => "text".into(),
        Kind::Path => "path".into(),
        Kind::Addresses => "list of addresses".into(),
        Kind::Paths => "list of paths".into(),
        Kind::Texts => "list of texts".into(),
        Kind::Names => "text or list of texts".into(),
        Kind::Address => "address".into(),
        Kind::One(item) if item.or_text => "text or table".into(),
        Kind::One(_) => "table".into(),
        Kind::List(item) if item.or_text => "list of texts or tables".into(),
        Kind::List(_) => "list of tables".into(),
        Kind::OneOrList(_) => "text, table or a list of these".into(),
    };
    if key.unit.is_empty() { range } else { format!("{}, {range}", key.unit) }
}

/// Adds comment lines of at most [`WIDTH`] characters.
fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}
