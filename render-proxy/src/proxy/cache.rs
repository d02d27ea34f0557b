//! Answers that are given again for a moment: many people open the same link at once.

use super::upstreams::{Answered, Forward, Kind};
use crate::params::Params;
use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache as Inner;
use skyline_upstream::{HeaderMap, Method, StatusCode, header};
use std::time::{Duration, Instant};

/// Bodies of questions above this are not looked for, bytes.
const MAX_BODY: usize = 64 << 10;

/// A whole answer.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    until: Instant,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Vec<u8>, Kept> for Weight {
    fn weight(&self, key: &Vec<u8>, kept: &Kept) -> u64 {
        (key.len() + kept.body.len() + 1_024) as u64
    }
}

/// Answers of Graphite.
#[derive(Debug)]
pub(super) struct Cache {
    inner: Option<Inner<Vec<u8>, Kept, Weight>>,
    seconds: f64,
}

/// A place in the cache, and for how long an answer may stay there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    key: Vec<u8>,
    time: Duration,
}

impl Cache {
    pub(super) fn new(seconds: f64, bytes: u64) -> Self {
        let is_on = seconds > 0.0 && bytes > 0;
        Self { inner: is_on.then(|| Inner::with_weighter(1_000, bytes, Weight)), seconds }
    }

    /// Where the answer to a question is kept; none: nowhere. Everything that the answer depends on is in the key.
    pub(super) fn place(&self, forward: &Forward, params: &Params) -> Option<Place> {
        self.inner.as_ref()?;
        let reads = matches!(forward.method, Method::GET | Method::POST);
        if !reads || params.one("noCache").is_some() || forward.body.len() > MAX_BODY {
            return None;
        }
        // What is conditional is answered for who asks alone.
        if forward.headers.contains_key(header::IF_NONE_MATCH)
            || forward.headers.contains_key(header::IF_MODIFIED_SINCE)
        {
            return None;
        }
        let wanted = params.one("cacheTimeout").and_then(|text| text.parse::<f64>().ok());
        let seconds = wanted.unwrap_or(self.seconds).clamp(0.0, self.seconds);
        if seconds <= 0.0 {
            return None;
        }
        let mut key = vec![u8::from(forward.kind == Kind::Find), u8::from(forward.method == Method::POST)];
        let mut part = |bytes: &[u8]| {
            key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            key.extend_from_slice(bytes);
        };
        part(forward.rest.as_bytes());
        part(forward.query.as_deref().unwrap_or_default());
        part(&forward.body);
        for (name, value) in &forward.headers {
            if name != header::USER_AGENT && name.as_str() != "x-forwarded-for" {
                part(name.as_str().as_bytes());
                part(value.as_bytes());
            }
        }
        Some(Place { key, time: Duration::from_secs_f64(seconds) })
    }

    /// An answer that was kept.
    pub(super) fn get(&self, place: &Place, now: Instant) -> Option<Kept> {
        self.inner.as_ref()?.get(&place.key).filter(|kept| kept.until > now)
    }

    /// Keeps an answer, if it is whole and may be kept.
    pub(super) fn put(&self, place: &Place, answered: &Answered, now: Instant) {
        let refused = answered.headers.get_all(header::CACHE_CONTROL).iter().any(|value| {
            let text = value.to_str().unwrap_or("no-store").to_ascii_lowercase();
            ["no-store", "private", "no-cache"].iter().any(|word| text.contains(word))
        });
        if answered.status != StatusCode::OK || answered.rest.is_some() || refused {
            return;
        }
        if let Some(inner) = &self.inner {
            let kept = Kept {
                headers: answered.headers.clone(),
                body: answered.start.clone(),
                until: now + place.time,
            };
            inner.insert(place.key.clone(), kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_upstream::{HeaderName, HeaderValue};

    fn forward(query: &str) -> Forward {
        Forward {
            kind: Kind::Render,
            method: Method::GET,
            rest: String::new(),
            query: Some(Bytes::copy_from_slice(query.as_bytes())),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    fn answered(status: StatusCode) -> Answered {
        Answered { status, headers: HeaderMap::new(), start: Bytes::from_static(b"x"), rest: None }
    }

    fn place(cache: &Cache, forward: &Forward) -> Option<Place> {
        let query = String::from_utf8(forward.query.clone().unwrap().to_vec()).unwrap();
        cache.place(forward, &Params::read(&query, None, b""))
    }

    #[test]
    fn what_is_kept_and_for_how_long() {
        let cache = Cache::new(10.0, 1 << 20);
        let now = Instant::now();
        let at = place(&cache, &forward("target=a")).unwrap();
        assert!(cache.get(&at, now).is_none());
        cache.put(&at, &answered(StatusCode::INTERNAL_SERVER_ERROR), now);
        cache.put(&at, &answered(StatusCode::BAD_REQUEST), now);
        assert!(cache.get(&at, now).is_none());
        let mut private = answered(StatusCode::OK);
        private.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=0, no-cache"));
        cache.put(&at, &private, now);
        assert!(cache.get(&at, now).is_none());
        cache.put(&at, &answered(StatusCode::OK), now);
        assert!(cache.get(&at, now + Duration::from_secs(9)).is_some());
        assert!(cache.get(&at, now + Duration::from_secs(10)).is_none());
        let short = place(&cache, &forward("target=a&cacheTimeout=2")).unwrap();
        cache.put(&short, &answered(StatusCode::OK), now);
        assert!(cache.get(&short, now + Duration::from_secs(3)).is_none());
        let long = place(&cache, &forward("target=a&cacheTimeout=9999")).unwrap();
        cache.put(&long, &answered(StatusCode::OK), now);
        assert!(cache.get(&long, now + Duration::from_secs(11)).is_none());
        assert!(place(&cache, &forward("target=a&noCache=1")).is_none());
        assert!(place(&cache, &forward("target=a&cacheTimeout=0")).is_none());
        assert!(place(&Cache::new(0.0, 1 << 20), &forward("target=a")).is_none());
    }

    #[test]
    fn what_an_answer_depends_on_is_in_its_key() {
        let cache = Cache::new(10.0, 1 << 20);
        let now = Instant::now();
        cache.put(&place(&cache, &forward("target=a")).unwrap(), &answered(StatusCode::OK), now);
        let changes: [fn(&mut Forward); 7] = [
            |f| f.query = Some(Bytes::from_static(b"target=a&tz=UTC")),
            |f| f.method = Method::POST,
            |f| f.body = Bytes::from_static(b"target=b"),
            |f| f.rest = "/".into(),
            |f| f.kind = Kind::Find,
            |f| drop(f.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic x"))),
            |f| {
                drop(
                    f.headers
                        .insert(HeaderName::from_static("x-grafana-org-id"), HeaderValue::from_static("2")),
                )
            },
        ];
        for (i, change) in changes.into_iter().enumerate() {
            let mut other = forward("target=a");
            change(&mut other);
            assert!(cache.get(&place(&cache, &other).unwrap(), now).is_none(), "{i}");
        }
        let mut same = forward("target=a");
        same.headers.insert(header::USER_AGENT, HeaderValue::from_static("x"));
        assert!(cache.get(&place(&cache, &same).unwrap(), now).is_some());
    }
}
