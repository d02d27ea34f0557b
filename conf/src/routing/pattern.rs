//! A regular expression of a relay's configuration, in the dialect of its language.
//!
//! Operators bring expressions of Python, POSIX, PCRE and Go. Each is read by its own rules and written
//! in the form that the engine takes, so that it matches what it matched before or is refused: never
//! something else. Expressions that look around or back need an engine that tries; it gives up after a bounded
//! number of steps, and that counts as no match.

mod condition;
mod translate;

pub use condition::Condition;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Steps that looking for one match may take.
const STEPS: usize = 100_000;

/// Matches that were given up because of [`STEPS`], in this process.
static GIVEN_UP: AtomicU64 = AtomicU64::new(0);

/// How often a match was given up because it took too many steps; such a name counts as one that does not
/// match.
#[must_use]
pub fn given_up() -> u64 {
    GIVEN_UP.load(Relaxed)
}

/// Whose regular expression it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Python's `re`.
    Python,
    /// The same, where capitals and small letters are the same.
    PythonAnyCase,
    /// POSIX extended and PCRE, of which carbon-c-relay is built with one or the other.
    Posix,
    /// Go's `regexp`.
    Go,
}

/// An expression that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expression `{text}`: {why}")]
pub struct BadPattern {
    /// The expression.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// A compiled expression. It is searched for: anchors are part of it. Two are equal if they are written alike.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    dialect: Dialect,
    engine: Engine,
}

#[derive(Debug, Clone)]
enum Engine {
    /// Matches all.
    Everything,
    /// In linear time.
    Plain(Box<regex::Regex>),
    /// By trying.
    Trying(Box<fancy_regex::Regex>),
    /// An expression, and what must hold besides.
    Conditional(Box<condition::Conditional>),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.dialect == other.dialect
    }
}

impl Pattern {
    /// Matches every name; written `*`.
    #[must_use]
    pub fn everything() -> Self {
        Self { text: "*".to_owned(), dialect: Dialect::Posix, engine: Engine::Everything }
    }

    /// Reads an expression.
    ///
    /// # Errors
    /// [`BadPattern`]: it is not one of its dialect, or has something that cannot be kept exactly.
    pub fn new(text: &str, dialect: Dialect) -> Result<Self, BadPattern> {
        let bad = |why: String| BadPattern { text: text.to_owned(), why };
        let translated = translate::translate(text, dialect).map_err(bad)?;
        let ignore_case = dialect == Dialect::PythonAnyCase;
        let engine = if translated.tries {
            let built = fancy_regex::RegexBuilder::new(&translated.text)
                .case_insensitive(ignore_case)
                .backtrack_limit(STEPS)
                .build();
            Engine::Trying(Box::new(built.map_err(|error| bad(error.to_string()))?))
        } else {
            let built = regex::RegexBuilder::new(&translated.text).case_insensitive(ignore_case).build();
            Engine::Plain(Box::new(built.map_err(|error| bad(reason(&error)))?))
        };
        Ok(Self { text: text.to_owned(), dialect, engine })
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whose expression it is; `None`: it matches all.
    #[must_use]
    pub const fn dialect(&self) -> Option<Dialect> {
        match self.engine {
            Engine::Everything => None,
            _ => Some(self.dialect),
        }
    }

    /// In the form of the crate `regex`, for a set of them; `None` if it looks around or back, or has conditions.
    #[must_use]
    pub fn as_plain(&self) -> Option<String> {
        match &self.engine {
            Engine::Everything => Some(String::new()),
            Engine::Plain(regex) if self.dialect == Dialect::PythonAnyCase => {
                Some(format!("(?i:{})", regex.as_str()))
            }
            Engine::Plain(regex) => Some(regex.as_str().to_owned()),
            Engine::Trying(_) | Engine::Conditional(_) => None,
        }
    }

    /// Number of its groups, the whole match not counted.
    #[must_use]
    pub fn groups(&self) -> usize {
        match &self.engine {
            Engine::Everything => 0,
            Engine::Plain(regex) => regex.captures_len() - 1,
            Engine::Trying(regex) => regex.captures_len() - 1,
            Engine::Conditional(both) => both.expression.groups(),
        }
    }

    /// Index of the group of that name.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<usize> {
        match &self.engine {
            Engine::Everything => None,
            Engine::Plain(regex) => regex.capture_names().position(|found| found == Some(name)),
            Engine::Trying(regex) => regex.capture_names().position(|found| found == Some(name)),
            Engine::Conditional(both) => both.expression.group_named(name),
        }
    }

    /// Whether it is found in `name`.
    #[must_use]
    pub fn is_match(&self, name: &str) -> bool {
        match &self.engine {
            Engine::Everything => true,
            Engine::Plain(regex) => regex.is_match(name),
            Engine::Trying(regex) => regex.is_match(name).unwrap_or_else(|_| {
                GIVEN_UP.fetch_add(1, Relaxed);
                false
            }),
            Engine::Conditional(both) => both.holds(name) && both.expression.is_match(name),
        }
    }

    /// The first match at or behind the byte `from`, with its groups.
    #[must_use]
    pub fn find<'n>(&self, name: &'n str, from: usize) -> Option<Match<'n>> {
        match &self.engine {
            Engine::Everything => Some(Match { groups: vec![Some((0, name.len()))], name }),
            Engine::Plain(regex) => {
                let found = regex.captures_at(name, from)?;
                let groups = found.iter().map(|group| group.map(|g| (g.start(), g.end()))).collect();
                Some(Match { groups, name })
            }
            Engine::Trying(regex) => match regex.captures_from_pos(name, from) {
                Ok(found) => {
                    let found = found?;
                    let groups = found.iter().map(|group| group.map(|g| (g.start(), g.end()))).collect();
                    Some(Match { groups, name })
                }
                Err(_) => {
                    GIVEN_UP.fetch_add(1, Relaxed);
                    None
                }
            },
            Engine::Conditional(both) => both.holds(name).then(|| both.expression.find(name, from)).flatten(),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'n> {
    name: &'n str,
    /// Of each group its begin and end; the whole match first.
    groups: Vec<Option<(usize, usize)>>,
}

impl<'n> Match<'n> {
    /// Begin and end of the whole match, bytes.
    #[must_use]
    pub fn range(&self) -> (usize, usize) {
        self.groups.first().copied().flatten().unwrap_or_default()
    }

    /// What a group matched; `None` if it took no part, or does not exist.
    #[must_use]
    pub fn group(&self, index: usize) -> Option<&'n str> {
        let (start, end) = self.groups.get(index).copied().flatten()?;
        self.name.get(start..end)
    }
}

/// The reason of an error of the crate `regex`, without its drawing of the place.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            "it is too big when compiled: use smaller numbers of repeats".to_owned()
        }
        other => {
            let text = other.to_string();
            text.rsplit("error: ").next().unwrap_or(&text).trim().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(dialect: Dialect, text: &str, matching: &[&str], other: &[&str]) {
        let pattern = Pattern::new(text, dialect).unwrap();
        for name in matching {
            assert!(pattern.is_match(name), "{text} does not match {name}");
        }
        for name in other {
            assert!(!pattern.is_match(name), "{text} matches {name}");
        }
    }

    #[test]
    fn python() {
        let check = |text: &str, matching: &[&str], other: &[&str]| {
            check(Dialect::Python, text, matching, other);
        };
        check(r"^a\.", &["a.b"], &["b.a.", "A.b"]);
        check(r"cpu$", &["x.cpu"], &["cpu.x"]);
        check(r"a{2}|b{,2}c|d{x}|{", &["aa", "bbc", "d{x}", "{"], &["a", "d"]);
        check(r"[[:x]]", &["[]", "x]"], &["x", "]"]);
        check(r"[]a-]b", &["]b", "-b", "ab"], &["bb"]);
        check(r"[^]&&~~+--x]", &["a"], &["&", "]", "~", "x"]);
        check(r"(?<!prod)\.x$", &["dev.x"], &["prod.x"]);
        check(r"^(\w+)\.\1$", &["a.a"], &["a.b"]);
        check(r"(?P<h>a)(?P=h)", &["aa"], &["ab"]);
        check(r"(?i)ABC(?#a note)d", &["xabcDx"], &["abc"]);
        check(r"x\Z", &["x"], &["xy"]);
        check(r"[\b\-\]\d]$", &["a-", "a]", "a4"], &["b", "d"]);
        check(r"\x41\u00e9\101\0?", &["AéA"], &["A"]);
        check("", &["", "a"], &[]);
    }

    #[test]
    fn python_in_any_case() {
        check(Dialect::PythonAnyCase, "cpu|Ünï", &["CPU", "cPu", "üNÏ"], &["cp"]);
    }

    #[test]
    fn posix() {
        let check = |text: &str, matching: &[&str], other: &[&str]| {
            check(Dialect::Posix, text, matching, other);
        };
        check("count", &["a.count.b"], &["a.Count"]);
        check("^sys$", &["sys"], &["sys.a"]);
        check("^[[:alpha:]]+[^\\.]$", &["abc", "ab1"], &["1a", "ab."]);
        check("*a|(*b)", &["*a", "*b"], &["a", "b"]);
        check("a{1,2}\\{x", &["aa{x"], &["x"]);
        check("(ab)\\1", &["abab"], &["ab"]);
        check("a\\_b", &["a_b"], &["ab"]);
    }

    #[test]
    fn go() {
        check(Dialect::Go, r"^servers\.(dc[0-9]+)\.", &["servers.dc1.x"], &["servers.dcx.x"]);
    }

    #[test]
    fn expressions_that_are_refused() {
        let check = |dialect: Dialect, text: &str, expected: &str| {
            let error = Pattern::new(text, dialect).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains(expected), "{error}");
        };
        check(Dialect::Python, "(", "unclosed group");
        check(Dialect::Python, "a)", "unopened group");
        check(Dialect::Python, "[a", "class is not closed");
        check(Dialect::Python, "*a", "nothing to repeat");
        check(Dialect::Python, "a**", "multiple repeat");
        check(Dialect::Python, "^*", "nothing to repeat");
        check(Dialect::Python, r"\q", "escape");
        check(Dialect::Python, "a\\", "ends with a backslash");
        check(Dialect::Python, "(?x)a b", "flag");
        check(Dialect::Python, "[z-a]", "range");
        check(Dialect::Python, "(?<=a+)b*(?P<1>x)", "");
        check(Dialect::Go, "(?=a)", "look-around");
    }

    #[test]
    fn what_would_take_for_ever_is_given_up() {
        let pattern = Pattern::new(r"^(?=(a+)+$)(a+)+\2b$", Dialect::Python).unwrap();
        let before = given_up();
        let started = std::time::Instant::now();
        assert!(!pattern.is_match(&("a".repeat(60) + "c")));
        assert!(pattern.find(&("a".repeat(60) + "c"), 0).is_none());
        assert!(given_up() >= before);
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn groups() {
        let pattern = Pattern::new(r"(?P<host>\w+)\.(x)?", Dialect::Python).unwrap();
        assert_eq!(
            (pattern.groups(), pattern.group_named("host"), pattern.group_named("no")),
            (2, Some(1), None)
        );
        let found = pattern.find("a.b.x", 1).unwrap();
        assert_eq!(
            (found.range(), found.group(1), found.group(2), found.group(9)),
            ((2, 5), Some("b"), Some("x"), None)
        );
        assert_eq!(Pattern::everything().find("abc", 0).unwrap().group(0), Some("abc"));
    }
}
