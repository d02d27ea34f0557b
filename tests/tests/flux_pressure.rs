//! Flux while there is no room or no time: senders are told when to come again, and what they were told was taken is
//! delivered; who is slow or sends bombs costs nobody else anything.

use anyhow::ensure;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use skyline_tests::flux::{KEY, answer, flux, lines, send};
use skyline_tests::node::Setup;
use skyline_tests::peer::sink::{Protocol, Sink, destination};
use skyline_tests::{eventually, eventually_true, now, port};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// Points of a request.
const POINTS: i64 = 500;

/// The lines of one request; each point has a time of its own.
fn request(base: i64, n: i64) -> String {
    (0..POINTS).map(|i| format!("flux.pressure {} {}\n", n * POINTS + i, base + n * POINTS + i)).collect()
}

fn again_after(answer: &str) -> Option<u64> {
    let line =
        answer.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("retry-after: ")?.parse().ok());
    line.filter(|seconds| *seconds > 0)
}

/// Sends requests until one is answered with 503; that one and every one before it are at the sink in the end.
fn until_there_is_room(change: impl FnOnce(Setup) -> Setup, most: i64) -> anyhow::Result<()> {
    let down = port::free();
    let setup = Setup::relay([destination(down, Protocol::Lines)])
        .with("flux.wait_seconds", 0.2)
        .with("flux.max_age_seconds", 40_000_000)
        .with("relay.sending.retry_max_seconds", 0.2);
    let (node, to) = flux(change(setup), "")?;
    let base = now() - 30_000_000;
    let mut taken = 0;
    let refused = loop {
        ensure!(taken < most, "{taken} requests were taken, and none put off");
        match lines(to, &request(base, taken))? {
            (204, _) => taken += 1,
            (503, text) => break text,
            other => anyhow::bail!("{other:?}"),
        }
    };
    ensure!(again_after(&refused).is_some(), "{refused}");
    ensure!(taken > 0, "none was taken");
    let sink = Sink::start_at(down, Protocol::Lines)?;
    eventually_true(LIMIT, "the request is taken after all", || {
        lines(to, &request(base, taken)).is_ok_and(|(status, _)| status == 204)
    })?;
    let all = ((taken + 1) * POINTS) as usize;
    eventually_true(LIMIT, "everything is at the sink", || sink.series("flux.pressure").len() >= all)?;
    let series = sink.series("flux.pressure");
    ensure!(series.len() == all, "{} of {all}", series.len());
    ensure!(series.iter().all(|(ts, (value, _))| *value == (ts - base) as f64), "other values");
    node.balanced()?;
    Ok(())
}

#[test]
fn a_full_journal_puts_off() -> anyhow::Result<()> {
    until_there_is_room(
        |setup| {
            setup
                .with("journal.max_bytes", 4 << 20)
                .with("journal.segment_bytes", 1 << 20)
                .with("journal.memory_bytes", 1 << 20)
                .with("journal.when_full", "\"block\"")
        },
        2_000,
    )
}

#[test]
fn a_destination_that_blocks_puts_off() -> anyhow::Result<()> {
    until_there_is_room(
        |setup| {
            setup.with("relay.sending.when_behind", "\"block\"").with("relay.sending.mark_points", 20_000)
        },
        2_000,
    )
}

#[test]
fn who_is_told_when_to_come_again_is_served_then() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    // Each of these fills the bucket's whole burst: the second comes too soon, unless two and a half seconds are between.
    let more = ", points_per_second = 200, burst_points = 500";
    let (node, to) = flux(Setup::relay([sink.destination()]), more)?;
    let base = now() - 20_000;
    ensure!(lines(to, &request(base, 0))?.0 == 204);
    let (status, text) = lines(to, &request(base, 1))?;
    let seconds = again_after(&text).filter(|seconds| *seconds <= 3);
    ensure!(status == 429 && seconds.is_some(), "{text}");
    std::thread::sleep(Duration::from_secs(seconds.unwrap_or_default()));
    let (status, text) = lines(to, &request(base, 1))?;
    ensure!(status == 204, "{text}");
    sink.has(2 * POINTS as u64, LIMIT)?;
    let metrics = node.balanced()?;
    ensure!(metrics.sum("skyline_flux_key_limited_total", &[("key", "test")]) == 1.0);
    Ok(())
}

/// A connection that has sent `text`.
fn begun(to: SocketAddr, text: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(text.as_bytes())?;
    Ok(stream)
}

#[test]
fn slow_clients_keep_no_place() -> anyhow::Result<()> {
    let setup = Setup::window()
        .with("flux.max_connections", 6)
        .with("flux.head_seconds", 1.0)
        .with("flux.body_seconds", 1.0);
    let (node, to) = flux(setup, "")?;
    let head = format!("POST /metric_data_post HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\n");
    let body = format!("{head}Content-Type: text/plain\r\nContent-Length: 1000\r\n\r\na 1");
    let chunked = format!("{head}Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na 1\r\n");
    // Nothing, a head that never ends (twice), and bodies that never end.
    let texts = ["", "POST /metric", head.as_str(), body.as_str(), body.as_str(), chunked.as_str()];
    let is_served = AtomicBool::new(false);
    let mut slow = texts.map(|text| begun(to, text));
    let good = std::thread::scope(|scope| {
        // They go on, a byte at a time, until another is served: while they have the places it is not.
        scope.spawn(|| {
            while !is_served.load(SeqCst) {
                for stream in slow.iter_mut().skip(1).flatten() {
                    // It may be closed already.
                    drop(stream.write_all(b"x"));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let good = lines(to, &format!("a 1 {}\n", now()));
        is_served.store(true, SeqCst);
        good
    })?;
    ensure!(good.0 == 204, "{good:?}");
    for (n, stream) in slow.into_iter().enumerate() {
        // Heads are cut off without a word, and so is who had sent more than was read.
        if let Ok((status, text)) = answer(&mut stream?) {
            ensure!(n > 2 && status == 408 || n == 5 && status == 400, "{n}: {text}");
        }
    }
    let metrics = node.balanced()?;
    ensure!(metrics.sum("skyline_flux_requests_total", &[("status", "408")]) >= 2.0);
    eventually_true(LIMIT, "no connection is left", || {
        node.metrics().is_ok_and(|m| m.sum("skyline_flux_connections", &[]) == 0.0)
    })
}

fn packed(text: &[u8]) -> anyhow::Result<[(&'static str, Vec<u8>); 3]> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text)?;
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(text)?;
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
    raw.write_all(text)?;
    Ok([("gzip", gzip.finish()?), ("deflate", zlib.finish()?), ("deflate", raw.finish()?)])
}

/// Snappy of equal bytes: a literal, then so many copies of 64 bytes at offset 1.
fn snappy(copies: usize) -> Vec<u8> {
    let (mut out, mut length) = (Vec::new(), 1 + 64 * copies);
    while length > 127 {
        out.push((length & 127 | 128) as u8);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend([0, b'x']);
    out.extend([63 << 2 | 2, 1, 0].repeat(copies));
    out
}

/// Eight senders of each body, until each has an answer that is no 503; MiB that the node has grown by meanwhile. `tried`:
/// what is answered in the end.
fn grown(bodies: &[(&str, Vec<u8>)], tried: u16) -> anyhow::Result<u64> {
    let (node, to) = flux(Setup::window().with("flux.memory_bytes", 48 << 20), "")?;
    ensure!(lines(to, &format!("a 1 {}\n", now()))?.0 == 204);
    let before = node.process.memory("VmHWM");
    std::thread::scope(|scope| {
        let senders = bodies.iter().flat_map(|body| [body; 8]).map(|(packing, body)| {
            scope.spawn(move || {
                let headers = format!("Content-Type: text/plain\r\nContent-Encoding: {packing}\r\n");
                // 503: the others have all the memory at that moment.
                eventually(LIMIT, "an answer", || match send(to, "/metric_data_post", &headers, body) {
                    Ok((503, text)) if again_after(&text).is_some() => None,
                    other => Some(other),
                })?
            })
        });
        for sender in senders.collect::<Vec<_>>() {
            let (status, text) = sender.join().map_err(|_| anyhow::anyhow!("a sender failed"))??;
            ensure!(status == tried, "{text}");
        }
        Ok(())
    })?;
    let grown = node.process.memory("VmHWM").saturating_sub(before) >> 20;
    ensure!(lines(to, &format!("a 1 {}\n", now()))?.0 == 204);
    node.balanced()?;
    Ok(grown)
}

#[test]
fn bombs_need_no_memory() -> anyhow::Result<()> {
    let mut bombs = Vec::from(packed(&vec![b'x'; 32 << 20])?);
    bombs.push(("snappy", snappy(500_000)));
    bombs.push(("snappy", vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0]));
    let grown = grown(&bombs, 413)?;
    ensure!(grown < 100, "{grown} MiB");
    Ok(())
}

#[test]
fn long_bodies_share_their_memory() -> anyhow::Result<()> {
    // As long as they may be, and nothing but blanks.
    let text = vec![b' '; 16 << 20];
    let mut bodies = Vec::from(packed(&text)?);
    bodies.push(("snappy", snap::raw::Encoder::new().compress_vec(&text)?));
    let grown = grown(&bodies, 204)?;
    ensure!(grown < 120, "{grown} MiB");
    Ok(())
}

#[test]
fn requests_that_are_none() -> anyhow::Result<()> {
    let (node, to) = flux(Setup::window(), "")?;
    let key = format!("Host: x\r\nConnection: close\r\nX-Api-Key: {KEY}\r\n");
    let long = "x".repeat(20_000);
    let check = |request: String, expected: u16| -> anyhow::Result<()> {
        let (status, text) = answer(&mut begun(to, &request)?)?;
        ensure!(status == expected, "{:.100}: {text}", request);
        Ok(())
    };
    check(format!("GET /metric_data?metric={long}&value=1 HTTP/1.1\r\n{key}\r\n"), 431)?;
    check(format!("GET /ping HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100)), 431)?;
    check("nonsense\r\n\r\n".into(), 400)?;
    let post = format!("POST /metric_data_post HTTP/1.1\r\n{key}Content-Type: text/plain\r\n");
    check(format!("{post}Content-Length: x\r\n\r\n"), 400)?;
    check(format!("{post}Transfer-Encoding: chunked\r\n\r\nx\r\n"), 400)?;
    let line = format!("a 1 {}\n", now());
    check(format!("{post}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{line}\r\n0\r\n\r\n", line.len()), 204)?;
    check(format!("{post}Content-Length: {}\r\n\r\n{line}", line.len()), 204)?;
    node.balanced()?;
    Ok(())
}
