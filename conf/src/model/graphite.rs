//! `[graphite]`: the Graphite servers that render.

use super::remote::Remote;
use crate::secret::{Credentials, Secret};
use serde::{Deserialize, Serialize};
use skyline_core::problem::Problem;
use std::path::PathBuf;

/// The Graphite servers that render, in the order in which they are asked. None: there is none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Graphite {
    /// The servers.
    pub server: Vec<Server>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// As logs and figures name it; empty: its host.
    pub name: String,
    /// `http://HOST:PORT` or `https://…`, with the prefix of its paths.
    pub url: String,
    /// Path of its `render` behind the address (`GRAPHITE_RENDER_URI`).
    pub render_path: String,
    /// Headers of every question (`GRAPHITE_CUSTOM_HEADERS`).
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
    /// For a connection, seconds (`GRAPHITE_CONNECT_TIMEOUT`).
    pub connect_timeout_seconds: f64,
    /// For the head of an answer, and between two pieces of its body, seconds (`GRAPHITE_READ_TIMEOUT`).
    pub read_timeout_seconds: f64,
    /// For a whole answer, seconds.
    pub total_timeout_seconds: f64,
    /// Longest body of an answer, bytes.
    pub max_body_bytes: u64,
    /// Questions at the same time.
    pub max_concurrent: u32,
}

/// A header with its value, or where the value is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// File whose first line is the value; empty: none.
    pub value_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub value_env: String,
}

impl Header {
    /// Its value, wherever it is.
    ///
    /// # Errors
    /// It is not where the settings say.
    pub fn secret(&self) -> Result<Secret, Problem> {
        let place = Credentials { user: "", file: &self.value_file, variable: &self.value_env };
        Ok(place.password()?.unwrap_or_else(|| Secret::new(self.value.clone())))
    }
}

impl Server {
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

    /// What it is called in logs and figures.
    #[must_use]
    pub fn label(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        // A password that somebody wrote there may have slashes.
        let rest = rest.rsplit('@').next().unwrap_or_default();
        rest.split(['/', '?']).next().unwrap_or_default().to_owned()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            render_path: "render".into(),
            headers: Vec::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            password_env: String::new(),
            token_file: PathBuf::new(),
            token_env: String::new(),
            ca_file: PathBuf::new(),
            certificate_file: PathBuf::new(),
            insecure: false,
            connect_timeout_seconds: 5.0,
            read_timeout_seconds: 10.0,
            total_timeout_seconds: 60.0,
            max_body_bytes: 64 << 20,
            max_concurrent: 16,
        }
    }
}
