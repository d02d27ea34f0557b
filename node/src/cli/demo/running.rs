//! Which demo runs here: the note by which `demo break` finds it, and what dead demos left.

use crate::cli::http;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How the folder of a demo's state begins.
pub(super) const FOLDER: &str = "skyline-demo-";

/// Where a running demo can be reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) api: SocketAddr,
    pub(super) pickle: SocketAddr,
    pub(super) status: SocketAddr,
}

fn note_path() -> PathBuf {
    let user = std::env::var("USER").unwrap_or_else(|_| "user".to_owned());
    let plain: String = user.chars().filter(char::is_ascii_alphanumeric).collect();
    std::env::temp_dir().join(format!("{FOLDER}{plain}.json"))
}

/// The note, for as long as the demo runs.
#[derive(Debug)]
pub(super) struct Note(PathBuf);

impl Note {
    pub(super) fn write(running: &Running) -> anyhow::Result<Self> {
        let path = note_path();
        fs::write(&path, serde_json::to_vec(running)?)
            .with_context(|| format!("{}: the note for `demo break` cannot be written", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// The demo that runs here, if one answers.
pub(super) async fn find() -> Option<Running> {
    let note = fs::read(note_path()).ok()?;
    let running: Running = serde_json::from_slice(&note).ok()?;
    http::is_node(running.api).await.ok().map(|()| running)
}

/// Removes the folders of demos that were killed: those whose journal nobody holds.
pub(super) fn remove_dead(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(FOLDER))
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        let lock = File::open(entry.path().join("journal/lock"));
        let is_dead = lock.is_ok_and(|lock| !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        if is_ours && is_dead {
            // Another user's stays: that user's next demo removes it.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_demos_are_removed_and_living_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let demo = |name: &str| {
            let dir = folder.path().join(name);
            fs::create_dir_all(dir.join("journal")).unwrap();
            (File::create(dir.join("journal/lock")).unwrap(), dir)
        };
        let (lock, living) = demo("skyline-demo-a");
        lock.lock().unwrap();
        let (_, dead) = demo("skyline-demo-b");
        let (_, foreign) = demo("something");
        fs::create_dir(folder.path().join("skyline-demo-c")).unwrap();
        remove_dead(folder.path());
        assert!(living.exists() && foreign.exists() && !dead.exists());
        assert!(folder.path().join("skyline-demo-c").exists(), "it may be starting just now");
    }
}
