//! The file through kills at every byte, damage, a full disk, and any order of appends and takes.

use super::*;
use crate::tests::{anomaly, context};
use proptest::prelude::*;
use std::collections::VecDeque;

const ROOM: u64 = 1 << 20;

fn open(path: &Path) -> (Spill, Found) {
    Spill::open(path, ROOM, false).expect("opened")
}

/// Takes everything out, a few at a time.
fn drain(spill: &mut Spill) -> Vec<Anomaly> {
    let mut all = Vec::new();
    while let Some((_, anomalies)) = spill.peek(3).expect("read") {
        all.extend(anomalies);
        spill.taken().expect("taken");
    }
    all
}

fn some(count: u32) -> Vec<Anomaly> {
    (0..count)
        .map(|i| Anomaly {
            seq: u64::MAX - u64::from(i),
            counter: i % 2 == 0,
            ..anomaly(&format!("größe.{i}"), f64::from(i) + 0.25)
        })
        .collect()
}

#[test]
fn what_goes_in_comes_out_in_order_and_the_file_is_empty_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("anomalies.spill");
    let (mut spill, found) = Spill::open(&path, ROOM, true).expect("opened");
    assert_eq!(found, Found::default());
    let other = Context { host: "db01".to_owned(), app: "boundary".to_owned() };
    let batch = some(10);
    assert!(spill.append(&batch[..4], &context()).expect("written"));
    assert!(spill.append(&batch[4..], &other).expect("written"));
    assert_eq!(spill.count(), 10);
    let first = spill.peek(100).expect("read").expect("some");
    assert_eq!(first, (context(), batch[..4].to_vec()), "one context at a time");
    assert_eq!(spill.peek(2).expect("read").expect("some").1, batch[..2], "not taken: they are still there");
    spill.taken().expect("taken");
    assert_eq!(drain(&mut spill), batch[2..]);
    assert_eq!((spill.count(), spill.bytes()), (0, 0));
    assert_eq!(std::fs::metadata(&path).expect("a file").len(), 8);
    assert!(spill.append(&batch, &context()).expect("written"));
    assert_eq!(drain(&mut spill), batch);
}

#[test]
fn a_kill_at_any_byte_leaves_the_whole_records() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("anomalies.spill");
    let batch = some(3);
    let (mut spill, _) = open(&path);
    let mut ends = Vec::new();
    for one in &batch {
        spill.append(std::slice::from_ref(one), &context()).expect("written");
        ends.push(spill.end);
    }
    drop(spill);
    let bytes = std::fs::read(&path).expect("read");
    for length in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..length]).expect("written");
        let (mut spill, found) = open(&path);
        let whole = ends.iter().filter(|end| **end <= length as u64).count();
        assert_eq!(found.anomalies as usize, whole, "cut at {length}");
        // What is appended after a cut is read after a cut.
        spill.append(&batch[..1], &context()).expect("written");
        drop(spill);
        let (mut spill, found) = open(&path);
        assert_eq!((found.cut_bytes, found.anomalies as usize), (0, whole + 1));
        let mut expected = batch[..whole].to_vec();
        expected.push(batch[0].clone());
        assert_eq!(drain(&mut spill), expected);
    }
}

#[test]
fn damage_in_the_middle_costs_one_anomaly() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("anomalies.spill");
    let (mut spill, _) = open(&path);
    let batch = some(3);
    spill.append(&batch[..1], &context()).expect("written");
    let second = spill.end as usize;
    spill.append(&batch[1..], &context()).expect("written");
    drop(spill);
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[second + 20] ^= 1;
    std::fs::write(&path, &bytes).expect("written");
    let (mut spill, found) = open(&path);
    assert_eq!(found, Found { anomalies: 2, cut_bytes: 0, damaged: 1 });
    assert_eq!(drain(&mut spill), [batch[0].clone(), batch[2].clone()]);
    std::fs::write(&path, "a letter to a friend").expect("written");
    let error = Spill::open(&path, ROOM, false).expect_err("something else").to_string();
    assert!(error.contains("move it away"), "{error}");
}

/// Any byte of the second of three, its length and checksum included, and a tail of zeros as after a power failure.
#[test]
fn damage_anywhere_costs_no_other_anomaly() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("anomalies.spill");
    let (mut spill, _) = open(&path);
    let batch = some(3);
    spill.append(&batch[..1], &context()).expect("written");
    let second = spill.end as usize;
    spill.append(&batch[1..2], &context()).expect("written");
    let third = spill.end as usize;
    spill.append(&batch[2..], &context()).expect("written");
    let bytes = std::fs::read(&path).expect("read");
    let left = [batch[0].clone(), batch[2].clone()];
    for place in second..third {
        for damage in [1, 0x80] {
            let mut bytes = bytes.clone();
            bytes[place] ^= damage;
            bytes.extend([0; 5_000]);
            std::fs::write(&path, &bytes).expect("written");
            let (mut spill, found) = open(&path);
            assert_eq!(found, Found { anomalies: 2, cut_bytes: 5_000, damaged: 1 }, "{place}");
            assert_eq!(drain(&mut spill), left, "{place}");
        }
    }
    // Damaged while it is open: the others come out, and then it is empty.
    std::fs::write(&path, &bytes).expect("written");
    let (mut spill, _) = open(&path);
    let mut damaged = bytes.clone();
    damaged[second..third].fill(0xff);
    std::fs::write(&path, &damaged).expect("written");
    assert_eq!(drain(&mut spill), left);
    assert_eq!((spill.count(), spill.bytes()), (0, 0));
    // A record on the border of what is looked through at once.
    let mut far = bytes[..second].to_vec();
    far.resize(second + WINDOW as usize - 60, 0xee);
    far.extend(&bytes[third..]);
    std::fs::write(&path, &far).expect("written");
    let (mut spill, found) = Spill::open(&path, 8 << 20, false).expect("opened");
    assert_eq!((found.anomalies, found.damaged), (2, 1));
    assert_eq!(drain(&mut spill), left);
}

#[test]
fn a_full_file_takes_no_part_of_a_batch() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("anomalies.spill");
    let (mut spill, _) = Spill::open(&path, 600, false).expect("opened");
    let batch = some(10);
    assert!(!spill.append(&batch, &context()).expect("asked"));
    assert_eq!(spill.count(), 0);
    assert!(spill.append(&batch[..2], &context()).expect("written"));
    assert_eq!(drain(&mut spill), batch[..2]);
    // Nothing fits into a file that may not grow.
    let (mut none, _) = Spill::open(&path, 0, false).expect("opened");
    assert!(!none.append(&batch[..1], &context()).expect("asked"));
}

#[derive(Debug, Clone)]
enum Act {
    Append(u32),
    Take(usize),
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After a reopening some come again, never fewer, always in order.
    #[test]
    fn it_is_a_queue(acts in proptest::collection::vec(
        prop_oneof![(0..5_u32).prop_map(Act::Append), (1..4_usize).prop_map(Act::Take), Just(Act::Reopen)], 0..40,
    )) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("anomalies.spill");
        let (mut spill, _) = open(&path);
        // All since the file was last empty, and how many of them were taken.
        let (mut model, mut taken, mut next) = (VecDeque::new(), 0, 0_u32);
        for act in acts {
            match act {
                Act::Append(count) => {
                    let batch: Vec<_> = (next..next + count).map(|i| anomaly("m", f64::from(i))).collect();
                    next += count;
                    prop_assert!(spill.append(&batch, &context()).expect("written"));
                    model.extend(batch);
                }
                Act::Take(most) => {
                    let got = spill.peek(most).expect("read").map(|(_, a)| a).unwrap_or_default();
                    let expected: Vec<_> = model.iter().skip(taken).take(most).cloned().collect();
                    prop_assert_eq!(&got, &expected);
                    spill.taken().expect("taken");
                    taken += got.len();
                    if taken == model.len() {
                        model.clear();
                        taken = 0;
                    }
                }
                Act::Reopen => {
                    drop(spill);
                    (spill, _) = open(&path);
                    taken = 0;
                }
            }
            prop_assert_eq!(spill.count() as usize, model.len() - taken);
        }
    }
}
