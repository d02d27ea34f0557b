//! Words, quoted text and signs.

use std::borrow::Cow;

/// Longest text in quotes, bytes.
const LONGEST: usize = 1023;

/// The next piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A bare word; it may be a keyword.
    Bare(&'t str),
    /// What stood in quotes.
    Quoted(Cow<'t, str>),
    /// `=` or `;`.
    Sign(char),
    /// Nothing follows.
    End,
}

/// A character that can begin no piece, or a text in quotes that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Bytes behind the blanks that were passed over.
    pub(super) offset: usize,
    /// What is wrong.
    pub(super) message: String,
}

/// Whether a character can stand in a bare word.
pub(in crate::crelay) const fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '[' | ']'
                | '('
                | ')'
                | '{'
                | '}'
                | '|'
                | '\\'
                | '^'
                | '?'
                | '*'
                | '$'
                | '&'
                | '%'
                | '<'
                | '>'
                | ':'
        )
        || matches!(c, '/' | ',' | '.' | '_' | '+' | '-')
}

/// The text behind blanks and comments.
pub(super) fn skip(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        let Some(comment) = text.strip_prefix('#') else { return text };
        text = comment.find('\n').and_then(|end| comment.get(end..)).unwrap_or_default();
    }
}

/// The first piece of `text`, which begins with neither blank nor comment, and its length in bytes.
pub(super) fn token(text: &str) -> Result<(Token<'_>, usize), Unreadable> {
    match text.chars().next() {
        None => Ok((Token::End, 0)),
        Some(c @ ('=' | ';')) => Ok((Token::Sign(c), 1)),
        Some('"') => quoted(text),
        Some(c) if is_bare(c) => {
            let length = bare(text);
            Ok((Token::Bare(text.get(..length).unwrap_or_default()), length))
        }
        Some(c) => Err(Unreadable {
            offset: 0,
            message: format!("the character `{}` stands in quotes only", c.escape_debug()),
        }),
    }
}

/// Length of the bare word at the beginning of `text`. A blank behind a backslash is part of it.
fn bare(text: &str) -> usize {
    let mut escaped = false;
    let ends = |c: char| {
        let goes_on = is_bare(c) || escaped && c == ' ';
        escaped = c == '\\';
        !goes_on
    };
    text.find(ends).unwrap_or(text.len())
}

/// Text in quotes: a backslash stands before a character that is taken as it is.
fn quoted(text: &str) -> Result<(Token<'_>, usize), Unreadable> {
    let unreadable = |message: &str| Err(Unreadable { offset: 0, message: message.to_owned() });
    let inner = text.get(1..).unwrap_or_default();
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((i, c)) = chars.next() {
        let c = match c {
            '"' if value.is_empty() => {
                return unreadable("this text is empty: put something between the quotes");
            }
            '"' if value.len() > LONGEST => {
                return unreadable(&format!("this text is too long: at most {LONGEST} bytes"));
            }
            '"' => return Ok((Token::Quoted(Cow::Owned(value)), i + 2)),
            '\\' => chars.next().map_or('\n', |(_, c)| c),
            c => c,
        };
        if matches!(c, '\n' | '\r') {
            break;
        }
        value.push(c);
    }
    unreadable("this text does not end: a `\"` is missing on its line")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        let check = |text: &str, expected: Token<'_>, length: usize| {
            assert_eq!(token(text), Ok((expected, length)), "{text}");
        };
        check("", Token::End, 0);
        check("; x", Token::Sign(';'), 1);
        check("=a", Token::Sign('='), 1);
        check(r"^sys\.([^.]+)$ b", Token::Bare(r"^sys\.([^.]+)$"), 14);
        check(r"^a\ b c", Token::Bare(r"^a\ b"), 5);
        check("a#b", Token::Bare("a"), 1);
        check("a\"b\"", Token::Bare("a"), 1);
        check(r#""a b\"\\.\x" "#, Token::Quoted(r#"a b"\.x"#.into()), 12);
        check("\"#é;\"", Token::Quoted("#é;".into()), 6);
        assert_eq!(skip(" # a\n\t#b\r\n c # d"), "c # d");
        assert_eq!(skip("# a"), "");
    }

    #[test]
    fn what_cannot_be_read() {
        let check = |text: &str, expected: &str| {
            let error = token(text).unwrap_err();
            assert!(error.message.contains(expected), "{text}: {error:?}");
        };
        check("\"\"", "empty");
        check("\"a", "does not end");
        check("\"a\\", "does not end");
        check("\"a\nb\"", "does not end");
        check("\"a\\\nb\"", "does not end");
        check("é", "`é` stands in quotes only");
        check("\0", "in quotes only");
        check(&format!("\"{}\"", "x".repeat(1024)), "too long");
        assert!(token(&format!("\"{}\"", "x".repeat(1023))).is_ok());
    }
}
