//! Shards for the copy in Redis: handed out, and taken over from it.

use super::{Thread, WAIT};
use crate::plane::Ask;
use skyline_core::shard::ShardId;
use skyline_mirror::chunks::Since;
use skyline_store::chunk::{Chunks, HandOut, Header, RESTORED, Whole};

/// The first copy of a shard that this run makes.
pub(super) const FIRST_COPY: u8 = RESTORED + 1;

/// So many bytes are handed out at once, or one shard: about what takes a thread half a millisecond.
const ENOUGH: usize = 256 << 10;

impl Thread {
    /// The first of some shards, and others as long as they are small: points wait meanwhile.
    pub(super) fn hand_out(&mut self, asks: &[Ask], mut header: Header) -> Vec<(ShardId, HandOut)> {
        header.position = self.held_through;
        let (mut all, mut bytes) = (Vec::with_capacity(asks.len()), 0);
        for (shard, since) in asks.iter().copied() {
            let out = self.hand_out_one(shard, since, &header);
            bytes += out.bytes();
            all.push((shard, out));
            if bytes >= ENOUGH {
                break;
            }
        }
        all
    }

    fn hand_out_one(&mut self, shard: ShardId, since: Since, header: &Header) -> HandOut {
        let index = usize::from(shard.0);
        // A metric that was removed is still in the blocks that were handed out.
        let is_whole =
            since == Since::Nothing || self.removed_from.get_mut(index).is_some_and(std::mem::take);
        let copy = match self.copies.get(index).copied().unwrap_or(FIRST_COPY) {
            u8::MAX if is_whole => {
                self.parts.shards.forget_copies(shard);
                FIRST_COPY
            }
            copy if is_whole => copy + 1,
            _ if since == Since::Restored => RESTORED,
            copy => copy,
        };
        if let Some(slot) = self.copies.get_mut(index) {
            *slot = copy;
        }
        let room = self.open_bytes.get(index).copied().unwrap_or(0);
        let mut chunks = Chunks::new(header, copy, is_whole, room + room / 8);
        self.parts.shards.hand_out(shard, &mut chunks);
        let out = chunks.finish();
        if let Some(slot) = self.open_bytes.get_mut(index) {
            *slot = out.open.len();
        }
        out
    }

    /// Series that were taken over, and that were not.
    pub(super) fn adopt(&mut self, series: Vec<Whole>) -> (u64, u64) {
        // Windows end by the time of what they hold, as when they are saved.
        let now = self.parts.clock.now().min(self.parts.shards.newest().max(f64::MIN));
        let (mut taken, mut refused) = (0, 0);
        for whole in series {
            let shard = ShardId::of_name(whole.name.as_bytes());
            match self.parts.shards.adopt(whole, now) {
                Ok(()) => taken += 1,
                Err(_) => refused += 1,
            }
            // From files and journal alone it would not be there after a crash.
            self.wish_to_save(shard);
        }
        (taken, refused)
    }

    /// All is read and saved: what is handed out now is what the next start restores.
    pub(super) fn answer_for_the_copy(&mut self) {
        while !self.parts.copied.is_cancelled() && !self.parts.abort.is_cancelled() {
            self.answer();
            self.parts.reader.wait(WAIT);
        }
    }
}
