//! What takes long to make and is made once for each target folder of cargo.

use anyhow::Context as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The folder `name` in cargo's target folder; `make` makes it under the name that it is given, if it is not there.
/// Processes that ask at the same time wait for the first.
///
/// # Errors
///
/// When it cannot be made; the next that asks tries again.
pub(crate) fn once(name: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    once_in(&target()?, name, make)
}

fn once_in(
    keep: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let ready = keep.join(name);
    let lock = File::create(keep.join(format!("{name}.lock")))?;
    lock.lock()?;
    if ready.is_dir() {
        return Ok(ready);
    }
    // Whoever made this was killed meanwhile.
    let unfinished = keep.join(format!("{name}.new"));
    if unfinished.is_dir() {
        fs::remove_dir_all(&unfinished)?;
    }
    make(&unfinished)?;
    fs::rename(unfinished, &ready)?;
    Ok(ready)
}

/// Cargo's target folder, seen from a program in `target/PROFILE/` or `target/PROFILE/deps/`.
fn target() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let mut folders = program.ancestors().skip(1).skip_while(|folder| folder.ends_with("deps"));
    let target = folders.nth(1).context("a program that is in no folder of cargo's")?;
    Ok(target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    #[test]
    fn it_is_made_once_and_again_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let made = AtomicU32::new(0);
        let make = |path: &Path| {
            made.fetch_add(1, SeqCst);
            fs::create_dir(path)?;
            fs::write(path.join("whole"), "")?;
            Ok(())
        };
        let failed = once_in(folder.path(), "it", |path| {
            fs::create_dir(path)?;
            anyhow::bail!("half-way")
        });
        assert!(failed.is_err());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(once_in(folder.path(), "it", make).unwrap().join("whole").exists()));
            }
        });
        assert_eq!(made.load(SeqCst), 1);
    }
}
