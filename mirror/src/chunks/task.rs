//! The task that keeps the copy: looks at what Redis has, takes windows from it, writes shards in turn.

use super::adopt;
use super::keys::Keys;
use super::state::{Seen, State};
use super::told::Told;
use super::write::LATER;
use super::{Shards, Since};
use crate::reference;
use crate::server::{Error, Server};
use crate::taking::Taking;
use redis::cmd;
use skyline_core::clock::Clock;
use skyline_core::shard::ShardSet;
use skyline_store::chunk::{Header, MARK_BYTES};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Longest pause before the task looks whether a shard is due, or Redis is back.
const PAUSE: Duration = Duration::from_millis(250);
/// Pause after Redis has refused something, and somebody has to act.
const LONG_PAUSE: Duration = Duration::from_secs(5);
/// Bytes of an open chunk that hold its header: mark, two more numbers, and the node's name.
const HEADER_BYTES: usize = MARK_BYTES + 10 + 255;
/// A shard is written in one of so many turns.
const TURNS: f64 = 64.0;
/// Shards of a turn at most.
const AT_ONCE: usize = 64;
/// A shard that another node writes is taken over when that has missed so many of its turns.
const MISSED: f64 = 1.5;
/// However long another node says that its turns are, seconds.
const LONGEST_TURN: f64 = 86_400.0;
/// The part of a cluster that is away at the start is waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Series that are given to the windows at once.
const SERIES_AT_ONCE: usize = 64;
/// Writes of a shard at most when the node stops.
const MOST_TRIES: usize = 5;
/// Pause before the only further attempt to write the last of the windows.
const CONNECT_ANEW: Duration = Duration::from_millis(1_100);
/// Stands for what is no chunk.
const NO_CHUNK: &[u8] = b"?";

/// What is copied, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Beginning of all keys.
    pub prefix: String,
    /// Beginning of the keys of Skyline's windows, which are taken over where there are no others.
    pub namespace: String,
    /// Every shard is written once in so many seconds.
    pub every: f64,
    /// Points that are so much older are of no use, seconds.
    pub keep: f64,
    /// The node's name, for others to read.
    pub node: String,
    /// The node's own number: the same after a restart, another for each node.
    pub writer: u64,
    /// Take windows that the node lacks.
    pub adopt: bool,
    /// Where the journal ended when the node started: a copy that is further is of a journal that is gone.
    pub journal_end: u64,
    /// Whose windows are still to be taken.
    pub taking: Taking,
    /// The time.
    pub clock: Clock,
}

pub(super) struct Task<S> {
    pub(super) server: Server,
    pub(super) shards: Arc<S>,
    pub(super) options: Options,
    pub(super) told: Arc<Told>,
    pub(super) states: Vec<State>,
    /// Number of the connection on which all shards were last looked at.
    pub(super) looked_on: u64,
    pub(super) is_last_round: bool,
    /// The time of the last hand-out, seconds.
    pub(super) handed_out_at: f64,
}

/// Runs until `stop`, then writes what the windows have become by then; `abort` ends that.
pub async fn run<S: Shards>(
    server: Server,
    shards: Arc<S>,
    options: Options,
    told: Arc<Told>,
    (stop, abort): (CancellationToken, CancellationToken),
) {
    let mut task = Task {
        server,
        shards,
        options,
        told,
        states: Vec::new(),
        looked_on: 0,
        is_last_round: false,
        handed_out_at: f64::NEG_INFINITY,
    };
    let running = async {
        task.begin().await;
        task.keep_up().await;
    };
    if stop.run_until_cancelled(running).await.is_none() {
        abort.run_until_cancelled(task.last_round()).await;
    }
}

impl<S: Shards> Task<S> {
    /// Waits for the windows and for Redis, looks at every shard, and takes over what is wanted.
    async fn begin(&mut self) {
        let files = loop {
            match self.shards.files() {
                Some(files) => break files,
                None => tokio::time::sleep(PAUSE).await,
            }
        };
        self.told.set_shards(files.len());
        let wanted = if self.options.adopt { self.options.taking.wanted(&files) } else { ShardSet::NONE };
        self.options.taking.note(wanted);
        let new = |(shard, file)| State::new(shard, file, wanted.contains(shard));
        self.states = files.into_iter().map(new).collect();
        self.told.set_adopting(wanted.iter().count() as u64);
        let start = Instant::now();
        loop {
            self.look_at_all().await;
            let (mut looked_at, mut left) = (0, 0);
            for index in 0..self.states.len() {
                while let Err(error) = self.adopt(index).await {
                    self.pause(&error).await;
                    if self.server.is_cluster() {
                        break;
                    }
                }
                let is_looked_at = self.states.get(index).is_some_and(|state| state.is_looked_at);
                looked_at += usize::from(is_looked_at);
                left += usize::from(!is_looked_at || self.states.get(index).is_some_and(|s| s.adopts));
            }
            // The others are taken when their part of the cluster is back.
            let is_late = self.server.is_cluster() && start.elapsed() > PATIENCE && looked_at > 0;
            if left == 0 || is_late {
                break;
            }
        }
        self.take_from_the_reference().await;
        if !self.states.iter().any(|state| state.adopts || !state.is_looked_at) {
            self.options.taking.note(ShardSet::NONE);
        }
        self.told.set_begun();
        self.spread();
    }

    /// Takes windows of shards that neither this node nor Redis by this layout has from Skyline's keys, if there are any.
    async fn take_from_the_reference(&mut self) {
        if !self.options.adopt {
            return;
        }
        let mut wanted = ShardSet::NONE;
        for state in self.states.iter().filter(|state| state.awaits_reference) {
            wanted.insert(state.shard);
        }
        if wanted != ShardSet::NONE {
            let Self { server, shards, told, options, .. } = self;
            reference::take_over(server, &options.namespace, wanted, &**shards, told).await;
        }
        for state in self.states.iter_mut().filter(|state| state.awaits_reference) {
            (state.awaits_reference, state.has_taken) = (false, true);
        }
    }

    /// Shards that are not due at once get their turns one after the other.
    fn spread(&mut self) {
        let (now, every) = (self.options.clock.now(), self.options.every);
        let all = self.states.len().max(1) as f64;
        for (i, state) in self.states.iter_mut().enumerate() {
            if state.since == Since::Restored && state.other.is_none() && state.is_looked_at {
                state.due = now + every * (i as f64 / all);
            }
        }
    }

    async fn keep_up(&mut self) {
        let mut told: Option<Instant> = None;
        loop {
            let now = self.options.clock.now();
            if told.is_none_or(|told| told.elapsed() >= PAUSE) {
                self.tell(now);
                told = Some(Instant::now());
            }
            if self.server.connection() != self.looked_on {
                self.look_at_all().await;
            }
            let next = self.states.iter().map(|state| state.due).fold(f64::INFINITY, f64::min);
            if next.is_infinite() {
                return;
            }
            if next > now {
                let pause = Duration::from_secs_f64((next - now).min(PAUSE.as_secs_f64()));
                tokio::time::sleep(pause).await;
                continue;
            }
            if let Err(error) = self.turn(now).await {
                self.pause(&error).await;
            }
        }
    }

    /// The turn of all shards that are due, and of some that soon will be: asking for many at once costs little more
    /// than asking for one.
    async fn turn(&mut self, now: f64) -> Result<(), Error> {
        let soon = now + self.options.every / TURNS;
        let mut due: Vec<(f64, usize)> = self
            .states
            .iter()
            .enumerate()
            .filter(|(_, state)| state.due <= soon)
            .map(|(index, state)| (state.due, index))
            .collect();
        due.sort_by(|a, b| a.0.total_cmp(&b.0));
        due.truncate(AT_ONCE);
        let mut own = Vec::with_capacity(due.len());
        let start = Instant::now();
        for (due, index) in due {
            let Some(state) = self.states.get(index) else { continue };
            let is_ready = state.other.is_none() && state.is_looked_at && !state.adopts;
            if !is_ready && due <= now {
                let is_lasting = start.elapsed() > self.server.timeout();
                match self.look_again(index).await {
                    Ok(()) => {}
                    Err(Error::Away(_)) if self.server.is_cluster() && !is_lasting => self.put_off(index),
                    Err(error) => {
                        self.put_off(index);
                        return Err(error);
                    }
                }
            }
            if is_ready {
                own.push(index);
            }
        }
        self.write(&own).await
    }

    /// Looks at a shard that is not yet this node's to write, and takes what it lacks.
    async fn look_again(&mut self, index: usize) -> Result<(), Error> {
        self.look(index).await?;
        if self.states.get(index).is_some_and(|state| state.other.is_none()) {
            self.adopt(index).await?;
        }
        Ok(())
    }

    /// A shard whose part of a cluster is away is looked at later.
    fn put_off(&mut self, index: usize) {
        let later = self.options.clock.now() + LATER;
        if let Some(state) = self.states.get_mut(index) {
            state.due = later;
        }
    }

    async fn pause(&self, error: &Error) {
        let is_refused = matches!(error, Error::Refused { .. } | Error::Full(_) | Error::Command(_));
        if is_refused {
            self.told.set_note(Some(error.to_string()));
        }
        tokio::time::sleep(if is_refused { LONG_PAUSE } else { PAUSE }).await;
    }

    fn tell(&self, now: f64) {
        let late = self.options.every.min(60.0);
        let behind = self.states.iter().filter(|s| s.other.is_none() && s.due + late < now).count();
        let others = self.states.iter().filter(|s| s.other.is_some()).count();
        let oldest = self.states.iter().filter_map(|s| s.written_at).fold(f64::INFINITY, f64::min);
        let oldest = if oldest.is_finite() { oldest } else { 0.0 };
        self.told.set_behind(behind as u64, oldest, others as u64);
        let other = self.states.iter().find_map(|s| s.other.as_ref());
        let note = other.map(|header| {
            left_alone(others, self.states.len(), header, (self.options.writer, &self.options.node))
        });
        self.told.set_others(note);
    }

    /// Looks at every shard, for as long as that takes; of a cluster, at those that are not away.
    async fn look_at_all(&mut self) {
        let mut connection = self.server.connection();
        let mut index = 0;
        let mut away = Duration::ZERO;
        self.states.iter_mut().for_each(|state| state.is_looked_at = false);
        while index < self.states.len() {
            let start = Instant::now();
            match self.look(index).await {
                // What was seen before the connection was made anew may have gone since.
                Ok(()) if index > 0 && self.server.connection() != connection => index = 0,
                Ok(()) => index += 1,
                Err(Error::Away(_)) if self.server.is_cluster() && away < self.server.timeout() => {
                    away += start.elapsed();
                    self.put_off(index);
                    index += 1;
                }
                Err(error) => {
                    self.tell(self.options.clock.now());
                    self.pause(&error).await;
                    (index, away) = (0, Duration::ZERO);
                }
            }
            connection = self.server.connection();
        }
        self.looked_on = connection;
        if self.states.iter().all(|state| state.is_looked_at && state.other.is_none()) {
            self.told.set_note(None);
        }
    }

    /// Finds out what Redis has of a shard, and what is to be done about it.
    async fn look(&mut self, index: usize) -> Result<(), Error> {
        let now = self.options.clock.now();
        let Some(state) = self.states.get_mut(index) else { return Ok(()) };
        let keys = Keys::new(&self.options.prefix, state.shard);
        let front = self.server.query(cmd("GETRANGE").arg(keys.open()).arg(0).arg(HEADER_BYTES - 1)).await;
        let front: Vec<u8> = match front {
            // Another type: nothing that a node has written.
            Err(Error::Command(_)) => NO_CHUNK.to_vec(),
            front => front?,
        };
        let seen = state.see(&front, self.options.writer);
        let wants = state.wants && !state.has_taken;
        let may_have_blocks = wants && matches!(seen, Seen::Nothing | Seen::Strange);
        let has_blocks =
            may_have_blocks && adopt::has_blocks(&self.server, keys, now, self.options.keep).await?;
        state.is_looked_at = true;
        state.other = None;
        let is_first = state.written_at.is_none();
        match seen {
            Seen::AsWritten => {}
            Seen::Nothing | Seen::Strange => {
                self.told.lost.fetch_add(u64::from(state.mark.take().is_some()), Ordering::Relaxed);
                state.is_empty = seen == Seen::Nothing && !has_blocks;
                // A stop in between must not make it a shard that has all.
                state.awaits_reference = wants && state.is_empty && !self.told.has_begun();
                state.adopts = has_blocks || (wants && seen == Seen::Strange);
                state.write_all(now);
            }
            // An earlier run of this node: it has the blocks of the files, if these are not newer.
            Seen::Own(header) if is_first => {
                let is_of_this_journal = header.position <= self.options.journal_end;
                let has_all = match state.file {
                    None => self.options.adopt,
                    Some(file) => !state.wants && is_of_this_journal && header.position >= file,
                };
                state.adopts = wants;
                state.adopted = Some(header.mark());
                if has_all { state.trust(&header) } else { state.write_all(now) }
            }
            Seen::Own(header) if state.written_at.is_some_and(|at| header.written_at > at) => {
                self.of_another(index, header, now);
            }
            // Redis has come back with something older.
            Seen::Own(_) => {
                self.told.lost.fetch_add(1, Ordering::Relaxed);
                state.write_all(now);
            }
            Seen::Other(header) => self.of_another(index, header, now),
        }
        Ok(())
    }

    /// A shard that another node has written: taken over if that node writes it no more, else left alone.
    fn of_another(&mut self, index: usize, header: Header, now: f64) {
        let Some(state) = self.states.get_mut(index) else { return };
        let (since_then, mark) = (now - header.written_at, header.mark());
        let patience = MISSED * header.every.clamp(1.0, LONGEST_TURN);
        // Its clock may be far ahead: what counts then is how long nothing came.
        let has_missed = since_then > patience || state.stands_for(mark).as_secs_f64() > patience;
        // It went on after its windows were taken, or they were not taken yet.
        state.adopts = self.options.adopt && state.adopted != Some(mark);
        if header.is_released || has_missed {
            let is_first = state.written_at.is_none();
            // Its blocks are there; those of this node's files are not.
            let takes_all = is_first && state.file.is_none() && self.options.adopt;
            if takes_all {
                state.trust(&header)
            } else {
                state.write_all(now)
            }
            return;
        }
        state.write_all(now + (patience - since_then).clamp(0.25, 60.0));
        state.other = Some(header);
    }

    /// Takes a shard's windows from Redis, if they are wanted.
    async fn adopt(&mut self, index: usize) -> Result<(), Error> {
        let Some(state) = self.states.get(index).filter(|state| state.adopts && state.is_looked_at) else {
            return Ok(());
        };
        let mut is_sound = true;
        let now = self.options.clock.now();
        if self.options.adopt {
            let keys = Keys::new(&self.options.prefix, state.shard);
            let mut series;
            (series, is_sound) = adopt::read(&self.server, keys, now, self.options.keep, &self.told).await?;
            // Points wait while some are taken.
            while !series.is_empty() {
                let rest = series.split_off(series.len().min(SERIES_AT_ONCE));
                let (taken, refused) = self.shards.adopt(std::mem::replace(&mut series, rest)).await;
                self.told.took(taken, refused);
            }
        }
        // Only now: the node may stop in between, and must not write what it has not got.
        let Some(state) = self.states.get_mut(index) else { return Ok(()) };
        state.adopts = false;
        state.has_taken = true;
        if !is_sound && state.other.is_none() {
            // What cannot be read is replaced by what could be.
            state.write_all(now);
        }
        if let Some(other) = &state.other {
            state.adopted = Some(other.mark());
        } else if let Some(mark) = state.mark {
            state.adopted = Some(mark);
        }
        if state.wants {
            let (left, _) = self.told.adopting();
            self.told.set_adopting(left.saturating_sub(1));
        }
        Ok(())
    }

    /// The node stops: once the windows change no more, each shard is written a last time.
    async fn last_round(&mut self) {
        self.is_last_round = true;
        while !self.shards.have_ended() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut may_connect_anew = true;
        let mut index = 0;
        while index < self.states.len() {
            match self.release(index).await {
                Ok(()) => index += 1,
                // It has closed the connection, as after a restart; the next is made once in a second.
                Err(Error::Away(_)) if may_connect_anew => {
                    may_connect_anew = false;
                    tokio::time::sleep(CONNECT_ANEW).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the last of the windows is not written to Redis; the next start does it");
                    return;
                }
            }
        }
    }

    /// Writes the last of a shard.
    async fn release(&mut self, index: usize) -> Result<(), Error> {
        // What waits is not the last, and what Redis has lost takes one more.
        for _ in 0..MOST_TRIES {
            let Some(state) = self.states.get(index) else { break };
            if state.other.is_some() || state.adopts || state.awaits_reference || state.is_released {
                break;
            }
            let outcome =
                if state.is_looked_at { self.write(&[index]).await } else { self.look(index).await };
            if let Err(error) = outcome
                && error.is_general()
            {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Why shards are not written, and what is to be done about it.
fn left_alone(shards: usize, all: usize, other: &Header, own: (u64, &str)) -> String {
    let (node, seconds) = (&other.node, (MISSED * other.every.max(1.0)).ceil());
    let what = format!("{shards} of {all} shards are left alone");
    if other.writer == own.0 {
        return format!(
            "{what}: a node with the same number, called {node}, writes them: its state_dir is a copy. Stop one of the two \
             and remove the file node-number in its state_dir"
        );
    }
    if node == own.1 {
        return format!(
            "{what}: a node of the same name, {node}, has just written them. If that was this node before it lost its \
             disk, wait: they are taken over within {seconds} s. If both run, give each a name of its own, and shards \
             (window.shards) or a redis.prefix of its own"
        );
    }
    format!(
        "{what}: the node {node} writes them. Give each node shards of its own (window.shards) or a redis.prefix of its \
         own; if {node} is gone, wait: they are taken over within {seconds} s"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_shards_is_said_with_what_to_do() {
        let other = Header {
            node: "b".to_owned(),
            writer: 2,
            written_at: 1.0,
            position: 0,
            every: 600.0,
            is_released: false,
        };
        let said = left_alone(3, 1024, &other, (1, "a"));
        assert!(said.starts_with("3 of 1024 shards are left alone: the node b writes them."), "{said}");
        assert!(said.contains("window.shards") && said.contains("within 900 s"), "{said}");
        let said = left_alone(3, 1024, &other, (1, "b"));
        assert!(said.contains("of the same name, b") && said.contains("lost its disk"), "{said}");
        let said = left_alone(3, 1024, &other, (2, "a"));
        assert!(said.contains("remove the file node-number"), "{said}");
    }
}
