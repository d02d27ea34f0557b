//! Why a fetch brought nothing.

use skyline_upstream::{Error as Upstream, Options};

/// Longest part of a server's own words that is shown, characters.
const SHOWN: usize = 200;

/// Why there are no points. Each names the server; none holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer.
    #[error(transparent)]
    Upstream(#[from] skyline_upstream::Error),
    /// An answer that is none.
    #[error("{server}: it answered {status}{words}; {}", advice(*status))]
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
        reason: Unusable,
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
    #[error(
        "vista job {job}: the journal has no room for {points} points, or cannot be written; they are fetched again: see \
         which destination is behind (skyline status)"
    )]
    NotLogged {
        /// Name of the job.
        job: String,
        /// How many.
        points: u64,
    },
}

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It has more points than [`crate::Limits`] allow.
    #[error("it has more points than are taken at once: ask for fewer series")]
    TooMany,
    /// It is a page.
    #[error("it is HTML, no JSON: something between answers, such as a page for logging in")]
    Page,
    /// It says what is wrong.
    #[error("it says: {0}")]
    Says(String),
    /// Anything else, in words for a person.
    #[error("{0}")]
    Other(String),
}

impl From<String> for Unusable {
    fn from(words: String) -> Self {
        Self::Other(words)
    }
}

impl From<&str> for Unusable {
    fn from(words: &str) -> Self {
        Self::Other(words.to_owned())
    }
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

impl Error {
    /// Whether a question for fewer points may be answered.
    #[must_use]
    pub fn is_too_much(&self) -> bool {
        match self {
            Self::Upstream(error) => matches!(error, Upstream::TooLarge { .. }),
            Self::Answer { reason, .. } => *reason == Unusable::TooMany,
            Self::Status { status, words, .. } => {
                // What a Prometheus says whose --query.max-samples is reached.
                *status == 413 || (*status == 422 && words.contains("too many samples"))
            }
            _ => false,
        }
    }

    /// Whether the answer did not come in time.
    #[must_use]
    pub const fn is_late(&self) -> bool {
        matches!(self, Self::Upstream(Upstream::Timeout { .. }) | Self::Status { status: 504, .. })
    }

    /// The same without the server's own words, if they hold what the server was asked with: some servers say it back.
    pub(crate) fn without_secrets(mut self, options: &Options) -> Self {
        match &mut self {
            Self::Status { words: said, .. } if options.has_secret_of(said) => {
                ": (its words hold a credential)".clone_into(said);
            }
            Self::Answer { reason, .. } if options.has_secret_of(&reason.to_string()) => {
                *reason = "its words hold a credential".into();
            }
            _ => {}
        }
        self
    }
}

/// What helps.
const fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "see that user and password_file, token_file or headers hold what it wants, and that it lets that one read"
        }
        404 | 405 => "see that url and uri lead to a Graphite or Prometheus, as kind says",
        300..=399 => "write where it really is into url",
        400 | 422 => "see that it understands the target",
        429 => "it is asked too often: raise every_seconds, or fetch more with one target",
        500..=599 => "its own log says why",
        _ => "see that the address, the path and the credentials are right",
    }
}

/// The beginning of what a server says, on one line; begins with a colon unless it is empty.
pub(crate) fn words(said: &str) -> String {
    let line: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if line.trim().is_empty() { String::new() } else { format!(": {}", line.trim()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_conf::secret::Secret;
    use skyline_upstream::Authorization;

    fn status(status: u16, words: &str) -> Error {
        Error::Status { server: "a".into(), status, words: words.into() }
    }

    #[test]
    fn each_says_what_to_do() {
        let check = |code, part: &str| {
            let text = status(code, ": no").to_string();
            assert!(
                text.starts_with(&format!("a: it answered {code}: no; ")) && text.contains(part),
                "{text}"
            );
        };
        check(401, "password_file");
        check(404, "url and uri");
        check(429, "every_seconds");
        check(503, "its own log");
        check(302, "into url");
        check(418, "the credentials are right");
    }

    #[test]
    fn what_a_shorter_question_helps_against() {
        let answer = |reason| Error::Answer { server: "a".into(), reason };
        let long = Upstream::TooLarge { server: "a".into(), limit: 1 };
        let late = Upstream::Timeout { server: "a".into(), what: "answer", limit: std::time::Duration::ZERO };
        for (error, too_much, is_late) in [
            (status(413, ""), true, false),
            (status(422, ": query processing would load too many samples into memory"), true, false),
            (status(422, ": parse error"), false, false),
            (status(504, ""), false, true),
            (answer(Unusable::TooMany), true, false),
            (answer(Unusable::Page), false, false),
            // Words that a server may say are no reason.
            (answer(Unusable::Says(Unusable::TooMany.to_string())), false, false),
            (long.into(), true, false),
            (late.into(), false, true),
        ] {
            assert_eq!((error.is_too_much(), error.is_late()), (too_much, is_late), "{error}");
        }
    }

    #[test]
    fn what_a_server_says_back_of_our_credentials_is_not_shown() {
        let mut options = Options::new("a", "http://a");
        options.authorization = Authorization::Basic("u".into(), Secret::new("hunter2"));
        let check = |said: &str, hidden: bool| {
            let text = status(401, said).without_secrets(&options).to_string();
            assert_eq!(
                (text.contains(said), text.contains("hold a credential")),
                (!hidden, hidden),
                "{text}"
            );
            for reason in [Unusable::Says(said.into()), said.into()] {
                let answer = Error::Answer { server: "a".into(), reason };
                assert_eq!(!answer.without_secrets(&options).to_string().contains(said), hidden);
            }
        };
        check(": no", false);
        check(": user u with hunter2 is nobody", true);
        check(": Basic dTpodW50ZXIy is nobody", true);
        check(": user u with hunte", true);
        check(": user u with hun", false);
    }
}
