//! A day of history for some metrics, and the bad point that ends it.

use crate::node::Node;
use crate::{eventually, eventually_true, load, now, pickle};
use anyhow::Context as _;
use serde_json::Value;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Points of a day, one a minute.
pub const MINUTES: i64 = 1440;
/// How long a verdict may take to be in the API.
const SECOND: Duration = Duration::from_secs(1);

/// A day of a gentle curve with noise, a point a minute, up to the minute before the last.
#[must_use]
pub fn history(metric: &str) -> Vec<(&str, f64, f64)> {
    let last = now() / 60 * 60 - 60;
    let mut noise = metric.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    (0..MINUTES)
        .map(|i| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = 200.0 + 20.0 * (i as f64 / 229.0).sin() + f64::from(noise >> 16) / 6_553.6;
            (metric, (last - 60 * (MINUTES - 1 - i)) as f64, (value * 1000.0).round() / 1000.0)
        })
        .collect()
}

/// Names of some metrics.
#[must_use]
pub fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("shop.host{i:02}.latency")).collect()
}

/// Sends a day of each metric, and waits until the windows have it.
///
/// # Errors
///
/// When the node does not take it in time.
pub fn send(node: &Node, metrics: &[String]) -> anyhow::Result<()> {
    let mut stream = load::connect(node.pickle())?;
    for metric in metrics {
        for chunk in history(metric).chunks(500) {
            stream.write_all(&pickle::frame(chunk))?;
        }
    }
    let last = metrics.last().context("no metric")?;
    eventually_true(Duration::from_secs(30), "the history in the window", || {
        node.series(last).is_ok_and(|points| points.len() == MINUTES as usize)
    })
}

/// Sends a point that is far off, now; what the node recorded of it within a second.
///
/// # Errors
///
/// When it does not.
pub fn bad_point(node: &Node, metric: &str) -> anyhow::Result<Value> {
    let time = now() / 60 * 60;
    load::bytes(node.plaintext(), format!("{metric} 5000 {time}\n"))?;
    let sent = Instant::now();
    let found =
        eventually(SECOND, "the anomaly in the API", || node.anomalies(metric).ok()?.into_iter().next())?;
    anyhow::ensure!(sent.elapsed() < SECOND, "took {:?}", sent.elapsed());
    anyhow::ensure!(found.get("timestamp").and_then(Value::as_i64) == Some(time), "{found}");
    anyhow::ensure!(found.get("value").and_then(Value::as_f64) == Some(5000.0), "{found}");
    let listed = crate::http::get(node.api(), "/anomalies.json")?;
    anyhow::ensure!(listed.text().contains(metric), "{}", listed.text());
    Ok(found)
}
