//! What one value alone does not show: settings that contradict each other or cannot work together.

mod alerting;
mod channels;
mod flux;
mod graphite;
mod parts;
mod relay;
mod remote;
mod sockets;
mod stores;
mod vista;

pub use sockets::own_listener;

use crate::keys;
use crate::model::Settings;
use serde::Serialize;
use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, but may not be what was meant.
    Warning,
    /// The node must not start with it.
    Problem,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The dotted key, or the section.
    pub key: &'static str,
    /// Which item of that list it is about, counted from 0; none: the key is no list, or it is about all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl Finding {
    /// Whether the node must not start with it.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        self.severity == Severity::Problem
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}; {}", self.severity.label(), self.key, self.message, self.advice)
    }
}

/// Looks at all settings together. Problems first, else in the order of the file.
#[must_use]
pub fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = Findings::default();
    ranges(settings, &mut findings);
    sockets::check(settings, &mut findings);
    parts::check(settings, &mut findings);
    stores::check(settings, &mut findings);
    relay::check(settings, &mut findings);
    alerting::check(settings, &mut findings);
    channels::check(settings, &mut findings);
    graphite::check(settings, &mut findings);
    vista::check(settings, &mut findings);
    flux::check(settings, &mut findings);
    let mut findings = findings.all;
    let place = |key: &str| keys::all().iter().position(|k| k.path.starts_with(key));
    findings.sort_by_key(|finding| (!finding.is_problem(), place(finding.key)));
    findings
}

/// Findings so far.
#[derive(Debug, Default)]
struct Findings {
    all: Vec<Finding>,
    /// The list whose table is looked at, and which one that is.
    item: Option<(&'static str, usize)>,
    /// Keys that are out of their range: nothing more is said of them.
    out_of_range: Vec<&'static str>,
}

impl Findings {
    fn problem(&mut self, key: &'static str, message: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Problem, key, message.into(), advice.into());
    }

    fn warning(&mut self, key: &'static str, message: impl Into<String>, advice: impl Into<String>) {
        self.add(Severity::Warning, key, message.into(), advice.into());
    }

    fn add(&mut self, severity: Severity, key: &'static str, message: String, advice: String) {
        if !self.out_of_range.contains(&key) {
            let item = self.item.filter(|(list, _)| *list == key).map(|(_, number)| number);
            self.all.push(Finding { severity, key, item, message, advice });
        }
    }

    /// Looks at each item of the list `key`: what is found of that key meanwhile is about that item.
    fn each<'l, T>(
        &mut self,
        key: &'static str,
        list: &'l [T],
        mut look: impl FnMut(usize, &'l T, &mut Self),
    ) {
        for (number, item) in list.iter().enumerate() {
            self.item = Some((key, number));
            look(number, item, self);
        }
        self.item = None;
    }
}

/// Values outside their range. A file that was loaded has none; settings that a program put together may.
fn ranges(settings: &Settings, findings: &mut Findings) {
    let table = keys::table_of(settings);
    for key in keys::all() {
        let faults = match keys::value_of(&table, key.path) {
            Some(value) => key.kind.judge(key, value).err().unwrap_or_default(),
            None => continue,
        };
        for fault in &faults {
            findings.problem(key.path, fault.message.clone(), "leave it out to have the default");
        }
        if !faults.is_empty() {
            findings.out_of_range.push(key.path);
        }
    }
    if table.is_empty() {
        let most = "a number is beyond what a settings file can hold (9,223,372,036,854,775,807)";
        findings.problem("node", most, "make it smaller");
    }
}

#[cfg(test)]
mod tests;
