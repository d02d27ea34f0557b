//! Where a redirect leads, and whether it is followed.

use crate::address::Address;
use http::{Method, StatusCode};

/// The next question of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) address: Address,
    /// GET instead of what was asked, without the body.
    pub(crate) get: bool,
    /// Whether headers of the settings and credentials go along.
    pub(crate) credentials: bool,
}

/// Whether a status asks for another place.
pub(crate) fn is_one(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where the answer to a question at `here` leads. `base` is the server of the settings, `others` the hosts beside it.
pub(crate) fn next(
    base: &Address,
    others: &[String],
    here: &Address,
    method: &Method,
    status: StatusCode,
    location: Option<&[u8]>,
) -> Result<Next, String> {
    let location = location.ok_or("it names no place")?;
    let location = std::str::from_utf8(location).map_err(|_| "its place is not text")?;
    let address = resolve(here, location.trim()).ok_or("its place is no address")?;
    if here.secure && !address.secure {
        return Err(format!("it leads from TLS to {address}, which has none"));
    }
    // On the server's host other ports are other servers, which it might have us ask in its place.
    let upgrade = address.host == base.host && !base.secure && address.secure;
    let is_base = upgrade || address.host == base.host && address.port == base.port;
    if !is_base && !others.iter().any(|o| o.eq_ignore_ascii_case(&address.host)) {
        return Err(format!("it leads to {address}, which the settings do not name"));
    }
    let keeps = matches!(status.as_u16(), 307 | 308);
    let reads = *method == Method::GET || *method == Method::HEAD;
    if !reads && !keeps && status != StatusCode::SEE_OTHER {
        // Browsers would forget the body and ask; what was to be told would be lost.
        return Err(format!(
            "it answers a {method} with {status}; name {address} and its new path in the settings"
        ));
    }
    let credentials = address.is_same_origin(base) || upgrade;
    Ok(Next { get: !reads && !keeps, credentials, address })
}

/// `location` as seen from `here`.
pub(crate) fn resolve(here: &Address, location: &str) -> Option<Address> {
    let location = location.split('#').next().unwrap_or_default();
    let origin = here.origin();
    let scheme = if here.secure { "https:" } else { "http:" };
    if location.starts_with("//") {
        return Address::parse_as_is(&format!("{scheme}{location}")).ok();
    }
    if location.starts_with('/') {
        return Address::parse_as_is(&format!("{origin}{location}")).ok();
    }
    if location.starts_with('?') || location.is_empty() {
        return Address::parse_as_is(&format!("{origin}{}{location}", here.path)).ok();
    }
    if has_scheme(location) {
        return Address::parse_as_is(location).ok();
    }
    let folder = here.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Address::parse_as_is(&format!("{origin}{folder}/{location}")).ok()
}

fn has_scheme(location: &str) -> bool {
    let end = location.find([':', '/', '?']);
    end.is_some_and(|i| location.get(i..).is_some_and(|rest| rest.starts_with(':')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse_as_is(text).unwrap()
    }

    #[test]
    fn places_are_resolved() {
        let check = |location: &str, expected: Option<&str>| {
            let here = address("https://a:8443/x/y?z");
            assert_eq!(resolve(&here, location).map(|a| a.reveal()).as_deref(), expected, "{location}");
        };
        check("/b?c#d", Some("https://a:8443/b?c"));
        check("b", Some("https://a:8443/x/b"));
        check("?q", Some("https://a:8443/x/y?q"));
        check("//b/c", Some("https://b/c"));
        check("http://b", Some("http://b/"));
        check("ftp://b", None);
        check("javascript:alert(1)", None);
        check("file:///etc/passwd", None);
        check("/b c", None);
    }

    #[test]
    fn what_is_followed_and_with_what() {
        let base = address("https://a/");
        let others = ["b".to_owned()];
        let follow = |method: Method, status: u16, to: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            next(&base, &others, &base, &method, status, Some(to.as_bytes()))
        };
        let here = follow(Method::GET, 302, "/x").unwrap();
        assert!(here.credentials && !here.get);
        assert!(!follow(Method::GET, 302, "https://b/x").unwrap().credentials);
        assert!(follow(Method::GET, 302, "https://a:444/x").unwrap_err().contains("do not name"));
        assert!(follow(Method::GET, 302, "http://a/x").unwrap_err().contains("TLS"));
        assert!(follow(Method::GET, 302, "https://c/x").unwrap_err().contains("do not name"));
        assert!(follow(Method::GET, 302, "https://169.254.169.254/x").is_err());
        assert!(follow(Method::POST, 302, "/x").unwrap_err().contains("POST"));
        assert!(follow(Method::POST, 303, "/x").unwrap().get);
        assert!(!follow(Method::POST, 307, "/x").unwrap().get);
        let none = next(&base, &others, &base, &Method::GET, StatusCode::FOUND, None);
        assert!(none.unwrap_err().contains("no place"));
        let plain = address("http://a:8080/");
        let upgraded =
            next(&plain, &[], &plain, &Method::GET, StatusCode::FOUND, Some(b"https://a/")).unwrap();
        assert!(upgraded.credentials);
    }
}
