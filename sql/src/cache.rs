//! Answers of the record that are kept for a moment, so that a storm of questions is not one of queries.
//!
//! Two layers, asked in this order: `local`, in this process, with a budget of bytes; and `shared`,
//! memcached, for all nodes with the same record. Both hold copies: everything is right without them,
//! whatever a server does or holds.
//!
//! When an answer may be given again:
//!
//! - Every answer carries how often this process had written when the record was asked, and the
//!   *generation* that memcached had then. It is given again only while both are what they were. A write
//!   moves them after it has committed and before it returns (`Cache::writing`, `Cache::settle`):
//!   from then on no node gives an older answer. One that is being put there meanwhile carries the
//!   generation of before, and is never given.
//! - A node whose write could not be told to memcached owes that, and gives nothing from there before it
//!   has told it. Other nodes may give the older answer meanwhile, until it is `Options::keep` old.
//! - Without memcached, what other processes write is seen after `ALONE`.
//!
//! So the bound for a stale answer is nothing while all nodes reach memcached, `memcached.keep_seconds`
//! when one of them does not, and a second without memcached.

mod bounded;
mod command;
mod entry;
mod link;
mod local;
mod shared;
#[cfg(test)]
mod tests;

use crate::row::Row;
use local::{Held, Local};
use shared::Shared;
use skyline_conf::model::memcached::Memcached;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::health::StoreHealth;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use link::{Unreachable, probe};

/// An answer that no generation vouches for is given again for so long.
const ALONE: Duration = Duration::from_secs(1);

/// How the cache behaves.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Which record the answers are of: the same text on all nodes that share it.
    pub(crate) record: String,
    /// `[memcached]`.
    pub(crate) memcached: Memcached,
    /// For the age of what others have put into memcached.
    pub(crate) clock: Clock,
}

/// What a layer did since start.
#[derive(Debug, Default)]
struct Totals {
    hits: AtomicU64,
    misses: AtomicU64,
    errors: AtomicU64,
}

fn count(total: &AtomicU64) {
    total.fetch_add(1, Ordering::Relaxed);
}

/// Both layers.
#[derive(Debug)]
pub(crate) struct Cache {
    local: Local,
    shared: Option<Shared>,
    /// Writes of this process, each counted when it has ended.
    written: AtomicU64,
    /// As many of them were told to memcached.
    told: AtomicU64,
    keep: Duration,
    in_process: Totals,
    in_memcached: Totals,
}

/// A write in progress. Answers from before it are not given any more once this is dropped, however the
/// write ended: of one that failed or was given up, nobody knows whether it was done.
#[derive(Debug)]
pub(crate) struct Writing<'a>(&'a Cache);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.written.fetch_add(1, Ordering::SeqCst);
    }
}

impl Cache {
    pub(crate) fn new(options: Options) -> Self {
        let Options { record, memcached, clock } = options;
        let keep = Duration::from_secs(memcached.keep_seconds.max(1).into());
        Self {
            local: Local::new(),
            shared: Shared::new(&record, &memcached, clock),
            written: AtomicU64::new(0),
            told: AtomicU64::new(0),
            keep,
            in_process: Totals::default(),
            in_memcached: Totals::default(),
        }
    }

    /// To be held around every write that changes answers; [`Cache::settle`] follows its drop.
    pub(crate) const fn writing(&self) -> Writing<'_> {
        Writing(self)
    }

    /// Tells memcached of this process's writes; whether it knows of them all now.
    pub(crate) async fn settle(&self) -> bool {
        let Some(shared) = &self.shared else { return true };
        // Others may be telling the same: nobody relies on what another has not finished.
        let written = self.written.load(Ordering::SeqCst);
        if self.told.load(Ordering::SeqCst) >= written {
            return true;
        }
        if shared.forget().await.is_err() {
            count(&self.in_memcached.errors);
            return false;
        }
        self.told.fetch_max(written, Ordering::SeqCst);
        true
    }

    /// The answer to `question`, from a layer or by `ask`. Only answers are kept, no errors.
    pub(crate) async fn rows<E>(
        &self,
        question: &str,
        ask: impl Future<Output = Result<Vec<Row>, E>>,
    ) -> Result<Arc<Vec<Row>>, E> {
        // Before anything is read: what changes from here on must show.
        let written = self.written.load(Ordering::SeqCst);
        let held = self.local.get(question).filter(|held| held.written == written);
        let (generation, found) = self.look(question, held.is_none()).await;
        if let Some(held) = held.filter(|held| held.is_good(generation, Instant::now())) {
            count(&self.in_process.hits);
            return Ok(held.rows);
        }
        count(&self.in_process.misses);
        let found = match (found, generation) {
            // What is held was not good, so the shared one was not asked for yet.
            (None, Some(_)) => self.look(question, true).await.1,
            (found, _) => found,
        };
        if let Some((rows, age)) = found {
            count(&self.in_memcached.hits);
            let rows = Arc::new(rows);
            self.local.put(question, Held::copied(&rows, written, generation, self.keep, age));
            return Ok(rows);
        }
        if self.shared.is_some() {
            count(&self.in_memcached.misses);
        }
        let asked = Instant::now();
        let rows = Arc::new(ask.await?);
        self.local.put(question, Held::read(&rows, written, generation, self.keep, asked));
        if let (Some(shared), Some(generation)) = (&self.shared, generation)
            && shared.put(question, generation, asked, &rows).await.is_err()
        {
            count(&self.in_memcached.errors);
        }
        Ok(rows)
    }

    /// The generation, if memcached answers and knows of all our writes; with it, if `and_value`, the answer that
    /// memcached has, and its age.
    async fn look(&self, question: &str, and_value: bool) -> (Option<u64>, Option<(Vec<Row>, Duration)>) {
        let Some(shared) = &self.shared else { return (None, None) };
        if !self.settle().await {
            return (None, None);
        }
        let looked = if and_value {
            shared.get(question, self.keep).await
        } else {
            shared.generation().await.map(|generation| (generation, None))
        };
        match looked {
            Ok((generation, found)) => (Some(generation), found),
            Err(_) => {
                count(&self.in_memcached.errors);
                (None, None)
            }
        }
    }

    /// Looks whether memcached is there, and tells it what it is owed; to be called about once a second.
    pub(crate) async fn tend(&self) {
        if let Some(shared) = &self.shared
            && self.settle().await
        {
            shared.tend().await;
        }
    }

    /// How memcached is doing.
    pub(crate) fn health(&self) -> StoreHealth {
        self.shared.as_ref().map_or_else(|| StoreHealth::off(shared::NAME), Shared::health)
    }

    /// Adds figures to `out`.
    pub(crate) fn figures(&self, out: &mut Vec<Figure>) {
        let layers: &[_] = match self.shared {
            Some(_) => &[("process", &self.in_process), ("memcached", &self.in_memcached)],
            None => &[("process", &self.in_process)],
        };
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        for (layer, totals) in layers {
            let mut add =
                |name, help, value| out.push(Figure::counter(name, help, value).label("layer", *layer));
            add(
                "skyline_cache_hits_total",
                "Questions to the record that the cache answered since start",
                of(&totals.hits),
            );
            add(
                "skyline_cache_misses_total",
                "Questions that it could not answer since start",
                of(&totals.misses),
            );
            add(
                "skyline_cache_errors_total",
                "Times that a layer failed since start; the record was asked instead",
                of(&totals.errors),
            );
        }
        out.push(Figure::gauge(
            "skyline_cache_bytes",
            "Bytes of answers kept in the process",
            self.local.bytes() as f64,
        ));
        if let Some(shared) = &self.shared {
            out.push(Figure::counter(
                "skyline_cache_refused_total",
                "Values in memcached that were not what was put there, or too old",
                shared.refused(),
            ));
            out.push(Figure::counter(
                "skyline_cache_too_large_total",
                "Answers too large for memcached",
                shared.too_large(),
            ));
        }
    }
}
