//! Points over HTTP: keys, and how series with labels are named.

use super::Findings;
use super::stores::credentials;
use crate::model::Settings;
use crate::model::flux::ApiKey;
use crate::naming::{Template, is_prefix};
use crate::secret::Credentials;
use std::collections::HashSet;

const KEYS: &str = "flux.api_keys";

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let flux = &settings.flux;
    let mut names = HashSet::new();
    let mut secrets: Vec<(&str, crate::secret::Secret)> = Vec::new();
    findings.each(KEYS, &flux.api_keys, |_, key, findings| {
        let name = key.name.escape_debug();
        if key.name.is_empty() || !names.insert(&key.name) {
            let message = format!("there is no name, or `{name}` is there twice");
            findings.problem(KEYS, message, "give each key a name of its own");
        }
        one(key, findings);
        let Ok(secret) = key.secret() else { return };
        if let Some((other, _)) = secrets.iter().find(|(_, s)| *s == secret) {
            let message = format!("`{name}` is the same key as `{}`", other.escape_debug());
            findings.problem(KEYS, message, "make another with: openssl rand -hex 32");
        }
        secrets.push((&key.name, secret));
    });
    for (key, template) in [
        ("flux.prometheus.template", Template::of_prometheus(&flux.prometheus)),
        ("flux.influx.template", Template::of_influx(&flux.influx)),
    ] {
        if let Err(wrong) = template {
            findings.problem(key, wrong.what, wrong.advice);
        }
    }
    if !flux.is_on() {
        return;
    }
    for address in flux.listen.iter().filter(|a| !a.ip().to_canonical().is_loopback()) {
        let message = format!("{address} is not a loopback address, and keys travel in the clear");
        let advice = "listen on 127.0.0.1 and put a proxy with TLS in front, if anybody can listen between";
        findings.warning("flux.listen", message, advice);
    }
    // What is read grows: it is there twice while it is copied to a larger place. What it is unpacked to has one place.
    if 2 * u64::from(flux.max_body_bytes) + u64::from(flux.max_unpacked_bytes) > flux.memory_bytes {
        let message = "a single request may need more: it would be refused always";
        let advice = "make it twice flux.max_body_bytes and flux.max_unpacked_bytes together, or larger";
        findings.problem("flux.memory_bytes", message, advice);
    }
}

fn one(key: &ApiKey, findings: &mut Findings) {
    let place = Credentials { user: "", file: &key.key_file, variable: &key.key_env };
    match place.password() {
        // A file or variable that is not there is said of here, as for other passwords.
        Err(_) => credentials(place, [KEYS, KEYS], findings),
        Ok(_) => {
            credentials(place, [KEYS, KEYS], findings);
            if let Err(wrong) = key.secret() {
                findings.problem(KEYS, wrong.what, wrong.advice);
            }
        }
    }
    if !key.prefix.is_empty() && !is_prefix(&key.prefix) {
        let message = format!("`{}` cannot be the beginning of names", key.prefix.escape_debug());
        findings.problem(KEYS, message, "write it as in `shop` or `shop.eu`, without a dot at its ends");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_enough_memory() {
        let check = |memory_bytes: u64, is_enough: bool| {
            let mut settings = Settings::default();
            settings.flux.api_keys = vec![ApiKey::default()];
            settings.flux.memory_bytes = memory_bytes;
            let found = crate::check::check(&settings);
            assert_eq!(found.iter().all(|f| f.key != "flux.memory_bytes"), is_enough, "{memory_bytes}");
        };
        check(24 << 20, true);
        check((24 << 20) - 1, false);
    }
}
