//! From the dialects to the syntax of the engines.
//!
//! Python: the syntax of CPython's `re/_parser.py`; POSIX: `regex(7)`, where PCRE's extensions are let through.

use super::Dialect;
use std::iter::Peekable;
use std::str::Chars;

/// An expression in the syntax of the engines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) text: String,
    /// Whether it looks around or back, and needs the engine that tries.
    pub(super) tries: bool,
}

/// What stands before a place, as far as repeats go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing: the beginning, `(` or `|`.
    Nothing,
    /// An anchor.
    Anchor,
    /// Something that can be repeated.
    Item,
    /// A repeat.
    Repeat,
}

struct Translator<'t> {
    chars: Peekable<Chars<'t>>,
    out: String,
    tries: bool,
    is_python: bool,
    before: Before,
    /// Groups that are open.
    open: usize,
}

/// Writes `text` in the syntax of the engines, or says why that cannot be.
pub(super) fn translate(text: &str, dialect: Dialect) -> Result<Translated, String> {
    let is_python = match dialect {
        // The crate `regex` has Go's syntax.
        Dialect::Go => return Ok(Translated { text: text.to_owned(), tries: false }),
        Dialect::Python | Dialect::PythonAnyCase => true,
        Dialect::Posix => false,
    };
    let mut translator = Translator {
        chars: text.chars().peekable(),
        out: String::with_capacity(text.len() + 8),
        tries: false,
        is_python,
        before: Before::Nothing,
        open: 0,
    };
    translator.run()?;
    Ok(Translated { text: translator.out, tries: translator.tries })
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.chars.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => {
                    self.open = self.open.checked_sub(1).ok_or("`)` closes an unopened group")?;
                    self.out.push(')');
                    self.before = Before::Item;
                }
                '|' => {
                    self.out.push('|');
                    self.before = Before::Nothing;
                }
                '^' | '$' => {
                    self.out.push(c);
                    self.before = Before::Anchor;
                }
                '*' | '+' | '?' => self.repeat(c.to_string())?,
                '{' => match self.braces() {
                    Some(repeat) => self.repeat(repeat)?,
                    None => self.literal('{'),
                },
                '.' => {
                    self.out.push('.');
                    self.before = Before::Item;
                }
                c => self.literal(c),
            }
        }
        if self.open > 0 { Err("unclosed group: a `)` is missing".to_owned()) } else { Ok(()) }
    }

    fn literal(&mut self, c: char) {
        push_literal(c, &mut self.out);
        self.before = Before::Item;
    }

    /// A repeat, with a `?` or `+` behind it that says how greedy it is.
    fn repeat(&mut self, repeat: String) -> Result<(), String> {
        match self.before {
            Before::Item => {}
            // POSIX takes a star with nothing before it for a star.
            Before::Nothing if !self.is_python && repeat == "*" => {
                self.literal('*');
                return Ok(());
            }
            Before::Repeat if !self.is_python => {}
            Before::Repeat => return Err(format!("multiple repeat at `{repeat}`")),
            Before::Nothing | Before::Anchor => return Err(format!("nothing to repeat before `{repeat}`")),
        }
        self.out.push_str(&repeat);
        self.before = Before::Repeat;
        match self.chars.peek() {
            Some('?') => {
                self.chars.next();
                self.out.push('?');
            }
            Some('+') => {
                self.chars.next();
                self.out.push('+');
                self.tries = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// The rest of `{m,n}` behind its `{`, if it is one; then it is read. Anything else is text.
    fn braces(&mut self) -> Option<String> {
        let mut ahead = self.chars.clone();
        let low = digits(&mut ahead);
        let high = ahead.next_if_eq(&',').map(|_| digits(&mut ahead));
        if ahead.next() != Some('}') {
            return None;
        }
        let repeat = match (low.as_str(), high.as_deref()) {
            ("", None) => return None,
            ("", Some("")) if !self.is_python => return None,
            ("", Some("")) => "*".to_owned(),
            ("", Some(high)) => format!("{{0,{high}}}"),
            (low, None) => format!("{{{low}}}"),
            (low, Some(high)) => format!("{{{low},{high}}}"),
        };
        self.chars = ahead;
        Some(repeat)
    }

    fn group(&mut self) -> Result<(), String> {
        self.open += 1;
        self.before = Before::Nothing;
        self.out.push('(');
        if self.chars.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        let kind = self.chars.next().ok_or("unclosed group: `(?` at the end")?;
        match kind {
            ':' => self.out.push_str("?:"),
            '=' | '!' | '>' => {
                self.tries = true;
                self.out.extend(['?', kind]);
            }
            '#' => {
                self.out.pop();
                self.open -= 1;
                self.before = Before::Item;
                if !self.chars.by_ref().any(|c| c == ')') {
                    return Err("the comment `(?#` is not closed".to_owned());
                }
            }
            'P' => match self.chars.next() {
                Some('<') => self.named("?P<")?,
                Some('=') => {
                    self.tries = true;
                    self.out.push_str("?P=");
                    while let Some(c) = self.chars.next_if(|c| *c != ')') {
                        self.out.push(c);
                    }
                }
                _ => return Err("`(?P` is followed by neither `<` nor `=`".to_owned()),
            },
            '<' => match self.chars.peek() {
                Some('=' | '!') => {
                    self.tries = true;
                    self.out.push_str("?<");
                    self.out.extend(self.chars.next());
                }
                _ if self.is_python => return Err("a named group is written `(?P<name>…)`".to_owned()),
                _ => self.named("?<")?,
            },
            '(' => {
                self.tries = true;
                self.out.push_str("?(");
                loop {
                    let c = self.chars.next().ok_or("unclosed group: `(?(` is not closed")?;
                    self.out.push(c);
                    if c == ')' {
                        break;
                    }
                }
            }
            c => self.flags(c)?,
        }
        Ok(())
    }

    /// The name of a group, behind its `<`.
    fn named(&mut self, before: &str) -> Result<(), String> {
        let mut name = String::new();
        loop {
            match self.chars.next().ok_or("the name of a group is not closed by `>`")? {
                '>' => break,
                c => name.push(c),
            }
        }
        let mut chars = name.chars();
        let is_name = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic())
            && chars.all(|c| c == '_' || c.is_alphanumeric());
        if !is_name {
            return Err(format!("`{name}` cannot be the name of a group"));
        }
        self.out.push_str(before);
        self.out.push_str(&name);
        self.out.push('>');
        Ok(())
    }

    /// `(?i)`, `(?i-s:…)`; the first letter is read.
    fn flags(&mut self, first: char) -> Result<(), String> {
        let mut flags = String::new();
        let mut next = Some(first);
        loop {
            match next.ok_or("unclosed group: flags at the end")? {
                // Text is always Unicode.
                'u' => {}
                c @ ('i' | 'm' | 's' | '-') => flags.push(c),
                ':' => {
                    self.out.push('?');
                    self.out.push_str(&flags);
                    self.out.push(':');
                    return Ok(());
                }
                ')' => {
                    self.open -= 1;
                    self.before = Before::Nothing;
                    if flags.is_empty() {
                        self.out.pop();
                    } else {
                        self.out.push('?');
                        self.out.push_str(&flags);
                        self.out.push(')');
                    }
                    return Ok(());
                }
                c => {
                    return Err(format!(
                        "the flag `{c}` in `(?…` is not taken: write the expression without it"
                    ));
                }
            }
            next = self.chars.next();
        }
    }

    /// Behind a backslash, outside a class.
    fn escape(&mut self) -> Result<(), String> {
        let c = self.chars.next().ok_or("it ends with a backslash")?;
        self.before = Before::Item;
        match c {
            'A' | 'b' | 'B' => {
                self.out.extend(['\\', c]);
                self.before = Before::Anchor;
            }
            'Z' if self.is_python => {
                self.out.push_str("\\z");
                self.before = Before::Anchor;
            }
            '<' | '>' if !self.is_python => {
                self.out.push_str("\\b");
                self.before = Before::Anchor;
            }
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.out.extend(['\\', c]),
            '1'..='9' => self.digits(c)?,
            c => {
                let c = self.escaped_character(c)?;
                push_literal(c, &mut self.out);
            }
        }
        Ok(())
    }

    /// `\1` to `\99` are references; three octal digits are a character.
    fn digits(&mut self, first: char) -> Result<(), String> {
        let mut digits = String::from(first);
        if let Some(second) = self.chars.next_if(char::is_ascii_digit) {
            digits.push(second);
            let octal = digits.chars().all(|c| c < '8') && first < '4';
            if octal && let Some(third) = self.chars.next_if(|c| ('0'..'8').contains(c)) {
                digits.push(third);
                let code = u32::from_str_radix(&digits, 8).map_err(|error| error.to_string())?;
                self.literal(char::from_u32(code).ok_or("no such character")?);
                return Ok(());
            }
        }
        self.tries = true;
        // Closed off from a digit that follows.
        self.out.push_str("(?:\\");
        self.out.push_str(&digits);
        self.out.push(')');
        Ok(())
    }

    /// The character that an escape stands for, its first letter read.
    fn escaped_character(&mut self, c: char) -> Result<char, String> {
        let hex = |chars: &mut Peekable<Chars<'_>>, digits: usize| {
            let mut code = 0;
            for _ in 0..digits {
                let digit = chars
                    .next()
                    .and_then(|c| c.to_digit(16))
                    .ok_or(format!("`\\{c}` wants {digits} digits"))?;
                code = code << 4 | digit;
            }
            char::from_u32(code).ok_or_else(|| format!("`\\{c}` names no character"))
        };
        match c {
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            'x' => hex(&mut self.chars, 2),
            'u' if self.is_python => hex(&mut self.chars, 4),
            'U' if self.is_python => hex(&mut self.chars, 8),
            '0' => {
                let mut code = 0;
                for _ in 0..2 {
                    let Some(digit) = self.chars.next_if(|c| ('0'..'8').contains(c)) else { break };
                    code = code * 8 + digit.to_digit(8).unwrap_or(0);
                }
                char::from_u32(code).ok_or_else(|| "no such character".to_owned())
            }
            c if c.is_ascii_alphanumeric() && self.is_python => Err(format!("`\\{c}` is no escape")),
            c => Ok(c),
        }
    }

    /// A class, its `[` read. Every character of it is written so that the engines' own operators in
    /// classes (`&&`, `--`, `~~`, nesting) cannot come about.
    fn class(&mut self) -> Result<(), String> {
        const OPEN: &str = "the class is not closed: a `]` is missing";
        self.out.push('[');
        if self.chars.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            let c = self.chars.next().ok_or(OPEN)?;
            if c == ']' && !is_first {
                break;
            }
            is_first = false;
            if c == '[' && !self.is_python && self.named_class()? {
                continue;
            }
            let Some(low) = self.class_item(c)? else { continue };
            let mut ahead = self.chars.clone();
            let is_range = ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']');
            if !is_range {
                push_literal(low, &mut self.out);
                continue;
            }
            self.chars.next();
            let c = self.chars.next().ok_or(OPEN)?;
            let high =
                self.class_item(c)?.ok_or_else(|| format!("a range cannot end in a class: `{low}-\\{c}`"))?;
            if high < low {
                return Err(format!("the range `{low}-{high}` is the wrong way round"));
            }
            push_literal(low, &mut self.out);
            self.out.push('-');
            push_literal(high, &mut self.out);
        }
        self.out.push(']');
        self.before = Before::Item;
        Ok(())
    }

    /// `[:alpha:]` inside a class, its `[` read; false if it is not one.
    fn named_class(&mut self) -> Result<bool, String> {
        let mut ahead = self.chars.clone();
        if ahead.next() != Some(':') {
            return Ok(false);
        }
        let name: String = ahead.by_ref().take_while(char::is_ascii_alphabetic).collect();
        if ahead.next() != Some(']') {
            return Err(format!("`[:{name}` in a class is not closed by `:]`"));
        }
        self.out.push_str("[:");
        self.out.push_str(&name);
        self.out.push_str(":]");
        self.chars = ahead;
        Ok(true)
    }

    /// One character of a class; `None` if it was a class by itself, which is written.
    fn class_item(&mut self, c: char) -> Result<Option<char>, String> {
        if c != '\\' {
            return Ok(Some(c));
        }
        let c = self.chars.next().ok_or("it ends with a backslash")?;
        match c {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                self.out.extend(['\\', c]);
                Ok(None)
            }
            'b' => Ok(Some('\x08')),
            '1'..='7' => {
                let mut code = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.chars.next_if(|c| ('0'..'8').contains(c)) else { break };
                    code = code * 8 + digit.to_digit(8).unwrap_or(0);
                }
                char::from_u32(code).map(Some).ok_or_else(|| "no such character".to_owned())
            }
            c => self.escaped_character(c).map(Some),
        }
    }
}

fn digits(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut digits = String::new();
    while let Some(c) = chars.next_if(char::is_ascii_digit) {
        digits.push(c);
    }
    digits
}

/// Writes a character that stands for itself.
fn push_literal(c: char, out: &mut String) {
    if c.is_ascii_punctuation() && c != '<' && c != '>' || c == ' ' {
        // A blank needs none, and `\ ` is taken by one engine only.
        if c != ' ' {
            out.push('\\');
        }
        out.push(c);
    } else if c.is_control() {
        out.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
    } else {
        out.push(c);
    }
}
