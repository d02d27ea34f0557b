//! Why Redis did not do what was asked, and what helps.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::error::Error as StdError;
use std::sync::Arc;

/// Redis did not do what was asked. No message holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not reachable, or no answer in time: ask again later.
    #[error("Redis does not answer: {0}")]
    Away(String),
    /// It answers, and will refuse until somebody changes something.
    #[error("{what}; {advice}")]
    Refused {
        /// What it refused.
        what: String,
        /// What to change.
        advice: String,
    },
    /// Its memory is full.
    #[error("Redis is full: {0}; raise its maxmemory, or write fewer windows to it")]
    Full(String),
    /// It is a replica: it takes no writes.
    #[error("Redis is a replica and takes no writes; name the master in redis.servers, or ask the sentinels")]
    ReadOnly,
    /// It reads its data from disk and will soon answer.
    #[error("Redis is loading its data")]
    Loading,
    /// This one command failed, for instance as the key holds something else.
    #[error("Redis refused a command: {0}")]
    Command(String),
}

impl Error {
    /// All labels of [`Self::label`].
    pub const LABELS: [&'static str; 6] = ["away", "refused", "full", "read_only", "loading", "command"];

    /// The `reason` label of counters.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::Refused { .. } => "refused",
            Self::Full(_) => "full",
            Self::ReadOnly => "read_only",
            Self::Loading => "loading",
            Self::Command(_) => "command",
        }
    }

    /// Whether all commands fail now, not only this one.
    #[must_use]
    pub const fn is_general(&self) -> bool {
        !matches!(self, Self::Command(_))
    }

    pub(super) fn refused(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), advice: advice.into() }
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io => of_io(&error),
            ErrorKind::AuthenticationFailed => Self::refused(
                "Redis does not take the password or the user",
                "check redis.user and the password that redis.password_file or redis.password_env gives",
            ),
            ErrorKind::ClusterConnectionNotFound => of_cluster(&error.to_string()),
            ErrorKind::Parse => Self::Away(error.to_string()),
            ErrorKind::InvalidClientConfig => {
                Self::refused(error.to_string(), "correct the settings of [redis]")
            }
            ErrorKind::UnexpectedReturnType | ErrorKind::Client => Self::Command(error.to_string()),
            _ => {
                // In a pipeline: the first that failed.
                let text = match error.clone().into_server_errors().as_deref() {
                    Some([(_, first), ..]) => {
                        format!("{} {}", first.code(), first.details().unwrap_or_default())
                    }
                    _ => format!("{} {}", error.code().unwrap_or("ERR"), error.detail().unwrap_or_default()),
                };
                of_server(text.trim(), &error)
            }
        }
    }
}

/// An error of the connection; those of TLS are for the operator.
fn of_io(error: &RedisError) -> Error {
    if error.is_timeout() {
        return Error::Away("no answer in time".to_owned());
    }
    let shared = error.source().and_then(|source| source.downcast_ref::<Arc<dyn StdError + Send + Sync>>());
    let tls = shared.and_then(|inner| inner.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref());
    tls.map_or_else(|| of_cluster(&error.to_string()), of_tls)
}

/// No node of a cluster is reached: the client tells why in words only.
fn of_cluster(text: &str) -> Error {
    let Some((_, why)) = text.split_once("invalid peer certificate: ") else {
        return Error::Away(text.to_owned());
    };
    let error = if why.starts_with("UnknownIssuer") {
        rustls::CertificateError::UnknownIssuer
    } else if why.contains("not valid for") || why.starts_with("NotValidForName") {
        rustls::CertificateError::NotValidForName
    } else {
        return Error::refused(
            format!("there is no TLS with Redis: {why}"),
            "give each node of the cluster a certificate that is valid",
        );
    };
    of_tls(&rustls::Error::InvalidCertificate(error))
}

fn of_tls(error: &rustls::Error) -> Error {
    let advice = match error {
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::NotValidForName
            | rustls::CertificateError::NotValidForNameContext { .. },
        ) => "write the name that is in its certificate in redis.servers",
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            "name the authority that signed its certificate in redis.ca_file"
        }
        // As `openssl req -x509` makes them: one that signs others may not be a server's.
        rustls::Error::InvalidCertificate(_) if error.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is that of an authority: make one with `-addext basicConstraints=CA:FALSE`, or let the \
             authority sign another for Redis, and name the authority's in redis.ca_file"
        }
        rustls::Error::InvalidCertificate(_) => "give Redis a certificate that is valid",
        rustls::Error::AlertReceived(_) => "name a certificate that it takes in redis.certificate_file",
        rustls::Error::InvalidMessage(_) => "write redis:// if its port has no TLS",
        _ => "check the TLS settings of Redis and of [redis]",
    };
    Error::refused(format!("there is no TLS with Redis: {error}"), advice)
}

/// What a server answered, its code first.
fn of_server(text: &str, error: &RedisError) -> Error {
    let (code, detail) = text.split_once(' ').unwrap_or((text, ""));
    match code {
        "OOM" => Error::Full(detail.trim_end_matches('.').to_owned()),
        "LOADING" => Error::Loading,
        "READONLY" => Error::ReadOnly,
        "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" | "NOREPLICAS" | "BUSY" | "UNBLOCKED" => {
            Error::Away(text.to_owned())
        }
        "NOAUTH" => Error::refused("Redis wants a password", "name one with redis.password_file"),
        "WRONGPASS" => Error::refused(
            "Redis does not take the password or the user",
            "check redis.user and the password file",
        ),
        "NOPERM" => Error::refused(
            format!("the user of Redis lacks rights: {detail}"),
            "give them with ACL SETUSER, both to the commands and to the keys of redis.namespace and redis.prefix",
        ),
        "MOVED" | "ASK" => Error::refused("this Redis is a node of a cluster", "set redis.kind to cluster"),
        "CROSSSLOT" => Error::Command("keys of several slots in one pipeline".to_owned()),
        "DENIED" => Error::refused(
            "Redis is in protected mode and takes no connections from outside",
            "set a password in Redis and name it with redis.password_file",
        ),
        "MISCONF" => Error::refused(
            format!("Redis takes no writes: {detail}"),
            "make room where it saves its data, or set stop-writes-on-bgsave-error to no",
        ),
        _ if detail.contains("cluster support disabled") => {
            Error::refused("this Redis is not a cluster", "set redis.kind to single")
        }
        _ if detail.contains("DB index") || error.to_string().contains("switch database") => Error::refused(
            format!("Redis has no such database: {detail}"),
            "set redis.database to one that it has (its setting `databases`)",
        ),
        "EXECABORT" if detail.contains("OOM") => Error::Full(detail.trim_end_matches('.').to_owned()),
        _ => Error::Command(text.to_owned()),
    }
}

/// Whether the connection is of no use after this error.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::AuthenticationFailed
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::Parse
        // Another is master now, and the sentinels know it.
        | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => true,
        _ => error.code() == Some("NOAUTH"),
    }
}
