//! Tests of the checks of alerting: one line a contradiction.

use crate::check::{Finding, Severity, check};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const EMAIL: &str =
    "[alerting.email]\nsender = 'sky@company.internal'\ndefault_recipients = ['ops@company.internal']\n";
const HOOK: &str = "[[alerting.webhook]]\nname = 'chat'\nurl = 'http://127.0.0.1:9/'\n";

/// What is found about alerting in these settings.
fn found(text: &str) -> Vec<Finding> {
    let text = format!("relay.destinations = ['10.0.0.1:2004:pickle']\n{text}");
    let loaded = crate::load::text(&text, Path::new("skyline.toml"));
    let settings = loaded.unwrap_or_else(|error| panic!("{error}")).settings;
    check(&settings).into_iter().filter(|finding| finding.key.starts_with("alerting")).collect()
}

/// The one finding is about `key` and has `expected` in its words.
#[track_caller]
fn one(severity: Severity, text: &str, key: &str, expected: &str) {
    let found = found(text);
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(
        matches!(found.as_slice(), [f] if f.key == key && f.severity == severity && f.to_string().contains(expected)),
        "{key}: {expected}\nin {said:#?}"
    );
}

#[track_caller]
fn rule(lines: &str, expected: &str) {
    let text = format!("{EMAIL}{HOOK}[[alerting.rule]]\n{lines}");
    one(Severity::Problem, &text, "alerting.rule", expected);
}

#[test]
fn what_is_fine() {
    for text in [
        String::new(),
        EMAIL.to_owned(),
        HOOK.to_owned(),
        format!(
            "{EMAIL}[[alerting.rule]]\nmatch = 'stats.web'\nmatch_kind = 'skyline'\nchannel = 'email'\nsecond_order_hours = 168"
        ),
        format!(
            "{EMAIL}{HOOK}[[alerting.rule]]\nmatch = '**'\nescalate_after_seconds = 60\nescalate_to = ['chat', 'email:a@b.internal']"
        ),
        format!(
            "{EMAIL}[[alerting.rule]]\nmatch = '**'\nactive = 'mon-fri 09:00-17:00'\nzone = 'Europe/Berlin'"
        ),
        format!("{EMAIL}[[alerting.rule]]\nmatch = '(bad'\nmatch_kind = 'skyline'"),
        "[alerting]\npublic_url = 'https://skyline.company.internal/sky/'".to_owned(),
    ] {
        assert_eq!(found(&text), [], "{text}");
    }
}

#[test]
fn rules_that_are_wrong() {
    rule("match = ''", "`rule 1`: match: the pattern `` is empty");
    rule("match = []", "match is empty");
    rule("match = '(a'\nmatch_kind = 'regex'", "is no expression: unclosed group");
    rule("match = 'a'\nmatch_not = 'x.'", "match_not: the pattern `x.` is a glob");
    rule(
        "match = 'a'\nchannel = 'sms'",
        "there is no channel `sms`; channels are email, slack, pagerduty, syslog, chat",
    );
    rule("match = 'a'\nchannel = 'smtp'", "did you mean `email`?");
    rule("match = 'a'\nchannel = 'chatt'", "did you mean `chat`?");
    rule("match = 'a'\nchannel = 'slack'", "channel `slack` is not configured; fill [alerting.slack]");
    rule("match = 'a'\nchannel = 'hipchat'", "no longer exists");
    rule("match = 'a'\nchannel = 'syslog'", "record.syslog.enabled");
    rule("match = 'a'\nrecipients = 'a@b.internal'", "belong to a single channel");
    rule("match = 'a'\nchannel = 'chat'\nrecipients = 'a@b.internal'", "no recipients to choose from");
    rule("match = 'a'\nchannel = 'email'\nrecipients = 'joe'", "no address of email");
    rule("match = 'a'\nchannel = 'email'\nrecipients = 'ops@example.com'", "placeholder of an example");
    rule("match = 'a'\nactive = 'monday'", "names no day");
    rule("match = 'a'\nzone = 'Europe/Berln'", "did you mean `Europe/Berlin`?");
    rule("match = 'a'\nescalate_after_seconds = 5", "without escalate_to");
    rule("match = 'a'\nescalate_to = 'chat'", "without escalate_after_seconds");
    rule(
        "match = 'a'\nescalate_after_seconds = 5\nescalate_to = 'boss'",
        "escalate_to: there is no channel `boss`",
    );
    rule("match = 'a'\nescalate_after_seconds = 5\nescalate_to = 'email:boss'", "`email:boss` is no address");
    rule("name = 'x'\nmatch = 'a'\n[[alerting.rule]]\nname = 'x'\nmatch = 'b'", "another has that name");
}

#[test]
fn nobody_would_be_told() {
    let email = "[alerting.email]\nsender = 'sky@company.internal'\n";
    one(Severity::Problem, email, "alerting.email.default_recipients", "nobody would be told");
    let with_rule = format!("{email}[[alerting.rule]]\nmatch = 'a'");
    one(Severity::Problem, &with_rule, "alerting.rule", "nobody would be told by `email`");
    one(Severity::Warning, "[[alerting.rule]]\nmatch = 'a'", "alerting.rule", "no channel");
}

#[test]
fn placeholders_are_refused() {
    let problem = |text: &str, key: &str| one(Severity::Problem, text, key, "is a placeholder of an example");
    let recipients = "default_recipients = ['ops@company.internal']\n";
    problem(
        &format!("[alerting.email]\nsender = 'skyline@your_domain.com'\n{recipients}"),
        "alerting.email.sender",
    );
    problem(
        "[alerting.email]\nsender = 's@company.internal'\ndefault_recipients = ['a@company.internal', 'you@example.com']",
        "alerting.email.default_recipients",
    );
    problem("[[alerting.webhook]]\nname = 'x'\nurl = 'https://hooks.example.org/1'", "alerting.webhook");
    problem("[alerting]\npublic_url = 'https://skyline.example.net'", "alerting.public_url");
}

#[test]
fn secrets_of_examples_are_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        // That others can read it is another finding.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (token, key) = (file("token", "xoxb-your-token-hunter2\n"), file("key", "YOUR_ROUTING_KEY_hunter2"));
    let slack = format!("[alerting.slack]\ntoken_file = '{token}'\ndefault_channel = 'C0123456789'");
    one(Severity::Problem, &slack, "alerting.slack", "the token is a placeholder");
    let pagerduty = format!("[alerting.pagerduty]\nrouting_key_file = '{key}'");
    one(Severity::Problem, &pagerduty, "alerting.pagerduty", "the routing key is a placeholder");
    for text in [slack, pagerduty] {
        assert!(found(&text).iter().all(|finding| !finding.to_string().contains("hunter2")));
    }
}

#[test]
fn other_keys() {
    let problem = |text: &str, key: &str, expected: &str| one(Severity::Problem, text, key, expected);
    problem("[alerting]\nzone = 'Mars'", "alerting.zone", "is no time zone");
    problem("[alerting]\npublic_url = 'skyline'", "alerting.public_url", "write https://HOST");
    problem("[alerting]\npublic_url = 'https://h/\"x'", "alerting.public_url", "write https://HOST");
    problem(
        "[alerting.stale]\nafter_seconds = 500",
        "alerting.stale.after_seconds",
        "not less than detect.stale_seconds (500 s)",
    );
    problem("[alerting.stale]\nexclude = ['']", "alerting.stale.exclude", "matches nothing");
    problem("[alerting.stale]\nchannels = ['chat']", "alerting.stale.channels", "no channel `chat`");
    problem("[alerting.stale]\nrecipients = ['a@b.internal']", "alerting.stale.recipients", "single channel");
    problem(
        "[[alerting.webhook]]\nname = 'email'\nurl = 'http://127.0.0.1/'",
        "alerting.webhook",
        "another channel",
    );
    problem(
        "[[alerting.webhook]]\nname = 'a b'\nurl = 'http://127.0.0.1/'",
        "alerting.webhook",
        "no name of a channel",
    );
    problem(&format!("{HOOK}{HOOK}"), "alerting.webhook", "is there twice");
}
