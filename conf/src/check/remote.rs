//! Servers of others that are asked over HTTP, whatever section names them.

use super::Findings;
use super::sockets::is_loopback;
use super::stores::{authorities, credentials};
use crate::model::remote::Remote;
use crate::placeholder;

/// What is wrong with a server of the section `key`, which the findings call `label`.
pub(super) fn check(key: &'static str, label: &str, remote: &Remote<'_>, findings: &mut Findings) {
    if let Some(wrong) = remote.wrong() {
        let message = format!("{label}: the url `{}` {wrong}", remote.shown().escape_debug());
        findings.problem(key, message, "write http://HOST:PORT/PREFIX");
    }
    let host = remote.host();
    if is_placeholder(host) || placeholder::is_address(remote.url) {
        let message = format!("{label}: `{}` is a name from an example", host.escape_debug());
        findings.problem(key, message, "write the host of your server, or take it away");
    }
    headers(key, label, remote, findings);
    who(key, label, remote, findings);
    authorities(remote.ca_file, key, findings);
    authorities(remote.certificate_file, key, findings);
    if remote.insecure {
        let message =
            format!("certificates of {label} are not checked: anybody between may answer in its place");
        findings.warning(key, message, "name its authority in ca_file instead");
    }
}

/// Whether a host is one of those that only examples have (RFC 2606), or that shipped settings had.
pub(super) fn is_placeholder(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let reserved = ["example", "example.com", "example.net", "example.org", "invalid", "your_domain.com"];
    reserved.iter().any(|r| host == *r || host.ends_with(&format!(".{r}"))) || host.starts_with("your_")
}

fn headers(key: &'static str, label: &str, remote: &Remote<'_>, findings: &mut Findings) {
    for header in remote.headers {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if header.name.is_empty() || !header.name.bytes().all(is_name) {
            let message = format!("{label}: `{}` is no name of a header", header.name.escape_debug());
            findings.problem(key, message, "write it as X-Org-Id");
        }
        match header.secret() {
            Ok(value) if value.reveal().chars().any(char::is_control) => {
                let message =
                    format!("{label}: the value of {} has control characters", header.name.escape_debug());
                findings.problem(key, message, "write it on one line");
            }
            Ok(value) => example(key, label, value.reveal(), findings),
            Err(missing) => findings.problem(key, format!("{label}: {}", missing.what), missing.advice),
        }
    }
}

/// Who asks.
fn who(key: &'static str, label: &str, remote: &Remote<'_>, findings: &mut Findings) {
    let user = remote.credentials.user;
    if remote.has_token() && !user.is_empty() {
        let message = format!("{label} has both a user and a token");
        findings.problem(key, message, "take one of the two away");
    }
    if !user.is_empty() && matches!(remote.credentials.password(), Ok(None)) {
        let message = format!("{label}: the user {} has no password", user.escape_debug());
        findings.problem(key, message, "name it in password_file");
    }
    if user.is_empty() && remote.credentials.is_named() {
        findings.problem(
            key,
            format!("{label} has a password and no user"),
            "name the user too, or take the password away",
        );
    }
    for place in [remote.credentials, remote.token] {
        if let Err(missing) = place.password() {
            findings.problem(key, format!("{label}: {}", missing.what), missing.advice);
            continue;
        }
        credentials(place, [key, key], findings);
        if let Ok(Some(secret)) = place.password() {
            example(key, label, secret.reveal(), findings);
        }
    }
    let is_secret = remote.has_token() || !user.is_empty();
    if remote.url.starts_with("http://") && is_secret && !is_loopback(remote.host()) {
        let message = format!("the credentials of {label} are sent without encryption");
        findings.warning(key, message, "write https:// if it speaks TLS");
    }
}

fn example(key: &'static str, label: &str, secret: &str, findings: &mut Findings) {
    if placeholder::is_token(secret) {
        let message = format!("{label}: its credential is one from an example");
        findings.problem(key, message, "write your own, or take it away");
    }
}
