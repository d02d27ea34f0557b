//! Position files that are lost, old, damaged or newer than the log.

use super::*;
use crate::Scope;
use std::fs;

/// A journal of ten batches of ten points; reader `one` has done 50 of them and saved that.
fn half_done(dir: &Path) -> PathBuf {
    let (journal, _) = open(options(dir));
    let mut reader = journal.reader("one", Scope::Routed).unwrap();
    let set = journal.route_set(&["one"]);
    for n in 0..10 {
        append(&journal, batch(n * 10, 10, to(set))).unwrap();
    }
    let mut out = Vec::new();
    reader.take(50, &mut out).unwrap();
    reader.done(50, 50);
    journal.sync().unwrap();
    dir.join("positions/one.pos")
}

/// Position and account of `one` after a restart.
fn reopened(dir: &Path) -> (u64, (u64, u64, u64, u64)) {
    let (journal, _) = open(options(dir));
    let reader = journal.reader("one", Scope::Routed).unwrap();
    (reader.position(), account(&reader))
}

#[test]
fn a_lost_position_leaves_no_hole() {
    let check = |spoil: fn(&Path), expected| {
        let dir = tempfile::tempdir().unwrap();
        let file = half_done(dir.path());
        spoil(&file);
        assert_eq!(reopened(dir.path()), expected);
        assert_eq!(reopened(dir.path()), expected, "and is saved again");
    };
    check(|_| (), (50, (100, 50, 50, 0)));
    check(|file| fs::remove_file(file).unwrap(), (0, (100, 0, 100, 0)));
    check(|file| fs::write(file, b"").unwrap(), (0, (100, 0, 100, 0)));
    check(|file| fs::write(file, b"skyline position 1\nname one\n").unwrap(), (0, (100, 0, 100, 0)));
    check(|file| fs::remove_dir_all(file.parent().unwrap()).unwrap(), (0, (100, 0, 100, 0)));
    check(|file| fs::remove_file(file.with_file_name("readers")).unwrap(), (50, (100, 50, 50, 0)));
}

#[test]
fn a_position_newer_than_the_log() {
    let dir = tempfile::tempdir().unwrap();
    half_done(dir.path());
    let file = segment_files(dir.path()).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 4]).unwrap();
    let (journal, recovered) = open(options(dir.path()));
    // Numbers between are not given again: somebody may know them.
    assert_eq!((recovered.end, recovered.lost_points), (100, 80));
    let mut reader = journal.reader("one", Scope::Routed).unwrap();
    assert_eq!((reader.position(), account(&reader)), (50, (50, 50, 0, 0)));
    let mut late = journal.reader("late", Scope::Everything).unwrap();
    let set = journal.route_set(&["one"]);
    assert_eq!(append(&journal, batch(50, 10, to(set))).unwrap().first_seq, 100);
    assert_eq!(take_all(&mut reader), (50..60).collect::<Vec<_>>());
    assert_eq!(take_all(&mut late), (50..60).collect::<Vec<_>>());
    finish(&mut reader, 10);
    assert_eq!((account(&reader), mismatches(&journal)), ((60, 60, 0, 0), 0));
}

#[test]
fn a_log_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    half_done(dir.path());
    for file in segment_files(dir.path()) {
        fs::remove_file(file).unwrap();
    }
    assert_eq!(open(options(dir.path())).1.lost_points, 100);
    assert_eq!(open(options(dir.path())).1.lost_points, 0, "it is said once");
    assert_eq!(reopened(dir.path()), (100, (50, 50, 0, 0)));
}

#[test]
fn a_position_older_than_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let file = half_done(dir.path());
    let old = fs::read(&file).unwrap();
    {
        let (journal, _) = open(options(dir.path()));
        let mut reader = journal.reader("one", Scope::Routed).unwrap();
        let set = journal.route_set(&["one"]);
        for n in 10..200 {
            append(&journal, batch(n * 10, 10, to(set))).unwrap();
            let taken = take_all(&mut reader).len() as u64;
            finish(&mut reader, taken);
        }
        journal.shared().tend();
        journal.shared().tend();
        assert!(journal.start() > 50);
    }
    fs::write(&file, old).unwrap();
    let (journal, recovered) = open(options(dir.path()));
    let mut reader = journal.reader("one", Scope::Routed).unwrap();
    assert_eq!(reader.position(), recovered.start);
    let held = recovered.end - recovered.start;
    assert_eq!(account(&reader), (50 + held, 50, held, 0));
    assert_eq!(lock(&journal.shared().log).accounts[0].lost, recovered.start - 50);
    assert_eq!(take_all(&mut reader).len() as u64, held);
}

#[test]
fn a_reader_that_changes_its_scope() {
    let dir = tempfile::tempdir().unwrap();
    half_done(dir.path());
    let (journal, _) = open(options(dir.path()));
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    append(&journal, batch(100, 10, to(RouteSet(0)))).unwrap();
    assert_eq!(account(&reader), (110, 50, 60, 0));
    assert_eq!(take_all(&mut reader).len(), 60);
    finish(&mut reader, 60);
    assert_eq!((account(&reader), mismatches(&journal)), ((110, 110, 0, 0), 0));
}

#[test]
fn positions_are_saved_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(options(dir.path())).unwrap();
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    let file = dir.path().join("positions/one.pos");
    assert!(fs::read_to_string(&file).unwrap().contains("\nposition 0\n"));
    append(&journal, batch(0, 10, to(RouteSet(0)))).unwrap();
    take_all(&mut reader);
    finish(&mut reader, 10);
    for _ in 0..500 {
        if fs::read_to_string(&file).unwrap().contains("\nposition 10\n") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("not saved: {}", fs::read_to_string(&file).unwrap());
}

#[test]
fn a_close_saves_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(options(dir.path())).unwrap();
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    append(&journal, batch(0, 10, to(RouteSet(0)))).unwrap();
    take_all(&mut reader);
    finish(&mut reader, 10);
    drop(journal);
    drop(reader);
    assert!(fs::read_to_string(dir.path().join("positions/one.pos")).unwrap().contains("\nposition 10\n"));
}
