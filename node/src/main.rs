//! `skyline`: a Graphite-compatible relay and storage node that judges every datapoint as it passes.
//!
//! This crate knows all parts and decides nothing: [`cli`] reads the command line, [`node`] builds
//! the parts in order and takes them down, [`reload`] and [`swap`] change some of them meanwhile, [`plane`] holds the window threads, [`health`] says how it goes.

mod alerts;
mod assemble;
mod backfill;
mod cli;
mod detour;
mod graphs;
mod health;
mod http;
mod huge_pages;
mod mirror;
mod node;
mod own_metrics;
mod plane;
mod process;
mod record;
mod reload;
mod stale;
mod stores;
mod swap;
mod syslog;
mod watch;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
