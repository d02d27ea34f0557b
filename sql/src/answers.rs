//! How the record's reads go through the cache, and its writes tell it.

use crate::cache::{Cache, Options as CacheOptions};
use crate::error::Error;
use crate::place::Place;
use crate::pool::Store;
use crate::row::Row;
use skyline_conf::model::memcached::Memcached;
use skyline_core::clock::Clock;
use skyline_core::health::StoreHealth;

/// The cache of the record at `place`.
pub(crate) fn cache(place: &Place, memcached: &Memcached, clock: &Clock) -> Cache {
    let record = identity(place, &hostname::get().unwrap_or_default().to_string_lossy());
    Cache::new(CacheOptions { record, memcached: memcached.clone(), clock: clock.clone() })
}

/// Which record it is, for nodes that share a memcached: what is `host`'s own is another one elsewhere.
fn identity(place: &Place, host: &str) -> String {
    let is_own = match place {
        Place::File(_) => true,
        Place::Server { address, .. } => {
            let rest = address.strip_prefix("mysql://").unwrap_or(address);
            ["/", "127.", "localhost", "[::1]"].iter().any(|own| rest.starts_with(own))
        }
    };
    if is_own { format!("{place} on {host}") } else { place.to_string() }
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

    /// Does `write`, which changes answers outside of a [`Store::transaction`]; once it has ended, nobody is
    /// given an answer from before it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_apart() {
        let server = |address: &str| {
            let place = Place::Server {
                address: address.to_owned(),
                database: "skyline".to_owned(),
                user: "skyline".to_owned(),
            };
            identity(&place, "web01")
        };
        assert_eq!(server("mysql://db:3306/skyline"), "mysql://db:3306/skyline");
        for own in
            ["mysql:///skyline?socket=/s", "mysql://127.0.0.1/skyline", "mysql://localhost:3306/skyline"]
        {
            assert_eq!(server(own), format!("{own} on web01"));
        }
        assert_eq!(identity(&Place::File("/a.db".into()), "web01"), "/a.db on web01");
    }
}
