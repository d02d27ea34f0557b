//! Folders of whisper files: which metrics there are.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// Files and folders that are looked at, at most.
const MOST: usize = 4_000_000;
/// Folders inside each other, at most.
const DEPTH: usize = 64;
/// What Linux says of a link that leads to itself (`ELOOP`).
const LOOP: i32 = 40;
/// Folder of tagged series, whose files have their names as one piece.
const TAGGED: &str = "_tagged";
/// What stands there for a dot.
const DOT: &str = "_DOT_";

/// What was found below a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// Paths of files below the folder, sorted by path.
    pub files: Vec<PathBuf>,
    /// Whisper files whose path says no name: not UTF-8, or tagged series of which only the hash is known.
    pub nameless: u64,
    /// Folders that could not be read, for want of a permission or too deep inside each other.
    pub unread: u64,
    /// Links that lead nowhere or back, and what was gone before it was looked at.
    pub links: u64,
    /// Files of other stores, which are not read: packed ones, and Ceres' slices.
    pub others: u64,
    /// There is more than is looked at.
    pub is_cut: bool,
}

/// Name of the metric of a whisper file: its path below the folder of all.
#[must_use]
pub fn name_of(below: &Path) -> Option<String> {
    let path = below.with_extension("");
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(text) => text.to_str(),
            _ => None,
        })
        .collect();
    let parts = parts?;
    match parts.split_first()? {
        (&TAGGED, rest) => {
            let name = rest.last()?;
            let is_hash = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
            (!is_hash).then(|| name.replace(DOT, "."))
        }
        _ => Some(parts.join(".")),
    }
}

/// Whether it is a series that is stored in another way: whisper's files packed, or a slice of Ceres.
fn is_of_another_store(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let packed = [".gz", ".bz2", ".xz", ".zst", ".lz4"].iter().find_map(|end| name.strip_suffix(end));
    packed.is_some_and(|name| name.ends_with(".wsp")) || name.ends_with(".slice")
}

/// Whether a file is not there, or a link leads to itself.
fn leads_nowhere(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(LOOP)
}

/// Finds the files below `folder` whose metric `is_wanted`. Links are followed, each folder is entered once.
///
/// # Errors
/// The folder itself cannot be read.
pub fn tree(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> io::Result<Tree> {
    let mut tree = Tree::default();
    let root = std::fs::metadata(folder)?;
    let mut entered = HashSet::from([(root.dev(), root.ino())]);
    let mut open = vec![(PathBuf::new(), 0)];
    let mut seen = 0;
    while let Some((below, depth)) = open.pop() {
        let entries = match std::fs::read_dir(folder.join(&below)) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(error),
            Err(_) => {
                tree.unread += 1;
                continue;
            }
        };
        for entry in entries {
            seen += 1;
            if seen > MOST {
                tree.is_cut = true;
                break;
            }
            let Ok(entry) = entry else {
                tree.unread += 1;
                continue;
            };
            let path = below.join(entry.file_name());
            let is_whisper = path.extension() == Some(OsStr::new("wsp"));
            let kind = entry.file_type();
            if kind.as_ref().is_ok_and(std::fs::FileType::is_file) && !is_whisper {
                tree.others += u64::from(is_of_another_store(&path));
                continue;
            }
            // Through links: what they lead to.
            let about = match std::fs::metadata(entry.path()) {
                Ok(about) => about,
                Err(error) if leads_nowhere(&error) => {
                    tree.links += 1;
                    continue;
                }
                Err(_) => {
                    tree.unread += 1;
                    continue;
                }
            };
            if about.is_dir() {
                if !entered.insert((about.dev(), about.ino())) {
                    tree.links += 1;
                } else if depth + 1 >= DEPTH {
                    tree.unread += 1;
                } else {
                    open.push((path, depth + 1));
                }
            } else if is_whisper && about.is_file() {
                match name_of(&path) {
                    Some(name) if is_wanted(&name) => tree.files.push(path),
                    Some(_) => {}
                    None => tree.nameless += 1,
                }
            }
        }
    }
    tree.files.sort_unstable();
    Ok(tree)
}
