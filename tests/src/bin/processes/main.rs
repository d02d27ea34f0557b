//! `processes`: the node and carbon-c-relay by turns under the same loads, as whole processes.
//!
//! Prints a Markdown table on standard output and what it is doing on standard error. CPU is
//! utime + stime of `/proc/PID/stat`; "delivered" is what the sink counted. Compare only figures of one
//! run of this program: other load on the machine moves them all.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person at a terminal")]

mod alerts;
mod filled;
mod flux;
mod latency;
mod load;
mod machine;
mod million;
mod mirror;
mod program;
mod run;
mod table;
mod takeover;
mod workload;

use anyhow::Context as _;
use clap::Parser;
use filled::Filled;
use run::Runs;
use std::process::ExitCode;
use workload::Workload;

/// Measure the node and carbon-c-relay by turns.
#[derive(Debug, Parser)]
struct Options {
    /// Runs of each program and workload
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Small workloads, one run each
    #[arg(long)]
    quick: bool,
    /// Also a million metrics, live
    #[arg(long)]
    million: bool,
    /// Minutes that the million is live
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// Only workloads whose name contains this
    #[arg(long)]
    only: Option<String>,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| name.contains(only))
    }
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("processes: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> anyhow::Result<()> {
    skyline_tests::process::raise_file_limit();
    println!("{}\n", table::machine());
    let workloads = workload::all(options.quick);
    let mut rows = Vec::new();
    for workload in workloads.iter().filter(|w| options.wants(w.name)) {
        let runs = if options.quick { 1 } else { options.runs };
        rows.push((workload, alternate(workload, runs)?));
    }
    if !rows.is_empty() {
        println!("{}", table::throughput(&rows));
    }
    let probes = if options.quick { 200 } else { 1_500 };
    if options.wants("latency") {
        println!("{}", table::latency(&latency::all(probes)?));
    }
    if options.wants("mirror") {
        let workload = workloads.iter().find(|w| w.name == "D2").context("the load of the mirror")?;
        // Several writes of each shard.
        let workload = &Workload { points: workload.points * 5, ..workload.clone() };
        println!("{}", mirror::run(workload, if options.quick { 1 } else { options.runs })?);
        println!("{}", takeover::run(workload, if options.quick { 5_000 } else { 100_000 })?);
    }
    if options.wants("alerts") {
        println!("{}", alerts::run(if options.quick { 20 } else { 200 })?);
    }
    if options.wants("flux") {
        let (seconds, runs) = if options.quick { (2, 1) } else { (15, options.runs) };
        println!("{}", flux::run(seconds, runs)?);
    }
    if options.million && options.wants("M1") {
        println!("{}", million::run(options.quick, options.minutes)?);
    }
    Ok(())
}

/// All runs of a workload: each program in turn, the order changing from run to run.
fn alternate(workload: &Workload, runs: u32) -> anyhow::Result<Runs> {
    let filled = workload.history.map(|minutes| Filled::make(workload.metrics, minutes)).transpose()?;
    let mut all: Vec<_> = workload.programs().into_iter().map(|program| (program, Vec::new())).collect();
    for n in 0..runs {
        if n % 2 == 1 {
            all.reverse();
        }
        for (program, done) in &mut all {
            let run = run::run(workload, *program, filled.as_ref())?;
            eprintln!("{} run {} of {runs}, {}: {run}", workload.name, n + 1, program.name());
            done.push(run);
        }
    }
    all.sort_by_key(|(program, _)| *program);
    Ok(all)
}
