//! What docs/stores.md tells administrators to type is enough, on real servers.

use anyhow::Context as _;
use skyline_peers::mariadb::MariaDb;
use skyline_peers::redis::{Options, Redis};
use skyline_tests::node::{Node, Setup};
use skyline_tests::{day, eventually_true};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(40);

/// The block of the document that is marked as this language.
fn block(language: &str) -> anyhow::Result<String> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/stores.md");
    let text = std::fs::read_to_string(document)?;
    let (_, rest) =
        text.split_once(&format!("```{language}\n")).with_context(|| format!("no block {language}"))?;
    let (block, _) = rest.split_once("```").context("a block without an end")?;
    Ok(block.replace("PASSWORD", "geheim"))
}

/// A file with the password.
fn password(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join("password");
    std::fs::write(&file, "geheim\n")?;
    Ok(format!("{file:?}"))
}

fn sum(node: &Node, name: &str) -> f64 {
    node.metrics().map_or(0.0, |metrics| metrics.sum(name, &[]))
}

#[test]
fn the_rights_in_redis_are_enough() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let redis = Redis::start_with(&Options { password: Some("admin".to_owned()), ..Options::default() })?;
    let line = block("redis")?;
    let words: Vec<_> = line.split_whitespace().collect();
    redis.cli(&words)?;
    for (layout, figure) in
        [("compat", "skyline_redis_points_total"), ("chunks", "skyline_mirror_hand_outs_total")]
    {
        let mut node = Setup::window()
            .with("redis.servers", format!("[{:?}]", redis.tcp()))
            .with("redis.user", "\"skyline\"")
            .with("redis.password_file", password(folder.path())?)
            .with("redis.layout", format!("{layout:?}"))
            .with("redis.write_seconds", 10.0)
            .with("redis.trim_seconds", 1.0)
            .start()?;
        // One of its own: what the other layout has left is taken over too, and a day may begin a minute later now.
        let metric = format!("shop.{layout}.errors");
        day::send(&node, std::slice::from_ref(&metric))?;
        eventually_true(SOON, &format!("{layout}: the copy is written"), || sum(&node, figure) > 0.0)?;
        if layout == "compat" {
            eventually_true(SOON, "keys are trimmed", || {
                sum(&node, "skyline_redis_trim_rounds_total") >= 2.0
            })?;
        }
        // Windows come back on an empty disk.
        assert!(node.stop(SOON)?.success());
        std::fs::remove_dir_all(node.folder().join("state"))?;
        node.restart()?;
        eventually_true(SOON, &format!("{layout}: windows are taken"), || {
            node.series(&metric).is_ok_and(|points| points.len() == day::MINUTES as usize)
        })?;
        // Keys are compared with the windows first.
        eventually_true(SOON, &format!("{layout}: all is well with Redis"), || {
            let doctor = node.command("doctor").map(|output| output.stdout).unwrap_or_default();
            let doctor = String::from_utf8_lossy(&doctor).into_owned();
            let of_redis: Vec<_> = doctor.lines().filter(|line| line.contains(" redis: ")).collect();
            of_redis.len() >= 2 && of_redis.iter().all(|line| line.starts_with("ok"))
        })?;
        assert!(node.stop(SOON)?.success());
        assert_eq!(redis.cli(&["ACL", "LOG"])?.trim(), "", "{layout}: a right is missing");
    }
    Ok(())
}

#[test]
fn the_rights_in_mariadb_are_enough() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = MariaDb::start()?;
    server.database()?.run(&block("sql")?)?;
    let mut node = Setup::window()
        .with("record.server", format!("\"mysql:///skyline?socket={}\"", server.socket().display()))
        .with("record.user", "\"skyline\"")
        .with("record.password_file", password(folder.path())?)
        .start()?;
    let seed = |more: &[&str]| -> anyhow::Result<()> {
        let mut command = Command::new(skyline_tests::node::binary()?);
        let output = command.arg("seed").arg("--config").arg(node.config()).args(more).output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        Ok(())
    };
    seed(&[])?;
    assert_eq!(node.anomalies("horizon.test.pickle")?.len(), 1);
    seed(&["--remove"])?;
    assert!(node.anomalies("horizon.test.pickle")?.is_empty());
    let doctor = String::from_utf8(node.command("doctor")?.stdout)?;
    assert!(doctor.lines().any(|line| line.starts_with("ok       record: mysql:///skyline")), "{doctor}");
    assert!(!doctor.contains("geheim"), "{doctor}");
    assert!(node.stop(SOON)?.success());
    assert!(!node.process.log().contains("geheim"));
    Ok(())
}
