//! Whether the pattern of an alerting rule or of a mute is about a metric.

use crate::model::alerting::rule::MatchKind;
use crate::routing::native::glob;
use crate::routing::pattern::{Dialect, Pattern};
use regex::{Regex, RegexBuilder};

/// Longest pattern that is taken, bytes.
pub const LONGEST: usize = 4_096;

/// Memory that an expression may take when compiled, bytes.
const COMPILED: usize = 1 << 20;

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pattern `{shown}` {why}")]
pub struct BadMatching {
    /// The pattern, escaped and cut.
    pub shown: String,
    /// What is wrong, and what would be right.
    pub why: String,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Matching {
    text: String,
    kind: MatchKind,
    engine: Engine,
}

#[derive(Debug, Clone)]
enum Engine {
    /// Its text alone says it.
    Text,
    /// Searched for.
    Expression(Box<Regex>),
    /// Looked for at the start.
    AtStart(Box<Pattern>),
}

/// By what a pattern matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The name is the pattern.
    Equal,
    /// The glob is about the whole name.
    Glob,
    /// The expression was found.
    Expression,
    /// The expression was found at the start of the name.
    Start,
    /// The pattern stands in the name.
    Contained,
}

impl By {
    /// In words, after "the name".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Equal => "is equal to it",
            Self::Glob => "is as the glob says",
            Self::Expression => "has what the expression looks for",
            Self::Start => "begins with what the expression looks for",
            Self::Contained => "contains it",
        }
    }
}

impl Matching {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is empty, too long, or no glob or expression.
    pub fn new(kind: MatchKind, text: &str) -> Result<Self, BadMatching> {
        let bad = |why: &str| BadMatching { shown: shown(text), why: why.to_owned() };
        if text.trim().is_empty() {
            return Err(bad("is empty; write \"**\" as a glob for every metric"));
        }
        if text.len() > LONGEST {
            return Err(bad("is longer than 4096 bytes; write several, as a list"));
        }
        let engine = match kind {
            MatchKind::Exact | MatchKind::Contains => Engine::Text,
            MatchKind::Glob => Engine::Expression(Box::new(globbed(text).map_err(|why| bad(&why))?)),
            MatchKind::Regex => Engine::Expression(Box::new(compiled(text).map_err(|why| bad(&why))?)),
            // What is no expression is looked for as it is written.
            MatchKind::Skyline => match Pattern::new(text, Dialect::Python) {
                Ok(pattern) => Engine::AtStart(Box::new(pattern)),
                Err(_) => Engine::Text,
            },
        };
        Ok(Self { text: text.to_owned(), kind, engine })
    }

    /// The pattern as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> MatchKind {
        self.kind
    }

    /// By what it matches a name; none: it does not.
    #[must_use]
    pub fn by(&self, name: &str) -> Option<By> {
        let contained = || name.contains(&self.text).then_some(By::Contained);
        match (self.kind, &self.engine) {
            (MatchKind::Exact, _) => (name == self.text).then_some(By::Equal),
            (MatchKind::Contains, _) => contained(),
            (MatchKind::Glob, Engine::Expression(regex)) => regex.is_match(name).then_some(By::Glob),
            (MatchKind::Regex, Engine::Expression(regex)) => regex.is_match(name).then_some(By::Expression),
            (MatchKind::Skyline, _) if name == self.text => Some(By::Equal),
            // The leftmost match is at the start if any is.
            (MatchKind::Skyline, Engine::AtStart(pattern))
                if pattern.find(name, 0).is_some_and(|found| found.range().0 == 0) =>
            {
                Some(By::Start)
            }
            (MatchKind::Skyline, _) => contained(),
            (MatchKind::Glob | MatchKind::Regex, _) => None,
        }
    }
}

/// A pattern for messages.
fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(100).flat_map(char::escape_debug).collect();
    if chars.next().is_some() { format!("{head}...") } else { head }
}

/// A glob of a whole name.
fn globbed(text: &str) -> Result<Regex, String> {
    if text.starts_with('^') || text.ends_with('$') || text.contains(['\\', '|', '(', ')']) {
        return Err("is a glob and looks like an expression; add match_kind = \"regex\", or \"exact\" for a whole name".into());
    }
    if text.ends_with('.') {
        return Err(
            "is a glob, and no name ends with a dot; write ** behind it for all that begins so".into()
        );
    }
    compiled(&glob::expression(text).map_err(|why| format!("is no glob: {why}"))?)
}

fn compiled(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text)
        .size_limit(COMPILED)
        .dfa_size_limit(COMPILED)
        .dot_matches_new_line(true)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "is too big when compiled; use smaller numbers of repeats".to_owned()
        }
        other => {
            let text = other.to_string();
            let why = text.rsplit("error: ").next().unwrap_or(&text).trim();
            format!("is no expression: {why}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use MatchKind::{Contains, Exact, Glob, Skyline};
    use proptest::prelude::*;

    #[track_caller]
    fn check(kind: MatchKind, pattern: &str, name: &str, expected: Option<By>) {
        assert_eq!(Matching::new(kind, pattern).unwrap().by(name), expected, "{pattern} {name}");
    }

    /// The vectors of the three steps.
    #[test]
    fn as_skyline_matched() {
        check(Skyline, "stats.web.cpu", "stats.web.cpu", Some(By::Equal));
        check(Skyline, "stats.web", "stats.web01.cpu", Some(By::Start));
        check(Skyline, "web01", "stats.web01.cpu", Some(By::Contained));
        check(Skyline, "metric4.thing.*.requests", "metric4.thingX.a.requests.p99", Some(By::Start));
        check(Skyline, "(bad", "x.(bad.y", Some(By::Contained));
        check(Skyline, "horizon.udp.test", "horizon.test.udp", None);
        // Not at the start, and no text of the name.
        check(Skyline, "web.*", "stats.web01", None);
        check(Skyline, "^stats", "stats.a", Some(By::Start));
        check(Skyline, "(?!stats)", "stats.a", None);
        check(Skyline, r".*\.(p9)\d$", "a.b.p99", Some(By::Start));
    }

    #[test]
    fn other_kinds() {
        check(Exact, "a.*", "a.*", Some(By::Equal));
        check(Exact, "a.b", "a.b.c", None);
        check(Contains, "web0", "stats.web01.cpu", Some(By::Contained));
        check(Glob, "stats.*.cpu", "stats.web01.cpu", Some(By::Glob));
        check(Glob, "stats.*.cpu", "stats.a.b.cpu", None);
        check(Glob, "stats.web", "stats.web01", None);
        check(Glob, "stats.{web,db}[0-9]?.**", "stats.db01.a.b", Some(By::Glob));
        check(Glob, "**", "a\nb", Some(By::Glob));
        check(Glob, "<script>.*", "<script>.x", Some(By::Glob));
        check(MatchKind::Regex, r"\.cpu$", "stats.cpu", Some(By::Expression));
        check(MatchKind::Regex, r"^cpu", "stats.cpu", None);
    }

    #[test]
    fn patterns_that_are_refused() {
        let bad = |kind, text: &str, expected: &str| {
            let said = Matching::new(kind, text).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        };
        bad(Glob, " ", "is empty");
        bad(Glob, "^a", "match_kind = \"regex\"");
        bad(Glob, "a.", "write ** behind");
        bad(Glob, "a{b", "`{` without");
        bad(MatchKind::Regex, "(a", "unclosed group");
        bad(MatchKind::Regex, "((a{1000}){1000}){1000}", "too big");
        bad(Exact, &"a".repeat(5_000), "longer than 4096");
        bad(MatchKind::Regex, "(?=a)", "look-around");
    }

    /// Nothing takes long, whatever is written.
    #[test]
    fn an_expression_that_tries_for_ever_is_no_match() {
        let started = std::time::Instant::now();
        let name = "a".repeat(60) + "!";
        check(Skyline, r"(?=(a+)+$)(a+)+\2b$", &name, None);
        assert!(started.elapsed().as_secs() < 5);
    }

    proptest! {
        #[test]
        fn a_name_matches_itself(name in "[a-zA-Z0-9_.;=<>é-]{1,60}") {
            for kind in [Exact, Contains, Skyline] {
                prop_assert!(Matching::new(kind, &name).unwrap().by(&name).is_some());
            }
            if let Ok(glob) = Matching::new(Glob, &name) {
                prop_assert_eq!(glob.by(&name), Some(By::Glob));
                prop_assert_eq!(glob.by(&format!("x{name}")), None);
            }
        }

        #[test]
        fn any_text_is_taken_or_refused(pattern in ".{0,40}|[a-z*?{},.(|+\\[\\]!^-]{0,40}", name in ".{0,60}") {
            for kind in [Exact, Contains, Skyline, Glob, MatchKind::Regex] {
                if let Ok(matching) = Matching::new(kind, &pattern) {
                    prop_assert!(matching.by(&name).is_none_or(|by| !by.words().is_empty()));
                }
            }
        }
    }
}
