//! A Prometheus that remote-writes: over an outage, samples out of order, samples that nobody takes, a key with a rate.
//! Nothing is lost, and nothing is sent again and again.

use anyhow::ensure;
use skyline_peers::http::{Reply, Server};
use skyline_peers::prometheus::Prometheus;
use skyline_tests::flux::{KEY, flux};
use skyline_tests::node::Setup;
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually_true, now};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);
/// Series of a [`Late`] whose samples come out of order.
const SERIES: i64 = 5;
/// Older samples are refused where this is set, seconds.
const MAX_AGE: i64 = 8;

fn remote_write(to: SocketAddr) -> String {
    format!("http://{to}/api/v1/write")
}

#[test]
fn nothing_is_lost_over_an_outage() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let (mut node, to) = flux(Setup::relay([sink.destination()]), "")?;
    let prometheus = Prometheus::start(&remote_write(to), KEY)?;
    let name = format!("up;instance={};job=own", prometheus.address);
    eventually_true(LIMIT, "samples arrive", || sink.series(&name).len() >= 2)?;
    node.process.kill()?;
    let scraped = || prometheus.figure("prometheus_target_interval_length_seconds_count");
    let enough = scraped()? + 4.0;
    eventually_true(LIMIT, "it scrapes meanwhile", || scraped().is_ok_and(|n| n >= enough))?;
    node.restart()?;
    let newer_than = |time: i64| sink.series(&name).keys().last().is_some_and(|last| *last > time);
    let back = now();
    eventually_true(LIMIT, "samples of after the outage arrive", || newer_than(back + 2))?;
    let times: Vec<i64> = sink.series(&name).keys().copied().collect();
    let holes = times.windows(2).filter(|w| matches!(w, [a, b] if b - a > 2)).count();
    ensure!(holes == 0, "there is a hole: {times:?}");
    let failed = prometheus.figure("prometheus_remote_storage_samples_failed_total")?;
    let dropped = prometheus.figure("prometheus_remote_storage_samples_dropped_total")?;
    ensure!(failed == 0.0 && dropped == 0.0, "{failed} failed, {dropped} dropped");
    // No spiral: once it has caught up nothing is sent twice.
    let retried = prometheus.figure("prometheus_remote_storage_samples_retried_total")?;
    let caught_up = now();
    eventually_true(LIMIT, "more samples arrive", || newer_than(caught_up + 2))?;
    ensure!(prometheus.figure("prometheus_remote_storage_samples_retried_total")? == retried);
    node.balanced()?;
    Ok(())
}

/// What a [`Late`] has given out: values by (series, time).
type Given = BTreeMap<(String, i64), f64>;

/// A target whose samples have times of their own, three of four out of order.
///
/// A Prometheus sends only samples of after its own start, so the times are those of the next seconds.
struct Late {
    server: Server,
    given: Arc<Mutex<Given>>,
}

impl Late {
    fn start() -> anyhow::Result<Self> {
        let given: Arc<Mutex<Given>> = Arc::default();
        let server = {
            let (given, count) = (Arc::clone(&given), Mutex::new((0_i64, 0)));
            Server::start(move |_| {
                let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
                let (base, n) = &mut *count;
                if *n == 0 {
                    *base = now() + 2;
                }
                let place = [3, 1, 2, 0].get(*n as usize % 4).copied().unwrap_or_default();
                let ts = *base + *n / 4 * 4 + place;
                let mut text = String::new();
                let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
                for series in 0..SERIES {
                    let (series, value) = (format!("late{{n=\"{series}\"}}"), 10 * *n + series);
                    text.push_str(&format!("{series} {value} {}\n", ts * 1_000));
                    given.insert((series, ts), value as f64);
                }
                *n += 1;
                Reply::text(200, &text)
            })?
        };
        Ok(Self { server, given })
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many samples of each series from now.
    fn gives(&self, more: usize) -> anyhow::Result<()> {
        let least = self.given().len() + more * SERIES as usize;
        eventually_true(LIMIT, "it is scraped", || self.given().len() >= least)
    }

    /// Waits until all that has been given out of times after `since` is at the sink; nothing of it more than `most`
    /// times. The number of samples that are not there, because they are older.
    fn arrives(&self, sink: &Sink, since: i64, most: u32) -> anyhow::Result<usize> {
        let given = self.given().clone();
        let instance = self.server.address;
        let at_sink =
            || (0..SERIES).map(|n| sink.series(&format!("late;instance={instance};job=late;n={n}")));
        let missing = || {
            let all: Vec<_> = at_sink().collect();
            let is_there = |series: &str, ts: &i64, value: &f64| {
                let n = series.chars().find_map(|c| c.to_digit(10)).unwrap_or_default() as usize;
                all.get(n).and_then(|s| s.get(ts)).is_some_and(|(v, _)| v == value)
            };
            let missing = given.iter().filter(|((series, ts), value)| !is_there(series, ts, value));
            missing.map(|((_, ts), _)| *ts).collect::<Vec<_>>()
        };
        eventually_true(LIMIT, "every sample is at the sink", || missing().iter().all(|ts| *ts <= since))?;
        let times = at_sink().flat_map(|s| s.into_values().map(|(_, n)| n)).max().unwrap_or_default();
        ensure!(times <= most, "a sample came {times} times");
        Ok(missing().len())
    }
}

#[test]
fn samples_out_of_order_are_taken() -> anyhow::Result<()> {
    let (sink, late) = (Sink::start(Protocol::Lines)?, Late::start()?);
    let (mut node, to) = flux(Setup::relay([sink.destination()]), "")?;
    let prometheus = Prometheus::late(&remote_write(to), KEY, late.server.address)?;
    late.gives(5)?;
    late.arrives(&sink, 0, 1)?;
    node.process.kill()?;
    late.gives(5)?;
    node.restart()?;
    late.gives(2)?;
    // What was taken and not yet answered or acknowledged when it was killed comes twice, from Prometheus or from here.
    late.arrives(&sink, 0, 3)?;
    let failed = prometheus.figure("prometheus_remote_storage_samples_failed_total")?;
    ensure!(failed == 0.0, "{failed} failed");
    let disorder = prometheus.figure("prometheus_tsdb_head_out_of_order_samples_appended_total")?;
    ensure!(disorder > 10.0, "only {disorder} were out of order");
    node.balanced()?;
    Ok(())
}

#[test]
fn samples_that_are_too_old_are_sent_once() -> anyhow::Result<()> {
    let (sink, late) = (Sink::start(Protocol::Lines)?, Late::start()?);
    let setup = Setup::relay([sink.destination()]).with("flux.max_age_seconds", MAX_AGE);
    let (mut node, to) = flux(setup, "")?;
    let prometheus = Prometheus::late(&remote_write(to), KEY, late.server.address)?;
    late.gives(3)?;
    late.arrives(&sink, 0, 1)?;
    node.process.kill()?;
    late.gives(2 * MAX_AGE as usize)?;
    node.restart()?;
    let back = now();
    late.gives(3)?;
    // Prometheus may have been waiting for a moment when it was back.
    let missing = late.arrives(&sink, back - MAX_AGE + 3, 3)?;
    ensure!(missing > 0, "none was too old");
    let refused = || anyhow::Ok(node.balanced()?.refused("old"));
    let retried = || prometheus.figure("prometheus_remote_storage_samples_retried_total");
    let before = (refused()?, retried()?);
    // Of each of ours, at most one that Prometheus makes about the scrape.
    ensure!(
        before.0 >= missing as u64 && before.0 <= 2 * missing as u64 + 10,
        "{} refused, {missing} missing",
        before.0
    );
    late.gives(3)?;
    ensure!((refused()?, retried()?) == before, "what was refused is sent again");
    ensure!(prometheus.figure("prometheus_remote_storage_samples_failed_total")? > 0.0);
    let log = prometheus.process.log();
    ensure!(log.contains("server returned HTTP status 400") && log.contains("seconds ago"), "{log}");
    Ok(())
}

#[test]
fn a_key_with_a_rate_makes_it_wait() -> anyhow::Result<()> {
    let (sink, late) = (Sink::start(Protocol::Lines)?, Late::start()?);
    // A scrape is ten samples: five of the target, five of Prometheus about it.
    let more = ", points_per_second = 30, burst_points = 30";
    let (mut node, to) = flux(Setup::relay([sink.destination()]), more)?;
    let prometheus = Prometheus::late(&remote_write(to), KEY, late.server.address)?;
    late.gives(2)?;
    late.arrives(&sink, 0, 1)?;
    node.process.kill()?;
    late.gives(8)?;
    node.restart()?;
    let limited =
        || node.metrics().is_ok_and(|m| m.sum("skyline_flux_requests_total", &[("status", "429")]) > 0.0);
    eventually_true(LIMIT, "it is told to wait", limited)?;
    late.arrives(&sink, 0, 3)?;
    let failed = prometheus.figure("prometheus_remote_storage_samples_failed_total")?;
    ensure!(failed == 0.0, "{failed} failed");
    node.balanced()?;
    Ok(())
}
