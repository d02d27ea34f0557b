//! What an answer over HTTP means for a message.

use super::Delivery;
use crate::text::name;
use skyline_conf::secret::Secret;
use skyline_upstream::{Error, Failure, StatusCode, Whole, retry_after};

/// Longest part of an answer that is repeated, characters.
const WORDS: usize = 200;

/// What became of a message. `secrets`: what the answer may repeat and we must not.
pub(super) fn delivery(
    answer: Result<Whole, Error>,
    now: f64,
    secrets: &[&Secret],
    advice: impl Fn(StatusCode) -> &'static str,
) -> Delivery {
    let answer = match answer {
        Ok(answer) => answer,
        // A question that cannot be asked will not be one later.
        Err(error) if error.kind() == Failure::Question => {
            return Delivery::Refused { reason: error.to_string() };
        }
        Err(error) => return Delivery::Retry { after: None, reason: error.to_string() },
    };
    let status = answer.status;
    if status.is_success() {
        return Delivery::Accepted { thread: None, answer: status.to_string() };
    }
    let mut reason = format!("it answers with status {status}");
    let said = words(&answer.body, secrets);
    if !said.is_empty() {
        reason.push_str(&format!(": {said}"));
    }
    let advice = advice(status);
    if !advice.is_empty() {
        reason.push_str(&format!("; {advice}"));
    }
    let is_passing = status.is_server_error() || matches!(status.as_u16(), 408 | 423 | 425 | 429);
    if is_passing {
        Delivery::Retry { after: retry_after(&answer.headers, now), reason }
    } else if is_about_the_message(status) {
        Delivery::Refused { reason }
    } else {
        // Its address, its key or what it leads to: another message would fare no better.
        Delivery::Broken { reason }
    }
}

/// Whether a status is about what was sent, and not about who sends it where.
fn is_about_the_message(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 406 | 409 | 411 | 413..=415 | 422 | 431)
}

/// The beginning of an answer, on one line; nothing of one that repeats a secret.
fn words(body: &[u8], secrets: &[&Secret]) -> String {
    let text = String::from_utf8_lossy(body);
    let repeats = |secret: &&Secret| !secret.reveal().is_empty() && text.contains(secret.reveal());
    if secrets.iter().any(repeats) {
        return String::new();
    }
    let beginning: String = text.trim().chars().take(WORDS * 4).collect();
    name::shortened(&name::literal(&beginning), WORDS)
}
