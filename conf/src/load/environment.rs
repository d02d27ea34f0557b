//! The environment: variables that set keys.

use super::{Gathered, PREFIX, Place, Problem, document};
use crate::keys::{self, Key, Kind};
use crate::nearest;
use toml::{Table, Value};

/// Takes all variables that begin with [`PREFIX`].
pub(super) fn read(environment: &[(String, String)], gathered: &mut Gathered) {
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            gathered.warnings.extend(almost(name));
            continue;
        };
        let path = rest.to_lowercase().replace("__", ".");
        let place = Place::Variable(name.clone());
        match keys::find(&path) {
            Some(key) => take(key, text, place, gathered),
            None => {
                // A section by its name alone is none of the keys of that name in others.
                let is_section = keys::sections().iter().any(|section| section.name == path);
                let near = if is_section { None } else { nearest::key(&path).and_then(keys::find) };
                let message = match near {
                    Some(near) => format!("did you mean {}, which sets `{}`?", near.variable(), near.path),
                    None => document::keys_of(path.rsplit_once('.').map_or("", |(section, _)| section)),
                };
                gathered.problems.push(Problem { fault: "unknown key", key: path, place, message });
            }
        }
    }
}

fn take(key: &'static Key, text: &str, place: Place, gathered: &mut Gathered) {
    let value = match value(key.kind, text) {
        Ok(value) => value,
        Err(message) => {
            let key = key.path.to_owned();
            return gathered.problems.push(Problem { fault: "wrong value for", key, place, message });
        }
    };
    match key.kind.judge(key, &value) {
        Ok(good) => gathered.set(key.path, good, place),
        Err(faults) => {
            gathered
                .problems
                .extend(faults.iter().map(|fault| document::of_fault(key, fault, place.clone())));
        }
    }
}

/// The value of a variable's text.
fn value(kind: Kind, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    if kind.is_list() {
        if trimmed.starts_with('[') {
            return as_toml(trimmed);
        }
        let items = trimmed.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Ok(Value::Array(items.map(|item| Value::String(unquoted(item))).collect()));
    }
    Ok(match kind {
        Kind::Text | Kind::Path => Value::String(unquoted(text)),
        Kind::Choice(_) => Value::String(unquoted(trimmed)),
        _ => as_toml(trimmed).unwrap_or_else(|_| Value::String(text.to_owned())),
    })
}

fn as_toml(text: &str) -> Result<Value, String> {
    let table: Table = toml::from_str(&format!("v = {text}")).map_err(|error| error.message().to_owned())?;
    match table.into_iter().collect::<Vec<_>>().as_slice() {
        [(_, value)] => Ok(value.clone()),
        _ => Err("one value is expected".to_owned()),
    }
}

/// The text of a TOML string, or the text as it is.
fn unquoted(text: &str) -> String {
    if text.starts_with(['"', '\''])
        && let Ok(Value::String(inner)) = as_toml(text)
    {
        return inner;
    }
    text.to_owned()
}

/// A warning for a variable that looks like one of ours with one underscore too few.
fn almost(name: &str) -> Option<String> {
    let rest = name.strip_prefix("SKYLINE_")?;
    let squeezed = |text: &str| text.to_lowercase().replace(['.', '_'], "");
    let key = keys::all().iter().find(|key| squeezed(key.path) == squeezed(rest))?;
    Some(format!("the variable {name} sets nothing: write {} to set `{}`", key.variable(), key.path))
}
