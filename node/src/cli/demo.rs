//! `skyline demo`: a whole node on loopback with senders and a day of history, and `demo break`,
//! which breaks one of the services and watches until the anomaly is found.

mod running;
mod shop;

use super::http;
use super::output::{program, say};
use super::send::{PickleSender, Point, reachable};
use crate::node::Node;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use hyper::Method;
use running::{FOLDER, Note, Running, find, remove_dead};
use skyline_conf::model::Settings;
use skyline_core::clock::Clock;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What can be done with a running demo.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Break a service of the demo's shop and print each step until the anomaly
    Break {
        /// checkout, cart, search or database
        name: String,
    },
}

/// How the demo runs.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// End by itself after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
}

/// A length of time from a number of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Runs the demo until it is interrupted.
pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if let Some(running) = super::block_on(async { Ok(find().await) })? {
        anyhow::bail!("a demo runs here already, at http://{}: end it first with Ctrl-C", running.api);
    }
    remove_dead(&std::env::temp_dir());
    let state = tempfile::Builder::new().prefix(FOLDER).tempdir()?;
    let mut settings = Settings::default();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    settings.node.state_dir = state.path().to_owned();
    settings.node.name = "demo".to_owned();
    settings.node.log = "warn".to_owned();
    settings.journal.max_bytes = 1 << 30;
    settings.listen.plaintext_tcp = vec![any];
    settings.listen.pickle_tcp = vec![any];
    settings.http.api = vec![any];
    settings.http.status = vec![any];
    // Messages are made, shown on a page, and sent to nobody.
    settings.alerting.dry_run = true;
    settings.alerting.email.sender = "skyline@shop.internal".to_owned();
    settings.alerting.email.default_recipients = vec!["you@shop.internal".to_owned()];
    super::run::start_logging(&settings);
    let seconds = options.seconds;
    let shown = super::run::runtime()?.block_on(async move {
        let stop = super::run::stop_signal()?;
        let relaying = skyline_conf::relaying::read(&settings)?;
        let node = Node::start(settings, relaying, None, Clock::system()).await?;
        let running = Running {
            api: node.api_address()?,
            pickle: node.pickle_address()?,
            status: node.status_address()?,
        };
        let outcome = show(&node, &running, seconds, &stop).await;
        node.stop().await;
        outcome
    });
    drop(state);
    shown?;
    say!("stopped; nothing is left behind")?;
    Ok(ExitCode::SUCCESS)
}

async fn show(
    node: &Node,
    running: &Running,
    seconds: Option<Duration>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let metrics = shop::names().len();
    say!("Skyline demo: a shop with {metrics} metrics, all on loopback, state in a temporary folder")?;
    let began = Instant::now();
    let mut sender = PickleSender::connect(running.pickle).await?;
    let history = shop::history(clock.now());
    sender.send(&history).await?;
    node.until_stored(history.len() as u64, Duration::from_secs(60)).await?;
    say!("filled 24 h of history: {} points in {:.1} s", history.len(), began.elapsed().as_secs_f64())?;
    let _note = Note::write(running)?;
    let program = program();
    say!("  anomalies   http://{}/api/v1/anomalies", running.api)?;
    say!("  messages    http://{}/outbox (shown there, sent to nobody)", running.api)?;
    say!("  Prometheus  http://{}/metrics", running.status)?;
    say!("  status      {program} status --address {}", running.status)?;
    say!("  senders     plaintext {}  pickle {}", node.plaintext_address()?, running.pickle)?;
    say!("every metric reports once a second now; Ctrl-C ends the demo")?;
    say!("next, in another terminal: {program} demo break checkout")?;
    let printer = print_anomalies(running.api);
    let traffic = async {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            sender.send(&shop::at(clock.now())).await?;
        }
    };
    let until = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(seconds).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = traffic => outcome,
        outcome = printer => outcome,
        () = until => Ok(()),
        () = stop.cancelled() => Ok(()),
    }
}

/// Prints each new anomaly.
async fn print_anomalies(api: SocketAddr) -> anyhow::Result<()> {
    let mut newest = 0_i64;
    loop {
        let page = http::get(api, "/api/v1/anomalies?order=desc&limit=20").await?.json()?;
        let mut rows: Vec<_> = page.get("anomalies").and_then(|a| a.as_array()).cloned().unwrap_or_default();
        rows.reverse();
        for row in rows {
            let id = row.get("id").and_then(serde_json::Value::as_i64).unwrap_or(0);
            if id > newest {
                newest = id;
                say!("ANOMALY {}", sentence(&row))?;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn sentence(row: &serde_json::Value) -> String {
    let text = |key: &str| row.get(key).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
    format!("{}: {}", text("metric"), text("explanation"))
}

/// Acts on a running demo.
pub(super) async fn act(action: Action) -> anyhow::Result<bool> {
    let Action::Break { name } = action;
    let running = find()
        .await
        .with_context(|| format!("no demo is running here: start one with `{} demo`", program()))?;
    break_service(&name, &running).await
}

async fn break_service(name: &str, running: &Running) -> anyhow::Result<bool> {
    let clock = Clock::system();
    let before = http::get(running.api, "/api/v1/anomalies?order=desc&limit=1").await?.json()?;
    let newest = before.pointer("/anomalies/0/id").and_then(serde_json::Value::as_i64).unwrap_or(0);
    let latest = before.pointer("/anomalies/0/timestamp").and_then(serde_json::Value::as_f64);
    // A second anomaly of a metric at the same time would be the same one.
    let ts = clock.now().floor().max(latest.map_or(0.0, |latest| latest + 1.0));
    let points = shop::broken(name, ts).with_context(|| {
        format!("no service `{name}`: the shop has {}", shop::SERVICES.map(|s| s.0).join(", "))
    })?;
    let mut sender = PickleSender::connect(reachable(running.pickle)).await?;
    say!("1. {name} breaks: its next points are far from normal")?;
    for (metric, (ts, value)) in &points {
        say!("     {metric} {value} at {ts}")?;
    }
    let sent = Instant::now();
    sender.send(&points).await?;
    say!("2. sent to the node's pickle port {} after {:.1} ms", running.pickle, ms(sent))?;
    wait_for(running, newest, &points, sent).await
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

async fn wait_for(running: &Running, newest: i64, points: &[Point], sent: Instant) -> anyhow::Result<bool> {
    let deadline = Duration::from_secs(5);
    while sent.elapsed() < deadline {
        let page =
            http::ask(Method::GET, running.api, "/api/v1/anomalies?order=desc&limit=50").await?.json()?;
        let rows = page.get("anomalies").and_then(|a| a.as_array()).cloned().unwrap_or_default();
        let ours = rows.iter().filter(|row| {
            let id = row.get("id").and_then(serde_json::Value::as_i64).unwrap_or(0);
            let metric = row.get("metric").and_then(serde_json::Value::as_str);
            id > newest && points.iter().any(|(name, _)| Some(name.as_str()) == metric)
        });
        let ours: Vec<_> = ours.collect();
        if !ours.is_empty() {
            say!(
                "3. logged, stored, judged by nine algorithms and recorded: found {:.1} ms after the point was sent",
                ms(sent)
            )?;
            for row in ours {
                say!("ANOMALY {}", sentence(row))?;
            }
            say!(
                "see http://{}/api/v1/anomalies, and the message to people: http://{}/outbox",
                running.api,
                running.api
            )?;
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    say!("3. NO anomaly within {} s", deadline.as_secs())?;
    say!("next: {} status --address {}", program(), running.status)?;
    Ok(false)
}
