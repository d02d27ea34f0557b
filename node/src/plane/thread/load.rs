//! The start of a window thread: its shards from their files, and where it goes on in the journal.

use super::{Parts, Saved, Thread};
use crate::plane::latency::Latency;
use crate::plane::state::{Past, PastShard};
use skyline_core::shard::ShardId;
use skyline_detect::shard::Done;
use skyline_store::snapshot::{Error, Loaded, ShardFile};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pause before a shard's files that cannot be read are tried again.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// The node stops before the windows could be read: nothing of them may be saved.
#[derive(Debug)]
pub(super) struct Stopped;

/// Reads a shard's files. Ones that are damaged are set aside, so that no save writes over them; ones
/// that cannot be read now are tried again, since an empty window would be saved in their place.
fn read(parts: &Parts, file: &mut ShardFile) -> Result<Option<Loaded>, Stopped> {
    let mut said = false;
    loop {
        match file.load() {
            Ok(loaded) => return Ok(loaded),
            Err(error @ Error::Damaged { .. }) => {
                let aside = file.set_aside(parts.clock.now() as u64);
                tracing::error!(%error, ?aside, "a shard's windows are lost, what the journal has is read again");
                return Ok(None);
            }
            Err(error) if !std::mem::replace(&mut said, true) => {
                tracing::error!(%error, "windows cannot be restored, trying again; points are logged and forwarded meanwhile");
            }
            Err(_) => {}
        }
        if parts.abort.is_cancelled() || parts.stop.is_cancelled() {
            return Err(Stopped);
        }
        std::thread::sleep(READ_AGAIN);
    }
}

impl Thread {
    /// Restores this thread's shards and goes back in the journal to where the oldest of them ends.
    pub(super) fn load(mut parts: Parts, past: &Past) -> Result<Self, Stopped> {
        let position = parts.reader.position();
        let end = parts.journal.end();
        let owned: Vec<ShardId> = parts.shards.owned().collect();
        parts.shared.shards.store(owned.len() as u64, Ordering::Relaxed);
        let mut saved = Vec::with_capacity(owned.len());
        let mut begin = position;
        // Behind the reader's position where shards came from another thread.
        let mut all_judged = position.min(end);
        let mut all_counted = 0;
        let mut ahead = 0;
        for shard in owned {
            let mut file = ShardFile::new(&parts.dir, shard, parts.sync);
            let PastShard { judged, counted, hold } =
                past.of(shard).unwrap_or(PastShard { judged: position, counted: position, hold: position });
            let mut applied = hold;
            if let Some(loaded) = read(&parts, &mut file)? {
                applied = loaded.position;
                if loaded.lost_blocks > 0 {
                    let (shard, blocks) = (shard.0, loaded.lost_blocks);
                    tracing::error!(shard, blocks, "window blocks were damaged and are lost");
                }
                for series in loaded.series {
                    parts.shards.restore(series);
                }
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
            parts.shared.restored.fetch_add(1, Ordering::Relaxed);
            saved.push(Saved { shard, file, position: applied });
        }
        parts.shards.arrange();
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
