//! Windows of a running node that are filled from a real graphite-web, from the same whisper files, and from servers
//! that are slow, broken, or no Graphite at all; killed in between and gone on with.

mod beside;
mod full;
mod listing;
mod redis;
mod rig;

use anyhow::{Context as _, ensure};
use rig::{History, LIMIT, backfill, counts, fake, has_all, history, nothing_came_in, number, report};
use serde_json::{Value, json};
use skyline_peers::graphite_web::GraphiteWeb;
use skyline_peers::http::{Reply, Request, Server};
use skyline_peers::process::Process;
use skyline_tests::node::{Node, Setup, binary};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{day, eventually_true, load, now, size};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[expect(clippy::print_stdout, reason = "the figures of the run")]
fn say(what: &str, node: &Node, report: &Value) {
    let seconds = report["seconds"].as_f64().unwrap_or(0.0).max(1e-3);
    let (requests, points) = (number(report, "/counts/requests"), number(report, "/counts/points"));
    println!(
        "{what}: {} metrics, {points} points in {seconds:.1} s: {requests} requests, {:.2} a second, {:.0} points a second, {} MiB at most",
        number(report, "/metrics"),
        requests as f64 / seconds,
        points as f64 / seconds,
        node.process.memory("VmHWM") >> 20
    );
}

#[test]
fn from_graphite_and_from_its_files() -> anyhow::Result<()> {
    let graphite = GraphiteWeb::start()?;
    let history = history(size(500, 10_000));
    let all: Vec<_> = history.iter().map(|(name, points)| (name.as_str(), points.as_slice())).collect();
    for part in all.chunks(500) {
        graphite.write_finest(60, part)?;
    }
    let sink = Sink::start(Protocol::Lines)?;
    let node = Setup::window()
        .with("relay.destinations", format!("[{:?}]", sink.destination()))
        .with("graphite.server", format!("[{{ url = {:?} }}]", graphite.url()))
        .start()?;
    let report = report(&node, &["--from", "-24h", "--rate", "8"])?;
    say("from graphite-web", &node, &report);
    has_all(&node, &history, &report)?;
    nothing_came_in(&node, &sink)?;
    let seconds = report["seconds"].as_f64().context("no time")?;
    let requests = number(&report, "/counts/requests");
    ensure!(requests as f64 <= 8.0 * seconds + 2.0, "{requests} requests in {seconds} s");
    ensure!(counts(&report)[1] == counts(&report)[0] && counts(&report)[3] == 0, "{report}");
    // Again: all is there.
    let again = self::report(&node, &["--select", "shop.host0000*.latency"])?;
    let [points, stored, there, refused] = counts(&again);
    ensure!(number(&again, "/metrics") == 10 && points == there && stored + refused == 0, "{again}");
    // And judged at once.
    let bad = "shop.host00007.latency";
    day::bad_point(&node, bad)?;
    sink.has(1, LIMIT)?;
    ensure!(sink.names() == [bad] && node.status()?.received() == 1, "{:?}", sink.names());

    let sink = Sink::start(Protocol::Lines)?;
    let node = Setup::window().with("relay.destinations", format!("[{:?}]", sink.destination())).start()?;
    let files = graphite.whisper();
    std::fs::write(files.join("shop/foreign.wsp"), "<html>")?;
    let report = self::report(&node, &["--whisper", files.to_str().context("path")?])?;
    say("from files", &node, &report);
    ensure!(
        number(&report, "/counts/failed") == 1 && number(&report, "/position") == history.len() as u64 + 1,
        "{report}"
    );
    ensure!(report["troubles"][0]["metric"] == "shop/foreign.wsp", "{report}");
    std::fs::remove_file(files.join("shop/foreign.wsp"))?;
    let again = self::report(&node, &["--whisper", files.to_str().context("path")?])?;
    ensure!(counts(&again)[1] == 0, "{again}");
    has_all(&node, &history, &again)?;
    nothing_came_in(&node, &sink)?;
    day::bad_point(&node, bad)?;
    Ok(())
}

#[test]
fn killed_in_between_it_goes_on() -> anyhow::Result<()> {
    let history = Arc::new(history(120));
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let server = fake(&history, move |names| {
        count.fetch_add(names.len() as u64, Relaxed);
        None
    })?;
    let url = format!("http://{}", server.address);
    let sink = Sink::start(Protocol::Lines)?;
    let mut node = Setup::window()
        .with("relay.destinations", format!("[{:?}]", sink.destination()))
        .with("backfill.metrics_per_request", 2)
        .start()?;
    // Live points win, whatever comes of them later.
    let name = "shop.host00003.latency";
    let (live, _) = history[name][700];
    let begun = backfill(&node, &["--graphite", &url, "--rate", "20", "--detach"])?;
    ensure!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
    let second = backfill(&node, &["--graphite", &url])?;
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(!second.status.success() && words.contains("--cancel"), "{words}");
    for _ in 0..2 {
        let before = asked.load(Relaxed);
        eventually_true(LIMIT, "some more metrics", || asked.load(Relaxed) >= before + 20)?;
        node.process.kill()?;
        node.restart()?;
    }
    let mut last = Value::Null;
    eventually_true(LIMIT, "the end", || {
        last = report(&node, &["--status"]).unwrap_or_default();
        last["phase"] == "done"
    })?;
    has_all(&node, &history, &last)?;
    nothing_came_in(&node, &sink)?;
    ensure!(number(&last, "/resumed") >= 1, "{last}");
    let [points, stored, there, refused] = counts(&last);
    ensure!(points == stored + there + refused, "{last}");
    // What was in hand at each kill is asked for again, and no more.
    let twice = asked.load(Relaxed) - 120;
    ensure!(twice <= 2 * 3 * 2, "{twice} metrics were asked for twice");
    ensure!(node.series(name)?.iter().any(|(ts, _)| *ts as i64 == live), "the point is not there");
    ensure!(!node.folder().join("state/backfill.names").exists(), "the list is still there");
    Ok(())
}

#[test]
fn live_points_win() -> anyhow::Result<()> {
    let history = Arc::new(history(3));
    let server = fake(&history, |_| None)?;
    let node = Setup::window().start()?;
    let name = "shop.host00001.latency";
    let live: Vec<i64> = [100, 700, 1_439].iter().map(|i| history[name][*i].0).collect();
    let lines: String = live.iter().map(|ts| format!("{name} 7 {ts}\n")).collect();
    load::bytes(node.plaintext(), lines)?;
    eventually_true(LIMIT, "the live points", || node.series(name).is_ok_and(|points| points.len() == 3))?;
    let report = report(&node, &["--graphite", &format!("http://{}/", server.address)])?;
    ensure!(report["phase"] == "done" && counts(&report)[2] == 3, "{report}");
    eventually_true(LIMIT, "the others", || node.series(name).is_ok_and(|points| points.len() > 1_400))?;
    let sevens: Vec<i64> =
        node.series(name)?.iter().filter(|(_, value)| *value == 7.0).map(|(ts, _)| *ts as i64).collect();
    ensure!(sevens == live, "{sevens:?}");
    // One that has ended is no hindrance to the next.
    for _ in 0..5 {
        let next = self::report(&node, &["--graphite", &format!("http://{}/", server.address)])?;
        ensure!(next["phase"] == "done" && counts(&next)[1] == 0, "{next}");
    }
    ensure!(node.status()?.received() == 3 && node.balanced()?.received() == 3, "received");
    day::bad_point(&node, name)?;
    // One that nobody has sent so far.
    day::bad_point(&node, "shop.host00002.latency")?;
    Ok(())
}

#[test]
fn servers_in_trouble() -> anyhow::Result<()> {
    let history = Arc::new(history(20));
    let failures = Arc::new(AtomicU64::new(0));
    let left = Arc::clone(&failures);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let bad = Arc::clone(&asked);
    let server = fake(&history, move |names| {
        if left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok() {
            return Some(Reply::text(503, "later"));
        }
        // One metric that it cannot render, and too much at once for its own proxy.
        let is_bad = names.iter().any(|name| name.contains("host00013"));
        if names.len() > 5 {
            return Some(Reply::text(413, "less"));
        }
        if is_bad {
            bad.lock().unwrap_or_else(PoisonError::into_inner).push(names.len());
        }
        is_bad.then(|| Reply::text(500, "<html>a page about an exception"))
    })?;
    let setup = Setup::window()
        .with("backfill.attempts", 3)
        .with("backfill.retry_seconds", 0.02)
        .with("backfill.requests_per_second", 500);
    let node = setup.start()?;
    failures.store(2, Relaxed);
    let url = format!("http://{}", server.address);
    let found = report(&node, &["--graphite", &url])?;
    ensure!(found["phase"] == "done" && number(&found, "/counts/failed") == 1, "{found}");
    ensure!(found["troubles"][0]["metric"] == "shop.host00013.latency", "{found}");
    ensure!(found["troubles"][0]["error"].as_str().is_some_and(|e| e.contains("500")), "{found}");
    ensure!(number(&found, "/counts/failures") >= 5 && number(&found, "/position") == 20, "{found}");
    // Halved at once, and asked again only when it was alone.
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(asked.ends_with(&[1, 1, 1]) && asked.iter().filter(|names| **names > 1).count() < 4, "{asked:?}");
    // One that fails at everything is left soon.
    let broken = fake(&history, |_| Some(Reply::text(500, "<html>a page about an exception")))?;
    let found = report(&node, &["--graphite", &format!("http://{}", broken.address)])?;
    ensure!(number(&found, "/counts/failed") == 20, "{found}");
    ensure!(number(&found, "/counts/requests") < 20 * 2 + 5, "{found}");
    // Not a Graphite, and nobody at all.
    let login = Server::start(|_| Reply::text(200, "<!DOCTYPE html><html>log in"))?;
    let found = report(&node, &["--graphite", &format!("http://{}", login.address)])?;
    ensure!(
        found["phase"] == "failed" && found["error"].as_str().is_some_and(|e| e.contains("HTML")),
        "{found}"
    );
    let nobody = format!("http://{}", skyline_tests::port::free());
    let output = backfill(&node, &["--graphite", &nobody])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        !output.status.success() && words.contains("failed:") && words.contains("see that it runs"),
        "{words}"
    );
    for (arguments, expected) in [
        (&["--from", "-1h", "--until", "-2h", "--graphite", &url][..], "until"),
        (&["--select", "a.{", "--graphite", &url], "no pattern"),
        (&["--graphite", "gopher://x"], "address"),
        (&["--whisper", "/nowhere/at/all"], "no folder"),
        (&["--from", "-9d", "--until", "-8d", "--graphite", &url], "before the window"),
        (&[], "graphite.server"),
        (&["--select", "nothing.*", "--graphite", &url], "nothing there matches"),
    ] {
        let output = backfill(&node, arguments)?;
        let words = [output.stdout, output.stderr].concat();
        let words = String::from_utf8_lossy(&words).into_owned();
        ensure!(!output.status.success() && words.contains(expected), "{arguments:?}: {words}");
    }
    Ok(())
}

#[test]
fn a_slow_server_and_a_cancelled_job() -> anyhow::Result<()> {
    let history = Arc::new(history(40));
    let server = fake(&history, |names| {
        std::thread::sleep(Duration::from_millis(50));
        names.iter().any(|name| name.contains("host00039")).then_some(Reply::Hang)
    })?;
    let node = Setup::window()
        .with(
            "graphite.server",
            format!("[{{ url = \"http://{}\", total_timeout_seconds = 1.0 }}]", server.address),
        )
        .with("backfill.attempts", 100)
        .with("backfill.metrics_per_request", 1)
        .with("backfill.retry_seconds", 0.1)
        .start()?;
    let begun = backfill(&node, &["--rate", "100", "--detach"])?;
    ensure!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
    let found = || report(&node, &["--status"]).unwrap_or_default();
    eventually_true(LIMIT, "all but the last", || number(&found(), "/position") == 39)?;
    // Others are served meanwhile.
    let time = now();
    load::bytes(node.plaintext(), format!("a 1 {time}\n"))?;
    eventually_true(LIMIT, "a live point", || node.series("a").is_ok_and(|points| points.len() == 1))?;
    ensure!(backfill(&node, &["--cancel"])?.status.success(), "not cancelled");
    eventually_true(LIMIT, "its end", || found()["phase"] == "cancelled")?;
    ensure!(!backfill(&node, &["--cancel"])?.status.success(), "cancelled twice");
    Ok(())
}

/// A whisper file of one archive with a minute a place.
pub(crate) fn whisper_file(points: &[(i64, f64)]) -> Vec<u8> {
    let words = [1, 86_400, 0.5_f32.to_bits(), 1, 28, 60, 1_440_u32];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.resize(28 + 12 * 1_440, 0);
    let first = points.first().map_or(0, |(ts, _)| *ts);
    for (ts, value) in points {
        let at = 28 + 12 * ((ts - first) / 60) as usize;
        if let Some(place) = bytes.get_mut(at..at + 12) {
            let point: Vec<u8> = (*ts as u32).to_be_bytes().into_iter().chain(value.to_be_bytes()).collect();
            place.copy_from_slice(&point);
        }
    }
    bytes
}

#[test]
fn a_folder_with_all_that_can_be_wrong() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let put = |path: &str, bytes: &[u8]| -> anyhow::Result<()> {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().context("no parent")?)?;
        Ok(std::fs::write(path, bytes)?)
    };
    let history = history(4);
    for (i, (name, points)) in history.iter().enumerate() {
        let path = name.replace('.', "/");
        put(&format!("{path}.wsp"), &whisper_file(points))?;
        // More side by side than a server may fail: files say nothing of each other.
        for n in 0..20 {
            put(&format!("shop/host{i:05}/broken{n:02}.wsp"), &whisper_file(points)[..700])?;
        }
    }
    let lies = |at: usize, word: u32| {
        let mut bytes = whisper_file(&[]);
        bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
        bytes
    };
    put("bad/counts.wsp", &lies(12, u32::MAX))?;
    put("bad/size.wsp", &lies(24, u32::MAX))?;
    put("bad/zero.wsp", &lies(24, 0))?;
    put("bad/empty.wsp", b"")?;
    put("bad/packed.wsp.gz", b"\x1f\x8b")?;
    put("ceres/a/1700000000@60.slice", b"")?;
    put("odd/a b;c.wsp", &whisper_file(&history["shop.host00000.latency"]))?;
    put("_tagged/abc/def/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.wsp", b"")?;
    std::os::unix::fs::symlink("..", folder.path().join("bad/back"))?;
    std::os::unix::fs::symlink("loop", folder.path().join("bad/loop.wsp"))?;
    ensure!(Command::new("mkfifo").arg(folder.path().join("bad/pipe.wsp")).status()?.success(), "mkfifo");
    let sink = Sink::start(Protocol::Lines)?;
    let node = Setup::window().with("relay.destinations", format!("[{:?}]", sink.destination())).start()?;
    let path = folder.path().to_str().context("path")?;
    let output = backfill(&node, &["--whisper", path])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(!output.status.success(), "not all was read: {words}");
    for part in ["bad/zero.wsp: ", "84 metrics that could not be read", "2 files that are packed or of Ceres"]
    {
        ensure!(words.contains(part), "{part}: {words}");
    }
    let found = report(&node, &["--status"])?;
    ensure!(found["phase"] == "done" && number(&found, "/metrics") == 4 + 80 + 4 + 1, "{found}");
    ensure!(number(&found, "/counts/nameless") == 3 && number(&found, "/counts/others") == 2, "{found}");
    let page = String::from_utf8_lossy(&node.command("status")?.stdout).into_owned();
    ensure!(
        page.contains("back-fill      done: 89 metrics from files in ")
            && page.contains("; 84 could not be read"),
        "{page}"
    );
    for (name, points) in &history {
        eventually_true(LIMIT, "a neighbour", || {
            node.series(name).is_ok_and(|found| found.len() >= points.len() - 5)
        })?;
    }
    nothing_came_in(&node, &sink)?;
    // Nothing but what is not read.
    let output = backfill(&node, &["--whisper", &format!("{path}/ceres")])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(!output.status.success() && words.contains("of Ceres, which are not read"), "{words}");
    Ok(())
}

#[test]
fn answers_of_every_kind() -> anyhow::Result<()> {
    let history = Arc::new(history(6));
    // Points of five minutes are taken as they are; an answer that is too long is asked for in halves.
    let lengthy = fake(&history, |names| {
        let rare = |name: &String| {
            let points: Vec<_> = (1..200).map(|i| json!([i, now() / 300 * 300 - 300 * (200 - i)])).collect();
            json!({ "target": name, "datapoints": points })
        };
        let rare = || Reply::json(200, &json!(names.iter().map(rare).collect::<Vec<_>>()));
        Some(if names.len() > 2 { Reply::text(200, &"[ ".repeat(1 << 20)) } else { rare() })
    })?;
    let node = Setup::window()
        .with("graphite.server", format!("[{{ url = {:?}, max_body_bytes = 1048576 }}]", lengthy.url()))
        .with("backfill.attempts", 2)
        .with("backfill.retry_seconds", 0.02)
        .with("backfill.requests_per_second", 500)
        .start()?;
    let filled = |answer: fn(&[String]) -> Option<Reply>| -> anyhow::Result<Value> {
        let server = fake(&history, answer)?;
        report(&node, &["--graphite", &format!("http://{}", server.address)])
    };
    let error = |report: &Value| format!("{}{}", report["error"], report["troubles"]);
    let found =
        filled(|_| Some(Reply::Answer(302, vec![("location", "http://127.0.0.1:1/".into())], Vec::new())))?;
    ensure!(found["phase"] == "failed" && error(&found).contains("it answered 302"), "{found}");
    let found = filled(|_| Some(Reply::text(400, "no such target")))?;
    ensure!(number(&found, "/counts/failed") == 6 && error(&found).contains("400"), "{found}");
    let found = filled(|_| Some(Reply::text(200, "[{\"target\": \"a\", \"datapoints\": [[1")))?;
    ensure!(number(&found, "/counts/failed") == 6 && counts(&found)[0] == 0, "{found}");
    let found = filled(|names| {
        let nulls = |name: &str| json!({ "target": name, "datapoints": [[null, now() - 60], [null, now()]] });
        Some(Reply::json(200, &json!(names.iter().map(|name| nulls(name)).collect::<Vec<_>>())))
    })?;
    ensure!(
        found["phase"] == "done" && number(&found, "/counts/empty") == 6 && counts(&found)[0] == 0,
        "{found}"
    );
    let found = filled(|names| {
        let other =
            |name: &str| json!({ "target": format!("alias of {name}"), "datapoints": [[1, now() - 60]] });
        Some(Reply::json(200, &json!(names.iter().map(|name| other(name)).collect::<Vec<_>>())))
    })?;
    ensure!(number(&found, "/counts/failed") == 6 && number(&found, "/counts/unasked") == 6, "{found}");
    ensure!(error(&found).contains("not asked for, `alias of shop.host00000.latency`"), "{found}");
    let found = report(&node, &[])?;
    ensure!(
        found["phase"] == "done" && counts(&found)[1] == 6 * 199 && number(&found, "/counts/failures") >= 1,
        "{found}"
    );
    let (name, _) = history.iter().next().context("none")?;
    eventually_true(LIMIT, "a point in five minutes", || {
        node.series(name).is_ok_and(|found| found.len() == 199)
    })?;
    ensure!(node.status()?.received() == 0 && node.balanced()?.received() == 0, "counted as received");
    Ok(())
}

/// The command that begins a back-fill, left to itself.
fn watching(node: &Node, log: &str, arguments: &[&str]) -> anyhow::Result<Process> {
    let mut program = Command::new(binary()?);
    program.arg("backfill").args(arguments).arg("--config").arg(node.config());
    Process::start(&mut program, &node.folder().join(log))
}

#[test]
fn the_command_may_end_before_and_the_node_too() -> anyhow::Result<()> {
    let history = Arc::new(history(60));
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let server = fake(&history, move |names| {
        count.fetch_add(names.len() as u64, Relaxed);
        None
    })?;
    let url = format!("http://{}", server.address);
    let mut node = Setup::window().with("backfill.metrics_per_request", 2).start()?;
    let some_more = || {
        let before = asked.load(Relaxed);
        eventually_true(LIMIT, "some more metrics", || asked.load(Relaxed) >= before + 6)
    };
    let ends = |node: &Node| {
        eventually_true(LIMIT, "the end", || {
            report(node, &["--status"]).is_ok_and(|found| found["phase"] == "done")
        })
    };
    for signal in [libc::SIGINT, libc::SIGKILL] {
        let mut command = watching(&node, "watching.log", &["--graphite", &url, "--rate", "20"])?;
        some_more()?;
        command.signal(signal);
        let code = command.wait(LIMIT)?.code();
        ensure!(code == if signal == libc::SIGINT { Some(1) } else { None }, "{code:?}: not all was read");
        some_more()?;
        ends(&node)?;
    }
    let log = std::fs::read_to_string(node.folder().join("watching.log"))?;
    ensure!(log.contains("the node goes on with it"), "{log}");
    // It stops in order, and is there again: the command waits for it, and tells the end of the same job.
    let mut command = watching(&node, "patient.log", &["--graphite", &url, "--rate", "20", "--json"])?;
    some_more()?;
    let page = String::from_utf8_lossy(&node.command("status")?.stdout).into_owned();
    ensure!(
        page.contains(&format!(" of 60 metrics from {url}, ")) && page.contains(" requests a second"),
        "{page}"
    );
    node.stop(LIMIT)?;
    node.restart()?;
    let status = command.wait(LIMIT)?;
    let told = command.log();
    let found: Value = serde_json::from_str(&told).with_context(|| told.clone())?;
    ensure!(status.success() && found["phase"] == "done" && number(&found, "/resumed") == 1, "{told}");
    ensure!(node.status()?.received() == 0 && node.balanced()?.received() == 0, "counted as received");
    Ok(())
}

/// Who was only filled in is not told as silent, after a restart neither; who was sent is.
#[test]
fn nobody_has_sent_it_still_after_a_restart() -> anyhow::Result<()> {
    let told = Arc::new(Mutex::new(String::new()));
    let all = Arc::clone(&told);
    let hook = Server::start(move |request: Request| {
        all.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&request.body));
        Reply::text(200, "ok")
    })?;
    let said = |text: &str| told.lock().unwrap_or_else(PoisonError::into_inner).contains(text);
    let last = now() - 3;
    let history: Arc<History> =
        Arc::new([("filled.only".to_owned(), (0..20).map(|i| (last - 19 + i, 1.0)).collect())].into());
    let server = fake(&history, |_| None)?;
    let mut node = Setup::window()
        .with("alerting.webhook", format!("[{{ name = \"hook\", url = {:?} }}]", hook.url()))
        .with("alerting.stale.channels", "[\"hook\"]")
        .with("alerting.stale.after_seconds", 6)
        .with("alerting.stale.every_seconds", 1)
        .with("detect.stale_seconds", 60)
        .start()?;
    let found = report(&node, &["--graphite", &format!("http://{}", server.address)])?;
    ensure!(found["phase"] == "done" && counts(&found)[1] >= 18, "{found}");
    load::bytes(node.plaintext(), format!("sent.only 1 {}\nlively 1 {}\n", now(), now()))?;
    eventually_true(LIMIT, "the points", || {
        ["sent.only", "filled.only"]
            .iter()
            .all(|name| node.series(name).is_ok_and(|points| !points.is_empty()))
    })?;
    node.stop(LIMIT)?;
    node.restart()?;
    ensure!(!said("sent.only"), "told before the restart");
    let lively = || load::bytes(node.plaintext(), format!("lively 1 {}\n", now())).is_ok();
    eventually_true(LIMIT, "that one is silent", || lively() && said("sent.only"))?;
    ensure!(!said("filled.only"), "nobody has ever sent it");
    Ok(())
}
