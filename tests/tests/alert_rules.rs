//! What people do about alerts on a node that runs: mute, acknowledge, look why; and metrics that fall silent.

use anyhow::Context as _;
use serde_json::Value;
use skyline_peers::http::{Reply, Request, Server};
use skyline_tests::node::{Node, Setup, binary};
use skyline_tests::{day, eventually, eventually_true, load, now};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// A webhook that takes everything.
struct Hook {
    server: Server,
    took: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    fn start() -> anyhow::Result<Self> {
        let took = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&took);
        let server = Server::start(move |request: Request| {
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(serde_json::from_slice(&request.body).unwrap_or_default());
            Reply::text(200, "ok")
        })?;
        Ok(Self { server, took })
    }

    /// The kinds of messages that it took about a metric; all of them: an empty name.
    fn kinds(&self, metric: &str) -> Vec<String> {
        let took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        let about = took.iter().filter(|body| metric.is_empty() || body.to_string().contains(metric));
        about.filter_map(|body| body.get("kind")?.as_str().map(str::to_owned)).collect()
    }

    fn said(&self, text: &str) -> bool {
        self.took
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|body| body.to_string().contains(text))
    }
}

/// Runs `skyline alert …`; what it printed, or why not.
fn alert(node: &Node, arguments: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new(binary()?).arg("alert").args(arguments).arg("--config").arg(node.config()).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{arguments:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    Ok(text(&output.stdout))
}

/// The same with `--json`.
fn json(node: &Node, arguments: &[&str]) -> anyhow::Result<Value> {
    let text = alert(node, &[arguments, &["--json"]].concat())?;
    serde_json::from_str(&text).with_context(|| text)
}

fn bad(node: &Node, metric: &str) -> anyhow::Result<()> {
    load::bytes(node.plaintext(), format!("{metric} 5000 {}\n", now() / 60 * 60))
}

/// A node with a rule that tells `first`, and after a while `boss`.
fn escalating(first: &Hook, boss: &Hook) -> Setup {
    let hooks = format!(
        "[{{ name = \"first\", url = {:?} }}, {{ name = \"boss\", url = {:?} }}]",
        first.server.url(),
        boss.server.url()
    );
    let rules = "[{ name = \"shop\", match = \"shop.**\", channel = \"first\", severity = \"critical\", \
                  escalate_after_seconds = 10, escalate_to = \"boss\" }]";
    Setup::window()
        .with("alerting.webhook", hooks)
        .with("alerting.rule", rules)
        .with("alerting.join_seconds", 0)
}

#[test]
fn muted_acknowledged_and_explained() -> anyhow::Result<()> {
    let (first, boss) = (Hook::start()?, Hook::start()?);
    let node = escalating(&first, &boss).start()?;
    let names: Vec<String> = ["shop.muted", "shop.seen", "shop.unseen"].map(str::to_owned).to_vec();
    day::send(&node, &names)?;

    let said = alert(&node, &["explain", "shop.muted"])?;
    assert!(
        said.contains("TELLS        shop: glob shop.**") || said.contains("TELLS        shop ("),
        "{said}"
    );
    assert!(said.contains("Unless somebody acknowledges it within 10 s, boss would be told too."), "{said}");
    let said = alert(&node, &["mute", "shop.mut*", "--glob", "--for", "1h", "--reason", "deploy <1>"])?;
    assert!(said.contains("muted glob shop.mut* until 20") && said.contains("deploy <1>"), "{said}");
    let said = json(&node, &["explain", "shop.muted"])?;
    assert_eq!(said["rules"][0]["result"], "muted", "{said}");
    let mutes = json(&node, &["mutes"])?;
    let mute = mutes["mutes"][0]["id"].to_string();

    // What is muted is an incident, and nobody is told.
    bad(&node, "shop.muted")?;
    let incident = |metric: &str| {
        let all = json(&node, &["list", "--open"]).ok()?;
        all["incidents"].as_array()?.iter().find(|i| i["first_metric"] == metric)?["id"]
            .as_str()
            .map(str::to_owned)
    };
    eventually(LIMIT, "the muted incident", || incident("shop.muted"))?;
    bad(&node, "shop.seen")?;
    eventually_true(LIMIT, "the message about the other", || first.kinds("shop.seen") == ["opened"])?;
    // What somebody has seen does not escalate; what nobody has does.
    let id = incident("shop.seen").context("the incident")?;
    let said = alert(&node, &["ack", &id[..8], "--by", "joe"])?;
    assert!(said.contains(&format!("acknowledged {id} by joe")), "{said}");
    assert!(alert(&node, &["ack", &id])?.contains("was acknowledged before"));
    assert_eq!(first.kinds("shop.muted"), [""; 0]);
    assert!(alert(&node, &["unmute", &mute])?.contains("unmuted glob shop.mut*"));
    eventually_true(LIMIT, "the message that is muted no more", || first.kinds("shop.muted") == ["opened"])?;
    bad(&node, "shop.unseen")?;
    eventually_true(LIMIT, "the escalation", || boss.kinds("shop.unseen") == ["escalated"])?;
    assert_eq!(boss.kinds("shop.seen"), [""; 0]);
    eventually_true(LIMIT, "the acknowledgement in the record", || {
        alert(&node, &["show", &id]).is_ok_and(|said| said.contains("acknowledged by joe"))
    })?;
    eventually_true(LIMIT, "all messages sent", || {
        alert(&node, &["outbox"])
            .is_ok_and(|said| said.contains("escalated boss boss") && !said.contains("[waiting"))
    })?;
    let unknown = alert(&node, &["show", "ffffffff"]).unwrap_err().to_string();
    assert!(unknown.contains("there is no incident `ffffffff`"), "{unknown}");
    let unknown = alert(&node, &["mute", "shopp", "--rule", "--forever"]).unwrap_err().to_string();
    assert!(unknown.contains("there is no rule `shopp`; rules are `shop`"), "{unknown}");
    Ok(())
}

#[test]
fn mutes_and_acknowledgements_outlive_the_node() -> anyhow::Result<()> {
    let (first, boss) = (Hook::start()?, Hook::start()?);
    let mut node = escalating(&first, &boss).start()?;
    let names: Vec<String> = ["shop.a", "shop.b"].map(str::to_owned).to_vec();
    day::send(&node, &names)?;
    alert(&node, &["mute", "shop.b", "--schedule", "mon-sun", "--zone", "Europe/Berlin"])?;
    bad(&node, "shop.a")?;
    eventually_true(LIMIT, "the message", || first.kinds("shop.a") == ["opened"])?;
    let all = eventually(LIMIT, "the incident", || {
        json(&node, &["list"])
            .ok()
            .filter(|all| all["incidents"].as_array().is_some_and(|all| !all.is_empty()))
    })?;
    alert(&node, &["ack", all["incidents"][0]["id"].as_str().context("an id")?])?;
    node.process.kill()?;
    node.restart()?;
    bad(&node, "shop.b")?;
    eventually_true(LIMIT, "both incidents", || {
        json(&node, &["list", "--open"])
            .is_ok_and(|all| all["incidents"].as_array().is_some_and(|all| all.len() == 2))
    })?;
    // Longer than the escalation would take.
    let asked = std::time::Instant::now();
    eventually_true(LIMIT, "the time of an escalation", || asked.elapsed() > Duration::from_secs(12))?;
    assert_eq!((first.kinds(""), boss.kinds("")), (vec!["opened".to_owned()], Vec::new()));
    Ok(())
}

#[test]
fn metrics_that_fall_silent_and_send_again() -> anyhow::Result<()> {
    let hook = Hook::start()?;
    let node = Setup::window()
        .with("alerting.webhook", format!("[{{ name = \"hook\", url = {:?} }}]", hook.server.url()))
        .with("alerting.stale.channels", "[\"hook\"]")
        .with("alerting.stale.after_seconds", 3)
        .with("alerting.stale.every_seconds", 1)
        .with("detect.stale_seconds", 30)
        .start()?;
    let send = |metric: &str| load::bytes(node.plaintext(), format!("{metric} 1 {}\n", now()));
    for i in 0..30 {
        send(&format!("servers.web07.m{i}"))?;
    }
    let lively = || send("servers.web08.load").is_ok();
    eventually_true(LIMIT, "the digest", || lively() && hook.said("servers.web07.* (30 metrics)"))?;
    assert!(!hook.said("servers.web08.load"));
    let before = hook.kinds("").len();
    send("servers.web07.m3")?;
    eventually_true(LIMIT, "that one sends again", || {
        lively() && send("servers.web07.m3").is_ok() && hook.said("1 metric sends again")
    })?;
    assert_eq!(hook.kinds("").len(), before + 1, "one message each");
    Ok(())
}
