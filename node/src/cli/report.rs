//! Findings of `skyline check` and `skyline doctor`: each on a line, with what to do.

use super::output::say;
use indicatif::ProgressBar;
use serde::Serialize;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A check that takes longer shows what it waits for.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warning,
    Problem,
}

impl Level {
    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) level: Level,
    /// A key, a section, or what was looked at.
    pub(super) key: String,
    pub(super) message: String,
    /// What to do; empty with [`Level::Ok`].
    pub(super) advice: String,
    /// Where the key was set, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<String>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {}: {}", self.level.label(), self.key, self.message)?;
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

/// All lines; they are printed as they come unless JSON is wanted.
pub(super) struct Report {
    pub(super) lines: Vec<Line>,
    quiet: bool,
    /// Shown while something takes long.
    bar: Option<ProgressBar>,
}

impl Report {
    pub(super) const fn new(quiet: bool) -> Self {
        Self { lines: Vec::new(), quiet, bar: None }
    }

    pub(super) fn ok(&mut self, key: &str, message: impl Into<String>) {
        self.add(Level::Ok, key, message, "");
    }

    pub(super) fn warning(&mut self, key: &str, message: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Warning, key, message, advice);
    }

    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>, advice: impl Into<String>) {
        self.add(Level::Problem, key, message, advice);
    }

    fn add(&mut self, level: Level, key: &str, message: impl Into<String>, advice: impl Into<String>) {
        self.push(Line {
            level,
            key: key.into(),
            message: message.into(),
            advice: advice.into(),
            place: None,
        });
    }

    pub(super) fn push(&mut self, line: Line) {
        if !self.quiet {
            let said = match &self.bar {
                Some(bar) => bar.suspend(|| say!("{line}")),
                None => say!("{line}"),
            };
            // The summary will say it again.
            self.quiet = said.is_err();
        }
        self.lines.push(line);
    }

    /// Says what is waited for; on a terminal only.
    pub(super) fn waiting(&mut self, for_what: String) {
        if self.quiet {
            return;
        }
        let bar = self.bar.get_or_insert_with(ProgressBar::new_spinner);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar.set_message(for_what);
    }

    pub(super) fn waited(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    pub(super) fn count(&self, level: Level) -> usize {
        self.lines.iter().filter(|line| line.level == level).count()
    }

    pub(super) fn is_usable(&self) -> bool {
        self.count(Level::Problem) == 0
    }

    /// Looks at several things at once, for `limit` each; their lines come in the order of the parts.
    pub(super) async fn side_by_side(&mut self, parts: Vec<Part>, limit: Duration) {
        let began = Instant::now();
        let mut names: Vec<Option<String>> = Vec::with_capacity(parts.len());
        let mut looking: JoinSet<(usize, Self)> = JoinSet::new();
        for (number, Part { name, look }) in parts.into_iter().enumerate() {
            names.push(Some(name.clone()));
            looking.spawn(async move {
                let outcome = tokio::time::timeout(limit, look).await;
                let late = |_| {
                    let mut report = Self::new(true);
                    let message = format!("no answer within {} s", limit.as_secs_f64());
                    report.problem(
                        &name,
                        message,
                        "look whether it hangs, or a firewall drops what is sent to it",
                    );
                    report
                };
                (number, outcome.unwrap_or_else(late))
            });
        }
        let mut done = Vec::new();
        while !looking.is_empty() {
            tokio::select! {
                Some(part) = looking.join_next() => {
                    let Ok((number, report)) = part else { continue };
                    names.get_mut(number).map(Option::take);
                    done.push((number, report));
                }
                () = tokio::time::sleep_until(began + PATIENCE.max(began.elapsed()) + Duration::from_millis(100)) => {
                    let left: Vec<_> = names.iter().flatten().map(String::as_str).collect();
                    self.waiting(format!("waiting for {}", left.join(", ")));
                }
            }
        }
        self.waited();
        done.sort_by_key(|(number, _)| *number);
        for line in done.into_iter().flat_map(|(_, report)| report.lines) {
            self.push(line);
        }
    }
}

/// Something that is looked at beside others.
pub(super) struct Part {
    name: String,
    look: Pin<Box<dyn Future<Output = Report> + Send>>,
}

impl Part {
    /// `name`: its key, for who waits.
    pub(super) fn new(name: impl Into<String>, look: impl Future<Output = Report> + Send + 'static) -> Self {
        Self { name: name.into(), look: Box::pin(look) }
    }

    /// The same, where nothing that is found keeps a node from running.
    pub(super) fn softened(self) -> Self {
        let Self { name, look } = self;
        Self::new(name, async move {
            let mut report = look.await;
            for line in report.lines.iter_mut().filter(|line| line.level == Level::Problem) {
                line.level = Level::Warning;
            }
            report
        })
    }

    /// Its key.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}
