//! gzip (RFC 1952): one member after the other, each flushed by its sender whenever it likes.

use super::{Fault, STEP_BYTES};
use flate2::{Decompress, FlushDecompress, Status};

const HAS_HEADER_CRC: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// Bytes of a header that every member has, and of what follows a member.
const FIXED: u8 = 10;
const TRAILER: usize = 8;

/// Unpacks members.
#[derive(Debug)]
pub(in crate::listen) struct Gzip {
    at: At,
    /// Flags of the header; each is taken away once its part has come.
    flags: u8,
    inflate: Decompress,
    crc: crc32fast::Hasher,
    /// Of the member, modulo 2^32.
    length: u32,
}

/// Where in a member the stream is.
#[derive(Debug, Clone, Copy)]
enum At {
    /// So many of the first bytes have come.
    Fixed(u8),
    /// Between the optional parts of the header.
    Parts,
    /// The length of the extra field, its first byte if that has come.
    ExtraLength(Option<u8>),
    /// So many bytes of the extra field or of the checksum of the header are to be passed over.
    Skip(u16),
    /// Up to a zero byte: the name or the comment.
    Text,
    Body,
    Trailer([u8; TRAILER], usize),
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            at: At::Fixed(0),
            flags: 0,
            inflate: Decompress::new(false),
            crc: crc32fast::Hasher::new(),
            length: 0,
        }
    }

    pub(super) fn step(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        loop {
            if matches!(self.at, At::Body) {
                if !self.body(input, out)? {
                    return Ok(out.len() >= STEP_BYTES);
                }
            } else if matches!(self.at, At::Parts) {
                self.at = self.next_part();
            } else {
                let Some((byte, rest)) = input.split_first() else { return Ok(false) };
                *input = rest;
                self.at = self.around(*byte)?;
            }
        }
    }

    /// Unpacks until `out` has enough or `input` is used up. True at the end of the member.
    fn body(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        while out.len() < STEP_BYTES {
            out.reserve(STEP_BYTES.saturating_sub(out.len()));
            let (taken, made) = (self.inflate.total_in(), self.inflate.total_out());
            let start = out.len();
            let status = self
                .inflate
                .decompress_vec(input, out, FlushDecompress::None)
                .map_err(|_| "no deflate stream")?;
            let taken = (self.inflate.total_in() - taken) as usize;
            let made = self.inflate.total_out() - made;
            *input = input.get(taken..).unwrap_or_default();
            self.crc.update(out.get(start..).unwrap_or_default());
            self.length = self.length.wrapping_add(made as u32);
            if status == Status::StreamEnd {
                self.at = At::Trailer([0; TRAILER], 0);
                return Ok(true);
            }
            if taken == 0 && made == 0 {
                if input.is_empty() {
                    return Ok(false);
                }
                return Err("a deflate stream that does not go on");
            }
        }
        Ok(false)
    }

    /// A byte of the header or the trailer: where the stream is after it.
    fn around(&mut self, byte: u8) -> Result<At, Fault> {
        Ok(match self.at {
            At::Fixed(i) => {
                let is_good = match i {
                    0 => byte == 0x1f,
                    1 => byte == 0x8b,
                    2 => byte == 8,
                    3 => byte & RESERVED == 0,
                    _ => true,
                };
                if !is_good {
                    return Err("no gzip header");
                }
                if i == 3 {
                    self.flags = byte;
                }
                if i + 1 == FIXED { At::Parts } else { At::Fixed(i + 1) }
            }
            At::ExtraLength(None) => At::ExtraLength(Some(byte)),
            At::ExtraLength(Some(low)) => match u16::from_le_bytes([low, byte]) {
                0 => At::Parts,
                length => At::Skip(length),
            },
            At::Skip(1) => At::Parts,
            At::Skip(left) => At::Skip(left.saturating_sub(1)),
            At::Text if byte == 0 => At::Parts,
            At::Trailer(mut bytes, i) => {
                if let Some(at) = bytes.get_mut(i) {
                    *at = byte;
                }
                if i + 1 < TRAILER {
                    return Ok(At::Trailer(bytes, i + 1));
                }
                self.verify(bytes)?;
                At::Fixed(0)
            }
            At::Text | At::Parts | At::Body => self.at,
        })
    }

    /// The next part of the header that the flags announce, or the body.
    fn next_part(&mut self) -> At {
        for (flag, at) in [
            (HAS_EXTRA, At::ExtraLength(None)),
            (HAS_NAME, At::Text),
            (HAS_COMMENT, At::Text),
            (HAS_HEADER_CRC, At::Skip(2)),
        ] {
            if self.flags & flag != 0 {
                self.flags &= !flag;
                return at;
            }
        }
        self.inflate.reset(false);
        self.crc.reset();
        self.length = 0;
        At::Body
    }

    fn verify(&self, trailer: [u8; TRAILER]) -> Result<(), Fault> {
        let want = [self.crc.clone().finalize().to_le_bytes(), self.length.to_le_bytes()].concat();
        if trailer[..] == want[..] { Ok(()) } else { Err("a checksum of gzip that is wrong") }
    }
}
