//! Which `Host` a request may have. A page that a browser has open can have its own name lead here (rebinding), and then
//! reads what is here as if it were its own; it cannot have another's name in the request.

use crate::answer;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::IpAddr;
use std::sync::Arc;

/// Whether a `Host` is of this machine, or that of the public URL.
pub(super) fn is_ours(host: &str, public_url: &str) -> bool {
    let (name, public) = (name(host), authority(public_url));
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || (!public.is_empty() && host.eq_ignore_ascii_case(public))
}

/// Whether a `Host` may be read for: any that no stranger can have lead here. An address is nobody's name, and a name of one
/// word, as reverse proxies give that of their own section, is known to this machine's network only. The port of the public
/// URL does not matter, since proxies leave it out.
fn may_read(host: &str, public_url: &str) -> bool {
    let name = name(host).trim_end_matches('.');
    let public = self::name(authority(public_url)).trim_end_matches('.');
    let is_public = !public.is_empty() && name.eq_ignore_ascii_case(public);
    let is_local = name.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"));
    !name.contains('.') || is_local || is_public || name.parse::<IpAddr>().is_ok()
}

/// Refuses what is asked for under the name of a stranger.
pub(super) async fn guard(public_url: Arc<str>, request: Request, next: Next) -> Response {
    if is_refused(request.headers(), &public_url) {
        let problem = "this name does not lead here for browsers: use 127.0.0.1 or localhost in the address, or name it in alerting.public_url";
        return answer::error(StatusCode::FORBIDDEN, problem);
    }
    next.run(request).await
}

fn is_refused(headers: &HeaderMap, public_url: &str) -> bool {
    // Browsers always send one; the oldest programs send none.
    let mut hosts = headers.get_all(header::HOST).iter();
    let Some(host) = hosts.next() else { return false };
    hosts.next().is_some() || !host.to_str().is_ok_and(|host| may_read(host, public_url))
}

/// A `Host` without its port.
fn name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://sky.company.internal:8443/x";

    #[test]
    fn hosts_of_this_machine() {
        for host in [
            "127.0.0.1:1500",
            "localhost",
            "LOCALHOST:1",
            "[::1]:1500",
            "127.9.9.9",
            "sky.company.internal:8443",
        ] {
            assert!(is_ours(host, URL), "{host}");
        }
        for host in [
            "",
            "evil.internal",
            "10.0.0.1:1500",
            "localhost.evil.internal",
            "sky.company.internal",
            "[::2]",
            ":1500",
        ] {
            assert!(!is_ours(host, URL), "{host}");
        }
        assert!(!is_ours("", ""));
    }

    #[test]
    fn hosts_that_are_read_for() {
        for host in [
            "127.0.0.1:1500",
            "[::1]:1500",
            "10.0.0.7:1500",
            "localhost",
            "node1.localhost:1500",
            "skyline:1500",
            "skyline_backend",
            "sky.company.internal:8443",
            "SKY.company.internal",
            "sky.company.internal.",
        ] {
            assert!(may_read(host, URL), "{host}");
        }
        for host in [
            "evil.example:1500",
            "evil.example",
            "sky.company.internal.evil.example",
            "127.0.0.1.evil.example:1500",
            "localhost.evil.example",
            "evil.example.",
        ] {
            assert!(!may_read(host, URL), "{host}");
            assert!(!may_read(host, ""), "{host}");
        }
        assert!(!may_read("sky.company.internal", ""));
    }
}
