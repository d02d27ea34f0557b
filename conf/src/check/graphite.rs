//! The Graphite servers, and who may ask the proxy in front of them.

use super::sockets::listener_of;
use super::stores::credentials;
use super::{Findings, remote};
use crate::model::Settings;
use crate::model::graphite::Server;
use std::collections::HashSet;

const SERVER: &str = "graphite.server";

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let mut labels = HashSet::new();
    findings.each(SERVER, &settings.graphite.server, |_, server, findings| {
        one(server, findings);
        if !labels.insert(server.label()) {
            let message = format!("two servers are called {}", server.label().escape_debug());
            findings.problem(SERVER, message, "give each a name of its own");
        }
        itself(settings, server, findings);
    });
    proxy(settings, findings);
}

/// A server that is this node, which asks its servers in turn.
fn itself(settings: &Settings, server: &Server, findings: &mut Findings) {
    let remote = server.remote();
    let own = remote.port().and_then(|port| listener_of(settings, remote.host(), port));
    if let Some(own) = own {
        let message = format!("{} is this node's own {own}", server.label().escape_debug());
        findings.problem(SERVER, message, "name the Graphite that has the metrics");
    }
}

fn one(server: &Server, findings: &mut Findings) {
    let label = server.label();
    remote::check(SERVER, &label, &server.remote(), findings);
    let path = &server.render_path;
    if path.trim_matches('/').is_empty() || path.contains(['?', '#', ' ', '\\']) || path.contains("..") {
        let message = format!("render_path of {label}, `{}`, is no path", path.escape_debug());
        findings.problem(SERVER, message, "write render, or api/datasources/proxy/1/render");
    }
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
