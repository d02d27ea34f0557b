//! Patterns of rules.

use super::{At, Compiler, glob};
use crate::model::relay::rule::{PatternEntry, PatternTable};
use crate::routing::pattern::{Condition, Dialect, Pattern};

impl Compiler<'_> {
    /// Each that is right; faults of the others are told.
    pub(super) fn patterns(&mut self, at: &At, entries: &[PatternEntry]) -> Vec<Pattern> {
        entries.iter().filter_map(|entry| self.pattern(at, entry)).collect()
    }

    /// A pattern that stands by itself.
    pub(super) fn pattern(&mut self, at: &At, entry: &PatternEntry) -> Option<Pattern> {
        if matches!(entry, PatternEntry::Table(table) if table.not.is_some()) {
            self.fault(
                at,
                "`not` has a meaning within `and` only: write match_not, or and = [{ ..., not = true }]",
            );
            return None;
        }
        self.any_pattern(at, entry)
    }

    fn any_pattern(&mut self, at: &At, entry: &PatternEntry) -> Option<Pattern> {
        let table = match entry {
            PatternEntry::Glob(text) => &PatternTable { glob: Some(text.clone()), ..PatternTable::default() },
            PatternEntry::Table(table) => table.as_ref(),
        };
        if table.dialect.is_some() && table.regex.is_none() {
            self.fault(at, "`dialect` has a meaning with `regex` only: remove it");
        }
        let pattern = match self.plain(table) {
            Ok(pattern) => pattern,
            Err(why) => {
                self.fault(at, why);
                return None;
            }
        };
        let at = at.key("and");
        let mut conditions = Vec::new();
        for entry in table.and.iter().flatten() {
            let is_wanted = !matches!(entry, PatternEntry::Table(table) if table.not == Some(true));
            conditions.push(Condition { pattern: self.any_pattern(&at, entry)?, is_wanted });
        }
        Some(pattern.on_condition(conditions))
    }

    /// The pattern of a table without its conditions.
    fn plain(&self, table: &PatternTable) -> Result<Pattern, String> {
        let escaped = |text: &Option<String>| text.as_deref().map(regex::escape);
        let literal = [
            escaped(&table.exact).map(|text| format!("^{text}$")),
            escaped(&table.prefix).map(|text| format!("^{text}")),
            escaped(&table.suffix).map(|text| format!("{text}$")),
            escaped(&table.contains),
        ];
        let (text, dialect) = match (literal.into_iter().flatten().next(), &table.glob, &table.regex) {
            (Some(text), ..) => (text, Dialect::Go),
            (None, Some(glob), _) if glob == "*" => return Ok(Pattern::everything()),
            (None, Some(glob), _) => {
                (glob::expression(glob).map_err(|why| format!("`{glob}`: {why}"))?, Dialect::Go)
            }
            (None, None, Some(regex)) => (regex.clone(), table.dialect.unwrap_or(self.relay.dialect).into()),
            (None, None, None) => return Err("the pattern is missing".to_owned()),
        };
        Pattern::new(&text, dialect).map_err(|bad| bad.to_string())
    }
}
