//! A million metrics with a day of history each, live for ten minutes.

use crate::filled::Filled;
use crate::load::{self, Background, number};
use crate::program::{Program, Running};
use crate::workload::{self, Workload};
use skyline_tests::port;
use std::time::Instant;

/// Runs, or a fiftieth of it for a minute; the Markdown that says how it went.
pub(crate) fn run(quick: bool) -> anyhow::Result<String> {
    let (metrics, minutes) = if quick { (20_000, 1) } else { (1_000_000, 10) };
    let filled = Filled::make(metrics, 1_440)?;
    let workload = Workload { history: Some(1_440), metrics, ..workload::all(false).swap_remove(0) };
    let (folder, sink_address) = (tempfile::tempdir()?, port::free());
    let sink = Background::start(
        ["sink", "--listen", &sink_address.to_string(), "--duration", "7200"],
        folder.path(),
    )?;
    let began = Instant::now();
    let mut running = Running::start(Program::Node, &workload, Some(&filled), sink_address)?;
    let restore = began.elapsed().as_secs_f64();
    let restored_mib = mib(&mut running, "VmRSS");
    eprintln!("restored in {restore:.0} s: {restored_mib:.0} MiB");
    let (cpu, began) = (running.process().cpu_seconds(), Instant::now());
    let sent = load::run([
        "send",
        "--to",
        &running.address(&workload).to_string(),
        "--metrics",
        &metrics.to_string(),
        "--points",
        &minutes.to_string(),
        "--connections",
        // As many points a connection, whatever the number of metrics.
        &(metrics / 2_000).to_string(),
        "--rate",
        "live",
        "--burst-ms",
        "500",
    ])?;
    let (cpu, seconds) = (running.process().cpu_seconds() - cpu, began.elapsed().as_secs_f64());
    std::thread::sleep(std::time::Duration::from_secs(2));
    let status = match &running {
        Running::Node { node, .. } => node.status()?,
        Running::CRelay(_) => anyhow::bail!("another program was started"),
    };
    let (rss_mib, peak_mib) = (mib(&mut running, "VmRSS"), mib(&mut running, "VmHWM"));
    let came = number(&sink.end()?, "received");
    let points = number(&sent, "sent");
    Ok(format!(
        "| {metrics} metrics, 24 h windows, live for {minutes} minutes | |\n|---|---:|\n\
         | points sent / delivered | {points:.0} / {came:.0} |\n\
         | CPU, share of one core | {:.1} % |\n| CPU-s/M | {:.3} |\n\
         | restored in | {restore:.0} s |\n| resident after restore / at the end / peak | {restored_mib:.0} / {rss_mib:.0} / {peak_mib:.0} MiB |\n\
         | resident a metric | {:.2} kB |\n| receipt to verdict p50 / p99 | {} / {} ms |\n",
        cpu / seconds * 100.0,
        cpu / points.max(1.0) * 1e6,
        rss_mib * f64::from(1 << 20) / metrics as f64 / 1e3,
        text(&status, "/window/p50_ms"),
        text(&status, "/window/p99_ms"),
    ))
}

fn text(status: &skyline_tests::status::Status, pointer: &str) -> String {
    status
        .0
        .pointer(pointer)
        .and_then(serde_json::Value::as_f64)
        .map_or_else(|| "?".to_owned(), |ms| format!("{ms:.2}"))
}

fn mib(running: &mut Running, figure: &str) -> f64 {
    running.process().memory(figure) as f64 / f64::from(1 << 20)
}
