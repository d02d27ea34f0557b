//! Windows that come from a shard's files or from elsewhere, go there, and end.

use super::{AHEAD, CHUNK, Shards};
use crate::prefetch;
use crate::tracked::Tracked;
use skyline_core::name;
use skyline_core::reject::Reject;
use skyline_core::shard::{ShardId, name_hash};
use skyline_store::chunk::{Chunks, Whole};
use skyline_store::snapshot::{Error, Saved, ShardFile};

impl Shards {
    /// Takes over a series of a snapshot. Series lie in the order of these calls; it should be that of their
    /// ranks, in which their first points came. Senders keep to theirs: what they send together lies together,
    /// where fetching it costs half as much as elsewhere.
    pub fn restore(&mut self, saved: Saved<'_>) {
        let hash = name_hash(saved.name.as_bytes());
        let never = self.options.never_counters.iter().any(|entry| name::entry_matches(entry, saved.name));
        let slot =
            self.push(Tracked::restored(saved.name, hash, saved.rank, never, saved.state, saved.window));
        self.enlist(hash, slot);
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
        let Some(list) = self.by_shard.get_mut(usize::from(shard.0)) else { return Ok(()) };
        let mut slots = std::mem::take(list);
        // In the order in which they lie, for who reads the files and for this walk.
        slots.sort_unstable();
        // What is gone would come back from the journal if nothing said how far the shard is.
        let is_needed = file.is_there() || self.had_series.get(usize::from(shard.0)).is_some_and(|had| *had);
        let mut buffers = std::mem::take(&mut self.buffers);
        let (mut writer, mut state) = (file.writer(&mut buffers), Vec::new());
        let mut kept = Vec::with_capacity(slots.len());
        for (i, slot) in slots.iter().copied().enumerate() {
            if let Some(series) = slots.get(i + 2 * AHEAD).and_then(|slot| self.at(*slot)) {
                prefetch::item(series);
            }
            if let Some(series) = slots.get(i + AHEAD).and_then(|slot| self.at(*slot)) {
                series.fetch_all();
            }
            let place =
                self.series.get_mut(slot as usize / CHUNK).and_then(|c| c.get_mut(slot as usize % CHUNK));
            let Some(series) = place else { continue };
            series.expire(now, &self.context);
            if series.window.is_empty() {
                self.index.remove(series.hash, slot);
                *series = Tracked::new("", 0, 0, false);
                self.histories.remove(&slot);
                self.free.push(slot);
            } else {
                series.save(slot, &mut writer, &mut state);
                kept.push(slot);
            }
        }
        let outcome = if is_needed { writer.finish(position) } else { Ok(()) };
        self.buffers = buffers;
        if let Some(list) = self.by_shard.get_mut(usize::from(shard.0)) {
            *list = kept;
        }
        outcome
    }

    /// Adds the series of a shard to what is handed out of it.
    pub fn hand_out(&mut self, shard: ShardId, chunks: &mut Chunks) {
        let Some(list) = self.by_shard.get(usize::from(shard.0)) else { return };
        let slots = list.clone();
        for (i, slot) in slots.iter().copied().enumerate() {
            if let Some(series) = slots.get(i + 2 * AHEAD).and_then(|slot| self.at(*slot)) {
                prefetch::item(series);
            }
            if let Some(series) = slots.get(i + AHEAD).and_then(|slot| self.at(*slot)) {
                series.fetch_all();
            }
            if let Some(series) = self.at_mut(slot) {
                series.hand_out(slot, chunks);
            }
        }
    }

    /// Forgets which copy a shard's blocks are in.
    pub fn forget_copies(&mut self, shard: ShardId) {
        let slots = self.by_shard.get(usize::from(shard.0)).cloned().unwrap_or_default();
        for slot in slots {
            if let Some(series) = self.at_mut(slot) {
                series.window.forget_copies();
            }
        }
    }

    /// Takes over a series from elsewhere. Points that are here already stay as they are; older and missing
    /// ones join them. `now`: what is too old then is left out.
    ///
    /// # Errors
    /// Why it is not taken: its name, a list of the settings, another node's shard, or there are too many.
    pub fn adopt(&mut self, whole: Whole, now: f64) -> Result<(), Reject> {
        let text = name::for_window(whole.name.as_bytes())?;
        let hash = name_hash(text.as_bytes());
        if !self.owns(ShardId::of_hash(hash)) {
            return Err(Reject::Skipped);
        }
        let mut window = whole.window;
        window.evict(now - self.context.settings.full_duration - self.context.grace);
        let state = whole.counter_until.to_bits().to_le_bytes();
        let never = self.options.never_counters.iter().any(|entry| name::entry_matches(entry, text));
        let found = self.index.find(hash, |slot| self.at(slot).is_some_and(|series| &*series.name == text));
        let Some(slot) = found else {
            if window.is_empty() {
                return Ok(());
            }
            if self.is_skipped(text) {
                return Err(Reject::Skipped);
            }
            if self.index.len() >= self.options.max_metrics {
                return Err(Reject::MetricCap);
            }
            let slot = match self.free.pop() {
                Some(slot) => {
                    if let Some(place) = self.at_mut(slot) {
                        *place = Tracked::restored(text, hash, slot, never, &state, window);
                    }
                    slot
                }
                None => self.push(Tracked::restored(text, hash, self.end(), never, &state, window)),
            };
            self.enlist(hash, slot);
            return Ok(());
        };
        let chunk = self.series.get_mut(slot as usize / CHUNK);
        if let Some(series) = chunk.and_then(|chunk| chunk.get_mut(slot as usize % CHUNK)) {
            let here = series.window.view(&mut self.context.columns);
            for (ts, value) in here.ts.iter().zip(here.values) {
                window.push(*ts, *value, &mut self.context.sealer);
            }
            *series = Tracked::restored(text, hash, slot, never, &state, window);
        }
        Ok(())
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
            *series = Tracked::new("", 0, 0, false);
        }
        self.histories.remove(&slot);
        self.free.push(slot);
        true
    }
}
