//! The file in which a reader's position and counters are saved, and the register of all readers.
//!
//! `positions/NAME.pos`, the name escaped, one a reader:
//!
//! ```text
//! skyline position 1
//! name carbon:10.0.0.7%3A2004
//! scope routed
//! position 1234567
//! hold -
//! delivered 1230000
//! shed 4567
//! lost 0
//! crc 1a2b3c4d
//! ```
//!
//! The last line is the CRC-32 of all lines before it. `positions/end` has the sequence number after the
//! newest point (`skyline end 1`, `end 1234567`, `crc …`): without it a newest segment that is gone would
//! not be missed. `positions/readers` lists the escaped names
//! of all readers, one a line, and ends with such a line too: a name in it without a file is a
//! position that was lost, not a new reader. Files are written whole under another name and then put into
//! place, see [`skyline_core::file`]; a `.before` beside one is its last content but one, and is not read.

use crate::error::Error;
use crate::share::Scope;
use skyline_core::file::{self, sync_dir};
use skyline_core::shard::name_hash;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const HEAD: &str = "skyline position 1";
const END_HEAD: &str = "skyline end 1";
const REGISTER_HEAD: &str = "skyline readers 1";
/// Longest escaped name that is a file name as it stands.
const MAX_FILE_NAME: usize = 200;

/// What a reader's file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) position: u64,
    /// `u64::MAX`: no hold.
    pub(crate) hold: u64,
    pub(crate) delivered: u64,
    pub(crate) shed: u64,
    pub(crate) lost: u64,
}

impl Saved {
    fn encode(&self) -> String {
        let scope = match self.scope {
            Scope::Everything => "everything",
            Scope::Routed => "routed",
        };
        let hold = if self.hold == u64::MAX { "-".to_owned() } else { self.hold.to_string() };
        let (name, position) = (escape(&self.name), self.position);
        let (delivered, shed, lost) = (self.delivered, self.shed, self.lost);
        sealed(format!(
            "{HEAD}\nname {name}\nscope {scope}\nposition {position}\nhold {hold}\n\
             delivered {delivered}\nshed {shed}\nlost {lost}\n"
        ))
    }

    fn decode(text: &str) -> Option<Self> {
        let mut lines = unsealed(text)?.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let mut field = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
        let name = unescape(field("name")?)?;
        let scope = match field("scope")? {
            "everything" => Scope::Everything,
            "routed" => Scope::Routed,
            _ => return None,
        };
        let position = field("position")?.parse().ok()?;
        let hold = match field("hold")? {
            "-" => u64::MAX,
            hold => hold.parse().ok()?,
        };
        let delivered = field("delivered")?.parse().ok()?;
        let shed = field("shed")?.parse().ok()?;
        let lost = field("lost")?.parse().ok()?;
        Some(Self { name, scope, position, hold, delivered, shed, lost })
    }
}

fn sealed(mut body: String) -> String {
    let crc = crc32fast::hash(body.as_bytes());
    body.push_str(&format!("crc {crc:08x}\n"));
    body
}

fn unsealed(text: &str) -> Option<&str> {
    let at = text.rfind("crc ")?;
    let (body, last) = text.split_at_checked(at)?;
    let crc = last.strip_prefix("crc ")?.strip_suffix('\n')?;
    (crc.len() == 8 && u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(body.as_bytes())).then_some(body)
}

/// A name as it may stand in a line or a file name: other bytes than letters, digits, `.`, `_`,
/// `-` become `%` and two digits, as does a leading dot.
pub(crate) fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && at > 0);
        if plain {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            out.push(*byte);
        }
    }
    String::from_utf8(out).ok()
}

/// What the directory of positions held.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) saved: Vec<Saved>,
    /// Readers whose file is missing or damaged.
    pub(crate) lost: Vec<String>,
    /// The register itself is missing or damaged.
    pub(crate) register_lost: bool,
    /// Sequence number after the newest point when that was saved last; 0: not known.
    pub(crate) end: u64,
}

/// The directory of positions.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    names: BTreeSet<String>,
    /// The end that was saved last.
    end: u64,
}

impl Store {
    /// Opens or creates the directory and reads what is there.
    pub(crate) fn open(journal: &Path) -> Result<(Self, Loaded), Error> {
        let dir = journal.join("positions");
        fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
        let mut loaded = Loaded::default();
        let mut store = Self { names: BTreeSet::new(), dir, end: 0 };
        let register = store.dir.join("readers");
        match fs::read(&register) {
            Ok(bytes) => match decode_register(&bytes) {
                Some(names) => store.names = names,
                None => loaded.register_lost = true,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => loaded.register_lost = true,
            Err(source) => return Err(Error::Io { path: register, source }),
        }
        // Read for what it adds: damaged it adds nothing.
        loaded.end =
            fs::read_to_string(store.dir.join("end")).ok().and_then(|text| decode_end(&text)).unwrap_or(0);
        let mut missing = store.names.clone();
        for entry in fs::read_dir(&store.dir).map_err(Error::io(&store.dir))? {
            let path = entry.map_err(Error::io(&store.dir))?.path();
            let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let Some(escaped) = file.strip_suffix(".pos") else { continue };
            let bytes = fs::read(&path).map_err(Error::io(&path))?;
            let saved = std::str::from_utf8(&bytes).ok().and_then(Saved::decode);
            let saved = saved.filter(|saved| file_stem(&saved.name) == escaped);
            let name = saved.as_ref().map(|saved| saved.name.clone()).or_else(|| unescape(escaped));
            if let Some(name) =
                name.filter(|_| !escaped.contains('~')).or(saved.as_ref().map(|s| s.name.clone()))
            {
                missing.remove(&name);
                store.names.insert(name.clone());
                match saved {
                    Some(saved) => loaded.saved.push(saved),
                    None => loaded.lost.push(name),
                }
            }
        }
        loaded.lost.extend(missing);
        Ok((store, loaded))
    }

    /// Enters a name in the register.
    pub(crate) fn enter(&mut self, name: &str, sync: bool) -> Result<(), Error> {
        self.names.insert(name.to_owned());
        self.write_register(sync)
    }

    /// Writes the register of names.
    pub(crate) fn write_register(&self, sync: bool) -> Result<(), Error> {
        let mut body = format!("{REGISTER_HEAD}\n");
        for name in &self.names {
            body.push_str(&escape(name));
            body.push('\n');
        }
        let path = self.dir.join("readers");
        file::replace(&path, sealed(body).as_bytes(), sync).map_err(Error::io(&path))
    }

    /// Writes a reader's file.
    pub(crate) fn save(&self, saved: &Saved, sync: bool) -> Result<(), Error> {
        update(&self.path(&saved.name), &saved.encode(), sync)
    }

    /// Saves the sequence number after the newest point, if it has changed.
    pub(crate) fn save_end(&mut self, end: u64, sync: bool) -> Result<(), Error> {
        if end != self.end {
            update(&self.dir.join("end"), &sealed(format!("{END_HEAD}\nend {end}\n")), sync)?;
            self.end = end;
        }
        Ok(())
    }

    /// Removes a reader.
    pub(crate) fn remove(&mut self, name: &str, sync: bool) -> Result<(), Error> {
        self.names.remove(name);
        self.write_register(sync)?;
        let path = self.path(name);
        match file::remove(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// Makes renames in the directory last.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        sync_dir(&self.dir).map_err(Error::io(&self.dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}.pos", file_stem(name)))
    }
}

/// The escaped name; a long one is cut and told apart by its hash.
fn file_stem(name: &str) -> String {
    let mut escaped = escape(name);
    if escaped.len() > MAX_FILE_NAME {
        escaped.truncate(MAX_FILE_NAME - 17);
        escaped.push_str(&format!("~{:016x}", name_hash(name.as_bytes())));
    }
    escaped
}

fn decode_register(bytes: &[u8]) -> Option<BTreeSet<String>> {
    let mut lines = unsealed(std::str::from_utf8(bytes).ok()?)?.lines();
    if lines.next()? != REGISTER_HEAD {
        return None;
    }
    lines.map(unescape).collect()
}

fn decode_end(text: &str) -> Option<u64> {
    let mut lines = unsealed(text)?.lines();
    (lines.next()? == END_HEAD).then(|| lines.next()?.strip_prefix("end ")?.parse().ok())?
}

fn update(path: &Path, content: &str, sync: bool) -> Result<(), Error> {
    file::update(path, content.as_bytes(), sync).map_err(Error::io(path))
}

/// Decodes both kinds of files; for the fuzzer.
pub(crate) fn fuzz(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let body = sealed(text.to_owned());
        drop(Saved::decode(&body));
        drop(decode_register(body.as_bytes()));
        let _end = decode_end(&body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn saved(name: &str) -> Saved {
        Saved {
            name: name.to_owned(),
            scope: Scope::Routed,
            position: 12,
            hold: u64::MAX,
            delivered: 7,
            shed: 2,
            lost: 1,
        }
    }

    #[test]
    fn a_damaged_file_is_not_read() {
        let text = saved("a").encode();
        assert_eq!(Saved::decode(&text), Some(saved("a")));
        for at in 0..text.len() {
            let mut bad = text.clone().into_bytes();
            bad[at] ^= 1;
            let bad = String::from_utf8(bad).unwrap();
            assert_eq!(Saved::decode(&bad), None, "byte {at}");
            assert_eq!(Saved::decode(&text[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn names_that_would_leave_the_directory() {
        let check = |name, stem: &str| assert_eq!(file_stem(name), stem);
        check("carbon:10.0.0.7:2004", "carbon%3A10.0.0.7%3A2004");
        check("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd");
        check("", "");
        assert_eq!(file_stem(&"x".repeat(4000)).len(), MAX_FILE_NAME);
        assert_ne!(file_stem(&"x".repeat(4000)), file_stem(&"x".repeat(4001)));
    }

    #[test]
    fn lost_is_not_new() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, loaded) = Store::open(dir.path()).unwrap();
        assert!(loaded.register_lost && loaded.saved.is_empty());
        let long = "y".repeat(500);
        for name in ["a", "b/c", &long] {
            store.save(&saved(name), true).unwrap();
            store.enter(name, true).unwrap();
        }
        let open = || {
            let loaded = Store::open(dir.path()).unwrap().1;
            let mut names: Vec<_> = loaded.saved.into_iter().map(|s| s.name).collect();
            names.sort();
            (names, loaded.lost, loaded.register_lost)
        };
        let strings = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(open(), (strings(&["a", "b/c", &long]), vec![], false));
        fs::write(store.path("b/c"), b"nonsense").unwrap();
        fs::remove_file(store.path("a")).unwrap();
        assert_eq!(open(), (vec![long.clone()], strings(&["b/c", "a"]), false));
        fs::write(store.path(&long), b"nonsense").unwrap();
        assert_eq!(open().1.len(), 3);
        fs::remove_file(dir.path().join("positions/readers")).unwrap();
        assert_eq!(open(), (vec![], strings(&["b/c"]), true));
        store.remove("b/c", false).unwrap();
        store.remove("a", false).unwrap();
        assert_eq!(open(), (vec![], vec![long], false));
    }

    proptest! {
        #[test]
        fn any_name_reads_back(name in ".{0,300}", position: u64, hold: u64) {
            let saved = Saved { position, hold, scope: Scope::Everything, ..saved(&name) };
            prop_assert_eq!(Saved::decode(&saved.encode()), Some(saved));
            prop_assert!(!file_stem(&name).contains(['/', '\0']));
        }

        #[test]
        fn arbitrary_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz(&data);
        }
    }
}
