//! Slack's methods as we need them, each within a time-out, and what its errors mean.

use super::Root;
use crate::channel::Delivery;
use crate::channel::bounded::Bounding;
use crate::text::name;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::{Value, json};
use skyline_conf::model::alerting::slack::Slack as Settings;
use skyline_conf::secret::Secret;
use skyline_core::problem::Problem;
use slack_morphism::SlackClientApiCallContext;
use slack_morphism::errors::SlackClientError;
use slack_morphism::prelude::{
    SlackApiToken, SlackApiTokenValue, SlackClient, SlackClientHttpConnector as _, SlackClientHyperConnector,
};
use std::fmt;
use std::time::Duration;

type Connector = HttpsConnector<Bounding>;

/// Longest answer with what belongs to it on the wire, bytes: the client reads each to its end.
const ANSWER: usize = 1 << 20;
/// Longest answer to an upload, bytes.
const UPLOAD_ANSWER: usize = 64 << 10;

/// Slack's methods.
pub(super) struct Api {
    client: SlackClient<SlackClientHyperConnector<Connector>>,
    token: SlackApiToken,
    /// For uploads: their addresses are secrets, and need no token.
    uploads: Client<Connector, Full<Bytes>>,
    timeout: Duration,
    encrypted: bool,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Why a method did not do its work.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Not in time.
    Slow(Duration),
    /// Slack's own word for it, such as `channel_not_found`.
    Code(String),
    /// Slack asks to wait.
    TooMany(Option<Duration>),
    /// A status that is no success, and what the answer says.
    Status(u16, String),
    /// The connection, or an answer that is none.
    Broken(String),
}

#[derive(Deserialize)]
struct Posted {
    channel: String,
    ts: String,
}

#[derive(Deserialize)]
struct UploadPlace {
    upload_url: String,
    file_id: String,
}

impl Api {
    pub(super) fn new(settings: &Settings, token: Secret) -> Result<Self, Problem> {
        let advice = "install the system's authorities (package ca-certificates)";
        let encrypted = !settings.api_url.starts_with("http://");
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(Duration::from_secs_f64(settings.timeout_seconds)));
        let builder = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| Problem::new(format!("TLS for Slack: {error}"), advice))?;
        let builder = if encrypted { builder.https_only() } else { builder.https_or_http() };
        let connector = builder.enable_http1().wrap_connector(Bounding { inner: http, limit: ANSWER });
        let url = settings.api_url.trim_end_matches('/');
        let hyper = SlackClientHyperConnector::with_connector(connector.clone()).with_slack_api_url(url);
        Ok(Self {
            client: SlackClient::new(hyper),
            token: SlackApiToken::new(SlackApiTokenValue::from(token.reveal().to_owned())),
            uploads: Client::builder(TokioExecutor::new()).build(connector),
            timeout: Duration::from_secs_f64(settings.timeout_seconds),
            encrypted,
        })
    }

    /// `chat.postMessage`: where the message is.
    pub(super) async fn post_message(&self, body: &Value) -> Result<Root, Trouble> {
        let posted: Posted = self.call("chat.postMessage", body).await?;
        Ok(Root { channel: posted.channel, ts: posted.ts })
    }

    /// `chat.update`.
    pub(super) async fn update(&self, body: &Value) -> Result<(), Trouble> {
        self.call::<Value>("chat.update", body).await.map(drop)
    }

    /// `reactions.add`; one that is there already is well.
    pub(super) async fn react(&self, root: &Root, emoji: &str) -> Result<(), Trouble> {
        let body = json!({ "channel": root.channel, "timestamp": root.ts, "name": emoji.trim_matches(':') });
        match self.call::<Value>("reactions.add", &body).await {
            Err(Trouble::Code(code)) if code == "already_reacted" => Ok(()),
            other => other.map(drop),
        }
    }

    /// `reactions.remove`; one that is not there is well.
    pub(super) async fn take_back(&self, root: &Root, emoji: &str) -> Result<(), Trouble> {
        let body = json!({ "channel": root.channel, "timestamp": root.ts, "name": emoji.trim_matches(':') });
        match self.call::<Value>("reactions.remove", &body).await {
            Err(Trouble::Code(code)) if code == "no_reaction" => Ok(()),
            other => other.map(drop),
        }
    }

    /// A picture into the thread of a message, as Slack wants files since 2025: a place, the bytes, the end.
    pub(super) async fn upload(
        &self,
        root: &Root,
        file: &str,
        words: &str,
        png: Vec<u8>,
    ) -> Result<(), Trouble> {
        let length = png.len().to_string();
        let words = name::shortened(&name::literal(words), 900);
        let query =
            [("filename", Some(file)), ("length", Some(length.as_str())), ("alt_txt", Some(words.as_str()))];
        let place: UploadPlace = self.get("files.getUploadURLExternal", &query).await?;
        self.send_file(&place.upload_url, png).await?;
        let body = json!({
            "files": [{ "id": place.file_id, "title": words }],
            "channel_id": root.channel,
            "thread_ts": root.ts,
        });
        self.call::<Value>("files.completeUploadExternal", &body).await.map(drop)
    }

    /// Posts to an incoming webhook, whose address is a secret.
    pub(super) async fn post_webhook(&self, address: &str, body: &Value) -> Result<(), Trouble> {
        let Ok(address) = address.parse() else {
            return Err(Trouble::Code("the webhook's address is no URL".into()));
        };
        let span = tracing::Span::none();
        let context = SlackClientApiCallContext {
            rate_control_params: None,
            token: None,
            tracing_span: &span,
            is_sensitive_url: true,
        };
        let asking = self.client.http_api.connector.http_post_uri::<_, Value>(address, body, context);
        within(self.timeout, asking).await.map(drop)
    }

    async fn call<T>(&self, method: &str, body: &Value) -> Result<T, Trouble>
    where
        T: for<'de> Deserialize<'de> + Send,
    {
        let session = self.client.open_session(&self.token);
        within(self.timeout, session.http_session_api.http_post(method, body, None)).await
    }

    async fn get<T>(&self, method: &str, query: &[(&str, Option<&str>)]) -> Result<T, Trouble>
    where
        T: for<'de> Deserialize<'de> + Send,
    {
        let session = self.client.open_session(&self.token);
        let query = query.to_vec();
        within(self.timeout, session.http_session_api.http_get(method, &query, None)).await
    }

    /// The bytes of a file to the place that Slack gave. Neither the place nor the request is ever logged.
    async fn send_file(&self, place: &str, bytes: Vec<u8>) -> Result<(), Trouble> {
        if self.encrypted && !place.starts_with("https://") {
            return Err(Trouble::Broken("the place for the picture is not encrypted".into()));
        }
        let request = hyper::Request::post(place)
            .header(hyper::header::CONTENT_TYPE, "application/octet-stream")
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|_| Trouble::Broken("the place for the picture is no address".into()))?;
        let sending = async {
            let broken = |_| Trouble::Broken("the connection for the picture broke".into());
            let answer = self.uploads.request(request).await.map_err(broken)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), UPLOAD_ANSWER);
            // Read to its end, so that the connection can be used again.
            drop(body.collect().await);
            if status.is_success() { Ok(()) } else { Err(Trouble::Status(status.as_u16(), String::new())) }
        };
        tokio::time::timeout(self.timeout, sending).await.unwrap_or(Err(Trouble::Slow(self.timeout)))
    }
}

async fn within<T>(
    limit: Duration,
    asking: impl Future<Output = Result<T, SlackClientError>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(limit, asking).await {
        Ok(answer) => answer.map_err(|error| Trouble::of(&error)),
        Err(_) => Err(Trouble::Slow(limit)),
    }
}

impl Trouble {
    /// What an error of the client means. Its own text may hold whole answers, and is not used.
    fn of(error: &SlackClientError) -> Self {
        match error {
            SlackClientError::ApiError(error) => Self::Code(error.code.clone()),
            SlackClientError::RateLimitError(error) => Self::TooMany(error.retry_after),
            SlackClientError::HttpError(error) => {
                let body = error.http_response_body.as_deref().unwrap_or_default().trim();
                // Slack's own codes; anything else may repeat the address, which is a secret.
                let is_code = body.len() <= 60 && body.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                Self::Status(
                    error.status_code.as_u16(),
                    if is_code { body.to_owned() } else { String::new() },
                )
            }
            SlackClientError::ProtocolError(_) => Self::Broken("the answer is not what Slack says".into()),
            SlackClientError::HttpProtocolError(error) => Self::Broken(cause(error.cause.as_deref())),
            _ => Self::Broken("the connection broke".into()),
        }
    }

    /// Whether the incident's first message is no longer there.
    pub(super) fn is_lost_thread(&self) -> bool {
        matches!(self, Self::Code(code) if matches!(code.as_str(),
            "thread_not_found" | "message_not_found" | "cannot_reply_to_message" | "invalid_thread_ts"))
    }

    /// Whether it will never work as it is.
    pub(super) fn is_permanent(&self) -> bool {
        match self {
            Self::Code(code) => !matches!(
                code.as_str(),
                "ratelimited"
                    | "rate_limited"
                    | "internal_error"
                    | "fatal_error"
                    | "service_unavailable"
                    | "request_timeout"
                    | "team_added_to_org"
                    | "accesslimited"
                    | "external_channel_migrating"
            ),
            Self::Status(status, _) => (400..500).contains(status) && !matches!(status, 408 | 425 | 429),
            Self::Slow(_) | Self::TooMany(_) | Self::Broken(_) => false,
        }
    }

    /// When it may be tried again, if Slack says so.
    pub(super) const fn after(&self) -> Option<Duration> {
        match self {
            Self::TooMany(after) => *after,
            _ => None,
        }
    }

    /// Why, for people.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Slow(limit) => format!("Slack did not answer within {} s", limit.as_secs_f64()),
            Self::Code(code) => {
                let code = name::shortened(&name::literal(code), 100);
                match advice(&code) {
                    "" => format!("Slack says {code}"),
                    advice => format!("Slack says {code}; {advice}"),
                }
            }
            Self::TooMany(Some(after)) => format!("Slack asks to wait for {} s", after.as_secs()),
            Self::TooMany(None) => "Slack asks to wait".into(),
            Self::Status(status, body) if body.is_empty() => format!("Slack answers with status {status}"),
            Self::Status(status, body) => format!("Slack answers with status {status}: {body}"),
            Self::Broken(what) => format!("Slack: {what}"),
        }
    }

    /// Whether it is about the app, its token or the address, and no message would be taken.
    fn is_of_the_channel(&self) -> bool {
        match self {
            Self::Code(code) => matches!(
                code.as_str(),
                "invalid_auth"
                    | "not_authed"
                    | "account_inactive"
                    | "token_revoked"
                    | "token_expired"
                    | "not_allowed_token_type"
                    | "missing_scope"
                    | "no_permission"
                    | "access_denied"
                    | "ekm_access_denied"
                    | "org_login_required"
                    | "team_access_not_granted"
            ),
            // Of an incoming webhook: `invalid_token`, `no_service`, `channel_is_archived`.
            Self::Status(status, _) => matches!(status, 401 | 403 | 404 | 410),
            Self::Slow(_) | Self::TooMany(_) | Self::Broken(_) => false,
        }
    }

    /// What it means for a message to `recipient`.
    pub(super) fn delivery(&self, recipient: &str) -> Delivery {
        let reason = format!("{}: {}", name::literal(recipient), self.reason());
        if self.is_of_the_channel() {
            Delivery::Broken { reason }
        } else if self.is_permanent() {
            Delivery::Refused { reason }
        } else {
            Delivery::Retry { after: self.after(), reason }
        }
    }
}

fn cause(error: Option<&(dyn std::error::Error + Send + Sync + 'static)>) -> String {
    let Some(error) = error else { return "the connection broke".into() };
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    name::shortened(&name::literal(&text), 200)
}

/// What helps against an error that Slack names.
fn advice(code: &str) -> &'static str {
    match code {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            "put the token of an installed app (xoxb-…) into the file or variable of alerting.slack.token_file or token_env"
        }
        "missing_scope" | "no_permission" => {
            "give the app the scopes chat:write, files:write and reactions:write, and install it again"
        }
        "channel_not_found" => {
            "write the channel's id (C…), and invite the app with /invite if the channel is private"
        }
        "not_in_channel" => {
            "invite the app to the channel with /invite, or give it the scope chat:write.public"
        }
        "is_archived" => "name a channel that is not archived",
        "restricted_action" => "let an owner of the workspace allow the app to post there",
        _ => "",
    }
}
