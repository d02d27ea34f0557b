//! The layer in memcached: answers with the generation in which they were read.
//!
//! The generation is a number under a key of its own. A write adds one to it; where it is missing (nobody
//! has read yet, or memcached was emptied, or needed the room) the next reader begins with a number drawn at
//! random, so that what lies there from before never fits again.
//!
//! Keys are the namespace and a hash, never text of a question: a line end in a metric's name would be a
//! command to memcached.

use super::command::{Forget, Generation, Get, Put};
use super::entry;
use super::link::{Link, Unreachable};
use crate::row::Row;
use skyline_conf::model::memcached::Memcached;
use skyline_core::clock::Clock;
use skyline_core::health::StoreHealth;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_128;

/// What the layer is called in reports.
pub(super) const NAME: &str = "memcached";

/// The layer.
#[derive(Debug)]
pub(super) struct Shared {
    link: Link,
    clock: Clock,
    /// Beginning of all keys, and which record the answers are of.
    namespace: String,
    record: String,
    generation_key: String,
    /// For memcached, so that it need not keep what nobody takes, seconds.
    expiry: u32,
    refused: AtomicU64,
    too_large: AtomicU64,
}

impl Shared {
    /// The layer of these settings; none where they name no memcached.
    pub(super) fn new(record: &str, settings: &Memcached, clock: Clock) -> Option<Self> {
        if settings.address.is_empty() {
            return None;
        }
        let mut shared = Self {
            link: Link::new(NAME, settings, clock.clone()),
            clock,
            namespace: settings.namespace.clone(),
            record: record.to_owned(),
            generation_key: String::new(),
            expiry: settings.keep_seconds.max(1),
            refused: AtomicU64::new(0),
            too_large: AtomicU64::new(0),
        };
        shared.generation_key = shared.key("generation");
        Some(shared)
    }

    /// Where the answer to `question` lies.
    fn key(&self, question: &str) -> String {
        let (record, question) = (xxh3_128(self.record.as_bytes()), xxh3_128(question.as_bytes()));
        format!(
            "{}.{:032x}",
            self.namespace,
            xxh3_128(&[record.to_le_bytes(), question.to_le_bytes()].concat())
        )
    }

    fn current(&self) -> Generation<'_> {
        Generation { key: &self.generation_key, refused: &self.refused }
    }

    /// The generation of now.
    pub(super) async fn generation(&self) -> Result<u64, Unreachable> {
        self.link.ask(&self.current()).await
    }

    /// The generation of now, and what is there for `question` and not older than `keep`, with its age.
    pub(super) async fn get(
        &self,
        question: &str,
        keep: Duration,
    ) -> Result<(u64, Option<(Vec<Row>, Duration)>), Unreachable> {
        let key = self.key(question);
        let (generation, value) = self.link.ask(&Get { generation: self.current(), key: &key }).await?;
        let Some(value) = value else { return Ok((generation, None)) };
        let found = entry::decode(&value).filter(|entry| entry.question == question);
        let Some(entry) = found else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Ok((generation, None));
        };
        if entry.generation != generation {
            return Ok((generation, None));
        }
        // Clocks of nodes differ a little, in both directions.
        let age =
            Duration::try_from_secs_f64((self.clock.now() - entry.asked).abs()).unwrap_or(Duration::MAX);
        if age >= keep {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Ok((generation, None));
        }
        Ok((generation, Some((entry.rows, age))))
    }

    /// Makes every answer that was read until now one of the past.
    pub(super) async fn forget(&self) -> Result<(), Unreachable> {
        self.link.ask(&Forget { key: &self.generation_key }).await
    }

    /// Puts an answer there that was read `asked`, while `generation` held or after.
    pub(super) async fn put(
        &self,
        question: &str,
        generation: u64,
        asked: Instant,
        rows: &[Row],
    ) -> Result<(), Unreachable> {
        let time = self.clock.now() - asked.elapsed().as_secs_f64();
        let Some(value) = entry::encode(question, generation, time, rows) else {
            self.too_large.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let key = self.key(question);
        self.link.ask(&Put { key: &key, value: &value, expiry: self.expiry }).await
    }

    /// Looks whether it is there, if nobody has of late.
    pub(super) async fn tend(&self) {
        self.link.tend().await;
    }

    pub(super) fn health(&self) -> StoreHealth {
        self.link.health()
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn too_large(&self) -> u64 {
        self.too_large.load(Ordering::Relaxed)
    }
}
