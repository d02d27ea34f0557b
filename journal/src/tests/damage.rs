//! Torn tails, flipped bits, missing files.

use super::*;
use crate::Scope;
use crate::segment::{HEADER, Header};
use std::fs;

/// A journal with three batches of 4, 3 and 5 points in one segment, and where each record begins.
fn three(dir: &Path) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let (journal, _) = open(options(dir));
    journal.reader("all", Scope::Everything).unwrap();
    let set = journal.route_set(&["one"]);
    let per_sample = Routes::PerSample(vec![set, RouteSet(0), set]);
    append(&journal, batch(0, 4, to(RouteSet(0)))).unwrap();
    append(&journal, batch(4, 3, per_sample)).unwrap();
    append(&journal, batch(7, 5, to(set))).unwrap();
    drop(journal);
    let file = segment_files(dir).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    let mut at = 0;
    let mut starts = Vec::new();
    while at < bytes.len() {
        starts.push(at);
        at += Header::decode(&bytes[at..]).unwrap().record_len() as usize;
    }
    // The second batch has its set's record before it.
    assert_eq!(starts.len(), 4);
    (file, bytes, starts)
}

#[test]
fn a_torn_tail_is_cut_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (file, bytes, starts) = three(dir.path());
    for cut in starts[3]..bytes.len() {
        fs::write(&file, &bytes[..cut]).unwrap();
        let (journal, recovered) = open(options(dir.path()));
        let expected = Recovered { end: 7, torn_bytes: (cut - starts[3]) as u64, ..Recovered::default() };
        assert_eq!(recovered, expected, "cut at {cut}");
        let mut reader = journal.reader("all", Scope::Everything).unwrap();
        assert_eq!(account(&reader), (7, 0, 7, 0));
        append(&journal, batch(7, 2, to(RouteSet(0)))).unwrap();
        assert_eq!(take_all(&mut reader), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        drop((reader, journal));
        fs::remove_file(segment_files(dir.path()).pop().unwrap()).unwrap();
    }
}

#[test]
fn a_tail_of_zeros_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (file, mut bytes, _) = three(dir.path());
    let len = bytes.len();
    bytes.resize(len + 10_000, 0);
    fs::write(&file, &bytes).unwrap();
    let (_journal, recovered) = open(options(dir.path()));
    assert_eq!(recovered, Recovered { end: 12, ..Recovered::default() });
    assert_eq!(fs::metadata(&file).unwrap().len(), len as u64);
}

#[test]
fn flipped_bits_cost_their_record_only() {
    let dir = tempfile::tempdir().unwrap();
    let (file, bytes, starts) = three(dir.path());
    // One bit in each byte of the first header, and some of its payload.
    for at in (0..HEADER).chain([HEADER, HEADER + 20, starts[1] - 1]) {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&file, &bad).unwrap();
        let (journal, recovered) = open(options(dir.path()));
        let expected =
            Recovered { end: 12, lost_points: 4, skipped_bytes: starts[1] as u64, ..Recovered::default() };
        assert_eq!(recovered, expected, "byte {at}");
        let mut all = journal.reader("all", Scope::Everything).unwrap();
        assert_eq!(account(&all), (8, 0, 8, 0));
        assert_eq!(take_all(&mut all), [4, 5, 6, 7, 8, 9, 10, 11], "byte {at}");
        assert_eq!(lock(&journal.shared().log).accounts[0].lost, 4, "byte {at}");
        finish(&mut all, 8);
        assert_eq!((account(&all), mismatches(&journal)), ((8, 8, 0, 0), 0));
    }
}

/// A journal of 40 batches of 25 points in several segments, of which a reader has read nothing.
fn several(dir: &Path) -> (Journal, Reader) {
    let (journal, _) = open(Options { max_bytes: 1 << 20, segment_bytes: 8 << 10, ..options(dir) });
    let reader = journal.reader("one", Scope::Routed).unwrap();
    let set = journal.route_set(&["one"]);
    for n in 0..40 {
        append(&journal, batch(n * 25, 25, to(set))).unwrap();
    }
    assert!(segment_files(dir).len() > 4);
    (journal, reader)
}

#[test]
fn damage_met_while_reading_is_shed() {
    for what in ["header", "payload"] {
        let dir = tempfile::tempdir().unwrap();
        let (journal, mut reader) = several(dir.path());
        let file = &segment_files(dir.path())[1];
        let mut bytes = fs::read(file).unwrap();
        let table = Header::decode(&bytes).unwrap().record_len() as usize;
        bytes[table + if what == "header" { 13 } else { HEADER + 10 }] ^= 4;
        fs::write(file, &bytes).unwrap();
        let first: u64 = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let expected: Vec<u64> = (0..1000).filter(|n| !(first..first + 25).contains(n)).collect();
        assert_eq!(take_all(&mut reader), expected, "{what}");
        assert_eq!(account(&reader), (1000, 0, 975, 25), "{what}");
        assert_eq!(lock(&journal.shared().log).accounts[0].lost, 25, "{what}");
        finish(&mut reader, 975);
        assert_eq!((account(&reader), mismatches(&journal)), ((1000, 975, 0, 25), 0));
    }
}

#[test]
fn a_missing_segment_is_shed() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut reader) = several(dir.path());
    fs::remove_file(&segment_files(dir.path())[2]).unwrap();
    let taken = take_all(&mut reader);
    let missing = 1000 - taken.len() as u64;
    assert!(missing > 100 && taken.last() == Some(&999));
    assert_eq!(account(&reader), (1000, 0, 1000 - missing, missing));
    drop((reader, journal));
    let (journal, recovered) = open(Options { max_bytes: 1 << 20, ..options(dir.path()) });
    assert_eq!((recovered.end, recovered.lost_points), (1000, missing));
    // Its account was not saved: what is lost now was never seen.
    let mut reader = journal.reader("one", Scope::Routed).unwrap();
    assert_eq!(take_all(&mut reader), taken);
    assert_eq!(account(&reader).2, 1000 - missing);
}

#[test]
fn damage_in_an_earlier_segment_is_passed_by_at_open() {
    for sealed in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (journal, reader) = several(dir.path());
        if sealed {
            journal.shared().tend();
        }
        journal.sync().unwrap();
        drop((reader, journal));
        let file = &segment_files(dir.path())[1];
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 100].fill(0xAA);
        fs::write(file, &bytes).unwrap();
        let (journal, recovered) = open(Options { max_bytes: 1 << 20, ..options(dir.path()) });
        // With a summary the segment is not read before a reader reads it.
        assert_eq!((recovered.end, recovered.torn_bytes), (1000, 0));
        let mut reader = journal.reader("one", Scope::Routed).unwrap();
        let taken = take_all(&mut reader).len() as u64;
        assert!((950..1000).contains(&taken), "{taken}");
        let (routed, _, waiting, shed) = account(&reader);
        assert_eq!((waiting, routed), (taken, taken + shed));
        assert_eq!(mismatches(&journal), 0);
    }
}

#[test]
fn a_damaged_summary_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, reader) = several(dir.path());
    journal.shared().tend();
    drop((reader, journal));
    for file in segment_files(dir.path()) {
        let summary = file.with_extension("sum");
        if let Ok(mut bytes) = fs::read(&summary) {
            bytes[20] ^= 1;
            fs::write(&summary, bytes).unwrap();
        }
    }
    let (journal, recovered) = open(Options { max_bytes: 1 << 20, ..options(dir.path()) });
    assert_eq!(recovered, Recovered { end: 1000, ..Recovered::default() });
    assert_eq!(account(&journal.reader("one", Scope::Routed).unwrap()), (1000, 0, 1000, 0));
}

#[test]
fn foreign_files_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("12.seg"), b"x").unwrap();
    fs::write(dir.path().join("notes.txt"), b"x").unwrap();
    fs::write(dir.path().join("00000000000000000007.seg"), b"").unwrap();
    let (journal, recovered) = open(options(dir.path()));
    assert_eq!(
        recovered,
        Recovered { start: 7, end: 7, ..Recovered::default() },
        "an empty one marks the end"
    );
    append(&journal, batch(0, 3, to(RouteSet(0)))).unwrap();
    assert_eq!(journal.end(), 10);
    assert!(dir.path().join("12.seg").exists() && dir.path().join("notes.txt").exists());
}

#[test]
fn an_empty_segment_costs_no_full_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(several(dir.path()));
    let options = || Options { max_bytes: 1 << 20, ..options(dir.path()) };
    // Named by a number in the middle of another; once it is the newest too.
    let last: u64 =
        segment_files(dir.path()).pop().unwrap().file_stem().unwrap().to_str().unwrap().parse().unwrap();
    for first in [7, last + 1] {
        fs::write(dir.path().join(format!("{first:020}.seg")), b"").unwrap();
        let (journal, recovered) = open(options());
        assert_eq!((recovered.end, recovered.lost_points), (1000, 0), "{first}");
        assert_eq!(account(&journal.reader("one", Scope::Routed).unwrap()), (1000, 0, 1000, 0));
    }
}

#[test]
fn a_newest_segment_that_is_gone_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, reader) = several(dir.path());
    journal.shared().tend();
    drop((reader, journal));
    let newest = segment_files(dir.path()).pop().unwrap();
    let first: u64 = newest.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    fs::remove_file(newest).unwrap();
    let options = || Options { max_bytes: 1 << 20, ..options(dir.path()) };
    let (journal, recovered) = open(options());
    assert_eq!((recovered.end, recovered.lost_points), (1000, 1000 - first));
    assert_eq!(append(&journal, batch(7, 1, to(RouteSet(0)))).unwrap().first_seq, 1000, "no number twice");
    drop(journal);
    assert_eq!(open(options()).1.end, 1001);
}
