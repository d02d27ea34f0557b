//! Destinations that leave the settings while something waits for them: they go on as they were after a restart.

use super::packed::{Authority, Peer};
use super::rig::{Rig, Sink, destination, eventually, free_address, numbers, pickled, sending, server};
use skyline_conf::model::relay::{Sending, WhenBehind};
use skyline_conf::routing::{Destination, Endpoint, Packing, Protocol, Server, Tls, Transport};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Points wait for `to`, to which nobody listens yet; it leaves the settings, and the node starts again.
async fn restarted_without(dir: &Path, to: (Destination, Sending), points: u64) -> Rig {
    let rig = Rig::of(dir, vec![to]);
    rig.log(0..points).await;
    rig.destinations.replace(Vec::new()).unwrap();
    assert!(rig.status(0).leaving && rig.status(0).waiting == points, "{:?}", rig.status(0));
    assert_eq!(rig.drain().await.left().len(), 1);
    let rig = Rig::of(dir, Vec::new());
    let status = rig.status(0);
    assert!(status.leaving && !status.held && status.waiting == points, "{status:?}");
    rig
}

/// Nothing is known any more of the destinations of the last run.
async fn is_gone(rig: &Rig, dir: &Path) {
    eventually("it is gone", || rig.destinations.status().is_empty()).await;
    eventually("nothing is registered", || {
        rig.journal.orphans().is_empty() && std::fs::read(dir.join("destinations.json")).unwrap() == b"{}"
    })
    .await;
}

#[tokio::test]
async fn pickles_stay_pickles() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let to = Server { protocol: Protocol::Pickle, ..server(address) };
    let rig = restarted_without(dir.path(), destination("x", [to]), 1000).await;
    assert_eq!(rig.status(0).protocol, "pickle");
    let sink = Sink::at(address).await;
    is_gone(&rig, dir.path()).await;
    assert_eq!(pickled(&sink.bytes()), (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn packed_stays_packed_and_encrypted_stays_encrypted() {
    let authority = Authority::new();
    for (packing, is_encrypted) in [(Packing::Gzip, false), (Packing::Plain, true), (Packing::Lz4, true)] {
        let (dir, address) = (TempDir::new().unwrap(), free_address());
        let ours = Tls { ca: Some(authority.ca()), identity: Some(authority.identity("this.node")) };
        let to = Server { packing, tls: is_encrypted.then_some(ours), ..server(address) };
        let rig = restarted_without(dir.path(), destination("x", [to]), 1000).await;
        let tls = is_encrypted.then(|| authority.server("127.0.0.1", true));
        let peer = Peer::on(TcpListener::bind(address).unwrap(), tls);
        is_gone(&rig, dir.path()).await;
        assert_eq!(peer.numbers(packing), (0..1000).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn datagrams_files_and_stand_ins_stay_what_they_are() {
    let (dir, at) = (TempDir::new().unwrap(), free_address());
    let to = Server { transport: Transport::Udp, ..server(at) };
    let (to, mut slowly) = destination("x", [to]);
    (slowly.retry_min_seconds, slowly.retry_max_seconds) = (30.0, 30.0);
    let rig = Rig::of(dir.path(), vec![(to.clone(), slowly)]);
    rig.log(0..1000).await;
    eventually("nobody is there", || rig.status(0).last_error.is_some()).await;
    assert!(rig.status(0).waiting > 0, "{:?}", rig.status(0));
    drop(rig.abort().await);
    let peer = UdpSocket::bind(at).await.unwrap();
    let rig = Rig::of(dir.path(), Vec::new());
    let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
    let mut receive = async || {
        while all.last() != Some(&999) {
            let read = peer.recv(&mut buffer).await.unwrap();
            all.extend(numbers(&buffer[..read]));
        }
    };
    timeout(Duration::from_secs(20), receive()).await.expect("all datagrams");
    is_gone(&rig, dir.path()).await;

    let dir = TempDir::new().unwrap();
    let path = dir.path().join("not yet/points");
    let file = Destination { label: "out".into(), endpoints: vec![Endpoint::File(path.clone())] };
    let rig = restarted_without(dir.path(), (file, sending()), 100).await;
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    is_gone(&rig, dir.path()).await;
    assert_eq!(numbers(&std::fs::read(&path).unwrap()), (0..100).collect::<Vec<_>>());

    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let both = destination("both", [server(free_address()), server(address)]);
    let rig = restarted_without(dir.path(), both, 100).await;
    assert_eq!(rig.status(0).address, "both");
    let sink = Sink::at(address).await;
    is_gone(&rig, dir.path()).await;
    assert_eq!(sink.numbers(), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_way_of_sending_stays() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let (to, sending) = destination("x", [server(address)]);
    let sending = Sending { when_behind: WhenBehind::Shed, mark_points: 300, ..sending };
    let rig = Rig::of(dir.path(), vec![(to.clone(), Sending { mark_points: 10_000, ..sending.clone() })]);
    rig.log(0..1000).await;
    // The last way counts, whatever was before.
    rig.destinations.replace(vec![(to, sending)]).unwrap();
    rig.destinations.replace(Vec::new()).unwrap();
    drop(rig.abort().await);
    let rig = Rig::of(dir.path(), Vec::new());
    eventually("the oldest are skipped", || rig.status(0).waiting == 300).await;
    let sink = Sink::at(address).await;
    is_gone(&rig, dir.path()).await;
    assert_eq!(sink.numbers(), (700..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_may_not_have_been_read_is_sent_again_after_the_restart() {
    let (dir, sink) = (TempDir::new().unwrap(), Sink::new().await);
    let rig = Rig::of(dir.path(), vec![destination("x", [server(sink.address)])]);
    rig.log(0..100).await;
    rig.delivered(0, 100).await;
    // No orderly end: the peer's kernel has all of it, its program perhaps not.
    drop(rig.abort().await);
    let rig = Rig::of(dir.path(), Vec::new());
    assert!(rig.status(0).leaving && rig.status(0).waiting == 0);
    is_gone(&rig, dir.path()).await;
    assert_eq!(sink.runs(), [(0..100).collect::<Vec<_>>(), (0..100).collect()]);
}

#[tokio::test]
async fn points_are_held_when_it_is_not_known_how_to_send_them() {
    for is_missing in [true, false] {
        let (dir, address) = (TempDir::new().unwrap(), free_address());
        let register = dir.path().join("destinations.json");
        let to = destination("x", [Server { protocol: Protocol::Pickle, ..server(address) }]);
        let rig = Rig::of(dir.path(), vec![to.clone()]);
        rig.log(0..1000).await;
        drop(rig.drain().await);
        match is_missing {
            true => std::fs::remove_file(&register).unwrap(),
            false => std::fs::write(&register, "nonsense").unwrap(),
        }
        let sink = Sink::at(address).await;
        // Still held after another start, whose register is whole.
        for errors in [1, 0] {
            let rig = Rig::of(dir.path(), Vec::new());
            let status = rig.status(0);
            assert!(status.held && status.leaving && status.waiting == 1000, "{status:?}");
            assert_eq!((status.protocol, status.address), ("unknown", address.to_string()));
            assert!(status.last_error.unwrap().contains("held"));
            let mut figures = Vec::new();
            rig.destinations.figures(&mut figures);
            let of = |name: &str| figures.iter().find(|figure| figure.name == name).unwrap().value as u64;
            assert_eq!(of("skyline_destinations_register_errors_total"), errors, "missing: {is_missing}");
            assert_eq!(of("skyline_destination_held"), 1);
            let left = rig.drain().await.left();
            assert_eq!((left.len(), left[0].waiting), (1, 1000));
        }
        let rig = Rig::of(dir.path(), Vec::new());
        assert!(sink.runs().is_empty(), "nothing was sent");
        rig.destinations.replace(vec![to]).unwrap();
        rig.destinations.replace(Vec::new()).unwrap();
        assert!(!rig.status(0).held);
        is_gone(&rig, dir.path()).await;
        assert_eq!(pickled(&sink.bytes()), (0..1000).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_lost_register_does_no_harm_to_those_that_are_configured() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let to = destination("x", [server(address)]);
    let rig = Rig::of(dir.path(), vec![to.clone()]);
    rig.log(0..100).await;
    drop(rig.drain().await);
    std::fs::write(dir.path().join("destinations.json"), "nonsense").unwrap();
    let rig = Rig::of(dir.path(), vec![to]);
    assert!(!rig.status(0).held && rig.destinations.status().len() == 1);
    // It is whole again: what leaves now goes on.
    rig.destinations.replace(Vec::new()).unwrap();
    drop(rig.drain().await);
    let rig = Rig::of(dir.path(), Vec::new());
    assert!(!rig.status(0).held);
    let sink = Sink::at(address).await;
    sink.has(0..100).await;
    is_gone(&rig, dir.path()).await;
}

#[tokio::test]
async fn a_register_that_cannot_be_written_refuses_changes_and_keeps_no_node_from_starting() {
    let (dir, sink, other) = (TempDir::new().unwrap(), Sink::new().await, Sink::new().await);
    let register = dir.path().join("destinations.json");
    // Nothing can be put in the place of a folder.
    std::fs::create_dir(&register).unwrap();
    let to = destination("x", [server(sink.address)]);
    let rig = Rig::of(dir.path(), vec![to.clone()]);
    rig.log(0..100).await;
    rig.delivered(0, 100).await;
    let more = vec![to.clone(), destination("y", [server(other.address)])];
    let error = rig.destinations.replace(more.clone()).unwrap_err().to_string();
    assert!(error.contains("destinations.json: "), "{error}");
    assert_eq!(rig.destinations.status().len(), 1);
    assert!(rig.journal.orphans().is_empty(), "no position of what was refused");
    std::fs::remove_dir(&register).unwrap();
    rig.destinations.replace(more).unwrap();
    rig.destinations.replace(vec![to]).unwrap();
    eventually("the other is gone", || rig.destinations.status().len() == 1).await;
}
