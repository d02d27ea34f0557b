//! `[[alerting.webhook]]`: requests to other servers.

use crate::secret::{Credentials, Secret};
use serde::{Deserialize, Serialize};
use skyline_core::problem::Problem;
use std::path::{Path, PathBuf};

/// A webhook; a channel by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// What rules call it.
    pub name: String,
    /// Where requests go; empty: where the next two say.
    pub url: String,
    /// File whose first line is that address, if it is a secret; empty: none.
    pub url_file: PathBuf,
    /// Variable of the environment that holds the address; empty: none.
    pub url_env: String,
    /// File of the JSON that is sent, with places for what a message says; empty: everything about the message.
    pub template: PathBuf,
    /// Headers of each request, as `NAME: VALUE`.
    pub headers: Vec<String>,
    /// File of headers that are secrets, one a line; empty: none.
    pub headers_file: PathBuf,
    /// Variable of the environment that holds such a header; empty: none.
    pub headers_env: String,
    /// File whose first line is the secret that requests are signed with; empty: none.
    pub secret_file: PathBuf,
    /// Variable of the environment that holds that secret; empty: none.
    pub secret_env: String,
    /// PEM file of the authorities of the server's certificate; empty: those of the system.
    pub ca_file: PathBuf,
    /// A request takes so long at most, seconds.
    pub timeout_seconds: f64,
}

impl Webhook {
    /// Where requests go.
    ///
    /// # Errors
    /// What is named is not there.
    pub fn address(&self) -> Result<Secret, Problem> {
        if !self.url.is_empty() {
            return Ok(Secret::new(&self.url));
        }
        let address = self.secret_of(&self.url_file, &self.url_env)?;
        address.ok_or_else(|| {
            let what = format!("the webhook `{}` has no address", self.name.escape_debug());
            Problem::new(what, "write url, url_file or url_env")
        })
    }

    /// What requests are signed with.
    ///
    /// # Errors
    /// What is named is not there.
    pub fn secret(&self) -> Result<Option<Secret>, Problem> {
        self.secret_of(&self.secret_file, &self.secret_env)
    }

    /// Headers of each request: names and values.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is no header.
    pub fn all_headers(&self) -> Result<Vec<(String, Secret)>, Problem> {
        let mut lines: Vec<String> = self.headers.clone();
        if !self.headers_file.as_os_str().is_empty() {
            let text = crate::bounded::read(&self.headers_file).map_err(|error| {
                let what =
                    format!("the file of headers {} cannot be read: {error}", self.headers_file.display());
                Problem::new(what, "give it to the user that runs the node")
            })?;
            lines.extend(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        }
        if let Some(line) = self.secret_of(Path::new(""), &self.headers_env)? {
            lines.push(line.reveal().to_owned());
        }
        let header = |line: &String| {
            let (name, value) = line.split_once(':')?;
            let name = name.trim();
            let is_name =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            is_name.then(|| (name.to_owned(), Secret::new(value.trim())))
        };
        let all: Option<Vec<_>> = lines.iter().map(header).collect();
        all.ok_or_else(|| {
            let what = format!("a header of the webhook `{}` is none", self.name.escape_debug());
            Problem::new(what, "write each as NAME: VALUE")
        })
    }

    fn secret_of(&self, file: &Path, variable: &str) -> Result<Option<Secret>, Problem> {
        Credentials { user: "", file, variable }.password()
    }
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            url_file: PathBuf::new(),
            url_env: String::new(),
            template: PathBuf::new(),
            headers: Vec::new(),
            headers_file: PathBuf::new(),
            headers_env: String::new(),
            secret_file: PathBuf::new(),
            secret_env: String::new(),
            ca_file: PathBuf::new(),
            timeout_seconds: 10.0,
        }
    }
}
