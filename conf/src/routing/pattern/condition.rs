//! What must hold of a name besides an expression. carbon-relay-ng joins up to six filters with "and"; no single
//! expression can say that in linear time.

use super::{Engine, Pattern};

/// Whether a pattern must be found in the whole name, or must not.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The pattern.
    pub pattern: Pattern,
    /// Whether it must match.
    pub is_wanted: bool,
}

/// An expression with conditions.
#[derive(Debug, Clone)]
pub(super) struct Conditional {
    pub(super) expression: Pattern,
    conditions: Vec<Condition>,
}

impl Conditional {
    /// Whether all conditions hold.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.conditions.iter().all(|condition| condition.pattern.is_match(name) == condition.is_wanted)
    }
}

impl Pattern {
    /// The pattern by itself, and all its conditions in their order.
    #[must_use]
    pub fn without_conditions(&self) -> (&Self, Vec<&Condition>) {
        match &self.engine {
            Engine::Conditional(both) => {
                let (plain, mut conditions) = both.expression.without_conditions();
                conditions.extend(&both.conditions);
                (plain, conditions)
            }
            _ => (self, Vec::new()),
        }
    }

    /// The same for those names alone of which all `conditions` hold. What is found, and its groups, are those of
    /// `self`.
    #[must_use]
    pub fn on_condition(self, conditions: Vec<Condition>) -> Self {
        if conditions.is_empty() {
            return self;
        }
        let mut text = self.text.clone();
        for condition in &conditions {
            text.push_str(if condition.is_wanted { " and " } else { " and not " });
            match condition.pattern.engine {
                Engine::Conditional(_) => text.push_str(&format!("({})", condition.pattern.text)),
                _ => text.push_str(&condition.pattern.text),
            }
        }
        let dialect = self.dialect;
        Self {
            text,
            dialect,
            engine: Engine::Conditional(Box::new(Conditional { expression: self, conditions })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Dialect;
    use super::*;

    #[test]
    fn all_conditions_hold() {
        let pattern = |text: &str| Pattern::new(text, Dialect::Go).unwrap();
        let condition = |text: &str, is_wanted| Condition { pattern: pattern(text), is_wanted };
        let both = pattern("(cpu)")
            .on_condition(vec![condition("^a", true), condition("idle$", false)])
            .on_condition(vec![]);
        let check = |name: &str, expected: bool| {
            assert_eq!(both.is_match(name), expected, "{name}");
            assert_eq!(
                both.find(name, 0).and_then(|found| found.group(1)),
                expected.then_some("cpu"),
                "{name}"
            );
        };
        check("a.cpu", true);
        check("b.cpu", false);
        check("a.cpu.idle", false);
        check("a", false);
        // Conditions are about the whole name, wherever the search begins.
        assert_eq!(both.find("a.cpu.cpu", 3).unwrap().range(), (6, 9));
        assert_eq!((both.groups(), both.as_plain()), (1, None));
        assert_eq!(both.as_str(), "(cpu) and ^a and not idle$");
        let nested = pattern("x").on_condition(vec![Condition { pattern: both.clone(), is_wanted: false }]);
        assert_eq!(nested.as_str(), "x and not ((cpu) and ^a and not idle$)");
        assert!(nested.is_match("a.x.cpu.idle") && !nested.is_match("a.x.cpu"));
    }
}
