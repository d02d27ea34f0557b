//! What the scenarios share: a Graphite of a few lines, the command, and what is looked at afterwards.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use skyline_peers::http::{Reply, Request, Server};
use skyline_tests::node::{Node, binary};
use skyline_tests::peer::sink::Sink;
use skyline_tests::{day, eventually_true};
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) type History = BTreeMap<String, Vec<(i64, f64)>>;

pub(crate) fn history(metrics: u64) -> History {
    let of = |name: String| {
        let points = day::history(&name).into_iter().map(|(_, ts, value)| (ts as i64, value)).collect();
        (name, points)
    };
    (0..metrics).map(|i| of(format!("shop.host{i:05}.latency"))).collect()
}

/// `skyline backfill` with these arguments.
pub(crate) fn backfill(node: &Node, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut program = Command::new(binary()?);
    Ok(program.arg("backfill").args(arguments).arg("--config").arg(node.config()).output()?)
}

/// Its report, whatever it says.
pub(crate) fn report(node: &Node, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = backfill(node, &[arguments, &["--json"]].concat())?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

pub(crate) fn number(report: &Value, pointer: &str) -> u64 {
    report.pointer(pointer).and_then(Value::as_f64).map_or(0, |n| n as u64)
}

pub(crate) fn counts(report: &Value) -> [u64; 4] {
    let refused = report.pointer("/counts/refused").and_then(Value::as_object);
    let refused = refused.into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    [
        number(report, "/counts/points"),
        number(report, "/counts/stored"),
        number(report, "/counts/there"),
        refused,
    ]
}

/// All windows have what was asked for, and nothing else.
pub(crate) fn has_all(node: &Node, history: &History, report: &Value) -> anyhow::Result<()> {
    ensure!(report["phase"] == "done" && number(report, "/metrics") == history.len() as u64, "{report}");
    // What left the window meanwhile was not asked for.
    let from = number(report, "/spec/from") as i64 + number(report, "/seconds") as i64;
    let until = number(report, "/spec/until") as i64;
    let all: Vec<_> = history.iter().collect();
    // Two at a time: most of it is waiting for answers.
    std::thread::scope(|scope| {
        let of = |part: &[(&String, &Vec<(i64, f64)>)]| {
            part.iter().try_for_each(|(name, points)| has_one(node, name, points, from, until))
        };
        let halves = all.split_at(all.len() / 2);
        let other = scope.spawn(move || of(halves.1));
        of(halves.0)?;
        other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A window has the points of a metric behind `from`, up to `until`, and nothing else.
pub(crate) fn has_one(
    node: &Node,
    name: &str,
    points: &[(i64, f64)],
    from: i64,
    until: i64,
) -> anyhow::Result<()> {
    let has = |ts: i64| points.binary_search_by_key(&ts, |(t, _)| *t).is_ok();
    let mut found = Vec::new();
    // What was logged last is in the window a moment later.
    let last = points.last().map_or(0, |(ts, _)| *ts);
    eventually_true(LIMIT, "the newest point in the window", || {
        found = node.series(name).unwrap_or_default();
        found.iter().any(|(ts, _)| *ts as i64 == last)
    })?;
    ensure!(found.iter().all(|(ts, _)| has(*ts as i64)), "{name}: points that were never written");
    // At the edge of the files' retention a minute more or less.
    let inside: Vec<_> = points
        .iter()
        .filter(|(ts, _)| *ts > from + 180 && *ts <= until)
        .map(|(ts, value)| (*ts as f64, *value))
        .collect();
    let found: Vec<_> = found.into_iter().filter(|(ts, _)| *ts as i64 > from + 180).collect();
    ensure!(found == inside, "{name}: {} points instead of {}", found.len(), inside.len());
    Ok(())
}

/// Nobody has sent anything, nothing was forwarded or judged, and the ledger adds up.
pub(crate) fn nothing_came_in(node: &Node, sink: &Sink) -> anyhow::Result<()> {
    let metrics = node.balanced()?;
    ensure!(metrics.received() == 0 && metrics.logged() == 0, "counted as received");
    let status = node.status()?;
    ensure!(status.received() == 0 && status.balanced(), "{:?}", status.0);
    ensure!(status.number("/window/judged") == 0 && status.number("/window/stored") == 0, "{:?}", status.0);
    ensure!(sink.received() == 0, "{} points were forwarded", sink.received());
    Ok(())
}

/// A Graphite of a few lines: its names, and `answer` of the names that are asked for.
pub(crate) fn fake(
    history: &Arc<History>,
    answer: impl Fn(&[String]) -> Option<Reply> + Send + Sync + 'static,
) -> anyhow::Result<Server> {
    let history = Arc::clone(history);
    Server::start(move |request: Request| {
        if request.path == "/metrics/index.json" {
            return Reply::json(200, &json!(history.keys().collect::<Vec<_>>()));
        }
        let form = Form::of(&request);
        answer(&form.names).unwrap_or_else(|| form.answered(&history))
    })
}

/// A question for points.
pub(crate) struct Form {
    names: Vec<String>,
    from: i64,
    until: i64,
}

impl Form {
    pub(crate) fn of(request: &Request) -> Self {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let pairs: Vec<(&str, &str)> = form.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let all = |key: &str| -> Vec<String> {
            pairs.iter().filter(|(k, _)| *k == key).map(|(_, value)| (*value).to_owned()).collect()
        };
        let time = |key: &str| all(key).first().and_then(|text| text.parse().ok()).unwrap_or(0);
        Self { names: all("target"), from: time("from"), until: time("until") }
    }

    /// The points of these names.
    pub(crate) fn answered(&self, history: &History) -> Reply {
        let series = |name: &String| {
            let points = history.get(name).map(Vec::as_slice).unwrap_or_default();
            let points = points.iter().filter(|(ts, _)| *ts > self.from && *ts <= self.until);
            json!({ "target": name, "datapoints": points.map(|(ts, v)| json!([v, ts])).collect::<Vec<_>>() })
        };
        Reply::json(200, &json!(self.names.iter().map(series).collect::<Vec<_>>()))
    }
}
