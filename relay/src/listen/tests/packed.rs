//! Streams that are compressed.

use super::node::Node;
use super::{FRAME, closed};
use flate2::Compression;
use flate2::write::GzEncoder;
use lz4_flex::frame::FrameEncoder;
use skyline_conf::model::listen::{Packing, Protocol, Stream};
use skyline_core::batch::Listener;
use skyline_core::reject::Reject;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

fn packed(packing: Packing) -> Stream {
    Stream { packing, ..Stream::default() }
}

fn lines(n: usize) -> String {
    (0..n).map(|i| format!("servers.web{}.cpu {i} {}\n", i % 77, 1_700_000_000 + i)).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn lz4(text: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::new(Vec::new());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn gzip_in_pieces() {
    let mut node = Node::with(packed(Packing::Gzip));
    let mut sender = TcpStream::connect(node.stream()).await.unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut want = String::new();
    for i in 0..20 {
        // Each flush is half a line further, and comes in two parts.
        encoder.write_all(format!("{}a.b {i}", if i == 0 { "" } else { " 5\n" }).as_bytes()).unwrap();
        encoder.flush().unwrap();
        let piece = std::mem::take(encoder.get_mut());
        let (one, two) = piece.split_at(piece.len() / 2);
        sender.write_all(one).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        sender.write_all(two).await.unwrap();
        node.has(&want).await;
        want.push_str(&format!("a.b {i} 5\n"));
    }
    encoder.write_all(b" 5\n").unwrap();
    // The next member begins in the middle of a line.
    sender
        .write_all(&[encoder.finish().unwrap(), gzip(b"c 1"), gzip(b" 2\nd 1 2\ncut")].concat())
        .await
        .unwrap();
    want.push_str("c 1 2\nd 1 2\n");
    node.has(&want).await;
    drop(sender);
    node.refuses(Listener::PlaintextTcp, Reject::CutLine, 1).await;
    assert_eq!(node.refused(Listener::PlaintextTcp, Reject::Packing), 0);
    node.stop().await;
}

#[tokio::test]
async fn much_at_once() {
    let text = lines(100_000);
    for (packing, stream) in [(Packing::Gzip, gzip(text.as_bytes())), (Packing::Lz4, lz4(text.as_bytes()))] {
        let mut node = Node::with(packed(packing));
        let mut sender = TcpStream::connect(node.stream()).await.unwrap();
        sender.write_all(&stream).await.unwrap();
        node.has(&text).await;
        node.stop().await;
    }
}

#[tokio::test]
async fn lz4_frames() {
    let mut node = Node::with(packed(Packing::Lz4));
    let mut sender = TcpStream::connect(node.stream()).await.unwrap();
    let stream = [lz4(b"a 1 1\nb"), lz4(b""), lz4(b" 2 2\n"), lz4(&b"c 3 3\n".repeat(20_000))].concat();
    for piece in stream.chunks(100) {
        sender.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let want = format!("a 1 1\nb 2 2\n{}", "c 3 3\n".repeat(20_000));
    node.has(&want).await;
    // A frame that is cut.
    sender.write_all(&lz4(b"d 4 4\n")[..12]).await.unwrap();
    drop(sender);
    node.refuses(Listener::PlaintextTcp, Reject::Packing, 1).await;
    node.stop().await;
}

#[tokio::test]
async fn frames_within_gzip_on_a_unix_socket() {
    let mut node = Node::start(|dir, listen| {
        let unix = Some(dir.path().join("packed.sock"));
        let stream = packed(Packing::Gzip);
        listen.stream = vec![Stream { unix, protocol: Protocol::Pickle, ..stream }];
    });
    let mut sender = tokio::net::UnixStream::connect(node.dir.path().join("packed.sock")).await.unwrap();
    sender.write_all(&gzip(&FRAME.repeat(3))).await.unwrap();
    node.has(&"a.b 1.5 5\n".repeat(3)).await;
    assert_eq!(node.intake.ledgers().iter().find(|l| l.listener == Listener::PickleTcp).unwrap().logged, 3);
    node.stop().await;
}

#[tokio::test]
async fn streams_that_cannot_be_unpacked() {
    for packing in [Packing::Gzip, Packing::Lz4] {
        let node = Node::with(packed(packing));
        let damaged = match packing {
            Packing::Lz4 => [&lz4(b"a 1 1\n")[..7], &[0xff; 40]].concat(),
            _ => [&gzip(b"a 1 1\n")[..10], &[0xff; 40]].concat(),
        };
        let bad: [&[u8]; 4] =
            [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc", b"a 1 1\n", &damaged];
        for bytes in bad {
            let mut sender = TcpStream::connect(node.stream()).await.unwrap();
            sender.write_all(bytes).await.unwrap();
            closed(&mut sender).await;
        }
        node.refuses(Listener::PlaintextTcp, Reject::Packing, 4).await;
        let examples = node.intake.recent_refusals();
        assert!(examples.iter().all(|example| example.why == Reject::Packing && !example.text.is_empty()));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_stop_takes_what_is_packed() {
    let mut node = Node::with(packed(Packing::Gzip));
    let mut sender = TcpStream::connect(node.stream()).await.unwrap();
    sender.write_all(&gzip(b"a 1 1\n")).await.unwrap();
    node.has("a 1 1\n").await;
    node.flow.pause();
    sender.write_all(&gzip(lines(5_000).as_bytes())).await.unwrap();
    node.flow.resume();
    node.stop().await;
    assert_eq!(node.logged(), format!("a 1 1\n{}", lines(5_000)));
}

/// Peak of the memory that this process has had, bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// Twenty bytes of gzip become a megabyte; nobody else notices, and nothing is held.
#[tokio::test]
async fn a_gigabyte_of_zeros_costs_little() {
    let mut node = Node::with(packed(Packing::Gzip));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&[0; 16 << 20]).unwrap();
    encoder.flush().unwrap();
    let all = encoder.get_ref().clone();
    // The first flush refers to nothing before it but zeros, so it can be sent again and again.
    let header = 10;
    let mut other = node.tcp(Listener::PlaintextTcp).await;
    let (before, begun) = (peak(), Instant::now());
    let mut sender = TcpStream::connect(node.stream()).await.unwrap();
    sender.write_all(&all).await.unwrap();
    let sending = tokio::spawn(async move {
        for _ in 1..64 {
            sender.write_all(&all[header..]).await.unwrap();
        }
        sender
    });
    let mut want = String::new();
    for i in 0..20 {
        let asked = Instant::now();
        other.write_all(format!("other {i} 1\n").as_bytes()).await.unwrap();
        want.push_str(&format!("other {i} 1\n"));
        node.has(&want).await;
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
    let mut sender = timeout(Duration::from_secs(60), sending).await.unwrap().unwrap();
    sender.shutdown().await.unwrap();
    closed(&mut sender).await;
    node.refuses(Listener::PlaintextTcp, Reject::LineTooLong, 1).await;
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(peak() - before < 128 << 20, "{} more bytes", peak() - before);
    node.stop().await;
}

/// What a program of this host makes of `text`; `None` if it is not there.
fn by_program(program: &[&str], text: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take()?;
    let text = text.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&text));
    let output = child.wait_with_output().ok()?;
    writer.join().unwrap().unwrap();
    Some(output.stdout)
}

#[tokio::test]
async fn what_other_programs_pack() {
    let text = lines(150_000);
    for (packing, program) in [
        (Packing::Gzip, &["gzip", "-c"][..]),
        (Packing::Lz4, &["lz4", "-c"]),
        (Packing::Lz4, &["lz4", "-c", "-B4", "-BD", "-BX"]),
    ] {
        let Some(stream) = by_program(program, text.as_bytes()) else {
            println!("not run, for want of the program: {program:?}");
            continue;
        };
        let mut node = Node::with(packed(packing));
        let mut sender = TcpStream::connect(node.stream()).await.unwrap();
        sender.write_all(&stream).await.unwrap();
        node.has(&text).await;
        node.stop().await;
    }
}
