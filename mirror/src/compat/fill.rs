//! History that is filled in: into its place in a key, never behind a newer point, never over one that is there.
//!
//! The windows do the same. It is done before the transaction that moves the mark; done twice, it changes nothing.

use super::pair::{self, Pair, Pairs};
use super::state::add;
use super::stored::{self, Replaced, Replacements, Stored};
use super::{Compat, Windows};
use crate::server::Error;
use skyline_core::point::Datapoint;
use std::collections::HashMap;
use std::sync::atomic::Ordering;

/// Times that keys are tried which somebody else replaces meanwhile.
const TRIES: usize = 8;

/// Keys, and what history they are to hold.
#[derive(Debug, Default)]
pub(super) struct Fills(Vec<(Vec<u8>, Vec<Datapoint>)>);

impl Fills {
    /// Adds a point. Those of a key should follow each other.
    pub(super) fn add(&mut self, key: String, point: Datapoint) {
        match self.0.last_mut() {
            Some((last, points)) if last == key.as_bytes() => points.push(point),
            _ => self.0.push((key.into_bytes(), vec![point])),
        }
    }
}

impl<W: Windows> Compat<W> {
    /// Puts history into its keys, and takes what is done out of `fills`. What cannot be put in is counted as refused; what is there
    /// already, as nothing.
    pub(super) async fn fill_in(&self, fills: &mut Fills) -> Result<(), Error> {
        let mut tries = 0;
        while !fills.0.is_empty() {
            let keys: Vec<_> = fills.0.iter().map(|(key, _)| key.clone()).collect();
            let found = stored::read(&self.server, &keys).await?;
            let mut replacements = Replacements::new(self.options.set());
            let (mut changed, mut refused) = (Vec::new(), Refused::default());
            for (place, ((key, points), stored)) in fills.0.iter().zip(&found).enumerate() {
                let old = match stored {
                    Stored::Bytes(bytes) => bytes.as_slice(),
                    Stored::Missing => &[],
                    Stored::Unreadable(why) => {
                        refused.add(self, key, points.len(), why);
                        continue;
                    }
                };
                let Some((new, added)) = with_history(old, points) else { continue };
                if old.is_empty() {
                    replacements.create(key, &new);
                } else {
                    replacements.replace(key, old, &new);
                }
                changed.push((place, added));
            }
            let outcomes = replacements.run(&self.server).await?;
            let (mut raced, mut written) = (HashMap::new(), 0);
            for ((place, added), outcome) in std::iter::zip(changed, outcomes) {
                if outcome == Replaced::Raced {
                    raced.insert(place, added);
                } else {
                    written += added;
                }
            }
            // A key that is replaced again and again, or scripts that this user may not run.
            tries = if raced.len() == found.len() { tries + 1 } else { 0 };
            let gives_up = tries >= TRIES;
            let mut place = 0;
            fills.0.retain(|(key, _)| {
                let lacks = raced.get(&place).copied();
                let is_left = place >= found.len() || (lacks.is_some() && !gives_up);
                if let Some(points) = lacks.filter(|_| gives_up) {
                    let why = "it is replaced by somebody else again and again, or EVAL is not allowed";
                    refused.add(self, key, points, why);
                }
                place += 1;
                is_left
            });
            add(&self.state.refused, refused.0);
            add(&self.state.written, written);
        }
        Ok(())
    }
}

/// Points that cannot be put in.
#[derive(Default)]
struct Refused(usize);

impl Refused {
    /// Counts them; the log says so of the first since the start.
    fn add<W>(&mut self, compat: &Compat<W>, key: &[u8], points: usize, why: &str) {
        if self.0 == 0 && compat.state.refused.load(Ordering::Relaxed) == 0 {
            tracing::warn!(key = %String::from_utf8_lossy(key), "Redis does not take the points of a metric: {why}");
        }
        self.0 += points;
    }
}

/// A key's bytes with the points that it has no value for, in the order of time, and how many these are; none: it lacks nothing.
fn with_history(bytes: &[u8], points: &[Datapoint]) -> Option<(Vec<u8>, usize)> {
    let mut points = points.to_vec();
    // Stable: of equal times the first was filled in.
    points.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    points.dedup_by(|later, first| later.ts == first.ts);
    let mut pairs: Vec<Pair<'_>> = Pairs::new(bytes).collect();
    pair::last_of_each(&mut pairs, |pair| pair.ts);
    let mut out = Vec::with_capacity(bytes.len() + points.len() * 15);
    let (mut held, mut added) = (pairs.iter().peekable(), 0);
    for point in points {
        while let Some(pair) = held.next_if(|pair| pair.ts < point.ts) {
            out.extend_from_slice(pair.bytes);
        }
        match held.next_if(|pair| pair.ts == point.ts) {
            Some(pair) if pair.value.is_some() => out.extend_from_slice(pair.bytes),
            _ => {
                pair::encode(point, &mut out);
                added += 1;
            }
        }
    }
    held.for_each(|pair| out.extend_from_slice(pair.bytes));
    (added > 0).then_some((out, added))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(of: &[(f64, f64)]) -> Vec<Datapoint> {
        of.iter().map(|(ts, value)| Datapoint::new(*ts, *value)).collect()
    }

    fn bytes(of: &[(f64, f64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        points(of).iter().for_each(|point| pair::encode(*point, &mut bytes));
        bytes
    }

    #[track_caller]
    fn check(held: &[u8], filled: &[(f64, f64)], expected: Option<&[(f64, f64)]>) {
        let found = with_history(held, &points(filled));
        assert_eq!(found.as_ref().map(|(bytes, _)| bytes), expected.map(bytes).as_ref());
        let added = found.map_or(0, |(_, added)| added);
        assert!(added <= filled.len() && (added > 0) == expected.is_some(), "{added}");
    }

    #[test]
    fn history_goes_into_its_place() {
        check(b"", &[(120.0, 2.0), (60.0, 1.0), (60.0, 9.0)], Some(&[(60.0, 1.0), (120.0, 2.0)]));
        check(
            &bytes(&[(60.0, 1.0), (180.0, 3.0)]),
            &[(120.0, 2.0)],
            Some(&[(60.0, 1.0), (120.0, 2.0), (180.0, 3.0)]),
        );
        check(
            &bytes(&[(180.0, 3.0), (60.0, 1.0)]),
            &[(240.0, 4.0)],
            Some(&[(60.0, 1.0), (180.0, 3.0), (240.0, 4.0)]),
        );
    }

    #[test]
    fn nothing_that_is_there_is_replaced() {
        let held = bytes(&[(60.0, 1.0), (120.0, 2.0)]);
        check(&held, &[(60.0, 8.0), (120.0, 9.0)], None);
        check(&held, &[(60.0, 8.0), (90.0, 9.0)], Some(&[(60.0, 1.0), (90.0, 9.0), (120.0, 2.0)]));
        // The last that was received of a time; a time without a value is none.
        check(&bytes(&[(60.0, 1.0), (60.0, 2.0)]), &[(90.0, 3.0)], Some(&[(60.0, 2.0), (90.0, 3.0)]));
        check(b"\x92\x3c\xc0", &[(60.0, 3.0)], Some(&[(60.0, 3.0)]));
    }
}
