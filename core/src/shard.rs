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

/// Some of the shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardSet([u64; SHARDS as usize / 64]);

impl ShardSet {
    /// All of them.
    pub const ALL: Self = Self([u64::MAX; SHARDS as usize / 64]);

    /// None of them.
    pub const NONE: Self = Self([0; SHARDS as usize / 64]);

    /// Adds a shard.
    pub fn insert(&mut self, shard: ShardId) {
        if let Some(word) = self.0.get_mut(usize::from(shard.0 / 64)) {
            *word |= 1 << (shard.0 % 64);
        }
    }

    /// Whether a shard is in it.
    #[must_use]
    pub fn contains(&self, shard: ShardId) -> bool {
        let word = self.0.get(usize::from(shard.0 / 64)).copied().unwrap_or(0);
        word >> (shard.0 % 64) & 1 == 1
    }

    /// Its shards, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ShardId> + use<> {
        let set = *self;
        (0..SHARDS).map(ShardId).filter(move |shard| set.contains(*shard))
    }
}

/// A text that names no shards: the part that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoShards(pub String);

impl std::str::FromStr for ShardSet {
    type Err = NoShards;

    /// Numbers and ranges with commas, `0-511,700`; an empty text is all shards.
    fn from_str(text: &str) -> Result<Self, NoShards> {
        if text.trim().is_empty() {
            return Ok(Self::ALL);
        }
        let mut set = Self::NONE;
        for part in text.split(',').map(str::trim) {
            let (from, until) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<u16>().ok().filter(|n| *n < SHARDS);
            let (Some(from), Some(until)) = (number(from), number(until)) else {
                return Err(NoShards(part.to_owned()));
            };
            if from > until {
                return Err(NoShards(part.to_owned()));
            }
            for shard in from..=until {
                set.insert(ShardId(shard));
            }
        }
        Ok(set)
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

    #[test]
    fn sets_of_shards_are_read() {
        let of = |text: &str| text.parse::<ShardSet>().map(|set| set.iter().map(|s| s.0).collect::<Vec<_>>());
        assert_eq!(of("").map(|all| all.len()), Ok(usize::from(SHARDS)));
        assert_eq!(of("3, 62-65 ,1023"), Ok(vec![3, 62, 63, 64, 65, 1023]));
        for bad in ["x", "1024", "5-3", "1,,2", "-1", "1-"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
