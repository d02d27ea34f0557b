//! `[alerting.email]`: messages by email.

use crate::secret::Credentials;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Messages by email. Off without a sender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Email {
    /// Address that they come from; empty: off.
    pub sender: String,
    /// Name that mail clients show for it; empty: the address.
    pub sender_name: String,
    /// Who gets what no rule gives to anybody else.
    pub default_recipients: Vec<String>,
    /// Mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// PEM file of the authorities of the server's certificate; empty: those of the system.
    pub ca_file: PathBuf,
    /// Who logs in; empty: nobody.
    pub user: String,
    /// File whose first line is the password; empty: none.
    pub password_file: PathBuf,
    /// Variable of the environment that holds the password; empty: none.
    pub password_env: String,
    /// What this machine calls itself to the server; empty: its host name.
    pub hello_name: String,
    /// Connecting, and each answer of the server, take so long at most, seconds.
    pub timeout_seconds: f64,
    /// Charts are part of messages.
    pub pictures: bool,
}

/// How a connection to a mail server is encrypted. None of these falls back to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Not at all.
    #[default]
    None,
    /// By the command STARTTLS, which the server must offer.
    Starttls,
    /// From the first byte.
    Tls,
}

impl Email {
    /// Whether messages go by email.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.sender.is_empty()
    }

    /// User and password of the server.
    #[must_use]
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials { user: &self.user, file: &self.password_file, variable: &self.password_env }
    }
}

impl Default for Email {
    fn default() -> Self {
        Self {
            sender: String::new(),
            sender_name: "Skyline".into(),
            default_recipients: Vec::new(),
            host: "127.0.0.1".into(),
            port: 25,
            tls: Tls::None,
            ca_file: PathBuf::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            password_env: String::new(),
            hello_name: String::new(),
            timeout_seconds: 30.0,
            pictures: true,
        }
    }
}
