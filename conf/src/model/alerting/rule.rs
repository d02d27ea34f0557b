//! `[[alerting.rule]]`: which metrics are told to whom, how often and when.

use crate::model::relay::rule::Names;
use serde::{Deserialize, Serialize};

/// A rule. All that match a metric apply, from top to bottom, until one that stops.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// What messages, mutes and `skyline alert explain` call it; none: `rule 1`, `rule 2`, ...
    pub name: Option<String>,
    /// Patterns, of which one must match.
    #[serde(rename = "match")]
    pub patterns: Option<Names>,
    /// Patterns of which none may match.
    pub match_not: Option<Names>,
    /// What the patterns are.
    pub match_kind: Option<MatchKind>,
    /// Channels; none given: every channel that is configured; an empty list: nobody is told.
    pub channel: Option<Names>,
    /// Who is told; none: the default recipients of the channel.
    pub recipients: Option<Names>,
    /// The same incident is told again after so long (`EXPIRATION_TIME`), seconds; 0: never.
    pub repeat_seconds: Option<u32>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// It is told once it has lasted so long, seconds.
    pub minimum_seconds: Option<u32>,
    /// When the rule applies: `mon-fri 09:00-17:00, sat 10:00-12:00`; none: always.
    pub active: Option<String>,
    /// Time zone of `active`; none: that of `[alerting]`.
    pub zone: Option<String>,
    /// Whether the end is told.
    pub recovery: Option<bool>,
    /// Nobody has acknowledged it after so long: others are told, seconds.
    pub escalate_after_seconds: Option<u32>,
    /// Who these are: `CHANNEL`, or `CHANNEL:RECIPIENT`.
    pub escalate_to: Option<Names>,
    /// For later: hours of the longer window that confirms (`SECOND_ORDER_RESOLUTION_HOURS`).
    pub second_order_hours: Option<u32>,
    /// Whether rules below are not looked at for what this one matches.
    pub stop: Option<bool>,
    /// Where it stands in the settings file, counted from 1; none: in none.
    #[serde(skip_serializing)]
    pub line: Option<usize>,
}

/// What a pattern is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchKind {
    /// The whole name.
    Exact,
    /// A glob of the whole name: `*`, `?`, `[..]` and `{..}` within one element, `**` for any number of them.
    #[default]
    Glob,
    /// A regular expression that is searched for.
    Regex,
    /// What stands in the name.
    Contains,
    /// As Skyline matched: equal, or else an expression at the start, or else contained.
    Skyline,
}

impl MatchKind {
    /// Its name in the settings.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Glob => "glob",
            Self::Regex => "regex",
            Self::Contains => "contains",
            Self::Skyline => "skyline",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record.
    Info,
    /// Somebody should look.
    #[default]
    Warning,
    /// Somebody should look now.
    Critical,
}

/// Of a rule that says nothing else, seconds.
pub const REPEAT_SECONDS: u32 = 1_800;

impl Rule {
    /// The rule that counts where there is none.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            name: Some("everything".to_owned()),
            patterns: Some(Names::One("**".to_owned())),
            ..Self::default()
        }
    }

    /// What it is called; `place` counts rules from 1.
    #[must_use]
    pub fn called(&self, place: usize) -> String {
        match &self.name {
            Some(name) if !name.trim().is_empty() => name.clone(),
            _ => format!("rule {place}"),
        }
    }
}
