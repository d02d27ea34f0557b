//! Datagrams and files.

use super::rig::{Rig, destination, eventually, numbers, sending, server};
use skyline_conf::model::relay::Sending;
use skyline_conf::routing::{Destination, Endpoint, Transport};
use std::path::Path;
use tempfile::TempDir;
use tokio::net::UdpSocket;

fn file(label: &str, path: &Path) -> (Destination, Sending) {
    (Destination { label: label.to_owned(), endpoints: vec![Endpoint::File(path.to_owned())] }, sending())
}

fn in_file(path: &Path) -> Vec<u64> {
    numbers(&std::fs::read(path).unwrap_or_default())
}

#[tokio::test]
async fn datagrams_hold_whole_lines() {
    let (dir, peer) = (TempDir::new().unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    socket2::SockRef::from(&peer).set_recv_buffer_size(8 << 20).unwrap();
    let to =
        skyline_conf::routing::Server { transport: Transport::Udp, ..server(peer.local_addr().unwrap()) };
    let rig = Rig::of(dir.path(), vec![destination("x", [to])]);
    rig.log(0..1000).await;
    let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
    while all.len() < 1000 {
        let read = peer.recv(&mut buffer).await.unwrap();
        assert!(read <= 1400 && buffer[..read].ends_with(b"\n"), "{read}");
        all.extend(numbers(&buffer[..read]));
    }
    assert_eq!(all, (0..1000).collect::<Vec<_>>());
    rig.delivered(0, 1000).await;
    let status = rig.status(0);
    assert_eq!(status.endpoint, Some(format!("udp:{}", peer.local_addr().unwrap())));
    assert!(rig.drain().await.left().is_empty());
}

#[tokio::test]
async fn nobody_at_the_port_is_told_and_points_wait() {
    let (dir, peer) = (TempDir::new().unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let at = peer.local_addr().unwrap();
    drop(peer);
    let to = skyline_conf::routing::Server { transport: Transport::Udp, ..server(at) };
    let rig = Rig::of(dir.path(), vec![destination("x", [to])]);
    rig.log(0..1000).await;
    eventually("it is told", || rig.status(0).last_error.is_some_and(|error| error.contains("refused")))
        .await;
    assert!(rig.status(0).waiting > 0);
    let peer = UdpSocket::bind(at).await.unwrap();
    let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
    while all.last() != Some(&999) {
        let read = peer.recv(&mut buffer).await.unwrap();
        all.extend(numbers(&buffer[..read]));
    }
    // The kernel took what nobody got: of that there is no sign until the next datagram.
    assert!(all.len() > 500 && all.is_sorted(), "{all:?}");
    rig.delivered(0, 1000).await;
}

#[tokio::test]
async fn lines_are_added_to_a_file_that_may_be_moved_away() {
    let dir = TempDir::new().unwrap();
    let (path, moved) = (dir.path().join("points"), dir.path().join("points.1"));
    std::fs::write(&path, "a line that was cut").unwrap();
    let rig = Rig::of(&dir.path().join("journal"), vec![file("out", &path)]);
    rig.log(0..1000).await;
    rig.delivered(0, 1000).await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.strip_prefix("a line that was cut\n").unwrap();
    assert_eq!(numbers(lines.as_bytes()), (0..1000).collect::<Vec<_>>());
    assert_eq!(rig.status(0).address, "out");
    assert_eq!(rig.status(0).endpoint, Some(path.display().to_string()));

    // On request at once.
    std::fs::rename(&path, &moved).unwrap();
    rig.destinations.reopen();
    eventually("there is a new file", || path.exists()).await;
    rig.log(1000..2000).await;
    rig.delivered(0, 2000).await;
    assert_eq!(in_file(&path), (1000..2000).collect::<Vec<_>>());

    // And by itself, under way.
    rig.log(2000..3000).await;
    std::fs::rename(&path, &moved).unwrap();
    let mut end = 3000;
    while !path.exists() {
        rig.log(end..end + 100).await;
        end += 100;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    rig.log(end..end + 1000).await;
    rig.delivered(0, end + 1000).await;
    let all = [in_file(&moved), in_file(&path)].concat();
    assert_eq!(all, (1000..end + 1000).collect::<Vec<_>>());
    assert!(rig.drain().await.left().is_empty());
}

#[tokio::test]
async fn what_a_file_does_not_take_waits() {
    let dir = TempDir::new().unwrap();
    let (folder, path) = (dir.path().join("folder"), dir.path().join("folder/points"));
    let full = file("full", Path::new("/dev/full"));
    let rig = Rig::of(&dir.path().join("journal"), vec![file("out", &path), full]);
    rig.log(0..1000).await;
    for (index, expected) in [(0, "points: No such file"), (1, "/dev/full: No space left")] {
        eventually(&format!("it says {expected}"), || {
            rig.status(index).last_error.is_some_and(|error| error.contains(expected))
        })
        .await;
        assert_eq!(rig.status(index).waiting, 1000);
    }
    std::fs::create_dir(&folder).unwrap();
    rig.delivered(0, 1000).await;
    assert_eq!(in_file(&path), (0..1000).collect::<Vec<_>>());
    assert_eq!(rig.status(1).waiting, 1000);
}
