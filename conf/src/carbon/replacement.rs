//! The replacement of a rewrite rule: the template of Python's `re.sub` (CPython's `re/_parser.py`).

use crate::routing::pattern::Pattern;
use crate::routing::template::{Part, Template};
use std::iter::Peekable;
use std::str::Chars;

/// Reads a replacement for matches of `pattern`: `\1` to `\99`, `\g<1>`, `\g<name>`, `\g<0>`, escapes of characters; a
/// backslash before anything but a letter or digit stays.
///
/// # Errors
/// What is wrong, in a few words.
pub(crate) fn read(text: &str, pattern: &Pattern) -> Result<Template, String> {
    let mut reader =
        Reader { chars: text.chars().peekable(), pattern, parts: Vec::new(), text: String::new() };
    while let Some(c) = reader.chars.next() {
        if c == '\\' {
            reader.escape()?;
        } else {
            reader.text.push(c);
        }
    }
    reader.end_text();
    Ok(Template::of(reader.parts))
}

struct Reader<'t> {
    chars: Peekable<Chars<'t>>,
    pattern: &'t Pattern,
    parts: Vec<Part>,
    /// Text since the last group.
    text: String,
}

impl Reader<'_> {
    fn end_text(&mut self) {
        self.parts.push(Part::Text(std::mem::take(&mut self.text)));
    }

    fn group(&mut self, index: usize) -> Result<(), String> {
        if index > self.pattern.groups() {
            return Err(format!(
                "the replacement names group {index}, and the expression has {}",
                self.pattern.groups()
            ));
        }
        self.end_text();
        self.parts.push(Part::group(index));
        Ok(())
    }

    /// Behind a backslash.
    fn escape(&mut self) -> Result<(), String> {
        let c = self.chars.next().ok_or("the replacement ends with a backslash: write `\\\\`")?;
        match c {
            'g' => self.named()?,
            '0' => {
                let mut code = 0;
                for _ in 0..2 {
                    let Some(digit) = self.octal_digit() else { break };
                    code = code * 8 + digit;
                }
                self.character(code)?;
            }
            '1'..='9' => self.number(c)?,
            'a' => self.text.push('\x07'),
            'b' => self.text.push('\x08'),
            'f' => self.text.push('\x0c'),
            'n' => self.text.push('\n'),
            'r' => self.text.push('\r'),
            't' => self.text.push('\t'),
            'v' => self.text.push('\x0b'),
            '\\' => self.text.push('\\'),
            c if c.is_ascii_alphabetic() => {
                return Err(format!("`\\{c}` is no escape: write `\\\\{c}` for a backslash"));
            }
            c => self.text.extend(['\\', c]),
        }
        Ok(())
    }

    fn octal_digit(&mut self) -> Option<u32> {
        self.chars.next_if(|c| c.is_digit(8)).and_then(|c| c.to_digit(8))
    }

    fn character(&mut self, code: u32) -> Result<(), String> {
        let c = char::from_u32(code).filter(|_| code <= 0o377);
        self.text.push(c.ok_or("an octal escape goes up to `\\377`")?);
        Ok(())
    }

    /// `\1` to `\99`; three octal digits are a character.
    fn number(&mut self, first: char) -> Result<(), String> {
        let mut index = first.to_digit(10).unwrap_or_default();
        if let Some(second) = self.chars.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) {
            let octal = index < 8 && second < 8;
            if octal && let Some(third) = self.octal_digit() {
                return self.character(index * 64 + second * 8 + third);
            }
            index = index * 10 + second;
        }
        self.group(index as usize)
    }

    /// `\g<…>`, its `g` read.
    fn named(&mut self) -> Result<(), String> {
        let open = "`\\g` is followed by `<`, the name or number of a group, and `>`";
        self.chars.next_if_eq(&'<').ok_or(open)?;
        let mut name = String::new();
        loop {
            match self.chars.next().ok_or(open)? {
                '>' => break,
                c => name.push(c),
            }
        }
        let index = if name.bytes().all(|b| b.is_ascii_digit()) {
            name.parse().ok()
        } else {
            self.pattern.group_named(&name)
        };
        match index {
            Some(index) => self.group(index),
            None => Err(format!("the replacement names a group `{name}` that the expression does not have")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::pattern::Dialect;

    fn expanded(text: &str) -> Result<String, String> {
        let pattern = Pattern::new(r"(?P<first>a)(b)?(c)", Dialect::Python).unwrap();
        let found = pattern.find("ac", 0).unwrap();
        let mut out = String::new();
        read(text, &pattern)?.expand(|i| found.group(i), &mut out);
        Ok(out)
    }

    #[test]
    fn replacements() {
        // What Python 3.11 makes of each.
        let check =
            |text: &str, expected: &str| assert_eq!(expanded(text).as_deref(), Ok(expected), "{text}");
        check("", "");
        check("x", "x");
        check(r"<\1\2\3>", "<ac>");
        check(r"\g<first>0\g<3>\g<0>", "a0cac");
        check(r"\.\-\é\\", r"\.\-\é\");
        check(r"\101\0\07x\0101", "A\0\x07x\x081");
        check(r"\t", "\t");
        check("${1} $& %s", "${1} $& %s");
    }

    #[test]
    fn replacements_that_are_refused() {
        let check = |text: &str, expected: &str| {
            let why = expanded(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        };
        check(r"\4", "group 4");
        check(r"\11", "group 11");
        check(r"\g<4>", "group 4");
        check(r"\g<no>", "`no`");
        check(r"\g<>", "``");
        check(r"\g<1", "followed by");
        check(r"\g", "followed by");
        check(r"\q", "no escape");
        check("x\\", "ends with");
        check(r"\777", "\\377");
        check(r"\g<99999999999999999999999>", "99999");
    }
}
