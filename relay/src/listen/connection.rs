//! One connection of a sender.

use super::layers::Layers;
use super::places::Seat;
use super::scratch::Scratch;
use super::{LAST_LOOK, Shared};
use crate::codec::frame::{self, Framer, Limits};
use crate::codec::{pickle, plaintext, protobuf};
use crate::intake::{Peer, Refusals};
use skyline_conf::model::listen::Listen;
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use skyline_core::reject::Reject;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// The idle time-out is looked at so many times in its length: one timer for each connection,
/// which no read touches. A connection is closed up to one part late.
const IDLE_PARTS: u32 = 4;

/// Reads at most after a stop was asked for: what the socket's buffer can hold.
const LAST_READS: usize = 64;

/// Bytes of lines or frames at most that a packed connection may become after a stop was asked for: its few
/// bytes may be a thousand times as many.
const LAST_TEXT: u64 = 64 << 20;

/// Time for a TLS handshake, and the same once a stop was asked for.
const HANDSHAKE: Duration = Duration::from_secs(10);
const LAST_HANDSHAKE: Duration = Duration::from_millis(200);

/// Bytes of lines after which a batch is submitted although more points are at hand (frames can
/// become many times their length).
const BATCH_BYTES: usize = 256 << 10;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            Self::Unix(stream) => stream.writable().await,
        }
    }

    /// Writes what fits in now.
    pub(super) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Reads what is there. Unlike `try_read` it knows that nothing is left when the buffer was not
    /// filled, which saves a system call for every burst.
    async fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        let read = poll_fn(|cx| {
            let outcome = match self {
                Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
                Self::Unix(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            };
            Poll::Ready(match outcome {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => Err(ErrorKind::WouldBlock.into()),
            })
        });
        read.await.map(|()| buffer.filled().len())
    }
}

/// How the bytes of a connection are cut.
#[derive(Debug)]
pub(super) enum Framing {
    Lines(plaintext::Framer),
    Frames(Framer),
}

/// How a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// There may be more to come.
    Open,
    /// The peer has closed.
    Ended,
    /// The peer cannot be followed any further.
    GivenUp,
}

/// A sender's connection: its socket and what is left of an unfinished line or frame.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    framing: Framing,
    /// What the bytes are wrapped in.
    layers: Option<Box<Layers>>,
    link: Link,
}

/// What a connection needs to hand points on. Dropped, it counts as closed.
#[derive(Debug)]
pub(super) struct Link {
    listener: Listener,
    peer: Peer,
    pub(super) shared: Arc<Shared>,
    settings: Arc<Listen>,
    /// Closes the listener.
    stop: CancellationToken,
    _seat: Seat,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.intake.traffic().open.fetch_sub(1, Relaxed);
    }
}

impl Connection {
    pub(super) fn new(
        stream: Stream,
        listener: Listener,
        layers: Option<Box<Layers>>,
        peer: Peer,
        shared: Arc<Shared>,
        seat: Seat,
        stop: CancellationToken,
    ) -> Self {
        shared.intake.traffic().open.fetch_add(1, Relaxed);
        let settings = shared.settings.load_full();
        let framing = match listener {
            Listener::PickleTcp | Listener::ProtobufTcp => {
                Framing::Frames(Framer::new(settings.max_frame_bytes as usize))
            }
            _ => Framing::Lines(plaintext::Framer::new(settings.max_line_bytes as usize)),
        };
        let link = Link { listener, peer, shared, settings, stop, _seat: seat };
        Self { stream, framing, layers, link }
    }

    /// Reads until the peer closes, is idle for too long, or a stop is asked for.
    pub(super) async fn run(mut self) {
        let stop = self.link.stop.clone();
        let mut stopped = pin!(stop.cancelled());
        let idle = Duration::try_from_secs_f64(self.link.settings.idle_seconds / f64::from(IDLE_PARTS))
            .ok()
            .filter(|part| !part.is_zero());
        let mut timer = pin!(sleep(idle.unwrap_or(Duration::MAX / 4)));
        let mut quiet = 0;
        if self.layers.is_some() && !Box::pin(self.greet(stopped.as_mut())).await {
            return;
        }
        loop {
            match self.wait(stopped.as_mut(), timer.as_mut()).await {
                Woken::Readable => quiet = 0,
                Woken::Timer => {
                    quiet += 1;
                    if quiet > IDLE_PARTS {
                        self.link.shared.intake.traffic().idle_closed.fetch_add(1, Relaxed);
                        break;
                    }
                    let next = Instant::now() + idle.unwrap_or(Duration::MAX / 4);
                    timer.as_mut().reset(next);
                    continue;
                }
                Woken::Stopped => {
                    self.last_reads().await;
                    break;
                }
            }
            if self.burst().await != After::Open {
                return;
            }
        }
        let mut refusals = Refusals::default();
        if let Some(layers) = &mut self.layers {
            layers.finish(&mut refusals);
            layers.close(&self.stream);
        }
        self.framing.finish(&mut refusals);
        self.link.refuse(&refusals);
    }

    /// Takes what is in the socket's buffer.
    async fn last_reads(&mut self) {
        let text = |layers: &Option<Box<Layers>>| layers.as_ref().map_or(0, |layers| layers.text());
        let before = text(&self.layers);
        for _ in 0..LAST_READS {
            let more = timeout(LAST_LOOK, self.stream.readable()).await.is_ok();
            if !more || text(&self.layers) - before > LAST_TEXT || self.burst().await != After::Open {
                break;
            }
        }
    }

    /// Waits for the end of the handshake, if there is one. False: the connection has ended.
    async fn greet(&mut self, mut stopped: Pin<&mut WaitForCancellationFuture<'_>>) -> bool {
        let mut timer = pin!(sleep(HANDSHAKE));
        let mut stopping = false;
        loop {
            let Some(layers) = self.layers.as_ref().filter(|layers| layers.is_greeting()) else {
                return true;
            };
            let has_more_to_send = layers.has_more_to_send();
            tokio::select! {
                // An error shows up in the read.
                _ = self.stream.readable() => {}
                _ = self.stream.writable(), if has_more_to_send => {}
                () = stopped.as_mut(), if !stopping => {
                    stopping = true;
                    timer.as_mut().reset(Instant::now() + LAST_HANDSHAKE);
                    continue;
                }
                () = timer.as_mut() => {
                    let mut refusals = Refusals::default();
                    refusals.add(b"the handshake takes too long", Reject::Tls);
                    self.link.refuse(&refusals);
                    return false;
                }
            }
            if self.burst().await != After::Open {
                return false;
            }
        }
    }

    /// Waits until there is something to do. While a destination wants a pause nothing is read.
    async fn wait(
        &self,
        mut stopped: Pin<&mut WaitForCancellationFuture<'_>>,
        mut timer: Pin<&mut Sleep>,
    ) -> Woken {
        let flow = &self.link.shared.flow;
        loop {
            if flow.is_paused() {
                tokio::select! {
                    () = flow.open() => {}
                    () = stopped.as_mut() => return Woken::Stopped,
                }
            }
            tokio::select! {
                // An error shows up in the read.
                _ = self.stream.readable() => {}
                () = stopped.as_mut() => return Woken::Stopped,
                () = timer.as_mut() => return Woken::Timer,
            }
            if !flow.is_paused() {
                return Woken::Readable;
            }
        }
    }

    /// Takes what the socket has, at most one buffer full, and submits it.
    async fn burst(&mut self) -> After {
        let Self { stream, framing, layers, link } = self;
        if let Some(layers) = layers {
            // Boxed, so that connections without layers do not carry its size about.
            return Box::pin(layers.burst(stream, framing, link)).await;
        }
        let shared = Arc::clone(&link.shared);
        let mut scratch = shared.pool.lend();
        let Scratch { bytes, machine, .. } = &mut *scratch;
        let (filled, end) = fill(stream, bytes).await;
        let full = filled == bytes.len();
        let bytes = bytes.get(..filled).unwrap_or_default();
        let mut refusals = Refusals::default();
        let mut out = link.builder();
        let given_up = link.take(framing, bytes, machine, &mut out, &mut refusals).await;
        drop(scratch);
        if end && !given_up {
            framing.finish(&mut refusals);
        }
        link.refuse(&refusals);
        link.submit(out).await;
        match (given_up, end) {
            (true, _) => return After::GivenUp,
            (_, true) => return After::Ended,
            _ => {}
        }
        if full {
            // There is more, but others shall have their turn.
            tokio::task::yield_now().await;
        }
        After::Open
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    Readable,
    Timer,
    Stopped,
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
            self.shared.intake.submit_until(batch, &self.shared.stop).await;
        }
    }

    pub(super) fn refuse(&self, refusals: &Refusals) {
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

/// Reads until nothing is left or the buffer is full: how much, and whether the stream has ended.
pub(super) async fn fill(stream: &mut Stream, buffer: &mut [u8]) -> (usize, bool) {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        let wanted = room.len();
        match stream.read_now(room).await {
            Ok(0) => return (filled, true),
            Ok(read) => {
                filled += read;
                if read < wanted {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The peer has gone; what it had sent completely is taken.
            Err(_) => return (filled, true),
        }
    }
    (filled, false)
}
