//! One server, and how it is asked.

use crate::address::Address;
use crate::answer::{Opened, Whole};
use crate::ask::Ask;
use crate::body::{Body, Bounds};
use crate::breaker::{Breaker, Trial};
use crate::connect::{Timed, explain};
use crate::error::Error;
use crate::figures::{Figures, Health};
use crate::headers::headers;
use crate::options::Options;
use crate::retry_after::retry_after;
use crate::{redirect, tls};
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use skyline_core::clock::Clock;
use skyline_core::problem::Problem;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that nobody uses are kept for so long: below the limits of common servers.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);
/// Longest head of an answer, bytes.
const MAX_HEAD: usize = 64 << 10;

type Connector = Timed<HttpsConnector<HttpConnector>>;

/// One server. A copy shares its connections, places, breaker and figures.
#[derive(Debug, Clone)]
pub struct Client {
    options: Arc<Options>,
    base: Address,
    headers: HeaderMap,
    pool: Pool<Connector, Full<Bytes>>,
    places: Arc<Semaphore>,
    shared: Arc<Shared>,
}

/// What bodies under way still need of their client.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Name and address, as errors show it.
    pub(crate) shown: String,
    pub(crate) figures: Figures,
    breaker: Arc<Breaker>,
    /// Until when the server wants to be left alone.
    wish: Mutex<Option<Instant>>,
    /// Whether it was said that nobody knows who answers, or need not be.
    trust_told: AtomicBool,
}

impl Shared {
    pub(crate) fn failed(&self, error: &Error, trial: Option<Trial>) {
        let now = Instant::now();
        self.figures.failed(error, now);
        let Some(trial) = trial else { return };
        if !error.kind().is_servers() {
            return;
        }
        if trial.failed(now, error.kind().name()) {
            self.figures.rests();
            tracing::warn!(%error, server = self.shown, "a server is left alone for a while");
        }
    }
}

impl Client {
    /// A client for the server of `options`. Nothing is sent yet.
    ///
    /// # Errors
    /// An address, header or file that is of no use.
    pub fn new(options: Options) -> Result<Self, Problem> {
        let name = &options.name;
        let base = Address::parse(options.url.reveal()).map_err(|error| {
            Problem::new(
                format!("{name}: its address is of no use: {error}"),
                "write it as https://HOST:PORT/PATH",
            )
        })?;
        let config = tls::config(&options.tls, base.secure)
            .map_err(|problem| Problem::new(format!("{name}: {}", problem.what), problem.advice))?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        let connector = Timed { inner: https.wrap_connector(tcp), limit: options.connect };
        let pool = Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(options.concurrent.min(32))
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        let origin = base.to_string();
        // A server without a name of its own is called by its address, which need not be there twice.
        let is_address = origin.split_once("://").is_some_and(|(_, authority)| authority == name);
        let shown = if is_address { origin } else { format!("{name} ({origin})") };
        let breaker = Arc::new(Breaker::new(options.pauses, Instant::now()));
        Ok(Self {
            headers: headers(&options)?,
            places: Arc::new(Semaphore::new(options.concurrent.max(1))),
            shared: Arc::new(Shared {
                shown,
                figures: Figures::default(),
                breaker,
                wish: Mutex::default(),
                trust_told: AtomicBool::new(
                    !options.tls.insecure || (!base.secure && options.redirects == 0),
                ),
            }),
            options: Arc::new(options),
            base,
            pool,
        })
    }

    /// The settings of it.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Its address. Printed without path and query.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.base
    }

    /// Name and address, as errors show it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shared.shown
    }

    /// Whether a question asked now would be sent: it does not rest, and a place is free.
    #[must_use]
    pub fn is_willing(&self) -> bool {
        self.places.available_permits() > 0 && self.shared.breaker.lets_through(Instant::now())
    }

    /// For how long the server wants to be left alone, by the `Retry-After` of its last answer, if that was a 429 or 503.
    /// Who asks decides what to make of it: questions are let through.
    #[must_use]
    pub fn wishes_rest(&self) -> Option<Duration> {
        let until = (*self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(until.saturating_duration_since(Instant::now())).filter(|wish| !wish.is_zero())
    }

    /// How it does.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            name: self.options.name.clone(),
            address: self.base.to_string(),
            state: self.shared.breaker.state(),
            insecure: self.options.tls.insecure,
            in_hand: self.options.concurrent.max(1).saturating_sub(self.places.available_permits()),
            ..self.shared.figures.health(Instant::now())
        }
    }

    /// Asks and reads the whole answer. Any status is an answer.
    ///
    /// # Errors
    /// There is none.
    pub async fn ask(&self, ask: Ask) -> Result<Whole, Error> {
        self.open(ask).await?.whole().await
    }

    /// Asks; the body comes as it comes.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn open(&self, ask: Ask) -> Result<Opened, Error> {
        let now = Instant::now();
        let total = ask.total.unwrap_or(self.options.total);
        let end = now + total;
        let trial = match self.shared.breaker.enter(now, ask.insist) {
            Ok(trial) => trial,
            Err(rest) => {
                let server = self.server();
                let error =
                    Error::Resting { server, failures: rest.failures, last: rest.last, again: rest.again };
                self.shared.failed(&error, None);
                return Err(error);
            }
        };
        let waiting = tokio::time::timeout_at(end.into(), Arc::clone(&self.places).acquire_owned());
        let Ok(Ok(place)) = waiting.await else {
            let error = Error::Busy { server: self.server(), concurrent: self.options.concurrent };
            self.shared.failed(&error, None);
            return Err(error);
        };
        self.shared.figures.asked();
        // At the first question: many a client is made only to see whether the settings are of use.
        if !self.shared.trust_told.swap(true, Relaxed) {
            tracing::warn!(
                server = self.shared.shown,
                "certificates of this server are not checked: anybody may answer in its place"
            );
        }
        let bytes = ask.max_body.unwrap_or(self.options.max_body);
        let bounds = Bounds { bytes, idle: self.options.idle, total, end: end.into() };
        match Box::pin(self.follow(ask, &bounds)).await {
            Ok(response) => self.opened(response, bounds, trial, place, now),
            Err(error) => {
                self.shared.failed(&error, Some(trial));
                Err(error)
            }
        }
    }

    fn server(&self) -> String {
        self.shared.shown.clone()
    }

    fn opened(
        &self,
        response: Response<Incoming>,
        bounds: Bounds,
        trial: Trial,
        place: OwnedSemaphorePermit,
        asked: Instant,
    ) -> Result<Opened, Error> {
        let (head, body) = response.into_parts();
        let now = Instant::now();
        self.shared.figures.answered(head.status.as_u16(), now, now.saturating_duration_since(asked));
        let wish = matches!(head.status.as_u16(), 429 | 503)
            .then(|| retry_after(&head.headers, Clock::system().now()))
            .flatten();
        *self.shared.wish.lock().unwrap_or_else(PoisonError::into_inner) =
            wish.and_then(|wish| now.checked_add(wish));
        // What a proxy says of a server that is down or overloaded.
        let trial = if matches!(head.status.as_u16(), 502..=504) {
            let kind = head.status.canonical_reason().unwrap_or("5xx");
            if trial.failed(now, kind) {
                self.shared.figures.rests();
                tracing::warn!(server = self.shared.shown, status = %head.status, "a server is left alone for a while");
            }
            None
        } else {
            Some(trial)
        };
        let announced = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|n| n > bounds.bytes as u64) && !body_is_empty(&body) {
            let error = Error::TooLarge { server: self.server(), limit: bounds.bytes };
            self.shared.failed(&error, trial);
            return Err(error);
        }
        Ok(Opened {
            status: head.status,
            headers: head.headers,
            limit: bounds.bytes,
            unpack: self.options.gzip,
            server: self.server(),
            body: Body::new(body, Arc::clone(&self.shared), bounds, trial, place),
        })
    }

    /// Asks, and again where redirects lead.
    async fn follow(&self, ask: Ask, bounds: &Bounds) -> Result<Response<Incoming>, Error> {
        let mut uri = self.uri(&ask.target)?;
        let mut here = None;
        let Ask { mut method, headers, mut body, .. } = ask;
        let mut credentials = true;
        let mut followed = 0;
        loop {
            let response = self
                .send(&method, &uri, self.all_headers(&headers, &body, credentials), &body, bounds)
                .await?;
            if self.options.redirects == 0 || !redirect::is_one(response.status()) {
                return Ok(response);
            }
            let refuse = |reason: String| Error::Redirect { server: self.server(), reason };
            if followed == self.options.redirects {
                return Err(refuse(format!("it is the one after {followed} others")));
            }
            followed += 1;
            let at = here.unwrap_or_else(|| self.address_of(&uri));
            let location = response.headers().get(LOCATION).map(HeaderValue::as_bytes);
            let status: StatusCode = response.status();
            let next = redirect::next(&self.base, &self.options.other_hosts, &at, &method, status, location);
            let next = next.map_err(refuse)?;
            if next.get {
                method = Method::GET;
                body = Bytes::new();
            }
            credentials &= next.credentials;
            uri = next.address.reveal().parse().map_err(|_| refuse("its place is no address".into()))?;
            here = Some(next.address);
        }
    }

    async fn send(
        &self,
        method: &Method,
        uri: &Uri,
        headers: HeaderMap,
        body: &Bytes,
        bounds: &Bounds,
    ) -> Result<Response<Incoming>, Error> {
        let head = tokio::time::Instant::now() + self.options.connect + bounds.idle;
        let end = bounds.end.min(head);
        // A connection that was kept may have been closed by the server a moment ago: what only reads is asked again.
        let mut again = method.is_safe();
        loop {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = headers.clone();
            match tokio::time::timeout_at(end, self.pool.request(request)).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => {
                    let error = explain(&self.shared.shown, self.options.connect, &error);
                    if !again || !matches!(error, Error::Broken { .. }) {
                        return Err(error);
                    }
                    again = false;
                }
                Err(_) => {
                    let limit =
                        if end == bounds.end { bounds.total } else { self.options.connect + bounds.idle };
                    return Err(Error::Timeout { server: self.server(), what: "answer", limit });
                }
            }
        }
    }

    fn all_headers(&self, own: &HeaderMap, body: &Bytes, credentials: bool) -> HeaderMap {
        let mut all = own.clone();
        if credentials {
            all.extend(self.headers.clone());
        } else {
            all.remove(AUTHORIZATION);
            all.remove(COOKIE);
        }
        if body.is_empty() {
            all.remove(CONTENT_LENGTH);
            all.remove(CONTENT_TYPE);
        }
        if self.options.gzip {
            all.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
        }
        all.entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!("skyline/", env!("CARGO_PKG_VERSION"))));
        all
    }

    /// The whole address of a question.
    fn uri(&self, target: &Bytes) -> Result<Uri, Error> {
        let refuse = |reason| Error::Question { server: self.server(), reason };
        if target.is_empty() {
            return self.base.reveal().parse().map_err(|_| refuse("its address is none"));
        }
        if self.base.query.is_some() {
            return Err(refuse("its address has a query already"));
        }
        if !matches!(target.first(), Some(b'/' | b'?')) {
            return Err(refuse("its path begins with no slash"));
        }
        let path = target.split(|b| *b == b'?').next().unwrap_or_default();
        if leads_upwards(path) {
            return Err(refuse("its path leads upwards"));
        }
        let mut whole = Vec::with_capacity(target.len() + 64);
        whole.extend_from_slice(self.base.origin().as_bytes());
        whole.extend_from_slice(self.base.path.as_bytes());
        whole.extend_from_slice(target);
        Uri::from_maybe_shared(Bytes::from(whole)).map_err(|_| {
            refuse("its path or query is too long, or has characters that are to be percent-encoded")
        })
    }

    /// A place that was asked, as redirects are seen from it.
    fn address_of(&self, uri: &Uri) -> Address {
        let mut address = self.base.clone();
        address.path = uri.path().to_owned();
        address.query = uri.query().map(str::to_owned);
        address
    }
}

fn body_is_empty(body: &Incoming) -> bool {
    // An answer to HEAD announces what GET would bring.
    hyper::body::Body::is_end_stream(body)
}

/// Whether a path has a part `..`, however it is written.
fn leads_upwards(path: &[u8]) -> bool {
    path.split(|b| matches!(b, b'/' | b'\\')).any(|part| {
        let dot = String::from_utf8_lossy(part).to_ascii_lowercase().replace("%2e", ".");
        dot == ".."
    })
}
