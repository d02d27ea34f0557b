//! What the record tells about itself.

use crate::pool::Store;
use skyline_core::figure::Figure;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counted since the record was opened.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) new: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) known: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) purged: AtomicU64,
}

impl Store {
    /// Transactions that failed since the record was opened.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.totals().failures.load(Ordering::Relaxed)
    }

    /// Adds the record's figures to `out`.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        const RECORDED: &str = "skyline_record_anomalies_total";
        const HELP: &str = "Anomalies that were given to the record since start, by what became of them";
        let totals = self.totals();
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        out.push(Figure::counter(RECORDED, HELP, of(&totals.new)).label("outcome", "new"));
        out.push(Figure::counter(RECORDED, HELP, of(&totals.joined)).label("outcome", "joined"));
        out.push(Figure::counter(RECORDED, HELP, of(&totals.known)).label("outcome", "known"));
        out.push(Figure::counter(RECORDED, HELP, of(&totals.refused)).label("outcome", "refused"));
        out.push(Figure::counter(
            "skyline_record_failures_total",
            "Transactions of the record that failed since start; the node tries them again",
            of(&totals.failures),
        ));
        out.push(Figure::counter(
            "skyline_record_purged_total",
            "Anomalies removed since start because they were older than record.keep_days",
            of(&totals.purged),
        ));
        self.cache().figures(out);
    }
}
