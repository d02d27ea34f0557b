//! The start of a window thread: its shards from their files, and where it goes on in the journal.

use super::{Parts, Saved, Thread};
use crate::plane::latency::Latency;
use crate::plane::state::{Past, PastShard};
use skyline_core::shard::ShardId;
use skyline_detect::shard::Done;
use skyline_detect::tracked::NEIGHBOURS;
use skyline_store::snapshot::{Contents, Error, Part, ShardFile};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pause before a shard's files that cannot be read are tried again.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Series that are read together: beside the windows they take memory as files have them, some 80 MB, and the
/// fewer they are, the more often every file is opened.
const PART: usize = 16_384;

/// The node stops before the windows could be read: nothing of them may be saved.
#[derive(Debug)]
pub(super) struct Stopped;

/// A shard that is being restored.
struct Restoring {
    shard: ShardId,
    file: ShardFile,
    contents: Option<Contents>,
    /// Everything before it is in the windows.
    position: u64,
    lost_blocks: u64,
}

/// Does what needs a shard's files until it works: an empty window would be saved in the place of files that
/// cannot be read now. Damaged ones are an answer.
fn persist<T>(
    parts: &Parts,
    mut read: impl FnMut() -> Result<T, Error>,
) -> Result<Result<T, Error>, Stopped> {
    let mut said = false;
    loop {
        match read() {
            Ok(done) => return Ok(Ok(done)),
            Err(error @ Error::Damaged { .. }) => return Ok(Err(error)),
            Err(error) if !std::mem::replace(&mut said, true) => {
                tracing::error!(%error, "windows cannot be restored, trying again; points are logged and forwarded meanwhile");
            }
            Err(_) => {}
        }
        if is_stopped(parts) {
            return Err(Stopped);
        }
        std::thread::sleep(READ_AGAIN);
    }
}

fn is_stopped(parts: &Parts) -> bool {
    parts.abort.is_cancelled() || parts.stop.is_cancelled()
}

/// Looks at a shard's files. Ones that are damaged are set aside, so that no save writes over them.
fn open(parts: &Parts, shard: ShardId) -> Result<Restoring, Stopped> {
    let mut file = ShardFile::new(&parts.dir, shard, parts.sync);
    let contents = persist(parts, || file.open())?.unwrap_or_else(|error| {
        let aside = file.set_aside(parts.clock.now() as u64);
        tracing::error!(%error, ?aside, "a shard's windows are lost, what the journal has is read again");
        None
    });
    Ok(Restoring { shard, file, contents, position: 0, lost_blocks: 0 })
}

/// Takes the series of all shards over, in the order in which they were.
fn restore(parts: &mut Parts, all: &mut [Restoring]) -> Result<(), Stopped> {
    let mut ranks: Vec<u32> =
        all.iter().filter_map(|r| r.contents.as_ref()).flat_map(Contents::ranks).collect();
    ranks.sort_unstable();
    let starts: Vec<u64> = ranks.iter().copied().map(u64::from).step_by(PART).collect();
    let mut part = Part::default();
    for (i, start) in starts.iter().copied().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(u64::MAX);
        for Restoring { shard, file, contents, lost_blocks, .. } in all.iter_mut() {
            let Some(contents) = contents else { continue };
            match persist(parts, || file.read(contents, start..end, &mut part))? {
                Ok(lost) => *lost_blocks += lost,
                Err(error) => tracing::error!(%error, shard = shard.0, "a shard's windows are lost"),
            }
        }
        if is_stopped(parts) {
            return Err(Stopped);
        }
        part.restore(NEIGHBOURS as usize, |saved| parts.shards.restore(saved));
        let done = all.len() * (i + 1) / starts.len();
        parts.shared.restored.store(done as u64, Ordering::Relaxed);
    }
    parts.shared.restored.store(all.len() as u64, Ordering::Relaxed);
    for Restoring { shard, lost_blocks, .. } in all.iter().filter(|restoring| restoring.lost_blocks > 0) {
        tracing::error!(shard = shard.0, blocks = lost_blocks, "window blocks were damaged and are lost");
    }
    Ok(())
}

impl Thread {
    /// Restores this thread's shards and goes back in the journal to where the oldest of them ends.
    pub(super) fn load(mut parts: Parts, past: &Past) -> Result<Self, Stopped> {
        let position = parts.reader.position();
        let end = parts.journal.end();
        let owned: Vec<ShardId> = parts.shards.owned().collect();
        parts.shared.shards.store(owned.len() as u64, Ordering::Relaxed);
        let mut all = Vec::with_capacity(owned.len());
        let mut begin = position;
        // Behind the reader's position where shards came from another thread.
        let mut all_judged = position.min(end);
        let mut all_counted = 0;
        let mut ahead = 0;
        for shard in owned {
            let mut restoring = open(&parts, shard)?;
            let PastShard { judged, counted, hold } =
                past.of(shard).unwrap_or(PastShard { judged: position, counted: position, hold: position });
            let mut applied = hold;
            if let Some(contents) = &restoring.contents {
                applied = contents.position;
            }
            ahead = ahead.max(applied.max(judged).saturating_sub(end));
            // What the journal gives numbers to from here on is new, whatever was there before.
            let applied = applied.min(end);
            // A save comes only after all before it was judged and recorded.
            let done = Done { applied, judged: judged.min(end).max(applied), counted: counted.min(end) };
            parts.shards.resume(shard, done);
            begin = begin.min(applied);
            all_judged = all_judged.min(done.judged);
            all_counted = all_counted.max(done.counted);
            restoring.position = applied;
            all.push(restoring);
        }
        restore(&mut parts, &mut all)?;
        let saved: Vec<_> = all
            .into_iter()
            .map(|Restoring { shard, file, position, .. }| Saved { shard, file, position })
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
            parts,
        })
    }
}
