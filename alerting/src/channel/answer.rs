//! What an answer over HTTP means for a message.

use super::Delivery;
use crate::text::name;
use skyline_conf::secret::Secret;
use skyline_upstream::{Error, Failure, StatusCode, Whole, retry_after};

/// Longest part of an answer that is repeated, characters.
const WORDS: usize = 200;
/// A part of an address that is shorter, bytes, is no secret.
const TELLING: usize = 8;

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
    } else {
        Delivery::Refused { reason }
    }
}

/// The beginning of an answer, on one line; nothing of one that repeats a secret.
fn words(body: &[u8], secrets: &[&Secret]) -> String {
    let text = String::from_utf8_lossy(body);
    if secrets.iter().flat_map(|secret| parts(secret.reveal())).any(|part| text.contains(part)) {
        return String::new();
    }
    let beginning: String = text.trim().chars().take(WORDS * 4).collect();
    name::shortened(&name::literal(&beginning), WORDS)
}

/// What of a secret must not be repeated: all of it, and, of an address, what follows the host, piece by piece: a server
/// that does not know a path often says which one.
fn parts(secret: &str) -> impl Iterator<Item = &str> {
    let path = secret.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let pieces = path.split(['/', '?', '&', '=', '#']).filter(|piece| piece.len() >= TELLING);
    std::iter::once(secret).chain(pieces).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_secret_address_is_repeated() {
        let url = Secret::new("https://hooks.internal:8443/services/T0PS3CR3T99?key=hunter2hunter2");
        let said = |body: &str| words(body.as_bytes(), &[&url]);
        assert_eq!(said("Cannot POST /services/T0PS3CR3T99"), "");
        assert_eq!(said("no such key: hunter2hunter2"), "");
        assert_eq!(said("hooks.internal is being mended"), "hooks.internal is being mended");
        assert_eq!(words(b"all right", &[&Secret::new("")]), "all right");
    }
}
