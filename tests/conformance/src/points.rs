//! The points that a case wants, and whether those that were taken are the right ones.

use crate::case::{self, Outcome};
use serde_json::Value;
use std::fmt;

/// A timestamp "now" may be so far from the time of receipt, seconds: it is cut to whole ones.
const NOW: f64 = 1.0;

/// A point as the journal has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Taken {
    pub(crate) name: Vec<u8>,
    pub(crate) ts: f64,
    pub(crate) value: f64,
    /// When it was received, seconds.
    pub(crate) received: f64,
}

/// A point of a case.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    name: String,
    /// `None`: the time of receipt.
    ts: Option<f64>,
    value: f64,
}

/// What must hold of the points that were taken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    /// They are exactly those, in order.
    Exactly,
    /// Those of `want` are among them, and all are in `want` or `may` (`None`: anything).
    Bounded,
    /// Nothing: another answer is also fine.
    Free,
}

/// What a case wants.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) rule: Rule,
    want: Vec<Wanted>,
    may: Option<Vec<Wanted>>,
    /// Whether the connection must be open, or closed, after the last byte; `None`: either.
    pub(crate) closed: Option<bool>,
}

impl Expected {
    /// Of the fields `class`, `want`, `may`, `want_closed` and `free`.
    pub(crate) fn of(case: &Value) -> Result<Self, String> {
        let class = case::text(case, "class");
        let stated = case.get("want_closed").and_then(Value::as_bool);
        let (rule, closed) = match class {
            "same" => (Rule::Exactly, stated),
            "better" => (Rule::Exactly, Some(stated.unwrap_or(false))),
            "safe" => (Rule::Bounded, None),
            other => return Err(format!("unknown class `{other}`")),
        };
        let rule = if case::flag(case, "free") { Rule::Free } else { rule };
        let may = match case.get("may") {
            Some(Value::Null) => None,
            Some(_) => Some(points(case, "may")?),
            None => Some(Vec::new()),
        };
        Ok(Self { closed: closed.filter(|_| rule != Rule::Free), rule, want: points(case, "want")?, may })
    }

    /// Points that are to be waited for.
    pub(crate) const fn len(&self) -> usize {
        self.want.len()
    }

    /// Whether the points that were taken are right.
    pub(crate) fn judge(&self, taken: &[Taken]) -> Outcome {
        match self.rule {
            Rule::Free => Ok(()),
            Rule::Exactly => {
                let same =
                    taken.len() == self.want.len() && taken.iter().zip(&self.want).all(|(t, w)| w.is(t));
                if same { Ok(()) } else { Err(format!("want {}, got {}", Shown(&self.want), Shown(taken))) }
            }
            Rule::Bounded => {
                if let Some(missing) = self.want.iter().find(|w| !taken.iter().any(|t| w.is(t))) {
                    return Err(format!("{missing} is missing, got {}", Shown(taken)));
                }
                let Some(may) = &self.may else { return Ok(()) };
                let allowed = |t: &&Taken| self.want.iter().chain(may).any(|w| w.is(t));
                match taken.iter().find(|t| !allowed(t)) {
                    Some(odd) => Err(format!("{odd} should not be taken")),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Wanted {
    fn is(&self, taken: &Taken) -> bool {
        let time = match self.ts {
            Some(ts) => ts == taken.ts,
            None => (taken.ts - taken.received).abs() <= NOW,
        };
        time && self.name.as_bytes() == taken.name && self.value == taken.value
    }
}

fn points(case: &Value, key: &str) -> Result<Vec<Wanted>, String> {
    let point = |point: &Value| {
        let [name, ts, value] = point.as_array()?.as_slice() else { return None };
        let ts = if ts == "now" { None } else { Some(case::number(ts)) };
        Some(Wanted { name: name.as_str()?.to_owned(), ts, value: case::number(value) })
    };
    let points = case::list(case, key).iter().map(point).collect::<Option<_>>();
    points.ok_or_else(|| format!("`{key}` is not a list of [name, timestamp, value]"))
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ts {
            Some(ts) => write!(f, "({:?} {ts} {})", self.name, self.value),
            None => write!(f, "({:?} now {})", self.name, self.value),
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(&self.name);
        let cut: String = name.chars().take(60).collect();
        write!(f, "({cut:?} {} {})", self.ts, self.value)
    }
}

/// The first few of many points.
struct Shown<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FIRST: usize = 4;
        write!(f, "{} points", self.0.len())?;
        for point in self.0.iter().take(FIRST) {
            write!(f, " {point}")?;
        }
        if self.0.len() > FIRST { write!(f, " …") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn taken(name: &str, ts: f64, value: f64) -> Taken {
        Taken { name: name.into(), ts, value, received: 1000.5 }
    }

    #[track_caller]
    fn check(case: Value, got: &[Taken], expected: bool) {
        let outcome = Expected::of(&case).unwrap().judge(got);
        assert_eq!(outcome.is_ok(), expected, "{case} {outcome:?}");
    }

    #[test]
    fn exact_classes() {
        let two = json!({"class": "same", "want": [["a", 5, 1.5], ["b", 6, "inf"]]});
        let (a, b) = (taken("a", 5.0, 1.5), taken("b", 6.0, f64::INFINITY));
        check(two.clone(), &[a.clone(), b.clone()], true);
        check(two.clone(), &[b.clone(), a.clone()], false);
        check(two.clone(), std::slice::from_ref(&a), false);
        check(two.clone(), &[a.clone(), b.clone(), b], false);
        check(two, &[], false);
        let one = json!({"class": "better", "want": [["a", 5, 1.5]], "may": [["c", 1, 1]]});
        check(one.clone(), std::slice::from_ref(&a), true);
        check(one.clone(), &[a, taken("c", 1.0, 1.0)], false);
        check(one.clone(), &[taken("a", 5.0, 1.500_000_000_000_000_2)], false);
        check(one, &[taken("a", 5.000_001, 1.5)], false);
    }

    #[test]
    fn the_time_of_receipt() {
        let now = json!({"class": "same", "want": [["a", "now", 1.5]]});
        check(now.clone(), &[taken("a", 1000.0, 1.5)], true);
        check(now.clone(), &[taken("a", -1.0, 1.5)], false);
        check(now, &[taken("a", 997.0, 1.5)], false);
    }

    #[test]
    fn bounded_classes() {
        let safe = json!({"class": "safe", "want": [["a", 5, 1.5]], "may": [["c", 1, 1]]});
        let (a, c) = (taken("a", 5.0, 1.5), taken("c", 1.0, 1.0));
        check(safe.clone(), std::slice::from_ref(&a), true);
        check(safe.clone(), &[c.clone(), a.clone()], true);
        check(safe.clone(), &[c], false);
        check(safe, &[a.clone(), taken("d", 1.0, 1.0)], false);
        let any = json!({"class": "safe", "want": [["a", 5, 1.5]], "may": null});
        check(any.clone(), &[a, taken("d", 1.0, 1.0)], true);
        check(any, &[], false);
        check(json!({"class": "safe", "want": [["a", 5, 1.5]], "free": true}), &[], true);
    }

    #[test]
    fn whether_the_connection_stays_open() {
        let check =
            |case: Value, expected| assert_eq!(Expected::of(&case).unwrap().closed, expected, "{case}");
        check(json!({"class": "same", "want": []}), None);
        check(json!({"class": "same", "want": [], "want_closed": true}), Some(true));
        check(json!({"class": "same", "want": [], "want_closed": false}), Some(false));
        check(json!({"class": "better", "want": []}), Some(false));
        check(json!({"class": "better", "want": [], "want_closed": true}), Some(true));
        check(json!({"class": "safe", "want": [], "want_closed": true}), None);
        assert!(Expected::of(&json!({"class": "odd", "want": []})).is_err());
        assert!(Expected::of(&json!({"class": "same", "want": [["a", 1]]})).is_err());
    }
}
