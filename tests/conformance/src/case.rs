//! A case: one JSON object a line, and what its fields mean.

use serde_json::Value;
use std::path::Path;

/// What a case came to: a failure has what differs.
pub(crate) type Outcome = Result<(), String>;

/// The cases of a file.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(file)?;
    let mut cases: Vec<Value> = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let case: Value =
            serde_json::from_str(line).map_err(|error| anyhow::anyhow!("line {}: {error}", i + 1))?;
        anyhow::ensure!(case.is_object(), "line {}: not a JSON object", i + 1);
        cases.push(case);
    }
    anyhow::ensure!(!cases.is_empty(), "no cases");
    Ok(cases)
}

/// The name of a case.
pub(crate) fn id(case: &Value) -> &str {
    case.get("id").and_then(Value::as_str).unwrap_or("(case without id)")
}

/// A text field; empty if it is not there.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A number as these files write it: `"inf"` and `"-inf"` are infinities, `null` is NaN.
pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::String(s) if s == "inf" => f64::INFINITY,
        Value::String(s) if s == "-inf" => f64::NEG_INFINITY,
        other => other.as_f64().unwrap_or(f64::NAN),
    }
}

/// A numeric field; 0 if it is not there.
pub(crate) fn field(value: &Value, key: &str) -> f64 {
    value.get(key).map_or(0.0, number)
}

/// A field that is true or false; false if it is not there.
pub(crate) fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// The elements of a list; none if it is not there.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |text: &str, expected: f64| {
            assert_eq!(number(&serde_json::from_str(text).unwrap()).to_bits(), expected.to_bits(), "{text}");
        };
        check("1.5", 1.5);
        check("7", 7.0);
        check("\"inf\"", f64::INFINITY);
        check("\"-inf\"", f64::NEG_INFINITY);

        check("0.1", 0.1);
        assert!(number(&Value::Null).is_nan());
    }

    #[test]
    fn files_that_cannot_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let check = |content: &str, expected: Result<usize, &str>| {
            let file = dir.path().join("cases.jsonl");
            std::fs::write(&file, content).unwrap();
            let got = read(&file).map(|cases| cases.len()).map_err(|error| error.to_string());
            match expected {
                Ok(n) => assert_eq!(got, Ok(n)),
                Err(part) => assert!(got.clone().is_err_and(|e| e.contains(part)), "{got:?}"),
            }
        };
        check("{\"id\": \"a\"}\n\n{\"id\": \"b\"}\n", Ok(2));
        check("", Err("no cases"));
        check("{}\nbad\n", Err("line 2"));
        check("[1]\n", Err("line 1: not a JSON object"));
        assert!(read(&dir.path().join("none")).is_err());
    }
}
