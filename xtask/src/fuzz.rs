//! `cargo xtask fuzz`: coverage-guided fuzzing with cargo-fuzz, on the ordinary toolchain.

use crate::cargo;
use clap::Args;

/// The targets: one file each in `fuzz/fuzz_targets`.
pub(crate) const TARGETS: [&str; 26] = [
    "vista_answers",
    "attime",
    "render_target",
    "chunk",
    "line",
    "pickle",
    "protobuf",
    "gzip",
    "lz4",
    "recover",
    "pairs",
    "carbon_conf",
    "carbon_rules",
    "c_relay",
    "relay_ng",
    "pattern",
    "replacement",
    "alert_rule",
    "alert_link",
    "flux_json",
    "flux_plain",
    "flux_influx",
    "flux_remote_write",
    "alerts_log",
    "webhook_template",
    "whisper",
];

/// What is fuzzed, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Default: all by turns
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Fuzzes.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    if !cargo::has_subcommand("fuzz") {
        println!("cargo-fuzz is not installed. Type: cargo install cargo-fuzz --locked");
        println!("Without it, this drives the same targets by blind mutation:");
        println!("  cargo run --profile perf -p skyline-tests --bin drive -- --seconds {}", options.seconds);
        return Ok(false);
    }
    let mut good = true;
    for target in TARGETS {
        if options.target.as_deref().is_some_and(|wanted| wanted != target) {
            continue;
        }
        let seeds = format!("fuzz/seeds/{target}");
        let corpus = format!("fuzz/corpus/{target}");
        std::fs::create_dir_all(cargo::root().join(&corpus))?;
        let mut command = cargo::cargo(["fuzz", "run", target, &corpus, &seeds, "--"]);
        command.arg(format!("-max_total_time={}", options.seconds));
        // The sanitizers and coverage are unstable options of the compiler that is pinned here.
        command.env("RUSTC_BOOTSTRAP", "1");
        good &= cargo::run(&mut command)?;
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_whole() {
        let folder = cargo::root().join("fuzz");
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let drive = std::fs::read_to_string(cargo::root().join("tests/src/bin/drive.rs")).unwrap();
        for target in TARGETS {
            assert!(folder.join(format!("fuzz_targets/{target}.rs")).is_file(), "{target}");
            assert!(folder.join("seeds").join(target).is_dir(), "{target}");
            assert!(manifest.contains(&format!("name = \"{target}\"\n")), "{target}");
            assert!(drive.contains(&format!("(\"{target}\", ")), "{target} is not driven");
        }
        assert_eq!(std::fs::read_dir(folder.join("fuzz_targets")).unwrap().count(), TARGETS.len());
    }
}
