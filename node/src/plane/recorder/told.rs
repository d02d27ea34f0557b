//! How the record does, for others to see.

use skyline_core::figure::Figure;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How the record does.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Why the record takes nothing now.
    away: Mutex<Option<String>>,
    /// Why it last took nothing.
    last_error: Mutex<Option<String>>,
    /// Whether it was asked anything yet.
    is_known: AtomicBool,
    /// Times that it went away.
    outages: AtomicU64,
    /// Anomalies that are neither recorded nor in the file: they hold up the threads' positions.
    stuck: AtomicU64,
    /// Anomalies in the file, and the bytes that they take.
    pub(crate) kept: AtomicU64,
    pub(crate) kept_bytes: AtomicU64,
    /// Anomalies that the record refused for what they are.
    pub(crate) lost: AtomicU64,
    /// Syslog lines that could not be sent.
    pub(crate) unsent: AtomicU64,
}

impl Told {
    /// Why the record takes nothing now; `None`: it takes what comes.
    pub(crate) fn away(&self) -> Option<String> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why it last took nothing, since start.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Anomalies that hold up the threads' positions.
    pub(crate) fn stuck(&self) -> u64 {
        self.stuck.load(Ordering::Relaxed)
    }

    pub(super) fn set_stuck(&self, anomalies: u64) {
        self.stuck.store(anomalies, Ordering::Relaxed);
    }

    /// Whether the record was asked anything yet.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Acquire)
    }

    /// The record takes nothing now; true if that is new.
    pub(super) fn set_away(&self, why: &str) -> bool {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = away.replace(why.to_owned()).is_none();
        if is_new {
            self.outages.fetch_add(1, Ordering::Relaxed);
        }
        is_new
    }

    /// The record takes what comes; true if that is new.
    pub(super) fn set_up(&self) -> bool {
        self.is_known.store(true, Ordering::Release);
        self.away.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// Adds figures of the record as the recorder sees it.
    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let gauge = |n: &AtomicU64| of(n) as f64;
        out.push(Figure::counter(
            "skyline_record_outages_total",
            "Times that the record went away since start",
            of(&self.outages),
        ));
        out.push(Figure::gauge(
            "skyline_record_spilled_anomalies",
            "Anomalies that wait for the record in a file",
            gauge(&self.kept),
        ));
        out.push(Figure::gauge(
            "skyline_record_spilled_bytes",
            "Bytes of the anomalies that wait for the record in a file",
            gauge(&self.kept_bytes),
        ));
        out.push(Figure::gauge(
            "skyline_record_stuck_anomalies",
            "Anomalies that wait for the record and found no room in the file; the journal keeps their points",
            gauge(&self.stuck),
        ));
        out.push(Figure::counter(
            "skyline_detect_lost_anomalies_total",
            "Anomalies that the record refused for what they are, since start",
            of(&self.lost),
        ));
        out.push(Figure::counter(
            "skyline_syslog_unsent_total",
            "Syslog lines that could not be sent since start",
            of(&self.unsent),
        ));
    }
}
