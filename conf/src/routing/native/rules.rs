//! `[[relay.rule]]`: each is one statement.

use super::{At, BELOW, Compiler, NOWHERE, TOP, words};
use crate::model::relay::rule::{Names, RuleTable};
use crate::routing::{
    Aggregation, Digits, Discard, Matcher, Output, Rewrite, Route, Statement, Target, Then, Validate,
};

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Route,
    Rewrite,
    Aggregate,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Route => "sends or discards",
            Self::Rewrite => "renames",
            Self::Aggregate => "aggregates",
        }
    }
}

impl At {
    pub(super) fn of_rule(index: usize, rule: &RuleTable) -> Self {
        Self::new("relay.rule", index, rule.name.as_deref(), rule.line)
    }
}

impl Compiler<'_> {
    /// Where rules are, by their names.
    pub(super) fn rule_names(&mut self) {
        for (index, rule) in self.relay.rule.iter().enumerate() {
            let Some(name) = rule.name.as_deref() else { continue };
            let at = At::of_rule(index, rule).key("name");
            if [TOP, BELOW, NOWHERE].contains(&name) {
                self.fault(&at, format!("`{name}` is a word for a place: give the rule another name"));
            } else if let Some(first) = self.rules.insert(name, index) {
                let message = format!("rule {} has this name too: give one of them another", first + 1);
                self.fault(&at, message);
            }
        }
    }

    pub(super) fn rule(&mut self, at: &At, index: usize, rule: &RuleTable) {
        let kind = match (&rule.rewrite, &rule.aggregate) {
            (Some(_), _) => Kind::Rewrite,
            (None, Some(_)) => Kind::Aggregate,
            (None, None) => Kind::Route,
        };
        self.only_its_keys(at, kind, rule);
        let statement = match kind {
            Kind::Route => Some(Statement::Route(self.route(at, rule))),
            Kind::Rewrite => self.rewrite(at, rule).map(Statement::Rewrite),
            Kind::Aggregate => Some(Statement::Aggregate(self.aggregation(at, index, rule))),
        };
        self.routing.statements.extend(statement);
    }

    /// Keys that belong to a rule that does something else.
    fn only_its_keys(&mut self, at: &At, kind: Kind, rule: &RuleTable) {
        use Kind::{Aggregate, Rewrite, Route};
        let keys: [(&str, bool, &[Kind]); 19] = [
            ("match", rule.when.is_some(), &[Route, Aggregate]),
            ("match_not", rule.match_not.is_some(), &[Route]),
            ("send_to", rule.send_to.is_some(), &[Route]),
            ("discard", rule.discard.is_some(), &[Route]),
            ("hash_key", rule.hash_key.is_some(), &[Route]),
            ("validate", rule.validate.is_some(), &[Route]),
            ("validate_log", rule.validate_log.is_some(), &[Route]),
            ("rewrite", rule.rewrite.is_some(), &[Rewrite]),
            ("into", rule.into.is_some(), &[Rewrite]),
            ("every_match", rule.every_match.is_some(), &[Rewrite]),
            ("aggregate", rule.aggregate.is_some(), &[Aggregate]),
            ("each_pattern", rule.each_pattern.is_some(), &[Aggregate]),
            ("every_seconds", rule.every_seconds.is_some(), &[Aggregate]),
            ("after_seconds", rule.after_seconds.is_some(), &[Aggregate]),
            ("keep_seconds", rule.keep_seconds.is_some(), &[Aggregate]),
            ("stamp", rule.stamp.is_some(), &[Aggregate]),
            ("outputs_at", rule.outputs_at.is_some(), &[Aggregate]),
            ("outputs_to", rule.outputs_to.is_some(), &[Aggregate]),
            ("stop", rule.stop.is_some(), &[Route, Aggregate]),
        ];
        for (key, is_there, kinds) in keys {
            if is_there && !kinds.contains(&kind) {
                let advice = match (key, kind) {
                    ("match" | "match_not", Rewrite) => {
                        "write the condition as `and` in the pattern of rewrite"
                    }
                    ("match_not", Aggregate) => "write match = { glob = \"*\", and = [{ ..., not = true }] }",
                    _ => "write two rules, or remove it",
                };
                let message = format!("it has no part in a rule that {}: {advice}", kind.label());
                self.fault(&at.key(key), message);
            }
        }
    }

    /// Which names a rule is about.
    fn when(&mut self, at: &At, rule: &RuleTable) -> Matcher {
        let without_tags = rule.without_tags.unwrap_or_default();
        let matcher = match (&rule.when, &rule.match_not) {
            (None, None) => Matcher::everything(),
            (Some(patterns), None) => Matcher::of(self.patterns(&at.key("match"), patterns.as_slice())),
            (None, Some(patterns)) => {
                let patterns = self.patterns(&at.key("match_not"), patterns.as_slice());
                Matcher { negated: true, ..Matcher::of(patterns) }
            }
            (Some(_), Some(_)) => {
                self.fault(at, "`match` and `match_not` are both there: write one, and the other as `and` in its patterns");
                Matcher::everything()
            }
        };
        Matcher { without_tags, ..matcher }
    }

    fn route(&mut self, at: &At, rule: &RuleTable) -> Route {
        let when = self.when(at, rule);
        let to = match (&rule.send_to, rule.discard) {
            (Some(_), Some(_)) => {
                self.fault(at, "`send_to` and `discard` are both there: write one");
                Target::Clusters(Vec::new())
            }
            (Some(names), None) => Target::Clusters(self.targets(&at.key("send_to"), names.as_slice())),
            (None, Some(reason)) => Target::Discard(Discard::from(reason)),
            (None, None) => Target::Clusters(Vec::new()),
        };
        let is_discard = matches!(to, Target::Discard(_));
        if is_discard && rule.stop == Some(false) {
            self.fault(&at.key("stop"), "what is discarded goes no further: remove it");
        }
        let key = rule.hash_key.as_deref().map(|text| {
            let at = at.key("hash_key");
            if when.negated {
                self.fault(
                    &at,
                    "there is no pattern that a name matched, with match_not: remove one of the two",
                );
            }
            self.template(&at, text, groups(&when))
        });
        if rule.validate_log.is_some() && rule.validate.is_none() {
            self.fault(&at.key("validate_log"), "there is no `validate`: add one, or remove it");
        }
        let validate = rule.validate.as_ref().and_then(|entry| {
            let pattern = self.pattern(&at.key("validate"), entry)?;
            Some(Validate { pattern, log: rule.validate_log.unwrap_or_default() })
        });
        Route { when, validate, key, to, stop: is_discard || rule.stop.unwrap_or_default() }
    }

    fn rewrite(&mut self, at: &At, rule: &RuleTable) -> Option<Rewrite> {
        let from = self.pattern(&at.key("rewrite"), rule.rewrite.as_ref()?)?;
        let Some(into) = rule.into.as_deref() else {
            self.fault(
                at,
                "`into` is missing: what takes the place of what is found, for example into = 'a.\\1'",
            );
            return None;
        };
        let to = self.template(&at.key("into"), into, from.groups());
        let every = rule.every_match.unwrap_or(true);
        Some(Rewrite { from, to, every, without_tags: rule.without_tags.unwrap_or_default() })
    }

    fn aggregation(&mut self, at: &At, index: usize, rule: &RuleTable) -> Aggregation {
        let when = self.when(at, rule);
        let of_aggregate = at.key("aggregate");
        if rule.aggregate.as_ref().is_some_and(Vec::is_empty) {
            self.fault(&of_aggregate, "the list is empty: add { name = '...', function = \"sum\" }");
        }
        let mut outputs = Vec::new();
        for output in rule.aggregate.iter().flatten() {
            let name = self.template(&of_aggregate, &output.name, groups(&when));
            match words::function(&output.function) {
                Ok(function) => {
                    let digits = if output.six_digits == Some(true) { Digits::Six } else { Digits::Fewest };
                    let is_whole = output.whole_name.unwrap_or(true);
                    outputs.push(Output { name, is_whole, function, digits });
                }
                Err(why) => self.fault(&of_aggregate, why),
            }
        }
        let every = rule.every_seconds.unwrap_or_else(|| {
            self.fault(
                at,
                "`every_seconds` is missing: the length of a bucket, for example every_seconds = 60",
            );
            1
        });
        let after = rule.after_seconds.unwrap_or(every);
        let keep = rule.keep_seconds.unwrap_or_else(|| after.saturating_add(every));
        if keep < after {
            self.fault(
                &at.key("keep_seconds"),
                format!("{keep} is less than after_seconds ({after}): make it larger"),
            );
        }
        let then = match (&rule.outputs_to, rule.outputs_at.as_deref()) {
            (Some(_), Some(_)) => {
                self.fault(at, "`outputs_to` and `outputs_at` are both there: write one");
                Then::FromTop
            }
            (Some(names), None) => Then::Clusters(self.outputs(at, names)),
            (None, word) => self.then(&at.key("outputs_at"), word.unwrap_or(BELOW), Some(index + 1)),
        };
        let stamp = rule.stamp.unwrap_or_default().into();
        let stop = rule.stop.unwrap_or_default();
        let for_each_pattern = rule.each_pattern.unwrap_or_default();
        Aggregation { when, for_each_pattern, outputs, every, after, keep, stamp, then, stop }
    }

    fn outputs(&mut self, at: &At, names: &Names) -> Vec<usize> {
        self.targets(&at.key("outputs_to"), names.as_slice())
    }
}

/// Groups that a template may name.
fn groups(when: &Matcher) -> usize {
    when.patterns.iter().map(crate::routing::pattern::Pattern::groups).max().unwrap_or_default()
}
