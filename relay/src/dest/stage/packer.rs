//! Packs a stream, in pieces that the peer can unpack as they come.

use flate2::Compression;
use flate2::write::GzEncoder;
use lz4_flex::frame::FrameEncoder;
use skyline_conf::routing::Packing;
use std::io::{Error, Write};

/// What packs one connection.
#[derive(Debug)]
pub(super) enum Packer {
    /// As it is.
    Plain(Vec<u8>),
    /// One gzip stream for the life of the connection, each piece ended by a sync flush.
    Gzip(GzEncoder<Vec<u8>>),
    /// A complete LZ4 frame for each piece.
    Lz4 {
        /// The piece.
        plain: Vec<u8>,
        packed: Vec<u8>,
    },
}

impl Packer {
    pub(super) fn new(packing: Packing) -> Self {
        match packing {
            Packing::Plain => Self::Plain(Vec::new()),
            // Names repeat from line to line: the fastest finds most of that.
            Packing::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Packing::Lz4 => Self::Lz4 { plain: Vec::new(), packed: Vec::new() },
        }
    }

    /// Adds to the piece.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::Plain(packed) => packed.extend_from_slice(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes)?,
            Self::Lz4 { plain, .. } => plain.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// Ends the piece: all of it can be unpacked from what is packed now.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        match self {
            Self::Plain(_) => {}
            Self::Gzip(encoder) => encoder.flush()?,
            Self::Lz4 { plain, packed } => {
                if !plain.is_empty() {
                    let mut frame = FrameEncoder::new(packed);
                    frame.write_all(plain)?;
                    frame.finish().map_err(Error::other)?;
                    plain.clear();
                }
            }
        }
        Ok(())
    }

    /// Ends the stream.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        match self {
            Self::Plain(_) | Self::Lz4 { .. } => Ok(()),
            Self::Gzip(encoder) => encoder.try_finish(),
        }
    }

    /// What is packed and not taken away yet.
    pub(super) fn packed(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Plain(packed) | Self::Lz4 { packed, .. } => packed,
            Self::Gzip(encoder) => encoder.get_mut(),
        }
    }
}
