//! Signed links to graphs: whoever has one sees that graph until it ends, without a login, and nothing else.
//!
//! `QUERY&skyline_until=SECONDS&skyline_signature=HEX`: HMAC-SHA-256 over everything before the signature. What is signed
//! is the picture's whole query, so that neither name nor times can be changed.

use ring::hmac;
use skyline_core::file;
use skyline_core::problem::Problem;
use std::fmt::Write as _;
use std::path::Path;

/// Name of the key's file in the node's state folder.
pub const FILE: &str = "graph-link.key";

/// What is signed begins with this: a signature is good for nothing else.
const PURPOSE: &[u8] = b"skyline graph link 1\n";
const UNTIL: &str = "&skyline_until=";
const SIGNATURE: &str = "&skyline_signature=";

/// Makes and checks signatures.
#[derive(Clone)]
pub struct Signer {
    key: hmac::Key,
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
    /// With the key in the node's state folder, which is made if it is not there.
    ///
    /// # Errors
    /// It can be neither read nor made.
    pub fn open(state_dir: &Path) -> Result<Self, Problem> {
        let path = state_dir.join(FILE);
        let shown = path.display();
        let key = file::key(&path, rand::random()).map_err(|error| {
            let advice = "it must be readable and writable for the user of the node";
            Problem::new(format!("the key of graph links {shown}: {error}"), advice)
        })?;
        Ok(Self::new(&key))
    }

    /// With a key that only this node has.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// `query` with its end, seconds, and a signature.
    #[must_use]
    pub fn sign(&self, query: &str, until: i64) -> String {
        let mut signed = format!("{query}{UNTIL}{until}");
        let signature = hmac::sign(&self.key, &under(&signed));
        signed.push_str(SIGNATURE);
        for byte in signature.as_ref() {
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
        let Some((signed, signature)) = query.rsplit_once(SIGNATURE) else {
            // A server in front that lets by whatever has such a parameter must find the same one here, wherever it
            // stands and however it is written.
            let is_claimed = query.to_ascii_lowercase().contains("skyline_signature");
            return Err(if is_claimed { BadSignature::Wrong } else { BadSignature::None });
        };
        let (inner, until) = signed.rsplit_once(UNTIL).ok_or(BadSignature::Wrong)?;
        let bytes = hex(signature).ok_or(BadSignature::Wrong)?;
        // Takes the same time whatever is wrong.
        hmac::verify(&self.key, &under(signed), &bytes).map_err(|_| BadSignature::Wrong)?;
        let until: i64 = until.parse().map_err(|_| BadSignature::Wrong)?;
        if now >= until { Err(BadSignature::Ended) } else { Ok(inner) }
    }
}

/// What is signed: good for nothing but pictures.
fn under(query: &str) -> Vec<u8> {
    [PURPOSE, query.as_bytes()].concat()
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
    fn keys() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let signed = Signer::open(folder.path()).unwrap().sign("a=b", 10);
        let file = folder.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Signer::open(folder.path()).unwrap().check(&signed, 9), Ok("a=b"));
        std::fs::write(&file, "short").unwrap();
        assert!(Signer::open(folder.path()).unwrap_err().to_string().contains("32 bytes"));
        assert!(
            Signer::open(Path::new("/nowhere")).unwrap_err().to_string().contains("/nowhere/graph-link.key")
        );
    }

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
        wrong("skyline_signature=00&target=a");
        wrong("target=a&Skyline_Signature=00");
        wrong(&Signer::new(b"other").sign("target=a&from=1", 1_000));
        assert_eq!(signer.check("target=a", 999), Err(BadSignature::None));
    }
}
