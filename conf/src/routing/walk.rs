//! What happens to one name: the walk down the statements.

use super::pattern::{Match, Pattern};
use super::template::LONGEST;
use super::{Aggregation, Discard, Naming, Output, Rewrite, Route, Routing, Statement, Target, without_tags};
use std::borrow::Cow;

/// One thing that happens to a name on its way. `statement` is an index into [`Routing::statements`].
#[derive(Debug, Clone, PartialEq)]
pub enum Act<'r> {
    /// It is sent, or thrown away. Where [`Route::validate`] is there, only points that pass it are; of others
    /// the statement sends nothing, and if it names no cluster, what follows does not happen to them either.
    Route {
        /// Which.
        statement: usize,
        /// The statement.
        route: &'r Route,
        /// The name as it is there.
        name: String,
        /// What rings hash instead of the name.
        key: Option<String>,
    },
    /// It has another name from here on.
    Renamed {
        /// Which.
        statement: usize,
        /// The new one.
        name: String,
    },
    /// It is an input; once for each pattern by which it is one.
    Input {
        /// Which.
        statement: usize,
        /// The statement.
        aggregation: &'r Aggregation,
        /// The name as it is there.
        name: String,
        /// Names of the series that it is an input of, one for each of [`Aggregation::outputs`].
        outputs: Vec<String>,
    },
}

impl Routing {
    /// What happens to `name` from statement `from` on, in order. The name is taken as it is:
    /// [`super::Names`] is for whoever receives it.
    #[must_use]
    pub fn walk(&self, from: usize, name: &str) -> Vec<Act<'_>> {
        let mut acts = Vec::new();
        let mut name = name.to_owned();
        for (statement, what) in self.statements.iter().enumerate().skip(from) {
            match what {
                Statement::Route(route) => {
                    if !route.when.is_match(&name) {
                        continue;
                    }
                    let key = route.key_of(&name);
                    acts.push(Act::Route { statement, route, name: name.clone(), key });
                    if route.stop || matches!(route.to, Target::Discard(_)) {
                        break;
                    }
                }
                Statement::Rewrite(rewrite) => {
                    if let Cow::Owned(new) = rewrite.apply(&name)
                        && new != name
                    {
                        name.clone_from(&new);
                        acts.push(Act::Renamed { statement, name: new });
                    }
                }
                Statement::Aggregate(aggregation) => {
                    let subject = aggregation.when.subject(&name);
                    let counts_for_each = aggregation.for_each_pattern && !aggregation.stop;
                    let most = if counts_for_each { usize::MAX } else { 1 };
                    let before = acts.len();
                    let found = aggregation.when.patterns.iter().filter_map(|p| p.find(subject, 0));
                    for found in found.take(most) {
                        let outputs = aggregation.outputs.iter().map(|o| o.name_of(&name, &found)).collect();
                        acts.push(Act::Input { statement, aggregation, name: name.clone(), outputs });
                    }
                    if aggregation.stop && acts.len() > before {
                        break;
                    }
                }
            }
        }
        acts
    }
}

impl Route {
    /// What rings hash instead of the name, if the statement says so: the name with what was matched replaced.
    /// (Builds of carbon-c-relay without PCRE2 do not know what an expression without groups has matched.)
    fn key_of(&self, name: &str) -> Option<String> {
        let template = self.key.as_ref()?;
        let subject = self.when.subject(name);
        let found = self.when.patterns.iter().find_map(|pattern| pattern.find(subject, 0))?;
        let (start, end) = found.range();
        let mut key = String::new();
        key.push_str(subject.get(..start).unwrap_or_default());
        template.expand(|group| found.group(group), &mut key);
        key.push_str(subject.get(end..).unwrap_or_default());
        Some(key)
    }

    /// Why it throws points away, if it does.
    #[must_use]
    pub const fn discards(&self) -> Option<Discard> {
        match self.to {
            Target::Discard(why) => Some(why),
            Target::Clusters(_) => None,
        }
    }
}

impl Rewrite {
    /// The name after the statement; borrowed if there was no match. One that grows beyond [`LONGEST`] ends there.
    #[must_use]
    pub fn apply<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let subject = if self.without_tags { without_tags(name) } else { name };
        let Some(first) = self.from.find(subject, 0) else { return Cow::Borrowed(name) };
        let mut out = String::with_capacity(name.len() + 16);
        let (mut done, mut found) = (0, Some(first));
        while let Some(matched) = found {
            let (start, end) = matched.range();
            // An empty match right behind another counts too, as in Python since 3.7.
            out.push_str(subject.get(done..start).unwrap_or_default());
            self.to.expand(|group| matched.group(group), &mut out);
            done = end;
            if out.len() > LONGEST {
                return Cow::Owned(out);
            }
            found =
                if self.every { next(&self.from, subject, &mut done, start == end, &mut out) } else { None };
        }
        out.push_str(name.get(done..).unwrap_or_default());
        Cow::Owned(out)
    }
}

/// The match behind one that ended at `done`. Behind an empty one the next character is passed over.
fn next<'n>(
    pattern: &Pattern,
    subject: &'n str,
    done: &mut usize,
    was_empty: bool,
    out: &mut String,
) -> Option<Match<'n>> {
    if was_empty {
        let c = subject.get(*done..)?.chars().next()?;
        out.push(c);
        *done += c.len_utf8();
    }
    pattern.find(subject, *done)
}

impl Output {
    /// The name of the series for an input.
    fn name_of(&self, input: &str, found: &Match<'_>) -> String {
        let mut out = String::new();
        let (start, end) = if self.is_whole { (0, input.len()) } else { found.range() };
        out.push_str(input.get(..start).unwrap_or_default());
        self.name.expand(|group| found.group(group), &mut out);
        out.push_str(input.get(end..).unwrap_or_default());
        out
    }
}

impl Naming {
    /// The other name, if it is about `name`.
    #[must_use]
    pub fn apply(&self, name: &str) -> Option<String> {
        let found = self.from.find(name, 0)?;
        let mut out = String::new();
        self.to.expand(|group| found.group(group), &mut out);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::Dialect;
    use super::super::template::{Part, Template};
    use super::super::{Digits, Function, Matcher, Stamp, Then};
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text, Dialect::Python).unwrap()
    }

    fn rewrite(from: &str, to: Vec<Part>, every: bool) -> Rewrite {
        Rewrite { from: pattern(from), to: Template::of(to), every, without_tags: true }
    }

    #[test]
    fn names_are_rewritten() {
        let check = |from: &str, to: Vec<Part>, every, name: &str, expected: &str| {
            assert_eq!(rewrite(from, to, every).apply(name), expected, "{from} {name}");
        };
        let x = || vec![Part::Text("x".to_owned())];
        check("-", x(), true, "a-b-c;t=-", "axbxc;t=-");
        check("-", x(), false, "a-b-c", "axb-c");
        check("b*", x(), true, "abc", "xaxxcx");
        check("$", x(), true, "ab;t=1", "abx;t=1");
        check(
            "(\\w+)\\.(\\w+)",
            vec![Part::group(2), Part::Text(".".to_owned()), Part::group(1)],
            true,
            "a.b.c.d",
            "b.a.d.c",
        );
        check("no", x(), true, "abc", "abc");
        check("é", x(), true, "aéé", "axx");
    }

    #[test]
    fn keys_of_rings() {
        let check = |when: &str, expected: &str| {
            let pattern = Pattern::new(when, Dialect::Posix).unwrap();
            let pattern = if when == "*" { Pattern::everything() } else { pattern };
            let key = Template::of(vec![Part::Text("k".to_owned()), Part::group(1)]);
            let to = Target::Clusters(vec![0]);
            let when = Matcher { without_tags: true, ..Matcher::of(vec![pattern]) };
            let route = Route { when, validate: None, key: Some(key), to, stop: false };
            assert_eq!(route.key_of("apps.a1.req;t=1").as_deref(), Some(expected));
        };
        check("^apps\\.(.)", "ka1.req");
        check("p(p)s\\.", "akpa1.req");
        check("^apps", "k.a1.req");
        check("\\.req$", "apps.a1k");
        check("^apps\\.a1\\.req$", "k");
        check("[.].1", "appsk.req");
        check("*", "k");
    }

    #[test]
    fn a_walk() {
        let route = |when: Matcher, clusters: Vec<usize>, stop| {
            Statement::Route(Route { when, validate: None, key: None, to: Target::Clusters(clusters), stop })
        };
        let output = Output {
            name: Template::of(vec![Part::group(1), Part::Text(".sum".to_owned())]),
            is_whole: false,
            function: Function::Sum,
            digits: Digits::Fewest,
        };
        let routing = Routing {
            statements: vec![
                route(Matcher::of(vec![pattern("^a")]), vec![0], false),
                Statement::Rewrite(rewrite("^a", vec![Part::Text("z".to_owned())], false)),
                Statement::Aggregate(Aggregation {
                    when: Matcher::of(vec![pattern("^(z)")]),
                    for_each_pattern: false,
                    outputs: vec![output],
                    every: 10,
                    after: 10,
                    keep: 20,
                    stamp: Stamp::Start,
                    then: Then::FromTop,
                    stop: false,
                }),
                route(Matcher::of(vec![pattern("z")]), vec![1], true),
                route(Matcher::everything(), vec![2], false),
            ],
            ..Routing::default()
        };
        let told = |name: &str, from: usize| -> Vec<(usize, String)> {
            let told = |act: Act<'_>| match act {
                Act::Route { statement, name, .. } => (statement, name),
                Act::Renamed { statement, name } => (statement, format!("> {name}")),
                Act::Input { statement, outputs, .. } => (statement, outputs.join(" ")),
            };
            routing.walk(from, name).into_iter().map(told).collect()
        };
        let own =
            |list: &[(usize, &str)]| list.iter().map(|(i, t)| (*i, (*t).to_owned())).collect::<Vec<_>>();
        assert_eq!(told("a.b", 0), own(&[(0, "a.b"), (1, "> z.b"), (2, "z.sum.b"), (3, "z.b")]));
        assert_eq!(told("b", 0), own(&[(4, "b")]));
        assert_eq!(told("a.z", 3), own(&[(3, "a.z")]));
    }
}
