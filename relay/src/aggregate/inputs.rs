//! Of which series a name is an input, remembered for each name.

use super::bucket::Key;
use foldhash::fast::RandomState;
use skyline_conf::routing::walk::Act;
use skyline_conf::routing::{Routing, Statement, Then};
use skyline_core::name;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Memory of names, about; when it is spent all are forgotten and found anew.
const MAX_BYTES: usize = 64 << 20;

/// Aggregates of aggregates of aggregates: more than so many generations are taken for a circle.
const GENERATIONS: usize = 16;

/// And so are more names than this.
const MOST_SEEN: usize = 4_096;

/// Names that are told to be inputs of themselves.
const MOST_TOLD: u32 = 10;

/// A series that a name is an input of.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) key: Key,
    /// Where it was in its bucket the last time.
    pub(super) hint: u32,
}

/// An aggregation that a name is an input of.
#[derive(Debug)]
pub(super) struct Input {
    /// Its place among the machine's rules.
    pub(super) rule: usize,
    pub(super) targets: Vec<Target>,
}

/// What is known of a name.
#[derive(Debug, Default)]
pub(super) struct Known {
    name: Box<[u8]>,
    pub(super) inputs: Vec<Input>,
    /// Outputs whose name no line can bear.
    pub(super) bad_names: u64,
    /// Outputs that would be their own input, by themselves or through other aggregations.
    pub(super) loops: u64,
}

/// The names of a routing.
#[derive(Debug)]
pub(super) struct Inputs {
    routing: Arc<Routing>,
    /// For each statement that is an aggregation its place among the rules.
    rules: HashMap<usize, usize>,
    /// Statements before which a name may have become what it is.
    starts: Vec<usize>,
    /// The first statement for what the aggregator has made.
    made_from: usize,
    /// By the hash of the name, and whether the aggregator has made the point.
    known: HashMap<(u64, bool), Known, RandomState>,
    bytes: usize,
    max_bytes: usize,
    seed: RandomState,
    /// Names of which it was told that they would be inputs of themselves.
    told: u32,
}

impl Inputs {
    /// Knows no name yet. `seed`: what keys are hashed with.
    pub(super) fn new(routing: Arc<Routing>, seed: RandomState) -> Self {
        let statements = || routing.statements.iter().enumerate();
        let aggregations = || {
            statements()
                .filter_map(|(i, what)| if let Statement::Aggregate(a) = what { Some((i, a)) } else { None })
        };
        let rewrites = statements().filter(|(_, what)| matches!(what, Statement::Rewrite(_)));
        // Where points of several aggregations enter at different places, at the first of these.
        let enters = |then: &Then| match then {
            Then::FromTop => Some(0),
            Then::From(from) => Some(*from),
            Then::Clusters(_) => None,
        };
        Self {
            rules: aggregations().enumerate().map(|(rule, (statement, _))| (statement, rule)).collect(),
            starts: rewrites.map(|(i, _)| i + 1).collect(),
            made_from: aggregations().filter_map(|(_, a)| enters(&a.then)).min().unwrap_or(0),
            routing,
            known: HashMap::default(),
            bytes: 0,
            max_bytes: MAX_BYTES,
            seed,
            told: 0,
        }
    }

    /// What is known of `name`, whose hash is `hash`; `is_made`: the aggregator has made the point.
    pub(super) fn find(&mut self, hash: u64, name: &[u8], is_made: bool) -> Option<&mut Known> {
        let key = (hash, is_made);
        if self.known.get(&key).is_none_or(|known| *known.name != *name) {
            let known = self.look_up(name, is_made);
            if known.loops > 0 && self.told < MOST_TOLD {
                self.told += 1;
                tracing::warn!(
                    name = %String::from_utf8_lossy(name),
                    "an aggregate would be an input of itself, perhaps through other aggregations, and is not taken \
                     as one: send what is aggregated to a cluster (`send to`), or let the patterns leave it out"
                );
            }
            if self.bytes > self.max_bytes {
                self.known.clear();
                self.bytes = 0;
            }
            self.bytes += known.bytes();
            self.known.insert(key, known);
        }
        self.known.get_mut(&key)
    }

    /// A key of a series.
    pub(super) fn key(seed: &RandomState, output: u16, name: Arc<str>) -> Key {
        Key { hash: seed.hash_one((output, &*name)), output, name }
    }

    fn look_up(&self, name: &[u8], is_made: bool) -> Known {
        let mut known = Known { name: name.into(), ..Known::default() };
        let Ok(text) = std::str::from_utf8(name) else { return known };
        let from = if is_made { self.made_from } else { 0 };
        // The point bears the name that it has as an input. If it came by another one, a rewrite above the
        // aggregation has changed it, and would perhaps change it again.
        let below = self.starts.iter().copied().filter(|start| *start > from);
        for start in std::iter::once(from).chain(below) {
            for act in self.routing.walk(start, text) {
                let Act::Input { statement, aggregation, name: under, outputs } = act else { continue };
                let Some(rule) = self.rules.get(&statement).filter(|_| under == text) else { continue };
                let is_loop = |series: &str| {
                    is_made && (series == text || (enters(&aggregation.then) && self.leads_on(series, text)))
                };
                known.add(*rule, outputs, is_loop, &self.seed);
            }
            if !known.inputs.is_empty() {
                break;
            }
        }
        known
    }

    /// Whether a series, once it is made, leads to `name` again, or to ever new names.
    fn leads_on(&self, series: &str, name: &str) -> bool {
        let mut seen = HashSet::from([series.to_owned()]);
        let mut newest = vec![series.to_owned()];
        for _ in 0..GENERATIONS {
            let mut next = Vec::new();
            for one in &newest {
                for act in self.routing.walk(self.made_from, one) {
                    let Act::Input { aggregation, outputs, .. } = act else { continue };
                    if !enters(&aggregation.then) {
                        continue;
                    }
                    for output in outputs {
                        if output == name || seen.len() >= MOST_SEEN {
                            return true;
                        }
                        if seen.insert(output.clone()) {
                            next.push(output);
                        }
                    }
                }
            }
            if next.is_empty() {
                return false;
            }
            newest = next;
        }
        true
    }
}

/// Whether what is made walks through statements.
const fn enters(then: &Then) -> bool {
    !matches!(then, Then::Clusters(_))
}

impl Known {
    /// `is_loop`: whether a series would be made of itself.
    fn add(&mut self, rule: usize, outputs: Vec<String>, is_loop: impl Fn(&str) -> bool, seed: &RandomState) {
        let mut targets = Vec::with_capacity(outputs.len());
        for (output, series) in (0..=u16::MAX).zip(outputs) {
            if name::for_line(series.as_bytes()).is_err() {
                self.bad_names += 1;
            } else if is_loop(&series) {
                self.loops += 1;
            } else {
                targets.push(Target { key: Inputs::key(seed, output, series.into()), hint: 0 });
            }
        }
        self.inputs.push(Input { rule, targets });
    }

    fn bytes(&self) -> usize {
        let targets = self.inputs.iter().flat_map(|input| &input.targets);
        let names: usize = targets.map(|t| t.key.name.len() + size_of::<Target>() + 32).sum();
        size_of::<Self>() + 32 + self.name.len() + self.inputs.len() * size_of::<Input>() + names
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{aggregation, rewrite, routing};
    use super::*;
    use skyline_conf::routing::Function::{Count, Sum};
    use skyline_core::shard::name_hash;

    fn inputs(statements: Vec<Statement>) -> Inputs {
        Inputs::new(routing(statements), RandomState::default())
    }

    fn found(inputs: &mut Inputs, name: &str, is_made: bool) -> (Vec<String>, u64, u64) {
        let known = inputs.find(name_hash(name.as_bytes()), name.as_bytes(), is_made).unwrap();
        let told = |input: &Input| {
            let targets = input.targets.iter();
            let names: Vec<String> = targets.map(|t| format!("{}:{}", t.key.output, t.key.name)).collect();
            format!("{} {}", input.rule, names.join(" "))
        };
        (known.inputs.iter().map(told).collect(), known.bad_names, known.loops)
    }

    #[test]
    fn names_and_their_series() {
        let sums =
            |then| Statement::Aggregate(aggregation("^in", &[("all.sum", Sum), ("all.n", Count)], then));
        let feeds_itself = aggregation("^(all|x)", &[("all.sum", Sum), ("bad name", Sum)], Then::FromTop);
        let mut all = inputs(vec![sums(Then::FromTop), Statement::Aggregate(feeds_itself)]);
        let none: Vec<String> = Vec::new();
        assert_eq!(found(&mut all, "in.a", false), (vec!["0 0:all.sum 1:all.n".to_owned()], 0, 0));
        assert_eq!(found(&mut all, "no", false), (none.clone(), 0, 0));
        assert_eq!(found(&mut all, "all.sum", false), (vec!["1 0:all.sum".to_owned()], 1, 0));
        // As a point of the aggregator it would add to itself for ever.
        assert_eq!(found(&mut all, "all.sum", true), (vec!["1 ".to_owned()], 1, 1));
        // What the aggregator makes enters below the aggregation, and is no input of it.
        let mut below = inputs(vec![sums(Then::From(1))]);
        assert_eq!(found(&mut below, "in.a", true), (none, 0, 0));
        assert_eq!(found(&mut below, "in.a", false).0.len(), 1);
    }

    #[test]
    fn circles_over_several_aggregations() {
        let all = |statements: &[(&str, &str)], then: &Then| {
            let one = |(when, to): &(&str, &str)| {
                Statement::Aggregate(aggregation(when, &[(to, Sum)], then.clone()))
            };
            inputs(statements.iter().map(one).collect())
        };
        let none: Vec<String> = vec!["0 ".to_owned()];
        let mut two = all(&[("^a$", "b"), ("^b$", "c"), ("^c$", "a")], &Then::FromTop);
        assert_eq!(found(&mut two, "a", false), (vec!["0 0:b".to_owned()], 0, 0), "it was received");
        assert_eq!(found(&mut two, "a", true), (none.clone(), 0, 1), "it was made of what it made");
        assert_eq!(found(&mut two, "b", false).0, ["1 0:c"]);
        // One below the other, and no circle.
        let mut chain = all(&[("^a$", "b"), ("^b$", "c"), ("^c$", "d")], &Then::FromTop);
        assert_eq!(found(&mut chain, "b", true), (vec!["1 0:c".to_owned()], 0, 0));
        // What goes to clusters does not come back.
        let mut sent = all(&[("^a$", "b"), ("^b$", "a")], &Then::Clusters(vec![0]));
        assert_eq!(found(&mut sent, "a", true), (vec!["0 0:b".to_owned()], 0, 0));
        // Each makes a longer name, which is an input again.
        let mut grows = aggregation("^(x)", &[("x.", Sum)], Then::FromTop);
        grows.outputs[0].is_whole = false;
        let mut grows = inputs(vec![Statement::Aggregate(grows)]);
        assert_eq!(found(&mut grows, "x", false), (vec!["0 0:x.".to_owned()], 0, 0));
        assert_eq!(found(&mut grows, "x.", true), (none, 0, 1));
    }

    #[test]
    fn names_that_were_rewritten() {
        let sum = || Statement::Aggregate(aggregation("^z", &[("sum", Sum)], Then::FromTop));
        let mut all = inputs(vec![rewrite("^(.)", "z."), sum(), rewrite("^z", "y"), sum()]);
        // Received as `a`, it was `z.` at the first aggregation, and walks as `z..` from the top.
        assert_eq!(found(&mut all, "z.", false).0, ["0 0:sum"]);
    }

    #[test]
    fn names_are_forgotten_when_there_are_many() {
        let sum = Statement::Aggregate(aggregation("^in", &[("sum", Sum)], Then::FromTop));
        let mut all = inputs(vec![sum]);
        all.max_bytes = 10_000;
        for i in 0..1000 {
            assert_eq!(found(&mut all, &format!("in.{i}"), false).0.len(), 1);
            assert!(all.bytes < 11_000 && all.known.len() < 100);
        }
        // Two names of one hash.
        all.find(7, b"in.x", false).unwrap();
        assert!(all.find(7, b"other", false).unwrap().inputs.is_empty());
    }
}
