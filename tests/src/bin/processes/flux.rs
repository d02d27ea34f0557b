//! Points over HTTP beside lines: a hundred thousand a second of each, requests of a thousand points over four
//! connections that stay, by each form of a body.

use crate::load::{self, Background};
use crate::program::{Program, Running};
use crate::table::median;
use crate::workload::{self, Workload};
use anyhow::Context as _;
use skyline_tests::flux::KEY;
use skyline_tests::{eventually_true, now, port};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Connections that stay open.
const CONNECTIONS: i64 = 4;
/// Points of a request.
const BATCH: i64 = 1_000;
/// Points a second, over HTTP and as lines each.
const RATE: i64 = 100_000;
/// Requests in which a connection sends all its metrics once.
const ROUND: i64 = 3;
/// Longest wait for an answer, and for the last points.
const LIMIT: Duration = Duration::from_secs(20);

/// How points are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Not at all: what the lines beside it cost.
    None,
    Json,
    Lines,
    Influx,
    RemoteWrite,
}

const FORMS: [Form; 5] = [Form::None, Form::Json, Form::Lines, Form::Influx, Form::RemoteWrite];

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Json => "JSON",
            Self::Lines => "lines",
            Self::Influx => "InfluxDB's lines, ten fields each",
            Self::RemoteWrite => "remote-write",
        }
    }

    /// Path and headers.
    fn head(self) -> (&'static str, &'static str) {
        match self {
            Self::None | Self::Json => ("/flux/metric_data_post", "Content-Type: application/json\r\n"),
            Self::Lines => ("/flux/metric_data_post", "Content-Type: text/plain\r\n"),
            Self::Influx => ("/api/v2/write?precision=s", ""),
            Self::RemoteWrite => {
                ("/api/v1/write", "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n")
            }
        }
    }

    /// The points of the metrics `from..from + BATCH` of a connection.
    fn body(self, connection: i64, from: i64, ts: i64, out: &mut Vec<u8>) -> anyhow::Result<()> {
        out.clear();
        match self {
            Self::None => {}
            Self::Json => {
                for n in from..from + BATCH {
                    let open = if n == from { '[' } else { ',' };
                    write!(
                        out,
                        "{open}{{\"metric\":\"flux.host{connection}.m{n}\",\"timestamp\":{ts},\"value\":{n}.5}}"
                    )?;
                }
                out.push(b']');
            }
            Self::Lines => {
                (from..from + BATCH)
                    .try_for_each(|n| writeln!(out, "flux.host{connection}.m{n} {n}.5 {ts}"))?;
            }
            Self::Influx => {
                for n in (from..from + BATCH).step_by(10) {
                    write!(out, "flux,host=host{connection},unit=u{n} ")?;
                    (0..10).try_for_each(|i| write!(out, "{}f{i}={n}.5", if i == 0 { "" } else { "," }))?;
                    writeln!(out, " {ts}")?;
                }
            }
            Self::RemoteWrite => {
                let mut message = Vec::new();
                for n in from..from + BATCH {
                    series(connection, n, ts, &mut message);
                }
                *out = snap::raw::Encoder::new().compress_vec(&message)?;
            }
        }
        Ok(())
    }
}

/// A `TimeSeries` with one sample, as a field of a `WriteRequest`.
fn series(connection: i64, n: i64, ts: i64, out: &mut Vec<u8>) {
    let field = |number: u8, content: &[u8], out: &mut Vec<u8>| {
        out.push(number << 3 | 2);
        varint(content.len() as u64, out);
        out.extend_from_slice(content);
    };
    let (mut series, mut label, mut sample) = (Vec::new(), Vec::new(), vec![0x09]);
    let instance = format!("host{connection}:9100");
    let name = format!("node_metric_{n}_total");
    for (key, value) in [("__name__", name.as_str()), ("instance", instance.as_str()), ("job", "node")] {
        label.clear();
        field(1, key.as_bytes(), &mut label);
        field(2, value.as_bytes(), &mut label);
        field(1, &label, &mut series);
    }
    sample.extend_from_slice(&(n as f64 + 0.5).to_le_bytes());
    sample.push(0x10);
    varint((ts * 1_000).cast_unsigned(), &mut sample);
    field(2, &sample, &mut series);
    field(1, &series, out);
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number > 127 {
        out.push((number & 127 | 128) as u8);
        number >>= 7;
    }
    out.push(number as u8);
}

/// What one run came to.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Points a second over HTTP.
    rate: f64,
    /// CPU seconds of the node.
    cpu: f64,
    /// Seconds that it took.
    seconds: f64,
    /// Share of all points that came to the sink.
    delivered: f64,
    /// Answer times from when a request was due, milliseconds.
    p50: f64,
    p99: f64,
    max: f64,
}

/// Each form by turns; the Markdown.
pub(crate) fn run(seconds: i64, runs: u32) -> anyhow::Result<String> {
    let mut all: Vec<(Form, Vec<Run>)> = FORMS.iter().map(|&form| (form, Vec::new())).collect();
    for n in 0..runs {
        for (form, done) in &mut all {
            let run = one(*form, seconds)?;
            eprintln!("flux run {} of {runs}, {}: {run:?}", n + 1, form.name());
            done.push(run);
        }
    }
    let of = |runs: &[Run], what: fn(&Run) -> f64| median(runs.iter().map(what).collect());
    let points = (RATE * seconds) as f64 / 1e6;
    let alone = all.first().map_or(0.0, |(_, runs)| of(runs, |r| r.cpu));
    let mut out = format!(
        "{RATE} points a second as lines on four connections, and as many over HTTP in requests of {BATCH}; {seconds} s, \
         medians of {runs}. Answer times count from when a request was due.\n\n\
         | over HTTP | points/s | node, share of a core | CPU-s/M, all | CPU-s/M, HTTP alone | p50 ms | p99 ms | max ms | delivered |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    for (form, runs) in &all {
        let (cpu, is) = (of(runs, |r| r.cpu), *form != Form::None);
        let or_none = |text: String| if is { text } else { "–".to_owned() };
        writeln!(
            out,
            "| {} | {} | {:.0} % | {:.3} | {} | {} | {} | {} | {:.2} % |",
            form.name(),
            or_none(format!("{:.0} k", of(runs, |r| r.rate) / 1e3)),
            of(runs, |r| r.cpu / r.seconds) * 100.0,
            cpu / (points * if is { 2.0 } else { 1.0 }),
            or_none(format!("{:.3}", (cpu - alone) / points)),
            or_none(format!("{:.1}", of(runs, |r| r.p50))),
            or_none(format!("{:.1}", of(runs, |r| r.p99))),
            or_none(format!("{:.1}", of(runs, |r| r.max))),
            of(runs, |r| r.delivered) * 100.0
        )?;
    }
    Ok(out)
}

fn one(form: Form, seconds: i64) -> anyhow::Result<Run> {
    let (folder, sink_at, to) = (tempfile::tempdir()?, port::free(), port::free());
    let words = ["sink", "--listen", &sink_at.to_string(), "--protocol", "plaintext", "--duration", "3600"];
    let sink = Background::start(words, folder.path())?;
    let plain = Workload { defaults: true, ..workload::all(true).swap_remove(0) };
    let mut running = Running::start(Program::Node, &plain, None, &[sink_at], |setup| {
        setup
            .file("flux.key", KEY)
            .with("flux.listen", format!("[\"{to}\"]"))
            .with("flux.api_keys", "[{ name = \"bench\", key_file = \"flux.key\" }]")
            .with("flux.max_age_seconds", 86_400)
    })?;
    let lines_to = running.address(&plain).to_string();
    let (rate, points) = (RATE.to_string(), (RATE * seconds / 10_000).to_string());
    let words = [
        "send",
        "--to",
        &lines_to,
        "--metrics",
        "10000",
        "--points",
        &points,
        "--rate",
        &rate,
        "--connections",
        "4",
    ];
    let (cpu, start) = (running.process().cpu_seconds(), Instant::now());
    let lines = std::thread::scope(|scope| {
        let beside = scope.spawn(|| load::run(words));
        let http = send_all(form, to, seconds);
        let lines = beside.join().map_err(|_| anyhow::anyhow!("the sender of lines failed"))??;
        Ok::<_, anyhow::Error>((lines, http?))
    });
    let (lines, (mut times, rate)) = lines?;
    let wanted = load::number(&lines, "sent") as u64 + times.len() as u64 * BATCH.unsigned_abs();
    // What does not come is in the table.
    drop(eventually_true(LIMIT, "all points at the sink", || sink.count() >= wanted));
    let (cpu, seconds) = (running.process().cpu_seconds() - cpu, start.elapsed().as_secs_f64());
    running.process().must_run()?;
    let came = load::number(&sink.end()?, "received");
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        times.get((times.len().saturating_sub(1) as f64 * share).ceil() as usize).copied().unwrap_or(f64::NAN)
    };
    let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
    Ok(Run { rate, cpu, seconds, delivered: came / wanted as f64, p50, p99, max })
}

/// Sends over all connections; each request's answer time in milliseconds, and points a second.
fn send_all(form: Form, to: SocketAddr, seconds: i64) -> anyhow::Result<(Vec<f64>, f64)> {
    if form == Form::None {
        return Ok((Vec::new(), 0.0));
    }
    let start = Instant::now();
    let times = std::thread::scope(|scope| {
        let connections = (0..CONNECTIONS).map(|n| scope.spawn(move || send(form, to, n, seconds)));
        let mut all = Vec::new();
        for connection in connections.collect::<Vec<_>>() {
            all.extend(connection.join().map_err(|_| anyhow::anyhow!("a connection failed"))??);
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    let rate = times.len() as f64 * BATCH as f64 / start.elapsed().as_secs_f64();
    Ok((times, rate))
}

fn send(form: Form, to: SocketAddr, connection: i64, seconds: i64) -> anyhow::Result<Vec<f64>> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let requests = RATE * seconds / CONNECTIONS / BATCH;
    let between = Duration::from_secs_f64((BATCH * CONNECTIONS) as f64 / RATE as f64);
    // Connections know nothing of each other.
    let start = Instant::now() + between.mul_f64(connection as f64 / CONNECTIONS as f64);
    let first = now() - 40_000;
    let (path, headers) = form.head();
    let (mut body, mut request, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..requests {
        let (from, round) = (n % ROUND * BATCH, n / ROUND);
        form.body(connection, from, first + round, &mut body)?;
        request.clear();
        write!(
            request,
            "POST {path} HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {KEY}\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )?;
        request.extend_from_slice(&body);
        let due = start + between.mul_f64(n as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(&request)?;
        no_content(&mut stream).with_context(|| format!("request {n} of connection {connection}"))?;
        times.push(due.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// Reads an answer that is 204, which has no body.
fn no_content(stream: &mut TcpStream) -> anyhow::Result<()> {
    let (mut buffer, mut length) = ([0; 4_096], 0);
    while !buffer.get(..length).is_some_and(|text| text.ends_with(b"\r\n\r\n")) {
        let read = stream.read(buffer.get_mut(length..).unwrap_or_default())?;
        anyhow::ensure!(read > 0, "the answer is cut off");
        length += read;
    }
    let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
    anyhow::ensure!(text.starts_with("HTTP/1.1 204 "), "{text}");
    Ok(())
}
