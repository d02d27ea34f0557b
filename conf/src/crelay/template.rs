//! Replacements of `rewrite`, `aggregate` and `route using`.
//!
//! | written | the group |
//! |---|---|
//! | `\N`, `\g{N}` | as it is |
//! | `\_N` | in small letters |
//! | `\^N` | in capitals |
//! | `\.N` | its dots as `_` |
//! | `\_.N`, `\^.N` | both |
//!
//! A backslash before anything else takes that character as it is.

use crate::routing::template::{Case, Part, Template};
use std::iter::Peekable;
use std::str::Chars;

/// Reads a replacement for an expression with so many groups; others are empty.
#[must_use]
pub fn read(text: &str, groups: usize) -> Template {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            literal.push(c);
            continue;
        }
        match group(&mut chars) {
            Some(Part::Group { index, .. }) if index > groups => {}
            Some(part) => {
                parts.push(Part::Text(std::mem::take(&mut literal)));
                parts.push(part);
            }
            None => literal.push(chars.next().unwrap_or('\\')),
        }
    }
    parts.push(Part::Text(literal));
    Template::of(parts)
}

/// The text that [`read`] makes a template of.
#[must_use]
pub fn write(template: &Template) -> String {
    let mut out = String::new();
    let mut parts = template.parts().iter().peekable();
    while let Some(part) = parts.next() {
        match part {
            Part::Text(text) => out.push_str(&text.replace('\\', r"\\")),
            Part::Group { index, case, dots_to_underscores } => {
                out.push('\\');
                out.push_str(match case {
                    Case::Keep => "",
                    Case::Lower => "_",
                    Case::Upper => "^",
                });
                out.push_str(if *dots_to_underscores { "." } else { "" });
                let is_digit = |next: &&&Part| matches!(next, Part::Text(text) if text.starts_with(|c: char| c.is_ascii_digit()));
                if parts.peek().filter(is_digit).is_some() {
                    out.push_str(&format!("g{{{index}}}"));
                } else {
                    out.push_str(&index.to_string());
                }
            }
        }
    }
    out
}

/// A group, its backslash read. What is none stays unread.
fn group(chars: &mut Peekable<Chars<'_>>) -> Option<Part> {
    let mut ahead = chars.clone();
    let case = match ahead.peek() {
        Some('_') => Case::Lower,
        Some('^') => Case::Upper,
        _ => Case::Keep,
    };
    if case != Case::Keep {
        ahead.next();
    }
    let dots_to_underscores = ahead.next_if_eq(&'.').is_some();
    let braces = ahead.next_if_eq(&'g').is_some();
    if braces {
        ahead.next_if_eq(&'{')?;
    }
    let mut index = None;
    while let Some(digit) = ahead.peek().and_then(|c| c.to_digit(10)) {
        ahead.next();
        index = Some(index.unwrap_or(0_usize).saturating_mul(10).saturating_add(digit as usize));
    }
    if braces {
        ahead.next_if_eq(&'}')?;
    }
    let index = index?;
    *chars = ahead;
    Some(Part::Group { index, case, dots_to_underscores })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        let check = |text: &str, expected: &str| {
            let mut out = String::new();
            let groups = ["Whole", "Ab.c", "Z"];
            read(text, 2).expand(|i| groups.get(i).copied(), &mut out);
            assert_eq!(out, expected, "{text}");
        };
        check(r"x.\1.\2", "x.Ab.c.Z");
        check(r"\2\1\0", "ZAb.cWhole");
        check(r"\g{1}00", "Ab.c00");
        check(r"\_1 \^1 \.1 \_.1 \^.1", "ab.c AB.C Ab_c ab_c AB_C");
        check(r"\_g{1}", "ab.c");
        check(r"\3x\12y\99999999999999999999999999", "xy");
        check(r"a\.b\_c\\\ d\", r"a.b_c\ d\");
        check(r"\g{1\g1\g", "g{1g1g");
        check(r"\^", "^");
        check("", "");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [r"x.\1.\2", r"\g{1}00\2", r"\_1 \^1\.1\_.2\^.g{1}1", r"\\1 \\", "", r"\1\\2"] {
            let template = read(text, 9);
            assert_eq!(read(&write(&template), 9), template, "{text}");
            assert_eq!(write(&template), text);
        }
    }

    #[test]
    fn groups_that_are_not_there_are_left_out() {
        assert_eq!(read(r"a\5b", 4), Template::text("ab"));
    }
}
