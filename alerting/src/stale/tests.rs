//! Metrics that fall silent, send again, and were silent when the node started.

use super::*;

fn watch(text: &str, started: f64, file: Option<&Path>) -> Watch {
    let settings = skyline_conf::load::text(text, Path::new("s.toml")).unwrap().settings.alerting;
    Watch::new(&settings, 500, started, file)
}

/// What the windows answer of these metrics, and what is told then.
fn look(watch: &mut Watch, metrics: &[(&str, f64)], now: f64) -> Vec<String> {
    let Some(question) = watch.question(now) else { return vec!["too early".into()] };
    let mut answer = Answer::default();
    for (name, last) in metrics {
        answer.take(&question, name, *last);
    }
    let digest = watch.look(answer, now, |name| name.contains("muted")).unwrap_or_default();
    if digest.silent + digest.back == 0 {
        return if digest.is_over { vec![OVER.into()] } else { Vec::new() };
    }
    assert_eq!(digest.is_over, watch.told.is_empty(), "{digest:?}");
    digest.lines
}

/// Nothing but that.
const OVER: &str = "all is over";

const NOTHING: [&str; 0] = [];

#[test]
fn each_is_told_once_and_told_again_when_it_sends() {
    let mut watch = watch("", 0.0, None);
    assert_eq!(look(&mut watch, &[("a", 10_000.0), ("b", 10_000.0)], 10_000.0), NOTHING);
    assert_eq!(look(&mut watch, &[("a", 10_000.0), ("b", 10_290.0)], 10_299.0), NOTHING);
    assert_eq!(
        look(&mut watch, &[("a", 10_000.0), ("b", 10_290.0)], 10_312.0),
        ["1 metric has sent no data for about 5 min: look at what sends them.", "a: silent for 5 min"]
    );
    assert_eq!(look(&mut watch, &[("a", 10_000.0), ("b", 10_350.0)], 10_372.0), NOTHING, "once");
    // Long silent, then back.
    assert_eq!(look(&mut watch, &[("a", 10_000.0), ("b", 20_000.0)], 20_000.0), NOTHING);
    assert_eq!(
        look(&mut watch, &[("a", 20_030.0), ("b", 20_060.0)], 20_060.0),
        ["1 metric sends again.", "a: sends again, after 2 h 47 min"]
    );
    assert_eq!(
        look(&mut watch, &[("a", 20_030.0), ("b", 20_360.0)], 20_360.0),
        ["1 metric has sent no data for about 5 min: look at what sends them.", "a: silent for 5 min"],
        "told again"
    );
    // Removed from the windows: nothing to tell, and nothing is remembered.
    assert_eq!(look(&mut watch, &[("b", 20_420.0)], 20_420.0), [OVER]);
    assert_eq!(look(&mut watch, &[("b", 20_430.0)], 20_430.0), NOTHING);
    assert!(watch.told.is_empty());
}

#[test]
fn who_is_still_silent_is_counted() {
    let mut watch = watch("", 0.0, None);
    let metrics = [("a", 9_000.0), ("b", 9_000.0), ("c", 9_000.0), ("d", 9_400.0)];
    look(&mut watch, &metrics, 9_000.0);
    assert_eq!(look(&mut watch, &metrics, 9_400.0).len(), 4);
    let first = [("a", 9_450.0), ("b", 9_000.0), ("c", 9_000.0), ("d", 9_450.0)];
    assert_eq!(look(&mut watch, &first, 9_460.0)[0], "1 metric sends again; 2 are still silent.");
    let second = [("a", 9_500.0), ("b", 9_500.0), ("c", 9_000.0), ("d", 9_500.0)];
    assert_eq!(look(&mut watch, &second, 9_510.0)[0], "1 metric sends again; 1 is still silent.");
    let third = [("a", 9_600.0), ("b", 9_600.0), ("c", 9_600.0), ("d", 9_600.0)];
    assert_eq!(look(&mut watch, &third, 9_610.0)[0], "1 metric sends again.");
}

#[test]
fn what_is_older_than_stale_was_told_or_is_no_news() {
    let mut watch = watch("", 0.0, None);
    look(&mut watch, &[("b", 10_000.0)], 10_000.0);
    assert_eq!(look(&mut watch, &[("a", 9_499.0), ("b", 10_000.0)], 10_000.0), NOTHING);
    assert_eq!(look(&mut watch, &[("a", 9_500.0), ("b", 10_000.0)], 10_000.0).len(), 2);
}

#[test]
fn excluded_and_muted_names_are_left_out() {
    let mut watch = watch("[alerting.stale]\nexclude = ['carbon.agents']\ntell_return = false", 0.0, None);
    let metrics = [("carbon.agents.x", 9_000.0), ("muted.a", 9_000.0), ("a", 9_000.0), ("b", 10_000.0)];
    look(&mut watch, &metrics, 9_000.0);
    assert_eq!(look(&mut watch, &metrics, 9_400.0)[1..], ["a: silent for 6 min"]);
    assert_eq!(look(&mut watch, &[("a", 9_460.0), ("b", 9_460.0)], 9_460.0), [OVER], "a return is not told");
}

#[test]
fn all_senders_away_is_one_message() {
    let mut watch = watch("", 0.0, None);
    let names: Vec<String> = (0..1_000).map(|i| format!("servers.web{}.m{i}", i % 2)).collect();
    let at = |last: f64| names.iter().map(|name| (name.as_str(), last)).collect::<Vec<_>>();
    look(&mut watch, &at(10_000.0), 10_000.0);
    let said = look(&mut watch, &at(10_000.0), 10_310.0);
    assert_eq!(
        said,
        [
            "No metric sends data any more: all senders are away, 1000 metrics.",
            "servers.web0.* (500 metrics): silent for 5 min",
            "servers.web1.* (500 metrics): silent for 5 min"
        ]
    );
}

#[test]
fn a_node_that_has_just_started_says_so_in_one_message() {
    // The node was down from 10,000 to 20,000.
    let before = [("a", 9_990.0), ("gone.long.ago", 5_000.0), ("b", 9_995.0)];
    let mut one = watch("", 20_000.0, None);
    assert_eq!(look(&mut one, &before, 20_299.0), ["too early"]);
    assert_eq!(
        look(&mut one, &[("a", 9_990.0), ("gone.long.ago", 5_000.0), ("b", 20_290.0)], 20_300.0)[0],
        "This node has just started: 1 metric that it knows sends nothing."
    );
    // One that sent a little after the start does not hide those that sent nothing.
    let mut mixed = watch("", 20_000.0, None);
    let said = look(
        &mut mixed,
        &[("a", 9_990.0), ("gone.long.ago", 5_000.0), ("b", 20_010.0), ("c", 20_400.0)],
        20_400.0,
    );
    assert_eq!(said[0], "This node has just started: 2 metrics that it knows send nothing.");
    let mut all = watch("", 20_000.0, None);
    let said = look(&mut all, &before, 20_300.0);
    assert_eq!(
        said[0],
        "This node has just started, and nothing has come in: all senders are away, 2 metrics."
    );
    assert_eq!(said.len(), 3);
    assert_eq!(look(&mut all, &before, 20_360.0), NOTHING);
}

#[test]
fn a_restart_tells_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    let metrics = [("a.<b>\n\u{202e}", 9_600.0), ("b", 10_000.0)];
    let mut first = watch("", 0.0, Some(&file));
    look(&mut first, &metrics, 9_600.0);
    assert_eq!(look(&mut first, &metrics, 10_000.0).len(), 2);
    first.keep().unwrap();
    let mut again = watch("", 10_010.0, Some(&file));
    assert_eq!(look(&mut again, &[metrics[0], ("b", 10_300.0)], 10_310.0), NOTHING);
    assert_eq!(
        look(&mut again, &[(metrics[0].0, 10_320.0), ("b", 10_320.0)], 10_330.0)[0],
        "1 metric sends again."
    );
    std::fs::write(&file, "{").unwrap();
    assert!(watch("", 0.0, Some(&file)).told.is_empty());
}

#[test]
fn who_gets_the_digest() {
    let text = "[alerting.email]\nsender = 'a@b.internal'\ndefault_recipients = ['x@b.internal', 'y@b.internal']\n\
                [[alerting.webhook]]\nname = 'chat'\nurl = 'http://127.0.0.1:9/'\n";
    let of = |more: &str| {
        let settings = skyline_conf::load::text(&format!("{text}{more}"), Path::new("s.toml"))
            .unwrap()
            .settings
            .alerting;
        targets(&settings)
            .iter()
            .map(|t| format!("{} {}", t.channel, t.recipients.join("+")))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(""), ["email x@b.internal"]);
    assert_eq!(of("[alerting.stale]\nchannels = ['chat']"), ["chat chat"]);
    assert_eq!(
        of("[alerting.stale]\nchannels = ['email']\nrecipients = ['z@b.internal']"),
        ["email z@b.internal"]
    );
    let digest = Digest { lines: vec!["x".into()], silent: 3, back: 1, is_over: false };
    let to = [Target { channel: "email".into(), recipients: vec!["a".into(), "b".into()] }];
    let made = messages(&digest, &to, "n1", 10.0);
    assert_eq!((made.len(), made[0].kind, made[0].member_count), (2, Kind::Stale, 3));
    assert_ne!(made[0].key, made[1].key);
    assert_ne!(made[0].matter(), made[1].matter(), "each recipient has one of their own");
    let again = |digest: &Digest| messages(digest, &to, "n1", 20.0);
    let back = again(&Digest { silent: 0, is_over: true, ..digest.clone() });
    assert_eq!(
        (back[0].kind, back[0].member_count, back[0].ended, back[0].matter()),
        (Kind::Returned, 1, Some(20.0), made[0].matter())
    );
    assert_ne!(back[0].key, made[0].key);
    // That all is over and nothing else: to those with whom something is open.
    let quiet = Digest { silent: 0, back: 0, is_over: true, ..digest };
    assert_eq!(again(&quiet), []);
    let duty = [Target { channel: "pagerduty".into(), recipients: vec!["service".into()] }];
    assert_eq!(messages(&quiet, &duty, "n1", 20.0)[0].ended, Some(20.0));
}
