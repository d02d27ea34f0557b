//! Bodies: read and unpacked within bounds of bytes, time and memory.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt as _;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Unit of the memory for bodies, bytes.
const UNIT: usize = 1 << 10;
/// Beside the wait for the journal, for a turn to decode.
pub(crate) const SHORT_WAIT: Duration = Duration::from_secs(3);
/// Memory is asked for in such steps, units.
const STEP: usize = 16;
/// Least room for a body that is not empty, bytes.
const SMALLEST: usize = 16 << 10;

/// What a body is longer than.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong {
    /// Bytes that it may have.
    pub(crate) most: usize,
    /// Whether that is once it is unpacked.
    pub(crate) unpacked: bool,
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// It is longer than it may be.
    TooLong(TooLong),
    /// It did not come in time.
    Late,
    /// The client broke off.
    Cut,
    /// All memory for bodies is in use.
    Busy,
    /// It is packed in another way than its header says.
    Packing,
    /// It is packed in a way that nobody here knows.
    UnknownPacking,
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Deflate,
    Snappy,
}

impl Packing {
    /// As the header says.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, NoBody> {
        let text = match headers.get(CONTENT_ENCODING) {
            None => return Ok(Self::Plain),
            Some(value) => value.to_str().unwrap_or("?").trim(),
        };
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        match () {
            () if text.is_empty() || is("identity") => Ok(Self::Plain),
            () if is("gzip") || is("x-gzip") => Ok(Self::Gzip),
            () if is("deflate") => Ok(Self::Deflate),
            () if is("snappy") => Ok(Self::Snappy),
            () => Err(NoBody::UnknownPacking),
        }
    }
}

/// Memory for the bodies of all requests.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Arc<Semaphore>);

impl Memory {
    pub(crate) fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT as u64).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))))
    }

    fn share(&self) -> Share {
        Share { memory: Arc::clone(&self.0), held: None }
    }
}

/// What one request has of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Makes it enough for `bytes`.
    fn grow(&mut self, bytes: usize) -> Result<(), NoBody> {
        let has = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if has * UNIT >= bytes {
            return Ok(());
        }
        let units = (bytes.div_ceil(UNIT) - has).next_multiple_of(STEP);
        let more =
            u32::try_from(units).ok().and_then(|n| Arc::clone(&self.memory).try_acquire_many_owned(n).ok());
        let more = more.ok_or(NoBody::Busy)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    /// Gives back what is not needed for `bytes`.
    fn shrink(&mut self, bytes: usize) {
        let needed = bytes.div_ceil(UNIT).next_multiple_of(STEP);
        if let Some(held) = &mut self.held {
            drop(held.split(held.num_permits().saturating_sub(needed)));
        }
    }

    /// Makes room in `into` for `more` bytes, beside `others` that the same request holds; it never has to be longer than
    /// `most`. Old and new place are there at once while one is copied into the other, and both are counted.
    fn reserve(&mut self, into: &mut Vec<u8>, more: usize, most: usize, others: usize) -> Result<(), NoBody> {
        let (length, before) = (into.len() + more, into.capacity());
        if length <= before {
            return Ok(());
        }
        let doubled = before.saturating_mul(2).max(length).max(SMALLEST);
        // The last step is not a small one.
        let after = if doubled > most / 4 * 3 { most.max(length) } else { doubled };
        self.grow(others + before + after)?;
        into.try_reserve_exact(after - into.len()).map_err(|_| NoBody::Busy)?;
        self.shrink(others + into.capacity());
        Ok(())
    }
}

/// A body with its share of the memory.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Vec<u8>,
    share: Share,
}

impl Whole {
    /// The end of the body. What its points have become stays in its share, `bytes` at most.
    pub(crate) fn into_share(self, bytes: usize) -> Share {
        let mut share = self.share;
        drop(self.bytes);
        share.shrink(bytes);
        share
    }
}

/// Reads a whole body.
pub(crate) async fn read(
    body: Body,
    headers: &HeaderMap,
    most: usize,
    time: Duration,
    memory: &Memory,
) -> Result<Whole, NoBody> {
    let too_long = || NoBody::TooLong(TooLong { most, unpacked: false });
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    let mut body = body;
    let mut read = Whole { bytes: Vec::new(), share: memory.share() };
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err(NoBody::Cut) };
            let Ok(data) = frame.into_data() else { continue };
            let length = read.bytes.len() + data.len();
            if length > most {
                return Err(too_long());
            }
            let Whole { bytes, share } = &mut read;
            share.reserve(bytes, data.len(), most, 0)?;
            read.bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    match tokio::time::timeout(time, reading).await {
        Ok(Ok(())) => Ok(read),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(NoBody::Late),
    }
}

impl Whole {
    /// Unpacks it to `most` bytes. Computes.
    pub(crate) fn unpack(mut self, packing: Packing, most: usize) -> Result<Self, NoBody> {
        let packed = std::mem::take(&mut self.bytes);
        let before = packed.capacity();
        let too_long = || NoBody::TooLong(TooLong { most, unpacked: packing != Packing::Plain });
        self.bytes = match packing {
            Packing::Plain if packed.len() > most => return Err(too_long()),
            Packing::Plain => packed,
            Packing::Gzip => self.inflate(|| MultiGzDecoder::new(packed.as_slice()), before, most)?,
            // The header means zlib; some send what is inside it.
            Packing::Deflate if packed.first().is_some_and(|b| b & 0x0f == 8) => {
                self.inflate(|| ZlibDecoder::new(packed.as_slice()), before, most)?
            }
            Packing::Deflate => self.inflate(|| DeflateDecoder::new(packed.as_slice()), before, most)?,
            Packing::Snappy => {
                // What it claims is looked at before anything is made for it.
                let length = snap::raw::decompress_len(&packed).map_err(|_| NoBody::Packing)?;
                if length > most {
                    return Err(too_long());
                }
                self.share.grow(before + length)?;
                snap::raw::Decoder::new().decompress_vec(&packed).map_err(|_| NoBody::Packing)?
            }
        };
        Ok(self)
    }

    /// Unpacks twice: the first time counts, so that there is one place of the right size, or none for what is too long.
    fn inflate<R: Read>(
        &mut self,
        unpacked: impl Fn() -> R,
        before: usize,
        most: usize,
    ) -> Result<Vec<u8>, NoBody> {
        let mut counted = unpacked().take(most as u64 + 1);
        let length = io::copy(&mut counted, &mut io::sink()).map_err(|_| NoBody::Packing)?;
        let length = usize::try_from(length).ok().filter(|n| *n <= most);
        let length = length.ok_or(NoBody::TooLong(TooLong { most, unpacked: true }))?;
        self.share.grow(before + length)?;
        let mut out = Vec::new();
        out.try_reserve_exact(length).map_err(|_| NoBody::Busy)?;
        unpacked().take(length as u64).read_to_end(&mut out).map_err(|_| NoBody::Packing)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write as _;

    fn unpack(bytes: Vec<u8>, packing: Packing, most: usize) -> Result<Vec<u8>, NoBody> {
        let memory = Memory::new(1 << 20);
        let read = Whole { bytes, share: memory.share() };
        let unpacked = read.unpack(packing, most);
        let bytes = unpacked.map(|read| {
            assert!(memory.0.available_permits() < 1_024 || packing == Packing::Plain);
            read.bytes
        });
        assert_eq!(memory.0.available_permits(), 1_024, "all memory is given back");
        bytes
    }

    fn too_long<T>(most: usize) -> Result<T, NoBody> {
        Err(NoBody::TooLong(TooLong { most, unpacked: true }))
    }

    fn packed(text: &[u8]) -> [(Packing, Vec<u8>); 4] {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(text).unwrap();
        let snappy = snap::raw::Encoder::new().compress_vec(text).unwrap();
        [
            (Packing::Gzip, gzip.finish().unwrap()),
            (Packing::Deflate, zlib.finish().unwrap()),
            (Packing::Deflate, raw.finish().unwrap()),
            (Packing::Snappy, snappy),
        ]
    }

    #[test]
    fn packed_bodies_come_back_within_their_bound() {
        let text = b"shop.orders 1 1700000000\n".repeat(4_000);
        for (packing, bytes) in packed(&text) {
            assert_eq!(unpack(bytes.clone(), packing, text.len()), Ok(text.clone()), "{packing:?}");
            assert_eq!(
                unpack(bytes.clone(), packing, text.len() - 1),
                too_long(text.len() - 1),
                "{packing:?}"
            );
            let cut = bytes.get(..bytes.len() / 2).unwrap().to_vec();
            assert_eq!(unpack(cut, packing, text.len()), Err(NoBody::Packing), "{packing:?}");
            // More than all the memory there is.
            let large = vec![b'x'; 2 << 20];
            let bomb = packed(&large).into_iter().find(|(p, _)| *p == packing).unwrap().1;
            assert_eq!(unpack(bomb.clone(), packing, 4 << 20), Err(NoBody::Busy), "{packing:?}");
            // What is too long is not even made room for.
            assert_eq!(unpack(bomb, packing, (2 << 20) - 1), too_long((2 << 20) - 1), "{packing:?}");
        }
        // A body and what it becomes are enough, as the settings are checked for: 1,000 KiB of 1,024.
        let text = vec![b'x'; 1_000 << 10];
        for (packing, bytes) in packed(&text).into_iter().filter(|(_, bytes)| bytes.len() < 12 << 10) {
            let unpacked = unpack(bytes, packing, text.len()).unwrap();
            assert_eq!((unpacked.len(), unpacked.capacity()), (text.len(), text.len()), "{packing:?}");
        }
        assert_eq!(unpack(vec![0xff; 20], Packing::Snappy, 100), Err(NoBody::Packing));
        // A block that claims four gigabytes.
        assert_eq!(unpack(vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0], Packing::Snappy, 100), too_long(100));
    }
}
