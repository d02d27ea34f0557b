//! How a server is asked.

use crate::breaker::Pauses;
use base64::Engine as _;
use skyline_conf::model::remote::Remote;
use skyline_conf::secret::Secret;
use skyline_core::problem::Problem;
use std::path::PathBuf;
use std::time::Duration;

/// User and password as they are sent, without the word before them.
pub(crate) fn basic(user: &str, password: &Secret) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.reveal()))
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Authorization {
    /// Nobody in particular.
    #[default]
    None,
    /// `Authorization: Basic …`.
    Basic(String, Secret),
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// `Authorization:` and this text.
    Verbatim(Secret),
}

/// Trust in the server, and the proof of who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// PEM file of the authorities; empty: those of the system.
    pub ca_file: PathBuf,
    /// PEM file with certificate and key of who asks; empty: none is shown.
    pub certificate_file: PathBuf,
    /// Any certificate is taken, for any host: no protection at all against who sits between.
    pub insecure: bool,
}

/// How a server is asked: everything that the settings say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// As errors and figures name it, such as `graphite`.
    pub name: String,
    /// Address with the prefix of every path. It may have a query only if all questions go to that one address.
    pub url: Secret,
    /// Headers of every question: names, and values that may be secrets.
    pub headers: Vec<(String, Secret)>,
    /// Who asks.
    pub authorization: Authorization,
    /// Trust.
    pub tls: Tls,
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the head of an answer, and between two pieces of its body.
    pub idle: Duration,
    /// For everything, from the question to the last byte.
    pub total: Duration,
    /// Longest body of an answer, bytes.
    pub max_body: usize,
    /// Questions at the same time; others wait, as long as their time-out lasts.
    pub concurrent: usize,
    /// Redirects that are followed; 0: they are answers as any other.
    pub redirects: u8,
    /// Hosts beside its own that a redirect may lead to. Credentials never go there.
    pub other_hosts: Vec<String>,
    /// When a server that fails is left alone.
    pub pauses: Pauses,
    /// Whether answers may be packed; [`crate::Whole`] is unpacked then.
    pub gzip: bool,
}

impl Options {
    /// The usual ones.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: Secret::new(url),
            headers: Vec::new(),
            authorization: Authorization::None,
            tls: Tls::default(),
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(10),
            total: Duration::from_secs(30),
            max_body: 4 << 20,
            concurrent: 16,
            redirects: 3,
            other_hosts: Vec::new(),
            pauses: Pauses::default(),
            gzip: false,
        }
    }

    /// Whether a text holds the password, the token or a header's value, as such or as it is sent, or ends with the beginning of
    /// one: it may have been cut. Secrets and beginnings of up to three characters would be found everywhere and are not looked
    /// for.
    #[must_use]
    pub fn has_secret_of(&self, text: &str) -> bool {
        let is_cut = |secret: &str| {
            let beginnings = (4..secret.len()).filter_map(|end| secret.get(..end));
            beginnings.into_iter().any(|beginning| text.trim_end().ends_with(beginning))
        };
        let holds = |secret: &str| secret.len() > 3 && (text.contains(secret) || is_cut(secret));
        let authorized = match &self.authorization {
            Authorization::None => false,
            Authorization::Basic(user, password) => holds(password.reveal()) || holds(&basic(user, password)),
            Authorization::Bearer(text) | Authorization::Verbatim(text) => holds(text.reveal()),
        };
        authorized || self.headers.iter().any(|(_, value)| holds(value.reveal()))
    }

    /// The usual ones for a server of the settings, with its headers, who asks, and trust.
    ///
    /// # Errors
    /// A secret is not where the settings say.
    pub fn of(name: impl Into<String>, remote: &Remote<'_>) -> Result<Self, Problem> {
        let mut options = Self::new(name, remote.url);
        for header in remote.headers {
            options.headers.push((header.name.clone(), header.secret()?));
        }
        let (user, password) = (remote.credentials.user, remote.credentials.password()?);
        options.authorization = match (remote.token.password()?, user) {
            (Some(token), _) => Authorization::Bearer(token),
            (None, "") => Authorization::None,
            (None, user) => {
                Authorization::Basic(user.to_owned(), password.unwrap_or_else(|| Secret::new("")))
            }
        };
        options.tls = Tls {
            ca_file: remote.ca_file.to_owned(),
            certificate_file: remote.certificate_file.to_owned(),
            insecure: remote.insecure,
        };
        Ok(options)
    }
}
