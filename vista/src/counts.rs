//! What a job has done, as figures and status show it.

use crate::error::Error;
use crate::series::Skipped;
use serde_json::{Value, json};
use skyline_core::figure::Figure;
use std::collections::BTreeMap;

/// Counts of a job since the start of the node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) running: bool,
    /// Questions that were asked.
    pub(crate) questions: u64,
    /// Runs that came to their end.
    pub(crate) runs: u64,
    pub(crate) failures: BTreeMap<&'static str, u64>,
    pub(crate) failures_in_a_row: u32,
    pub(crate) last_error: Option<(f64, String)>,
    pub(crate) last_success: Option<f64>,
    pub(crate) next_run: f64,
    pub(crate) live: u64,
    pub(crate) history: u64,
    pub(crate) skipped: Skipped,
    /// Series without a name that can be stored, of all answers.
    pub(crate) unnamed: u64,
    /// Why the last of them had none.
    pub(crate) why_unnamed: Option<String>,
    /// Series of the last answer.
    pub(crate) series: usize,
    /// Everything up to this second was asked for.
    pub(crate) asked: Option<i64>,
    /// Times that the cursor could not be written.
    pub(crate) unsaved: u64,
}

impl Counts {
    pub(crate) fn failed(&mut self, error: &Error, now: f64) {
        *self.failures.entry(error.kind()).or_default() += 1;
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.last_error = Some((now, error.to_string()));
    }

    pub(crate) fn succeeded(&mut self, now: f64) {
        self.runs += 1;
        self.failures_in_a_row = 0;
        self.last_success = Some(now);
    }

    fn state(&self) -> &'static str {
        match (self.running, self.failures_in_a_row, self.last_success) {
            (_, 1.., _) => "failing",
            (true, ..) => "fetching",
            (false, _, None) => "not started",
            _ => "waiting",
        }
    }

    pub(crate) fn status(&self, now: f64) -> Value {
        let skipped: BTreeMap<_, _> = self.skipped.each().into_iter().filter(|(_, n)| *n > 0).collect();
        json!({
            "state": self.state(),
            "questions": self.questions,
            "runs": self.runs,
            "failures": self.failures,
            "failures_in_a_row": self.failures_in_a_row,
            "last_error": self.last_error.as_ref().map(|(_, text)| text),
            "last_error_at": self.last_error.as_ref().map(|(at, _)| at),
            "last_success": self.last_success,
            "next_run_in_seconds": (self.next_run > 0.0).then(|| (self.next_run - now).max(0.0)),
            "points": { "live": self.live, "history": self.history },
            "skipped": skipped,
            "series": self.series,
            "unnamed_series": self.unnamed,
            "why_unnamed": self.why_unnamed,
            "asked_until": self.asked,
            "lag_seconds": self.asked.map(|asked| (now - asked as f64).max(0.0)),
            "cursor_unsaved": self.unsaved,
        })
    }

    pub(crate) fn figures(&self, job: &str, now: f64, out: &mut Vec<Figure>) {
        let mut counter = |name, help, value| out.push(Figure::counter(name, help, value).label("job", job));
        counter("skyline_vista_questions_total", "Questions that a job has asked", self.questions);
        counter("skyline_vista_runs_total", "Runs of a job that came to their end", self.runs);
        counter(
            "skyline_vista_unnamed_series_total",
            "Series that had no name to store them under",
            self.unnamed,
        );
        counter(
            "skyline_vista_unsaved_cursors_total",
            "Times that a job's cursor could not be written",
            self.unsaved,
        );
        for (origin, points) in [("live", self.live), ("history", self.history)] {
            let figure =
                Figure::counter("skyline_vista_points_total", "Points that a job has brought", points);
            out.push(figure.label("job", job).label("origin", origin));
        }
        for (kind, failures) in &self.failures {
            let help = "Runs of a job that failed, by the kind of failure";
            let figure = Figure::counter("skyline_vista_failures_total", help, *failures);
            out.push(figure.label("job", job).label("kind", *kind));
        }
        for (reason, points) in self.skipped.each() {
            let help = "Points of answers that were not taken as they came, by the reason";
            let figure = Figure::counter("skyline_vista_skipped_total", help, points);
            out.push(figure.label("job", job).label("reason", reason));
        }
        let mut gauge = |name, help, value| out.push(Figure::gauge(name, help, value).label("job", job));
        gauge("skyline_vista_series", "Series of a job's last answer", self.series as f64);
        let failing = f64::from(u8::from(self.failures_in_a_row > 0));
        gauge("skyline_vista_failing", "1 if the last run of a job failed", failing);
        if let Some(asked) = self.asked {
            let help = "Seconds since the time up to which a job has fetched";
            gauge("skyline_vista_lag_seconds", help, (now - asked as f64).max(0.0));
        }
    }
}
