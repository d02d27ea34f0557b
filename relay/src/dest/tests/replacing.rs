//! Endpoints that stand in for each other, and destinations that are replaced while points flow.

use super::rig::{Rig, Sink, destination, eventually, free_address, server};
use skyline_conf::model::relay::{Sending, WhenBehind};
use skyline_conf::routing::{Destination, Packing, Server};
use std::collections::BTreeSet;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Every connection of the sinks brought a stretch of `expected` without a gap, and together they brought all.
#[track_caller]
fn nothing_is_missing(sinks: &[&Sink], expected: &[u64]) {
    let mut all = BTreeSet::new();
    for run in sinks.iter().flat_map(|sink| sink.runs()) {
        let Some(first) = run.first() else { continue };
        let at = expected.binary_search(first).expect("it was sent here");
        assert_eq!(run, expected[at..at + run.len()], "in order and without a gap");
        all.extend(run);
    }
    let missing: Vec<_> = expected.iter().filter(|number| !all.contains(number)).take(10).collect();
    assert!(missing.is_empty() && all.len() == expected.len(), "missing: {missing:?}");
}

#[tokio::test]
async fn a_stand_in_takes_over_and_gives_back_under_load() {
    let (dir, stand_in, address) = (TempDir::new().unwrap(), Sink::new().await, free_address());
    let both = [server(address), server(stand_in.address)];
    let rig = Rig::of(dir.path(), vec![destination("both", both)]);
    let uses = |at: std::net::SocketAddr| rig.status(0).endpoint == Some(at.to_string());
    let mut firsts = Vec::new();
    for round in 0..3_u64 {
        let begin = round * 30_000;
        rig.log(begin..begin + 10_000).await;
        eventually("the stand-in is used", || uses(stand_in.address)).await;
        let first = Sink::at(address).await;
        let mut end = begin + 10_000;
        while !uses(address) {
            rig.log(end..end + 50).await;
            end += 50;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(end < begin + 29_000, "{end}");
        rig.log(end..begin + 30_000).await;
        if round == 0 {
            rig.delivered(0, 30_000).await;
            assert_eq!(rig.status(0).repeats, 0, "an orderly end repeats nothing");
        }
        firsts.push(first.close_and_keep().await);
    }
    rig.delivered(0, 90_000).await;
    eventually("all have come", || {
        stand_in.numbers().last() == Some(&89_999) || firsts[2].numbers().last() == Some(&89_999)
    })
    .await;
    let mut sinks: Vec<&Sink> = firsts.iter().collect();
    sinks.push(&stand_in);
    nothing_is_missing(&sinks, &(0..90_000).collect::<Vec<_>>());
    let status = rig.status(0);
    assert_eq!((status.address.as_str(), status.leaving), ("both", false));
}

#[tokio::test]
async fn an_endpoint_that_hangs_up_at_once_is_passed_over() {
    let (dir, stand_in) = (TempDir::new().unwrap(), Sink::new().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let both = [server(listener.local_addr().unwrap()), server(stand_in.address)];
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let rig = Rig::of(dir.path(), vec![destination("both", both)]);
    rig.log(0..5000).await;
    eventually("all have come", || stand_in.numbers().last() == Some(&4999)).await;
    nothing_is_missing(&[&stand_in], &(0..5000).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_no_endpoint_takes_is_told_of_each() {
    let (dir, one, two) = (TempDir::new().unwrap(), free_address(), free_address());
    let rig = Rig::of(dir.path(), vec![destination("both", [server(one), server(two)])]);
    eventually("it is told", || rig.status(0).last_error.is_some()).await;
    let error = rig.status(0).last_error.unwrap();
    assert!(error.contains(&format!("{one}: ")) && error.contains(&format!("; {two}: ")), "{error}");
    assert_eq!(rig.status(0).endpoint, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_changes_under_load_lose_nothing() {
    let (dir, one, two) = (TempDir::new().unwrap(), Sink::new().await, Sink::new().await);
    let ways = |index: u64| {
        let (mut all, mut sending) = ([server(one.address), server(two.address)], super::rig::sending());
        if index % 2 == 1 {
            all.reverse();
        }
        sending.points_per_frame += index as u32;
        (destination("x", all).0, sending)
    };
    let rig = Rig::of(dir.path(), vec![ways(0)]);
    for index in 1..=100 {
        rig.log((index - 1) * 500..index * 500).await;
        rig.destinations.replace(vec![ways(index)]).unwrap();
        tokio::time::sleep(Duration::from_millis(index % 7 * 10)).await;
    }
    rig.log(50_000..51_000).await;
    rig.delivered(0, 51_000).await;
    eventually("all have come", || one.numbers().len() + two.numbers().len() >= 51_000).await;
    nothing_is_missing(&[&one, &two], &(0..51_000).collect::<Vec<_>>());
    let status = rig.status(0);
    assert_eq!((status.repeats, status.last_error), (0, None), "all ends were orderly");
    assert!(one.runs().len() + two.runs().len() > 30, "{} connections", one.runs().len() + two.runs().len());
    assert_eq!(rig.destinations.status().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destinations_that_come_and_go_under_load_get_what_is_theirs() {
    let (dir, one, two) = (TempDir::new().unwrap(), Sink::new().await, Sink::new().await);
    let plain = |sink: &Sink| destination("x", [server(sink.address)]);
    let sets = [vec![plain(&one)], vec![plain(&one), plain(&two)], vec![plain(&two)], vec![]];
    let rig = Rig::of(dir.path(), sets[0].clone());
    let mut theirs: [Vec<u64>; 2] = [Vec::new(), Vec::new()];
    let mut next = 0;
    let mut give = async |set: usize, points: u64, theirs: &mut [Vec<u64>; 2]| {
        let names: Vec<Destination> = sets[set].iter().map(|(destination, _)| destination.clone()).collect();
        rig.route_to(&names);
        rig.log(next..next + points).await;
        if set < 2 {
            theirs[0].extend(next..next + points);
        }
        if set == 1 || set == 2 {
            theirs[1].extend(next..next + points);
        }
        next += points;
    };
    give(0, 300, &mut theirs).await;
    for index in 1..=100 {
        rig.destinations.replace(sets[index % 4].clone()).unwrap();
        give(index % 4, 300, &mut theirs).await;
        if index % 25 == 0 {
            // Long enough for those that leave to be gone.
            tokio::time::sleep(Duration::from_millis(2500)).await;
        }
    }
    rig.destinations.replace(sets[2].clone()).unwrap();
    give(2, 1000, &mut theirs).await;
    eventually("all have come", || {
        one.numbers().len() >= theirs[0].len() && two.numbers().len() >= theirs[1].len()
    })
    .await;
    nothing_is_missing(&[&one], &theirs[0]);
    nothing_is_missing(&[&two], &theirs[1]);
    eventually("what has left is forgotten", || rig.destinations.status().len() == 1).await;
    assert_eq!(rig.status(0).address, two.address.to_string());
    assert!(rig.journal.orphans().is_empty());
    assert_eq!(rig.journal.ledgers().len(), 1);
}

#[tokio::test]
async fn those_that_stay_are_left_alone() {
    let (dir, one, two, three) =
        (TempDir::new().unwrap(), Sink::new().await, Sink::new().await, Sink::new().await);
    let plain = |sink: &Sink| destination("x", [server(sink.address)]);
    let rig = Rig::of(dir.path(), vec![plain(&one), plain(&two)]);
    rig.log(0..100).await;
    rig.delivered(0, 100).await;
    rig.delivered(1, 100).await;
    let packed = destination("x", [Server { packing: Packing::Gzip, ..server(two.address) }]);
    let all = vec![plain(&three), packed, plain(&one)];
    rig.destinations.replace(all.clone()).unwrap();
    let status = rig.destinations.status();
    let addresses: Vec<_> = status.iter().map(|status| status.address.clone()).collect();
    assert_eq!(
        addresses,
        [&three, &two, &one].map(|sink| sink.address.to_string()),
        "in the order of the new"
    );
    eventually("the one that is sent to in another way is connected anew", || two.runs().len() == 2).await;
    rig.route_to(&all.iter().map(|(destination, _)| destination.clone()).collect::<Vec<_>>());
    rig.log(100..200).await;
    one.has(0..200).await;
    three.has(100..200).await;
    assert_eq!((one.runs().len(), three.runs().len()), (1, 1));
    // One that cannot be had changes nothing.
    let twice = vec![plain(&one), plain(&one)];
    assert!(rig.destinations.replace(twice).unwrap_err().to_string().contains("twice"));
    assert_eq!(rig.destinations.status().len(), 3);
}

#[tokio::test]
async fn what_waits_for_one_that_is_gone_is_sent_even_after_a_restart() {
    let (dir, stays, gone) = (TempDir::new().unwrap(), Sink::new().await, free_address());
    let to_gone = destination("x", [server(gone)]);
    let to_stays = destination("x", [server(stays.address)]);
    let rig = Rig::of(dir.path(), vec![to_gone, to_stays.clone()]);
    rig.log(0..1000).await;
    rig.destinations.replace(vec![to_stays.clone()]).unwrap();
    let status = rig.status(1);
    assert!(status.leaving && status.waiting == 1000 && !rig.status(0).leaving, "{status:?}");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(rig.status(1).waiting, 1000, "it stays as long as something waits");
    assert_eq!(rig.drain().await.left().len(), 1);

    let rig = Rig::of(dir.path(), vec![to_stays]);
    assert!(rig.status(1).leaving && rig.status(1).address == gone.to_string());
    assert_eq!(rig.destinations.status().len(), 2);
    let sink = Sink::at(gone).await;
    sink.has(0..1000).await;
    eventually("it is gone", || rig.destinations.status().len() == 1).await;
    assert!(rig.journal.orphans().is_empty());
}

#[tokio::test]
async fn a_change_does_not_wait_for_a_peer_that_hangs() {
    let (dir, address, sink) = (TempDir::new().unwrap(), free_address(), Sink::new().await);
    let listener = super::rig::narrow(address);
    let to = |at| destination("x", [server(at), server(free_address())]);
    let rig = Rig::of(dir.path(), vec![to(address)]);
    let (_stream, _) = listener.accept().await.unwrap();
    rig.log(0..100_000).await;
    let began = std::time::Instant::now();
    rig.destinations.replace(vec![to(sink.address)]).unwrap();
    eventually("the other gets all", || sink.numbers().last() == Some(&99_999)).await;
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(sink.numbers(), (0..100_000).collect::<Vec<_>>(), "the first had read nothing");
}

#[tokio::test]
async fn a_pause_ends_with_the_destination_that_wanted_it() {
    let (dir, address) = (TempDir::new().unwrap(), free_address());
    let (to, sending) = destination("x", [server(address)]);
    let sending = Sending { when_behind: WhenBehind::Block, mark_points: 100, ..sending };
    let rig = Rig::of(dir.path(), vec![(to.clone(), sending.clone())]);
    rig.log(0..1000).await;
    eventually("listeners pause", || rig.flow.is_paused()).await;
    rig.destinations.replace(vec![(to.clone(), super::rig::sending())]).unwrap();
    eventually("listeners go on", || !rig.flow.is_paused()).await;
    assert_eq!(rig.status(0).waiting, 1000);
    rig.destinations.replace(vec![(to, sending)]).unwrap();
    eventually("listeners pause again", || rig.flow.is_paused()).await;
    rig.destinations.replace(Vec::new()).unwrap();
    eventually("nobody waits for one that leaves", || !rig.flow.is_paused()).await;
    assert_eq!(rig.status(0).waiting, 1000);
}
