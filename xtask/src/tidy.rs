//! `cargo xtask tidy`: rules that no compiler checks.

mod files;
mod layers;

use crate::cargo;

/// Prints each finding; whether there was none.
pub(crate) fn run() -> anyhow::Result<bool> {
    let root = cargo::root();
    let packages = layers::packages()?;
    let mut findings = layers::check(&packages);
    findings.extend(layers::forbidden(&layers::built()?));
    let (sources, warnings) = files::check(&root)?;
    findings.extend(sources);
    for warning in warnings {
        println!("tidy: note: {warning}");
    }
    for finding in &findings {
        println!("tidy: {finding}");
    }
    if findings.is_empty() {
        println!("tidy: all good");
    }
    Ok(findings.is_empty())
}
