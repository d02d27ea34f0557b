//! What can go wrong with a question. No text holds a credential, a path or a query.

use std::time::Duration;

/// Kind of an [`Error`], for figures and for who decides what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The server is left alone for now.
    Resting,
    /// Too many questions are in hand.
    Busy,
    /// No connection.
    Connect,
    /// No trust.
    Tls,
    /// Too late.
    Timeout,
    /// Not HTTP, or cut off.
    Broken,
    /// More than the bound.
    TooLarge,
    /// Leads where it must not.
    Redirect,
    /// It cannot be asked at all.
    Question,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Resting,
        Self::Busy,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Broken,
        Self::TooLarge,
        Self::Redirect,
        Self::Question,
    ];

    /// As figures name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resting => "resting",
            Self::Busy => "busy",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
            Self::Redirect => "redirect",
            Self::Question => "question",
        }
    }

    /// Whether the server, or the way to it, is at fault: the breaker counts these.
    #[must_use]
    pub const fn is_servers(self) -> bool {
        matches!(self, Self::Connect | Self::Tls | Self::Timeout | Self::Broken)
    }
}

/// Why there is no answer. Each names the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It failed several times; nothing is sent for a while.
    #[error("{server} failed {failures} times in a row (last: {last}); it is asked again in {} s", seconds(*again))]
    Resting {
        /// Name and address.
        server: String,
        /// In a row.
        failures: u32,
        /// Kind of the last.
        last: &'static str,
        /// Until the next attempt.
        again: Duration,
    },
    /// Too many questions are in hand.
    #[error("{server}: {concurrent} questions are in hand already; ask less, or allow more at the same time")]
    Busy {
        /// Name and address.
        server: String,
        /// The bound.
        concurrent: usize,
    },
    /// No connection.
    #[error("{server}: {reason}; see that it runs and that the address is right")]
    Connect {
        /// Name and address.
        server: String,
        /// In the system's words.
        reason: String,
    },
    /// No trust.
    #[error("{server}: TLS failed: {reason}; {advice}")]
    Tls {
        /// Name and address.
        server: String,
        /// What is wrong.
        reason: String,
        /// What helps.
        advice: &'static str,
    },
    /// Too late.
    #[error("{server}: no {what} within {} s", seconds(*limit))]
    Timeout {
        /// Name and address.
        server: String,
        /// What did not come.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// Not HTTP, or cut off.
    #[error("{server}: the answer is broken: {reason}")]
    Broken {
        /// Name and address.
        server: String,
        /// How.
        reason: String,
    },
    /// More than the bound.
    #[error("{server}: the answer is longer than {limit} bytes; ask for less, or allow more")]
    TooLarge {
        /// Name and address.
        server: String,
        /// The bound, bytes.
        limit: usize,
    },
    /// Leads where it must not.
    #[error("{server}: its redirect is not followed: {reason}")]
    Redirect {
        /// Name and address.
        server: String,
        /// Why.
        reason: String,
    },
    /// It cannot be asked at all.
    #[error("{server}: this cannot be asked: {reason}")]
    Question {
        /// Name and address.
        server: String,
        /// Why.
        reason: &'static str,
    },
}

impl Error {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Failure {
        match self {
            Self::Resting { .. } => Failure::Resting,
            Self::Busy { .. } => Failure::Busy,
            Self::Connect { .. } => Failure::Connect,
            Self::Tls { .. } => Failure::Tls,
            Self::Timeout { .. } => Failure::Timeout,
            Self::Broken { .. } => Failure::Broken,
            Self::TooLarge { .. } => Failure::TooLarge,
            Self::Redirect { .. } => Failure::Redirect,
            Self::Question { .. } => Failure::Question,
        }
    }

    /// Whether the same question may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.kind().is_servers() || matches!(self, Self::Resting { .. } | Self::Busy { .. })
    }
}

/// Seconds as a person reads them.
fn seconds(time: Duration) -> String {
    let s = time.as_secs_f64();
    if s >= 10.0 { format!("{s:.0}") } else { format!("{}", (s * 10.0).ceil() / 10.0) }
}
