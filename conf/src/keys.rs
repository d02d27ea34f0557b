//! What every key of `skyline.toml` is: its kind, range, unit and a text for people.
//!
//! [`all`] is the one table; loading, checks, `conf/skyline.toml` and `docs/settings.md` are made
//! from it. Defaults are not in it: [`default_of`] asks the types, so the two cannot disagree.

mod judge;
mod relay;
mod table;

pub(crate) use judge::found;
pub use judge::{Fault, Step};

use crate::model::Settings;
use std::fmt;
use toml::{Table, Value};

/// A part of the file, `[name]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Section {
    /// Dotted name: `relay.sending`.
    pub name: &'static str,
    /// What it is for, whole sentences.
    pub text: &'static str,
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Dotted name: `listen.max_connections`.
    pub path: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// Unit of its value; empty: none.
    pub unit: &'static str,
    /// What it does, whole sentences.
    pub text: &'static str,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A number from the first to the second, with or without a fraction.
    Number(f64, f64),
    /// Text.
    Text,
    /// Path of a file or folder.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of IP addresses with ports.
    Addresses,
    /// A list of paths.
    Paths,
    /// A list of texts.
    Texts,
    /// A text or a list of texts.
    Names,
    /// An IP address with a port.
    Address,
    /// A table, or a text in its place where the item may be one.
    One(&'static Item),
    /// A list of these.
    List(&'static Item),
    /// Either.
    OneOrList(&'static Item),
}

/// What a table within a value is.
pub struct Item {
    /// What it is called: `a destination`.
    pub what: &'static str,
    /// Its keys; their paths begin with that of the key that it is a value of.
    pub keys: &'static [Key],
    /// Whether a text may stand in its place.
    pub or_text: bool,
    /// A value.
    pub example: &'static str,
    /// What such a table lacks, if anything.
    missing: fn(&Table) -> Option<&'static str>,
}

impl Item {
    /// What is expected, for people.
    const fn expected(&self) -> &'static str {
        if self.or_text { "a text in quotes or a table" } else { "a table" }
    }
}

impl fmt::Debug for Item {
    /// Its name alone: an item may have itself among its keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what
    }
}

impl Kind {
    /// Whether values may be lists.
    #[must_use]
    pub const fn is_list(self) -> bool {
        use Kind::{Addresses, List, Names, OneOrList, Paths, Texts};
        matches!(self, Addresses | Paths | Texts | Names | List(_) | OneOrList(_))
    }
}

impl Key {
    /// The section and the name within it.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &'static str) {
        self.path.rsplit_once('.').unwrap_or(("", self.path))
    }

    /// The variable that sets it from the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", crate::load::PREFIX, self.path.replace('.', "__").to_uppercase())
    }
}

/// All keys, in the order of the file.
#[must_use]
pub fn all() -> &'static [Key] {
    &table::KEYS
}

/// A table of `relay.destinations`.
#[must_use]
pub const fn of_a_destination() -> &'static Item {
    &relay::DESTINATION
}

/// A table of `[[relay.cluster]]`.
#[must_use]
pub const fn of_a_cluster() -> &'static Item {
    &relay::CLUSTER
}

/// A table of `[[relay.rule]]`.
#[must_use]
pub const fn of_a_rule() -> &'static Item {
    &relay::RULE
}

/// A table of `[[graphite.server]]`.
#[must_use]
pub const fn of_a_graphite_server() -> &'static Item {
    &table::SERVER
}

/// A table of `[[vista.fetch]]`.
#[must_use]
pub const fn of_a_fetch() -> &'static Item {
    &table::FETCH
}

/// A table of `[[listen.stream]]`.
#[must_use]
pub const fn of_a_stream() -> &'static Item {
    &table::STREAM
}

/// A table of `[[alerting.rule]]`.
#[must_use]
pub const fn of_an_alert_rule() -> &'static Item {
    &table::RULE
}

/// A table of `flux.api_keys`.
#[must_use]
pub const fn of_a_flux_key() -> &'static Item {
    &table::KEY
}

/// A table of `[[alerting.webhook]]`.
#[must_use]
pub const fn of_a_webhook() -> &'static Item {
    &table::WEBHOOK
}

/// All sections, in the order of the file.
#[must_use]
pub const fn sections() -> &'static [Section] {
    table::SECTIONS
}

/// The key with that dotted name.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    all().iter().find(|key| key.path == path)
}

/// The default of a key as a TOML value; `None` for a name that is no key.
#[must_use]
pub fn default_of(path: &str) -> Option<Value> {
    value_of(&table_of(&Settings::default()), path).cloned()
}

/// The keys in which two settings differ, in the order of the file.
#[must_use]
pub fn changed(before: &Settings, after: &Settings) -> Vec<&'static str> {
    let (before, after) = (table_of(before), table_of(after));
    let differs = |key: &&Key| value_of(&before, key.path) != value_of(&after, key.path);
    all().iter().filter(differs).map(|key| key.path).collect()
}

/// Settings as a TOML table.
pub(crate) fn table_of(settings: &Settings) -> Table {
    // Settings are maps, lists, texts and numbers; the one thing that TOML cannot write is a number
    // beyond i64, and then an empty table makes callers see no value at all.
    Table::try_from(settings).unwrap_or_default()
}

/// The value at a dotted name.
pub(crate) fn value_of<'t>(table: &'t Table, path: &str) -> Option<&'t Value> {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let value = table.get(first)?;
    match rest {
        None => Some(value),
        Some(rest) => value_of(value.as_table()?, rest),
    }
}

/// A value as it is written in the file, long numbers in groups of three: `8_589_934_592`.
#[must_use]
pub fn literal(value: &Value) -> String {
    match value {
        Value::Integer(n) => grouped(*n, '_'),
        Value::Float(n) if n.fract() == 0.0 && n.abs() < 1e15 => grouped(*n as i64, '_'),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// A number in groups of three digits.
pub(crate) fn grouped(n: i64, separator: char) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::from(if n < 0 { "-" } else { "" });
    let short = digits.len() <= 4;
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && !short {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

/// `8 GiB` for a number of bytes that is a round one.
#[must_use]
pub(crate) fn round_bytes(n: i64) -> Option<String> {
    [("GiB", 30), ("MiB", 20), ("KiB", 10)].into_iter().find_map(|(unit, shift)| {
        let size = 1_i64 << shift;
        (n >= size && n % size == 0).then(|| format!("{} {unit}", n / size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::listen::{Packing, Protocol, Stream, Tls};
    use crate::model::relay::cluster::{ClusterTable, HashOn, NamingTable, RingHash};
    use crate::model::relay::destination::{DestinationTls, Transport};
    use crate::model::relay::rule::{
        DialectWord, Names, OutputTable, PatternEntry, PatternTable, Patterns, Reason, RuleTable, StampWord,
    };
    use crate::model::relay::{DestinationTable, WhenBehind};

    /// Dotted names of all values in a table.
    fn leaves(table: &Table, prefix: &str, out: &mut Vec<String>) {
        for (name, value) in table {
            let path = format!("{prefix}{name}");
            match value {
                Value::Table(inner) => leaves(inner, &format!("{path}."), out),
                _ => out.push(path),
            }
        }
    }

    #[test]
    fn the_table_has_every_key_once_and_no_other() {
        let mut expected = Vec::new();
        leaves(&table_of(&Settings::default()), "", &mut expected);
        assert!(expected.len() > 50, "{}", expected.len());
        let mut found: Vec<String> = all().iter().map(|key| key.path.to_owned()).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    /// What a table is written with has every key of its item and no other.
    #[track_caller]
    fn same_keys(item: &Item, written: &impl serde::Serialize) {
        let written = Table::try_from(written).unwrap();
        let mut expected: Vec<&str> = written.keys().map(String::as_str).collect();
        let mut found: Vec<&str> = item.keys.iter().map(|key| key.parts().1).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{}", item.what);
        for key in item.keys {
            assert!(key.text.len() > 10 && key.text.ends_with('.'), "text of {}", key.path);
        }
    }

    /// The item of the tables that a key has for values.
    fn item_of(item: &Item, name: &str) -> &'static Item {
        match item.keys.iter().find(|key| key.parts().1 == name).unwrap().kind {
            Kind::One(item) | Kind::List(item) | Kind::OneOrList(item) => item,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tables_of_alerting_have_every_key() {
        use crate::model::alerting::rule::{MatchKind, Rule, Severity};
        let text = || Some("x".to_owned());
        let names = || Some(Names::One("x".to_owned()));
        let rule = Rule {
            name: text(),
            patterns: names(),
            match_not: names(),
            match_kind: Some(MatchKind::Glob),
            channel: names(),
            recipients: names(),
            repeat_seconds: Some(1),
            severity: Some(Severity::Info),
            minimum_seconds: Some(1),
            active: text(),
            zone: text(),
            recovery: Some(true),
            escalate_after_seconds: Some(1),
            escalate_to: names(),
            second_order_hours: Some(1),
            stop: Some(true),
            line: Some(1),
        };
        same_keys(of_an_alert_rule(), &rule);
        same_keys(of_a_webhook(), &crate::model::alerting::webhook::Webhook::default());
        same_keys(of_a_flux_key(), &crate::model::flux::ApiKey::default());
    }

    #[test]
    fn tables_within_values_have_every_key() {
        let (path, text) = (|| Some(std::path::PathBuf::from("/p")), || Some("x".to_owned()));
        let tls = Tls { key: path(), client_ca: path(), ..Tls::default() };
        same_keys(item_of(of_a_stream(), "tls"), &tls);
        let address = "127.0.0.1:1".parse().ok();
        same_keys(of_a_stream(), &Stream { address, unix: path(), tls: Some(tls), ..Stream::default() });
        let server = crate::model::graphite::Server::default();
        same_keys(of_a_graphite_server(), &server);
        let header = crate::model::graphite::Header::default();
        same_keys(item_of(of_a_graphite_server(), "headers"), &header);
        let tls = DestinationTls { ca: path(), certificate: path(), key: path() };
        same_keys(item_of(of_a_destination(), "tls"), &tls);
        let destination = DestinationTable {
            name: text(),
            address: text(),
            file: path(),
            protocol: Some(Protocol::Pickle),
            transport: Some(Transport::Udp),
            packing: Some(Packing::Gzip),
            tls: Some(tls),
            every_address: Some(true),
            stand_ins: Some(vec![]),
            when_behind: Some(WhenBehind::Shed),
            mark_points: Some(1),
            catch_up_points_per_second: Some(1),
        };
        same_keys(of_a_destination(), &destination);
        let pattern = PatternTable {
            exact: text(),
            prefix: text(),
            suffix: text(),
            contains: text(),
            glob: text(),
            regex: text(),
            dialect: Some(DialectWord::Go),
            and: Some(vec![]),
            not: Some(true),
        };
        same_keys(item_of(of_a_rule(), "match"), &pattern);
        let naming = NamingTable::default();
        same_keys(item_of(of_a_cluster(), "hash_outputs"), &naming);
        let cluster = ClusterTable {
            hash: Some(RingHash::Md5),
            replication_factor: Some(1),
            diverse_replicas: Some(true),
            hash_on: Some(HashOn::Name),
            hash_outputs: Some(vec![naming]),
            stand_ins: Some(true),
            line: Some(1),
            ..ClusterTable::default()
        };
        same_keys(of_a_cluster(), &cluster);
        let output = OutputTable { whole_name: Some(true), six_digits: Some(true), ..OutputTable::default() };
        same_keys(item_of(of_a_rule(), "aggregate"), &output);
        let one = || Some(PatternEntry::Glob("*".to_owned()));
        let names = || Some(Names::One("x".to_owned()));
        let rule = RuleTable {
            name: text(),
            when: one().map(Patterns::One),
            match_not: one().map(Patterns::One),
            without_tags: Some(true),
            send_to: names(),
            discard: Some(Reason::Blackhole),
            hash_key: text(),
            validate: one(),
            validate_log: Some(true),
            rewrite: one(),
            into: text(),
            every_match: Some(true),
            aggregate: Some(vec![output]),
            every_seconds: Some(1),
            after_seconds: Some(1),
            keep_seconds: Some(1),
            each_pattern: Some(true),
            stamp: Some(StampWord::End),
            outputs_at: text(),
            outputs_to: names(),
            stop: Some(true),
            line: Some(1),
        };
        same_keys(of_a_rule(), &rule);
    }

    #[test]
    fn every_key_has_a_section_a_text_and_a_good_default() {
        for key in all() {
            let (section, name) = key.parts();
            assert!(sections().iter().any(|s| s.name == section), "{section} of {}", key.path);
            assert!(key.text.len() > 15 && key.text.ends_with('.'), "text of {}", key.path);
            let default = default_of(key.path).unwrap();
            assert!(key.kind.judge(key, &default).is_ok(), "default of {}: {default}", key.path);
            if name.ends_with("_seconds") {
                assert_eq!(key.unit, "seconds", "{name}");
            }
            if name.ends_with("_bytes") {
                assert_eq!(key.unit, "bytes", "{name}");
            }
        }
        assert!(sections().iter().all(|s| s.text.ends_with('.')));
    }

    #[test]
    fn values_are_written_for_people() {
        let check = |value: Value, expected: &str| assert_eq!(literal(&value), expected);
        check(Value::Integer(0), "0");
        check(Value::Integer(1024), "1024");
        check(Value::Integer(-16_384), "-16_384");
        check(Value::Integer(8_589_934_592), "8_589_934_592");
        check(Value::Float(600.0), "600");
        check(Value::Float(0.2), "0.2");
        check(Value::Boolean(true), "true");
        check(Value::String("a\"b".into()), "'a\"b'");
        check(Value::Array(vec![]), "[]");
        check(Value::Array(vec![Value::String("a".into()), Value::Integer(1)]), "[\"a\", 1]");
        assert_eq!(round_bytes(8 << 30).unwrap(), "8 GiB");
        assert_eq!(round_bytes(3 << 19).unwrap(), "1536 KiB");
        assert_eq!(round_bytes(1000), None);
    }

    #[test]
    fn variables() {
        let variable = |path| find(path).unwrap().variable();
        assert_eq!(variable("listen.max_connections"), "SKYLINE__LISTEN__MAX_CONNECTIONS");
        assert_eq!(variable("relay.sending.mark_points"), "SKYLINE__RELAY__SENDING__MARK_POINTS");
    }
}
