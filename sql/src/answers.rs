//! How the record's reads go through the cache, and its writes tell it.

use crate::cache::{Cache, Options as CacheOptions};
use crate::error::Error;
use crate::pool::Store;
use crate::row::Row;
use skyline_conf::model::memcached::Memcached;
use skyline_core::clock::Clock;
use skyline_core::health::StoreHealth;

/// The cache of the record at `place`.
pub(crate) fn cache(place: &str, memcached: &Memcached, clock: &Clock) -> Cache {
    Cache::new(CacheOptions { record: place.to_owned(), memcached: memcached.clone(), clock: clock.clone() })
}

impl Store {
    /// The answer to `question`, from the cache or by `ask`.
    pub(crate) async fn cached(
        &self,
        question: &str,
        ask: impl Future<Output = Result<Vec<Row>, Error>>,
    ) -> Result<Vec<Row>, Error> {
        let rows = Box::pin(self.cache().rows(question, ask)).await?;
        Ok(Vec::clone(&rows))
    }

    /// Does `write`, which changes answers; once it has ended, nobody is given an answer from before it.
    pub(crate) async fn changing<T>(&self, write: impl Future<Output = T>) -> T {
        let writing = self.cache().writing();
        let outcome = write.await;
        drop(writing);
        self.cache().settle().await;
        outcome
    }

    /// How memcached is doing.
    #[must_use]
    pub fn cache_health(&self) -> StoreHealth {
        self.cache().health()
    }

    /// Looks whether memcached is there; to be called about once a second.
    pub async fn tend_cache(&self) {
        self.cache().tend().await;
    }
}
