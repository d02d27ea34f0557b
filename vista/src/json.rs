//! A reader of JSON that copies nothing it is not asked for, and takes what servers write that JSON does not have:
//! `NaN`, `Infinity`, numbers beyond the range of a double.

use crate::error::Unusable;

/// Deepest nesting of what is stepped over.
const MAX_DEPTH: u32 = 64;

/// Where a text is read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

/// A value that is neither list nor object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
}

/// What is wrong, and where.
pub(crate) type Wrong = Unusable;

impl<'a> Reader<'a> {
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is no blank; it stays.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    fn wrong(&self, expected: &str) -> Wrong {
        match self.text.get(self.at) {
            None => format!("it ends at byte {} where {expected} should be", self.at).into(),
            Some(b'<') if self.at < 16 => Unusable::Page,
            Some(_) => format!("at byte {} there is no {expected}", self.at).into(),
        }
    }

    /// Takes `byte`.
    pub(crate) fn take(&mut self, byte: u8) -> Result<(), Wrong> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(&format!("`{}`", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    /// After an opening bracket or an item: whether another item follows. Takes the comma, or the closing bracket.
    pub(crate) fn more(&mut self, first: &mut bool, close: u8) -> Result<bool, Wrong> {
        let was_first = std::mem::replace(first, false);
        match self.peek() {
            Some(b) if b == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !was_first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if was_first => Ok(true),
            _ => Err(self.wrong("`,`")),
        }
    }

    /// A key with its colon.
    pub(crate) fn key(&mut self) -> Result<String, Wrong> {
        let key = self.string()?;
        self.take(b':')?;
        Ok(key)
    }

    /// Nothing but blanks follows.
    pub(crate) fn end(&mut self) -> Result<(), Wrong> {
        if self.peek().is_some() { Err(self.wrong("end")) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<String, Wrong> {
        let raw = self.raw_string()?;
        let lossy = String::from_utf8_lossy(raw);
        // Escapes that are none are left as they are: a name is then odd, and refused where names are looked at.
        Ok(serde_json::from_str(&lossy).unwrap_or_else(|_| lossy.trim_matches('"').to_owned()))
    }

    /// A string with its quotes.
    fn raw_string(&mut self) -> Result<&'a [u8], Wrong> {
        self.take(b'"')?;
        let start = self.at - 1;
        loop {
            match self.text.get(self.at) {
                None => return Err(self.wrong("`\"`")),
                Some(b'\\') => self.at = (self.at + 2).min(self.text.len()),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(self.text.get(start..self.at).unwrap_or_default());
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// A bare word: `null`, a number, `NaN`.
    fn word(&mut self) -> &'a [u8] {
        self.peek();
        let start = self.at;
        while self.text.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// A value; none if it is a list or an object, which is stepped over.
    pub(crate) fn scalar(&mut self) -> Result<Option<Scalar>, Wrong> {
        match self.peek() {
            Some(b'"') => Ok(Some(Scalar::Text(self.string()?))),
            Some(b'[' | b'{') => self.skip().map(|()| None),
            _ => {
                let at = self.at;
                let word = self.word();
                let scalar = match word {
                    b"null" => Scalar::Null,
                    b"true" => Scalar::Bool(true),
                    b"false" => Scalar::Bool(false),
                    _ => match number(word) {
                        Some(number) => Scalar::Number(number),
                        None => {
                            self.at = at;
                            return Err(self.wrong("value"));
                        }
                    },
                };
                Ok(Some(scalar))
            }
        }
    }

    /// Steps over a value.
    pub(crate) fn skip(&mut self) -> Result<(), Wrong> {
        let mut depth = 0_u32;
        loop {
            match self.peek() {
                None => return Err(self.wrong("value")),
                Some(b'"') => drop(self.raw_string()?),
                Some(b'[' | b'{') => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(format!("it is nested deeper than {MAX_DEPTH}").into());
                    }
                    self.at += 1;
                }
                Some(b']' | b'}') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => self.at += 1,
                Some(_) => {
                    if self.word().is_empty() {
                        return Err(self.wrong("value"));
                    }
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// A number as servers write it, or as `NaN`, `Infinity`, `+Inf`.
pub(crate) fn number(word: &[u8]) -> Option<f64> {
    // The standard parser knows the words, and makes numbers beyond the range infinite.
    if word.is_empty() || word.len() > 400 { None } else { std::str::from_utf8(word).ok()?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars() {
        let check = |text: &str, expected: Option<Scalar>| {
            assert_eq!(Reader::new(text.as_bytes()).scalar(), Ok(expected), "{text}");
        };
        check(" null", Some(Scalar::Null));
        check("true", Some(Scalar::Bool(true)));
        check("-1.5e3", Some(Scalar::Number(-1500.0)));
        check("1e9999", Some(Scalar::Number(f64::INFINITY)));
        check("-Infinity", Some(Scalar::Number(f64::NEG_INFINITY)));
        check(r#""a\"\u00e9""#, Some(Scalar::Text("a\"é".into())));
        check("[1, {\"a\": \"]\"}]", None);
        assert!(matches!(Reader::new(b"NaN").scalar(), Ok(Some(Scalar::Number(n))) if n.is_nan()));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "\"", "\"\\", "[", "[[", "{\"a\":", "<html>", "]", "nul", "1x"] {
            assert!(Reader::new(text.as_bytes()).scalar().is_err(), "{text}");
        }
        assert!(Reader::new("[".repeat(1_000_000).as_bytes()).skip().is_err());
    }
}
