//! What the journal reports about itself.

use crate::journal::{Shared, ledger, lock};
use crate::ledger::{Account, Ledger};
use crate::log::{Counters, Log};
use skyline_core::figure::Figure;

/// What is reported of one reader.
struct Row {
    name: String,
    ledger: Ledger,
    lost: u64,
    seconds_left: Option<f64>,
}

impl Shared {
    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        let now = self.clock.now();
        let log = lock(&self.log);
        let (bytes, budget, rate) = (log.bytes() as f64, log.budget as f64, log.rate);
        let (segments, memory) = (log.segments.len() as f64, log.ring.bytes() as f64);
        let counters = log.counters;
        let rows: Vec<Row> = log.living().map(|(_, account)| row(&log, account, now)).collect();
        drop(log);
        out.extend([
            Figure::gauge("skyline_journal_bytes", "Bytes of log on disk.", bytes),
            Figure::gauge("skyline_journal_budget_bytes", "Bytes that the log may take on disk now.", budget),
            Figure::gauge("skyline_journal_segments", "Segment files.", segments),
            Figure::gauge("skyline_journal_memory_bytes", "Bytes of newest batches held in memory.", memory),
            Figure::gauge("skyline_journal_bytes_per_second", "Bytes appended per second, smoothed.", rate),
        ]);
        counted(&counters, out);
        for row in rows {
            row.figures(out);
        }
    }
}

fn row(log: &Log, account: &Account, now: f64) -> Row {
    Row {
        name: account.name.to_string(),
        ledger: ledger(log, account, now),
        lost: account.lost,
        seconds_left: seconds_left(log, account),
    }
}

/// Seconds until the budget takes what the account waits for, at the present rate.
fn seconds_left(log: &Log, account: &Account) -> Option<f64> {
    let first = account.position.min(account.cursor);
    if account.waiting() == 0 || log.rate < 1.0 {
        return None;
    }
    let kept: u64 = log.segments.iter().filter(|segment| segment.end_seq > first).map(|s| s.bytes).sum();
    Some(log.budget.saturating_sub(kept) as f64 / log.rate)
}

fn counted(counters: &Counters, out: &mut Vec<Figure>) {
    out.extend([
        Figure::counter(
            "skyline_journal_appended_points_total",
            "Points logged since start.",
            counters.points,
        ),
        Figure::counter(
            "skyline_journal_appended_batches_total",
            "Batches logged since start.",
            counters.batches,
        ),
        Figure::counter(
            "skyline_journal_refused_batches_total",
            "Batches not taken because disk or budget was full; they may have come again.",
            counters.refused,
        ),
        Figure::counter("skyline_journal_write_errors_total", "Writes that failed.", counters.write_errors),
        Figure::counter(
            "skyline_journal_shed_segments_total",
            "Segments dropped by the budget although a reader had not read them.",
            counters.shed_segments,
        ),
        Figure::counter(
            "skyline_journal_held_segments_dropped_total",
            "Segments dropped by the budget although a reader would read them again after a crash.",
            counters.held_segments,
        ),
        Figure::counter(
            "skyline_journal_ledger_mismatches_total",
            "Times that a reader's account was not the log's: a fault of this program.",
            counters.mismatches,
        ),
        Figure::counter(
            "skyline_journal_missing_points_total",
            "Points found missing in a damaged log at the last start.",
            counters.lost_points,
        ),
    ]);
}

impl Row {
    fn figures(self, out: &mut Vec<Figure>) {
        let Self { name, ledger, lost, seconds_left } = self;
        let counter = |figure: &'static str, help, n| Figure::counter(figure, help, n).label("reader", &name);
        let gauge = |figure: &'static str, help, n| Figure::gauge(figure, help, n).label("reader", &name);
        out.extend([
            counter("skyline_journal_routed_points_total", "Points that went to this reader.", ledger.routed),
            counter(
                "skyline_journal_delivered_points_total",
                "Points that this reader has delivered.",
                ledger.delivered,
            ),
            gauge(
                "skyline_journal_waiting_points",
                "Points that wait for this reader.",
                ledger.waiting as f64,
            ),
            counter(
                "skyline_journal_shed_points_total",
                "Points that this reader will not get.",
                ledger.shed,
            ),
            counter(
                "skyline_journal_lost_points_total",
                "Points that damage took from the log before this reader had read them, whosever they were.",
                lost,
            ),
            gauge(
                "skyline_journal_pinned_bytes",
                "Bytes of log kept because of this reader.",
                ledger.pinned_bytes as f64,
            ),
            gauge(
                "skyline_journal_lag_seconds",
                "Age of the oldest point that waits for this reader.",
                ledger.lag_seconds,
            ),
        ]);
        if let Some(seconds) = seconds_left {
            let help = "Seconds until the budget drops points of this reader, at the present rate.";
            out.push(gauge("skyline_journal_seconds_until_shed", help, seconds));
        }
    }
}
