//! Who holds disk, and what happens when it is spent.

use super::*;
use crate::Scope;
use crate::sys::Space;

/// Appends `count` batches of 25 points that go to `routes`.
fn fill(journal: &Journal, count: u64, routes: &Routes) {
    for _ in 0..count {
        append(journal, batch(journal.end(), 25, routes.clone())).unwrap();
    }
}

fn bytes(journal: &Journal) -> u64 {
    lock(&journal.shared().log).bytes()
}

#[test]
fn a_dead_reader_is_charged_and_hurts_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let dead = journal.reader("dead", Scope::Routed).unwrap();
    let other = journal.reader("other", Scope::Routed).unwrap();
    let mut alive = journal.reader("alive", Scope::Everything).unwrap();
    let (d, o) = (journal.route_set(&["dead"]), journal.route_set(&["dead", "other"]));
    let third: Vec<RouteSet> = (0..25).map(|n| if n % 5 == 0 { d } else { RouteSet(0) }).collect();
    for round in 0..400_u64 {
        fill(&journal, 1, &to(if round % 2 == 0 { d } else { RouteSet(0) }));
        append(&journal, batch(journal.end(), 25, Routes::PerSample(third.clone()))).unwrap();
        let taken = take_all(&mut alive).len() as u64;
        finish(&mut alive, taken);
        assert_eq!(taken, 50);
    }
    let start = journal.start();
    assert!(start > 0 && bytes(&journal) <= 64 << 10);
    // 25 of every 100 points were the dead reader's, and 5 more twice.
    let (routed, delivered, waiting, shed) = account(&dead);
    assert_eq!((routed, delivered), (400 * 5 + 200 * 25, 0));
    let mine = |seq: u64| matches!(seq % 100, 0..25) || seq.is_multiple_of(5) && seq % 50 >= 25;
    assert_eq!(shed, (0..start).filter(|seq| mine(*seq)).count() as u64);
    assert_eq!(waiting, (start..journal.end()).filter(|seq| mine(*seq)).count() as u64);
    assert_eq!((account(&other), account(&alive)), ((0, 0, 0, 0), (20_000, 20_000, 0, 0)));
    assert!(dead.ledger().pinned_bytes > 0 && alive.ledger().pinned_bytes == 0);
    assert_eq!(dead.ledger().lag_seconds, 1_000.0);
    // The charge survives a crash.
    drop((dead, other, alive));
    journal.crash();
    let (journal, recovered) = open(options(dir.path()));
    assert_eq!(recovered.start, start);
    let mut dead = journal.reader("dead", Scope::Routed).unwrap();
    assert_eq!(account(&dead), (routed, 0, waiting, shed));
    assert_eq!(take_all(&mut dead).len() as u64, waiting);
    append(&journal, batch(journal.end(), 1, to(o))).unwrap();
}

#[test]
fn segments_go_when_all_have_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(Options { max_bytes: 1 << 20, ..options(dir.path()) });
    let mut fast = journal.reader("fast", Scope::Everything).unwrap();
    let mut slow = journal.reader("slow", Scope::Everything).unwrap();
    fill(&journal, 80, &Routes::All(RouteSet(0)));
    let count = segment_files(dir.path()).len();
    assert!(count > 3);
    take_all(&mut fast);
    finish(&mut fast, 2000);
    journal.shared().tend();
    assert_eq!(segment_files(dir.path()).len(), count, "slow needs them");
    take_all(&mut slow);
    slow.hold(300);
    finish(&mut slow, 2000);
    journal.shared().tend();
    assert!(journal.start() <= 300, "slow holds them");
    slow.rewind(300);
    assert_eq!(take_all(&mut slow).len(), 1700);
    assert_eq!((account(&slow), mismatches(&journal)), ((2000, 2000, 0, 0), 0));
    drop((slow, fast));
    journal.shared().tend();
    drop(journal);
    let (journal, _) = open(Options { max_bytes: 1 << 20, ..options(dir.path()) });
    journal.shared().tend();
    assert!(journal.start() <= 300, "a hold survives a restart");
    let mut slow = journal.reader("slow", Scope::Everything).unwrap();
    assert_eq!((slow.position(), slow.held()), (2000, 300));
    slow.hold(u64::MAX);
    journal.shared().tend();
    assert_eq!(journal.start(), 2000);
    let left = segment_files(dir.path());
    assert_eq!(left.len(), 1, "it says where the log ends");
    assert_eq!(left[0].metadata().unwrap().len(), 0);
    drop((slow, journal));
    for _ in 0..2 {
        let (_, recovered) = open(options(dir.path()));
        assert_eq!((recovered.start, recovered.end, recovered.lost_points), (2000, 2000, 0));
    }
    let (journal, _) = open(options(dir.path()));
    fill(&journal, 1, &Routes::All(RouteSet(0)));
    assert_eq!(journal.end(), 2025);
    journal.crash();
    assert_eq!(open(options(dir.path())).1.lost_points, 0);
}

#[test]
fn dropping_what_a_reader_holds_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    reader.hold(0);
    while journal.start() == 0 {
        fill(&journal, 1, &to(RouteSet(0)));
        let taken = take_all(&mut reader).len() as u64;
        finish(&mut reader, taken);
        reader.hold(0);
    }
    assert!((0.3..=1.0).contains(&reader.held_share()), "{}", reader.held_share());
    let (.., waiting, shed) = account(&reader);
    assert_eq!((waiting, shed, mismatches(&journal)), (0, 0, 0), "it had read all of it");
    assert!(lock(&journal.shared().log).counters.held_segments > 0);
}

#[test]
fn what_is_only_held_for_long_takes_no_room_from_what_is_in_no_hurry() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    reader.hold(0);
    // Batches are of 1,000: a segment that is a minute old at 2,000 and young at 1,010.
    let clock = journal.shared().clock.clone();
    clock.set(1_010.0);
    assert!(!journal.is_nearly_spent());
    fill(&journal, 60, &to(RouteSet(0)));
    assert!(journal.is_nearly_spent());
    clock.set(2_000.0);
    assert!(journal.is_nearly_spent(), "nobody has read it");
    let taken = take_all(&mut reader).len() as u64;
    finish(&mut reader, taken);
    reader.hold(0);
    assert!(!journal.is_nearly_spent(), "it is only held");
    clock.set(1_010.0);
    assert!(journal.is_nearly_spent(), "it was read a moment ago");
    assert_eq!((journal.start(), account(&reader).3), (0, 0), "nothing was dropped by asking");
}

#[test]
fn what_is_in_no_hurry_leaves_room_for_the_segment_of_a_start() {
    let dir = tempfile::tempdir().unwrap();
    for life in 0..3 {
        let (journal, _) = open(options(dir.path()));
        let _reader = journal.reader("away", Scope::Everything).unwrap();
        // What is in a hurry comes first, and waits for nothing.
        fill(&journal, 1, &to(RouteSet(0)));
        while !journal.is_nearly_spent() {
            fill(&journal, 1, &to(RouteSet(0)));
        }
        assert_eq!(journal.start(), 0, "pushed out in life {life}");
    }
}

#[test]
fn a_hold_of_an_earlier_run_ends_with_the_first_done() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    reader.hold(0);
    drop(reader);
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    assert_eq!(reader.held(), 0);
    reader.done(0, 0);
    assert_eq!(reader.held(), u64::MAX);
}

#[test]
fn blocked_until_readers_have_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let blocking = Options { when_full: WhenFull::Block, ..options(dir.path()) };
    let (journal, _) = open(blocking);
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    let refused = loop {
        match append(&journal, batch(journal.end(), 25, to(RouteSet(0)))) {
            Ok(_) => assert!(journal.end() < 10_000),
            Err(Error::Full(batch)) => break batch,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((refused.first_seq, refused.len()), (0, 25));
    let again = append(&journal, *refused);
    assert!(matches!(again, Err(Error::Full(_))));
    let taken = take_all(&mut reader).len() as u64;
    assert_eq!((taken, account(&reader)), (journal.end(), (taken, 0, taken, 0)));
    finish(&mut reader, taken);
    let Err(Error::Full(batch)) = again else { unreachable!() };
    assert_eq!(append(&journal, *batch).unwrap().first_seq, taken);
}

#[test]
fn room_comes_when_something_is_freed() {
    let dir = tempfile::tempdir().unwrap();
    let blocking = Options { when_full: WhenFull::Block, ..options(dir.path()) };
    let (journal, _) = Journal::open(blocking).unwrap();
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    // Without anything full it does not wait.
    runtime.block_on(journal.room());
    let writer = journal.clone();
    let sent = runtime.spawn(async move {
        for n in 0..400 {
            let mut next = batch(n * 25, 25, to(RouteSet(0)));
            while let Err(error) = writer.append(next).await {
                let Error::Full(back) = error else { panic!("{error}") };
                next = *back;
                writer.room().await;
            }
        }
    });
    let mut values = Vec::new();
    while values.len() < 10_000 {
        assert!(reader.wait(std::time::Duration::from_secs(60)));
        let taken = take_all(&mut reader);
        finish(&mut reader, taken.len() as u64);
        values.extend(taken);
    }
    runtime.block_on(sent).unwrap();
    assert_eq!(values, (0..10_000).collect::<Vec<_>>());
    assert_eq!((account(&reader), mismatches(&journal)), ((10_000, 10_000, 0, 0), 0));
}

#[test]
fn a_full_disk_shrinks_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(Options { min_free_percent: 5.0, max_bytes: 256 << 10, ..options(dir.path()) });
    let reader = journal.reader("dead", Scope::Everything).unwrap();
    fill(&journal, 100, &Routes::All(RouteSet(0)));
    let used = bytes(&journal);
    let look = |total, available| {
        let mut keep = lock(&journal.shared().keep);
        journal.shared().fit_budget(&mut keep, Space { total, available });
        let budget = lock(&journal.shared().log).budget;
        (budget, keep.low_disk, bytes(&journal))
    };
    assert_eq!(look(10_000_000, 5_000_000), (256 << 10, false, used));
    assert_eq!(look(10_000_000, 600_000), (used + 100_000, false, used));
    let (budget, low, left) = look(10_000_000, 500_000 - 30_000);
    assert_eq!((budget, low), (used - 30_000, true));
    assert!(left <= budget);
    let (_, _, _, shed) = account(&reader);
    assert!(shed > 0 && shed == journal.start());
    assert!(look(10_000_000, 550_000).1, "not yet out of danger");
    assert!(!look(10_000_000, 650_000).1);
    // Nothing free at all: only what is being written stays.
    look(10_000_000, 0);
    assert_eq!(segment_files(dir.path()).len(), 1);
}

#[test]
fn a_batch_larger_than_a_segment() {
    for when_full in [WhenFull::ShedOldest, WhenFull::Block] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { when_full, max_bytes: 128 << 10, ..options(dir.path()) };
        let (journal, _) = open(options);
        let mut reader = journal.reader("one", Scope::Everything).unwrap();
        for n in 0..6 {
            append(&journal, batch(n * 1000, 1000, to(RouteSet(0)))).unwrap();
            assert_eq!(take_all(&mut reader).len(), 1000);
            finish(&mut reader, 1000);
            assert!(bytes(&journal) < 256 << 10);
        }
    }
}

#[test]
fn figures_say_how_long_it_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::at(1_000.0);
    let options = options(dir.path());
    let (journal, _) = Journal::open_kept(options, clock.clone(), Keeper::Test).unwrap();
    let reader = journal.reader("slow", Scope::Everything).unwrap();
    fill(&journal, 10, &Routes::All(RouteSet(0)));
    clock.set(1_001.0);
    journal.shared().tend();
    let mut figures = Vec::new();
    journal.figures(&mut figures);
    let value = |name: &str| {
        let mut found = figures.iter().filter(|figure| figure.name == name);
        let figure = found.next().unwrap_or_else(|| panic!("{name}"));
        assert!(found.next().is_none() && figure.labels.iter().all(|l| *l == ("reader", "slow".to_owned())));
        figure.value
    };
    assert_eq!((value("skyline_journal_waiting_points"), value("skyline_journal_lag_seconds")), (250.0, 1.0));
    assert_eq!(value("skyline_journal_appended_points_total"), 250.0);
    let rate = bytes(&journal) as f64 * 0.1;
    assert!((value("skyline_journal_bytes_per_second") - rate).abs() < 1.0);
    let left = (65_536.0 - bytes(&journal) as f64) / rate;
    assert!((value("skyline_journal_seconds_until_shed") - left).abs() < 1.0);
    assert_eq!(reader.ledger().lag_seconds, 1.0);
}
