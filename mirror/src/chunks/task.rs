//! The task that keeps the copy: looks at what Redis has, takes windows from it, writes shards in turn.

use super::adopt;
use super::keys::Keys;
use super::state::{Seen, State};
use super::told::Told;
use super::{Shards, Since};
use crate::reference;
use crate::server::{Error, Server};
use redis::cmd;
use skyline_core::clock::Clock;
use skyline_core::shard::ShardSet;
use skyline_store::chunk::{Header, MARK_BYTES};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
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
}

/// Runs until `stop`, then writes what the windows have become by then; `abort` ends that.
pub async fn run<S: Shards>(
    server: Server,
    shards: Arc<S>,
    options: Options,
    told: Arc<Told>,
    (stop, abort): (CancellationToken, CancellationToken),
) {
    let mut task =
        Task { server, shards, options, told, states: Vec::new(), looked_on: 0, is_last_round: false };
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
        self.states = files.into_iter().map(|(shard, file)| State::new(shard, file)).collect();
        let wants = self.states.iter().filter(|state| state.file.is_none()).count() as u64;
        self.told.set_adopting(if self.options.adopt { wants } else { 0 });
        self.look_at_all().await;
        for index in 0..self.states.len() {
            self.adopt(index).await;
        }
        self.take_from_the_reference().await;
        self.told.set_begun();
        self.spread();
    }

    /// Takes windows of shards that neither this node nor Redis by this layout has from Skyline's keys, if there are any.
    async fn take_from_the_reference(&self) {
        if !self.options.adopt {
            return;
        }
        let mut wanted = ShardSet::NONE;
        for state in self.states.iter().filter(|state| state.file.is_none() && state.is_empty) {
            wanted.insert(state.shard);
        }
        if wanted != ShardSet::NONE {
            let Self { server, shards, told, options, .. } = self;
            reference::take_over(server, &options.namespace, wanted, &**shards, told).await;
        }
    }

    /// Shards that are not due at once get their turns one after the other.
    fn spread(&mut self) {
        let (now, every) = (self.options.clock.now(), self.options.every);
        let all = self.states.len().max(1) as f64;
        for (i, state) in self.states.iter_mut().enumerate() {
            if state.since == Since::Restored && state.other.is_none() {
                state.due = now + every * (i as f64 / all);
            }
        }
    }

    async fn keep_up(&mut self) {
        loop {
            let now = self.options.clock.now();
            self.tell(now);
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
        let is_others = |index: &usize| self.states.get(*index).is_some_and(|state| state.other.is_some());
        let (others, own): (Vec<_>, Vec<_>) = due.into_iter().map(|(_, index)| index).partition(is_others);
        for index in others {
            if self.states.get(index).is_some_and(|state| state.due <= now) {
                self.look(index).await?;
            }
        }
        self.write(&own).await
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
        let note = other.map(|header| left_alone(others, self.states.len(), header, &self.options.node));
        self.told.set_others(note);
    }

    /// Looks at every shard, for as long as that takes.
    async fn look_at_all(&mut self) {
        let mut index = 0;
        let mut connection = self.server.connection();
        while index < self.states.len() {
            match self.look(index).await {
                // What was seen before the connection was made anew may have gone since.
                Ok(()) if index > 0 && self.server.connection() != connection => index = 0,
                Ok(()) => index += 1,
                Err(error) => {
                    self.tell(self.options.clock.now());
                    self.pause(&error).await;
                    index = 0;
                }
            }
            connection = self.server.connection();
        }
        self.looked_on = connection;
        self.told.set_note(None);
    }

    /// Finds out what Redis has of a shard, and what is to be done about it.
    async fn look(&mut self, index: usize) -> Result<(), Error> {
        let now = self.options.clock.now();
        let Some(state) = self.states.get_mut(index) else { return Ok(()) };
        let keys = Keys::new(&self.options.prefix, state.shard);
        let front: Vec<u8> =
            self.server.query(cmd("GETRANGE").arg(keys.open()).arg(0).arg(HEADER_BYTES - 1)).await?;
        let seen = state.see(&front, self.options.writer);
        state.other = None;
        let is_first = state.written_at.is_none();
        match seen {
            Seen::AsWritten => {}
            Seen::Nothing | Seen::Strange => {
                self.told.lost.fetch_add(u64::from(state.mark.take().is_some()), Ordering::Relaxed);
                state.is_empty = seen == Seen::Nothing;
                state.adopts = false;
                state.write_all(now);
            }
            // An earlier run of this node: it has the blocks of the files, if these are not newer.
            Seen::Own(header) if is_first => {
                let has_all = state.file.map_or(self.options.adopt, |file| header.position >= file);
                state.adopts = state.file.is_none();
                if has_all { state.trust(&header) } else { state.write_all(now) }
            }
            // Redis has come back with something older.
            Seen::Own(_) => {
                self.told.lost.fetch_add(1, Ordering::Relaxed);
                state.write_all(now);
            }
            Seen::Other(header) => {
                let since_then = now - header.written_at;
                if header.is_released || since_then > MISSED * header.every.max(1.0) {
                    // Its blocks are there; those of this node's files are not.
                    let takes_all = is_first && state.file.is_none() && self.options.adopt;
                    if takes_all {
                        state.trust(&header)
                    } else {
                        state.write_all(now)
                    }
                    return Ok(());
                }
                state.write_all(now + (MISSED * header.every - since_then).clamp(0.25, 60.0));
                state.other = Some(header);
            }
        }
        Ok(())
    }

    /// Takes a shard's windows from Redis, if they are wanted, for as long as that takes.
    async fn adopt(&mut self, index: usize) {
        let Some(state) = self.states.get_mut(index) else { return };
        if !std::mem::take(&mut state.adopts) || !self.options.adopt {
            return;
        }
        let shard = state.shard;
        let keys = Keys::new(&self.options.prefix, shard);
        let series = loop {
            let now = self.options.clock.now();
            match adopt::read(&self.server, keys, now, self.options.keep, &self.told).await {
                Ok(series) => break series,
                Err(error) => self.pause(&error).await,
            }
        };
        let (taken, refused) = self.shards.adopt(series).await;
        self.told.took(taken, refused);
        let (left, _) = self.told.adopting();
        self.told.set_adopting(left.saturating_sub(1));
    }

    /// The node stops: once the windows change no more, each shard is written a last time.
    async fn last_round(&mut self) {
        self.is_last_round = true;
        while !self.shards.have_ended() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for index in 0..self.states.len() {
            let Some(state) = self.states.get(index) else { return };
            if state.other.is_some() || state.adopts {
                continue;
            }
            // What waits is not the last.
            for _ in 0..=usize::from(state.pending.is_some()) {
                if let Err(error) = self.write(&[index]).await {
                    tracing::warn!(%error, "the last of the windows is not written to Redis; the next start does it");
                    return;
                }
            }
        }
    }
}

/// Why shards are not written, and what is to be done about it.
fn left_alone(shards: usize, all: usize, other: &Header, own_name: &str) -> String {
    let (node, seconds) = (&other.node, (MISSED * other.every.max(1.0)).ceil());
    let what = format!("{shards} of {all} shards are left alone");
    if node == own_name {
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
        let said = left_alone(3, 1024, &other, "a");
        assert!(said.starts_with("3 of 1024 shards are left alone: the node b writes them."), "{said}");
        assert!(said.contains("window.shards") && said.contains("within 900 s"), "{said}");
        let said = left_alone(3, 1024, &other, "b");
        assert!(said.contains("of the same name, b") && said.contains("lost its disk"), "{said}");
    }
}
