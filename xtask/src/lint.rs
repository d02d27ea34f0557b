//! `cargo xtask lint`: everything that is wrong without running a test.

use crate::{cargo, tidy};

/// Runs all checks, also after one has failed.
pub(crate) fn run() -> anyhow::Result<bool> {
    let mut failed = Vec::new();
    let mut check = |name: &'static str, good: bool| {
        if !good {
            failed.push(name);
        }
    };
    check("cargo fmt", cargo::run(&mut cargo::cargo(["fmt", "--all", "--", "--check"]))?);
    check(
        "cargo fmt (fuzz)",
        cargo::run(&mut cargo::cargo(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--", "--check"]))?,
    );
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    check("cargo clippy", cargo::run(&mut cargo::cargo(clippy))?);
    let mut docs = cargo::cargo(["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    check("cargo doc", cargo::run(&mut docs)?);
    check("tidy", tidy::run()?);
    if failed.is_empty() {
        println!("lint: all good");
    } else {
        println!("lint: failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}
