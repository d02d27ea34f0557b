//! Names for the series of a job: text with `{…}` in it.
//!
//! | in the template | becomes |
//! |---|---|
//! | `{target}` | what the server calls the series |
//! | `{0}`, `{1}`, … | a part of that between dots, from the left |
//! | `{-1}`, `{-2}`, … | from the right |
//! | `{job}`, any other word | the label or tag of that name |
//!
//! Whatever is put in is made fit for a name: all but letters, digits, `-`, `_`, `%`, `#`, `+`, `@` and `:` becomes `_`, dots too,
//! which would make further parts; `{target}` keeps its dots.

use skyline_core::name::{MAX_WINDOW_NAME_BYTES, is_blank};
use std::collections::BTreeMap;

/// A template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Target,
    Part(i32),
    Label(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let Some((before, behind)) = rest.split_once('{') else {
                pieces.push(Piece::Text(rest.to_owned()));
                break;
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let Some((word, behind)) = behind.split_once('}') else {
                return Err("a { has no }".into());
            };
            pieces.push(match word {
                "target" => Piece::Target,
                _ => match word.parse::<i32>() {
                    Ok(part) => Piece::Part(part),
                    Err(_) if is_label(word) => Piece::Label(word.to_owned()),
                    Err(_) => {
                        return Err(format!("{{{word}}} is neither a number, nor `target`, nor a label"));
                    }
                },
            });
            rest = behind;
        }
        let template = Self(pieces);
        let texts: String = template
            .0
            .iter()
            .filter_map(|p| if let Piece::Text(t) = p { Some(t.as_str()) } else { None })
            .collect();
        if text.is_empty() || texts.contains(|c| c == '}' || is_blank(c)) {
            return Err("it is empty, or has blanks, control characters or a } without a {".into());
        }
        if texts.len() > MAX_WINDOW_NAME_BYTES {
            return Err(format!("names of more than {MAX_WINDOW_NAME_BYTES} bytes cannot be stored"));
        }
        Ok(template)
    }

    /// Whether it gives several series names of their own.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// The name of a series.
    ///
    /// # Errors
    /// What the series lacks, for a person.
    pub fn name(&self, target: &str, labels: &BTreeMap<String, String>) -> Result<String, String> {
        let mut out = String::new();
        let parts: Vec<&str> = target.split('.').collect();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Target => out.extend(target.chars().map(|c| if c == '.' { c } else { fit(c) })),
                Piece::Part(number) => {
                    let at = usize::try_from(*number)
                        .ok()
                        .or_else(|| parts.len().checked_sub(number.unsigned_abs() as usize));
                    let part = at.and_then(|at| parts.get(at));
                    let part = part.ok_or_else(|| format!("{target} has no part {{{number}}}"))?;
                    out.extend(part.chars().map(fit));
                }
                Piece::Label(label) => {
                    let value = labels.get(label).filter(|value| !value.is_empty());
                    let value = value.ok_or_else(|| format!("{target} has no label `{label}`"))?;
                    out.extend(value.chars().map(fit));
                }
            }
        }
        Ok(out)
    }
}

fn is_label(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

fn fit(c: char) -> char {
    if c.is_alphanumeric() || "-_%#+@:".contains(c) { c } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, expected: Result<&str, &str>) {
        let labels = [("job", "node"), ("instance", "web-1.a:9100"), ("none", "")];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let got = Template::parse(template).and_then(|t| t.name("sumSeries(a.b c).d", &labels));
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(part)) => assert!(got.contains(part), "{got}"),
            (got, expected) => panic!("{template}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn names() {
        check("a.b", Ok("a.b"));
        check("x.{job}.{instance}", Ok("x.node.web-1_a:9100"));
        check("x.{target}", Ok("x.sumSeries_a.b_c_.d"));
        check("x.{0}.{-1}.{1}", Ok("x.sumSeries_a.d.b_c_"));
    }

    #[test]
    fn what_is_missing_is_named() {
        check("{zone}", Err("no label `zone`"));
        check("{none}", Err("no label `none`"));
        check("{7}", Err("no part {7}"));
        check("{-4}", Err("no part {-4}"));
    }

    #[test]
    fn templates_that_are_none() {
        for wrong in ["", "a b", "a\n", "a}"] {
            check(wrong, Err("it is empty"));
        }
        check("a{", Err("has no }"));
        check("{a b}", Err("neither"));
        check("{}", Err("neither"));
        assert!(Template::parse("a").unwrap().is_plain() && !Template::parse("a.{b}").unwrap().is_plain());
    }
}
