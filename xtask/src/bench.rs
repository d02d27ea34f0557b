//! `cargo xtask bench`: micro-benchmarks of each crate, then whole processes in alternating runs.

use crate::{cargo, test};
use clap::Args;

/// Crates with a `benches/` folder.
const CRATES: [&str; 5] =
    ["skyline-relay", "skyline-journal", "skyline-store", "skyline-detect", "skyline-render-proxy"];

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Runs of each program and workload
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Small workloads, one run each: shows that everything works, measures little
    #[arg(long)]
    quick: bool,
    /// Also a million metrics, live for ten minutes
    #[arg(long)]
    million: bool,
    /// Only the table of whole processes
    #[arg(long)]
    no_micro: bool,
    /// Only workloads whose name contains this (R1, D2, latency, ...)
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// Measures; the table is Markdown on standard output.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    test::packages::install(&[test::packages::C_RELAY])?;
    if !options.no_micro {
        for name in CRATES {
            // Not `--benches`: that runs the unit tests too, which do not know the arguments.
            let mut bench = cargo::cargo(["bench", "--locked", "--package", name, "--bench", "*", "--"]);
            bench.args(["--warm-up-time", "1", "--measurement-time", if options.quick { "1" } else { "3" }]);
            if !cargo::run(&mut bench)? {
                return Ok(false);
            }
        }
    }
    let packages = ["--package", "skyline-node", "--package", "carbon-load", "--package", "skyline-tests"];
    let mut build = cargo::cargo(["build", "--release", "--locked", "--bins"]);
    if !cargo::run(build.args(packages))? {
        return Ok(false);
    }
    let folder = cargo::target().join("release");
    let mut table = cargo::program(folder.join("processes"));
    table.env("SKYLINE_BIN", folder.join("skyline")).arg("--runs").arg(options.runs.to_string());
    for (wanted, option) in [(options.quick, "--quick"), (options.million, "--million")] {
        if wanted {
            table.arg(option);
        }
    }
    if let Some(only) = &options.only {
        table.arg("--only").arg(only);
    }
    cargo::run(&mut table)
}
