//! `[vista]`: points that the node fetches from other servers.

pub mod span;
pub mod template;

use super::graphite::Header;
use super::remote::Remote;
use crate::secret::Credentials;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is fetched, and how much at the same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vista {
    /// Whether anything is (`VISTA_ENABLED`).
    pub enabled: bool,
    /// Questions at the same time (`VISTA_FETCHER_PROCESSES`).
    pub concurrency: u32,
    /// Of these, to one host.
    pub per_host: u32,
    /// A run of a job begins no further question after so long, seconds (`VISTA_FETCHER_PROCESS_MAX_RUNTIME`).
    pub run_timeout_seconds: f64,
    /// Whether points of the minute that is still filling wait for the next run (`VISTA_DO_NOT_SUBMIT_CURRENT_MINUTE`).
    pub skip_current_minute: bool,
    /// Points that are older when they are fetched are history: never judged. Seconds.
    pub live_seconds: u32,
    /// Points may appear at the server so much later than their time, seconds.
    pub late_seconds: u32,
    /// The jobs (`VISTA_FETCH_METRICS`).
    pub fetch: Vec<Fetch>,
}

impl Default for Vista {
    fn default() -> Self {
        Self {
            enabled: false,
            concurrency: 8,
            per_host: 2,
            run_timeout_seconds: 50.0,
            skip_current_minute: true,
            live_seconds: 300,
            late_seconds: 300,
            fetch: Vec::new(),
        }
    }
}

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `render` of Graphite.
    #[default]
    Graphite,
    /// `query_range` of Prometheus.
    Prometheus,
}

impl Kind {
    /// As the settings write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Graphite => "graphite",
            Self::Prometheus => "prometheus",
        }
    }
}

/// A job: one expression of one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fetch {
    /// As logs, figures and the file of its cursor name it.
    pub name: String,
    /// `http://HOST:PORT` or `https://…`, with the prefix of its paths.
    pub url: String,
    /// What the server speaks.
    pub kind: Kind,
    /// From one fetch to the next, seconds.
    pub every_seconds: u32,
    /// A metric, or an expression in the server's language.
    pub target: String,
    /// Name to store under, with `{…}` where the expression gives several series: see [`template`].
    pub store_as: String,
    /// Path behind the address; empty: `/render`, or `/api/v1/query_range`.
    pub uri: String,
    /// Prometheus: seconds between two points.
    pub step_seconds: u32,
    /// How far back the first fetch reaches, coarse to fine: `90days`, `24hours`. Empty: only what is live.
    pub history: Vec<String>,
    /// Headers of every question.
    pub headers: Vec<Header>,
    /// User of HTTP basic authentication; empty: none.
    pub user: String,
    /// File whose first line is the password; empty: none.
    pub password_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub password_env: String,
    /// File whose first line is a bearer token; empty: none.
    pub token_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub token_env: String,
    /// PEM file of the authorities for `https://`; empty: those of the system.
    pub ca_file: PathBuf,
    /// PEM file with the node's certificate and key for `https://`; empty: none is shown.
    pub certificate_file: PathBuf,
    /// Whether any certificate is taken, for any host.
    pub insecure: bool,
    /// For a whole answer, seconds.
    pub timeout_seconds: f64,
    /// Longest body of an answer, bytes.
    pub max_body_bytes: u64,
    /// Most series of an answer.
    pub max_series: u32,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            kind: Kind::Graphite,
            every_seconds: 60,
            target: String::new(),
            store_as: String::new(),
            uri: String::new(),
            step_seconds: 60,
            history: Vec::new(),
            headers: Vec::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            password_env: String::new(),
            token_file: PathBuf::new(),
            token_env: String::new(),
            ca_file: PathBuf::new(),
            certificate_file: PathBuf::new(),
            insecure: false,
            timeout_seconds: 30.0,
            max_body_bytes: 64 << 20,
            max_series: 1_000,
        }
    }
}

impl Fetch {
    /// User and password.
    #[must_use]
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials { user: &self.user, file: &self.password_file, variable: &self.password_env }
    }

    /// Where the bearer token is.
    #[must_use]
    pub fn token(&self) -> Credentials<'_> {
        Credentials { user: "", file: &self.token_file, variable: &self.token_env }
    }

    /// Where it is, who asks, and whom that one believes.
    #[must_use]
    pub fn remote(&self) -> Remote<'_> {
        Remote {
            url: &self.url,
            headers: &self.headers,
            credentials: self.credentials(),
            token: self.token(),
            ca_file: &self.ca_file,
            certificate_file: &self.certificate_file,
            insecure: self.insecure,
        }
    }

    /// The history in seconds; what is no span is left out (the check names it).
    #[must_use]
    pub fn history_seconds(&self) -> Vec<i64> {
        self.history.iter().filter_map(|text| span::seconds(text)).collect()
    }
}
