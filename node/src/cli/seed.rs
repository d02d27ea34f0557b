//! `skyline seed`: a day of minute data that ends in an anomaly, through the pickle port and beside
//! any live sender, then a report of where it arrived.

use super::http;
use super::send::{PickleSender, Point, reachable};
use anyhow::Context as _;
use hyper::Method;
use skyline_core::clock::Clock;
use std::net::SocketAddr;
use std::time::Duration;

/// The metric that the reference's installation page promises.
pub(crate) const METRIC: &str = "horizon.test.pickle";
const MINUTES: u32 = 1440;
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the data, or removes it; `true` if all went well.
pub(super) async fn seed(config: &super::Config, remove: bool) -> anyhow::Result<bool> {
    let settings = config.load()?.settings;
    let api = *settings.http.api.first().context("http.api is empty: the seed cannot be checked")?;
    if remove {
        return self::remove(api).await;
    }
    let pickle =
        settings.listen.pickle_tcp.first().context("listen.pickle_tcp is empty: switch it on to seed")?;
    let address = reachable(*pickle);
    let now = Clock::system().now();
    let points = points(now);
    let mut sender = PickleSender::connect(address).await?;
    sender.send(&points).await?;
    println!("sent {} points of {METRIC} to {address}, the last one anomalous", points.len());
    let last = points.last().map_or(0.0, |(_, (ts, _))| *ts);
    report(api, points.len(), last).await
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

async fn report(api: SocketAddr, sent: usize, last: f64) -> anyhow::Result<bool> {
    let started = tokio::time::Instant::now();
    let (mut stored, mut recorded, mut listed) = (0, false, false);
    while started.elapsed() < PATIENCE && !(stored >= sent && recorded && listed) {
        stored = stored_points(api).await?;
        let found = http::get(api, &format!("/api/v1/anomalies?metric={METRIC}&limit=1&order=desc")).await?;
        recorded = found.status == 200
            && found.json()?.pointer("/anomalies/0/timestamp").and_then(serde_json::Value::as_f64)
                == Some(last);
        let dashboard = http::get(api, "/anomalies.json").await?;
        listed = String::from_utf8_lossy(&dashboard.body).contains(METRIC);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let yes = |ok: bool| if ok { "yes" } else { "NO" };
    println!("  window           {} ({stored} of {sent} points)", yes(stored >= sent));
    println!("  anomaly recorded {}", yes(recorded));
    println!("  /anomalies.json  {}", yes(listed));
    let good = stored >= sent && recorded && listed;
    if good {
        println!(
            "all arrived. Look at http://{api}/api/v1/anomalies?metric={METRIC}, then `skyline seed --remove`"
        );
    } else {
        println!("something is missing. `skyline status` shows what the node did with the points");
    }
    Ok(good)
}

async fn stored_points(api: SocketAddr) -> anyhow::Result<usize> {
    let answer = http::get(api, &format!("/api/v1/series/{METRIC}")).await?;
    if answer.status != 200 {
        return Ok(0);
    }
    Ok(answer.json()?.get("points").and_then(|p| p.as_array()).map_or(0, Vec::len))
}

async fn remove(api: SocketAddr) -> anyhow::Result<bool> {
    let answer = http::ask(Method::DELETE, api, "/api/v1/seed").await?;
    let good = answer.status == 200;
    if good {
        println!(
            "removed {METRIC}: its window and its anomalies (what was forwarded to Graphite stays there)"
        );
    } else {
        println!("not removed: the node answered {}", String::from_utf8_lossy(&answer.body));
    }
    Ok(good)
}
