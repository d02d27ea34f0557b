//! Which names are written, and which of them the set of all names surely holds.

use super::Options;
use skyline_core::batch::{Batch, Sample};
use skyline_core::name;
use skyline_core::reject::Reject;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A name is told to the set of all names again after so long, seconds: who trims may have taken it out.
const TOLD_FOR: f64 = 3_600.0;

/// What is known of a name, by its hash: two names with one hash of 64 bits do not meet in practice.
#[derive(Debug, Clone, Copy)]
enum Known {
    /// It is on the skip list.
    Skipped,
    /// It is written; the set was told at that time.
    Told(f64),
}

/// All names that were seen, to a bound.
#[derive(Debug)]
pub(super) struct Names {
    known: HashMap<u64, Known, foldhash::fast::RandomState>,
    written: usize,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { known: HashMap::default(), written: 0 }
    }

    /// Names that are written.
    pub(super) const fn len(&self) -> usize {
        self.written
    }

    /// The name of a point that is written, as the window would take it; with true when the set of all
    /// names is to be told of it.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn admit<'b>(
        &mut self,
        batch: &'b Batch,
        sample: &Sample,
        now: f64,
        options: &Options,
    ) -> Result<(&'b str, bool), Reject> {
        if sample.value.is_infinite() {
            return Err(Reject::Infinite);
        }
        if sample.ts > batch.received + options.max_future {
            return Err(Reject::Future);
        }
        if sample.ts <= now.max(batch.received) - options.kept_seconds() {
            return Err(Reject::Old);
        }
        let text = name::for_window(batch.name(sample))?;
        let is_full = self.written >= options.max_names;
        let has_room = self.known.len() < options.max_names.saturating_mul(2);
        match self.known.entry(sample.hash) {
            Entry::Occupied(mut known) => match known.get_mut() {
                Known::Skipped => Err(Reject::Skipped),
                Known::Told(at) if now - *at < TOLD_FOR && *at <= now => Ok((text, false)),
                Known::Told(at) => {
                    *at = now;
                    Ok((text, true))
                }
            },
            Entry::Vacant(place) => {
                let listed = |list: &[String]| list.iter().any(|entry| name::entry_matches(entry, text));
                if listed(&options.skip) && !listed(&options.keep) {
                    // Those on the list are searched for anew once there is no place for them.
                    if has_room {
                        place.insert(Known::Skipped);
                    }
                    return Err(Reject::Skipped);
                }
                if is_full {
                    return Err(Reject::MetricCap);
                }
                self.written += 1;
                place.insert(Known::Told(now));
                Ok((text, true))
            }
        }
    }

    /// The set may not hold the name any more.
    pub(super) fn untold(&mut self, hash: u64) {
        if matches!(self.known.get(&hash), Some(Known::Told(_))) {
            self.known.remove(&hash);
            self.written = self.written.saturating_sub(1);
        }
    }

    /// The set may hold none of them any more.
    pub(super) fn all_untold(&mut self) {
        for known in self.known.values_mut() {
            if let Known::Told(at) = known {
                *at = f64::NEG_INFINITY;
            }
        }
    }
}
