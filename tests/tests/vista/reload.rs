//! Jobs that change while the node runs: SIGHUP and `skyline reload`.

use crate::rig::{Endless, LIMIT, at, copies, job, job_is, number, said, vista};
use anyhow::ensure;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually_true, now};
use std::process::Command;

fn row(name: &str, server: &Endless, target: &str, more: &str) -> String {
    format!(
        "{{ name = \"{name}\", url = \"{}\", target = \"{target}\", store_as = \"{name}.{{target}}\", every_seconds = 1{more} }}",
        server.server.url()
    )
}

fn set(node: &Node, rows: &[&String]) -> anyhow::Result<()> {
    let rows: Vec<_> = rows.iter().map(|row| row.as_str()).collect();
    node.set("vista.fetch", format!("[{}]", rows.join(", ")))
}

/// Fails if a question for a target comes while a neighbour, which asks as often, runs three times more.
fn is_left_alone(node: &Node, server: &Endless, target: &str, neighbour: &str) -> anyhow::Result<()> {
    let before = server.asked(target).len();
    let runs = number(&job(node, neighbour)?, "/runs");
    job_is(node, neighbour, "it runs on", |job| number(job, "/runs") >= runs + 3)?;
    let after = server.asked(target).len();
    ensure!(after == before, "{} questions for {target}, which is not asked for any more", after - before);
    Ok(())
}

#[test]
fn jobs_come_change_and_go() -> anyhow::Result<()> {
    let server = Endless::start(1, 1, |_| true)?;
    let sink = Sink::start(Protocol::Lines)?;
    let stays = row("stays", &server, "a", "");
    let changes = row("changes", &server, "b", "");
    let goes = row("goes", &server, "c", "");
    let mut node = Setup::relay([sink.destination()])
        .with("vista.enabled", true)
        .with("vista.skip_current_minute", false)
        .with("vista.fetch", format!("[{stays}, {changes}, {goes}]"))
        .start()?;
    for name in ["stays", "changes", "goes"] {
        job_is(&node, name, "it runs", |job| number(job, "/runs") >= 2)?;
    }
    let runs = number(&job(&node, "stays")?, "/runs");

    // SIGHUP: one changes, one goes, one comes.
    let changed = row("changes", &server, "d", "");
    let comes = row("comes", &server, "e", "");
    set(&node, &[&stays, &changed, &comes])?;
    node.process.signal(libc::SIGHUP);
    job_is(&node, "comes", "it runs", |job| number(job, "/runs") >= 2)?;
    job_is(&node, "changes", "it runs", |job| job["target"] == "d" && number(job, "/runs") >= 4)?;
    for target in ["b", "c"] {
        is_left_alone(&node, &server, target, "stays")?;
    }
    ensure!(job(&node, "goes").is_err(), "a job that is gone is shown");
    eventually_true(LIMIT, "the others' points", || {
        !at(&sink, "changes.d.0").is_empty() && !at(&sink, "comes.e.0").is_empty()
    })?;
    let kept = job_is(&node, "stays", "it runs on", |job| number(job, "/runs") > runs)?;
    ensure!(kept["failures"] == serde_json::json!({}), "{kept}");
    let log = node.process.log();
    ensure!(log.contains("a vista job is gone") && log.contains("goes"), "{log}");

    // What cannot be done changes nothing.
    let bad = row("changes", &server, "f", ", user = \"u\", password_file = \"nowhere\"");
    set(&node, &[&bad])?;
    let refused = node.reload().unwrap_err().to_string();
    ensure!(refused.contains("nowhere"), "{refused}");
    let runs = number(&job(&node, "comes")?, "/runs");
    job_is(&node, "comes", "it runs on", |job| number(job, "/runs") > runs)?;
    ensure!(server.asked("f").is_empty(), "settings that were refused are in force");

    // One that comes back goes on where it was: no hole, nothing twice.
    let left = at(&sink, "goes.c.0").keys().next_back().copied().unwrap_or(0);
    let back = now();
    set(&node, &[&stays, &changed, &comes, &goes])?;
    node.reload()?;
    job_is(&node, "goes", "it has come back", |job| number(job, "/asked_until") > back)?;
    eventually_true(LIMIT, "its newest points", || at(&sink, "goes.c.0").contains_key(&back))?;
    let came = at(&sink, "goes.c.0");
    ensure!(left > 0 && (left..=back).all(|ts| came.contains_key(&ts)), "a hole since {left}: {came:?}");
    ensure!(copies(&sink) == 0, "{} points came twice", copies(&sink));

    // One that is gone for long is forgotten.
    set(&node, &[&stays])?;
    node.reload()?;
    let file = |name: &str| node.folder().join(format!("state/vista/{name}.json"));
    ensure!(file("goes").exists() && file("comes").exists(), "forgotten at once");
    let touch = Command::new("touch").args(["-d", "31 days ago"]).arg(file("goes")).status()?;
    ensure!(touch.success());
    node.reload()?;
    ensure!(!file("goes").exists() && file("comes").exists() && file("stays").exists(), "the files of jobs");
    ensure!(node.process.log().contains("is forgotten"), "{}", node.process.log());
    set(&node, &[])?;
    node.reload()?;
    let status = vista(&node, &["status"])?;
    ensure!(!said(&status).contains("stays"), "{}", said(&status));
    let asked = server.asked("a").len();
    set(&node, &[&comes])?;
    node.reload()?;
    job_is(&node, "comes", "it has come back", |job| number(job, "/runs") >= 3)?;
    ensure!(server.asked("a").len() == asked, "a job that is gone asks");
    node.balanced()?;
    node.stop(LIMIT)?;
    Ok(())
}

#[test]
fn credentials_are_read_again() -> anyhow::Result<()> {
    let server = Endless::start(1, 1, |request| request.header("authorization") == "Bearer second")?;
    let sink = Sink::start(Protocol::Lines)?;
    let job_row = row("guarded", &server, "a", ", token_file = \"token\"");
    let node = Setup::relay([sink.destination()])
        .file("token", "first")
        .with("vista.enabled", true)
        .with("vista.fetch", format!("[{job_row}]"))
        .start()?;
    let failing = job_is(&node, "guarded", "it fails", |job| number(job, "/failures_in_a_row") >= 1)?;
    ensure!(failing["last_error"].as_str().unwrap_or_default().contains("token_file"), "{failing}");
    std::fs::write(node.folder().join("token"), "second")?;
    node.reload()?;
    let well = job_is(&node, "guarded", "it runs", |job| number(job, "/runs") >= 1)?;
    ensure!(well["state"] != "failing" && number(&well, "/failures/status") >= 1, "{well}");
    Ok(())
}
