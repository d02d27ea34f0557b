//! Who is told of a metric: the rules of the settings, compiled.
//!
//! Rules are looked at from top to bottom; every one that matches and is active applies, until one that stops. What
//! matches a name is remembered for a bounded number of names: a thousand rules cost one look each time.

mod compile;

pub use compile::BadRule;

use crate::message::Severity;
use crate::schedule::Active;
use skyline_conf::matching::{By, Matching};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Names of which it is remembered what matches; more, and all are looked at anew.
const REMEMBERED: usize = 50_000;

/// A channel and who is told by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The channel's name.
    pub channel: String,
    /// Who; of a channel that has one place only, its name.
    pub recipients: Vec<String>,
}

/// Who is told when nobody has acknowledged an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Escalation {
    /// After so long, seconds.
    pub after: f64,
    /// Who.
    pub targets: Vec<Target>,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What messages and mutes call it.
    pub name: String,
    /// Patterns of which one must match.
    pub patterns: Vec<Matching>,
    /// Patterns of which none may match.
    pub not: Vec<Matching>,
    /// Who is told; none: nobody.
    pub targets: Vec<Target>,
    /// The same is told again after so long, seconds; none: never.
    pub repeat: Option<f64>,
    /// How bad it is.
    pub severity: Severity,
    /// Told once it has lasted so long, seconds; 0: at once.
    pub minimum: f64,
    /// When it applies; none: always.
    pub active: Option<Active>,
    /// Whether the end is told.
    pub recovery: bool,
    /// Who is told when nobody acknowledges; none: nobody else.
    pub escalation: Option<Escalation>,
    /// Hours of the longer window that confirms; kept for later.
    pub second_order_hours: Option<u32>,
    /// Whether rules below are not looked at.
    pub stop: bool,
    /// Where it stands in the settings file, counted from 1; none: in none.
    pub line: Option<usize>,
}

/// Why a rule is or is not about a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The pattern of that place matches, by that.
    Matches {
        /// Place of the pattern among those of the rule.
        pattern: usize,
        /// By what.
        by: By,
    },
    /// None of its patterns does.
    NoPattern,
    /// The pattern of that place among `match_not` does.
    Excluded {
        /// Place of the pattern.
        pattern: usize,
        /// By what.
        by: By,
    },
}

impl Rule {
    /// Whether its patterns are about a metric, and why.
    #[must_use]
    pub fn verdict(&self, metric: &str) -> Verdict {
        let first = |patterns: &[Matching]| {
            patterns.iter().enumerate().find_map(|(place, pattern)| Some((place, pattern.by(metric)?)))
        };
        let Some((pattern, by)) = first(&self.patterns) else { return Verdict::NoPattern };
        match first(&self.not) {
            Some((pattern, by)) => Verdict::Excluded { pattern, by },
            None => Verdict::Matches { pattern, by },
        }
    }

    /// Whether it applies at a time, seconds.
    #[must_use]
    pub fn is_active(&self, now: f64) -> bool {
        self.active.as_ref().is_none_or(|active| active.applies(now))
    }
}

/// A rule that applies to a metric now.
#[derive(Debug, Clone)]
pub struct Match {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Its place, from 0.
    pub place: usize,
    /// Place of the pattern that matches.
    pub pattern: usize,
    /// By what it matches.
    pub by: By,
}

/// What is remembered of a name: places of rules that match, with the pattern and by what.
type Hits = Arc<[(usize, usize, By)]>;

/// All rules, in order.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Arc<Rule>>,
    /// Whether the file has none, and one stands for it.
    is_default: bool,
    known: Mutex<HashMap<String, Hits>>,
}

impl Rules {
    /// The rules that apply to a metric at a time (seconds), in their order.
    #[must_use]
    pub fn apply(&self, metric: &str, now: f64) -> Vec<Match> {
        let mut matches = Vec::new();
        for (place, pattern, by) in self.hits(metric).iter() {
            let Some(rule) = self.rules.get(*place) else { continue };
            if !rule.is_active(now) {
                continue;
            }
            matches.push(Match { rule: Arc::clone(rule), place: *place, pattern: *pattern, by: *by });
            if rule.stop {
                break;
            }
        }
        matches
    }

    /// All of them, in order.
    #[must_use]
    pub fn all(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Whether the settings have none, so that one for every metric and every channel stands for them.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.is_default
    }

    /// The rule of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    fn hits(&self, metric: &str) -> Hits {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hits) = known.get(metric) {
            return Arc::clone(hits);
        }
        let hits: Hits = self
            .rules
            .iter()
            .enumerate()
            .filter_map(|(place, rule)| match rule.verdict(metric) {
                Verdict::Matches { pattern, by } => Some((place, pattern, by)),
                Verdict::NoPattern | Verdict::Excluded { .. } => None,
            })
            .collect();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(metric.to_owned(), Arc::clone(&hits));
        hits
    }
}

#[cfg(test)]
mod tests;
