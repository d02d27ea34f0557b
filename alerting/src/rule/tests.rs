//! Rules as settings write them, on names.

use super::*;
use proptest::prelude::*;
use skyline_conf::model::alerting::Alerting;
use std::path::Path;

/// Settings with email and a webhook, and these rules.
fn settings(rules: &str) -> Alerting {
    let text = format!(
        "[alerting.email]\nsender = 'sky@company.internal'\ndefault_recipients = ['ops@company.internal']\n\
         [[alerting.webhook]]\nname = 'chat'\nurl = 'http://127.0.0.1:9/'\n{rules}"
    );
    let loaded = skyline_conf::load::text(&text, Path::new("skyline.toml"));
    loaded.unwrap_or_else(|error| panic!("{error}")).settings.alerting
}

fn rules(text: &str) -> Rules {
    Rules::compile(&settings(text)).unwrap()
}

fn names(rules: &Rules, metric: &str, now: f64) -> Vec<String> {
    rules.apply(metric, now).into_iter().map(|found| found.rule.name.clone()).collect()
}

const MONDAY_NOON: f64 = 1_796_040_000.0;

#[test]
fn rules_apply_in_order_until_one_stops() {
    let rules = rules(
        "[[alerting.rule]]\nname = 'a'\nmatch = 'web.**'\n\
         [[alerting.rule]]\nmatch = ['db.*', 'web.*']\nmatch_not = '*.test'\nstop = true\n\
         [[alerting.rule]]\nname = 'rest'\nmatch = '**'\n",
    );
    let check =
        |metric: &str, expected: &[&str]| assert_eq!(names(&rules, metric, 0.0), expected, "{metric}");
    check("web.1", &["a", "rule 2"]);
    check("web.test", &["a", "rest"]);
    check("web.a.b", &["a", "rest"]);
    check("db.1", &["rule 2"]);
    check("x", &["rest"]);
    assert!(!rules.is_default());
    assert_eq!(rules.named("rest").unwrap().line, Some(14));
    assert_eq!(rules.all()[1].verdict("web.test"), Verdict::Excluded { pattern: 0, by: By::Glob });
}

#[test]
fn without_rules_everything_goes_everywhere() {
    let rules = rules("");
    assert!(rules.is_default());
    let found = rules.apply("any.<name>", 0.0);
    let targets: Vec<_> =
        found[0].rule.targets.iter().map(|t| (t.channel.as_str(), t.recipients.join(" "))).collect();
    assert_eq!(targets, [("email", "ops@company.internal".to_owned()), ("chat", "chat".to_owned())]);
    assert_eq!(found[0].rule.repeat, Some(1_800.0));
}

#[test]
fn what_a_rule_says() {
    let rules = rules(
        "[[alerting.rule]]\nmatch = 'a'\nmatch_kind = 'exact'\nchannel = 'email'\nrecipients = ['x@y.internal', 'z@y.internal']\n\
         repeat_seconds = 0\nseverity = 'critical'\nminimum_seconds = 90\nrecovery = false\nescalate_after_seconds = 600\n\
         escalate_to = ['email:boss@y.internal', 'email:two@y.internal', 'chat']\nsecond_order_hours = 168\n\
         [[alerting.rule]]\nmatch = 'quiet.**'\nchannel = []\nstop = true\n",
    );
    let rule = &rules.all()[0];
    assert_eq!(rule.targets[0].recipients, ["x@y.internal", "z@y.internal"]);
    assert_eq!((rule.repeat, rule.minimum, rule.recovery), (None, 90.0, false));
    assert_eq!((rule.severity, rule.second_order_hours), (Severity::Critical, Some(168)));
    let escalation = rule.escalation.as_ref().unwrap();
    assert_eq!(escalation.after, 600.0);
    assert_eq!(escalation.targets[0].recipients, ["boss@y.internal", "two@y.internal"]);
    assert_eq!(escalation.targets[1], Target { channel: "chat".into(), recipients: vec!["chat".into()] });
    assert!(rules.apply("quiet.a", 0.0)[0].rule.targets.is_empty());
}

#[test]
fn a_rule_that_sleeps_neither_applies_nor_stops() {
    let rules = rules(
        "[[alerting.rule]]\nname = 'day'\nmatch = '**'\nactive = 'mon 09:00-17:00'\nzone = 'Europe/Berlin'\nstop = true\n\
         [[alerting.rule]]\nname = 'else'\nmatch = '**'\n",
    );
    let day = 86_400.0;
    assert_eq!(names(&rules, "a", MONDAY_NOON), ["day"]);
    assert_eq!(names(&rules, "a", MONDAY_NOON + day), ["else"]);
    assert_eq!(names(&rules, "a", MONDAY_NOON + 7.0 * day), ["day"]);
}

#[test]
fn rules_that_cannot_be_used() {
    let bad = |text: &str, expected: &str| {
        let said = Rules::compile(&settings(text)).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    };
    bad("[[alerting.rule]]\nmatch = '(a'\nmatch_kind = 'regex'", "unclosed group");
    bad("[[alerting.rule]]\nmatch = 'a'\nchannel = 'slack'", "no channel `slack`");
    bad("[[alerting.rule]]\nmatch = 'a'\nactive = 'never'", "names no day");
}

/// A thousand rules and ten thousand metrics: what was seen is remembered, and looking is quick.
#[test]
fn many_rules_and_metrics_are_quick() {
    let text: String = (0..1_000)
        .map(|i| {
            let kind = ["glob", "regex", "contains", "skyline", "exact"][i % 5];
            let pattern =
                [format!("servers.web{i}.**"), format!("web{i}[.]cpu"), format!("web{i}.cpu")][i % 3].clone();
            format!("[[alerting.rule]]\nmatch = '{pattern}'\nmatch_kind = '{kind}'\n")
        })
        .collect();
    let rules = rules(&text);
    let metrics: Vec<String> =
        (0..10_000).map(|i| format!("servers.web{}.cpu.{}", i % 1_000, i / 1_000)).collect();
    let few = &metrics[..200];
    let started = std::time::Instant::now();
    let first: usize = few.iter().map(|metric| rules.apply(metric, 0.0).len()).sum();
    let each = started.elapsed() / 200;
    assert!(first > 0);
    assert!(each.as_millis() < 100, "{each:?} for a new name");
    let started = std::time::Instant::now();
    let again: usize = (0..50).flat_map(|_| few).map(|metric| rules.apply(metric, 0.0).len()).sum();
    assert_eq!(again, 50 * first);
    assert!(started.elapsed().as_millis() < 2_000, "{:?} for 10,000 known names", started.elapsed());
}

#[test]
fn what_is_remembered_is_bounded() {
    let rules = rules("[[alerting.rule]]\nmatch = '*'\n");
    for i in 0..REMEMBERED + 10 {
        assert_eq!(rules.apply(&format!("m{i}"), 0.0).len(), 1);
    }
    assert!(rules.known.lock().unwrap().len() <= REMEMBERED);
}

proptest! {
    /// What is remembered answers as the patterns do.
    #[test]
    fn remembering_changes_nothing(metric in "[a-c.]{1,6}", globs in prop::collection::vec("[a-c*.]{0,3}[a-c*]", 1..6)) {
        let text: String = globs.iter().map(|glob| format!("[[alerting.rule]]\nmatch = '{glob}'\n")).collect();
        let rules = rules(&text);
        let expected: Vec<usize> = rules
            .all()
            .iter()
            .enumerate()
            .filter(|(_, rule)| matches!(rule.verdict(&metric), Verdict::Matches { .. }))
            .map(|(place, _)| place)
            .collect();
        for _ in 0..2 {
            let found: Vec<usize> = rules.apply(&metric, 0.0).iter().map(|found| found.place).collect();
            prop_assert_eq!(&found, &expected);
        }
    }
}
