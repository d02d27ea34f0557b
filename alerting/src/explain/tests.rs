//! Explanations of rules, mutes and hours.

use super::*;
use skyline_core::clock::Clock;
use skyline_sql::mute::{MuteKind, NewMute};
use std::path::Path;

/// Monday, 2026-11-30T12:00:00Z.
const NOON: f64 = 1_796_040_000.0;

fn settings(rules: &str) -> Alerting {
    let text = format!(
        "[[alerting.webhook]]\nname = 'chat'\nurl = 'http://127.0.0.1:9/'\n\
         [alerting.email]\nsender = 'sky@company.internal'\ndefault_recipients = ['ops@company.internal']\n{rules}"
    );
    skyline_conf::load::text(&text, Path::new("s.toml")).unwrap().settings.alerting
}

fn said(settings: &Alerting, mutes: Option<&Mutes>, metric: &str) -> Explanation {
    explain(settings, &Rules::compile(settings).unwrap(), mutes, metric, NOON)
}

const RULES: &str = "[[alerting.rule]]\nname = 'night'\nmatch = 'web.**'\nactive = '22:00-06:00'\n\
    [[alerting.rule]]\nname = 'web'\nmatch = ['web.*', 'www.*']\nmatch_not = '*.test'\nchannel = 'email'\nstop = true\n\
      escalate_after_seconds = 900\nescalate_to = 'chat'\nminimum_seconds = 90\n\
    [[alerting.rule]]\nname = 'rest'\nmatch = '**'\nrepeat_seconds = 0\nrecovery = false\n";

#[test]
fn rules_in_order_with_their_reasons() {
    let settings = settings(RULES);
    let results =
        |metric: &str| said(&settings, None, metric).rules.iter().map(|rule| rule.result).collect::<Vec<_>>();
    use Outcome::{Asleep, NoMatch, NotReached, Tells};
    assert_eq!(results("web.1"), [Asleep, Tells, NotReached]);
    assert_eq!(results("web.test"), [Asleep, NoMatch, Tells]);
    assert_eq!(results("db"), [NoMatch, NoMatch, Tells]);
    let web = said(&settings, None, "web.1");
    assert_eq!(
        web.rules[0].why,
        "glob web.**: the name is as the glob says, but it applies only 22:00-06:00 (UTC)"
    );
    assert_eq!(web.rules[2].why, "it would match, but rule web stops");
    assert_eq!(
        said(&settings, None, "web.test").rules[1].why,
        "match_not glob *.test: the name is as the glob says"
    );
    assert_eq!(
        web.outcome,
        [
            "An email to ops@company.internal would be sent once it has lasted 1 min 30 s, and again every 30 min while it goes on; its end is told too.",
            "Unless somebody acknowledges it within 15 min, chat would be told too."
        ]
    );
    let text = web.to_string();
    for part in [
        "web.1\n",
        "  1  asleep       night (line 7): ",
        "  2  TELLS        web (line 11): glob web.*",
        "email (ops@company.internal); severity warning, again after 30 min, once it has lasted 1 min 30 s, stops",
        "  3  not reached  rest",
        "mutes are not known",
        "limit   email: 60 messages to one recipient within 30 min",
        "If it broke now:\n  An email to",
    ] {
        assert!(text.contains(part), "{part}\nin\n{text}");
    }
}

#[test]
fn each_recipient_is_told_once() {
    let settings = settings("[[alerting.rule]]\nmatch = '**'\n[[alerting.rule]]\nmatch = 'a'\n");
    let outcome = said(&settings, None, "a").outcome;
    assert_eq!(outcome.len(), 2, "{outcome:?}");
    assert!(outcome[1].starts_with("A request to webhook chat would be sent within 300 ms"), "{outcome:?}");
}

#[test]
fn nobody_is_told() {
    let outcome = |rules: &str, expected: &str| {
        let said = said(&settings(rules), None, "a").outcome;
        assert!(matches!(said.as_slice(), [one] if one.contains(expected)), "{said:?}");
    };
    outcome("[alerting]\nenabled = false", "alerting.enabled is false");
    outcome("[[alerting.rule]]\nmatch = 'b'", "no rule matches");
    outcome("[[alerting.rule]]\nmatch = 'a'\nchannel = []", "has nobody to tell");
    outcome("[[alerting.rule]]\nmatch = 'a'\nactive = 'sat+sun'", "at this hour");
    assert!(said(&Alerting::default(), None, "a").outcome[0].contains("no channel is configured"));
    assert!(said(&settings("[alerting]\ndry_run = true"), None, "a").outcome[0].contains("not sent"));
}

#[tokio::test]
async fn mutes_and_hostile_names_are_shown_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let options = skyline_sql::Options { clock: Clock::at(NOON), ..skyline_sql::Options::default() };
    let store = skyline_sql::Store::open_file(&folder.path().join("a.db"), options).await.unwrap();
    let mutes = Mutes::new(store, Clock::at(NOON), "UTC");
    let name = "a\n<script>\u{202e}\u{1b}[2J";
    let new = NewMute {
        kind: MuteKind::Name,
        pattern: name.into(),
        until: Some(NOON as i64 + 60),
        schedule: None,
        zone: None,
        reason: Some("deploy\u{7}".into()),
    };
    mutes.add(new, &[], 2).await.unwrap();
    let said = said(&settings(""), Some(&mutes), name);
    assert_eq!(said.rules[0].result, Outcome::Muted);
    assert!(said.default_rule && said.limits.is_empty());
    let text = said.to_string();
    assert!(text.starts_with("a\\n<script>\\u{202e}\\u{1b}[2J\n"), "{text}");
    assert!(text.contains("until 2026-11-30T12:01:00Z, by admin: deploy\\u{7}"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']));
    let read: Explanation = serde_json::from_str(&serde_json::to_string(&said).unwrap()).unwrap();
    assert_eq!(read, said);
}
