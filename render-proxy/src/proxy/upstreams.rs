//! The Graphite servers: asked in order, the next one when the one before fails or is slow.

use super::headers;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use skyline_conf::model::graphite::Server;
use skyline_core::problem::Problem;
use skyline_upstream::{
    Ask, Authorization, Body, Client, Error, HeaderMap, Health, Method, Options, StatusCode,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// So much of an answer is read before it is given on: what is whole by then can be kept, and looked at.
pub(super) const HELD: usize = 1 << 20;

/// One Graphite server.
#[derive(Debug)]
struct Upstream {
    client: Client,
    /// Path of its `render`, behind the address: begins with a slash, has none at the end.
    render: String,
    /// What stands before `render` in it: empty, or begins with a slash.
    prefix: String,
    /// Whether it has credentials of its own.
    has_credentials: bool,
}

/// All of them, in the order of the settings.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams(Arc<[Upstream]>, Duration);

/// Which question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `/render` and what is below it.
    Render,
    /// `/metrics/find`.
    Find,
}

/// A question on its way to Graphite.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    pub(crate) kind: Kind,
    pub(crate) method: Method,
    /// What follows `/render` or `/metrics/find` in the path: empty, `/`, or more.
    pub(crate) rest: String,
    /// As it was received; none: no `?`.
    pub(crate) query: Option<Bytes>,
    /// Those that go on.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer of Graphite.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    /// Those that go back.
    pub(crate) headers: HeaderMap,
    /// The beginning, or all of it.
    pub(crate) start: Bytes,
    /// What is still to come.
    pub(crate) rest: Option<Body>,
}

/// Options of the client of a server.
///
/// # Errors
/// A secret is not where the settings say.
pub fn options(server: &Server) -> Result<Options, Problem> {
    let mut options = Options::of(server.label(), &server.remote())?;
    options.connect = Duration::from_secs_f64(server.connect_timeout_seconds);
    options.idle = Duration::from_secs_f64(server.read_timeout_seconds);
    options.total = Duration::from_secs_f64(server.total_timeout_seconds);
    options.max_body = usize::try_from(server.max_body_bytes).unwrap_or(usize::MAX);
    options.concurrent = server.max_concurrent as usize;
    // Whoever asks is told where to go; the proxy goes nowhere by itself.
    options.redirects = 0;
    Ok(options)
}

impl Upstream {
    fn new(server: &Server) -> Result<Self, Problem> {
        let options = options(server)?;
        let has_credentials = options.authorization != Authorization::None;
        let render = format!("/{}", server.render_path.trim_matches('/'));
        let prefix = render.rsplit_once('/').map(|(prefix, _)| prefix.to_owned()).unwrap_or_default();
        Ok(Self { client: Client::new(options)?, render, prefix, has_credentials })
    }

    fn target(&self, forward: &Forward) -> Bytes {
        let mut target = Vec::new();
        match forward.kind {
            Kind::Render => target.extend_from_slice(self.render.as_bytes()),
            Kind::Find => {
                target.extend_from_slice(self.prefix.as_bytes());
                target.extend_from_slice(b"/metrics/find");
            }
        }
        target.extend_from_slice(forward.rest.as_bytes());
        if let Some(query) = &forward.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        target.into()
    }

    async fn ask(&self, forward: &Forward) -> Result<Answered, Error> {
        let mut ask = Ask::new(forward.method.clone(), self.target(forward));
        ask.headers = forward.headers.clone();
        if self.has_credentials {
            ask.headers.remove(skyline_upstream::header::AUTHORIZATION);
            ask.headers.remove(skyline_upstream::header::COOKIE);
        }
        ask.body = forward.body.clone();
        let opened = self.client.open(ask).await?;
        let base = format!("{}{}", self.client.address().path, self.prefix);
        let headers = headers::back(&opened.headers, &self.client.address().origin(), &base);
        let (mut start, mut body) = (BytesMut::new(), opened.body);
        while let Some(frame) = body.frame().await {
            // Trailers mean nothing to who asks.
            let Ok(data) = frame?.into_data() else { continue };
            start.extend_from_slice(&data);
            if start.len() > HELD {
                return Ok(Answered {
                    status: opened.status,
                    headers,
                    start: start.freeze(),
                    rest: Some(body),
                });
            }
        }
        Ok(Answered { status: opened.status, headers, start: start.freeze(), rest: None })
    }
}

impl Upstreams {
    /// Clients for the servers of the settings; each is given `patience` before the next is asked as well.
    ///
    /// # Errors
    /// A server cannot be asked as the settings say.
    pub(crate) fn new(servers: &[Server], patience: Duration) -> Result<Self, Problem> {
        let all: Result<Vec<Upstream>, Problem> = servers.iter().map(Upstream::new).collect();
        Ok(Self(all?.into(), patience))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them would be asked.
    pub(crate) fn is_willing(&self) -> bool {
        self.0.iter().any(|upstream| upstream.client.is_willing())
    }

    /// How they do.
    pub(crate) fn health(&self) -> Vec<Health> {
        self.0.iter().map(|upstream| upstream.client.health()).collect()
    }

    /// Asks the first that is well, and the next when one fails or takes long. The first good answer counts. Those that
    /// are late are read to their end, so that the breaker learns of them.
    ///
    /// # Errors
    /// The last failure, if nobody answered.
    pub(crate) async fn ask(&self, forward: Arc<Forward>) -> Result<Answered, Error> {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|i| !self.0.get(*i).is_some_and(|u| u.client.is_willing()));
        let mut order = order.into_iter();
        let mut asked = JoinSet::new();
        let mut worst: Option<Result<Answered, Error>> = None;
        let mut open = true;
        while open || !asked.is_empty() {
            if open {
                match order.next() {
                    Some(number) => {
                        let (all, forward) = (self.clone(), Arc::clone(&forward));
                        asked.spawn(async move { all.one(number, &forward).await });
                    }
                    None => open = false,
                }
            }
            let wait = if open { self.1 } else { Duration::from_secs(86_400) };
            match tokio::time::timeout(wait, asked.join_next()).await {
                // The next is asked as well.
                Err(_) => {}
                Ok(None) => {}
                Ok(Some(Ok(Ok(answered)))) if !is_absent(answered.status) => {
                    asked.detach_all();
                    return Ok(answered);
                }
                Ok(Some(Ok(failed))) => worst = Some(failed),
                Ok(Some(Err(error))) => {
                    let reason = error.to_string();
                    worst = Some(Err(Error::Broken { server: "graphite".into(), reason }));
                }
            }
        }
        let none = || Error::Question { server: "graphite".into(), reason: "the settings name no server" };
        worst.unwrap_or_else(|| Err(none()))
    }

    async fn one(&self, number: usize, forward: &Forward) -> Result<Answered, Error> {
        let none = || Error::Question { server: "graphite".into(), reason: "there is no such server" };
        self.0.get(number).ok_or_else(none)?.ask(forward).await
    }
}

/// What a proxy in front of Graphite says when Graphite is down.
pub(super) fn is_absent(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}
