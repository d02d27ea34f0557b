//! The text of a settings file.

use crate::keys::{self, Item, Key, Kind};
use crate::model::Settings;
use crate::model::relay::Relay;
use crate::note::Note;
use crate::relaying::Relaying;
use toml::{Table, Value};

/// Longest line before a list is written with an item a line, characters.
const WIDTH: usize = 100;

/// Sections that are written, in this order; keys that have their defaults are left out.
const SECTIONS: [&str; 6] =
    ["listen", "listen.keepalive", "relay", "relay.files", "relay.sending", "relay.sending.keepalive"];

/// The file: notes, sections, clusters, rules.
pub(super) fn text(relaying: &Relaying, relay: &Relay, notes: &[Note]) -> String {
    let settings = Settings { listen: relaying.listen.clone(), relay: relay.clone(), ..Settings::default() };
    let mut out = String::new();
    for path in &relaying.files {
        comment(&mut out, &format!("Made of {}.", path.display()));
    }
    if !notes.is_empty() {
        comment(&mut out, "");
        comment(&mut out, "What does nothing here, or is not done as it is written there:");
        for note in notes {
            comment(&mut out, &format!("- {note}"));
        }
    }
    let table = keys::table_of(&settings);
    for section in SECTIONS {
        let changed: Vec<(&Key, &Value)> = keys::all()
            .iter()
            .filter(|key| key.parts().0 == section && !has_tables_of_its_own(key))
            .filter_map(|key| Some((key, keys::value_of(&table, key.path)?)))
            .filter(|(key, value)| keys::default_of(key.path).as_ref() != Some(*value))
            .collect();
        if !changed.is_empty() {
            out.push_str(&format!("\n[{section}]\n"));
            for (key, value) in changed {
                line(&mut out, key, value);
            }
        }
    }
    for (path, item) in [("relay.cluster", keys::of_a_cluster()), ("relay.rule", keys::of_a_rule())] {
        let tables = keys::value_of(&table, path).and_then(Value::as_array);
        for table in tables.into_iter().flatten().filter_map(Value::as_table) {
            out.push_str(&format!("\n[[{path}]]\n"));
            for (key, value) in members(item, table) {
                // The usual kind of a cluster.
                if (key.parts().1, value.as_str()) != ("kind", Some("forward")) {
                    line(&mut out, key, value);
                }
            }
        }
    }
    out
}

/// Whether the values of a key are written as tables of their own.
fn has_tables_of_its_own(key: &Key) -> bool {
    matches!(key.path, "relay.cluster" | "relay.rule")
}

/// The keys of a table, in the order of its item.
fn members<'t>(item: &'static Item, table: &'t Table) -> impl Iterator<Item = (&'static Key, &'t Value)> {
    item.keys.iter().filter_map(|key| Some((key, table.get(key.parts().1)?)))
}

fn line(out: &mut String, key: &Key, value: &Value) {
    let name = key.parts().1;
    let whole = literal(key.kind, value);
    match value {
        Value::Array(items) if name.len() + whole.chars().count() > WIDTH => {
            out.push_str(&format!("{name} = [\n"));
            for item in items {
                out.push_str(&format!("  {},\n", literal(key.kind, item)));
            }
            out.push_str("]\n");
        }
        _ => {
            out.push_str(&format!("{name} = {whole}\n"));
        }
    }
}

/// A value on one line, the keys of tables in the order of their items.
fn literal(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::One(item) | Kind::List(item) | Kind::OneOrList(item), Value::Table(table)) => {
            let members: Vec<String> = members(item, table)
                .map(|(key, value)| format!("{} = {}", key.parts().1, literal(key.kind, value)))
                .collect();
            if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
        }
        (_, Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| literal(kind, item)).collect();
            format!("[{}]", items.join(", "))
        }
        _ => keys::literal(value),
    }
}

/// Comment lines; what cannot stand in a comment is left out.
fn comment(out: &mut String, text: &str) {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    out.push_str(&format!("{}\n", format!("# {text}").trim_end()));
}

/// Brings numbers into the range that the settings take.
pub(super) fn into_range(settings: &mut Settings, notes: &mut Vec<Note>) {
    let mut table = keys::table_of(settings);
    let mut changed = false;
    for key in keys::all() {
        let Some(value) = keys::value_of(&table, key.path).cloned() else { continue };
        if key.kind.judge(key, &value).is_ok() {
            continue;
        }
        let fitting = match (key.kind, &value) {
            (Kind::Whole(least, most), Value::Integer(n)) => {
                let n = u64::try_from(*n).unwrap_or_default().clamp(least, most);
                Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
            }
            (Kind::Number(least, most), Value::Float(n)) => Value::Float(n.clamp(least, most)),
            _ => continue,
        };
        let message =
            format!("{} is out of its range here: it is {}", keys::literal(&value), keys::literal(&fitting));
        notes.push(Note::new(None, key.path, message));
        set(&mut table, key.path, fitting);
        changed = true;
    }
    if changed && let Ok(fitting) = Value::Table(table).try_into() {
        *settings = fitting;
    }
}

fn set(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(section) {
                set(inner, rest, value);
            }
        }
    }
}
