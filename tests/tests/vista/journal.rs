//! A journal that is full because a destination is away: jobs wait, do not run ahead, and lose nothing, killed or not.

#![expect(clippy::print_stdout, reason = "figures of a run")]

use crate::rig::{Endless, LIMIT, copies, is_whole, job, job_is, number};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink, destination};
use skyline_tests::{eventually, eventually_true, now, port, size};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const DAY: i64 = 86_400;
const STEP: i64 = 60;
const SERIES: usize = 20;
/// Points that are put into the journal at once.
const BATCH: u64 = 5_000;
/// How long all that has waited may take, in the end.
const LONG: Duration = Duration::from_secs(90);

/// A node with a small journal whose destination is away, and a job with more history than that holds.
struct Full {
    server: Endless,
    away: SocketAddr,
    node: Node,
    /// Points of the history.
    whole: i64,
}

impl Full {
    fn start(when_full: &str, more: &str) -> anyhow::Result<Self> {
        let days = size(20, 60) as i64;
        let (server, away) = (Endless::start(STEP, SERIES, |_| true)?, port::free());
        let url = server.server.url();
        let long = format!(
            "{{ name = \"long\", url = \"{url}\", target = \"t\", store_as = \"got.{{target}}\", every_seconds = 1, \
             timeout_seconds = 60, history = [\"{days}days\"] }}"
        );
        let node = Setup::relay([destination(away, Protocol::Pickle)])
            .with("journal.max_bytes", 4 << 20)
            .with("journal.segment_bytes", 1 << 20)
            .with("journal.memory_bytes", 1 << 20)
            .with("journal.when_full", format!("{when_full:?}"))
            .with("vista.enabled", true)
            .with("vista.skip_current_minute", false)
            .with("vista.fetch", format!("[{long}{}]", more.replace("URL", &url)))
            .start()?;
        Ok(Self { server, away, node, whole: days * DAY / STEP * SERIES as i64 })
    }

    /// What holds while the job waits; the points that it has brought in this life.
    fn waits(&self, job: &Value) -> anyhow::Result<i64> {
        let (brought, whole) = (number(job, "/points/history"), self.whole);
        ensure!(brought < whole * 3 / 4, "the journal took {brought} points of {whole}");
        ensure!(job["asked_until"].is_null(), "it runs ahead: {job}");
        let memory = self.node.process.memory("VmHWM") >> 20;
        println!("{brought} of {whole} points in the journal, {memory} MiB at most");
        ensure!(memory < 300, "{memory} MiB");
        Ok(brought)
    }

    /// The destination comes back: all is there, and nearly nothing twice.
    fn all_arrives(self, brought: i64) -> anyhow::Result<()> {
        let oldest =
            self.server.asked("t").first().and_then(|asked| asked.field("from")?.parse::<i64>().ok());
        let oldest = oldest.context("no question")? + 2 * STEP;
        let begun = now();
        let sink = Sink::start_at(self.away, Protocol::Pickle)?;
        let until = eventually(LONG, "all was asked for", || {
            let until = number(&job(&self.node, "long").ok()?, "/asked_until");
            (until >= begun).then_some(until)
        })?;
        for series in 0..SERIES {
            let name = format!("got.t.{series}");
            let last = until / STEP * STEP;
            eventually_true(LONG, &name, || sink.series(&name).contains_key(&last))?;
            is_whole(&sink, &name, (oldest, until), STEP)?;
        }
        println!(
            "{} copies of {} points after a kill; {brought} were brought before",
            copies(&sink),
            sink.distinct()
        );
        ensure!(brought > 0 && copies(&sink) <= BATCH, "{} copies", copies(&sink));
        let metrics = self.node.balanced()?;
        ensure!(metrics.sum("skyline_journal_shed_points_total", &[]) == 0.0, "points were pushed out");
        Ok(())
    }
}

/// Waits until the job has an answer to so many questions, and brings no more of it.
fn it_is_still(full: &Full, questions: usize) -> anyhow::Result<Value> {
    let (mut last, mut since) = (0, Instant::now());
    eventually_true(LIMIT, "it asks", || full.server.asked("t").len() >= questions)?;
    eventually(Duration::from_secs(60), "the job waits", || {
        let job = job(&full.node, "long").ok()?;
        let brought = number(&job, "/points/history");
        // Reading the first answer may take a while, during which it brings nothing.
        if brought != last || (questions == 1 && brought == 0) {
            (last, since) = (brought, Instant::now());
        }
        (since.elapsed() > Duration::from_secs(4)).then_some(job)
    })
}

#[test]
fn a_full_one_is_waited_for() -> anyhow::Result<()> {
    let mut full = Full::start("block", "")?;
    let mut brought = 0;
    for life in 1..=2 {
        let waiting = it_is_still(&full, life)?;
        brought += full.waits(&waiting)?;
        ensure!(full.server.asked("t").len() == life, "it asks on while it waits");
        ensure!(waiting["state"] == "fetching", "{waiting}");
        if life == 1 {
            full.node.process.kill()?;
            full.node.restart()?;
        }
    }
    full.all_arrives(brought)
}

#[test]
fn nothing_is_pushed_out_of_one_that_sheds() -> anyhow::Result<()> {
    let short = ", { name = \"short\", url = \"URL\", target = \"s\", store_as = \"short.{target}\", every_seconds = 1 }";
    let mut full = Full::start("shed_oldest", short)?;
    let mut brought = 0;
    for life in 1..=2 {
        let failing =
            job_is(&full.node, "long", "it has no room", |job| number(job, "/failures/not_logged") >= 1)?;
        brought += full.waits(&failing)?;
        let error = failing["last_error"].as_str().unwrap_or_default();
        ensure!(error.contains("the journal has no room for 5000 points"), "{error}");
        // A neighbour whose points are few goes on.
        let since = now();
        let short = job_is(&full.node, "short", "it goes on", |job| number(job, "/asked_until") > since)?;
        ensure!(short["failures"] == serde_json::json!({}), "{short}");
        if life == 1 {
            full.node.process.kill()?;
            full.node.restart()?;
        }
    }
    full.all_arrives(brought)
}
