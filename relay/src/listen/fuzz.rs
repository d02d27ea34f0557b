//! Entry points for fuzzers: any bytes as a packed stream. Nothing may panic or grow, and the pieces in which a stream
//! comes change nothing.
#![expect(clippy::panic, reason = "a broken invariant is what a fuzzer looks for")]

use super::unpack::Unpacker;
use skyline_conf::model::listen::Packing;

/// One step may append so much, bytes: a block of lz4.
const STEP: usize = 4 << 20;

/// What is unpacked of one input at most, bytes: a stream may become a thousand times its length.
const MOST: usize = 16 << 20;

/// gzip: the bytes as a stream, whole and in pieces.
pub fn gzip(bytes: &[u8]) {
    both(Packing::Gzip, bytes);
}

/// lz4: the bytes as a stream, whole and in pieces.
pub fn lz4(bytes: &[u8]) {
    both(Packing::Lz4, bytes);
}

fn both(packing: Packing, bytes: &[u8]) {
    let (whole, whole_fault) = unpack(packing, &[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(7).collect();
    let (cut, cut_fault) = unpack(packing, &pieces);
    assert!(whole_fault == cut_fault, "the cuts of a stream changed whether it is one");
    // What stands before the damage may come out or not, as much as is known by then.
    let is_same = if whole_fault { cut.starts_with(&whole) || whole.starts_with(&cut) } else { cut == whole };
    assert!(is_same, "the cuts of a stream changed its text");
}

/// What comes out of a stream in these pieces, and whether it is found to be none.
fn unpack(packing: Packing, pieces: &[&[u8]]) -> (Vec<u8>, bool) {
    let Some(mut unpacker) = Unpacker::of(packing) else { panic!("nothing to unpack") };
    let (mut text, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        loop {
            out.clear();
            let before = rest.len();
            let more = unpacker.step(&mut rest, &mut out);
            assert!(out.len() <= STEP, "one step unpacked {} bytes", out.len());
            text.extend_from_slice(&out);
            match more {
                Err(_) => return (text, true),
                Ok(_) if text.len() > MOST => return (text, false),
                Ok(true) => assert!(!out.is_empty() || rest.len() < before, "a step that does nothing"),
                Ok(false) => break,
            }
        }
        assert!(rest.is_empty(), "bytes of a piece are left");
    }
    (text, false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            super::gzip(&bytes);
            super::lz4(&bytes);
        }

        #[test]
        fn damaged_frames(
            at in any::<prop::sample::Index>(), byte in any::<u8>(),
            packed in prop::sample::select(vec!["gzip", "lz4"]),
        ) {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(packed);
            for seed in std::fs::read_dir(folder).unwrap() {
                let mut bytes = std::fs::read(seed.unwrap().path()).unwrap();
                let at = at.index(bytes.len());
                bytes[at] = byte;
                if packed == "gzip" { super::gzip(&bytes) } else { super::lz4(&bytes) }
            }
        }
    }
}
