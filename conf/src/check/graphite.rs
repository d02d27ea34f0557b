//! The Graphite servers, and who may ask the proxy in front of them.

use super::Findings;
use super::stores::{authorities, credentials};
use crate::model::Settings;
use crate::model::graphite::Server;
use std::collections::HashSet;

const SERVER: &str = "graphite.server";

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let mut labels = HashSet::new();
    for server in &settings.graphite.server {
        one(server, findings);
        if !labels.insert(server.label()) {
            let message = format!("two servers are called {}", server.label().escape_debug());
            findings.problem(SERVER, message, "give each a name of its own");
        }
    }
    proxy(settings, findings);
}

/// Whether a host is one of those that only examples have (RFC 2606), or that shipped settings had.
pub(super) fn is_placeholder(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let reserved = ["example", "example.com", "example.net", "example.org", "invalid", "your_domain.com"];
    reserved.iter().any(|r| host == *r || host.ends_with(&format!(".{r}"))) || host.starts_with("your_")
}

/// What is wrong with the address of a server.
pub(super) fn address(url: &str) -> Option<&'static str> {
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return Some("begins with neither http:// nor https://");
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if rest.contains('@') {
        Some("holds a user or password, which have keys of their own")
    } else if host.is_empty() {
        Some("has no host")
    } else if port.is_some_and(|port| !port.is_empty() && !port.parse::<u16>().is_ok_and(|p| p > 0)) {
        Some("has a port that is none")
    } else if rest.contains(['?', '#', ' ']) || url.chars().any(char::is_control) {
        Some("has a query, a fragment or blanks")
    } else {
        None
    }
}

fn one(server: &Server, findings: &mut Findings) {
    let label = server.label();
    if let Some(wrong) = address(&server.url) {
        let shown = crate::secret::shown(&server.url);
        let message = format!("the url `{}` {wrong}", shown.escape_debug());
        findings.problem(SERVER, message, "write http://HOST:PORT/PREFIX");
    }
    let authority = server.url.split_once("://").map_or("", |(_, rest)| rest);
    let host = authority.split(['/', ':']).next().unwrap_or_default();
    if is_placeholder(host) {
        let message = format!("`{}` is a name from an example", host.escape_debug());
        findings.problem(SERVER, message, "write the host of your Graphite, or take the server away");
    }
    let path = &server.render_path;
    if path.trim_matches('/').is_empty() || path.contains(['?', '#', ' ', '\\']) || path.contains("..") {
        let message = format!("render_path of {label}, `{}`, is no path", path.escape_debug());
        findings.problem(SERVER, message, "write render, or api/datasources/proxy/1/render");
    }
    for header in &server.headers {
        if header.name.is_empty()
            || !header.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        {
            let message = format!("{label}: `{}` is no name of a header", header.name.escape_debug());
            findings.problem(SERVER, message, "write it as X-Org-Id");
        }
        match header.secret() {
            Ok(value) if value.reveal().chars().any(char::is_control) => {
                let message =
                    format!("{label}: the value of {} has control characters", header.name.escape_debug());
                findings.problem(SERVER, message, "write it on one line");
            }
            Ok(_) => {}
            Err(missing) => findings.problem(SERVER, format!("{label}: {}", missing.what), missing.advice),
        }
    }
    let has_token = !server.token_file.as_os_str().is_empty() || !server.token_env.is_empty();
    if has_token && !server.user.is_empty() {
        let message = format!("{label} has both a user and a token");
        findings.problem(SERVER, message, "take one of the two away");
    }
    for place in [server.credentials(), server.token()] {
        credentials(place, [SERVER, SERVER], findings);
    }
    authorities(&server.ca_file, SERVER, findings);
    authorities(&server.certificate_file, SERVER, findings);
    if server.insecure {
        let message =
            format!("certificates of {label} are not checked: anybody between may answer in its place");
        findings.warning(SERVER, message, "name its authority in ca_file instead");
    }
    if server.url.starts_with("http://") && (has_token || !server.user.is_empty()) && !is_here(host) {
        let message = format!("the password of {label} is sent without encryption");
        findings.warning(SERVER, message, "write https:// if it speaks TLS");
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.starts_with("127.")
}

fn proxy(settings: &Settings, findings: &mut Findings) {
    let proxy = &settings.render_proxy;
    super::alerting::zone("render_proxy.zone", "", &proxy.zone, findings);
    for place in [proxy.credentials(), proxy.token()] {
        credentials(place, ["render_proxy.password_file", "render_proxy.password_env"], findings);
    }
    if !proxy.user.is_empty() && matches!(proxy.credentials().password(), Ok(None)) {
        let message = format!("the user {} has no password", proxy.user.escape_debug());
        findings.problem("render_proxy.user", message, "name it in render_proxy.password_file");
    }
    if !proxy.graph_settings.is_empty() && !proxy.graph_settings.starts_with('&') {
        findings.problem(
            "render_proxy.graph_settings",
            "it does not begin with &",
            "write &width=588&height=308",
        );
    }
    if proxy.graph_settings.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
        let advice = "write blanks as %20";
        findings.problem("render_proxy.graph_settings", "it has characters that no address may have", advice);
    }
    for address in proxy.addresses.iter().filter(|a| !a.ip().to_canonical().is_loopback()) {
        if !proxy.has_access_control() && !proxy.open_to_all {
            let message = format!(
                "{address} is not a loopback address, and anybody who reaches it could read every metric"
            );
            let advice = "set a user with a password or a token, or set render_proxy.open_to_all to true";
            findings.problem("render_proxy.addresses", message, advice);
        }
    }
    if proxy.is_on() && settings.graphite.server.is_empty() && !settings.window.enabled {
        let message = "there is neither a Graphite server nor a window: nothing can be answered";
        findings.problem(
            "render_proxy.addresses",
            message,
            "name a server in graphite.server, or switch windows on",
        );
    }
}
