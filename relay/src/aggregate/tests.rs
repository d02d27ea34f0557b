//! Routings to test with.

mod machine;
mod restart;
mod running;

use super::machine::{Due, Limits, Machine};
use skyline_conf::routing::pattern::{Dialect, Pattern};
use skyline_conf::routing::template::Template;
use skyline_conf::routing::{
    Aggregation, Digits, Function, Matcher, Output, Rewrite, Routing, Stamp, Statement, Then,
};
use skyline_core::batch::Sample;
use skyline_core::shard::name_hash;
use std::sync::Arc;

pub(super) fn pattern(text: &str) -> Pattern {
    Pattern::new(text, Dialect::Python).unwrap()
}

/// Buckets of 10 s, computed after 15 s, kept for 60 s.
pub(super) fn aggregation(when: &str, outputs: &[(&str, Function)], then: Then) -> Aggregation {
    let output = |(name, function): &(&str, Function)| Output {
        name: Template::text(*name),
        is_whole: true,
        function: *function,
        digits: Digits::Fewest,
    };
    Aggregation {
        when: Matcher::of(vec![pattern(when)]),
        for_each_pattern: false,
        outputs: outputs.iter().map(output).collect(),
        every: 10,
        after: 15,
        keep: 60,
        stamp: Stamp::Start,
        then,
        stop: false,
    }
}

pub(super) fn rewrite(from: &str, to: &str) -> Statement {
    let (from, to) = (pattern(from), Template::text(to));
    Statement::Rewrite(Rewrite { from, to, every: false, without_tags: false })
}

pub(super) fn routing(statements: Vec<Statement>) -> Arc<Routing> {
    Arc::new(Routing { statements, ..Routing::default() })
}

/// A machine with aggregations whose results go to the top.
fn machine(aggregations: Vec<Aggregation>) -> Machine {
    let statements = aggregations.into_iter().map(Statement::Aggregate).collect();
    Machine::new(routing(statements), Limits::default())
}

fn sample(name: &str, ts: f64, value: f64) -> Sample {
    let (hash, name_len) = (name_hash(name.as_bytes()), name.len() as u16);
    Sample { hash, ts, value, offset: 0, name_len, line_len: 0 }
}

fn add(machine: &mut Machine, now: f64, name: &str, ts: f64, value: f64) {
    machine.add(now, name.as_bytes(), &sample(name, ts, value), false);
}

/// Name, time and value of each, in the order of names and times.
fn told(all: &[Due]) -> Vec<String> {
    let made = all.iter().flat_map(|due| &due.made);
    let mut told: Vec<String> = made.map(|m| format!("{} {} {}", m.name, m.ts, m.value)).collect();
    told.sort();
    told
}
