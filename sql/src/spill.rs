//! Anomalies that wait for a record that is away, in a file of their own.
//!
//! The file begins with [`MAGIC`]; then come records: length of the payload (u32), its CRC-32 (u32), the
//! payload (see [`payload`]), all little-endian. Anomalies are appended at the end and taken from the
//! front; when the last one was taken the file is cut back to its beginning. How far it was taken is not
//! written down: after a crash some are given to the record again, which knows them. Where bytes are damaged,
//! what follows begins at the next place where a whole record stands.

mod payload;

use crate::record::Context;
use skyline_core::anomaly::Anomaly;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// First bytes of the file; the last one is the version of what follows.
const MAGIC: [u8; 8] = *b"SKYSPIL1";
/// Bytes before a payload.
const HEAD: u64 = 8;
/// Longest payload: three names and the numbers; shortest: names of no length.
const MAX_PAYLOAD: u32 = 64 << 10;
const MIN_PAYLOAD: u32 = 83;
/// Bytes that are looked through at once for the next record.
const WINDOW: u64 = 1 << 20;

/// The file.
#[derive(Debug)]
pub struct Spill {
    path: PathBuf,
    file: File,
    max_bytes: u64,
    sync: bool,
    /// Where the oldest record begins.
    front: u64,
    /// Where the next record goes.
    end: u64,
    count: u64,
    /// Where the records of the last [`Spill::peek`] end, and how many those are.
    peeked: (u64, u64),
}

/// What was found in a file that was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// Anomalies that wait.
    pub anomalies: u64,
    /// Bytes of a record that was not written to its end, and were cut off.
    pub cut_bytes: u64,
    /// Places in the middle that are damaged.
    pub damaged: u64,
}

/// One read of a record.
enum Step {
    Whole(Vec<u8>),
    Broken,
    End,
}

/// Length and checksum of the payload behind a head; none when no record begins so.
fn head(bytes: [u8; 8]) -> Option<(u32, u32)> {
    let [a, b, c, d, e, f, g, h] = bytes;
    let (length, sum) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    (MIN_PAYLOAD..=MAX_PAYLOAD).contains(&length).then_some((length, sum))
}

/// Reads the record that the reader is at.
fn step(reader: &mut impl Read, left: u64) -> io::Result<Step> {
    if left == 0 {
        return Ok(Step::End);
    }
    if left < HEAD {
        return Ok(Step::Broken);
    }
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    let Some((length, sum)) = head(bytes).filter(|(length, _)| u64::from(*length) <= left - HEAD) else {
        return Ok(Step::Broken);
    };
    let mut payload = vec![0; length as usize];
    reader.read_exact(&mut payload)?;
    Ok(if crc32fast::hash(&payload) == sum { Step::Whole(payload) } else { Step::Broken })
}

/// Where the next whole record begins, at `from` or behind it.
fn next_whole(file: &File, mut from: u64, end: u64) -> io::Result<Option<u64>> {
    let longest = HEAD + u64::from(MAX_PAYLOAD);
    while from + HEAD < end {
        let mut window = vec![0; usize::try_from((end - from).min(WINDOW)).unwrap_or(0)];
        file.read_exact_at(&mut window, from)?;
        let is_whole = |at: &usize| {
            let record = window.get(*at..)?;
            let (bytes, rest) = record.split_first_chunk::<8>()?;
            let (length, sum) = head(*bytes)?;
            let payload = rest.get(..length as usize)?;
            (crc32fast::hash(payload) == sum).then_some(())
        };
        if let Some(at) = (0..window.len()).find(|at| is_whole(at).is_some()) {
            return Ok(Some(from + at as u64));
        }
        if end - from <= WINDOW {
            break;
        }
        // A record may begin in this window and end in the next.
        from += WINDOW - longest;
    }
    Ok(None)
}

impl Spill {
    /// Opens or makes the file; cuts off what was not written to its end. `max_bytes`: how large it may
    /// become. `sync`: each append is on disk when it returns.
    ///
    /// # Errors
    /// When the file cannot be read or written. A file that is something else is refused.
    pub fn open(path: &Path, max_bytes: u64, sync: bool) -> io::Result<(Self, Found)> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let length = file.metadata()?.len();
        let mut magic = [0; 8];
        if length < MAGIC.len() as u64 {
            // New, or killed while it was made.
            file.set_len(0)?;
            file.write_all_at(&MAGIC, 0)?;
        } else {
            file.read_exact_at(&mut magic, 0)?;
            if magic != MAGIC {
                let message = "the file is not one of waiting anomalies, or of another version: move it away";
                return Err(io::Error::new(ErrorKind::InvalidData, message));
            }
        }
        let begin = MAGIC.len() as u64;
        let (end, found) = scan(&file, begin, length.max(begin))?;
        if end < length {
            file.set_len(end)?;
        }
        if sync {
            file.sync_all()?;
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
        }
        let (path, count) = (path.to_owned(), found.anomalies);
        Ok((Self { path, file, max_bytes, sync, front: begin, end, count, peeked: (begin, 0) }, found))
    }

    /// Anomalies that wait.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Bytes that they take.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.end - self.front
    }

    /// Appends all of them or none; false when there is no room for them.
    ///
    /// # Errors
    /// When the disk does not take them; none of them is in the file then.
    pub fn append(&mut self, anomalies: &[Anomaly], context: &Context) -> io::Result<bool> {
        let mut bytes = Vec::new();
        for anomaly in anomalies {
            let payload = payload::encode(anomaly, context);
            let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            if length > MAX_PAYLOAD {
                return Err(io::Error::new(
                    ErrorKind::InvalidInput,
                    "an anomaly with names too long to be kept",
                ));
            }
            bytes.extend(length.to_le_bytes());
            bytes.extend(crc32fast::hash(&payload).to_le_bytes());
            bytes.extend(payload);
        }
        let end = self.end + bytes.len() as u64;
        if end > self.max_bytes {
            return Ok(false);
        }
        let written = self.file.write_all_at(&bytes, self.end);
        if let Err(error) = written.and_then(|()| if self.sync { self.file.sync_data() } else { Ok(()) }) {
            // Half a batch must not come back after a restart; if the cut fails too, the next append writes over it.
            drop(self.file.set_len(self.end));
            return Err(error);
        }
        self.end = end;
        self.count += anomalies.len() as u64;
        Ok(true)
    }

    /// The oldest anomalies, at most `most`, all of one context. They stay until [`Spill::taken`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn peek(&mut self, most: usize) -> io::Result<Option<(Context, Vec<Anomaly>)>> {
        self.file.seek(SeekFrom::Start(self.front))?;
        let mut reader = BufReader::new(&self.file);
        let (mut at, mut records) = (self.front, 0);
        let mut found: Option<(Context, Vec<Anomaly>)> = None;
        while found.as_ref().is_none_or(|(_, anomalies)| anomalies.len() < most) {
            match step(&mut reader, self.end - at)? {
                Step::End => break,
                Step::Broken => {
                    let next = next_whole(&self.file, at + 1, self.end)?.unwrap_or(self.end);
                    tracing::error!(
                        file = %self.path.display(), bytes = next - at,
                        "the file of waiting anomalies is damaged; what was there is left out"
                    );
                    at = next;
                    reader.seek(SeekFrom::Start(at))?;
                }
                Step::Whole(payload) => {
                    let bytes = HEAD + payload.len() as u64;
                    let Some((context, anomaly)) = payload::decode(&payload) else {
                        at += bytes;
                        records += 1;
                        continue;
                    };
                    match &mut found {
                        Some((first, anomalies)) if *first == context => anomalies.push(anomaly),
                        Some(_) => break,
                        None => found = Some((context, vec![anomaly])),
                    }
                    at += bytes;
                    records += 1;
                }
            }
        }
        self.peeked = (at, records);
        if found.is_none() {
            // Nothing but damage was left.
            self.taken()?;
        }
        Ok(found)
    }

    /// What [`Spill::peek`] gave is recorded.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub fn taken(&mut self) -> io::Result<()> {
        let (front, records) = self.peeked;
        self.front = front;
        self.count = self.count.saturating_sub(records);
        self.peeked = (front, 0);
        let begin = MAGIC.len() as u64;
        if self.front >= self.end && self.end > begin {
            self.file.set_len(begin)?;
            (self.front, self.end, self.count, self.peeked) = (begin, begin, 0, (begin, 0));
        }
        Ok(())
    }
}

/// Walks through all records from `begin` to `length`; returns where the last good one ends.
fn scan(file: &File, begin: u64, length: u64) -> io::Result<(u64, Found)> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(begin))?;
    let mut at = begin;
    let mut found = Found::default();
    loop {
        match step(&mut reader, length - at)? {
            Step::End => break,
            Step::Broken => {
                // What no good one follows was not written to its end.
                let Some(next) = next_whole(file, at + 1, length)? else { break };
                found.damaged += 1;
                at = next;
                reader.seek(SeekFrom::Start(at))?;
            }
            Step::Whole(payload) => {
                at += HEAD + payload.len() as u64;
                found.anomalies += 1;
            }
        }
    }
    found.cut_bytes = length - at;
    Ok((at, found))
}

#[cfg(test)]
mod tests;
