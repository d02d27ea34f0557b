//! Trimming: every key once in a while loses what is older than the window, and is put in order.
//!
//! As the reference's trimmer does, but nothing is deleted because of an error, and of equal times the last
//! that was received stays.

use super::pair::{self, Pair, Pairs};
use super::state::add;
use super::stored::{self, Replaced, Replacements, Stored};
use super::{Compat, Windows};
use crate::server::{Error, What};
use skyline_core::shard::name_hash;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Keys of a page.
const PAGE: usize = 100;
/// Pause after a failure, and before the first round.
const PAUSE: Duration = Duration::from_secs(5);
/// A key whose points are all too old may be deleted; otherwise it keeps those that are not.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// It is as it should be.
    Keep,
    /// It holds nothing that is a window.
    Unreadable,
    /// These bytes take its place, and so many points are dropped.
    Replace(Vec<u8>, usize),
    /// All its points are too old: so many.
    Delete(usize),
}

/// What is to be done with a window of which points up to `until` are too old.
pub(super) fn plan(bytes: &[u8], until: f64) -> Plan {
    let mut pairs = Pairs::new(bytes);
    let (mut all, mut sorted, mut last) = (0, true, f64::NEG_INFINITY);
    let mut kept: Vec<Pair<'_>> = Vec::with_capacity(bytes.len() / 15);
    for pair in pairs.by_ref() {
        all += 1;
        sorted &= last < pair.ts;
        last = pair.ts;
        if pair.ts > until {
            kept.push(pair);
        }
    }
    match (kept.is_empty(), pairs.damaged()) {
        (true, 0) => return Plan::Delete(all),
        // What cannot be read may be newer.
        (true, _) => return Plan::Unreadable,
        (false, 0) if sorted && kept.len() == all => return Plan::Keep,
        _ => {}
    }
    if !sorted {
        pair::last_of_each(&mut kept, |pair| pair.ts);
    }
    Plan::Replace(kept.iter().flat_map(|pair| pair.bytes).copied().collect(), all - kept.len())
}

impl<W: Windows> Compat<W> {
    /// Trims all keys, again and again, each round spread over the time that it has.
    pub(super) async fn trim_all(&self) {
        let Some(every) = self.options.trim_every else { return };
        // The windows are being adopted, and the log is caught up with.
        sleep(PAUSE.min(every)).await;
        loop {
            let begin = Instant::now();
            match self.trim_round(begin, every).await {
                Ok(()) => {
                    add(&self.state.trim.rounds, 1);
                    sleep_until(begin + every).await;
                }
                Err(error) => {
                    tracing::debug!("trimming pauses: {error}");
                    sleep(PAUSE.min(every)).await;
                }
            }
        }
    }

    /// One round, which takes nine tenths of `every`.
    async fn trim_round(&self, begin: Instant, every: Duration) -> Result<(), Error> {
        let set = self.options.set();
        let count: u64 = self.server.query(redis::cmd("SCARD").arg(&set)).await?;
        let mut pages = self.server.scan(What::Members(set.into_bytes()));
        let mut seen = 0;
        let mut failures = 0;
        loop {
            let page = match pages.next(PAGE).await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(()),
                Err(error) if failures < 60 => {
                    failures += 1;
                    tracing::debug!("trimming waits: {error}");
                    sleep(PAUSE.min(every)).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            seen += page.len() as u64;
            if let Err(error) = self.trim_page(&page).await {
                tracing::debug!("a page of keys is left for the next round: {error}");
                sleep(PAUSE.min(every)).await;
            }
            let share = seen as f64 / count.max(seen).max(1) as f64;
            sleep_until(begin + every.mul_f64(0.9 * share)).await;
        }
    }

    /// Trims some keys.
    pub(super) async fn trim_page(&self, keys: &[Vec<u8>]) -> Result<(), Error> {
        let namespace = self.options.namespace.as_bytes();
        let mut left = keys;
        while !left.is_empty() {
            let found = stored::read(&self.server, left).await?;
            let (now, rest) = left.split_at(found.len().clamp(1, left.len()));
            left = rest;
            let until = self.options.clock.now() - self.options.kept_seconds();
            let mut replacements = Replacements::new(self.options.set());
            let mut expected = Vec::new();
            for (key, stored) in now.iter().zip(found) {
                let name = key.strip_prefix(namespace);
                let plan = match (&stored, name) {
                    (Stored::Bytes(bytes), Some(_)) => plan(bytes, until),
                    (Stored::Missing, Some(_)) => Plan::Delete(0),
                    _ => Plan::Unreadable,
                };
                let old = if let Stored::Bytes(bytes) = &stored { bytes.as_slice() } else { &[] };
                let dropped = match plan {
                    Plan::Keep => continue,
                    Plan::Unreadable => {
                        add(&self.state.trim.unreadable, 1);
                        continue;
                    }
                    Plan::Replace(new, dropped) => {
                        replacements.replace(key, old, &new);
                        dropped
                    }
                    Plan::Delete(dropped) => {
                        // Before and after: whoever writes it meanwhile tells the set.
                        self.names().untold(name_hash(name.unwrap_or_default()));
                        if old.is_empty() {
                            replacements.forget(key);
                        } else {
                            replacements.replace(key, old, b"");
                        }
                        dropped
                    }
                };
                expected.push((name_hash(name.unwrap_or_default()), dropped));
            }
            add(&self.state.trim.looked_at, now.len());
            for ((hash, dropped), done) in expected.into_iter().zip(replacements.run(&self.server).await?) {
                match done {
                    Replaced::Raced => add(&self.state.trim.raced, 1),
                    Replaced::Done => {
                        add(&self.state.trim.rewritten, 1);
                        add(&self.state.trim.dropped, dropped);
                    }
                    Replaced::Deleted => {
                        self.names().untold(hash);
                        add(&self.state.trim.deleted, 1);
                        add(&self.state.trim.dropped, dropped);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_core::point::Datapoint;

    fn window(points: &[(f64, f64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        points.iter().for_each(|(ts, value)| pair::encode(Datapoint::new(*ts, *value), &mut bytes));
        bytes
    }

    #[test]
    fn only_what_must_be_is_rewritten() {
        let good = window(&[(60.0, 1.0), (120.0, 2.0)]);
        assert_eq!(plan(&good, 59.0), Plan::Keep);
        assert_eq!(plan(&good, 60.0), Plan::Replace(window(&[(120.0, 2.0)]), 1));
        assert_eq!(plan(&good, 120.0), Plan::Delete(2));
        assert_eq!(plan(b"", 0.0), Plan::Delete(0));
        let mixed = window(&[(120.0, 2.0), (60.0, 1.0), (120.0, 3.0), (30.0, 0.0)]);
        assert_eq!(plan(&mixed, 40.0), Plan::Replace(window(&[(60.0, 1.0), (120.0, 3.0)]), 2));
    }

    #[test]
    fn damage_deletes_nothing() {
        let good = window(&[(60.0, 1.0), (120.0, 2.0)]);
        let damaged = [b"\xdc\0\x02".as_slice(), &good].concat();
        assert_eq!(plan(&damaged, 0.0), Plan::Replace(good, 0));
        assert_eq!(plan(&damaged, 500.0), Plan::Unreadable);
        assert_eq!(plan(b"text", 500.0), Plan::Unreadable);
    }

    #[test]
    fn bytes_of_others_stay_as_they_are() {
        let whole = b"\x92\x3c\x05\x92\x40\xc0\x92\x3d\xca\x3f\x80\0\0";
        let sorted = b"\x92\x3c\x05\x92\x3d\xca\x3f\x80\0\0\x92\x40\xc0";
        assert_eq!(plan(whole, 0.0), Plan::Replace(sorted.to_vec(), 0));
    }
}
