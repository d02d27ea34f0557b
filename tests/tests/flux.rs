//! Points over HTTP: the examples of docs/flux.md as they stand there, `kill -9` under load, what goes beyond bounds,
//! and a Prometheus that remote-writes over an outage.

use anyhow::{Context as _, ensure};
use flate2::{Compression, write::GzEncoder};
use skyline_peers::prometheus::Prometheus;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually, eventually_true, now, port, size};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);
const KEY: &str = "0123456789abcdef0123456789abcdef";

fn flux(setup: Setup, more: &str) -> anyhow::Result<(Node, SocketAddr)> {
    let address = port::free();
    let setup = setup
        .file("flux.key", &format!("{KEY}\n"))
        .with("flux.listen", format!("[\"{address}\"]"))
        .with("flux.api_keys", format!("[{{ name = \"test\", key_file = \"flux.key\"{more} }}]"));
    Ok((setup.start()?, address))
}

/// Sends a request with the key; the status and the whole answer.
fn send(to: SocketAddr, path: &str, headers: &str, body: &[u8]) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: flux\r\nConnection: close\r\nX-Api-Key: {KEY}\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    // Who is refused early may be told before all is sent.
    let sent = stream.write_all(body);
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
    status.map(|status| (status, text)).with_context(|| format!("no answer: {sent:?} {read:?}"))
}

fn lines(to: SocketAddr, text: &str) -> anyhow::Result<(u16, String)> {
    send(to, "/flux/metric_data_post", "Content-Type: text/plain\r\n", text.as_bytes())
}

#[test]
fn the_examples_of_the_page_work() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let (node, to) = flux(Setup::relay([sink.destination()]), "")?;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/flux.md"))?;
    let examples =
        page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).context("no examples")?;
    let mut command = "";
    let mut count = 0;
    for line in examples.lines() {
        let Some(expected) = line.strip_prefix("# => ") else {
            command = if line.starts_with('#') { command } else { line };
            continue;
        };
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &command.replace("curl ", "curl -o body -w '%{http_code}' ")])
            .current_dir(node.folder());
        shell.envs([("FLUX", format!("http://{to}")), ("KEY", KEY.to_owned()), ("NOW", now().to_string())]);
        let output = shell.output()?;
        let status = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(status == expected, "{command}: {status} {}", String::from_utf8_lossy(&output.stderr));
        count += 1;
    }
    ensure!(count >= 7, "only {count} examples");
    for name in [
        "shop.orders",
        "shop.orders.eu",
        "shop.a",
        "shop.b",
        "shop.c",
        "shop.d",
        "shop.e",
        "shop.f",
        "cpu.usage;host=web1",
        "cpu.idle;host=web1",
    ] {
        eventually_true(LIMIT, name, || sink.series(name).len() == 1)?;
    }
    ensure!(sink.series("shop.g").is_empty());
    let status = node.command("status")?;
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    ensure!(text.contains("flux") && text.contains(&to.to_string()), "{text}");
    ensure!(!node.process.log().contains(KEY) && !text.contains(KEY), "the key is shown");
    node.balanced()?;
    Ok(())
}

#[test]
fn what_is_answered_204_is_delivered_after_kill_nine() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let (mut node, to) =
        flux(Setup::relay([sink.destination()]).with("relay.sending.retry_min_seconds", 0.05), "")?;
    let (stop, next, good) = (AtomicBool::new(false), AtomicI64::new(0), Mutex::new(Vec::new()));
    let base = now() - 50_000;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    let from = next.fetch_add(20, SeqCst);
                    let point =
                        |n| format!("{{\"metric\":\"flux.kill\",\"value\":{n},\"timestamp\":{}}}", base + n);
                    let body: Vec<String> = (from..from + 20).map(point).collect();
                    let kind = "Content-Type: application/json\r\n";
                    match send(to, "/metric_data_post", kind, format!("[{}]", body.join(",")).as_bytes()) {
                        Ok((204, _)) => good.lock().expect("no panic").push(from),
                        _ => std::thread::sleep(Duration::from_millis(5)),
                    }
                }
            });
        }
        let killing = (0..size(4, 50)).try_for_each(|_| {
            std::thread::sleep(Duration::from_millis(rand::random_range(50..500)));
            node.process.kill()?;
            node.restart()
        });
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, SeqCst);
        killing
    })?;
    let good = good.into_inner()?;
    ensure!(good.len() > 50, "only {} requests", good.len());
    eventually_true(LIMIT, "every point that was answered with 204 is at the sink", || {
        let arrived = sink.series("flux.kill");
        good.iter()
            .flat_map(|from| *from..from + 20)
            .all(|n| arrived.get(&(base + n)).is_some_and(|(v, _)| *v == n as f64))
    })?;
    node.balanced()?;
    Ok(())
}

#[test]
fn bounds_hold() -> anyhow::Result<()> {
    let (node, to) = flux(
        Setup::window()
            .with("flux.max_unpacked_bytes", 1_000_000)
            .with("flux.max_body_bytes", 100_000)
            .with("flux.memory_bytes", 4_000_000)
            .with("flux.body_seconds", 0.5),
        ", prefix = \"lab\", points_per_second = 10, burst_points = 20",
    )?;
    // A bomb, and a body that is too long as it is.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![b'x'; 50_000_000])?;
    let bomb = gzip.finish()?;
    let packed = "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n";
    ensure!(send(to, "/metric_data_post", packed, &bomb)?.0 == 413);
    ensure!(lines(to, &"x".repeat(200_000))?.0 == 413);
    let (status, _) =
        send(to, "/api/v1/write", "Content-Encoding: snappy\r\n", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0])?;
    ensure!(status == 413, "{status}");
    // One that never comes whole, while others are served.
    let start = Instant::now();
    let mut slow = TcpStream::connect(to)?;
    let head = format!(
        "POST /metric_data_post HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\na 1"
    );
    slow.write_all(head.as_bytes())?;
    let time = now();
    ensure!(lines(to, &format!("a 1 {time}\n"))?.0 == 204);
    slow.set_read_timeout(Some(LIMIT))?;
    let mut answer = String::new();
    slow.read_to_string(&mut answer)?;
    ensure!(answer.contains(" 408 ") && start.elapsed() < Duration::from_secs(5), "{answer}");
    // Nobody's key, and what is gone.
    let wrong = send(to, "/write", "", b"")?;
    ensure!(wrong.0 == 204, "{wrong:?}");
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(b"GET /metric_data?metric=a&value=1&key=wrong HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.contains(" 401 ") && !answer.contains("wrong"), "{answer}");
    let (status, text) = send(to, "/flux/populate_metric", "", b"{}")?;
    ensure!(status == 410 && text.contains("[[vista.fetch]]"), "{text}");
    ensure!(send(to, "/metric_data_post", "Content-Type: text/html\r\n", b"")?.0 == 415);
    // Too old, too far ahead, no number: the neighbours are taken.
    let (status, text) = lines(to, &format!("b 1 1\nb nan {time}\nb 1 {}\nb 2 {time}\n", time + 9_999))?;
    ensure!(status == 400 && text.contains("\"accepted\":1") && text.contains("\"refused\":3"), "{text}");
    eventually_true(LIMIT, "the window has it", || {
        node.series("lab.b").is_ok_and(|s| s == [(time as f64, 2.0)])
    })?;
    // More than the key may send.
    let many: String = (0..30).map(|n| format!("c {n} {}\n", time - n)).collect();
    let limited = eventually(LIMIT, "429", || lines(to, &many).ok().filter(|(status, _)| *status == 429))?;
    ensure!(limited.1.to_ascii_lowercase().contains("retry-after: "), "{}", limited.1);
    let metrics = node.balanced()?;
    ensure!(metrics.sum("skyline_flux_requests_total", &[("status", "413")]) == 3.0);
    ensure!(
        metrics.refused("old") == 1 && metrics.refused("future") == 1 && metrics.refused("nan_value") == 1
    );
    Ok(())
}

#[test]
fn prometheus_loses_nothing_over_an_outage() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let (mut node, to) = flux(Setup::relay([sink.destination()]), "")?;
    let prometheus = Prometheus::start(&format!("http://{to}/api/v1/write"), KEY)?;
    let name = format!("up;instance={};job=own", prometheus.address);
    eventually_true(LIMIT, "samples arrive", || sink.series(&name).len() >= 2)?;
    node.process.kill()?;
    std::thread::sleep(Duration::from_secs(4));
    node.restart()?;
    let back = now();
    eventually_true(LIMIT, "samples of after the outage arrive", || {
        sink.series(&name).keys().last().is_some_and(|last| *last > back + 2)
    })?;
    let times: Vec<i64> = sink.series(&name).keys().copied().collect();
    let holes = times.windows(2).filter(|w| matches!(w, [a, b] if b - a > 2)).count();
    ensure!(holes == 0, "there is a hole: {times:?}");
    let failed = prometheus.figure("prometheus_remote_storage_samples_failed_total")?;
    let dropped = prometheus.figure("prometheus_remote_storage_samples_dropped_total")?;
    ensure!(failed == 0.0 && dropped == 0.0, "{failed} failed, {dropped} dropped");
    // No spiral: once it has caught up nothing is sent twice.
    let retried = prometheus.figure("prometheus_remote_storage_samples_retried_total")?;
    std::thread::sleep(Duration::from_secs(2));
    ensure!(prometheus.figure("prometheus_remote_storage_samples_retried_total")? == retried);
    node.balanced()?;
    Ok(())
}
