//! Submitting, waiting, shedding; the ledger over restarts.

use super::{Intake, Options, Peer, Refusals};
use crate::route::Router;
use skyline_conf::model::listen::WhenFull;
use skyline_conf::model::relay::Relay;
use skyline_core::batch::{Batch, BatchBuilder, Listener, Origin, Source};
use skyline_core::clock::Clock;
use skyline_core::reject::Reject;
use skyline_journal::{Durability, Journal, Scope};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

fn journal(dir: &Path, max_bytes: u64) -> Journal {
    journal_that(skyline_journal::WhenFull::Block, dir, max_bytes)
}

fn journal_that(when_full: skyline_journal::WhenFull, dir: &Path, max_bytes: u64) -> Journal {
    let options = skyline_journal::Options {
        dir: dir.join("journal"),
        max_bytes,
        segment_bytes: 64 << 10,
        memory_bytes: 64 << 10,
        durability: Durability::Process,
        when_full,
        min_free_percent: 0.0,
    };
    Journal::open(options).unwrap().0
}

fn intake(dir: &Path, journal: &Journal) -> Intake {
    let options = Options {
        state_dir: dir.to_owned(),
        when_full: WhenFull::Block,
        udp_when_full: WhenFull::Shed,
        clock: Clock::at(100.0),
    };
    Intake::open(journal.clone(), Router::of_settings(&Relay::default(), journal).unwrap(), options).unwrap()
}

fn batch(listener: Listener, points: usize) -> Batch {
    let origin = if listener == Listener::Own { Origin::Own } else { Origin::Live };
    let mut builder = BatchBuilder::new(Source { listener, origin }, 100.0);
    for i in 0..points {
        builder.point(format!("some.metric.{i:06}").as_bytes(), 1_700_000_000.0, i as f64).unwrap();
    }
    builder.finish().unwrap()
}

/// Received, logged and refused points of a listener.
fn account(intake: &Intake, listener: Listener) -> (u64, u64, u64) {
    let ledger = intake.ledgers().into_iter().find(|l| l.listener == listener).unwrap();
    (ledger.received, ledger.logged, ledger.refused.total())
}

#[tokio::test]
async fn every_point_has_an_account() {
    let dir = TempDir::new().unwrap();
    let journal = journal(dir.path(), 64 << 20);
    let intake = intake(dir.path(), &journal);
    let logged = intake.submit(batch(Listener::PickleTcp, 10)).await.unwrap();
    assert_eq!(logged.len(), 10);
    assert_eq!(journal.end(), logged.end_seq());
    intake.submit(batch(Listener::Own, 3)).await.unwrap();
    let mut refusals = Refusals::default();
    refusals.add(b"x", Reject::Fields);
    refusals.add(b"y", Reject::Fields);
    intake.refuse(Listener::PickleTcp, Peer::Local, &refusals);
    intake.refuse(Listener::PickleTcp, Peer::Local, &Refusals::default());
    intake.refuse_batch(&batch(Listener::PlaintextUdp, 4), Reject::JournalFull);
    assert_eq!(account(&intake, Listener::PickleTcp), (12, 10, 2));
    assert_eq!(account(&intake, Listener::Own), (3, 3, 0));
    assert_eq!(account(&intake, Listener::PlaintextUdp), (4, 0, 4));
    assert_eq!(intake.recent_refusals().len(), 1);
    assert!(intake.close().unwrap());
}

#[tokio::test]
async fn the_ledger_survives_a_stop_and_a_crash() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("ledger");
    {
        let journal = journal(dir.path(), 64 << 20);
        // Somebody who has not read yet, so that the segments stay.
        let _reader = journal.reader("slow", Scope::Everything).unwrap();
        let intake = intake(dir.path(), &journal);
        intake.submit(batch(Listener::PlaintextTcp, 10)).await.unwrap();
        intake.refuse_batch(&batch(Listener::PlaintextTcp, 2), Reject::JournalFull);
        intake.save().unwrap();
        let saved = std::fs::read(&file).unwrap();
        intake.submit(batch(Listener::PlaintextTcp, 5)).await.unwrap();
        intake.submit(batch(Listener::PickleTcp, 7)).await.unwrap();
        assert!(intake.close().unwrap());
        assert_ne!(std::fs::read(&file).unwrap(), saved);
        // As a crash leaves it: the journal is ahead of the file.
        std::fs::write(&file, saved).unwrap();
    }
    for _ in 0..2 {
        let journal = journal(dir.path(), 64 << 20);
        let intake = intake(dir.path(), &journal);
        assert_eq!(account(&intake, Listener::PlaintextTcp), (17, 15, 2));
        assert_eq!(account(&intake, Listener::PickleTcp), (7, 7, 0));
    }
    // A damaged or missing file: what the journal has still counts.
    for damage in [Some("skyline listener ledger 1\nend 3\nplaintext_tcp logged"), None] {
        match damage {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let journal = journal(dir.path(), 64 << 20);
        let intake = intake(dir.path(), &journal);
        assert_eq!(account(&intake, Listener::PlaintextTcp), (15, 15, 0));
    }
}

#[tokio::test]
async fn a_full_journal_makes_streams_wait_and_sheds_datagrams() {
    let dir = TempDir::new().unwrap();
    let journal = journal(dir.path(), 256 << 10);
    let mut reader = journal.reader("slow", Scope::Everything).unwrap();
    let intake = intake(dir.path(), &journal);
    while intake.submit(batch(Listener::PlaintextUdp, 1_000)).await.is_some() {}
    let (received, logged, refused) = account(&intake, Listener::PlaintextUdp);
    assert_eq!((received, refused), (logged + 1_000, 1_000));
    // A stream waits until the reader has made room.
    let waiting = intake.clone();
    let task = tokio::spawn(async move { waiting.submit(batch(Listener::PlaintextTcp, 1_000)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(intake.waiting(), 1);
    assert_eq!(intake.ledgers().iter().map(super::ListenerLedger::on_their_way).sum::<u64>(), 1_000);
    let mut taken = Vec::new();
    reader.take(usize::MAX, &mut taken).unwrap();
    reader.done(journal.end(), logged);
    let logged = tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
    assert_eq!(logged.unwrap().len(), 1_000);
    // After a stop it does not wait for long, and what cannot be logged is counted.
    while intake.submit(batch(Listener::PlaintextUdp, 1_000)).await.is_some() {}
    let stop = CancellationToken::new();
    stop.cancel();
    assert!(intake.submit_from(batch(Listener::PlaintextTcp, 1_000), &[], &stop).await.is_none());
    assert_eq!(account(&intake, Listener::PlaintextTcp), (2_000, 1_000, 1_000));
    assert!(intake.close().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_under_load_hold_for_their_sequence_number() {
    let dir = TempDir::new().unwrap();
    let journal = journal(dir.path(), 1 << 30);
    let before = journal.end();
    let intake = intake(dir.path(), &journal);
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let intake = intake.clone();
            tokio::spawn(async move {
                for _ in 0..500 {
                    intake.submit(batch(Listener::PlaintextTcp, 3)).await.unwrap();
                }
            })
        })
        .collect();
    while writers.iter().any(|writer| !writer.is_finished()) {
        intake.save().unwrap();
        let text = std::fs::read_to_string(dir.path().join("ledger")).unwrap();
        let after = |word: &str| {
            let rest = text.split_once(word).unwrap().1;
            rest.split([' ', '\n']).next().unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(after("plaintext_tcp logged "), after("end ") - before, "{text}");
        tokio::task::yield_now().await;
    }
    assert_eq!(account(&intake, Listener::PlaintextTcp), (6_000, 6_000, 0));
}

#[tokio::test]
async fn a_save_during_an_append_holds_for_what_is_logged() {
    let dir = TempDir::new().unwrap();
    let journal = journal(dir.path(), 64 << 20);
    let intake = intake(dir.path(), &journal);
    intake.submit(batch(Listener::PickleTcp, 10)).await.unwrap();
    let mut appending = Box::pin(intake.submit(batch(Listener::PickleTcp, 5)));
    let once =
        std::future::poll_fn(|cx| std::task::Poll::Ready(Future::poll(appending.as_mut(), cx).is_pending()));
    assert!(once.await, "it lets others go first");
    let saved = |intake: &Intake| {
        intake.save().unwrap();
        std::fs::read_to_string(dir.path().join("ledger")).unwrap()
    };
    let text = saved(&intake);
    assert!(text.contains("end 10\n") && text.contains("pickle_tcp logged 10\n"), "{text}");
    appending.await.unwrap();
    let text = saved(&intake);
    assert!(text.contains("end 15\n") && text.contains("pickle_tcp logged 15\n"), "{text}");
}

#[tokio::test]
async fn what_the_journal_did_not_take_is_no_duplicate() {
    let dir = TempDir::new().unwrap();
    let journal = journal(dir.path(), 256 << 10);
    let _reader = journal.reader("stands still", Scope::Everything).unwrap();
    let intake = intake(dir.path(), &journal);
    intake.deduplicate(60, 100_000);
    let stop = CancellationToken::new();
    let submit = |feed| {
        let intake = intake.clone();
        let stop = stop.clone();
        async move { intake.submit_from(batch(Listener::PlaintextUdp, 1_000), &[(1_000, feed)], &stop).await }
    };
    let refused = |why| {
        let ledgers = intake.ledgers();
        ledgers.iter().find(|l| l.listener == Listener::PlaintextUdp).unwrap().refused.get(why)
    };
    // What was taken is a duplicate of another feed, and room does not matter.
    assert!(submit(1).await.is_some());
    assert!(submit(2).await.is_none());
    assert_eq!((refused(Reject::Duplicate), refused(Reject::JournalFull)), (1_000, 0));
    while intake.submit(batch(Listener::PlaintextUdp, 1_000)).await.is_some() {}
    intake.deduplicate(61, 100_000);
    let before = refused(Reject::JournalFull);
    assert!(submit(1).await.is_none());
    assert!(submit(2).await.is_none());
    assert_eq!((refused(Reject::Duplicate), refused(Reject::JournalFull)), (1_000, before + 2_000));
}

#[tokio::test]
async fn what_nobody_is_in_a_hurry_for_pushes_nothing_out() {
    let dir = TempDir::new().unwrap();
    let journal = journal_that(skyline_journal::WhenFull::ShedOldest, dir.path(), 256 << 10);
    let reader = journal.reader("slow", Scope::Everything).unwrap();
    let intake = intake(dir.path(), &journal);
    let stop = CancellationToken::new();
    let mut batches = 0;
    while tokio::time::timeout(Duration::from_millis(1), intake.has_room_for_bulk(&stop)).await.is_ok() {
        assert!(intake.submit_fetched(batch(Listener::Vista, 500), &stop).await);
        batches += 1;
        assert!(batches < 10_000, "it never fills up");
    }
    assert_eq!(journal.start(), 0, "something was pushed out");
    // What is in a hurry does not wait.
    assert!(intake.submit_fetched(batch(Listener::Vista, 10), &stop).await);
    stop.cancel();
    assert!(!intake.has_room_for_bulk(&stop).await);
    drop(reader);
}
