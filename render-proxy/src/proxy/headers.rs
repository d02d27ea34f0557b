//! Headers that go on to Graphite, and those that come back. Both are lists of what passes: nothing else does.

use skyline_upstream::{HeaderMap, HeaderName, HeaderValue, header};
use std::net::IpAddr;

/// What goes on: what an answer may depend on.
const ON: [HeaderName; 10] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::USER_AGENT,
    HeaderName::from_static("x-grafana-org-id"),
    HeaderName::from_static("x-dashboard-id"),
    HeaderName::from_static("x-panel-id"),
];

/// What comes back. Not `Set-Cookie`; nor what would let pages of others read answers that our credentials got.
const BACK: [HeaderName; 13] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LANGUAGE,
    header::CACHE_CONTROL,
    header::DATE,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::ETAG,
    header::VARY,
    header::PRAGMA,
    header::RETRY_AFTER,
];

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers of a question that go on. `with_credentials`: also who asks.
pub(super) fn on(from: &HeaderMap, peer: Option<IpAddr>, with_credentials: bool) -> HeaderMap {
    let mut on = pick(from, &ON);
    if with_credentials {
        on.extend(pick(from, &[header::AUTHORIZATION, header::COOKIE]));
    }
    let earlier = from.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok());
    let all: Vec<String> = earlier.map(str::to_owned).chain(peer.map(|ip| ip.to_string())).collect();
    let line = all.join(", ");
    if let Some(value) = HeaderValue::from_str(&line).ok().filter(|_| !line.is_empty() && line.len() < 1_024)
    {
        on.insert(FORWARDED, value);
    }
    on
}

/// Headers of an answer that go back. A redirect within `base` of `origin` becomes one of ours; any other is dropped.
pub(super) fn back(from: &HeaderMap, origin: &str, base: &str) -> HeaderMap {
    let mut back = pick(from, &BACK);
    let location = from.get(header::LOCATION).and_then(|value| value.to_str().ok());
    if let Some(ours) =
        location.and_then(|place| ours(place, origin, base)).and_then(|p| HeaderValue::from_str(&p).ok())
    {
        back.insert(header::LOCATION, ours);
    }
    back
}

/// A place of Graphite as one of ours.
fn ours(place: &str, origin: &str, base: &str) -> Option<String> {
    let path = match place.strip_prefix(origin) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') || rest.starts_with('?') => rest,
        _ if place.starts_with('/') && !place.starts_with("//") => place,
        // Relative to where it was asked: the same with us.
        _ if !place.contains(':') && !place.starts_with("//") && !place.is_empty() => {
            return Some(place.to_owned());
        }
        _ => return None,
    };
    let path = path.strip_prefix(base)?;
    // `//` would lead to a host of that name.
    (path.starts_with('/') && !path.starts_with("//") && !path.contains('\\')).then(|| path.to_owned())
}

fn pick(from: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut picked = HeaderMap::new();
    for name in names {
        for value in from.get_all(name) {
            picked.append(name, value.clone());
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on() {
        let mut from = HeaderMap::new();
        for (name, value) in [
            ("accept", "image/png"),
            ("authorization", "Basic x"),
            ("cookie", "a=b"),
            ("connection", "keep-alive, x-dashboard-id"),
            ("te", "trailers"),
            ("host", "proxy"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-evil", "1"),
        ] {
            from.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let on_ = on(&from, Some(IpAddr::from([10, 0, 0, 2])), false);
        let names: Vec<_> = on_.iter().map(|(n, v)| format!("{n}={}", v.to_str().unwrap())).collect();
        assert_eq!(names, ["accept=image/png", "x-forwarded-for=10.0.0.1, 10.0.0.2"]);
        assert_eq!(on(&from, None, true).len(), 4);
    }

    #[test]
    fn redirects_become_ours() {
        let check = |place: &str, expected: Option<&str>| {
            assert_eq!(ours(place, "http://g:8080", "/p").as_deref(), expected, "{place}");
        };
        check("http://g:8080/p/render/?x", Some("/render/?x"));
        check("/p/render/~u/g", Some("/render/~u/g"));
        check("?x=1", Some("?x=1"));
        check("http://g:80801/p/render", None);
        check("http://evil/p/render", None);
        check("//evil/p", None);
        check("/p//evil/", None);
        check("/other", None);
        check("javascript:alert(1)", None);
    }

    #[test]
    fn what_comes_back() {
        let mut from = HeaderMap::new();
        for name in
            ["content-type", "set-cookie", "connection", "access-control-allow-origin", "x-powered-by"]
        {
            from.append(HeaderName::from_static(name), HeaderValue::from_static("x"));
        }
        assert_eq!(back(&from, "http://g", "").len(), 1);
    }
}
