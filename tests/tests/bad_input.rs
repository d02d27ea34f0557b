//! Senders that break every rule: good points before, beside and after all arrive, and a counter
//! names each loss.

use skyline_tests::metrics::Metrics;
use skyline_tests::node::{Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::pickle::{frame, framed};
use skyline_tests::{eventually_true, load, now, process};
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

/// A node with windows and a sink behind it, and how many good points went through.
struct Bench {
    node: Node,
    sink: Sink,
    good: u32,
}

impl Bench {
    fn start() -> anyhow::Result<Self> {
        let sink = Sink::start(Protocol::Pickle)?;
        let node = Setup::relay([sink.destination()]).with("window.enabled", true).start()?;
        Ok(Self { node, sink, good: 0 })
    }

    /// A good point goes through the node's plaintext port.
    fn good_point(&mut self) -> anyhow::Result<()> {
        self.good += 1;
        let name = format!("good.point-{}", self.good);
        load::bytes(self.node.plaintext(), format!("{name} {} {}\n", self.good, now()))?;
        eventually_true(SOON, &format!("{name} at the sink"), || !self.sink.series(&name).is_empty())
    }

    fn refused(before: &Metrics, after: &Metrics, reason: &str) -> u64 {
        after.refused(reason) - before.refused(reason)
    }

    /// `bytes` on a connection to `to`, good points before and after. `refused`: counters and by how much
    /// they must grow. `taken`: points that must go through besides.
    #[track_caller]
    fn check(&mut self, what: &str, to: SocketAddr, bytes: &[u8], refused: &[(&str, u64)], taken: u64) {
        let outcome = self.outcome(to, bytes, refused, taken);
        assert!(outcome.is_ok(), "{what}: {outcome:#?}");
    }

    fn outcome(
        &mut self,
        to: SocketAddr,
        bytes: &[u8],
        refused: &[(&str, u64)],
        taken: u64,
    ) -> anyhow::Result<()> {
        self.good_point()?;
        let before = self.node.balanced()?;
        // The node may close before it has read all of what is wrong.
        drop(load::bytes(to, bytes));
        let mut after = Metrics::default();
        let wanted: u64 = refused.iter().map(|(_, n)| n).sum();
        let settled = eventually_true(SOON, "all of it counted", || {
            after = self.node.metrics().unwrap_or_default();
            after.received() - before.received() >= wanted + taken && after.balanced().is_ok()
        });
        for (reason, n) in refused {
            let grown = Self::refused(&before, &after, reason);
            anyhow::ensure!(grown == *n, "{reason} grew by {grown}, not by {n}");
        }
        settled?;
        let all = after.sum("skyline_relay_refused_points_total", &[])
            - before.sum("skyline_relay_refused_points_total", &[]);
        anyhow::ensure!(all as u64 == wanted, "{all} refused in all, not {wanted}");
        let logged = after.logged() - before.logged();
        anyhow::ensure!(logged == taken, "{logged} taken, not {taken}");
        self.good_point()
    }
}

#[test]
fn lines() -> anyhow::Result<()> {
    let mut bench = Bench::start()?;
    let to = bench.node.plaintext();
    let t = now();
    let mut check = |what: &str, text: &str, refused: &[(&str, u64)], taken| {
        bench.check(what, to, text.replace("NOW", &t.to_string()).as_bytes(), refused, taken);
    };
    check("half a line", "bad.half 1 17", &[("cut_line", 1)], 0);
    check("a line, then half of one", "bad.one 1 NOW\nbad.half 1", &[("cut_line", 1)], 1);
    check("one field", "name\n", &[("fields", 1)], 0);
    check("two fields", "name 1\n", &[("fields", 1)], 0);
    check("four fields", "name 1 NOW 5\n", &[("fields", 1)], 0);
    check("no number", "name one NOW\n", &[("value", 1)], 0);
    check("nan", "name nan NOW\nname NaN NOW\n", &[("nan_value", 2)], 0);
    check("no time", "name 1 soon\n", &[("time", 1)], 0);
    check("infinite times", "name 1 nan\nname 1 inf\n", &[("time", 2)], 0);
    check("between two good ones", "bad.a 1 NOW\nrubbish\nbad.b 1 NOW\n", &[("fields", 1)], 2);
    check(
        "a long line",
        &format!("{} 1 NOW\nbad.after 1 NOW\n", "x".repeat(40_000)),
        &[("line_too_long", 1)],
        1,
    );
    check("a line without end", &"x".repeat(1_000_000), &[("line_too_long", 1)], 0);
    check("infinite values are relayed", "bad.inf inf NOW\nbad.inf -inf NOW\n", &[], 2);
    check("times years off are relayed", "bad.old 1 1000000000\nbad.new 1 4000000000\n", &[], 2);
    bench.node.balanced()?;
    eventually_true(SOON, "two infinite, one old and one future point refused by the window", || {
        let metrics = bench.node.metrics().unwrap_or_default();
        let counted = |reason| metrics.sum("skyline_window_refused_total", &[("reason", reason)]) as u64;
        (counted("infinite"), counted("old"), counted("future")) == (2, 1, 1)
    })
}

#[test]
fn pickles() -> anyhow::Result<()> {
    let mut bench = Bench::start()?;
    let to = bench.node.pickle();
    let good = frame(&[("bad.then-good", now() as f64, 1.0)]);
    let mut check = |what: &str, bytes: Vec<u8>, refused: &[(&str, u64)], taken| {
        bench.check(what, to, &bytes, refused, taken);
    };
    let then_good = |body: &[u8]| [framed(body), good.clone()].concat();
    check("code to run", then_good(b"cos\nsystem\n(S'true'\ntR."), &[("frame", 1)], 1);
    check("a class to make", then_good(b"\x80\x02cos\nstat\n)\x81."), &[("frame", 1)], 1);
    check("not a pickle", then_good(b"hello, this is no pickle"), &[("frame", 1)], 1);
    check("deeply nested", then_good(&[&[b'('; 50_000][..], b"."].concat()), &[("frame", 1)], 1);
    check("a string longer than the frame", then_good(b"\x80\x02X\xff\xff\xff\x7fabc."), &[("frame", 1)], 1);
    check(
        "items that are no points",
        then_good(b"\x80\x02](K\x01NX\x01\x00\x00\x00aK\x01\x85e."),
        &[("item", 4)],
        1,
    );
    check("an item too few", then_good(b"\x80\x02](X\x01\x00\x00\x00aK\x01\x86e."), &[("item", 1)], 1);
    check(
        "nan",
        frame(&[("bad.nan", now() as f64, f64::NAN), ("bad.good", now() as f64, 2.0)]),
        &[("nan_value", 1)],
        1,
    );
    check("no time", frame(&[("bad.time", f64::NAN, 1.0)]), &[("time", 1)], 0);
    check("a length of four gigabytes", vec![0xff; 64], &[("frame_too_long", 1)], 0);
    check("a cut frame", good.get(..good.len() - 3).unwrap_or_default().to_vec(), &[("frame", 1)], 0);
    bench.node.balanced()?;
    Ok(())
}

#[test]
fn other_protocols() -> anyhow::Result<()> {
    let mut bench = Bench::start()?;
    let http = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
    let tls = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0x5a; 506]].concat();
    for to in [bench.node.plaintext(), bench.node.pickle()] {
        for bytes in [&http[..], &tls, b"*1\r\n$4\r\nPING\r\n", b"\x00", b"\n\n\n", b""] {
            bench.good_point()?;
            drop(load::bytes(to, bytes));
            bench.good_point()?;
        }
    }
    let metrics = bench.node.balanced()?;
    assert_eq!(metrics.logged(), u64::from(bench.good));
    assert!(metrics.sum("skyline_relay_refused_points_total", &[]) >= 6.0);
    Ok(())
}

#[test]
fn senders_that_never_read_or_close() -> anyhow::Result<()> {
    let mut bench = Bench::start()?;
    let mut open = Vec::new();
    for i in 0..20 {
        for to in [bench.node.plaintext(), bench.node.pickle()] {
            let mut stream = load::connect(to)?;
            stream.write_all(format!("never.closed-{i} 1 ").as_bytes())?;
            open.push(stream);
        }
    }
    bench.good_point()?;
    // A point goes on its way before its sender says more.
    let mut stream = load::connect(bench.node.plaintext())?;
    stream.write_all(format!("never.more 1 {}\nnever.mo", now()).as_bytes())?;
    eventually_true(Duration::from_secs(10), "the whole line, though half of one follows", || {
        !bench.sink.series("never.more").is_empty()
    })?;
    drop((open, stream));
    bench.good_point()?;
    bench.node.balanced()?;
    Ok(())
}

#[test]
fn two_thousand_connections() -> anyhow::Result<()> {
    const CONNECTIONS: u64 = 2_000;
    process::raise_file_limit();
    let mut bench = Bench::start()?;
    let time = now();
    let mut open = Vec::new();
    for i in 0..CONNECTIONS {
        let mut stream = load::connect(bench.node.plaintext())?;
        stream.write_all(format!("crowd.host-{i} {i} {time}\n").as_bytes())?;
        open.push(stream);
    }
    bench.sink.has(CONNECTIONS, Duration::from_secs(10))?;
    let metrics = bench.node.balanced()?;
    assert!(metrics.sum("skyline_relay_connections", &[]) >= CONNECTIONS as f64);
    for (i, stream) in (0..).zip(&mut open) {
        stream.write_all(format!("crowd.host-{i} {i} {}\n", time + 1).as_bytes())?;
    }
    bench.sink.has(2 * CONNECTIONS, Duration::from_secs(10))?;
    bench.good_point()?;
    drop(open);
    eventually_true(SOON, "all connections closed", || {
        bench.node.metrics().is_ok_and(|m| m.sum("skyline_relay_connections", &[]) < 10.0)
    })?;
    bench.node.balanced()?;
    Ok(())
}
