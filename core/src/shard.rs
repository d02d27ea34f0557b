//! The fixed division of all metrics into shards.

/// Number of shards, fixed for ever: it is part of stored keys and of every API that names a shard.
pub const SHARDS: u16 = 1024;

/// XXH3-64 of a metric name. Never a seeded hash: the value is stored and shared between processes.
#[must_use]
pub fn name_hash(name: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(name)
}

/// The shard of a metric: [`name_hash`] modulo [`SHARDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard of the metric whose name hashes to `hash`.
    #[must_use]
    pub const fn of_hash(hash: u64) -> Self {
        Self((hash % SHARDS as u64) as u16)
    }

    /// The shard of the metric called `name`.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Self {
        Self::of_hash(name_hash(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_of_a_name_never_changes() {
        // Written down so that an accidental change of the hash fails: these are stored on disk.
        assert_eq!(name_hash(b""), 0x2d06_8005_38d3_94c2);
        let once = ShardId::of_name(b"servers.web01.cpu");
        assert_eq!(once, ShardId::of_name(b"servers.web01.cpu"));
        assert!(once.0 < SHARDS);
    }
}
