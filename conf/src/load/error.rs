//! What can go wrong while reading, in words that name the place and what to do.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The settings cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("settings file {}: {source}; {advice}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// Something in the file or in the environment is wrong.
    #[error("{}", listed(problems))]
    Settings {
        /// All that is wrong, by place; never empty.
        problems: Vec<Problem>,
    },
}

impl Error {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        let advice = match source.kind() {
            ErrorKind::NotFound => "check the path; without a settings file everything has its default",
            ErrorKind::PermissionDenied => "let the user that runs the node read it",
            ErrorKind::IsADirectory => "name the file in that folder",
            ErrorKind::FileTooLarge => "is it the right one?",
            _ => "check the path",
        };
        Self::Unreadable { path: path.to_owned(), source, advice }
    }

    /// The problems, if the file could be read at all.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Settings { problems } => problems,
        }
    }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    match lines.as_slice() {
        [one] => one.clone(),
        all => format!("{} problems in the settings\n  {}", all.len(), all.join("\n  ")),
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of fault: `unknown key`, `wrong value for`, ...
    pub(super) fault: &'static str,
    /// The dotted key; empty when the fault belongs to none.
    pub key: String,
    /// Where it is.
    pub place: Place,
    /// What is expected.
    pub message: String,
}

impl Problem {
    pub(super) fn of_types(error: &toml::de::Error) -> Self {
        let message = error.to_string().trim().replace('\n', " ");
        Self { fault: "wrong value", key: String::new(), place: Place::Unknown, message }
    }

    /// Whether the key does not exist.
    #[must_use]
    pub fn is_unknown_key(&self) -> bool {
        self.fault.starts_with("unknown")
    }

    /// What is wrong and what is expected, without the key and the place.
    #[must_use]
    pub fn without_place(&self) -> String {
        format!("{}: {}", self.fault.trim_end_matches(" for"), self.message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.fault)?;
        if !self.key.is_empty() {
            write!(f, " `{}`", self.key)?;
        }
        match &self.place {
            Place::Unknown => {}
            place => write!(f, " {place}")?,
        }
        write!(f, ": {}", self.message)
    }
}

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
    },
    /// In a variable of the environment.
    Variable(String),
    /// Not known.
    Unknown,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                write!(f, "at line {line}, column {column} of {}", path.display())
            }
            Self::Variable(name) => write!(f, "in the variable {name}"),
            Self::Unknown => f.write_str("at an unknown place"),
        }
    }
}
