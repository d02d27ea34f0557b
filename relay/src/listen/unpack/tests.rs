//! Streams that are unpacked in any pieces, and what is refused of them.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;
use std::io::Write as _;

/// What a stream that comes in pieces of `piece` bytes becomes.
fn unpacked(packing: Packing, stream: &[u8], piece: usize) -> Result<Vec<u8>, (Vec<u8>, Fault)> {
    let mut unpacker = Unpacker::of(packing).unwrap();
    let mut text = Vec::new();
    let mut out = Vec::new();
    for mut input in stream.chunks(piece) {
        loop {
            out.clear();
            let more = unpacker.step(&mut input, &mut out);
            assert!(out.len() <= 4 << 20);
            text.extend_from_slice(&out);
            match more {
                Ok(true) => {}
                Ok(false) => break,
                Err(fault) => return Err((text, fault)),
            }
        }
        assert!(input.is_empty());
    }
    Ok(text)
}

#[track_caller]
fn check(packing: Packing, stream: &[u8], want: &[u8]) {
    for piece in [1, 7, 1_000, usize::MAX] {
        let got = unpacked(packing, stream, piece);
        assert!(got.as_deref() == Ok(want), "pieces of {piece}: {:?}", got.map(|got| got.len()));
    }
}

#[track_caller]
fn bad(packing: Packing, stream: &[u8], before: &[u8], expected: &str) {
    for piece in [1, usize::MAX] {
        let (text, fault) = unpacked(packing, stream, piece).unwrap_err();
        assert!(fault.contains(expected), "{fault}");
        // What cannot be told apart from a damaged end may be lost with it.
        assert!(before.starts_with(&text), "{}", text.escape_ascii());
    }
}

fn lines(n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|i| format!("servers.web{}.cpu {i} {}\n", i % 77, 1_700_000_000 + i).into_bytes())
        .collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn lz4(text: &[u8], info: FrameInfo) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_streams() {
    let text = lines(20_000);
    check(Packing::Gzip, &gzip(&text), &text);
    check(
        Packing::Gzip,
        &[gzip(b"a 1 1\n"), gzip(b""), gzip(&text)].concat(),
        &[b"a 1 1\n", &text[..]].concat(),
    );
    // One stream that is flushed in pieces: each is there at once.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for i in 1..50 {
        encoder.write_all(format!("a {i} 1\n").as_bytes()).unwrap();
        encoder.flush().unwrap();
        let want: String = (1..=i).map(|i| format!("a {i} 1\n")).collect();
        check(Packing::Gzip, encoder.get_ref(), want.as_bytes());
    }
    // All that a header may have.
    let with_all = flate2::GzBuilder::new().filename("n").comment("c").extra(vec![7; 300]).mtime(5);
    let mut encoder = with_all.write(Vec::new(), Compression::none());
    encoder.write_all(b"b 2 2\n").unwrap();
    let mut stream = encoder.finish().unwrap();
    check(Packing::Gzip, &stream, b"b 2 2\n");
    stream[3] &= !8;
    assert!(unpacked(Packing::Gzip, &stream, 9).is_err());
}

#[test]
fn gzip_streams_that_are_damaged() {
    let good = gzip(b"a 1 1\n");
    bad(Packing::Gzip, b"a 1 1\n", b"", "no gzip header");
    bad(Packing::Gzip, b"\x1f\x8b\x08\xff", b"", "no gzip header");
    bad(Packing::Gzip, &[&good[..], b"garbage"].concat(), b"a 1 1\n", "no gzip header");
    bad(Packing::Gzip, &[&good[..10], &[0xff; 64]].concat(), b"", "deflate");
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    bad(Packing::Gzip, &damaged, b"a 1 1\n", "checksum");
    assert_eq!(unpacked(Packing::Gzip, &good[..good.len() - 3], 5).unwrap(), b"a 1 1\n");
}

#[test]
fn lz4_streams() {
    let text = lines(20_000);
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
            for sums in [false, true] {
                let info = FrameInfo::new().block_mode(mode).block_size(size);
                let info = info
                    .block_checksums(sums)
                    .content_checksum(sums)
                    .content_size(sums.then_some(text.len() as u64));
                let stream = lz4(&text, info);
                check(Packing::Lz4, &stream, &text);
                check(Packing::Lz4, &[&stream[..], &stream].concat(), &[&text[..], &text].concat());
            }
        }
    }
    let random: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    check(Packing::Lz4, &lz4(&random, FrameInfo::new()), &random);
    let skipped = [b"\x53\x2a\x4d\x18\x05\0\0\0abcde", &b"\x50\x2a\x4d\x18\0\0\0\0"[..]].concat();
    check(Packing::Lz4, &[skipped, lz4(b"a 1 1\n", FrameInfo::new())].concat(), b"a 1 1\n");
    check(Packing::Lz4, &lz4(b"", FrameInfo::new()), b"");
    // A block that is cut shows.
    let stream = lz4(&text, FrameInfo::new());
    let mut unpacker = Unpacker::of(Packing::Lz4).unwrap();
    let mut out = Vec::new();
    assert_eq!(unpacker.step(&mut &stream[..100], &mut out), Ok(false));
    assert!(unpacker.is_cut());
}

#[test]
fn lz4_streams_that_are_damaged() {
    let sums = FrameInfo::new().block_checksums(true).content_checksum(true);
    let good = lz4(b"a 1 1\n", sums);
    let changed = |at: usize| {
        let mut stream = good.clone();
        stream[at] ^= 1;
        stream
    };
    bad(Packing::Lz4, b"a 1 1\n", b"", "no lz4 frame");
    bad(Packing::Lz4, b"\x02\x21\x4c\x18", b"", "no lz4 frame");
    bad(Packing::Lz4, &changed(4), b"", "lz4 frame");
    bad(Packing::Lz4, &changed(5), b"", "header is damaged");
    bad(Packing::Lz4, &changed(12), b"", "checksum is wrong");
    bad(Packing::Lz4, &changed(good.len() - 1), b"a 1 1\n", "checksum is wrong");
    let mut long = good[..7].to_vec();
    long.extend_from_slice(&(5_u32 << 20).to_le_bytes());
    bad(Packing::Lz4, &long, b"", "too long");
}

#[test]
fn an_announced_length_reserves_nothing() {
    let mut stream = lz4(b"", FrameInfo::new().block_size(BlockSize::Max4MB))[..7].to_vec();
    stream.extend_from_slice(&(4_u32 << 20).to_le_bytes());
    stream.extend_from_slice(b"abc");
    let mut lz4 = Lz4::new();
    assert_eq!(lz4.step(&mut &stream[..], &mut Vec::new()), Ok(false));
    assert!(format!("{lz4:?}").len() < 500);
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..50) {
        for (packing, head) in [
            (Packing::Gzip, &b"\x1f\x8b\x08\0\0\0\0\0\0\0"[..]),
            (Packing::Lz4, &[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]),
        ] {
            for stream in [bytes.clone(), [head, &bytes].concat()] {
                let whole = unpacked(packing, &stream, usize::MAX);
                let cut = unpacked(packing, &stream, piece);
                prop_assert_eq!(whole.is_ok(), cut.is_ok());
                if let (Ok(whole), Ok(cut)) = (whole, cut) {
                    prop_assert_eq!(whole, cut);
                }
            }
        }
    }
}
