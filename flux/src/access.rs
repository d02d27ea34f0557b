//! Who may send, and how much.

use arc_swap::ArcSwap;
use base64::Engine as _;
use skyline_conf::model::flux::{ApiKey, Flux};
use skyline_conf::secret::Secret;
use skyline_core::problem::Problem;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

/// All keys.
#[derive(Debug, Default)]
pub struct Access {
    keys: Vec<Key>,
}

/// A key with what was sent under it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// Stands in front of names, its dot included.
    pub(crate) prefix: Vec<u8>,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// Requests that were too many.
    pub(crate) limited: AtomicU64,
    secret: ArcSwap<Secret>,
    bucket: Option<Mutex<Bucket>>,
}

impl Access {
    /// The keys of the settings.
    ///
    /// # Errors
    /// A key that is not there or cannot be one.
    pub(crate) fn new(settings: &Flux) -> Result<Self, Problem> {
        let keys = settings.api_keys.iter().map(Key::new).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// The number of the key that is `given`. Every key is compared, each in a time that says nothing of where they
    /// differ.
    pub(crate) fn find(&self, given: &[u8]) -> Option<usize> {
        let is = |key: &Key| key.secret.load().is(given);
        self.keys.iter().enumerate().fold(None, |found, (n, key)| if is(key) { Some(n) } else { found })
    }

    /// The same of a header `Authorization`: `Bearer KEY`, `Token KEY` (InfluxDB), or the password of `Basic`.
    pub(crate) fn find_authorization(&self, header: &str) -> Option<usize> {
        let (scheme, rest) = header.split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.find(rest.as_bytes());
        }
        if scheme.eq_ignore_ascii_case("token") {
            // InfluxDB 1.x writes `Token user:password`; a key may have a colon, a user has none.
            let password = || self.find(rest.split_once(':')?.1.as_bytes());
            return self.find(rest.as_bytes()).or_else(password);
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let both = base64::engine::general_purpose::STANDARD.decode(rest).ok()?;
            let at = both.iter().position(|b| *b == b':')?;
            return self.find(both.get(at + 1..)?);
        }
        None
    }

    /// Other secrets for the same keys, in their order.
    pub(crate) fn replace(&self, secrets: Vec<Secret>) {
        for (key, secret) in self.keys.iter().zip(secrets) {
            key.secret.store(Arc::new(secret));
        }
    }

    pub(crate) fn key(&self, number: usize) -> Option<&Key> {
        self.keys.get(number)
    }

    /// What stands in front of the names of a key.
    pub(crate) fn prefix(&self, number: usize) -> &[u8] {
        self.key(number).map_or(&[], |key| &key.prefix)
    }

    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }
}

impl Key {
    fn new(settings: &ApiKey) -> Result<Self, Problem> {
        let mut prefix = settings.prefix.clone().into_bytes();
        if !prefix.is_empty() {
            prefix.push(b'.');
        }
        let rate = settings.points_per_second;
        Ok(Self {
            name: settings.name.clone(),
            prefix,
            secret: ArcSwap::from_pointee(settings.secret()?),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            limited: AtomicU64::new(0),
            bucket: (rate > 0.0).then(|| Mutex::new(Bucket::new(rate, settings.burst_points as f64))),
        })
    }

    /// Takes `points` of what may be sent.
    ///
    /// # Errors
    /// Seconds after which it may be tried again.
    pub(crate) fn spend(&self, points: usize, now: f64) -> Result<(), u64> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        bucket.lock().unwrap_or_else(PoisonError::into_inner).spend(points as f64, now)
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> Option<f64> {
        self.bucket.as_ref().map(|bucket| bucket.lock().unwrap_or_else(PoisonError::into_inner).level)
    }

    /// Gives back what was taken for points that could not be logged: they will be sent again.
    pub(crate) fn give_back(&self, points: usize) {
        if let Some(bucket) = &self.bucket {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).give_back(points as f64);
        }
    }
}

/// The longest wait that is answered, seconds: rates may be tiny.
const LONGEST: u64 = 86_400;

/// Points that may be sent now. A request of more points than it ever holds passes when it is full, and those after
/// it wait for longer: such a request would be refused for ever otherwise.
#[derive(Debug, Clone, PartialEq)]
struct Bucket {
    rate: f64,
    most: f64,
    level: f64,
    at: f64,
}

impl Bucket {
    fn new(rate: f64, burst: f64) -> Self {
        let most = if burst > 0.0 { burst } else { rate * 10.0 };
        Self { rate, most, level: most, at: 0.0 }
    }

    fn give_back(&mut self, points: f64) {
        self.level = (self.level + points).min(self.most);
    }

    fn spend(&mut self, points: f64, now: f64) -> Result<(), u64> {
        // A clock that was set back gives nothing and takes nothing.
        self.level = (self.level + (now - self.at).max(0.0) * self.rate).min(self.most);
        self.at = now;
        let needed = points.min(self.most);
        if self.level >= needed {
            self.level -= points;
            return Ok(());
        }
        Err((((needed - self.level) / self.rate).ceil() as u64).clamp(1, LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, secret: &str) -> Key {
        Key {
            name: name.into(),
            prefix: Vec::new(),
            secret: ArcSwap::from_pointee(Secret::new(secret)),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            limited: AtomicU64::new(0),
            bucket: None,
        }
    }

    #[test]
    fn keys_are_found_in_headers() {
        let access =
            Access { keys: vec![key("plain", "abc"), key("basic", "hunter2"), key("colons", "a:b:c")] };
        let check = |header: &str, expected: Option<&str>| {
            let found = access.find_authorization(header).and_then(|n| access.key(n));
            assert_eq!(found.map(|key| key.name.as_str()), expected, "{header}");
        };
        check("Bearer abc", Some("plain"));
        check("bearer  abc ", Some("plain"));
        check("Bearer a:b:c", Some("colons"));
        check("Bearer user:abc", None);
        check("Token abc", Some("plain"));
        check("Token user:abc", Some("plain"));
        check("Token a:b:c", Some("colons"));
        check("Token user:a:b:c", Some("colons"));
        check("Token user:x:abc", None);
        check("Basic dTpodW50ZXIy", Some("basic"));
        check("Basic ?", None);
        check("abc", None);
        check("Digest abc", None);
    }

    #[test]
    fn only_the_whole_key_is_found() {
        let access = Access { keys: vec![key("a", "0123456789"), key("b", "abcdefghij")] };
        assert_eq!(access.find(b"0123456789"), Some(0));
        assert_eq!(access.find(b"abcdefghij"), Some(1));
        for wrong in [&b""[..], b"012345678", b"0123456789 ", b"0123456780", b"abcdefghiJ"] {
            assert_eq!(access.find(wrong), None);
        }
        assert!(!format!("{access:?}").contains("0123456789"));
        access.replace(vec![Secret::new("klmnopqrst"), Secret::new("abcdefghij")]);
        assert_eq!((access.find(b"0123456789"), access.find(b"klmnopqrst")), (None, Some(0)));
        assert_eq!(access.find(b"abcdefghij"), Some(1));
    }

    #[test]
    fn a_bucket_fills_and_empties() {
        let mut bucket = Bucket::new(10.0, 20.0);
        assert_eq!(bucket.spend(20.0, 100.0), Ok(()));
        assert_eq!(bucket.spend(1.0, 100.0), Err(1));
        assert_eq!(bucket.spend(20.0, 101.0), Err(1));
        assert_eq!(bucket.spend(10.0, 101.0), Ok(()));
        // More than it ever holds passes when it is full; the next waits for the rest.
        assert_eq!(bucket.spend(50.0, 200.0), Ok(()));
        assert_eq!(bucket.spend(10.0, 200.0), Err(4));
        assert_eq!(bucket.spend(10.0, 204.0), Ok(()));
        // The clock was set back.
        assert_eq!(bucket.spend(5.0, 0.0), Err(1));
        assert_eq!(bucket.spend(5.0, 1.0), Ok(()));
        assert_eq!(Bucket::new(3.0, 0.0).most, 30.0);
        let mut slow = Bucket::new(1e-300, 1.0);
        assert_eq!((slow.spend(1.0, 0.0), slow.spend(1.0, 0.0)), (Ok(()), Err(LONGEST)));
        // What could not be logged is given back.
        let mut bucket = Bucket::new(10.0, 20.0);
        assert_eq!(bucket.spend(20.0, 100.0), Ok(()));
        bucket.give_back(20.0);
        assert_eq!(bucket.spend(20.0, 100.0), Ok(()));
        bucket.give_back(100.0);
        assert_eq!((bucket.spend(20.0, 100.0), bucket.spend(1.0, 100.0)), (Ok(()), Err(1)));
    }
}
