//! `skyline graph`: pictures of what `skyline seed` brought, and what is said where there are none.

use skyline_tests::node::{Node, Setup, binary};
use std::process::{Command, Output};

const METRIC: &str = "horizon.test.pickle";

fn run(node: &Node, arguments: &[&str]) -> anyhow::Result<Output> {
    let (command, rest) = arguments.split_first().unwrap_or((&"", &[]));
    Ok(Command::new(binary()?).arg(command).arg("--config").arg(node.config()).args(rest).output()?)
}

/// What a command said that went wrong.
fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "it did not complain");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_window_becomes_a_picture() -> anyhow::Result<()> {
    let node = Setup::window().start()?;
    anyhow::ensure!(run(&node, &["seed"])?.status.success(), "the seed has not arrived");
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (png, svg) = (file("x.png"), file("x.svg"));
    let drawn = run(&node, &["graph", METRIC, "--from", "-25h", "-o", &png, "--zone", "Europe/Zurich"])?;
    let said = String::from_utf8_lossy(&drawn.stdout).into_owned();
    anyhow::ensure!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    assert!(
        said.contains("x.png: horizon.test.pickle, ") && said.contains("Europe/Zurich, 588x308"),
        "{said}"
    );
    let bytes = std::fs::read(&png)?;
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() < 40_000, "{} bytes", bytes.len());
    // The seed ends in an anomaly, which is marked.
    let drawn = run(&node, &["graph", METRIC, "--from", "-25h", "-o", &svg, "--light", "--size", "900x400"])?;
    anyhow::ensure!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    let text = std::fs::read_to_string(&svg)?;
    assert!(text.contains("1 anomalous point") && text.contains("width=\"900\" height=\"400\""), "{text}");
    assert!(text.contains("#ffffff"), "not light");
    let piped = run(&node, &["graph", METRIC, "-o", "-"])?;
    assert!(piped.status.success() && piped.stdout.starts_with(b"\x89PNG"));
    Ok(())
}

#[test]
fn what_cannot_be_drawn_is_said() -> anyhow::Result<()> {
    let mut node = Setup::window().start()?;
    for (arguments, says) in [
        (&["graph", "not.there", "-o", "x.png"][..], "there is no metric `not.there` in the window"),
        (&["graph", METRIC, "-o", "x.gif"], "ends neither in .png nor in .svg"),
        (&["graph", METRIC, "-o", "x.png", "--from", "sometime"], "--from: `sometime`"),
        (&["graph", METRIC, "-o", "x.png", "--zone", "Europe/Atlantis"], "no time zone `Europe/Atlantis`"),
        (&["graph", METRIC, "-o", "x.png", "--size", "9x9"], "`size` is not WIDTHxHEIGHT"),
    ] {
        let said = complaint(&run(&node, arguments)?);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    node.process.kill()?;
    let said = complaint(&run(&node, &["graph", METRIC, "-o", "x.png"])?);
    assert!(said.contains("is the node running?"), "{said}");
    Ok(())
}
