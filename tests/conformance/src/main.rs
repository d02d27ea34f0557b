//! Runs a file of cases, made by the reference programs, against the node's own code paths.
//!
//! `conformance KIND FILE` prints each failing case with what differs and ends with
//! `N passed, N failed`. Exit code 1: a case failed; 2: the file cannot be used.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test program speaks to a person")]

mod algorithm;
mod carbon;
mod case;
mod crelay;
mod find;
mod hash_ring;
mod memory;
mod points;
mod render;
mod rig;
mod wire;

use case::Outcome;
use clap::{Parser, ValueEnum};
use serde_json::Value;
use skyline_core::batch::Listener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;
use wire::Wire;

/// Cases over sockets that run side by side, each with a node of its own.
const SIDE_BY_SIDE: usize = 4;

/// What the cases are about.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Carbon lines over TCP and UDP
    Line,
    /// Carbon pickles over TCP
    Pickle,
    /// Carbon's protobuf over TCP
    Protobuf,
    /// Verdicts of the nine algorithms, Mirage, Boundary, counters, second order
    Algorithm,
    /// carbon's relay-rules.conf
    Rules,
    /// carbon's rewrite-rules.conf
    Rewrite,
    /// carbon's aggregation-rules.conf
    Aggregation,
    /// carbon.conf, lists, destinations, retentions, tags, lines that are sent
    CarbonConf,
    /// Destinations that hash rings choose, of carbon and carbon-c-relay
    HashRing,
    /// Lines as carbon-c-relay cleans them
    CrelayClean,
    /// Configurations of carbon-c-relay, and what their rules do
    CrelayRoute,
    /// Times as render questions write them
    Attime,
    /// Slots of a time, out of whisper's archives
    Fetch,
    /// The JSON of /render
    RenderJson,
    /// What /metrics/find finds among names
    Find,
}

/// Run cases made by the reference programs against the node's code.
#[derive(Debug, Parser)]
struct Options {
    /// What the cases are about
    kind: Kind,
    /// One JSON object a line
    file: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let cases = match case::read(&options.file) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("conformance: {}: {error:#}", options.file.display());
            return ExitCode::from(2);
        }
    };
    let outcomes = match options.kind {
        Kind::Line => over_sockets(&cases, Listener::PlaintextTcp),
        Kind::Pickle => over_sockets(&cases, Listener::PickleTcp),
        Kind::Protobuf => over_sockets(&cases, Listener::ProtobufTcp),
        Kind::Attime => Ok(cases.iter().map(render::time).collect()),
        Kind::Fetch => Ok(cases.iter().map(render::fetch).collect()),
        Kind::Find => Ok(find::run(&cases)),
        Kind::RenderJson => Ok(cases.iter().map(render::json).collect()),
        Kind::Algorithm => Ok(cases.iter().map(algorithm::run).collect()),
        Kind::Rules => Ok(cases.iter().map(carbon::rules).collect()),
        Kind::Rewrite => Ok(cases.iter().map(carbon::rewrite).collect()),
        Kind::Aggregation => Ok(cases.iter().map(carbon::aggregation).collect()),
        Kind::CarbonConf => Ok(cases.iter().map(carbon::conf).collect()),
        Kind::HashRing => Ok(hash_ring::run(&cases)),
        Kind::CrelayClean => Ok(cases.iter().map(crelay::clean).collect()),
        Kind::CrelayRoute => Ok(cases.iter().map(crelay::route).collect()),
    };
    let outcomes = match outcomes {
        Ok(outcomes) => outcomes,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            return ExitCode::from(2);
        }
    };
    let (mut passed, mut failed) = (0, 0);
    for (case, outcome) in cases.iter().zip(outcomes) {
        match outcome {
            Ok(()) => passed += 1,
            Err(difference) => {
                failed += 1;
                println!("{}: {difference}", case::id(case));
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs cases against listeners; `usual` is the one of cases that name no protocol.
fn over_sockets(cases: &[Value], usual: Listener) -> anyhow::Result<Vec<Outcome>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let cases: Arc<[Value]> = cases.into();
        let next = Arc::new(AtomicUsize::new(0));
        let mut lanes = JoinSet::new();
        for _ in 0..SIDE_BY_SIDE.min(cases.len()) {
            lanes.spawn(lane(Arc::clone(&cases), Arc::clone(&next), usual));
        }
        let mut outcomes: Vec<(usize, Outcome)> = Vec::new();
        while let Some(lane) = lanes.join_next().await {
            outcomes.extend(lane?);
        }
        outcomes.sort_unstable_by_key(|(i, _)| *i);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    })
}

/// Runs the next case until none is left: the outcomes with the places of their cases.
async fn lane(cases: Arc<[Value]>, next: Arc<AtomicUsize>, usual: Listener) -> Vec<(usize, Outcome)> {
    let mut wire = Wire::default();
    let mut outcomes = Vec::new();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(case) = cases.get(at) else { break };
        outcomes.push((at, wire.run(case, usual).await));
    }
    wire.stop().await;
    outcomes
}
