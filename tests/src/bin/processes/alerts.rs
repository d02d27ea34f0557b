//! From a bad point to people: how long until a mail server and Slack have accepted the message.

use crate::load::Background;
use crate::program::{Program, Running};
use crate::workload;
use anyhow::Context as _;
use skyline_peers::exim::Exim;
use skyline_peers::slack::{Slack, TOKEN};
use skyline_tests::{day, eventually_true, load, now};
use std::time::{Duration, Instant};

/// Metrics, those that break among them.
const METRICS: usize = 10_000;
/// Longest wait for one message.
const LIMIT: Duration = Duration::from_secs(30);
/// The fault of one is over, and told so, before the next begins: seconds without an anomaly.
const END_SECONDS: f64 = 1.0;
/// How often the receivers are looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Milliseconds from sending a bad point to each acceptance.
#[derive(Debug, Default)]
struct Times {
    mail: Vec<f64>,
    slack: Vec<f64>,
}

/// Breaks metrics one at a time; the Markdown that says how long people waited.
pub(crate) fn run(faults: usize) -> anyhow::Result<String> {
    let (mail, slack) = (Exim::start()?, Slack::start()?);
    let plain = workload::Workload { defaults: true, ..workload::all(true).swap_remove(0) };
    let running = Running::start(Program::Node, &plain, None, &[], |setup| {
        setup
            .with("window.enabled", true)
            .with("alerting.end_seconds", END_SECONDS)
            .with("alerting.join_seconds", 0.001)
            .with("alerting.limits.email", 0)
            .with("alerting.limits.slack", 0)
            .with("alerting.email.sender", "\"skyline@company.internal\"")
            .with("alerting.email.default_recipients", "[\"ops@company.internal\"]")
            .with("alerting.email.host", "\"127.0.0.1\"")
            .with("alerting.email.port", mail.port)
            .with("alerting.email.tls", "\"none\"")
            .with("alerting.slack.token_file", "\"slack.token\"")
            .with("alerting.slack.default_channel", "\"C1\"")
            .with("alerting.slack.api_url", format!("{:?}", slack.api_url()))
            .file("slack.token", TOKEN)
    })?;
    let Running::Node { node, .. } = &running else { anyhow::bail!("not the node") };
    let names: Vec<_> = (0..faults).map(|n| format!("shop.host{n:03}.latency")).collect();
    day::send(node, &names)?;
    let others = METRICS.saturating_sub(faults).to_string();
    let rate = (METRICS as f64 / 60.0).ceil().to_string();
    let start = (now() / 60 * 60).to_string();
    let folder = tempfile::tempdir()?;
    // Not longer than the bench: it ends with it.
    let mut background = Background::start(
        [
            "send",
            "--to",
            &node.plaintext().to_string(),
            "--metrics",
            &others,
            "--points",
            "120",
            "--rate",
            &rate,
            "--start-ts",
            &start,
        ],
        folder.path(),
    )?;
    let mut times = Times::default();
    for (n, name) in names.iter().enumerate() {
        one(node, (&mail, &slack), name, n, &mut times).with_context(|| format!("fault {n}, {name}"))?;
        background.must_run()?;
        if (n + 1) % 20 == 0 {
            eprintln!("{} of {faults} faults", n + 1);
        }
    }
    drop(background);
    let violations = slack.violations();
    anyhow::ensure!(violations.is_empty(), "{violations:?}");
    Ok(table(&times, faults))
}

/// One fault: sent, told, over.
fn one(
    node: &skyline_tests::node::Node,
    (mail, slack): (&Exim, &Slack),
    name: &str,
    n: usize,
    times: &mut Times,
) -> anyhow::Result<()> {
    let roots = || slack.messages().iter().filter(|m| m.thread.is_none()).count();
    let before = mail.files()?.len();
    anyhow::ensure!(roots() == n, "{} messages in Slack before the fault", roots());
    let line = format!("{name} 5000 {}\n", now() / 60 * 60);
    let sent = Instant::now();
    load::bytes(node.plaintext(), line)?;
    let (mut by_mail, mut by_slack) = (None, None);
    while by_mail.is_none() || by_slack.is_none() {
        let elapsed = sent.elapsed();
        anyhow::ensure!(elapsed < LIMIT, "not told within {LIMIT:?}: mail {by_mail:?}, Slack {by_slack:?}");
        if by_mail.is_none() && mail.files()?.len() > before {
            by_mail = Some(sent.elapsed());
        }
        if by_slack.is_none() && roots() > n {
            by_slack = Some(sent.elapsed());
        }
        std::thread::sleep(LOOK);
    }
    times.mail.extend(by_mail.map(|time| time.as_secs_f64() * 1e3));
    times.slack.extend(by_slack.map(|time| time.as_secs_f64() * 1e3));
    eventually_true(LIMIT, "the end told", || {
        node.metrics().is_ok_and(|m| m.sum("skyline_alerting_incidents_open", &[]) == 0.0)
            && mail.files().is_ok_and(|files| files.len() >= before + 2)
    })
}

fn table(times: &Times, faults: usize) -> String {
    let mut out = format!(
        "{faults} faults, one at a time, among {METRICS} metrics; from sending the bad point to acceptance.\n\n\
         | channel | p50 ms | p99 ms | max ms |\n|---|---:|---:|---:|\n"
    );
    for (name, times) in [("email (Exim)", &times.mail), ("Slack (its fake)", &times.slack)] {
        let mut all = times.clone();
        all.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = all.len().saturating_sub(1);
            all.get((last as f64 * share).ceil() as usize).copied().unwrap_or(f64::NAN)
        };
        out.push_str(&format!("| {name} | {:.0} | {:.0} | {:.0} |\n", at(0.5), at(0.99), at(1.0)));
    }
    out
}
