//! What is said to memcached. A command may be said twice: an idle connection may turn out to be closed.

use super::link::Connection;
use std::io::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicU64, Ordering};

/// Generations begin below this, so that adding to one for ever does not reach the end.
const FIRST: u64 = 1 << 62;

/// Something that is asked on one connection. Whatever error it ends in, the connection is closed.
pub(super) trait Command: Sync {
    /// What comes of it.
    type Answer: Send;

    /// Asks.
    fn run(&self, connection: &mut Connection) -> impl Future<Output = Result<Self::Answer>> + Send;
}

/// Whether it is there.
pub(super) struct Version;

impl Command for Version {
    type Answer = String;

    async fn run(&self, connection: &mut Connection) -> Result<String> {
        connection.version().await
    }
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

fn is(error: &Error, kind: ErrorKind) -> bool {
    error.kind() == kind
}

/// The generation of now.
#[derive(Clone, Copy)]
pub(super) struct Generation<'a> {
    pub(super) key: &'a str,
    /// Counts what is there and is no number.
    pub(super) refused: &'a AtomicU64,
}

impl Generation<'_> {
    /// The number that was found, or a new one where none was; what is no number is removed.
    async fn of(&self, connection: &mut Connection, found: Option<&[u8]>) -> Result<u64> {
        if let Some(value) = found {
            if let Some(generation) = number(value) {
                return Ok(generation);
            }
            self.refused.fetch_add(1, Ordering::Relaxed);
            connection.delete(self.key).await?;
        }
        let drawn = rand::random_range(0..FIRST);
        match connection.add(self.key, drawn.to_string().as_bytes(), 0).await {
            Ok(()) => Ok(drawn),
            // Another node was first.
            Err(error) if is(&error, ErrorKind::AlreadyExists) => {
                let value = connection.get(self.key).await?;
                number(&value)
                    .ok_or_else(|| Error::new(ErrorKind::InvalidData, "the generation is no number"))
            }
            Err(error) => Err(error),
        }
    }
}

impl Command for Generation<'_> {
    type Answer = u64;

    async fn run(&self, connection: &mut Connection) -> Result<u64> {
        match connection.get(self.key).await {
            Ok(value) => self.of(connection, Some(&value)).await,
            Err(error) if is(&error, ErrorKind::NotFound) => self.of(connection, None).await,
            Err(error) => Err(error),
        }
    }
}

/// The generation of now, and a value.
pub(super) struct Get<'a> {
    pub(super) generation: Generation<'a>,
    pub(super) key: &'a str,
}

impl Command for Get<'_> {
    type Answer = (u64, Option<Vec<u8>>);

    async fn run(&self, connection: &mut Connection) -> Result<Self::Answer> {
        let mut found = connection.get_multi(&[self.generation.key, self.key]).await?;
        let value = found.get(self.generation.key).map(Vec::as_slice);
        let generation = self.generation.of(connection, value).await?;
        Ok((generation, found.remove(self.key)))
    }
}

/// Makes the generation another one.
pub(super) struct Forget<'a> {
    pub(super) key: &'a str,
}

impl Command for Forget<'_> {
    type Answer = ();

    async fn run(&self, connection: &mut Connection) -> Result<()> {
        match connection.increment(self.key, 1).await {
            Ok(_) => Ok(()),
            // The next reader draws a new one.
            Err(error) if is(&error, ErrorKind::NotFound) => Ok(()),
            // What is there is no number.
            Err(error) if is(&error, ErrorKind::Other) => {
                connection.delete(self.key).await?;
                match connection.get(self.key).await {
                    Err(gone) if is(&gone, ErrorKind::NotFound) => Ok(()),
                    // Begun anew by a reader in between.
                    Ok(value) if number(&value).is_some() => Ok(()),
                    Ok(_) => Err(error),
                    Err(other) => Err(other),
                }
            }
            Err(error) => Err(error),
        }
    }
}

/// Puts a value there; whether it was taken is not known.
pub(super) struct Put<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a [u8],
    /// Seconds.
    pub(super) expiry: u32,
}

impl Command for Put<'_> {
    type Answer = ();

    async fn run(&self, connection: &mut Connection) -> Result<()> {
        connection.set(self.key, self.value, self.expiry).await
    }
}
