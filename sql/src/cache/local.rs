//! The layer in this process: answers as they were read, so many bytes of them at most.

use super::ALONE;
use crate::row::Row;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of all answers.
const BUDGET: u64 = 16 << 20;
/// Of an answer of which nothing else is known.
const LEAST: u64 = 128;
/// Answers that are expected; more are taken.
const EXPECTED: usize = 1_000;

/// An answer, and when it may be given again.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) rows: Arc<Vec<Row>>,
    /// Writes of this process when the record was asked.
    pub(super) written: u64,
    /// Generation of memcached when the record was asked.
    generation: Option<u64>,
    /// Until when it is good while the generation vouches for it.
    until: Instant,
    /// Until when it is good where none does.
    alone_until: Instant,
}

impl Held {
    /// What the record was `asked` for at that time.
    pub(super) fn read(
        rows: &Arc<Vec<Row>>,
        written: u64,
        generation: Option<u64>,
        keep: Duration,
        asked: Instant,
    ) -> Self {
        Self { rows: Arc::clone(rows), written, generation, until: asked + keep, alone_until: asked + ALONE }
    }

    /// What memcached had, of that `age`.
    pub(super) fn copied(
        rows: &Arc<Vec<Row>>,
        written: u64,
        generation: Option<u64>,
        keep: Duration,
        age: Duration,
    ) -> Self {
        let now = Instant::now();
        let of = |span: Duration| now + span.saturating_sub(age);
        Self { rows: Arc::clone(rows), written, generation, until: of(keep), alone_until: of(ALONE) }
    }

    /// Whether it may be given at `now`; `generation`: that of now, none where memcached is off or away.
    pub(super) fn is_good(&self, generation: Option<u64>, now: Instant) -> bool {
        match generation {
            Some(_) => self.generation == generation && now < self.until,
            None => now < self.alone_until,
        }
    }
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<String, Held> for Bytes {
    fn weight(&self, question: &String, held: &Held) -> u64 {
        let of = |row: &Row| size_of::<Row>() + row.anomaly.metric.len() + row.host.len() + row.app.len();
        let rows: usize = held.rows.iter().map(of).sum();
        LEAST + (question.len() + rows) as u64
    }
}

/// The layer.
#[derive(Debug)]
pub(super) struct Local(Cache<String, Held, Bytes>);

impl Local {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(EXPECTED, BUDGET, Bytes))
    }

    pub(super) fn get(&self, question: &str) -> Option<Held> {
        self.0.get(question)
    }

    pub(super) fn put(&self, question: &str, held: Held) {
        self.0.insert(question.to_owned(), held);
    }

    /// Bytes of what is held.
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::row;
    use super::*;

    #[test]
    fn the_budget_holds() {
        let local = Local::new();
        let rows = Arc::new((0..1_000).map(|i| row(i, &"x".repeat(200))).collect::<Vec<_>>());
        let held = Held::read(&rows, 0, None, ALONE, Instant::now());
        for question in 0..1_000 {
            local.put(&question.to_string(), held.clone());
            assert!(local.bytes() <= BUDGET, "{}", local.bytes());
        }
        assert!(local.bytes() > BUDGET / 4, "it holds something: {}", local.bytes());
    }

    #[test]
    fn when_an_answer_is_good() {
        let now = Instant::now();
        let (keep, rows) = (Duration::from_secs(10), Arc::new(Vec::new()));
        let later = |seconds: f64| now + Duration::from_secs_f64(seconds);
        let check = |held: &Held, generation, seconds, expected| {
            assert_eq!(held.is_good(generation, later(seconds)), expected, "{generation:?} {seconds}");
        };
        let read = Held::read(&rows, 0, Some(5), keep, now);
        check(&read, Some(5), 9.9, true);
        check(&read, Some(5), 10.1, false);
        check(&read, Some(6), 0.1, false);
        check(&read, None, 0.9, true);
        check(&read, None, 1.1, false);
        check(&Held::read(&rows, 0, None, keep, now), Some(5), 0.1, false);
        let copied = Held::copied(&rows, 0, Some(5), keep, Duration::from_secs(4));
        check(&copied, Some(5), 5.9, true);
        check(&copied, Some(5), 7.0, false);
        check(&copied, None, 0.1, false);
    }
}
