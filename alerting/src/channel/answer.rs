//! What an answer over HTTP means for a message.

use super::Delivery;
use crate::text::name;
use skyline_conf::secret::Secret;
use skyline_upstream::{Ask, Client, Error, Failure, StatusCode, Whole, retry_after};

/// Longest part of an answer that is repeated, characters.
const WORDS: usize = 200;

/// So much of an answer is read, bytes.
const READ: usize = 64 << 10;

/// Asks. The status is the answer: a receiver that says yes has taken the message, however long or broken its page is.
pub(super) async fn of(client: &Client, mut ask: Ask) -> Result<Whole, Error> {
    ask.max_body = Some(usize::MAX);
    Ok(client.open(ask).await?.beginning(READ).await)
}

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

/// A part of a secret that is shorter says nothing, bytes.
const SHORT: usize = 8;

/// Whether a text has a secret in it, or a part of one: servers say `Cannot POST /hooks/TOKEN` and `no such token`, where
/// the secret is a whole address or a whole header. The host of an address is none.
fn repeats(text: &str, secret: &str) -> bool {
    let behind = secret
        .split_once("://")
        .map_or(secret, |(_, rest)| rest.split_once('/').map_or("", |(_, rest)| rest));
    let parts = behind.split(['/', '?', '&', '=', '#', ':', ' ', '%']).filter(|part| part.len() >= SHORT);
    !secret.is_empty() && (text.contains(secret) || parts.into_iter().any(|part| text.contains(part)))
}

/// The beginning of an answer, on one line; nothing of one that repeats a secret.
fn words(body: &[u8], secrets: &[&Secret]) -> String {
    let text = String::from_utf8_lossy(body);
    if secrets.iter().any(|secret| repeats(&text, secret.reveal())) {
        return String::new();
    }
    let beginning: String = text.trim().chars().take(WORDS * 4).collect();
    name::shortened(&name::literal(&beginning), WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_secret_is_repeated() {
        let url = "https://user:pass0word@hooks.internal:8443/hooks/s3cr3t-t0ken?key=0123456789";
        let check = |secret: &str, text: &str, expected: &str| {
            assert_eq!(words(text.as_bytes(), &[&Secret::new(secret)]), expected, "{text}");
        };
        check(url, "Cannot POST /hooks/s3cr3t-t0ken", "");
        check(url, "{\"path\": \"\\/hooks\\/s3cr3t-t0ken\"}", "");
        check(url, "no key 0123456789", "");
        check(url, "hooks.internal is busy", "hooks.internal is busy");
        check("https://api.telegram.internal/bot1234:ABCDEFGH/sendMessage", "bot1234%3AABCDEFGH", "");
        check("Bearer abcdefgh", "bad token abcdefgh", "");
        check("short", "a short text", "");
        check("", "text", "text");
    }
}
