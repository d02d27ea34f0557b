//! Entry points for fuzzers: any bytes as the files of the other relays. Nothing may panic or take long, what is printed
//! reads back as itself, and what was accepted can be used.
#![expect(clippy::panic, reason = "a broken invariant is what a fuzzer looks for")]

use crate::carbon::conf::Conf;
use crate::carbon::ini::Ini;
use crate::carbon::keys::Program;
use crate::carbon::{
    aggregation_rules, lists, relay_rules, replacement, rewrite_rules, storage_schemas, tags,
};
use crate::crelay::include::{Source, Whole};
use crate::crelay::syntax::Statement;
use crate::crelay::{self, clean};
use crate::matching::Matching;
use crate::relay_ng;
use crate::relaying::Language;
use crate::routing::pattern::{Dialect, Pattern};
use crate::routing::template::{LONGEST, Template};
use crate::routing::walk::Act;
use crate::routing::{Rewrite, Routing, without_tags};
use crate::schedule::Schedule;
use std::borrow::Cow;
use std::hint::black_box;
use std::path::{Path, PathBuf};

/// Names that are tried on what was accepted.
const NAMES: [&str; 6] =
    ["a", "servers.web1.cpu.user", "a..b.", "x;host=web1;dc=a", "é.ß", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"];

const DIALECTS: [Dialect; 4] = [Dialect::Python, Dialect::PythonAnyCase, Dialect::Posix, Dialect::Go];

/// carbon.conf: as an INI, and as the settings of each program.
pub fn carbon_conf(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    black_box(Language::of_text(&text));
    let ini = Ini::read(&text);
    for program in [Program::Relay, Program::Aggregator, Program::Cache] {
        match Conf::read(&text, program, "a") {
            Ok(conf) => {
                assert!(ini.is_ok(), "what is no INI was accepted");
                for note in &conf.notes {
                    told(note);
                }
                assert!(conf.differing().count() <= conf.given().count());
            }
            Err(fault) => told(&fault),
        }
    }
}

/// The files beside carbon.conf: relay rules, rewrite rules, aggregation rules, lists, storage schemas.
pub fn carbon_rules(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match relay_rules::read(&text) {
        Ok(rules) => {
            for name in NAMES {
                assert!(rules.iter().any(|rule| rule.when.is_match(name)), "no default was there");
            }
        }
        Err(fault) => told(&fault),
    }
    match rewrite_rules::read(&text) {
        Ok(rules) => {
            rules.notes.iter().for_each(told);
            rules.pre.iter().chain(&rules.post).for_each(rewrite);
        }
        Err(fault) => told(&fault),
    }
    match aggregation_rules::read(&text) {
        Ok(rules) => {
            for rule in &rules {
                for name in NAMES {
                    black_box(rule.naming.apply(name));
                    black_box(rule.own_output().is_match(name));
                }
            }
        }
        Err(fault) => told(&fault),
    }
    let (patterns, notes) = lists::read(&text);
    notes.iter().for_each(told);
    for pattern in &patterns {
        black_box(pattern.is_match(NAMES[1]));
    }
    let first = text.lines().next().unwrap_or_default();
    black_box(storage_schemas::Retention::read(first).is_ok());
    // What is in normal form stays so, as in carbon, unless it has braces: a name before `{` may have what reads as
    // tags afterwards, and so may a tag that the order puts at the end.
    let normal = tags::normalize(first);
    let again = normal.as_deref().and_then(tags::normalize);
    let has_braces = |name: &str| name.ends_with("\"}");
    assert!(
        normal == again || has_braces(first) || normal.as_deref().is_none_or(has_braces),
        "{first:?}: {normal:?}, {again:?}"
    );
}

/// carbon-c-relay's language: what is printed reads as an equal tree, and what compiles routes names. Nothing is
/// included.
pub fn c_relay(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let source = |text: &str| Source { path: PathBuf::from("fuzz.conf"), text: text.to_owned() };
    let tree = match crelay::parse(&source(&text)) {
        Ok(tree) => tree,
        Err(fault) => return told(&fault),
    };
    let printed = tree.to_string();
    match crelay::parse(&source(&printed)) {
        Ok(again) => assert!(again == tree, "it prints as another tree:\n{printed}"),
        Err(fault) => panic!("what is printed cannot be read: {fault}\n{printed}"),
    }
    let statements = tree.statements.into_iter().filter(|one| !matches!(one.value, Statement::Include(_)));
    let whole = Whole {
        sources: vec![source(&text)],
        statements: statements.map(|statement| (0, statement)).collect(),
        unmatched: Vec::new(),
    };
    match crelay::compile::compile(&whole) {
        Ok(relay) => {
            relay.notes.iter().for_each(told);
            walk(&relay.routing);
        }
        Err(error) => told(&error),
    }
    let mut cleaned = String::new();
    clean::clean_name(&text, clean::ALLOWED, &mut cleaned);
    let mut again = String::new();
    clean::clean_name(&cleaned, clean::ALLOWED, &mut again);
    assert!(again == cleaned, "a clean name is cleaned to another");
}

/// carbon-relay-ng's TOML.
pub fn relay_ng(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match relay_ng::read(&text, Path::new("fuzz.toml")) {
        Ok(relay) => {
            relay.notes.iter().for_each(told);
            walk(&relay.routing);
        }
        Err(error) => told(&error),
    }
}

/// Regular expressions of every dialect: the first line is one, the next ones are names.
pub fn pattern(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (text, names) = text.split_once('\n').unwrap_or((&text, ""));
    for dialect in DIALECTS {
        let pattern = match Pattern::new(text, dialect) {
            Ok(pattern) => pattern,
            Err(bad) => {
                told(&bad);
                continue;
            }
        };
        let plain = pattern.as_plain().and_then(|plain| regex::Regex::new(&plain).ok());
        for name in NAMES.into_iter().chain(names.lines().take(8)) {
            let found = pattern.find(name, 0);
            // An engine that tries may give up here and not there.
            if let Some(plain) = &plain {
                assert!(found.is_some() == pattern.is_match(name), "found and not matched, or the reverse");
                assert!(plain.is_match(name) == found.is_some(), "a set of patterns would differ");
            }
            for group in 0..=pattern.groups() {
                let text = found.as_ref().and_then(|found| found.group(group)).unwrap_or_default();
                assert!(name.contains(text), "a group holds what is not in the name");
            }
        }
    }
}

/// Patterns and hours of alerting rules: the first line is a pattern of each kind, the second the hours, the others names.
pub fn alert_rule(bytes: &[u8]) {
    use crate::model::alerting::rule::MatchKind;
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let (pattern, hours, names) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    for kind in [MatchKind::Exact, MatchKind::Glob, MatchKind::Regex, MatchKind::Contains, MatchKind::Skyline]
    {
        match Matching::new(kind, pattern) {
            Ok(matching) => {
                for name in NAMES.into_iter().chain(names.lines().take(8)) {
                    black_box(matching.by(name));
                }
                let is_whole = matches!(kind, MatchKind::Exact | MatchKind::Contains | MatchKind::Skyline);
                assert!(!is_whole || matching.by(pattern).is_some(), "a name does not match itself");
            }
            Err(bad) => told(&bad),
        }
    }
    match Schedule::read(hours) {
        Ok(schedule) => {
            let again = Schedule::read(&schedule.to_string());
            for minute in (0..10_080_u16).step_by(11) {
                let (day, minute) = ((minute / 1_440) as u8, minute % 1_440);
                let same =
                    again.as_ref().is_ok_and(|a| a.applies(day, minute) == schedule.applies(day, minute));
                assert!(same, "what is printed means something else");
            }
        }
        Err(bad) => told(&bad),
    }
}

/// Replacements: the first line is an expression, the second a replacement of carbon's rules and one of
/// carbon-c-relay's.
pub fn replacement(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (expression, to) = text.split_once('\n').unwrap_or((&text, "\\1"));
    if let Ok(from) = Pattern::new(expression, Dialect::Python)
        && let Ok(to) = replacement::read(to, &from)
    {
        used(from, to, true);
    }
    if let Ok(from) = Pattern::new(expression, Dialect::Posix) {
        let to = crelay::template::read(to, from.groups());
        used(from, to, false);
    }
}

fn used(from: Pattern, to: Template, every: bool) {
    assert!(to.highest_group().is_none_or(|group| group <= from.groups()), "a group that is not there");
    rewrite(&Rewrite { from, to, every, without_tags: !every });
}

fn rewrite(rewrite: &Rewrite) {
    for name in NAMES {
        let new = rewrite.apply(name);
        let subject = if rewrite.without_tags { without_tags(name) } else { name };
        assert!(matches!(new, Cow::Borrowed(_)) || rewrite.from.is_match(subject), "renamed without a match");
    }
}

/// What a reader promises of a routing, and a walk with some names.
fn walk(routing: &Routing) {
    for cluster in &routing.clusters {
        assert!(cluster.members.iter().all(|member| *member < routing.destinations.len()));
    }
    for name in NAMES {
        for act in routing.walk(0, name) {
            if let Act::Renamed { name, .. } = act {
                // The replacement that goes beyond it is the last.
                assert!(name.len() <= LONGEST * 8, "a name of {} bytes", name.len());
            }
        }
    }
}

/// Messages are for people, on lines of a log.
fn told(message: &impl std::fmt::Display) {
    assert!(!message.to_string().is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TARGETS: [fn(&[u8]); 6] = [carbon_conf, carbon_rules, c_relay, relay_ng, pattern, replacement];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            TARGETS.iter().for_each(|target| target(&bytes));
        }

        #[test]
        fn text_of_the_right_kind(
            text in "(cluster |match |send to |into |\\[relay\\]\n|\\[\\[route\\]\\]\n|[a-c.*+()|\\\\<>=;\" \n]){0,40}",
        ) {
            TARGETS.iter().for_each(|target| target(text.as_bytes()));
        }
    }

    /// What goes deep or grows, and what a fuzzer needs long to come upon.
    #[test]
    fn deep_and_long() {
        let deep = |open: &str, middle: &str, close: &str, times: usize| {
            format!("{}{middle}{}", open.repeat(times), close.repeat(times))
        };
        for times in [50, 4_000] {
            let few = times.min(500);
            for text in [
                deep("(", "a", ")", times),
                deep("(?=", "a", ")", times),
                deep("(?:a|", "\\1", ")*", times),
                deep("[", "a", "]", times),
                deep("a = [", "1", "]", times),
                deep("a = {b = ", "1", "}", times),
                deep("a.", "b = 1", "", few),
                deep("[[route]]\n", "", "", few),
                deep("%(a)s", "", "", times),
                format!("[relay]\na = {}\n", "%(a)s".repeat(times)),
                format!("cluster a forward {};", "h ".repeat(times)),
                format!("match {} send to blackhole;", "a ".repeat(times)),
                format!("(?=a){}\n{}", "(a*)*".repeat(few / 5), "a".repeat(few)),
                format!("{}{{9}}{{9}}{{9}}{{9}}{{9}}{{9}}", deep("(", "a", ")", few / 5)),
            ] {
                TARGETS.iter().for_each(|target| target(text.as_bytes()));
            }
        }
    }

    /// The seeds, which are files as they are in use.
    #[test]
    fn seeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
        let names = ["carbon_conf", "carbon_rules", "c_relay", "relay_ng", "pattern", "replacement"];
        for (target, name) in TARGETS.iter().zip(names) {
            let mut count = 0;
            for seed in std::fs::read_dir(root.join(name)).unwrap() {
                target(&std::fs::read(seed.unwrap().path()).unwrap());
                count += 1;
            }
            assert!(count > 2, "{name}");
        }
    }
}
