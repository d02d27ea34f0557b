//! From the tree to a [`Routing`], listeners and statistics.
//!
//! What the routing model says otherwise than the language:
//!
//! - each expression of a `match` is a statement of its own, as that relay tries them;
//! - an `aggregate` is one statement whatever its expressions, since its buckets are shared by all of them; a name
//!   counts for each expression that it matches;
//! - a `failover` cluster is one destination with all servers as its endpoints; each member of an `any_of` cluster
//!   has the other servers as stand-ins, from the next one on, so that the load of one that is down does not
//!   always fall on the first;
//! - a bucket is computed once, when it expires; that relay adds up to 10 seconds or an interval by chance.

pub(super) mod clusters;
mod listeners;
mod rules;

pub use listeners::{Listener, ListenerTls, Socket, Statistics, StatisticsTarget};

use super::clean;
use super::error::{Error, Fault};
use super::include::{Source, Whole};
use super::syntax::{At, Position, SendTo, Statement};
use crate::nearest;
use crate::note::Note;
use crate::routing::{Names, Routing, every_address};
use std::collections::HashMap;
use std::path::PathBuf;

/// Faults, and notes, that are told at once.
const MOST_TOLD: usize = 100;

/// Characters of names that are shown and compared in messages.
const LONGEST_NAME: usize = 100;

/// A configuration of carbon-c-relay.
#[derive(Debug, Clone, PartialEq)]
pub struct Relay {
    /// Destinations, clusters and statements.
    pub routing: Routing,
    /// Where it listens; none: the configuration does not say.
    pub listeners: Vec<Listener>,
    /// What it tells of itself.
    pub statistics: Statistics,
    /// What was read and has no effect, or another one, by place; the first hundred.
    pub notes: Vec<Note>,
    /// Every file that was read, each once.
    pub files: Vec<PathBuf>,
}

/// Compiles a configuration.
///
/// # Errors
/// [`Error::Faulty`] with all that is wrong (the first hundred faults): clusters that are not there or there twice, servers that cannot be shared,
/// numbers out of range, expressions that are none, and what the node does not do.
pub fn compile(whole: &Whole) -> Result<Relay, Error> {
    let mut compiler = Compiler {
        whole,
        file: 0,
        relay: Relay {
            routing: Routing {
                names: Names::Cleaned { allowed: clean::ALLOWED.to_owned() },
                ..Routing::default()
            },
            listeners: Vec::new(),
            statistics: Statistics::default(),
            notes: Vec::new(),
            files: Vec::new(),
        },
        clusters: HashMap::new(),
        servers: clusters::Servers::default(),
        faults: Vec::new(),
    };
    for Source { path, .. } in &whole.sources {
        if !compiler.relay.files.contains(path) {
            compiler.relay.files.push(path.clone());
        }
    }
    for (file, glob) in &whole.unmatched {
        compiler.file = *file;
        compiler.note(glob.at, format!("no file matches `{}`", glob.value));
    }
    for (file, statement) in &whole.statements {
        compiler.file = *file;
        compiler.statement(statement);
    }
    if compiler.faults.is_empty() {
        every_address::tell_apart(&mut compiler.relay.routing.destinations);
        Ok(compiler.relay)
    } else {
        Err(Error::Faulty { faults: compiler.faults })
    }
}

struct Compiler<'w> {
    whole: &'w Whole,
    /// Index of the file of the statement that is compiled.
    file: usize,
    relay: Relay,
    /// Indexes of clusters by name; a cluster with a fault is there too, so that its uses are none.
    clusters: HashMap<String, usize>,
    servers: clusters::Servers,
    faults: Vec<Fault>,
}

impl Compiler<'_> {
    fn statement(&mut self, statement: &At<Statement>) {
        match &statement.value {
            Statement::Cluster(cluster) => self.cluster(cluster),
            Statement::Match(matching) => self.matching(statement.at, matching),
            Statement::Rewrite(rewrite) => self.rewrite(rewrite),
            Statement::Aggregate(aggregate) => self.aggregate(aggregate),
            Statement::Statistics(statistics) => self.statistics(statement.at, statistics),
            Statement::SendStatistics(old) => self.send_statistics(old),
            Statement::Listen(listen) => self.listen(listen),
            // Expanded when the file was loaded.
            Statement::Include(_) => {}
        }
    }

    fn fault(&mut self, at: Position, message: impl Into<String>) {
        if self.faults.len() >= MOST_TOLD {
            return;
        }
        if let Some(source) = self.whole.sources.get(self.file) {
            self.faults.push(Fault::new(source, at, message));
        }
    }

    fn note(&mut self, at: Position, text: impl Into<String>) {
        if self.relay.notes.len() >= MOST_TOLD {
            return;
        }
        if let Some(Source { path, text: of }) = self.whole.sources.get(self.file) {
            let line = of.get(..at.0).unwrap_or_default().matches('\n').count() + 1;
            self.relay.notes.push(Note::new(line, "", text).in_file(path));
        }
    }

    /// Indexes of clusters; `None` if nothing is sent at all.
    fn targets(&mut self, to: &SendTo) -> Option<Vec<usize>> {
        let SendTo::Clusters(names) = to else { return None };
        let mut targets = Vec::with_capacity(names.len());
        for At { at, value: name } in names {
            if let Some(target) = self.clusters.get(name) {
                targets.push(*target);
            } else if name == "blackhole" {
                self.fault(*at, "`blackhole` takes all: it stands alone behind `send to`");
            } else {
                let short = |name: &&str| name.len() <= LONGEST_NAME;
                let known = self.clusters.keys().map(String::as_str).filter(short);
                let near = if short(&name.as_str()) { nearest::word(name, known) } else { None };
                let name: String = name.chars().take(LONGEST_NAME).collect();
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                self.fault(*at, format!("no cluster `{name}` is defined above this{near}"));
            }
        }
        Some(targets)
    }
}

#[cfg(test)]
mod tests;
