//! What an operator is told of the relay: destinations, senders, bad points; two feeds of the same points; a ring
//! with a member that is down.

use anyhow::Context as _;
use serde_json::Value;
use skyline_tests::node::{self, Node, Setup};
use skyline_tests::peer::sink::{Protocol, Sink};
use skyline_tests::{eventually, eventually_true, http, load, now, port};
use socket2::{Domain, Socket, Type};
use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

/// Sends `text` from 127.0.0.`host`.
fn send_from(host: u8, to: SocketAddr, text: &str) -> anyhow::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0)).into())?;
    socket.connect(&to.into())?;
    let mut stream = TcpStream::from(socket);
    stream.write_all(text.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    Ok(())
}

/// An answer of the relay's API.
fn relay(node: &Node, path: &str) -> anyhow::Result<Value> {
    http::get(node.api(), &format!("/api/v1/relay/{path}"))?.json()
}

/// What `skyline status` prints.
fn status(node: &Node, more: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new(node::binary()?).arg("status").arg("--config").arg(node.config()).args(more).output()?;
    Ok(String::from_utf8(output.stdout)?)
}

fn rows<'v>(answer: &'v Value, key: &str) -> anyhow::Result<&'v [Value]> {
    answer
        .get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .with_context(|| format!("no {key}: {answer}"))
}

fn number(row: &Value, key: &str) -> u64 {
    row.get(key).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

/// The row in which `key` is `value`.
fn row<'v>(rows: &'v [Value], key: &str, value: &str) -> anyhow::Result<&'v Value> {
    let found = rows.iter().find(|row| row.get(key).and_then(Value::as_str) == Some(value));
    found.with_context(|| format!("no {key} {value}: {rows:?}"))
}

#[test]
fn destinations_senders_and_bad_points() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let closed = port::free();
    let node = Setup::relay([sink.address(), closed]).start()?;
    let time = now();
    let lines: String = (0..500).map(|i| format!("some.metric.{i} {i} {time}\n")).collect();
    send_from(2, node.plaintext(), &lines)?;
    send_from(3, node.plaintext(), &format!("other 1 {time}\ntwo fields\nescaped\u{7} x {time}\n"))?;
    node.has_received(503, SOON)?;
    sink.has(501, SOON)?;
    let metrics = node.balanced()?;

    let answer = relay(&node, "senders")?;
    let senders = rows(&answer, "senders")?;
    let many = row(senders, "sender", "127.0.0.2")?;
    assert_eq!((number(many, "points"), number(many, "bad_points")), (500, 0));
    assert_eq!(number(many, "bytes"), lines.len() as u64);
    let few = row(senders, "sender", "127.0.0.3")?;
    assert_eq!((number(few, "points"), number(few, "bad_points")), (1, 2));
    // Every point that came has a sender.
    let all: u64 = senders.iter().map(|row| number(row, "points") + number(row, "bad_points")).sum();
    assert_eq!(all, metrics.received());
    assert_eq!(rows(&relay(&node, "senders?limit=1")?, "senders")?.len(), 1);

    let answer = relay(&node, "bad")?;
    let bad = rows(&answer, "bad_points")?;
    let escaped = row(bad, "text", &format!("escaped\\x07 x {time}"))?;
    assert_eq!(escaped.get("reason").and_then(Value::as_str), Some("value"));
    assert!(escaped.get("peer").and_then(Value::as_str).is_some_and(|peer| peer.starts_with("127.0.0.3:")));
    let printed = status(&node, &["--bad"])?;
    assert!(printed.lines().count() == 2 && printed.contains("escaped\\x07"), "{printed}");

    // A rate needs two looks.
    let destinations = eventually(SOON, "destinations have rates", || {
        let answer = relay(&node, "destinations").ok()?;
        let all = rows(&answer, "destinations").ok()?;
        all.iter().all(|row| row.get("points_per_second").is_some_and(Value::is_number)).then(|| all.to_vec())
    })?;
    let up = row(&destinations, "destination", &sink.address().to_string())?;
    assert_eq!((number(up, "delivered"), number(up, "waiting"), number(up, "sent")), (501, 0, 501));
    assert!(number(up, "sent_bytes") > lines.len() as u64, "{up}");
    let down = row(&destinations, "destination", &closed.to_string())?;
    assert_eq!((number(down, "delivered"), number(down, "waiting")), (0, 501));
    assert!(
        number(down, "errors") > 0 && down.get("lag_seconds").and_then(Value::as_f64) > Some(0.0),
        "{down}"
    );
    let printed = status(&node, &[])?;
    assert!(printed.contains("127.0.0.2 plaintext_tcp (gone)") && printed.contains("s behind"), "{printed}");
    Ok(())
}

#[test]
fn two_feeds_of_the_same_points() -> anyhow::Result<()> {
    let sink = Sink::start(Protocol::Lines)?;
    let node = Setup::relay([sink.address()]).with("relay.deduplicate_seconds", 600).start()?;
    let time = now();
    let lines = |from: i64, until: i64| -> String {
        (from..until).map(|i| format!("feed.metric.{} {i} {time}\n", i % 100)).collect()
    };
    send_from(2, node.plaintext(), &lines(0, 1000))?;
    node.has_received(1000, SOON)?;
    // The second feed is a little ahead of the first.
    send_from(3, node.plaintext(), &lines(0, 1100))?;
    node.has_received(2100, SOON)?;
    send_from(2, node.plaintext(), &lines(1000, 1100))?;
    node.has_received(2200, SOON)?;
    // What the same sender repeats goes on.
    send_from(2, node.plaintext(), &lines(0, 10))?;
    node.has_received(2210, SOON)?;
    let metrics = node.balanced()?;
    assert_eq!((metrics.refused("duplicate"), metrics.logged()), (1100, 1110));
    eventually_true(SOON, "the sink has what was logged", || sink.received() == 1110)?;
    Ok(())
}

#[test]
fn a_ring_goes_round_who_is_down() -> anyhow::Result<()> {
    let up = Sink::start(Protocol::Lines)?;
    let other = port::free();
    let conf = format!(
        "[relay]\nRELAY_METHOD = consistent-hashing\nREPLICATION_FACTOR = 1\nDESTINATION_PROTOCOL = line\n\
         LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = @PLAINTEXT@\n\
         PICKLE_RECEIVER_PORT = 0\nCARBON_METRIC_INTERVAL = 0\n\
         DESTINATIONS = {}:a, {other}:b\nDYNAMIC_ROUTER = True\nDYNAMIC_ROUTER_MAX_RETRIES = 1\n",
        up.address()
    );
    let node = Setup::relay::<String>([])
        .with("relay.files.carbon_conf", "\"carbon.conf\"")
        .file("carbon.conf", &conf)
        .start()?;
    let name = format!("{other}:b");
    let is_detoured = |expected: bool| {
        eventually_true(SOON, &format!("detoured: {expected}"), || {
            relay(&node, "destinations").is_ok_and(|answer| {
                let row = rows(&answer, "destinations").and_then(|rows| row(rows, "destination", &name));
                row.is_ok_and(|row| row.get("detoured").and_then(Value::as_bool) == Some(expected))
            })
        })
    };
    is_detoured(true)?;
    let lines = |kind: &str| -> String { (0..200).map(|i| format!("{kind}.{i} {i} {}\n", now())).collect() };
    load::bytes(node.plaintext(), lines("while.down"))?;
    up.has(200, SOON)?;
    let down = Sink::start_at(other, Protocol::Lines)?;
    is_detoured(false)?;
    load::bytes(node.plaintext(), lines("when.back"))?;
    eventually_true(SOON, "all points are somewhere", || up.distinct() + down.distinct() == 400)?;
    let back = down.names();
    assert!(back.len() > 50 && back.iter().all(|name| name.starts_with("when.back")), "{back:?}");
    node.balanced()?;
    Ok(())
}
