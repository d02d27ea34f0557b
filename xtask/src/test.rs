//! `cargo xtask test`: every test there is, and one line that sums it up.

pub(crate) mod packages;
mod tally;

use crate::{cargo, fuzz};
use clap::Args;
use skyline_peers::mariadb::{self, MariaDb};
use skyline_peers::schemathesis;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread::ScopedJoinHandle;
use tally::{Summary, Tally};

/// Case files of the shared folder, with the name by which the conformance program knows them.
const CASES: &[(&str, &str)] = &[
    ("line", "line-cases.jsonl"),
    ("pickle", "pickle-cases.jsonl"),
    ("algorithm", "algorithm-cases.jsonl"),
    ("rules", "rules-cases.jsonl"),
    ("rewrite", "rewrite-cases.jsonl"),
    ("aggregation", "aggregation-cases.jsonl"),
    ("carbon-conf", "carbon-conf-cases.jsonl"),
    ("hash-ring", "hash-ring-cases.jsonl"),
    ("protobuf", "protobuf-cases.jsonl"),
    ("crelay-clean", "crelay-clean-cases.jsonl"),
    ("crelay-route", "crelay-route-cases.jsonl"),
    ("attime", "attime-cases.jsonl"),
    ("fetch", "fetch-cases.jsonl"),
    ("render-json", "render-json-cases.jsonl"),
    ("find", "find-cases.jsonl"),
];

/// Which tests, and how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Full sizes: a million points through an outage, a hundred kills
    #[arg(long)]
    long: bool,
    /// Seconds for the drive of each decoder and reader of files, one for each processor at a time; 0: none
    #[arg(long, value_name = "N", default_value_t = 5, env = "SKYLINE_FUZZ_SECONDS")]
    fuzz_seconds: u64,
    /// Only tests whose name contains this; then neither cases nor drives are run
    filter: Option<String>,
}

/// Runs everything, also after something has failed; whether all passed.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    packages::install(&packages::ALL)?;
    if let Err(error) = schemathesis::install(&|text| println!("{text}")) {
        // Without a network the other tests are worth their time; those that need it fail.
        println!("{error:#}");
    }
    let mut tally = Tally::default();
    tests(options, &mut tally)?;
    match &options.filter {
        Some(filter) => anyhow::ensure!(!tally.is_empty(), "no test's name contains `{filter}`"),
        None => cases_and_drives(options, &mut tally)?,
    }
    if options.filter.is_none() && !shared_data().is_dir() {
        println!(
            "not run: the shared cases, for want of {} (SHARED_DATA names another)",
            shared_data().display()
        );
    }
    let failures = tally.failures();
    if !failures.is_empty() {
        println!("failed: {}", failures.join(", "));
    }
    // The last line is read by programs.
    println!("{}", tally.line());
    Ok(failures.is_empty())
}

fn tests(options: &Options, tally: &mut Tally) -> anyhow::Result<()> {
    // Built first and apart, so that the tests that start it do not wait for each other's builds.
    if !cargo::run(&mut cargo::cargo(["build", "--workspace", "--bins", "--locked"]))? {
        tally.add("build", Summary::failure());
        return Ok(());
    }
    // One for all of them: each test makes a database of its own.
    let database = MariaDb::start()?;
    let set_up = |command: &mut Command| {
        command.env("SKYLINE_BIN", cargo::target().join("debug/skyline"));
        command.env(mariadb::VARIABLE, database.socket());
        if options.long {
            command.env("SKYLINE_LONG", "1");
        }
    };
    if cargo::has_subcommand("nextest") {
        let profile = if options.long { "long" } else { "default" };
        let mut command = cargo::cargo(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]);
        command.args(["--config-file", "xtask/nextest.toml", "--profile", profile, "--no-tests", "pass"]);
        command.args(&options.filter);
        set_up(&mut command);
        tally.add("tests", tally::watch(&mut command, tally::nextest)?);
        // Examples in documentation are not nextest's.
        let mut command = cargo::cargo(["test", "--doc", "--workspace", "--locked", "--no-fail-fast"]);
        command.args(&options.filter);
        tally.add("examples in documentation", tally::watch(&mut command, tally::cargo_test)?);
    } else {
        println!(
            "cargo-nextest is not installed: using cargo test (to install it: cargo install cargo-nextest --locked)"
        );
        let mut command = cargo::cargo(["test", "--workspace", "--locked", "--no-fail-fast"]);
        command.args(&options.filter);
        set_up(&mut command);
        tally.add("tests", tally::watch(&mut command, tally::cargo_test)?);
    }
    Ok(())
}

/// Folder of the shared cases: beside the project, unless `SHARED_DATA` names it.
fn shared_data() -> PathBuf {
    std::env::var_os("SHARED_DATA").map_or_else(|| cargo::root().join("../shared/data"), PathBuf::from)
}

fn cases_and_drives(options: &Options, tally: &mut Tally) -> anyhow::Result<()> {
    let folder = shared_data();
    let cases = folder.is_dir();
    if !cases && options.fuzz_seconds == 0 {
        return Ok(());
    }
    // With the checks of a debug build, which is there already: drives have fewer inputs, and find more in each.
    let bin = cargo::target().join("debug");
    if cases {
        for (kind, file) in CASES {
            let mut command = cargo::program(bin.join("conformance"));
            command.arg(kind).arg(folder.join(file));
            tally.add(&format!("cases: {kind}"), tally::watch(&mut command, tally::plain)?);
        }
    }
    if options.fuzz_seconds > 0 {
        drives(&bin.join("drive"), options.fuzz_seconds, tally)?;
    }
    Ok(())
}

/// Drives all targets, one for each processor at a time.
fn drives(drive: &Path, seconds: u64, tally: &mut Tally) -> anyhow::Result<()> {
    let left = Mutex::new(fuzz::TARGETS.iter());
    let next = || left.lock().ok().and_then(|mut left| left.next());
    let worker = || {
        let mut done = Vec::new();
        while let Some(target) = next() {
            let mut command = cargo::program(drive);
            command.args([target, "--seconds", &seconds.to_string()]);
            done.push((target, tally::watch(&mut command, tally::plain)?));
        }
        anyhow::Ok(done)
    };
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let all: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        running.into_iter().map(ScopedJoinHandle::join).collect()
    });
    for one in all {
        for (target, summary) in one.map_err(|_| anyhow::anyhow!("a drive ended early"))?? {
            tally.add(&format!("drive: {target}"), summary);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn every_target_is_driven_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let drive = folder.path().join("drive");
        let script = "#!/bin/sh\n[ $1 = lz4 ] && exit 1\n[ $3 = 7 ] && echo '1 passed, 0 failed'\n";
        std::fs::write(&drive, script).unwrap();
        std::fs::set_permissions(&drive, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut tally = Tally::default();
        drives(&drive, 7, &mut tally).unwrap();
        assert_eq!(tally.line(), format!("{} passed, 1 failed", fuzz::TARGETS.len() - 1));
        assert_eq!(tally.failures(), ["drive: lz4"]);
    }
}
