//! What the writer of chunks tells about itself.

use skyline_core::figure::Figure;
use skyline_store::chunk::HandOut;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How the copy does. Written by the task, read by anybody.
#[derive(Debug, Default)]
pub struct Told {
    /// Shards whose windows are still to be taken from Redis, while that goes on.
    adopting: AtomicU64,
    shards: AtomicU64,
    behind: AtomicU64,
    /// When the shard was written that was written longest ago; seconds as bits, 0: none was.
    oldest: AtomicU64,
    has_begun: AtomicBool,
    adopted: AtomicU64,
    not_adopted: AtomicU64,
    pub(super) damaged: AtomicU64,
    handed_out: AtomicU64,
    blocks_points: AtomicU64,
    bytes: AtomicU64,
    pub(super) lost: AtomicU64,
    others: AtomicU64,
    note: Mutex<Option<String>>,
    /// Why shards are left to another node.
    left_alone: Mutex<Option<String>>,
}

impl Told {
    pub(crate) fn set_shards(&self, shards: usize) {
        self.shards.store(shards as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_adopting(&self, left: u64) {
        self.adopting.store(left, Ordering::Release);
    }

    pub(crate) fn set_begun(&self) {
        self.adopting.store(0, Ordering::Release);
        self.has_begun.store(true, Ordering::Release);
    }

    /// Whether it was found out what Redis has, and what was wanted of it was taken.
    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    pub(super) fn set_behind(&self, behind: u64, oldest: f64, others: u64) {
        self.behind.store(behind, Ordering::Relaxed);
        self.oldest.store(oldest.to_bits(), Ordering::Relaxed);
        self.others.store(others, Ordering::Relaxed);
    }

    pub(crate) fn set_note(&self, note: Option<String>) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
    }

    /// Says why shards are left to another node; the log is told when that begins and when it ends.
    pub(super) fn set_others(&self, note: Option<String>) {
        let mut left_alone = self.left_alone.lock().unwrap_or_else(PoisonError::into_inner);
        match (left_alone.is_some(), &note) {
            (false, Some(note)) => tracing::warn!("{note}"),
            (true, None) => tracing::info!("no shard is left to another node any more"),
            _ => {}
        }
        *left_alone = note;
    }

    /// The windows took so many series, and refused others.
    pub(crate) fn took(&self, taken: u64, refused: u64) {
        self.adopted.fetch_add(taken, Ordering::Relaxed);
        self.not_adopted.fetch_add(refused, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, out: &HandOut) {
        self.bytes.fetch_add(out.bytes() as u64, Ordering::Relaxed);
        self.blocks_points.fetch_add(out.block_points, Ordering::Relaxed);
        self.handed_out.fetch_add(1, Ordering::Relaxed);
    }

    /// Shards whose windows are being taken from Redis, and all shards of this node.
    pub fn adopting(&self) -> (u64, u64) {
        (self.adopting.load(Ordering::Acquire), self.shards.load(Ordering::Relaxed))
    }

    /// What a person should know, as a sentence.
    pub fn note(&self) -> Option<String> {
        let of = |note: &Mutex<Option<String>>| note.lock().unwrap_or_else(PoisonError::into_inner).clone();
        of(&self.note).or_else(|| of(&self.left_alone))
    }

    /// Shards that wait to be written although it is their time.
    pub fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    /// Adds the figures of writing. `now`: seconds.
    pub fn figures(&self, now: f64, out: &mut Vec<Figure>) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let oldest = f64::from_bits(of(&self.oldest));
        let age = if oldest > 0.0 { (now - oldest).max(0.0) } else { 0.0 };
        out.extend([
            Figure::gauge("skyline_mirror_shards", "Shards of this node", of(&self.shards) as f64),
            Figure::gauge(
                "skyline_mirror_shards_behind",
                "Shards that wait to be written to Redis although it is their time",
                of(&self.behind) as f64,
            ),
            Figure::gauge(
                "skyline_mirror_age_seconds",
                "Age of the copy of the shard that was written longest ago",
                age,
            ),
            Figure::gauge(
                "skyline_mirror_shards_of_others",
                "Shards that are not written, as another node writes them",
                of(&self.others) as f64,
            ),
            Figure::counter(
                "skyline_mirror_hand_outs_total",
                "Times that a shard was written to Redis since start",
                of(&self.handed_out),
            ),
            Figure::counter(
                "skyline_mirror_points_total",
                "Points in blocks that were written to Redis since start",
                of(&self.blocks_points),
            ),
            Figure::counter(
                "skyline_mirror_bytes_total",
                "Bytes of chunks that were written to Redis since start",
                of(&self.bytes),
            ),
            Figure::counter(
                "skyline_mirror_rewritten_total",
                "Times since start that Redis had lost a shard, so that all of it was written again",
                of(&self.lost),
            ),
        ]);
    }

    /// Adds the figures of windows that were taken from Redis, in whichever layout they were.
    pub fn adoption_figures(&self, out: &mut Vec<Figure>) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        out.extend([
            Figure::counter(
                "skyline_mirror_adopted_total",
                "Series that were taken from Redis since start",
                of(&self.adopted),
            ),
            Figure::counter(
                "skyline_mirror_not_adopted_total",
                "Series in Redis that the windows did not take since start",
                of(&self.not_adopted),
            ),
            Figure::counter(
                "skyline_mirror_damaged_total",
                "Chunks in Redis that could not be read since start",
                of(&self.damaged),
            ),
        ]);
    }
}
