//! A journal that is full because a destination is away: jobs wait, do not run ahead, and lose nothing, killed or not.

use crate::rig::{Endless, LIMIT, copies, is_whole, job, job_is, number};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink, destination};
use skyline_tests::{eventually, eventually_true, now, port, size};
use std::time::{Duration, Instant};

const DAY: i64 = 86_400;
const STEP: i64 = 60;
const SERIES: usize = 20;
/// Points that are put into the journal at once.
const BATCH: u64 = 5_000;

fn history(job: &Value) -> i64 {
    number(job, "/points/history")
}

/// Waits until the job has an answer to so many questions, and brings no more of it.
fn it_waits(node: &Node, server: &Endless, questions: usize) -> anyhow::Result<Value> {
    let (mut last, mut since) = (0, Instant::now());
    eventually_true(LIMIT, "it asks", || server.asked("t").len() >= questions)?;
    eventually(Duration::from_secs(60), "the job waits", || {
        let job = job(node, "long").ok()?;
        if history(&job) != last {
            (last, since) = (history(&job), Instant::now());
        }
        (since.elapsed() > Duration::from_secs(4)).then_some(job)
    })
}

#[test]
fn a_full_one_is_waited_for() -> anyhow::Result<()> {
    it_is_waited_for("block")
}

#[test]
fn nothing_is_pushed_out_of_one_that_sheds() -> anyhow::Result<()> {
    it_is_waited_for("shed_oldest")
}

fn it_is_waited_for(when_full: &str) -> anyhow::Result<()> {
    let days = size(20, 30) as i64;
    let server = Endless::start(STEP, SERIES, |_| true)?;
    let away = port::free();
    let mut node = Setup::relay([destination(away, Protocol::Pickle)])
        .with("journal.max_bytes", 4 << 20)
        .with("journal.segment_bytes", 1 << 20)
        .with("journal.memory_bytes", 1 << 20)
        .with("journal.when_full", format!("{when_full:?}"))
        .with("vista.enabled", true)
        .with(
            "vista.fetch",
            format!(
                "[{{ name = \"long\", url = \"{}\", target = \"t\", store_as = \"got.{{target}}\", every_seconds = 1, \
                 timeout_seconds = 60, history = [\"{days}days\"] }}]",
                server.server.url()
            ),
        )
        .start()?;
    let whole = days * DAY / STEP * SERIES as i64;
    let mut brought = 0;
    for life in 1..=2 {
        let waiting = it_waits(&node, &server, life)?;
        brought += history(&waiting);
        ensure!(brought > 0, "it has brought nothing: {waiting}");
        ensure!(
            history(&waiting) < whole * 3 / 4,
            "the journal took {} points of {whole}",
            history(&waiting)
        );
        ensure!(waiting["state"] == "fetching" && waiting["asked_until"].is_null(), "{waiting}");
        ensure!(server.asked("t").len() == life, "it asks on while it waits: {}", server.asked("t").len());
        let memory = node.process.memory("VmHWM") >> 20;
        println!("{} of {whole} points in the journal, {memory} MiB at most", history(&waiting));
        ensure!(memory < 300, "{memory} MiB");
        if life == 1 {
            node.process.kill()?;
            node.restart()?;
        }
    }
    let oldest = server.asked("t").first().and_then(|asked| asked.field("from")?.parse::<i64>().ok());
    let oldest = oldest.context("no question")? + 2 * STEP;
    let begun = now();
    let sink = Sink::start_at(away, Protocol::Pickle)?;
    let done = job_is(&node, "long", "all is there", |job| number(job, "/asked_until") >= begun - 60)?;
    let until = number(&done, "/asked_until");
    for series in 0..SERIES {
        let name = format!("got.t.{series}");
        let last = until / STEP * STEP;
        eventually_true(Duration::from_secs(60), &name, || sink.series(&name).contains_key(&last))?;
        is_whole(&sink, &name, (oldest, until), STEP)?;
    }
    println!(
        "{} copies of {} points after a kill; {brought} had been brought before",
        copies(&sink),
        sink.distinct()
    );
    ensure!(copies(&sink) <= BATCH, "{} copies", copies(&sink));
    let metrics = node.balanced()?;
    ensure!(metrics.sum("skyline_journal_shed_points_total", &[]) == 0.0, "points were pushed out");
    Ok(())
}
