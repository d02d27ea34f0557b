//! Runs a file of cases, made by the reference programs, against the node's own code paths.
//!
//! `conformance KIND FILE` prints each failing case with what differs and ends with
//! `N passed, N failed`. Exit code 1: a case failed; 2: the file cannot be used.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test program speaks to a person")]

mod algorithm;

use clap::{Parser, ValueEnum};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the cases are about.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Verdicts of the nine algorithms, Mirage and Boundary
    Algorithm,
}

/// Run cases made by the reference programs against the node's code.
#[derive(Debug, Parser)]
struct Options {
    /// What the cases are about
    kind: Kind,
    /// One JSON object a line
    file: PathBuf,
}

/// What a case came to: a failure has what differs.
pub(crate) type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let options = Options::parse();
    let cases = match read(&options.file) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("conformance: {}: {error:#}", options.file.display());
            return ExitCode::from(2);
        }
    };
    let (mut passed, mut failed) = (0, 0);
    for case in &cases {
        let outcome = match options.kind {
            Kind::Algorithm => algorithm::run(case),
        };
        match outcome {
            Ok(()) => passed += 1,
            Err(difference) => {
                failed += 1;
                println!("{}: {difference}", case.get("id").and_then(Value::as_str).unwrap_or("?"));
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(file: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(file)?;
    let cases: Result<Vec<Value>, _> = text.lines().filter(|l| !l.trim().is_empty()).map(serde_json::from_str).collect();
    let cases = cases?;
    anyhow::ensure!(!cases.is_empty(), "no cases");
    Ok(cases)
}
