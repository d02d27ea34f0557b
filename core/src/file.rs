//! Replacing a file as a whole, the one way in which the node keeps small state.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Puts `content` into place under `path`: written beside it, then renamed, so that whoever reads finds
/// the old content or the new, also after a crash. `sync`: waits until content and name are on the disk,
/// so that a power failure finds them too.
///
/// # Errors
/// What the system says; the old file stands then.
pub fn replace(path: &Path, content: &[u8], sync: bool) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
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

/// Makes new and renamed files in `dir` last.
///
/// # Errors
/// What the system says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
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
}
