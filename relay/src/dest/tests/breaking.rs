//! Peers that break connections, hang or die: a second copy is allowed, a hole is not.

use super::rig::{Rig, Sink, eventually, free_address, narrow, numbers, relay, reset};
use skyline_conf::model::relay::WhenBehind;
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// Every number up to `count` is there, and repeats begin where nothing is left out.
#[track_caller]
fn no_hole(read_first: &[u64], then: &[u64], count: u64) {
    assert_eq!(read_first, (0..read_first.len() as u64).collect::<Vec<_>>(), "in order at first");
    let again = *then.first().expect("something is sent again");
    assert!(again <= read_first.len() as u64, "{again} after {} were read", read_first.len());
    assert_eq!(then, (again..count).collect::<Vec<_>>(), "in order and without a gap then");
}

/// A thousand points that the peer's kernel has acknowledged and its program has not read.
async fn acknowledged_and_unread(dir: &TempDir, address: SocketAddr) -> (Rig, TcpListener, TcpStream) {
    let listener = TcpListener::bind(address).await.unwrap();
    let rig = Rig::start(dir.path(), &relay(&[address.to_string()]));
    let (stream, _) = listener.accept().await.unwrap();
    rig.log(0..1000).await;
    rig.delivered(0, 1000).await;
    (rig, listener, stream)
}

#[tokio::test]
async fn a_reset_costs_no_point() {
    let (dir, listener) = (TempDir::new().unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let rig = Rig::start(dir.path(), &relay(&[listener.local_addr().unwrap().to_string()]));
    let (mut stream, _) = listener.accept().await.unwrap();
    rig.log(0..2000).await;
    let mut read = vec![0; 10_007];
    stream.read_exact(&mut read).await.unwrap();
    // The peer's kernel has acknowledged all of it, its program has read a part.
    rig.delivered(0, 2000).await;
    reset(stream);
    let sink = Sink::on(listener);
    rig.log(2000..3000).await;
    eventually("the last point has come", || sink.numbers().last() == Some(&2999)).await;
    no_hole(&numbers(&read), &sink.numbers(), 3000);
    rig.delivered(0, 3000).await;
    let status = rig.status(0);
    assert_eq!(status.repeats, sink.numbers().len() as u64 - 1000, "{status:?}");
    assert!(status.last_error.is_some());
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_stream_costs_no_point() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let listener = narrow(address);
    let rig = Rig::start(dir.path(), &relay(&[address.to_string()]));
    let (mut stream, _) = listener.accept().await.unwrap();
    rig.log(0..60_000).await;
    let mut read = vec![0; 500_001];
    stream.read_exact(&mut read).await.unwrap();
    assert!(rig.status(0).waiting > 0, "some of it is still on its way");
    reset(stream);
    let sink = Sink::on(listener);
    eventually("the last point has come", || sink.numbers().last() == Some(&59_999)).await;
    no_hole(&numbers(&read), &sink.numbers(), 60_000);
    rig.delivered(0, 60_000).await;
}

#[tokio::test]
async fn a_peer_that_never_reads_is_given_up() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let listener = narrow(address);
    let mut relay = relay(&[address.to_string()]);
    relay.sending.stall_seconds = 0.5;
    let rig = Rig::start(dir.path(), &relay);
    let (stream, _) = listener.accept().await.unwrap();
    rig.log(0..200_000).await;
    eventually("it is given up", || rig.status(0).last_error.is_some()).await;
    let error = rig.status(0).last_error.unwrap();
    assert!(error.contains("stall_seconds"), "{error}");
    let sink = Sink::on(listener);
    eventually("the last point has come", || sink.numbers().last() == Some(&199_999)).await;
    no_hole(&[], &sink.numbers(), 200_000);
    rig.delivered(0, 200_000).await;
    drop(stream);
}

#[tokio::test]
async fn what_was_shed_stays_shed_after_a_reset_and_nothing_else_is_missing() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let listener = narrow(address);
    let mut relay = relay(&[address.to_string()]);
    relay.sending.when_behind = WhenBehind::Shed;
    relay.sending.mark_points = 1000;
    let rig = Rig::start(dir.path(), &relay);
    let (stream, _) = listener.accept().await.unwrap();
    rig.log(0..100).await;
    rig.delivered(0, 100).await;
    rig.log(100..400_000).await;
    eventually("old points are shed", || rig.status(0).waiting <= 1000).await;
    let shed = rig.status(0).shed;
    reset(stream);
    let sink = Sink::on(listener);
    rig.log(400_000..400_100).await;
    eventually("the last point has come", || sink.numbers().last() == Some(&400_099)).await;
    let numbers = sink.numbers();
    assert!(
        numbers.is_sorted() && numbers.first() == Some(&0),
        "what the first peer had not read comes first"
    );
    assert!(numbers.len() as u64 + shed >= 400_100, "{} and {shed}", numbers.len());
    assert!(numbers.len() < 300_000, "{} were sent although {shed} were shed", numbers.len());
    eventually("nothing waits", || rig.status(0).waiting == 0).await;
}

#[tokio::test]
async fn a_peer_that_shuts_down_before_it_has_read_misses_nothing() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let (rig, listener, stream) = acknowledged_and_unread(&dir, address).await;
    drop(listener);
    // As Twisted ends a connection: an orderly end first, whatever waits to be read.
    let stream = stream.into_std().unwrap();
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    drop(stream);
    eventually("the end is noticed", || !rig.status(0).connected).await;
    rig.log(1000..2000).await;
    let second = Sink::at(address).await;
    second.has(0..2000).await;
    rig.delivered(0, 2000).await;
    assert_eq!(rig.status(0).repeats, 1000);
}

#[tokio::test]
async fn a_peer_that_closes_while_it_is_sent_to_misses_nothing() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let first = Sink::at(address).await;
    let rig = Rig::start(dir.path(), &relay(&[address.to_string()]));
    rig.log(0..1000).await;
    first.has(0..1000).await;
    first.close().await;
    // At once: some of it may go into the closed connection.
    rig.log(1000..3000).await;
    let second = Sink::at(address).await;
    eventually("the last point has come", || second.numbers().last() == Some(&2999)).await;
    no_hole(&(0..1000).collect::<Vec<_>>(), &second.numbers(), 3000);
    rig.delivered(0, 3000).await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_ended() {
    let (dir, sink) = (TempDir::new().unwrap(), Sink::new().await);
    let relay = relay(&[sink.address.to_string()]);
    let rig = Rig::start(dir.path(), &relay);
    rig.log(0..1000).await;
    assert!(rig.drain().await.left().is_empty(), "a sender that drains waits for acknowledgements");
    let rig = Rig::start(dir.path(), &relay);
    rig.log(1000..2000).await;
    rig.delivered(0, 2000).await;
    sink.has(0..2000).await;
    assert_eq!(rig.status(0).repeats, 0);
}

#[tokio::test]
async fn what_waits_is_sent_after_a_restart() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let relay = relay(&[address.to_string()]);
    let rig = Rig::start(dir.path(), &relay);
    rig.log(0..1000).await;
    assert_eq!(rig.drain().await.left()[0].waiting, 1000);
    let rig = Rig::start(dir.path(), &relay);
    rig.log(1000..2000).await;
    let sink = Sink::at(address).await;
    sink.has(0..2000).await;
    rig.delivered(0, 2000).await;
}

#[tokio::test]
async fn what_a_dead_peer_had_not_read_is_sent_even_after_a_restart() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let relay = relay(&[address.to_string()]);
    let (rig, listener, stream) = acknowledged_and_unread(&dir, address).await;
    drop(listener);
    reset(stream);
    eventually("the reset is noticed", || !rig.status(0).connected).await;
    assert!(rig.drain().await.left().is_empty(), "all was acknowledged");
    let sink = Sink::at(address).await;
    let rig = Rig::start(dir.path(), &relay);
    sink.has(0..1000).await;
    assert_eq!((rig.status(0).delivered, rig.status(0).repeats), (1000, 1000));
    rig.log(1000..1100).await;
    sink.has(0..1100).await;
    rig.delivered(0, 1100).await;
}

#[tokio::test]
async fn what_a_stuck_peer_had_not_read_at_a_stop_is_sent_after_it() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let relay = relay(&[address.to_string()]);
    let (rig, listener, stream) = acknowledged_and_unread(&dir, address).await;
    // Its kernel has taken all; its program neither reads nor answers the end of the connection.
    assert!(rig.drain().await.left().is_empty(), "all was acknowledged");
    drop(listener);
    reset(stream);
    let sink = Sink::at(address).await;
    let rig = Rig::start(dir.path(), &relay);
    sink.has(0..1000).await;
    assert_eq!((rig.status(0).delivered, rig.status(0).repeats), (1000, 1000));
}

#[tokio::test]
async fn the_time_of_a_stop_is_kept() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let listener = narrow(address);
    let relay = relay(&[address.to_string()]);
    let rig = Rig::start(dir.path(), &relay);
    let (stream, _) = listener.accept().await.unwrap();
    rig.log(0..200_000).await;
    rig.stop.drain.cancel();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(rig.status(0).connected, "it tries to send what is left");
    let waiting = rig.status(0).waiting;
    let left = rig.abort().await.left();
    assert!(left[0].connected && left[0].waiting > 0 && left[0].waiting <= waiting, "{left:?}");
    // The next start sends the rest; a peer that lives reads what was on its way.
    let first = tokio::spawn(async move {
        let (mut stream, mut read) = (stream, Vec::new());
        stream.read_to_end(&mut read).await.unwrap();
        numbers(&read)
    });
    let sink = Sink::on(listener);
    let rig = Rig::start(dir.path(), &relay);
    eventually("the last point has come", || sink.numbers().last() == Some(&199_999)).await;
    no_hole(&first.await.unwrap(), &sink.numbers(), 200_000);
    rig.delivered(0, 200_000).await;
}
