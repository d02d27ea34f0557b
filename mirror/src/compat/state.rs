//! What the copy does, for others to see.

use skyline_core::figure::Figure;
use skyline_core::reject::{Reject, RejectCounts};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Counters and gauges of the copy.
#[derive(Debug, Default)]
pub struct State {
    /// Points that Redis has taken.
    pub(super) written: AtomicU64,
    /// Of them: sent again, as the first answer was lost; who reads drops what is double.
    pub(super) resent: AtomicU64,
    /// Points that Redis refused, their keys hold something else.
    pub(super) refused: AtomicU64,
    pub(super) rejected: Mutex<RejectCounts>,
    /// Points in the log that are not in Redis yet.
    pub(super) waiting: AtomicU64,
    /// Names that are written.
    pub(super) names: AtomicU64,
    /// Redis was asked what it has.
    pub(super) began: AtomicBool,
    /// Gaps that were found, and how many of them are mended.
    pub(super) gaps: AtomicU64,
    pub(super) mended: AtomicU64,
    /// Wakes who mends.
    pub(super) gap: Notify,
    /// Points that were put in while mending.
    pub(super) put_in: AtomicU64,
    pub(super) trim: Trim,
    /// Redis takes nothing.
    pub(super) stuck: AtomicBool,
}

/// Counters of trimming.
#[derive(Debug, Default)]
pub(super) struct Trim {
    /// All keys were looked at so often.
    pub(super) rounds: AtomicU64,
    pub(super) looked_at: AtomicU64,
    pub(super) rewritten: AtomicU64,
    pub(super) deleted: AtomicU64,
    /// Left for the next round, as somebody else wrote.
    pub(super) raced: AtomicU64,
    /// Points that were too old, or of the same time as another.
    pub(super) dropped: AtomicU64,
    /// Keys that cannot be read: too large, of another type, not msgpack.
    pub(super) unreadable: AtomicU64,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

impl State {
    /// Whether Redis may lack points that the windows have.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        !self.began.load(Ordering::Acquire) || self.gaps_left() > 0
    }

    /// Gaps that were found and are not mended.
    pub(super) fn gaps_left(&self) -> u64 {
        self.gaps.load(Ordering::Acquire).saturating_sub(self.mended.load(Ordering::Acquire))
    }

    /// Whether Redis has not taken the points that were last sent.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Points that Redis has taken since the start.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// There may be points that Redis lacks.
    pub(super) fn set_gap(&self, why: &str) {
        self.gaps.fetch_add(1, Ordering::AcqRel);
        self.gap.notify_one();
        tracing::warn!("Redis may lack points: {why}; its keys are compared with the windows");
    }

    /// Appends the figures of the copy.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        let mut count = |name, help, cell: &AtomicU64| {
            out.push(Figure::counter(name, help, cell.load(Ordering::Relaxed)));
        };
        let trim = &self.trim;
        count("skyline_redis_points_total", "Points that Redis has taken since start", &self.written);
        count(
            "skyline_redis_resent_points_total",
            "Points sent again since start, after an answer was lost",
            &self.resent,
        );
        count(
            "skyline_redis_refused_points_total",
            "Points that Redis refused since start, as their keys hold something else",
            &self.refused,
        );
        count("skyline_redis_gaps_total", "Times since start that Redis may have lacked points", &self.gaps);
        count(
            "skyline_redis_mended_points_total",
            "Points put in from the windows since start, after a gap",
            &self.put_in,
        );
        count(
            "skyline_redis_trim_rounds_total",
            "Times that all keys were trimmed since start",
            &trim.rounds,
        );
        count(
            "skyline_redis_checked_keys_total",
            "Keys that trimming has looked at since start",
            &trim.looked_at,
        );
        count(
            "skyline_redis_rewritten_keys_total",
            "Keys that were trimmed or put in order since start",
            &trim.rewritten,
        );
        count(
            "skyline_redis_deleted_keys_total",
            "Keys that trimming has deleted since start, as their points were all too old",
            &trim.deleted,
        );
        count(
            "skyline_redis_raced_keys_total",
            "Keys that trimming has left alone since start, as another wrote",
            &trim.raced,
        );
        count(
            "skyline_redis_dropped_points_total",
            "Points trimmed away since start: old or double",
            &trim.dropped,
        );
        count(
            "skyline_redis_unreadable_keys_total",
            "Keys that trimming has found to be no windows since start",
            &trim.unreadable,
        );
        let names = self.names.load(Ordering::Relaxed) as f64;
        out.push(Figure::gauge("skyline_redis_names", "Names that are written to Redis", names));
        let gap = f64::from(u8::from(self.has_gap()));
        out.push(Figure::gauge("skyline_redis_gap", "1 while Redis may lack points", gap));
        let rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        for reason in Reject::ALL {
            let n = rejected.get(reason);
            if n > 0 {
                let help = "Points that were not written to Redis since start, by reason";
                out.push(
                    Figure::counter("skyline_redis_rejected_points_total", help, n)
                        .label("reason", reason.label()),
                );
            }
        }
    }
}
