//! Three months of history: from blocks of a Prometheus, in questions that it answers, and from archives of whisper files.
//! Forwarded, stored as far as the window reaches, never judged.

use crate::rig::{Endless, LIMIT, Points, at, copies, is_whole, job_is, number, same};
use anyhow::{Context as _, ensure};
use skyline_peers::graphite_web::GraphiteWeb;
use skyline_peers::http::{Reply, Server};
use skyline_peers::prometheus::{PASSWORD, Prometheus, USER};
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually_true, http, load, long, now};
use std::time::Duration;

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
/// Between two points of Prometheus, seconds: as far as it looks back.
const STEP: i64 = 300;
/// The slots of whisper files with the days that they reach back.
const ARCHIVES: [(u32, u32); 3] = [(60, 1), (300, 7), (1_800, 90)];

fn node(sink: &Sink, job: &str) -> anyhow::Result<Node> {
    let job = format!("{{ name = \"old\", every_seconds = 1, {job} }}");
    Setup::window()
        .file("password", PASSWORD)
        .with("relay.destinations", format!("[{:?}]", sink.destination()))
        .with("vista.enabled", true)
        .with("vista.fetch", format!("[{job}]"))
        .start()
}

/// The window has what is expected and not older than a day, and nothing of it was judged; a point that is sent is.
fn in_the_window_and_not_judged(node: &Node, name: &str, expected: &Points) -> anyhow::Result<()> {
    let mut window = Points::new();
    let newest = expected.keys().next_back().copied().context("nothing is expected")?;
    eventually_true(LIMIT, &format!("{name} in the window"), || {
        window = node.series(name).unwrap_or_default().iter().map(|(ts, v)| (*ts as i64, *v)).collect();
        window.contains_key(&newest)
    })?;
    let oldest = now() - DAY;
    ensure!(window.keys().all(|ts| *ts > oldest - 2 * HOUR), "{name}: older points than the window reaches");
    window.retain(|ts, _| *ts > oldest + HOUR);
    let expected = expected.range(oldest + HOUR + 1..).map(|(ts, value)| (*ts, *value)).collect();
    same(name, "the window", &window, &expected)?;
    let judged = || node.status().map(|status| status.number("/window/judged"));
    ensure!(judged()? == 0, "{} points of history were judged", judged()?);
    load::bytes(node.plaintext(), format!("{name} 5 {}\n", now()))?;
    eventually_true(LIMIT, "a point that was sent is judged", || judged().is_ok_and(|judged| judged == 1))
}

#[test]
fn of_a_prometheus() -> anyhow::Result<()> {
    let end = (now() - HOUR) / STEP * STEP;
    let start = end - 90 * DAY + 2 * HOUR;
    let value = |ts: i64, offset: i64| ((ts / STEP) % 1_000 + offset) as f64;
    // Two hours of each day and all of the last, or all days.
    let is_there = |ts: i64| long() || ts > end - DAY || ts.rem_euclid(DAY) < 2 * HOUR;
    let points = |offset| -> Vec<(i64, f64)> {
        (start..=end)
            .step_by(STEP as usize)
            .filter(|ts| is_there(*ts))
            .map(|ts| (ts, value(ts, offset)))
            .collect()
    };
    let (a, b) = (points(1), points(2));
    let prometheus = Prometheus::holding("load", &[("{instance=\"a\"}", &a), ("{instance=\"b\"}", &b)])?;
    let sink = Sink::start(Protocol::Pickle)?;
    let node = node(
        &sink,
        &format!(
            "kind = \"prometheus\", url = \"http://{}\", user = \"{USER}\", password_file = \"password\", target = \"load\", \
             store_as = \"old.{{instance}}\", step_seconds = {STEP}, history = [\"90days\"]",
            prometheus.address
        ),
    )?;
    let done = job_is(&node, "old", "two runs", |job| number(job, "/runs") >= 2)?;
    // 25,920 points of each series.
    let questions = number(&done, "/questions");
    ensure!((3..=4).contains(&questions) && done["failures"] == serde_json::json!({}), "{done}");
    for (name, points) in [("old.a", &a), ("old.b", &b)] {
        let mut expected: Points = points.iter().copied().collect();
        // What it has five minutes after the last point before a gap.
        for (ts, value) in points {
            expected.entry(ts + STEP).or_insert(*value);
        }
        eventually_true(LIMIT, &format!("all of {name}"), || sink.series(name).len() >= expected.len())?;
        same(name, "the sink", &at(&sink, name), &expected)?;
        if name == "old.a" {
            in_the_window_and_not_judged(&node, name, &expected)?;
        }
    }
    ensure!(copies(&sink) == 0, "{} points came twice", copies(&sink));
    println!("{} points of 90 days in {} questions", sink.distinct(), number(&done, "/questions"));
    ensure!(number(&done, "/points/live") == 0, "{done}");
    node.balanced()?;
    Ok(())
}

#[test]
fn in_parts_where_an_answer_is_too_long() -> anyhow::Result<()> {
    let server = Endless::start(60, 3, |_| true)?;
    let sink = Sink::start(Protocol::Pickle)?;
    // 43,200 points, of some 17 bytes each.
    let node = node(
        &sink,
        &format!(
            "url = \"{}\", target = \"t\", store_as = \"old.{{target}}\", history = [\"10days\"], max_body_bytes = 100000",
            server.server.url()
        ),
    )?;
    let done = job_is(&node, "old", "two runs", |job| number(job, "/runs") >= 2)?;
    ensure!(done["failures"] == serde_json::json!({}), "{done}");
    let (until, asked) = (number(&done, "/asked_until"), server.asked("t"));
    let from =
        asked.first().and_then(|asked| asked.field("from")?.parse::<i64>().ok()).context("no question")?;
    ensure!((8..40).contains(&asked.len()), "{} questions", asked.len());
    for series in 0..3 {
        let name = format!("old.t.{series}");
        eventually_true(LIMIT, &name, || sink.series(&name).contains_key(&(until / 60 * 60)))?;
        is_whole(&sink, &name, (from + 1, until), 60)?;
    }
    ensure!(copies(&sink) == 0, "{} points came twice", copies(&sink));
    println!("{} points in {} questions", sink.distinct(), asked.len());
    Ok(())
}

#[test]
fn of_whisper_files() -> anyhow::Result<()> {
    let now_before = now();
    let end = (now_before - HOUR) / 1_800 * 1_800;
    let value = |ts: i64| ((ts / 1_800) % 1_000) as f64;
    let step = |ts: i64| {
        let finest = ARCHIVES.iter().find(|(_, days)| now_before - ts < i64::from(*days) * DAY);
        finest.map_or(1_800, |(step, _)| i64::from(*step))
    };
    let points: Vec<(i64, f64)> = (end - 90 * DAY..end)
        .step_by(60)
        .filter(|ts| ts % step(*ts) == 0)
        .map(|ts| (ts, value(ts)))
        .collect();
    let graphite = GraphiteWeb::start()?;
    graphite.write_archives(&ARCHIVES, &[("shop.checkout", &points)])?;
    // A question takes a while, and archives reach back no further than the job asks.
    let to = graphite.address;
    let slow = Server::start(move |request| {
        std::thread::sleep(Duration::from_millis(1_500));
        match http::get(to, &format!("{}?{}", request.path, request.query)) {
            Ok(answer) => Reply::text(answer.status, &answer.text()),
            Err(error) => Reply::text(502, &error.to_string()),
        }
    })?;
    let sink = Sink::start(Protocol::Pickle)?;
    let begun = now();
    let node = node(
        &sink,
        &format!(
            "url = \"{}\", target = \"shop.checkout\", store_as = \"old.checkout\", \
             history = [\"90days\", \"7days\", \"24hours\", \"6hours\"]",
            slow.url()
        ),
    )?;
    let done = job_is(&node, "old", "two runs", |job| number(job, "/runs") >= 2)?;
    let ended = now();
    ensure!(
        (4..=5).contains(&number(&done, "/questions")) && done["failures"] == serde_json::json!({}),
        "{done}"
    );
    // What each piece comes from: the finest archive that reaches to its beginning.
    let grid = |ts: i64, now: i64| match now - ts {
        age if age < DAY - 60 => 60,
        age if age < 7 * DAY - 60 => 300,
        _ => 1_800,
    };
    // When exactly the job asked is not known.
    let is_clear = |ts: i64| grid(ts, begun) == grid(ts, ended) && ts > ended - 90 * DAY + HOUR;
    let is_expected = |ts: &i64| is_clear(*ts) && ts % grid(*ts, ended) == 0;
    let expected: Points = (begun - 90 * DAY..end)
        .map(|ts| ts / 60 * 60)
        .step_by(60)
        .filter(is_expected)
        .map(|ts| (ts, value(ts)))
        .collect();
    let newest = expected.keys().next_back().copied().context("nothing is expected")?;
    eventually_true(LIMIT, "all of it", || sink.series("old.checkout").contains_key(&newest))?;
    let mut found = at(&sink, "old.checkout");
    found.retain(|ts, _| is_clear(*ts));
    same("old.checkout", "the sink", &found, &expected)?;
    println!("{} points of 90 days in {} questions", sink.distinct(), number(&done, "/questions"));
    ensure!(copies(&sink) == 0, "{} points came twice", copies(&sink));
    in_the_window_and_not_judged(&node, "old.checkout", &expected)?;
    ensure!(number(&done, "/points/live") == 0, "{done}");
    node.balanced()?;
    Ok(())
}
