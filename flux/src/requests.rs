//! Requests: from the head to the answer.

use crate::access::{Access, Key};
use crate::answer::{self, Style};
use crate::ask::{Ask, Form};
use crate::body::{self, Memory, NoBody, Packing, Share, TooLong, Whole};
use crate::figures::{Counters, Endpoint, STATUSES};
use crate::json::Wrong;
use crate::points::{Bounds, Fault, Points, Taken};
use crate::serve::Error;
use crate::{influx, json, lines, prometheus};
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use skyline_conf::model::Settings;
use skyline_conf::model::flux::ApiKey;
use skyline_conf::naming::Template;
use skyline_conf::secret::Secret;
use skyline_core::batch::Listener;
use skyline_core::figure::Figure;
use skyline_core::problem::Problem;
use skyline_relay::flow::Flow;
use skyline_relay::intake::{Full, Intake, Peer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests whose points are in hand at the same time, logged or about to be: what these are more than their bodies is
/// beside the memory for bodies.
pub(crate) const IN_HAND: usize = 8;

/// All points of a request may become so many times the bytes of the longest unpacked body.
const GROWTH: usize = 4;

/// Longest body of JSON that nobody's key came beside, bytes: until it is decoded it is that of a stranger. It is not packed.
const UNKNOWN: usize = 64 << 10;

/// Longer bodies are decoded where computing holds up nobody, bytes.
const SMALL: usize = 16 << 10;

/// Seconds until a request is to be tried again, that the journal or the memory had no room for.
const AGAIN: u64 = 2;

/// Requests without a right key are told of so often, seconds.
const TOLD_EVERY: u64 = 60;

/// Keys that were read again, in the order of the settings.
#[derive(Debug)]
pub struct NewKeys(Vec<Secret>);

/// What requests work with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Takes their points.
    pub intake: Intake,
    /// Says when to pause.
    pub flow: Flow,
}

/// Points over HTTP.
#[derive(Debug)]
pub struct Flux {
    context: Context,
    access: Access,
    prometheus: Template,
    influx: Template,
    memory: Memory,
    pub(crate) hands: Arc<Semaphore>,
    /// Of those in hand, so many unpack and decode at the same time: more need memory, and are no sooner done.
    turns: Arc<Semaphore>,
    counters: Arc<Counters>,
    settings: skyline_conf::model::flux::Flux,
    bounds: Bounds,
    /// When a request without a right key was told of last, seconds.
    told: AtomicU64,
}

/// What a request holds until its points are logged, whether its client waits for that or has gone.
struct Held {
    _hand: OwnedSemaphorePermit,
    _share: Option<Share>,
}

/// The number of a key, what came under it, and what that has of the memory for bodies.
type Decoded = (usize, Taken, Share);

type Answer = Result<Response, Response>;

impl Flux {
    /// As the settings want it.
    ///
    /// # Errors
    /// A key or a template that is none.
    pub fn new(settings: &Settings, context: Context) -> Result<Arc<Self>, Error> {
        let (flux, window) = (&settings.flux, &settings.window);
        let of_window = f64::from(window.full_duration_seconds) + f64::from(window.grace_seconds);
        let bounds = Bounds {
            now: 0.0,
            max_age: if flux.max_age_seconds > 0 { f64::from(flux.max_age_seconds) } else { of_window },
            max_future: f64::from(window.max_future_seconds),
            resolution: settings.listen.timestamp_resolution_seconds,
            most_bytes: flux.max_unpacked_bytes as usize * GROWTH,
        };
        Ok(Arc::new(Self {
            context,
            access: Access::new(flux).map_err(Error::Key)?,
            prometheus: Template::of_prometheus(&flux.prometheus).map_err(Error::Template)?,
            influx: Template::of_influx(&flux.influx).map_err(Error::Template)?,
            memory: Memory::new(flux.memory_bytes),
            hands: Arc::new(Semaphore::new(IN_HAND)),
            turns: Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from).min(IN_HAND))),
            counters: Arc::default(),
            settings: flux.clone(),
            bounds,
            told: AtomicU64::new(0),
        }))
    }

    pub(crate) fn max_connections(&self) -> usize {
        self.settings.max_connections as usize
    }

    /// The keys of the settings as they are now in files and variables: those of before stay in force. May block.
    ///
    /// # Errors
    /// One that is not there or cannot be one.
    pub fn read_keys(&self) -> Result<NewKeys, Problem> {
        self.settings.api_keys.iter().map(ApiKey::secret).collect::<Result<_, _>>().map(NewKeys)
    }

    /// From now on requests need these.
    pub fn replace_keys(&self, keys: NewKeys) {
        self.access.replace(keys.0);
    }

    /// Says now and then that somebody has no right key: Prometheus drops what is answered so, and tells nobody.
    fn stranger(&self, peer: SocketAddr) {
        let now = self.context.intake.clock().now() as u64;
        let last = self.told.load(Relaxed);
        let is_due = now.abs_diff(last) >= TOLD_EVERY;
        if is_due && self.told.compare_exchange(last, now, Relaxed, Relaxed).is_ok() {
            let requests = self.counters.sum(&[401]);
            tracing::warn!(%peer, requests, "a request over HTTP has no key, or a wrong one; its points are not taken");
        }
    }

    /// For the head of a request, and between two requests.
    pub(crate) fn head(&self) -> Duration {
        Duration::from_secs_f64(self.settings.head_seconds)
    }

    #[cfg(test)]
    pub(crate) fn left(&self, key: usize) -> Option<f64> {
        self.access.key(key)?.left()
    }

    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// One handler for all paths: what is answered and counted is decided in one place.
    pub(crate) fn router(flux: &Arc<Self>) -> Router {
        let flux = Arc::clone(flux);
        let handle = move |Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
                           request: Request| {
            let flux = Arc::clone(&flux);
            async move { flux.answer(peer, request).await }
        };
        Router::new().fallback(handle).layer(DefaultBodyLimit::disable())
    }

    async fn answer(self: Arc<Self>, peer: SocketAddr, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let path = path.strip_prefix("/flux/").or_else(|| path.strip_prefix('/')).unwrap_or(path);
        let (endpoint, style, allowed) = match path {
            "metric_data" => (Endpoint::Query, Style::Flux, "GET"),
            "metric_data_post" => (Endpoint::Post, Style::Flux, "POST"),
            "populate_metric" => (Endpoint::Populate, Style::Flux, ""),
            "api/v1/write" => (Endpoint::RemoteWrite, Style::Plain, "POST"),
            "write" => (Endpoint::Influx, Style::Influx1, "POST"),
            "api/v2/write" => (Endpoint::Influx, Style::Influx2, "POST"),
            "ping" | "openapi.json" => (Endpoint::Other, Style::Flux, "GET, HEAD"),
            _ => (Endpoint::Other, Style::Flux, ""),
        };
        let is_allowed = allowed.is_empty() || allowed.split(", ").any(|m| m == head.method.as_str());
        let mut answer = if is_allowed {
            let ask = Ask { endpoint, style, peer, headers: head.headers, uri: head.uri.clone() };
            match path {
                "ping" => ping(),
                "openapi.json" => openapi(&head.method),
                "populate_metric" => answer::problem(style, StatusCode::GONE, GONE),
                _ if endpoint == Endpoint::Other => answer::problem(style, StatusCode::NOT_FOUND, NOTHING),
                _ => self.points(ask, body).await.unwrap_or_else(|refusal| refusal),
            }
        } else {
            let mut answer =
                answer::problem(style, StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method");
            if let Ok(allowed) = HeaderValue::from_str(allowed) {
                answer.headers_mut().insert(header::ALLOW, allowed);
            }
            answer
        };
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        self.counters.answered(endpoint, answer.status().as_u16());
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.stranger(peer);
        }
        answer
    }

    async fn points(self: &Arc<Self>, ask: Ask, body: Body) -> Answer {
        let style = ask.style;
        let Ok(Query(query)) = Query::<Vec<(String, String)>>::try_from_uri(&ask.uri) else {
            return Err(answer::problem(style, StatusCode::BAD_REQUEST, "the query cannot be read"));
        };
        let key = ask.key(&query, &self.access)?;
        if let Some(key) = key.and_then(|key| self.access.key(key)) {
            self.allowed(key, 0, style)?;
        }
        let now = self.context.intake.clock().now();
        let sender = self.context.intake.sender(Listener::Flux, Peer::Address(ask.peer));
        if ask.endpoint == Endpoint::Query {
            let mut points = self.none_yet(now);
            points.prefix(self.access.prefix(key.unwrap_or_default()));
            json::of_query(&query, &mut points);
            sender.read(ask.uri.query().map_or(0, str::len), now);
            let held = Held { _hand: self.hand(style).await?, _share: None };
            return self.submit(key.unwrap_or_default(), points.finish(), held, &ask).await;
        }
        let form = ask.form(&query)?;
        let mut packing = Packing::of(&ask.headers).map_err(|why| no_body(style, why))?;
        if matches!(form, Form::RemoteWrite) && packing == Packing::Plain {
            packing = Packing::Snappy;
        }
        if key.is_none() && packing != Packing::Plain {
            return Err(answer::unauthorized(style));
        }
        let most = self.settings.max_body_bytes as usize;
        let most = if key.is_some() { most } else { most.min(UNKNOWN) };
        let time = Duration::from_secs_f64(self.settings.body_seconds);
        let whole = body::read(body, &ask.headers, most, time, &self.memory).await;
        let whole = whole.map_err(|why| match why {
            NoBody::TooLong(_) if key.is_none() => answer::unauthorized(style),
            why => no_body(style, why),
        })?;
        self.counters.body_bytes.fetch_add(whole.bytes.len() as u64, Relaxed);
        sender.read(whole.bytes.len(), now);
        let hand = self.hand(style).await?;
        let (decoded, hand) = if whole.bytes.len() <= SMALL && packing == Packing::Plain {
            (self.decode(whole, packing, &form, key, now, style), hand)
        } else {
            let broke = || answer::problem(style, StatusCode::INTERNAL_SERVER_ERROR, "it broke");
            let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| broke())?;
            let flux = Arc::clone(self);
            // A client that goes away ends this function, but not what computes: that keeps its places.
            let decode = move || {
                let decoded = flux.decode(whole, packing, &form, key, now, style);
                drop(turn);
                (decoded, hand)
            };
            tokio::task::spawn_blocking(decode).await.map_err(|_| broke())?
        };
        let (key, taken, share) = decoded?;
        self.submit(key, taken, Held { _hand: hand, _share: Some(share) }, &ask).await
    }

    /// A place among those whose points are in hand.
    async fn hand(&self, style: Style) -> Result<OwnedSemaphorePermit, Response> {
        let wait = Duration::from_secs_f64(self.settings.wait_seconds) + body::SHORT_WAIT;
        match tokio::time::timeout(wait, Arc::clone(&self.hands).acquire_owned()).await {
            Ok(Ok(hand)) => Ok(hand),
            _ => Err(busy(style)),
        }
    }

    fn none_yet(&self, now: f64) -> Points {
        Points::new(Bounds { now, ..self.bounds })
    }

    /// Unpacks and decodes. Computes.
    #[expect(clippy::result_large_err, reason = "an answer")]
    fn decode(
        &self,
        whole: Whole,
        packing: Packing,
        form: &Form,
        key: Option<usize>,
        now: f64,
        style: Style,
    ) -> Result<Decoded, Response> {
        let bad = |text: &str| answer::problem(style, StatusCode::BAD_REQUEST, text);
        let whole = whole.unpack(packing, self.settings.max_unpacked_bytes as usize);
        let whole = whole.map_err(|why| no_body(style, why))?;
        let mut points = self.none_yet(now);
        let mut owner = key.unwrap_or_default();
        points.prefix(self.access.prefix(owner));
        match form {
            Form::Json => {
                let text = std::str::from_utf8(&whole.bytes).map_err(|_| bad("the body is no UTF-8"))?;
                owner = json::decode(text, key, &self.access, &mut points).map_err(|wrong| match wrong {
                    Wrong::Key => answer::unauthorized(style),
                    Wrong::Syntax(text) => bad(&text),
                })?;
            }
            Form::Lines => lines::decode(&whole.bytes, &mut points),
            Form::RemoteWrite => prometheus::decode(&whole.bytes, &self.prometheus, &mut points)
                .map_err(|_| bad("the body is no WriteRequest of remote-write 1.0"))?,
            Form::Influx(precision) => influx::decode(&whole.bytes, *precision, &self.influx, &mut points),
        }
        if points.is_too_much() {
            let text =
                format!("the points become more than {} bytes: send fewer at once", self.bounds.most_bytes);
            return Err(answer::problem(style, StatusCode::PAYLOAD_TOO_LARGE, &text));
        }
        let taken = points.finish();
        let share = whole.into_share(taken.bytes);
        Ok((owner, taken, share))
    }

    /// Whether a key may send so many points now.
    #[expect(clippy::result_large_err, reason = "an answer")]
    fn allowed(&self, key: &Key, points: usize, style: Style) -> Result<(), Response> {
        key.spend(points, self.context.intake.clock().now()).map_err(|seconds| {
            key.limited.fetch_add(1, Relaxed);
            answer::later(style, StatusCode::TOO_MANY_REQUESTS, "more points than this key may send", seconds)
        })
    }

    /// Logs what was decoded, and answers.
    async fn submit(self: &Arc<Self>, key: usize, taken: Taken, held: Held, ask: &Ask) -> Answer {
        let style = ask.style;
        let Some(owner) = self.access.key(key) else { return Err(answer::unauthorized(style)) };
        let (accepted, refused) = (taken.accepted, taken.refused());
        self.allowed(owner, accepted + refused, style)?;
        let (flux, peer) = (Arc::clone(self), Peer::Address(ask.peer));
        // A client that goes away must not end it half-way: its points would be in no account.
        let logging = tokio::spawn(async move {
            let logged = flux.log(key, taken, peer).await;
            drop(held);
            logged
        });
        match logging.await {
            Ok(Ok(faults)) if refused > 0 => Ok(answer::partly(style, accepted, refused, &faults)),
            Ok(Ok(_)) => Ok(answer::accepted(style, ask.wants_json(), accepted)),
            _ => Err(busy(style)),
        }
    }

    /// Logs what came under a key, and counts it. What was refused, for its sender.
    async fn log(&self, key: usize, taken: Taken, peer: Peer) -> Result<Vec<Fault>, Full> {
        let key = self.access.key(key).ok_or(Full)?;
        let (intake, wait) = (&self.context.intake, Duration::from_secs_f64(self.settings.wait_seconds));
        let all = taken.accepted + taken.refused();
        if tokio::time::timeout(wait, self.context.flow.open()).await.is_err() {
            key.give_back(all);
            return Err(Full);
        }
        let sender = intake.sender(Listener::Flux, peer);
        let mut logged = 0;
        for batch in taken.batches {
            let points = batch.len();
            if let Err(full) = intake.submit_within(batch, &sender, wait).await {
                key.give_back(all - logged);
                return Err(full);
            }
            logged += points;
            sender.took(points);
            key.accepted.fetch_add(points as u64, Relaxed);
        }
        // Only now: a request that is sent again would count twice.
        let refused = taken.refusals.counts().total();
        sender.refused(refused);
        key.refused.fetch_add(refused, Relaxed);
        intake.refuse(Listener::Flux, peer, &taken.refusals);
        self.counters.skipped(&taken.skipped);
        Ok(taken.faults)
    }

    /// What it does, for `/-/status`: requests, those that took points, and those that were refused or put off, also by the
    /// status code of the answer.
    #[must_use]
    pub fn status(&self) -> serde_json::Value {
        let sum = |statuses: &[u16]| self.counters.sum(statuses);
        let by_status: serde_json::Map<_, _> = STATUSES
            .into_iter()
            .filter(|status| *status >= 400)
            .map(|status| (status.to_string(), sum(&[status]).into()))
            .filter(|(_, n)| *n != 0)
            .collect();
        serde_json::json!({
            "requests": sum(&[]),
            "taken": sum(&[200, 204]),
            "refused": sum(&[400, 401, 404, 405, 408, 410, 413, 415]),
            "put_off": sum(&[429, 500, 503]),
            "by_status": by_status,
        })
    }

    /// What it reports.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        self.counters.figures(out);
        for key in self.access.keys() {
            for (name, help, count) in [
                ("skyline_flux_key_points_total", "Points taken under a key.", &key.accepted),
                ("skyline_flux_key_refused_points_total", "Points refused under a key.", &key.refused),
                ("skyline_flux_key_limited_total", "Requests of a key that were too many.", &key.limited),
            ] {
                out.push(Figure::counter(name, help, count.load(Relaxed)).label("key", key.name.clone()));
            }
        }
    }
}

const GONE: &str = "the node fetches only what its settings name: [[vista.fetch]]";
const NOTHING: &str = "there is nothing at this path: /flux/metric_data, /flux/metric_data_post, /api/v1/write, /write, \
                       /api/v2/write, /flux/openapi.json";

fn busy(style: Style) -> Response {
    let text = "the points cannot be logged now: send all of them again";
    answer::later(style, StatusCode::SERVICE_UNAVAILABLE, text, AGAIN)
}

fn no_body(style: Style, why: NoBody) -> Response {
    let too_long;
    let (status, text) = match why {
        NoBody::TooLong(TooLong { most, unpacked }) => {
            let when = if unpacked { ", once unpacked," } else { "" };
            too_long = format!("the body{when} is longer than {most} bytes: send fewer points at once");
            (StatusCode::PAYLOAD_TOO_LARGE, too_long.as_str())
        }
        NoBody::Late => (StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
        NoBody::Cut => (StatusCode::BAD_REQUEST, "the body is cut off"),
        NoBody::Busy => return busy(style),
        NoBody::Packing => (StatusCode::BAD_REQUEST, "the body cannot be unpacked as Content-Encoding says"),
        NoBody::UnknownPacking => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Encoding is to be gzip, deflate, snappy or identity",
        ),
    };
    let mut answer = answer::problem(style, status, text);
    if matches!(why, NoBody::TooLong(_) | NoBody::Late) {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// What clients of InfluxDB ask first.
fn ping() -> Response {
    let mut answer = StatusCode::NO_CONTENT.into_response();
    answer.headers_mut().insert("x-influxdb-version", HeaderValue::from_static("1.8-skyline"));
    answer
}

fn openapi(method: &Method) -> Response {
    let text = if *method == Method::HEAD { "" } else { include_str!("openapi.json") };
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}
