//! Append, take, done, reopen.

use super::*;
use crate::Scope;
use std::time::Duration;

#[test]
fn what_is_appended_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, recovered) = open(options(dir.path()));
    assert_eq!(recovered, Recovered::default());
    let mut all = journal.reader("all", Scope::Everything).unwrap();
    let mut one = journal.reader("one", Scope::Routed).unwrap();
    let set = journal.route_set(&["one", "other"]);
    let first = append(&journal, batch(0, 3, to(set))).unwrap();
    append(&journal, batch(3, 2, to(RouteSet(0)))).unwrap();
    let mixed = Routes::PerSample(vec![RouteSet(0), set, RouteSet(0), set]);
    let last = append(&journal, batch(5, 4, mixed)).unwrap();
    assert_eq!((first.first_seq, last.first_seq, journal.end()), (0, 5, 9));
    assert_eq!(take_all(&mut all), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(take_all(&mut one), [0, 1, 2, 6, 8]);
    assert_eq!((account(&all), account(&one)), ((9, 0, 9, 0), (5, 0, 5, 0)));
    one.done(7, 4);
    assert_eq!(account(&one), (5, 4, 1, 0));
    one.rewind(4);
    assert_eq!(one.cursor(), 4);
    assert_eq!(take_all(&mut one), [6, 8]);
    finish(&mut one, 1);
    finish(&mut all, 9);
    assert_eq!((account(&all), account(&one)), ((9, 9, 0, 0), (5, 5, 0, 0)));
    assert_eq!(mismatches(&journal), 0);
    one.done(9, 3);
    assert_eq!(mismatches(&journal), 0, "behind the position nothing is done");
}

#[test]
fn a_reader_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let mut reader = journal.reader("one", Scope::Routed).unwrap();
    let set = journal.route_set(&["one"]);
    for n in 0..10 {
        append(&journal, batch(n * 10, 10, to(set))).unwrap();
    }
    let mut out = Vec::new();
    reader.take(40, &mut out).unwrap();
    reader.done(35, 35);
    journal.sync().unwrap();
    drop((reader, journal));
    let (journal, recovered) = open(options(dir.path()));
    assert_eq!((recovered.start, recovered.end, recovered.torn_bytes), (0, 100, 0));
    assert_eq!(journal.orphans(), ["one"]);
    let mut reader = journal.reader("one", Scope::Routed).unwrap();
    assert_eq!((reader.position(), reader.cursor()), (35, 35));
    assert_eq!(account(&reader), (100, 35, 65, 0));
    // Sets have other numbers in this run.
    journal.route_set(&["zero"]);
    let set = journal.route_set(&["one"]);
    append(&journal, batch(100, 5, to(set))).unwrap();
    assert_eq!(take_all(&mut reader), (35..105).collect::<Vec<_>>());
    finish(&mut reader, 70);
    assert_eq!(account(&reader), (105, 105, 0, 0));
    assert_eq!(mismatches(&journal), 0);
}

#[test]
fn a_new_name_begins_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    append(&journal, batch(0, 10, to(RouteSet(0)))).unwrap();
    let mut reader = journal.reader("new", Scope::Everything).unwrap();
    assert_eq!(reader.position(), 10);
    append(&journal, batch(10, 10, to(RouteSet(0)))).unwrap();
    assert_eq!(take_all(&mut reader), (10..20).collect::<Vec<_>>());
    assert_eq!(account(&reader), (10, 0, 10, 0));
}

#[test]
fn one_handle_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    assert!(matches!(journal.reader("one", Scope::Everything), Err(Error::InUse { .. })));
    assert!(matches!(journal.forget("one"), Err(Error::InUse { .. })));
    append(&journal, batch(0, 10, to(RouteSet(0)))).unwrap();
    take_all(&mut reader);
    drop(reader);
    assert_eq!(journal.orphans(), ["one"]);
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    assert_eq!(take_all(&mut reader).len(), 10, "what was not done comes again");
    assert_eq!(account(&reader), (10, 0, 10, 0));
    drop(reader);
    journal.forget("one").unwrap();
    journal.forget("nobody").unwrap();
    assert!(journal.orphans().is_empty());
    let reader = journal.reader("one", Scope::Everything).unwrap();
    assert_eq!((reader.position(), account(&reader)), (10, (0, 0, 0, 0)));
}

#[test]
fn two_processes_cannot_share_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let error = Journal::open(options(dir.path())).unwrap_err();
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    drop(journal);
    Journal::open(options(dir.path())).unwrap();
}

#[test]
fn readers_sleep_and_wake() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let mut thread = journal.reader("thread", Scope::Everything).unwrap();
    let mut task = journal.reader("task", Scope::Everything).unwrap();
    let mut idle = journal.reader("idle", Scope::Routed).unwrap();
    assert!(!thread.wait(Duration::from_millis(1)));
    let writer = journal.clone();
    let waited = std::thread::spawn(move || {
        assert!(thread.wait(Duration::from_secs(60)));
        take_all(&mut thread)
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let slept = runtime.spawn(async move {
        task.ready().await;
        take_all(&mut task)
    });
    std::thread::sleep(Duration::from_millis(20));
    append(&writer, batch(0, 5, to(RouteSet(0)))).unwrap();
    assert_eq!(waited.join().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(runtime.block_on(slept).unwrap(), [0, 1, 2, 3, 4]);
    // Nothing of it was this reader's: it was not woken and holds nothing back.
    assert!(!idle.wait(Duration::ZERO));
    assert_eq!((idle.cursor(), idle.position()), (5, 5));
    assert!(take_all(&mut idle).is_empty());
}

#[test]
fn a_call_ends_one_wait_before_or_during_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let reader = journal.reader("thread", Scope::Everything).unwrap();
    let caller = reader.caller();
    caller.call();
    assert!(reader.wait(Duration::from_secs(60)));
    assert!(!reader.wait(Duration::from_millis(1)), "one call, one wait");
    let waited = std::thread::spawn(move || reader.wait(Duration::from_secs(60)));
    std::thread::sleep(Duration::from_millis(20));
    let began = std::time::Instant::now();
    caller.call();
    assert!(waited.join().unwrap());
    // Without a call the end of the time would be taken for one.
    assert!(began.elapsed() < Duration::from_secs(30));
    drop(journal);
    caller.call();
}

#[test]
fn many_writers_share_groups() {
    for durability in [Durability::Process, Durability::Machine] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { durability, max_bytes: 64 << 20, ..options(dir.path()) };
        let (journal, _) = open(options.clone());
        let mut reader = journal.reader("all", Scope::Everything).unwrap();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let journal = journal.clone();
                std::thread::spawn(move || {
                    for n in 0..100 {
                        append(&journal, batch(writer * 1000 + n * 10, 10, to(RouteSet(0)))).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let taken = take_all(&mut reader);
        for writer in 0..4 {
            let theirs: Vec<u64> = taken.iter().copied().filter(|v| v / 1000 == writer).collect();
            let sent: Vec<u64> = (writer * 1000..writer * 1000 + 1000).collect();
            assert_eq!(theirs, sent, "in the order of the writer");
        }
        drop((reader, journal));
        let (journal, recovered) = open(options);
        assert_eq!((recovered.end, recovered.torn_bytes, recovered.lost_points), (4000, 0, 0));
        drop(journal);
    }
}

#[test]
fn a_clock_that_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    drop(journal.reader("one", Scope::Everything).unwrap());
    let at = |received| Batch { received, ..batch(0, 1, to(RouteSet(0))) };
    let check = |journal: &Journal, received, expected, segments| {
        assert_eq!(append(journal, at(received)).unwrap().received, expected, "{received}");
        assert_eq!(segment_files(dir.path()).len(), segments, "{received}");
    };
    check(&journal, 500.0, 500.0, 1);
    // A little is put right by waiting; receipt times grow within a segment.
    check(&journal, 440.0, 500.0, 1);
    check(&journal, f64::NAN, 500.0, 1);
    check(&journal, f64::INFINITY, 500.0, 1);
    check(&journal, 501.0, 501.0, 1);
    // A clock that was wrong by hours is followed back.
    check(&journal, 400.0, 400.0, 2);
    check(&journal, 399.0, 400.0, 2);
    drop(journal);
    let (journal, _) = open(options(dir.path()));
    check(&journal, 100.0, 100.0, 3);
    assert_eq!(take_all(&mut journal.reader("one", Scope::Everything).unwrap()).len(), 8);
}

#[test]
fn points_are_counted_by_listener() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(Options { max_bytes: 1 << 20, ..options(dir.path()) });
    journal.reader("holds", Scope::Everything).unwrap();
    for n in 0..40 {
        let source = Source { listener: Listener::ALL[n as usize % 2], origin: Origin::Live };
        append(&journal, Batch { source, ..batch(n * 25, 25, to(RouteSet(0))) }).unwrap();
    }
    let count = |from| {
        let counted = journal.logged_by_listener(from).unwrap();
        (counted[0].1, counted[1].1, counted[2].1)
    };
    assert!(segment_files(dir.path()).len() > 2);
    assert_eq!(count(0), (500, 500, 0));
    assert_eq!(count(10), (490, 500, 0));
    assert_eq!(count(960), (15, 25, 0));
    assert_eq!(count(1000), (0, 0, 0));
}

#[test]
fn a_caller_who_goes_away_takes_nobody_along() {
    use std::future::Future;
    use std::task::{Context, Waker};
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let mut first = Box::pin(journal.append(batch(0, 5, to(RouteSet(0)))));
    let mut second = Box::pin(journal.append(batch(5, 5, to(RouteSet(0)))));
    assert!(first.as_mut().poll(&mut context).is_pending(), "it lets others go first");
    assert!(second.as_mut().poll(&mut context).is_pending(), "the first writes for it");
    drop(first);
    assert!(second.as_mut().poll(&mut context).is_ready(), "who goes away keeps its promise");
    assert_eq!(take_all(&mut reader), (0..10).collect::<Vec<_>>());
}
