//! Links in messages that show an incident, acknowledge it or mute without a login: signed, with an end, and harmless to look at.
//!
//! A link is `{alerting.public_url}/alert/TOKEN`. The token says what is done and until when, and is signed with a key
//! of the node (HMAC-SHA-256) that only its own user can read. Whoever has the link may do that one thing and nothing
//! else. Scanners of mail follow links: only a `POST` acts, a `GET` shows what would be done.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use skyline_core::file::{self, KEY_BYTES};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The path of links, below the public URL.
pub const PATH: &str = "/alert/";

/// Name of the key's file in the node's state folder.
pub const FILE: &str = "alert-link.key";

/// Bytes of a signature.
const SIGNATURE: usize = 32;

/// What is signed begins with this: a signature is good for nothing else.
const PURPOSE: &[u8] = b"skyline alert link 1\n";

/// Longest subject of a link, bytes: a link must fit into a line of mail. Longer names have none.
const LONGEST: usize = 400;

/// What a link does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Shows the incident with that key.
    Show(String),
    /// Acknowledges the incident with that key.
    Acknowledge(String),
    /// Mutes the metric for so many seconds.
    Mute {
        /// The metric's name.
        metric: String,
        /// For so long, seconds.
        seconds: u32,
    },
}

/// A link that does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// Nobody here has signed it.
    #[error("this link is not one of this node: copy it whole, or use the newest message")]
    Unknown,
    /// It has ended.
    #[error("this link has ended: use the newest message, or `skyline alert`")]
    Ended,
}

/// The key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the key of alert links {}: {source}; it must be readable and writable for the user of the node", file.display())]
pub struct BadKey {
    /// Its file.
    file: PathBuf,
    /// What the system said, or what is wrong with it.
    source: io::Error,
}

/// Makes and reads links.
#[derive(Clone)]
pub struct Links {
    key: hmac::Key,
    /// Without a slash at its end.
    public_url: String,
    /// How long links work, seconds.
    valid: f64,
}

impl fmt::Debug for Links {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links")
            .field("public_url", &self.public_url)
            .field("valid", &self.valid)
            .finish_non_exhaustive()
    }
}

impl Links {
    /// With the key in the node's state folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn open(state_dir: &Path, public_url: &str, valid: f64) -> Result<Self, BadKey> {
        let file = state_dir.join(FILE);
        let key = file::key(&file, rand::random()).map_err(|source| BadKey { file: file.clone(), source })?;
        Ok(Self::with_key(&key, public_url, valid))
    }

    /// With a key of 32 bytes.
    fn with_key(key: &[u8], public_url: &str, valid: f64) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), public_url, valid }
    }

    /// Where people reach the node, without a slash at the end; empty: links cannot be made.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// How long links work, seconds.
    #[must_use]
    pub const fn valid(&self) -> f64 {
        self.valid
    }

    /// A link; none: there is no public URL, or the name is too long.
    #[must_use]
    pub fn link(&self, action: &Action, now: f64) -> Option<String> {
        let is_short = match action {
            Action::Show(incident) | Action::Acknowledge(incident) => incident.len() <= LONGEST,
            Action::Mute { metric, .. } => metric.len() <= LONGEST,
        };
        let is_on = is_short && !self.public_url.is_empty();
        is_on.then(|| format!("{}{PATH}{}", self.public_url, self.token(action, now + self.valid)))
    }

    /// What is behind [`PATH`] in a link that works until `end`, seconds.
    fn token(&self, action: &Action, end: f64) -> String {
        let end = end.max(0.0) as u64;
        let mut said = match action {
            Action::Show(incident) => format!("s\n{end}\n{incident}"),
            Action::Acknowledge(incident) => format!("a\n{end}\n{incident}"),
            Action::Mute { metric, seconds } => format!("m\n{end}\n{seconds}\n{metric}"),
        }
        .into_bytes();
        let signature = hmac::sign(&self.key, &[PURPOSE, &said].concat());
        said.extend_from_slice(signature.as_ref());
        URL_SAFE_NO_PAD.encode(said)
    }

    /// What a token does, and until when it may (seconds).
    ///
    /// # Errors
    /// [`BadLink`]: it is not signed by this node, or has ended at `now`.
    pub fn read(&self, token: &str, now: f64) -> Result<(Action, f64), BadLink> {
        if token.len() > 2 * (LONGEST + SIGNATURE + 64) {
            return Err(BadLink::Unknown);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| BadLink::Unknown)?;
        let at = bytes.len().checked_sub(SIGNATURE).ok_or(BadLink::Unknown)?;
        let (said, signature) = bytes.split_at(at);
        // Takes the same time whatever is wrong.
        hmac::verify(&self.key, &[PURPOSE, said].concat(), signature).map_err(|_| BadLink::Unknown)?;
        let said = std::str::from_utf8(said).map_err(|_| BadLink::Unknown)?;
        let (action, end) = parse(said).ok_or(BadLink::Unknown)?;
        if now >= end as f64 { Err(BadLink::Ended) } else { Ok((action, end as f64)) }
    }
}

/// What is signed: the action and its end.
fn parse(said: &str) -> Option<(Action, u64)> {
    let (kind, rest) = said.split_once('\n')?;
    let (end, rest) = rest.split_once('\n')?;
    let end = end.parse().ok()?;
    match kind {
        "s" => Some((Action::Show(rest.to_owned()), end)),
        "a" => Some((Action::Acknowledge(rest.to_owned()), end)),
        "m" => {
            let (seconds, metric) = rest.split_once('\n')?;
            Some((Action::Mute { metric: metric.to_owned(), seconds: seconds.parse().ok()? }, end))
        }
        _ => None,
    }
}

/// Entry point for fuzzers: as a token that nobody has signed, and as what is signed.
pub fn fuzz(bytes: &[u8]) {
    let links = Links::with_key(&[7; KEY_BYTES], "https://skyline.internal", 60.0);
    let text = String::from_utf8_lossy(bytes);
    assert!(links.read(&text, 0.0).is_err(), "a token that nobody has signed is taken");
    let mute = Action::Mute { metric: text.into_owned(), seconds: 60 };
    if let Some(link) = links.link(&mute, 0.0) {
        let token = link.rsplit('/').next().unwrap_or_default();
        assert!(links.read(token, 59.0) == Ok((mute, 60.0)), "a link does something else than was signed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn links() -> Links {
        Links::with_key(&[7; KEY_BYTES], "https://sky.company.internal/", 100.0)
    }

    fn token(link: &str) -> &str {
        link.strip_prefix("https://sky.company.internal/alert/").unwrap()
    }

    #[test]
    fn a_link_says_what_it_does_until_it_ends() {
        let links = links();
        let mute = Action::Mute { metric: "a.<b>\n1\nc".into(), seconds: 3_600 };
        for action in [Action::Show("0123abcd".into()), Action::Acknowledge("0123abcd".into()), mute] {
            let link = links.link(&action, 1_000.0).unwrap();
            let token = token(&link);
            assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')), "{token}");
            assert_eq!(links.read(token, 1_099.0), Ok((action, 1_100.0)));
            assert_eq!(links.read(token, 1_100.0), Err(BadLink::Ended));
        }
    }

    #[test]
    fn what_nobody_signed_does_nothing() {
        let links = links();
        let link = links.link(&Action::Acknowledge("0123abcd".into()), 1_000.0).unwrap();
        let good = token(&link);
        for i in 0..good.len() {
            let mut bad = good.as_bytes().to_vec();
            bad[i] = if bad[i] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            // The last character has bits that mean nothing.
            if bad != good && links.read(&bad, 1_000.0) != Err(BadLink::Unknown) {
                panic!("{bad}");
            }
            assert_eq!(links.read(&good[..i], 1_000.0), Err(BadLink::Unknown));
        }
        let other = Links::with_key(&[8; KEY_BYTES], "https://sky.company.internal", 100.0);
        assert_eq!(other.read(good, 1_000.0), Err(BadLink::Unknown));
        assert_eq!(links.read(&"A".repeat(100_000), 1_000.0), Err(BadLink::Unknown));
    }

    #[test]
    fn no_link_without_a_url_or_for_a_long_name() {
        let action = |metric: String| Action::Mute { metric, seconds: 1 };
        assert_eq!(links().link(&action("x".repeat(LONGEST + 1)), 0.0), None);
        assert_eq!(Links::with_key(&[7; KEY_BYTES], "", 1.0).link(&action("x".into()), 0.0), None);
        // As long as it may be, and a line of mail holds it.
        assert!(links().link(&action("x".repeat(LONGEST)), 0.0).unwrap().len() < 990);
    }

    #[test]
    fn the_key_is_made_once_and_only_its_user_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Links::open(folder.path(), "https://sky.company.internal", 100.0);
        let link = open().unwrap().link(&Action::Acknowledge("a".into()), 0.0).unwrap();
        assert!(open().unwrap().read(token(&link), 0.0).is_ok(), "after a restart");
        let file = folder.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(&file).unwrap().len(), KEY_BYTES);
        let shown = format!("{:?}", open().unwrap());
        assert!(!shown.contains("key"), "{shown}");
        std::fs::write(&file, "short").unwrap();
        assert!(open().unwrap_err().to_string().contains("remove the file"));
        assert!(matches!(Links::open(&folder.path().join("no"), "", 1.0), Err(BadKey { .. })));
    }

    proptest! {
        #[test]
        fn any_token_is_read_or_refused(token in "[A-Za-z0-9_-]{0,200}|.{0,100}") {
            prop_assert_eq!(links().read(&token, 0.0), Err(BadLink::Unknown));
        }

        #[test]
        fn what_is_signed_is_read_back(metric in "(?s).{0,80}", seconds: u32, now in 0.0..1e12_f64) {
            let action = Action::Mute { metric, seconds };
            let link = links().link(&action, now).unwrap();
            let (read, _) = links().read(token(&link), now).unwrap();
            prop_assert_eq!(read, action);
        }
    }
}
