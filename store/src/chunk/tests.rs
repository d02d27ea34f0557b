//! Windows through chunks and back.

use super::*;
use crate::block::Sealer;
use crate::window::Columns;
use proptest::prelude::*;
use std::collections::BTreeMap;

const KEPT: Kept = Kept { counter_until: 9.5, is_newest_filled: true };

fn header(at: f64) -> Header {
    Header { writer: 7, written_at: at, position: 42, every: 600.0, is_released: false, node: "näme".into() }
}

fn points(window: &Window) -> Vec<(f64, f64)> {
    let mut columns = Columns::default();
    let view = window.view(&mut columns);
    view.ts.iter().copied().zip(view.values.iter().copied()).collect()
}

/// What chunks that were handed out one after the other give.
fn back(handed_out: &[HandOut]) -> Vec<Whole> {
    let mut gathered = Gathered::default();
    for out in handed_out {
        for (_, chunk) in &out.blocks {
            assert_eq!(gathered.add_blocks(chunk), Ok(0));
        }
    }
    let last = handed_out.last().expect("one");
    gathered.add_open(&last.open).expect("an open chunk");
    gathered.into_series(&mut Sealer::default())
}

#[test]
fn the_header_comes_back_from_the_first_bytes() {
    let out = Chunks::new(&header(5.0), 2, false, 0).finish();
    assert_eq!(read_header(&out.open[..MARK_BYTES + 15]), Ok(header(5.0)));
    assert_eq!(out.open[..MARK_BYTES], out.mark);
    assert_eq!(out.mark, header(5.0).mark());
    assert_ne!(out.mark, header(6.0).mark());
    assert!(read_header(b"SKYO").is_err());
    assert!(read_header(b"").is_err());
}

#[test]
fn blocks_are_handed_out_once_a_copy() {
    let (mut window, mut sealer) = (Window::default(), Sealer::default());
    for i in 0..500 {
        window.push(f64::from(i) * 60.0, f64::from(i % 17), &mut sealer);
    }
    let mut hand_out = |copy| {
        let mut chunks = Chunks::new(&header(1.0), copy, false, 0);
        chunks.series("a.b", 3, KEPT, &mut window);
        chunks.finish()
    };
    let first = hand_out(2);
    assert_eq!(first.blocks.iter().map(|(hour, _)| *hour).collect::<Vec<_>>(), [1, 3, 5, 7]);
    assert_eq!((first.block_points, first.open_points, first.series), (480, 20, 1));
    let second = hand_out(2);
    assert_eq!((second.blocks.len(), second.open_points), (0, 20));
    assert_eq!(hand_out(3).block_points, 480);
    let all = back(&[first, second]);
    assert_eq!(all.len(), 1);
    assert_eq!((&*all[0].name, all[0].rank, all[0].kept), ("a.b", 3, KEPT));
    assert_eq!(points(&all[0].window), points(&window));
}

#[test]
fn a_whole_day_takes_a_few_bytes_a_point() {
    let (mut window, mut sealer) = (Window::default(), Sealer::default());
    for i in 0..1_440 {
        window.push(f64::from(i) * 60.0, f64::from((i * 7919) % 1000) / 10.0, &mut sealer);
    }
    let mut chunks = Chunks::new(&header(1.0), 2, false, 0);
    chunks.series("servers.web01.cpu.user", 0, Kept::NOTHING, &mut window);
    let out = chunks.finish();
    let bytes: usize = out.blocks.iter().map(|(_, chunk)| chunk.len()).sum::<usize>() + out.open.len();
    assert!(bytes < 1_440 * 4, "{bytes}");
}

#[test]
fn damaged_chunks_are_refused() {
    let (mut window, mut sealer) = (Window::default(), Sealer::default());
    for i in 0..300 {
        window.push(f64::from(i) * 60.0, 1.5, &mut sealer);
    }
    let mut chunks = Chunks::new(&header(1.0), 2, false, 0);
    chunks.series("a", 0, Kept::NOTHING, &mut window);
    let out = chunks.finish();
    let damaged = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    for at in 0..out.open.len() {
        assert!(Gathered::default().add_open(&damaged(&out.open, at)).is_err(), "{at}");
    }
    let chunk = &out.blocks[0].1;
    for at in 0..chunk.len() {
        assert!(Gathered::default().add_blocks(&damaged(chunk, at)).is_err(), "{at}");
    }
    assert!(Gathered::default().add_open(chunk).is_err());
}

#[derive(Debug, Clone)]
enum Act {
    Next(i32),
    Push(i32, i32),
    Pop,
    HandOut,
    Lost,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(
        prop_oneof![
            40 => (1_i32..200).prop_map(Act::Next),
            4 => (0_i32..20_000, -50_i32..50).prop_map(|(t, v)| Act::Push(t, v)),
            2 => Just(Act::Pop),
            1 => Just(Act::HandOut),
            1 => Just(Act::Lost),
        ],
        0..900,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_handed_out_is_the_window(acts in acts()) {
        let (mut window, mut sealer) = (Window::default(), Sealer::default());
        let (mut out, mut copy, mut last) = (Vec::new(), 2, 0);
        let mut all: BTreeMap<i32, f64> = BTreeMap::new();
        let mut gone = 0;
        for act in acts.into_iter().chain([Act::HandOut]) {
            match act {
                Act::Next(step) => {
                    last += step;
                    window.push(f64::from(last), f64::from(step), &mut sealer);
                    all.insert(last, f64::from(step));
                }
                Act::Push(t, v) if t > gone => {
                    last = last.max(t);
                    window.push(f64::from(t), f64::from(v), &mut sealer);
                    all.insert(t, f64::from(v));
                }
                Act::Push(..) => {}
                Act::Pop => {
                    if let Some((t, _)) = all.pop_first() {
                        gone = gone.max(t);
                    }
                    window.pop_front();
                }
                Act::HandOut => {
                    let mut chunks = Chunks::new(&header(1.0), copy, false, 0);
                    chunks.series("a", 0, Kept::NOTHING, &mut window);
                    out.push(chunks.finish());
                }
                Act::Lost => {
                    copy += 1;
                    out.clear();
                }
            }
        }
        let whole = back(&out).pop().expect("a series");
        // Points at the front that were evicted are left to who takes it over.
        let found: Vec<_> = points(&whole.window).into_iter().filter(|(ts, _)| *ts > f64::from(gone)).collect();
        let expected: Vec<_> = all.iter().map(|(ts, value)| (f64::from(*ts), *value)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn strange_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for magic in [BLOCKS_MAGIC, OPEN_MAGIC] {
            let mut whole = [&magic[..], &VERSION.to_le_bytes(), &bytes].concat();
            whole.extend_from_slice(&crc32fast::hash(&whole).to_le_bytes());
            let mut gathered = Gathered::default();
            drop((gathered.add_open(&whole), gathered.add_blocks(&whole), read_header(&whole)));
            drop(gathered.into_series(&mut Sealer::default()));
        }
    }
}
