//! From the bytes of a connection to batches in the journal.

use super::Shared;
use super::places::Seat;
use crate::codec::frame::{self, Framer, Limits};
use crate::codec::{pickle, plaintext, protobuf};
use crate::intake::{Peer, Refusals, Sender};
use skyline_conf::model::listen::Listen;
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use skyline_core::reject::Reject;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio_util::sync::CancellationToken;

/// Bytes of lines after which a batch is submitted although more points are at hand (frames can
/// become many times their length).
const BATCH_BYTES: usize = 256 << 10;

/// How the bytes of a connection are cut.
#[derive(Debug)]
pub(super) enum Framing {
    Lines(plaintext::Framer),
    Frames(Framer),
}

/// What a connection needs to hand points on. Dropped, it counts as closed.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) listener: Listener,
    pub(super) peer: Peer,
    pub(super) sender: Arc<Sender>,
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<Listen>,
    /// Closes the listener.
    pub(super) stop: CancellationToken,
    pub(super) _seat: Seat,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.intake.traffic().open.fetch_sub(1, Relaxed);
    }
}

impl Framing {
    /// The stream has ended: what was not complete is refused.
    pub(super) fn finish(&mut self, refusals: &mut Refusals) {
        match self {
            Self::Lines(framer) => framer.finish(&mut |line: &[u8], why| refusals.add(line, why)),
            Self::Frames(framer) if framer.held() > 0 => refusals.add(b"", Reject::Frame),
            Self::Frames(_) => {}
        }
    }
}

impl Link {
    pub(super) fn builder(&self) -> BatchBuilder {
        let source = Source { listener: self.listener, origin: Origin::Live };
        BatchBuilder::new(source, self.shared.intake.clock().now())
            .resolution(self.settings.timestamp_resolution_seconds)
    }

    /// Takes all complete lines or frames. True if the stream cannot be followed any further.
    pub(super) async fn take(
        &self,
        framing: &mut Framing,
        bytes: &[u8],
        machine: &mut pickle::Machine,
        out: &mut BatchBuilder,
        refusals: &mut Refusals,
    ) -> bool {
        match framing {
            Framing::Lines(framer) => {
                framer.feed(bytes, out, &mut |line: &[u8], why| refusals.add(line, why));
                false
            }
            Framing::Frames(framer) => self.frames(framer, bytes, machine, out, refusals).await,
        }
    }

    /// Takes all complete frames. True if the stream announced a frame above the limit.
    async fn frames(
        &self,
        framer: &mut Framer,
        bytes: &[u8],
        machine: &mut pickle::Machine,
        out: &mut BatchBuilder,
        refusals: &mut Refusals,
    ) -> bool {
        let limits = Limits::of(self.settings.max_frame_bytes as usize);
        let mut input = bytes;
        let mut room = BATCH_BYTES;
        loop {
            let frame = match framer.next(&mut input) {
                frame::Step::Frame(frame) => frame,
                frame::Step::More => return false,
                frame::Step::TooLong(length) => {
                    refusals.add(format!("announced {length} bytes").as_bytes(), Reject::FrameTooLong);
                    return true;
                }
            };
            let read = match self.listener {
                Listener::ProtobufTcp => protobuf::Points::of(frame).map(Points::Protobuf),
                _ => machine.run(frame).map(|()| Points::Pickle(machine, frame)),
            };
            let mut points = match read {
                Ok(points) => points,
                Err(why) => {
                    refusals.add(frame, why);
                    continue;
                }
            };
            loop {
                let before = points.emitted();
                let done = points.emit(limits, room, out, refusals);
                room = room.saturating_sub(points.emitted() - before);
                if room == 0 {
                    self.submit(std::mem::replace(out, self.builder())).await;
                    room = BATCH_BYTES;
                }
                if done {
                    break;
                }
            }
        }
    }

    pub(super) async fn submit(&self, out: BatchBuilder) {
        if let Some(batch) = out.finish() {
            self.sender.took(batch.len());
            let feeds = [(batch.len(), self.sender.feed())];
            self.shared.intake.submit_from(batch, &feeds, &self.shared.stop).await;
        }
    }

    /// One read brought so many bytes.
    pub(super) fn read(&self, bytes: usize) {
        if bytes > 0 {
            self.sender.read(bytes, self.shared.intake.clock().now());
        }
    }

    pub(super) fn refuse(&self, refusals: &Refusals) {
        if refusals.is_empty() {
            return;
        }
        self.sender.refused(refusals.counts().total());
        self.shared.intake.refuse(self.listener, self.peer, refusals);
    }
}

/// The points of one frame.
enum Points<'m, 'f> {
    Pickle(&'m mut pickle::Machine, &'f [u8]),
    Protobuf(protobuf::Points<'f>),
}

impl Points<'_, '_> {
    const fn emitted(&self) -> usize {
        match self {
            Self::Pickle(machine, _) => machine.emitted(),
            Self::Protobuf(points) => points.emitted(),
        }
    }

    /// Takes points until they have become about `room` bytes; whether those were all.
    fn emit(&mut self, limits: Limits, room: usize, out: &mut BatchBuilder, refusals: &mut Refusals) -> bool {
        let refused = &mut |name: &[u8], why| refusals.add(name, why);
        match self {
            Self::Pickle(machine, frame) => machine.emit(frame, limits, room, out, refused),
            Self::Protobuf(points) => points.emit(limits, room, out, refused),
        }
    }
}
