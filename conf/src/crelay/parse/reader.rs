//! Reading words and keywords, and what could have stood where reading stopped.

use super::lexer::{self, Token};
use crate::crelay::syntax::{At, Position};
use crate::nearest;
use nom::IResult;
use nom::error::{ErrorKind, ParseError};
use std::cell::RefCell;
use std::fmt;

/// Characters of a word that messages show.
const SHOWN: usize = 60;

/// What a parser of the grammar comes to; the input is the rest of the file.
pub(super) type Parsed<'t, O> = IResult<&'t str, O, Stop>;

/// Why a parser stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// Something else stands there; the reader knows what was wanted.
    Other,
    /// The right thing stands there, but it is wrong.
    Wrong(Position, String),
}

impl ParseError<&str> for Stop {
    fn from_error_kind(_: &str, _: ErrorKind) -> Self {
        Self::Other
    }

    fn append(_: &str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Something that could have stood at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Keyword(&'static str),
    Sign(char),
    /// In words.
    Thing(&'static str),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyword(word) => write!(f, "\"{word}\""),
            Self::Sign(sign) => write!(f, "\"{sign}\""),
            Self::Thing(thing) => f.write_str(thing),
        }
    }
}

/// The furthest place at which something else was wanted.
#[derive(Debug, Default)]
struct Furthest {
    at: Position,
    /// Where the piece before it ends: what is missing at the end of a file is missing there.
    behind: Position,
    wanted: Vec<Wanted>,
    found: String,
    /// The bare word that was found, if it is short enough to be a misspelt keyword.
    word: Option<String>,
}

/// Reads the pieces of one file.
#[derive(Debug)]
pub(super) struct Reader {
    length: usize,
    furthest: RefCell<Furthest>,
}

impl Reader {
    /// A reader of `text`.
    pub(super) fn new(text: &str) -> Self {
        Self { length: text.len(), furthest: RefCell::default() }
    }

    /// Where the next piece begins.
    pub(super) fn begin(&self, input: &str) -> Position {
        self.position(lexer::skip(input))
    }

    fn position(&self, rest: &str) -> Position {
        Position(self.length - rest.len())
    }

    /// The next piece, where it begins, and the rest.
    fn token<'t>(&self, input: &'t str) -> Result<(Token<'t>, Position, &'t str), nom::Err<Stop>> {
        let text = lexer::skip(input);
        let at = self.position(text);
        match lexer::token(text) {
            Ok((token, length)) => Ok((token, at, text.get(length..).unwrap_or_default())),
            Err(unreadable) => {
                Err(nom::Err::Failure(Stop::Wrong(Position(at.0 + unreadable.offset), unreadable.message)))
            }
        }
    }

    /// `wanted` could have stood where `input` goes on.
    fn miss<O>(&self, wanted: Wanted, token: &Token<'_>, input: &str) -> Parsed<'static, O> {
        self.want(wanted, token, input);
        Err(nom::Err::Error(Stop::Other))
    }

    /// Remembers that `wanted` could have stood there, if no other place is further.
    fn want(&self, wanted: Wanted, token: &Token<'_>, input: &str) {
        let (at, behind) = (self.begin(input), self.position(input));
        let mut furthest = self.furthest.borrow_mut();
        if at > furthest.at || furthest.wanted.is_empty() {
            *furthest = Furthest { at, behind, ..Furthest::default() };
            furthest.found = match token {
                Token::Bare(word) => format!("\"{}\"", shortened(word)),
                Token::Quoted(text) => format!("the text \"{}\"", shortened(text)),
                Token::Sign(sign) => format!("\"{sign}\""),
                Token::End => "the end of the file".to_owned(),
            };
            furthest.word = match token {
                Token::Bare(word) if word.len() <= SHOWN => Some((*word).to_owned()),
                _ => None,
            };
        }
        if at == furthest.at && !furthest.wanted.contains(&wanted) {
            furthest.wanted.push(wanted);
        }
    }

    /// Where reading stopped, and a message that says why.
    pub(super) fn explain(&self, stop: nom::Err<Stop>) -> (Position, String) {
        if let nom::Err::Failure(Stop::Wrong(at, message)) | nom::Err::Error(Stop::Wrong(at, message)) = stop
        {
            return (at, message);
        }
        let furthest = self.furthest.borrow();
        let wanted: Vec<String> = furthest.wanted.iter().map(ToString::to_string).collect();
        let wanted = match wanted.as_slice() {
            [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
            all => all.join(", "),
        };
        let mut message = format!("expected {wanted}, found {}", furthest.found);
        let keywords = furthest.wanted.iter().filter_map(|wanted| match wanted {
            Wanted::Keyword(word) => Some(*word),
            _ => None,
        });
        if let Some(near) = furthest.word.as_deref().and_then(|word| nearest::word(word, keywords)) {
            message.push_str(&format!("; did you mean \"{near}\"?"));
        }
        let at = if furthest.at.0 == self.length { furthest.behind } else { furthest.at };
        (at, message)
    }

    /// The sign `=` or `;`.
    pub(super) fn symbol<'t>(&self, sign: char, input: &'t str) -> Parsed<'t, ()> {
        match self.token(input)? {
            (Token::Sign(found), _, rest) if found == sign => Ok((rest, ())),
            (token, ..) => self.miss(Wanted::Sign(sign), &token, input),
        }
    }

    /// The end of the file.
    pub(super) fn end<'t>(&self, input: &'t str) -> Parsed<'t, ()> {
        match self.token(input)? {
            (Token::End, _, rest) => Ok((rest, ())),
            // What statements begin with is wanted already.
            _ => Err(nom::Err::Error(Stop::Other)),
        }
    }

    /// One keyword.
    pub(super) fn keyword<'t>(&self, word: &'static str, input: &'t str) -> Parsed<'t, At<()>> {
        self.one_of(&[(word, ())], input)
    }

    /// Keywords one after the other.
    pub(super) fn phrase<'t>(&self, words: &[&'static str], mut input: &'t str) -> Parsed<'t, At<()>> {
        let at = self.begin(input);
        for word in words {
            (input, _) = self.keyword(word, input)?;
        }
        Ok((input, At::new(at, ())))
    }

    /// One of some keywords: what it stands for.
    pub(super) fn one_of<'t, O: Copy>(
        &self,
        words: &[(&'static str, O)],
        input: &'t str,
    ) -> Parsed<'t, At<O>> {
        let (token, at, rest) = self.token(input)?;
        let found = words.iter().find(|(word, _)| matches!(token, Token::Bare(bare) if bare == *word));
        if let Some((_, value)) = found {
            return Ok((rest, At::new(at, *value)));
        }
        for (word, _) in words {
            self.want(Wanted::Keyword(word), &token, input);
        }
        Err(nom::Err::Error(Stop::Other))
    }

    /// Any word; `what` says what it is.
    pub(super) fn word<'t>(&self, what: &'static str, input: &'t str) -> Parsed<'t, At<String>> {
        self.word_but(what, &[], input)
    }

    /// Any word but some keywords, which can be written in quotes.
    pub(super) fn word_but<'t>(
        &self,
        what: &'static str,
        keywords: &[&str],
        input: &'t str,
    ) -> Parsed<'t, At<String>> {
        match self.token(input)? {
            (Token::Bare(word), at, rest) if !keywords.contains(&word) => {
                Ok((rest, At::new(at, word.to_owned())))
            }
            (Token::Quoted(text), at, rest) => Ok((rest, At::new(at, text.into_owned()))),
            (token, ..) => self.miss(Wanted::Thing(what), &token, input),
        }
    }

    /// A whole number.
    pub(super) fn number<'t>(&self, input: &'t str) -> Parsed<'t, At<u32>> {
        match self.token(input)? {
            (Token::Bare(word), at, rest) if word.bytes().all(|b| b.is_ascii_digit()) => match word.parse() {
                Ok(number) => Ok((rest, At::new(at, number))),
                Err(_) => {
                    wrong(at, format!("the number {} is too large: at most {}", shortened(word), u32::MAX))
                }
            },
            (token, ..) => self.miss(Wanted::Thing("a whole number"), &token, input),
        }
    }

    /// A word by its own rules: `read` gives `None` if it is not one at all.
    pub(super) fn reading<'t, O>(
        &self,
        what: &'static str,
        input: &'t str,
        read: impl Fn(&str) -> Option<Result<O, String>>,
    ) -> Parsed<'t, At<O>> {
        let (token, at, rest) = self.token(input)?;
        let text: Option<&str> = match &token {
            Token::Bare(word) => Some(word),
            Token::Quoted(text) => Some(text),
            Token::Sign(_) | Token::End => None,
        };
        match text.and_then(read) {
            Some(Ok(value)) => Ok((rest, At::new(at, value))),
            Some(Err(message)) => wrong(at, message),
            None => self.miss(Wanted::Thing(what), &token, input),
        }
    }
}

/// Stops for good: what stands at `at` is wrong.
pub(super) fn wrong<O>(at: Position, message: String) -> Parsed<'static, O> {
    Err(nom::Err::Failure(Stop::Wrong(at, message)))
}

/// A word as messages show it.
fn shortened(word: &str) -> String {
    match word.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", word.get(..end).unwrap_or_default()),
        None => word.to_owned(),
    }
}
