//! Connections: looking up the name, TCP and TLS together have one time-out. And what went wrong, in our words.

use crate::error::Error;
use http::Uri;
use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

type BoxError = Box<dyn StdError + Send + Sync>;

/// A connector that gives up in time.
#[derive(Debug, Clone)]
pub(crate) struct Timed<C> {
    pub(crate) inner: C,
    pub(crate) limit: Duration,
}

/// No connection in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection in time")]
struct Late;

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
    C::Response: 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        Box::pin(async move {
            tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| Err(Box::new(Late)))
        })
    }
}

/// What went wrong before there was an answer.
pub(crate) fn explain(server: &str, limit: Duration, error: &hyper_util::client::legacy::Error) -> Error {
    let server = server.to_owned();
    if find::<Late>(error).is_some() {
        return Error::Timeout { server, what: "connection", limit };
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return Error::Tls { server, reason: tls.to_string(), advice: advice(tls) };
    }
    if error.is_connect() {
        return Error::Connect { server, reason: deepest(error) };
    }
    broken(server, error)
}

/// An answer that ended badly.
pub(crate) fn broken(server: String, error: &(dyn StdError + 'static)) -> Error {
    if let Some(tls) = find::<rustls::Error>(error) {
        return Error::Tls { server, reason: tls.to_string(), advice: advice(tls) };
    }
    Error::Broken { server, reason: deepest(error) }
}

const fn advice(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(C::UnknownIssuer) => {
            "name a file with the certificate of its authority (ca_file)"
        }
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "ask it by a name that its certificate holds"
        }
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "renew its certificate, and see that the clocks are right"
        }
        rustls::Error::InvalidCertificate(_) => "its certificate must be valid for the host that is asked",
        rustls::Error::AlertReceived(_) => {
            "it refused us: it may want a certificate of ours (certificate_file)"
        }
        _ => "see that TLS is spoken at that port",
    }
}

/// The first error of that kind in a chain. Those that an I/O error wraps are no sources of it.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| find::<T>(inner)) {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// The words of the last error of a chain: those before it only say who passed it on.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut at = error;
    while let Some(next) = at.source() {
        at = next;
    }
    at.to_string()
}
