//! `rewrite-rules.conf`: `pattern = replacement` under `[pre]` and `[post]`.

use super::{Fault, Note, lines, replacement};
use crate::routing::Rewrite;
use crate::routing::pattern::{Dialect, Pattern};

/// Rules, in the order in which they are used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    /// Before aggregation.
    pub pre: Vec<Rewrite>,
    /// Behind it.
    pub post: Vec<Rewrite>,
    /// What is in the file but does nothing.
    pub notes: Vec<Note>,
}

/// Where lines belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Pre,
    Post,
    Unknown,
}

/// Reads a file's text. What carbon leaves out with a line in its log is left out with a note.
///
/// # Errors
/// A replacement that names a group which the expression does not have, or has an escape that does not exist: carbon takes
/// it and then loses every metric.
pub fn read(text: &str) -> Result<Rules, Fault> {
    let mut rules = Rules::default();
    let mut place = Place::Nowhere;
    for (number, line) in lines(text) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            place = section(number, name, &mut rules);
            continue;
        }
        let Some((pattern, replacement)) = split(line) else {
            let note = Note::new(number, line, "the line is left out: it has no `=`");
            rules.notes.push(note.advise("write `pattern = replacement`, or put `#` before a comment"));
            continue;
        };
        if place == Place::Nowhere {
            let note = Note::new(number, line, "the rule never applies: it stands before the first section");
            rules.notes.push(note.advise("put it under `[pre]` or `[post]`"));
            continue;
        }
        let from = match Pattern::new(pattern, Dialect::Python) {
            Ok(from) => from,
            Err(bad) => {
                let note = Note::new(number, pattern, format!("the rule is left out: {}", bad.why));
                rules.notes.push(note.advise("correct the expression"));
                continue;
            }
        };
        let to = replacement::read(replacement, &from).map_err(|why| Fault::new(number, line, why))?;
        let rewrite = Rewrite { from, to, every: true, without_tags: false };
        match place {
            Place::Pre => rules.pre.push(rewrite),
            Place::Post => rules.post.push(rewrite),
            Place::Nowhere | Place::Unknown => {}
        }
    }
    Ok(rules)
}

fn section(line: usize, name: &str, rules: &mut Rules) -> Place {
    let (place, earlier) = match name.to_lowercase().as_str() {
        "pre" => (Place::Pre, &mut rules.pre),
        "post" => (Place::Post, &mut rules.post),
        _ => {
            let note = Note::new(line, name, "rules of this section never apply");
            rules.notes.push(note.advise("sections are `[pre]` and `[post]`"));
            return Place::Unknown;
        }
    };
    if !earlier.is_empty() {
        let message =
            format!("the section comes again: the {} rules above it no longer apply", earlier.len());
        earlier.clear();
        rules.notes.push(Note::new(line, name, message).advise("put all its rules under one header"));
    }
    place
}

/// The two sides of a rule. An `=` between blanks parts them wherever it stands, so that expressions may have `=` in
/// them (tags, look-behind); without one it is the first, as in carbon.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let is_apart = |at: usize| {
        let before = line.get(..at).is_some_and(|before| before.ends_with(char::is_whitespace));
        let behind = line.get(at + 1..).is_some_and(|b| b.is_empty() || b.starts_with(char::is_whitespace));
        before && behind
    };
    let apart = line.match_indices('=').map(|(at, _)| at).find(|at| is_apart(*at));
    let at = apart.or_else(|| line.find('='))?;
    Some((line.get(..at)?.trim(), line.get(at + 1..)?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apply(rules: &[Rewrite], name: &str) -> String {
        rules.iter().fold(name.to_owned(), |name, rule| rule.apply(&name).into_owned())
    }

    #[test]
    fn rules_are_used_in_order() {
        let text = "# c\n[PRE]\n^prod\\. = p.\n  p\\.(\\w+) =\\1\n[post]\n_sum$ =\n";
        let rules = read(text).unwrap();
        assert_eq!(apply(&rules.pre, "prod.web.x"), "web.x");
        assert_eq!(apply(&rules.post, "a_sum"), "a");
        assert_eq!(rules.notes, []);
    }

    #[test]
    fn where_a_rule_is_parted() {
        let check = |line: &str, expected: Option<(&str, &str)>| assert_eq!(split(line), expected, "{line}");
        check("a=b=c", Some(("a", "b=c")));
        check("a=b = c", Some(("a=b", "c")));
        check("a=b\t=", Some(("a=b", "")));
        check("a = b = c", Some(("a", "b = c")));
        check("=é", Some(("", "é")));
        check("é =", Some(("é", "")));
        check("a b", None);
    }

    #[test]
    fn what_does_nothing_is_told() {
        let check = |text: &str, expected: &[(usize, &str)]| {
            let notes = read(text).unwrap().notes;
            let all = notes
                .iter()
                .zip(expected)
                .all(|(note, (line, part))| note.line == Some(*line) && note.message.contains(part));
            assert!(all && notes.len() == expected.len(), "{notes:?}");
        };
        check("a = b\n[pre]\n(x = y\njunk\n", &[(1, "before the first"), (3, "unclosed"), (4, "no `=`")]);
        check("[prae]\na = b\n", &[(1, "never apply")]);
        check("[pre]\na = b\n[post]\n[pre]\nc = d\n", &[(4, "the 1 rules above")]);
        assert_eq!(apply(&read("[pre]\na = b\n[pre]\nc = d\n").unwrap().pre, "ac"), "ad");
    }

    #[test]
    fn replacements_that_would_lose_metrics_are_refused() {
        let fault = read("[pre]\n\na(b) = \\2\n").unwrap_err();
        assert_eq!(fault.line, 3);
        assert!(fault.to_string().contains("group 2"), "{fault}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\[pre\\]\n)?(\\PC|[#()\\[\\]*+?{},.\\\\=<>g0-9 \n]){0,100}") {
            if let Ok(rules) = read(&text) {
                apply(&rules.pre, "a.b=c");
            }
        }
    }
}
