//! What all scenarios use: jobs as the commands show them, points and where they should be, a server that gives what it
//! is asked for.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use skyline_peers::http::{Reply, Request, Server};
use skyline_tests::eventually;
use skyline_tests::node::{Node, binary};
use skyline_tests::peer::sink::Sink;
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a step of a scenario may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Points of a series.
pub(crate) type Points = BTreeMap<i64, f64>;

/// Fails unless `found` is what was expected.
pub(crate) fn same(name: &str, place: &str, found: &Points, expected: &Points) -> anyhow::Result<()> {
    let missing: Vec<_> = expected.iter().filter(|(ts, _)| !found.contains_key(ts)).take(5).collect();
    let other: Vec<_> = found.iter().filter(|(ts, v)| expected.get(ts) != Some(v)).take(5).collect();
    ensure!(
        missing.is_empty() && other.is_empty(),
        "{name} in {place}: missing {missing:?}, other {other:?}"
    );
    Ok(())
}

/// `skyline vista ARGUMENTS` with the settings of a node.
pub(crate) fn vista(node: &Node, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut program = Command::new(binary()?);
    program.arg("vista").args(arguments).arg("--config").arg(node.config());
    Ok(program.current_dir(node.folder()).output()?)
}

/// A job as `skyline vista status --json` shows it.
pub(crate) fn job(node: &Node, name: &str) -> anyhow::Result<Value> {
    let output = vista(node, &["status", "--json"])?;
    let status: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let jobs = status.get("jobs").and_then(Value::as_array).context("no jobs")?;
    jobs.iter().find(|job| job["name"] == name).cloned().with_context(|| format!("no job {name}: {status}"))
}

/// A count in what [`job`] gives.
pub(crate) fn number(job: &Value, pointer: &str) -> i64 {
    job.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// Waits until a job of a node is as `look` wants it.
pub(crate) fn job_is(
    node: &Node,
    name: &str,
    what: &str,
    look: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let found =
        eventually(LIMIT, &format!("{name}: {what}"), || job(node, name).ok().filter(|job| look(job)));
    found.map_err(|error| error.context(format!("{:?}", job(node, name))))
}

/// Most runs of a job that fails each time, `every_seconds` being 1, from some time ago until now: after 1, 2, 4 s and so
/// on, up to 5 minutes, a fifth sooner at most. It holds on a machine that is slow too.
pub(crate) fn most_failures(since: Instant) -> i64 {
    let waits = (0..).map(|n| f64::from(1_u32 << n.min(20)).min(300.0) * 0.8);
    let ends = waits.scan(0.0, |at, wait| {
        *at += wait;
        Some(*at)
    });
    let elapsed = since.elapsed().as_secs_f64();
    1 + ends.take_while(|end| *end <= elapsed).count() as i64
}

/// What a sink has of a series, without how often each came.
pub(crate) fn at(sink: &Sink, name: &str) -> Points {
    sink.series(name).iter().map(|(ts, (value, _))| (*ts, *value)).collect()
}

/// Points that came to a sink more than once, counted without the first time.
pub(crate) fn copies(sink: &Sink) -> u64 {
    sink.received() - sink.distinct()
}

/// What both programs printed.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A Graphite that has a point every `step` seconds of any target, up to now.
#[derive(Debug)]
pub(crate) struct Endless {
    pub(crate) server: Server,
    asked: Arc<Mutex<Vec<Request>>>,
}

/// The value of [`Endless`] at a time.
pub(crate) fn endless(ts: i64) -> f64 {
    (ts % 1_000) as f64
}

impl Endless {
    /// One with `series` for each question. `may`: whether a question is answered; others get a 401.
    pub(crate) fn start(
        step: i64,
        series: usize,
        may: impl Fn(&Request) -> bool + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&asked);
        let server = Server::start(move |request| {
            all.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            if !may(&request) {
                return Reply::text(401, "who are you?");
            }
            let number = |name: &str| request.field(name).and_then(|text| text.parse::<i64>().ok());
            let (Some(from), Some(until)) = (number("from"), number("until")) else {
                return Reply::text(400, "no times");
            };
            let first = (from.div_euclid(step) + 1) * step;
            // As text at once: there may be millions.
            let points: Vec<_> =
                (first..=until).step_by(step as usize).map(|ts| format!("[{},{ts}]", endless(ts))).collect();
            let (points, target) = (points.join(","), request.field("target").unwrap_or_default());
            let all: Vec<_> = (0..series)
                .map(|i| format!("{{\"target\": \"{target}.{i}\", \"datapoints\": [{points}]}}"))
                .collect();
            Reply::text(200, &format!("[{}]", all.join(",")))
        })?;
        Ok(Self { server, asked })
    }

    /// Questions so far for a target.
    pub(crate) fn asked(&self, target: &str) -> Vec<Request> {
        let all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|request| request.field("target").as_deref() == Some(target)).cloned().collect()
    }
}

/// Fails unless a sink has every point of [`Endless`] from `from` to `until`, `step` apart, and none beside.
pub(crate) fn is_whole(sink: &Sink, name: &str, (from, until): (i64, i64), step: i64) -> anyhow::Result<()> {
    let expected: Points = (from..=until).filter(|ts| ts % step == 0).map(|ts| (ts, endless(ts))).collect();
    ensure!(!expected.is_empty(), "nothing is expected");
    let found: Points = at(sink, name).range(from..=until).map(|(ts, value)| (*ts, *value)).collect();
    same(name, "the sink", &found, &expected)
}
