//! Rewriters and aggregations.

use super::document::Log;
use super::section::{Aggregation, Rewriter};
use crate::nearest;
use crate::routing::pattern::{Condition, Dialect, Pattern};
use crate::routing::template::{Part, Template};
use crate::routing::{self, Digits, Function, Matcher, Output, Stamp, Then};

/// Functions by name. `percentiles` are more than one.
const FUNCTIONS: [(&str, Function); 9] = [
    ("avg", Function::Average),
    ("count", Function::Count),
    ("delta", Function::Spread),
    ("derive", Function::Rate),
    ("last", Function::Last),
    ("max", Function::Max),
    ("min", Function::Min),
    ("stdev", Function::Deviation),
    ("sum", Function::Sum),
];

/// What `percentiles` computes; each is the end of a name too.
const PERCENTILES: [u8; 6] = [25, 50, 75, 90, 95, 99];

/// The text between two slashes, which is an expression.
fn between_slashes(text: &str) -> Option<&str> {
    text.strip_prefix('/')?.strip_suffix('/')
}

/// The pattern of a text that is literal, or an expression between slashes. What is wrong is in the log.
fn literal_or_regex(text: &str, part: &str, given: &Rewriter, log: &mut Log<'_>) -> Option<Pattern> {
    let escaped = regex::escape(text);
    match Pattern::new(between_slashes(text).unwrap_or(&escaped), Dialect::Go) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let why = format!("{part}: {error}; correct it as Go's regexp wants it");
            log.fault(given.at, given.key, why);
            None
        }
    }
}

/// A rewriter as a statement; `None`: it is wrong, or never does anything.
pub(super) fn rewrite(given: &Rewriter, log: &mut Log<'_>) -> Option<routing::Rewrite> {
    if given.old.is_empty() {
        log.fault(given.at, given.key, "old: there is nothing that could be replaced: write what it is");
        return None;
    }
    let is_regex = between_slashes(&given.old).is_some();
    match given.max {
        -1 => {}
        _ if is_regex => {
            log.fault(given.at, given.key, "max: with an expression between slashes it must be -1");
            return None;
        }
        0 => {
            let message =
                format!("`{}`: max is 0 or missing, so nothing is replaced, here as there", given.old);
            log.note(given.at, given.key, message, "set it to -1 to replace every match, or to 1");
            return None;
        }
        1 => {}
        other => {
            let why = format!("max: {other}: use 1 for the first match or -1 for every one");
            log.fault(given.at, given.key, why);
            return None;
        }
    }
    let mut from = literal_or_regex(&given.old, "old", given, log)?;
    if is_regex && !["/^/", "/$/"].contains(&given.old.as_str()) && from.is_match("") {
        let message =
            format!("`{}` also matches nothing: right behind another match that counts too", given.old);
        log.note(given.at, given.key, message, "use an expression that matches at least one character");
    }
    let to = if is_regex {
        template(&given.new, &from)
            .map_err(|why| log.fault(given.at, given.key, format!("new: {why}")))
            .ok()?
    } else {
        Template::text(given.new.as_str())
    };
    if !given.not.is_empty() {
        let pattern = literal_or_regex(&given.not, "not", given, log)?;
        from = from.on_condition(vec![Condition { pattern, is_wanted: false }]);
    }
    Some(routing::Rewrite { from, to, every: given.max == -1, without_tags: false })
}

/// An aggregation as a statement. What is wrong is in the log.
pub(super) fn aggregate(given: &Aggregation, then: Then, log: &mut Log<'_>) -> Option<routing::Aggregation> {
    let before = log.faults.len();
    let mut fault = |why: String| log.fault(given.at, given.key, why);
    if !given.filter.has_regex() {
        fault("regex: missing: write the expression that its inputs match".to_owned());
    }
    if given.format.is_empty() {
        fault("format: missing: write the name of the aggregate".to_owned());
    }
    let seconds = |seconds: i64| u32::try_from(seconds).ok().filter(|seconds| *seconds <= u32::MAX / 4);
    let every = seconds(given.interval).filter(|every| *every > 0);
    let wait = seconds(given.wait);
    if every.is_none() {
        fault(format!("interval: {}: write a number of seconds, at least 1", given.interval));
    }
    if wait.is_none() {
        fault(format!("wait: {}: write a number of seconds", given.wait));
    }
    let functions = functions(given, log);
    let pattern = given.filter.pattern(given.at, given.key, log)?;
    let name = match template(&given.format, &pattern) {
        Ok(name) => name,
        Err(why) => {
            log.fault(given.at, given.key, format!("format: {why}"));
            return None;
        }
    };
    if log.faults.len() > before {
        return None;
    }
    let (every, wait) = (every?, wait?);
    // Buckets are looked at when an interval ends, and sent when they began more than `wait` before that.
    let after = (wait / every + 1) * every;
    let outputs = functions.into_iter().map(|(end, function)| {
        let parts = name.parts().iter().cloned().chain([Part::Text(end)]).collect();
        Output { name: Template::of(parts), is_whole: true, function, digits: Digits::Fewest }
    });
    Some(routing::Aggregation {
        when: Matcher::of(vec![pattern]),
        for_each_pattern: false,
        outputs: outputs.collect(),
        every,
        after,
        keep: after,
        stamp: Stamp::Start,
        then,
        stop: given.drops_raw,
    })
}

/// What is computed, each with the end of its name.
fn functions(given: &Aggregation, log: &mut Log<'_>) -> Vec<(String, Function)> {
    if given.function == "percentiles" {
        let message = "a percentile is the value at the nearest rank; where the rank is a whole number \
                       carbon-relay-ng takes the mean of it and the next, and with few points it sends nothing";
        log.note(given.at, given.key, message, "");
        return PERCENTILES.iter().map(|p| (format!(".p{p}"), Function::NearestRank(*p))).collect();
    }
    if let Some((_, function)) = FUNCTIONS.iter().find(|(name, _)| *name == given.function) {
        return vec![(String::new(), *function)];
    }
    let names = || FUNCTIONS.iter().map(|(name, _)| *name).chain(["percentiles"]);
    let right = match nearest::word(&given.function, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("use one of {}", names().collect::<Vec<_>>().join(", ")),
    };
    log.fault(given.at, given.key, format!("function: no such function: `{}`; {right}", given.function));
    Vec::new()
}

/// A template of Go's `Regexp.Expand`: `$1`, `${1}`, `$name`, `${name}`, `$$`. A name is as long as letters, digits and
/// `_` go on, so that `$1_x` is a group called `1_x`.
fn template(text: &str, pattern: &Pattern) -> Result<Template, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        parts.push(Part::Text(before.to_owned()));
        if let Some(after) = after.strip_prefix('$') {
            parts.push(Part::Text("$".to_owned()));
            rest = after;
            continue;
        }
        let braced = after.strip_prefix('{');
        let body = braced.unwrap_or(after);
        let length = body.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(body.len());
        let (name, behind) = body.split_at(length);
        let behind = if braced.is_some() { behind.strip_prefix('}') } else { Some(behind) };
        match behind {
            Some(behind) if !name.is_empty() => {
                parts.push(Part::group(group(name, pattern)?));
                rest = behind;
            }
            // Not a group: Go leaves the dollar as it is.
            _ => {
                parts.push(Part::Text("$".to_owned()));
                rest = after;
            }
        }
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(Template::of(parts))
}

/// The index of a group of `pattern`.
fn group(name: &str, pattern: &Pattern) -> Result<usize, String> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    let index = if is_number {
        name.parse().ok().filter(|index| *index <= pattern.groups())
    } else {
        pattern.group_named(name)
    };
    index.ok_or_else(|| {
        let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
        match name.strip_prefix(&digits) {
            Some(behind) if !digits.is_empty() && !behind.is_empty() => {
                format!("`${name}` is a group called `{name}`, which does not exist: write `${{{digits}}}{behind}`")
            }
            _ => format!("group `{name}` does not exist: the expression has {}", pattern.groups()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let pattern = Pattern::new(r"^(\w+)\.(?P<host>\w+)$", Dialect::Go).unwrap();
        let check = |text: &str, expected: &str| {
            let found = pattern.find("cpu.web", 0).unwrap();
            let mut out = String::new();
            template(text, &pattern).unwrap().expand(|group| found.group(group), &mut out);
            assert_eq!(out, expected, "{text}");
        };
        check("x.$1.y", "x.cpu.y");
        check("${2}_a$0", "web_acpu.web");
        check("$host.${host}", "web.web");
        check("a$$1$", "a$1$");
        check("${", "${");
        check("${1", "${1");
        check("$.", "$.");
        let refused = |text: &str, expected: &str| {
            let why = template(text, &pattern).unwrap_err();
            assert!(why.contains(expected), "{why}");
        };
        refused("$1_sum", "write `${1}_sum`");
        refused("$3", "group `3` does not exist: the expression has 2");
        refused("$01", "group `01`");
        refused("$99999999999999999999", "does not exist");
        refused("${name}", "group `name`");
    }
}
