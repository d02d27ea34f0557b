//! The file: every key that it sets, with its place.

use super::{Gathered, Place, Problem};
use crate::keys::{self, Fault, Key, Kind, Step};
use crate::nearest;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// A file that is being read.
struct Document<'d> {
    text: &'d str,
    path: &'d Path,
    /// Where its lines end, so that nobody counts them for each place.
    ends: Vec<usize>,
    /// Lines that are not TOML: what was made of them is not looked at.
    broken: Vec<usize>,
}

/// Reads a file's text.
pub(super) fn read(text: &str, path: &Path, gathered: &mut Gathered) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut document = Document { text, path, ends: ends(text), broken: Vec::new() };
    for error in errors {
        let place = document.place(&error.span().unwrap_or_default());
        if let Place::File { line, .. } = place {
            // One line often breaks more than one rule; the first says it.
            if document.broken.contains(&line) {
                continue;
            }
            document.broken.push(line);
        }
        gathered.problems.push(Problem {
            fault: "not TOML",
            key: String::new(),
            place,
            message: error.message().to_owned(),
        });
    }
    document.walk(table.get_ref(), "", gathered);
}

/// A file that is not UTF-8 from byte `valid` on.
pub(super) fn not_utf8(bytes: &[u8], valid: usize, path: &Path) -> Problem {
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let place = place_in(&before, &ends(&before), before.len(), path);
    let message = "a byte that is not UTF-8; save the file in UTF-8".to_owned();
    Problem { fault: "not text", key: String::new(), place, message }
}

/// Bytes at which lines end.
fn ends(text: &str) -> Vec<usize> {
    text.match_indices('\n').map(|(at, _)| at).collect()
}

/// The place of the byte `at` of a text whose lines end at `ends`.
fn place_in(text: &str, ends: &[usize], at: usize, path: &Path) -> Place {
    let before = ends.partition_point(|end| *end < at);
    let begin = before.checked_sub(1).and_then(|line| ends.get(line)).map_or(0, |end| end + 1);
    let column = text.get(begin..at).map_or(0, |before| before.chars().count()) + 1;
    Place::File { path: path.to_owned(), line: before + 1, column }
}

impl Document<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        place_in(self.text, &self.ends, span.start, self.path)
    }

    fn is_broken(&self, span: &Range<usize>) -> bool {
        matches!(self.place(span), Place::File { line, .. } if self.broken.contains(&line))
    }

    fn walk(&self, table: &DeTable<'_>, prefix: &str, gathered: &mut Gathered) {
        for (name, value) in table {
            let path = format!("{prefix}{}", name.get_ref());
            if self.is_broken(&name.span()) {
                continue;
            }
            if let Some(key) = keys::find(&path) {
                self.take(key, name.span(), value, gathered);
                continue;
            }
            let known = keys::sections().iter().any(|section| section.name == path);
            match (value.get_ref(), known) {
                (DeValue::Table(inner), true) => self.walk(inner, &format!("{path}."), gathered),
                (other, true) => {
                    let found = keys::found(&plain(other));
                    let message = format!("found {found}, expected a section: `[{path}]` and its keys below");
                    let place = self.place(&name.span());
                    gathered.problems.push(Problem { fault: "wrong value for", key: path, place, message });
                }
                (_, false) => gathered.problems.push(self.unknown(path, &name.span(), value)),
            }
        }
    }

    /// Where each item of a list begins.
    fn items(&self, value: &Spanned<DeValue<'_>>) -> Vec<Place> {
        let DeValue::Array(items) = value.get_ref() else { return Vec::new() };
        items.iter().map(|item| self.place(&item.span())).collect()
    }

    fn unknown(&self, path: String, span: &Range<usize>, value: &Spanned<DeValue<'_>>) -> Problem {
        let is_table = matches!(value.get_ref(), DeValue::Table(_));
        let (fault, message) = match (is_table, nearest::key(&path), nearest::section(&path)) {
            (true, _, Some(near)) => ("unknown section", format!("did you mean `[{near}]`?")),
            (true, None, None) => ("unknown section", sections()),
            (_, Some(near), _) => ("unknown key", format!("did you mean `{near}`?")),
            (false, None, _) => {
                let (section, name) = path.rsplit_once('.').unwrap_or(("", &path));
                let message = match list_with(section, name) {
                    Some(list) => format!("it belongs into a table of `[[{list}]]`"),
                    None => keys_of(section),
                };
                ("unknown key", message)
            }
        };
        Problem { fault, key: path, place: self.place(span), message }
    }

    fn take(
        &self,
        key: &'static Key,
        name: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        gathered: &mut Gathered,
    ) {
        match key.kind.judge(key, &plain(value.get_ref())) {
            Ok(mut good) => {
                let items = if matches!(key.kind, Kind::List(_)) { self.items(value) } else { Vec::new() };
                if matches!(key.path, "relay.cluster" | "relay.rule" | "alerting.rule") {
                    add_lines(&items, &mut good);
                }
                gathered.set_list(key.path, good, self.place(&name), items);
            }
            Err(faults) => {
                for fault in faults {
                    let span = span_of(value, &fault.path);
                    if !self.is_broken(&span) {
                        gathered.problems.push(of_fault(key, &fault, self.place(&span)));
                    }
                }
            }
        }
    }
}

/// Tells each table of a list in which line it stands, for messages about it.
fn add_lines(items: &[Place], good: &mut Value) {
    let Value::Array(tables) = good else { return };
    for (item, table) in items.iter().zip(tables) {
        if let (Value::Table(table), Place::File { line, .. }) = (table, item) {
            table.insert("line".to_owned(), Value::Integer(i64::try_from(*line).unwrap_or(i64::MAX)));
        }
    }
}

/// The problem that a fault in the value of a key is.
pub(super) fn of_fault(key: &Key, fault: &Fault, place: Place) -> Problem {
    let names = fault.path.iter().filter_map(|step| match step {
        Step::Key(name) => Some(format!(".{name}")),
        Step::Item(_) => None,
    });
    let name = std::iter::once(key.path.to_owned()).chain(names).collect();
    let kind = if fault.is_unknown { "unknown key" } else { "wrong value for" };
    Problem { fault: kind, key: name, place, message: fault.message.clone() }
}

/// Where in a value a fault is: the last key on its path, or the value that the path leads to.
fn span_of(value: &Spanned<DeValue<'_>>, path: &[Step]) -> Range<usize> {
    let Some((step, rest)) = path.split_first() else { return value.span() };
    match (step, value.get_ref()) {
        (Step::Item(i), DeValue::Array(items)) => {
            items.get(*i).map_or_else(|| value.span(), |item| span_of(item, rest))
        }
        (Step::Key(name), DeValue::Table(table)) => {
            match table.iter().find(|(key, _)| key.get_ref() == name) {
                Some((key, _)) if rest.is_empty() => key.span(),
                Some((_, inner)) => span_of(inner, rest),
                None => value.span(),
            }
        }
        _ => value.span(),
    }
}

pub(super) fn sections() -> String {
    let names: Vec<&str> = keys::sections().iter().map(|section| section.name).collect();
    format!("the sections are {}", names.join(", "))
}

/// The list of the section whose tables have a key of that name.
fn list_with(section: &str, name: &str) -> Option<&'static str> {
    let has = |key: &&Key| match key.kind {
        Kind::List(item) => key.parts().0 == section && item.keys.iter().any(|key| key.parts().1 == name),
        _ => false,
    };
    // Rules have the most keys, and come last.
    keys::all().iter().rev().find(has).map(|key| key.path)
}

pub(super) fn keys_of(section: &str) -> String {
    let names: Vec<&str> =
        keys::all().iter().map(Key::parts).filter(|(s, _)| *s == section).map(|(_, n)| n).collect();
    if names.is_empty() { sections() } else { format!("[{section}] has {}", names.join(", ")) }
}

/// The value without its places. A whole number that does not fit becomes one with a fraction, which no key takes
/// in its place.
fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Value::Integer(n),
            Err(_) => Value::Float(n.as_str().parse().unwrap_or(f64::INFINITY)),
        },
        DeValue::Float(n) => Value::Float(n.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Datetime(at) => Value::Datetime(*at),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| plain(item.get_ref())).collect()),
        DeValue::Table(table) => {
            let entries =
                table.iter().map(|(name, value)| (name.get_ref().to_string(), plain(value.get_ref())));
            Value::Table(entries.collect::<Table>())
        }
    }
}
