//! What the fuzzer calls: everything that reads bytes from the disk. Nothing here may panic.

use crate::recover::survey;
use crate::segment::scan::{Item, Scan};
use crate::segment::summary::Sealed;
use crate::segment::walk::Walker;
use crate::sets::SetTable;

/// Reads `data` as a segment (as recovery and as a reader do), as a summary and as a position.
pub fn fuzz_recover(data: &[u8]) {
    let table = SetTable::default();
    let len = data.len() as u64;
    for verify in [true, false] {
        // Reading from memory cannot fail.
        drop(survey(data, len, 0, verify, &table));
    }
    let mut scan = Scan::new(Walker::new(data, len, 0));
    while let Ok(Item::Points(record)) = scan.next(&table, false) {
        drop(scan.batch(&record));
    }
    drop(Sealed::decode(data, &table));
    crate::position::fuzz(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Header, Kind};
    use proptest::prelude::*;
    use skyline_core::batch::{Listener, Origin, RouteSet, Source};

    proptest! {
        #[test]
        fn nothing_panics(pieces in prop::collection::vec((any::<u8>(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..60)), 0..8)) {
            let mut data = Vec::new();
            for (what, number, payload) in pieces {
                let per_sample = what & 1 == 1;
                let source = Source { listener: Listener::Own, origin: Origin::Own };
                let kind = if what & 2 == 0 { Kind::Lines { source, per_sample } } else { Kind::RouteSet };
                let header = Header {
                    kind,
                    payload_len: if what & 4 == 0 { payload.len() as u32 } else { u32::from(number) << 16 },
                    count: u32::from(what >> 4),
                    first_seq: if what & 8 == 0 { data.len() as u64 } else { u64::MAX - u64::from(number) },
                    received: f64::from(number),
                    set: RouteSet(u32::from(number) << 16),
                    payload_crc: crc32fast::hash(&payload),
                };
                data.extend_from_slice(&header.encode());
                data.extend_from_slice(&payload);
            }
            fuzz_recover(&data);
        }
    }
}
