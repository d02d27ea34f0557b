//! Listeners that change while they run.

use super::node::{ANY, Node};
use super::{FRAME, closed};
use crate::listen::Address;
use flate2::Compression;
use flate2::write::GzEncoder;
use skyline_conf::model::listen::{Packing, Stream};
use skyline_core::batch::Listener;
use skyline_core::reject::Reject;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket, UnixStream};
use tokio::time::sleep;

fn free() -> SocketAddr {
    std::net::TcpListener::bind(ANY).unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn what_stays_is_not_touched() {
    let (lines, pickles, more) = (free(), free(), free());
    let mut node = Node::start(|dir, listen| {
        (listen.plaintext_tcp, listen.pickle_tcp) = (vec![lines], vec![pickles]);
        listen.plaintext_unix = vec![dir.path().join("old.sock")];
    });
    let old = node.dir.path().join("old.sock");
    let mut stays = TcpStream::connect(lines).await.unwrap();
    let mut goes = TcpStream::connect(pickles).await.unwrap();
    stays.write_all(b"a 1 1\nb").await.unwrap();
    node.has("a 1 1\n").await;
    goes.write_all(FRAME).await.unwrap();
    node.has("a 1 1\na.b 1.5 5\n").await;
    // What is in a socket's buffer is read before it is closed.
    node.flow.pause();
    goes.write_all(FRAME).await.unwrap();
    let mut settings = node.settings.clone();
    settings.plaintext_tcp = vec![lines, more];
    settings.pickle_tcp = Vec::new();
    settings.plaintext_udp = vec![more];
    settings.msgpack_udp = Vec::new();
    settings.plaintext_unix = vec![node.dir.path().join("new.sock")];
    node.running.replace(&settings).unwrap();
    node.flow.resume();
    let mut want = "a 1 1\na.b 1.5 5\na.b 1.5 5\n".to_owned();
    node.has(&want).await;
    closed(&mut goes).await;
    assert!(TcpStream::connect(pickles).await.is_err());
    stays.write_all(b" 2 2\n").await.unwrap();
    want.push_str("b 2 2\n");
    node.has(&want).await;
    TcpStream::connect(more).await.unwrap().write_all(b"c 3 3\n").await.unwrap();
    want.push_str("c 3 3\n");
    node.has(&want).await;
    UdpSocket::bind(ANY).await.unwrap().send_to(b"d 4 4\n", more).await.unwrap();
    want.push_str("d 4 4\n");
    node.has(&want).await;
    let mut unix = UnixStream::connect(node.dir.path().join("new.sock")).await.unwrap();
    unix.write_all(b"e 5 5\n").await.unwrap();
    want.push_str("e 5 5\n");
    node.has(&want).await;
    for _ in 0..100 {
        if !old.exists() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert!(!old.exists());
    let now: Vec<_> = node.running.addresses().into_iter().map(|(listener, _)| listener).collect();
    use Listener::{PlaintextTcp, PlaintextUdp, PlaintextUnix, ProtobufTcp};
    assert_eq!(now, [PlaintextTcp, ProtobufTcp, PlaintextTcp, PlaintextUdp, PlaintextUnix]);
    assert_eq!(node.figure("skyline_relay_udp_kernel_drops_total").len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_failure_changes_nothing() {
    let mut node = Node::start(|_, _| ());
    let taken = std::net::TcpListener::bind(ANY).unwrap();
    let mut settings = node.settings.clone();
    let new = free();
    settings.plaintext_tcp = vec![new, taken.local_addr().unwrap()];
    settings.max_line_bytes = 64;
    let before = node.running.addresses();
    let error = node.running.replace(&settings).unwrap_err().to_string();
    assert!(error.contains("change listen.plaintext_tcp"), "{error}");
    assert_eq!(node.running.addresses(), before);
    assert!(TcpStream::connect(new).await.is_err());
    let line = format!("{} 1 1\n", "n".repeat(100));
    node.tcp(Listener::PlaintextTcp).await.write_all(line.as_bytes()).await.unwrap();
    node.has(&line).await;
    node.stop().await;
}

#[tokio::test]
async fn settings_hold_for_new_connections() {
    let at = free();
    let mut node = Node::start(|_, listen| listen.plaintext_tcp = vec![at]);
    let line = format!("{} 1 1\n", "n".repeat(100));
    let mut old = TcpStream::connect(at).await.unwrap();
    old.write_all(b"a 1 1\n").await.unwrap();
    node.has("a 1 1\n").await;
    // The same address, with shorter lines and packed.
    let mut settings = node.settings.clone();
    settings.max_line_bytes = 64;
    settings.max_connections = 2;
    settings.plaintext_tcp = Vec::new();
    settings.stream = vec![Stream { address: Some(at), packing: Packing::Gzip, ..Stream::default() }];
    node.running.replace(&settings).unwrap();
    assert!(node.running.addresses().contains(&(Listener::PlaintextTcp, Address::Ip(at))));
    old.write_all(line.as_bytes()).await.unwrap();
    let want = format!("a 1 1\n{line}");
    node.has(&want).await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(format!("{line}b 2 2\n").as_bytes()).unwrap();
    let mut new = TcpStream::connect(at).await.unwrap();
    new.write_all(&encoder.finish().unwrap()).await.unwrap();
    let want = format!("{want}b 2 2\n");
    node.has(&want).await;
    node.refuses(Listener::PlaintextTcp, Reject::LineTooLong, 1).await;
    // Two connections are all there may be now.
    let mut third = node.tcp(Listener::ProtobufTcp).await;
    third.write_all(b"\0\0\0\x01x").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(node.value("skyline_relay_connections"), 2.0);
    drop(old);
    node.refuses(Listener::ProtobufTcp, Reject::Frame, 1).await;
    node.stop().await;
}

#[tokio::test]
async fn an_address_that_is_gone_is_free_again() {
    let mut node = Node::start(|_, _| ());
    let before = node.settings.clone();
    let mut without = before.clone();
    let at = free();
    let mut with = before.clone();
    with.plaintext_tcp = vec![at];
    with.plaintext_udp = vec![at];
    without.plaintext_tcp = Vec::new();
    for _ in 0..20 {
        node.running.replace(&with).unwrap();
        let held = TcpStream::connect(at).await.unwrap();
        node.running.replace(&without).unwrap();
        node.running.closed().await;
        drop(held);
    }
    node.stop().await;
}
