//! Every reason for which a datapoint is not taken, each with the name of its counter.

/// Why a point (or a line, item or frame that should have held one) was not taken.
///
/// The same list serves listeners and the window: a listener refuses what the protocol cannot
/// carry, the window what it cannot store (for example an infinite value, which is relayed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reject {
    /// A line without exactly three fields.
    Fields = 0,
    /// A value that is not a number.
    Value,
    /// A value that is NaN.
    NanValue,
    /// A timestamp that is not a number, or NaN or infinite.
    Time,
    /// A name that is empty, not UTF-8, or that the receiving protocol cannot carry.
    Name,
    /// A line longer than `listen.max_line_bytes`.
    LineTooLong,
    /// The last line of a connection, without its newline: it may have been cut.
    CutLine,
    /// A frame longer than `listen.max_frame_bytes` (pickle, protobuf) or a datagram that was cut.
    FrameTooLong,
    /// A frame that could not be decoded.
    Frame,
    /// An item of a frame that is not `(name, (timestamp, value))`.
    Item,
    /// The journal could not take the batch and this listener sheds.
    JournalFull,
    /// Window: an infinite value.
    Infinite,
    /// Window: a timestamp further ahead than `window.max_future_seconds`.
    Future,
    /// Window: a timestamp older than the window.
    Old,
    /// Window: the name is on the skip list.
    Skipped,
    /// Window: `window.max_metrics` are stored already.
    MetricCap,
    /// Window: more than `window.max_new_names_per_minute` new names.
    NewNameCap,
    /// Window: a name with control bytes, or longer than the window takes.
    WindowName,
    /// Routing: the name is on the black list.
    Blacklisted,
    /// Routing: the name is not on the white list.
    NotWhitelisted,
    /// Routing: the name is to be thrown away (`blackhole`, block lists).
    Blackhole,
    /// Routing: value and time do not look as the rule for the name wants them (`validate`).
    Invalid,
    /// A compressed stream that cannot be unpacked.
    Packing,
    /// A TLS connection that failed, in its handshake or later.
    Tls,
    /// Another sender brought the same point a moment ago (`relay.deduplicate_seconds`).
    Duplicate,
}

impl Reject {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 25] = [
        Self::Fields,
        Self::Value,
        Self::NanValue,
        Self::Time,
        Self::Name,
        Self::LineTooLong,
        Self::CutLine,
        Self::FrameTooLong,
        Self::Frame,
        Self::Item,
        Self::JournalFull,
        Self::Infinite,
        Self::Future,
        Self::Old,
        Self::Skipped,
        Self::MetricCap,
        Self::NewNameCap,
        Self::WindowName,
        Self::Blacklisted,
        Self::NotWhitelisted,
        Self::Blackhole,
        Self::Invalid,
        Self::Packing,
        Self::Tls,
        Self::Duplicate,
    ];

    /// Number of reasons: the length of a [`RejectCounts`].
    pub const COUNT: usize = Self::ALL.len();

    /// The `reason` label of its counter.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Value => "value",
            Self::NanValue => "nan_value",
            Self::Time => "time",
            Self::Name => "name",
            Self::LineTooLong => "line_too_long",
            Self::CutLine => "cut_line",
            Self::FrameTooLong => "frame_too_long",
            Self::Frame => "frame",
            Self::Item => "item",
            Self::JournalFull => "journal_full",
            Self::Infinite => "infinite",
            Self::Future => "future",
            Self::Old => "old",
            Self::Skipped => "skipped",
            Self::MetricCap => "metric_cap",
            Self::NewNameCap => "new_name_cap",
            Self::WindowName => "window_name",
            Self::Blacklisted => "blacklisted",
            Self::NotWhitelisted => "not_whitelisted",
            Self::Blackhole => "blackhole",
            Self::Invalid => "invalid",
            Self::Packing => "packing",
            Self::Tls => "tls",
            Self::Duplicate => "duplicate",
        }
    }
}

/// A plain counter for each [`Reject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RejectCounts([u64; Reject::COUNT]);

impl RejectCounts {
    /// Adds `n` to the counter of `reason`.
    pub fn add(&mut self, reason: Reject, n: u64) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += n;
        }
    }

    /// The counter of `reason`.
    #[must_use]
    pub fn get(&self, reason: Reject) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Adds every counter of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Sum over all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons whose counter is not zero.
    pub fn iter(&self) -> impl Iterator<Item = (Reject, u64)> + '_ {
        Reject::ALL.into_iter().map(|reason| (reason, self.get(reason))).filter(|(_, n)| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_list() {
        for (i, reason) in Reject::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
        }
        let mut labels: Vec<_> = Reject::ALL.iter().map(|r| r.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Reject::COUNT);
    }
}
