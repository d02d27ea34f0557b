//! From a bad point to people, whatever is away or dies on the way: a mail server, Slack, a webhook, the database, the
//! node itself.

use anyhow::Context as _;
use serde_json::Value;
use skyline_peers::exim::{self, Exim};
use skyline_peers::http::{Reply, Request, Server};
use skyline_peers::mariadb::MariaDb;
use skyline_peers::slack::{Slack, TOKEN, Trouble};
use skyline_tests::node::{Node, Setup};
use skyline_tests::{day, eventually, eventually_true, load, now, size};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

/// A webhook that takes messages, or does not.
struct Hook {
    server: Server,
    is_away: Arc<AtomicBool>,
    took: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Hook {
    fn start() -> anyhow::Result<Self> {
        let (is_away, took) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (away, all) = (Arc::clone(&is_away), Arc::clone(&took));
        let server = Server::start(move |request: Request| {
            if away.load(Ordering::Relaxed) {
                return Reply::text(503, "not now");
            }
            let body = serde_json::from_slice(&request.body).unwrap_or_default();
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((request.header("x-skyline-key").to_owned(), body));
            Reply::text(200, "ok")
        })?;
        Ok(Self { server, is_away, took })
    }

    fn is_away(&self, is: bool) {
        self.is_away.store(is, Ordering::Relaxed);
    }

    /// What it took: keys, and kinds of messages.
    fn took(&self) -> Vec<(String, String)> {
        let kind = |body: &Value| body.get("kind").and_then(Value::as_str).unwrap_or("?").to_owned();
        self.took
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(key, body)| (key.clone(), kind(body)))
            .collect()
    }

    fn kinds(&self) -> Vec<String> {
        self.took().into_iter().map(|(_, kind)| kind).collect()
    }

    fn wait_for(&self, count: usize) -> anyhow::Result<()> {
        eventually_true(LIMIT, &format!("{count} messages at the webhook"), || self.took().len() >= count)
    }
}

/// A node that tells the webhook.
fn telling(hook: &Hook) -> Setup {
    Setup::window()
        .with("alerting.webhook", format!("[{{ name = \"hook\", url = {:?} }}]", hook.server.url()))
        .with("alerting.retry_seconds", 1)
}

/// Messages of the outbox in some state, from the API.
fn outbox(node: &Node, state: &str) -> anyhow::Result<Vec<Value>> {
    let answer = skyline_tests::http::get(node.api(), &format!("/api/v1/outbox?state={state}"))?;
    let page: Value = serde_json::from_str(&answer.text())?;
    let rows = page.as_object().and_then(|page| page.values().find_map(Value::as_array));
    Ok(rows.with_context(|| format!("no rows: {}", answer.text()))?.clone())
}

/// Waits until so many messages are marked as sent since the node began, and none waits. A kill that falls between
/// acceptance and mark may bring a second copy; none may come of one after this.
fn marked(node: &Node, count: f64) -> anyhow::Result<()> {
    eventually_true(LIMIT, "the messages marked as sent", || {
        node.metrics().is_ok_and(|m| {
            m.sum("skyline_alerting_sent_total", &[]) >= count
                && m.sum("skyline_alerting_waiting", &[]) == 0.0
        })
    })
}

fn bad(node: &Node, metric: &str) -> anyhow::Result<()> {
    load::bytes(node.plaintext(), format!("{metric} 5000 {}\n", now() / 60 * 60))
}

#[test]
fn a_kill_between_record_and_send_loses_and_repeats_nothing() -> anyhow::Result<()> {
    let hook = Hook::start()?;
    let mut node = telling(&hook).start()?;
    day::send(&node, &["shop.cart.errors".to_owned()])?;
    hook.is_away(true);
    bad(&node, "shop.cart.errors")?;
    eventually_true(LIMIT, "the message in the outbox", || {
        outbox(&node, "waiting").is_ok_and(|rows| rows.len() == 1)
    })?;
    node.process.kill()?;
    hook.is_away(false);
    node.restart()?;
    hook.wait_for(1)?;
    eventually_true(LIMIT, "the message marked as sent", || {
        outbox(&node, "sent").is_ok_and(|rows| rows.len() == 1)
    })?;
    for _ in 0..2 {
        node.process.kill()?;
        node.restart()?;
    }
    // One that is told now would come after anything that is told again.
    day::send(&node, &["shop.other".to_owned()])?;
    assert_eq!(hook.kinds(), ["opened"]);
    let metrics = node.metrics()?;
    assert!(metrics.sum("skyline_alerting_incidents_open", &[]) >= 1.0);
    Ok(())
}

#[test]
fn a_kill_at_any_moment_brings_each_incident_once() -> anyhow::Result<()> {
    let hook = Hook::start()?;
    let names = day::names(size(3, 12) as usize);
    // Each is an incident of its own.
    let mut node = telling(&hook).with("alerting.join_seconds", 0.001).start()?;
    day::send(&node, &names)?;
    for (n, name) in names.iter().enumerate() {
        let before = node.status()?.received();
        bad(&node, name)?;
        // From then on nothing may lose it.
        eventually_true(LIMIT, "the point logged", || node.status().is_ok_and(|s| s.received() > before))?;
        std::thread::sleep(Duration::from_millis(120 * n as u64));
        node.process.kill()?;
        node.restart()?;
    }
    hook.wait_for(names.len())?;
    eventually_true(LIMIT, "all marked as sent", || {
        outbox(&node, "sent").is_ok_and(|rows| rows.len() == names.len())
    })?;
    let took = hook.took();
    let mut keys: Vec<_> = took.iter().map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), names.len(), "{took:?}");
    // One lane has one message under way: each kill may fall between its acceptance and the mark, and no more.
    assert!(
        took.len() <= keys.len() + names.len(),
        "a copy more only where a kill fell into the moment: {took:?}"
    );
    // What is marked does not leave again.
    node.process.kill()?;
    node.restart()?;
    let last = "shop.last".to_owned();
    day::send(&node, std::slice::from_ref(&last))?;
    bad(&node, &last)?;
    hook.wait_for(took.len() + 1)?;
    assert_eq!(hook.took().len(), took.len() + 1, "{:?}", hook.took());
    Ok(())
}

#[test]
fn without_the_database_people_are_told() -> anyhow::Result<()> {
    let hook = Hook::start()?;
    let mut server = MariaDb::start()?;
    let database = server.database()?;
    let mut node = telling(&hook)
        .with("record.server", format!("{:?}", database.url()))
        .with("record.user", "\"root\"")
        .with("alerting.join_seconds", 0.001)
        .start()?;
    day::send(&node, &day::names(3))?;
    let names = day::names(3);
    let [first, second, third] = names.as_slice() else { anyhow::bail!("three names") };
    bad(&node, first)?;
    hook.wait_for(1)?;
    server.kill()?;
    bad(&node, second)?;
    hook.wait_for(2)?;
    marked(&node, 2.0)?;
    // A start without it forgets nothing.
    node.process.kill()?;
    node.relaunch()?;
    eventually_true(LIMIT, "the node again", || node.status().is_ok())?;
    bad(&node, third)?;
    hook.wait_for(3)?;
    server.restart()?;
    eventually_true(LIMIT, "all in the database", || {
        outbox(&node, "sent").is_ok_and(|rows| rows.len() == 3)
    })?;
    let took = hook.took();
    assert_eq!(hook.kinds(), ["opened"; 3], "{took:?}");
    let count = database.run("SELECT COUNT(*) FROM incident")?;
    assert!(count.split_whitespace().any(|word| word == "3"), "{count}");
    Ok(())
}

#[test]
fn many_that_break_together_are_one_message_by_mail_and_in_slack() -> anyhow::Result<()> {
    let (mail, slack) = (Exim::start()?, Slack::start()?);
    let node = people(&mail, &slack).start()?;
    let names = day::names(size(60, 500) as usize);
    day::send(&node, &names)?;
    let time = now() / 60 * 60;
    load::bytes(
        node.plaintext(),
        names.iter().map(|name| format!("{name} 5000 {time}\n")).collect::<String>(),
    )?;
    let mails = mail.read(1)?;
    let root = eventually(LIMIT, "the message in Slack", || slack.messages().into_iter().next())?;
    assert!(root.thread.is_none());
    eventually_true(LIMIT, "all in the incident", || {
        incident_metrics(&node).is_ok_and(|n| n == vec![names.len() as u64])
    })?;
    assert_eq!(mails.len(), 1);
    assert_eq!(mail.files()?.len(), 1, "one mail");
    assert_eq!(slack.messages().iter().filter(|m| m.thread.is_none()).count(), 1, "one root message");
    assert_eq!(slack.violations(), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_mail_server_that_is_down_holds_up_nobody_and_gets_all() -> anyhow::Result<()> {
    let (mut mail, slack) = (Exim::start()?, Slack::start()?);
    // Nobody sends all that time: it must neither be over nor count as silent before the mail has come.
    let mut node = people(&mail, &slack)
        .with("alerting.retry_seconds", 1)
        .with("alerting.end_seconds", 3_600)
        .with("alerting.stale.enabled", false)
        .start()?;
    day::send(&node, &["shop.cart.errors".to_owned()])?;
    mail.stop()?;
    let stopped = Instant::now();
    bad(&node, "shop.cart.errors")?;
    eventually_true(LIMIT, "the message in Slack", || slack.messages().len() == 1)?;
    // A kill before it is marked may bring a second one.
    eventually_true(LIMIT, "the message in Slack marked as sent", || {
        outbox(&node, "sent").is_ok_and(|rows| rows.len() == 1)
    })?;
    // Ten minutes, scaled; the node dies in the middle of it.
    let down = Duration::from_secs(size(6, 600));
    std::thread::sleep((down / 2).saturating_sub(stopped.elapsed()));
    node.process.kill()?;
    node.restart()?;
    std::thread::sleep(down.saturating_sub(stopped.elapsed()));
    eventually_true(LIMIT, "the mail that waits", || {
        outbox(&node, "waiting").is_ok_and(|rows| rows.len() == 1)
    })?;
    assert_eq!(mail.files()?.len(), 0);
    mail.start_again()?;
    let mails = mail.read(1)?;
    assert_eq!(mails.len(), 1);
    eventually_true(LIMIT, "both sent", || outbox(&node, "sent").is_ok_and(|rows| rows.len() == 2))?;
    assert_eq!(exim::read(&mail.files()?)?.len(), 1);
    assert_eq!(slack.messages().iter().filter(|m| m.thread.is_none()).count(), 1);
    Ok(())
}

#[test]
fn slack_that_asks_for_patience_and_fails_gets_it_once() -> anyhow::Result<()> {
    let (hook, slack) = (Hook::start()?, Slack::start()?);
    let mut node = by_slack(telling(&hook), &slack).start()?;
    day::send(&node, &["shop.cart.errors".to_owned()])?;
    let troubles = [
        Trouble::TooMany(3),
        Trouble::Status(500),
        Trouble::TooMany(1),
        Trouble::Status(500),
        Trouble::Status(503),
    ];
    slack.trouble("chat.postMessage", &troubles);
    bad(&node, "shop.cart.errors")?;
    eventually_true(LIMIT, "the message in Slack", || slack.messages().iter().any(|m| m.thread.is_none()))?;
    hook.wait_for(1)?;
    marked(&node, 2.0)?;
    let times = slack.times("chat.postMessage");
    let pauses: Vec<_> = times.iter().zip(times.iter().skip(1)).map(|(a, b)| *b - *a).collect();
    let [patience, _, again, ..] = pauses.as_slice() else { anyhow::bail!("{pauses:?}") };
    // As long as the server asks for, though `retry_seconds` is shorter.
    assert!(*patience >= Duration::from_secs(3) && *again >= Duration::from_secs(1), "{pauses:?}");
    let sent = eventually(LIMIT, "both sent", || outbox(&node, "sent").ok().filter(|rows| rows.len() == 2))?;
    let mut attempts: Vec<_> = sent.iter().filter_map(|row| row.get("attempts")?.as_u64()).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, troubles.len() as u64 + 1], "{sent:?}");
    // Nor does it come again.
    node.process.kill()?;
    node.restart()?;
    day::send(&node, &["shop.other".to_owned()])?;
    assert_eq!(slack.messages().iter().filter(|m| m.thread.is_none()).count(), 1);
    assert_eq!(hook.kinds(), ["opened"]);
    assert_eq!(slack.violations(), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_dry_run_tells_nobody() -> anyhow::Result<()> {
    let hook = Hook::start()?;
    let node = telling(&hook).with("alerting.dry_run", true).start()?;
    day::send(&node, &["shop.cart.errors".to_owned()])?;
    bad(&node, "shop.cart.errors")?;
    let rows =
        eventually(LIMIT, "the message", || outbox(&node, "sent").ok().filter(|rows| rows.len() == 1))?;
    assert_eq!(rows.first().and_then(|row| row.get("dry_run")), Some(&Value::Bool(true)));
    assert_eq!(hook.kinds(), Vec::<String>::new());
    Ok(())
}

/// A node that tells people by mail and in Slack.
fn people(mail: &Exim, slack: &Slack) -> Setup {
    by_slack(Setup::window(), slack)
        .with("alerting.email.sender", "\"skyline@company.internal\"")
        .with("alerting.email.default_recipients", "[\"ops@company.internal\"]")
        .with("alerting.email.host", "\"127.0.0.1\"")
        .with("alerting.email.port", mail.port)
        .with("alerting.email.tls", "\"none\"")
}

/// The same node tells people in Slack as well.
fn by_slack(setup: Setup, slack: &Slack) -> Setup {
    setup
        .with("alerting.slack.token_file", "\"slack.token\"")
        .with("alerting.slack.default_channel", "\"C1\"")
        .with("alerting.slack.api_url", format!("{:?}", slack.api_url()))
        .file("slack.token", TOKEN)
}

/// Numbers of metrics of all incidents.
fn incident_metrics(node: &Node) -> anyhow::Result<Vec<u64>> {
    let answer = skyline_tests::http::get(node.api(), "/api/v1/incidents")?;
    let page: Value = serde_json::from_str(&answer.text())?;
    let rows = page.as_object().and_then(|page| page.values().find_map(Value::as_array));
    let rows = rows.with_context(|| format!("no rows: {}", answer.text()))?;
    let of = |row: &Value| row.get("metrics").or_else(|| row.get("metric_count")).and_then(Value::as_u64);
    Ok(rows.iter().filter_map(of).collect())
}
