//! `match`, `rewrite`, `aggregate`.

use super::{Compiler, LONGEST_NAME};
use crate::crelay::syntax::{
    Aggregate, At, Compute, Function, Match, Otherwise, Patterns, Position, Rewrite, SendTo, Stamp,
};
use crate::crelay::template;
use crate::routing::pattern::{Dialect, Pattern};
use crate::routing::{
    self, Aggregation, Digits, Discard, Matcher, Output, Route, Statement, Target, Then, Validate,
};

impl Compiler<'_> {
    pub(super) fn matching(&mut self, at: Position, matching: &Match) {
        let patterns = match &matching.patterns {
            Patterns::Everything => vec![Pattern::everything()],
            Patterns::Any(patterns) => self.patterns(patterns),
        };
        let validate = matching.validate.as_ref().and_then(|validate| {
            let log = validate.otherwise == Otherwise::Log;
            self.pattern(&validate.pattern).map(|pattern| Validate { pattern, log })
        });
        if matching.send_to.is_none() && matching.validate.is_none() {
            self.fault(at, "this `match` does nothing: add `send to` or `validate … else drop`");
        }
        if let (Some(key), None | Some(SendTo::Blackhole)) = (&matching.route_using, &matching.send_to) {
            self.note(key.at, "`route using` has no effect where nothing is sent");
        }
        let to = match &matching.send_to {
            None => Target::Clusters(Vec::new()),
            Some(to) => self.targets(to).map_or(Target::Discard(Discard::Blackhole), Target::Clusters),
        };
        let stop = matching.stop || matches!(to, Target::Discard(_));
        for pattern in patterns {
            let key = matching.route_using.as_ref();
            let key = key.map(|key| template::read(&key.value, pattern.groups()));
            let (validate, to) = (validate.clone(), to.clone());
            self.push(Statement::Route(Route { when: only(vec![pattern]), validate, key, to, stop }));
        }
    }

    pub(super) fn rewrite(&mut self, rewrite: &Rewrite) {
        let Some(from) = self.pattern(&rewrite.pattern) else { return };
        let to = template::read(&rewrite.into.value, from.groups());
        self.push(Statement::Rewrite(routing::Rewrite { from, to, every: false, without_tags: true }));
    }

    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) {
        let patterns = self.patterns(&aggregate.patterns);
        let (every, expire) = (aggregate.every, aggregate.expire);
        if every.value == 0 {
            self.fault(every.at, "the interval is at least 1 second");
        } else if expire.value <= every.value {
            let message = format!(
                "a bucket expires after its interval: write more than {} seconds, not {}",
                every.value, expire.value
            );
            self.fault(expire.at, message);
        }
        let then = match &aggregate.send_to {
            None => Then::FromTop,
            Some(to) => Then::Clusters(self.targets(to).unwrap_or_default()),
        };
        if let (Some(SendTo::Blackhole), Some(at)) = (&aggregate.send_to, aggregate.patterns.first()) {
            self.note(at.at, "what this aggregate computes is thrown away: it sends to `blackhole`");
        }
        self.tell_of_rests(&aggregate.patterns, &patterns);
        let groups = patterns.iter().map(Pattern::groups).max().unwrap_or_default();
        let output = |compute: &Compute| Output {
            name: template::read(&compute.to.value, groups),
            is_whole: false,
            function: function(compute.function),
            digits: if compute.function == Function::Count { Digits::Fewest } else { Digits::Six },
        };
        // One for all expressions: their inputs share the buckets of a result.
        self.push(Statement::Aggregate(Aggregation {
            when: only(patterns),
            for_each_pattern: true,
            outputs: aggregate.computes.iter().map(output).collect(),
            every: every.value,
            after: expire.value,
            keep: expire.value.saturating_add(every.value),
            stamp: match aggregate.stamp {
                Some(Stamp::Start) => routing::Stamp::Start,
                Some(Stamp::Middle) => routing::Stamp::Middle,
                Some(Stamp::End) | None => routing::Stamp::End,
            },
            then,
            stop: aggregate.stop,
        }));
    }

    /// Builds of that relay without PCRE2 name aggregates otherwise where an expression has no groups.
    fn tell_of_rests(&mut self, written: &[At<String>], patterns: &[Pattern]) {
        if written.len() != patterns.len() {
            return;
        }
        for (At { at, value: text }, pattern) in written.iter().zip(patterns) {
            let is_whole = text.starts_with('^') && (text.ends_with('$') || text.ends_with(".*"));
            if pattern.groups() == 0 && !is_whole {
                let shown: String = text.chars().take(LONGEST_NAME).collect();
                self.note(
                    *at,
                    format!(
                        "`{shown}` has no groups: what it does not match stays in the aggregate's name, as in \
                         carbon-c-relay 3.9; builds without PCRE2 (Debian's 3.7.3) leave it out: for one name in both, \
                         let it match the whole name, from `^` to `.*`"
                    ),
                );
            }
        }
    }

    fn push(&mut self, statement: Statement) {
        self.relay.routing.statements.push(statement);
    }

    /// The expressions that are right; faults of the others are told.
    fn patterns(&mut self, patterns: &[At<String>]) -> Vec<Pattern> {
        patterns.iter().filter_map(|pattern| self.pattern(pattern)).collect()
    }

    fn pattern(&mut self, At { at, value: text }: &At<String>) -> Option<Pattern> {
        match Pattern::new(text, Dialect::Posix) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let shown: String = text.chars().take(LONGEST_NAME).collect();
                self.fault(*at, format!("expression `{shown}`: {}", error.why));
                None
            }
        }
    }
}

/// Names that match up to their tags.
const fn only(patterns: Vec<Pattern>) -> Matcher {
    Matcher { without_tags: true, patterns, negated: false }
}

const fn function(function: Function) -> routing::Function {
    match function {
        Function::Sum => routing::Function::Sum,
        Function::Count => routing::Function::Count,
        Function::Max => routing::Function::Max,
        Function::Min => routing::Function::Min,
        Function::Average => routing::Function::Average,
        Function::Median => routing::Function::NearestRank(50),
        Function::Percentile(percent) => routing::Function::NearestRank(percent),
        Function::Variance => routing::Function::Variance,
        Function::Deviation => routing::Function::Deviation,
    }
}
