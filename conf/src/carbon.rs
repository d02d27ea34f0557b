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
pub mod ini;
pub mod keys;
pub mod lists;
pub mod relay_rules;
pub(crate) mod replacement;
pub mod rewrite_rules;
pub mod storage_schemas;
pub mod tags;

use crate::bounded;
use crate::note::{Note, shortened};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

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

/// The text of a file.
pub(crate) fn text_of(path: &Path) -> Result<String, Error> {
    let unreadable = |source: io::Error| {
        let advice = match source.kind() {
            ErrorKind::NotFound => "check the path, and CONF_DIR",
            ErrorKind::PermissionDenied => "let the user that runs the node read it",
            ErrorKind::InvalidData => "write it in UTF-8",
            ErrorKind::FileTooLarge => "is it the right one?",
            _ => "check the path",
        };
        Error::Unreadable { path: path.to_owned(), source, advice }
    };
    bounded::read(path).map_err(unreadable)
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
    use crate::bounded::LONGEST;

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
}
