//! What can be wrong with a configuration, in words that name the place.

use super::include::Source;
use super::syntax::Position;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Characters of a long line that are shown before and behind its fault.
const SHOWN: usize = 60;

/// Characters of a message. Words of a configuration, which it may show, have any length.
const LONGEST_MESSAGE: usize = 1000;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("relay configuration {}: {source}; check the path, and that the user that runs the node may read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}", listed(faults))]
    Faulty {
        /// All that is wrong, by place; never empty.
        faults: Vec<Fault>,
    },
}

impl Error {
    /// The faults, if the file could be read at all.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Faulty { faults } => faults,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Faulty { faults: vec![fault] }
    }
}

fn listed(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    match lines.as_slice() {
        [one] => one.clone(),
        all => format!("{} faults in the relay configuration\n{}", all.len(), all.join("\n")),
    }
}

/// One thing that is wrong. Shown as `file:line:column: message`, then the line, and a caret under the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
    /// The line, or the part of a long one that is around the place.
    pub text: String,
    /// Characters of `text` before the place.
    pub before: usize,
}

impl Fault {
    /// A fault at `at` of `source`.
    pub(super) fn new(source: &Source, at: Position, message: impl Into<String>) -> Self {
        let before = source.text.get(..at.0).unwrap_or(&source.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = source.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let column = before.get(start..).unwrap_or_default().chars().count();
        let skipped = column.saturating_sub(SHOWN);
        let shown = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
        Self {
            file: source.path.clone(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            message: message.into().chars().take(LONGEST_MESSAGE).collect(),
            text: line.chars().skip(skipped).take(2 * SHOWN).map(shown).collect(),
            before: column - skipped,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, text, before } = self;
        // Tabs stay, so that the caret stands under the place whatever their width.
        let indent = text.chars().chain(std::iter::repeat(' ')).take(*before);
        let indent: String = indent.map(|c| if c == '\t' { c } else { ' ' }).collect();
        write!(f, "{}:{line}:{column}: {message}\n  {text}\n  {indent}^", file.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let check = |text: &str, at: usize, expected: &str| {
            let source = Source { path: PathBuf::from("r.conf"), text: text.to_owned() };
            assert_eq!(Fault::new(&source, Position(at), "no").to_string(), expected);
        };
        check("ab cd\n", 3, "r.conf:1:4: no\n  ab cd\n     ^");
        check("a\n\té b\nc", 6, "r.conf:2:4: no\n  \té b\n  \t  ^");
        check("", 0, "r.conf:1:1: no\n  \n  ^");
        check("a\n", 2, "r.conf:2:1: no\n  \n  ^");
        let long = "x".repeat(200);
        let shown = format!("r.conf:1:101: no\n  {}\n  {}^", "x".repeat(120), " ".repeat(60));
        check(&long, 100, &shown);
    }
}
