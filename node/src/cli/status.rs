//! `skyline status`: what a running node does, in a screenful.

use super::http;
use super::send::reachable;
use anyhow::Context as _;
use serde_json::Value;
use std::net::SocketAddr;

/// Prints the status; `true` if the node is ready and its ledger adds up.
pub(super) async fn status(
    config: &super::Config,
    address: Option<SocketAddr>,
    json: bool,
) -> anyhow::Result<bool> {
    let address = match address {
        Some(address) => address,
        None => {
            let settings = config.load()?.settings;
            reachable(*settings.http.status.first().context("http.status is empty: give --address")?)
        }
    };
    let answer = http::get(address, "/-/status")
        .await
        .context("is the node running? Start it with `skyline run --config FILE`")?;
    let status = answer.json()?;
    if json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print(&status);
    }
    let is = |path: &str| status.pointer(path).and_then(Value::as_bool) == Some(true);
    Ok(is("/ready") && is("/ledger_balanced"))
}

fn number(value: Option<&Value>) -> String {
    let n = value.and_then(Value::as_f64).unwrap_or(0.0);
    if n.fract() == 0.0 {
        let digits = format!("{}", n.abs() as u64);
        let grouped: Vec<_> =
            digits.as_bytes().rchunks(3).rev().map(|c| String::from_utf8_lossy(c).into_owned()).collect();
        format!("{}{}", if n < 0.0 { "-" } else { "" }, grouped.join(","))
    } else {
        format!("{n:.2}")
    }
}

fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn print(status: &Value) {
    let at = |path: &str| status.pointer(path);
    let word = |path: &str| at(path).and_then(Value::as_bool).unwrap_or(false);
    println!(
        "skyline {} on {}: {}",
        text(status, "version"),
        text(status, "name"),
        if word("/ready") { "ready" } else { "NOT READY" }
    );
    for reason in at("/reasons").and_then(Value::as_array).into_iter().flatten() {
        println!("  ! {}", reason.as_str().unwrap_or("?"));
    }
    println!("\nin             received       logged      refused");
    for row in at("/listeners").and_then(Value::as_array).into_iter().flatten() {
        println!(
            "  {:<14} {:>12} {:>12} {:>12}  {}",
            text(row, "listener"),
            number(row.get("received")),
            number(row.get("logged")),
            number(row.get("refused")),
            reasons(row.get("reasons"))
        );
    }
    println!(
        "\nlog            {} points in {} bytes on disk (budget {})",
        number(at("/journal/points")),
        number(at("/journal/bytes")),
        number(at("/journal/budget"))
    );
    println!("\nout                               routed    delivered      waiting   shed  repeats  state");
    for row in at("/destinations").and_then(Value::as_array).into_iter().flatten() {
        let state = if row.get("connected").and_then(Value::as_bool) == Some(true) {
            "connected".to_owned()
        } else {
            format!("down: {}", text(row, "last_error"))
        };
        println!(
            "  {:<28} {:>12} {:>12} {:>12} {:>6} {:>8}  {state}",
            text(row, "destination"),
            number(row.get("routed")),
            number(row.get("delivered")),
            number(row.get("waiting")),
            number(row.get("shed")),
            number(row.get("repeats")),
        );
    }
    print_windows(status);
}

fn print_windows(status: &Value) {
    let at = |path: &str| status.pointer(path).map_or_else(|| "-".to_owned(), |v| number(Some(v)));
    println!(
        "\nwindow         {} metrics, {} points stored, {} refused, {} waiting",
        at("/window/metrics"),
        at("/window/stored"),
        at("/window/refused"),
        at("/window/waiting")
    );
    println!(
        "verdicts       {} judged, {} anomalous; receipt to verdict p50 {} ms, p99 {} ms",
        at("/window/judged"),
        at("/window/anomalies"),
        at("/window/p50_ms"),
        at("/window/p99_ms")
    );
    let balanced = status.get("ledger_balanced").and_then(Value::as_bool) == Some(true);
    println!("ledger         {}", if balanced { "balanced" } else { "DOES NOT ADD UP: see /-/status" });
    let bad = status.get("bad_points").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if let Some(last) = bad.last() {
        println!("last bad point {}", last);
    }
}

fn reasons(value: Option<&Value>) -> String {
    let Some(Value::Object(reasons)) = value else { return String::new() };
    reasons.iter().map(|(reason, n)| format!("{reason} {}", number(Some(n)))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let check = |n: f64, expected: &str| assert_eq!(number(Some(&Value::from(n))), expected);
        check(0.0, "0");
        check(999.0, "999");
        check(1_234_567.0, "1,234,567");
        check(0.25, "0.25");
    }
}
