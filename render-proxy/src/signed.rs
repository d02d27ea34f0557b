//! Signed links to graphs: whoever has one sees that graph until it ends, without a login, and nothing else.
//!
//! `QUERY&skyline_until=SECONDS&skyline_signature=HEX`: HMAC-SHA-256 over everything before the signature. What is signed
//! is the picture's whole query, so that neither name nor times can be changed.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt::Write as _;

/// What is signed begins with this: a signature is good for nothing else.
const PURPOSE: &[u8] = b"skyline graph link 1\n";
const UNTIL: &str = "&skyline_until=";
const SIGNATURE: &str = "&skyline_signature=";

/// Makes and checks signatures.
#[derive(Clone)]
pub struct Signer {
    key: Vec<u8>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(secret)")
    }
}

/// Why a query is not taken for a signed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// There is none.
    #[error("it is not signed")]
    None,
    /// Not ours, or of another query.
    #[error("this link is not one of this node: copy it whole, or use the newest message")]
    Wrong,
    /// It has ended.
    #[error("this link has ended: use the newest message")]
    Ended,
}

impl Signer {
    /// With a key that only this node has.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self { key: key.to_vec() }
    }

    /// `query` with its end, seconds, and a signature.
    #[must_use]
    pub fn sign(&self, query: &str, until: i64) -> String {
        let mut signed = format!("{query}{UNTIL}{until}");
        let signature = self.signature(&signed).map(|mac| mac.finalize().into_bytes());
        signed.push_str(SIGNATURE);
        for byte in signature.iter().flatten() {
            if write!(signed, "{byte:02x}").is_err() {
                break;
            }
        }
        signed
    }

    /// The query that was signed, if it was here, and `now`, seconds, is before its end.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn check<'q>(&self, query: &'q str, now: i64) -> Result<&'q str, BadSignature> {
        let (signed, signature) = query.rsplit_once(SIGNATURE).ok_or(BadSignature::None)?;
        let (inner, until) = signed.rsplit_once(UNTIL).ok_or(BadSignature::Wrong)?;
        let bytes = hex(signature).ok_or(BadSignature::Wrong)?;
        let mac = self.signature(signed).ok_or(BadSignature::Wrong)?;
        mac.verify_slice(&bytes).map_err(|_| BadSignature::Wrong)?;
        let until: i64 = until.parse().map_err(|_| BadSignature::Wrong)?;
        if now >= until { Err(BadSignature::Ended) } else { Ok(inner) }
    }

    fn signature(&self, text: &str) -> Option<Hmac<Sha256>> {
        // A key of any length is taken.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(PURPOSE);
        mac.update(text.as_bytes());
        Some(mac)
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..32).map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_queries() {
        let signer = Signer::new(b"key");
        let signed = signer.sign("target=a&from=1", 1_000);
        assert_eq!(signer.check(&signed, 999), Ok("target=a&from=1"));
        assert_eq!(signer.check(&signed, 1_000), Err(BadSignature::Ended));
        let wrong = |query: &str| assert_eq!(signer.check(query, 999), Err(BadSignature::Wrong), "{query}");
        wrong(&signed.replace("target=a", "target=b"));
        wrong(&signed.replace("until=1000", "until=9999"));
        wrong(&format!("{signed}0"));
        wrong(&format!("{signed}&target=b"));
        wrong("a&skyline_signature=00");
        wrong(&Signer::new(b"other").sign("target=a&from=1", 1_000));
        assert_eq!(signer.check("target=a", 999), Err(BadSignature::None));
    }
}
