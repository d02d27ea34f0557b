//! A real Prometheus, which wants a password, and a real graphite-web, with the points that jobs should bring.

use crate::rig::{LIMIT, Points, job, number, same};
use anyhow::{Context as _, ensure};
use skyline_peers::graphite_web::GraphiteWeb;
use skyline_peers::prometheus::{PASSWORD, Prometheus, USER};
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::Sink;
use skyline_tests::{eventually, eventually_true, now, size};
use std::collections::BTreeMap;
use std::time::Duration;

/// So many seconds of points to come the servers have, unless a scenario of full size takes longer.
const AHEAD: i64 = 300;
/// Of samples in Prometheus, seconds.
const SCRAPE: i64 = 15;

/// Both servers, with points of half an hour, and of a few minutes to come: so none is late.
pub(crate) struct Servers {
    pub(crate) prometheus: Prometheus,
    pub(crate) graphite: GraphiteWeb,
    /// Steps of their points as jobs see them.
    steps: (i64, i64),
    from: i64,
}

/// The value of a series at a time.
fn value(ts: i64, offset: i64) -> f64 {
    (ts / SCRAPE + offset) as f64 / 4.0
}

impl Servers {
    pub(crate) fn start(step: i64, slot: u32) -> anyhow::Result<Self> {
        let slots = i64::from(slot);
        let from = (now() - 1_800) / 60 * 60;
        let points = |step: i64, offset| -> Vec<_> {
            (from..now() + AHEAD.max(size(0, 3_000) as i64))
                .step_by(step as usize)
                .map(|ts| (ts, value(ts, offset)))
                .collect()
        };
        let prometheus = Prometheus::holding(
            "load",
            &[("{instance=\"a:9100\"}", &points(SCRAPE, 1)), ("{instance=\"b:9100\"}", &points(SCRAPE, 2))],
        )?;
        let graphite = GraphiteWeb::start()?;
        graphite.write(slot, &[("shop.checkout", &points(slots, 3))])?;
        Ok(Self { prometheus, graphite, steps: (step, slots), from })
    }

    pub(crate) fn node(&self, sink: &Sink) -> Setup {
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
    pub(crate) fn all(&self, until: impl Fn(&str) -> i64) -> BTreeMap<&'static str, Points> {
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
    pub(crate) fn arrived(
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

/// Up to where each job has asked, once it has run `runs` times and has come to `time`.
pub(crate) fn asked(node: &Node, runs: i64, time: i64) -> anyhow::Result<BTreeMap<&'static str, i64>> {
    // After a long outage a job is asked again minutes later.
    let limit = LIMIT.max(Duration::from_secs(size(0, 400)));
    let one = |name| {
        let asked = eventually(limit, &format!("{runs} runs of {name}"), || {
            let job = job(node, name).ok()?;
            let asked = number(&job, "/asked_until");
            (number(&job, "/runs") >= runs && asked >= time).then_some(asked)
        });
        asked.map_err(|error| error.context(format!("{:?}", job(node, name)))).map(|asked| (name, asked))
    };
    Ok(BTreeMap::from([one("load")?, one("checkout")?]))
}
