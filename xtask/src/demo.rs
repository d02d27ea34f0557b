//! `cargo xtask demo`: the node with senders and a day of history, on loopback.

use crate::cargo;
use anyhow::Context as _;
use clap::Args;
use std::os::unix::process::CommandExt as _;

/// What the demo gets.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Arguments of `skyline demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds the node and becomes it.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    if !cargo::run(&mut cargo::cargo([
        "build",
        "--profile",
        "perf",
        "--locked",
        "--package",
        "skyline-node",
    ]))? {
        return Ok(false);
    }
    let mut node = cargo::program(cargo::target().join("perf/skyline"));
    node.arg("demo").args(&options.arguments);
    println!("$ {}", cargo::shown(&node));
    // Takes the place of this process: signals and the exit status are the node's own.
    Err(node.exec()).context("the node cannot be started")
}
