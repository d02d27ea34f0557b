//! Reading the settings: a file, then the environment over it. All problems are reported at once, each with its
//! key, its place and the nearest right key.
//!
//! Environment: `SKYLINE__LISTEN__MAX_CONNECTIONS=5` sets `listen.max_connections`; two underscores part the
//! levels. The value is read as TOML, else as text; a list may be written with commas.

use crate::model::Settings;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Beginning of a variable that sets a key.
const PREFIX: &str = "SKYLINE__";

/// Settings that were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What is odd but does no harm.
    pub warnings: Vec<String>,
}

/// Settings that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("settings file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("settings file {path} is not TOML: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        message: String,
    },
    /// Keys are unknown or have wrong values.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Keys(Vec<Problem>),
}

/// One key that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: a file with line and column, or a variable.
    pub place: String,
    /// Dotted key.
    pub key: String,
    /// What is wrong and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`: {}", self.place, self.key, self.what)
    }
}

/// Reads the file (none: defaults) and the environment.
///
/// # Errors
/// See [`Error`].
pub fn load(path: Option<&Path>, environment: &[(String, String)]) -> Result<Loaded, Error> {
    let (mut merged, mut problems) = (Table::new(), Vec::new());
    let known = known();
    if let Some(path) = path {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let syntax = |e: toml::de::Error| Error::Syntax { path: path.to_owned(), message: e.to_string() };
        let spanned = DeTable::parse(&text).map_err(syntax)?;
        let values: Table = toml::from_str(&text).map_err(syntax)?;
        let mut places = Vec::new();
        leaves(spanned.get_ref(), "", &mut places);
        for (key, start) in places {
            let place = format!("{}:{}", path.display(), line_and_column(&text, start));
            take(&key, look_up(&values, &key), &place, &known, &mut merged, &mut problems);
        }
    }
    for (name, text) in environment.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        let key = name.trim_start_matches(PREFIX).to_lowercase().replace("__", ".");
        let value = from_variable(&key, text, &known);
        take(&key, Some(value), name, &known, &mut merged, &mut problems);
    }
    if !problems.is_empty() {
        return Err(Error::Keys(problems));
    }
    let settings: Settings = Value::Table(merged).try_into().map_err(|e: toml::de::Error| {
        Error::Keys(vec![Problem { place: "settings".into(), key: "?".into(), what: e.message().to_owned() }])
    })?;
    Ok(Loaded { settings, warnings: Vec::new() })
}

/// Every key with its default, dotted.
#[must_use]
pub fn known() -> Vec<(String, Value)> {
    let mut out = Vec::new();
    if let Ok(Value::Table(table)) = Value::try_from(Settings::default()) {
        flatten(&table, "", &mut out);
    }
    out
}

fn flatten(table: &Table, prefix: &str, out: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => flatten(inner, &format!("{key}."), out),
            other => out.push((key, other.clone())),
        }
    }
}

/// Keys of a document that hold no table, each with the byte at which it stands.
fn leaves(table: &DeTable<'_>, prefix: &str, out: &mut Vec<(String, usize)>) {
    for (key, value) in table {
        let dotted = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => leaves(inner, &format!("{dotted}."), out),
            _ => out.push((dotted, key.span().start)),
        }
    }
}

fn look_up(table: &Table, key: &str) -> Option<Value> {
    let mut parts = key.split('.');
    let mut value = table.get(parts.next()?)?;
    for part in parts {
        value = value.get(part)?;
    }
    Some(value.clone())
}

fn line_and_column(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    format!("{line}:{column}")
}

fn from_variable(key: &str, text: &str, known: &[(String, Value)]) -> Value {
    let wants_list = known.iter().any(|(k, v)| k == key && v.is_array());
    let parsed = toml::from_str::<Table>(&format!("v = {text}")).ok().and_then(|mut t| t.remove("v"));
    match parsed {
        Some(value) if !wants_list || value.is_array() => value,
        _ if wants_list => {
            Value::Array(text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| Value::String(s.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    }
}

/// Takes one key if it exists and its value alone makes good settings.
fn take(
    key: &str,
    value: Option<Value>,
    place: &str,
    known: &[(String, Value)],
    merged: &mut Table,
    problems: &mut Vec<Problem>,
) {
    let mut wrong = |what: String| problems.push(Problem { place: place.to_owned(), key: key.to_owned(), what });
    let Some((_, default)) = known.iter().find(|(k, _)| k == key) else {
        let nearest = known.iter().map(|(k, _)| (strsim::jaro_winkler(k, key), k)).max_by(|a, b| a.0.total_cmp(&b.0));
        return wrong(match nearest {
            Some((likeness, nearest)) if likeness > 0.7 => format!("no such key; did you mean `{nearest}`?"),
            _ => "no such key; conf/skyline.toml lists all".to_owned(),
        });
    };
    let Some(value) = value else { return };
    let value = match (&value, default) {
        // A whole number is fine where a fraction may stand.
        (Value::Integer(n), Value::Float(_)) => Value::Float(*n as f64),
        _ => value,
    };
    let mut alone = Table::new();
    insert(&mut alone, key, value.clone());
    match Value::Table(alone).try_into::<Settings>() {
        Ok(_) => insert(merged, key, value),
        Err(error) => wrong(format!("{}; the default is {default}", error.message())),
    }
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((section, rest)) => {
            let inner = table.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let environment: Vec<_> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        load(Some(file.path()), &environment).map(|l| l.settings).map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_means_defaults() {
        assert_eq!(load(None, &[]).unwrap().settings, Settings::default());
        assert_eq!(load_text("", &[]).unwrap(), Settings::default());
    }

    #[test]
    fn files_and_environment() {
        let settings = load_text(
            "[listen]\nmax_connections = 5\nplaintext_tcp = [\"127.0.0.1:1\"]\n[relay]\ndestinations = [\"a:1\", { address = \"b:2\", when_behind = \"shed\" }]\n",
            &[("SKYLINE__LISTEN__MAX_CONNECTIONS", "7"), ("SKYLINE__WINDOW__SKIP", "a, b"), ("SKYLINE__NODE__SHUTDOWN_SECONDS", "3"), ("OTHER", "1")],
        )
        .unwrap();
        assert_eq!(settings.listen.max_connections, 7);
        assert_eq!(settings.listen.plaintext_tcp.len(), 1);
        assert_eq!(settings.window.skip, ["a", "b"]);
        assert_eq!(settings.node.shutdown_seconds, 3.0);
        assert_eq!(settings.relay.destinations.len(), 2);
    }

    #[test]
    fn every_problem_is_named_with_its_place() {
        let error = load_text(
            "[listen]\nplaintxt_tcp = []\nmax_connections = \"many\"\n\n[journal]\n  durability = \"perhaps\"\n",
            &[("SKYLINE__WINDOW__THREDS", "1")],
        )
        .unwrap_err();
        for part in [":2:1: `listen.plaintxt_tcp`", "did you mean `listen.plaintext_tcp`", ":3:1: `listen.max_connections`", ":6:3: `journal.durability`", "SKYLINE__WINDOW__THREDS: `window.threds`", "did you mean `window.threads`"] {
            assert!(error.contains(part), "{part} in\n{error}");
        }
        assert!(load_text("[listen\n", &[]).unwrap_err().contains("not TOML"));
        assert!(load(Some(Path::new("/nonexistent/skyline.toml")), &[]).unwrap_err().to_string().contains("/nonexistent/skyline.toml"));
    }
}
