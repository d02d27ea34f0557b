//! Who may use whom. Dependencies point down only, and some crates may not come in at all.

use crate::cargo;
use anyhow::Context as _;
use serde::Deserialize;

/// Each of our crates with those of ours that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("skyline-core", &[]),
    ("skyline-certificate", &[]),
    ("skyline-conf", &["skyline-core"]),
    ("skyline-journal", &["skyline-core", "skyline-conf"]),
    ("skyline-store", &["skyline-core", "skyline-conf"]),
    ("skyline-mirror", &["skyline-core", "skyline-conf", "skyline-journal", "skyline-store"]),
    ("skyline-relay", &["skyline-core", "skyline-certificate", "skyline-conf", "skyline-journal"]),
    ("skyline-flux", &["skyline-core", "skyline-conf", "skyline-relay"]),
    ("skyline-detect", &["skyline-core", "skyline-conf", "skyline-store"]),
    ("skyline-sql", &["skyline-core", "skyline-conf"]),
    ("skyline-upstream", &["skyline-core", "skyline-certificate", "skyline-conf"]),
    (
        "skyline-vista",
        &[
            "skyline-core",
            "skyline-conf",
            "skyline-relay",
            "skyline-upstream",
            "skyline-store",
            "skyline-sql",
        ],
    ),
    ("skyline-render-proxy", &["skyline-core", "skyline-conf", "skyline-upstream"]),
    (
        "skyline-alerting",
        &["skyline-core", "skyline-conf", "skyline-upstream", "skyline-render-proxy", "skyline-sql"],
    ),
    (
        "skyline-webapp",
        &[
            "skyline-core",
            "skyline-conf",
            "skyline-store",
            "skyline-sql",
            "skyline-render-proxy",
            "skyline-alerting",
        ],
    ),
    ("carbon-load", &["skyline-core"]),
    ("skyline-peers", &[]),
    ("xtask", &["skyline-peers"]),
];

/// They know all, and nobody may know them.
const TOP: [&str; 3] = ["skyline-node", "skyline-tests", "conformance"];

/// Crates that may not come in, and why.
const FORBIDDEN: [(&str, &str); 3] = [
    ("openssl-sys", "TLS is rustls"),
    ("aws-lc-rs", "the TLS provider is ring: aws-lc-rs needs cmake and builds for minutes"),
    ("chrono", "time is jiff"),
];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A crate of the workspace.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// None: an ordinary one; else `dev` or `build`.
    kind: Option<String>,
}

/// The crates of the workspace.
pub(super) fn packages() -> anyhow::Result<Vec<Package>> {
    let output = cargo::cargo(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .output()
        .context("cargo metadata cannot be started")?;
    anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    Ok(metadata.packages)
}

/// Dependencies that point up or sideways.
pub(super) fn check(packages: &[Package]) -> Vec<String> {
    let ours = |name: &str| packages.iter().any(|p| p.name == name);
    let mut findings = Vec::new();
    for package in packages {
        let allowed = MAY_USE.iter().find(|(name, _)| *name == package.name).map(|(_, allowed)| *allowed);
        if allowed.is_none() && !TOP.contains(&package.name.as_str()) {
            findings.push(format!("{}: not in the table of xtask/src/tidy/layers.rs: add it", package.name));
            continue;
        }
        // A test may look down further than its crate, so dev-dependencies are free.
        let used = package.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev") && ours(&d.name));
        for dependency in used {
            let good = match allowed {
                Some(allowed) => allowed.contains(&dependency.name.as_str()),
                None => !TOP.contains(&dependency.name.as_str()),
            };
            if !good {
                findings.push(format!("{} may not use {}", package.name, dependency.name));
            }
        }
    }
    findings
}

/// Every crate that is built, a line each. The lock file has more: what others could use if they were told to.
pub(super) fn built() -> anyhow::Result<String> {
    let output = cargo::cargo(["tree", "--workspace", "--target", "all", "--prefix", "none", "--locked"])
        .output()
        .context("cargo tree cannot be started")?;
    anyhow::ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Forbidden crates among those that are [`built`].
pub(super) fn forbidden(built: &str) -> Vec<String> {
    FORBIDDEN
        .iter()
        .filter(|(name, _)| built.lines().any(|line| line.split(' ').next() == Some(name)))
        .map(|(name, why)| format!("{name} may not come in: {why}; see `cargo tree -i {name}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, uses: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).into(),
            kind: kind.map(Into::into),
        };
        Package { name: name.into(), dependencies: uses.iter().map(dependency).collect() }
    }

    #[test]
    fn only_downwards() {
        let found = |name: &str, uses: &[(&str, Option<&str>)], expected: usize| {
            let all = ["skyline-core", "skyline-journal", "skyline-relay", "skyline-detect", "skyline-node"];
            let mut packages: Vec<_> = all.iter().filter(|n| **n != name).map(|n| package(n, &[])).collect();
            packages.push(package(name, uses));
            assert_eq!(check(&packages).len(), expected, "{name} {uses:?}");
        };
        found("skyline-relay", &[("skyline-core", None), ("skyline-journal", None), ("bytes", None)], 0);
        found("skyline-relay", &[("skyline-detect", None)], 1);
        found("skyline-relay", &[("skyline-detect", Some("dev"))], 0);
        found("skyline-relay", &[("skyline-detect", Some("build"))], 1);
        found("skyline-detect", &[("skyline-relay", None), ("skyline-node", None)], 2);
        found("skyline-node", &[("skyline-relay", None), ("skyline-detect", None)], 0);
        found("skyline-core", &[("skyline-node", None)], 1);
        found("skyline-unheard-of", &[], 1);
    }

    #[test]
    fn forbidden_crates_are_found_by_their_whole_name() {
        assert_eq!(forbidden("serde v1.0.0\nchrono v0.4.45\n").len(), 1);
        assert_eq!(forbidden("chrono-english v0.1.0 (*)\n").len(), 0);
    }
}
