//! Compressed streams: gzip and lz4, unpacked as the bytes come in.

mod gzip;
mod lz4;

use gzip::Gzip;
use lz4::Lz4;
use skyline_conf::model::listen::Packing;

/// Bytes that one step unpacks, about: a stream may become a thousand times its length, so it is worked on in
/// pieces.
const STEP_BYTES: usize = 128 << 10;

/// What is wrong with a stream that cannot be unpacked.
pub(super) type Fault = &'static str;

/// Unpacks one stream. Between two reads it holds what the format makes it hold: 32 KiB of text and tables for
/// gzip, 64 KiB of text and what has come of a block for lz4.
#[derive(Debug)]
pub(super) enum Unpacker {
    Gzip(Gzip),
    Lz4(Lz4),
}

impl Unpacker {
    /// One at the beginning of a stream; `None` if nothing is to be unpacked.
    pub(super) fn of(packing: Packing) -> Option<Self> {
        match packing {
            Packing::Plain => None,
            Packing::Gzip => Some(Self::Gzip(Gzip::new())),
            Packing::Lz4 => Some(Self::Lz4(Lz4::new())),
        }
    }

    /// Unpacks from the front of `input` and appends to `out`, [`STEP_BYTES`] or one block of lz4 (4 MiB at
    /// most). True if there may be more to unpack of it, else all of `input` is used up.
    pub(super) fn step(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        match self {
            Self::Gzip(gzip) => gzip.step(input, out),
            Self::Lz4(lz4) => lz4.step(input, out),
        }
    }

    /// Whether bytes are held that can only be unpacked when more come.
    pub(super) const fn is_cut(&self) -> bool {
        match self {
            // What of a deflate stream has come is unpacked at once.
            Self::Gzip(_) => false,
            Self::Lz4(lz4) => lz4.is_cut(),
        }
    }
}

#[cfg(test)]
mod tests;
