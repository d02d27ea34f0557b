//! The native form of what another relay's files say: a settings file that relays in the same way.
//!
//! [`convert`] takes what was read of the files and writes `[listen]`, `[relay]`, clusters and rules, with every note
//! as a comment. Then it reads its own text: it must mean the same.

mod clusters;
mod rules;
#[cfg(test)]
mod tests;
mod write;

use crate::load;
use crate::model::Settings;
use crate::model::relay::rule::DialectWord;
use crate::model::relay::{NamesWord, Relay, Sending};
use crate::note::Note;
use crate::relaying::{self, OwnMetrics, Relaying};
use crate::routing::pattern::{Dialect, Pattern};
use crate::routing::{Matcher, Names, RingKey, Route, Routing, Share, Statement, Target, Then, native};
use std::collections::HashSet;
use std::path::Path;

/// A settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// Its text.
    pub text: String,
    /// What differs from the files, or does nothing: those of the files, and of what the settings cannot hold. All are
    /// comments in the text.
    pub notes: Vec<Note>,
}

/// The text does not mean what the files do: a fault of the converter, not of the files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is refused.
    #[error("what was written cannot be read again: {0}; use the files as they are, and report this")]
    Refused(String),
    /// It relays otherwise.
    #[error(
        "what was written relays otherwise than the files ({0}); use the files as they are, and report this"
    )]
    Differs(&'static str),
}

/// Writes settings that relay as `relaying` says, which was read of files of another relay with the defaults of all other
/// settings.
///
/// # Errors
/// See [`Error`].
pub fn convert(relaying: &Relaying) -> Result<Converted, Error> {
    let mut relaying = relaying.clone();
    let mut notes = std::mem::take(&mut relaying.notes);
    fit(&mut relaying, &mut notes);
    let relay = relay(&relaying);
    let text = write::text(&relaying, &relay, &notes);
    match difference(&relaying, &text)? {
        None => Ok(Converted { text, notes }),
        Some(what) => Err(Error::Differs(what)),
    }
}

/// Writes settings with this routing, and the defaults of all else.
///
/// # Errors
/// See [`Error`].
pub fn of_routing(routing: &Routing) -> Result<Converted, Error> {
    let Settings { listen, relay: Relay { sending, .. }, .. } = Settings::default();
    let sending = vec![sending; routing.destinations.len()];
    convert(&Relaying {
        routing: routing.clone(),
        sending,
        listen,
        own_metrics: None,
        detour_seconds: None,
        notes: Vec::new(),
        files: Vec::new(),
    })
}

/// In what a text relays otherwise.
fn difference(relaying: &Relaying, text: &str) -> Result<Option<&'static str>, Error> {
    let settings = load::text(text, Path::new("the converted text")).map(|loaded| loaded.settings);
    let settings = settings.map_err(|error| Error::Refused(error.to_string()))?;
    let again = relaying::read(&settings).map_err(|error| Error::Refused(error.to_string()))?;
    let (a, b) = (&relaying.routing, &again.routing);
    let equal = [
        ("destinations", a.destinations == b.destinations),
        ("clusters", a.clusters == b.clusters),
        ("rules", a.statements == b.statements),
        ("names", a.names == b.names),
        ("own metrics", a.own == b.own),
        ("sending", relaying.sending == again.sending),
        ("listeners", relaying.listen == again.listen),
        ("whose names own metrics have", relaying.own_metrics == again.own_metrics),
        ("rings with a member that is down", relaying.detour_seconds == again.detour_seconds),
    ];
    Ok(equal.into_iter().find(|(_, is_equal)| !is_equal).map(|(what, _)| what))
}

/// Changes what the settings say in another way to the same effect.
fn fit(relaying: &mut Relaying, notes: &mut Vec<Note>) {
    let routing = &mut relaying.routing;
    let mut names = HashSet::new();
    for cluster in &mut routing.clusters {
        let name = if cluster.name.is_empty() { "cluster" } else { &cluster.name };
        let others = (2..).map(|n| format!("{name} ({n})"));
        let free = std::iter::once(name.to_owned()).chain(others).find(|name| !names.contains(name));
        cluster.name = free.unwrap_or_default();
        names.insert(cluster.name.clone());
        if let Share::Ring(ring) = &mut cluster.share {
            ring.replicas = ring.replicas.clamp(1, cluster.members.len().max(1));
        }
    }
    if routing.statements.is_empty() {
        // Without rules all would go to all destinations.
        let (when, to) = (Matcher::everything(), Target::Clusters(Vec::new()));
        routing.statements.push(Statement::Route(Route { when, validate: None, key: None, to, stop: false }));
    }
    if let Some(own) = &mut relaying.own_metrics {
        if !own.is_usual() {
            let message = "how often the relay's own metrics are sent, and what their names begin with, has no key \
                           in the settings: they are sent once a minute under the usual names";
            let note = Note::new(None, "relay.self_metrics", message);
            notes.push(note.advise("run with the file itself to have them as it says"));
        }
        *own = own.usual();
    }
    let end = routing.statements.len();
    let are_received = routing.names == Names::AsReceived;
    let simplest = |then: &mut Then| match then {
        Then::From(index) if *index >= end => *then = Then::Clusters(Vec::new()),
        Then::From(0) if are_received => *then = Then::FromTop,
        _ => {}
    };
    simplest(&mut routing.own);
    for statement in &mut routing.statements {
        if let Statement::Aggregate(aggregation) = statement {
            simplest(&mut aggregation.then);
        }
    }
    let mut settings = Settings { listen: relaying.listen.clone(), ..Settings::default() };
    if let Some(sending) = relaying.sending.first() {
        settings.relay.sending = sending.clone();
    }
    settings.relay.detour_seconds = relaying.detour_seconds.unwrap_or_default();
    write::into_range(&mut settings, notes);
    relaying.listen = settings.listen;
    relaying.detour_seconds = Some(settings.relay.detour_seconds).filter(|seconds| *seconds > 0.0);
    relaying.sending.fill(settings.relay.sending);
}

/// The `[relay]` section.
fn relay(relaying: &Relaying) -> Relay {
    let routing = &relaying.routing;
    let (names, allowed) = match &routing.names {
        Names::AsReceived => (NamesWord::AsReceived, None),
        Names::TagsNormalized => (NamesWord::TagsNormalized, None),
        Names::Cleaned { allowed } => (NamesWord::Cleaned, Some(allowed.clone())),
    };
    let default = Relay::default();
    let dialect = usual_dialect(routing);
    let form = Form { routing, dialect };
    let (destinations, cluster) = form.clusters();
    let (own_metrics_at, own_metrics_to) = match &routing.own {
        Then::FromTop => (native::TOP.to_owned(), Vec::new()),
        Then::From(index) => (rules::name(*index), Vec::new()),
        Then::Clusters(clusters) if clusters.is_empty() => (native::NOWHERE.to_owned(), Vec::new()),
        Then::Clusters(clusters) => (default.own_metrics_at, form.names(clusters)),
    };
    Relay {
        destinations,
        names,
        allowed_characters: allowed.unwrap_or(default.allowed_characters),
        dialect,
        own_metrics_at,
        own_metrics_to,
        cluster,
        rule: form.rules(),
        self_metrics: relaying.own_metrics.as_ref().map_or(default.self_metrics, OwnMetrics::word),
        detour_seconds: relaying.detour_seconds.unwrap_or_default(),
        files: relaying.own_metrics.as_ref().map(OwnMetrics::files).unwrap_or_default(),
        sending: relaying.sending.first().cloned().unwrap_or_else(Sending::default),
        ..Relay::default()
    }
}

/// From the model to the settings' types.
struct Form<'r> {
    routing: &'r Routing,
    dialect: DialectWord,
}

impl Form<'_> {
    fn names(&self, clusters: &[usize]) -> Vec<String> {
        let clusters = clusters.iter().filter_map(|index| self.routing.clusters.get(*index));
        clusters.map(|cluster| cluster.name.clone()).collect()
    }
}

/// The dialect of most expressions.
fn usual_dialect(routing: &Routing) -> DialectWord {
    let mut patterns: Vec<&Pattern> = Vec::new();
    for statement in &routing.statements {
        match statement {
            Statement::Route(route) => {
                patterns.extend(&route.when.patterns);
                patterns.extend(route.validate.as_ref().map(|validate| &validate.pattern));
            }
            Statement::Rewrite(rewrite) => patterns.push(&rewrite.from),
            Statement::Aggregate(aggregation) => patterns.extend(&aggregation.when.patterns),
        }
    }
    for cluster in &routing.clusters {
        if let Share::Ring(ring) = &cluster.share
            && let RingKey::Aggregates(namings) = &ring.key
        {
            patterns.extend(namings.iter().map(|naming| &naming.from));
        }
    }
    let count = |dialect: Dialect| patterns.iter().filter(|p| p.dialect() == Some(dialect)).count();
    let all = [Dialect::Go, Dialect::Posix, Dialect::PythonAnyCase, Dialect::Python];
    all.into_iter().max_by_key(|dialect| count(*dialect)).unwrap_or(Dialect::Python).into()
}
