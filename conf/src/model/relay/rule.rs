//! `[[relay.rule]]`: what happens to names, from top to bottom.

use serde::{Deserialize, Serialize};

/// A rule: it sends or discards, or renames, or aggregates.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleTable {
    /// What others call it.
    pub name: Option<String>,
    /// Names that it is about; none: all.
    #[serde(rename = "match")]
    pub when: Option<Patterns>,
    /// Names that it is not about; all others are.
    pub match_not: Option<Patterns>,
    /// Whether tags are left out of what is matched.
    pub without_tags: Option<bool>,
    /// Clusters.
    pub send_to: Option<Names>,
    /// Points are refused, and counted by this reason.
    pub discard: Option<Reason>,
    /// A template of what rings hash instead of the name.
    pub hash_key: Option<String>,
    /// What `value timestamp` must look like.
    pub validate: Option<PatternEntry>,
    /// Whether points that fail are told in the log.
    pub validate_log: Option<bool>,
    /// What is replaced.
    pub rewrite: Option<PatternEntry>,
    /// A template of what takes its place.
    pub into: Option<String>,
    /// Whether every match is replaced, or the first alone.
    pub every_match: Option<bool>,
    /// Series that are made.
    pub aggregate: Option<Vec<OutputTable>>,
    /// Length of a bucket, seconds.
    pub every_seconds: Option<u32>,
    /// When a bucket is computed, seconds after its begin.
    pub after_seconds: Option<u32>,
    /// How long it takes late points, seconds after its begin.
    pub keep_seconds: Option<u32>,
    /// With `aggregate`: whether a name counts for each pattern that it matches.
    pub each_pattern: Option<bool>,
    /// Which moment of a bucket its points bear.
    pub stamp: Option<StampWord>,
    /// Where the points of aggregates go on: `below`, `top`, `nowhere`, or at the rule of that name.
    pub outputs_at: Option<String>,
    /// In its place: clusters.
    pub outputs_to: Option<Names>,
    /// Whether rules below are not looked at for what this one is about.
    pub stop: Option<bool>,
    /// Where it stands in the settings file, counted from 1; none: in none.
    #[serde(skip_serializing)]
    pub line: Option<usize>,
}

/// One name, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// One.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl Names {
    /// Each.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// One pattern, or alternatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Patterns {
    /// A list. It comes first: a list of texts would do for the fields of a table.
    Many(Vec<PatternEntry>),
    /// One.
    One(PatternEntry),
}

impl Patterns {
    /// Each.
    #[must_use]
    pub fn as_slice(&self) -> &[PatternEntry] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl Default for Patterns {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// A pattern: a glob, or a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PatternEntry {
    /// A glob of the whole name.
    Glob(String),
    /// Of another form.
    Table(Box<PatternTable>),
}

/// A pattern in one of the forms that there are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatternTable {
    /// The whole name.
    pub exact: Option<String>,
    /// How it begins.
    pub prefix: Option<String>,
    /// How it ends.
    pub suffix: Option<String>,
    /// What stands in it.
    pub contains: Option<String>,
    /// A glob of the whole name.
    pub glob: Option<String>,
    /// An expression that is searched for.
    pub regex: Option<String>,
    /// Whose expression it is; none: as `relay.dialect`.
    pub dialect: Option<DialectWord>,
    /// Other patterns that must match too.
    pub and: Option<Vec<PatternEntry>>,
    /// Within `and`: whether it must not match.
    pub not: Option<bool>,
}

/// Whose regular expressions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialectWord {
    /// Python's.
    #[default]
    Python,
    /// The same, whatever the case of letters.
    PythonAnyCase,
    /// POSIX extended, and PCRE.
    Posix,
    /// Go's.
    Go,
}

/// Why points are thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody wants them.
    Blackhole,
    /// They are on the black list.
    Blacklisted,
    /// They are not on the white list.
    NotWhitelisted,
}

/// A series that is made of others.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputTable {
    /// A template of its name.
    pub name: String,
    /// How it is computed.
    pub function: String,
    /// Whether that is the whole name, or takes the place of what the pattern matched.
    pub whole_name: Option<bool>,
    /// Whether its values are written with six digits behind the point.
    pub six_digits: Option<bool>,
}

/// Which moment of a bucket its points bear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StampWord {
    /// Its first second.
    #[default]
    Start,
    /// Its middle.
    Middle,
    /// The first second after it.
    End,
}
