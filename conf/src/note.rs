//! What is read and not done as it is written, or is odd; and what to do.

use std::fmt;
use std::path::PathBuf;

/// Something that is accepted but does not do what its author may expect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Note {
    /// The file; empty: only its text is known, or it is the settings file.
    pub file: PathBuf,
    /// Counted from 1; `None`: it is not in the file, its default is what the note is about.
    pub line: Option<usize>,
    /// The key, or what else it is about; may be empty.
    pub key: String,
    /// What becomes of it.
    pub message: String,
    /// What to do; empty: nothing has to be done.
    pub advice: String,
}

impl Note {
    pub(crate) fn new(line: impl Into<Option<usize>>, key: &str, message: impl Into<String>) -> Self {
        Self { line: line.into(), key: shortened(key), message: message.into(), ..Self::default() }
    }

    pub(crate) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: advice.into(), ..self }
    }

    pub(crate) fn in_file(self, file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), ..self }
    }

    /// File, line and key, as far as they are known: `carbon.conf:5: RELAY_METHOD`.
    #[must_use]
    pub fn place(&self) -> String {
        let line = self.line.map(|line| line.to_string()).unwrap_or_default();
        let file = match self.file.display().to_string() {
            file if file.is_empty() && !line.is_empty() => format!("line {line}"),
            file if line.is_empty() => file,
            file => format!("{file}:{line}"),
        };
        [file.as_str(), self.key.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(": ")
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, "; {}", self.advice) }
    }
}

/// The first hundred characters.
pub(crate) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(100).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_one_line() {
        let note = Note::new(3, "K", "does nothing").advise("remove it");
        assert_eq!(note.to_string(), "line 3: K: does nothing; remove it");
        assert_eq!(Note::new(None, "K", "does nothing").to_string(), "K: does nothing");
        assert_eq!(note.in_file("/a").to_string(), "/a:3: K: does nothing; remove it");
        assert_eq!(Note::new(4, "", "is odd").in_file("/a").to_string(), "/a:4: is odd");
    }
}
