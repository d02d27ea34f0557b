//! `carbon.conf`: the section of a program, with that of an instance over it, typed as carbon types it.

use super::ini::Ini;
use super::keys::{self, Fate, Key, Preset, Program};
use super::{Fault, Note, flag};
use skyline_core::line;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What a program's section says.
#[derive(Debug, Clone, PartialEq)]
pub struct Conf {
    given: BTreeMap<String, Given>,
    /// What does nothing, or something else than in carbon.
    pub notes: Vec<Note>,
}

/// A key that is in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Its value.
    pub value: Value,
    /// Where it is, counted from 1.
    pub line: usize,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// True or false.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// Another number; may be infinite or NaN.
    Number(f64),
    /// Text.
    Text(String),
    /// A list; an empty text is a list of one empty item.
    List(Vec<String>),
}

impl Value {
    /// Types a text by the default of its key; `None`: the default is true or false, and the text is neither.
    fn read(text: &str, preset: Preset) -> Option<Self> {
        match preset {
            Preset::Flag(_) => flag(text).map(Self::Flag),
            Preset::List => Some(Self::List(text.split(',').map(|item| item.trim().to_owned()).collect())),
            _ => Some(Self::guess(text)),
        }
    }

    /// A whole number, else a number, else text.
    fn guess(text: &str) -> Self {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let is_whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(whole) if is_whole => Self::Whole(whole),
            _ => line::float(text.as_bytes()).map_or_else(|| Self::Text(text.to_owned()), Self::Number),
        }
    }

    /// Whether it is that default; numbers are compared by what they are worth, as Python does.
    fn is(&self, preset: Preset) -> bool {
        match (self, preset) {
            (Self::Flag(value), Preset::Flag(preset)) => *value == preset,
            (Self::Whole(value), Preset::Whole(preset)) => *value == preset,
            (Self::Whole(value), Preset::Number(preset)) => *value as f64 == preset,
            (Self::Number(value), Preset::Whole(preset)) => *value == preset as f64,
            (Self::Number(value), Preset::Number(preset)) => *value == preset,
            (Self::Text(value), Preset::Text(preset)) => value == preset,
            (Self::List(value), Preset::List) => value.is_empty(),
            _ => false,
        }
    }

    /// A number of either kind.
    const fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// As it may have been written.
    fn text(&self) -> String {
        match self {
            Self::Flag(value) => value.to_string(),
            Self::Whole(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(value) => value.clone(),
            Self::List(value) => value.join(", "),
        }
    }
}

impl Conf {
    /// Reads the section of `program`, then that of its instance, `[relay:a]`, over it.
    ///
    /// # Errors
    /// The file is no INI, a `%` in one of the two sections leads nowhere, or a value that is true or false is
    /// neither.
    pub fn read(text: &str, program: Program, instance: &str) -> Result<Self, Fault> {
        let ini = Ini::read(text)?;
        let mut conf = Self { given: BTreeMap::new(), notes: Vec::new() };
        let name = program.section();
        for name in [name, &format!("{name}:{instance}")] {
            let Some(section) = ini.section(name) else { continue };
            for entry in ini.entries(section) {
                let key = entry.key.to_uppercase();
                let text = ini.interpolated(section, entry)?;
                let preset = keys::find(&key).map_or(Preset::Unset, |key| key.preset);
                let value = Value::read(&text, preset).ok_or_else(|| {
                    Fault::new(entry.line, &text, format!("{key} is true or false: write yes or no"))
                })?;
                conf.given.insert(key, Given { value, line: entry.line });
            }
        }
        if ini.section(name).is_none() {
            let message = "the file does not have this section: every key has its default";
            conf.notes.push(Note::new(None, &format!("[{name}]"), message).advise("is it the right file?"));
        }
        let mut given: Vec<_> = conf.given.iter().collect();
        given.sort_by_key(|(_, given)| given.line);
        let notes: Vec<_> = given.iter().filter_map(|(key, given)| note(program, key, given)).collect();
        conf.notes.extend(notes);
        if program != Program::Cache {
            conf.notes.push(conf.flow_control());
            conf.notes.extend(conf.dynamic_router());
        }
        Ok(conf)
    }

    /// What becomes of `USE_FLOW_CONTROL`, which is told also where it is not in the file: its default changes
    /// what a relay does.
    fn flow_control(&self) -> Note {
        let key = "USE_FLOW_CONTROL";
        let line = self.given.get(key).map(|given| given.line);
        if self.flag(key) {
            Note::new(
                line,
                key,
                "read as relay.sending.when_behind = \"spool\": a destination that is behind keeps its points in the journal, and listeners go on",
            )
            .advise("set it to \"block\" for carbon's behaviour, where one slow destination stops all listeners")
        } else {
            Note::new(
                line,
                key,
                "read as relay.sending.when_behind = \"shed\": at MAX_QUEUE_SIZE the oldest points of a destination are dropped and counted, where carbon drops the newest",
            )
            .advise("set it to True to keep them in the journal instead")
        }
    }

    /// What a `DYNAMIC_ROUTER` that is on does otherwise than in carbon.
    fn dynamic_router(&self) -> Option<Note> {
        let key = "DYNAMIC_ROUTER";
        self.flag(key).then(|| {
            Note::new(
                self.line_of(key),
                key,
                "new points of a destination that is down go to the others of its ring; those that wait for it are not routed anew, they stay in the journal until it is back; without a ring all of its points do",
            )
        })
    }

    /// The keys in the file, in capitals, in alphabetical order; known or not.
    pub fn given(&self) -> impl Iterator<Item = (&str, &Given)> {
        self.given.iter().map(|(key, given)| (key.as_str(), given))
    }

    /// The values that are not the defaults; unknown keys have none.
    pub fn differing(&self) -> impl Iterator<Item = (&str, &Value)> {
        let differs = |key: &str, value: &Value| keys::find(key).is_none_or(|known| !value.is(known.preset));
        let given = self.given().map(|(key, given)| (key, &given.value));
        given.filter(move |(key, value)| differs(key, value))
    }

    /// Where a key is in the file; 0 if it is not.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.given.get(key).map_or(0, |given| given.line)
    }

    /// A fault of a key's value.
    pub(super) fn fault(&self, key: &str, why: &str) -> Fault {
        let value = self.given.get(key).map(|given| given.value.text()).unwrap_or_default();
        Fault::new(self.line_of(key), &value, format!("{key}: {why}"))
    }

    /// A key that is true or false; one that carbon types as text is read as such.
    pub(super) fn flag(&self, key: &str) -> bool {
        match self.given.get(key).map(|given| &given.value) {
            Some(Value::Flag(value)) => *value,
            Some(other) => flag(&other.text()).unwrap_or(false),
            None => keys::find(key).is_some_and(|key| key.preset == Preset::Flag(true)),
        }
    }

    /// A text; empty if it is neither in the file nor has a default.
    pub(super) fn text(&self, key: &str) -> String {
        match (self.given.get(key), keys::find(key).map(|key| key.preset)) {
            (Some(given), _) => given.value.text(),
            (None, Some(Preset::Text(preset))) => preset.to_owned(),
            (None, _) => String::new(),
        }
    }

    /// A list; none if it is not in the file, or empty.
    pub(super) fn list(&self, key: &str) -> &[String] {
        match self.given.get(key).map(|given| &given.value) {
            Some(Value::List(items)) if items.iter().any(|item| !item.is_empty()) => items,
            _ => &[],
        }
    }

    /// A number; `None` if it is neither in the file nor has a default, or is written `None` or left empty.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, Fault> {
        let value = match (self.given.get(key), keys::find(key).map(|key| key.preset)) {
            (Some(given), _) => match &given.value {
                Value::Text(text) if text.is_empty() || text.eq_ignore_ascii_case("none") => return Ok(None),
                value => value.number(),
            },
            (None, Some(Preset::Whole(preset))) => Some(preset as f64),
            (None, Some(Preset::Number(preset))) => Some(preset),
            (None, _) => return Ok(None),
        };
        let value = value.filter(|value| !value.is_nan());
        value.map(Some).ok_or_else(|| self.fault(key, "a number is expected"))
    }

    /// A whole number within a range; `None` as with [`Self::number`].
    pub(super) fn whole(&self, key: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, Fault> {
        let Some(number) = self.number(key)? else { return Ok(None) };
        if number.fract() == 0.0 && (f64::from(*range.start())..=f64::from(*range.end())).contains(&number) {
            return Ok(Some(number as u32));
        }
        let why = format!("a whole number from {} to {} is expected", range.start(), range.end());
        Err(self.fault(key, &why))
    }
}

/// What is to be said of a key.
fn note(program: Program, name: &str, given: &Given) -> Option<Note> {
    let Some(key) = keys::find(name) else {
        let note = Note::new(given.line, name, "there is no such key: it does nothing");
        return Some(match keys::nearest(name) {
            Some(near) => note.advise(format!("did you mean {}?", near.name)),
            None => note.advise("remove it"),
        });
    };
    if !key.used_by.contains(&program) {
        return Some(unused(program, key, given));
    }
    match key.fate {
        Fate::Acts => None,
        Fate::Translated(message, advice) => Some(Note::new(given.line, name, message).advise(advice)),
        Fate::Idle(reason) => Some(Note::new(given.line, name, format!("does nothing here: {reason}"))),
        // What is switched off asks for nothing.
        Fate::Never(_) if matches!(given.value, Value::Flag(false)) => None,
        Fate::Never(reason) => {
            Some(Note::new(given.line, name, format!("is not done: {reason}")).advise("remove it"))
        }
    }
}

fn unused(program: Program, key: &Key, given: &Given) -> Note {
    let by: Vec<_> = key.used_by.iter().map(|program| format!("[{}]", program.section())).collect();
    let message = match (program, key.name) {
        (Program::Aggregator, "RELAY_METHOD") => {
            "does nothing in [aggregator], which always uses consistent-hashing".to_owned()
        }
        _ => format!("does nothing in [{}]: only {} uses it", program.section(), by.join(" and ")),
    };
    Note::new(given.line, key.name, message)
}

#[cfg(test)]
mod tests;
