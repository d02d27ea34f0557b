//! Channels of alerting: what one of them cannot work with, or should not.

use super::Findings;
use super::sockets::is_loopback;
use super::stores::credentials;
use crate::model::Settings;
use crate::model::alerting::email::{Email, Tls};
use crate::model::alerting::slack::Slack;
use crate::model::alerting::webhook::Webhook;
use crate::model::remote::host_and_port;
use crate::secret::{self, Credentials};
use std::path::Path;

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let alerting = &settings.alerting;
    if !alerting.enabled {
        // What is switched off opens no file, and holds no start up.
        return;
    }
    if alerting.email.is_on() {
        email(&alerting.email, findings);
    }
    if alerting.slack.is_on() {
        slack(&alerting.slack, findings);
    }
    let duty = &alerting.pagerduty;
    if duty.is_on() {
        encrypted("alerting.pagerduty.url", &duty.url, findings);
        let key = Credentials { user: "", file: &duty.routing_key_file, variable: &duty.routing_key_env };
        let keys = ["alerting.pagerduty.routing_key_file", "alerting.pagerduty.routing_key_env"];
        credentials(key, keys, findings);
    }
    findings.each("alerting.webhook", &alerting.webhooks, |_, hook, findings| webhook(hook, findings));
}

fn email(email: &Email, findings: &mut Findings) {
    let key = "alerting.email.sender";
    if !is_mailbox(&email.sender) {
        let message = format!("`{}` is no address", secret::guarded(&email.sender).escape_debug());
        findings.problem(key, message, "write it as in skyline@HOST");
    }
    let odd = |text: &str| text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control());
    if odd(&email.host) {
        let message = format!("`{}` is no host", secret::guarded(&email.host).escape_debug());
        findings.problem("alerting.email.host", message, "write the mail server's name or IP address");
    }
    if !email.hello_name.is_empty() && odd(&email.hello_name) {
        let message = format!("`{}` is no name of a host", secret::guarded(&email.hello_name).escape_debug());
        findings.problem(
            "alerting.email.hello_name",
            message,
            "write the full name of this machine, or nothing",
        );
    }
    let has_password = !email.password_file.as_os_str().is_empty() || !email.password_env.is_empty();
    if !email.user.is_empty() && !has_password {
        let advice = "name password_file or password_env, or leave the user empty";
        findings.problem("alerting.email.user", "there is no password", advice);
    }
    if email.user.is_empty() && has_password {
        let message = "there is a password and nobody to log in";
        findings.warning("alerting.email.user", message, "name the user");
    }
    if !email.user.is_empty() && email.tls == Tls::None && !is_loopback(&email.host) {
        let message = format!("the password goes to {} without encryption", email.host);
        findings.warning("alerting.email.tls", message, "set it to starttls or tls");
    }
    if email.tls != Tls::Tls && email.port == 465 {
        let message = "port 465 is encrypted from the first byte";
        findings.warning("alerting.email.tls", message, "set it to tls");
    }
    let keys = ["alerting.email.password_file", "alerting.email.password_env"];
    credentials(email.credentials(), keys, findings);
    exists("alerting.email.ca_file", &email.ca_file, findings);
}

/// Whether it is `NAME@HOST` or `WORDS <NAME@HOST>`.
fn is_mailbox(text: &str) -> bool {
    let address = match text.trim_end().strip_suffix('>') {
        Some(rest) => rest.rsplit_once('<').map_or("", |(_, address)| address),
        None => text,
    };
    let (name, host) = address.rsplit_once('@').unwrap_or_default();
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || "()<>,;:\\/\"@".contains(c);
    // A name in quotes may have anything; so may a host that is an address, in brackets.
    let is_quoted = name.len() > 2 && name.starts_with('"') && name.ends_with('"');
    let is_number = host.starts_with('[') && host.ends_with(']');
    !text.contains(['\r', '\n'])
        && !name.is_empty()
        && !host.is_empty()
        && (is_quoted || !name.contains(|c| c != '/' && is_odd(c)))
        && (is_number || !host.contains(is_odd))
}

fn slack(slack: &Slack, findings: &mut Findings) {
    encrypted("alerting.slack.api_url", &slack.api_url, findings);
    let has_token = !slack.token_file.as_os_str().is_empty() || !slack.token_env.is_empty();
    let has_webhook = !slack.webhook_file.as_os_str().is_empty() || !slack.webhook_env.is_empty();
    if has_token && has_webhook {
        let message = "there is a token too, which is used instead";
        findings.warning("alerting.slack.webhook_file", message, "remove one of them");
    }
    let token = Credentials { user: "", file: &slack.token_file, variable: &slack.token_env };
    credentials(token, ["alerting.slack.token_file", "alerting.slack.token_env"], findings);
    if !has_token {
        let webhook = Credentials { user: "", file: &slack.webhook_file, variable: &slack.webhook_env };
        credentials(webhook, ["alerting.slack.webhook_file", "alerting.slack.webhook_env"], findings);
    }
}

fn webhook(hook: &Webhook, findings: &mut Findings) {
    let (key, name) = ("alerting.webhook", hook.name.escape_debug());
    let is_web = hook.url.starts_with("https://") || hook.url.starts_with("http://");
    if !hook.url.is_empty() && !is_web {
        // It may be a secret all the same: it is not repeated.
        findings.problem(key, format!("the url of `{name}` is no address"), "write https://HOST/PATH");
    }
    if !hook.template.as_os_str().is_empty() && !hook.template.is_file() {
        let message = format!("the template of `{name}`, {}, is not there", hook.template.display());
        findings.problem(key, message, "conf/templates has some to begin with");
    }
    let secrets = [hook.address().err(), hook.secret().err(), hook.all_headers().err()];
    for missing in secrets.into_iter().flatten() {
        findings.problem(key, format!("`{name}`: {}", missing.what), missing.advice);
    }
    for file in [&hook.url_file, &hook.headers_file, &hook.secret_file] {
        hidden(key, file, findings);
    }
    exists(key, &hook.ca_file, findings);
}

/// A secret goes there: not in the clear, but to this machine.
fn encrypted(key: &'static str, url: &str, findings: &mut Findings) {
    let place = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    if url.contains(|c: char| c.is_control() || c.is_whitespace()) || place.contains('@') {
        let message = format!("`{}` is no address", secret::guarded(url).escape_debug());
        return findings.problem(key, message, "write https://HOST/PATH");
    }
    if url.starts_with("https://") {
        return;
    }
    if !url.starts_with("http://") {
        let message = format!("`{}` is no address", secret::shown(url).escape_debug());
        return findings.problem(key, message, "write https://HOST/PATH");
    }
    if !is_loopback(host_and_port(place).0) {
        findings.problem(key, "a secret would go there without encryption", "write https:// in front");
    }
}

/// A file of a secret that everybody can read.
fn hidden(key: &'static str, file: &Path, findings: &mut Findings) {
    if !file.as_os_str().is_empty() && secret::is_open_to_all(file) {
        let message = format!("everybody can read {}", file.display());
        findings.warning(key, message, format!("type: chmod o-r {}", file.display()));
    }
}

fn exists(key: &'static str, file: &Path, findings: &mut Findings) {
    if !file.as_os_str().is_empty() && !file.is_file() {
        findings.problem(key, format!("{} is not there", file.display()), "name a PEM file of authorities");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let settings: Settings = toml::from_str(text).unwrap();
        let mut findings = Findings::default();
        check(&settings, &mut findings);
        findings.all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_channels_cannot_work_with() {
        let check = |text: &str, expected: &str| {
            let found = found(text);
            assert!(found.iter().any(|finding| finding.contains(expected)), "{expected}: {found:?}");
        };
        check(
            "[alerting.email]\nsender = \"a@b.test\"\nuser = \"u\"\npassword_file = \"/no/file\"",
            "alerting.email.password_file: the file /no/file cannot be read",
        );
        check("[alerting.slack]\ntoken_env = \"SKYLINE_NO_SUCH\"", "SKYLINE_NO_SUCH is not set");
        check(
            "[alerting.slack]\nwebhook_file = \"/no/file\"",
            "alerting.slack.webhook_file: the file /no/file",
        );
        check(
            "[alerting.pagerduty]\nrouting_key_file = \"/no/file\"",
            "alerting.pagerduty.routing_key_file: the file",
        );
        check(
            "[[alerting.webhook]]\nname = \"a\"\nurl_file = \"/no/file\"",
            "`a`: the file /no/file cannot be read",
        );
        check(
            "[[alerting.webhook]]\nname = \"a\"\nurl = \"http://x\"\nsecret_file = \"/no/s\"",
            "`a`: the file /no/s",
        );
        let email = |rest: &str| format!("[alerting.email]\nsender = \"a@b.test\"\n{rest}");
        check("[alerting.email]\nsender = \"me\"", "is no address");
        for sender in ["me", "a@", "@b", "http://u:h@x/", "a@b/", "a b@c", "a@b\\r\\nBcc: c@d", "S <a@b"] {
            check(&format!("[alerting.email]\nsender = \"{sender}\""), "is no address");
        }
        check(
            "[alerting.email]\nsender = \"http://u:hunter2@x/\"",
            "alerting.email.sender: `http://(hidden)@x/` is no address",
        );
        check(&email("host = \"\""), "is no host");
        check(&email("hello_name = \"a b\""), "is no name of a host");
        check(&email("user = \"u\""), "there is no password");
        check(&email("password_env = \"PATH\""), "nobody to log in");
        check(&email("user = \"u\"\npassword_env = \"PATH\"\nhost = \"mail.test\""), "without encryption");
        check(&email("port = 465"), "from the first byte");
        check(&email("ca_file = \"/no/such.pem\""), "is not there");
        check(
            "[alerting.slack]\ntoken_env = \"PATH\"\napi_url = \"http://slack.test\"",
            "without encryption",
        );
        // What is behind the first slash is no host.
        check(
            "[alerting.slack]\ntoken_env = \"PATH\"\napi_url = \"http://slack.test/x@127.0.0.1\"",
            "without encryption",
        );
        check("[alerting.slack]\ntoken_env = \"PATH\"\nwebhook_env = \"PATH\"", "used instead");
        for url in ["events", "https://x/\\r\\nHost: y", "https://x/ y", "https://u:h@x/"] {
            let duty = format!("[alerting.pagerduty]\nrouting_key_env = \"PATH\"\nurl = \"{url}\"");
            check(&duty, "is no address");
        }
        check("[[alerting.webhook]]\nname = \"a\"\nurl = \"ftp://x\"", "is no address");
        check(
            "[[alerting.webhook]]\nname = \"a\"\nurl = \"http://x\"\ntemplate = \"/no/t.json\"",
            "is not there",
        );
    }

    #[test]
    fn what_works_is_not_found_fault_with() {
        for good in [
            "",
            "[alerting]\nenabled = false\n[alerting.slack]\ntoken_file = \"/no/file\"",
            "[alerting.email]\nsender = \"S <a@b.test>\"\nuser = \"u\"\npassword_env = \"PATH\"\n",
            "[alerting.email]\nsender = \"a/b+c@[192.0.2.1]\"",
            "[alerting.slack]\ntoken_env = \"PATH\"\napi_url = \"http://127.0.0.1:99/api\"",
            "[alerting.slack]\ntoken_env = \"PATH\"\napi_url = \"http://[::1]:99/a@b\"",
            "[alerting.pagerduty]\nrouting_key_env = \"PATH\"",
            "[[alerting.webhook]]\nname = \"a\"\nurl_env = \"PATH\"",
        ] {
            assert_eq!(found(good), Vec::<String>::new(), "{good}");
        }
    }
}
