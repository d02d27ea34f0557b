//! `/render` and `/metrics/find` in front of the Graphite servers of the settings.
//!
//! A question goes on byte for byte and its answer comes back so, with lists of the headers that pass
//! (`headers`). Where only names that a window holds and functions of ours are asked for, as JSON or a picture, the window
//! answers when no Graphite does, or not soon, or with what is behind; such an answer has [`ANSWERED_BY`].
//! Only servers of the settings are reached: nothing of a question but its path below `/render`, its query, headers and
//! body goes anywhere.

mod access;
mod behind;
mod cache;
mod figures;
mod find;
mod headers;
mod picture;
mod probe;
mod refuse;
#[cfg(test)]
mod tests;
mod upstreams;

use crate::local::{Answer, Found, Local, NotHere};
use crate::params::Params;
use crate::question::{Format, Question, Unfit};
use crate::signed::Signer;
use crate::windows::{Unanswered, Windows};
use access::{Access, Verdict};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use cache::{Cache, Kept};
use figures::{By, Counters};
pub use picture::NoPicture;
pub use probe::{Seen, probe};
use skyline_conf::model::Settings;
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use skyline_core::problem::Problem;
use skyline_upstream::{Error, HeaderMap, HeaderName, HeaderValue, Health, Method, StatusCode, header};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
pub use upstreams::options;
use upstreams::{Answered, Forward, Kind, Upstreams};

/// Header of answers that Graphite did not give: `window` or `cache`.
pub const ANSWERED_BY: HeaderName = HeaderName::from_static("x-skyline-answered-by");

/// Windows that have no place for a large question within this are not waited for where Graphite answers too.
const QUICK: Duration = Duration::from_millis(250);
/// Longest wait for the body of a question: who sends it slower holds one of few places.
const BODY: Duration = Duration::from_secs(20);

/// The proxy. A copy is the same one.
#[derive(Debug, Clone)]
pub struct Proxy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstreams: Upstreams,
    local: Option<Local>,
    cache: Cache,
    access: Access,
    places: Semaphore,
    counters: Counters,
    clock: Clock,
    patience: Duration,
    behind: f64,
    max_request: usize,
    pass_credentials: bool,
    /// Begins with `&`.
    graph_settings: String,
}

/// What the proxy is made of.
pub struct Parts<'a> {
    /// All of them.
    pub settings: &'a Settings,
    /// The node's windows; none: it keeps none.
    pub windows: Option<Arc<dyn Windows>>,
    /// Checks signed links; none: there are no such links.
    pub links: Option<Signer>,
    /// What time it is.
    pub clock: Clock,
}

impl Proxy {
    /// As the settings want it. Nothing is asked yet.
    ///
    /// # Errors
    /// A server cannot be asked as the settings say, or a secret is not where they say.
    pub fn new(parts: Parts<'_>) -> Result<Self, Problem> {
        let settings = &parts.settings.render_proxy;
        let patience = Duration::from_secs_f64(settings.patience_seconds);
        let local = parts.windows.map(|windows| {
            let seconds = parts.settings.window.full_duration_seconds;
            Local::new(windows, seconds, settings.look, &settings.zone)
        });
        Ok(Self(Arc::new(Inner {
            upstreams: Upstreams::new(&parts.settings.graphite.server, patience)?,
            local,
            cache: Cache::new(settings.cache_seconds, settings.cache_bytes),
            access: Access::new(settings, parts.links)?,
            places: Semaphore::new(settings.max_concurrent as usize),
            counters: Counters::default(),
            clock: parts.clock,
            patience,
            behind: settings.behind_seconds,
            max_request: settings.max_request_bytes as usize,
            pass_credentials: settings.pass_credentials,
            graph_settings: settings.graph_settings.clone(),
        })))
    }

    /// What is served.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/render", any(render))
            .route("/render/{*rest}", any(render))
            .route("/render/", any(render))
            .route("/metrics/find", any(find))
            .route("/metrics/find/", any(find))
            .fallback(refuse::elsewhere)
            .with_state(self.clone())
    }

    /// How the Graphite servers do.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        self.0.upstreams.health()
    }

    /// What a person should know: nobody of the Graphite servers answers.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let upstreams = &self.0.upstreams;
        if upstreams.is_empty() || upstreams.is_willing() {
            return None;
        }
        let last = upstreams.health().into_iter().find_map(|health| health.last_failure);
        let why = last.map(|(_, why)| format!(": {why}")).unwrap_or_default();
        Some(format!("no Graphite server answers, graphs come from the windows{why}"))
    }

    /// Figures of questions and servers.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        self.0.counters.figures(out);
        figures::of_servers(&self.health(), out);
    }
}

async fn render(State(proxy): State<Proxy>, request: Request) -> Response {
    proxy.0.answer(Kind::Render, request).await
}

async fn find(State(proxy): State<Proxy>, request: Request) -> Response {
    proxy.0.answer(Kind::Find, request).await
}

/// A question that was read.
struct Asked {
    forward: Arc<Forward>,
    params: Params,
    place: Option<cache::Place>,
}

impl Inner {
    async fn answer(&self, kind: Kind, request: Request) -> Response {
        let start = Instant::now();
        let (by, response) = match Box::pin(self.decide(kind, request)).await {
            Ok(done) => done,
            Err(refused) => (By::Nobody, refused),
        };
        self.counters.count(by, start.elapsed());
        response
    }

    async fn decide(&self, kind: Kind, request: Request) -> Result<(By, Response), Response> {
        if let Some(refused) = refuse::odd(&request) {
            return Err(refused);
        }
        if request.method() == Method::OPTIONS {
            return Ok((By::Nobody, refuse::options()));
        }
        // Nobody waits here: a person asks again, and Grafana does.
        let _place = self.places.try_acquire().map_err(|_| refuse::busy())?;
        let asked = self.read(kind, request).await?;
        if let Some(kept) = asked.place.as_ref().and_then(|place| self.cache.get(place, Instant::now())) {
            return Ok((By::Cache, from_cache(kept)));
        }
        match kind {
            Kind::Render => self.render(asked).await,
            Kind::Find => self.find(asked).await,
        }
    }

    /// Who may ask, and what is asked.
    async fn read(&self, kind: Kind, request: Request) -> Result<Asked, Response> {
        let (head, body) = request.into_parts();
        let now = self.clock.now() as i64;
        let path = head.uri.path();
        let root = if kind == Kind::Render { "/render" } else { "/metrics/find" };
        let rest = path.strip_prefix(root).unwrap_or_default();
        let raw = head.uri.query();
        let query = match self.access.judge(&head.headers, raw.unwrap_or_default(), now) {
            // A link is for a picture and for reading; what is below `/render` was not signed.
            Verdict::Yes(Some(_))
                if kind == Kind::Find || head.method == Method::POST || !matches!(rest, "" | "/") =>
            {
                return Err(refuse::login());
            }
            Verdict::Yes(Some(inner)) => Some(inner),
            Verdict::Yes(None) => raw,
            Verdict::Login => return Err(refuse::login()),
            Verdict::Link(bad) => return Err(refuse::error(StatusCode::FORBIDDEN, &bad.to_string())),
        };
        // The body of another method means nothing (RFC 9110, 9.3.1): its parameters would be beside those that a link
        // was signed for.
        let body = if head.method == Method::POST {
            let read = tokio::time::timeout(BODY, axum::body::to_bytes(body, self.max_request)).await;
            read.map_err(|_| refuse::slow(BODY))?.map_err(|_| refuse::too_large(self.max_request))?
        } else {
            Bytes::new()
        };
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let params = Params::read(query.unwrap_or_default(), content_type, &body);
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let passes = self.pass_credentials && !self.access.is_on();
        let forward = Forward {
            kind,
            rest: rest.to_owned(),
            query: query.map(|query| Bytes::copy_from_slice(query.as_bytes())),
            headers: headers::on(&head.headers, peer, passes),
            method: head.method,
            body,
        };
        let place = self.cache.place(&forward, &params);
        Ok(Asked { forward: Arc::new(forward), params, place })
    }

    async fn render(&self, asked: Asked) -> Result<(By, Response), Response> {
        let now = self.clock.now() as i64;
        let question = Question::read(&asked.params, now);
        if self.upstreams.is_empty() {
            return self.alone(question).await;
        }
        let question = question.ok().filter(|_| asked.forward.rest.trim_matches('/').is_empty());
        let ours = question.as_ref().filter(|question| Local::knows(question)).zip(self.local.as_ref());
        let Some((question, local)) = ours else {
            let answered =
                self.upstreams.ask(Arc::clone(&asked.forward)).await.map_err(|e| refuse::upstream(&e))?;
            return Ok((By::Graphite, self.give(answered, asked.place.as_ref())));
        };
        // Graphite is asked whether or not the windows have a place.
        let found = tokio::time::timeout(QUICK, local.series(question)).await;
        let found = found.unwrap_or(Err(NotHere::Windows(Unanswered::Busy)));
        let (upstreams, forward) = (self.upstreams.clone(), Arc::clone(&asked.forward));
        // On its own: an answer that comes late is still learnt from.
        let mut asking = tokio::spawn(async move { Box::pin(upstreams.ask(forward)).await });
        let stands_in = found.as_ref().is_ok_and(|_| local.reaches(question));
        let window = async {
            let end = tokio::time::Instant::now() + self.patience;
            // A picture takes its time: it is drawn while Graphite may still answer.
            tokio::time::sleep(self.patience / 2).await;
            let ready = self.window(question, local, found.clone()).await;
            if ready.is_err() {
                // Graphite may still answer.
                std::future::pending::<()>().await;
            }
            tokio::time::sleep_until(end).await;
            ready
        };
        tokio::select! {
            answered = &mut asking => {
                let answered = answered.unwrap_or_else(|error| Err(broken(&error)));
                self.weigh(answered, question, local, found, &asked).await
            }
            ready = window, if stands_in => ready,
        }
    }

    /// Graphite's answer or failure, or the window's answer in its place.
    async fn weigh(
        &self,
        answered: Result<Answered, Error>,
        question: &Question,
        local: &Local,
        found: Result<Found, NotHere>,
        asked: &Asked,
    ) -> Result<(By, Response), Response> {
        let answered = match answered {
            Ok(answered) if !upstreams::is_absent(answered.status) => answered,
            Ok(absent) => {
                return match found {
                    Ok(_) => self.window(question, local, found).await,
                    Err(_) => Ok((By::Graphite, self.give(absent, None))),
                };
            }
            Err(error) => {
                return match found {
                    Ok(_) => self.window(question, local, found).await,
                    Err(_) => Err(refuse::upstream(&error)),
                };
            }
        };
        let newest = found.as_ref().ok().and_then(|found| found.newest);
        let is_recent = question.until >= question.now - 60 && local.reaches(question);
        if let Some(newest) =
            newest.filter(|_| self.behind > 0.0 && is_recent && answered.status == StatusCode::OK)
        {
            let newest = newest.min(question.until);
            let behind = match question.format {
                Format::Json => {
                    answered.rest.is_none() && behind::is_behind(&answered.start, newest, self.behind)
                }
                Format::Png | Format::Svg => {
                    self.is_picture_behind(&asked.params, &asked.forward, question, newest).await
                }
            };
            if behind {
                return self.window(question, local, found).await;
            }
        }
        Ok((By::Graphite, self.give(answered, asked.place.as_ref())))
    }

    /// The window's answer in Graphite's place.
    async fn window(
        &self,
        question: &Question,
        local: &Local,
        found: Result<Found, NotHere>,
    ) -> Result<(By, Response), Response> {
        let written = match found {
            Ok(found) => local.write(question, found, true).await,
            Err(error) => Err(error),
        };
        let answer = written.map_err(|error| refuse::not_here(&error))?;
        Ok((By::Window, from_window(answer)))
    }

    /// The answer where there is no Graphite at all.
    async fn alone(&self, question: Result<Question, Unfit>) -> Result<(By, Response), Response> {
        let question =
            question.map_err(|error| refuse::error(StatusCode::BAD_REQUEST, &error.to_string()))?;
        let local = self.local.as_ref().ok_or_else(refuse::nobody)?;
        let found = match local.series(&question).await {
            Err(NotHere::NoMetric) => Found::default(),
            other => other.map_err(|error| refuse::not_here(&error))?,
        };
        let answer = local.write(&question, found, false).await.map_err(|error| refuse::not_here(&error))?;
        Ok((By::Window, from_window(answer)))
    }

    async fn find(&self, asked: Asked) -> Result<(By, Response), Response> {
        let failure = if self.upstreams.is_empty() {
            None
        } else {
            match self.upstreams.ask(Arc::clone(&asked.forward)).await {
                Ok(answered) if !upstreams::is_absent(answered.status) => {
                    return Ok((By::Graphite, self.give(answered, asked.place.as_ref())));
                }
                Ok(absent) => Some(self.give(absent, None)),
                Err(error) => Some(refuse::upstream(&error)),
            }
        };
        let answer = match &self.local {
            Some(local) => find::answer(local, &asked.params, self.clock.now() as i64).await,
            None => Err(NotHere::NoMetric),
        };
        match (answer, failure) {
            (Ok(answer), _) => Ok((By::Window, from_window(answer))),
            (Err(_), Some(failure)) => Err(failure),
            (Err(error), None) => Err(refuse::not_here(&error)),
        }
    }

    /// Graphite's answer as ours.
    fn give(&self, answered: Answered, place: Option<&cache::Place>) -> Response {
        if let Some(place) = place {
            self.cache.put(place, &answered, Instant::now());
        }
        let Answered { status, headers, start, rest } = answered;
        let body = match rest {
            None => Body::from(start),
            Some(rest) => Body::new(refuse::Chained::new(start, rest)),
        };
        respond(status, headers, body)
    }
}

fn broken(error: &tokio::task::JoinError) -> Error {
    Error::Broken { server: "graphite".into(), reason: error.to_string() }
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn from_cache(kept: Kept) -> Response {
    let mut response = respond(StatusCode::OK, kept.headers, Body::from(kept.body));
    response.headers_mut().insert(ANSWERED_BY, HeaderValue::from_static("cache"));
    response
}

fn from_window(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ANSWERED_BY, HeaderValue::from_static("window"));
    response
}
