//! Points that a node fetches from a real Prometheus, which wants a password, and from a real graphite-web: all of them,
//! each once; servers that go away and come back; `kill -9`.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use skyline_peers::graphite_web::GraphiteWeb;
use skyline_peers::prometheus::{PASSWORD, Prometheus, USER};
use skyline_tests::node::{Node, Setup, binary};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually, eventually_true, now};
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// Of samples in Prometheus, seconds.
const SCRAPE: i64 = 15;

type Points = BTreeMap<i64, f64>;

/// Both servers, with points of half an hour, and of a few minutes to come: so none is late.
struct Servers {
    prometheus: Prometheus,
    graphite: GraphiteWeb,
    /// Steps of their points as jobs see them.
    steps: (i64, i64),
    from: i64,
}

fn value(ts: i64, offset: i64) -> f64 {
    (ts / SCRAPE + offset) as f64 / 4.0
}

impl Servers {
    fn start(step: i64, slot: u32) -> anyhow::Result<Self> {
        let slots = i64::from(slot);
        let from = (now() - 1_800) / 60 * 60;
        let points = |step: i64, offset| -> Vec<_> {
            (from..now() + 300).step_by(step as usize).map(|ts| (ts, value(ts, offset))).collect()
        };
        let prometheus = Prometheus::holding(
            "load",
            &[("{instance=\"a:9100\"}", &points(SCRAPE, 1)), ("{instance=\"b:9100\"}", &points(SCRAPE, 2))],
        )?;
        let graphite = GraphiteWeb::start()?;
        graphite.write(slot, &[("shop.checkout", &points(slots, 3))])?;
        Ok(Self { prometheus, graphite, steps: (step, slots), from })
    }

    fn node(&self, sink: &Sink) -> Setup {
        let step = self.steps.0;
        let load = format!(
            "{{ name = \"load\", kind = \"prometheus\", url = \"http://{}\", user = \"{USER}\", password_file = \"password\", target = \"load\", store_as = \"prom.{{instance}}.load\", step_seconds = {step}, every_seconds = 1, history = [\"1h\"] }}",
            self.prometheus.address
        );
        let checkout = format!(
            "{{ name = \"checkout\", url = \"{}\", target = \"shop.checkout\", store_as = \"remote.checkout\", every_seconds = 1, history = [\"1h\", \"10minutes\"] }}",
            self.graphite.url()
        );
        Setup::window()
            .file("password", PASSWORD)
            .with("relay.destinations", format!("[{:?}]", sink.destination()))
            .with("vista.enabled", true)
            .with("vista.fetch", format!("[{load}, {checkout}]"))
    }

    /// What jobs should have brought, up to these seconds.
    fn all(&self, until: impl Fn(&str) -> i64) -> BTreeMap<&'static str, Points> {
        let of = |job, step: i64, offset| -> Points {
            (self.from..=until(job)).step_by(step as usize).map(|ts| (ts, value(ts, offset))).collect()
        };
        BTreeMap::from([
            ("prom.a:9100.load", of("load", self.steps.0, 1)),
            ("prom.b:9100.load", of("load", self.steps.0, 2)),
            ("remote.checkout", of("checkout", self.steps.1, 3)),
        ])
    }

    /// Sink and window have what the servers had up to `until`, and nothing else up to there.
    fn arrived(
        &self,
        node: &Node,
        sink: &Sink,
        until: impl Fn(&str) -> i64,
        once: bool,
    ) -> anyhow::Result<()> {
        for (name, expected) in self.all(until) {
            let last = *expected.keys().next_back().context("no point")?;
            eventually_true(LIMIT, &format!("all of {name} at the sink"), || {
                sink.series(name).contains_key(&last)
            })?;
            let came = sink.series(name);
            let twice: Vec<_> = came.iter().filter(|(_, (_, times))| *times > 1).collect();
            ensure!(!once || twice.is_empty(), "{name}: came twice: {twice:?}");
            let came: Points = came.range(..=last).map(|(ts, (value, _))| (*ts, *value)).collect();
            same(name, "the sink", &came, &expected)?;
            let mut window = Points::new();
            eventually_true(LIMIT, &format!("all of {name} in the window"), || {
                let points = node.series(name).unwrap_or_default();
                window = points.iter().map(|(ts, value)| (*ts as i64, *value)).collect();
                let has_each_once = window.len() == points.len();
                window.retain(|ts, _| *ts <= last);
                has_each_once && window.contains_key(&last)
            })?;
            same(name, "the window", &window, &expected)?;
        }
        Ok(())
    }
}

fn same(name: &str, place: &str, found: &Points, expected: &Points) -> anyhow::Result<()> {
    let missing: Vec<_> = expected.iter().filter(|(ts, _)| !found.contains_key(ts)).take(5).collect();
    let other: Vec<_> = found.iter().filter(|(ts, v)| expected.get(ts) != Some(v)).take(5).collect();
    ensure!(
        missing.is_empty() && other.is_empty(),
        "{name} in {place}: missing {missing:?}, other {other:?}"
    );
    Ok(())
}

fn vista(node: &Node, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut program = Command::new(binary()?);
    program.arg("vista").args(arguments).arg("--config").arg(node.config());
    Ok(program.current_dir(node.folder()).output()?)
}

/// A job as `skyline vista status --json` shows it.
fn job(node: &Node, name: &str) -> anyhow::Result<Value> {
    let output = vista(node, &["status", "--json"])?;
    let status: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let jobs = status.get("jobs").and_then(Value::as_array).context("no jobs")?;
    jobs.iter().find(|job| job["name"] == name).cloned().with_context(|| format!("no job {name}: {status}"))
}

fn number(job: &Value, pointer: &str) -> i64 {
    job.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// Up to where each job has asked, once it has run `runs` times and has come to `time`.
fn asked(node: &Node, runs: i64, time: i64) -> anyhow::Result<BTreeMap<&'static str, i64>> {
    let one = |name| {
        let asked = eventually(LIMIT, &format!("{runs} runs of {name}"), || {
            let job = job(node, name).ok()?;
            let asked = number(&job, "/asked_until");
            (number(&job, "/runs") >= runs && asked >= time).then_some(asked)
        });
        asked.map_err(|error| error.context(format!("{:?}", job(node, name)))).map(|asked| (name, asked))
    };
    Ok(BTreeMap::from([one("load")?, one("checkout")?]))
}

#[test]
fn all_that_is_there_but_for_the_current_minute() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let servers = Servers::start(5, 10)?;
    let node = servers.node(&sink).start()?;
    let until = asked(&node, 4, 1)?;
    ensure!(until.values().all(|until| until % 60 == 59), "{until:?}");
    servers.arrived(&node, &sink, |job| until[job], true)?;
    // Nothing of the current minute came, whatever minute it is by now.
    let until = asked(&node, 4, 1)?;
    let newest = sink.names().iter().filter_map(|name| sink.series(name).keys().next_back().copied()).max();
    ensure!(
        newest.is_some_and(|newest| until.values().any(|until| newest <= *until)),
        "{newest:?} {until:?}"
    );

    let output = vista(&node, &["test", "load"])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in
        ["load: 2 series from ", " -> prom.a:9100.load, ", " -> prom.b:9100.load, ", "nothing was stored"]
    {
        ensure!(
            output.status.success() && words.contains(part),
            "{part}: {words}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let output = vista(&node, &["test", "nobody"])?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success() && words.contains("load, checkout"), "{words}");
    let output = vista(&node, &["status"])?;
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() && words.contains("load: ") && words.contains("checkout: "), "{words}");
    let load = job(&node, "load")?;
    ensure!(load["series"] == 2 && load["failures_in_a_row"] == 0 && load["kind"] == "prometheus", "{load}");
    ensure!(number(&load, "/points/history") > 0 && number(&load, "/points/live") > 0, "{load}");
    ensure!(node.metrics()?.sum("skyline_vista_points_total", &[("job", "checkout")]) > 100.0);
    ensure!(!node.process.log().contains(PASSWORD) && !load.to_string().contains(PASSWORD), "shown");
    node.balanced()?;
    Ok(())
}

#[test]
fn gaps_are_filled_once_and_a_killed_node_goes_on() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let mut servers = Servers::start(1, 1)?;
    // Prometheus gives the newest sample for five minutes, so the points of every second are the same whenever asked.
    let mut node = servers.node(&sink).with("vista.skip_current_minute", false).start()?;
    asked(&node, 2, 1)?;
    let down = now();
    servers.prometheus.process.kill()?;
    servers.graphite.process.kill()?;
    for name in ["load", "checkout"] {
        eventually_true(LIMIT, "the job fails", || {
            job(&node, name).is_ok_and(|job| job["state"] == "failing")
        })?;
    }
    ensure!(!vista(&node, &["status"])?.status.success(), "failing jobs are called good");
    servers.prometheus.restart()?;
    servers.graphite.restart()?;
    let until = asked(&node, 3, down + 3)?;
    servers.arrived(&node, &sink, |job| until[job], true)?;
    node.balanced()?;

    node.process.kill()?;
    let before = sink.series("prom.a:9100.load").keys().next_back().copied().context("no point")?;
    node.restart()?;
    let until = asked(&node, 2, now())?;
    servers.arrived(&node, &sink, |job| until[job], false)?;
    let load = job(&node, "load")?;
    let brought = number(&load, "/points/live") + number(&load, "/points/history");
    // Two series, a second each; of those before the kill only what was in hand then.
    let most = 2 * (number(&load, "/asked_until") - before) + 20;
    ensure!(brought > 0 && brought <= most, "{brought} points, more than {most}: {load}");
    node.balanced()?;
    Ok(())
}
