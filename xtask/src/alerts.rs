//! `cargo xtask alerts`: pictures of messages and charts for the documentation.

use crate::cargo;

/// Takes them anew; they are to be looked at before they are committed.
pub(crate) fn run() -> anyhow::Result<bool> {
    let example =
        ["run", "--locked", "--package", "skyline-alerting", "--example", "messages", "--", "docs/alerts"];
    cargo::run(&mut cargo::cargo(example))
}
