//! Real sockets into a real journal.

mod changing;
mod node;
mod packed;
mod secure;
mod senders;

use super::Listeners;
use node::{ANY, Node};
use skyline_conf::model::listen::Listen;
use skyline_core::batch::Listener;
use skyline_core::reject::Reject;
use std::collections::HashMap;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

/// `[("a.b", (5, 1.5))]` as a frame.
const FRAME: &[u8] = b"\0\0\0\x18\x80\x02](U\x03a.bK\x05G\x3f\xf8\0\0\0\0\0\0\x86\x86e.";

/// The peer has closed: nothing comes any more.
async fn closed(stream: &mut TcpStream) {
    let read = timeout(Duration::from_secs(5), stream.read(&mut [0; 8])).await.expect("closed in time");
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn lines_over_tcp() {
    let mut node = Node::start(|_, listen| listen.max_line_bytes = 64);
    let mut sender = node.tcp(Listener::PlaintextTcp).await;
    sender.write_all(b"a 1 1\nbad\nb 2").await.unwrap();
    node.has("a 1 1\n").await;
    sender.write_all(b" 2\nc 3 -1\nd").await.unwrap();
    node.has("a 1 1\nb 2 2\nc 3 1700000000\n").await;
    sender.write_all(&[b'x'; 100]).await.unwrap();
    sender.write_all(b"\ne 5 5\nf 6 6").await.unwrap();
    node.has("a 1 1\nb 2 2\nc 3 1700000000\ne 5 5\n").await;
    drop(sender);
    node.refuses(Listener::PlaintextTcp, Reject::CutLine, 1).await;
    node.refuses(Listener::PlaintextTcp, Reject::LineTooLong, 1).await;
    node.refuses(Listener::PlaintextTcp, Reject::Fields, 1).await;
    let examples = node.intake.recent_refusals();
    assert_eq!(examples.first().map(|example| example.text.as_str()), Some("bad"));
    node.stop().await;
}

#[tokio::test]
async fn frames_over_tcp() {
    let mut node = Node::start(|_, listen| listen.max_frame_bytes = 64);
    let mut sender = node.tcp(Listener::PickleTcp).await;
    sender.write_all(FRAME).await.unwrap();
    sender.write_all(&FRAME[..9]).await.unwrap();
    node.has("a.b 1.5 5\n").await;
    sender.write_all(&FRAME[9..]).await.unwrap();
    sender.write_all(b"\0\0\0\x03xyz\0\0\0\0").await.unwrap();
    sender.write_all(FRAME).await.unwrap();
    node.has("a.b 1.5 5\na.b 1.5 5\na.b 1.5 5\n").await;
    node.refuses(Listener::PickleTcp, Reject::Frame, 2).await;
    // Above the limit: what came before counts, then the connection is closed.
    sender.write_all(&[FRAME, b"\0\0\0\x41", &[b'x'; 65], FRAME].concat()).await.unwrap();
    closed(&mut sender).await;
    node.has(&"a.b 1.5 5\n".repeat(4)).await;
    node.refuses(Listener::PickleTcp, Reject::FrameTooLong, 1).await;
    // An incomplete frame at the end.
    let mut sender = node.tcp(Listener::PickleTcp).await;
    sender.write_all(&FRAME[..20]).await.unwrap();
    drop(sender);
    node.refuses(Listener::PickleTcp, Reject::Frame, 3).await;
    node.stop().await;
}

#[tokio::test]
async fn protobuf_over_tcp() {
    let mut node = Node::start(|_, listen| listen.max_frame_bytes = 1_000);
    let mut frame = Vec::new();
    let point = |name: &'static str, ts, value| (name.as_bytes(), ts, value);
    let points = [point("a.b", 5.0, 1.5), point("a.b", 6.0, 2.5), point("c", 7.0, 3.5)];
    crate::codec::protobuf::write(points.into_iter(), &mut frame);
    let lines = "a.b 1.5 5\na.b 2.5 6\nc 3.5 7\n";
    let mut sender = node.tcp(Listener::ProtobufTcp).await;
    sender.write_all(&frame[..9]).await.unwrap();
    sleep(Duration::from_millis(20)).await;
    sender.write_all(&frame[9..]).await.unwrap();
    sender.write_all(b"\0\0\0\x03xyz\0\0\0\0").await.unwrap();
    sender.write_all(&frame).await.unwrap();
    node.has(&lines.repeat(2)).await;
    node.refuses(Listener::ProtobufTcp, Reject::Frame, 1).await;
    sender.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    closed(&mut sender).await;
    node.refuses(Listener::ProtobufTcp, Reject::FrameTooLong, 1).await;
    // One name with many points becomes many batches.
    let many: Vec<_> = (0..30_000).map(|i| point("servers.web", f64::from(i), 1.0)).collect();
    let mut node = {
        node.stop().await;
        Node::start(|_, _| ())
    };
    frame.clear();
    crate::codec::protobuf::write(many.into_iter(), &mut frame);
    node.tcp(Listener::ProtobufTcp).await.write_all(&frame).await.unwrap();
    node.has(&(0..30_000).map(|i| format!("servers.web 1 {i}\n")).collect::<String>()).await;
    node.stop().await;
}

#[tokio::test]
async fn a_large_frame_becomes_many_batches() {
    let mut node = Node::start(|_, _| ());
    let points = 30_000;
    let mut body = b"\x80\x02](".to_vec();
    let mut want = String::new();
    for i in 0..points {
        let name = format!("servers.web.{i:05}");
        body.extend_from_slice(&[b'U', name.len() as u8]);
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"K\x05K\x06\x86\x86");
        want.push_str(&format!("{name} 6 5\n"));
    }
    body.extend_from_slice(b"e.");
    let mut sender = node.tcp(Listener::PickleTcp).await;
    sender.write_all(&(body.len() as u32).to_be_bytes()).await.unwrap();
    sender.write_all(&body).await.unwrap();
    node.has(&want).await;
    node.stop().await;
}

#[tokio::test]
async fn datagrams() {
    let mut node = Node::start(|_, _| ());
    let lines = node.udp(Listener::PlaintextUdp).await;
    lines.send(b"a 1 1\r\nb 2 2").await.unwrap();
    node.has("a 1 1\nb 2 2\n").await;
    lines.send(b"bad").await.unwrap();
    lines.send(b"").await.unwrap();
    node.refuses(Listener::PlaintextUdp, Reject::Fields, 1).await;
    let packed = node.udp(Listener::MsgpackUdp).await;
    packed.send(b"\x92\xa3a.b\x92\xce\x5d\x8b\x24\xc0\xcb\x3f\xf8\0\0\0\0\0\0").await.unwrap();
    packed.send(b"\x92\xa3a.b").await.unwrap();
    node.has("a 1 1\nb 2 2\na.b 1.5 1569400000\n").await;
    node.refuses(Listener::MsgpackUdp, Reject::Frame, 1).await;
    assert_eq!(node.figure("skyline_relay_udp_kernel_drops_total").len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn other_protocols_break_nothing() {
    let mut node = Node::start(|_, _| ());
    let hello: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[0xff; 4_000],
    ];
    for bytes in hello {
        for listener in [Listener::PlaintextTcp, Listener::PickleTcp] {
            let mut sender = node.tcp(listener).await;
            sender.write_all(bytes).await.unwrap();
            sender.shutdown().await.unwrap();
            closed(&mut sender).await;
        }
        for listener in [Listener::PlaintextUdp, Listener::MsgpackUdp] {
            node.udp(listener).await.send(bytes).await.unwrap();
        }
    }
    node.tcp(Listener::PlaintextTcp).await.write_all(b"a 1 1\n").await.unwrap();
    node.has("a 1 1\n").await;
    node.tcp(Listener::PickleTcp).await.write_all(FRAME).await.unwrap();
    node.has("a 1 1\na.b 1.5 5\n").await;
    node.stop().await;
}

#[tokio::test]
async fn times_are_rounded_down_when_asked() {
    let mut node = Node::start(|_, listen| listen.timestamp_resolution_seconds = 60);
    node.tcp(Listener::PlaintextTcp).await.write_all(b"a 1 119.5\n").await.unwrap();
    node.has("a 1 60\n").await;
    node.tcp(Listener::PickleTcp).await.write_all(FRAME).await.unwrap();
    node.has("a 1 60\na.b 1.5 0\n").await;
    node.stop().await;
}

#[tokio::test]
async fn unix_sockets() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("carbon.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut node = Node::start(|_, listen| listen.plaintext_unix = vec![path.clone()]);
    let mut sender = UnixStream::connect(&path).await.unwrap();
    sender.write_all(b"a 1 1\n").await.unwrap();
    node.has("a 1 1\n").await;
    let second = Listen {
        plaintext_unix: vec![path.clone()],
        plaintext_tcp: Vec::new(),
        pickle_tcp: Vec::new(),
        ..Listen::default()
    };
    let error = Listeners::bind(&second).unwrap_err().to_string();
    assert!(error.contains("carbon.sock") && error.contains("stop it or change"), "{error}");
    assert!(path.exists());
    node.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let node = Node::start(|_, _| ());
    let taken = node.address(Listener::PlaintextTcp);
    let settings = Listen { plaintext_tcp: vec![taken], pickle_tcp: vec![ANY], ..Listen::default() };
    let error = Listeners::bind(&settings).unwrap_err().to_string();
    assert!(error.starts_with(&format!("plaintext_tcp {taken}: ")), "{error}");
    assert!(error.contains("change listen.plaintext_tcp"), "{error}");
    let path = node.dir.path().join("none/here.sock");
    let settings =
        Listen { plaintext_unix: vec![path], plaintext_tcp: vec![ANY], pickle_tcp: vec![ANY], ..settings };
    let error = Listeners::bind(&settings).unwrap_err().to_string();
    assert!(error.contains("make the folder"), "{error}");
    node.stop().await;
}

#[tokio::test]
async fn both_families_on_one_port() {
    let v4 = Node::start(|_, listen| {
        listen.plaintext_tcp = vec!["[::1]:0".parse().unwrap(), ANY];
    });
    let kinds = v4.addresses.iter().filter(|(kind, _)| *kind == Listener::PlaintextTcp).count();
    assert_eq!(kinds, 2);
    v4.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let mut node = Node::start(|_, listen| listen.max_connections = 2);
    let mut senders = Vec::new();
    for i in 0..4 {
        let mut sender = node.tcp(Listener::PlaintextTcp).await;
        sender.write_all(format!("m{i} 1 1\n").as_bytes()).await.unwrap();
        senders.push(sender);
    }
    node.has("m0 1 1\nm1 1 1\n").await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(node.value("skyline_relay_connections"), 2.0);
    assert!(node.value("skyline_relay_connection_limit_hits_total") >= 1.0);
    senders.remove(0);
    node.has("m0 1 1\nm1 1 1\nm2 1 1\n").await;
    senders.remove(0);
    node.has("m0 1 1\nm1 1 1\nm2 1 1\nm3 1 1\n").await;
    assert_eq!(node.value("skyline_relay_connections_total"), 4.0);
    node.stop().await;
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let mut node = Node::start(|_, listen| listen.idle_seconds = 0.4);
    let mut quiet = node.tcp(Listener::PlaintextTcp).await;
    let mut busy = node.tcp(Listener::PlaintextTcp).await;
    quiet.write_all(b"cut").await.unwrap();
    for _ in 0..8 {
        busy.write_all(b"a 1 1\n").await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    closed(&mut quiet).await;
    node.refuses(Listener::PlaintextTcp, Reject::CutLine, 1).await;
    busy.write_all(b"a 1 1\n").await.unwrap();
    node.has(&"a 1 1\n".repeat(9)).await;
    assert_eq!(node.value("skyline_relay_connections_idle_closed_total"), 1.0);
    node.stop().await;
}

#[tokio::test]
async fn a_pause_stops_reading_and_refuses_datagrams() {
    let mut node = Node::start(|_, _| ());
    let mut sender = node.tcp(Listener::PlaintextTcp).await;
    sender.write_all(b"a 1 1\n").await.unwrap();
    node.has("a 1 1\n").await;
    node.flow.pause();
    sender.write_all(b"b 2 2\n").await.unwrap();
    node.udp(Listener::PlaintextUdp).await.send(b"u 1 1\nu 2 2").await.unwrap();
    node.refuses(Listener::PlaintextUdp, Reject::JournalFull, 2).await;
    sleep(Duration::from_millis(1_600)).await;
    assert_eq!(node.logged(), "a 1 1\n");
    assert!((0.9..9.0).contains(&node.value("skyline_relay_paused_seconds_total")));
    node.flow.resume();
    node.has("a 1 1\nb 2 2\n").await;
    node.stop().await;
}

#[tokio::test]
async fn a_stop_takes_what_has_arrived() {
    let mut node = Node::start(|_, _| ());
    let mut lines = node.tcp(Listener::PlaintextTcp).await;
    let mut frames = node.tcp(Listener::PickleTcp).await;
    let datagrams = node.udp(Listener::PlaintextUdp).await;
    lines.write_all(b"a 1 1\n").await.unwrap();
    node.has("a 1 1\n").await;
    node.flow.pause();
    lines.write_all(b"b 2 2\ncut").await.unwrap();
    frames.write_all(FRAME).await.unwrap();
    datagrams.send(b"u 1 1").await.unwrap();
    node.flow.resume();
    node.stop().await;
    let mut got: Vec<_> = node.logged().lines().map(str::to_owned).collect();
    got.sort_unstable();
    assert_eq!(got, ["a 1 1", "a.b 1.5 5", "b 2 2", "u 1 1"]);
    assert_eq!(node.refused(Listener::PlaintextTcp, Reject::CutLine), 1);
    assert!(TcpStream::connect(node.address(Listener::PlaintextTcp)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_keep_their_order() {
    const SENDERS: usize = 300;
    const LINES: usize = 200;
    let mut node = Node::start(|_, _| ());
    let address = node.address(Listener::PlaintextTcp);
    let senders = TaskTracker::new();
    for sender in 0..SENDERS {
        senders.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let text: String = (0..LINES).map(|line| format!("s{sender} {line} 1700000000\n")).collect();
            for piece in text.as_bytes().chunks(777) {
                stream.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    senders.close();
    senders.wait().await;
    // Connections that still wait to be accepted are taken at the stop as well.
    node.stop().await;
    let mut next: HashMap<String, usize> = HashMap::new();
    for line in node.logged().lines() {
        let mut words = line.split(' ');
        let (name, value) = (words.next().unwrap(), words.next().unwrap().parse::<usize>().unwrap());
        let want = next.entry(name.to_owned()).or_default();
        assert_eq!(value, *want, "{name}");
        *want += 1;
    }
    assert_eq!(next.len(), SENDERS);
    assert!(next.values().all(|lines| *lines == LINES));
    assert_eq!(node.value("skyline_relay_logged_points_total"), (SENDERS * LINES) as f64);
}
