//! How long a single point takes through a relay.

use crate::load::{self, Background, number};
use crate::program::{Program, Running};
use crate::workload::{self, Workload};
use skyline_tests::port;
use std::time::Duration;

/// Milliseconds of one program under one load.
#[derive(Debug, Clone)]
pub(crate) struct Latency {
    pub(crate) what: &'static str,
    pub(crate) program: Program,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) lost: u64,
}

/// Before probing, so that a load has begun and a start is over.
const HEAD_START: Duration = Duration::from_secs(2);

/// Both programs, idle and under 20 k/s.
pub(crate) fn all(probes: u32) -> anyhow::Result<Vec<Latency>> {
    let mut all = Vec::new();
    for loaded in [false, true] {
        for program in [Program::Node, Program::CRelay] {
            all.push(one(program, loaded, probes)?);
        }
    }
    Ok(all)
}

fn one(program: Program, loaded: bool, probes: u32) -> anyhow::Result<Latency> {
    let listen = port::free();
    let plain = Workload { defaults: true, ..workload::all(true).swap_remove(0) };
    let running = Running::start(program, &plain, None, &[listen], |setup| setup)?;
    let to = running.address(&plain).to_string();
    let folder = tempfile::tempdir()?;
    let interval_ms = 10;
    let mut load = loaded
        .then(|| {
            let seconds = probes * interval_ms / 1000 + 10;
            let points = (seconds * 2).to_string();
            let arguments =
                ["send", "--to", &to, "--rate", "20000", "--metrics", "10000", "--points", &points];
            Background::start(arguments, folder.path())
        })
        .transpose()?;
    // The load has begun, and outlasts the probes.
    std::thread::sleep(HEAD_START);
    let report = load::run([
        "latency",
        "--to",
        &to,
        "--listen",
        &listen.to_string(),
        "--probes",
        &probes.to_string(),
        "--interval-ms",
        &interval_ms.to_string(),
    ])?;
    if let Some(load) = &mut load {
        load.must_run()?;
        if let Running::Node { node, .. } = &running {
            let received = node.status()?.received();
            anyhow::ensure!(received > 20_000, "only {received} points came during the probes");
        }
    }
    drop(load);
    let ms = |key: &str| number(&report, key) / 1000.0;
    let latency = Latency {
        what: if loaded { "under 20 k/s" } else { "idle" },
        program,
        p50_ms: ms("p50_us"),
        p99_ms: ms("p99_us"),
        max_ms: ms("max_us"),
        lost: number(&report, "lost") as u64,
    };
    eprintln!(
        "latency {}, {}: p50 {:.2} ms, p99 {:.2} ms",
        latency.what,
        program.name(),
        latency.p50_ms,
        latency.p99_ms
    );
    Ok(latency)
}
