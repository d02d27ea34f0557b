//! `skyline version`.

use super::output::say;

/// Prints it, as text or as one JSON object.
pub(super) fn version(json: bool) -> anyhow::Result<()> {
    say!("{}", text(json))
}

fn text(json: bool) -> String {
    let (version, system) =
        (env!("CARGO_PKG_VERSION"), format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS));
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    if json {
        serde_json::json!({ "name": "skyline", "version": version, "system": system, "build": build })
            .to_string()
    } else {
        format!("skyline {version} ({system}, {build})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_have_the_version() {
        let version = env!("CARGO_PKG_VERSION");
        assert!(text(false).starts_with(&format!("skyline {version} (")));
        let json: serde_json::Value = serde_json::from_str(&text(true)).unwrap();
        assert_eq!(json["version"], version);
    }
}
