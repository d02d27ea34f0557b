//! `relay-rules.conf`: which names go to which destinations.

use super::ini::{Entry, Ini, Section};
use super::{Fault, flag};
use crate::routing::pattern::{Dialect, Pattern};
use crate::routing::{Matcher, Server, address};

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its section.
    pub name: String,
    /// Where its destinations are, counted from 1.
    pub line: usize,
    /// Names that it is about.
    pub when: Matcher,
    /// Destinations with their texts, in its order.
    pub destinations: Vec<(String, Server)>,
    /// Whether rules below it are looked at too.
    pub goes_on: bool,
}

/// Reads a file's text: the rules from top to bottom, the default last wherever it stands.
///
/// `%` is read as carbon reads it where carbon can (`%%`, `%(key)s`), and else taken as it is.
///
/// # Errors
/// What is wrong first.
pub fn read(text: &str) -> Result<Vec<Rule>, Fault> {
    let ini = Ini::read(text)?;
    let mut rules = Vec::new();
    let mut default: Option<Rule> = None;
    for section in ini.sections() {
        let Some(rule) = rule(&ini, section)? else { continue };
        if rule.when != Matcher::everything() {
            rules.push(rule);
        } else if let Some(first) = &default {
            let why = format!("`[{}]` is the default already: leave `default` to one section", first.name);
            return Err(of_section(section, why));
        } else {
            default = Some(rule);
        }
    }
    let default = default.ok_or_else(|| {
        let line = text.lines().count().max(1);
        Fault::new(line, "", "no section has `default = true`: say where names go that no pattern matches")
    })?;
    rules.push(default);
    Ok(rules)
}

fn of_section(section: &Section, why: impl Into<String>) -> Fault {
    Fault::new(section.line, &format!("[{}]", section.name), why)
}

/// The rule of a section; `None` if it has neither a pattern nor `default = true`.
fn rule(ini: &Ini, section: &Section) -> Result<Option<Rule>, Fault> {
    let get = |key: &str| ini.get(section, key);
    let value = |entry: &Entry| value(ini, section, entry);
    let truth = |entry: &Entry| {
        let why = || format!("`{}` is true or false: write yes or no", entry.key);
        flag(&value(entry)).ok_or_else(|| Fault::new(entry.line, &entry.value, why()))
    };
    let listed = get("destinations")
        .ok_or_else(|| of_section(section, "`destinations` is missing: write host:port[:instance], …"))?;
    let mut destinations = Vec::new();
    for text in value(listed).split(',').map(str::trim) {
        let server = address::without_protocol(text).map_err(|what| {
            Fault::new(listed.line, text, format!("{what}: write host:port or host:port:instance"))
        })?;
        destinations.push((text.to_owned(), server));
    }
    let (pattern, default) = (get("pattern"), get("default"));
    let when = match (pattern, default) {
        (Some(_), Some(default)) => {
            let why = "a section has either `pattern` or `default`: remove one";
            return Err(Fault::new(default.line, &format!("[{}]", section.name), why));
        }
        (Some(pattern), None) => {
            let compiled = Pattern::new(&value(pattern), Dialect::PythonAnyCase);
            Matcher::of(vec![compiled.map_err(|bad| Fault::new(pattern.line, &bad.text, bad.why))?])
        }
        (None, Some(default)) if truth(default)? => Matcher::everything(),
        (None, _) => return Ok(None),
    };
    let goes_on = match get("continue").filter(|_| pattern.is_some()) {
        Some(entry) => truth(entry)?,
        None => false,
    };
    Ok(Some(Rule { name: section.name.clone(), line: listed.line, when, destinations, goes_on }))
}

/// The value with what `%` stands for; where that fails, every other `%` as it is.
fn value(ini: &Ini, section: &Section, entry: &Entry) -> String {
    ini.interpolated(section, entry).unwrap_or_else(|_| entry.value.replace("%%", "%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rules() {
        let text = "[default]\ndefault: on\ndestinations = h:1\n\
                    [a] # first\nPattern = ^a%b\ndestinations = h:1:x, [::1]:2\ncontinue = yes\n\
                    [off]\ndefault = no\ndestinations = h:1\n\
                    [b]\npattern = 5%%%(x)s$\nx = y\ndestinations = h:2,\n  h:3\n\
                    [c]\ndestinations = h:9\n";
        let told: Vec<_> = read(text)
            .unwrap()
            .iter()
            .map(|rule| {
                let to: Vec<_> = rule.destinations.iter().map(|(text, _)| text.as_str()).collect();
                format!("{} {} {} {}", rule.name, rule.when.patterns[0].as_str(), to.join("|"), rule.goes_on)
            })
            .collect();
        assert_eq!(told, ["a ^a%b h:1:x|[::1]:2 true", "b 5%y$ h:2|h:3 false", "default * h:1 false"]);
        assert!(read(text).unwrap()[0].when.is_match("A%B"));
    }

    #[test]
    fn rules_that_are_refused() {
        let default = "\n[d]\ndefault = true\ndestinations = h:1\n";
        let check = |text: &str, line: usize, expected: &str| {
            let fault = read(text).unwrap_err();
            assert!(fault.line == line && fault.to_string().contains(expected), "{fault}");
        };
        check("", 1, "default = true");
        check("[a]\npattern = x\ndestinations = h:1\n", 3, "default = true");
        check(&format!("{default}[e]\ndefault = true\ndestinations = h:2\n"), 5, "`[d]` is the default");
        check(&format!("[a]\npattern = x\n{default}"), 1, "`destinations` is missing");
        check(&format!("[a]\ndestinations = h:1, h\n{default}"), 2, "`h`: the port is missing");
        check(&format!("[a]\ndestinations =\n{default}"), 2, "the port is missing");
        check(&format!("[a]\npattern = (\ndestinations = h:1\n{default}"), 2, "unclosed");
        check(&format!("[a]\npattern = x\ndefault = no\ndestinations = h:1\n{default}"), 3, "either");
        check(&format!("[a]\npattern = x\ncontinue = maybe\ndestinations = h:1\n{default}"), 3, "yes or no");
        check("[d]\ndefault = perhaps\ndestinations = h:1\n", 2, "yes or no");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            pattern in "(\\PC|[()\\[\\]*+?{},.\\\\%<>a-c0-9^$|=!P]){0,40}",
            to in "[a-c:0-9, \\[\\]%]{0,20}",
        ) {
            drop(read(&format!("[a]\npattern = {pattern}\ndestinations = {to}\n[d]\ndefault=1\ndestinations=h:1\n")));
            drop(read(&pattern));
        }
    }
}
