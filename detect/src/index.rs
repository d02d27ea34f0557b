//! Name hash to slot: an open table with linear probing, made for batched look-ups.
//!
//! The table keeps the whole 64-bit hash, so that it can grow without touching the series; the
//! caller compares names, since two names may share a hash.

use crate::prefetch;

/// One place of the table.
#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    /// Slot + 1; 0: free.
    slot: u32,
}

const FREE: Entry = Entry { hash: 0, slot: 0 };

/// Hash to slot.
#[derive(Debug, Default)]
pub struct Index {
    entries: Vec<Entry>,
    used: usize,
}

impl Index {
    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.used
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Bytes of the table.
    #[must_use]
    pub const fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// The low bits of the hash chose the shard; these choose the place.
    fn home(&self, hash: u64) -> usize {
        (hash >> 20) as usize & (self.entries.len().wrapping_sub(1))
    }

    /// Asks for the memory that [`Index::find`] of `hash` will read.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if let Some(entry) = self.entries.get(self.home(hash)) {
            prefetch::item(entry);
        }
    }

    /// The slot of the entry with this hash for which `is_it` holds.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let entry = self.entries.get(at)?;
            if entry.slot == 0 {
                return None;
            }
            if entry.hash == hash && is_it(entry.slot - 1) {
                return Some(entry.slot - 1);
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
    }

    /// Adds an entry that is not there yet.
    pub fn insert(&mut self, hash: u64, slot: u32) {
        if (self.used + 1) * 4 > self.entries.len() * 3 {
            let doubled = (self.entries.len() * 2).max(64);
            let old = std::mem::replace(&mut self.entries, vec![FREE; doubled]);
            for entry in old.into_iter().filter(|e| e.slot != 0) {
                self.place(entry);
            }
        }
        self.place(Entry { hash, slot: slot + 1 });
        self.used += 1;
    }

    fn place(&mut self, new: Entry) {
        let mut at = self.home(new.hash);
        while let Some(entry) = self.entries.get_mut(at) {
            if entry.slot == 0 {
                *entry = new;
                return;
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
    }

    /// Removes the entry with this hash and slot; later entries of its run move up.
    pub fn remove(&mut self, hash: u64, slot: u32) {
        let mask = self.entries.len().wrapping_sub(1);
        let mut at = self.home(hash);
        loop {
            match self.entries.get(at) {
                Some(e) if e.slot == slot + 1 && e.hash == hash => break,
                Some(e) if e.slot != 0 => at = (at + 1) & mask,
                _ => return,
            }
        }
        self.used -= 1;
        let mut hole = at;
        loop {
            at = (at + 1) & mask;
            let Some(entry) = self.entries.get(at).copied().filter(|e| e.slot != 0) else { break };
            // An entry may move into the hole unless its home lies cyclically after the hole.
            let home = self.home(entry.hash);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                if let Some(place) = self.entries.get_mut(hole) {
                    *place = entry;
                }
                hole = at;
            }
        }
        if let Some(place) = self.entries.get_mut(hole) {
            *place = FREE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn an_index_is_a_map(acts in prop::collection::vec((any::<bool>(), 0_u64..200), 0..600)) {
            let mut index = Index::default();
            let mut model: HashMap<u64, u32> = HashMap::new();
            // Few homes, so that runs are long and wrap around.
            let spread = |key: u64| (key % 7) << 20 | key << 40 | 0xfff << 20;
            for (i, (add, key)) in acts.into_iter().enumerate() {
                let hash = spread(key);
                if add && !model.contains_key(&hash) {
                    index.insert(hash, i as u32);
                    model.insert(hash, i as u32);
                } else if let Some(slot) = model.remove(&hash) {
                    index.remove(hash, slot);
                }
                prop_assert_eq!(index.len(), model.len());
            }
            for key in 0..200 {
                let hash = spread(key);
                prop_assert_eq!(index.find(hash, |_| true), model.get(&hash).copied());
            }
        }
    }
}
