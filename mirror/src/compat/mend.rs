//! Mending a gap: every key is compared with its window, and what it lacks is put in.
//!
//! Nothing is taken away, and keys of metrics that the windows do not have are not touched.

use super::pair::{self, Pair, Pairs};
use super::state::add;
use super::stored::{self, Replaced, Replacements, Stored};
use super::write::TAKEN;
use super::{Compat, Windows};
use crate::server::Error;
use redis::{Value, cmd};
use skyline_core::point::Datapoint;
use skyline_core::shard::SHARDS;
use skyline_core::shard::ShardId;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The windows may be so far behind the log when a gap is found.
const SETTLE: Duration = Duration::from_secs(2);
/// So long the points that wait in the log are waited for.
const CATCH_UP: Duration = Duration::from_secs(20);
/// A mending is followed by the next after four times as long as it took.
const BETWEEN: u32 = 4;
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// Pause while the log is caught up with.
const SHORT_PAUSE: Duration = Duration::from_millis(100);
/// Keys that are compared at once.
const GROUP: usize = 100;
/// Times that a key is tried to which others append.
const TRIES: usize = 5;

impl<W: Windows> Compat<W> {
    /// Mends whenever there is a gap.
    pub(super) async fn mend_gaps(&self) {
        loop {
            while self.state.gaps_left() == 0 {
                self.state.gap.notified().await;
            }
            let begin = Instant::now();
            let gaps = self.state.gaps.load(Ordering::Acquire);
            // Stands until it is mended, also when the node ends before.
            self.insist(cmd("SET").arg(self.options.gap_key()).arg(1)).await;
            sleep(SETTLE).await;
            // What is put in before it comes from the log would be there twice.
            let mut moving = Instant::now();
            while self.is_behind() && moving.elapsed() < CATCH_UP {
                sleep(SHORT_PAUSE).await;
                if self.state.is_stuck() {
                    moving = Instant::now();
                }
            }
            let mended = Instant::now();
            let put_in = Box::pin(self.mend()).await;
            self.state.mended.fetch_max(gaps, Ordering::AcqRel);
            if self.state.gaps_left() == 0 {
                self.insist(cmd("DEL").arg(self.options.gap_key())).await;
            }
            let seconds = begin.elapsed().as_secs_f64();
            tracing::info!(points = put_in, seconds, "the keys in Redis hold what the windows hold");
            if self.state.gaps_left() > 0 {
                sleep(mended.elapsed() * BETWEEN).await;
            }
        }
    }

    /// Whether more points wait in the log than are under way.
    fn is_behind(&self) -> bool {
        self.state.is_stuck() || self.state.waiting.load(Ordering::Relaxed) > 2 * TAKEN as u64
    }

    /// Asks until it is answered.
    async fn insist(&self, command: &redis::Cmd) {
        while let Err(error) = self.server.query::<Value>(command).await {
            tracing::debug!("mending waits: {error}");
            sleep(PAUSE).await;
        }
    }

    /// Compares all keys with their windows; how many points were put in.
    async fn mend(&self) -> usize {
        let mut put_in = 0;
        for shard in (0..SHARDS).map(ShardId).filter(|shard| self.options.shards.contains(*shard)) {
            let names = self.windows.names(shard).await;
            for group in names.chunks(GROUP) {
                put_in += Box::pin(self.mend_group(group)).await;
            }
        }
        put_in
    }

    async fn mend_group(&self, names: &[String]) -> usize {
        let mut windows = Vec::with_capacity(names.len());
        // What would be trimmed away at once is not put in.
        let until = self.options.clock.now() - self.options.kept_seconds();
        for name in names {
            let mut points = self.windows.points(name).await.unwrap_or_default();
            points.retain(|point| point.ts > until);
            if !points.is_empty() {
                windows.push((self.options.key(name).into_bytes(), points));
            }
        }
        let (mut put_in, mut tries) = (0, 0);
        while !windows.is_empty() && tries < TRIES {
            let left = windows.len();
            match self.put_in(&mut windows).await {
                Ok(n) => {
                    put_in += n;
                    tries = if windows.len() < left { 0 } else { tries + 1 };
                }
                Err(error) => {
                    tracing::debug!("mending waits: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
        add(&self.state.put_in, put_in);
        if !windows.is_empty() {
            // What was read and compared is there; the next gap, or the windows themselves, will tell.
            tracing::warn!(
                keys = windows.len(),
                "keys change faster than they can be compared with the windows"
            );
        }
        put_in
    }

    /// Puts what keys lack into them, and takes those that hold everything out of `windows`.
    async fn put_in(&self, windows: &mut Vec<(Vec<u8>, Vec<Datapoint>)>) -> Result<usize, Error> {
        let keys: Vec<_> = windows.iter().map(|(key, _)| key.clone()).collect();
        let found = stored::read(&self.server, &keys).await?;
        let mut replacements = Replacements::new(self.options.set());
        let mut changed = Vec::new();
        let mut told = Vec::new();
        for (place, ((key, points), stored)) in windows.iter().zip(&found).enumerate() {
            let old = match stored {
                Stored::Bytes(bytes) => bytes.as_slice(),
                Stored::Missing => &[],
                Stored::Unreadable(why) => {
                    tracing::debug!(key = %String::from_utf8_lossy(key), why, "a key is no window");
                    continue;
                }
            };
            told.push(key);
            let (new, lacked) = united(old, points);
            if lacked == 0 {
                continue;
            }
            if old.is_empty() {
                replacements.create(key, &new)
            } else {
                replacements.replace(key, old, &new)
            }
            changed.push((place, lacked));
        }
        let outcomes = replacements.run(&self.server).await?;
        if !told.is_empty() {
            self.server.query::<Value>(cmd("SADD").arg(self.options.set()).arg(told)).await?;
        }
        let (mut put_in, mut raced) = (0, Vec::new());
        for ((place, lacked), outcome) in changed.into_iter().zip(outcomes) {
            if outcome == Replaced::Raced { raced.push(place) } else { put_in += lacked }
        }
        let mut place = 0;
        windows.retain(|_| {
            place += 1;
            place > found.len() || raced.contains(&(place - 1))
        });
        Ok(put_in)
    }
}

/// A key's bytes with the points of its window that it lacks, and how many those are. Of equal times the window's
/// value wins: it has applied every correction.
fn united(bytes: &[u8], points: &[Datapoint]) -> (Vec<u8>, usize) {
    let mut pairs: Vec<Pair<'_>> = Pairs::new(bytes).collect();
    pair::last_of_each(&mut pairs, |pair| pair.ts);
    let mut out = Vec::with_capacity(bytes.len() + points.len() * 15);
    let mut held = pairs.iter().peekable();
    let mut lacked = 0;
    for point in points {
        while let Some(pair) = held.next_if(|pair| pair.ts < point.ts) {
            out.extend_from_slice(pair.bytes);
        }
        match held.next_if(|pair| pair.ts == point.ts) {
            Some(pair) if pair.value == Some(point.value) => out.extend_from_slice(pair.bytes),
            _ => {
                pair::encode(*point, &mut out);
                lacked += 1;
            }
        }
    }
    held.for_each(|pair| out.extend_from_slice(pair.bytes));
    (out, lacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(points: &[(f64, f64)]) -> Vec<Datapoint> {
        points.iter().map(|(ts, value)| Datapoint::new(*ts, *value)).collect()
    }

    fn bytes(of: &[(f64, f64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        points(of).iter().for_each(|point| pair::encode(*point, &mut bytes));
        bytes
    }

    #[test]
    fn a_key_gets_what_it_lacks() {
        let window = points(&[(60.0, 1.0), (120.0, 2.0)]);
        assert_eq!(united(b"", &window), (bytes(&[(60.0, 1.0), (120.0, 2.0)]), 2));
        let held = bytes(&[(60.0, 1.0), (120.0, 2.0)]);
        assert_eq!(united(&held, &window), (held, 0));
        let other = bytes(&[(180.0, 3.0), (120.0, 9.0), (30.0, 0.0)]);
        let whole = bytes(&[(30.0, 0.0), (60.0, 1.0), (120.0, 2.0), (180.0, 3.0)]);
        assert_eq!(united(&other, &window), (whole, 2));
        // An integer is the same value, and stays as it is.
        assert_eq!(united(b"\x92\x3c\x01", &window[..1]), (b"\x92\x3c\x01".to_vec(), 0));
    }
}
