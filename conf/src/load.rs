//! Reading the settings: a file, and the environment over it.
//!
//! The environment sets a key by a variable such as `SKYLINE__LISTEN__MAX_CONNECTIONS=5`: sections and key
//! in capitals, two underscores between them. Its value is written as in the file; quotes may be left
//! out, and a list may be written with commas: `SKYLINE__WINDOW__SKIP=a,b`. An empty value is an empty
//! text or an empty list.
//!
//! Everything that is wrong is said at once, each with its place and the nearest right key.

mod document;
mod environment;
mod error;

pub use error::{Error, Place, Problem};

use crate::bounded;
use crate::check::Finding;
use crate::model::Settings;
use std::path::Path;
use toml::{Table, Value};

/// Beginning of a variable that sets a key.
pub const PREFIX: &str = "SKYLINE__";

/// Settings that were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings, each value right by itself; [`crate::check::check`] looks at them together.
    pub settings: Settings,
    /// What is odd but does no harm, whole sentences.
    pub warnings: Vec<String>,
    /// The keys that were set, each with the place that decided, in no particular order.
    pub given: Vec<Given>,
}

/// A key that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Dotted name.
    pub key: &'static str,
    /// Where.
    pub place: Place,
    /// Of a list of tables, or of tables and texts, in a file: where each begins.
    pub items: Vec<Place>,
}

impl Loaded {
    /// Where a key was set; none: it has its default.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Option<&Place> {
        self.given(key).map(|given| &given.place)
    }

    /// Where that is which a finding is about: the item of a list where that is known, else the key; none: it has its
    /// default.
    #[must_use]
    pub fn place_of_finding(&self, finding: &Finding) -> Option<&Place> {
        let item = finding.item.and_then(|item| self.given(finding.key)?.items.get(item));
        item.or_else(|| self.place_of(finding.key))
    }

    /// A finding with its place, for who reads it alone.
    #[must_use]
    pub fn told(&self, finding: &Finding) -> String {
        match self.place_of_finding(finding) {
            Some(place) => format!("{finding} ({place})"),
            None => finding.to_string(),
        }
    }

    fn given(&self, key: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.key == key)
    }
}

/// What is gathered while reading.
#[derive(Debug, Default)]
struct Gathered {
    values: Table,
    given: Vec<Given>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Gathered {
    /// Sets a value; the last one counts.
    fn set(&mut self, key: &'static str, value: Value, place: Place) {
        self.set_list(key, value, place, Vec::new());
    }

    /// The same of a list of tables, each with its place.
    fn set_list(&mut self, key: &'static str, value: Value, place: Place, items: Vec<Place>) {
        insert(&mut self.values, key, value);
        self.given.retain(|given| given.key != key);
        self.given.push(Given { key, place, items });
    }
}

fn insert(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// Reads the file (none: all defaults) and then the environment, given as names and values.
///
/// # Errors
/// [`Error::Unreadable`] for the file, [`Error::Settings`] with everything that is wrong in it and in the
/// environment.
pub fn load(path: Option<&Path>, env: &[(String, String)]) -> Result<Loaded, Error> {
    let mut gathered = Gathered::default();
    if let Some(path) = path {
        let bytes = bounded::bytes(path).map_err(|source| Error::unreadable(path, source))?;
        match String::from_utf8(bytes) {
            Ok(text) => document::read(&text, path, &mut gathered),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                gathered.problems.push(document::not_utf8(error.as_bytes(), valid, path));
            }
        }
    }
    environment::read(env, &mut gathered);
    loaded(gathered)
}

/// Reads the text of a file, without the environment; `path` is for messages.
///
/// # Errors
/// [`Error::Settings`] with everything that is wrong in it.
pub fn text(text: &str, path: &Path) -> Result<Loaded, Error> {
    let mut gathered = Gathered::default();
    document::read(text, path, &mut gathered);
    loaded(gathered)
}

fn loaded(gathered: Gathered) -> Result<Loaded, Error> {
    let Gathered { values, given, mut problems, warnings } = gathered;
    if problems.is_empty() {
        match Value::Table(values).try_into() {
            Ok(settings) => return Ok(Loaded { settings, warnings, given }),
            // What `keys` lets through the types take; this is here in case they ever disagree.
            Err(error) => problems.push(Problem::of_types(&error)),
        }
    }
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    Err(Error::Settings { problems })
}

#[cfg(test)]
mod tests;
