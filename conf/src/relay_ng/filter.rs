//! The filters of routes, destinations, aggregations and block lists: up to six, joined with "and".

use super::document::{At, Log, Table};
use crate::routing::pattern::{Condition, Dialect, Pattern};

/// Options of a filter, as they are written in destinations and commands.
pub(super) const OPTIONS: [&str; 6] = ["prefix", "notPrefix", "sub", "notSub", "regex", "notRegex"];

/// What a name must be like, and must not. An empty text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Filter {
    /// In the order of [`OPTIONS`].
    values: [String; 6],
}

impl Filter {
    /// Takes the keys of a filter out of a table.
    pub(super) fn of(table: &mut Table<'_>, log: &mut Log<'_>) -> Self {
        let mut filter = Self::default();
        for (option, value) in OPTIONS.into_iter().zip(&mut filter.values) {
            *value = table.text(option, log).map(|word| word.text).unwrap_or_default();
        }
        // The older name; the newer one counts if both are there.
        let older = table.text("substr", log);
        if let (Some(older), [_, _, sub, ..]) = (older, &mut filter.values)
            && sub.is_empty()
        {
            *sub = older.text;
        }
        filter
    }

    /// Sets an option; whether there is one of that name.
    pub(super) fn set(&mut self, option: &str, value: &str) -> bool {
        let place = OPTIONS.iter().position(|other| *other == option);
        match place.and_then(|place| self.values.get_mut(place)) {
            Some(slot) => {
                value.clone_into(slot);
                true
            }
            None => false,
        }
    }

    /// Whether all names pass.
    pub(super) fn is_open(&self) -> bool {
        self.values.iter().all(String::is_empty)
    }

    /// Whether it has an expression whose groups can be used.
    pub(super) fn has_regex(&self) -> bool {
        let [_, _, _, _, regex, _] = &self.values;
        !regex.is_empty()
    }

    /// The filter as a pattern; its groups are those of `regex`. What is wrong is in the log.
    pub(super) fn pattern(&self, at: At, key: &str, log: &mut Log<'_>) -> Option<Pattern> {
        let [prefix, not_prefix, sub, not_sub, regex, not_regex] = &self.values;
        let starts = |text: &str| format!("^{}", regex::escape(text));
        // The expression comes first: it becomes the pattern itself, and what follows the conditions.
        let parts = [
            ("regex", regex, regex.clone(), true),
            ("sub", sub, regex::escape(sub), true),
            ("prefix", prefix, starts(prefix), true),
            ("notPrefix", not_prefix, starts(not_prefix), false),
            ("notSub", not_sub, regex::escape(not_sub), false),
            ("notRegex", not_regex, not_regex.clone(), false),
        ];
        let mut whole = None;
        let mut conditions = Vec::new();
        let mut is_good = true;
        for (option, written, text, is_wanted) in parts {
            if written.is_empty() {
                continue;
            }
            match Pattern::new(&text, Dialect::Go) {
                Ok(pattern) if is_wanted && whole.is_none() => whole = Some(pattern),
                Ok(pattern) => conditions.push(Condition { pattern, is_wanted }),
                Err(error) => {
                    log.fault(at, key, format!("{option}: {error}; correct it as Go's regexp wants it"));
                    is_good = false;
                }
            }
        }
        is_good.then(|| whole.unwrap_or_else(Pattern::everything).on_condition(conditions))
    }
}
