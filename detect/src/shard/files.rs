//! Windows that come from a shard's files, go to them, and end.

use super::{CHUNK, Shards};
use crate::tracked::Tracked;
use skyline_core::name;
use skyline_core::shard::{ShardId, name_hash};
use skyline_store::snapshot::{Error, Saved, ShardFile};

impl Shards {
    /// Takes over a series of a snapshot.
    pub fn restore(&mut self, saved: Saved) {
        let hash = name_hash(saved.name.as_bytes());
        let never = self.options.never_counters.iter().any(|entry| name::entry_matches(entry, &saved.name));
        self.place(Tracked::restored(&saved.name, hash, never, &saved.state, saved.window));
    }

    /// Removes what has become too old from the windows of a shard, then its empty metrics, and
    /// writes the others to its files. `position`: everything before it is in the windows.
    ///
    /// # Errors
    /// The files cannot be written; the older ones stand.
    pub fn save(
        &mut self,
        shard: ShardId,
        now: f64,
        position: u64,
        file: &mut ShardFile,
    ) -> Result<(), Error> {
        self.expire(shard, now);
        let Some(slots) = self.by_shard.get(usize::from(shard.0)) else { return Ok(()) };
        if slots.is_empty() {
            file.remove();
            return Ok(());
        }
        let (mut writer, mut buffer) = (file.writer(), Vec::new());
        for slot in slots {
            let place =
                self.series.get_mut(*slot as usize / CHUNK).and_then(|c| c.get_mut(*slot as usize % CHUNK));
            if let Some(series) = place {
                series.save(&mut writer, &mut buffer);
            }
        }
        writer.finish(position)
    }

    fn expire(&mut self, shard: ShardId, now: f64) {
        let Some(list) = self.by_shard.get_mut(usize::from(shard.0)) else { return };
        let slots = std::mem::take(list);
        let mut kept = Vec::with_capacity(slots.len());
        for slot in slots {
            let place =
                self.series.get_mut(slot as usize / CHUNK).and_then(|c| c.get_mut(slot as usize % CHUNK));
            let Some(series) = place else { continue };
            series.expire(now, &self.context);
            if series.window.is_empty() {
                self.index.remove(series.hash, slot);
                *series = Tracked::new("", 0, false);
                self.histories.remove(&slot);
                self.free.push(slot);
            } else {
                kept.push(slot);
            }
        }
        if let Some(list) = self.by_shard.get_mut(usize::from(shard.0)) {
            *list = kept;
        }
    }

    /// Removes one metric; says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let hash = name_hash(name.as_bytes());
        let found = self.index.find(hash, |slot| self.at(slot).is_some_and(|s| &*s.name == name));
        let Some(slot) = found else { return false };
        self.index.remove(hash, slot);
        if let Some(list) = self.by_shard.get_mut(usize::from(ShardId::of_hash(hash).0)) {
            list.retain(|s| *s != slot);
        }
        if let Some(series) = self.at_mut(slot) {
            *series = Tracked::new("", 0, false);
        }
        self.histories.remove(&slot);
        self.free.push(slot);
        true
    }
}
