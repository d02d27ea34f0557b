//! Templates: JSON whose texts have places, `{{ field }}`, for what a message says.
//!
//! A template is read as JSON before anything is put into it, and written as JSON after: whatever a name holds, it is
//! a part of a text and never of the form. A text that is one place alone becomes the field's own value, a number or a
//! list; with a question mark, `{{ field? }}`, its member or item is left out when the field is empty, and with an
//! exclamation mark, `{{ field! }}`, the whole object that it is a member of.

use super::fields;
use serde_json::{Map, Value};
use skyline_core::problem::Problem;
use std::path::Path;

/// Largest template, bytes.
const LARGEST: u64 = 1 << 20;

/// A template.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// As it is.
    Plain(Value),
    /// The value of a field, and what happens when it is empty.
    Field(String, Empty),
    /// Texts and fields in turn.
    Text(Vec<Part>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// What happens to an empty field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// It is written as it is.
    Written,
    /// It is left out.
    LeftOut,
    /// The object around it is left out.
    AroundLeftOut,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Words(String),
    Field(String),
}

impl Template {
    /// Reads a template's file.
    ///
    /// # Errors
    /// It cannot be read, is no JSON, or names a field that there is not.
    pub(super) fn read(file: &Path) -> Result<Self, Problem> {
        let shown = file.display();
        let unreadable = |error: std::io::Error| {
            let advice = "conf/templates has some to begin with";
            Problem::new(format!("the template {shown} cannot be read: {error}"), advice)
        };
        let size = std::fs::metadata(file).map_err(unreadable)?.len();
        if size > LARGEST {
            return Err(Problem::new(
                format!("the template {shown} has {size} bytes"),
                "write a smaller one",
            ));
        }
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        Self::parse(&text).map_err(|problem| {
            Problem::new(format!("the template {shown}: {}", problem.what), problem.advice)
        })
    }

    /// Reads a template.
    ///
    /// # Errors
    /// It is no JSON, or names a field that there is not.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Problem::new(format!("it is no JSON: {error}"), "places stand within quotes"))?;
        Ok(Self(node(value)?))
    }

    /// The JSON of a message.
    pub(super) fn fill(&self, fields: &Map<String, Value>) -> Value {
        fill(&self.0, fields).unwrap_or(Value::Null)
    }
}

fn node(value: Value) -> Result<Node, Problem> {
    Ok(match value {
        Value::String(text) => of_text(&text)?,
        Value::Array(items) => Node::List(items.into_iter().map(node).collect::<Result<_, _>>()?),
        Value::Object(members) => {
            let member = |(name, value)| node(value).map(|node| (name, node));
            Node::Object(members.into_iter().map(member).collect::<Result<_, _>>()?)
        }
        other => Node::Plain(other),
    })
}

fn of_text(text: &str) -> Result<Node, Problem> {
    if text.starts_with("put the ") && text.ends_with(" here") {
        let what = format!("`{}` is a placeholder of an example", text.escape_debug());
        return Err(Problem::new(what, "write your own in its place"));
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let Some((inside, after)) = behind.split_once("}}") else {
            return Err(Problem::new(format!("`{text}` has `{{{{` and no `}}}}`"), "close the place"));
        };
        if !before.is_empty() {
            parts.push(Part::Words(before.to_owned()));
        }
        let inside = inside.trim();
        let (field, empty) = match (inside.strip_suffix('?'), inside.strip_suffix('!')) {
            (Some(name), _) => (name.trim_end(), Empty::LeftOut),
            (_, Some(name)) => (name.trim_end(), Empty::AroundLeftOut),
            (None, None) => (inside, Empty::Written),
        };
        if !fields::is_one(field) {
            let what = format!("there is no field `{}`", field.escape_debug());
            return Err(Problem::new(what, "docs/channels.md lists the fields"));
        }
        let is_alone = before.is_empty() && after.is_empty() && parts.is_empty();
        if is_alone {
            return Ok(Node::Field(field.to_owned(), empty));
        }
        parts.push(Part::Field(field.to_owned()));
        rest = after;
    }
    if parts.is_empty() {
        return Ok(Node::Plain(Value::String(text.to_owned())));
    }
    if !rest.is_empty() {
        parts.push(Part::Words(rest.to_owned()));
    }
    Ok(Node::Text(parts))
}

/// The value of a node; none: it is left out.
fn fill(node: &Node, fields: &Map<String, Value>) -> Option<Value> {
    Some(match node {
        Node::Plain(value) => value.clone(),
        Node::Field(name, empty) => {
            let value = fields.get(name).cloned().unwrap_or(Value::Null);
            if *empty != Empty::Written && is_empty(&value) {
                return None;
            }
            value
        }
        Node::Text(parts) => {
            let mut out = String::new();
            for part in parts {
                match part {
                    Part::Words(words) => out.push_str(words),
                    Part::Field(name) => match fields.get(name) {
                        None | Some(Value::Null) => {}
                        Some(Value::String(text)) => out.push_str(text),
                        Some(other) => out.push_str(&other.to_string()),
                    },
                }
            }
            Value::String(out)
        }
        Node::List(items) => Value::Array(items.iter().filter_map(|item| fill(item, fields)).collect()),
        Node::Object(members) => {
            let mut filled = Map::new();
            for (name, node) in members {
                match (fill(node, fields), node) {
                    (Some(value), _) => drop(filled.insert(name.clone(), value)),
                    (None, Node::Field(_, Empty::AroundLeftOut)) => return None,
                    (None, _) => {}
                }
            }
            Value::Object(filled)
        }
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fields(metric: &str) -> Map<String, Value> {
        let all = json!({"metric": metric, "value": 1.5, "metrics": ["a", "b"], "ended_at": null, "incident_url": ""});
        all.as_object().unwrap().clone()
    }

    #[test]
    fn places_are_filled() {
        let check = |template: &str, expected: Value| {
            assert_eq!(Template::parse(template).unwrap().fill(&fields("a.b")), expected, "{template}");
        };
        check(r#""{{ metric }}""#, json!("a.b"));
        check(
            r#"["{{value}}", "is {{ value }}!", "{{ metrics }}", 7, true]"#,
            json!([1.5, "is 1.5!", ["a", "b"], 7, true]),
        );
        check(
            r#"{"e": "{{ ended_at? }}", "f": "{{ ended_at }}", "u": ["{{ incident_url? }}"]}"#,
            json!({"f": null, "u": []}),
        );
        check(r#""{{metric}}{{metric}} at {{ ended_at }}.""#, json!("a.ba.b at ."));
        check(r#""} }} {""#, json!("} }} {"));
        check(r#"[{"u": "{{ incident_url! }}", "t": 1}, {"u": "{{ metric! }}"}]"#, json!([{"u": "a.b"}]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |template: &str, expected: &str| {
            let problem = Template::parse(template).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        };
        check("{", "no JSON");
        check(r#""{{ metirc }}""#, "no field `metirc`");
        check(r#""{{ metric ""#, "no `}}`");
        check(r#""{{ }}""#, "no field ``");
        check(r#"["put the id here"]"#, "placeholder");
    }

    proptest! {
        #[test]
        fn no_name_changes_the_form(metric: String) {
            let template = Template::parse(r#"{"a": "{{ metric }}", "b": ["x {{ metric }} y"], "c": 1}"#).unwrap();
            let text = template.fill(&fields(&metric)).to_string();
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read, json!({"a": metric, "b": [format!("x {metric} y")], "c": 1}));
        }

        #[test]
        fn nothing_that_is_read_panics(text: String) {
            if let Ok(template) = Template::parse(&text) {
                template.fill(&fields("a"));
            }
        }
    }
}
