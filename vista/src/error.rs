//! Why a fetch brought nothing.

/// Longest part of a server's own words that is shown, characters.
const SHOWN: usize = 200;

/// Why there are no points. Each names the server; none holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer.
    #[error(transparent)]
    Upstream(#[from] skyline_upstream::Error),
    /// An answer that is none.
    #[error(
        "{server}: it answered {status}{words}; see that the address, the path and the credentials are right"
    )]
    Status {
        /// Name and address.
        server: String,
        /// Of the answer.
        status: u16,
        /// What the server says of it: empty, or begins with a colon.
        words: String,
    },
    /// An answer that is not what was asked for.
    #[error("{server}: its answer cannot be used: {reason}")]
    Answer {
        /// Name and address.
        server: String,
        /// Why.
        reason: String,
    },
    /// More series than names.
    #[error(
        "{server}: the expression gives {series} series, and store_as names one: write a template as \
         prom.{{instance}}.load, or an expression that gives one"
    )]
    Several {
        /// Name and address.
        server: String,
        /// How many.
        series: usize,
    },
    /// Two series under one name.
    #[error(
        "{server}: two series would be stored as {name}: put a label into store_as that tells them apart"
    )]
    SameName {
        /// Name and address.
        server: String,
        /// The name.
        name: String,
    },
    /// The journal did not take them.
    #[error("vista job {job}: {points} points are not in the journal, and are fetched again")]
    NotLogged {
        /// Name of the job.
        job: String,
        /// How many.
        points: u64,
    },
}

impl Error {
    /// Name of the kind, as figures have it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Upstream(error) => error.kind().name(),
            Self::Status { .. } => "status",
            Self::Answer { .. } => "answer",
            Self::Several { .. } => "several_series",
            Self::SameName { .. } => "same_name",
            Self::NotLogged { .. } => "not_logged",
        }
    }
}

/// The beginning of what a server says, on one line; begins with a colon unless it is empty.
pub(crate) fn words(said: &str) -> String {
    let line: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if line.trim().is_empty() { String::new() } else { format!(": {}", line.trim()) }
}
