//! A million metrics with a day of history each, live for ten minutes.

use crate::filled::Filled;
use crate::load::{Background, number};
use crate::machine::Machine;
use crate::program::{Program, Running};
use crate::workload::{self, Workload};
use skyline_tests::port;
use skyline_tests::status::Status;
use std::time::{Duration, Instant};

/// Runs, or a fiftieth of it for a minute; the Markdown that says how it went.
pub(crate) fn run(quick: bool, minutes: u32) -> anyhow::Result<String> {
    let (metrics, minutes) = if quick { (20_000, 1) } else { (1_000_000, minutes) };
    let filled = Filled::make(metrics, 1_450)?;
    let workload = Workload { history: Some(1_450), metrics, ..workload::all(false).swap_remove(0) };
    let (folder, sink_address) = (tempfile::tempdir()?, port::free());
    let sink = Background::start(
        ["sink", "--listen", &sink_address.to_string(), "--duration", "7200"],
        folder.path(),
    )?;
    let began = Instant::now();
    let mut running =
        Running::start(Program::Node, &workload, Some(&filled), &[sink_address], |setup| setup)?;
    let restore = began.elapsed().as_secs_f64();
    let restored_mib = mib(&mut running, "VmRSS");
    eprintln!("restored in {restore:.0} s: {restored_mib:.0} MiB");
    let (cpu, began) = (running.process().cpu_seconds(), Instant::now());
    let (send_folder, to) = (tempfile::tempdir()?, running.address(&workload).to_string());
    let arguments = [
        "send",
        "--to",
        &to,
        "--metrics",
        &metrics.to_string(),
        "--points",
        &minutes.to_string(),
        "--connections",
        // An agent of 2,000 metrics, whatever the number of all: it writes some thousand lines at once, as
        // Telegraf does, and knows nothing of the others.
        &(metrics / 2_000).to_string(),
        "--rate",
        "live",
        "--start-ts",
        &(filled.newest + 60).to_string(),
        "--burst-ms",
        "60000",
        "--spread",
    ];
    let mut send = Background::start(arguments, send_folder.path())?;
    let mut minutes_seen = watch(&mut send, &mut running, metrics, minutes)?;
    let sent = send.end()?;
    let (cpu, seconds) = (running.process().cpu_seconds() - cpu, began.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_secs(2));
    let status = status(&running)?;
    let (judged, anomalies) = (status.number("/window/judged"), status.number("/window/anomalies"));
    let (rss_mib, peak_mib) = (mib(&mut running, "VmRSS"), mib(&mut running, "VmHWM"));
    let came = number(&sink.end()?, "received");
    let points = number(&sent, "sent");
    Ok(format!(
        "| {metrics} metrics, 24 h windows, live for {minutes} minutes | |\n|---|---:|\n\
         | points sent / delivered | {points:.0} / {came:.0} |\n\
         | CPU, share of one core | {:.1} % |\n| CPU-s/M | {:.3} |\n\
         | CPU-s/M of the best / middle / worst whole minute | {} |\n\
         | the machine in these minutes: µs to touch a page that rested for a minute | {} |\n\
         | the machine in these minutes: ns of a step of arithmetic | {} |\n\
         | restored in | {restore:.0} s |\n| resident after restore / at the end / peak | {restored_mib:.0} / {rss_mib:.0} / {peak_mib:.0} MiB |\n\
         | resident a metric | {:.2} kB |\n| points judged / anomalous | {judged} / {anomalies} |\n\
         | receipt to verdict p50 / p99, worst minute | {:.2} / {:.2} ms |\n",
        cpu / seconds * 100.0,
        cpu / points.max(1.0) * 1e6,
        spread(&mut minutes_seen.costs),
        spread(&mut minutes_seen.touches),
        spread(&mut minutes_seen.steps),
        rss_mib * f64::from(1 << 20) / metrics as f64 / 1e3,
        minutes_seen.p50_ms,
        minutes_seen.p99_ms,
    ))
}

/// What was seen minute by minute.
#[derive(Debug, Default)]
struct Minutes {
    /// CPU seconds per million points.
    costs: Vec<f64>,
    /// Microseconds to touch a page that rested.
    touches: Vec<f64>,
    /// Nanoseconds of a step of arithmetic.
    steps: Vec<f64>,
    /// Receipt to verdict, of the worst minute.
    p50_ms: f64,
    p99_ms: f64,
}

/// Looks on, once a minute, until everything is sent.
fn watch(
    send: &mut Background,
    running: &mut Running,
    metrics: u64,
    minutes: u32,
) -> anyhow::Result<Minutes> {
    let (mut cpu, began, mut minute) = (running.process().cpu_seconds(), Instant::now(), 0);
    let (mut machine, mut seen) = (Machine::new(), Minutes::default());
    while !send.has_ended() {
        std::thread::sleep(Duration::from_secs(2));
        running.process().must_run()?;
        if began.elapsed().as_secs() / 60 > minute {
            minute += 1;
            let cpu_now = running.process().cpu_seconds();
            let cost = (cpu_now - cpu) / metrics as f64 * 1e6;
            cpu = cpu_now;
            // The node's figures are of the last one to two minutes: read once a minute they leave out nothing.
            let status = status(running)?;
            let ms =
                |pointer: &str| status.0.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
            let (p50_ms, p99_ms) = (ms("/window/p50_ms"), ms("/window/p99_ms"));
            (seen.p50_ms, seen.p99_ms) = (seen.p50_ms.max(p50_ms), seen.p99_ms.max(p99_ms));
            let look = machine.look();
            // The last points may come in the minute after: a part of one would pass for a cheap one.
            if minute <= u64::from(minutes) {
                seen.costs.push(cost);
                seen.touches.push(look.touch_us);
                seen.steps.push(look.step_ns);
            }
            eprintln!(
                "minute {minute}: {cost:.2} CPU-s/M, verdicts {p50_ms:.2} / {p99_ms:.2} ms; \
                 machine: {:.2} µs a page that rested, {:.2} ns a step",
                look.touch_us, look.step_ns
            );
        }
    }
    Ok(seen)
}

/// Best, middle and worst.
fn spread(figures: &mut [f64]) -> String {
    figures.sort_by(f64::total_cmp);
    let middle = figures.get(figures.len() / 2).copied().unwrap_or_default();
    match figures {
        [best, .., worst] => format!("{best:.2} / {middle:.2} / {worst:.2}"),
        _ => "–".to_owned(),
    }
}

fn status(running: &Running) -> anyhow::Result<Status> {
    match running {
        Running::Node { node, .. } => node.status(),
        Running::CRelay(_) => anyhow::bail!("another program was started"),
    }
}

fn mib(running: &mut Running, figure: &str) -> f64 {
    running.process().memory(figure) as f64 / f64::from(1 << 20)
}
