//! Settings that are wrong: `skyline check` names each, and `skyline run` starts nothing.

#![expect(clippy::unwrap_used, reason = "functions of a test: a failure is the finding")]

use anyhow::Context as _;
use skyline_tests::node::{self, Setup};
use skyline_tests::port;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::Duration;

/// What `skyline COMMAND --config FILE` does with `settings`, and a state folder of its own.
fn skyline(command: &str, settings: &str) -> anyhow::Result<Output> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("skyline.toml");
    let state = format!("node.state_dir = {:?}\n", folder.path().join("state"));
    let ports = format!(
        "http.api = [\"{}\"]\nhttp.status = [\"{}\"]\nlisten.pickle_tcp = []\n",
        port::free(),
        port::free()
    );
    let default =
        |key: &str, line: &str| if settings.contains(key) { String::new() } else { line.to_owned() };
    let text = [
        default("state_dir", &state),
        default("http.", &ports),
        default("plaintext_tcp", &format!("listen.plaintext_tcp = [\"{}\"]\n", port::free())),
        settings.to_owned(),
    ];
    std::fs::write(&file, text.concat())?;
    // A node that starts in spite of everything is ended by `timeout`.
    let mut process = Command::new("timeout");
    process.arg("10").arg(node::binary()?).arg(command).arg("--config").arg(&file);
    process.output().context("timeout")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Both commands refuse `settings`; what they print has all of `names`.
#[track_caller]
fn check(settings: &str, names: &[&str]) {
    let checked = skyline("check", settings).unwrap();
    let said = text(&checked);
    assert_eq!(checked.status.code().map(|code| code != 0), Some(true), "check takes {settings}: {said}");
    for name in names {
        assert!(said.contains(name), "check of {settings} does not say {name}: {said}");
    }
    let ran = skyline("run", settings).unwrap();
    let said = text(&ran);
    assert_eq!(ran.status.code(), Some(64), "run with {settings}: {said}");
    assert!(
        names.iter().any(|name| said.contains(name)),
        "run with {settings} does not say {names:?}: {said}"
    );
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn wrong_settings_are_named_and_start_nothing() {
    check("listen.plaintext_tpc = []\n", &["plaintext_tpc", "plaintext_tcp"]);
    check("[relay]\nmethod = \"rondom\"\n", &["method"]);
    check("node.shutdown_seconds = \"ten\"\n", &["shutdown_seconds"]);
    check("listen.plaintext_tcp = [\"127.0.0.1\"]\n", &["plaintext_tcp"]);
    check("listen.max_connections = -1\n", &["max_connections"]);
    check("relay.destinations = [\"127.0.0.1\"]\n", &["destinations"]);
    check("relay.destinations = [\"127.0.0.1:2004:smoke:signals\"]\n", &["destinations"]);
    check("detect.algorithms = [\"histogram_bin\"]\n", &["algorithms", "histogram_bins"]);
    check("detect.consensus = 12\n", &["consensus"]);
    check("window.full_duration_seconds = 0\n", &["full_duration_seconds"]);
    check("journal.segment_bytes = 0\n", &["segment_bytes"]);
    check("http.api = [\"0.0.0.0:1500\"]\n", &["http.api"]);
    check("[relay\n", &["toml"]);
}

#[test]
fn several_mistakes_are_all_told_at_once() {
    let output =
        skyline("check", "listen.plaintext_tpc = []\ndetect.consensus = 12\nnode.colour = \"blue\"\n")
            .unwrap();
    let said = text(&output);
    for name in ["plaintext_tpc", "colour"] {
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn good_settings_pass() {
    let output = skyline("check", "window.enabled = true\n").unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind(port::free()).unwrap();
    let address = taken.local_addr().unwrap();
    let settings = format!("listen.plaintext_tcp = [\"{address}\"]\n");
    let output = skyline("run", &settings).unwrap();
    assert!(!output.status.success() && output.status.code() != Some(124), "{}", text(&output));
    assert!(text(&output).contains(&address.to_string()), "{}", text(&output));
}

#[test]
fn two_nodes_cannot_have_one_state() -> anyhow::Result<()> {
    let mut node = Setup::window().start()?;
    let settings = format!("node.state_dir = {:?}\n", node.folder().join("state"));
    let output = skyline("run", &settings)?;
    assert!(!output.status.success() && output.status.code() != Some(124), "{}", text(&output));
    assert!(text(&output).contains("state"), "{}", text(&output));
    node.process.must_run()?;
    assert!(node.stop(Duration::from_secs(15))?.success());
    Ok(())
}
