//! `[render_proxy]`: Graphite's render questions, answered by Graphite or from the windows.

use crate::secret::Credentials;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The proxy in front of the Graphite servers. Off without an address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RenderProxy {
    /// Addresses of `/render` and `/metrics/find`. Empty list: off.
    pub addresses: Vec<SocketAddr>,
    /// User who may ask; empty: none is asked for.
    pub user: String,
    /// File whose first line is the password; empty: none.
    pub password_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub password_env: String,
    /// File whose first line is a token that may ask instead; empty: none.
    pub token_file: PathBuf,
    /// Variable of the environment that holds it; empty: none.
    pub token_env: String,
    /// Whether everybody who reaches an address may ask.
    pub open_to_all: bool,
    /// Whether `Authorization` and `Cookie` of who asks go on to Graphite.
    pub pass_credentials: bool,
    /// Questions at the same time; more are refused.
    pub max_concurrent: u32,
    /// Longest body of a question, bytes.
    pub max_request_bytes: u32,
    /// Answers are given again for so long, seconds; 0: never.
    pub cache_seconds: f64,
    /// Memory for them, bytes.
    pub cache_bytes: u64,
    /// A window answers when Graphite has not answered after so long, seconds.
    pub patience_seconds: f64,
    /// A window answers when Graphite's newest point is so much older than its own, seconds; 0: never.
    pub behind_seconds: f64,
    /// What links to graphs have besides times, target and title (`GRAPHITE_GRAPH_SETTINGS`).
    pub graph_settings: String,
    /// Colours of graphs that are drawn here.
    pub look: Look,
    /// Zone of their time axis unless the question names one.
    pub zone: String,
}

/// Colours of graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// Black.
    #[default]
    Dark,
    /// White.
    Light,
}

impl RenderProxy {
    /// Whether there is a proxy at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// User and password of who asks.
    #[must_use]
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials { user: &self.user, file: &self.password_file, variable: &self.password_env }
    }

    /// Where the token is.
    #[must_use]
    pub fn token(&self) -> Credentials<'_> {
        Credentials { user: "", file: &self.token_file, variable: &self.token_env }
    }

    /// Whether something is asked for.
    #[must_use]
    pub fn has_access_control(&self) -> bool {
        !self.user.is_empty() || !self.token_file.as_os_str().is_empty() || !self.token_env.is_empty()
    }
}

impl Default for RenderProxy {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            password_env: String::new(),
            token_file: PathBuf::new(),
            token_env: String::new(),
            open_to_all: false,
            pass_credentials: false,
            max_concurrent: 64,
            max_request_bytes: 256 << 10,
            cache_seconds: 10.0,
            cache_bytes: 16 << 20,
            patience_seconds: 0.2,
            behind_seconds: 180.0,
            graph_settings: "&width=588&height=308&bgcolor=000000&fontBold=true&fgcolor=C0C0C0".into(),
            look: Look::Dark,
            zone: "UTC".into(),
        }
    }
}
