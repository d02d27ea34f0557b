//! Adopting: the windows that the reference, or an earlier node, has left in Redis.

use super::pair;
use super::stored::{self, Stored};
use crate::server::{Error, Pages, Server, What};
use redis::cmd;
use skyline_core::name;
use skyline_core::point::Datapoint;
use skyline_core::shard::name_hash;
use std::collections::HashSet;

/// Members of the set that are asked for at once.
const PAGE: usize = 500;

/// What was adopted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Names in the set when it began.
    pub names: u64,
    /// Windows that were given out.
    pub metrics: u64,
    /// Points in them.
    pub points: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Names without a key, or with one that holds no points.
    pub missing: u64,
    /// Names that no window can have, or that do not begin with the namespace.
    pub bad_names: u64,
    /// Keys that hold no window: of another type, too large, not msgpack.
    pub unreadable: u64,
    /// Keys of which some bytes were no points.
    pub damaged: u64,
    /// Pairs without a value.
    pub empty: u64,
}

/// Windows being adopted, some at a time.
#[derive(Debug)]
pub struct Adoption {
    server: Server,
    namespace: String,
    pages: Pages,
    /// Keys of the page that are not read yet.
    left: Vec<Vec<u8>>,
    seen: HashSet<u64, foldhash::fast::RandomState>,
    adopted: Adopted,
    warned: bool,
}

impl Adoption {
    /// Of the windows whose keys begin with `namespace`.
    #[must_use]
    pub fn new(server: Server, namespace: &str) -> Self {
        let pages = server.scan(What::Members(format!("{namespace}unique_metrics").into_bytes()));
        Self {
            server,
            namespace: namespace.to_owned(),
            pages,
            left: Vec::new(),
            seen: HashSet::default(),
            adopted: Adopted::default(),
            warned: false,
        }
    }

    /// What was adopted so far.
    #[must_use]
    pub const fn adopted(&self) -> Adopted {
        self.adopted
    }

    /// The next windows: names, and points sorted by time, of each time the last that was written. `None` after
    /// the last; a window comes once.
    ///
    /// # Errors
    /// Those of Redis; the next call goes on where this one failed.
    pub async fn next(&mut self) -> Result<Option<Vec<(String, Vec<Datapoint>)>>, Error> {
        if self.adopted.names == 0 {
            let set = format!("{}unique_metrics", self.namespace);
            self.adopted.names = self.server.query(cmd("SCARD").arg(set)).await?;
        }
        while self.left.is_empty() {
            let Some(page) = self.pages.next(PAGE).await? else { return Ok(None) };
            for key in page {
                if self.seen.insert(name_hash(&key)) {
                    self.left.push(key);
                }
            }
        }
        let found = stored::read(&self.server, &self.left).await?;
        let keys: Vec<_> = self.left.drain(..found.len().clamp(1, self.left.len())).collect();
        let mut windows = Vec::with_capacity(keys.len());
        for (key, stored) in keys.into_iter().zip(found) {
            windows.extend(self.window(&key, stored));
        }
        Ok(Some(windows))
    }

    /// The window in a key.
    fn window(&mut self, key: &[u8], stored: Stored) -> Option<(String, Vec<Datapoint>)> {
        let Some(name) = key.strip_prefix(self.namespace.as_bytes()).and_then(|n| name::for_window(n).ok())
        else {
            self.adopted.bad_names += 1;
            return None;
        };
        let bytes = match stored {
            Stored::Bytes(bytes) => bytes,
            Stored::Missing => {
                self.adopted.missing += 1;
                return None;
            }
            Stored::Unreadable(why) => {
                self.adopted.unreadable += 1;
                self.warn(name, &why);
                return None;
            }
        };
        let window = pair::decode(&bytes);
        self.adopted.bytes += bytes.len() as u64;
        self.adopted.empty += window.empty as u64;
        if window.damaged > 0 {
            self.warn(name, "it is not msgpack throughout");
        }
        match (window.points.is_empty(), window.damaged) {
            (true, 0) => self.adopted.missing += 1,
            (true, _) => self.adopted.unreadable += 1,
            (false, 0) => {}
            (false, _) => self.adopted.damaged += 1,
        }
        if window.points.is_empty() {
            return None;
        }
        self.adopted.metrics += 1;
        self.adopted.points += window.points.len() as u64;
        Some((name.to_owned(), window.points))
    }

    /// Tells of the first; the others are counted.
    fn warn(&mut self, metric: &str, why: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                metric,
                why,
                "a key in Redis cannot be read as a window; further ones are counted"
            );
        }
    }
}
