//! The jobs that fetch points.

use super::sockets::{PROXY, listener_of};
use super::{Findings, Severity, remote};
use crate::model::Settings;
use crate::model::vista::template::Template;
use crate::model::vista::{Fetch, Vista, span};
use std::collections::HashSet;

const FETCH: &str = "vista.fetch";
/// More would have a figure each.
const MOST: usize = 1_000;

pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let vista = &settings.vista;
    let before = findings.all.len();
    let mut names = HashSet::new();
    let mut stored = HashSet::new();
    findings.each(FETCH, &vista.fetch, |_, fetch, findings| {
        one(fetch, findings);
        if !names.insert(fetch.name.to_lowercase()) {
            let message = format!("two jobs are called {}", fetch.name.escape_debug());
            findings.problem(FETCH, message, "give each a name of its own");
        }
        if !stored.insert(&fetch.store_as) {
            let message = format!("two jobs store as {}", fetch.store_as.escape_debug());
            findings.warning(FETCH, message, "give each a name of its own, or they write over each other");
        }
        itself(settings, fetch, findings);
    });
    whole(vista, findings);
    if !vista.enabled {
        // What is switched off holds no start up.
        for finding in findings.all.iter_mut().skip(before) {
            finding.severity = Severity::Warning;
        }
    }
}

fn whole(vista: &Vista, findings: &mut Findings) {
    if vista.fetch.len() > MOST {
        let message = format!("there are {} jobs, more than {MOST}", vista.fetch.len());
        findings.problem(FETCH, message, "fetch several series with one expression and a template");
    }
    if vista.enabled && vista.fetch.is_empty() {
        findings.warning("vista.enabled", "there is no job", "write a [[vista.fetch]]");
    }
}

/// A job whose server is this node.
fn itself(settings: &Settings, fetch: &Fetch, findings: &mut Findings) {
    let remote = fetch.remote();
    let Some(own) = remote.port().and_then(|port| listener_of(settings, remote.host(), port)) else { return };
    let message = format!("{}: its server is this node's own {own}", fetch.name.escape_debug());
    let advice = if own == PROXY {
        "name the Graphite behind it; what this node takes in has no need to be fetched"
    } else {
        "no such question is answered there: name the server that has the metrics"
    };
    findings.warning(FETCH, message, advice);
}

fn one(fetch: &Fetch, findings: &mut Findings) {
    let name = fetch.name.escape_debug().to_string();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if fetch.name.is_empty()
        || fetch.name.len() > 100
        || fetch.name.starts_with('.')
        || !fetch.name.bytes().all(is_name)
    {
        let message = format!("`{name}` is no name of a job");
        findings.problem(FETCH, message, "use letters, digits, `_`, `-` and `.`, 100 at most");
    }
    remote::check(FETCH, &name, &fetch.remote(), findings);
    if fetch.target.trim().is_empty()
        || fetch.target.len() > 8_192
        || fetch.target.chars().any(char::is_control)
    {
        let message = format!("{name}: the target is empty, too long or has control characters");
        findings.problem(FETCH, message, "write a metric or an expression on one line");
    }
    if let Err(wrong) = Template::parse(&fetch.store_as) {
        let message = format!("{name}: store_as `{}`: {wrong}", fetch.store_as.escape_debug());
        findings.problem(
            FETCH,
            message,
            "write a name as servers.web1.load, or a template as prom.{job}.load",
        );
    }
    let uri = &fetch.uri;
    let path = uri.split('?').next().unwrap_or_default();
    let is_path = path.starts_with('/')
        && !path.contains("..")
        && !uri.contains(|c: char| matches!(c, '#' | '\\') || c.is_whitespace() || c.is_control());
    if !uri.is_empty() && !is_path {
        let message = format!("{name}: the uri `{}` is no path", uri.escape_debug());
        findings.problem(FETCH, message, "write /render, or leave it out");
    }
    history(fetch, &name, findings);
}

fn history(fetch: &Fetch, name: &str, findings: &mut Findings) {
    let mut before = i64::MAX;
    for text in &fetch.history {
        let Some(seconds) = span::seconds(text) else {
            let message = format!("{name}: history: `{}` is no span of time", text.escape_debug());
            findings.problem(FETCH, message, "write 90days, 24hours or 15d");
            continue;
        };
        if seconds >= before {
            let message =
                format!("{name}: history: `{}` is not shorter than the one before", text.escape_debug());
            findings.problem(
                FETCH,
                message,
                "write them from coarse to fine: [\"90days\", \"7days\", \"24hours\"]",
            );
        }
        before = seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Fetch {
        Fetch {
            name: "load".into(),
            url: "http://127.0.0.1:9090".into(),
            target: "up".into(),
            store_as: "prom.up".into(),
            ..Fetch::default()
        }
    }

    #[track_caller]
    fn check(change: impl Fn(&mut Fetch), expected: &[&str]) {
        let mut fetch = good();
        change(&mut fetch);
        let settings = Settings {
            vista: Vista { enabled: true, fetch: vec![fetch], ..Vista::default() },
            ..Settings::default()
        };
        let mut findings = Findings::default();
        super::check(&settings, &mut findings);
        let got: Vec<_> = findings.all.iter().map(ToString::to_string).collect();
        assert_eq!(got.len(), expected.len(), "{got:?}");
        assert!(got.iter().zip(expected).all(|(got, part)| got.contains(part)), "{got:?}");
    }

    #[test]
    fn jobs() {
        check(|_| (), &[]);
        check(|f| f.history = ["90days", "7d", "24hours"].map(Into::into).to_vec(), &[]);
        check(|f| f.uri = "/render/?from=-10minutes&target=".into(), &[]);
        check(|f| f.store_as = "a.{instance}".into(), &[]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        check(|f| f.name = "a/b".into(), &["no name of a job"]);
        check(|f| f.name = "..".into(), &["no name of a job"]);
        check(|f| f.url = "ftp://h".into(), &["load: the url `ftp://h` begins"]);
        check(|f| f.url = "http://prometheus.example.net:9090".into(), &["a name from an example"]);
        check(|f| f.url = "http://u:secret@h".into(), &["(hidden)"]);
        check(|f| f.url = "http://u:secret@h.example.com:8080".into(), &["(hidden)", "`h.example.com` is"]);
        check(|f| f.target = " ".into(), &["the target is empty"]);
        check(|f| f.store_as = "a b".into(), &["store_as `a b`"]);
        check(|f| f.uri = "render".into(), &["is no path"]);
        check(|f| f.uri = "/../x".into(), &["is no path"]);
        check(|f| f.history = vec!["7".into()], &["`7` is no span"]);
        check(|f| f.history = ["1h", "2h"].map(Into::into).to_vec(), &["not shorter"]);
        check(|f| f.user = "u".into(), &["has no password"]);
        check(|f| f.insecure = true, &["not checked"]);
        check(|f| f.url = "http://localhost:1501".into(), &["own http.status"]);
        check(|f| f.url = "http://[::ffff:127.0.0.1]:1501/x".into(), &["no such question is answered there"]);
        check(|f| f.url = "http://127.0.0.1:1".into(), &[]);
        check(
            |f| {
                let value = "YOURown32charSkylineAPIkeySecret".to_owned();
                f.headers = vec![crate::model::graphite::Header {
                    name: "X-Key".into(),
                    value,
                    ..Default::default()
                }];
            },
            &["from an example"],
        );
        let twice = Vista { fetch: vec![good(), good()], ..Vista::default() };
        let mut findings = Findings::default();
        super::check(&Settings { vista: twice, ..Settings::default() }, &mut findings);
        let items: Vec<_> = findings.all.iter().map(|finding| finding.item).collect();
        assert_eq!(items, [Some(1); 2], "{:?}", findings.all);
    }
}
