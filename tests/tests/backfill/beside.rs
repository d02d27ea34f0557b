//! What passes through a node while it fills its windows is not held up.

use crate::rig::{History, history, number, report};
use crate::{say, whisper_file};
use anyhow::{Context as _, ensure};
use carbon_load::encode::Protocol;
use carbon_load::latency::{self, LatencyArgs, LatencyReport};
use carbon_load::send::Rate;
use skyline_tests::node::Setup;
use skyline_tests::{load, long, port, size};
use std::net::SocketAddr;
use std::path::Path;

/// Milliseconds from one probe to the next.
const INTERVAL: f64 = 10.0;
/// Slowest of a hundred probes, microseconds: above what a machine that other tests share has shown, and far below what a
/// point takes that waits for the back-fill to end.
const P99: f64 = 250_000.0;

fn files(folder: &Path, history: &History) -> anyhow::Result<()> {
    for (name, points) in history {
        let path = folder.join(format!("{}.wsp", name.replace('.', "/")));
        std::fs::create_dir_all(path.parent().context("no parent")?)?;
        std::fs::write(path, whisper_file(points))?;
    }
    Ok(())
}

/// Probes for about so many seconds.
fn probe(to: SocketAddr, listen: SocketAddr, seconds: u64) -> anyhow::Result<LatencyReport> {
    let arguments = LatencyArgs {
        to: to.to_string(),
        protocol: Protocol::Plaintext,
        listen: vec![listen.to_string()],
        listen_protocol: Protocol::Plaintext,
        probes: (seconds as f64 * 1_000.0 / INTERVAL) as usize,
        interval_ms: INTERVAL,
        warmup: 10.0,
        wait: 10.0,
        name: "probe".into(),
    };
    latency::run(&arguments).map_err(|error| anyhow::anyhow!("probes: {error}"))
}

#[test]
fn what_passes_is_not_held_up() -> anyhow::Result<()> {
    let (seconds, rate) = (size(3, 60), size(2_000, 20_000));
    let folder = tempfile::tempdir()?;
    files(folder.path(), &history(size(500, 10_000)))?;
    let listen = port::free();
    let node = Setup::window().with("relay.destinations", format!("[\"{listen}\"]")).start()?;
    let (to, path) = (node.plaintext(), folder.path().to_str().context("path")?);
    let (found, probes) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let probes = scope.spawn(move || probe(to, listen, seconds));
        let sending = scope.spawn(move || {
            load::send(to, |arguments| {
                arguments.rate = Rate::PerSecond(rate as f64);
                arguments.metrics = rate;
                arguments.points = seconds;
            })
        });
        let found = report(&node, &["--whisper", path])?;
        let sent = sending.join().map_err(|_| anyhow::anyhow!("the load broke"))??;
        ensure!(sent.sent == rate * seconds, "{} sent", sent.sent);
        Ok((found, probes.join().map_err(|_| anyhow::anyhow!("the probes broke"))??))
    })?;
    say("beside what passes", &node, &found);
    println!(
        "{rate} points a second meanwhile: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms, {} of {} lost",
        probes.p50_us / 1e3,
        probes.p99_us / 1e3,
        probes.max_us / 1e3,
        probes.lost,
        probes.sent
    );
    ensure!(found["phase"] == "done" && number(&found, "/counts/failed") == 0, "{found}");
    ensure!(probes.lost == 0 && probes.p99_us < P99, "{probes:?}");
    let took = found["seconds"].as_f64().unwrap_or_default();
    ensure!(!long() || took > seconds as f64 / 2.0, "the back-fill was over after {took} s");
    Ok(())
}
