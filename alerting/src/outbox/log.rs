//! The file that the memory is written to first, `alerts.log` in `node.state_dir`.
//!
//! Lines of text: the CRC-32 of the rest in eight hexadecimal digits, a space, JSON: a list of [`Record`]s, or one. What
//! was changed together is one line, so that it is there whole or not at all: who was told without the message that
//! tells them would be a message that never leaves. Lines are only appended; when the file has become long it is written
//! anew with what is remembered by then, and put in the place of the old one. A line that is damaged is left out; at
//! the end it was not written whole, and is cut off.

use super::record::Record;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The file is written anew when it is so long, and longer than four times what it was then, bytes.
const LONG: u64 = 8 << 20;
/// Longest line that is read, bytes: more is damage.
const LONGEST: u64 = 64 << 20;
/// A line of several records is no longer than this, bytes: what is more goes on in the next. A cut between the two finds
/// messages before who was told of them, and so repeats rather than loses.
const LINE: usize = 16 << 20;

/// Messages hold signed links: nobody else reads them.
const MODE: u32 = 0o600;

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
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(path)?;
        private(&file)?;
        let length = file.metadata()?.len();
        let (found, whole) = read(BufReader::new(io::Read::take(&file, length)))?;
        if found.cut_bytes > 0 {
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
        let bytes = together(records, LINE)?;
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
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(MODE).open(beside)?;
    private(&file)?;
    file.write_all(bytes)?;
    if sync {
        file.sync_data()?;
    }
    std::fs::rename(beside, path)?;
    Ok(file)
}

/// Takes a file that was made before from others.
fn private(file: &File) -> io::Result<()> {
    let is = file.metadata()?;
    if is.is_file() && is.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(MODE))?;
    }
    Ok(())
}

/// What lines say, and how many bytes of them stay.
pub(crate) fn read(mut reader: impl BufRead) -> io::Result<(Found, u64)> {
    let mut found = Found::default();
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
            Some(records) => {
                found.records.extend(records);
                found.damaged += std::mem::take(&mut bad);
                whole = at;
            }
            None => bad += 1,
        }
    }
    found.cut_bytes = at - whole;
    Ok((found, whole))
}

/// Records as the lines of the file.
pub(crate) fn lines(records: &[Record]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for record in records {
        let text = serde_json::to_string(record).map_err(io::Error::other)?;
        writeln!(bytes, "{:08x} {text}", crc32fast::hash(text.as_bytes()))?;
    }
    Ok(bytes)
}

/// Records as one line, or as several that are not longer than `most` unless one record is.
fn together(records: &[Record], most: usize) -> io::Result<Vec<u8>> {
    let texts: Result<Vec<_>, _> = records.iter().map(serde_json::to_string).collect();
    let mut bytes = Vec::new();
    let mut line = String::new();
    for text in texts.map_err(io::Error::other)? {
        if !line.is_empty() && line.len() + text.len() > most {
            end_of(&mut line, &mut bytes)?;
        }
        line.push(if line.is_empty() { '[' } else { ',' });
        line.push_str(&text);
    }
    if !line.is_empty() {
        end_of(&mut line, &mut bytes)?;
    }
    Ok(bytes)
}

fn end_of(line: &mut String, bytes: &mut Vec<u8>) -> io::Result<()> {
    line.push(']');
    writeln!(bytes, "{:08x} {line}", crc32fast::hash(line.as_bytes()))?;
    line.clear();
    Ok(())
}

fn parse(line: &[u8]) -> Option<Vec<Record>> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, rest) = line.split_at_checked(8)?;
    let text = rest.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if crc32fast::hash(text) != sum {
        return None;
    }
    if text.starts_with(b"[") {
        serde_json::from_slice(text).ok()
    } else {
        serde_json::from_slice(text).ok().map(|record| vec![record])
    }
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
        for key in ["a", "b", "c"] {
            log.append(&[record(key)]).unwrap();
        }
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

    #[test]
    fn what_was_changed_together_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.log");
        let (mut log, _) = Log::open(&path, false).unwrap();
        log.append(&[record("a")]).unwrap();
        let first = log.bytes();
        log.append(&[record("b"), record("c"), record("d")]).unwrap();
        let text = std::fs::read(&path).unwrap();
        for length in first as usize..text.len() {
            std::fs::write(&path, &text[..length]).unwrap();
            assert_eq!(Log::open(&path, false).unwrap().1.records, [record("a")], "{length}");
        }
        std::fs::write(&path, &text).unwrap();
        assert_eq!(Log::open(&path, false).unwrap().1.records.len(), 4);
    }

    #[test]
    fn nobody_else_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.log");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (mut log, _) = Log::open(&path, false).unwrap();
        assert_eq!(mode(), 0o600);
        log.renew(&[record("a")]).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn long_lines_go_on_in_the_next() {
        let records: Vec<_> = (0..9).map(|n| record(&n.to_string())).collect();
        for (most, expected) in [(1, 9), (60, 3), (10_000, 1)] {
            let bytes = together(&records, most).unwrap();
            let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            assert_eq!(lines.len(), expected, "{most}");
            let all: Vec<_> = lines.iter().flat_map(|line| parse(line).unwrap()).collect();
            assert_eq!(all, records);
        }
        assert!(together(&[], 60).unwrap().is_empty());
    }

    #[test]
    fn lines_of_one_record_are_read_too() {
        let line = lines(&[record("a")]).unwrap();
        assert_eq!(parse(&line), Some(vec![record("a")]));
    }
}
