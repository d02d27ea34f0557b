//! What can go wrong before the first point: no index, questions that fail, folders that cannot be read, a server that says back
//! what it was asked with, and a node that does not fill at all.

use crate::rig::{Form, History, LIMIT, backfill, fake, has_all, history, number, report};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use skyline_peers::http::{Reply, Request, Server};
use skyline_tests::node::Setup;
use skyline_tests::peer::sink::{Protocol, destination};
use skyline_tests::{eventually, eventually_true, port};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const PASSWORD: &str = "hunter2-of-a-test";
/// The beginning of it and its user, as they are sent.
const SENT: &str = "dTpodW50ZXIyLW9mLWEtdGVzd";

fn impatient() -> Setup {
    Setup::window()
        .with("backfill.attempts", 3)
        .with("backfill.retry_seconds", 0.02)
        .with("backfill.requests_per_second", 1_000)
}

/// What a Graphite finds one part below a pattern that ends in `*`.
fn found(history: &History, pattern: &str) -> Reply {
    let prefix = pattern.trim_end_matches('*');
    let mut entries: Vec<Value> = Vec::new();
    for name in history.keys() {
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        let (part, is_leaf) = rest.split_once('.').map_or((rest, 1), |(part, _)| (part, 0));
        let entry = json!({ "id": format!("{prefix}{part}"), "leaf": is_leaf });
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    Reply::json(200, &entries.into())
}

/// A Graphite without an index, some of whose questions get `answer`.
fn without_index(
    history: &Arc<History>,
    answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
) -> anyhow::Result<Server> {
    let history = Arc::clone(history);
    Server::start(move |request: Request| {
        if let Some(reply) = answer(&request) {
            return reply;
        }
        match request.path.as_str() {
            "/metrics/index.json" => Reply::text(404, "no such page"),
            "/metrics/find" => found(&history, &request.field("query").unwrap_or_default()),
            _ => Form::of(&request).answered(&history),
        }
    })
}

fn is_find(request: &Request) -> bool {
    request.path == "/metrics/find"
}

#[test]
fn questions_for_names_are_asked_again() -> anyhow::Result<()> {
    let history = Arc::new(history(30));
    let finds = AtomicU64::new(0);
    // Two of three fail.
    let server = without_index(&history, move |request| {
        (is_find(request) && finds.fetch_add(1, Relaxed) % 3 != 2).then(|| Reply::text(503, "later"))
    })?;
    let node = impatient().start()?;
    let report = report(&node, &["--graphite", &format!("http://{}", server.address)])?;
    // `*`, `shop.*`, and one a host.
    ensure!(number(&report, "/counts/failures") == 1 + 2 * 32, "{report}");
    has_all(&node, &history, &report)?;
    Ok(())
}

#[test]
fn too_many_levels_are_told() -> anyhow::Result<()> {
    let server = without_index(&Arc::default(), |request| {
        let branch = |i: u32| json!({ "id": format!("b{i}"), "leaf": 0 });
        is_find(request).then(|| Reply::json(200, &(0..200_000).map(branch).collect::<Vec<_>>().into()))
    })?;
    let node = impatient().start()?;
    let report = report(&node, &["--graphite", &format!("http://{}", server.address)])?;
    let error = report["error"].as_str().unwrap_or_default();
    ensure!(report["phase"] == "failed" && error.contains("more than 200000 levels"), "{report}");
    ensure!(number(&report, "/counts/requests") == 2, "it asks on: {report}");
    Ok(())
}

/// A server that says back what it was asked with: in no file, log or answer is the password.
#[test]
fn what_a_server_says_back_is_not_told() -> anyhow::Result<()> {
    let history = Arc::new(history(3));
    let echo = |request: &Request, status| Some(Reply::text(status, request.header("authorization")));
    let find = without_index(&history, move |request| {
        // The index as JSON, which is no list.
        let said = json!(request.header("authorization"));
        if is_find(request) { echo(request, 401) } else { Some(Reply::json(200, &said)) }
    })?;
    let points = without_index(
        &history,
        move |request| {
            if request.path == "/render" { echo(request, 400) } else { None }
        },
    )?;
    let setup = |server: &Server| {
        let url = format!("http://{}", server.address);
        let server = format!("[{{ url = {url:?}, user = \"u\", password_file = \"password\" }}]");
        impatient().file("password", PASSWORD).with("graphite.server", server).with("node.log", "\"debug\"")
    };
    for (server, words) in [(&find, "it answered 401"), (&points, "it answered 400")] {
        let node = setup(server).start()?;
        let output = backfill(&node, &[])?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(!output.status.success() && told.contains(words), "{told}");
        ensure!(told.contains("(its words hold a credential)"), "{told}");
        let json = report(&node, &["--status"])?.to_string();
        let file = std::fs::read_to_string(node.folder().join("state/backfill.json"))?;
        let status = String::from_utf8_lossy(&node.command("status")?.stdout).into_owned();
        for all in [told, json, file, status, node.process.log()] {
            ensure!(!all.contains(PASSWORD) && !all.contains(SENT), "told: {all}");
        }
    }
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_read_is_no_success() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // Deeper than is looked: root may read whatever permissions say.
    std::fs::create_dir_all(folder.path().join("d/".repeat(70)))?;
    std::fs::write(folder.path().join("m.wsp"), crate::whisper_file(&[]))?;
    let node = Setup::window().start()?;
    let output = backfill(&node, &["--whisper", folder.path().to_str().context("path")?])?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        told.contains("done: 1 of 1 metric") && told.contains("1 folders that could not be read"),
        "{told}"
    );
    ensure!(told.contains(&format!("\nfrom files in {}, 20", folder.path().display())), "{told}");
    ensure!(!output.status.success(), "success: {told}");
    let doctor = String::from_utf8_lossy(&node.command("doctor")?.stdout).into_owned();
    ensure!(doctor.contains("folders that could not be read: 1"), "{doctor}");
    Ok(())
}

#[test]
fn a_node_that_fills_nothing_says_so() -> anyhow::Result<()> {
    let away = destination(port::free(), Protocol::Lines);
    let node = Setup::relay([away]).start()?;
    for arguments in [&["--cancel"][..], &["--status"], &[]] {
        let output = backfill(&node, arguments)?;
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(
            !output.status.success() && told.contains("this node keeps no windows"),
            "{arguments:?}: {told}"
        );
    }
    Ok(())
}

#[test]
fn a_list_that_is_damaged_is_told() -> anyhow::Result<()> {
    let server = fake(&Arc::new(history(60)), |_| None)?;
    let mut node = Setup::window().with("backfill.metrics_per_request", 1).start()?;
    let url = format!("http://{}", server.address);
    ensure!(backfill(&node, &["--graphite", &url, "--rate", "5", "--detach"])?.status.success(), "not begun");
    eventually_true(LIMIT, "some metrics", || {
        report(&node, &["--status"]).is_ok_and(|found| number(&found, "/position") > 0)
    })?;
    node.stop(LIMIT)?;
    std::fs::write(node.folder().join("state/backfill.names"), "")?;
    node.restart()?;
    let failed = eventually(LIMIT, "its end", || {
        report(&node, &["--status"]).ok().filter(|found| found["phase"] == "failed")
    })?;
    ensure!(failed.to_string().contains("is damaged: 60 metrics were listed, and it has 0"), "{failed}");
    Ok(())
}
