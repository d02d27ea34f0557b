//! `skyline version`.

/// Prints it.
pub(super) fn version(json: bool) {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        println!("{{\"version\": \"{version}\"}}");
    } else {
        println!("skyline {version}");
    }
}
