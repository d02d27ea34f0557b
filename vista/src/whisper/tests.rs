//! Files of a writer of ten lines, of the library itself, and broken ones.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

/// A file with these archives (step, points), written at the places of the times.
fn file(aggregation: u32, archives: &[(u32, u32)], points: &[(usize, u32, f64)]) -> Vec<u8> {
    let longest = archives.last().map_or(0, |(step, points)| step.saturating_mul(*points));
    let mut bytes = Vec::new();
    for word in [aggregation, longest, 0.5_f32.to_bits(), archives.len() as u32] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    let mut offset = 16 + 12 * archives.len() as u32;
    let mut offsets = Vec::new();
    for (step, points) in archives {
        offsets.push(offset);
        for word in [offset, *step, *points] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        offset += 12 * points;
    }
    bytes.resize(offset as usize, 0);
    let mut bases: BTreeMap<usize, i64> = BTreeMap::new();
    for (archive, time, value) in points {
        let (step, places) = archives[*archive];
        let time = i64::from(time - time % step);
        let base = *bases.entry(*archive).or_insert(time);
        let place = ((time - base).div_euclid(i64::from(step))).rem_euclid(i64::from(places));
        let at = offsets[*archive] as usize + 12 * place as usize;
        bytes[at..at + 4].copy_from_slice(&(time as u32).to_be_bytes());
        bytes[at + 4..at + 12].copy_from_slice(&value.to_be_bytes());
    }
    bytes
}

fn read_bytes(bytes: &[u8], from: i64, until: i64, now: i64) -> Result<Vec<(i64, f64)>, Error> {
    let read = points(&mut Cursor::new(bytes), bytes.len() as u64, Range { from, until, now, real: now })?;
    Ok(read.iter().map(|p| (p.ts as i64, p.value)).collect())
}

#[test]
fn a_ring_with_places_of_an_earlier_round() {
    // Ten places of a minute: 0 and 60 are of the round before the last.
    let times = [600_u32, 660, 720, 780, 840, 900, 960, 1_020, 1_080, 1_140, 1_260, 1_320];
    let written: Vec<_> = times.iter().map(|t| (0, *t, f64::from(*t))).collect();
    let bytes = file(2, &[(60, 10)], &written);
    let all = |from, until| read_bytes(&bytes, from, until, 1_320).unwrap();
    let expected: Vec<_> =
        [780, 840, 900, 960, 1_020, 1_080, 1_140, 1_260, 1_320].map(|t| (t, t as f64)).to_vec();
    assert_eq!(all(0, 1_320), expected);
    assert_eq!(all(1_080, 1_260), [(1_140, 1_140.0), (1_260, 1_260.0)]);
    assert_eq!(all(1_320, 1_300), []);
    assert_eq!(read_bytes(&bytes, 2_000, 3_000, 1_320).unwrap(), [], "the future");
    assert_eq!(read_bytes(&bytes, 0, 100, 9_000).unwrap(), [], "before the retention");
    assert_eq!(read_bytes(&file(1, &[(60, 10)], &[]), 0, 1_320, 1_320).unwrap(), [], "never written");
}

#[test]
fn the_finest_archive_that_reaches_back() {
    let now = 1_700_000_000_u32;
    let at = |archive: usize, value| (archive, now - 30, value);
    for aggregation in 1..=8 {
        let bytes =
            file(aggregation, &[(10, 60), (60, 60), (600, 200)], &[at(0, 1.0), at(1, 2.0), at(2, 3.0)]);
        for (back, expected) in
            [(100, 1.0), (600, 1.0), (601, 2.0), (3_600, 2.0), (3_601, 3.0), (999_999, 3.0)]
        {
            let now = i64::from(now);
            let read = read_bytes(&bytes, now - back, now, now).unwrap();
            assert_eq!(read.iter().map(|(_, v)| *v).collect::<Vec<_>>(), [expected], "{aggregation} {back}");
        }
        let head = head(&mut Cursor::new(&bytes), bytes.len() as u64).unwrap();
        assert_eq!((head.aggregation as u32, head.archives.len()), (aggregation, 3));
    }
}

#[test]
fn times_behind_2038() {
    let now = 3_000_000_000_u32;
    let bytes = file(3, &[(60, 100)], &[(0, now - 60, 1.0), (0, now, 2.0)]);
    let now = i64::from(now);
    assert_eq!(read_bytes(&bytes, now - 600, now, now).unwrap(), [(now - 60, 1.0), (now, 2.0)]);
}

#[test]
fn what_is_no_whole_whisper_file() {
    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        let error = read_bytes(bytes, 0, 100, 100).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let good = file(1, &[(60, 10), (600, 10)], &[(0, 60, 1.0)]);
    let with = |at: usize, word: u32| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
        bytes
    };
    assert!(read_bytes(&good, 0, 100, 100).is_ok());
    check(b"", "empty");
    check(&good[..12], "too short");
    check(&good[..20], "head is cut off");
    check(&good[..good.len() - 1], "cut off");
    check(b"whisper_compressed and more", "go-carbon");
    check(b"<html>a page of some server</html>", "no aggregation");
    check(&with(0, 9), "no aggregation");
    check(&with(4, 7), "longest retention");
    check(&with(8, f32::NAN.to_bits()), "x-files");
    check(&with(12, 0), "no archives");
    check(&with(12, u32::MAX), "no archives, or too many");
    check(&with(16, 3), "lies in the head");
    check(&with(20, 0), "an archive is nothing");
    check(&with(24, u32::MAX), "ends behind its end");
    check(&with(32, 60), "not in order");
    check(&with(28, 40 + 12 * 9), "over each other");
    check(&with(28, 40), "over each other");
    check(&with(24, 0), "an archive is nothing");
    check(&with(28, u32::MAX), "ends behind its end");
    let folder = tempfile::tempdir().unwrap();
    let range = Range { from: 0, until: 1, now: 1, real: 1 };
    assert!(read(folder.path(), range).unwrap_err().to_string().contains("not a regular file"));
    assert!(matches!(read(&folder.path().join("none"), range), Err(Error::Io(_))));
    // Nobody writes into it: opening it would not come back.
    let pipe = folder.path().join("pipe.wsp");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(read(&pipe, range).unwrap_err().to_string().contains("not a regular file"));
    let own = folder.path().join("own.wsp");
    symlink("own.wsp", &own).unwrap();
    assert!(matches!(read(&own, range), Err(Error::Io(_))));
}

/// Carbon writes into files, and resizing replaces them: what is read is a file as it was at some time, or an error.
#[test]
fn files_that_change_while_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, fresh) = (folder.path().join("a.wsp"), folder.path().join("a.new"));
    let whole = |value| file(1, &[(60, 1_440), (600, 1_440)], &[(0, 6_000, value), (0, 6_060, value)]);
    std::fs::write(&path, whole(0.0)).unwrap();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let (mut good, mut bad) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..400 {
                match round % 3 {
                    // Cut off and written anew, as who copies it does.
                    0 => std::fs::write(&path, whole(f64::from(round))).unwrap(),
                    1 => {
                        std::fs::write(&fresh, whole(f64::from(round))).unwrap();
                        std::fs::rename(&fresh, &path).unwrap();
                    }
                    _ => std::fs::OpenOptions::new()
                        .append(true)
                        .open(&path)
                        .unwrap()
                        .write_all(b"more")
                        .unwrap(),
                }
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
            match read(&path, Range { from: 0, until: 6_060, now: 6_060, real: 6_060 }) {
                Ok(points) => {
                    // Of a place that is being written nothing, or what stood or will stand there.
                    assert!(points.len() <= 2 && points.iter().all(|p| p.ts == 6_000.0 || p.ts == 6_060.0));
                    good += 1;
                }
                Err(Error::Damaged(_) | Error::Foreign(_)) => bad += 1,
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert!(good > 50, "{good} whole, {bad} not");
    assert_eq!(read(&path, Range { from: 0, until: 6_060, now: 6_060, real: 6_060 }).unwrap().len(), 2);
}

#[test]
fn more_than_is_read_at_once() {
    // A hole: nothing of it is on the disk.
    let file = tempfile::tempfile().unwrap();
    let (step, points): (u32, u32) = (1, 3_000_000);
    let mut writer = &file;
    for word in [1, step * points, 0, 1, 28, step, points] {
        writer.write_all(&word.to_be_bytes()).unwrap();
    }
    let length = 28 + 12 * u64::from(points);
    file.set_len(length).unwrap();
    let now = 5_000_000;
    let read = super::points(&mut &file, length, Range { from: now - 2_000_000, until: now, now, real: now });
    assert!(matches!(read, Err(Error::TooMany(2_000_000))), "{read:?}");
}

#[test]
fn files_below_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let make = |path: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    };
    let hash = "0123456789abcdef".repeat(4);
    for path in [
        "a/b.wsp",
        "a/c.d.wsp",
        "top.wsp",
        "a/note.txt",
        "a/.wsp",
        "x/y/z.wsp",
        "_tagged/abc/def/disk_DOT_used;host=a_DOT_b.wsp",
        "a/packed.wsp.gz",
        "a/notes.gz",
        "ceres/cpu/1700000000@60.slice",
        "ceres/cpu/.ceres-node",
        "odd/a b.wsp",
        "odd/ü\n.wsp",
    ] {
        make(path);
    }
    make(&format!("_tagged/abc/def/{hash}.wsp"));
    symlink("..", root.join("a/back")).unwrap();
    symlink("nowhere", root.join("a/gone.wsp")).unwrap();
    symlink("../top.wsp", root.join("x/link.wsp")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("a/pipe.wsp")).status().unwrap().success());
    std::fs::write(root.join(std::ffi::OsStr::from_bytes(b"odd/\xff.wsp")), b"").unwrap();
    let found = tree(root, |name| !name.starts_with("x.y")).unwrap();
    let names: Vec<_> = found.files.iter().map(|path| name_of(path).unwrap()).collect();
    assert_eq!(names, ["disk.used;host=a.b", "a.b", "a.c.d", "odd.a b", "odd.ü\n", "top", "x.link"]);
    assert_eq!((found.nameless, found.links, found.unread, found.others), (2, 3, 0, 2));
    assert!(!found.is_cut);
    // Deeper than anybody stores metrics.
    make(&format!("{}m.wsp", "d/".repeat(70)));
    let found = tree(root, |_| true).unwrap();
    assert_eq!((found.links, found.unread, found.files.len()), (3, 1, 8));
    assert!(tree(&root.join("none"), |_| true).is_err());
}

proptest! {
    #[test]
    fn a_ring_is_the_newest_of_each_place(
        places in 1_u32..30,
        step in prop_oneof![Just(1_u32), Just(10), Just(60)],
        times in prop::collection::vec((0_u32..4_000, -9.0_f64..9.0), 0..90),
        from in 0_i64..4_000,
        length in 0_i64..4_000,
    ) {
        let start = 1_700_000_000_u32 - 1_700_000_000 % step;
        let written: Vec<_> = times.iter().map(|(t, v)| (0, start + t, *v)).collect();
        let bytes = file(1, &[(step, places)], &written);
        let mut ring: BTreeMap<i64, (i64, f64)> = BTreeMap::new();
        for (t, v) in &times {
            let slot = i64::from(t / step);
            ring.insert(slot.rem_euclid(i64::from(places)), (i64::from(start) + slot * i64::from(step), *v));
        }
        let (start, span) = (i64::from(start), i64::from(places) * i64::from(step));
        let now = start + 4_000;
        let (from, until) = (start + from, start + from + length);
        let (from, until) = (from.max(now - span), until.min(now));
        let mut expected: Vec<_> = ring.into_values()
            .filter(|(t, _)| *t > from && *t <= until)
            .collect();
        expected.sort_by_key(|(t, _)| *t);
        let read = read_bytes(&bytes, from, until, now).unwrap();
        let read: Vec<_> = read.into_iter().filter(|(t, _)| *t <= until).collect();
        prop_assert_eq!(read, if from > until { Vec::new() } else { expected });
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..300, flip in any::<u8>()) {
        fuzz(&bytes);
        bytes = file(1, &[(60, 10), (600, 5)], &[(0, 1_140, 1.0), (1, 600, 2.0)]);
        let at = at % bytes.len();
        bytes[at] ^= flip;
        fuzz(&bytes);
        fuzz(&bytes[..at]);
    }
}

/// What whisper itself says of files that it made: every aggregation, two archives, a turned ring.
#[test]
fn as_the_library_reads_its_own_files() {
    const SCRIPT: &str = r"
import json, os, random, sys, time, whisper
random.seed(7)
folder, now = sys.argv[1], 1_700_000_123
whisper.time.time = lambda: now
for method in whisper.aggregationMethods:
    path = os.path.join(folder, method + '.wsp')
    whisper.create(path, [(10, 120), (60, 1440)], 0.3, method)
    times = sorted(random.sample(range(now - 90_000, now), 900)) + list(range(now - 2_500, now, 7))
    for start in range(0, len(times), 40):
        part = times[start:start + 40]
        now, end = part[-1] + 1, now
        whisper.update_many(path, [(t, random.uniform(-50, 50)) for t in part])
        now = end
    for back, until in [(86_000, 0), (86_400, 3_000), (1_200, 0), (1_100, 100), (1_300, 0), (60, 0), (0, 0)]:
        info, values = whisper.fetch(path, now - back, now - until, now)
        points = [[t, v] for t, v in zip(range(*info), values) if v is not None]
        print(json.dumps([method, now - back, now - until, now, points]))
";
    let folder = tempfile::tempdir().unwrap();
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", SCRIPT]).arg(folder.path()).stderr(Stdio::piped());
    let output = python.output().expect("python3 with whisper; `cargo xtask test` installs what is missing");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut questions, mut seen) = (0, 0);
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (method, from, until, now, expected): (String, i64, i64, i64, Vec<(f64, f64)>) =
            serde_json::from_str(line).unwrap();
        let path = folder.path().join(format!("{method}.wsp"));
        let read = read(&path, Range { from, until, now, real: now }).unwrap();
        let read: Vec<_> = read.iter().map(|p| (p.ts, p.value)).collect();
        assert_eq!(read, expected, "{method} {from} {until}");
        (questions, seen) = (questions + 1, seen + read.len());
    }
    assert!(questions >= 6 * 7 && seen > 9_000, "{questions} questions, {seen} points");
}

#[test]
fn what_an_archive_has_no_more_comes_from_the_next() {
    // Ten minutes of a minute, and an hour of five; half an hour later the first has only the last of it.
    let written: Vec<_> = (0..=60_u32)
        .map(|n| (0, 6_000 + n * 60, f64::from(n)))
        .chain((0..=12_u32).map(|n| (1, 6_000 + n * 300, 100.0 + f64::from(n))))
        .collect();
    let bytes = file(1, &[(60, 40), (300, 24)], &written);
    let read = |real: i64| {
        let range = Range { from: 7_200, until: 9_600, now: 9_600, real };
        let points = points(&mut Cursor::new(&bytes[..]), bytes.len() as u64, range).unwrap();
        points.iter().map(|p| (p.ts as i64, p.value)).collect::<Vec<_>>()
    };
    assert_eq!(read(9_600).len(), 40);
    // The ring has what was there; what would be overwritten by now is not read of it.
    let later = read(9_600 + 1_800);
    let coarse: Vec<_> = later.iter().filter(|(_, value)| *value >= 100.0).map(|(ts, _)| *ts).collect();
    assert_eq!(coarse, [7_500, 7_800, 8_100, 8_400, 8_700, 9_000]);
    assert_eq!(later.len(), 6 + 10, "{later:?}");
}
