//! What the fuzzer calls: chunks that come from outside. Nothing here may panic.

use crate::block::Sealer;
use crate::chunk::{Gathered, read_header};

/// Reads `data` as a chunk of blocks and as an open chunk, as it is and with the checksum that it should have.
pub fn chunk(data: &[u8]) {
    let mut gathered = Gathered::default();
    let summed = [data, &crc32fast::hash(data).to_le_bytes()].concat();
    for bytes in [data, &summed] {
        drop((gathered.add_blocks(bytes), gathered.add_open(bytes), read_header(bytes)));
    }
    drop(gathered.into_series(&mut Sealer::default()));
}
