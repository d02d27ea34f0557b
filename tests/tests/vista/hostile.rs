//! Servers that misbehave, and a good one beside them that is fetched from all the same.

use crate::rig::{Endless, LIMIT, at, is_whole, job, job_is, most_failures, number, said, vista};
use anyhow::{Context as _, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use skyline_tests::node::Setup;
use skyline_tests::now;
use skyline_tests::peer::sink::{Protocol, Sink};
use std::collections::BTreeMap;
use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

const PASSWORD: &str = "hunter2-of-a-test";
/// A time that all odd answers have a point at.
const SOME: i64 = 60;

/// A server that answers each first part of a path in a manner of its own.
struct Mean {
    address: SocketAddr,
    asked: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Mean {
    fn start() -> anyhow::Result<Self> {
        bomb()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let asked = Arc::new(Mutex::new(BTreeMap::new()));
        let all = Arc::clone(&asked);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                std::thread::spawn(move || drop(serve(stream, &all)));
            }
        });
        Ok(Self { address, asked })
    }

    fn asked(&self, manner: &str) -> u32 {
        let all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(manner).copied().unwrap_or(0)
    }
}

fn serve(mut stream: TcpStream, all: &Mutex<BTreeMap<String, u32>>) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let manner = head.split('/').nth(1).unwrap_or_default().to_owned();
    *all.lock().unwrap_or_else(PoisonError::into_inner).entry(manner.clone()).or_default() += 1;
    answer(&mut stream, &manner, &head)?;
    // What it still sends is read, so that the end is no reset.
    stream.shutdown(std::net::Shutdown::Write)?;
    while stream.read(&mut [0; 512])? > 0 {}
    Ok(())
}

/// Blanks that are much longer when they are unpacked. Made once: that takes longer than jobs wait.
fn bomb() -> anyhow::Result<&'static [u8]> {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(made) = BOMB.get() {
        return Ok(made);
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        packed.write_all(&vec![b' '; 1 << 20])?;
    }
    let packed = packed.finish()?;
    Ok(BOMB.get_or_init(|| packed))
}

fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> anyhow::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    )?;
    Ok(stream.write_all(body)?)
}

fn answer(stream: &mut TcpStream, manner: &str, head: &str) -> anyhow::Result<()> {
    let now = now() / 60 * 60 - 60;
    let graphite = |points: String| format!("[{{\"target\": \"t\", \"datapoints\": [{points}]}}]");
    let matrix = |points: String| {
        format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{{\"metric\":{{}},\"values\":[{points}]}}]}}}}"
        )
    };
    match manner {
        "html" | "html2" => say(stream, "200 OK", "Content-Type: text/html\r\n", b"<html>log in</html>"),
        // Nothing, no number, words; times twice, behind each other, of 64 bits, negative; and a good one.
        "odd" => say(stream, "200 OK", "", graphite(format!(
            "[null,{now}],[NaN,{now}],[1e999,{now}],[\"x\",{now}],[1],7,[1,-9223372036854775808],[1,-60],[1,9223372036854775807],[1,1e30],[5,{now}],[6,{now}],[4,{}]",
            now - SOME
        )).as_bytes()),
        "odd2" => say(stream, "200 OK", "", matrix(format!(
            "[{now},null],[{now},\"NaN\"],[{now},\"+Inf\"],[{now},\"x\"],[-60,\"1\"],[9223372036854775807,\"1\"],[\"{now}\",\"1\"],[{now},\"5\"],[{now},\"6\"],[{},\"4\"]",
            now - SOME
        )).as_bytes()),
        "vector" => say(stream, "200 OK", "", br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#),
        "many" => say(stream, "200 OK", "", serde_json::to_string(&vec![json!({"target": "t", "datapoints": []}); 20])?.as_bytes()),
        "several" => {
            let one = |name| json!({"target": name, "datapoints": [[1, now]]});
            say(stream, "200 OK", "", json!([one("a"), one("b")]).to_string().as_bytes())
        }
        "deep" => say(stream, "200 OK", "", "[{\"a\":".repeat(100_000).as_bytes()),
        "loop" => say(stream, "302 Found", "Location: /loop/render\r\n", b""),
        "away" => say(stream, "302 Found", "Location: http://169.254.169.254/latest\r\n", b""),
        "huge" => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n[")?;
            Ok(())
        }
        "endless" => {
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n[")?;
            loop {
                stream.write_all(&[b' '; 4096])?;
            }
        }
        "bomb" => {
            say(stream, "200 OK", "Content-Encoding: gzip\r\n", bomb()?)
        }
        "slow" => {
            write!(stream, "HTTP/1.1 200 OK\r\n\r\n[")?;
            loop {
                stream.write_all(b" ")?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        "silent" => {
            while stream.read(&mut [0; 512])? > 0 {}
            Ok(())
        }
        "half" => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{{\"target\"")?;
            Ok(())
        }
        "gone" => Ok(()),
        "unauthorized" => say(stream, "401 Unauthorized", "", head.as_bytes()),
        "busy" => say(stream, "429 Too Many Requests", "Retry-After: 600\r\n", b"later"),
        "broken" => say(stream, "500 Internal Server Error", "", b"out of luck"),
        other => anyhow::bail!("no manner {other}"),
    }
}

/// Manners, kinds of their failures, and words of them.
const WRONG: [(&str, &str, &str); 17] = [
    ("html", "answer", "HTML"),
    ("html2", "answer", "HTML"),
    ("vector", "answer", "a vector, no matrix"),
    ("many", "answer", "more than 10 series"),
    ("several", "several_series", "gives 2 series, and store_as names one: write a template"),
    ("deep", "answer", "nested deeper"),
    ("loop", "redirect", "after 3 others"),
    ("away", "redirect", "which the settings do not name"),
    ("huge", "too_large", "longer than 1000000 bytes"),
    ("endless", "too_large", "longer than 1000000 bytes"),
    ("bomb", "too_large", "longer than 1000000 bytes"),
    ("slow", "timeout", "within 1 s"),
    ("silent", "timeout", "within 1 s"),
    ("half", "broken", "the answer is broken"),
    ("unauthorized", "status", "it answered 401: (its words hold a credential)"),
    ("busy", "status", "it answered 429: later; it is asked too often"),
    ("broken", "status", "it answered 500: out of luck; its own log"),
];

fn jobs(mean: &Mean, good: &Endless) -> String {
    let own = |name: &str| {
        let kind = if ["html2", "odd2", "vector"].contains(&name) { "prometheus" } else { "graphite" };
        format!(
            "{{ name = \"{name}\", kind = \"{kind}\", url = \"http://{}/{name}\", target = \"t\", store_as = \"bad.{name}.{{target}}\", \
             every_seconds = 1, timeout_seconds = 1, max_body_bytes = 1000000, max_series = 10, user = \"u\", password_file = \"password\" }}",
            mean.address
        )
    };
    let mut jobs: Vec<_> = WRONG.iter().map(|(name, ..)| own(name)).collect();
    for job in jobs.iter_mut().filter(|job| job.contains("several")) {
        *job = job.replace(".{target}", "");
    }
    jobs.extend(["gone", "odd"].map(own));
    jobs.push(own("odd2").replace("{target}", "t"));
    jobs.push(format!(
        "{{ name = \"good\", url = \"{}\", target = \"g\", store_as = \"good.{{target}}\", every_seconds = 1 }}",
        good.server.url()
    ));
    format!("[{}]", jobs.join(", "))
}

#[test]
fn each_is_told_and_the_others_go_on() -> anyhow::Result<()> {
    let (mean, good) = (Mean::start()?, Endless::start(1, 1, |_| true)?);
    let sink = Sink::start(Protocol::Lines)?;
    let (begun, start) = (now(), Instant::now());
    let mut node = Setup::window()
        .file("password", PASSWORD)
        .with("relay.destinations", format!("[{:?}]", sink.destination()))
        .with("vista.enabled", true)
        .with("vista.per_host", 4)
        .with("vista.skip_current_minute", false)
        .with("vista.fetch", jobs(&mean, &good))
        .start()?;
    let gone = [("gone", "broken", "the answer is broken")];
    for (name, kind, words) in WRONG.iter().chain(&gone) {
        // On a busy machine it may say first that there was no answer in time.
        let is_told = |job: &Value| job["last_error"].as_str().is_some_and(|error| error.contains(words));
        let failing = job_is(&node, name, "it fails", is_told)?;
        let error = failing["last_error"].as_str().unwrap_or_default();
        ensure!(error.contains(&format!("vista job {name} (http://")), "{name}: {error}");
        let counted = node.metrics()?.sum("skyline_vista_failures_total", &[("job", name), ("kind", kind)]);
        ensure!(counted >= 1.0, "{name} is not counted as {kind}: {failing}");
        ensure!(number(&failing, "/points/live") + number(&failing, "/points/history") == 0, "{failing}");
    }
    let output = vista(&node, &["test", "unauthorized"])?;
    ensure!(!output.status.success() && said(&output).contains("it answered 401"), "{}", said(&output));
    let secret = [PASSWORD.to_owned(), "Basic dTpodW".to_owned()];
    let all = node.process.log() + &said(&output) + &said(&vista(&node, &["status", "--json"])?);
    ensure!(!secret.iter().any(|secret| all.contains(secret)), "shown: {all}");

    for name in ["odd", "odd2"] {
        let odd = job_is(&node, name, "it runs", |job| number(job, "/runs") >= 1)?;
        ensure!(number(&odd, "/failures/answer") == 0, "{odd}");
        for (reason, least) in [
            ("null", 1),
            ("not_finite", 2),
            ("not_a_number", 1),
            ("time", 3),
            ("duplicate", 1),
            ("unsorted", 1),
        ] {
            ensure!(number(&odd, &format!("/skipped/{reason}")) >= least, "{reason}: {odd}");
        }
        let stored = format!("bad.{name}.t");
        skyline_tests::eventually_true(LIMIT, "both good points", || at(&sink, &stored).len() >= 2)?;
        let values: Vec<_> = at(&sink, &stored).into_values().take(2).collect();
        ensure!(values == [4.0, 6.0], "{name}: {values:?}");
    }

    // 429 said for how long; others were asked again, but less and less.
    let (asked, busy) = (mean.asked("busy"), job(&node, "busy")?);
    let told = number(&busy, "/failures/status");
    ensure!(told == 1, "asked {asked} times by who was told to wait for ten minutes: {busy}");
    job_is(&node, "broken", "it fails on", |job| number(job, "/failures_in_a_row") >= 4)?;
    let asked = mean.asked("broken");
    let (most, passed) = (most_failures(start), start.elapsed().as_secs());
    ensure!((4..=most).contains(&i64::from(asked)), "{asked} questions in {passed} s, more than {most}");

    let done = job_is(&node, "good", "it runs on", |job| number(job, "/asked_until") >= begun + 6)?;
    ensure!(done["failures"] == json!({}) && number(&done, "/runs") >= 4, "{done}");
    let until = number(&done, "/asked_until");
    skyline_tests::eventually_true(LIMIT, "all good points", || at(&sink, "good.g.0").contains_key(&until))?;
    is_whole(&sink, "good.g.0", (begun - 120, until), 1)?;
    ensure!(sink.series("good.g.0").values().all(|(_, times)| *times == 1), "a good point came twice");
    node.process.must_run().context("the node ended")?;
    let memory = node.process.memory("VmHWM") >> 20;
    println!("{memory} MiB at most, {asked} questions to a server that answers 500 in {passed} s");
    ensure!(memory < 400, "{memory} MiB");
    node.balanced()?;
    Ok(())
}
