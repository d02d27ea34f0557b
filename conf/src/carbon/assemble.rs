//! A whole relay out of `carbon.conf` and the files that it names.
//!
//! What carbon does with a point, in its order, becomes statements: black list, white list; in the aggregator rewriting,
//! aggregation, rewriting; then the relay step. Aggregates and the program's own metrics enter at the relay step
//! ([`CarbonRelay::relay_step`]): carbon 1.2 hands what it makes itself to that step alone, so `[post]` rewrites
//! inputs that are passed on and no aggregates.

mod relaying;
mod settings;
#[cfg(test)]
mod tests;

pub use super::keys::Program;
pub use settings::{Listening, OwnMetrics, Sending};

use super::conf::Conf;
use super::{Error, Fault, Note, aggregation_rules, lists, rewrite_rules, text_of};
use crate::routing::pattern::Pattern;
use crate::routing::{Discard, Matcher, Names, Route, Routing, Statement, Target, Then};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A program of carbon's as its files describe it.
#[derive(Debug, Clone, PartialEq)]
pub struct CarbonRelay {
    /// Where points go.
    pub routing: Routing,
    /// The index of the first statement of the relay step; aggregates and own metrics enter there.
    pub relay_step: usize,
    /// Where points come in.
    pub listening: Listening,
    /// How they are sent.
    pub sending: Sending,
    /// The program's own metrics.
    pub own_metrics: OwnMetrics,
    /// What does nothing, or something else than in carbon.
    pub notes: Vec<Note>,
    /// The files that were asked for, also those that do not exist: a change of one may change all of this.
    pub files: Vec<PathBuf>,
}

/// Files that the command line names in place of those that `carbon.conf` names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// `--rules` of carbon-relay.
    pub relay_rules: Option<PathBuf>,
    /// `--rules` of carbon-aggregator, `--aggregation-rules` of carbon-relay.
    pub aggregation_rules: Option<PathBuf>,
    /// `--rewrite-rules`.
    pub rewrite_rules: Option<PathBuf>,
    /// `--whitelist`.
    pub whitelist: Option<PathBuf>,
    /// `--blacklist`.
    pub blacklist: Option<PathBuf>,
}

/// Reads `carbon.conf` and what it names.
///
/// Files are looked for in `CONF_DIR`, which is the folder of `conf_file` unless the file says otherwise. A file of relay
/// rules must exist; of the others none need to, and then there are no rules of that kind.
///
/// # Errors
/// The first file that cannot be used, with the place.
pub fn read(
    conf_file: &Path,
    program: Program,
    instance: &str,
    overrides: &Overrides,
) -> Result<CarbonRelay, Error> {
    let conf = Conf::read(&text_of(conf_file)?, program, instance).map_err(in_file(conf_file))?;
    let dir = match conf.text("CONF_DIR") {
        dir if dir.is_empty() => conf_file.parent().unwrap_or(Path::new("")).to_owned(),
        dir => PathBuf::from(dir),
    };
    let mut files =
        Files { conf_file, program, dir, overrides, read: vec![conf_file.to_owned()], notes: Vec::new() };
    files.note(conf_file, conf.notes.clone());
    let fault = in_file(conf_file);
    let listening = settings::listening(&conf).map_err(&fault)?;
    let sending = settings::sending(&conf).map_err(&fault)?;
    let own_metrics = settings::own_metrics(&conf, program, instance).map_err(&fault)?;
    let mut routing = Routing::default();
    if conf.flag("TAG_RELAY_NORMALIZED") {
        routing.names = Names::TagsNormalized;
    }
    if conf.flag("USE_WHITELIST") {
        let blacklist = Matcher::of(files.list("blacklist.conf", &overrides.blacklist)?);
        discard(&mut routing, blacklist, Discard::Blacklisted);
        let whitelist = Matcher::of(files.list("whitelist.conf", &overrides.whitelist)?);
        discard(&mut routing, Matcher { negated: true, ..whitelist }, Discard::NotWhitelisted);
    }
    let mut relay_step = routing.statements.len();
    match program {
        Program::Relay => relaying::relay(&conf, &mut files, &mut routing)?,
        Program::Aggregator => {
            relay_step = aggregator(&conf, &mut files, &mut routing)?;
            relaying::relay(&conf, &mut files, &mut routing)?;
        }
        Program::Cache => {}
    }
    let Files { read, notes, .. } = files;
    Ok(CarbonRelay { routing, relay_step, listening, sending, own_metrics, notes, files: read })
}

/// Rewriting, aggregation, rewriting: the index of the statement behind them.
fn aggregator(conf: &Conf, files: &mut Files<'_>, routing: &mut Routing) -> Result<usize, Error> {
    let overrides = files.overrides;
    let (path, text) = files.text_if_any(&conf.text("REWRITE_RULES"), &overrides.rewrite_rules)?;
    let rewrites = rewrite_rules::read(&text).map_err(in_file(&path))?;
    files.note(&path, rewrites.notes);
    let rules = files.aggregation_rules(conf)?;
    let fault = in_file(files.conf_file);
    let intervals = conf.whole("MAX_AGGREGATION_INTERVALS", 0..=1_000_000).map_err(&fault)?.unwrap_or(5);
    let write_back = conf.number("WRITE_BACK_FREQUENCY").map_err(&fault)?;
    // As a part of a second at least: a bucket is looked at once a second.
    let write_back = write_back.map_or(u32::MAX, |seconds| seconds.max(1.0) as u32);
    let forwards = conf.flag("FORWARD_ALL");
    // Where inputs leave the walk there is one more statement before the rules of `[post]`.
    let leaves = usize::from(!forwards || !rules.is_empty());
    let statements = &mut routing.statements;
    let step = statements.len() + rewrites.pre.len() + rules.len() + leaves + rewrites.post.len();
    statements.extend(rewrites.pre.into_iter().map(Statement::Rewrite));
    let aggregation = |rule: &aggregation_rules::Rule| {
        rule.aggregation(write_back.min(rule.seconds), intervals, Then::From(step))
    };
    statements.extend(rules.iter().map(|rule| Statement::Aggregate(aggregation(rule))));
    if leaves > 0 {
        let own = rules.iter().map(|rule| rule.own_output().clone()).collect();
        let when = if forwards { Matcher::of(own) } else { Matcher::everything() };
        statements.push(route(when, Target::Clusters(Vec::new()), true));
    }
    statements.extend(rewrites.post.into_iter().map(Statement::Rewrite));
    Ok(step)
}

fn route(when: Matcher, to: Target, stop: bool) -> Statement {
    Statement::Route(Route { when, validate: None, key: None, to, stop })
}

/// An empty list lets everything pass, also the white one.
fn discard(routing: &mut Routing, when: Matcher, why: Discard) {
    if !when.patterns.is_empty() {
        routing.statements.push(route(when, Target::Discard(why), true));
    }
}

/// Names the file of a fault.
fn in_file(path: &Path) -> impl Fn(Fault) -> Error {
    let path = path.to_owned();
    move |fault| Error::Faulty { path: path.clone(), fault }
}

/// Files beside `carbon.conf`.
struct Files<'a> {
    conf_file: &'a Path,
    program: Program,
    dir: PathBuf,
    overrides: &'a Overrides,
    read: Vec<PathBuf>,
    notes: Vec<Note>,
}

impl Files<'_> {
    fn note(&mut self, path: &Path, notes: Vec<Note>) {
        self.notes.extend(notes.into_iter().map(|note| note.in_file(path)));
    }

    fn path(&mut self, name: &str, instead: &Option<PathBuf>) -> PathBuf {
        let path = instead.clone().unwrap_or_else(|| self.dir.join(name));
        if !self.read.contains(&path) {
            self.read.push(path.clone());
        }
        path
    }

    /// A file that must exist.
    fn text(&mut self, name: &str, instead: &Option<PathBuf>) -> Result<(PathBuf, String), Error> {
        let path = self.path(name, instead);
        text_of(&path).map(|text| (path, text))
    }

    /// A file that counts as empty if it does not exist.
    fn text_if_any(&mut self, name: &str, instead: &Option<PathBuf>) -> Result<(PathBuf, String), Error> {
        let path = self.path(name, instead);
        match text_of(&path) {
            Ok(text) => Ok((path, text)),
            Err(Error::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {
                let label = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.note(&path, vec![Note::new(None, &label, "the file does not exist: nothing is in it")]);
                Ok((path, String::new()))
            }
            Err(error) => Err(error),
        }
    }

    fn list(&mut self, name: &str, instead: &Option<PathBuf>) -> Result<Vec<Pattern>, Error> {
        let (path, text) = self.text_if_any(name, instead)?;
        let (patterns, notes) = lists::read(&text);
        self.note(&path, notes);
        Ok(patterns)
    }

    fn aggregation_rules(&mut self, conf: &Conf) -> Result<Vec<aggregation_rules::Rule>, Error> {
        let overrides = self.overrides;
        let (path, text) = self.text_if_any(&conf.text("AGGREGATION_RULES"), &overrides.aggregation_rules)?;
        aggregation_rules::read(&text).map_err(in_file(&path))
    }
}
