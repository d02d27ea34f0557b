//! Clusters and rules of the settings: a whole node with them, before and after a reload, and as they are written
//! from carbon-c-relay's file.

use anyhow::Context as _;
use skyline_tests::node::{self, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually_true, load, now};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// What `skyline ARGUMENTS` does; it must end well.
fn skyline(arguments: &[&str], config: &Path) -> anyhow::Result<String> {
    let mut command = Command::new("timeout");
    command.arg("20").arg(node::binary()?).args(arguments).arg("--config").arg(config);
    said(&command.output().context("timeout")?)
}

fn said(output: &Output) -> anyhow::Result<String> {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    anyhow::ensure!(output.status.success(), "{:?}: {text}", output.status);
    Ok(text)
}

/// Waits until a sink has these metrics and no other.
fn has(sink: &Sink, expected: &[&str]) -> anyhow::Result<()> {
    let mut found = Vec::new();
    eventually_true(PATIENCE, &format!("metrics {expected:?}"), || {
        found = sink.names();
        found.sort();
        found == expected
    })
    .with_context(|| format!("found {found:?}"))
}

#[test]
fn rules_of_the_settings_are_followed_and_reloaded() -> anyhow::Result<()> {
    let (west, east) = (Sink::start(Protocol::Lines)?, Sink::start(Protocol::Pickle)?);
    let clusters = format!(
        "[{{ name = 'west', destinations = ['{}'] }}, {{ name = 'east', kind = 'carbon_ch', destinations = [{{ address = '{}', protocol = 'pickle' }}] }}]",
        west.address(),
        east.address(),
    );
    let rules = "[\
        { match = '*.tmp.**', discard = 'blackhole' }, \
        { rewrite = { prefix = 'old.' }, into = 'new.' }, \
        { match = 'new.*.cpu', aggregate = [{ name = 'all.cpu', function = 'sum' }], every_seconds = 1, keep_seconds = 60 }, \
        { match = ['all.**', { regex = '^new' }], send_to = 'west', stop = true }, \
        { send_to = 'east' }]";
    let setup = Setup::relay::<String>([]).with("relay.cluster", clusters).with("relay.rule", rules);
    let node = setup.start()?;
    let at = now() - 5;
    let lines = ["old.a.cpu", "old.b.cpu", "x.tmp.y", "other"].map(|name| format!("{name} 2 {at}\n"));
    load::bytes(node.plaintext(), lines.concat())?;
    has(&west, &["all.cpu", "new.a.cpu", "new.b.cpu"])?;
    has(&east, &["other"])?;
    node.balanced()?;
    let told = skyline(&["route", "old.a.cpu"], &node.config())?;
    let steps = ["is renamed to new.a.cpu", "is an input of all.cpu", "goes to west"];
    assert!(steps.iter().all(|step| told.contains(step)), "{told}");

    // A rule with a fault changes nothing, and is named with its place.
    let before = std::fs::read_to_string(node.config())?;
    std::fs::write(node.config(), before.replace("send_to = 'west'", "send_to = 'wset'"))?;
    let refused = skyline(&["reload"], &node.config()).unwrap_err().to_string();
    assert!(refused.contains("relay.rule 4") && refused.contains("did you mean `west`?"), "{refused}");
    std::fs::write(node.config(), before.replace("send_to = 'east'", "match = 'other', send_to = 'west'"))?;
    let said = skyline(&["reload"], &node.config())?;
    assert!(!said.contains("note: the node reads"), "{said}");
    // The same settings in another file are not the ones that the node reads.
    let other = node.folder().join("other.toml");
    std::fs::copy(node.config(), &other)?;
    let said = skyline(&["reload"], &other)?;
    assert!(said.contains(&format!("note: the node reads {}", node.config().display())), "{said}");
    load::bytes(node.plaintext(), format!("other 3 {at}\n"))?;
    has(&west, &["all.cpu", "new.a.cpu", "new.b.cpu", "other"])?;
    Ok(())
}

#[test]
fn settings_written_of_a_relays_file_are_good_and_relay_as_it_does() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let folder = tempfile::tempdir()?;
    let (conf, settings) = (folder.path().join("relay.conf"), folder.path().join("skyline.toml"));
    let text = format!(
        "cluster one any_of {};\nrewrite ^old\\. into new.;\nmatch ^new send to one stop;\nmatch * send to blackhole;\n",
        sink.address()
    );
    std::fs::write(&conf, text)?;
    let mut command = Command::new(node::binary()?);
    command.arg("convert").arg("--c-relay-conf").arg(&conf).arg("-o").arg(&settings);
    let told = said(&command.output()?)?;
    assert!(told.contains("1 destination, 1 cluster, 3 rules") && told.contains("check --config"), "{told}");
    let relayed = |arguments: &[&str]| -> anyhow::Result<String> {
        let mut command = Command::new(node::binary()?);
        said(&command.arg("route").args(["old.x", "y"]).args(arguments).output()?)
    };
    let (conf, settings) = (conf.display().to_string(), settings.display().to_string());
    let native = relayed(&["--config", &settings])?;
    assert_eq!(native, relayed(&["--c-relay-conf", &conf])?);
    assert!(native.contains("is renamed to new.x") && native.contains("is thrown away"), "{native}");
    Ok(())
}
