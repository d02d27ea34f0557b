//! Writing shards: what they hand out, many of them at once.

use super::keys::{Keys, field, hours, seconds_left};
use super::state::{Seen, State};
use super::task::{Options, Task};
use super::{Shards, Since};
use crate::server::Error;
use redis::{Pipeline, Value};
use skyline_core::shard::ShardId;
use skyline_store::chunk::{HandOut, Header, MARK_BYTES, read_header};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A shard that Redis refuses to take is tried again after so long, seconds.
const AGAIN: f64 = 60.0;
/// A shard whose part of a cluster does not answer is tried again after so long, seconds.
pub(super) const LATER: f64 = 5.0;
/// A clock that was set back by no more than this goes on from where it was, seconds.
const SET_BACK: f64 = 3_600.0;
/// Hand-outs are so far apart that the fields of their chunks are not the same, seconds.
const APART: f64 = 2e-3;

impl<S: Shards> Task<S> {
    /// Writes shards: what they have handed out before, if that is not yet in Redis, else what they hand out now.
    /// Those that are not asked for in time stay due.
    pub(super) async fn write(&mut self, indexes: &[usize]) -> Result<(), Error> {
        let now = self.options.clock.now();
        self.hand_out(indexes, now).await;
        let waiting: Vec<usize> = indexes
            .iter()
            .copied()
            .filter(|i| self.states.get(*i).is_some_and(|s| s.pending.is_some()))
            .collect();
        // All or nothing: what is removed must not be missing when the node or Redis is killed in between.
        let is_alone = |i: &usize| {
            self.server.is_cluster()
                || self.states.get(*i).and_then(|s| s.pending.as_ref()).is_some_and(|(out, _)| out.is_whole)
        };
        let (mut alone, together): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_alone);
        match self.send(&together, now).await {
            // One of them is in the way of the others.
            Err(Error::Command(_)) => alone.extend(together),
            other => other?,
        }
        self.send_each(&alone, now).await
    }

    /// Sends what waits of shards one by one: what is wrong with one is not in the way of the others.
    async fn send_each(&mut self, indexes: &[usize], now: f64) -> Result<(), Error> {
        let start = Instant::now();
        let mut outcome = Ok(());
        for index in indexes.iter().copied() {
            let Err(error) = self.send(&[index], now).await else { continue };
            let is_lasting = self.server.is_cluster() && start.elapsed() > self.server.timeout();
            let Some(state) = self.states.get_mut(index) else { continue };
            match error {
                // Whatever it is that stands under its keys, it is replaced.
                Error::Command(_) => state.write_all(now + AGAIN),
                // The part of a cluster that has its slot is away, others may be there.
                _ if self.server.is_cluster() && !is_lasting => state.due = now + LATER,
                error => return Err(error),
            }
            outcome = Err(error);
        }
        outcome
    }

    /// Asks shards for what is to be written, unless something waits.
    async fn hand_out(&mut self, indexes: &[usize], now: f64) {
        let asks: Vec<_> = indexes
            .iter()
            .filter_map(|index| self.states.get(*index))
            .filter(|state| state.pending.is_none())
            .map(|state| (state.shard, state.since))
            .collect();
        if asks.is_empty() {
            return;
        }
        let written_at = self.next_time(now);
        for (shard, _) in &asks {
            // Should the answer be lost, as the node stops meanwhile: nobody knows then what was handed out.
            if let Some(state) = self.of_shard(indexes, *shard) {
                state.since = Since::Nothing;
            }
        }
        let header = Header {
            writer: self.options.writer,
            written_at,
            position: 0,
            every: self.options.every,
            is_released: self.is_last_round,
            node: self.options.node.clone(),
        };
        let Some(handed_out) = self.shards.hand_out(asks.clone(), header).await else {
            // The windows have gone.
            self.states.iter_mut().for_each(|state| state.due = f64::INFINITY);
            return;
        };
        for (shard, since) in asks {
            if let Some(state) = self.of_shard(indexes, shard) {
                state.since = since;
            }
        }
        let (next, is_last) = (now + self.options.every, self.is_last_round);
        for (shard, out) in handed_out {
            let Some(state) = self.of_shard(indexes, shard) else { continue };
            state.since = Since::Last;
            if out.series == 0 && state.is_empty {
                state.due = next;
                state.is_released = is_last;
            } else {
                state.pending = Some((out, written_at));
            }
        }
    }

    fn of_shard(&mut self, indexes: &[usize], shard: ShardId) -> Option<&mut State> {
        let of_it =
            indexes.iter().copied().find(|i| self.states.get(*i).is_some_and(|s| s.shard == shard))?;
        self.states.get_mut(of_it)
    }

    /// The time of a hand-out: no two have the same, and a clock that is set back does not make new ones older.
    fn next_time(&mut self, now: f64) -> f64 {
        let last = self.handed_out_at;
        let is_back = now < last + APART && now > last - SET_BACK;
        self.handed_out_at = if is_back { last + APART } else { now };
        self.handed_out_at
    }

    /// Of some shards those whose marks are what was written last, or what waits: an answer that is lost could not tell later
    /// that Redis had lost the others before. They are written anew.
    async fn still_there(&mut self, indexes: &[usize], now: f64) -> Result<Vec<usize>, Error> {
        let mut pipeline = Pipeline::new();
        let (mut there, mut asked) = (Vec::with_capacity(indexes.len()), Vec::with_capacity(indexes.len()));
        for index in indexes.iter().copied() {
            let Some(state) = self.states.get(index) else { continue };
            let is_whole = state.pending.as_ref().is_none_or(|(out, _)| out.is_whole);
            if is_whole || state.mark.is_none() {
                there.push(index);
                continue;
            }
            let keys = Keys::new(&self.options.prefix, state.shard);
            pipeline.cmd("GETRANGE").arg(keys.open()).arg(0).arg(MARK_BYTES - 1);
            asked.push(index);
        }
        for (index, outcome) in asked.into_iter().zip(self.server.run_each(&pipeline).await?) {
            let found = match outcome {
                Ok(Value::BulkString(found)) => found,
                Err(error) if error.is_general() => return Err(error),
                _ => Vec::new(),
            };
            let Some(state) = self.states.get_mut(index) else { continue };
            if state.see(&found, self.options.writer) == Seen::AsWritten {
                there.push(index);
            } else {
                // Whatever removed this shard has most likely removed others too.
                self.told.lost.fetch_add(1, Ordering::Relaxed);
                state.write_all(now);
                self.looked_on = 0;
            }
        }
        Ok(there)
    }

    /// Sends what waits of shards.
    async fn send(&mut self, indexes: &[usize], now: f64) -> Result<(), Error> {
        let indexes = &*self.still_there(indexes, now).await?;
        let mut pipeline = Pipeline::new();
        let mut places = Vec::with_capacity(indexes.len());
        if let [index] = indexes
            && self.states.get(*index).and_then(|s| s.pending.as_ref()).is_some_and(|(out, _)| out.is_whole)
        {
            pipeline.atomic();
        }
        for index in indexes {
            let Some(state) = self.states.get(*index) else { continue };
            let Some((out, handed_out_at)) = &state.pending else { continue };
            commands(&mut pipeline, state, out, *handed_out_at, now, &self.options);
            places.push((*index, pipeline.len() - 2));
        }
        if places.is_empty() {
            return Ok(());
        }
        let answers = self.server.run(&pipeline).await?;
        for (index, place) in places {
            let found = match answers.get(place) {
                Some(Value::BulkString(found)) => found.as_slice(),
                _ => &[],
            };
            self.wrote(index, found, now);
        }
        Ok(())
    }

    /// Redis has what waited of a shard. `found`: the mark that stood there before.
    fn wrote(&mut self, index: usize, found: &[u8], now: f64) {
        let Some(state) = self.states.get_mut(index) else { return };
        let Some((out, handed_out_at)) = state.pending.take() else { return };
        self.told.wrote(&out);
        let is_released = read_header(&out.open).is_ok_and(|header| header.is_released);
        // What stood there is what this run wrote last, or this very write, of which the answer was lost.
        let was_there = state.mark.is_none_or(|mark| found == mark || found == out.mark);
        let keep = self.options.keep;
        for (hour, _) in &out.blocks {
            if !state.hours.contains(hour) {
                state.hours.push(*hour);
            }
        }
        state.hours.retain(|hour| hours(now, keep).contains(hour));
        state.is_empty = out.series == 0;
        state.mark = (!state.is_empty).then_some(out.mark);
        state.written_at = Some(handed_out_at);
        state.due = now + self.options.every;
        state.is_released = self.is_last_round && was_there && is_released;
        if !was_there {
            // Whatever removed this shard has most likely removed others too.
            self.told.lost.fetch_add(1, Ordering::Relaxed);
            state.write_all(now);
            self.looked_on = 0;
        }
    }
}

/// Adds the commands that write a shard; the answer of the last but one is the mark that stood there before.
fn commands(
    pipeline: &mut Pipeline,
    state: &State,
    out: &HandOut,
    handed_out_at: f64,
    now: f64,
    options: &Options,
) {
    let keys = Keys::new(&options.prefix, state.shard);
    if out.is_whole {
        let unlink = pipeline.cmd("UNLINK");
        for hour in hours(now, options.keep) {
            unlink.arg(keys.blocks(hour));
        }
    }
    for (hour, chunk) in &out.blocks {
        let key = keys.blocks(*hour);
        pipeline.cmd("HSET").arg(&key).arg(field(handed_out_at)).arg(chunk.as_slice());
        if out.is_whole || !state.hours.contains(hour) {
            pipeline.cmd("EXPIRE").arg(&key).arg(seconds_left(*hour, now, options.keep));
        }
    }
    pipeline.cmd("GETRANGE").arg(keys.open()).arg(0).arg(MARK_BYTES - 1);
    if out.series == 0 {
        pipeline.cmd("UNLINK").arg(keys.open());
    } else {
        let open = pipeline.cmd("SET").arg(keys.open()).arg(out.open.as_slice());
        open.arg("EX").arg(options.keep.ceil() as u64);
    }
}
