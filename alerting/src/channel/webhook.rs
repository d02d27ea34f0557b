//! Webhooks: a message as JSON, in a form of the receiver's choice, signed.
//!
//! A signed request has `X-Skyline-Timestamp` (seconds) and `X-Skyline-Signature: v1=` and the HMAC-SHA-256 of the
//! timestamp, a dot and the body, in hexadecimal digits. Every request has `X-Skyline-Key`, which is the same for every
//! copy of a message.

mod fields;
mod template;

use super::{Channel, Delivery, Gallery, Later, answer};
use crate::message::Message;
use crate::text::{Story, Style};
use ring::digest::{SHA256, digest};
use ring::hmac;
use skyline_conf::model::alerting::webhook::Webhook as Settings;
use skyline_conf::secret::Secret;
use skyline_core::clock::Clock;
use skyline_core::problem::Problem;
use skyline_upstream::{Ask, Client, HeaderName, HeaderValue, Options, StatusCode};
use std::time::Duration;
use template::Template;

/// Messages to another server.
#[derive(Debug)]
pub struct Webhook {
    name: String,
    client: Client,
    template: Option<Template>,
    secret: Option<Secret>,
    style: Style,
    clock: Clock,
    timeout: Duration,
}

impl Webhook {
    /// The channel that the settings describe.
    ///
    /// # Errors
    /// An address, a header, a secret or a template that is of no use.
    pub fn new(settings: &Settings, style: Style) -> Result<Self, Problem> {
        let total = Duration::from_secs_f64(settings.timeout_seconds);
        let mut options = Options::new(&settings.name, settings.address()?.reveal());
        options.headers = settings.all_headers()?;
        options.tls.ca_file.clone_from(&settings.ca_file);
        (options.total, options.connect, options.idle) = (total, total, total);
        // When to try again is the outbox's to decide.
        options.pauses.failures = 0;
        let template = if settings.template.as_os_str().is_empty() {
            None
        } else {
            Some(Template::read(&settings.template)?)
        };
        Ok(Self {
            name: settings.name.clone(),
            client: Client::new(options)?,
            template,
            secret: settings.secret()?,
            style,
            clock: Clock::system(),
            timeout: total,
        })
    }

    /// The body of the request of a message.
    #[must_use]
    pub fn body(&self, message: &Message) -> String {
        let fields = fields::of(message, &Story::new(message, &self.style));
        match &self.template {
            Some(template) => template.fill(&fields).to_string(),
            None => serde_json::Value::Object(fields).to_string(),
        }
    }

    async fn send(&self, message: &Message) -> Delivery {
        let (body, now) = (self.body(message), self.clock.now());
        let mut ask =
            Ask::post("", HeaderValue::from_static("application/json; charset=utf-8"), body.clone());
        let mut header = |name: &'static str, value: String| {
            // Digits and ASCII letters are always the value of a header.
            if let Ok(value) = value.parse::<HeaderValue>() {
                ask.headers.insert(HeaderName::from_static(name), value);
            }
        };
        header("x-skyline-key", hexadecimal(digest(&SHA256, message.key.as_bytes()).as_ref()));
        if let Some(secret) = &self.secret {
            let timestamp = (now as u64).to_string();
            header("x-skyline-signature", signature(secret, &timestamp, &body));
            header("x-skyline-timestamp", timestamp);
        }
        let answer = answer::of(&self.client, ask).await;
        let options = self.client.options();
        let mut secrets: Vec<&Secret> = options.headers.iter().map(|(_, value)| value).collect();
        secrets.push(&options.url);
        secrets.extend(&self.secret);
        answer::delivery(answer, now, &secrets, |status| match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "check the webhook's address and headers",
            StatusCode::NOT_FOUND | StatusCode::GONE => "check the webhook's address",
            _ => "",
        })
    }
}

/// Entry point for fuzzers: any bytes as a template, and as the name of a metric.
///
/// What a template makes is JSON that is read as it was written, and no name changes its form.
pub fn fuzz(bytes: &[u8]) {
    use crate::message::{Kind, Origin};
    let text = String::from_utf8_lossy(bytes);
    let message = crate::samples::message(Kind::Opened, Origin::Analyzer, &text, 1_700_000_000.0, "");
    let fields = fields::of(&message, &Story::new(&message, &Style::default()));
    let templates = [text.as_ref(), r#"{"{{ metric }}": ["{{ metric }}", "- {{ metric }} -"]}"#];
    for template in templates.into_iter().filter_map(|text| Template::parse(text).ok()) {
        let filled = template.fill(&fields);
        let again = serde_json::from_str::<serde_json::Value>(&filled.to_string());
        assert!(again.is_ok_and(|again| again == filled), "the request is no JSON");
    }
    let members = fields.get("metric").map(|metric| metric == text.as_ref());
    assert!(members == Some(true), "a name became another");
}

/// `v1=` and the HMAC-SHA-256 of a timestamp, a dot and a body.
fn signature(secret: &Secret, timestamp: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    format!("v1={}", hexadecimal(hmac::sign(&key, format!("{timestamp}.{body}").as_bytes()).as_ref()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Channel for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(
        &'a self,
        message: &'a Message,
        _thread: Option<&'a str>,
        _gallery: &'a dyn Gallery,
    ) -> Later<'a, Delivery> {
        Box::pin(self.send(message))
    }

    fn longest(&self) -> Duration {
        self.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
        let expected = "v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03";
        assert_eq!(signature(&Secret::new("key"), "1700000000", "{\"a\":1}"), expected);
    }
}
