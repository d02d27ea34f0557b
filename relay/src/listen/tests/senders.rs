//! Who sends, over every kind of listener; two feeds of datagrams.

use super::node::Node;
use super::{FRAME, UnixStream};
use skyline_conf::model::listen::{Packing, Stream};
use skyline_core::batch::Listener;
use skyline_core::reject::Reject;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UdpSocket;

#[tokio::test]
async fn all_that_comes_has_a_sender() {
    let mut node = Node::start(|dir, listen| {
        listen.plaintext_unix = vec![dir.path().join("socket")];
        listen.stream =
            vec![Stream { address: Some(super::ANY), packing: Packing::Gzip, ..Stream::default() }];
    });
    let mut lines = node.tcp(Listener::PlaintextTcp).await;
    lines.write_all(b"a 1 1\nbad\n").await.unwrap();
    node.has("a 1 1\n").await;
    node.tcp(Listener::PickleTcp).await.write_all(FRAME).await.unwrap();
    node.has("a 1 1\na.b 1.5 5\n").await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(b"p 1 1\n").unwrap();
    let packed = packed.finish().unwrap();
    let mut gzip = tokio::net::TcpStream::connect(node.stream()).await.unwrap();
    gzip.write_all(&packed).await.unwrap();
    node.has("a 1 1\na.b 1.5 5\np 1 1\n").await;
    let mut unix = UnixStream::connect(node.dir.path().join("socket")).await.unwrap();
    unix.write_all(b"u 1 1\n").await.unwrap();
    node.has("a 1 1\na.b 1.5 5\np 1 1\nu 1 1\n").await;
    node.udp(Listener::PlaintextUdp).await.send(b"d 1 1\nbad\ne 1 1").await.unwrap();
    node.refuses(Listener::PlaintextUdp, Reject::Fields, 1).await;
    node.has("a 1 1\na.b 1.5 5\np 1 1\nu 1 1\nd 1 1\ne 1 1\n").await;
    let rows: Vec<_> = node
        .intake
        .senders()
        .into_iter()
        .map(|s| (s.sender, s.listener.unwrap(), s.points, s.refused, s.bytes, s.last_seen))
        .collect();
    let row = |sender: &str, listener, points, refused, bytes: usize| {
        (sender.to_owned(), listener, points, refused, bytes as u64, 1_700_000_000.75)
    };
    assert_eq!(
        rows,
        [
            row("127.0.0.1", Listener::PlaintextTcp, 2, 1, 10 + packed.len()),
            row("127.0.0.1", Listener::PlaintextUdp, 2, 1, 15),
            row("127.0.0.1", Listener::PickleTcp, 1, 0, FRAME.len()),
            row("local", Listener::PlaintextUnix, 1, 0, 6),
        ]
    );
    drop((lines, gzip, unix));
    node.stop().await;
}

#[tokio::test]
async fn the_second_feed_of_datagrams_is_refused() {
    let mut node = Node::start(|_, _| ());
    node.intake.deduplicate(60, 1_000);
    let from = |host: u8| {
        let to = node.address(Listener::PlaintextUdp);
        async move {
            let socket =
                UdpSocket::bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0))).await.unwrap();
            socket.connect(to).await.unwrap();
            socket
        }
    };
    let (one, two) = (from(2).await, from(3).await);
    one.send(b"a 1 1\nb 1 1").await.unwrap();
    node.has("a 1 1\nb 1 1\n").await;
    two.send(b"a 1 1\nb 2 1").await.unwrap();
    node.has("a 1 1\nb 1 1\nb 2 1\n").await;
    one.send(b"a 1 1\nb 2 1").await.unwrap();
    node.has("a 1 1\nb 1 1\nb 2 1\na 1 1\n").await;
    node.refuses(Listener::PlaintextUdp, Reject::Duplicate, 2).await;
    // Switched off.
    node.intake.deduplicate(0, 1_000);
    two.send(b"a 1 1").await.unwrap();
    node.has("a 1 1\nb 1 1\nb 2 1\na 1 1\na 1 1\n").await;
    node.stop().await;
}
