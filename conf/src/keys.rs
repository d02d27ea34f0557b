//! What every key of `skyline.toml` is: its kind, range, unit and a text for people.
//!
//! [`all`] is the one table; loading, checks, `conf/skyline.toml` and `docs/settings.md` are made
//! from it. Defaults are not in it: [`default_of`] asks the types, so the two cannot disagree.

mod judge;
mod table;

pub use judge::Fault;
pub(crate) use judge::found;

use crate::model::Settings;
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
    /// A list of destinations, each a text or a table of [`of_a_destination`].
    Destinations,
    /// An IP address with a port.
    Address,
    /// A list of tables of [`of_a_stream`].
    Streams,
    /// A table of these keys, within an item of a list.
    Table(&'static [Key]),
}

impl Kind {
    /// Whether values are lists.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(self, Self::Addresses | Self::Paths | Self::Texts | Self::Destinations | Self::Streams)
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
pub const fn all() -> &'static [Key] {
    table::KEYS
}

/// The keys of a destination that is written as a table; their paths begin with `relay.destinations.`.
#[must_use]
pub const fn of_a_destination() -> &'static [Key] {
    table::DESTINATION
}

/// The keys of a table of `[[listen.stream]]`.
#[must_use]
pub const fn of_a_stream() -> &'static [Key] {
    table::STREAM
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
    use crate::model::listen::{Stream, Tls};
    use crate::model::relay::{DestinationEntry, DestinationTable, WhenBehind};

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
        let mut settings = Settings::default();
        let own = DestinationTable {
            address: "h:1".into(),
            when_behind: Some(WhenBehind::Shed),
            mark_points: Some(1),
            catch_up_points_per_second: Some(1),
        };
        settings.relay.destinations = vec![DestinationEntry::Table(own)];
        let table = table_of(&settings);
        let written = value_of(&table, "relay.destinations").unwrap().as_array().unwrap();
        let mut expected: Vec<String> =
            written[0].as_table().unwrap().keys().map(|name| format!("relay.destinations.{name}")).collect();
        let mut found: Vec<String> = of_a_destination().iter().map(|key| key.path.to_owned()).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_tables_of_a_stream_have_every_key() {
        let path = || Some(std::path::PathBuf::from("/p"));
        let tls = Tls { key: path(), client_ca: path(), ..Tls::default() };
        let address = "127.0.0.1:1".parse().ok();
        let stream = Stream { address, unix: path(), tls: Some(tls), ..Stream::default() };
        let mut written = Vec::new();
        leaves(&Table::try_from(&stream).unwrap(), "listen.stream.", &mut written);
        let mut found = Vec::new();
        for key in of_a_stream() {
            match key.kind {
                Kind::Table(keys) => found.extend(keys.iter().map(|key| key.path.to_owned())),
                _ => found.push(key.path.to_owned()),
            }
        }
        written.sort();
        found.sort();
        assert_eq!(found, written);
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
