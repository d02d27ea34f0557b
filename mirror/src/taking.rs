//! Which shards' windows are still to be taken from Redis, kept in a file: a node that is stopped or killed before it has them
//! goes on with that at its next start, although the points that came meanwhile have made files of those shards.

use skyline_core::file;
use skyline_core::shard::{ShardId, ShardSet};
use std::path::PathBuf;

/// The file stands while windows are being taken.
#[derive(Debug, Clone)]
pub struct Taking {
    path: PathBuf,
}

impl Taking {
    /// In the file at `path`; nothing is read or written yet.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The shards without files (`None` as their position), and those of an earlier run that did not come to its end.
    #[must_use]
    pub fn wanted(&self, files: &[(ShardId, Option<u64>)]) -> ShardSet {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let left = match text.trim() {
            "" => ShardSet::NONE,
            text => text.parse().unwrap_or(ShardSet::NONE),
        };
        let mut wanted = ShardSet::NONE;
        let of_them = files.iter().filter(|(shard, file)| file.is_none() || left.contains(*shard));
        of_them.for_each(|(shard, _)| wanted.insert(*shard));
        wanted
    }

    /// Notes what is wanted; nothing: it was taken, or is not to be.
    pub fn note(&self, wanted: ShardSet) {
        let outcome = if wanted == ShardSet::NONE {
            match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                other => other,
            }
        } else {
            let text: Vec<String> = wanted.iter().map(|shard| shard.0.to_string()).collect();
            file::replace(&self.path, format!("{}\n", text.join(",")).as_bytes(), true)
        };
        if let Err(error) = outcome {
            let path = self.path.display();
            tracing::warn!(%error, %path, "it cannot be noted which windows are to be taken from Redis");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_is_wanted_again() {
        let folder = tempfile::tempdir().unwrap();
        let taking = Taking::new(folder.path().join("taking"));
        let shards = |set: ShardSet| set.iter().map(|shard| shard.0).collect::<Vec<_>>();
        let mut files = vec![(ShardId(3), None), (ShardId(4), Some(9)), (ShardId(5), None)];
        let wanted = taking.wanted(&files);
        assert_eq!(shards(wanted), [3, 5]);
        taking.note(wanted);
        // Points made files of one of them, and another shard is this node's no more.
        files = vec![(ShardId(3), Some(1)), (ShardId(4), Some(9)), (ShardId(6), Some(2))];
        assert_eq!(shards(taking.wanted(&files)), [3]);
        taking.note(ShardSet::NONE);
        taking.note(ShardSet::NONE);
        assert_eq!(shards(taking.wanted(&files)), [0; 0]);
        std::fs::write(folder.path().join("taking"), "what?").unwrap();
        assert_eq!(shards(taking.wanted(&files)), [0; 0]);
    }
}
