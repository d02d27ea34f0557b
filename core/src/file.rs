//! Replacing a file as a whole, as the node keeps small state: [`replace`], and [`update`] every second; and [`key`]s.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Bytes of a [`key`].
pub const KEY_BYTES: usize = 32;

/// Puts `content` into place under `path`: written beside it, then renamed, so that whoever reads finds
/// the old content or the new, also after a crash. `sync`: waits until content and name are on the disk,
/// so that a power failure finds them too.
///
/// # Errors
/// What the system says; the old file stands then.
pub fn replace(path: &Path, content: &[u8], sync: bool) -> io::Result<()> {
    let name = beside(path, ".tmp");
    let temporary = Path::new(&name);
    let mut file = File::create(temporary)?;
    file.write_all(content)?;
    if sync {
        file.sync_data()?;
    }
    drop(file);
    fs::rename(temporary, path)?;
    match path.parent().filter(|_| sync) {
        Some(dir) => sync_dir(dir),
        None => Ok(()),
    }
}

/// As [`replace`], for small files that are written every second and read at the next start only. The content
/// before this one stays beside it, in `path` with `.before` behind, and the next is written over that: nothing is
/// allocated, and the disk has nothing to do at once, as it has where a file is renamed over another (ext4
/// then writes it out). After a power failure, without `sync`, the content may be any of the last half minute.
///
/// # Errors
/// What the system says; the old file stands then.
pub fn update(path: &Path, content: &[u8], sync: bool) -> io::Result<()> {
    if sync {
        return replace(path, content, true);
    }
    let name = beside(path, ".before");
    let before = Path::new(&name);
    let mut file = File::options().create(true).truncate(false).write(true).open(before)?;
    let length = file.metadata()?.len();
    file.write_all(content)?;
    if length != content.len() as u64 {
        // Seldom. A power failure could otherwise leave the name and the length without what they stand for.
        file.set_len(content.len() as u64)?;
        file.sync_data()?;
    }
    drop(file);
    change_places(before, path, |before, path| {
        Ok(renameat_with(CWD, before, CWD, path, RenameFlags::EXCHANGE)?)
    })
}

/// Puts `before` under `path`, by `exchange` if that works: not where there is nothing to exchange it with, nor on a
/// file system that cannot.
fn change_places(
    before: &Path,
    path: &Path,
    exchange: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    exchange(before, path).or_else(|_| fs::rename(before, path))
}

/// Removes a file and what [`update`] has left beside it.
///
/// # Errors
/// What the system says about the file.
pub fn remove(path: &Path) -> io::Result<()> {
    let _never_updated = fs::remove_file(beside(path, ".before"));
    fs::remove_file(path)
}

fn beside(path: &Path, ending: &str) -> OsString {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name
}

/// Makes new and renamed files in `dir` last.
///
/// # Errors
/// What the system says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The key that a file holds, readable for its own user only. Where there is none, `fresh` becomes the key; whoever is
/// first, all get the same one.
///
/// # Errors
/// The file can be neither read nor made; [`io::ErrorKind::InvalidData`] when it does not hold [`KEY_BYTES`] bytes.
pub fn key(file: &Path, fresh: [u8; KEY_BYTES]) -> io::Result<[u8; KEY_BYTES]> {
    match read_key(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    let new = file.with_extension(format!("new-{}", std::process::id()));
    match fs::remove_file(&new) {
        // Left by a process of the same number that was killed here.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    made.write_all(&fresh)?;
    made.sync_all()?;
    // Whole or not at all, and never in place of another's.
    let linked = fs::hard_link(&new, file);
    fs::remove_file(&new)?;
    match linked {
        Ok(()) => file.parent().map_or(Ok(()), sync_dir)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    read_key(file)
}

fn read_key(file: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut bytes = Vec::new();
    // One more: a longer file is no key.
    File::open(file)?.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    bytes.try_into().map_err(|_| {
        let problem = format!("it does not have {KEY_BYTES} bytes; remove the file, and a new one is made");
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_stands_until_the_new_one_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        for (content, sync) in [("one", false), ("two", true), ("", true)] {
            replace(&path, content.as_bytes(), sync).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        fs::create_dir(dir.path().join("folder")).unwrap();
        assert!(replace(&dir.path().join("folder"), b"x", false).is_err());
        assert!(replace(&dir.path().join("none/state"), b"x", false).is_err());
    }

    #[test]
    fn contents_change_places() {
        let dir = tempfile::tempdir().unwrap();
        let (path, before) = (dir.path().join("state.json"), dir.path().join("state.json.before"));
        let mut last = None;
        for (content, sync) in [("one", false), ("longer", false), ("2", false), ("3", true), ("", false)] {
            update(&path, content.as_bytes(), sync).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            // Some file systems cannot exchange two names.
            if let (Some(last), Ok(before), false) = (last, fs::read_to_string(&before), sync) {
                assert_eq!(before, last, "before {content}");
            }
            last = Some(content);
        }
        assert!(fs::read_dir(dir.path()).unwrap().count() <= 2);
        // What a crash has left half written is written over.
        fs::write(&before, "half of a content that was never put into place").unwrap();
        update(&path, b"new", false).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        fs::write(&before, "newer").unwrap();
        change_places(&before, &path, |_, _| Err(io::ErrorKind::InvalidInput.into())).unwrap();
        assert!(fs::read(&path).unwrap() == b"newer" && !before.exists());
        remove(&path).unwrap();
        assert!(!path.exists() && !before.exists() && remove(&path).is_err());
        fs::create_dir(dir.path().join("folder.before")).unwrap();
        assert!(update(&dir.path().join("folder"), b"x", false).is_err());
        assert!(update(&dir.path().join("none/state"), b"x", false).is_err());
    }

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.key");
        assert_eq!(key(&file, [1; KEY_BYTES]).unwrap(), [1; KEY_BYTES]);
        assert_eq!(key(&file, [2; KEY_BYTES]).unwrap(), [1; KEY_BYTES]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(&file, [3; KEY_BYTES + 1]).unwrap();
        let error = key(&file, [2; KEY_BYTES]).unwrap_err();
        assert!(error.kind() == io::ErrorKind::InvalidData && error.to_string().contains("remove the file"));
        assert!(key(&folder.path().join("no/a.key"), [1; KEY_BYTES]).is_err());
    }
}
