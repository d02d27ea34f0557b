//! The way to the mail server: connections that are kept for the next mail, and what its answers mean.
//!
//! The steps of a mail are ours, the protocol is lettre's: its own pool would take back a connection in the middle of
//! a step that was given up, and the next mail would read the answer to the last.

use super::mail::Mail;
use crate::channel::bounded::Bounded;
use crate::text::name;
use lettre::address::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as From, Noop, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use skyline_conf::model::alerting::email::{Email as Settings, Tls};
use skyline_conf::secret::Secret;
use skyline_core::problem::Problem;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// An idle connection is used again for so long: less than any server waits.
const KEPT: Duration = Duration::from_secs(60);
/// One that has been idle for longer than this is asked whether it still works.
const FRESH: Duration = Duration::from_secs(1);
/// For so long.
const ASKING: Duration = Duration::from_secs(2);
/// Connections that are kept.
const MOST_KEPT: usize = 4;
/// The answer to a whole mail may take so many times the time-out: servers look for viruses then, and a mail that is
/// given up may still arrive.
const LAST_STEP: u32 = 4;
/// The step that tells the server who sends.
const SENDER: &str = "MAIL FROM";
/// Answers to any step that are about our login: RFC 4954, section 6.
const LOGIN: [u16; 4] = [530, 534, 535, 538];
/// Longest answer of a server with what belongs to it on the wire (certificates too), bytes: lettre reads a line to its end
/// before it looks how long it is.
const ANSWER: usize = 256 << 10;
/// Longest text of a server that is repeated, characters.
const WORDS: usize = 300;

/// Why a mail was not taken.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing that does not pass.
    Passing,
    /// Our login or our sender: no mail is taken until somebody mends that.
    Channel,
    /// This mail or its recipient.
    Mail,
}

/// A connection to the server, logged in.
pub(super) struct Connection {
    inner: AsyncSmtpConnection,
    is_kept: bool,
}

/// The way to the server.
pub(super) struct Post {
    host: String,
    port: u16,
    tls: Tls,
    trust: TlsParameters,
    hello: ClientId,
    login: Option<(String, Secret)>,
    timeout: Duration,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Post {
    pub(super) fn new(settings: &Settings) -> Result<Self, Problem> {
        let mut trust = TlsParameters::builder(settings.host.clone());
        if settings.tls == Tls::None {
            // Never used; reading the system's authorities would be for nothing.
            trust = trust.certificate_store(CertificateStore::None);
        } else if !settings.ca_file.as_os_str().is_empty() {
            let shown = settings.ca_file.display();
            let wrong = |error: &dyn fmt::Display| {
                Problem::new(
                    format!("alerting.email.ca_file {shown}: {error}"),
                    "name a PEM file of authorities",
                )
            };
            let pem = std::fs::read(&settings.ca_file).map_err(|error| wrong(&error))?;
            let authority = Certificate::from_pem(&pem).map_err(|error| wrong(&chain(&error)))?;
            trust = trust.certificate_store(CertificateStore::None).add_root_certificate(authority);
        }
        let trust = trust.build().map_err(|error| {
            Problem::new(format!("TLS for {}: {}", settings.host, chain(&error)), "check alerting.email.host")
        })?;
        let password = settings.credentials().password()?;
        let hello = settings.hello_name.clone();
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            tls: settings.tls,
            trust,
            hello: if hello.is_empty() { ClientId::default() } else { ClientId::Domain(hello) },
            login: password.filter(|_| !settings.user.is_empty()).map(|word| (settings.user.clone(), word)),
            timeout: Duration::from_secs_f64(settings.timeout_seconds),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// The longest time that a connection and a mail take: kept connections are asked, one that was closed in between is
    /// opened anew, and each has three steps before the last.
    pub(super) fn longest(&self) -> Duration {
        ASKING * (MOST_KEPT as u32 + 1) + self.timeout * (2 * (1 + 3) + LAST_STEP)
    }

    /// A connection for the next mail: a kept one, or a new one.
    pub(super) async fn connection(&self) -> Result<Connection, Failure> {
        match self.kept().await {
            Some(kept) => Ok(Connection { inner: kept, is_kept: true }),
            None => Ok(Connection { inner: self.open().await?, is_kept: false }),
        }
    }

    /// Hands a mail to the server: its answer.
    pub(super) async fn send(&self, connection: Connection, mail: &Mail) -> Result<String, Failure> {
        let Connection { mut inner, is_kept } = connection;
        match self.begin(&mut inner, mail).await {
            Ok(()) => return self.finish(inner, mail).await,
            // The server has answered: it stands.
            Err((failure, true)) => return Err(self.put_back(inner, failure).await),
            Err((failure, false)) if !is_kept => return Err(failure),
            // It had closed the connection meanwhile, or it had stopped: nothing was said yet.
            Err((_, false)) => {}
        }
        let mut fresh = self.open().await?;
        match self.begin(&mut fresh, mail).await {
            Ok(()) => self.finish(fresh, mail).await,
            Err((failure, true)) => Err(self.put_back(fresh, failure).await),
            Err((failure, false)) => Err(failure),
        }
    }

    /// A kept connection that works.
    async fn kept(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let (mut connection, since) = self.lock().pop()?;
            let idle = since.elapsed();
            if idle > KEPT {
                continue;
            }
            if idle < FRESH {
                return Some(connection);
            }
            if let Ok(Ok(_)) = tokio::time::timeout(ASKING, connection.command(Noop)).await {
                return Some(connection);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(AsyncSmtpConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.lock();
        idle.retain(|(_, since)| since.elapsed() < KEPT);
        if idle.len() < MOST_KEPT {
            idle.push((connection, Instant::now()));
        }
    }

    /// After an answer that refuses: the connection is good for another mail, if the server says so.
    async fn put_back(&self, mut connection: AsyncSmtpConnection, failure: Failure) -> Failure {
        if let Ok(Ok(_)) = tokio::time::timeout(ASKING, connection.command(Rset)).await {
            self.keep(connection);
        }
        failure
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Failure> {
        let opening = async {
            // A greeting that refuses may be another one in a minute.
            let mut connection = self.greeted().await?;
            if self.tls == Tls::Starttls {
                if !connection.can_starttls() {
                    let reason = format!(
                        "{} offers no STARTTLS; set alerting.email.tls to what it offers",
                        self.server()
                    );
                    return Err(Failure { reason, fault: Fault::Channel });
                }
                let begun = connection.starttls(self.trust.clone(), &self.hello).await;
                begun.map_err(|error| self.passing("STARTTLS", &error))?;
            }
            if let Some((user, password)) = &self.login {
                let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
                let answer = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
                answer.map_err(|error| self.login_failed(&error))?;
            }
            Ok(connection)
        };
        self.within(self.timeout, "connecting", opening).await
    }

    /// A connection whose server has greeted.
    async fn greeted(&self) -> Result<AsyncSmtpConnection, Failure> {
        let server = (self.host.as_str(), self.port);
        let failed = |error: &Error| self.passing("connecting", error);
        if self.tls == Tls::Tls {
            // Bounded by trust: who greets has shown the server's certificate.
            let trust = Some(self.trust.clone());
            let connecting =
                AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &self.hello, trust, None);
            return connecting.await.map_err(|error| failed(&error));
        }
        let stream = TcpStream::connect(server).await.map_err(|error| {
            let reason = format!("{}: connecting: {}", self.server(), chain(&error));
            Failure { reason, fault: Fault::Passing }
        })?;
        let stream = Box::new(Bounded::new(stream, ANSWER));
        let connecting = AsyncSmtpConnection::connect_with_transport(stream, &self.hello);
        connecting.await.map_err(|error| failed(&error))
    }

    /// Sender and recipient. The failure says whether it is the server's answer.
    async fn begin(&self, connection: &mut AsyncSmtpConnection, mail: &Mail) -> Result<(), (Failure, bool)> {
        let mut parameters = Vec::new();
        let offers = |extension| connection.server_info().supports_feature(extension);
        let is_ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
        if !mail.envelope.from().into_iter().chain(mail.envelope.to()).all(is_ascii) {
            if !offers(Extension::SmtpUtfEight) {
                let reason = format!("{} takes addresses of ASCII letters only", self.server());
                return Err((Failure { reason, fault: Fault::Mail }, true));
            }
            parameters.push(MailParameter::SmtpUtfEight);
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let from = From::new(mail.envelope.from().cloned(), parameters);
        self.step(connection, SENDER, from).await?;
        for recipient in mail.envelope.to() {
            self.step(connection, "RCPT TO", Rcpt::new(recipient.clone(), Vec::new())).await?;
        }
        self.step(connection, "DATA", Data).await
    }

    async fn step(
        &self,
        connection: &mut AsyncSmtpConnection,
        step: &'static str,
        command: impl fmt::Display + Send,
    ) -> Result<(), (Failure, bool)> {
        match tokio::time::timeout(self.timeout, connection.command(command)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let failure = self.answered(step, &error);
                let fault = match failure.fault {
                    // The sender is the same for every mail.
                    Fault::Mail if step == SENDER => Fault::Channel,
                    fault => fault,
                };
                Err((Failure { fault, ..failure }, error.status().is_some()))
            }
            Err(_) => Err((self.too_slow(step, self.timeout), false)),
        }
    }

    /// The mail itself.
    async fn finish(&self, mut connection: AsyncSmtpConnection, mail: &Mail) -> Result<String, Failure> {
        let limit = self.timeout * LAST_STEP;
        let sent = tokio::time::timeout(limit, connection.message(&mail.bytes)).await;
        match sent {
            Ok(Ok(answer)) => {
                self.keep(connection);
                Ok(said(&answer))
            }
            Ok(Err(error)) => {
                let failure = self.answered("the end of the mail", &error);
                if error.status().is_some() {
                    self.keep(connection);
                }
                Err(failure)
            }
            Err(_) => Err(self.too_slow("the end of the mail", limit)),
        }
    }

    async fn within<T>(
        &self,
        limit: Duration,
        step: &str,
        work: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(limit, work).await {
            Ok(done) => done,
            Err(_) => Err(self.too_slow(step, limit)),
        }
    }

    fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn too_slow(&self, step: &str, limit: Duration) -> Failure {
        let reason = format!("{}: no answer to {step} within {} s", self.server(), limit.as_secs_f64());
        Failure { reason, fault: Fault::Passing }
    }

    /// A failure that says nothing of the mail.
    fn passing(&self, step: &str, error: &Error) -> Failure {
        let text = chain(error);
        let advice = if text.contains("UnknownIssuer") {
            "; name the PEM file of its authority in alerting.email.ca_file"
        } else if text.contains("NotValidForName") {
            "; set alerting.email.host to a name that its certificate has"
        } else {
            ""
        };
        Failure { reason: format!("{}: {step}: {text}{advice}", self.server()), fault: Fault::Passing }
    }

    fn answered(&self, step: &str, error: &Error) -> Failure {
        let fault = match error.status().map(u16::from) {
            Some(code) if LOGIN.contains(&code) => Fault::Channel,
            _ if error.is_permanent() => Fault::Mail,
            _ => Fault::Passing,
        };
        Failure { fault, ..self.passing(step, error) }
    }

    fn login_failed(&self, error: &Error) -> Failure {
        let failure = self.answered("login", error);
        let reason = format!("{}; check alerting.email.user and its password", failure.reason);
        let is_ours = failure.fault != Fault::Passing || error.is_client();
        Failure { fault: if is_ours { Fault::Channel } else { Fault::Passing }, reason }
    }
}

/// What a server said, on one line.
fn said(answer: &Response) -> String {
    let text: Vec<&str> = answer.message().collect();
    words(&format!("{} {}", answer.code(), text.join(" ")))
}

/// An error with what caused it, on one line. What it repeats is from outside.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    words(&text)
}

fn words(text: &str) -> String {
    name::shortened(&name::literal(text), WORDS)
}
