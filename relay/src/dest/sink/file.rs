//! Lines at the end of a file.

use super::Load;
use crate::dest::outgoing::SLICES;
use std::fs::{self, OpenOptions};
use std::io::{Error, ErrorKind, IoSlice, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::spawn_blocking;

/// Permissions of a file that is made, before the umask.
const MODE: u32 = 0o644;

/// A file that lines are added to. What it does blocks, and is done on a thread for that.
#[derive(Debug, Clone)]
pub(in crate::dest) struct File(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: fs::File,
    /// Device and inode.
    id: (u64, u64),
}

impl File {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// Names the file.
    pub(in crate::dest) async fn open(path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        let open = spawn_blocking(move || Open::at(path)).await.map_err(Error::other)??;
        Ok(Self(Arc::new(Mutex::new(open))))
    }

    async fn away<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Open) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let file = Arc::clone(&self.0);
        let work = move || work(&mut file.lock().unwrap_or_else(PoisonError::into_inner));
        spawn_blocking(work).await.map_err(Error::other)
    }

    /// Opens it anew if another file is where it was, or none; `anyhow`: in any case.
    pub(super) async fn refresh(&self, anyhow: bool) -> Result<(), Error> {
        self.away(move |open| {
            if anyhow || open.is_moved() {
                *open = Open::at(std::mem::take(&mut open.path))?;
            }
            Ok(())
        })
        .await?
    }

    /// Adds a load.
    pub(super) async fn write(&self, load: Load) -> (Load, Result<(), Error>) {
        let file = Arc::clone(&self.0);
        let work = move || {
            let mut load = load;
            let outcome = file.lock().unwrap_or_else(PoisonError::into_inner).write(&mut load);
            (load, outcome)
        };
        match spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is being shut down: nothing of this task runs any more.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl Open {
    fn at(path: PathBuf) -> Result<Self, Error> {
        let open = || {
            let mut options = OpenOptions::new();
            // A pipe that nobody reads is an error, not a wait without end.
            options.append(true).create(true).mode(MODE).custom_flags(libc::O_NONBLOCK);
            let mut file = options.open(&path)?;
            let known = file.metadata()?;
            // A line that a full disk or the death of the node has cut is not to be the begin of another.
            if known.is_file() && known.len() > 0 && last_byte(&path).is_ok_and(|last| last != b'\n') {
                file.write_all(b"\n")?;
            }
            Ok((file, (known.dev(), known.ino())))
        };
        match open() {
            Ok((file, id)) => Ok(Self { path, file, id }),
            Err(error) => Err(of(&path, &error)),
        }
    }

    fn is_moved(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(there) => (there.dev(), there.ino()) != self.id,
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    fn write(&mut self, load: &mut Load) -> Result<(), Error> {
        while !load.outgoing.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = load.outgoing.slices(&mut slices);
            match self.file.write_vectored(slices.get(..filled).unwrap_or_default()) {
                Ok(0) => return Err(of(&self.path, &ErrorKind::WriteZero.into())),
                Ok(bytes) => load.wrote(bytes),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(of(&self.path, &error)),
            }
        }
        Ok(())
    }
}

fn of(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn last_byte(path: &Path) -> Result<u8, Error> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last[0])
}
