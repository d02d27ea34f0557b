//! carbon-relay-ng's TOML.
//!
//! [`load`] reads a file and gives what a node needs to stand in the place of the relay that it was written for. The
//! order in which that program does things, whatever the order in its file, becomes the order of statements: block
//! list, rewriters, aggregations, routes; aggregates enter at the routes.
//!
//! Keys are taken in any case, as that program does. It reads over keys that it does not know, so that a misspelt
//! filter widens a route in silence; here they are refused. What it needs to be told and the node does not is in
//! the notes.

mod command;
mod compile;
mod destination;
mod document;
mod filter;
mod global;
mod section;
mod transform;

use crate::bounded;
use crate::note::Note;
use crate::routing::Routing;
use document::Log;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Sections of a file.
pub(crate) const SECTIONS: [&str; 7] =
    ["init", "route", "rewriter", "aggregation", "amqp", "kafka", "instrumentation"];

/// So many faults are told; after the first few dozen the rest is noise.
const MOST_FAULTS: usize = 50;

/// A carbon-relay-ng as its file describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct RelayNg {
    /// Where points go.
    pub routing: Routing,
    /// `listen_addr`: lines over TCP and over UDP; `None`: none are taken.
    pub plaintext: Option<SocketAddr>,
    /// `pickle_addr`: pickles over TCP; `None`: none are taken.
    pub pickle: Option<SocketAddr>,
    /// `instance` as it is written: `${HOST}` in it stands for the name of the host up to its first dot.
    pub instance: Option<String>,
    /// What does nothing, or something else than in carbon-relay-ng.
    pub notes: Vec<Note>,
}

/// The file cannot be used.
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
    #[error("{}{}", path.display(), listed(faults))]
    Faulty {
        /// The file.
        path: PathBuf,
        /// What, by place; never empty, and cut when there is much.
        faults: Vec<Fault>,
    },
}

/// Something in the file is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {key}: {why}")]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The key, with its section.
    pub key: String,
    /// What is wrong, with the text at fault, and what to do.
    pub why: String,
}

fn listed(faults: &[Fault]) -> String {
    match faults {
        [one] => format!(", {one}"),
        all => all.iter().map(|fault| format!("\n  {fault}")).collect(),
    }
}

/// Reads a file.
///
/// # Errors
/// See [`Error`].
pub fn load(path: &Path) -> Result<RelayNg, Error> {
    let unreadable = |source: io::Error| {
        let advice = match source.kind() {
            ErrorKind::NotFound => "check the path",
            ErrorKind::PermissionDenied => "let the user that runs the node read it",
            ErrorKind::InvalidData => "save the file in UTF-8",
            ErrorKind::FileTooLarge => "a file may have 16 MiB",
            _ => "name a file that can be read",
        };
        Error::Unreadable { path: path.to_owned(), source, advice }
    };
    let text = bounded::read(path).map_err(unreadable)?;
    read(&text, path)
}

/// Reads the text of a file; `path` is for messages.
///
/// # Errors
/// [`Error::Faulty`].
pub fn read(text: &str, path: &Path) -> Result<RelayNg, Error> {
    let mut log = Log::new(text);
    let found = document::parse(text, &mut log).map(|table| global::read(table.get_ref(), &mut log));
    let compiled = found.map(|found| {
        let routing = compile::routing(&found, &mut log);
        (found.own, routing)
    });
    match compiled {
        Some((own, routing)) if log.faults.is_empty() => Ok(RelayNg {
            routing,
            plaintext: own.plaintext,
            pickle: own.pickle,
            instance: own.instance,
            notes: log.notes.into_iter().map(|note| note.in_file(path)).collect(),
        }),
        _ => {
            let mut faults = log.faults;
            faults.sort_by_key(|fault| (fault.line, fault.column));
            faults.truncate(MOST_FAULTS);
            Err(Error::Faulty { path: path.to_owned(), faults })
        }
    }
}

#[cfg(test)]
mod tests;
