//! Who could be told of anomalies: channels are opened as a start opens them, and nothing is sent.

use crate::cli::output::{counted, program};
use crate::cli::report::{Level, Report};
use skyline_alerting::channel;
use skyline_conf::model::alerting::Alerting;

const KEY: &str = "alerting";

/// Opens each channel; what the checks of the settings have found fault with is not looked at again.
pub(in crate::cli) fn check(alerting: &Alerting, arguments: &str, report: &mut Report) {
    let is_wrong = report.lines.iter().any(|line| line.level == Level::Problem && line.key.starts_with(KEY));
    if is_wrong {
        return;
    }
    if !alerting.enabled {
        return report.ok(KEY, "switched off: anomalies are recorded, and nobody is told");
    }
    let mut names = Vec::new();
    let mut is_good = true;
    for (key, channel) in channel::each(alerting) {
        match channel {
            Ok(channel) => names.push(channel.name().to_owned()),
            Err(problem) => {
                is_good = false;
                report.problem(key, problem.what, problem.advice);
            }
        }
    }
    let Some(first) = names.first() else {
        if is_good {
            report.ok(KEY, "no channel is configured: anomalies are recorded, and nobody is told");
        }
        return;
    };
    if alerting.dry_run {
        let advice = "set it to false when what skyline alert outbox shows is right";
        report.warning("alerting.dry_run", "messages are written down, and none is sent", advice);
    }
    let rules = match alerting.rules.len() {
        0 => "no rule: every anomaly goes to the default recipients".to_owned(),
        number => counted(number, "rule"),
    };
    let test = format!("{} alert test --channel {first}{arguments}", program());
    report.ok(KEY, format!("{}; {rules}; to try one: {test}", names.join(", ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let loaded = skyline_conf::load::text(text, std::path::Path::new("s.toml"));
        let settings = loaded.unwrap_or_else(|error| panic!("{error}")).settings;
        let mut report = Report::new(true);
        super::check(&settings.alerting, " --config /s.toml", &mut report);
        let lines: Vec<String> = report.lines.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "{expected} in {line}");
        }
    }

    #[test]
    fn channels_are_opened() {
        let email = "[alerting.email]\nsender = \"a@b.test\"\n";
        let chat = "[[alerting.webhook]]\nname = \"chat\"\nurl = \"hooh://x\"\n";
        check("", &["ok       alerting: no channel is configured"]);
        check("[alerting]\nenabled = false", &["ok       alerting: switched off"]);
        check(
            email,
            &[
                "ok       alerting: email; no rule: every anomaly goes to the default recipients; to try one: ",
            ],
        );
        check(
            &format!("[alerting]\ndry_run = true\n{email}"),
            &["warning  alerting.dry_run: ", "alert test --channel email --config /s.toml"],
        );
        check(chat, &["problem  alerting.webhook: chat: its address is of no use"]);
        check(&format!("{email}{chat}"), &["problem  alerting.webhook: chat", "ok       alerting: email; "]);
    }
}
