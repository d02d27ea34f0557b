//! The file as a document: its tables with the places of keys, and what is found wrong in it.

use super::{Fault, Note};
use crate::nearest;
use std::collections::HashSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// So many notes are kept: more would not be read.
const MOST_NOTES: usize = 1000;

/// A place in the file: line and column, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) line: usize,
    column: usize,
}

/// What is found while reading.
#[derive(Debug)]
pub(super) struct Log<'t> {
    text: &'t str,
    /// Where lines begin.
    lines: Vec<usize>,
    pub(super) faults: Vec<Fault>,
    pub(super) notes: Vec<Note>,
}

impl<'t> Log<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines, faults: Vec::new(), notes: Vec::new() }
    }

    pub(super) fn at(&self, span: &Range<usize>) -> At {
        let line = self.lines.partition_point(|start| *start <= span.start).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let column = self.text.get(start..span.start).map_or(0, |before| before.chars().count()) + 1;
        At { line, column }
    }

    /// Something is wrong.
    pub(super) fn fault(&mut self, at: At, key: impl Into<String>, why: impl Into<String>) {
        self.faults.push(Fault { line: at.line, column: at.column, key: key.into(), why: why.into() });
    }

    /// Something is not as its author may expect; said once a key and message.
    pub(super) fn note(&mut self, at: At, key: impl Into<String>, message: impl Into<String>, advice: &str) {
        let note = Note::new(at.line, &key.into(), message).advise(advice);
        let is_same = |other: &Note| other.key == note.key && other.message == note.message;
        if self.notes.len() < MOST_NOTES && !self.notes.iter().any(is_same) {
            self.notes.push(note);
        }
    }
}

/// The document of a text; `None` if it is not TOML, which is then in the log.
pub(super) fn parse<'t>(text: &'t str, log: &mut Log<'t>) -> Option<Spanned<DeTable<'t>>> {
    match DeTable::parse(text) {
        Ok(table) => Some(table),
        Err(error) => {
            let at = log.at(&error.span().unwrap_or_default());
            log.fault(at, "not TOML", error.message().trim().replace('\n', " "));
            None
        }
    }
}

/// A text or a word with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: At,
}

/// A table while its keys are being taken out.
pub(super) struct Table<'d> {
    name: &'d str,
    at: At,
    entries: Vec<(String, At, &'d Spanned<DeValue<'d>>)>,
    /// All keys that were asked for.
    known: Vec<&'static str>,
}

impl<'d> Table<'d> {
    /// The table of that name; an empty one for the document itself.
    pub(super) fn new(table: &'d DeTable<'d>, name: &'d str, at: At, log: &mut Log<'_>) -> Self {
        let mut entries: Vec<(String, At, &Spanned<DeValue<'_>>)> = Vec::with_capacity(table.len());
        let mut seen = HashSet::with_capacity(table.len());
        for (key, value) in table {
            let (lower, at) = (key.get_ref().to_lowercase(), log.at(&key.span()));
            if !seen.insert(lower.clone()) {
                log.fault(
                    at,
                    key.get_ref().to_string(),
                    "the same key twice, in other letters: leave one out",
                );
            }
            entries.push((lower, at, value));
        }
        Self { name, at, entries, known: Vec::new() }
    }

    /// Where the table begins.
    pub(super) const fn at(&self) -> At {
        self.at
    }

    /// The name of a key with its section.
    pub(super) fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Takes out a key of which the value may be anything.
    pub(super) fn take(&mut self, key: &'static str) -> Option<(At, &'d Spanned<DeValue<'d>>)> {
        self.known.push(key);
        let place = self.entries.iter().position(|(other, ..)| other.eq_ignore_ascii_case(key))?;
        let (_, at, value) = self.entries.swap_remove(place);
        Some((at, value))
    }

    /// Takes out a text.
    pub(super) fn text(&mut self, key: &'static str, log: &mut Log<'_>) -> Option<Word> {
        let (at, value) = self.take(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Word { text: text.to_string(), at }),
            other => self.wrong(at, key, other, "a text in quotes", log),
        }
    }

    /// Takes out true or false.
    pub(super) fn flag(&mut self, key: &'static str, log: &mut Log<'_>) -> Option<(bool, At)> {
        let (at, value) = self.take(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some((*flag, at)),
            other => self.wrong(at, key, other, "true or false", log),
        }
    }

    /// Takes out a whole number.
    pub(super) fn whole(&mut self, key: &'static str, log: &mut Log<'_>) -> Option<(i64, At)> {
        let (at, value) = self.take(key)?;
        let whole = match value.get_ref() {
            DeValue::Integer(whole) => i64::from_str_radix(whole.as_str(), whole.radix()).ok(),
            _ => None,
        };
        match whole {
            Some(whole) => Some((whole, at)),
            None => self.wrong(at, key, value.get_ref(), "a whole number", log),
        }
    }

    /// Takes out a list of texts.
    pub(super) fn texts(&mut self, key: &'static str, log: &mut Log<'_>) -> Vec<Word> {
        let Some((at, value)) = self.take(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong::<()>(at, key, value.get_ref(), "a list of texts", log);
            return Vec::new();
        };
        let mut words = Vec::with_capacity(items.len());
        for item in items {
            let at = log.at(&item.span());
            match item.get_ref() {
                DeValue::String(text) => words.push(Word { text: text.to_string(), at }),
                other => {
                    self.wrong::<()>(at, key, other, "a text in quotes", log);
                }
            }
        }
        words
    }

    /// Takes out a list of tables, as `[[key]]` makes it.
    pub(super) fn tables(&mut self, key: &'static str, log: &mut Log<'_>) -> Vec<(At, &'d DeTable<'d>)> {
        let Some((at, value)) = self.take(key) else { return Vec::new() };
        let wrong = format!("a section of its own for each: `[[{key}]]`");
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong::<()>(at, key, value.get_ref(), &wrong, log);
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for item in items {
            let at = log.at(&item.span());
            match item.get_ref() {
                DeValue::Table(table) => tables.push((at, table)),
                other => {
                    self.wrong::<()>(at, key, other, &wrong, log);
                }
            }
        }
        tables
    }

    fn wrong<T>(&self, at: At, key: &str, found: &DeValue<'_>, right: &str, log: &mut Log<'_>) -> Option<T> {
        let found = found.type_str();
        log.fault(at, self.path(key), format!("found a value of the type {found}, expected {right}"));
        None
    }

    /// Refuses the keys that nobody has asked for.
    pub(super) fn finish(self, log: &mut Log<'_>) {
        for (key, at, _) in &self.entries {
            let why = match nearest::word(key, self.known.iter().copied()) {
                Some(near) => format!("no such key: did you mean `{near}`?"),
                None => "no such key: carbon-relay-ng reads over it, so it can be taken out".to_owned(),
            };
            log.fault(*at, self.path(key), why);
        }
    }
}
