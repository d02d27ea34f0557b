//! The names of keys and fields.

use skyline_core::shard::ShardId;
use skyline_store::chunk::PERIOD;
use std::ops::RangeInclusive;

/// The names of one shard's keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys<'a> {
    prefix: &'a str,
    shard: ShardId,
}

impl<'a> Keys<'a> {
    pub(crate) const fn new(prefix: &'a str, shard: ShardId) -> Self {
        Self { prefix, shard }
    }

    /// The open chunk.
    pub(crate) fn open(self) -> String {
        format!("{}:{{{:04}}}:open", self.prefix, self.shard.0)
    }

    /// The blocks of an hour, counted from the epoch.
    pub(crate) fn blocks(self, hour: i64) -> String {
        format!("{}:{{{:04}}}:blocks:{hour}", self.prefix, self.shard.0)
    }
}

/// The field of a chunk that was handed out at a time, seconds: fields sort as their times do.
pub(crate) fn field(written_at: f64) -> String {
    format!("{:015}", (written_at * 1e3).max(0.0) as u64)
}

/// The hours that a window of `keep` seconds can have blocks of at `now`, seconds; one more at either end for
/// clocks that are not quite right.
pub(crate) fn hours(now: f64, keep: f64) -> RangeInclusive<i64> {
    let of = |ts: f64| (ts / PERIOD as f64).floor() as i64;
    of(now - keep) - 1..=of(now) + 1
}

/// Seconds after which the blocks of an hour are of no use.
pub(crate) fn seconds_left(hour: i64, now: f64, keep: f64) -> i64 {
    let end = ((hour + 1) * PERIOD) as f64 + keep;
    // A clock that is wrong must not remove at once what was just written.
    ((end - now).ceil() as i64).max(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_shard_have_one_tag() {
        let keys = Keys::new("skyline", ShardId(7));
        assert_eq!(keys.open(), "skyline:{0007}:open");
        assert_eq!(keys.blocks(472_222), "skyline:{0007}:blocks:472222");
    }

    #[test]
    fn fields_sort_by_time() {
        assert_eq!(field(1_700_000_000.5), "001700000000500");
        assert!(field(999.0) < field(1_000.0));
    }

    #[test]
    fn an_hour_lasts_until_it_has_left_the_window() {
        let now = 1_700_000_000.0;
        let all = hours(now, 87_000.0);
        assert_eq!(all.clone().count(), 27);
        for hour in all {
            let left = seconds_left(hour, now, 87_000.0);
            assert!((60..=87_000 + 7_200).contains(&left), "{hour}: {left}");
        }
        assert_eq!(seconds_left(472_222, 472_222.0 * 3_600.0 + 5.0, 100.0), 3_695);
    }
}
