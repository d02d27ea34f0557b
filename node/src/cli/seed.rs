//! `skyline seed`: a day of minute data that ends in an anomaly, through the pickle port (or that for lines) and
//! beside any live sender, then a report of where it arrived.

use super::http;
use super::output::{counted, program, say};
use super::send::{PickleSender, Point, reachable, send_lines};
use anyhow::Context as _;
use hyper::Method;
use serde::Serialize;
use skyline_conf::model::Settings;
use skyline_conf::model::listen::Listen;
use skyline_conf::relaying;
use skyline_core::clock::Clock;
use skyline_core::name;
use std::net::SocketAddr;
use std::time::Duration;

/// The metric that the reference's installation page promises.
pub(crate) const METRIC: &str = "horizon.test.pickle";
const MINUTES: u32 = 1440;
const LINES: &str = "port for lines";
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the data, or removes it; `true` if all went well.
pub(super) async fn seed(config: &super::Config, remove: bool, json: bool) -> anyhow::Result<bool> {
    let settings = config.load()?.settings;
    let api = *settings.http.api.first().context("http.api is empty: the seed cannot be checked")?;
    http::is_node(api).await.with_context(|| {
        format!(
            "no node answers at {api} (http.api): start one with `{} run --config FILE`, and give the same \
             --config here",
            program()
        )
    })?;
    if remove {
        return self::remove(api, json).await;
    }
    can_arrive(&settings)?;
    let relaying = relaying::read(&settings)?;
    let (port, address) = port(&relaying.listen)?;
    let was_there = stored_points(api).await? > 0;
    let points = points(Clock::system().now());
    send(port, address, &points).await.with_context(|| {
        format!("{port} {address}: another program may have it; give the same arguments here as to `run`")
    })?;
    if !json {
        say!("sent {} points of {METRIC} to {address}, the last one anomalous", points.len())?;
        match relaying.routing.destinations.len() {
            0 => {}
            n => say!("the node forwards them as any others, to {}", counted(n, "destination"))?,
        }
        if was_there {
            say!("the metric was there already; `seed --remove` first begins it anew")?;
        }
    }
    let last = points.last().map_or(0.0, |(_, (ts, _))| *ts);
    // Windows that are shorter than a day hold the end of it.
    let oldest = last - f64::from(settings.window.full_duration_seconds);
    let fitting = points.iter().filter(|(_, (ts, _))| *ts > oldest).count();
    let arrival = arrival(api, fitting, last).await?;
    if json {
        say!("{}", serde_json::to_string_pretty(&arrival)?)?;
    } else {
        arrival.print(api, &config.argument())?;
    }
    Ok(arrival.is_whole())
}

/// Where the points go in: the pickle port, or the one for lines.
fn port(listen: &Listen) -> anyhow::Result<(&'static str, SocketAddr)> {
    let ports = [("pickle port", &listen.pickle_tcp), (LINES, &listen.plaintext_tcp)];
    let (port, address) = ports.into_iter().find_map(|(port, all)| Some((port, *all.first()?))).context(
        "the node listens neither for pickles nor for lines over plain TCP: switch one of them on to seed",
    )?;
    Ok((port, reachable(address)))
}

async fn send(port: &str, address: SocketAddr, points: &[Point]) -> anyhow::Result<()> {
    if port == LINES {
        send_lines(address, points).await
    } else {
        PickleSender::connect(address).await?.send(points).await
    }
}

/// Says which setting keeps the seed from a window or a verdict.
fn can_arrive(settings: &Settings) -> anyhow::Result<()> {
    let window = &settings.window;
    anyhow::ensure!(window.enabled, "window.enabled is false: this node stores nothing, the seed neither");
    anyhow::ensure!(
        settings.detect.enabled,
        "detect.enabled is false: this node judges nothing, the seed neither"
    );
    let listed = |list: &[String]| list.iter().any(|entry| name::entry_matches(entry, METRIC));
    anyhow::ensure!(
        !listed(&window.skip) || listed(&window.keep),
        "window.skip has an entry that matches {METRIC}: name it in window.keep to seed"
    );
    Ok(())
}

/// A day of a gentle curve with noise, one point a minute, then one far outside.
fn points(now: f64) -> Vec<Point> {
    let newest = (now / 60.0).floor() * 60.0;
    let mut noise = 12_345_u32;
    (0..MINUTES)
        .map(|i| {
            let ts = newest - f64::from(MINUTES - 1 - i) * 60.0;
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let jitter = f64::from(noise >> 16) / 65_536.0 * 10.0;
            let value =
                if i == MINUTES - 1 { 5_000.0 } else { 200.0 + 20.0 * (f64::from(i) / 229.0).sin() + jitter };
            (METRIC.to_owned(), (ts, (value * 1000.0).round() / 1000.0))
        })
        .collect()
}

/// Where the points arrived.
#[derive(Debug, Serialize)]
struct Arrival {
    metric: &'static str,
    /// Points sent that fit into a window.
    sent: usize,
    /// Points in the window.
    stored: usize,
    /// The anomaly is in the record.
    recorded: bool,
    /// It is in `/anomalies.json`.
    listed: bool,
    /// Why the record was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Arrival {
    const fn is_whole(&self) -> bool {
        self.stored >= self.sent && self.recorded && self.listed
    }

    fn print(&self, api: SocketAddr, config: &str) -> anyhow::Result<()> {
        let yes = |ok: bool| if ok { "yes" } else { "NO" };
        let Self { sent, stored, recorded, listed, .. } = self;
        say!("  window           {} ({stored} of {sent} points)", yes(stored >= sent))?;
        say!("  anomaly recorded {}", yes(*recorded))?;
        say!("  /anomalies.json  {}", yes(*listed))?;
        let program = program();
        if self.is_whole() {
            say!("all arrived: http://{api}/api/v1/anomalies?metric={METRIC}")?;
            say!("next: {program} seed{config} --remove")
        } else {
            if let Some(error) = &self.error {
                say!("the API says: {error}")?;
            }
            say!("something is missing\nnext: {program} doctor{config}")
        }
    }
}

async fn arrival(api: SocketAddr, sent: usize, last: f64) -> anyhow::Result<Arrival> {
    let started = tokio::time::Instant::now();
    let mut arrival =
        Arrival { metric: METRIC, sent, stored: 0, recorded: false, listed: false, error: None };
    while started.elapsed() < PATIENCE && !arrival.is_whole() {
        arrival.stored = stored_points(api).await?;
        let found = http::get(api, &format!("/api/v1/anomalies?metric={METRIC}&limit=1&order=desc")).await?;
        let is_refused = found.status != 200;
        arrival.error =
            found.json().ok().filter(|_| is_refused).and_then(|answer| {
                answer.get("error").and_then(serde_json::Value::as_str).map(str::to_owned)
            });
        // One that follows another of the metric closely is counted with it, and is then where that ended.
        let newest = found.json().unwrap_or_default();
        arrival.recorded = !is_refused
            && ["/anomalies/0/timestamp", "/anomalies/0/ended"]
                .iter()
                .any(|at| newest.pointer(at).and_then(serde_json::Value::as_f64) == Some(last));
        let dashboard = http::get(api, "/anomalies.json").await?;
        arrival.listed = String::from_utf8_lossy(&dashboard.body).contains(METRIC);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(arrival)
}

async fn stored_points(api: SocketAddr) -> anyhow::Result<usize> {
    let answer = http::get(api, &format!("/api/v1/series/{METRIC}")).await?;
    if answer.status != 200 {
        return Ok(0);
    }
    Ok(answer.json()?.get("points").and_then(|p| p.as_array()).map_or(0, Vec::len))
}

async fn remove(api: SocketAddr, json: bool) -> anyhow::Result<bool> {
    let answer = http::ask(Method::DELETE, api, "/api/v1/seed").await?;
    let good = answer.status == 200;
    if json {
        say!("{}", String::from_utf8_lossy(&answer.body).trim_end())?;
    } else if good {
        let removed = answer.json()?;
        let anomalies = removed.get("anomalies").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let window = removed.get("window").and_then(serde_json::Value::as_bool) == Some(true);
        if window || anomalies > 0 {
            say!(
                "removed {METRIC}: its window and {anomalies} of its anomalies (what was forwarded stays there)"
            )?;
        } else {
            say!("there was nothing of {METRIC} to remove")?;
        }
    } else {
        say!("not removed: the node answered {}", String::from_utf8_lossy(&answer.body))?;
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_where_no_pickles_are_taken() {
        let check = |pickles: &[u16], lines: &[u16], expected: Option<(&str, u16)>| {
            let at =
                |ports: &[u16]| ports.iter().map(|port| SocketAddr::from(([0, 0, 0, 0], *port))).collect();
            let listen = Listen { pickle_tcp: at(pickles), plaintext_tcp: at(lines), ..Listen::default() };
            let found = port(&listen).ok();
            let expected = expected.map(|(port, at)| (port, SocketAddr::from(([127, 0, 0, 1], at))));
            assert_eq!(found, expected);
        };
        check(&[1], &[2], Some(("pickle port", 1)));
        check(&[], &[2, 3], Some((LINES, 2)));
        check(&[], &[], None);
    }
}
