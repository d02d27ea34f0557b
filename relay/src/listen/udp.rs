//! Datagrams: carbon lines and msgpack.

use super::way::Way;
use super::{LAST_LOOK, Shared};
use crate::codec::{msgpack, plaintext};
use crate::intake::{Peer, Refusals, Sender};
use arc_swap::ArcSwap;
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use skyline_core::reject::Reject;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest datagram, bytes.
const DATAGRAM_BYTES: usize = 65_536;

/// Datagrams and bytes that become one batch at most.
const BURST_DATAGRAMS: usize = 1_024;
const BURST_BYTES: usize = 256 << 10;

/// Bursts at most after a stop was asked for.
const LAST_BURSTS: usize = 64;

/// Senders that are known without asking for them.
const SENDERS: usize = 1_024;

/// Pause after a receive that failed.
const PAUSE: Duration = Duration::from_millis(10);

/// Receives datagrams until `stop` is cancelled.
pub(super) async fn serve(
    socket: UdpSocket,
    way: Arc<ArcSwap<Way>>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let buffer = vec![0; DATAGRAM_BYTES];
    let (senders, feeds) = (HashMap::new(), Vec::new());
    let mut receiver = Receiver { socket, way, shared, stop, buffer, senders, feeds };
    let stop = receiver.stop.clone();
    let mut stopped = pin!(stop.cancelled());
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            // An error shows up in the receive.
            _ = receiver.socket.readable() => {}
        }
        receiver.burst().await;
    }
    for _ in 0..LAST_BURSTS {
        if timeout(LAST_LOOK, receiver.socket.readable()).await.is_err() {
            break;
        }
        receiver.burst().await;
    }
}

struct Receiver {
    socket: UdpSocket,
    way: Arc<ArcSwap<Way>>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    buffer: Vec<u8>,
    senders: HashMap<(Listener, IpAddr), Arc<Sender>>,
    /// Of the batch that is being made: how many points from its start on, and who sent them.
    feeds: Vec<(usize, u32)>,
}

impl Receiver {
    /// Takes the datagrams that are there, as one batch.
    ///
    /// Senders of datagrams cannot be paused: while a destination wants a pause their points are
    /// read and refused, so that the account says what was lost.
    async fn burst(&mut self) {
        let settings = self.shared.settings.load_full();
        let listener = self.way.load().listener;
        let source = Source { listener, origin: Origin::Live };
        let now = self.shared.intake.clock().now();
        let mut out = BatchBuilder::new(source, now).resolution(settings.timestamp_resolution_seconds);
        let (mut datagrams, mut bytes) = (0, 0);
        self.feeds.clear();
        while datagrams < BURST_DATAGRAMS && bytes < BURST_BYTES {
            let (length, peer) = match self.socket.try_recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::debug!(listener = listener.label(), %error, "a datagram is not received");
                    tokio::time::sleep(PAUSE).await;
                    break;
                }
            };
            datagrams += 1;
            bytes += length;
            let datagram = self.buffer.get(..length).unwrap_or_default();
            let mut refusals = Refusals::default();
            let before = out.len();
            if listener == Listener::MsgpackUdp {
                if let Err(why) = msgpack::decode(datagram, &mut out) {
                    refusals.add(datagram, why);
                }
            } else {
                let max = settings.max_line_bytes as usize;
                plaintext::datagram(datagram, max, &mut out, &mut |line: &[u8], why| refusals.add(line, why));
            }
            let sender = self.sender(listener, peer);
            sender.read(length, now);
            sender.took(out.len() - before);
            if !refusals.is_empty() {
                sender.refused(refusals.counts().total());
                self.shared.intake.refuse(listener, Peer::Address(peer), &refusals);
            }
            let feed = sender.feed();
            match self.feeds.last_mut() {
                Some(last) if last.1 == feed => last.0 = out.len(),
                _ => self.feeds.push((out.len(), feed)),
            }
        }
        if let Some(batch) = out.finish() {
            if self.shared.flow.is_paused() {
                self.shared.intake.refuse_batch(&batch, Reject::JournalFull);
            } else {
                self.shared.intake.submit_from(batch, &self.feeds, &self.shared.stop).await;
            }
        }
    }

    fn sender(&mut self, listener: Listener, peer: SocketAddr) -> Arc<Sender> {
        let key = (listener, peer.ip());
        if let Some(known) = self.senders.get(&key) {
            return Arc::clone(known);
        }
        if self.senders.len() >= SENDERS {
            self.senders.clear();
        }
        let sender = self.shared.intake.sender(listener, Peer::Address(peer));
        self.senders.insert(key, Arc::clone(&sender));
        sender
    }
}
