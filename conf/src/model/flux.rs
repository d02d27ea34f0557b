//! `[flux]`: points over HTTP.

use crate::secret::{Credentials, Secret};
use serde::{Deserialize, Serialize};
use skyline_core::problem::Problem;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Shortest key that is taken, characters: those of the reference have 32.
pub const MIN_KEY: usize = 32;

/// Points over HTTP. Off without a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flux {
    /// Addresses (`FLUX_IP`, `FLUX_PORT`). Empty list: off.
    pub listen: Vec<SocketAddr>,
    /// Who may send.
    pub api_keys: Vec<ApiKey>,
    /// Connections of all addresses together.
    pub max_connections: u32,
    /// Longest body as it is sent, bytes.
    pub max_body_bytes: u32,
    /// Longest body once it is unpacked, bytes.
    pub max_unpacked_bytes: u32,
    /// Memory for the bodies of all requests in hand, bytes.
    pub memory_bytes: u64,
    /// The head of a request must have come whole within so long, seconds; so long a connection may rest, too.
    pub head_seconds: f64,
    /// A body must have come whole within so long, seconds.
    pub body_seconds: f64,
    /// A request waits so long for room in the journal, seconds.
    pub wait_seconds: f64,
    /// Older points are refused, seconds; 0: those older than the window.
    pub max_age_seconds: u32,
    /// How series of Prometheus are named.
    pub prometheus: Prometheus,
    /// How series of InfluxDB's line protocol are named.
    pub influx: Influx,
}

/// How series of Prometheus become names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prometheus {
    /// Name with `{label}` in the places of labels, `{*}` in that of all others; `__name__` is a label.
    pub template: String,
    /// What characters become that a part of a name cannot have.
    pub escape: Escape,
    /// Labels that are left out of `{*}`.
    pub drop_labels: Vec<String>,
}

/// How fields of InfluxDB's line protocol become names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Influx {
    /// The same of tags; `measurement` and `field` are labels too.
    pub template: String,
    /// What characters become that a part of a name cannot have.
    pub escape: Escape,
    /// Tags that are left out of `{*}`.
    pub drop_labels: Vec<String>,
}

/// What characters become that a part of a name cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Escape {
    /// `_`; values that differ in such characters only become one name.
    #[default]
    Underscore,
    /// `%` and two hexadecimal digits for each byte; nothing becomes one.
    Percent,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { template: "{__name__};{*}".into(), escape: Escape::Underscore, drop_labels: Vec::new() }
    }
}

impl Default for Influx {
    fn default() -> Self {
        let template = "{measurement}.{field};{*}".into();
        Self { template, escape: Escape::Underscore, drop_labels: Vec::new() }
    }
}

/// A key: whoever has it may send.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKey {
    /// What figures and logs call it.
    pub name: String,
    /// File whose first line is the key; empty: none.
    pub key_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub key_env: String,
    /// Stands in front of every name that it brings, with a dot between; empty: nothing.
    pub prefix: String,
    /// Points a second that it may send; 0: any number.
    pub points_per_second: f64,
    /// Points that may come at once; 0: those of ten seconds.
    pub burst_points: u64,
}

impl ApiKey {
    /// The key itself.
    ///
    /// # Errors
    /// What is named is not there, or is too short, or one that everybody knows.
    pub fn secret(&self) -> Result<Secret, Problem> {
        let name = self.name.escape_debug();
        let place = Credentials { user: "", file: &self.key_file, variable: &self.key_env };
        let key = place.password()?.ok_or_else(|| {
            Problem::new(format!("the key `{name}` is named nowhere"), "write key_file or key_env")
        })?;
        let advice = "make one with: openssl rand -hex 32";
        if key.reveal().chars().count() < MIN_KEY {
            let what = format!("the key `{name}` has fewer than {MIN_KEY} characters");
            return Err(Problem::new(what, advice));
        }
        if crate::placeholder::is_token(key.reveal()) {
            return Err(Problem::new(format!("the key `{name}` is that of an example"), advice));
        }
        if !key.reveal().bytes().all(|b| b.is_ascii_graphic()) {
            let what = format!("the key `{name}` has characters that a header cannot carry");
            return Err(Problem::new(what, advice));
        }
        Ok(key)
    }
}

impl Flux {
    /// Whether points are taken over HTTP at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.listen.is_empty() && !self.api_keys.is_empty()
    }
}

impl Default for Flux {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8000))],
            api_keys: Vec::new(),
            max_connections: 512,
            max_body_bytes: 4 << 20,
            max_unpacked_bytes: 16 << 20,
            memory_bytes: 128 << 20,
            head_seconds: 30.0,
            body_seconds: 10.0,
            wait_seconds: 2.0,
            max_age_seconds: 0,
            prometheus: Prometheus::default(),
            influx: Influx::default(),
        }
    }
}
