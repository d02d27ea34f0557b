//! Tests of a shard's files: what comes back, and what damage does.

use super::*;
use crate::block::Sealer;
use crate::window::Columns;
use proptest::prelude::*;

fn points(window: &Window) -> Vec<(f64, f64)> {
    let mut columns = Columns::default();
    let view = window.view(&mut columns);
    view.ts.iter().copied().zip(view.values.iter().copied()).collect()
}

fn save(file: &mut ShardFile, series: &mut [(String, Window)], position: u64) {
    let mut buffers = Buffers::default();
    let mut writer = file.writer(&mut buffers);
    for ((name, window), rank) in series.iter_mut().zip(0..) {
        writer.series(name, rank, b"state", window);
    }
    writer.finish(position).unwrap();
}

/// A series that came back.
struct Back {
    name: String,
    state: Vec<u8>,
    window: Window,
}

/// Everything of a shard: position, series, blocks that were lost. In two parts.
fn load(file: &mut ShardFile) -> Result<Option<(u64, Vec<Back>, u64)>, Error> {
    let Some(contents) = file.open()? else { return Ok(None) };
    let (mut part, mut series, mut lost) = (Part::default(), Vec::new(), 0);
    for ranks in [0..8, 8..u64::MAX] {
        lost += file.read(&contents, ranks, &mut part)?;
        lost += part.restore(3, |Saved { name, state, window, .. }| {
            series.push(Back { name: name.to_owned(), state: state.to_vec(), window });
        });
    }
    Ok(Some((contents.position, series, lost)))
}

fn load_again(dir: &Path) -> (u64, Vec<Back>, u64) {
    load(&mut ShardFile::new(dir, ShardId(1), false)).unwrap().unwrap()
}

#[test]
fn windows_come_back_after_any_number_of_saves() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = ShardFile::new(dir.path(), ShardId(7), false);
    let mut sealer = Sealer::default();
    let mut series: Vec<_> = (0..20).map(|i| (format!("metric.{i}"), Window::default())).collect();
    for round in 0..40_u32 {
        for (i, (_, window)) in series.iter_mut().enumerate() {
            for minute in 0..100 {
                let ts =
                    f64::from(round * 100 + minute) * 60.0 + if i == 3 { f64::from(minute % 7) } else { 0.0 };
                window.push(ts, (f64::from(minute) * 0.37 + i as f64).sin(), &mut sealer);
            }
            window.evict(f64::from(round * 100) * 60.0 - 86_400.0);
        }
        save(&mut file, &mut series, u64::from(round));
        let mut other = ShardFile::new(dir.path(), ShardId(7), false);
        let (position, loaded, lost) = load(&mut other).unwrap().unwrap();
        assert_eq!((position, lost, loaded.len()), (u64::from(round), 0, series.len()));
        let state = |f: &ShardFile| (f.len, f.live, f.generation, f.standing);
        assert_eq!(state(&other), state(&file), "it goes on as the one that wrote");
        for (saved, (name, window)) in loaded.iter().zip(&series) {
            assert_eq!((&saved.name, &saved.state[..]), (name, &b"state"[..]));
            assert_eq!(points(&saved.window), points(window));
            assert_eq!(saved.window.last_ts(), window.last_ts());
        }
        if round % 9 == 8 {
            // Go on from what was loaded, as after a restart.
            series = loaded.into_iter().map(|s| (s.name, s.window)).collect();
            file = other;
        }
    }
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 2, "older generations are removed");
    assert!(file.len < 4 * file.live, "dead blocks do not pile up");
}

#[test]
fn damage_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = ShardFile::new(dir.path(), ShardId(1), false);
    assert!(load(&mut file).unwrap().is_none());
    let mut sealer = Sealer::default();
    let mut window = Window::default();
    for i in 0..500 {
        window.push(f64::from(i), f64::from(i * i % 11), &mut sealer);
    }
    save(&mut file, &mut [("a".into(), window)], 9);
    let blocks = file.blocks_path(file.generation);
    let mut bytes = std::fs::read(&blocks).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&blocks, bytes).unwrap();
    assert_eq!(load_again(dir.path()).2, 1);
    let all = std::fs::read(&blocks).unwrap();
    // A file that ends early has lost its last blocks only, and is written anew.
    std::fs::write(&blocks, &all[..all.len() - 1]).unwrap();
    let mut shorter = ShardFile::new(dir.path(), ShardId(1), false);
    let (_, series, lost) = load(&mut shorter).unwrap().unwrap();
    assert_eq!((lost, series[0].window.len(), shorter.len), (2, 20 + 2 * 120, 0));
    std::fs::remove_file(&blocks).unwrap();
    let mut without = ShardFile::new(dir.path(), ShardId(1), false);
    let (_, series, lost) = load(&mut without).unwrap().unwrap();
    assert_eq!((lost, series[0].window.len()), (4, 20));
    let mut series = series.into_iter().map(|s| (s.name, s.window)).collect::<Vec<_>>();
    save(&mut without, &mut series, 9);
    assert_eq!(load_again(dir.path()).2, 0);
    std::fs::write(&blocks, all).unwrap();
    let snap = file.snap_path();
    let good = std::fs::read(&snap).unwrap();
    let number = |suffix: &str| {
        let names = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().ends_with(suffix)).count()
    };
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&snap, bad).unwrap();
        assert!(ShardFile::new(dir.path(), ShardId(1), false).open().is_err());
    }
    let aside = file.set_aside(77).unwrap();
    assert!(aside.to_str().unwrap().ends_with("0001.snap.damaged-77") && aside.exists());
    assert_eq!((number(".damaged-77"), number(".snap"), number(".blocks")), (3, 0, 0), "of two generations");
    assert!(ShardFile::new(dir.path(), ShardId(1), false).open().unwrap().is_none());
}

#[test]
fn a_failed_save_is_made_good_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = ShardFile::new(dir.path(), ShardId(1), false);
    let mut sealer = Sealer::default();
    let mut series = vec![("a".to_owned(), Window::default())];
    let mut fill = |series: &mut Vec<(String, Window)>, from: i32| {
        for i in from..from + 300 {
            series[0].1.push(f64::from(i), f64::from(i), &mut sealer);
        }
    };
    fill(&mut series, 0);
    save(&mut file, &mut series, 1);
    fill(&mut series, 300);
    let dir_gone = dir.path().join("gone");
    file.dir = dir_gone;
    let mut buffers = Buffers::default();
    let mut writer = file.writer(&mut buffers);
    writer.series("a", 0, &[], &mut series[0].1);
    assert!(writer.finish(2).is_err());
    file.dir = dir.path().to_owned();
    save(&mut file, &mut series, 3);
    let (_, loaded, lost) = load_again(dir.path());
    assert_eq!(points(&loaded[0].window), points(&series[0].1));
    assert_eq!(lost, 0);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn series_come_in_the_order_of_their_ranks() {
    let dir = tempfile::tempdir().unwrap();
    let mut sealer = Sealer::default();
    let mut window = |ts: f64, n: i32| {
        let mut window = Window::default();
        for i in 0..n {
            window.push(ts + f64::from(i), f64::from(i % 7), &mut sealer);
        }
        window
    };
    // Ranks as they come where metrics come and go, over two shards.
    let ranks = [[5, 900, 2, 70_000], [3, 901, 899, u32::MAX]];
    let mut files = Vec::new();
    for (shard, ranks) in (0..).zip(ranks) {
        let mut file = ShardFile::new(dir.path(), ShardId(shard), false);
        let mut buffers = Buffers::default();
        for round in 1..=2 {
            let mut writer = file.writer(&mut buffers);
            for rank in ranks {
                writer.series(&format!("r{rank}"), rank, &[], &mut window(f64::from(rank), 400 * round));
            }
            writer.finish(1).unwrap();
        }
        files.push(ShardFile::new(dir.path(), ShardId(shard), false));
    }
    let contents: Vec<_> = files.iter_mut().map(|file| file.open().unwrap().unwrap()).collect();
    let mut seen = Vec::new();
    let mut part = Part::default();
    for ranks in [0..5, 5..901, 901..u64::MAX] {
        for (file, contents) in files.iter_mut().zip(&contents) {
            assert_eq!(file.read(contents, ranks.clone(), &mut part).unwrap(), 0);
        }
        part.restore(2, |saved| {
            assert_eq!((saved.name, saved.window.len()), (&*format!("r{}", saved.rank), 800));
            assert_eq!(points(&saved.window)[799], (f64::from(saved.rank) + 799.0, 1.0));
            seen.push(saved.rank);
        });
    }
    assert_eq!(seen, [2, 3, 5, 899, 900, 901, 70_000, u32::MAX]);
    // What could not be read is not half there, and what was read before is; it can be tried again.
    let (snap, blocks) = (files[0].snap_path(), files[0].blocks_path(files[0].generation));
    let good = std::fs::read(&snap).unwrap();
    let mut names = |files: &mut [ShardFile], whole: &dyn Fn()| {
        assert_eq!(files[1].read(&contents[1], 0..900, &mut part).unwrap(), 0);
        assert!(files[0].read(&contents[0], 0..u64::MAX, &mut part).is_err());
        whole();
        assert_eq!(files[0].read(&contents[0], 0..900, &mut part).unwrap(), 0);
        let mut names = Vec::new();
        part.restore(2, |saved| names.push(saved.rank));
        names
    };
    let mut changed = good.clone();
    // In the last of its series, so that the others were read.
    let at = changed.len() - 5;
    changed[at] ^= 1;
    for bad in [&changed[..], &good[..at], &[]] {
        std::fs::write(&snap, bad).unwrap();
        assert_eq!(names(&mut files, &|| std::fs::write(&snap, &good).unwrap()), [2, 3, 5, 899]);
    }
    let away = dir.path().join("away");
    std::fs::rename(&blocks, &away).unwrap();
    std::fs::create_dir(&blocks).unwrap();
    let put_back = || {
        std::fs::remove_dir(&blocks).unwrap();
        std::fs::rename(&away, &blocks).unwrap();
    };
    assert_eq!(names(&mut files, &put_back), [2, 3, 5, 899]);
    // Blocks that have gone meanwhile are lost, and the next save writes all of them.
    std::fs::remove_file(&blocks).unwrap();
    assert_eq!(files[0].read(&contents[0], 0..6, &mut part).unwrap(), 2 * 6);
    assert_eq!(files[0].len, 0);
}

#[test]
fn a_lost_first_block_takes_its_evicted_points_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = ShardFile::new(dir.path(), ShardId(1), false);
    let (mut sealer, mut window) = (Sealer::default(), Window::default());
    for i in 0..500 {
        window.push(f64::from(i), f64::from(i % 11), &mut sealer);
    }
    window.evict(49.0);
    assert_eq!((window.len(), window.skip), (450, 50));
    save(&mut file, &mut [("a".into(), window)], 9);
    let path = file.blocks_path(file.generation);
    let mut bytes = std::fs::read(&path).unwrap();
    // After the file's header and the length: the first block's checksum.
    bytes[11] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (_, series, lost) = load_again(dir.path());
    assert_eq!((lost, points(&series[0].window)[0], series[0].window.len()), (1, (120.0, 10.0), 380));
}

#[test]
fn pieces_are_read_whatever_lies_between_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(&path, &content).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let end = content.len() as u64;
    let pieces = [
        (10, 5),
        (10, 5),
        (12, 0),
        (15, 1),
        (16 + read::GAP, 7),
        (24 + 2 * read::GAP, 7),
        (500_000, 1_200_000),
        (500_001 + read::MOST, 9),
        (900_000, 3),
        (0, 1),
        (end - 2, 9),
        (end + 5, 9),
    ];
    let (mut buffer, mut seen) = (Vec::new(), Vec::new());
    read::read_pieces(&file, pieces.into_iter(), &mut buffer, |i, bytes| {
        let (at, len) = pieces[i];
        let at = (at as usize).min(content.len());
        assert_eq!(bytes, &content[at..(at + len).min(content.len())], "{i}");
        seen.push(i);
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, (0..pieces.len()).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn damaged_files_with_right_checksums_load_or_err(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..6),
        block_flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 0..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut file = ShardFile::new(dir.path(), ShardId(1), false);
        let (mut sealer, mut window) = (Sealer::default(), Window::default());
        for i in 0..300 {
            window.push(f64::from(i), f64::from(i * i % 11), &mut sealer);
        }
        save(&mut file, &mut [("a".into(), window.clone()), ("b".into(), window)], 9);
        let flip = |path: &Path, from: usize, flips: &[(prop::sample::Index, u8)]| {
            let mut bytes = std::fs::read(path).unwrap();
            for (at, by) in flips {
                let at = from + at.index(bytes.len() - from - 4);
                bytes[at] ^= by;
            }
            bytes
        };
        let mut snap = flip(&file.snap_path(), 28, &flips);
        snap.truncate(snap.len() - 4);
        snap.extend_from_slice(&crc32fast::hash(&snap).to_le_bytes());
        std::fs::write(file.snap_path(), snap).unwrap();
        let blocks = file.blocks_path(file.generation);
        std::fs::write(&blocks, flip(&blocks, 0, &block_flips)).unwrap();
        if let Ok(Some((_, series, _))) = load(&mut ShardFile::new(dir.path(), ShardId(1), false)) {
            for back in &series {
                prop_assert_eq!(points(&back.window).len(), back.window.len());
            }
        }
    }

    #[test]
    fn any_bytes_load_or_err(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut with_crc = SNAP_MAGIC.to_vec();
        with_crc.extend_from_slice(&VERSION.to_le_bytes());
        with_crc.extend_from_slice(&bytes);
        let crc = crc32fast::hash(&with_crc);
        with_crc.extend_from_slice(&crc.to_le_bytes());
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("0001.snap"), with_crc).unwrap();
        drop(load(&mut ShardFile::new(dir.path(), ShardId(1), false)));
    }
}
