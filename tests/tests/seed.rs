//! `skyline seed`: arrives, can be taken back, and stays away whatever happens then.

use skyline_tests::node::{Node, Setup, binary};
use skyline_tests::port;
use std::process::Command;

const METRIC: &str = "horizon.test.pickle";

/// Runs the command against a node; what it printed.
fn seed(node: &Node, more: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(binary()?).args(["seed", "--config"]).arg(node.config()).args(more).output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    anyhow::ensure!(output.status.success(), "seed {more:?}: {}: {said}", output.status);
    Ok(said)
}

#[test]
fn what_was_taken_back_stays_away() -> anyhow::Result<()> {
    let mut node = Setup::window().start()?;
    for round in 0..2 {
        let said = seed(&node, &[])?;
        assert!(said.contains("all arrived"), "round {round}: {said}");
        assert_eq!(node.series(METRIC)?.len(), 1_440);
        let said = seed(&node, &["--remove"])?;
        assert!(said.contains("its window and 1 of its anomalies"), "round {round}: {said}");
        node.process.kill()?;
        node.restart()?;
        assert!(node.series(METRIC)?.is_empty(), "round {round}: the seed is back");
    }
    Ok(())
}

#[test]
fn settings_that_keep_it_out_are_named() -> anyhow::Result<()> {
    for (key, value) in
        [("window.enabled", "false"), ("detect.enabled", "false"), ("window.skip", "[\"horizon\"]")]
    {
        let nowhere = port::free();
        let node = Setup::relay([nowhere]).with("window.enabled", true).with(key, value).start()?;
        let said = seed(&node, &[]).unwrap_or_else(|error| error.to_string());
        assert!(said.contains(&format!("exit status: 64: skyline: {key}")), "{key}: {said}");
    }
    Ok(())
}
