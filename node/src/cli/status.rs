//! `skyline status`: what a running node does, in a screenful.

mod alerting;
pub(super) mod backfill;
mod flux;
pub(super) mod vista;

use super::http;
use super::output::say;
use super::send::reachable;
use anyhow::Context as _;
use jiff::{Timestamp, Unit};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A screenful.
    Page,
    /// All, as JSON.
    Json,
    /// The newest points that were refused.
    Bad,
}

/// Prints the status; `true` if the node is ready and its ledger adds up.
pub(super) async fn status(
    config: &super::Config,
    address: Option<SocketAddr>,
    form: Form,
) -> anyhow::Result<bool> {
    let address = match address {
        Some(address) => address,
        None => {
            let settings = config.load()?.settings;
            reachable(*settings.http.status.first().context("http.status is empty: give --address")?)
        }
    };
    let status = ask(address).await?;
    match form {
        Form::Json => say!("{}", serde_json::to_string_pretty(&status)?)?,
        Form::Page => say!("{}", text_of(&status).trim_end())?,
        Form::Bad => say!("{}", bad_points(&status))?,
    }
    let is = |path: &str| status.pointer(path).and_then(Value::as_bool) == Some(true);
    Ok(is("/ready") && is("/ledger_balanced"))
}

/// The answer of a node's status listener; whatever else answers there is named as such.
pub(super) async fn ask(address: SocketAddr) -> anyhow::Result<Value> {
    let answer = http::get(address, "/-/status").await;
    let status = match answer {
        Err(error) if http::is_refused(&error) => return Err(http::nobody(address)),
        Err(error) if error.is::<http::Silent>() => {
            anyhow::bail!("{error:#}: something holds the port, and a node there hangs or is overloaded")
        }
        other => other.and_then(|answer| answer.json()),
    };
    let status = status.ok().filter(|status| status.get("ledger_balanced").is_some());
    status.with_context(|| {
        format!(
            "{address} answers, but is not a node's status listener: --address takes that of http.status, \
             not that of http.api or of carbon's ports"
        )
    })
}

/// A number with its thousands apart.
pub(super) fn number(value: Option<&Value>) -> String {
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

/// A field in words.
pub(super) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(s)) => harmless(s),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// Whatever answers must not move the cursor of a terminal.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The whole report.
fn text_of(status: &Value) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _written = write(&mut out, status);
    out
}

/// The rows of a list, none where there is no list.
pub(super) fn rows<'a>(status: &'a Value, path: &str) -> &'a [Value] {
    status.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn write(out: &mut String, status: &Value) -> std::fmt::Result {
    let is = |path: &str| status.pointer(path).and_then(Value::as_bool) == Some(true);
    let uptime = status.get("uptime_seconds").and_then(Value::as_f64).unwrap_or(0.0);
    writeln!(
        out,
        "skyline {} on {}: {}, up for {}",
        text(status, "version"),
        text(status, "name"),
        if is("/ready") { "ready" } else { "NOT READY" },
        duration(uptime),
    )?;
    for reason in rows(status, "/reasons") {
        writeln!(out, "  ! {}", harmless(reason.as_str().unwrap_or("?")))?;
    }
    writeln!(out, "\nin                 received       logged      refused  at")?;
    for row in rows(status, "/listeners") {
        let at: Vec<_> = rows(row, "/addresses").iter().filter_map(Value::as_str).map(harmless).collect();
        write!(
            out,
            "  {:<14} {:>12} {:>12} {:>12}  {}",
            text(row, "listener"),
            number(row.get("received")),
            number(row.get("logged")),
            number(row.get("refused")),
            match at.as_slice() {
                [] if text(row, "listener") == "own" => "(the node itself)".to_owned(),
                [] if text(row, "listener") == "vista" => "(its jobs)".to_owned(),
                [] => "(closed)".to_owned(),
                at => at.join(", "),
            }
        )?;
        writeln!(out, "{}", reasons(row.get("reasons")))?;
    }
    flux::write(out, status)?;
    write_senders(out, rows(status, "/senders"))?;
    let journal = |key: &str| status.pointer(&format!("/journal/{key}"));
    writeln!(
        out,
        "\njournal        {} points so far; {} on disk of {}",
        number(journal("points")),
        mebibytes(journal("bytes")),
        mebibytes(journal("budget")),
    )?;
    write_destinations(out, rows(status, "/destinations"))?;
    write_windows(out, status)?;
    write_stores(out, status)?;
    alerting::write(out, status)?;
    vista::write(out, status)?;
    backfill::write(out, status)?;
    writeln!(
        out,
        "ledger         {}",
        if is("/ledger_balanced") { "adds up" } else { "DOES NOT ADD UP: see /-/status" }
    )?;
    match rows(status, "/bad_points").last() {
        Some(last) => writeln!(out, "last refused   {}", refusal(last)),
        None => Ok(()),
    }
}

/// Who sends most.
fn write_senders(out: &mut String, rows: &[Value]) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\nsenders            points   bad points  last seen             from (those with most points)"
    )?;
    for row in rows {
        writeln!(
            out,
            "  {:>22} {:>12}  {:<20}  {} {}{}",
            number(row.get("points")),
            number(row.get("bad_points")),
            time(row.get("last_seen")),
            text(row, "sender"),
            text(row, "listener"),
            if row.get("connected").and_then(Value::as_bool) == Some(false) { " (gone)" } else { "" },
        )?;
    }
    Ok(())
}

/// The newest refused points, a line each.
fn bad_points(status: &Value) -> String {
    match rows(status, "/bad_points") {
        [] => "no point was refused since the start".to_owned(),
        rows => rows.iter().map(refusal).collect::<Vec<_>>().join("\n"),
    }
}

fn write_destinations(out: &mut String, rows: &[Value]) -> std::fmt::Result {
    if rows.is_empty() {
        return writeln!(out, "\nout            nothing is forwarded: relay.destinations is empty");
    }
    writeln!(
        out,
        "\nout                              routed    delivered      waiting   shed  repeats  state"
    )?;
    for row in rows {
        let is = |key: &str| row.get(key).and_then(Value::as_bool) == Some(true);
        let leaving = if is("leaving") { "not in the settings any more, " } else { "" };
        let state = if is("connected") {
            format!("{leaving}connected")
        } else if is("held") {
            format!("HELD: {}", text(row, "last_error"))
        } else {
            format!("{leaving}down: {}", text(row, "last_error"))
        };
        let pausing = if is("pausing") { "; listeners pause for it" } else { "" };
        writeln!(
            out,
            "  {:<24} {:>12} {:>12} {:>12} {:>6} {:>8}  {state}{pausing}",
            text(row, "destination"),
            number(row.get("routed")),
            number(row.get("delivered")),
            number(row.get("waiting")),
            number(row.get("shed")),
            number(row.get("repeats")),
        )?;
        write_pace(out, row)?;
        write_lost(out, row)?;
    }
    Ok(())
}

/// How fast a destination takes its points, if it is known, and how far behind it is, if it is.
fn write_pace(out: &mut String, row: &Value) -> std::fmt::Result {
    let is_some = |key: &str| row.get(key).and_then(Value::as_f64).is_some_and(|n| n > 0.0);
    let mut parts = Vec::new();
    let mut add = |key: &str, shown: String| {
        if is_some(key) {
            parts.push(shown);
        }
    };
    let rate = row.get("points_per_second").and_then(Value::as_f64).unwrap_or(0.0).round();
    add("points_per_second", format!("{} points/s", number(Some(&Value::from(rate)))));
    add("lag_seconds", format!("{} s behind", number(row.get("lag_seconds"))));
    add("spool_bytes", format!("{} of the journal kept for it", mebibytes(row.get("spool_bytes"))));
    add("reconnects", format!("{} reconnects", number(row.get("reconnects"))));
    if row.get("detoured").and_then(Value::as_bool) == Some(true) {
        parts.push("new points go to the others of its ring".to_owned());
    }
    if parts.is_empty() { Ok(()) } else { writeln!(out, "    {}", parts.join(", ")) }
}

/// What damage of the journal took before a reader had it.
fn write_lost(out: &mut String, row: &Value) -> std::fmt::Result {
    match row.get("lost").and_then(Value::as_u64).unwrap_or(0) {
        0 => Ok(()),
        _ => writeln!(
            out,
            "  ! damage of the journal took {} points before they were read",
            number(row.get("lost"))
        ),
    }
}

/// So many of something.
fn many(number: &str, one: &str, more: &str) -> String {
    format!("{number} {}", if number == "1" { one } else { more })
}

fn write_windows(out: &mut String, status: &Value) -> std::fmt::Result {
    let value = |path: &str| status.pointer(&format!("/window/{path}"));
    let at = |path: &str| number(value(path));
    writeln!(
        out,
        "\nwindow         {}, {} points stored, {} refused{}, {} waiting",
        many(&at("metrics"), "metric", "metrics"),
        at("stored"),
        at("refused"),
        reasons(value("reasons")),
        at("waiting")
    )?;
    if value("shed").and_then(Value::as_u64).unwrap_or(0) > 0 {
        writeln!(
            out,
            "  ! the windows lack {} points that the journal's budget dropped before they were read",
            at("shed")
        )?;
    }
    write_lost(out, status.get("window").unwrap_or(&Value::Null))?;
    write!(out, "verdicts       {} judged since start, {} anomalous", at("judged"), at("anomalies"))?;
    if value("p50_ms").is_some_and(Value::is_number) {
        write!(out, "; receipt to verdict p50 {} ms, p99 {} ms", at("p50_ms"), at("p99_ms"))?;
    }
    let why: Vec<_> = [
        ("too_short", "too few points"),
        ("stale", "stale"),
        ("boring", "flat"),
        ("counter_reset", "counter was reset"),
    ]
    .into_iter()
    .filter(|(key, _)| value(&format!("not_judged/{key}")).and_then(Value::as_u64).unwrap_or(0) > 0)
    .map(|(key, words)| format!("{words} {}", at(&format!("not_judged/{key}"))))
    .collect();
    if !why.is_empty() {
        write!(out, "\n               not judged: {}", why.join(", "))?;
    }
    writeln!(out)
}

/// Each store on a line; those that are off are left out.
fn write_stores(out: &mut String, status: &Value) -> std::fmt::Result {
    for row in rows(status, "/stores").iter().filter(|row| text(row, "state") != "off") {
        let since = row.get("since").and_then(Value::as_f64).filter(|since| *since > 0.0);
        let since = since.map_or(String::new(), |_| format!(" since {}", time(row.get("since"))));
        let (store, state) = (text(row, "store"), text(row, "state"));
        let state = if state == "away" { "AWAY".to_owned() } else { state };
        write!(out, "{store:<14} {state}{since}: {}", text(row, "detail"))?;
        match number(row.get("waiting")).as_str() {
            "0" => {}
            _ if store == "record" => write_waiting(out, status)?,
            waiting => write!(out, "; {waiting} wait for it")?,
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Where the anomalies are that wait for the record.
fn write_waiting(out: &mut String, status: &Value) -> std::fmt::Result {
    let in_file = number(status.pointer("/record/waiting"));
    let bytes = mebibytes(status.pointer("/record/waiting_bytes"));
    let waiting = match in_file.as_str() {
        "1" => "1 anomaly waits".to_owned(),
        many => format!("{many} anomalies wait"),
    };
    write!(out, "; {waiting} in a file ({bytes})")?;
    match number(status.pointer("/record/stuck")).as_str() {
        "0" => Ok(()),
        stuck => write!(out, "; {stuck} FIND NO ROOM THERE"),
    }
}

/// A moment, in whole seconds.
pub(super) fn time(seconds: Option<&Value>) -> String {
    let seconds = seconds.and_then(Value::as_f64).unwrap_or(0.0);
    Timestamp::from_second(seconds as i64).map_or_else(|_| "?".to_owned(), |t| t.to_string())
}

/// Where, when and why a point was refused, and what it was.
pub(super) fn refusal(row: &Value) -> String {
    let time = time(row.get("time"));
    let (why, listener, peer) = (text(row, "reason"), text(row, "listener"), text(row, "peer"));
    format!("{time} by {listener} from {peer}: {why}: {}", text(row, "text"))
}

/// Counts by reason, in brackets.
fn reasons(value: Option<&Value>) -> String {
    let Some(Value::Object(reasons)) = value else { return String::new() };
    let each: Vec<_> =
        reasons.iter().map(|(reason, n)| format!("{} {}", harmless(reason), number(Some(n)))).collect();
    if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) }
}

/// Bytes in MiB.
pub(super) fn mebibytes(bytes: Option<&Value>) -> String {
    format!("{:.1} MiB", bytes.and_then(Value::as_f64).unwrap_or(0.0) / f64::from(1 << 20))
}

/// A span in words.
pub(super) fn duration(seconds: f64) -> String {
    let whole = jiff::SignedDuration::from_secs(seconds as i64);
    whole.round(Unit::Second).map_or_else(|_| format!("{seconds:.0} s"), |d| format!("{d:#}"))
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

    #[test]
    fn a_status_in_words() {
        let status = serde_json::json!({
            "version": "1.0.0", "name": "web1", "ready": true, "ledger_balanced": true, "uptime_seconds": 61.5,
            "reasons": ["a\u{1b}[2J"], "journal": {"points": 1500, "bytes": 3_145_728, "budget": 1_048_576},
            "listeners": [
                {"listener": "pickle_tcp", "addresses": ["127.0.0.1:2004"], "received": 7, "logged": 5,
                 "refused": 2, "reasons": {"bad_value": 2}},
                {"listener": "plaintext_udp", "addresses": [], "received": 1, "logged": 1, "refused": 0,
                 "reasons": {}},
            ],
            "destinations": [
                {"destination": "10.0.0.2:2004:pickle", "connected": true, "pausing": true, "routed": 9, "delivered": 8,
                 "waiting": 1, "shed": 0, "lost": 3, "repeats": 2, "points_per_second": 1234.4,
                 "lag_seconds": 2.5, "spool_bytes": 1_048_576, "reconnects": 0},
                {"destination": "a:1", "connected": false, "leaving": true, "routed": 2, "delivered": 0,
                 "waiting": 2, "shed": 0, "lost": 0, "repeats": 0, "last_error": "refused"},
                {"destination": "b:1", "connected": false, "leaving": true, "held": true, "routed": 2,
                 "delivered": 0, "waiting": 2, "shed": 0, "lost": 0, "repeats": 0, "last_error": "how?"},
            ],
            "senders": [
                {"sender": "10.0.0.9", "listener": "pickle_tcp", "points": 7, "bad_points": 2, "bytes": 99,
                 "last_seen": 1_700_000_000.5, "connected": false},
            ],
            "window": {"metrics": 3, "stored": 4, "refused": 1, "reasons": {"too_old": 1}, "waiting": 0,
                       "judged": 0, "anomalies": 0, "p50_ms": null, "p99_ms": null,
                       "not_judged": {"too_short": 4, "stale": 0, "boring": 0, "counter_reset": 0}},
            "stores": [
                {"store": "record", "state": "up", "since": 1_700_000_000.5, "waiting": 8, "detail": "/a.db"},
                {"store": "redis", "state": "off", "since": 0.0, "waiting": 0, "detail": ""},
                {"store": "memcached", "state": "away", "since": 1_700_000_000.5, "waiting": 7, "detail": "refused"},
            ],
            "record": {"waiting": 5, "waiting_bytes": 1_048_576, "stuck": 3},
            "bad_points": [{"time": 1_700_000_000.5, "listener": "pickle_tcp", "peer": "10.0.0.9:1",
                            "reason": "bad_value", "text": "a b c"}],
        });
        assert_eq!(
            text_of(&status),
            "skyline 1.0.0 on web1: ready, up for 1m 1s\n  \
               ! a\u{fffd}[2J\n\
             \n\
             in                 received       logged      refused  at\n  \
               pickle_tcp                7            5            2  127.0.0.1:2004 (bad_value 2)\n  \
               plaintext_udp             1            1            0  (closed)\n\
             \n\
             senders            points   bad points  last seen             from (those with most points)\n  \
               \u{20}                    7            2  2023-11-14T22:13:20Z  10.0.0.9 pickle_tcp (gone)\n\
             \n\
             journal        1,500 points so far; 3.0 MiB on disk of 1.0 MiB\n\
             \n\
             out                              routed    delivered      waiting   shed  repeats  state\n  \
              10.0.0.2:2004:pickle                9            8            1      0        2  connected; listeners pause for it\n  \
              \u{20} 1,234 points/s, 2.50 s behind, 1.0 MiB of the journal kept for it\n  \
              ! damage of the journal took 3 points before they were read\n  \
              a:1                                 2            0            2      0        0  not in the settings any more, down: refused\n  \
              b:1                                 2            0            2      0        0  HELD: how?\n\
             \n\
             window         3 metrics, 4 points stored, 1 refused (too_old 1), 0 waiting\n\
             verdicts       0 judged since start, 0 anomalous\n               \
                            not judged: too few points 4\n\
             record         up since 2023-11-14T22:13:20Z: /a.db; 5 anomalies wait in a file (1.0 MiB); 3 FIND NO ROOM THERE\n\
             memcached      AWAY since 2023-11-14T22:13:20Z: refused; 7 wait for it\n\
             ledger         adds up\n\
             last refused   2023-11-14T22:13:20Z by pickle_tcp from 10.0.0.9:1: bad_value: a b c\n"
        );
        assert_eq!(
            bad_points(&status),
            "2023-11-14T22:13:20Z by pickle_tcp from 10.0.0.9:1: bad_value: a b c"
        );
        assert!(bad_points(&Value::Null).starts_with("no point was refused"));
    }

    #[tokio::test]
    async fn what_answers_otherwise_is_named() {
        let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = other.local_addr().unwrap();
        let hang_up = async {
            loop {
                drop(other.accept().await.unwrap());
            }
        };
        let error = tokio::select! {
            answer = ask(address) => answer.unwrap_err().to_string(),
            () = hang_up => unreachable!(),
        };
        assert!(error.contains("is not a node's status listener"), "{error}");
        drop(other);
        let error = ask(address).await.unwrap_err().to_string();
        assert!(error.contains("nobody listens at"), "{error}");
    }
}
