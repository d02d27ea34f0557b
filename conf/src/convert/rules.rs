//! Statements as rules, patterns as their tables.

use super::Form;
use crate::crelay::template;
use crate::model::relay::rule::{
    Names, OutputTable, PatternEntry, PatternTable, Patterns, Reason, RuleTable,
};
use crate::routing::native::{NOWHERE, TOP, words};
use crate::routing::pattern::Pattern;
use crate::routing::{Aggregation, Digits, Matcher, Rewrite, Route, Stamp, Statement, Target, Then};

/// What a rule is called that others name.
pub(super) fn name(index: usize) -> String {
    format!("rule-{}", index + 1)
}

impl Form<'_> {
    pub(super) fn rules(&self) -> Vec<RuleTable> {
        let statements = &self.routing.statements;
        let mut rules: Vec<RuleTable> = statements.iter().enumerate().map(|(i, s)| self.rule(i, s)).collect();
        let aggregations = statements.iter().enumerate().filter_map(|(i, statement)| match statement {
            Statement::Aggregate(aggregation) if aggregation.then != Then::From(i + 1) => {
                Some(&aggregation.then)
            }
            _ => None,
        });
        for then in aggregations.chain([&self.routing.own]) {
            if let Then::From(index) = then
                && let Some(rule) = rules.get_mut(*index)
            {
                rule.name = Some(name(*index));
            }
        }
        rules
    }

    fn rule(&self, index: usize, statement: &Statement) -> RuleTable {
        match statement {
            Statement::Route(route) => self.route(route),
            Statement::Rewrite(Rewrite { from, to, every, without_tags }) => RuleTable {
                rewrite: Some(self.pattern(from)),
                into: Some(template::write(to)),
                every_match: (!every).then_some(false),
                without_tags: without_tags.then_some(true),
                ..RuleTable::default()
            },
            Statement::Aggregate(aggregation) => self.aggregation(index, aggregation),
        }
    }

    /// A rule that is about the names of a matcher.
    fn about(&self, when: &Matcher) -> RuleTable {
        let Matcher { patterns, negated, without_tags } = when;
        let is_everything = matches!(patterns.as_slice(), [one] if one.dialect().is_none());
        let entries = || match patterns.as_slice() {
            [one] => Patterns::One(self.pattern(one)),
            many => Patterns::Many(many.iter().map(|pattern| self.pattern(pattern)).collect()),
        };
        RuleTable {
            when: (!negated && !is_everything).then(entries),
            match_not: negated.then(entries),
            without_tags: without_tags.then_some(true),
            ..RuleTable::default()
        }
    }

    fn route(&self, Route { when, validate, key, to, stop }: &Route) -> RuleTable {
        let (send_to, discard) = match to {
            Target::Clusters(clusters) => (Some(self.targets(clusters)), None),
            Target::Discard(reason) => (None, Some(Reason::from(*reason))),
        };
        RuleTable {
            hash_key: key.as_ref().map(template::write),
            validate: validate.as_ref().map(|validate| self.pattern(&validate.pattern)),
            validate_log: validate.as_ref().filter(|validate| validate.log).map(|_| true),
            stop: (*stop && discard.is_none()).then_some(true),
            send_to,
            discard,
            ..self.about(when)
        }
    }

    fn aggregation(&self, index: usize, aggregation: &Aggregation) -> RuleTable {
        let Aggregation { when, for_each_pattern, outputs, every, after, keep, stamp, then, stop } =
            aggregation;
        let outputs = outputs.iter().map(|output| OutputTable {
            name: template::write(&output.name),
            function: words::of_function(output.function),
            whole_name: (!output.is_whole).then_some(false),
            six_digits: (output.digits == Digits::Six).then_some(true),
        });
        let (outputs_at, outputs_to) = match then {
            Then::From(next) if *next == index + 1 => (None, None),
            Then::From(index) => (Some(name(*index)), None),
            Then::FromTop => (Some(TOP.to_owned()), None),
            Then::Clusters(clusters) if clusters.is_empty() => (Some(NOWHERE.to_owned()), None),
            Then::Clusters(clusters) => (None, Some(self.targets(clusters))),
        };
        RuleTable {
            aggregate: Some(outputs.collect()),
            each_pattern: for_each_pattern.then_some(true),
            every_seconds: Some(*every),
            after_seconds: (after != every).then_some(*after),
            keep_seconds: (*keep != after.saturating_add(*every)).then_some(*keep),
            stamp: (*stamp != Stamp::Start).then(|| (*stamp).into()),
            outputs_at,
            outputs_to,
            stop: stop.then_some(true),
            ..self.about(when)
        }
    }

    fn targets(&self, clusters: &[usize]) -> Names {
        let mut names = self.names(clusters);
        if names.len() == 1 { Names::One(names.remove(0)) } else { Names::Many(names) }
    }

    pub(super) fn pattern(&self, pattern: &Pattern) -> PatternEntry {
        self.condition(pattern, true)
    }

    fn condition(&self, pattern: &Pattern, is_wanted: bool) -> PatternEntry {
        let (plain, conditions) = pattern.without_conditions();
        let mut table = PatternTable::default();
        match plain.dialect() {
            None if conditions.is_empty() && is_wanted => return PatternEntry::Glob("*".to_owned()),
            None => table.glob = Some("*".to_owned()),
            Some(dialect) => {
                table.regex = Some(plain.as_str().to_owned());
                table.dialect = Some(dialect.into()).filter(|dialect| *dialect != self.dialect);
            }
        }
        if !conditions.is_empty() {
            let conditions = conditions.into_iter();
            table.and = Some(conditions.map(|c| self.condition(&c.pattern, c.is_wanted)).collect());
        }
        table.not = (!is_wanted).then_some(true);
        PatternEntry::Table(Box::new(table))
    }
}
