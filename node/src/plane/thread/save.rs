//! Saving: shards in turn, by the clock, by the points that came, or because they hold back too much of
//! the journal; and the thread's own state.

use super::Thread;
use crate::plane::state::State;
use skyline_core::shard::ShardId;
use skyline_store::snapshot::Error;

/// Shards saved at most before the thread looks after points again.
const SAVES: u64 = 16;
/// Points after which every shard has been saved once, unless anomalies wait for the record: after a crash so
/// many are read again.
const SAVE_ALL_EVERY: u64 = 60_000_000;
/// Share of the journal's budget that windows hold back before they are saved out of turn.
const HELD_SHARE: f64 = 0.5;
/// How often that is looked at, seconds.
const LOOK_EVERY: f64 = 0.1;

impl Thread {
    pub(super) fn save_state(&mut self) {
        let counters = self.parts.shards.counters();
        let mut refused = self.past.refused;
        refused.merge(&counters.refused);
        let state = State {
            thread: self.parts.number as u16,
            threads: self.parts.threads,
            judged: self.position,
            counted: self.counted.max(self.held_through),
            hold: self.hold(),
            stored: self.past.stored + counters.stored,
            refused: refused.iter().map(|(r, n)| (r.label().to_owned(), n)).collect(),
        };
        if let Err(error) = state.save(&self.parts.dir, self.parts.sync) {
            self.save_failed(&error);
        }
    }

    fn hold(&self) -> u64 {
        self.saved.iter().map(|s| s.position).min().unwrap_or(self.position)
    }

    fn save_failed(&mut self, error: &Error) {
        self.save_errors += 1;
        let now = self.parts.clock.now();
        if !(0.0..60.0).contains(&(now - self.save_failed_at)) {
            tracing::error!(%error, "windows cannot be saved; the journal keeps what is needed to restore them");
        }
        self.save_failed_at = now;
    }

    /// Saves the next shards when their time has come: by the clock, or by the points that came.
    pub(super) fn save_due(&mut self, now: f64) {
        // A clock that was set back does not put saving off.
        self.saved_at = self.saved_at.min(now);
        let shards = self.saved.len().max(1) as u64;
        let by_time = (now - self.saved_at) * shards as f64 / self.parts.snapshot_seconds;
        let by_points = self.points_since_save * shards / SAVE_ALL_EVERY;
        let due = (by_time as u64).max(by_points).max(self.pressed(now)).min(SAVES);
        let backing_off = (0.0..1.0).contains(&(now - self.save_failed_at));
        let waits = due == 0 && self.out_of_turn.is_empty();
        if waits || backing_off || !self.unrecorded.is_empty() || !self.held.is_empty() {
            return;
        }
        for _ in 0..SAVES {
            let Some(index) = self.out_of_turn.pop() else { break };
            if !self.save_at(index, now) {
                return self.out_of_turn.push(index);
            }
        }
        if due == 0 {
            return;
        }
        self.points_since_save = 0;
        self.saved_at = now;
        for _ in 0..due {
            self.save_next(now);
        }
    }

    /// Shards to be saved because what they hold back takes too much of the journal's budget.
    fn pressed(&mut self, now: f64) -> u64 {
        if !(0.0..LOOK_EVERY).contains(&(now - self.looked_at)) {
            self.looked_at = now;
            self.is_pressed = self.parts.reader.held_share() > HELD_SHARE;
        }
        if self.is_pressed { SAVES } else { 0 }
    }

    /// Saves a shard as soon as that may be: at once, unless an anomaly is still to be recorded.
    pub(super) fn save_out_of_turn(&mut self, shard: ShardId) {
        self.wish_to_save(shard);
        self.save_due(self.parts.clock.now());
    }

    /// Puts a shard before those that are saved in turn.
    pub(super) fn wish_to_save(&mut self, shard: ShardId) {
        if let Some(index) = self.saved.iter().position(|saved| saved.shard == shard)
            && !self.out_of_turn.contains(&index)
        {
            self.out_of_turn.push(index);
        }
    }

    pub(super) fn save_next(&mut self, now: f64) {
        if self.next_save == 0 {
            self.save_state();
        }
        let index = self.next_save;
        self.next_save = (index + 1) % self.saved.len().max(1);
        self.save_at(index, now);
    }

    /// Saves one shard; whether that went well.
    fn save_at(&mut self, index: usize, now: f64) -> bool {
        let position = self.held_through;
        // Windows end by the time of what they hold: neither a clock that is days ahead for a moment nor
        // points that wait after a long stop may cost what is still to be judged.
        let now = now.min(self.parts.shards.newest());
        let Some(saved) = self.saved.get_mut(index) else { return true };
        let outcome = self.parts.shards.save(saved.shard, now, position, &mut saved.file);
        match &outcome {
            Ok(()) => {
                saved.position = position;
                let hold = self.hold();
                self.parts.reader.hold(hold);
            }
            Err(error) => self.save_failed(error),
        }
        outcome.is_ok()
    }
}
