//! The `[relay]` section of the node's own settings as a [`Routing`].
//!
//! `relay.destinations` and `[[relay.cluster]]` become destinations and clusters, each `[[relay.rule]]` one
//! statement. Without rules all names go to the cluster of `relay.destinations`. All that is wrong is told at once.

mod clusters;
mod destinations;
pub mod glob;
mod patterns;
mod rules;
#[cfg(test)]
mod tests;
pub mod words;

use super::{Matcher, Names, Route, Routing, Statement, Target, Then};
use crate::crelay::template;
use crate::model::relay::cluster::ClusterTable;
use crate::model::relay::{NamesWord, Relay, Sending};
use crate::nearest;
use crate::note::Note;
use crate::routing::template::Template;
use std::collections::HashMap;
use std::fmt;

/// The name of the cluster of all `relay.destinations`.
pub const ALL: &str = "destinations";

/// Words for where points go on, which no rule may have for its name.
pub const TOP: &str = "top";
/// See [`TOP`].
pub const BELOW: &str = "below";
/// See [`TOP`].
pub const NOWHERE: &str = "nowhere";

/// The section cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(faults))]
pub struct Error {
    /// All that is wrong, in the order of the section; never empty.
    pub faults: Vec<Fault>,
}

fn listed(faults: &[Fault]) -> String {
    match faults {
        [one] => one.to_string(),
        all => {
            let lines: String = all.iter().map(|fault| format!("\n  {fault}")).collect();
            format!("{} problems in [relay]{lines}", all.len())
        }
    }
}

/// Something in the section is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, or the table with its number or name, its line, and the key in it.
    pub place: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// The section, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Native {
    /// Where points go.
    pub routing: Routing,
    /// How they are sent, for each of its destinations.
    pub sending: Vec<Sending>,
    /// What is odd.
    pub notes: Vec<Note>,
}

/// Compiles the section.
///
/// # Errors
/// See [`Error`].
pub fn routing(relay: &Relay) -> Result<Routing, Error> {
    read(relay).map(|native| native.routing)
}

/// Compiles the section, with how points are sent.
///
/// # Errors
/// See [`Error`].
pub fn read(relay: &Relay) -> Result<Native, Error> {
    let mut compiler = Compiler {
        relay,
        routing: Routing { names: names(relay), ..Routing::default() },
        sending: Vec::new(),
        destinations: HashMap::new(),
        clusters: HashMap::new(),
        rules: HashMap::new(),
        used: Vec::new(),
        faults: Vec::new(),
    };
    compiler.listed();
    for (i, cluster) in relay.cluster.iter().enumerate() {
        compiler.cluster(&At::new("relay.cluster", i, Some(&cluster.name), cluster.line), cluster);
    }
    compiler.rule_names();
    if relay.rule.is_empty() {
        let all = compiler.targets(&At("relay".to_owned()), &[ALL.to_owned()]);
        let to = Target::Clusters(all);
        let route = Route { when: Matcher::everything(), validate: None, key: None, to, stop: true };
        compiler.routing.statements.push(Statement::Route(route));
    }
    for (i, rule) in relay.rule.iter().enumerate() {
        compiler.rule(&At::of_rule(i, rule), i, rule);
    }
    compiler.own();
    if !compiler.faults.is_empty() {
        return Err(Error { faults: compiler.faults });
    }
    let notes = compiler.unused();
    Ok(Native { routing: compiler.routing, sending: compiler.sending, notes })
}

fn names(relay: &Relay) -> Names {
    match relay.names {
        NamesWord::AsReceived => Names::AsReceived,
        NamesWord::TagsNormalized => Names::TagsNormalized,
        NamesWord::Cleaned => Names::Cleaned { allowed: relay.allowed_characters.clone() },
    }
}

/// Which table of the section.
#[derive(Debug, Clone)]
struct At(String);

impl At {
    fn new(list: &str, index: usize, name: Option<&str>, line: Option<usize>) -> Self {
        let which = match name {
            Some(name) if !name.is_empty() => format!("`{name}`"),
            _ => (index + 1).to_string(),
        };
        let line = line.map_or_else(String::new, |line| format!(" (line {line})"));
        Self(format!("{list} {which}{line}"))
    }

    /// A key of it.
    fn key(&self, key: &str) -> Self {
        Self(format!("{}: {key}", self.0))
    }
}

struct Compiler<'r> {
    relay: &'r Relay,
    routing: Routing,
    sending: Vec<Sending>,
    /// Where destinations are, by name.
    destinations: HashMap<String, usize>,
    /// Where clusters are, by name.
    clusters: HashMap<String, usize>,
    /// Where rules are, by name.
    rules: HashMap<&'r str, usize>,
    /// Clusters that something sends to.
    used: Vec<usize>,
    faults: Vec<Fault>,
}

impl Compiler<'_> {
    fn fault(&mut self, at: &At, message: impl Into<String>) {
        self.faults.push(Fault { place: at.0.clone(), message: message.into() });
    }

    /// Indexes of clusters by their names.
    fn targets(&mut self, at: &At, names: &[String]) -> Vec<usize> {
        let mut targets = Vec::with_capacity(names.len());
        for name in names {
            let found = match self.clusters.get(name) {
                Some(index) => Some(*index),
                None if name == ALL => self.all(),
                None => None,
            };
            if let Some(index) = found {
                targets.push(index);
                self.used.push(index);
                continue;
            }
            let known = self.clusters.keys().map(String::as_str).chain([ALL]);
            let right = match nearest::word(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "define it as a [[relay.cluster]]".to_owned(),
            };
            self.fault(at, format!("there is no cluster `{name}`; {right}"));
        }
        targets
    }

    /// A template of groups of a pattern that has so many.
    fn template(&mut self, at: &At, text: &str, groups: usize) -> Template {
        let template = template::read(text, usize::MAX);
        if let Some(highest) = template.highest_group().filter(|highest| *highest > groups) {
            let has = match groups {
                0 => "has no groups: put round brackets around a part of it".to_owned(),
                n => format!("has {n}"),
            };
            self.fault(at, format!("`{text}` names group {highest}, and the pattern {has}"));
        }
        template
    }

    /// Where points enter that the node makes itself: what `word` says, or clusters; `below`: the next rule.
    fn then(&mut self, at: &At, word: &str, below: Option<usize>) -> Then {
        match (word, below) {
            (TOP, _) => Then::FromTop,
            (NOWHERE, _) => Then::Clusters(Vec::new()),
            (BELOW, Some(next)) => Then::From(next),
            (name, _) => match self.rules.get(name) {
                Some(index) => Then::From(*index),
                None => {
                    let words: &[&str] =
                        if below.is_some() { &[BELOW, TOP, NOWHERE] } else { &[TOP, NOWHERE] };
                    let near = nearest::word(name, self.rules.keys().chain(words).copied());
                    let right = match near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("write {} or the `name` of a rule", words.join(", ")),
                    };
                    self.fault(at, format!("there is no rule `{name}`; {right}"));
                    Then::FromTop
                }
            },
        }
    }

    /// Where the node's own metrics go.
    fn own(&mut self) {
        let Relay { own_metrics_at: word, own_metrics_to: clusters, .. } = self.relay;
        self.routing.own = if clusters.is_empty() {
            self.then(&At("relay.own_metrics_at".to_owned()), word, None)
        } else {
            if word != TOP {
                let message = "relay.own_metrics_to is there too, and counts: remove one of the two";
                self.fault(&At("relay.own_metrics_at".to_owned()), message);
            }
            Then::Clusters(self.targets(&At("relay.own_metrics_to".to_owned()), clusters))
        };
    }

    /// Clusters that nothing sends to, and destinations of the list that no cluster has.
    fn unused(&self) -> Vec<Note> {
        let clusters = self.relay.cluster.iter().enumerate();
        let unused = clusters.filter(|(index, _)| !self.used.contains(index));
        let note = |(index, cluster): (usize, &ClusterTable)| {
            let at = At::new("relay.cluster", index, Some(&cluster.name), cluster.line);
            let advice = format!("name it in a rule: send_to = \"{}\"", cluster.name);
            Note::new(None, &at.0, "no rule sends anything to it").advise(advice)
        };
        let has = |index: &usize| self.routing.clusters.iter().any(|cluster| cluster.members.contains(index));
        let listed = 0..self.relay.destinations.len();
        let idle =
            listed.filter(|index| !has(index)).filter_map(|index| self.routing.destinations.get(index));
        let idle = idle.map(|destination| {
            let message = format!("nothing is sent to `{}`: no cluster has it", destination.label);
            Note::new(None, "relay.destinations", message)
                .advise(format!("name it in a cluster, or all of them in a rule: send_to = \"{ALL}\""))
        });
        unused.map(note).chain(idle).collect()
    }
}
