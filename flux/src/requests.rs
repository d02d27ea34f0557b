//! Requests: from the head to the answer.

use crate::access::{self, Access, Key};
use crate::answer::{self, Style};
use crate::body::{self, Memory, NoBody, Packing, Whole};
use crate::figures::{Counters, Endpoint, STATUSES};
use crate::influx::Precision;
use crate::json::Wrong;
use crate::points::{Bounds, Points, Taken};
use crate::serve::Error;
use crate::{influx, json, lines, prometheus};
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use skyline_conf::model::Settings;
use skyline_conf::naming::Template;
use skyline_core::batch::Listener;
use skyline_core::figure::Figure;
use skyline_relay::flow::Flow;
use skyline_relay::intake::{Full, Intake, Peer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Requests that are decoded and logged at the same time: what their points become is beside the memory for bodies.
const WORKING: usize = 8;

/// All points of a request may become so many times the bytes of the longest unpacked body.
const GROWTH: usize = 4;

/// Longer bodies are decoded where computing holds up nobody, bytes.
const SMALL: usize = 16 << 10;

/// Seconds until a request is to be tried again, that the journal or the memory had no room for.
const AGAIN: u64 = 2;

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
    working: Semaphore,
    counters: Arc<Counters>,
    settings: skyline_conf::model::flux::Flux,
    bounds: Bounds,
}

/// What a body is.
enum Form {
    Json,
    Lines,
    RemoteWrite,
    Influx(Precision),
}

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
            working: Semaphore::new(WORKING),
            counters: Arc::default(),
            settings: flux.clone(),
            bounds,
        }))
    }

    pub(crate) fn max_connections(&self) -> usize {
        self.settings.max_connections as usize
    }

    /// For the head of a request, and between two requests.
    pub(crate) fn head(&self) -> Duration {
        Duration::from_secs_f64(self.settings.head_seconds)
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
        answer
    }

    async fn points(self: &Arc<Self>, ask: Ask, body: Body) -> Answer {
        let style = ask.style;
        let Ok(Query(query)) = Query::<Vec<(String, String)>>::try_from_uri(&ask.uri) else {
            return Err(answer::problem(style, StatusCode::BAD_REQUEST, "the query cannot be read"));
        };
        let key = match ask.key(&query) {
            Some(given) => Some(self.access.find(&given).ok_or_else(|| answer::unauthorized(style))?),
            // A body of JSON may bring it.
            None if ask.endpoint == Endpoint::Post && !ask.is_lines() => None,
            None => return Err(answer::unauthorized(style)),
        };
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
            return self.submit(key.unwrap_or_default(), points.finish(), &ask).await;
        }
        let form = ask.form(&query)?;
        let mut packing = Packing::of(&ask.headers).map_err(|why| no_body(style, why))?;
        if matches!(form, Form::RemoteWrite) && packing == Packing::Plain {
            packing = Packing::Snappy;
        }
        let (most, time) =
            (self.settings.max_body_bytes as usize, Duration::from_secs_f64(self.settings.body_seconds));
        let whole = body::read(body, &ask.headers, most, time, &self.memory).await;
        let whole = whole.map_err(|why| no_body(style, why))?;
        self.counters.body_bytes.fetch_add(whole.bytes.len() as u64, Relaxed);
        sender.read(whole.bytes.len(), now);
        let wait = Duration::from_secs_f64(self.settings.wait_seconds) + body::SHORT_WAIT;
        let turn = tokio::time::timeout(wait, self.working.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(busy(style)) };
        let decoded = if whole.bytes.len() <= SMALL && packing == Packing::Plain {
            self.decode(whole, packing, &form, key, now, style)
        } else {
            let flux = Arc::clone(self);
            let decode = move || flux.decode(whole, packing, &form, key, now, style).map_err(Box::new);
            match tokio::task::spawn_blocking(decode).await {
                Ok(decoded) => decoded.map_err(|answer| *answer),
                Err(_) => Err(answer::problem(style, StatusCode::INTERNAL_SERVER_ERROR, "it broke")),
            }
        };
        let (key, taken) = decoded?;
        self.submit(key, taken, &ask).await
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
    ) -> Result<(usize, Taken), Response> {
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
            let text = "the points become too much: send fewer at once";
            return Err(answer::problem(style, StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Ok((owner, points.finish()))
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
    async fn submit(&self, key: usize, taken: Taken, ask: &Ask) -> Answer {
        let style = ask.style;
        let Some(key) = self.access.key(key) else { return Err(answer::unauthorized(style)) };
        let (accepted, refused) = (taken.accepted, taken.refused());
        self.allowed(key, accepted + refused, style)?;
        let wait = Duration::from_secs_f64(self.settings.wait_seconds);
        if tokio::time::timeout(wait, self.context.flow.open()).await.is_err() {
            key.give_back(accepted + refused);
            return Err(busy(style));
        }
        let (intake, peer) = (self.context.intake.clone(), Peer::Address(ask.peer));
        let Taken { batches, refusals, faults, skipped, .. } = taken;
        // A client that goes away must not end it half-way: its points would be in no account.
        let logging = tokio::spawn(async move {
            let sender = intake.sender(Listener::Flux, peer);
            for batch in batches {
                let points = batch.len();
                intake.submit_within(batch, &sender, wait).await?;
                sender.took(points);
            }
            // Only now: a request that is sent again would count twice.
            sender.refused(refusals.counts().total());
            intake.refuse(Listener::Flux, peer, &refusals);
            Ok::<_, Full>(())
        });
        if !matches!(logging.await, Ok(Ok(()))) {
            key.give_back(accepted + refused);
            return Err(busy(style));
        }
        self.counters.skipped(&skipped);
        key.accepted.fetch_add(accepted as u64, Relaxed);
        key.refused.fetch_add(refused as u64, Relaxed);
        if refused > 0 {
            return Ok(answer::partly(style, accepted, refused, &faults));
        }
        Ok(answer::accepted(style, ask.wants_json(), accepted))
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

/// What a request says beside its body.
struct Ask {
    endpoint: Endpoint,
    style: Style,
    peer: SocketAddr,
    headers: HeaderMap,
    uri: Uri,
}

impl Ask {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The key that came in a header or the query.
    fn key(&self, query: &[(String, String)]) -> Option<Vec<u8>> {
        if let Some(value) = self.headers.get("x-api-key") {
            return Some(value.as_bytes().to_vec());
        }
        if self.headers.contains_key(header::AUTHORIZATION) {
            // One that cannot be read is a wrong one.
            return Some(access::of_authorization(self.header(header::AUTHORIZATION)).unwrap_or_default());
        }
        let name = if self.endpoint == Endpoint::Influx { "p" } else { "key" };
        query.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone().into_bytes())
    }

    fn kind(&self) -> String {
        let kind = self.header(header::CONTENT_TYPE);
        kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    fn is_lines(&self) -> bool {
        self.kind() == "text/plain"
    }

    fn wants_json(&self) -> bool {
        self.header(header::ACCEPT).split(',').any(|kind| {
            kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
        })
    }

    #[expect(clippy::result_large_err, reason = "an answer")]
    fn form(&self, query: &[(String, String)]) -> Result<Form, Response> {
        let unknown = |text: &str| answer::problem(self.style, StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        match (self.endpoint, self.kind().as_str()) {
            (Endpoint::Post, "" | "application/json" | "text/json") => Ok(Form::Json),
            (Endpoint::Post, "text/plain") => Ok(Form::Lines),
            (Endpoint::Post, _) => {
                Err(unknown("Content-Type is to be application/json, or text/plain for lines"))
            }
            (Endpoint::RemoteWrite, "application/x-protobuf" | "")
                if !self.header(header::CONTENT_TYPE).contains("write.v2") =>
            {
                Ok(Form::RemoteWrite)
            }
            (Endpoint::RemoteWrite, _) => {
                Err(unknown("Content-Type is to be application/x-protobuf of remote-write 1.0"))
            }
            _ => {
                let given =
                    query.iter().find(|(n, _)| n == "precision").map_or("", |(_, value)| value.as_str());
                Precision::of(given).map(Form::Influx).ok_or_else(|| {
                    let text = "precision is to be ns, us, ms, s, m or h";
                    answer::problem(self.style, StatusCode::BAD_REQUEST, text)
                })
            }
        }
    }
}

fn busy(style: Style) -> Response {
    let text = "the points cannot be logged now: send all of them again";
    answer::later(style, StatusCode::SERVICE_UNAVAILABLE, text, AGAIN)
}

fn no_body(style: Style, why: NoBody) -> Response {
    let (status, text) = match why {
        NoBody::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long: send fewer points at once"),
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
    if matches!(why, NoBody::TooLong | NoBody::Late) {
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
