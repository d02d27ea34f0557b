//! One run of one program under one load.

use crate::filled::Filled;
use crate::load::{self, Background, number};
use crate::program::{Program, Running};
use crate::workload::Workload;
use skyline_tests::node::Setup;
use skyline_tests::{now, port};
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// Give up on missing points after so long without one.
const QUIET: Duration = Duration::from_secs(5);

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// CPU seconds per million points that came out.
    pub(crate) cpu: f64,
    pub(crate) points_per_second: f64,
    pub(crate) peak_mib: f64,
    /// Share of what was sent.
    pub(crate) delivered: f64,
}

/// All runs of a workload, by program.
pub(crate) type Runs = Vec<(Program, Vec<Run>)>;

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, points_per_second, peak_mib, delivered } = self;
        write!(
            f,
            "{cpu:.3} CPU-s/M, {points_per_second:.0}/s, {peak_mib:.0} MiB, {:.3} % delivered",
            delivered * 100.0
        )
    }
}

/// Starts, warms up, measures, ends.
pub(crate) fn run(workload: &Workload, program: Program, filled: Option<&Filled>) -> anyhow::Result<Run> {
    run_with(workload, program, filled, |setup| setup, |_| Ok(()))
}

/// The same with changed settings; `prepare` is called before what is measured.
pub(crate) fn run_with(
    workload: &Workload,
    program: Program,
    filled: Option<&Filled>,
    change: impl FnOnce(Setup) -> Setup,
    prepare: impl FnOnce(&Running) -> anyhow::Result<()>,
) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir()?;
    let sinks: Vec<SocketAddr> = (0..workload.destinations).map(|_| port::free()).collect();
    let sink = start_sink(workload, &sinks, folder.path())?;
    let mut running = Running::start(program, workload, filled, &sinks, change)?;
    // Otherwise the last of warm-up and load is the current minute.
    let first = filled.map_or_else(
        || now() / 60 * 60 - 60 * (workload.points + workload.warm_up - 1).cast_signed(),
        |filled| filled.newest + 60,
    );
    let judged_before = filled.filter(|_| program == Program::Node).map(|_| running.judged()).transpose()?;
    let arrival = Arrival { sink: &sink, judged_before };
    if workload.warm_up > 0 {
        send(workload, &running, workload.warm_up, first)?;
        arrival.of(workload.before(), &mut running)?;
    }
    prepare(&running)?;
    let cpu = running.process().cpu_seconds();
    send(workload, &running, workload.points, first + 60 * workload.warm_up.cast_signed())?;
    arrival.of(workload.before() + workload.measured(), &mut running)?;
    running.process().must_run()?;
    let cpu = running.process().cpu_seconds() - cpu;
    let peak_mib = running.process().memory("VmHWM") as f64 / f64::from(1 << 20);
    let report = sink.end()?;
    let came = number(&report, "received") - workload.before() as f64;
    Ok(Run {
        cpu: cpu / came.max(1.0) * 1e6,
        points_per_second: number(&report, "datapoints_per_s"),
        peak_mib,
        delivered: came / workload.measured() as f64,
    })
}

fn start_sink(workload: &Workload, addresses: &[SocketAddr], folder: &Path) -> anyhow::Result<Background> {
    let mut arguments = vec!["sink".to_owned(), "--skip".to_owned(), workload.before().to_string()];
    arguments.extend(addresses.iter().flat_map(|address| ["--listen".to_owned(), address.to_string()]));
    arguments.extend(
        ["--protocol", if workload.pickle_out { "pickle" } else { "plaintext" }, "--duration", "3600"]
            .map(str::to_owned),
    );
    Background::start(arguments, folder)
}

fn send(workload: &Workload, running: &Running, points: u64, start: i64) -> anyhow::Result<()> {
    let rate = workload.rate.map_or_else(|| "max".to_owned(), |rate| rate.to_string());
    let protocol = if workload.pickle_in { "pickle" } else { "plaintext" };
    let arguments = [
        ("--to", running.address(workload).to_string()),
        ("--protocol", protocol.to_owned()),
        ("--metrics", workload.metrics.to_string()),
        ("--points", points.to_string()),
        ("--connections", workload.connections.to_string()),
        ("--rate", rate),
        ("--burst-ms", workload.burst_ms.to_string()),
        ("--start-ts", start.to_string()),
    ];
    let words = arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    let report = load::run(std::iter::once("send".to_owned()).chain(words))?;
    let errors = report.get("errors").and_then(|e| e.as_array()).map_or(0, Vec::len);
    anyhow::ensure!(errors == 0, "sending broke: {report}");
    Ok(())
}

/// What the wait for the end of a load looks at.
struct Arrival<'a> {
    sink: &'a Background,
    /// Points in the windows before anything was sent; none: no windows.
    judged_before: Option<u64>,
}

impl Arrival<'_> {
    /// Waits until the sink has `points` and the windows have taken as many, or no more come.
    fn of(&self, points: u64, running: &mut Running) -> anyhow::Result<()> {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let count = self.sink.count();
            // The node is asked only once the sink has everything: questions cost it CPU.
            let judged = match self.judged_before {
                Some(before) if count >= points => running.judged()?.saturating_sub(before),
                Some(_) => 0,
                None => points,
            };
            if count >= points && judged >= points {
                return Ok(());
            }
            if count + judged != last {
                (last, since) = (count + judged, Instant::now());
            }
            if since.elapsed() > QUIET {
                anyhow::ensure!(count < points, "the windows took {judged} of {points} points");
                return Ok(());
            }
            running.process().must_run()?;
            std::thread::sleep(Duration::from_millis(if count >= points { 100 } else { 20 }));
        }
    }
}
