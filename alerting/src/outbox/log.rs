//! The file that the memory is written to first, `alerts.log` in `node.state_dir`.
//!
//! Lines of text: the CRC-32 of the rest in eight hexadecimal digits, a space, a [`Record`] as JSON. Lines are only
//! appended; when the file has become long it is written anew with what is remembered by then, and put in the place of
//! the old one. A line that is damaged is left out; at the end it was not written whole, and is cut off.

use super::record::Record;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The file is written anew when it is so long, and longer than four times what it was then, bytes.
const LONG: u64 = 8 << 20;
/// Longest line, bytes: more is damage.
const LONGEST: u64 = 64 << 20;

/// The file.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    sync: bool,
    end: u64,
    /// Its length when it was last written anew.
    base: u64,
}

/// What was found in a file that was there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// What it says, the oldest first.
    pub records: Vec<Record>,
    /// Lines in the middle that are damaged.
    pub damaged: u64,
    /// Bytes at the end that were cut off.
    pub cut_bytes: u64,
}

impl Log {
    /// Opens or makes the file. `sync`: each append is on disk when it returns.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path, sync: bool) -> io::Result<(Self, Found)> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut found = Found::default();
        let length = file.metadata()?.len();
        let mut reader = BufReader::new(io::Read::take(&file, length));
        let (mut at, mut whole, mut bad) = (0_u64, 0_u64, 0_u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes = io::Read::take(&mut reader, LONGEST).read_until(b'\n', &mut line)? as u64;
            if bytes == 0 {
                break;
            }
            at += bytes;
            match parse(&line) {
                Some(record) => {
                    found.records.push(record);
                    found.damaged += std::mem::take(&mut bad);
                    whole = at;
                }
                None => bad += 1,
            }
        }
        found.cut_bytes = at - whole;
        if at > whole {
            file.set_len(whole)?;
        }
        if sync {
            file.sync_all()?;
            path.parent().map_or(Ok(()), skyline_core::file::sync_dir)?;
        }
        Ok((Self { path: path.to_owned(), file, sync, end: whole, base: 0 }, found))
    }

    /// Appends all of them or none.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let bytes = lines(records)?;
        let written = self.file.write_all_at(&bytes, self.end);
        if let Err(error) = written.and_then(|()| if self.sync { self.file.sync_data() } else { Ok(()) }) {
            // Half of it must not come back; if the cut fails too, the next append writes over it.
            drop(self.file.set_len(self.end));
            return Err(error);
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Whether it is time to write the file anew.
    #[must_use]
    pub const fn is_long(&self) -> bool {
        self.end > LONG && self.end > 4 * self.base
    }

    /// Bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.end
    }

    /// Writes the file anew with all that is remembered.
    ///
    /// # Errors
    /// When the disk does not take it; the old file stands.
    pub fn renew(&mut self, records: &[Record]) -> io::Result<()> {
        let bytes = lines(records)?;
        let beside = self.path.with_extension("log.new");
        let file = put_in_place(&bytes, &beside, &self.path, self.sync).inspect_err(|_| {
            // A full disk has no room for a half.
            drop(std::fs::remove_file(&beside));
        })?;
        if self.sync {
            self.path.parent().map_or(Ok(()), skyline_core::file::sync_dir)?;
        }
        self.file = file;
        self.end = bytes.len() as u64;
        self.base = self.end;
        Ok(())
    }
}

/// Writes a file beside another, and puts it in its place.
fn put_in_place(bytes: &[u8], beside: &Path, path: &Path, sync: bool) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(beside)?;
    file.write_all(bytes)?;
    if sync {
        file.sync_data()?;
    }
    std::fs::rename(beside, path)?;
    Ok(file)
}

fn lines(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for record in records {
        let text = serde_json::to_string(record).map_err(io::Error::other)?;
        writeln!(bytes, "{:08x} {text}", crc32fast::hash(text.as_bytes()))?;
    }
    Ok(bytes)
}

fn parse(line: &[u8]) -> Option<Record> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, rest) = line.split_at_checked(8)?;
    let text = rest.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if crc32fast::hash(text) != sum {
        return None;
    }
    serde_json::from_slice(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str) -> Record {
        Record::Forgotten(key.to_owned())
    }

    #[test]
    fn what_was_appended_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.log");
        for sync in [false, true] {
            let (mut log, found) = Log::open(&path, sync).unwrap();
            log.append(&[record("a\n\u{1f600}"), record("b")]).unwrap();
            log.append(&[record("c")]).unwrap();
            drop(log);
            let (mut log, again) = Log::open(&path, sync).unwrap();
            assert_eq!(again.records.len(), found.records.len() + 3);
            assert_eq!((again.damaged, again.cut_bytes), (0, 0));
            log.renew(&[record("d")]).unwrap();
            log.append(&[record("e")]).unwrap();
            assert_eq!(Log::open(&path, sync).unwrap().1.records, [record("d"), record("e")]);
            log.renew(&[]).unwrap();
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn damage_costs_what_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.log");
        let (mut log, _) = Log::open(&path, false).unwrap();
        log.append(&[record("a"), record("b"), record("c")]).unwrap();
        let text = std::fs::read(&path).unwrap();
        let line = text.len() / 3;
        for cut in 1..=line {
            std::fs::write(&path, &text[..text.len() - cut]).unwrap();
            let (_, found) = Log::open(&path, false).unwrap();
            assert_eq!(found.records, [record("a"), record("b")], "{cut}");
            assert_eq!((found.damaged, found.cut_bytes), (0, (line - cut) as u64));
        }
        let mut hurt = text.clone();
        hurt[line + 12] ^= 1;
        std::fs::write(&path, &hurt).unwrap();
        let (_, found) = Log::open(&path, false).unwrap();
        assert_eq!((found.records, found.damaged, found.cut_bytes), (vec![record("a"), record("c")], 1, 0));
    }
}
