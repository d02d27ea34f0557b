//! carbon's own files: `carbon.conf` and the rules beside it.
//!
//! [`assemble::read`] takes the path of a `carbon.conf` and gives what a node needs to stand in the place of the
//! carbon-relay or carbon-aggregator that it was written for. Each kind of file has a reader of its own that takes
//! text, so that it can be tried on anything.
//!
//! The reference is graphite-project/carbon 1.2 on Python 3. Where it loses points or rules in silence, the readers
//! here refuse the file at load, or say so in a [`Note`].

pub mod aggregation_rules;
pub mod assemble;
pub mod conf;
pub mod destination;
pub mod ini;
pub mod keys;
pub mod lists;
pub mod relay_rules;
pub(crate) mod replacement;
pub mod rewrite_rules;
pub mod storage_schemas;
pub mod tags;

use std::fmt;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// A file may be so long, bytes. The largest sets of rules seen have some ten thousand lines.
const LONGEST: u64 = 16 << 20;

/// One of carbon's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{}: {source}; {advice}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// Something in it is wrong.
    #[error("{}, {fault}", path.display())]
    Faulty {
        /// The file.
        path: PathBuf,
        /// What, and where.
        fault: Fault,
    },
}

/// Something in a file is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{text}`: {why}")]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// The text at fault, cut when it is long.
    pub text: String,
    /// What is wrong, and what to do.
    pub why: String,
}

impl Fault {
    pub(crate) fn new(line: usize, text: &str, why: impl Into<String>) -> Self {
        Self { line, text: shortened(text), why: why.into() }
    }
}

/// Something that is accepted but does not do what its author may expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The file; empty as long as only its text is known.
    pub file: PathBuf,
    /// Counted from 1; `None`: it is not in the file, its default is what the note is about.
    pub line: Option<usize>,
    /// The key, or what else it is about.
    pub key: String,
    /// What becomes of it.
    pub message: String,
    /// What to do; empty: nothing has to be done.
    pub advice: String,
}

impl Note {
    pub(crate) fn new(line: impl Into<Option<usize>>, key: &str, message: impl Into<String>) -> Self {
        let (line, key, message) = (line.into(), shortened(key), message.into());
        Self { file: PathBuf::new(), line, key, message, advice: String::new() }
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}, ", self.file.display())?;
        }
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        write!(f, "{}: {}", self.key, self.message)?;
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

/// The first hundred characters.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(100).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The text of a file.
pub(crate) fn text_of(path: &Path) -> Result<String, Error> {
    let unreadable = |source: io::Error| {
        let advice = match source.kind() {
            ErrorKind::NotFound => "check the path, and CONF_DIR",
            ErrorKind::PermissionDenied => "let the user that runs the node read it",
            ErrorKind::InvalidData => "write it in UTF-8",
            _ => "check the path",
        };
        Error::Unreadable { path: path.to_owned(), source, advice }
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let length = file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if length as u64 > LONGEST {
        let why = format!("the file is longer than {LONGEST} bytes: is it the right one?");
        let fault = Fault::new(1, text.lines().next().unwrap_or_default(), why);
        return Err(Error::Faulty { path: path.to_owned(), fault });
    }
    Ok(text)
}

/// The lines of a text as Python reads them from a file, with their numbers: LF, CR LF and CR end a line.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some(text);
    let all = std::iter::from_fn(move || {
        let text = rest?;
        if text.is_empty() {
            return None;
        }
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let (line, behind) = text.split_at(end);
        rest = behind.strip_prefix("\r\n").or_else(|| behind.get(1..));
        Some(line)
    });
    all.enumerate().map(|(i, line)| (i + 1, line))
}

/// Whether a word is true or false for Python's ConfigParser.
pub(crate) fn flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Some(true),
        "0" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_in_python() {
        let check = |text: &str, expected: &[&str]| {
            let got: Vec<_> = lines(text).collect();
            let expected: Vec<_> = expected.iter().enumerate().map(|(i, line)| (i + 1, *line)).collect();
            assert_eq!(got, expected, "{text:?}");
        };
        check("", &[]);
        check("a", &["a"]);
        check("a\n", &["a"]);
        check("a\r\nb\rc\n\nd", &["a", "b", "c", "", "d"]);
        check("\n\n", &["", ""]);
    }

    #[test]
    fn files_that_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let check = |content: Option<&[u8]>, expected: &str| {
            let path = dir.path().join("a.conf");
            match content {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => drop(std::fs::remove_file(&path)),
            }
            let error = text_of(&path).unwrap_err().to_string();
            assert!(error.contains("a.conf") && error.contains(expected), "{error}");
        };
        check(None, "CONF_DIR");
        check(Some(b"\xff"), "UTF-8");
        check(Some(&vec![b'x'; LONGEST as usize + 1]), "is it the right one");
    }

    #[test]
    fn notes_are_one_line() {
        let note = Note::new(3, "K", "does nothing").advise("remove it");
        assert_eq!(note.to_string(), "line 3, K: does nothing; remove it");
        assert_eq!(Note::new(None, "K", "does nothing").to_string(), "K: does nothing");
    }
}
