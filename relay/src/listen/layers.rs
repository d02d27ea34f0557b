//! Connections whose bytes are encrypted or packed: TLS outside, compression within.

use super::Shared;
use super::connection::After;
use super::link::{Framing, Link};
use super::scratch::{READ_BYTES, Scratch};
use super::socket::{Stream, fill};
use super::tls::Session;
use super::unpack::Unpacker;
use super::way::Way;
use crate::codec::pickle::Machine;
use crate::intake::Refusals;
use skyline_core::reject::Reject;
use std::io;
use std::sync::Arc;

/// Why a stream cannot be followed any further, and in words.
type Broken = (Reject, String);

/// What lies between a connection's bytes and its lines or frames.
#[derive(Debug)]
pub(super) struct Layers {
    tls: Option<Session>,
    unpacker: Option<Unpacker>,
    /// The peer has sent something.
    is_begun: bool,
    /// Not all that is due to the peer could be written.
    has_more_to_send: bool,
    /// Bytes of lines or frames so far.
    text: u64,
}

impl Layers {
    /// Those of a new connection; `None` if there are none.
    ///
    /// # Errors
    /// A TLS session that cannot be begun.
    pub(super) fn of(way: &Way) -> Result<Option<Box<Self>>, rustls::Error> {
        let tls = way.tls.as_ref().map(super::tls::Acceptor::session).transpose()?;
        let unpacker = Unpacker::of(way.packing);
        if tls.is_none() && unpacker.is_none() {
            return Ok(None);
        }
        Ok(Some(Box::new(Self { tls, unpacker, is_begun: false, has_more_to_send: false, text: 0 })))
    }

    /// Whether the handshake is not done yet.
    pub(super) fn is_greeting(&self) -> bool {
        self.tls.as_ref().is_some_and(Session::is_greeting)
    }

    pub(super) const fn has_more_to_send(&self) -> bool {
        self.has_more_to_send
    }

    /// Bytes of lines or frames so far.
    pub(super) const fn text(&self) -> u64 {
        self.text
    }

    /// What is to be refused at the end of the stream: bytes that cannot be unpacked without more.
    pub(super) fn finish(&self, refusals: &mut Refusals) {
        if self.unpacker.as_ref().is_some_and(Unpacker::is_cut) {
            refusals.add(b"a block that is cut", Reject::Packing);
        }
        if self.is_greeting() && self.is_begun {
            refusals.add(b"closed during the handshake", Reject::Tls);
        }
    }

    /// Says that nothing more will be read.
    pub(super) fn close(&mut self, stream: &Stream) {
        if let Some(session) = &mut self.tls {
            session.say_goodbye();
        }
        self.send(stream);
    }

    fn send(&mut self, stream: &Stream) {
        if let Some(session) = &mut self.tls {
            // An error shows up in the next read.
            self.has_more_to_send = !session.send(&mut Now(stream)).unwrap_or(true);
        }
    }

    /// Takes what the socket has, at most one buffer full, and submits what it becomes, a piece at a time. So
    /// many may do that at once; what others hold meanwhile is in the kernel.
    pub(super) async fn burst(&mut self, stream: &mut Stream, framing: &mut Framing, link: &Link) -> After {
        let shared: Arc<Shared> = Arc::clone(&link.shared);
        // Closed only if the semaphore were, which it never is.
        let _turn = shared.turns.acquire().await;
        let mut scratch = shared.pool.lend();
        let Scratch { bytes, machine, opened, unpacked } = &mut *scratch;
        let (filled, end) = fill(stream, bytes).await;
        self.is_begun |= filled > 0;
        link.read(filled);
        let mut sink = Sink { framing, link, machine };
        let outcome =
            self.take(stream, bytes.get(..filled).unwrap_or_default(), opened, unpacked, &mut sink).await;
        let mut refusals = Refusals::default();
        let after = match outcome {
            Ok(After::Open) if !end => After::Open,
            Ok(After::GivenUp) => {
                self.close(stream);
                After::GivenUp
            }
            Ok(_) => {
                self.finish(&mut refusals);
                self.close(stream);
                sink.framing.finish(&mut refusals);
                After::Ended
            }
            Err((why, text)) => {
                refusals.add(text.as_bytes(), why);
                sink.framing.finish(&mut refusals);
                After::Ended
            }
        };
        link.refuse(&refusals);
        if after == After::Open && filled == bytes.len() {
            tokio::task::yield_now().await;
        }
        after
    }

    /// Decrypts, unpacks and hands on what has come.
    async fn take(
        &mut self,
        stream: &Stream,
        mut raw: &[u8],
        opened: &mut Vec<u8>,
        unpacked: &mut Vec<u8>,
        sink: &mut Sink<'_>,
    ) -> Result<After, Broken> {
        if self.tls.is_none() {
            return self.unpack(raw, unpacked, sink).await;
        }
        loop {
            opened.clear();
            let Some(session) = &mut self.tls else { return Ok(After::Open) };
            let outcome = session.open(&mut raw, opened);
            self.send(stream);
            // What came before a fault is taken.
            let after = self.unpack(opened, unpacked, sink).await?;
            let is_closed = outcome.map_err(|text| (Reject::Tls, text))?;
            if after != After::Open {
                return Ok(after);
            }
            if is_closed {
                return Ok(After::Ended);
            }
            if raw.is_empty() && opened.is_empty() {
                return Ok(After::Open);
            }
        }
    }

    async fn unpack(
        &mut self,
        mut text: &[u8],
        unpacked: &mut Vec<u8>,
        sink: &mut Sink<'_>,
    ) -> Result<After, Broken> {
        let Some(unpacker) = &mut self.unpacker else {
            self.text += text.len() as u64;
            return Ok(sink.take(text).await);
        };
        loop {
            unpacked.clear();
            let outcome = unpacker.step(&mut text, unpacked);
            self.text += unpacked.len() as u64;
            let after = sink.take(unpacked).await;
            let has_more = outcome.map_err(|fault| (Reject::Packing, fault.to_owned()))?;
            if after != After::Open || !has_more {
                return Ok(after);
            }
        }
    }
}

/// Where lines and frames go.
struct Sink<'a> {
    framing: &'a mut Framing,
    link: &'a Link,
    machine: &'a mut Machine,
}

impl Sink<'_> {
    /// Takes all points of these bytes, a batch at a time.
    async fn take(&mut self, bytes: &[u8]) -> After {
        for piece in bytes.chunks(READ_BYTES) {
            let mut refusals = Refusals::default();
            let mut out = self.link.builder();
            let is_given_up =
                self.link.take(self.framing, piece, self.machine, &mut out, &mut refusals).await;
            self.link.refuse(&refusals);
            self.link.submit(out).await;
            if is_given_up {
                return After::GivenUp;
            }
            if bytes.len() >= READ_BYTES {
                // One sender's few bytes may become many: others shall have their turn.
                tokio::task::yield_now().await;
            }
        }
        After::Open
    }
}

/// Writes what the socket takes now.
struct Now<'a>(&'a Stream);

impl io::Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_now(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
