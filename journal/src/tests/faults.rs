//! A disk that fails or is full.

use super::*;
use crate::Scope;

/// Makes writes fail as `fault` says.
fn fault(journal: &Journal, room: Option<usize>, change: fn(&mut crate::writer::Fault)) {
    let mut writer = lock(&journal.shared().writer);
    writer.fault = crate::writer::Fault { room, ..Default::default() };
    change(&mut writer.fault);
}

fn refused(journal: &Journal, first: u64) -> Batch {
    match append(journal, batch(first, 5, to(RouteSet(0)))) {
        Err(Error::Full(batch)) => *batch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_disk_that_is_full_at_any_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    append(&journal, batch(0, 5, to(RouteSet(0)))).unwrap();
    let file = segment_files(dir.path()).pop().unwrap();
    let size = std::fs::metadata(&file).unwrap().len() as usize;
    for room in size..2 * size {
        fault(&journal, Some(room), |_| ());
        let back = refused(&journal, 5);
        assert_eq!((back.first_seq, back.len()), (0, 5));
        assert_eq!(std::fs::metadata(&file).unwrap().len() as usize, size, "cut back with room {room}");
    }
    assert_eq!(journal.end(), 5);
    fault(&journal, None, |_| ());
    append(&journal, batch(5, 5, to(RouteSet(0)))).unwrap();
    assert_eq!(take_all(&mut reader), (0..10).collect::<Vec<_>>());
    let mut figures = Vec::new();
    journal.figures(&mut figures);
    let errors = figures.iter().find(|f| f.name == "skyline_journal_write_errors_total").unwrap();
    assert_eq!(errors.value as usize, size);
    drop((reader, journal));
    assert_eq!(open(options(dir.path())).1, Recovered { end: 10, ..Recovered::default() });
}

#[test]
fn what_cannot_be_cut_back_ends_the_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    let fail = |room: usize| {
        fault(&journal, Some(room), |fault| fault.no_cut = true);
        refused(&journal, 99);
        fault(&journal, None, |_| ());
    };
    // Once before there is anything in the segment, once after.
    fail(30);
    append(&journal, batch(0, 5, to(RouteSet(0)))).unwrap();
    let size = std::fs::metadata(segment_files(dir.path()).pop().unwrap()).unwrap().len() as usize;
    fail(size + 50);
    append(&journal, batch(5, 5, to(RouteSet(0)))).unwrap();
    append(&journal, batch(10, 5, to(RouteSet(0)))).unwrap();
    assert_eq!(segment_files(dir.path()).len(), 2);
    assert_eq!(take_all(&mut reader), (0..15).collect::<Vec<_>>());
    drop((reader, journal));
    let (journal, recovered) = open(options(dir.path()));
    assert_eq!(recovered, Recovered { end: 15, skipped_bytes: 50, ..Recovered::default() });
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    assert_eq!(take_all(&mut reader), (0..15).collect::<Vec<_>>());
}

#[test]
fn a_segment_that_cannot_be_created() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(options(dir.path()));
    fault(&journal, None, |fault| fault.no_create = true);
    refused(&journal, 0);
    fault(&journal, None, |_| ());
    append(&journal, batch(0, 5, to(RouteSet(0)))).unwrap();
    assert_eq!(journal.end(), 5);
}

#[test]
fn what_is_not_synced_is_not_logged() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(Options { durability: Durability::Machine, ..options(dir.path()) });
    let mut reader = journal.reader("one", Scope::Everything).unwrap();
    append(&journal, batch(0, 5, to(RouteSet(0)))).unwrap();
    fault(&journal, None, |fault| fault.no_sync = true);
    refused(&journal, 5);
    assert_eq!(take_all(&mut reader), (0..5).collect::<Vec<_>>());
    fault(&journal, None, |_| ());
    append(&journal, batch(5, 5, to(RouteSet(0)))).unwrap();
    assert_eq!(take_all(&mut reader), (5..10).collect::<Vec<_>>());
    drop((reader, journal));
    assert_eq!(open(options(dir.path())).1, Recovered { end: 10, ..Recovered::default() });
}

#[test]
fn refused_records_that_could_not_be_cut_off_cost_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options { durability: Durability::Machine, ..options(dir.path()) };
    let (journal, _) = open(options());
    journal.reader("one", Scope::Everything).unwrap();
    append(&journal, batch(0, 5, to(RouteSet(0)))).unwrap();
    // Whole on the disk, and refused.
    fault(&journal, None, |fault| (fault.no_sync, fault.no_cut) = (true, true));
    refused(&journal, 99);
    fault(&journal, None, |_| ());
    append(&journal, batch(5, 20, to(RouteSet(0)))).unwrap();
    assert_eq!(segment_files(dir.path()).len(), 2);
    // Killed before the first segment's summary is written.
    journal.crash();
    for _ in 0..2 {
        let (journal, recovered) = open(options());
        assert_eq!((recovered.end, recovered.lost_points), (25, 0));
        let mut reader = journal.reader("one", Scope::Everything).unwrap();
        assert_eq!(take_all(&mut reader), (0..25).collect::<Vec<_>>());
    }
}
