//! `aggregation-rules.conf`: `output (seconds) = method input`.

use super::rewrite_rules::split;
use super::{Fault, lines};
use crate::routing::pattern::{Dialect, Pattern};
use crate::routing::template::{Part, Template};
use crate::routing::{Aggregation, Digits, Function, Matcher, Naming, Output, Stamp, Then};

/// The methods, with their words.
const METHODS: [(&str, Function); 12] = [
    ("sum", Function::Sum),
    ("avg", Function::Average),
    ("min", Function::Min),
    ("max", Function::Max),
    ("count", Function::Count),
    ("p50", Function::Quantile(0.5)),
    ("p75", Function::Quantile(0.75)),
    ("p80", Function::Quantile(0.8)),
    ("p90", Function::Quantile(0.9)),
    ("p95", Function::Quantile(0.95)),
    ("p99", Function::Quantile(0.99)),
    ("p999", Function::Quantile(0.999)),
];

/// The function that a method's word stands for.
#[must_use]
pub fn function(method: &str) -> Option<Function> {
    METHODS.iter().find(|(word, _)| *word == method).map(|(_, function)| *function)
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The output as it is written.
    pub output: String,
    /// The input as it is written.
    pub input: String,
    /// Where it is, counted from 1.
    pub line: usize,
    /// Length of an interval, seconds; at least 1.
    pub seconds: u32,
    /// What is computed.
    pub function: Function,
    /// From an input's name to the output's.
    pub naming: Naming,
    /// Matches inputs that are their own output.
    own: Pattern,
}

impl Rule {
    /// The rule as a statement: `after` is [`Aggregation::after`], `intervals` carbon's
    /// `MAX_AGGREGATION_INTERVALS`.
    #[must_use]
    pub fn aggregation(&self, after: u32, intervals: u32, then: Then) -> Aggregation {
        Aggregation {
            when: Matcher::of(vec![self.naming.from.clone()]),
            for_each_pattern: false,
            outputs: vec![Output {
                name: self.naming.to.clone(),
                is_whole: true,
                function: self.function,
                digits: Digits::Fewest,
            }],
            every: self.seconds,
            after,
            keep: self.seconds.saturating_mul(intervals).saturating_add(self.seconds).max(after),
            stamp: Stamp::Start,
            then,
            stop: false,
        }
    }

    /// Matches the inputs that have the name of their own output; carbon does not pass these on.
    #[must_use]
    pub const fn own_output(&self) -> &Pattern {
        &self.own
    }
}

/// Reads a file's text.
///
/// # Errors
/// The first line that is wrong; then none of its rules is used, as in carbon.
pub fn read(text: &str) -> Result<Vec<Rule>, Fault> {
    let lines = lines(text).map(|(number, line)| (number, line.trim()));
    let rules = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    rules.map(|(number, line)| rule(number, line).map_err(|why| Fault::new(number, line, why))).collect()
}

fn rule(line: usize, text: &str) -> Result<Rule, String> {
    const FORM: &str = "a rule is written `output (seconds) = method input`";
    let (left, right) = split(text).ok_or(FORM)?;
    let (output, seconds) = two_words(left).ok_or(FORM)?;
    let (method, input) = two_words(right).ok_or(FORM)?;
    let seconds = seconds.trim_start_matches('(').trim_end_matches(')').trim().parse().ok();
    let seconds = seconds.filter(|seconds| *seconds > 0).ok_or("the seconds are a whole number from 1 on")?;
    let function = function(method).ok_or_else(|| {
        let words: Vec<_> = METHODS.iter().map(|(word, _)| *word).collect();
        format!("there is no method `{method}`: write one of {}", words.join(", "))
    })?;
    let expression = expression(input);
    // Anchored at the start without a `^` of its own: an alternative in the input is one of the whole, as in carbon.
    let from = Pattern::new(&format!(r"\A(?:{expression}$)"), Dialect::Python).map_err(|bad| bad.why)?;
    let mut name = String::new();
    let mut parts = Vec::new();
    for piece in pieces(output)? {
        match piece {
            Piece::Text(text) => {
                name.push_str(&escaped(&text));
                parts.push(Part::Text(text));
            }
            Piece::Field(field) => {
                let index = from.group_named(&field).ok_or_else(|| {
                    format!("the output has a field <{field}> that the input does not have: it would never be made")
                })?;
                name.push_str(&format!("(?P={field})"));
                parts.push(Part::group(index));
            }
        }
    }
    let own = Pattern::new(&format!(r"\A(?={expression}$){name}\Z"), Dialect::Python);
    let naming = Naming { from, to: Template::of(parts) };
    let (output, input) = (output.to_owned(), input.to_owned());
    Ok(Rule { output, input, line, seconds, function, naming, own: own.map_err(|bad| bad.why)? })
}

fn two_words(text: &str) -> Option<(&str, &str)> {
    let mut words = text.split_whitespace();
    let two = (words.next()?, words.next()?);
    words.next().is_none().then_some(two)
}

/// The input as an expression: fields and stars are replaced in each of its parts, the rest is expression already.
fn expression(input: &str) -> String {
    let parts = input.split('.').map(|part| {
        let around = |open: &str, close: &str, field: &str| {
            let (before, rest) = part.split_once(open)?;
            let (name, behind) = rest.split_once(close)?;
            Some(format!("{before}(?P<{name}>{field}){behind}"))
        };
        let named = around("<<", ">>", ".+?").or_else(|| around("<", ">", "[^.]+?"));
        named.unwrap_or_else(|| if part == "*" { "[^.]+".to_owned() } else { part.replace('*', "[^.]*") })
    });
    parts.collect::<Vec<_>>().join(r"\.")
}

/// A piece of an output.
enum Piece {
    Text(String),
    Field(String),
}

fn pieces(output: &str) -> Result<Vec<Piece>, String> {
    if output.replace("%%", "").contains('%') {
        return Err("the output has a `%`: with it carbon would never make the metric; remove it".to_owned());
    }
    if output.contains("<<") {
        return Err("the output has `<<`: a field is written <field> there".to_owned());
    }
    let unbalanced =
        || "the output has a `<` or `>` without the other: a field is written <field>".to_owned();
    let mut pieces = Vec::new();
    let mut rest = output;
    while let Some((before, behind)) = rest.split_once('<') {
        let (field, behind) = behind.split_once('>').ok_or_else(unbalanced)?;
        if before.contains('>') || field.contains('<') {
            return Err(unbalanced());
        }
        pieces.push(Piece::Text(before.replace("%%", "%")));
        pieces.push(Piece::Field(field.to_owned()));
        rest = behind;
    }
    if rest.contains('>') {
        return Err(unbalanced());
    }
    pieces.push(Piece::Text(rest.replace("%%", "%")));
    Ok(pieces)
}

/// Text as an expression that matches it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_outputs() {
        let check = |rule: &str, input: &str, expected: Option<&str>| {
            let rules = read(rule).unwrap();
            assert_eq!(rules[0].naming.apply(input).as_deref(), expected, "{rule} {input}");
        };
        let rule = "<dc>.all.<what> (60) = sum <dc>.web*.*.<<what>>";
        check(rule, "ams.web01.eth0.if.rx", Some("ams.all.if.rx"));
        check(rule, "ams.web.eth0.x", Some("ams.all.x"));
        check(rule, "ams.db1.eth0.x", None);
        check(rule, "ams.web1.x", None);
        check("all.<d> 10=p99 <d>\\d{2}.x", "web12.x", Some("all.web"));
        check("a;dc=<dc> (10) = sum m;dc=<dc>", "m;dc=x", Some("a;dc=x"));
        check("o (10) = sum a|b.c", "ax", Some("o"));
        check("o (10) = sum a|b.c", "b.c", Some("o"));
        check("o (10) = sum a|b.c", "xb.c", None);
        check("100%% (10) = sum a", "a", Some("100%"));
        check("o+[a] (10) = sum a", "a", Some("o+[a]"));
    }

    #[test]
    fn statements() {
        let rules = read("# c\n\n o (60) = max a.<b> \r\n").unwrap();
        let aggregation = rules[0].aggregation(20, 5, Then::From(3));
        assert_eq!((rules[0].line, rules[0].function), (3, Function::Max));
        assert_eq!((aggregation.every, aggregation.after, aggregation.keep), (60, 20, 360));
        let long = read("o 4000000000 = max a").unwrap()[0].aggregation(1, 5, Then::FromTop);
        assert_eq!(long.keep, u32::MAX);
    }

    #[test]
    fn inputs_that_are_their_own_output() {
        let check = |rule: &str, name: &str, expected: bool| {
            let rules = read(rule).unwrap();
            assert_eq!(rules[0].own_output().is_match(name), expected, "{rule} {name}");
        };
        let rule = "<env>.<app>.all.x (60) = sum <env>.<app>.*.x";
        check(rule, "p.web.all.x", true);
        check(rule, "p.web.w1.x", false);
        check(rule, "p.web.all.x.x", false);
        check("all.x (60) = sum *.x", "all.x", true);
        check("all.x (60) = sum *.x", "b.x", false);
        check("a+b (60) = sum <x>", "a+b", true);
    }

    #[test]
    fn rules_that_are_refused() {
        let check = |text: &str, expected: &str| {
            let fault = read(&format!("ok (1) = sum a\n{text}")).unwrap_err();
            assert!(fault.line == 2 && fault.why.contains(expected), "{fault}");
        };
        check("o = sum a", "output (seconds)");
        check("o (60) sum a", "output (seconds)");
        check("o (60) = sum a b", "output (seconds)");
        check("o (x) = sum a", "whole number");
        check("o (0) = sum a", "whole number");
        check("o (1.5) = sum a", "whole number");
        check("o (60) = median a", "p50");
        check("o (60) = sum a.(b", "unclosed");
        check("o.<b> (60) = sum a.<c>", "<b>");
        check("o.<<b>> (60) = sum a.<b>", "`<<`");
        check("o.<b (60) = sum a.<b>", "without the other");
        check("o.b> (60) = sum a.<b>", "without the other");
        check("o%s (60) = sum a.<b>", "`%`");
        check("o (60) = sum a.<b c>", "output (seconds)");
        check("o (60) = sum a.<1>", "name of a group");
        check("o (60) = sum <a>.<a>", "");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            output in "(\\PC|[<>%.a-c=]){0,20}",
            input in "(\\PC|[()\\[\\]*+?{},.\\\\<>a-c0-9^$|=!P]){0,40}",
            name in "[a-c.]{0,10}",
        ) {
            if let Ok(rules) = read(&format!("{output} (60) = sum {input}")) {
                for rule in rules {
                    let is_own = rule.own_output().is_match(&name);
                    prop_assert!(!is_own || rule.naming.apply(&name).as_ref() == Some(&name));
                }
            }
            drop(read(&input));
        }
    }
}
