//! Peers that work, come late or are behind.

use super::rig::{Rig, Sink, eventually, free_address, pickled, relay};
use skyline_conf::model::relay::{Method, WhenBehind};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

#[tokio::test]
async fn points_go_through_as_lines() {
    let (dir, sink) = (TempDir::new().unwrap(), Sink::new().await);
    let rig = Rig::start(dir.path(), &relay(&[sink.address.to_string()]));
    rig.log(0..1).await;
    sink.has(0..1).await;
    assert_eq!(sink.bytes(), b"servers.web000.cpu.user 0 1700000000\n");
    rig.log(1..1000).await;
    sink.has(0..1000).await;
    rig.delivered(0, 1000).await;
    let status = rig.status(0);
    assert!(status.connected && status.last_error.is_none() && status.repeats == 0, "{status:?}");
    assert!(rig.drain().await.left().is_empty());
}

#[tokio::test]
async fn a_peer_that_comes_late_gets_every_point_in_order() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let rig = Rig::start(dir.path(), &relay(&[address.to_string()]));
    rig.log(0..5000).await;
    eventually("the failure is known", || rig.status(0).last_error.is_some()).await;
    let status = rig.status(0);
    assert!(!status.connected && status.waiting == 5000, "{status:?}");
    let sink = Sink::at(address).await;
    rig.log(5000..6000).await;
    sink.has(0..6000).await;
    rig.delivered(0, 6000).await;
    assert_eq!(rig.status(0).repeats, 0);
    assert!(rig.drain().await.left().is_empty());
}

#[tokio::test]
async fn a_dead_destination_hurts_no_other() {
    let (dir, sink, dead) = (TempDir::new().unwrap(), Sink::new().await, free_address());
    let rig = Rig::start(dir.path(), &relay(&[dead.to_string(), sink.address.to_string()]));
    rig.log(0..2000).await;
    sink.has(0..2000).await;
    rig.delivered(1, 2000).await;
    assert_eq!(rig.status(0).waiting, 2000);
    let left = rig.drain().await.left();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].address.as_str(), left[0].waiting), (dead.to_string().as_str(), 2000));
    assert!(!left[0].connected);
}

#[tokio::test]
async fn each_point_goes_to_its_node_of_the_ring() {
    let (dir, one, two) = (TempDir::new().unwrap(), Sink::new().await, Sink::new().await);
    let addresses = [format!("{}:a", one.address), format!("{}:b", two.address)];
    let relay = skyline_conf::model::relay::Relay { method: Method::ConsistentHashing, ..relay(&addresses) };
    let rig = Rig::start(dir.path(), &relay);
    rig.log(0..3000).await;
    let ours = [rig.status(0).routed, rig.status(1).routed];
    assert_eq!(ours[0] + ours[1], 3000);
    rig.delivered(0, ours[0]).await;
    rig.delivered(1, ours[1]).await;
    let numbers = [one.numbers(), two.numbers()];
    assert!(numbers.iter().all(|numbers| numbers.len() > 500 && numbers.is_sorted()), "{ours:?}");
    let mut all = numbers.concat();
    all.sort_unstable();
    assert_eq!(all, (0..3000).collect::<Vec<_>>());
}

#[tokio::test]
async fn pickles_are_what_the_other_side_reads() {
    let (dir, sink) = (TempDir::new().unwrap(), Sink::new().await);
    let rig = Rig::start(dir.path(), &relay(&[format!("{}:pickle", sink.address)]));
    rig.log(0..1220).await;
    rig.delivered(0, 1220).await;
    eventually("all bytes have come", || pickled(&sink.bytes()) == (0..1220).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn what_the_peer_says_is_read_and_dropped() {
    let (dir, listener) = (TempDir::new().unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let rig = Rig::start(dir.path(), &relay(&[listener.local_addr().unwrap().to_string()]));
    let (mut stream, _) = listener.accept().await.unwrap();
    // More than all socket buffers hold: this ends only if somebody reads.
    stream.write_all(&vec![b'x'; 32 << 20]).await.unwrap();
    assert!(rig.status(0).connected);
}

#[tokio::test]
async fn listeners_pause_while_a_blocking_destination_is_behind() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let mut relay = relay(&[address.to_string()]);
    relay.sending.when_behind = WhenBehind::Block;
    relay.sending.mark_points = 1000;
    let rig = Rig::start(dir.path(), &relay);
    rig.log(0..1000).await;
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    assert!(!rig.flow.is_paused(), "at the mark it is not behind");
    rig.log(1000..1050).await;
    eventually("listeners pause", || rig.flow.is_paused()).await;
    let sink = Sink::at(address).await;
    eventually("listeners go on", || !rig.flow.is_paused()).await;
    sink.has(0..1050).await;
    sink.close().await;
    rig.log(1050..3000).await;
    eventually("listeners pause again", || rig.flow.is_paused()).await;
    let flow = rig.flow.clone();
    assert_eq!(rig.drain().await.left()[0].waiting, 1950);
    assert!(!flow.is_paused(), "a sender that has ended does not pause anybody");
}

#[tokio::test]
async fn a_shedding_destination_skips_its_oldest_points() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let mut relay = relay(&[address.to_string()]);
    relay.sending.when_behind = WhenBehind::Shed;
    relay.sending.mark_points = 1000;
    let rig = Rig::start(dir.path(), &relay);
    rig.log(0..5000).await;
    eventually("old points are shed", || rig.status(0).waiting == 1000).await;
    assert_eq!(rig.status(0).shed, 4000);
    let sink = Sink::at(address).await;
    rig.delivered(0, 1000).await;
    eventually("the newest have come", || sink.numbers().len() == 1000).await;
    assert_eq!(sink.numbers(), (4000..5000).collect::<Vec<_>>());
}

#[tokio::test]
async fn catching_up_has_a_limit() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let mut relay = relay(&[address.to_string()]);
    relay.sending.catch_up_points_per_second = 20_000;
    let rig = Rig::start(dir.path(), &relay);
    rig.log(0..40_000).await;
    let (began, sink) = (std::time::Instant::now(), Sink::at(address).await);
    rig.delivered(0, 40_000).await;
    let took = began.elapsed().as_secs_f64();
    assert!(took > 0.5, "{took} s");
    sink.has(0..40_000).await;
}

#[tokio::test]
async fn what_left_the_settings_hurts_nobody() {
    let (dir, gone, stays) = (TempDir::new().unwrap(), free_address(), free_address());
    let rig = Rig::start(dir.path(), &relay(&[gone.to_string(), stays.to_string()]));
    rig.log(0..100).await;
    assert_eq!(rig.drain().await.left().len(), 2);
    let rig = Rig::start(dir.path(), &relay(&[stays.to_string()]));
    assert!(rig.journal.orphans().is_empty(), "somebody looks after it");
    assert_eq!(rig.status(0).waiting, 100);
    assert!(!rig.status(0).leaving && rig.status(1).leaving);
}
