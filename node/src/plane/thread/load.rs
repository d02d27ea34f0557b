//! The start of a window thread: its shards from their files, and where it goes on in the journal.

use super::copy::FIRST_COPY;
use super::{Parts, Saved, Thread};
use crate::plane::latency::Latency;
use crate::plane::state::{Past, PastShard};
use skyline_core::shard::{SHARDS, ShardId};
use skyline_detect::shard::Done;
use skyline_detect::tracked::NEIGHBOURS;
use skyline_store::snapshot::{Contents, Error, Part, ShardFile};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pause before a shard's files that cannot be read are tried again.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Share of the series that is read at once, and of their blocks: each window thread takes so much memory beside
/// the windows. The smaller it is, the more often every file is read, a shorter piece each time.
const SHARE: usize = 16;
/// Fewer series, and fewer blocks, are not worth reading apart.
const LEAST: usize = 16_384;
const LEAST_BLOCKS: u64 = 262_144;

/// The node stops before the windows were restored: nothing of them may be saved.
#[derive(Debug)]
pub(super) struct Stopped;

/// A shard that is being restored.
struct Restoring {
    shard: ShardId,
    file: ShardFile,
    contents: Option<Contents>,
    lost_blocks: u64,
}

/// Reads until that works: an empty window would be saved in the place of files that cannot be read now.
fn keep_trying<T>(parts: &Parts, mut read: impl FnMut() -> Result<T, Error>) -> Result<T, Stopped> {
    let mut said = false;
    loop {
        match read() {
            Ok(done) => return Ok(done),
            Err(error) if !std::mem::replace(&mut said, true) => {
                tracing::error!(%error, "windows cannot be restored, trying again; points are logged and forwarded meanwhile");
            }
            Err(_) => {}
        }
        look_for_a_stop(parts)?;
        std::thread::sleep(READ_AGAIN);
    }
}

fn look_for_a_stop(parts: &Parts) -> Result<(), Stopped> {
    if parts.abort.is_cancelled() || parts.stop.is_cancelled() { Err(Stopped) } else { Ok(()) }
}

/// Looks at a shard's files. Ones that are damaged are set aside, so that no save writes over them.
fn open(parts: &Parts, shard: ShardId) -> Result<Restoring, Stopped> {
    look_for_a_stop(parts)?;
    let mut file = ShardFile::new(&parts.dir, shard, parts.sync);
    let contents = keep_trying(parts, || match file.open() {
        Err(error @ Error::Damaged { .. }) => {
            let aside = file.set_aside(parts.clock.now() as u64);
            tracing::error!(%error, ?aside, "a shard's windows are lost, what the journal has is read again");
            Ok(None)
        }
        other => other,
    })?;
    Ok(Restoring { shard, file, contents, lost_blocks: 0 })
}

/// The lowest rank of each part that is read at once. `series`: rank and number of blocks of each; those of the
/// same rank are in the same part.
fn cut(mut series: Vec<(u32, u32)>, least: usize, least_blocks: u64) -> Vec<u64> {
    let most = (series.len() / SHARE).max(least);
    let all_blocks: u64 = series.iter().map(|(_, blocks)| u64::from(*blocks)).sum();
    let most_blocks = (all_blocks / SHARE as u64).max(least_blocks);
    series.sort_unstable();
    let (mut starts, mut last, mut count, mut blocks) = (Vec::new(), None, 0, 0);
    for (rank, of_it) in series {
        let is_full = count >= most || blocks >= most_blocks;
        if last.is_none() || (is_full && last != Some(rank)) {
            starts.push(u64::from(rank));
            (count, blocks) = (0, 0);
        }
        last = Some(rank);
        count += 1;
        blocks += u64::from(of_it);
    }
    starts
}

/// Takes the series of all shards over, in the order in which they were.
fn restore(parts: &mut Parts, all: &mut [Restoring]) -> Result<(), Stopped> {
    let series: Vec<_> =
        all.iter().filter_map(|restoring| restoring.contents.as_ref()).flat_map(Contents::series).collect();
    parts.shared.to_restore.store(series.len() as u64, Ordering::Relaxed);
    let starts = cut(series, LEAST, LEAST_BLOCKS);
    let (mut part, mut lost) = (Part::default(), 0);
    for (i, start) in starts.iter().copied().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(u64::MAX);
        for Restoring { file, contents, lost_blocks, .. } in all.iter_mut() {
            let Some(contents) = contents else { continue };
            *lost_blocks += keep_trying(parts, || file.read(contents, start..end, &mut part))?;
        }
        look_for_a_stop(parts)?;
        lost += part.restore(NEIGHBOURS as usize, |saved| parts.shards.restore(saved));
        parts.shared.restored.store(parts.shards.len() as u64, Ordering::Relaxed);
    }
    for Restoring { shard, lost_blocks, .. } in all.iter().filter(|restoring| restoring.lost_blocks > 0) {
        tracing::error!(shard = shard.0, blocks = lost_blocks, "window blocks were damaged and are lost");
    }
    if lost > 0 {
        tracing::error!(
            blocks = lost,
            "window blocks are no blocks although their checksums are right; they are lost"
        );
    }
    Ok(())
}

impl Thread {
    /// Restores this thread's shards and goes back in the journal to where the oldest of them ends.
    pub(super) fn load(mut parts: Parts, past: &Past) -> Result<Self, Stopped> {
        let position = parts.reader.position();
        let end = parts.journal.end();
        let owned: Vec<ShardId> = parts.shards.owned().collect();
        let (mut all, mut positions, mut files) = (Vec::new(), Vec::new(), Vec::new());
        let mut begin = position;
        // Behind the reader's position where shards came from another thread.
        let mut all_judged = position.min(end);
        let mut all_counted = 0;
        let mut ahead = 0;
        for shard in owned {
            let restoring = open(&parts, shard)?;
            let PastShard { judged, counted, hold } =
                past.of(shard).unwrap_or(PastShard { judged: position, counted: position, hold: position });
            let mut applied = hold;
            if let Some(contents) = &restoring.contents {
                applied = contents.position;
            }
            files.push((shard, restoring.contents.as_ref().map(|contents| contents.position)));
            ahead = ahead.max(applied.max(judged).saturating_sub(end));
            // What the journal gives numbers to from here on is new, whatever was there before.
            let applied = applied.min(end);
            // A save comes only after all before it was judged and recorded.
            let done = Done { applied, judged: judged.min(end).max(applied), counted: counted.min(end) };
            parts.shards.resume(shard, done);
            begin = begin.min(applied);
            all_judged = all_judged.min(done.judged);
            all_counted = all_counted.max(done.counted);
            positions.push(applied);
            all.push(restoring);
        }
        restore(&mut parts, &mut all)?;
        drop(parts.shared.files.set(files));
        let saved: Vec<_> = std::iter::zip(all, positions)
            .map(|(Restoring { shard, file, .. }, position)| Saved { shard, file, position })
            .collect();
        if ahead > 0 {
            tracing::error!(
                points = ahead,
                "the windows are further than the journal, which was removed or has lost its end; they go on from there"
            );
        }
        let start = parts.journal.start();
        if begin < start {
            tracing::error!(
                points = start - begin,
                "the journal does not reach back to where the windows were saved: they lack the points between"
            );
        }
        parts.reader.hold(begin);
        parts.reader.rewind(begin);
        let past = past.counts_of(parts.number, parts.threads);
        let now = parts.clock.now();
        // Where an earlier run was stopped in its round: the oldest holds the journal.
        let oldest = saved.iter().enumerate().min_by_key(|(_, shard)| shard.position);
        Ok(Self {
            next_save: oldest.map_or(0, |(index, _)| index),
            saved,
            out_of_turn: Vec::new(),
            saved_at: now,
            points_since_save: 0,
            past,
            counted: all_counted,
            open: VecDeque::new(),
            unrecorded: VecDeque::new(),
            held: Vec::new(),
            held_through: begin,
            position: all_judged,
            latency: Latency::default(),
            ticked_at: 0.0,
            published_at: 0.0,
            turned_at: now,
            joined: 0,
            save_errors: 0,
            save_failed_at: f64::NEG_INFINITY,
            looked_at: 0.0,
            is_pressed: false,
            copies: vec![FIRST_COPY; usize::from(SHARDS)],
            removed_from: vec![false; usize::from(SHARDS)],
            open_bytes: vec![0; usize::from(SHARDS)],
            parts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_no_larger_than_they_may_be() {
        let starts = |series: &[(u32, u32)]| cut(series.to_vec(), 3, 10);
        assert_eq!(starts(&[]), [0; 0]);
        assert_eq!(starts(&[(9, 1), (4, 1), (7, 1)]), [4]);
        assert_eq!(starts(&[(1, 0), (2, 0), (3, 0), (u32::MAX, 0)]), [1, u64::from(u32::MAX)]);
        // Two of a rank stay together, however many there are before.
        assert_eq!(starts(&[(1, 0), (2, 0), (3, 0), (3, 0), (4, 0)]), [1, 4]);
        // Few series of many blocks.
        assert_eq!(starts(&[(1, 10), (2, 100), (3, 9), (4, 1), (5, 0)]), [1, 2, 3, 5]);
        // Of many a share each.
        let many: Vec<_> = (0..160).map(|rank| (rank, 3)).collect();
        assert_eq!(starts(&many), (0..16).map(|part| part * 10).collect::<Vec<_>>());
    }
}
