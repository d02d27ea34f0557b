//! Metrics that send no more: each is told once, and told again when it sends.
//!
//! Pure but for its file. Now and then the windows are asked which metrics are silent ([`Question`]); [`Watch`] makes one
//! digest at most of the answer. A dead sender makes many metrics silent at once: names are gathered under what they
//! have in common. What was told is kept in a file, so that a restart tells nothing twice.

mod gathered;

pub use gathered::gathered;

use crate::channel::pagerduty;
use crate::message::{Kind, Links, Message, Origin, Severity};
use crate::rule::Target;
use crate::text::number;
use serde::{Deserialize, Serialize};
use skyline_conf::model::alerting::Alerting;
use skyline_core::name::entry_matches;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file in the node's state folder.
pub const FILE: &str = "alert-stale.json";

/// Metrics that are remembered as told, and taken from an answer, at most.
pub const MOST: usize = 200_000;

/// What is asked of the windows.
#[derive(Debug, Clone)]
pub struct Question {
    /// Metrics whose newest point is from here to `until`, seconds, are silent.
    pub from: f64,
    /// See `from`.
    pub until: f64,
    /// Metrics that were told; their newest points are wanted whatever they are.
    pub told: Arc<HashSet<String>>,
}

/// What the windows know.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// Silent metrics and the times of their newest points, seconds.
    pub silent: Vec<(String, f64)>,
    /// The same of metrics that were told.
    pub told: Vec<(String, f64)>,
    /// All metrics.
    pub metrics: u64,
    /// Those whose newest point is younger than [`Question::until`].
    pub fresh: u64,
}

impl Answer {
    /// Takes a metric and the time of its newest point into account.
    pub fn take(&mut self, question: &Question, name: &str, last: f64) {
        self.metrics += 1;
        if last > question.until {
            self.fresh += 1;
        } else if last >= question.from && self.silent.len() < MOST {
            self.silent.push((name.to_owned(), last));
        }
        if question.told.contains(name) {
            self.told.push((name.to_owned(), last));
        }
    }

    /// The answers of two threads as one.
    #[must_use]
    pub fn and(mut self, mut other: Self) -> Self {
        self.silent.append(&mut other.silent);
        self.told.append(&mut other.told);
        self.metrics += other.metrics;
        self.fresh += other.fresh;
        self
    }
}

/// What a digest says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Digest {
    /// The sentence first, then what it is about, a line each.
    pub lines: Vec<String>,
    /// Metrics that have fallen silent.
    pub silent: u64,
    /// Metrics that send again.
    pub back: u64,
    /// Nothing that was told as silent is so any more.
    pub is_over: bool,
}

/// Which metrics are silent, and which of them were told.
#[derive(Debug)]
pub struct Watch {
    after: f64,
    stale: f64,
    exclude: Vec<String>,
    tell_return: bool,
    most_names: usize,
    /// When the node began to take points, seconds.
    started: f64,
    /// Whether it was looked once since.
    has_looked: bool,
    told: HashMap<String, f64>,
    file: Option<PathBuf>,
    /// Whether `told` or `pending` was changed since it was written.
    is_changed: bool,
    /// Messages that say so and may not have been given to alerting.
    pending: Vec<Message>,
}

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    told: Vec<(String, f64)>,
    pending: Vec<Message>,
}

impl Watch {
    /// Of the settings; `stale`: `detect.stale_seconds`; `started`: when the node began to take points, seconds; `file`:
    /// where what was told is kept.
    #[must_use]
    pub fn new(settings: &Alerting, stale: u32, started: f64, file: Option<&Path>) -> Self {
        let kept = file.map(read).unwrap_or_default();
        Self {
            after: f64::from(settings.stale.after_seconds),
            stale: f64::from(stale),
            exclude: settings.stale.exclude.clone(),
            tell_return: settings.stale.tell_return,
            most_names: settings.stale.most_names as usize,
            started,
            has_looked: false,
            told: kept.told.into_iter().take(MOST).collect(),
            file: file.map(Path::to_owned),
            is_changed: false,
            pending: kept.pending,
        }
    }

    /// What to ask the windows at a time (seconds); none: it is too early to say that anything is silent.
    #[must_use]
    pub fn question(&self, now: f64) -> Option<Question> {
        let until = now - self.after;
        if until < self.started {
            return None;
        }
        // At first, whatever was there before the node stopped; then what fell silent since.
        let from = if self.has_looked { now - self.stale } else { f64::NEG_INFINITY };
        Some(Question { from, until, told: Arc::new(self.told.keys().cloned().collect()) })
    }

    /// The digest of an answer; none: there is nothing new. `is_muted`: names that nobody is told of. One without silent
    /// metrics and without any that are back says only that all is over.
    pub fn look(&mut self, answer: Answer, now: f64, is_muted: impl Fn(&str) -> bool) -> Option<Digest> {
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        let was_told = !self.told.is_empty();
        let back = self.back(&answer, now);
        let before = answer.silent.iter().map(|(_, last)| *last).filter(|last| *last < self.started);
        let oldest = before.fold(f64::NEG_INFINITY, f64::max).min(self.started) - self.stale;
        let mut silent: Vec<(String, f64)> = answer
            .silent
            .into_iter()
            // What was silent long before the node stopped is no news.
            .filter(|(_, last)| !is_first || *last >= oldest)
            .filter(|(name, _)| !self.told.contains_key(name))
            .filter(|(name, _)| {
                !self.exclude.iter().any(|entry| entry_matches(entry, name)) && !is_muted(name)
            })
            .collect();
        silent.truncate(MOST.saturating_sub(self.told.len()));
        for (name, last) in &silent {
            self.told.insert(name.clone(), *last);
        }
        self.is_changed |= !silent.is_empty();
        let back: Vec<_> = back.into_iter().filter(|(name, _)| self.tell_return && !is_muted(name)).collect();
        let is_over = was_told && self.told.is_empty();
        if silent.is_empty() && back.is_empty() && !is_over {
            return None;
        }
        let all_gone = answer.fresh == 0 && answer.metrics > 1;
        let mut lines = vec![self.sentence(&silent, &back, is_first, all_gone)];
        let room = self.most_names;
        lines.extend(gathered(&silent, room, |lasts| format!("silent for {}", spans(lasts, now))));
        let room = self.most_names.saturating_sub(lines.len() - 1).max(1);
        lines.extend(gathered(&back, room, |lasts| format!("sends again, after {}", spans(lasts, 0.0))));
        Some(Digest { lines, silent: silent.len() as u64, back: back.len() as u64, is_over })
    }

    /// Metrics that were told and send again, with how long they were silent; those that are gone are forgotten.
    fn back(&mut self, answer: &Answer, now: f64) -> Vec<(String, f64)> {
        let known: HashMap<&str, f64> =
            answer.told.iter().map(|(name, last)| (name.as_str(), *last)).collect();
        let mut back = Vec::new();
        let (after, before) = (self.after, self.told.len());
        self.told.retain(|name, last| match known.get(name.as_str()) {
            Some(newest) if *newest > *last && now - newest < after => {
                // As `spans` takes it: a time before zero is so long ago.
                back.push((name.clone(), *last - newest));
                false
            }
            Some(_) => true,
            None => false,
        });
        self.is_changed |= self.told.len() != before;
        back.sort_by(|a, b| a.0.cmp(&b.0));
        back
    }

    fn sentence(
        &self,
        silent: &[(String, f64)],
        back: &[(String, f64)],
        is_first: bool,
        all_gone: bool,
    ) -> String {
        let count = |n: usize, one: &str, more: &str| number::counted(n as u64, one, more);
        let about = number::duration(self.after);
        let again = match back.len() {
            0 => String::new(),
            n => format!(" {}.", count(n, "metric sends again", "metrics send again")),
        };
        if silent.is_empty() {
            return self.only_back(back.len());
        }
        let many = count(silent.len(), "metric", "metrics");
        let said = match (is_first, all_gone) {
            (true, true) => {
                format!("This node has just started, and nothing has come in: all senders are away, {many}.")
            }
            (true, false) => {
                let send = count(silent.len(), "metric that it knows sends", "metrics that it knows send");
                format!("This node has just started: {send} nothing.")
            }
            (false, true) => format!("No metric sends data any more: all senders are away, {many}."),
            (false, false) => {
                let many = count(silent.len(), "metric has", "metrics have");
                format!("{many} sent no data for about {about}: look at what sends them.")
            }
        };
        format!("{said}{again}")
    }

    /// The sentence of a digest in which nothing has fallen silent.
    fn only_back(&self, back: usize) -> String {
        let send = number::counted(back as u64, "metric sends", "metrics send");
        match (back, self.told.len()) {
            (0, _) => "What was silent sends again, or is known no more.".to_owned(),
            (_, 0) => format!("{send} again."),
            (_, 1) => format!("{send} again; 1 is still silent."),
            (_, still) => format!("{send} again; {still} are still silent."),
        }
    }

    /// Messages that are to be given to alerting. They are written down with what they tell ([`Watch::keep`]) before they
    /// are given, and after a crash given again with the same keys, which alerting knows.
    #[must_use]
    pub fn pending(&self) -> &[Message] {
        &self.pending
    }

    /// These are to be given; none: all were.
    pub fn set_pending(&mut self, messages: Vec<Message>) {
        self.is_changed |= self.pending != messages;
        self.pending = messages;
    }

    /// Writes down what was told, if it was changed. Takes its time: of 200,000 names a second.
    ///
    /// # Errors
    /// The file cannot be written; it is tried again next time.
    pub fn keep(&mut self) -> io::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| self.is_changed) else { return Ok(()) };
        let mut told: Vec<_> = self.told.iter().map(|(name, last)| (name.clone(), *last)).collect();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        let kept = Kept { told, pending: self.pending.clone() };
        let new = file.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(&kept)?)?;
        std::fs::rename(&new, file)?;
        self.is_changed = false;
        Ok(())
    }
}

/// What was told before; nothing where the file is not there or is not understood.
fn read(file: &Path) -> Kept {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, file = %file.display(), "which metrics were told as silent cannot be read");
            }
            return Kept::default();
        }
    };
    // A list of names alone is what was written before.
    let kept = match bytes.first() {
        Some(b'[') => serde_json::from_slice(&bytes).map(|told| Kept { told, pending: Vec::new() }),
        _ => serde_json::from_slice(&bytes),
    };
    kept.unwrap_or_else(|error| {
        tracing::warn!(%error, file = %file.display(), "which metrics were told as silent is not understood");
        Kept::default()
    })
}

/// How long ago times are, from the shortest to the longest.
fn spans(lasts: &[f64], now: f64) -> String {
    let shortest = lasts.iter().map(|last| now - last).fold(f64::INFINITY, f64::min).max(0.0);
    let longest = lasts.iter().map(|last| now - last).fold(0.0, f64::max);
    let (shortest, longest) = (number::duration(shortest), number::duration(longest));
    if shortest == longest { longest } else { format!("{shortest} to {longest}") }
}

/// Who gets the digest: the settings' channels, or email and Slack, and of each the first default recipient.
#[must_use]
pub fn targets(settings: &Alerting) -> Vec<Target> {
    let stale = &settings.stale;
    let wanted = |name: &str| match stale.channels.as_slice() {
        [] => matches!(name, "email" | "slack"),
        named => named.iter().any(|other| other == name),
    };
    let configured = settings.configured().into_iter().filter(|channel| wanted(&channel.name));
    let target = |channel: skyline_conf::model::alerting::Configured| {
        let recipients = match stale.recipients.as_slice() {
            [] => channel.default_recipients.into_iter().take(1).collect(),
            named => named.to_vec(),
        };
        Target { channel: channel.name, recipients }
    };
    configured.map(target).collect()
}

/// The messages of a digest, one a recipient. That all is over and nothing else is told only where something stays open
/// until then.
#[must_use]
pub fn messages(digest: &Digest, targets: &[Target], node: &str, now: f64) -> Vec<Message> {
    let is_news = digest.silent + digest.back > 0;
    let targets = targets.iter().filter(|target| is_news || target.channel == pagerduty::NAME);
    let lanes = targets.flat_map(|target| target.recipients.iter().map(|to| (&target.channel, to)));
    let (kind, member_count) = match digest.silent {
        0 => (Kind::Returned, digest.back),
        silent => (Kind::Stale, silent),
    };
    let message = |(channel, recipient): (&String, &String)| Message {
        // All digests to a recipient have the first parts in common: `Message::matter`.
        key: format!("stale-{}-{}", short(&[node, channel, recipient]), (now * 1e3) as u64),
        incident: String::new(),
        kind,
        number: 0,
        rule: String::new(),
        channel: channel.clone(),
        recipient: recipient.clone(),
        origin: Origin::Analyzer,
        severity: Severity::Warning,
        created: now,
        opened: now,
        ended: digest.is_over.then_some(now),
        members: Vec::new(),
        member_count,
        repeat_seconds: None,
        lines: digest.lines.clone(),
        links: Links::default(),
    };
    lanes.map(message).collect()
}

/// Some texts in a few characters.
fn short(parts: &[&str]) -> String {
    use md5::Digest as _;
    let mut hash = md5::Md5::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
