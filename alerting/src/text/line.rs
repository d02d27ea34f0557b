//! A line of a message, in pieces: words of ours, and names from outside.

use super::name;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Words of ours.
    Words(String),
    /// Words of ours that matter most.
    Strong(String),
    /// A name from outside: shown literally, in a form that control characters cannot reach ([`name::literal`]), and
    /// told apart from words.
    Name(String),
    /// Words with parts from outside: as literal as a name, and not told apart.
    Told(String),
}

/// A line, or a sentence of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(pub Vec<Piece>);

impl Line {
    /// A line of words.
    #[must_use]
    pub fn of(words: impl Into<String>) -> Self {
        Self(vec![Piece::Words(words.into())])
    }

    /// A line of words with parts from outside.
    #[must_use]
    pub fn told(text: &str) -> Self {
        Self(vec![Piece::Told(name::literal(text))])
    }

    /// A line of a name.
    #[must_use]
    pub fn name(text: &str) -> Self {
        Self(Vec::new()).and_name(text)
    }

    /// With words at its end.
    #[must_use]
    pub fn and(mut self, words: impl Into<String>) -> Self {
        self.0.push(Piece::Words(words.into()));
        self
    }

    /// With words that matter at its end.
    #[must_use]
    pub fn and_strong(mut self, words: impl Into<String>) -> Self {
        self.0.push(Piece::Strong(words.into()));
        self
    }

    /// With a whole name at its end.
    #[must_use]
    pub fn and_name(mut self, text: &str) -> Self {
        self.0.push(Piece::Name(name::literal(text)));
        self
    }

    /// With a name at its end, shortened in its middle if it is long.
    #[must_use]
    pub fn and_short_name(mut self, text: &str, most: usize) -> Self {
        self.0.push(Piece::Name(name::shortened(&name::literal(text), most)));
        self
    }

    /// With words with parts from outside at its end, shortened in their middle if they are long.
    #[must_use]
    pub fn and_short_told(mut self, text: &str, most: usize) -> Self {
        self.0.push(Piece::Told(name::shortened(&name::literal(text), most)));
        self
    }

    /// As text of one line. Names that are written from right to left are isolated.
    #[must_use]
    pub fn plain(&self) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(text) | Piece::Strong(text) => out.push_str(text),
                Piece::Name(text) | Piece::Told(text) => out.push_str(&name::isolated(text)),
            }
        }
        out
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
