//! What is packed is what was taken, and has arrived when all of it has.

use super::*;
use proptest::prelude::*;
use std::io::Read;

fn unpack(packing: Packing, wire: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match packing {
        Packing::Plain => plain.extend_from_slice(wire),
        Packing::Gzip => {
            // A stream that is not ended is read as far as it goes.
            let mut decoder = flate2::read::MultiGzDecoder::new(wire);
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = decoder.read(&mut buffer) {
                plain.extend_from_slice(&buffer[..read]);
            }
        }
        Packing::Lz4 => {
            let mut rest = wire;
            while !rest.is_empty() {
                lz4_flex::frame::FrameDecoder::new(&mut rest).read_to_end(&mut plain).unwrap();
            }
        }
    }
    plain
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_acknowledged_can_be_unpacked(
        pieces in prop::collection::vec(prop::collection::vec(0_u8..4, 1..40_000), 1..6),
        packing in prop::sample::select(vec![Packing::Plain, Packing::Gzip, Packing::Lz4]),
        step in 1_usize..30_000,
    ) {
        let mut stage = Stage::new(packing, None);
        let plain = pieces.concat();
        let (mut taken, mut wire) = (0, Vec::new());
        while taken < plain.len() {
            let (one, two) = plain[taken..].split_at((plain.len() - taken) / 3);
            taken += stage.take(&[IoSlice::new(one), IoSlice::new(two)]).unwrap();
            while !stage.wire().is_empty() {
                let some = stage.wire().len().min(step);
                wire.extend_from_slice(&stage.wire()[..some]);
                stage.wrote(some);
                let arrived = stage.acknowledge(0, 1000);
                let there = unpack(packing, if packing == Packing::Lz4 { &[] } else { &wire });
                prop_assert!(packing == Packing::Lz4 || arrived.acked as usize <= there.len());
                prop_assert!(arrived.read <= arrived.acked);
            }
            prop_assert_eq!(stage.acknowledge(0, 0).acked as usize, taken);
            prop_assert_eq!(&unpack(packing, &wire), &plain[..taken], "a piece is whole when it is flushed");
        }
        stage.finish().unwrap();
        wire.extend_from_slice(stage.wire());
        prop_assert_eq!(unpack(packing, &wire), plain);
    }
}
