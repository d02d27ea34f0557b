//! Windows that come from a shard's files or from elsewhere, go there, and end.

use super::{AHEAD, CHUNK, Shards};
use crate::prefetch;
use crate::tracked::Tracked;
use skyline_core::name;
use skyline_core::reject::Reject;
use skyline_core::shard::{ShardId, name_hash};
use skyline_store::chunk::{Chunks, Whole};
use skyline_store::snapshot::{Error, Saved, ShardFile};
use skyline_store::window::Window;

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
        let never = self.options.never_counters.iter().any(|entry| name::entry_matches(entry, text));
        let found = self.index.find(hash, |slot| self.at(slot).is_some_and(|series| &*series.name == text));
        if window.is_empty() {
            return Ok(());
        }
        let here = found.and_then(|slot| self.at(slot));
        let kept = here.map_or(whole.kept, |series| {
            series.kept().with(whole.kept, series.window.last_ts() >= window.last_ts())
        });
        let state = kept.pack().to_bits().to_le_bytes();
        let Some(slot) = found else {
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
        self.join(slot, text, hash, &state, window);
        Ok(())
    }

    /// Puts what a series lacks from `other` into its window; its own points stay as they are.
    fn join(&mut self, slot: u32, text: &str, hash: u64, state: &[u8], mut other: Window) {
        let chunk = self.series.get_mut(slot as usize / CHUNK);
        let Some(series) = chunk.and_then(|chunk| chunk.get_mut(slot as usize % CHUNK)) else { return };
        let (columns, sealer) = (&mut self.context.columns, &mut self.context.sealer);
        let here = series.window.view(columns);
        let here: Vec<(f64, f64)> = std::iter::zip(here.ts, here.values).map(|(t, v)| (*t, *v)).collect();
        let is_older = here.first().is_none_or(|(first, _)| other.last_ts() < *first);
        let lacks = {
            let there = other.view(columns);
            there.ts.iter().any(|ts| here.binary_search_by(|point| point.0.total_cmp(ts)).is_err())
        };
        if !lacks {
            return;
        }
        if is_older {
            // Its blocks stay, and are known to be where they came from.
            for (ts, value) in here {
                other.push(ts, value, sealer);
            }
        } else {
            let there = other.view(columns);
            let mut points: Vec<(f64, f64)> =
                std::iter::zip(there.ts, there.values).map(|(t, v)| (*t, *v)).collect();
            points.extend(here);
            // Stable: of equal times the one that was here is behind the other, and wins.
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            other = Window::default();
            for (ts, value) in points {
                other.push(ts, value, sealer);
            }
        }
        let never = self.options.never_counters.iter().any(|entry| name::entry_matches(entry, text));
        *series = Tracked::restored(text, hash, slot, never, state, other);
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
