//! `cargo xtask`: what a developer or CI runs. Each command prints the programs that it starts.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "commands speak to a person")]

mod alerts;
mod bench;
mod cargo;
mod demo;
mod fuzz;
mod lint;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "What a developer or CI runs")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the node and run `skyline demo` in the foreground
    Demo(demo::Options),
    /// Install the servers that tests need, run all tests, the shared cases and a short drive of each decoder
    Test(test::Options),
    /// Formatting, clippy, documentation, tidy
    Lint,
    /// Speed: micro-benchmarks and the table of whole processes
    Bench(bench::Options),
    /// Take pictures of messages for docs/alerts anew (needs Chromium)
    Alerts,
    /// Fuzz one target, or all of them by turns, with cargo-fuzz
    Fuzz(fuzz::Options),
    /// Rules that no compiler checks: who may use whom, what a file must have
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Lint => lint::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Alerts => alerts::run(),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Tidy => tidy::run(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}
