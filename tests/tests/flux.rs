//! Points over HTTP: the examples of docs/flux.md as they stand there, `kill -9` and stops under load, what goes beyond
//! bounds.

use anyhow::{Context as _, ensure};
use flate2::{Compression, write::GzEncoder};
use skyline_tests::flux::{KEY, flux, lines, send};
use skyline_tests::node::Setup;
use skyline_tests::peer::carbon_cache::CarbonCache;
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually, eventually_true, now, size};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
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
fn what_is_answered_204_is_delivered_after_kills_and_stops() -> anyhow::Result<()> {
    let mut carbon = CarbonCache::start_with("1s:2d")?;
    let setup = Setup::relay([format!("{}:line", carbon.line())]);
    let (mut node, to) = flux(setup.with("relay.sending.retry_min_seconds", 0.05), "")?;
    let (stop, next, good) = (AtomicBool::new(false), AtomicI64::new(0), Mutex::new(Vec::new()));
    let base = now() - 80_000;
    let answered = || good.lock().expect("no panic").len();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut from = next.fetch_add(20, SeqCst);
                while !stop.load(SeqCst) {
                    let point =
                        |n| format!("{{\"metric\":\"flux.kill\",\"value\":{n},\"timestamp\":{}}}", base + n);
                    let body: Vec<String> = (from..from + 20).map(point).collect();
                    let kind = "Content-Type: application/json\r\n";
                    match send(to, "/metric_data_post", kind, format!("[{}]", body.join(",")).as_bytes()) {
                        Ok((204, _)) => {
                            good.lock().expect("no panic").push(from);
                            from = next.fetch_add(20, SeqCst);
                        }
                        // The same again, as whoever sends is to do: numbers are times, and do not run into the future.
                        _ => std::thread::sleep(Duration::from_millis(5)),
                    }
                }
            });
        }
        let killing = (0..size(4, 50)).try_for_each(|n| {
            let enough = answered() + rand::random_range(1..60);
            eventually_true(LIMIT, "requests are answered", || answered() >= enough)?;
            if n % 2 == 0 {
                node.process.kill()?;
            } else {
                ensure!(node.stop(LIMIT)?.success(), "{}", node.process.last_words());
            }
            node.restart()
        });
        let enough = answered() + 1;
        let last = eventually_true(LIMIT, "requests are answered at last", || answered() >= enough);
        stop.store(true, SeqCst);
        killing.and(last)
    })?;
    let good = good.into_inner()?;
    eventually_true(LIMIT, "every point that was answered with 204 is in carbon-cache's file", || {
        let stored: HashMap<_, _> = carbon.points("flux.kill").unwrap_or_default().into_iter().collect();
        good.iter().flat_map(|from| *from..from + 20).all(|n| stored.get(&(base + n)) == Some(&(n as f64)))
    })?;
    carbon.must_run()?;
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
    let (status, body) = lines(to, &"x".repeat(200_000))?;
    ensure!(status == 413 && body.contains("longer than 100000 bytes"), "{status} {body}");
    let (status, _) =
        send(to, "/api/v1/write", "Content-Encoding: snappy\r\n", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0])?;
    ensure!(status == 413, "{status}");
    // One that never comes whole, while others are served.
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
    ensure!(answer.contains(" 408 "), "{answer}");
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
