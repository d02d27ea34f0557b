//! One connection of a sender.

use super::layers::Layers;
use super::link::{Framing, Link};
use super::places::Seat;
use super::scratch::Scratch;
use super::socket::{Stream, fill};
use super::{LAST_LOOK, Shared};
use crate::codec::frame::Framer;
use crate::codec::plaintext;
use crate::intake::{Peer, Refusals};
use skyline_core::batch::Listener;
use skyline_core::reject::Reject;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
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
        let sender = shared.intake.sender(listener, peer);
        let link = Link { listener, peer, sender, shared, settings, stop, _seat: seat };
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
        link.read(filled);
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
