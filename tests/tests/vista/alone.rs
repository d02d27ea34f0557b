//! Jobs that are tried before a node runs: each by itself, whatever is wrong with another.

use anyhow::ensure;
use serde_json::json;
use skyline_peers::http::{Reply, Server};
use skyline_tests::node::binary;
use std::path::Path;
use std::process::Command;

/// A command about these settings: whether it is content, and what it says.
fn run(arguments: &[&str], settings: &Path) -> anyhow::Result<(bool, String)> {
    let output = Command::new(binary()?).args(arguments).arg("--config").arg(settings).output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Ok((output.status.success(), said))
}

#[test]
fn another_job_may_be_wrong() -> anyhow::Result<()> {
    let server = Server::start(|request| {
        let is_known = request.query.contains("target=known&");
        let series = json!({ "target": "known", "datapoints": [[1.5, 1_700_000_000]] });
        Reply::json(200, &if is_known { json!([series]) } else { json!([]) })
    })?;
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("skyline.toml");
    let url = format!("url = \"http://{}\"", server.address);
    let job = |name: &str, more: &str| {
        format!(
            "[[vista.fetch]]\nname = \"{name}\"\ntarget = \"{name}\"\nstore_as = \"got.{name}\"\n{url}\n{more}\n"
        )
    };
    let jobs =
        [job("known", ""), job("none", ""), job("broken", "user = \"u\"\npassword_file = \"missing\"")];
    let text = jobs.concat();
    std::fs::write(&settings, &text)?;
    let (is_good, said) = run(&["vista", "test", "known"], &settings)?;
    ensure!(is_good && said.contains("known -> got.known, 1 points"), "{said}");
    ensure!(said.contains("next: vista.enabled = true, then "), "{said}");
    let (is_good, said) = run(&["vista", "test", "none"], &settings)?;
    ensure!(!is_good && said.contains("0 series") && said.contains("look at target"), "{said}");
    let (is_good, said) = run(&["vista", "test", "broken"], &settings)?;
    ensure!(!is_good && said.contains("missing"), "{said}");
    // Switched off, it holds no start up.
    let (_, said) = run(&["check"], &settings)?;
    let is_held_up = said.lines().any(|line| line.starts_with("problem") && line.contains("vista"));
    ensure!(!is_held_up && said.contains("broken: ") && said.contains("off: nothing is fetched"), "{said}");
    std::fs::write(&settings, format!("{text}[vista]\nenabled = true\n"))?;
    let (is_good, said) = run(&["check"], &settings)?;
    ensure!(said.matches("missing").count() == 1, "{said}");
    let line = said.lines().find(|line| line.starts_with("problem") && line.contains("missing"));
    ensure!(!is_good && line.is_some_and(|line| line.contains("at line 13, column")), "{said}");
    std::fs::write(&settings, "")?;
    let (is_good, said) = run(&["vista", "test", "known"], &settings)?;
    ensure!(!is_good && said.contains("write a [[vista.fetch]]"), "{said}");
    Ok(())
}
