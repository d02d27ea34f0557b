//! What a job is, how far it has come, and the files in which that stands.
//!
//! `backfill.json` is the [`Report`] as JSON, written anew (`core::file::update`) after what it counts has been logged.
//! `backfill.names` is what was listed, an item a line (names of metrics, or paths below the whisper folder), written once, before
//! the phase is `filling`.

use crate::graphite;
use serde::{Deserialize, Serialize};
use skyline_core::file;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Failures that are told one by one.
pub(super) const TOLD: usize = 20;

/// Where history comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A Graphite server, or what answers as one.
    Graphite {
        /// Its address; none: the first server of the settings.
        url: Option<String>,
    },
    /// Whisper files.
    Whisper {
        /// The folder of all.
        folder: PathBuf,
    },
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// From where.
    pub source: Source,
    /// Points after this, seconds.
    pub from: f64,
    /// Up to this, seconds.
    pub until: f64,
    /// Pattern of the names; none: all.
    pub select: Option<String>,
    /// Questions a second; none: as the settings say.
    pub requests_per_second: Option<f64>,
}

impl Spec {
    /// The same, with a beginning within the window.
    pub(super) fn checked(mut self, now: f64, window: f64) -> Result<Self, String> {
        if !(self.from.is_finite() && self.until.is_finite()) || self.until <= self.from {
            return Err("from: it does not lie before until".to_owned());
        }
        if self.until <= now - window {
            return Err(format!(
                "until: it lies before the window, which is {} hours long",
                window / 3_600.0
            ));
        }
        if self.requests_per_second.is_some_and(|rate| !(0.01..=10_000.0).contains(&rate)) {
            return Err("rate: from 0.01 to 10000 questions a second".to_owned());
        }
        self.until = self.until.min(now);
        self.from = self.from.max(now - window);
        if self.until <= self.from {
            return Err("from: it lies in the future".to_owned());
        }
        Ok(self)
    }

    /// From where the age of what is asked counts, seconds, of a job that began then: its end, if that was now. An archive
    /// that reaches from there to its beginning is the right one for the whole of the job. Only one that has been away for
    /// long counts from `now`: the archive has lost much of what it had, which coarser ones still have.
    pub(super) fn now(&self, began: f64, now: f64) -> i64 {
        const AWAY: f64 = 3_600.0;
        let is_until_now = (began - self.until).abs() < 10.0;
        let from = if now - began > AWAY {
            now
        } else if is_until_now {
            self.until
        } else {
            began
        };
        from.floor() as i64
    }

    /// The same for a question that is asked at `now`: what the window holds no longer is not asked for, nor what it will
    /// not hold in a moment, for servers choose their archive by how old the beginning is for them.
    pub(super) fn at(&self, now: f64, window: f64) -> Self {
        let oldest = graphite::beginning(now as i64, window as i64) as f64;
        // A job that goes on a day later has nothing left to ask for; a question has a beginning before its end all the same.
        Self { from: self.from.max(oldest).min(self.until - 1.0), ..self.clone() }
    }
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It looks which metrics there are.
    Listing,
    /// It takes them one after the other.
    Filling,
    /// All are done.
    Done,
    /// Somebody has cancelled it.
    Cancelled,
    /// It could not go on; `error` says why.
    Failed,
}

impl Phase {
    /// Whether it runs, or is to run again after a start.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Listing | Self::Filling)
    }
}

/// What has become of metrics and points.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Points that were fetched.
    pub points: u64,
    /// Of them, those that went into the log, and from there into the windows.
    pub stored: u64,
    /// Of them, those for whose time the window has a point.
    pub there: u64,
    /// Of them, those that are not taken, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Metrics without a point in that time.
    pub empty: u64,
    /// Metrics that could not be read.
    pub failed: u64,
    /// Whisper files whose path says no name, and links that lead nowhere or back.
    pub nameless: u64,
    /// Folders that could not be read.
    pub unread: u64,
    /// Files of other stores (packed, Ceres), which are not read.
    pub others: u64,
    /// Series of answers that have names nobody asked for.
    pub unasked: u64,
    /// Questions to the server, or files that were opened.
    pub requests: u64,
    /// Of them, those that failed.
    pub failures: u64,
}

/// A metric that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The metric, or its file.
    pub metric: String,
    /// What was wrong.
    pub error: String,
}

/// A job and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What is wanted.
    pub spec: Spec,
    /// How it stands.
    pub phase: Phase,
    /// Metrics in all.
    pub metrics: u64,
    /// Those that are done.
    pub position: u64,
    /// What has become of them.
    pub counts: Counts,
    /// The first metrics that could not be read.
    pub troubles: Vec<Trouble>,
    /// Why it failed; empty: it did not.
    pub error: String,
    /// When it began, seconds.
    pub began: f64,
    /// For so long it has run, seconds, without the time between two starts of the node.
    pub seconds: f64,
    /// How often it was gone on with.
    pub resumed: u32,
    /// Since when it runs, in this run of the node.
    #[serde(skip)]
    pub(super) since: Option<f64>,
}

impl Report {
    pub(super) const fn new(spec: Spec, now: f64) -> Self {
        Self {
            spec,
            phase: Phase::Listing,
            metrics: 0,
            position: 0,
            counts: Counts {
                points: 0,
                stored: 0,
                there: 0,
                refused: BTreeMap::new(),
                empty: 0,
                failed: 0,
                nameless: 0,
                unread: 0,
                others: 0,
                unasked: 0,
                requests: 0,
                failures: 0,
            },
            troubles: Vec::new(),
            error: String::new(),
            began: now,
            seconds: 0.0,
            resumed: 0,
            since: None,
        }
    }

    /// The same with the time that it has run, at `now`.
    #[must_use]
    pub(super) fn at(mut self, now: f64) -> Self {
        if let Some(since) = self.since.filter(|_| self.phase.is_open()) {
            self.seconds += (now - since).max(0.0);
        }
        self
    }

    /// Remembers a metric that could not be read.
    pub(super) fn trouble(&mut self, metric: &str, error: &str) {
        self.counts.failed += 1;
        if self.troubles.len() < TOLD {
            self.troubles.push(Trouble { metric: metric.to_owned(), error: error.to_owned() });
        }
    }
}

/// The files of a job.
#[derive(Debug)]
pub(super) struct File {
    report: PathBuf,
    names: PathBuf,
    sync: bool,
    /// One writes at a time.
    writing: Mutex<()>,
}

type Failed = (PathBuf, io::Error);

impl File {
    pub(super) fn new(state_dir: &Path, sync: bool) -> Self {
        Self {
            report: state_dir.join("backfill.json"),
            names: state_dir.join("backfill.names"),
            sync,
            writing: Mutex::default(),
        }
    }

    /// The job of the last run; none: there was none, or its file is damaged, which the log says.
    pub(super) fn load(&self) -> Option<Report> {
        let text = match std::fs::read(&self.report) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %self.report.display(), %error, "the state of the back-fill cannot be read; begin it again");
                return None;
            }
        };
        let report = serde_json::from_slice(&text);
        if let Err(error) = &report {
            tracing::warn!(path = %self.report.display(), %error, "the state of the back-fill is damaged; begin it again");
        }
        report.ok()
    }

    pub(super) fn save(&self, report: &Report) -> Result<(), Failed> {
        let failed = |source| (self.report.clone(), source);
        let text = serde_json::to_vec(report).map_err(|error| failed(error.into()))?;
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        file::update(&self.report, &text, self.sync).map_err(failed)
    }

    pub(super) fn save_names(&self, names: &[String]) -> Result<(), Failed> {
        let mut text = names.join("\n");
        text.push('\n');
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        file::replace(&self.names, text.as_bytes(), self.sync).map_err(|source| (self.names.clone(), source))
    }

    /// What was listed.
    pub(super) fn names(&self) -> Result<Vec<String>, Failed> {
        let text = std::fs::read_to_string(&self.names).map_err(|source| (self.names.clone(), source))?;
        Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// The list is of no use any more.
    pub(super) fn forget_names(&self) {
        if let Err(error) = file::remove(&self.names)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.names.display(), %error, "a list that is of no use any more stays");
        }
    }
}
