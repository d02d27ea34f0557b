//! What is known of a shard in Redis, and what is to be done about it.

use super::Since;
use skyline_core::shard::ShardId;
use skyline_store::chunk::{HandOut, Header, MARK_BYTES, read_header};
use std::time::{Duration, Instant};

/// One shard.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) shard: ShardId,
    /// How far its files were at the start; none: it had none.
    pub(crate) file: Option<u64>,
    /// The first bytes of the open chunk that Redis has if all is well.
    pub(crate) mark: Option<[u8; MARK_BYTES]>,
    /// What the next hand-out leaves out.
    pub(crate) since: Since,
    /// When it is written next, seconds.
    pub(crate) due: f64,
    /// When it was last written, seconds; none: not in this run.
    pub(crate) written_at: Option<f64>,
    /// Hours whose expiry was set in this copy.
    pub(crate) hours: Vec<i64>,
    /// Handed out, not yet in Redis; and when, seconds.
    pub(crate) pending: Option<(HandOut, f64)>,
    /// Redis has nothing of it, and needs nothing.
    pub(crate) is_empty: bool,
    /// Another node wrote it last.
    pub(crate) other: Option<Header>,
    /// It has no files, or not all of its windows were taken before the last stop: what Redis has is wanted.
    pub(crate) wants: bool,
    /// Its windows are to be taken from Redis before it is written.
    pub(crate) adopts: bool,
    /// They were taken.
    pub(crate) has_taken: bool,
    /// Skyline's windows of it are being taken.
    pub(crate) awaits_reference: bool,
    /// The mark of what was taken.
    pub(crate) adopted: Option<[u8; MARK_BYTES]>,
    /// Redis was looked at since the connection was made.
    pub(crate) is_looked_at: bool,
    /// The mark of another node, and since when it stands.
    stands: Option<([u8; MARK_BYTES], Instant)>,
    /// The last of it is in Redis, and released.
    pub(crate) is_released: bool,
}

/// What a look at a shard in Redis has shown.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    /// What this run wrote last.
    AsWritten,
    /// Nothing.
    Nothing,
    /// An earlier run of this node wrote it.
    Own(Header),
    /// Another node wrote it.
    Other(Header),
    /// It is no open chunk.
    Strange,
}

impl State {
    pub(crate) const fn new(shard: ShardId, file: Option<u64>, wants: bool) -> Self {
        Self {
            shard,
            file,
            mark: None,
            since: Since::Nothing,
            due: 0.0,
            written_at: None,
            hours: Vec::new(),
            pending: None,
            is_empty: false,
            other: None,
            wants,
            adopts: true,
            has_taken: false,
            awaits_reference: false,
            adopted: None,
            is_looked_at: false,
            stands: None,
            is_released: false,
        }
    }

    /// Tells what the front of the open chunk in Redis says. `writer`: this node's number.
    pub(crate) fn see(&self, front: &[u8], writer: u64) -> Seen {
        if front.is_empty() {
            return Seen::Nothing;
        }
        // What waits may be there already, if its answer was lost.
        let waits = self.pending.as_ref().map(|(out, _)| out.mark);
        if [self.mark, waits].into_iter().flatten().any(|mark| front.starts_with(&mark)) {
            return Seen::AsWritten;
        }
        match read_header(front) {
            Ok(header) if header.writer == writer => Seen::Own(header),
            Ok(header) => Seen::Other(header),
            Err(_) => Seen::Strange,
        }
    }

    /// Redis does not have the shard as it was written: all of it is written when it is `due`, seconds.
    pub(crate) fn write_all(&mut self, due: f64) {
        self.since = Since::Nothing;
        self.pending = None;
        self.hours.clear();
        self.due = due;
    }

    /// For how long another node's mark has been seen unchanged: whatever the clocks of both say.
    pub(crate) fn stands_for(&mut self, mark: [u8; MARK_BYTES]) -> Duration {
        match self.stands {
            Some((seen, since)) if seen == mark => since.elapsed(),
            _ => {
                self.stands = Some((mark, Instant::now()));
                Duration::ZERO
            }
        }
    }

    /// Redis has this, and what the windows were restored or taken from.
    pub(crate) fn trust(&mut self, header: &Header) {
        self.since = Since::Restored;
        self.mark = Some(header.mark());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skyline_store::chunk::Chunks;

    #[test]
    fn a_look_tells_whose_chunk_it_is() {
        let header = |writer, written_at| Header {
            writer,
            written_at,
            position: 9,
            every: 600.0,
            is_released: true,
            node: "n".into(),
        };
        let chunk = |writer, written_at| Chunks::new(&header(writer, written_at), 2, false, 0).finish();
        let mut state = State::new(ShardId(3), None, true);
        assert_eq!(state.see(&[], 7), Seen::Nothing);
        assert_eq!(state.see(b"hello", 7), Seen::Strange);
        assert_eq!(state.see(&chunk(7, 1.0).open, 7), Seen::Own(header(7, 1.0)));
        assert_eq!(state.see(&chunk(8, 1.0).open, 7), Seen::Other(header(8, 1.0)));
        state.trust(&header(7, 1.0));
        assert_eq!(state.see(&chunk(7, 1.0).open, 7), Seen::AsWritten);
        assert_eq!(state.see(&chunk(7, 2.0).open, 7), Seen::Own(header(7, 2.0)));
        state.write_all(5.0);
        assert_eq!((state.since, state.due), (Since::Nothing, 5.0));
    }
}
